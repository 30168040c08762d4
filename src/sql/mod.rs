//! Reading SQL text, pure: splitting a file into statements, recognising what may not run as it
//! is, the hazards of statements, the relations that they write, and the checksum by which a file
//! is known.

mod checksum;
mod classify;
mod embedded;
pub mod hazard;
mod names;
mod relations;
mod script;
mod split;
mod statements;

pub use checksum::{Checksum, normalise};
pub use classify::{Class, classify};
pub use embedded::{Embedded, find as find_embedded};
pub use names::possible_relations;
pub use relations::{Write, is_meant, writes};
pub use script::{CopyData, Script, ScriptProblem, Statement};

/// Line and column, both from 1, of a byte of a text.
pub fn position(text: &str, byte: usize) -> (usize, usize) {
    let mut byte = byte.min(text.len());
    while !text.is_char_boundary(byte) {
        byte -= 1;
    }
    let before = &text[..byte];
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    let line = before.bytes().filter(|b| *b == b'\n').count() + 1;
    (line, before[line_start..].chars().count() + 1)
}

/// How much of a statement is kept beside a finding, in characters.
const KEPT: usize = 400;

/// A statement on one line, shortened.
fn one_line(statement: &str) -> String {
    let words: Vec<&str> = statement.split_whitespace().collect();
    crate::untrusted::clip(&crate::untrusted::clean_line(&words.join(" ")), KEPT)
}
