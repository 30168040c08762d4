//! Takes what workers report. A report counts only for the attempt that it is about.

use super::Decided;
use super::conditions::{find, in_state, same_attempt};
use crate::promotion::{Command, Event, GateState, Run};

/// Turns a report into the fact that it states. Other commands are none.
pub(super) fn report(run: &Run, command: &Command) -> Decided {
    match command {
        Command::RecordEffect { gate, attempt, .. }
        | Command::Finish { gate, attempt, .. }
        | Command::Lose { gate, attempt, .. } => {
            let record = find(run, gate)?;
            in_state(record, "reported on", |s| s == GateState::Running)?;
            same_attempt(record, *attempt)?;
        }
        Command::Resolve { gate, attempt, .. } => {
            let record = find(run, gate)?;
            in_state(record, "reconciled", |s| s == GateState::InDoubt)?;
            same_attempt(record, *attempt)?;
        }
        Command::Invalidate { gate, .. } => {
            in_state(find(run, gate)?, "made stale", |s| s == GateState::Passed)?;
        }
        _ => {}
    }
    Ok(fact(command.clone()).into_iter().collect())
}

fn fact(command: Command) -> Option<Event> {
    Some(match command {
        Command::RecordEffect {
            gate,
            attempt,
            effect,
        } => Event::EffectRecorded {
            gate,
            attempt,
            effect,
        },
        Command::Finish {
            gate,
            attempt,
            finding,
            evidence,
            canceled: true,
            ..
        } => Event::GateCanceled {
            gate,
            attempt,
            finding,
            evidence,
        },
        Command::Finish {
            gate,
            attempt,
            finding,
            evidence,
            captures,
            ..
        } => Event::GateFinished {
            gate,
            attempt,
            finding,
            evidence,
            captures,
        },
        Command::Lose {
            gate,
            attempt,
            finding,
        } => Event::GateInDoubt {
            gate,
            attempt,
            finding,
        },
        Command::Resolve {
            gate,
            attempt,
            resolution,
            finding,
            evidence,
        } => Event::GateReconciled {
            gate,
            attempt,
            resolution,
            finding,
            evidence,
        },
        Command::Invalidate { gate, reason } => Event::GateWentStale { gate, reason },
        _ => return None,
    })
}
