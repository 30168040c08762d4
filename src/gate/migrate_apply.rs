//! Carries a migration plan out: file by file, again where a lock was in the way.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::locks::LockWatch;
use super::migrate::{new_row, settings};
use super::migrate_made::Recorder;
use super::migrate_plan::{MigrationPlan, PlannedFile};
use super::migrate_session::{
    cancel_when_asked, changes_settings, first_words, forward_notices, jittered,
};
use super::migrate_words::{failure_finding, failure_text};
use super::query::{error_seen, unreachable};
use super::{AppliedFile, Context, Evidence, FileState, Outcome, Progress, TargetError, Unit};
use crate::expectation::Finding;
use crate::postgres::PostgresError;
use crate::postgres::apply::{ApplyEvent, FileFailure, FileOutcome, FileToApply, apply_file};
use crate::postgres::ledger;
use crate::postgres::session::Session;
use crate::promotion::{EffectOutcome, EffectRecord};
use crate::runbook::Migrate;
use crate::system::fault;

/// One attempt at a migrate gate.
pub(super) struct Work<'a> {
    pub(super) gate: &'a Migrate,
    pub(super) context: &'a Context,
    pub(super) migration: &'a MigrationPlan,
    /// As the server read them back when the gate began.
    pub(super) settings: Vec<(String, String)>,
    /// What must read the same before each COMMIT.
    pub(super) guarded: Vec<(String, String)>,
    /// Watches the locks around each transaction.
    pub(super) locks: LockWatch,
}

/// Why the files after one are not started.
enum Stop {
    Failed(Finding),
    Canceled,
    /// The outcome of a file is not known.
    Lost(Finding),
}

