//! Grants what a person asks of a session that is in the way of a gate at work.

use super::Decided;
use super::conditions::{definition, find, in_state, needs_console, said};
use crate::promotion::run::has_work;
use crate::promotion::{
    BlockerAct, BlockerRecord, Command, Event, GateState, Moment, Refusal, Run,
};

/// Cancels or ends somebody else's session: only a person does, who has typed its process number.
pub(super) fn signal(run: &Run, at: &Moment, command: &Command) -> Decided {
    let Command::SignalBlocker {
        gate: id,
        blocker,
        typed_pid,
    } = command
    else {
        return Ok(Vec::new());
    };
    let record = find(run, id)?;
    if !has_work(definition(run, id)?) {
        return Err(Refusal::MovedByPeople(id.clone()));
    }
    let pid = blocker.pid;
    needs_console(at, || match blocker.act {
        BlockerAct::Cancel => format!("canceling what pid {pid} runs"),
        BlockerAct::Terminate => format!("terminating pid {pid}"),
    })?;
    in_state(record, "unblocked", |s| s == GateState::Running)?;
    if pid <= 0 || blocker.backend_start.is_empty() {
        return Err(Refusal::NotInTheWay {
            gate: id.clone(),
            pid,
        });
    }
    if typed_pid.as_deref() != Some(pid.to_string().as_str()) {
        return Err(Refusal::PidNotTyped { pid });
    }
    Ok(vec![Event::BlockerSignaled {
        gate: id.clone(),
        attempt: record.attempt,
        blocker: BlockerRecord {
            who: said(&blocker.who),
            query: said(&blocker.query),
            ..blocker.clone()
        },
    }])
}

/// What became of it, as the watcher reports.
pub(super) fn ended(command: Command) -> Option<Event> {
    let Command::RecordSignal {
        gate,
        attempt,
        ended,
    } = command
    else {
        return None;
    };
    Some(Event::BlockerSignalEnded {
        gate,
        attempt,
        ended,
    })
}
