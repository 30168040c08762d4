//! `migrate`: SQL files in order, one transaction each, each with its row in the ledger.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::migrate_plan::{MigrationPlan, PlannedFile, Standing, read_text};
use super::migrate_words::{failure_finding, failure_text};
use super::query::{error_seen, unreachable};
use super::{
    AppliedFile, Context, Evidence, FileState, Outcome, Payload, Plan, Progress, Reconciled,
    Source, TargetError, Unit,
};
use crate::digest::digest;
use crate::expectation::Finding;
use crate::postgres::apply::{ApplyEvent, FileFailure, FileOutcome, FileToApply, apply_file};
use crate::postgres::ledger::{self, LedgerState, NewRow};
use crate::postgres::session::{Session, SessionSettings};
use crate::postgres::{PostgresError, settle};
use crate::promotion::{EffectOutcome, EffectRecord, Resolution};
use crate::runbook::Migrate;
use crate::sql::Checksum;
use crate::system::fault;

/// Settings that keep other users safe from a migration; a file may not change them.
const GUARDED: [&str; 3] = [
    "lock_timeout",
    "idle_in_transaction_session_timeout",
    "client_connection_check_interval",
];
/// The first pause after a lock was not had; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

fn settings(gate: &Migrate) -> SessionSettings {
    SessionSettings {
        lock_timeout: gate.lock_timeout,
        statement_timeout: gate.statement_timeout,
        search_path: gate.search_path.clone(),
        ..SessionSettings::default()
    }
}

/// The key of one attempt at one file. The same values give the same key, so that a process that
/// takes the run up again knows what to look for.
fn nonce(context: &Context, file: &str) -> String {
    let parts = [
        &context.run,
        &context.gate.id,
        &context.attempt.to_string(),
        file,
    ]
    .join("\0");
    digest(parts.as_bytes())[..32].to_owned()
}

fn new_row<'a>(context: &'a Context, file: &'a PlannedFile, nonce: &'a str) -> NewRow<'a> {
    NewRow {
        nonce,
        collection: &context.gate.id,
        file: &file.name,
        checksum: &file.checksum.normalised,
        raw_sha256: &file.checksum.raw,
        statements: file.script.statements.len(),
        run: &context.run,
        journal_seq: context.journal.0,
        journal_head: &context.journal.1,
    }
}

pub(super) async fn run(gate: &Migrate, context: &Context, plan: &Plan) -> Outcome {
    let Payload::Migration(migration) = &plan.payload else {
        let reason = plan
            .refuses
            .clone()
            .unwrap_or_else(|| "it was not planned".to_owned());
        return Outcome::of(
            Finding::errored("there is no plan that could be carried out").because(reason),
        );
    };
    if let Some(finding) = refused(migration) {
        return Outcome::of(finding);
    }
    if let Some(finding) = changed_since_review(migration) {
        return Outcome::of(finding);
    }
    if let Err(error) = context.targets.hold(&gate.target).await {
        return unreachable(&gate.target, &error);
    }
    let (session, server) = match prepare(gate, context).await {
        Ok(prepared) => prepared,
        Err(error) => return unreachable(&gate.target, &error),
    };
    let evidence = migration
        .files
        .iter()
        .map(|file| first_state(context, file))
        .collect();
    let settings = session.settings_read_back().to_vec();
    let work = Work {
        gate,
        context,
        migration,
        settings,
    };
    work.run(session, server, evidence).await
}

fn refused(migration: &MigrationPlan) -> Option<Finding> {
    let first = migration.refusals.first()?;
    let mut finding = Finding::failed(first.clone());
    for refusal in migration.refusals.iter().take(12) {
        finding = finding.because(refusal.clone());
    }
    Some(
        finding
            .because("nothing was run")
            .can("mend the files, then press r: they are read again"),
    )
}

/// What was reviewed is what runs: a file that is another one now stops everything.
fn changed_since_review(migration: &MigrationPlan) -> Option<Finding> {
    for file in migration.pending() {
        let now = read_text(&file.path).map(|text| Checksum::of(&text).raw);
        if now.as_ref() != Ok(&file.checksum.raw) {
            return Some(
                Finding::failed(format!("{} changed after its plan was shown", file.name))
                    .because("what was reviewed is what runs, and this is something else")
                    .because("nothing was run")
                    .can("press r: the files are read again, and the new plan is shown"),
            );
        }
    }
    None
}

async fn prepare(gate: &Migrate, context: &Context) -> Result<(Session, String), TargetError> {
    let id = &context.gate.id;
    let (session, identity) = context
        .targets
        .open(&gate.target, id, settings(gate))
        .await?;
    session.require_primary().await?;
    ledger::ensure(&session).await?;
    Ok((session, identity.describe()))
}