impl Work<'_> {
    /// Applies what is pending, file by file, until one does not commit.
    pub(super) async fn run(
        &self,
        mut session: Session,
        server: String,
        mut files: Vec<AppliedFile>,
        mut recorder: Option<Recorder<'_>>,
    ) -> Outcome {
        let started = Instant::now();
        let total = self
            .migration
            .pending()
            .map(|f| f.script.statements.len() as u64)
            .sum();
        let mut done = 0;
        let mut stop = None;
        for (planned, record) in self.migration.files.iter().zip(&mut files) {
            if record.state == FileState::AlreadyApplied {
                continue;
            }
            if let Err(error) = self.context.targets.hold(&self.gate.target).await {
                stop = Some(Stop::Failed(unreachable(&self.gate.target, &error).finding));
                break;
            }
            let (result, next) = self.file(session, planned, record, (done, total)).await;
            if let Err(reason) = result {
                stop = Some(reason);
                break;
            }
            done += planned.script.statements.len() as u64;
            if let Some(recorder) = &mut recorder {
                recorder.committed(&planned.name).await;
            }
            match next {
                Ok(fresh) => session = fresh,
                Err(error) => {
                    let last = self.migration.files.last().map(|file| &file.name);
                    if last != Some(&planned.name) {
                        stop = Some(Stop::Failed(unreachable(&self.gate.target, &error).finding));
                    }
                    break;
                }
            }
        }
        let applied = files
            .iter()
            .filter(|file| file.state == FileState::Applied)
            .count();
        let made = match recorder {
            Some(recorder) if applied > 0 => Some(Box::new(recorder.finish().await)),
            _ => None,
        };
        let evidence = Evidence::Migrate {
            target: self.gate.target.clone(),
            server,
            settings: self.settings.clone(),
            files,
            made,
        };
        self.ended(stop, applied, started.elapsed()).with(evidence)
    }

    fn ended(&self, stop: Option<Stop>, applied: usize, took: Duration) -> Outcome {
        match stop {
            None => Outcome::of(Finding::passed(self.passed_words(applied, took))),
            Some(Stop::Canceled) => Outcome::canceled(format!(
                "canceled; {applied} files are applied, the one at work was rolled back"
            )),
            Some(Stop::Failed(finding)) => Outcome::of(finding),
            Some(Stop::Lost(finding)) => {
                let mut outcome = Outcome::of(finding);
                outcome.lost = true;
                outcome
            }
        }
    }

    fn passed_words(&self, applied: usize, took: Duration) -> String {
        let before = self.migration.files.len() - applied;
        let seconds = took.as_secs_f64();
        match before {
            0 => format!("{applied} files applied in {seconds:.1} s"),
            n => format!("{applied} files applied in {seconds:.1} s, {n} were applied before"),
        }
    }

    /// Applies one file, again when it met a lock. Gives back a session for the next file.
    async fn file(
        &self,
        mut session: Session,
        file: &PlannedFile,
        record: &mut AppliedFile,
        counted: (u64, u64),
    ) -> (Result<(), Stop>, Result<Session, TargetError>) {
        loop {
            record.attempts += 1;
            self.context.feed.say(format!("{}: begin", file.name));
            let (outcome, used) = self.one_transaction(session, file, record, counted).await;
            session = used;
            let FileOutcome::RolledBack(failure) = &outcome else {
                return self.settled(session, file, record, outcome).await;
            };
            let text = failure_text(file, failure);
            let pause = self.locks.pause(record.attempts).map(jittered);
            let Some(pause) = pause.filter(|_| failure.is_transient()) else {
                return self.settled(session, file, record, outcome).await;
            };
            self.locks.pausing(record.attempts, pause, &text);
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = self.context.cancel.cancelled() => {
                    record.state = FileState::RolledBack;
                    return (Err(Stop::Canceled), Ok(session));
                }
            }
        }
    }

    async fn one_transaction(
        &self,
        session: Session,
        file: &PlannedFile,
        record: &AppliedFile,
        (done, total): (u64, u64),
    ) -> (FileOutcome, Session) {
        let context = self.context;
        let around = self.locks.around(&session, &file.name, record.attempts);
        let committing = Arc::new(AtomicBool::new(false));
        let canceller = cancel_when_asked(&session, context, &committing);
        let to_apply = FileToApply {
            script: &file.script,
            row: new_row(context, file, &record.nonce),
            role: self.gate.role.as_deref(),
            guarded: &self.guarded,
        };
        let statements = file.script.statements.len();
        let outcome = apply_file(&session, to_apply, around.stop(), |event| match event {
            ApplyEvent::Waiting { index } => {
                let line = file.script.statements[index].line;
                around.statement(line);
                context.feed.progress(Progress {
                    label: file.name.clone(),
                    done: done + index as u64,
                    total: Some(total),
                    unit: Unit::Statements,
                    detail: format!(
                        "statement {} of {statements}, line {line}{}",
                        index + 1,
                        around.tried()
                    ),
                });
            }
            ApplyEvent::Done { index, rows, took } => {
                if statements <= 200 || took > Duration::from_millis(200) {
                    let head = first_words(file.script.statement(index));
                    let ms = took.as_millis();
                    context.feed.say(format!("  {head} — {rows} rows, {ms} ms"));
                }
            }
            ApplyEvent::Committing => {
                committing.store(true, Ordering::SeqCst);
                around.committing();
            }
        })
        .await;
        canceller.abort();
        (around.end(outcome), session)
    }

    /// Records how a file came out, and gives back a session for the next.
    async fn settled(
        &self,
        session: Session,
        file: &PlannedFile,
        record: &mut AppliedFile,
        outcome: FileOutcome,
    ) -> (Result<(), Stop>, Result<Session, TargetError>) {
        match outcome {
            FileOutcome::Committed { took } => {
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

    async fn committed(&self, file: &PlannedFile, record: &mut AppliedFile, took: Duration) {
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

    async fn lost(&self, file: &PlannedFile, reason: &str) -> Stop {
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

    async fn fresh(&self) -> Result<Session, TargetError> {
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

    async fn effect(
        &self,
        file: &PlannedFile,
        outcome: EffectOutcome,
        duration_ms: u64,
        detail: String,
    ) {
        let name = file.name.clone();
        self.context
            .effect(EffectRecord {
                name,
                outcome,
                duration_ms,
                detail,
            })
            .await;
    }
}
