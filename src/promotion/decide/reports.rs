//! Takes what workers report. A report counts only for the attempt that it is about.

use super::conditions::{definition, find, in_state, same_attempt};
use super::{Decided, locks};
use crate::expectation::{Finding, Verdict};
use crate::promotion::run::has_work;
use crate::promotion::{Command, Event, GateState, Moment, Refusal, Resolution, Run, Via};

/// Turns a report into the fact that it states. Other commands are none.
pub(super) fn report(run: &Run, command: &Command, at: &Moment) -> Decided {
    from_work(run, command, at)?;
    match command {
        Command::RecordEffect { gate, attempt, .. }
        | Command::RecordSignal { gate, attempt, .. }
        | Command::Finish { gate, attempt, .. }
        | Command::Lose { gate, attempt, .. } => {
            let record = find(run, gate)?;
            in_state(record, "reported on", |s| s == GateState::Running)?;
            same_attempt(record, *attempt)?;
        }
        Command::Resolve {
            gate,
            attempt,
            resolution,
            finding,
            ..
        } => {
            let record = find(run, gate)?;
            in_state(record, "reconciled", |s| s == GateState::InDoubt)?;
            same_attempt(record, *attempt)?;
            agrees(gate, *resolution, finding)?;
        }
        Command::Invalidate { gate, .. } => {
            in_state(find(run, gate)?, "made stale", |s| s == GateState::Passed)?;
        }
        Command::RecordTimeline {
            target,
            system_identifier,
            timeline,
        } => {
            let known = run.timelines.get(target);
            let same = known.filter(|(system, _)| system == system_identifier);
            if same.is_some_and(|(_, known)| known >= timeline) {
                return Ok(Vec::new());
            }
        }
        _ => {}
    }
    let mut events: Vec<Event> = fact(command.clone()).into_iter().collect();
    events.extend(recovery(run, &events));
    Ok(events)
}

/// The recovery that a failure begins.
fn recovery(run: &Run, events: &[Event]) -> Option<Event> {
    match events.last()? {
        Event::GateFinished {
            gate,
            attempt,
            finding,
            ..
        } if finding.verdict == Verdict::Failed => run.recovery_of(gate, *attempt),
        Event::GateReconciled {
            gate,
            attempt,
            resolution: Resolution::Failed,
            ..
        } => run.recovery_of(gate, *attempt),
        _ => None,
    }
}

/// A front end has seen nothing itself, and what people move no worker ends.
fn from_work(run: &Run, command: &Command, at: &Moment) -> Result<(), Refusal> {
    let (gate, ends) = match command {
        Command::RecordEffect { gate, .. }
        | Command::RecordSignal { gate, .. }
        | Command::Finish { gate, .. }
        | Command::Lose { gate, .. }
        | Command::Resolve { gate, .. } => (gate, true),
        Command::Invalidate { gate, .. } => (gate, false),
        Command::RecordTimeline { .. } if at.actor.via != Via::Engine => {
            return Err(Refusal::NoReport("timeline".to_owned()));
        }
        _ => return Ok(()),
    };
    let gate = definition(run, gate)?;
    if at.actor.via != Via::Engine {
        return Err(Refusal::NoReport(gate.id.clone()));
    }
    if ends && !has_work(gate) {
        return Err(Refusal::MovedByPeople(gate.id.clone()));
    }
    Ok(())
}

/// A gate in doubt passes by a finding that passed, and by nothing else.
fn agrees(gate: &str, resolution: Resolution, finding: &Finding) -> Result<(), Refusal> {
    if (resolution == Resolution::Passed) == (finding.verdict == Verdict::Passed) {
        return Ok(());
    }
    Err(Refusal::Contradiction {
        gate: gate.to_owned(),
        resolution,
        verdict: finding.verdict,
    })
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
        Command::RecordSignal { .. } => return locks::ended(command),
        Command::Finish {
            gate,
            attempt,
            finding,
            evidence,
            files,
            canceled: true,
            ..
        } => Event::GateCanceled {
            gate,
            attempt,
            finding,
            evidence,
            files,
        },
        Command::Finish {
            gate,
            attempt,
            finding,
            evidence,
            captures,
            files,
            ..
        } => Event::GateFinished {
            gate,
            attempt,
            finding,
            evidence,
            captures,
            files,
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
        Command::RecordTimeline { .. } => return timeline(command),
        _ => return None,
    })
}

fn timeline(command: Command) -> Option<Event> {
    let Command::RecordTimeline {
        target,
        system_identifier,
        timeline,
    } = command
    else {
        return None;
    };
    Some(Event::TimelineSeen {
        target,
        system_identifier,
        timeline,
    })
}
