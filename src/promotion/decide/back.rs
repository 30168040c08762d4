//! Grants the start of a way back, and its end.

use super::Decided;
use super::conditions::{needs_console, said};
use crate::promotion::{Event, GateState, Moment, Refusal, RollbackDefinition, Run};

/// Grants the start of a way back. A run that is held or was rejected may be rolled back as well.
pub(super) fn start(
    run: &Run,
    at: &Moment,
    id: &str,
    (reason, typed): (&str, Option<&str>),
    choices: &[String],
) -> Decided {
    let rollback = find(run, id)?;
    needs_console(at, || format!("rolling back by `{id}`"))?;
    if let Some(why) = run.way_back_closed(rollback) {
        return Err(Refusal::WayBackClosed {
            rollback: id.to_owned(),
            why,
        });
    }
    if let Some(busy) = run.at_work() {
        return Err(Refusal::Busy(busy.id.clone()));
    }
    // Statements of a gate in doubt may still be running on the server.
    if let Some(doubtful) = run.gates.iter().find(|g| g.state == GateState::InDoubt) {
        return Err(Refusal::Unresolved(doubtful.id.clone()));
    }
    if reason.trim().is_empty() {
        return Err(Refusal::ReasonTooShort(1));
    }
    if typed != Some(rollback.typed_name.as_str()) {
        return Err(Refusal::RollbackNameNotTyped {
            rollback: id.to_owned(),
            name: rollback.typed_name.clone(),
        });
    }
    if rollback.chooses && choices.is_empty() {
        return Err(Refusal::NothingChosen(id.to_owned()));
    }
    Ok(vec![Event::RollbackStarted {
        rollback: id.to_owned(),
        reason: said(reason),
        typed_name: rollback.typed_name.clone(),
        choices: choices.to_vec(),
    }])
}

fn find<'a>(run: &'a Run, id: &str) -> Result<&'a RollbackDefinition, Refusal> {
    run.definition
        .rollback(id)
        .ok_or_else(|| Refusal::UnknownRollback {
            rollback: id.to_owned(),
            valid: run
                .definition
                .rollbacks
                .iter()
                .map(|rollback| rollback.id.as_str())
                .collect::<Vec<_>>()
                .join(", "),
        })
}
