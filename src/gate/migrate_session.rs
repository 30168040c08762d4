//! What surrounds a migration's session: its notices, its cancellation, its settings.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::migrate_plan::PlannedFile;
use super::{Context, Source};
use crate::postgres::locks::whole;
use crate::postgres::session::Session;
use crate::runbook::{Migrate, Profile};

/// Passes the server's notices on for as long as the session lives.
pub(super) fn forward_notices(session: &mut Session, context: &Context) {
    let mut notices = session.take_notices();
    let feed = context.feed.clone();
    drop(tokio::spawn(async move {
        while let Some(notice) = notices.recv().await {
            feed.line(
                Source::Notice,
                &format!("{}: {}", notice.severity, notice.message),
            );
        }
    }));
}

/// Sends cancel requests from the moment the gate is cancelled until the work ends: one alone may
/// fall between two statements.
pub(super) fn cancel_when_asked(
    session: &Session,
    context: &Context,
    committing: &Arc<AtomicBool>,
) -> tokio::task::JoinHandle<()> {
    let canceller = session.canceller();
    let asked = context.cancel.clone();
    let committing = committing.clone();
    tokio::spawn(async move {
        asked.cancelled().await;
        while !committing.load(Ordering::SeqCst) {
            let _ = canceller.cancel().await;
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
    })
}

/// Spreads pauses, so that two who wait for the same lock do not meet again.
pub(super) fn jittered(pause: Duration) -> Duration {
    let nanos = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |now| now.subsec_nanos());
    pause.mul_f64(0.75 + f64::from(nanos % 1000) / 2000.0)
}

pub(super) fn first_words(statement: &str) -> String {
    let one_line = statement.split_whitespace().collect::<Vec<_>>().join(" ");
    crate::untrusted::clip(&one_line, 60)
}

/// Tells whether a file may leave the session's settings changed for the file after it.
pub(super) fn changes_settings(file: &PlannedFile) -> bool {
    let text = file.script.text.to_ascii_lowercase();
    let first_word = |index| {
        let statement = file.script.statement(index);
        statement
            .split_whitespace()
            .next()
            .unwrap_or_default()
            .to_ascii_lowercase()
    };
    // A block may set what it likes; asking for a new session is cheap beside finding out.
    ["set_config", "deallocate", "discard", "prepare"]
        .iter()
        .any(|word| text.contains(word))
        || (0..file.script.statements.len()).any(|index| {
            matches!(
                first_word(index).as_str(),
                "set" | "reset" | "discard" | "load" | "prepare" | "deallocate"
            )
        })
        || (text.contains("set ")
            && (0..file.script.statements.len())
                .any(|index| matches!(first_word(index).as_str(), "do" | "call")))
}

/// The limits of a gate in one line, for its plan.
pub(super) fn settings_line(gate: &Migrate) -> String {
    let role = gate
        .role
        .as_ref()
        .map_or(String::new(), |role| format!(", as role {role}"));
    let fast = match gate.profile {
        Profile::Safe => "",
        Profile::Fast => ", commits waited for once at the end",
    };
    format!(
        "one transaction a file{fast}; lock_timeout {} ms, statement_timeout {} ms, {} attempts{role}; \
         tried again for {}; stopped when {} wait behind it, or one for {}",
        gate.lock_timeout.as_millis(),
        gate.statement_timeout.as_millis(),
        gate.attempts,
        whole(gate.queueing.budget),
        gate.queueing.queue_limit.saturating_add(1),
        whole(gate.queueing.queue_wait),
    )
}