fn first_state(context: &Context, file: &PlannedFile) -> AppliedFile {
    let applied = matches!(file.standing, Standing::Applied { .. });
    AppliedFile {
        file: file.name.clone(),
        checksum: file.checksum.normalised.clone(),
        nonce: nonce(context, &file.name),
        statements: file.script.statements.len(),
        state: if applied {
            FileState::AlreadyApplied
        } else {
            FileState::NotStarted
        },
        duration_ms: 0,
        attempts: 0,
        failure: None,
        error: None,
    }
}

struct Work<'a> {
    gate: &'a Migrate,
    context: &'a Context,
    migration: &'a MigrationPlan,
    /// As the server read them back when the gate began.
    settings: Vec<(String, String)>,
}

/// Why the files after one are not started.
enum Stop {
    Failed(Finding),
    Canceled,
    /// The outcome of a file is not known.
    Lost(Finding),
}

impl Work<'_> {
    async fn run(
        &self,
        mut session: Session,
        server: String,
        mut files: Vec<AppliedFile>,
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
            let (result, next) = self.file(session, planned, record, (done, total)).await;
            if let Err(reason) = result {
                stop = Some(reason);
                break;
            }
            done += planned.script.statements.len() as u64;
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
        let evidence = Evidence::Migrate {
            target: self.gate.target.clone(),
            server,
            settings: self.settings.clone(),
            files,
        };
        let outcome = match stop {
            None => Outcome::of(Finding::passed(
                self.passed_words(applied, started.elapsed()),
            )),
            Some(Stop::Canceled) => Outcome::canceled(format!(
                "canceled; {applied} files are applied, the one at work was rolled back"
            )),
            Some(Stop::Failed(finding)) => Outcome::of(finding),
            Some(Stop::Lost(finding)) => {
                let mut outcome = Outcome::of(finding);
                outcome.lost = true;
                outcome
            }
        };
        outcome.with(evidence)
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
        let mut pause = FIRST_PAUSE;
        loop {
            record.attempts += 1;
            self.context.feed.say(format!("{}: begin", file.name));
            let (outcome, used) = self.one_transaction(session, file, record, counted).await;
            session = used;
            let FileOutcome::RolledBack(failure) = &outcome else {
                return self.settled(session, file, record, outcome).await;
            };
            let text = failure_text(file, failure);
            if !failure.is_transient() || record.attempts >= self.gate.attempts {
                return self.settled(session, file, record, outcome).await;
            }
            self.context.feed.say(format!(
                "{text}; rolled back, attempt {} of {} in {} ms",
                record.attempts + 1,
                self.gate.attempts,
                pause.as_millis()
            ));
            tokio::select! {
                () = tokio::time::sleep(jittered(pause)) => {}
                () = self.context.cancel.cancelled() => {
                    record.state = FileState::RolledBack;
                    return (Err(Stop::Canceled), Ok(session));
                }
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    async fn one_transaction(
        &self,
        mut session: Session,
        file: &PlannedFile,
        record: &AppliedFile,
        (done, total): (u64, u64),
    ) -> (FileOutcome, Session) {
        let context = self.context;
        let notices = forward_notices(&mut session, context);
        let committing = Arc::new(AtomicBool::new(false));
        let canceller = cancel_when_asked(&session, context, &committing);
        let guarded: Vec<(String, String)> = self
            .settings
            .iter()
            .filter(|(name, _)| GUARDED.contains(&name.as_str()))
            .cloned()
            .collect();
        let to_apply = FileToApply {
            script: &file.script,
            row: new_row(context, file, &record.nonce),
            role: self.gate.role.as_deref(),
            guarded: &guarded,
        };
        let statements = file.script.statements.len();
        let outcome = apply_file(&session, to_apply, &context.cancel, |event| match event {
            ApplyEvent::Waiting { index } => context.feed.progress(Progress {
                label: file.name.clone(),
                done: done + index as u64,
                total: Some(total),
                unit: Unit::Statements,
                detail: format!(
                    "statement {} of {statements}, line {}",
                    index + 1,
                    file.script.statements[index].line
                ),
            }),
            ApplyEvent::Done { index, rows, took } => {
                if statements <= 200 || took > Duration::from_millis(200) {
                    let head = first_words(file.script.statement(index));
                    let ms = took.as_millis();
                    context.feed.say(format!("  {head} — {rows} rows, {ms} ms"));
                }
            }
            ApplyEvent::Committing => committing.store(true, Ordering::SeqCst),
        })
        .await;
        canceller.abort();
        notices.abort();
        (outcome, session)
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
                    failure => Stop::Failed(failure_finding(file, &failure, self.migration)),
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
                let finding = failure_finding(file, &failure, self.migration);
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
        opened.map(|(session, _)| session)
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

fn forward_notices(session: &mut Session, context: &Context) -> tokio::task::JoinHandle<()> {
    let mut notices = session.take_notices();
    let feed = context.feed.clone();
    tokio::spawn(async move {
        while let Some(notice) = notices.recv().await {
            feed.line(
                Source::Notice,
                &format!("{}: {}", notice.severity, notice.message),
            );
        }
    })
}

/// Sends cancel requests from the moment the gate is cancelled until the work ends: one alone may
/// fall between two statements.
fn cancel_when_asked(
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
fn jittered(pause: Duration) -> Duration {
    let nanos = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |now| now.subsec_nanos());
    pause.mul_f64(0.75 + f64::from(nanos % 1000) / 2000.0)
}

fn first_words(statement: &str) -> String {
    let one_line = statement.split_whitespace().collect::<Vec<_>>().join(" ");
    crate::untrusted::clip(&one_line, 60)
}

/// Tells whether a file may leave the session's settings changed for the file after it.
fn changes_settings(file: &PlannedFile) -> bool {
    let text = file.script.text.to_ascii_lowercase();
    text.contains("set_config")
        || (0..file.script.statements.len()).any(|index| {
            let statement = file.script.statement(index).to_ascii_lowercase();
            statement.starts_with("set ") || statement.starts_with("reset ")
        })
}

/// Asks the ledger what became of an attempt that nobody saw end.
pub(super) async fn reconcile(gate: &Migrate, context: &Context) -> Reconciled {
    match ask_world(gate, context).await {
        Ok(reconciled) => reconciled,
        Err(error) => Reconciled {
            resolution: None,
            finding: Finding::inconclusive(format!("{} cannot be asked yet", gate.target))
                .because(crate::untrusted::clean(&error.to_string()).into_owned())
                .can("when it answers again, press Enter: its ledger is asked"),
            evidence: None,
        },
    }
}

async fn ask_world(gate: &Migrate, context: &Context) -> Result<Reconciled, TargetError> {
    context.targets.hold(&gate.target).await?;
    let (session, identity) = context
        .targets
        .open(&gate.target, "reconcile", settings(gate))
        .await?;
    session.require_primary().await?;
    let name = context.targets.application_name(&context.gate.id);
    let left = settle::wait_until_gone(&session, &name, |line| context.feed.say(line)).await?;
    if let Some(lingering) = left.first() {
        return Ok(Reconciled {
            resolution: None,
            finding: Finding::inconclusive("its session still works on the server")
                .because(format!(
                    "pid {}, {} {}",
                    lingering.pid, lingering.state, lingering.wait
                ))
                .can("press Enter to ask again; whoever may end that session can end it"),
            evidence: None,
        });
    }
    let plan = super::migrate_plan::plan(gate, context).await;
    let Payload::Migration(migration) = &plan.payload else {
        return Ok(Reconciled {
            resolution: None,
            finding: Finding::inconclusive(plan.refuses.unwrap_or(plan.summary)),
            evidence: None,
        });
    };
    ledger::ensure(&session).await?;
    // Only one file can have been in flight: the first that is not in the ledger.
    if let Some(file) = migration.pending().next() {
        let nonce = nonce(context, &file.name);
        let committed = ledger::fence(&session, &new_row(context, file, &nonce)).await?;
        if committed {
            return Err(TargetError::Lock(
                "its last file committed a moment ago".to_owned(),
            ));
        }
    }
    let rows = ledger::rows(&session).await?;
    let by_file: BTreeMap<&str, &ledger::LedgerRow> = rows
        .iter()
        .filter(|row| row.state == LedgerState::Applied)
        .map(|row| (row.file.as_str(), row))
        .collect();
    Ok(report(
        gate,
        context,
        migration,
        &by_file,
        identity.describe(),
        session.settings_read_back(),
    ))
}

fn report(
    gate: &Migrate,
    context: &Context,
    migration: &MigrationPlan,
    by_file: &BTreeMap<&str, &ledger::LedgerRow>,
    server: String,
    settings: &[(String, String)],
) -> Reconciled {
    let mut files: Vec<AppliedFile> = Vec::new();
    for planned in &migration.files {
        let mut file = first_state(context, planned);
        if let Some(row) = by_file.get(planned.name.as_str()) {
            let ours = row.nonce == file.nonce;
            file.state = if ours {
                FileState::Applied
            } else {
                FileState::AlreadyApplied
            };
        }
        files.push(file);
    }
    let applied = files
        .iter()
        .filter(|f| f.state != FileState::NotStarted)
        .count();
    let all = files.len();
    let (resolution, finding) = if applied == all && migration.refusals.is_empty() {
        let said = format!("all {all} files are applied, says the ledger");
        (Resolution::Passed, Finding::passed(said))
    } else {
        let said =
            format!("{applied} of {all} files are applied, says the ledger; no other can be");
        let finding = Finding::inconclusive(said)
            .because("the file that was at work was rolled back, and its key is taken")
            .can("press Enter to apply what is left");
        (Resolution::Pending, finding)
    };
    Reconciled {
        resolution: Some(resolution),
        finding,
        evidence: Some(Evidence::Migrate {
            target: gate.target.clone(),
            server,
            settings: settings.to_vec(),
            files,
        }),
    }
}
