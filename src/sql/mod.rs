//! Reading SQL text, pure: splitting a file into statements, recognising what may not run as it
//! is, the hazards of statements, the relations that they write, and the checksum by which a file
//! is known.

mod alone;
mod checksum;
mod classify;
pub mod elsewhere;
mod embedded;
pub mod hazard;
mod made;
mod names;
mod psql;
mod relations;
mod script;
mod split;
mod statements;

pub use alone::{Alone, NotAlone};
pub use checksum::{Checksum, normalise};
pub use classify::{Class, classify};
pub use embedded::{Embedded, find as find_embedded};
pub use made::Made;
pub use names::possible_relations;
pub use relations::{Write, is_meant, writes};
pub use script::{CopyData, Dialect, Script, ScriptProblem, Statement};

/// Where the lines of a text begin, to name places in it quickly.
pub struct Places<'a> {
    text: &'a str,
    starts: Vec<usize>,
}

impl<'a> Places<'a> {
    /// Reads the text once.
    pub fn new(text: &'a str) -> Places<'a> {
        let ends = text.bytes().enumerate().filter(|(_, b)| *b == b'\n');
        let mut starts = vec![0];
        starts.extend(ends.map(|(at, _)| at + 1));
        Places { text, starts }
    }

    /// Line and column, both from 1, of a byte.
    pub fn of(&self, byte: usize) -> (usize, usize) {
        let mut byte = byte.min(self.text.len());
        while !self.text.is_char_boundary(byte) {
            byte -= 1;
        }
        let line = self.starts.partition_point(|start| *start <= byte);
        let start = self.starts.get(line - 1).copied().unwrap_or(0);
        (line, self.text[start..byte].chars().count() + 1)
    }
}

/// How much of a statement is kept beside a finding, in characters.
const KEPT: usize = 400;

/// A statement on one line, shortened.
fn one_line(statement: &str) -> String {
    let words: Vec<&str> = statement.split_whitespace().collect();
    crate::untrusted::clip(&crate::untrusted::clean_line(&words.join(" ")), KEPT)
}
