//! The state of each screen and of each dialog, and what keys make of it.

pub mod act;
mod areas;
pub mod back;
mod banner;
pub mod chart;
pub mod choose;
pub mod closing;
pub mod conn;
pub mod copy;
pub mod detail;
pub mod dialog;
pub mod diff;
pub mod files;
pub mod git;
pub mod given;
pub mod input;
pub mod journal;
pub mod layout;
mod left_out;
pub mod locks;
pub mod log;
pub mod pager;
pub mod reading;
mod recovery;
pub mod review;
mod row;
pub mod run;
pub mod signing;
mod sql_ink;
pub mod text;
pub mod times;

pub use banner::{Banner, Loudness, banner};
pub use left_out::{left_out, reminder};
pub use recovery::recovery_point;
pub use row::Row;

use super::model::Model;
use crate::promotion::GateState;

/// What fills the body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Screen {
    Run,
    Diff,
    Git,
    /// The files that differ between two revisions.
    Files,
    /// Who waits for whom around the statement at work.
    Locks,
    Log,
    Journal,
    /// What became of a run that has ended.
    Closing,
}

/// Whether a gate is started for the first time or again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    Start,
    Retry,
}

impl Verb {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Verb::Start => "start",
            Verb::Retry => "retry",
        }
    }
}

/// The glyph that stands beside a state's word.
pub fn glyph(state: GateState) -> &'static str {
    match state {
        GateState::Pending => "·",
        GateState::Running => "▶",
        GateState::Passed => "✓",
        GateState::Failed => "✗",
        GateState::Errored => "!",
        GateState::Inconclusive => "?",
        GateState::Canceled => "⊘",
        GateState::InDoubt => "‽",
        GateState::Waived => "~",
        GateState::NotApplicable => "-",
        GateState::Stale => "↻",
    }
}

/// The gate at work that is not the selected one: it must not be forgotten while one reads about
/// another.
pub fn elsewhere(model: &Model) -> Option<String> {
    let gate = model.run().at_work()?;
    if model.gate().is_some_and(|selected| selected.id == gate.id) {
        return None;
    }
    let on = model.target_of(&gate.id).map_or(String::new(), |target| {
        format!(" on {}", target.environment.word().to_uppercase())
    });
    Some(format!("▶ at work{on}: {}", gate.id))
}
