//! The plan of a migrate gate that goes back: which applied files are undone, by which files.

use super::Context;
use super::migrate_plan::{MigrationPlan, PlannedFile, Standing};
use crate::postgres::ledger::{LedgerRow, LedgerState};
use crate::runbook::Migrate;
use crate::runbook::naming::{Mark, Style};

/// Pairs every chosen file with the one that undoes it, the last applied first.
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
        .filter(|row| row.state.is_applied())
        .filter(ours);
    let mut refusals = Vec::new();
    let mut planned = Vec::new();
    let chosen = |file: &str| {
        context.chosen_files.is_empty() || context.chosen_files.iter().any(|c| c == file)
    };
    // What is applied whenever it changes is no part of a way back, unless somebody asks for it.
    let has_way = |file: &str| {
        !context.chosen_files.is_empty() || Mark::of(gate.style, file) != Some(Mark::Repeatable)
    };
    let wanted = |row: &&LedgerRow| chosen(&row.file) && has_way(&row.file);
    for row in applied.rev().filter(wanted) {
        match pair(gate.style, &row.file, files) {
            Some(down) => planned.push(PlannedFile {
                undoes: Some(row.file.clone()),
                ..down.clone()
            }),
            None => refusals.push(no_way(gate.style, &row.file, files)),
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
        match pair(gate.style, choice, files) {
            Some(down) if undone(choice) => planned.push(PlannedFile {
                undoes: Some(choice.clone()),
                standing: Standing::Applied {
                    at: "before".to_owned(),
                    by: String::new(),
                    line_ends: false,
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
        taken_by: None,
    }
}

/// Why a file cannot be undone.
fn no_way(style: Style, up: &str, files: &[PlannedFile]) -> String {
    match pairs(style, up, files) {
        0 | 1 => format!(
            "{up} has no {}; write one, or restore the backup",
            way_back(style)
        ),
        _ => format!(
            "{up} has several files of the same {} that may undo it; name their folder alone",
            common(style)
        ),
    }
}

fn common(style: Style) -> &'static str {
    match style {
        Style::Plain => "name",
        Style::Sqitch => "change",
        _ => "version",
    }
}

fn way_back(style: Style) -> &'static str {
    match style {
        Style::Plain => "file of the same name that undoes it",
        Style::Numbered | Style::Timestamp => "file of the same version that undoes it",
        Style::Flyway => "file U…__… of the same version that undoes it",
        Style::Sqitch => "file in revert/ that undoes it",
        Style::Dbmate => "statements behind `-- migrate:down` that undo it",
        Style::GolangMigrate => "file ….down.sql of the same version that undoes it",
    }
}

/// The one file that undoes another; none where there are several.
fn pair<'a>(style: Style, up: &str, files: &'a [PlannedFile]) -> Option<&'a PlannedFile> {
    (pairs(style, up, files) == 1).then(|| undoing(style, up, files).next())?
}

fn pairs(style: Style, up: &str, files: &[PlannedFile]) -> usize {
    undoing(style, up, files).count()
}

fn undoing<'a>(
    style: Style,
    up: &str,
    files: &'a [PlannedFile],
) -> impl Iterator<Item = &'a PlannedFile> + use<'a> {
    let mark = Mark::of(style, up);
    let up = up.to_owned();
    files.iter().filter(move |file| {
        // A file that was applied does not undo itself, unless it holds its own way back.
        let is_itself = file.name == up && style != Style::Dbmate;
        !is_itself && mark.as_ref() == Some(&file.mark)
    })
}
