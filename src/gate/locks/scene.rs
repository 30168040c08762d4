//! What the locks screen shows: our statement, and what the last look at the server gave.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::Tolerated;
use crate::postgres::locks::Look;

/// From how long on an answer that does not come is spoken of.
const SILENCE: SignedDuration = SignedDuration::from_secs(3);

/// A pause between two attempts; nothing of ours holds a lock meanwhile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pause {
    pub until: Timestamp,
    /// What ended the attempt before.
    pub because: String,
}

/// A transaction of ours and the locks around it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LockScene {
    pub target: String,
    /// The file at work.
    pub file: String,
    /// The line where the statement begins; `None` before the first and after the last.
    pub line: Option<usize>,
    pub statement_began: Timestamp,
    pub transaction_began: Timestamp,
    /// Such as `attempt 2 of 5, 38 s of 5 min used`.
    pub attempt: String,
    pub lock_timeout_ms: u64,
    pub tolerated: Tolerated,
    pub look: Option<Arc<Look>>,
    /// When that was.
    pub looked: Option<Timestamp>,
    /// When a look began that was not answered yet.
    pub asked: Option<Timestamp>,
    /// Why nobody looks.
    pub trouble: Option<String>,
    /// Nothing is running until then; what was seen is of the attempt before.
    pub pause: Option<Pause>,
    /// Why the statement is being stopped.
    pub stopping: Option<String>,
}

impl LockScene {
    /// How long the server has not answered, where that is worth a word.
    pub fn silence(&self, now: Timestamp) -> Option<SignedDuration> {
        let silent = now.duration_since(self.asked?);
        (silent >= SILENCE).then_some(silent)
    }

    /// How long ago the last look was.
    pub fn since_look(&self, now: Timestamp) -> SignedDuration {
        let looked = self.looked.unwrap_or(now);
        now.duration_since(looked).max(SignedDuration::ZERO)
    }
}
