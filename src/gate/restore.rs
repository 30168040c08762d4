//! `restore`: a backup of this run becomes the database again.
//!
//! What is written is proved first: the target is the database that the backup was taken of, and
//! the archive is byte for byte what was verified then. Afterwards its rows are added up and
//! compared with the dump's.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use super::query::unreachable;
use super::{Context, Evidence, Outcome, Source, TargetError};
use crate::expectation::Finding;
use crate::postgres::PostgresError;
use crate::postgres::content;
use crate::postgres::dump::{self, DumpError, Manifest};
use crate::postgres::identity::Identity;
use crate::postgres::programs;
use crate::postgres::restore::{self, RestoreRequest};
use crate::postgres::session::{Session, SessionSettings};
use crate::postgres::swap;
use crate::promotion::{EffectOutcome, EffectRecord, GateState};
use crate::runbook::{Restore, RestoreMode, Sessions};
use crate::untrusted::clean;

/// Why a restore cannot go on; nothing was changed unless it says so.
pub(super) enum Trouble {
    Target(TargetError),
    Finding(Box<Finding>),
    /// An answer was lost; only the server knows.
    Lost(Box<Finding>),
    Canceled,
}

impl From<TargetError> for Trouble {
    fn from(error: TargetError) -> Self {
        Trouble::Target(error)
    }
}

impl From<PostgresError> for Trouble {
    fn from(error: PostgresError) -> Self {
        Trouble::Target(error.into())
    }
}

impl From<Finding> for Trouble {
    fn from(finding: Finding) -> Self {
        Trouble::Finding(Box::new(finding))
    }
}

/// The backup that a restore is of, and the server it was taken of.
pub(super) fn backup(gate: &Restore, context: &Context) -> Option<(Manifest, String)> {
    match context.earlier.get(&gate.backup).map(Arc::as_ref) {
        Some(Evidence::Backup {
            manifest, server, ..
        }) => Some((manifest.clone(), server.clone())),
        _ => None,
    }
}

/// The backup where its gate stands as passed: what an older attempt left is not restored.
pub(super) fn good_backup(
    gate: &Restore,
    context: &Context,
) -> Result<(Manifest, String), Box<Finding>> {
    let state = context.states.get(&gate.backup).copied();
    let (Some(backup), Some(state)) = (backup(gate, context), state) else {
        return Err(Box::new(no_backup(gate)));
    };
    match not_passed(&gate.backup, state) {
        Some(finding) => Err(Box::new(finding)),
        None => Ok(backup),
    }
}

/// Refuses a backup whose gate does not stand as passed, waived ones among them.
fn not_passed(backup: &str, state: GateState) -> Option<Finding> {
    let word = state.word();
    (state != GateState::Passed).then(|| {
        Finding::errored(format!("`{backup}` is {word}, not passed"))
            .because("only a backup whose gate stands as passed is ever restored")
            .because("nothing was changed")
            .can(format!("see why `{backup}` is {word}"))
    })
}

pub(super) fn no_backup(gate: &Restore) -> Finding {
    Finding::errored(format!("`{}` has taken no backup in this run", gate.backup))
        .because("only a backup of this run, verified by it, is ever restored")
        .because("nothing was changed")
}

/// What the application names of all our sessions begin with.
pub(super) fn own_prefix(context: &Context) -> String {
    format!("stagegate {}", context.run)
}

pub(super) async fn run(gate: &Restore, context: &Context) -> Outcome {
    let started = Instant::now();
    let (manifest, server) = match good_backup(gate, context) {
        Ok(backup) => backup,
        Err(finding) => return Outcome::of(*finding),
    };
    let work = Work {
        gate,
        context,
        manifest: &manifest,
        backed_up: &server,
    };
    let done = match gate.mode {
        RestoreMode::Swap => work.swap().await,
        RestoreMode::InPlace => work.in_place().await,
    };
    match done {
        Ok(done) => work.outcome(done, started),
        Err(Trouble::Target(error)) => unreachable(&gate.target, &error),
        Err(Trouble::Finding(finding)) => Outcome::of(*finding),
        Err(Trouble::Lost(finding)) => {
            let mut outcome = Outcome::of(*finding);
            outcome.lost = true;
            outcome
        }
        Err(Trouble::Canceled) => {
            Outcome::canceled("the restore was canceled; the database is as it was before")
        }
    }
}

