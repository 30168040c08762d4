//! The line under the header: the most serious thing that holds for the run as a whole.

use super::times;
use crate::console::model::Model;
use crate::promotion::{GateState, Run, RunStatus};

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

/// The banner of this moment: the most serious thing that holds for the run as a whole. That gates
/// were waived is said beside it, for the rest of the run.
pub fn banner(model: &Model) -> Option<Banner> {
    let waived = waived(model.run());
    match (of_moment(model), waived) {
        (Some(mut banner), Some(waived)) => {
            banner.text = format!("{} · {}: {}", banner.text, waived.word, waived.text);
            Some(banner)
        }
        (banner, waived) => banner.or(waived),
    }
}

/// What was waived in this run, whether it still counts or not.
fn waived(run: &Run) -> Option<Banner> {
    let glass = run.waivers.iter().any(|(_, waiver)| waiver.broke_glass());
    let mut gates: Vec<&str> = run.waivers.iter().map(|(gate, _)| gate.as_str()).collect();
    gates.dedup();
    let text = gates.join(", ");
    match (text.is_empty(), glass) {
        (true, _) => None,
        (false, true) => make(Loudness::Alarm, "GLASS BROKEN", text),
        (false, false) => make(Loudness::Caution, "WAIVED", text),
    }
}

fn of_moment(model: &Model) -> Option<Banner> {
    let snapshot = &model.snapshot;
    if let Some(error) = &snapshot.journal_error {
        let text = format!("nothing more is started: {error}");
        return make(Loudness::Alarm, "JOURNAL CANNOT BE WRITTEN", text);
    }
    if let Some(banner) = super::conn::banner(model) {
        return Some(banner);
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
    let watching = model.snapshot.control.watching.is_some();
    if let Some(banner) = of_status(&run.status, watching) {
        return Some(banner);
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

/// What there is to say of a run that is held, or has ended otherwise than well.
fn of_status(status: &RunStatus, watching: bool) -> Option<Banner> {
    match status {
        RunStatus::Held(reason) => {
            let hint = if watching { "" } else { "; H resumes" };
            let text = format!("{reason}{hint}");
            make(Loudness::Caution, "HELD", text)
        }
        RunStatus::Rejected(reason) => make(Loudness::Alarm, "REJECTED", reason.clone()),
        RunStatus::Abandoned(reason) => make(Loudness::Caution, "ABANDONED", reason.clone()),
        RunStatus::RolledBack(_) => {
            let text = "every gate of the way back has passed".to_owned();
            make(Loudness::Caution, "ROLLED BACK", text)
        }
        RunStatus::Open | RunStatus::Closed => None,
    }
}

#[allow(clippy::unnecessary_wraps)] // Every caller returns it as it is.
fn make(loudness: Loudness, word: &'static str, text: String) -> Option<Banner> {
    Some(Banner {
        loudness,
        word,
        text,
    })
}
