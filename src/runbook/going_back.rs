//! What a runbook says of going back, and of what people are told.

use std::time::Duration;

use super::model::Gate;

/// A way back.
#[derive(Debug, Clone, PartialEq)]
pub struct Rollback {
    pub id: String,
    pub title: String,
    pub help: Option<String>,
    pub scope: Scope,
    /// The gate from whose start on it may be gone.
    pub valid_from: String,
    /// The gate after whose passing it may not be gone any more.
    pub valid_until: Option<String>,
    pub expect_duration: Duration,
    pub gates: Vec<Gate>,
}

/// How much a way back undoes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    Immediate,
    Partial,
}

/// What people are told, with fields to fill in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    pub id: String,
    pub subject: String,
    pub body: String,
    /// It promises another message after this time.
    pub next_update: Option<Duration>,
    pub webhook: Option<Webhook>,
}

/// Where a message may be posted. The address itself is a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Webhook {
    /// The environment variable that holds the address.
    pub variable: String,
    pub shape: Shape,
}

/// The form of JSON that a webhook takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    Slack,
    Teams,
}

/// A backup that becomes the database again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restore {
    pub target: String,
    /// The gate of this run that took the backup.
    pub backup: String,
    pub mode: RestoreMode,
    pub sessions: Sessions,
    /// Tables that are newer than the backup may stay after a restore in place.
    pub keep_newer: bool,
    /// The database to connect to while the target's own is renamed.
    pub maintenance: String,
    pub jobs: u32,
    /// How long a restore in place waits for each lock.
    pub lock_timeout: Duration,
}

/// How a restore reaches its target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RestoreMode {
    /// Into a new database that then takes the name; the old one is kept.
    Swap,
    /// Over the database itself, in one transaction.
    InPlace,
}

/// What becomes of other people's sessions in the target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sessions {
    Refuse,
    End,
}

/// A gate that waits until a person has sent a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageGate {
    pub message: String,
}
