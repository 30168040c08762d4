//! Files whose one statement no transaction can hold, in a session with limits of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::migrate::{new_row, settings};
use super::migrate_apply::{Stop, Work};
use super::migrate_plan::PlannedFile;
use super::migrate_session::{cancel_when_asked, forward_notices, jittered};
use super::migrate_words::blocked_by;
use super::query::{error_seen, unreachable};
use super::{AppliedFile, FileState, Progress, TargetError, Unit};
use crate::expectation::Finding;
use crate::postgres::apply_alone::{
    AloneFailure, AloneFile, AloneOutcome, apply_alone, settle_alone,
};
use crate::postgres::session::{Session, SessionSettings};
use crate::postgres::{PostgresError, settle};
use crate::promotion::EffectOutcome;
use crate::sql::Alone;
use crate::untrusted::clean_line;

/// The first pause after a lock was not had; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// What is said of a leftover that the next attempt removes.
const LEFT: &str = "it is never used by a query, and slows every write down until it is gone";

impl Work<'_> {
    /// Runs such a file, again where a lock or a deadlock was in the way.
    pub(super) async fn alone(
        &self,
        file: &PlannedFile,
        alone: &Alone,
        record: &mut AppliedFile,
        counted: (u64, u64),
    ) -> Result<(), Stop> {
        let mut pause = FIRST_PAUSE;
        loop {
            record.attempts += 1;
            let session = match self.alone_session().await {
                Ok(session) => session,
                Err(error) => {
                    return Err(Stop::Failed(unreachable(&self.gate.target, &error).finding));
                }
            };
            let pid = session.backend_pid();
            let outcome = self.attempt(&session, file, alone, record, counted).await;
            drop(session);
            let failure = match outcome {
                AloneOutcome::Done { took, .. } => {
                    // Its commits are the server's own; whether standbys have them is asked.
                    record.unconfirmed = true;
                    self.committed(file, record, took).await;
                    return Ok(());
                }
                AloneOutcome::WasDone => {
                    self.context.feed.say(format!(
                        "{}: it was done by an attempt whose end nobody saw",
                        file.name
                    ));
                    record.unconfirmed = true;
                    self.committed(file, record, Duration::ZERO).await;
                    return Ok(());
                }
                AloneOutcome::Unknown { reason } => {
                    return self
                        .alone_unknown(file, alone, record, (pid, &reason))
                        .await;
                }
                AloneOutcome::Failed(failure) => failure,
            };
            let again = self.locks.pause(record.attempts).is_some();
            if !(again && is_transient(&failure)) {
                return Err(self.alone_failed(file, record, &failure).await);
            }
            let ms = pause.as_millis();
            let (words, attempts) = (words(&failure), self.gate.attempts);
            let next = record.attempts + 1;
            let said = format!(
                "{}: {words}; attempt {next} of {attempts} in {ms} ms",
                file.name
            );
            self.context.feed.say(said);
            tokio::select! {
                () = tokio::time::sleep(jittered(pause)) => {}
                () = self.context.cancel.cancelled() => {
                    return Err(self.alone_failed(file, record, &failure).await);
                }
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    async fn alone_session(&self) -> Result<Session, TargetError> {
        let limits = self.gate.alone;
        let settings = SessionSettings {
            lock_timeout: limits.lock_timeout,
            statement_timeout: limits.statement_timeout,
            ..settings(self.gate)
        };
        let (target, id) = (&self.gate.target, &self.context.gate.id);
        let (mut session, _) = self.context.targets.open(target, id, settings).await?;
        forward_notices(&mut session, self.context);
        Ok(session)
    }

    async fn attempt(
        &self,
        session: &Session,
        file: &PlannedFile,
        alone: &Alone,
        record: &AppliedFile,
        (done, total): (u64, u64),
    ) -> AloneOutcome {
        let context = self.context;
        context
            .feed
            .say(format!("{}: begin, outside of a transaction", file.name));
        context.feed.progress(Progress {
            label: file.name.clone(),
            done,
            total: Some(total),
            unit: Unit::Statements,
            detail: "outside of a transaction; others go on meanwhile".to_owned(),
        });
        let ended = Arc::new(AtomicBool::new(false));
        let canceller = cancel_when_asked(session, context, &ended);
        let to_run = AloneFile {
            statement: file.script.statement(0),
            alone,
            row: new_row(context, file, &record.nonce),
            role: self.gate.role.as_deref(),
        };
        let lock_timeout = self.gate.alone.lock_timeout;
        let around = self
            .locks
            .around_alone(session, &file.name, record.attempts, lock_timeout);
        let outcome = apply_alone(session, to_run, |line| context.feed.say(line)).await;
        ended.store(true, Ordering::SeqCst);
        canceller.abort();
        around.end_alone(outcome)
    }

    async fn alone_failed(
        &self,
        file: &PlannedFile,
        record: &mut AppliedFile,
        failure: &AloneFailure,
    ) -> Stop {
        let text = format!("{}: {}", file.name, words(failure));
        record.state = FileState::RolledBack;
        record.failure = Some(text.clone());
        if let AloneFailure::Statement { error, .. } = failure {
            record.error = Some(error_seen(error));
        }
        self.effect(file, EffectOutcome::RolledBack, 0, text.clone())
            .await;
        if let AloneFailure::Canceled { leftover: None } = failure {
            return Stop::Canceled;
        }
        let mut finding = Finding::failed(text);
        if is_transient(failure) {
            finding = blocked_by(finding, &self.locks.seen(record.attempts));
        }
        match leftover(failure) {
            Some(what) => {
                finding = finding
                    .because(format!("{what} is left"))
                    .because(LEFT)
                    .can("press r: it is removed first, then the statement is run again");
            }
            None => {
                finding = finding.because("nothing of it is left behind");
            }
        }
        if let AloneFailure::NotThere { .. } = failure {
            finding = finding.can("correct the name in the file, or say IF EXISTS, then press r");
        } else if let AloneFailure::InTheWay { what } = failure {
            finding = finding
                .because("no attempt of this file made it, so it is not removed by itself")
                .can(format!(
                    "find out whose {what} is; drop it, or rename it, then press r"
                ));
        } else {
            finding = finding.can("mend what it says, then press r: only what is pending runs");
        }
        Stop::Failed(finding)
    }

    /// The connection was lost: the catalog says what became of it, once the old session is gone.
    async fn alone_unknown(
        &self,
        file: &PlannedFile,
        alone: &Alone,
        record: &mut AppliedFile,
        (pid, reason): (i32, &str),
    ) -> Result<(), Stop> {
        let feed = &self.context.feed;
        feed.say(format!("{}: the answer was lost: {reason}", file.name));
        record.state = FileState::Unknown;
        let name = self.context.targets.application_name(&self.context.gate.id);
        let asked = async {
            let session = self.alone_session().await?;
            let left = settle::wait_for(&session, pid, &name, |line| feed.say(line)).await?;
            if !left.is_empty() {
                return Ok(None);
            }
            let row = new_row(self.context, file, &record.nonce);
            let done = settle_alone(&session, alone, &row, self.gate.role.as_deref()).await?;
            Ok::<_, TargetError>(Some(done))
        };
        match asked.await {
            Ok(Some(true)) => {
                record.unconfirmed = true;
                self.committed(file, record, Duration::ZERO).await;
                Ok(())
            }
            Ok(Some(false)) => {
                let lost = PostgresError::ConnectionLost {
                    reason: reason.to_owned(),
                };
                let failure = AloneFailure::Before(lost);
                Err(self.alone_failed(file, record, &failure).await)
            }
            Ok(None) => Err(self
                .lost(file, "its session still works on the server")
                .await),
            Err(error) => Err(self.lost(file, &error.to_string()).await),
        }
    }
}

fn is_transient(failure: &AloneFailure) -> bool {
    if matches!(failure, AloneFailure::Busy { .. }) {
        return true;
    }
    let sqlstate = match failure {
        AloneFailure::Stopped { .. } => return true,
        AloneFailure::Statement { error, .. } => Some(error.sqlstate.as_str()),
        AloneFailure::Before(error) => error.sqlstate(),
        _ => None,
    };
    matches!(sqlstate, Some("55P03" | "40P01"))
}

fn leftover(failure: &AloneFailure) -> Option<&str> {
    match failure {
        AloneFailure::Statement { leftover, .. }
        | AloneFailure::Stopped { leftover, .. }
        | AloneFailure::Canceled { leftover } => leftover.as_deref(),
        AloneFailure::NotValid { what } => Some(what),
        _ => None,
    }
}

fn words(failure: &AloneFailure) -> String {
    match failure {
        AloneFailure::Before(error) => clean_line(&error.to_string()),
        AloneFailure::InTheWay { what } => format!("{what} stands in its place"),
        AloneFailure::NotThere { what } => format!("there is no {what}"),
        AloneFailure::Busy { what, pid } => {
            format!("{what} is being worked on by process {pid}; it is left alone")
        }
        AloneFailure::Statement { error, .. } => {
            format!("{} ({})", clean_line(&error.message), error.sqlstate)
        }
        AloneFailure::Canceled { .. } => "canceled".to_owned(),
        AloneFailure::Stopped { reason, .. } => {
            format!("stopped, so that nobody waits longer: {reason}")
        }
        AloneFailure::NotValid { what } => format!("the server took it, and left {what}"),
    }
}
