//! What was applied before the ledger was there: what another tool has recorded, or a baseline.

use std::collections::BTreeSet;

use super::Context;
use super::migrate::new_row;
use super::migrate_plan::{MigrationPlan, PlannedFile, Standing};
use super::migrate_stand::is_chosen;
use crate::digest::digest;
use crate::postgres::foreign_ledger::ForeignLedger;
use crate::postgres::ledger::{self, LedgerRow, LedgerState};
use crate::postgres::session::Session;
use crate::postgres::{PostgresError, foreign_ledger};
use crate::runbook::Migrate;
use crate::runbook::naming::{LEDGERS, Mark, Version};
use crate::system::fault;

/// The files that are taken as applied before.
#[derive(Debug, Default)]
pub(super) struct Taken {
    pub(super) files: BTreeSet<String>,
    /// Who says so; none where nothing was asked.
    pub(super) by: Option<String>,
}

/// Tells whether the ledger knows of the gate already. What others say of it counts only before.
fn is_known(context: &Context, rows: &[LedgerRow]) -> bool {
    rows.iter().any(|row| {
        let was_applied = row.state.is_applied() || row.state == LedgerState::Reverted;
        was_applied && row.collection == context.gate.id
    })
}

/// Reads what other tools have recorded, where that counts.
pub(super) async fn read(
    gate: &Migrate,
    context: &Context,
    session: &Session,
    rows: &[LedgerRow],
) -> Result<Vec<ForeignLedger>, PostgresError> {
    if !gate.undoes.is_empty() || is_known(context, rows) {
        return Ok(Vec::new());
    }
    foreign_ledger::read(session, &LEDGERS).await
}

/// Finds out which files were applied before, or why that cannot be said.
pub(super) fn taken(
    gate: &Migrate,
    context: &Context,
    files: &[PlannedFile],
    rows: &[LedgerRow],
    foreign: &[ForeignLedger],
) -> Result<Taken, Vec<String>> {
    // A gate that was given another name has its files in the ledger still.
    let named = |row: &LedgerRow| files.iter().any(|file| file.name == row.file);
    let is_there = rows.iter().any(|row| row.state.is_applied() && named(row));
    if is_there || is_known(context, rows) {
        return Ok(Taken::default());
    }
    if let Some(said) = &gate.baseline {
        return baseline(said, files).map_err(|reason| vec![reason]);
    }
    match gate.adopt.as_deref() {
        Some("ignore") => Ok(Taken::default()),
        Some(name) => adopt(gate, name, files, foreign),
        None => {
            let reasons: Vec<String> = foreign.iter().filter_map(not_chosen).collect();
            if reasons.is_empty() {
                Ok(Taken::default())
            } else {
                Err(reasons)
            }
        }
    }
}

fn not_chosen(table: &ForeignLedger) -> Option<String> {
    let broken = match &table.broken {
        Some(broken) => format!(" ({broken})"),
        None => String::new(),
    };
    Some(format!(
        "{}{broken}, and the ledger has nothing of this gate; say adopt = \"{}\" to take the files \
         of those versions as applied, or adopt = \"ignore\" to apply all files",
        table.words()?,
        table.table
    ))
}

fn baseline(said: &str, files: &[PlannedFile]) -> Result<Taken, String> {
    let Some(at) = files.iter().position(|file| is_said(file, said)) else {
        return Err(format!(
            "baseline = \"{said}\" is neither the version nor the name of a file"
        ));
    };
    Ok(Taken {
        files: names(&files[..=at]),
        by: Some(format!("baseline = \"{said}\" says so")),
    })
}

fn is_said(file: &PlannedFile, said: &str) -> bool {
    let own = file.path.file_name().unwrap_or_default();
    let version = said.strip_prefix(['V', 'v']).unwrap_or(said);
    file.name == said || own == said || file.mark.is(said) || file.mark.is(version)
}

fn names(files: &[PlannedFile]) -> BTreeSet<String> {
    files.iter().map(|file| file.name.clone()).collect()
}

