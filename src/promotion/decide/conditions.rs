//! The conditions that commands share. Each one is asked of the state and refuses in words.

use crate::promotion::{
    GateDefinition, GateRecord, GateState, Moment, Refusal, Run, RunStatus, Via,
};
use crate::untrusted::clean;

/// What a person typed, as it may be recorded: it will be drawn on terminals and in reports.
pub(super) fn said(text: &str) -> String {
    clean(text.trim()).into_owned()
}

pub(super) fn find<'a>(run: &'a Run, id: &str) -> Result<&'a GateRecord, Refusal> {
    run.gate(id)
        .ok_or_else(|| Refusal::UnknownGate(id.to_owned()))
}

pub(super) fn definition<'a>(run: &'a Run, id: &str) -> Result<&'a GateDefinition, Refusal> {
    run.definition_of(id)
        .ok_or_else(|| Refusal::UnknownGate(id.to_owned()))
}

/// A gate moves only when the run is not held and every gate before it lets the run through.
pub(super) fn may_move(run: &Run, id: &str) -> Result<(), Refusal> {
    may_continue(run)?;
    if let Some(rollback) = &run.rollback
        && !run.course().iter().any(|gate| gate.id == id)
    {
        return Err(Refusal::GoingBack {
            gate: id.to_owned(),
            rollback: rollback.id.clone(),
        });
    }
    match run.blocking(id) {
        Some(gate) => Err(Refusal::Blocked {
            blocking: gate.id.clone(),
            state: gate.state,
        }),
        None => Ok(()),
    }
}

pub(super) fn may_continue(run: &Run) -> Result<(), Refusal> {
    match &run.status {
        RunStatus::Held(reason) => Err(Refusal::Held(reason.clone())),
        _ => Ok(()),
    }
}

pub(super) fn in_state(
    record: &GateRecord,
    asked: &'static str,
    valid: impl Fn(GateState) -> bool,
) -> Result<(), Refusal> {
    if valid(record.state) {
        return Ok(());
    }
    Err(Refusal::WrongState {
        gate: record.id.clone(),
        state: record.state,
        asked,
    })
}

pub(super) fn same_attempt(record: &GateRecord, reported: u32) -> Result<(), Refusal> {
    if record.attempt == reported {
        return Ok(());
    }
    Err(Refusal::StaleReport {
        gate: record.id.clone(),
        reported,
        current: record.attempt,
    })
}

pub(super) fn needs_console(at: &Moment, what: impl FnOnce() -> String) -> Result<(), Refusal> {
    if at.actor.via == Via::Console {
        return Ok(());
    }
    Err(Refusal::NeedsPerson { what: what() })
}
