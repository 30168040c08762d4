//! The plan of a migrate gate that goes back: which applied files are undone, by which files.

use std::path::Path;

use super::Context;
use super::migrate_plan::{MigrationPlan, PlannedFile, Standing};
use crate::postgres::ledger::{LedgerRow, LedgerState};
use crate::runbook::Migrate;

/// Pairs every chosen file with the one of the same name that undoes it, the last applied first.
/// Before anybody has chosen, all that can be undone is shown.
pub(super) fn stand(
    gate: &Migrate,
    context: &Context,
    files: &[PlannedFile],
    rows: &[LedgerRow],
) -> MigrationPlan {
    let ours = |row: &&LedgerRow| gate.undoes.contains(&row.collection);
    let applied = rows
        .iter()
        .filter(|row| row.state == LedgerState::Applied)
        .filter(ours);
    let mut refusals = Vec::new();
    let mut planned = Vec::new();
    let chosen = |file: &str| {
        context.chosen_files.is_empty() || context.chosen_files.iter().any(|c| c == file)
    };
    for row in applied.rev().filter(|row| chosen(&row.file)) {
        match pair(&row.file, files) {
            Some(down) => planned.push(PlannedFile {
                undoes: Some(row.file.clone()),
                ..down.clone()
            }),
            None => refusals.push(format!(
                "{} has no file of the same name that undoes it; write one, or restore the backup",
                row.file
            )),
        }
    }
    let undone = |file: &str| {
        rows.iter()
            .any(|row| row.file == file && row.state == LedgerState::Reverted)
    };
    for choice in &context.chosen_files {
        let is_planned = planned
            .iter()
            .any(|file| file.undoes.as_ref() == Some(choice));
        if is_planned || refusals.iter().any(|refusal| refusal.starts_with(choice)) {
            continue;
        }
        match pair(choice, files) {
            Some(down) if undone(choice) => planned.push(PlannedFile {
                undoes: Some(choice.clone()),
                standing: Standing::Applied {
                    at: "before".to_owned(),
                    by: String::new(),
                },
                ..down.clone()
            }),
            _ => refusals.push(format!("{choice} is not applied: there is nothing to undo")),
        }
    }
    MigrationPlan {
        files: planned,
        missing: Vec::new(),
        refusals,
    }
}

fn pair<'a>(up: &str, files: &'a [PlannedFile]) -> Option<&'a PlannedFile> {
    let name = Path::new(up).file_name()?;
    files
        .iter()
        .find(|file| file.path.file_name() == Some(name))
}
