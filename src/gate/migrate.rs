//! `migrate`: SQL files in order, one transaction each, each with its row in the ledger.

use std::sync::Mutex;

use super::locks::{LockWatch, Patience, Rules, Tolerated};
use super::migrate_apply::Work;
use super::migrate_files::read_text;
use super::migrate_made::Recorder;
use super::migrate_plan::{MigrationPlan, PlannedFile, Standing};
use super::migrate_safe::settle_earlier;
use super::migrate_session::forward_notices;
use super::query::unreachable;
use super::{AppliedFile, Context, FileState, Outcome, Payload, Plan, TargetError};
use crate::digest::digest;
use crate::expectation::Finding;
use crate::postgres::PostgresError;
use crate::postgres::apply;
use crate::postgres::ledger::{self, NewRow};
use crate::postgres::programs::ProgramMissing;
use crate::postgres::psql;
use crate::postgres::session::{Session, SessionSettings};
use crate::runbook::{Migrate, MigrateEngine, Profile};
use crate::sql::Checksum;
use crate::untrusted::clean_line;

pub(super) fn settings(gate: &Migrate) -> SessionSettings {
    SessionSettings {
        lock_timeout: gate.lock_timeout,
        statement_timeout: gate.statement_timeout,
        search_path: gate.search_path.clone(),
        ..SessionSettings::default()
    }
}

/// What keeps others from waiting long behind a migration.
pub(super) fn lock_rules(gate: &Migrate) -> Rules {
    Rules {
        target: gate.target.clone(),
        lock_timeout: gate.lock_timeout,
        tolerated: Tolerated {
            waiters: gate.queueing.queue_limit,
            wait: gate.queueing.queue_wait,
        },
        patience: Patience::new(gate.attempts, gate.queueing.budget),
    }
}

/// The key of one attempt at one file. The same values give the same key, so that a process that
/// takes the run up again knows what to look for.
pub(super) fn nonce(context: &Context, file: &str) -> String {
    let parts = [
        &context.nonce,
        &context.run,
        &context.gate.id,
        &context.attempt.to_string(),
        file,
    ]
    .join("\0");
    digest(parts.as_bytes())[..32].to_owned()
}

/// The key of the next try within an attempt, where the one before was taken as a fence.
pub(super) fn next_nonce(nonce: &str, attempts: u32) -> String {
    digest(format!("{nonce}\0{attempts}").as_bytes())[..32].to_owned()
}

pub(super) fn new_row<'a>(
    context: &'a Context,
    file: &'a PlannedFile,
    nonce: &'a str,
) -> NewRow<'a> {
    NewRow {
        nonce,
        collection: &context.gate.id,
        file: &file.name,
        undoes: file.undoes.as_deref(),
        replaces: matches!(file.standing, Standing::Again { .. }),
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
    let reason = refused(migration)
        .or_else(|| changed_since_review(migration))
        .or_else(|| not_chosen(migration, context));
    if let Some(finding) = reason {
        return Outcome::of(finding);
    }
    if let Err(error) = context.targets.hold(&gate.target).await {
        return unreachable(&gate.target, &error);
    }
    if let Some(outcome) = settle_earlier(gate, context).await {
        return outcome;
    }
    let (session, server) = match prepare(gate, context).await {
        Ok(prepared) => prepared,
        Err(error) => return unreachable(&gate.target, &error),
    };
    if let Some(outcome) = ready(gate, context, &session, migration).await {
        return outcome;
    }
    let files = migration.files.iter();
    let evidence = files.map(|file| first_state(context, file)).collect();
    let psql = match gate.engine {
        MigrateEngine::Native => None,
        MigrateEngine::Psql => match psql::find(session.server_version().major()) {
            Ok(program) => Some(program),
            Err(missing) => return Outcome::of(no_psql(&missing)),
        },
    };
    let (more, renewal, guards) = match arm(gate, &session).await {
        Ok(armed) => armed,
        Err(error) => return unreachable(&gate.target, &error.into()),
    };
    let settings = session.settings_read_back().to_vec();
    let work = Work {
        gate,
        context,
        migration,
        settings,
        guards,
        renewal,
        more,
        psql,
        unsafe_yet: Mutex::default(),
        locks: LockWatch::begin(context, lock_rules(gate)),
    };
    let recorder = recorder(gate, context, migration).await;
    let outcome = work.run(session, server, evidence, recorder).await;
    work.locks.end().await;
    outcome
}

