//! Carries a migration plan out: file by file, again where a lock was in the way.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::locks::LockWatch;
use super::migrate::new_row;
use super::migrate_made::Recorder;
use super::migrate_plan::{MigrationPlan, PlannedFile};
use super::migrate_session::{cancel_when_asked, first_words, jittered};
use super::migrate_words::failure_text;
use super::query::unreachable;
use super::{
    AppliedFile, Context, Evidence, FileState, Outcome, Progress, TargetError, TracedStatement,
    Unit,
};
use crate::expectation::Finding;
use crate::postgres::apply::{ApplyEvent, FileOutcome, FileToApply, Guard, Renewal, apply_file};
use crate::postgres::programs::Program;
use crate::postgres::session::Session;
use crate::promotion::EffectRecord;
use crate::runbook::Migrate;

/// The first pause after a lock was not had; each further one is twice as long.
pub(super) const FIRST_PAUSE: Duration = Duration::from_millis(500);
pub(super) const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// One attempt at a migrate gate.
pub(super) struct Work<'a> {
    pub(super) gate: &'a Migrate,
    pub(super) context: &'a Context,
    pub(super) migration: &'a MigrationPlan,
    /// As the server read them back when the gate began.
    pub(super) settings: Vec<(String, String)>,
    /// What must read the same before each COMMIT.
    pub(super) guards: Vec<Guard>,
    /// What makes a used session as good as a new one.
    pub(super) renewal: Renewal,
    /// Settings beyond the usual ones.
    pub(super) more: Vec<(&'static str, String)>,
    /// Runs the files, where the runbook wants that.
    pub(super) psql: Option<Program>,
    /// What is committed and not yet known to be safe.
    pub(super) unsafe_yet: Mutex<Vec<EffectRecord>>,
    /// Watches the locks around each transaction.
    pub(super) locks: LockWatch,
}

/// Why the files after one are not started.
pub(super) enum Stop {
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
        let (mut done, mut stop) = (0, None);
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
            if record.unconfirmed
                && let Err(reason) = self.make_safe(std::slice::from_mut(record)).await
            {
                // No more is added to what a lost server would take with it.
                stop = Some(reason);
                break;
            }
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
        if let Err(reason) = self.make_safe(&mut files).await {
            // What stopped the work is said first, but for a plain end.
            stop = Some(stop.unwrap_or(reason));
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
        if let Some(alone) = file.script.alone() {
            return (self.alone(file, alone, record, counted).await, Ok(session));
        }
        if let Some(program) = &self.psql {
            return (
                self.by_psql(program, file, record, counted).await,
                Ok(session),
            );
        }
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
        record: &mut AppliedFile,
        (done, total): (u64, u64),
    ) -> (FileOutcome, Session) {
        let context = self.context;
        let around = self.locks.around(&session, &file.name, record.attempts);
        let nonce = record.nonce.clone();
        record.traces.clear();
        let committing = Arc::new(AtomicBool::new(false));
        let canceller = cancel_when_asked(&session, context, &committing);
        let to_apply = FileToApply {
            script: &file.script,
            row: new_row(context, file, &nonce),
            role: self.gate.role.as_deref(),
            guards: &self.guards,
            standby_wait: self.gate.standby_wait,
            renewal: &self.renewal,
            traced: context.traced,
        };
        let statements = file.script.statements.len();
        let say = |done, detail| {
            context.feed.progress(Progress {
                label: file.name.clone(),
                done,
                total: Some(total),
                unit: Unit::Statements,
                detail,
            });
        };
        let outcome = apply_file(&session, to_apply, around.stop(), |event| match event {
            ApplyEvent::Waiting { index } => {
                let line = file.script.statements[index].line;
                around.statement(line);
                let (at, tried) = (index + 1, around.tried());
                let detail = format!("statement {at} of {statements}, line {line}{tried}");
                say(done + index as u64, detail);
            }
            ApplyEvent::Done { index, rows, took } => {
                if statements <= 200 || took > Duration::from_millis(200) {
                    let head = first_words(file.script.statement(index));
                    let ms = took.as_millis();
                    context.feed.say(format!("  {head} — {rows} rows, {ms} ms"));
                }
            }
            ApplyEvent::Traced { index, trace } => record.traces.push(TracedStatement {
                line: file.script.statements[index].line,
                statement: first_words(file.script.statement(index)),
                trace,
            }),
            ApplyEvent::WaitsForStandby { waited } => {
                let seconds = waited.as_secs();
                let detail = format!("committed here, waits for a standby, {seconds} s");
                say(done + statements as u64, detail);
            }
            ApplyEvent::Said(said) => context.feed.say(format!("  {said}")),
            ApplyEvent::Committing => {
                committing.store(true, Ordering::SeqCst);
                around.committing();
            }
        })
        .await;
        canceller.abort();
        (around.end(outcome), session)
    }
}
