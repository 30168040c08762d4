//! Where each file of a migrate gate stands: pending, applied, changed, out of order, missing, lost.

use std::collections::{BTreeMap, BTreeSet};

use super::Context;
use super::migrate_adopt::{Taken, taken};
use super::migrate_beside::Records;
use super::migrate_plan::{MigrationPlan, PlannedFile, Standing};
use crate::postgres::ledger::{LedgerRow, LedgerState};
use crate::runbook::Migrate;
use crate::runbook::naming::Mark;

/// Compares the files with the ledger, and with what was applied before it was there.
pub(super) fn stand(
    gate: &Migrate,
    context: &Context,
    mut files: Vec<PlannedFile>,
    records: &Records,
) -> MigrationPlan {
    let rows = &records.rows;
    let applied: Vec<&LedgerRow> = rows.iter().filter(|row| row.state.is_applied()).collect();
    let (taken, before) = match taken(gate, context, &files, rows, &records.foreign) {
        Ok(taken) => (taken, Vec::new()),
        Err(reasons) => (Taken::default(), reasons),
    };
    let mut by_file: BTreeMap<&str, &LedgerRow> = BTreeMap::new();
    for row in &applied {
        by_file.entry(&row.file).or_insert(row);
    }
    let mut refusals = Vec::new();
    let mut later_applied: Option<String> = None;
    for file in files.iter_mut().rev() {
        let row = by_file.get(file.name.as_str());
        file.standing = match row {
            Some(row) => of_row(file, row),
            None if is_lost(&file.name, context, rows) => Standing::Lost,
            None if taken.files.contains(&file.name) => Standing::Baseline { at: None },
            None => match &later_applied {
                Some(after) if file.mark != Mark::Repeatable => Standing::OutOfOrder {
                    after: after.clone(),
                },
                _ => Standing::Pending,
            },
        };
        let counts = matches!(
            file.standing,
            Standing::Applied { .. } | Standing::Changed { .. } | Standing::Baseline { .. }
        );
        // What is applied whenever it changes has no place in the order.
        if counts && file.mark != Mark::Repeatable {
            later_applied = Some(file.name.clone());
        }
        refusals.extend(refused(gate, file));
    }
    refusals.extend(before.into_iter().rev());
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
        taken_by: taken.by,
    }
}

/// Where a file stands that the ledger has.
fn of_row(file: &PlannedFile, row: &LedgerRow) -> Standing {
    let at = row.applied_at.clone();
    if row.checksum != file.checksum.normalised {
        return match file.mark {
            Mark::Repeatable => Standing::Again { applied: at },
            _ => Standing::Changed { applied: at },
        };
    }
    if row.state == LedgerState::Baseline {
        return Standing::Baseline { at: Some(at) };
    }
    Standing::Applied {
        at,
        by: row.applied_by.clone(),
        line_ends: row.raw_sha256 != file.checksum.raw,
    }
}

/// Why nothing may be started while a file stands as it does.
fn refused(gate: &Migrate, file: &PlannedFile) -> Option<String> {
    match &file.standing {
        Standing::Changed { applied } => Some(format!(
            "{} was applied on {applied} and has changed since; make a new file instead",
            file.name
        )),
        Standing::Lost => Some(lost_words(&file.name)),
        Standing::OutOfOrder { after } if !gate.out_of_order => Some(format!(
            "{} is out of order: {after} is applied already; \
             give it a later name, or say out_of_order = \"allow\"",
            file.name
        )),
        _ => None,
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
pub(super) fn is_chosen(gate: &Migrate) -> bool {
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
