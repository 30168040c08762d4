//! Reads a journal's file by its lines, without holding it: what was read is forgotten, only where
//! each line begins is known.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use crate::postgres::control_rows::Line;

/// The journal's name in the folder of a run.
pub const JOURNAL: &str = "journal.jsonl";
/// How many bytes are read at a time, unless one line is longer.
const AT_ONCE: u64 = 1 << 20;
/// A line that is longer is no record.
const LONGEST: u64 = 1 << 28;

/// The lines of a journal that grows.
#[derive(Debug)]
pub struct Tail {
    path: PathBuf,
    /// Where each line begins, and where the last whole one ends.
    starts: Vec<u64>,
}

impl Tail {
    /// Begins with the journal in a run's folder.
    pub fn of(folder: &Path) -> Tail {
        Tail {
            path: folder.join(JOURNAL),
            starts: vec![0],
        }
    }

    /// Reads lines after one: at most `most` of them, and no more bytes than are read at a time,
    /// but at least one where there is one. Only whole lines count.
    ///
    /// # Errors
    /// When the file cannot be read, or is shorter than it was.
    pub fn after(&mut self, seq: u64, most: usize) -> io::Result<Vec<Line>> {
        let index = usize::try_from(seq).map_err(io::Error::other)?;
        let mut file = File::open(&self.path)?;
        while self.starts.len() <= index + 1 {
            if !self.learn(&mut file)? {
                return Ok(Vec::new());
            }
        }
        let first = self.starts[index];
        let last = self.starts[index + 1..]
            .iter()
            .take(most)
            .take_while(|end| **end - first <= AT_ONCE)
            .last()
            .copied()
            .unwrap_or(self.starts[index + 1]);
        let bytes = read(&mut file, first, last - first)?;
        let lines = bytes.split(|byte| *byte == b'\n').filter(|l| !l.is_empty());
        Ok(lines
            .zip(seq + 1..)
            .map(|(line, seq)| Line {
                seq,
                hash: hash_of(line).unwrap_or_default().to_owned(),
                bytes: line.to_vec(),
            })
            .collect())
    }

    /// The hash of one record.
    ///
    /// # Errors
    /// As [`Tail::after`].
    pub fn hash(&mut self, seq: u64) -> io::Result<Option<String>> {
        if seq == 0 {
            return Ok(None);
        }
        let line = self.after(seq - 1, 1)?.into_iter().next();
        Ok(line.map(|line| line.hash))
    }

    /// Learns where more lines begin; `false` when there are none.
    fn learn(&mut self, file: &mut File) -> io::Result<bool> {
        let from = self.starts.last().copied().unwrap_or_default();
        let mut room = AT_ONCE;
        loop {
            let bytes = read(file, from, room)?;
            let whole = bytes.len() as u64 == room;
            let ends = bytes.iter().zip(from + 1..);
            let ends = ends.filter(|(byte, _)| **byte == b'\n').map(|(_, at)| at);
            let before = self.starts.len();
            self.starts.extend(ends);
            if self.starts.len() > before {
                return Ok(true);
            }
            if !whole || room >= LONGEST {
                return Ok(false);
            }
            room *= 4;
        }
    }
}

fn read(file: &mut File, from: u64, most: u64) -> io::Result<Vec<u8>> {
    file.seek(SeekFrom::Start(from))?;
    let mut bytes = Vec::new();
    file.take(most).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The hash that a line says of itself; whether it is true is for whoever follows it.
fn hash_of(line: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(line).ok()?;
    let hash = text.strip_suffix("\"}")?;
    let hash = hash.get(hash.len().checked_sub(64)?..)?;
    hash.bytes().all(|b| b.is_ascii_hexdigit()).then_some(hash)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn lines_are_read_in_pieces_and_only_whole_ones() {
        let folder = tempfile::tempdir().unwrap();
        let mut file = File::create(folder.path().join(JOURNAL)).unwrap();
        let mut tail = Tail::of(folder.path());
        assert!(tail.after(0, 10).unwrap().is_empty());
        for n in 1..=5 {
            writeln!(file, "line {n},\"hash\":\"{}\"}}", n.to_string().repeat(64)).unwrap();
        }
        write!(file, "unfinished").unwrap();
        let lines = tail.after(1, 2).unwrap();
        assert_eq!(lines.iter().map(|l| l.seq).collect::<Vec<_>>(), [2, 3]);
        assert_eq!(lines[0].hash, "2".repeat(64));
        assert_eq!(tail.after(3, 10).unwrap().len(), 2);
        assert!(tail.after(5, 10).unwrap().is_empty());
        assert_eq!(tail.hash(5).unwrap(), Some("5".repeat(64)));
        assert_eq!(tail.hash(6).unwrap(), None);
        assert_eq!(tail.hash(0).unwrap(), None);
        // A line of many pieces.
        writeln!(file, " {}", "x".repeat(3 << 20)).unwrap();
        assert_eq!(tail.after(5, 10).unwrap()[0].bytes.len(), (3 << 20) + 11);
    }
}
