//! How a walk without a terminal stops: by a signal, or because only a person can answer.

use tokio::signal::unix::{SignalKind, signal};

use super::End;
use crate::engine::{CommandError, EngineHandle, Snapshot};
use crate::promotion::{Command, GateState};

/// Asks the work in flight to stop.
pub(super) async fn cancel(handle: &EngineHandle, snapshot: &Snapshot) {
    if let Some(gate) = snapshot.run.at_work() {
        let gate = gate.id.clone();
        let _ = handle.command(Command::Cancel { gate }).await;
    }
}

/// What a gate at work asks that only a person answers.
pub(super) fn needs_answer(handle: &EngineHandle, snapshot: &Snapshot) -> Option<String> {
    let gate = snapshot.run.at_work()?;
    let question = handle.feed().asked().question?;
    Some(format!(
        "gate `{}` needs a person: {} Its work is canceled, and what it set stays as it is",
        gate.id, question.text
    ))
}

/// How a walk that was asked to stop ends, when it can.
pub(super) fn stopped(snapshot: &Snapshot) -> Option<(End, String)> {
    if let Some(error) = &snapshot.journal_error {
        return Some((
            End::Journal,
            format!("the journal cannot be written: {error}"),
        ));
    }
    if snapshot.run.at_work().is_some() {
        return None;
    }
    let doubt = snapshot
        .run
        .gates
        .iter()
        .find(|gate| gate.state == GateState::InDoubt);
    Some(match doubt {
        Some(gate) => (
            End::Unknown,
            format!("interrupted; gate `{}` is in doubt", gate.id),
        ),
        None => (End::Interrupted, "interrupted".to_owned()),
    })
}

/// The signals that ask a headless run to stop in good order.
pub(crate) struct Signals(Vec<tokio::signal::unix::Signal>);

impl Signals {
    pub(crate) fn new() -> Signals {
        let kinds = [
            SignalKind::interrupt(),
            SignalKind::terminate(),
            SignalKind::hangup(),
        ];
        Signals(
            kinds
                .into_iter()
                .filter_map(|kind| signal(kind).ok())
                .collect(),
        )
    }

    pub(crate) async fn next(&mut self) {
        let waiting = self.0.iter_mut().map(|signal| Box::pin(signal.recv()));
        futures_util::future::select_all(waiting).await;
    }
}

/// How a walk ends whose command came to nothing.
pub(super) fn end_of(error: &CommandError) -> End {
    match error {
        CommandError::Refused(_) | CommandError::Plan(_) | CommandError::Signature(_) => {
            End::NotPassed
        }
        // Somebody else has the conn.
        CommandError::ReadOnly(_) => End::Held,
        _ => End::Journal,
    }
}