fn adopt(
    gate: &Migrate,
    name: &str,
    files: &[PlannedFile],
    foreign: &[ForeignLedger],
) -> Result<Taken, Vec<String>> {
    let named = |table: &&ForeignLedger| table.table == name || table.relation == name;
    let found: Vec<&ForeignLedger> = foreign.iter().filter(named).collect();
    let table = match found.as_slice() {
        [table] => *table,
        [] => return Err(vec![not_there(name, foreign)]),
        several => {
            let relations: Vec<&str> = several.iter().map(|t| t.relation.as_str()).collect();
            return Err(vec![format!(
                "adopt = \"{name}\" may be {}; name one with its schema",
                relations.join(" or ")
            )]);
        }
    };
    if let Some(broken) = &table.broken {
        return Err(vec![format!(
            "{} cannot be adopted as it stands: {broken}; mend that with the tool that wrote it",
            table.relation
        )]);
    }
    let has = |version: &String| files.iter().any(|file| file.mark.is(version));
    let lacking = table.versions.iter().filter(|version| !has(version));
    let ahead: Vec<String> = lacking
        .map(|version| {
            format!(
                "{} has version {version}, and no file has it; the database is ahead",
                table.relation
            )
        })
        .collect();
    if !ahead.is_empty() && !is_chosen(gate) {
        return Err(ahead);
    }
    let mut taken: BTreeSet<String> = files
        .iter()
        .filter(|file| table.versions.iter().any(|version| file.mark.is(version)))
        .map(|file| file.name.clone())
        .collect();
    if let Some(last) = &table.up_to {
        taken.extend(names_up_to(last, files));
    }
    Ok(Taken {
        files: taken,
        by: Some(format!("{} says so", table.relation)),
    })
}

/// All files up to a version; that one itself may have no file, where versions have an order.
fn names_up_to(last: &str, files: &[PlannedFile]) -> BTreeSet<String> {
    let version = Version::read(last);
    let position = files.iter().position(|file| file.mark.is(last));
    let before = |(at, file): &(usize, &PlannedFile)| match (&file.mark, &version) {
        (Mark::Version(own), Some(version)) => own <= version,
        (Mark::Repeatable, _) => false,
        _ => position.is_some_and(|last| *at <= last),
    };
    let files = files.iter().enumerate().filter(before);
    files.map(|(_, file)| file.name.clone()).collect()
}

fn not_there(name: &str, foreign: &[ForeignLedger]) -> String {
    let there: Vec<&str> = foreign.iter().map(|t| t.relation.as_str()).collect();
    let there = match there.as_slice() {
        [] => "nor is any other such table".to_owned(),
        there => format!("there is {}", there.join(", ")),
    };
    format!("adopt = \"{name}\" is not in this database, {there}; take `adopt` out, or mend it")
}

impl MigrationPlan {
    /// The files whose rows are written before the first file is applied.
    pub(super) fn taken(&self) -> impl Iterator<Item = &PlannedFile> {
        let new = |file: &&PlannedFile| matches!(file.standing, Standing::Baseline { at: None });
        self.files.iter().filter(new)
    }
}

/// Writes the rows of what was applied before.
pub(super) async fn write(
    context: &Context,
    session: &Session,
    migration: &MigrationPlan,
) -> Result<(), PostgresError> {
    // The key is the file's alone, so that whoever does it again does it once.
    let key = |file: &PlannedFile| {
        let parts = ["baseline", &context.gate.id, &file.name].join("\0");
        digest(parts.as_bytes())[..32].to_owned()
    };
    let keyed: Vec<(String, &PlannedFile)> = migration.taken().map(|f| (key(f), f)).collect();
    if keyed.is_empty() {
        return Ok(());
    }
    let rows: Vec<_> = keyed
        .iter()
        .map(|(nonce, file)| new_row(context, file, nonce))
        .collect();
    fault::point("before_baseline");
    ledger::write_baseline(session, &rows).await?;
    fault::point("after_baseline");
    let count = rows.len();
    context
        .feed
        .say(format!("{count} files are in the ledger as applied before"));
    Ok(())
}
