//! Journal records: one JSON object a line, each holding the hash of the one before.
//!
//! The hash covers the line's bytes up to the hash itself, never a re-serialised value, so any
//! program that computes SHA-256 can check it. An unfinished last line is what a crash leaves and
//! may be cut off; damage anywhere else is refused with the record's number.

use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Actor, Event};
use crate::digest::digest;
use crate::untrusted::clean_line;

/// What the first record names as the hash before it.
pub const GENESIS: &str = "0000000000000000000000000000000000000000000000000000000000000000";

const HASH_KEY: &str = ",\"hash\":\"";
/// `,"hash":"` + 64 digits + `"}`.
const SUFFIX: usize = HASH_KEY.len() + 64 + 2;

/// One record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// From 1, without gaps. Order never depends on the clock.
    pub seq: u64,
    pub time: Timestamp,
    pub actor: Actor,
    pub event: Event,
    pub prev: String,
    pub hash: String,
}

#[derive(Serialize)]
struct BodyOut<'a> {
    seq: u64,
    time: Timestamp,
    actor: &'a Actor,
    prev: &'a str,
    event: &'a Event,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BodyIn {
    seq: u64,
    time: Timestamp,
    actor: Actor,
    prev: String,
    event: Event,
}

impl Record {
    /// Makes the record that follows `(prev_seq, prev_hash)` and its line, line feed included.
    ///
    /// # Errors
    /// When the event cannot be serialised.
    pub fn after(
        previous: (u64, &str),
        time: Timestamp,
        actor: &Actor,
        event: Event,
    ) -> Result<(Record, Vec<u8>), serde_json::Error> {
        let seq = previous.0 + 1;
        let body = BodyOut {
            seq,
            time,
            actor,
            prev: previous.1,
            event: &event,
        };
        let mut line = serde_json::to_vec(&body)?;
        let hash = digest(&line);
        line.pop();
        line.extend_from_slice(HASH_KEY.as_bytes());
        line.extend_from_slice(hash.as_bytes());
        line.extend_from_slice(b"\"}\n");
        let record = Record {
            seq,
            time,
            actor: actor.clone(),
            prev: previous.1.to_owned(),
            event,
            hash,
        };
        Ok((record, line))
    }

    /// Checks a line's form and hash. Gives the bytes that the hash covers, and the hash.
    fn verify(line: &[u8]) -> Result<(Vec<u8>, String), String> {
        let cut = line.len().checked_sub(SUFFIX).ok_or("it is too short")?;
        let (body, suffix) = line.split_at(cut);
        let suffix = std::str::from_utf8(suffix).map_err(|_| "its hash is not text")?;
        let hash = suffix
            .strip_prefix(HASH_KEY)
            .and_then(|rest| rest.strip_suffix("\"}"))
            .ok_or("it does not end in a hash")?;
        let mut hashed = body.to_vec();
        hashed.push(b'}');
        if digest(&hashed) != hash {
            return Err("its hash does not match its content".to_owned());
        }
        Ok((hashed, hash.to_owned()))
    }

    fn parse(line: &[u8]) -> Result<Record, String> {
        let (hashed, hash) = Record::verify(line)?;
        let body: BodyIn =
            serde_json::from_slice(&hashed).map_err(|error| unreadable(&hashed, &error))?;
        Ok(Record {
            seq: body.seq,
            time: body.time,
            actor: body.actor,
            event: body.event,
            prev: body.prev,
            hash,
        })
    }
}

/// Says why a record that verifies cannot be read: most likely it is not its fault.
fn unreadable(body: &[u8], error: &serde_json::Error) -> String {
    #[derive(Deserialize)]
    struct Body {
        event: Kind,
    }
    #[derive(Deserialize)]
    struct Kind {
        r#type: String,
    }
    match serde_json::from_slice::<Body>(body) {
        Ok(Body { event }) if error.to_string().starts_with("unknown variant") => format!(
            "this version knows no event `{}`; a newer one wrote it",
            clean_line(&event.r#type)
        ),
        _ => format!("this version cannot read it: {error}"),
    }
}

/// What stands after the last whole record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tail {
    Clean,
    /// The last record is whole but for its line feed, which was never acknowledged.
    MissingLineFeed,
    /// So many bytes of a record that a crash left unfinished.
    Torn(usize),
}

/// Why a journal is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the journal is refused at record {record}: {reason}")]
pub struct JournalDamage {
    /// Its number, from 1.
    pub record: u64,
    pub reason: String,
}

/// A journal that was read and verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Journal {
    pub records: Vec<Arc<Record>>,
    /// How many bytes the whole records take.
    pub valid_bytes: usize,
    pub tail: Tail,
}

impl Journal {
    /// A journal of nothing yet, to be followed line by line.
    pub fn empty() -> Journal {
        Journal {
            records: Vec::new(),
            valid_bytes: 0,
            tail: Tail::Clean,
        }
    }

    /// Verifies the next line, without its line feed, and adds it.
    ///
    /// # Errors
    /// When it does not verify, or does not follow.
    pub fn follow(&mut self, line: &[u8]) -> Result<(), JournalDamage> {
        self.push(line)?;
        self.valid_bytes += line.len() + 1;
        Ok(())
    }

    /// Reads and verifies a journal's bytes.
    ///
    /// # Errors
    /// When a finished record does not verify: its hash, its number, or the hash before it.
    pub fn read(bytes: &[u8]) -> Result<Journal, JournalDamage> {
        let mut journal = Journal::empty();
        let mut rest = bytes;
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            journal.push(&rest[..end])?;
            journal.valid_bytes += end + 1;
            rest = &rest[end + 1..];
        }
        if !rest.is_empty() {
            journal.read_tail(rest)?;
        }
        Ok(journal)
    }

    fn read_tail(&mut self, rest: &[u8]) -> Result<(), JournalDamage> {
        // Whole is what verifies, even when a newer version wrote it and this one cannot read it.
        if Record::verify(rest).is_ok() {
            self.push(rest)?;
            self.valid_bytes += rest.len();
            self.tail = Tail::MissingLineFeed;
            return Ok(());
        }
        // A crash leaves a beginning of a record. A whole record with something behind it was
        // finished once, so its line feed was changed afterwards.
        let whole_inside = (SUFFIX..rest.len())
            .filter(|end| rest[end - 1] == b'}')
            .any(|end| Record::verify(&rest[..end]).is_ok());
        if whole_inside {
            return Err(self.damage("its line feed was changed"));
        }
        self.tail = Tail::Torn(rest.len());
        Ok(())
    }

    fn push(&mut self, line: &[u8]) -> Result<(), JournalDamage> {
        let record = Record::parse(line).map_err(|reason| self.damage(&reason))?;
        let (seq, hash) = self.last();
        if record.seq != seq + 1 {
            return Err(self.damage(&format!("its number is {}, not {}", record.seq, seq + 1)));
        }
        if record.prev != hash {
            return Err(self.damage("it does not follow the record before it"));
        }
        if record.seq == 1 && !matches!(record.event, Event::RunOpened { .. }) {
            return Err(self.damage("it does not open a run"));
        }
        self.records.push(Arc::new(record));
        Ok(())
    }

    /// Sequence number and hash of the last record; 0 and [`GENESIS`] when there is none.
    pub fn last(&self) -> (u64, &str) {
        self.records
            .last()
            .map_or((0, GENESIS), |record| (record.seq, record.hash.as_str()))
    }

    fn damage(&self, reason: &str) -> JournalDamage {
        JournalDamage {
            record: self.records.len() as u64 + 1,
            reason: reason.to_owned(),
        }
    }
}
