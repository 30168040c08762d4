//! Where each file of a migrate gate stands: pending, applied, changed, out of order, missing, lost.

use std::collections::BTreeSet;

use super::Context;
use super::migrate_plan::{MigrationPlan, PlannedFile, Standing};
use crate::postgres::ledger::{LedgerRow, LedgerState};
use crate::runbook::Migrate;

/// Compares the files with the ledger.
pub(super) fn stand(
    gate: &Migrate,
    context: &Context,
    mut files: Vec<PlannedFile>,
    rows: &[LedgerRow],
) -> MigrationPlan {
    let applied: Vec<&LedgerRow> = rows
        .iter()
        .filter(|row| row.state == LedgerState::Applied)
        .collect();
    let mut refusals = Vec::new();
    let mut later_applied: Option<String> = None;
    for file in files.iter_mut().rev() {
        let row = applied.iter().find(|row| row.file == file.name);
        file.standing = match row {
            Some(row) if row.checksum == file.checksum.normalised => Standing::Applied {
                at: row.applied_at.clone(),
                by: row.applied_by.clone(),
            },
            Some(row) => {
                refusals.push(format!(
                    "{} was applied on {} and has changed since; make a new file instead",
                    file.name, row.applied_at
                ));
                Standing::Changed {
                    applied: row.applied_at.clone(),
                }
            }
            None if is_lost(&file.name, context, rows) => {
                refusals.push(lost_words(&file.name));
                Standing::Lost
            }
            None => match &later_applied {
                Some(after) => Standing::OutOfOrder {
                    after: after.clone(),
                },
                None => Standing::Pending,
            },
        };
        match &file.standing {
            Standing::Applied { .. } | Standing::Changed { .. } => {
                later_applied = Some(file.name.clone());
            }
            Standing::OutOfOrder { after } if !gate.out_of_order => refusals.push(format!(
                "{} is out of order: {after} is applied already; \
                 give it a later name, or say out_of_order = \"allow\"",
                file.name
            )),
            _ => {}
        }
    }
    refusals.reverse();
    refusals.extend(applied_elsewhere(&files, &applied));
    let names: BTreeSet<&str> = files.iter().map(|file| file.name.as_str()).collect();
    let missing: Vec<String> = applied
        .iter()
        .filter(|row| row.collection == context.gate.id && !names.contains(row.file.as_str()))
        .filter(|_| !is_chosen(gate))
        .map(|row| row.file.clone())
        .collect();
    refusals.extend(missing.iter().map(|file| {
        format!("{file} is in the ledger, but not among the files; the database is ahead")
    }));
    MigrationPlan {
        files,
        missing,
        refusals,
    }
}

/// A commit that was acknowledged is gone: the server failed over to a standby that had not
/// received it, or was restored from before. What was undone since has its row still.
fn is_lost(file: &str, context: &Context, rows: &[LedgerRow]) -> bool {
    let known = |row: &LedgerRow| row.file == file && row.state != LedgerState::Void;
    context.committed.contains(file) && !rows.iter().any(known)
}

fn lost_words(file: &str) -> String {
    format!(
        "{file} was committed in this run, and the server that answers now has no record of it: it \
         was restored, or it is a standby that took over without it. This run applies nothing over \
         that. Find out what else is missing there; once that is accepted, a new run applies what \
         its ledger lacks"
    )
}

/// Tells whether whoever runs it chooses the file, as `{file}`: another one is no part of a set, and
/// those of before are not missed.
fn is_chosen(gate: &Migrate) -> bool {
    let chosen = |pattern: &String| {
        let name = pattern.strip_prefix('{').and_then(|p| p.strip_suffix('}'));
        name.is_some_and(|name| !name.contains(['{', '}']))
    };
    gate.files.iter().all(chosen)
}

/// A file that is applied already under a name that is not among the files was moved or renamed;
/// applying it again would do its work twice.
fn applied_elsewhere(files: &[PlannedFile], applied: &[&LedgerRow]) -> Vec<String> {
    let named = |name: &str| files.iter().any(|file| file.name == name);
    files
        .iter()
        .filter(|file| {
            matches!(
                file.standing,
                Standing::Pending | Standing::OutOfOrder { .. }
            )
        })
        .filter_map(|file| {
            let same =
                |row: &&&LedgerRow| row.checksum == file.checksum.normalised && !named(&row.file);
            let row = applied.iter().find(same)?;
            Some(format!(
                "{} is applied already as {}, on {}; give it that name and place again",
                file.name, row.file, row.applied_at
            ))
        })
        .collect()
}
