//! The state of each screen and of each dialog, and what keys make of it.

pub mod act;
pub mod back;
pub mod chart;
pub mod choose;
pub mod closing;
pub mod copy;
pub mod detail;
pub mod dialog;
pub mod input;
pub mod journal;
pub mod layout;
pub mod log;
pub mod pager;
pub mod reading;
mod recovery;
mod row;
pub mod run;
mod sql_ink;
pub mod text;
pub mod times;

pub use recovery::recovery_point;
pub use row::Row;

use super::model::Model;
use crate::promotion::{GateState, RunStatus};

/// What fills the body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Screen {
    Run,
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

/// How loud a banner is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loudness {
    Alarm,
    Caution,
}

/// One line under the header, for what overrides everything else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Banner {
    pub loudness: Loudness,
    pub word: &'static str,
    pub text: String,
}

/// The banner of this moment: the most serious thing that holds for the run as a whole.
pub fn banner(model: &Model) -> Option<Banner> {
    let make = |loudness, word, text: String| {
        Some(Banner {
            loudness,
            word,
            text,
        })
    };
    let snapshot = &model.snapshot;
    if let Some(error) = &snapshot.journal_error {
        let text = format!("nothing more is started: {error}");
        return make(Loudness::Alarm, "JOURNAL CANNOT BE WRITTEN", text);
    }
    if model.engine_gone {
        let text = "nothing is carried out or recorded any more; leave and resume the run";
        return make(Loudness::Alarm, "ENGINE ENDED", text.to_owned());
    }
    let run = model.run();
    if let Some(gate) = run.gates.iter().find(|g| g.state == GateState::InDoubt) {
        let text = match &snapshot.reconciling {
            Some(asked) if *asked == gate.id => format!("{}: the target is being asked", gate.id),
            _ => format!(
                "{}: nobody saw how it ended; Enter asks the target",
                gate.id
            ),
        };
        return make(Loudness::Alarm, "IN DOUBT", text);
    }
    if let Some(question) = &model.feed.asked.question
        && let Some(gate) = run.at_work()
    {
        // It waits for a person whatever that person is reading.
        let text = format!("{}: {}", gate.id, question.text);
        return match question.causes.is_empty() {
            true => make(Loudness::Caution, "QUESTION", text),
            false => make(Loudness::Alarm, "HELD", text),
        };
    }
    if model.leaving {
        let text = "as soon as the work has stopped; Esc stays".to_owned();
        return make(Loudness::Caution, "LEAVING", text);
    }
    match &run.status {
        RunStatus::Held(reason) => {
            let text = format!("{reason}; H resumes");
            return make(Loudness::Caution, "HELD", text);
        }
        RunStatus::Rejected(reason) => {
            return make(Loudness::Alarm, "REJECTED", reason.clone());
        }
        RunStatus::Abandoned(reason) => {
            return make(Loudness::Caution, "ABANDONED", reason.clone());
        }
        RunStatus::RolledBack(_) => {
            let text = "every gate of the way back has passed".to_owned();
            return make(Loudness::Caution, "ROLLED BACK", text);
        }
        RunStatus::Open | RunStatus::Closed => {}
    }
    if let Some(reminder) = run.reminder.as_ref().filter(|r| r.due <= model.now) {
        let at = times::minute(reminder.due, &model.zone);
        let text = format!(
            "an update was promised for {at} (`{}`); m writes it",
            reminder.message
        );
        return make(Loudness::Alarm, "TELL PEOPLE", text);
    }
    if let Some(rollback) = &run.rollback {
        let text = format!("by `{}`: {}", rollback.id, rollback.reason);
        return make(Loudness::Alarm, "ROLLING BACK", text);
    }
    if let Some(gate) = &snapshot.held {
        let text = format!("{gate} wants a target that another operator holds");
        return make(Loudness::Caution, "TARGET HELD", text);
    }
    None
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
