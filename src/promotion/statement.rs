//! What a person in a role signs.
//!
//! A statement names everything that it stands for, so that a change of any of it leaves the
//! statement behind. Its canonical bytes are what a signature will cover.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// What the person decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    Approve,
    Reject,
}

impl Decision {
    /// The word for it in journals and reports.
    pub fn word(self) -> &'static str {
        match self {
            Decision::Approve => "approved",
            Decision::Reject => "REJECTED",
        }
    }
}

/// One person's decision in one role on one gate of one run.
///
/// The fields stand in alphabetical order: serialised, this is the canonical form.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Statement {
    pub decision: Decision,
    pub gate: String,
    /// Hash of the last record when the person decided.
    pub journal_head: String,
    pub journal_seq: u64,
    pub note: String,
    pub person: String,
    pub role: String,
    pub run: String,
    pub runbook_digest: String,
    pub time: Timestamp,
}

impl Statement {
    /// The bytes that stand for this statement wherever it is hashed or signed.
    pub fn canonical(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// The statement in words.
    pub fn words(&self) -> String {
        let decision = self.decision.word();
        let note = if self.note.is_empty() {
            String::new()
        } else {
            format!(": {}", self.note)
        };
        format!("{decision} by {} as {}{note}", self.person, self.role)
    }
}
