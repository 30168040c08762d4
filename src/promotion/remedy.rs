//! What people decided to do about a difference that stopped the run.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Event, Record};

/// The three ways out of a drift.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Remedy {
    RunMigrations,
    UpdateCanonical,
    ResolveByHand,
}

impl Remedy {
    pub const ALL: [Remedy; 3] = [
        Remedy::RunMigrations,
        Remedy::UpdateCanonical,
        Remedy::ResolveByHand,
    ];

    /// The decision in words, on every screen and in the changelog.
    pub fn words(self) -> &'static str {
        match self {
            Remedy::RunMigrations => "run the missing migrations",
            Remedy::UpdateCanonical => "update the canonical schema",
            Remedy::ResolveByHand => "resolve it by hand",
        }
    }

    /// The decision as one line of the journal.
    pub(super) fn decided(self, approved_by: &str, reason: &str) -> String {
        let words = self.words();
        format!("decided to {words}, approved by {approved_by}: {reason}")
    }
}

/// A decision as the journal has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemedyRecord {
    /// The journal's record that holds it.
    pub seq: u64,
    pub at: Timestamp,
    /// Who took it.
    pub by: String,
    /// The attempt that found the difference.
    pub attempt: u32,
    pub remedy: Remedy,
    pub approved_by: String,
    pub reason: String,
}

impl RemedyRecord {
    /// The decision that a record holds.
    pub(super) fn of(record: &Record) -> Option<RemedyRecord> {
        let Event::RemedyDecided {
            attempt,
            remedy,
            approved_by,
            reason,
            ..
        } = &record.event
        else {
            return None;
        };
        Some(RemedyRecord {
            seq: record.seq,
            at: record.time,
            by: record.actor.name.clone(),
            attempt: *attempt,
            remedy: *remedy,
            approved_by: approved_by.clone(),
            reason: reason.clone(),
        })
    }
}
