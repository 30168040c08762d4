//! What a person asks of a session that is in the way of a gate at work, as the journal has it.

use serde::{Deserialize, Serialize};

/// What is asked of a session that is in the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BlockerAct {
    /// Its statement stops.
    Cancel,
    /// It is disconnected, and its transaction rolled back.
    Terminate,
}

impl BlockerAct {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            BlockerAct::Cancel => "cancel",
            BlockerAct::Terminate => "terminate",
        }
    }
}

/// A session that was in the way when it was asked to stop or to go. The process number and the
/// start together name one session and no other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BlockerRecord {
    pub act: BlockerAct,
    pub pid: i32,
    /// As the server wrote it.
    pub backend_start: String,
    /// Its user, program and address.
    pub who: String,
    /// The beginning of its statement.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub query: String,
}

impl BlockerRecord {
    /// What was asked, in words.
    pub fn words(&self) -> String {
        let (act, pid, who) = (self.act.word(), self.pid, &self.who);
        let asked = format!("{act} pid {pid}, {who}, begun {}", self.backend_start);
        match self.query.is_empty() {
            true => asked,
            false => format!("{asked}: {}", self.query),
        }
    }
}

/// What became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BlockerOutcome {
    /// It is out of the way.
    Ended,
    /// It was gone or in nobody's way before anything was sent.
    WasGone,
    NotPermitted,
    StillThere,
    /// The server's answer was lost.
    Unknown,
}

/// What became of a session that was asked to stop or to go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BlockerEnd {
    pub act: BlockerAct,
    pub pid: i32,
    pub outcome: BlockerOutcome,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub detail: String,
}

impl BlockerEnd {
    /// The outcome in words.
    pub fn words(&self) -> String {
        let what = match (self.outcome, self.act) {
            (BlockerOutcome::Ended, BlockerAct::Cancel) => "its statement was canceled",
            (BlockerOutcome::Ended, BlockerAct::Terminate) => "it was terminated",
            (BlockerOutcome::WasGone, _) => "nothing was done",
            (BlockerOutcome::NotPermitted, _) => "not permitted",
            (BlockerOutcome::StillThere, _) => "still there",
            (BlockerOutcome::Unknown, _) => "nobody knows what became of it",
        };
        match self.detail.is_empty() {
            true => format!("pid {}: {what}", self.pid),
            false => format!("pid {}: {what}: {}", self.pid, self.detail),
        }
    }
}
