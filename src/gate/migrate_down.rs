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
            None if pairs(&row.file, files) > 1 => refusals.push(format!(
                "{} has several files of the same name that may undo it; name their folder alone",
                row.file
            )),
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
    // Another gate of the same way back may undo what this one has no say in.
    let of_others = |file: &str| {
        let mut of_file = rows.iter().filter(|row| row.file == file).peekable();
        of_file.peek().is_some() && of_file.all(|row| !gate.undoes.contains(&row.collection))
    };
    for choice in context.chosen_files.iter().filter(|c| !of_others(c)) {
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

/// The one file of the same name; none where there are several.
fn pair<'a>(up: &str, files: &'a [PlannedFile]) -> Option<&'a PlannedFile> {
    (pairs(up, files) == 1).then(|| same_name(up, files).next())?
}

fn pairs(up: &str, files: &[PlannedFile]) -> usize {
    same_name(up, files).count()
}

fn same_name<'a>(
    up: &str,
    files: &'a [PlannedFile],
) -> impl Iterator<Item = &'a PlannedFile> + use<'a> {
    let name = Path::new(up).file_name().map(ToOwned::to_owned);
    files
        .iter()
        .filter(move |file| name.is_some() && file.path.file_name() == name.as_deref())
}