/// What a session of the gate has beyond its settings, what makes it new for each file, and what
/// must be as it was before each COMMIT.
type Armed = (
    Vec<(&'static str, String)>,
    apply::Renewal,
    Vec<apply::Guard>,
);

async fn arm(gate: &Migrate, session: &Session) -> Result<Armed, PostgresError> {
    let waits = gate.profile == Profile::Safe;
    let more = vec![(
        "synchronous_commit",
        apply::durability(session, waits).await?,
    )];
    let renewal = apply::Renewal::of(session, &more);
    session.client.batch_execute(renewal.sql(false)).await?;
    let guards = apply::read_guards(session).await?;
    Ok((more, renewal, guards))
}

/// Looks once more at what else goes on, then writes what was applied before; gives why it ends
/// there.
async fn ready(
    gate: &Migrate,
    context: &Context,
    session: &Session,
    migration: &MigrationPlan,
) -> Option<Outcome> {
    let beside = super::migrate_beside::check(gate, session, migration).await;
    if beside.is_some() {
        return beside;
    }
    let written = super::migrate_adopt::write(context, session, migration).await;
    written
        .err()
        .map(|error| unreachable(&gate.target, &error.into()))
}

/// Looks at the schema while the files are applied, where the runbook wants that and it can.
async fn recorder<'a>(
    gate: &Migrate,
    context: &'a Context,
    migration: &MigrationPlan,
) -> Option<Recorder<'a>> {
    let pending = migration.pending().count();
    if pending == 0 || !gate.record_change {
        return None;
    }
    match Recorder::begin(&gate.target, pending, context).await {
        Ok(recorder) => Some(recorder),
        Err(reason) => {
            let said = format!("what the files make of the schema is not recorded: {reason}");
            context.feed.say(said);
            None
        }
    }
}

fn no_psql(missing: &ProgramMissing) -> Finding {
    Finding::errored("there is no psql to run the files")
        .because(clean_line(&missing.to_string()))
        .because("nothing was run")
        .can("install it as named above, or take engine = \"psql\" out, then press r")
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

/// Only what was chosen is undone, whatever an older plan says.
fn not_chosen(migration: &MigrationPlan, context: &Context) -> Option<Finding> {
    let undone = migration.pending().filter_map(|file| file.undoes.as_ref());
    let unchosen = undone
        .filter(|up| !context.chosen_files.contains(up))
        .collect::<Vec<_>>();
    let first = unchosen.first()?;
    Some(
        Finding::failed(format!("{first} was not chosen to be undone"))
            .because("the plan was made before the choice")
            .because("nothing was run")
            .can("press r: the plan is made again"),
    )
}

/// What was reviewed is what runs: a file that is another one now stops everything.
fn changed_since_review(migration: &MigrationPlan) -> Option<Finding> {
    for file in migration.pending().chain(migration.taken()) {
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
    let (mut session, identity) = context
        .targets
        .open(&gate.target, id, settings(gate))
        .await?;
    forward_notices(&mut session, context);
    session.require_primary().await?;
    ledger::ensure(&session).await?;
    Ok((session, identity.describe()))
}

pub(super) fn first_state(context: &Context, file: &PlannedFile) -> AppliedFile {
    let applied = matches!(
        file.standing,
        Standing::Applied { .. } | Standing::Baseline { .. }
    );
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
        unconfirmed: false,
        traces: Vec::new(),
    }
}