/// How a restore came out.
pub(super) struct Done {
    pub(super) identity: Identity,
    pub(super) kept: Option<String>,
    pub(super) differences: Vec<String>,
    pub(super) ended_sessions: usize,
    /// What did not go well and does the data no harm.
    pub(super) warnings: Vec<String>,
}

/// One attempt at a restore.
pub(super) struct Work<'a> {
    pub(super) gate: &'a Restore,
    pub(super) context: &'a Context,
    pub(super) manifest: &'a Manifest,
    /// The server that the backup was taken of, in words that end with its fingerprint.
    pub(super) backed_up: &'a str,
}

impl Work<'_> {
    fn outcome(&self, done: Done, started: Instant) -> Outcome {
        let rows: u64 = self
            .manifest
            .contents
            .values()
            .map(|table| table.rows)
            .sum();
        let tables = self.manifest.contents.len();
        let seconds = started.elapsed().as_secs_f64();
        let finding = if done.differences.is_empty() {
            let words = format!(
                "restored in {seconds:.1} s: {tables} tables, {rows} rows, equal to the backup"
            );
            let warnings = done.warnings.iter().cloned();
            warnings.fold(Finding::passed(words), Finding::because)
        } else {
            let mut finding = Finding::failed("the restored database differs from the backup");
            for difference in done.differences.iter().take(10) {
                finding = finding.because(difference.clone());
            }
            finding.can("look at the tables named; the backup itself is unchanged")
        };
        Outcome::of(finding).with(self.evidence(done, started))
    }

    pub(super) fn evidence(&self, done: Done, started: Instant) -> Evidence {
        Evidence::Restore {
            target: self.gate.target.clone(),
            server: done.identity.describe(),
            backup: self.manifest.path.clone(),
            mode: match self.gate.mode {
                RestoreMode::Swap => "swap".to_owned(),
                RestoreMode::InPlace => "in-place".to_owned(),
            },
            kept: done.kept,
            tables: self.manifest.contents.len() as u64,
            rows: self
                .manifest
                .contents
                .values()
                .map(|table| table.rows)
                .sum(),
            differences: done.differences,
            ended_sessions: done.ended_sessions as u64,
            warnings: done.warnings,
            duration_ms: started.elapsed().as_millis() as u64,
        }
    }

    /// Proves that the archive is what was verified, and that the target is what it was taken of.
    pub(super) async fn prove(&self) -> Result<(Session, Identity), Trouble> {
        self.context
            .feed
            .say("proving the backup: SHA-256 of every file");
        let manifest = self.manifest.clone();
        let checked = tokio::task::spawn_blocking(move || dump::check_files(&manifest)).await;
        if let Err(reason) = checked.unwrap_or_else(|error| Err(error.to_string())) {
            return Err(Finding::failed("the backup is not what was verified")
                .because(clean(&reason).into_owned())
                .because("nothing was changed")
                .can("bring back the file as it was, then retry this gate")
                .into());
        }
        self.context.targets.hold(&self.gate.target).await?;
        let settings = patient();
        let (session, identity) = self
            .context
            .targets
            .open(&self.gate.target, &self.context.gate.id, settings)
            .await?;
        session.require_primary().await?;
        Ok((session, identity))
    }

    /// The target is the very database that was backed up.
    pub(super) fn same_as_backed_up(&self, identity: &Identity) -> Result<(), Trouble> {
        let mark = format!("[{}]", identity.fingerprint());
        if self.backed_up.ends_with(&mark) {
            return Ok(());
        }
        Err(
            Finding::failed("this is not the database that was backed up")
                .because(format!("the backup was taken of {}", self.backed_up))
                .because(format!("{} is {}", self.gate.target, identity.describe()))
                .because("nothing was changed")
                .can("find out where the address leads now")
                .into(),
        )
    }

    /// Refuses while others are connected, unless they may be ended.
    pub(super) async fn no_others(&self, session: &Session, database: &str) -> Result<(), Trouble> {
        if self.gate.sessions == Sessions::End {
            return Ok(());
        }
        let own = own_prefix(self.context);
        let others = swap::other_sessions(session, database, &own).await?;
        if others.is_empty() {
            return Ok(());
        }
        let mut finding = Finding::failed(format!(
            "{} others are connected to {database}",
            others.len()
        ));
        for other in others.iter().take(8) {
            finding = finding.because(clean(&other.to_string()).into_owned());
        }
        Err(finding
            .because("nothing was changed")
            .can("let them end, then retry; sessions = \"end\" in the runbook ends them")
            .into())
    }

    /// Runs `pg_restore` into a database. In place, `session` watches meanwhile that it waits for no
    /// lock longer than it may.
    pub(super) async fn pg_restore(
        &self,
        session: &Session,
        database: &str,
        in_place: bool,
    ) -> Result<(), Trouble> {
        let program = programs::find_at_least("pg_restore", session.server_version().major())
            .map_err(|missing| {
                Finding::errored("pg_restore cannot be used")
                    .because(missing.to_string())
                    .because("nothing was changed")
            })?;
        let info = session.conninfo_here().with_database(database);
        let name = self.context.targets.application_name(&self.context.gate.id);
        let request = RestoreRequest {
            program: &program,
            info: &info,
            archive: Path::new(&self.manifest.path),
            layout: self.manifest.layout,
            jobs: self.gate.jobs,
            in_place,
            application_name: &name,
            private_folder: &self.context.folder,
            timeout: self.context.gate.timeout,
        };
        let feed = &self.context.feed;
        let stop = self.context.cancel.child_token();
        let ran = restore::run(&request, &stop, |line| {
            feed.line(Source::Err, line);
        });
        if in_place {
            return self.watch_in_place(ran, session, &stop).await;
        }
        match ran.await {
            Ok(()) => Ok(()),
            Err(DumpError::Canceled) => Err(Trouble::Canceled),
            Err(error) => Err(could_not_restore(&error).into()),
        }
    }

    /// Adds the rows up and compares.
    pub(super) async fn compare(&self, session: &Session) -> Result<Vec<String>, Trouble> {
        let feed = &self.context.feed;
        let found = content::read(session, &self.manifest.contents, |table| {
            feed.say(format!("adding up {table}"));
        })
        .await?;
        Ok(content::differences(&self.manifest.contents, &found))
    }

    pub(super) async fn effect(&self, name: &str, started: Instant) {
        self.context
            .effect(EffectRecord {
                name: name.to_owned(),
                outcome: EffectOutcome::Committed,
                duration_ms: started.elapsed().as_millis() as u64,
                detail: String::new(),
            })
            .await;
    }
}

/// What `pg_restore` did not do, where it is known that nothing of it stayed.
pub(super) fn could_not_restore(error: &DumpError) -> Finding {
    Finding::failed("the backup could not be restored")
        .because(clean(&error.to_string()).into_owned())
        .because("the database is as it was before")
        .can("mend what it says, then retry this gate")
}

/// Reading all of a large table back takes its time.
pub(super) fn patient() -> SessionSettings {
    SessionSettings {
        statement_timeout: std::time::Duration::from_secs(86_400),
        ..SessionSettings::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_backup_whose_gate_passed_is_restored() {
        assert!(not_passed("dump", GateState::Passed).is_none());
        for state in [
            GateState::Pending,
            GateState::Running,
            GateState::Failed,
            GateState::Canceled,
            GateState::InDoubt,
            GateState::Waived,
            GateState::Stale,
        ] {
            let said = not_passed("dump", state).unwrap().summary;
            assert_eq!(said, format!("`dump` is {}, not passed", state.word()));
        }
    }
}
