//! Records how a file came out; asks the ledger where the answer was lost.

use std::sync::PoisonError;
use std::time::Duration;

use super::migrate::{new_row, settings};
use super::migrate_apply::{Stop, Work};
use super::migrate_plan::PlannedFile;
use super::migrate_session::{changes_settings, forward_notices};
use super::migrate_words::{failure_finding, failure_text};
use super::query::error_seen;
use super::{AppliedFile, FileState, TargetError};
use crate::expectation::Finding;
use crate::postgres::PostgresError;
use crate::postgres::apply::{FileFailure, FileOutcome};
use crate::postgres::ledger;
use crate::postgres::session::Session;
use crate::promotion::{EffectOutcome, EffectRecord};
use crate::runbook::Profile;
use crate::system::fault;

impl Work<'_> {
    /// Records how a file came out, and gives back a session for the next.
    pub(super) async fn settled(
        &self,
        session: Session,
        file: &PlannedFile,
        record: &mut AppliedFile,
        outcome: FileOutcome,
    ) -> (Result<(), Stop>, Result<Session, TargetError>) {
        match outcome {
            FileOutcome::Committed { took, confirmed } => {
                record.unconfirmed = !confirmed;
                self.committed(file, record, took).await;
                let session = if changes_settings(file) {
                    drop(session);
                    self.fresh().await
                } else {
                    Ok(session)
                };
                (Ok(()), session)
            }
            FileOutcome::RolledBack(failure) => {
                self.rolled_back(file, record, &failure).await;
                let stop = match failure {
                    FileFailure::Canceled => Stop::Canceled,
                    failure => Stop::Failed(failure_finding(
                        file,
                        &failure,
                        self.migration,
                        &self.locks.seen(record.attempts),
                    )),
                };
                (Err(stop), Ok(session))
            }
            FileOutcome::Unknown { reason } => {
                drop(session);
                self.unknown(file, record, &reason).await
            }
        }
    }

    pub(super) async fn committed(
        &self,
        file: &PlannedFile,
        record: &mut AppliedFile,
        took: Duration,
    ) {
        record.state = FileState::Applied;
        record.duration_ms = took.as_millis() as u64;
        let ms = record.duration_ms;
        self.context
            .feed
            .say(format!("{}: committed, {ms} ms", file.name));
        self.effect(file, EffectOutcome::Committed, ms, String::new())
            .await;
        fault::point("after_effect");
    }

    async fn rolled_back(
        &self,
        file: &PlannedFile,
        record: &mut AppliedFile,
        failure: &FileFailure,
    ) {
        let text = failure_text(file, failure);
        record.state = FileState::RolledBack;
        record.failure = Some(text.clone());
        if let FileFailure::Statement { error, .. }
        | FileFailure::Commit { error }
        | FileFailure::Begin { error } = failure
        {
            record.error = Some(error_seen(error));
        }
        self.context.feed.say(format!("{}: rolled back", file.name));
        self.effect(file, EffectOutcome::RolledBack, 0, text).await;
    }

    /// The answer to COMMIT was lost: a fresh session on the same server is asked.
    async fn unknown(
        &self,
        file: &PlannedFile,
        record: &mut AppliedFile,
        reason: &str,
    ) -> (Result<(), Stop>, Result<Session, TargetError>) {
        self.context.feed.say(format!(
            "{}: the answer to COMMIT was lost: {reason}",
            file.name
        ));
        record.state = FileState::Unknown;
        let asked = async {
            let session = self.fresh().await?;
            let committed = self.ask_ledger(&session, file, record).await?;
            Ok::<_, TargetError>((session, committed))
        };
        match asked.await {
            Ok((session, Some(true))) => {
                // Its server may have waited for a standby when the connection was lost.
                record.unconfirmed = true;
                self.committed(file, record, Duration::ZERO).await;
                (Ok(()), Ok(session))
            }
            Ok((session, Some(false))) => {
                let failure = FileFailure::ConnectionLost {
                    reason: reason.to_owned(),
                };
                self.rolled_back(file, record, &failure).await;
                let finding = failure_finding(
                    file,
                    &failure,
                    self.migration,
                    &self.locks.seen(record.attempts),
                );
                (Err(Stop::Failed(finding)), Ok(session))
            }
            Ok((session, None)) => (
                Err(self
                    .lost(file, "its session still works on the server")
                    .await),
                Ok(session),
            ),
            Err(error) => {
                let stop = self.lost(file, &error.to_string()).await;
                (Err(stop), Err(error))
            }
        }
    }

    pub(super) async fn lost(&self, file: &PlannedFile, reason: &str) -> Stop {
        self.effect(file, EffectOutcome::Unknown, 0, reason.to_owned())
            .await;
        Stop::Lost(
            Finding::inconclusive(format!(
                "{}: nobody knows yet whether it committed",
                file.name
            ))
            .because("COMMIT was sent, and its answer was lost")
            .because(format!("the server could not be asked: {reason}"))
            .can("when the server answers again, press Enter: its ledger is asked")
            .can("do not run the file by hand before that"),
        )
    }

    /// Waits for the old session to be gone, then takes the file's key.
    async fn ask_ledger(
        &self,
        session: &Session,
        file: &PlannedFile,
        record: &AppliedFile,
    ) -> Result<Option<bool>, PostgresError> {
        let row = new_row(self.context, file, &record.nonce);
        let feed = &self.context.feed;
        feed.say("asking the ledger in a fresh session");
        // Our fresh session carries the same name, so only the key itself can tell; the insert
        // waits for the old transaction as long as the lock timeout lets it.
        match ledger::fence(session, &row).await {
            Ok(committed) => Ok(Some(committed)),
            Err(error) if error.sqlstate() == Some("55P03") => Ok(None),
            Err(error) => Err(error),
        }
    }

    pub(super) async fn fresh(&self) -> Result<Session, TargetError> {
        let id = &self.context.gate.id;
        let opened = self
            .context
            .targets
            .open(&self.gate.target, id, settings(self.gate))
            .await;
        opened.map(|(mut session, _)| {
            forward_notices(&mut session, self.context);
            session
        })
    }

    pub(super) async fn effect(
        &self,
        file: &PlannedFile,
        outcome: EffectOutcome,
        duration_ms: u64,
        detail: String,
    ) {
        let record = EffectRecord {
            name: file.name.clone(),
            outcome,
            duration_ms,
            detail,
        };
        // The journal says of nothing that it is committed before a crash of the server could not
        // take it away again.
        let later = self.gate.profile == Profile::Fast && file.script.alone().is_none();
        if later && outcome == EffectOutcome::Committed {
            let unsafe_yet = self.unsafe_yet.lock();
            unsafe_yet
                .unwrap_or_else(PoisonError::into_inner)
                .push(record);
            return;
        }
        self.context.effect(record).await;
    }
}
