//! Asks the ledger what became of an attempt at a migrate gate that nobody saw end.

use super::migrate::{first_state, new_row, nonce, settings};
use super::migrate_plan::{MigrationPlan, PlannedFile, Standing};
use super::migrate_psql::psql_name;
use super::migrate_safe::{confirm, unconfirmed};
use super::{AppliedFile, Context, Evidence, FileState, Payload, Reconciled, TargetError};
use crate::expectation::Finding;
use crate::postgres::Session;
use crate::postgres::apply_alone::settle_alone;
use crate::postgres::ledger::{self, LedgerRow, LedgerState, NewRow};
use crate::postgres::settle;
use crate::promotion::Resolution;
use crate::runbook::naming::Mark;
use crate::runbook::{Migrate, MigrateEngine};

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
    let mut left = settle::wait_until_gone(&session, &name, |line| context.feed.say(line)).await?;
    if gate.engine == MigrateEngine::Psql {
        let name = psql_name(context);
        left.extend(settle::wait_until_gone(&session, &name, |line| context.feed.say(line)).await?);
    }
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
        let row = new_row(context, file, &nonce);
        let committed = match file.script.alone() {
            // What it made stands in the catalog; its row is the intent, or the result from now on.
            Some(alone) => {
                settle_alone(&session, alone, &row, gate.role.as_deref()).await?;
                false
            }
            None => fence_all(gate, &session, row).await?,
        };
        if committed {
            return Err(TargetError::Lock(
                "its last file committed a moment ago".to_owned(),
            ));
        }
    }
    let rows = ledger::rows(&session).await?;
    let reconciled = report(
        gate,
        context,
        (&plan.digest, migration),
        &rows,
        identity.describe(),
        session.settings_read_back(),
    );
    Ok(confirmed(gate, context, reconciled).await)
}

/// Nobody saw whether the standbys, or the disk, have what the ledger has: it is asked now.
async fn confirmed(gate: &Migrate, context: &Context, mut found: Reconciled) -> Reconciled {
    if let Some(Evidence::Migrate { files, .. }) = &mut found.evidence {
        let ours = |file: &&mut AppliedFile| file.state == FileState::Applied;
        files
            .iter_mut()
            .filter(ours)
            .for_each(|file| file.unconfirmed = true);
        let waits = files.iter().any(|file| file.unconfirmed);
        if found.resolution == Some(Resolution::Passed) && waits {
            match confirm(gate, context).await {
                Ok(true) => files.iter_mut().for_each(|file| file.unconfirmed = false),
                Ok(false) => {
                    found.resolution = Some(Resolution::Pending);
                    found.finding = unconfirmed(&gate.target);
                }
                Err(error) => {
                    found.resolution = None;
                    found.finding = Finding::inconclusive(format!(
                        "{} cannot be asked yet whether it is safe",
                        gate.target
                    ))
                    .because(crate::untrusted::clean_line(&error.to_string()))
                    .can("when it answers again, press Enter: it is asked once more");
                }
            }
        }
    }
    found
}

/// Takes every key that the attempt may have used: psql gets another one for each try.
async fn fence_all(
    gate: &Migrate,
    session: &Session,
    row: NewRow<'_>,
) -> Result<bool, TargetError> {
    let tries = match gate.engine {
        MigrateEngine::Native => 1,
        MigrateEngine::Psql => gate.attempts,
    };
    let mut key = row.nonce.to_owned();
    for tried in 1..=tries {
        let row = NewRow { nonce: &key, ..row };
        if ledger::fence(session, &row).await? {
            return Ok(true);
        }
        key = super::migrate::next_nonce(&key, tried);
    }
    Ok(false)
}

/// What the ledger says of a file now; none where it is as the plan said.
fn state(planned: &PlannedFile, nonce: &str, rows: &[LedgerRow]) -> Option<FileState> {
    let stands = |row: &&LedgerRow| row.state.is_applied() || row.state == LedgerState::Undo;
    if rows.iter().filter(stands).any(|row| row.nonce == nonce) {
        return Some(FileState::Applied);
    }
    // The row of another attempt says nothing of a file that undoes: what it undid then may have
    // been applied again. Nor does that of one that is applied whenever it has changed.
    let same = |row: &LedgerRow| {
        row.state.is_applied()
            && row.file == planned.name
            && (planned.mark != Mark::Repeatable || row.checksum == planned.checksum.normalised)
    };
    if planned.undoes.is_none() && rows.iter().any(same) {
        return Some(FileState::AlreadyApplied);
    }
    // That it was applied before is not written yet.
    matches!(planned.standing, Standing::Baseline { at: None }).then_some(FileState::NotStarted)
}

fn report(
    gate: &Migrate,
    context: &Context,
    (digest, migration): (&str, &MigrationPlan),
    rows: &[LedgerRow],
    server: String,
    settings: &[(String, String)],
) -> Reconciled {
    let mut files: Vec<AppliedFile> = Vec::new();
    for planned in &migration.files {
        let mut file = first_state(context, planned);
        if let Some(state) = state(planned, &file.nonce, rows) {
            file.state = state;
        }
        files.push(file);
    }
    let applied = files
        .iter()
        .filter(|f| f.state != FileState::NotStarted)
        .count();
    let all = files.len();
    // What passes is the plan that was reviewed, not what the folder holds by now.
    let reviewed = context.planned.is_none() || context.planned.as_deref() == Some(digest);
    let (resolution, finding) = if !reviewed {
        let finding = Finding::inconclusive("its files are others than those of its plan")
            .because(format!(
                "{applied} of the {all} files that are there now are applied"
            ))
            .because("nothing of the attempt is in flight any more")
            .can("look at the new plan, then press Enter to apply what is left");
        (Resolution::Pending, finding)
    } else if applied == all && migration.refusals.is_empty() {
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
            // Nobody looked at the schema before the files that nobody saw end.
            made: None,
            target: gate.target.clone(),
            server,
            settings: settings.to_vec(),
            files,
        }),
    }
}
