//! Grants what is asked of the run as a whole: take up, resume, hand over, abandon, close, notes.

use super::Decided;
use super::conditions::{find, may_continue, needs_console, said};
use super::people::{approved, confirmed, rejected};
use crate::promotion::run::has_work;
use crate::promotion::{
    Decision, Event, GateState, Moment, Nature, Refusal, Run, RunStatus, Statement,
};

/// Takes a run up, and says what a crash left unsaid.
pub(super) fn go_on(run: &Run, version: &str) -> Vec<Event> {
    let mut events = vec![take_up(run, version)];
    events.extend(left_unsaid(run));
    events.extend(super::signing::left_unsaid(run));
    events.extend(run.recovery_left_unsaid());
    events
}

/// Takes a run up: work that nobody saw end is in doubt from here on.
fn take_up(run: &Run, version: &str) -> Event {
    let in_doubt = run
        .gates
        .iter()
        .filter(|gate| gate.state == GateState::Running)
        .filter(|gate| run.definition_of(&gate.id).is_some_and(has_work))
        .map(|gate| gate.id.clone())
        .collect();
    Event::RunContinued {
        version: version.to_owned(),
        in_doubt,
    }
}

/// What the records of a gate imply and a crash kept from being recorded: every item is confirmed,
/// every role has approved, or one has rejected.
fn left_unsaid(run: &Run) -> Vec<Event> {
    let Some(record) = run
        .gates
        .iter()
        .find(|gate| gate.state == GateState::Running)
    else {
        return Vec::new();
    };
    let Some(gate) = run.definition_of(&record.id) else {
        return Vec::new();
    };
    let rejection = record
        .statements
        .iter()
        .find(|s| s.decision == Decision::Reject);
    match &gate.nature {
        Nature::SignOff { keys: true, .. } => Vec::new(),
        Nature::SignOff { .. } if rejection.is_some() => {
            let said = rejection.map(Statement::words).unwrap_or_default();
            rejected(record, said)
        }
        Nature::SignOff { roles, .. } if record.statements.len() == roles.len() => {
            vec![approved(record, roles.len())]
        }
        Nature::Items(items) if record.items.iter().all(Option::is_some) => {
            vec![confirmed(record, items.len())]
        }
        _ => Vec::new(),
    }
}

pub(super) fn resume(run: &Run) -> Decided {
    match run.status {
        RunStatus::Held(_) => Ok(vec![Event::RunResumed]),
        _ => Ok(Vec::new()),
    }
}

pub(super) fn note(run: &Run, gate: Option<&str>, text: &str) -> Decided {
    if let Some(id) = gate {
        find(run, id)?;
    }
    if text.trim().is_empty() {
        return Err(Refusal::ReasonTooShort(1));
    }
    Ok(vec![Event::Noted {
        gate: gate.map(str::to_owned),
        text: said(text),
    }])
}

pub(super) fn abandon(run: &Run, at: &Moment, reason: &str) -> Decided {
    needs_console(at, || "abandoning a run".to_owned())?;
    if let Some(busy) = run.at_work() {
        return Err(Refusal::Busy(busy.id.clone()));
    }
    if reason.trim().is_empty() {
        return Err(Refusal::ReasonTooShort(1));
    }
    Ok(vec![Event::RunAbandoned {
        reason: said(reason),
    }])
}

pub(super) fn close(run: &Run) -> Decided {
    may_continue(run)?;
    match run.current() {
        Some(gate) => Err(Refusal::NotAllPassed(gate.id.clone())),
        None => Ok(vec![match &run.rollback {
            Some(rollback) => Event::RunRolledBack {
                rollback: rollback.id.clone(),
            },
            None => Event::RunClosed,
        }]),
    }
}
