//! A migration's plan in words: where each file stands, and what it says.

use super::migrate_plan::{MigrationPlan, PlannedFile, Standing};
use super::{Payload, Plan, Tone};
use crate::runbook::naming::Style;
use crate::runbook::{Migrate, MigrateEngine};

pub(super) fn describe(gate: &Migrate, digest: String, migration: MigrationPlan) -> Plan {
    let mut plan = Plan::new(summary(gate, &migration), &[]);
    plan.digest = digest;
    for refusal in &migration.refusals {
        plan.line(Tone::Bad, format!("refused: {refusal}"));
    }
    plan.line(Tone::Plain, super::migrate_session::settings_line(gate));
    if gate.engine == MigrateEngine::Psql {
        for line in super::migrate_psql::CANNOT {
            plan.line(Tone::Muted, line);
        }
    }
    if let Some(by) = &migration.taken_by {
        let count = migration.taken().count();
        plan.line(
            Tone::Warning,
            format!("{count} files are taken as applied before: {by}; nothing of them is run"),
        );
    }
    for file in &migration.files {
        let (tone, word) = standing(file);
        plan.line(tone, line(gate, file, &word));
    }
    for file in &migration.missing {
        plan.line(Tone::Bad, format!("missing   {file}"));
    }
    for file in migration.pending() {
        plan.line(
            Tone::Heading,
            format!("{}  {}", file.name, &file.checksum.raw[..12]),
        );
        for note in &file.notes {
            plan.line(Tone::Muted, note.clone());
        }
        plan.line(Tone::Sql, file.script.text.trim_end());
    }
    plan.refuses = migration.refusals.first().cloned();
    plan.payload = Payload::Migration(Box::new(migration));
    plan
}

fn summary(gate: &Migrate, migration: &MigrationPlan) -> String {
    let pending = migration.pending().count();
    let target = &gate.target;
    let statements: usize = migration
        .pending()
        .map(|file| file.script.statements.len())
        .sum();
    match (pending, migration.taken().count()) {
        (0, _) if !gate.undoes.is_empty() => format!("nothing to undo on {target}"),
        (p, _) if !gate.undoes.is_empty() => {
            format!("undo {p} applied files, {statements} statements, on {target}")
        }
        (0, 0) => {
            let all = migration.files.len();
            format!("nothing to do: {all} files are applied to {target}")
        }
        (0, taken) => format!("take {taken} files as applied before to {target}"),
        (p, _) => format!("apply {p} files, {statements} statements, to {target}"),
    }
}

fn standing(file: &PlannedFile) -> (Tone, String) {
    match &file.standing {
        Standing::Pending if file.undoes.is_some() => (Tone::Warning, "undoes".to_owned()),
        Standing::Applied { .. } if file.undoes.is_some() => (Tone::Muted, "undone".to_owned()),
        Standing::Pending => (Tone::Plain, "pending".to_owned()),
        Standing::Applied {
            at,
            line_ends: true,
            ..
        } => (
            Tone::Muted,
            format!("applied {at}; only its line ends changed since:"),
        ),
        Standing::Applied { at, .. } => (Tone::Muted, format!("applied {at}")),
        Standing::Baseline { at: Some(at) } => (Tone::Muted, format!("baseline {at}")),
        Standing::Baseline { at: None } => (Tone::Warning, "baseline".to_owned()),
        Standing::Again { .. } => (Tone::Warning, "changed, applied again".to_owned()),
        Standing::Changed { .. } => (Tone::Bad, "changed since it was applied".to_owned()),
        Standing::OutOfOrder { .. } => (Tone::Warning, "out of order".to_owned()),
        Standing::Lost => (Tone::Bad, "lost".to_owned()),
    }
}

fn line(gate: &Migrate, file: &PlannedFile, word: &str) -> String {
    let count = file.script.statements.len();
    match &file.undoes {
        // Nobody reads the statements of what is applied as it is.
        None if matches!(file.standing, Standing::Applied { .. }) => {
            format!("{word:<9} {}", file.name)
        }
        None if file.script.alone().is_some() => {
            format!("{word:<9} {}  (outside of a transaction)", file.name)
        }
        Some(up) if gate.style == Style::Dbmate => {
            format!("{word:<9} {up}  by its own way back  ({count} statements)")
        }
        Some(up) => format!("{word:<9} {up}  by {}  ({count} statements)", file.name),
        None => format!("{word:<9} {}  ({count} statements)", file.name),
    }
}
