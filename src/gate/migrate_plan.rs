//! What a `migrate` gate would do: its files in order, and where each stands in the ledger.

use std::path::PathBuf;

use super::{Context, Payload, Plan, Tone};
use crate::digest::digest;
use crate::runbook::{Migrate, MigrateEngine};
use crate::sql::{Checksum, Dialect, Script};

/// Where a file stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    Pending,
    /// The ledger has it, with the same checksum.
    Applied {
        at: String,
        by: String,
    },
    /// The ledger has it with another checksum.
    Changed {
        applied: String,
    },
    /// It sorts before a file that is applied.
    OutOfOrder {
        after: String,
    },
    /// The journal saw it commit, and the ledger of the server that answers now lacks it.
    Lost,
}

/// One file, read once. These bytes are what is shown, hashed and run.
#[derive(Debug, Clone)]
pub struct PlannedFile {
    pub path: PathBuf,
    /// As the ledger and people know it.
    pub name: String,
    pub checksum: Checksum,
    pub script: Script,
    pub standing: Standing,
    /// The applied file that this one undoes.
    pub undoes: Option<String>,
}

/// Everything that a migrate gate is going to do.
#[derive(Debug, Clone)]
pub struct MigrationPlan {
    pub files: Vec<PlannedFile>,
    /// Files that the ledger has and the folder lacks.
    pub missing: Vec<String>,
    /// Why nothing may be started, each with file and line where there is one.
    pub refusals: Vec<String>,
}

impl MigrationPlan {
    /// The files that would be applied.
    pub fn pending(&self) -> impl Iterator<Item = &PlannedFile> {
        self.files.iter().filter(|file| {
            matches!(
                file.standing,
                Standing::Pending | Standing::OutOfOrder { .. }
            )
        })
    }
}

pub(super) async fn plan(gate: &Migrate, context: &Context) -> Plan {
    let read = read_files(gate, context);
    let (rows, beside) =
        match super::migrate_beside::ask(gate, context, read.as_ref().map_or(0, Vec::len)).await {
            Ok(asked) => asked,
            Err(error) => {
                let reason = format!("{} cannot be asked: {error}", gate.target);
                let mut plan = Plan::new(format!("apply SQL files to {}", gate.target), &[&reason]);
                plan.line(Tone::Bad, &reason);
                plan.refuses = Some(reason);
                return plan;
            }
        };
    let migration = match read {
        Ok(files) if !gate.undoes.is_empty() => {
            super::migrate_down::stand(gate, context, &files, &rows)
        }
        Ok(files) => super::migrate_stand::stand(gate, context, files, &rows),
        Err(reasons) => MigrationPlan {
            files: Vec::new(),
            missing: Vec::new(),
            refusals: reasons,
        },
    };
    let mut plan = describe(gate, migration);
    super::migrate_beside::describe(&mut plan, gate, &beside);
    super::rehearse::foretell(&mut plan, context);
    plan
}

/// Finds and reads the files, each once.
fn read_files(gate: &Migrate, context: &Context) -> Result<Vec<PlannedFile>, Vec<String>> {
    let mut paths: Vec<PathBuf> = Vec::new();
    let mut reasons = Vec::new();
    for pattern in &gate.files {
        let pattern = context.fill(pattern);
        let found = expand(&context.base.join(&pattern));
        if found.is_empty() {
            reasons.push(format!("no file matches `{pattern}`"));
        }
        // One glob after the other, and within one by bytes: the same on every machine.
        let mut found: Vec<PathBuf> = found.into_iter().filter(|p| !paths.contains(p)).collect();
        found.sort_by(|a, b| {
            a.as_os_str()
                .as_encoded_bytes()
                .cmp(b.as_os_str().as_encoded_bytes())
        });
        paths.extend(found);
    }
    let mut files = Vec::new();
    for path in paths {
        let name = context.shown(&path);
        match read_text(&path) {
            Err(reason) => reasons.push(format!("{name}: {reason}")),
            Ok(text) => {
                let script = Script::read_as(&text, dialect(gate));
                for problem in &script.problems {
                    let (line, message, help) = (problem.line, &problem.message, &problem.help);
                    reasons.push(format!("{name}:{line}: {message}; {help}"));
                }
                files.push(PlannedFile {
                    path,
                    name,
                    checksum: Checksum::of(&text),
                    script,
                    standing: Standing::Pending,
                    undoes: None,
                });
            }
        }
    }
    if reasons.is_empty() {
        Ok(files)
    } else {
        Err(reasons)
    }
}

fn dialect(gate: &Migrate) -> Dialect {
    match gate.engine {
        MigrateEngine::Native => Dialect::Sql,
        MigrateEngine::Psql => Dialect::Psql,
    }
}

pub(super) fn expand(pattern: &std::path::Path) -> Vec<PathBuf> {
    // A folder's own name may hold what a glob would read as a pattern.
    if pattern.is_file() {
        return vec![pattern.to_owned()];
    }
    glob::glob(&pattern.to_string_lossy())
        .map(|paths| paths.flatten().filter(|path| path.is_file()).collect())
        .unwrap_or_default()
}

/// Reads a file as UTF-8 text.
pub(super) fn read_text(path: &std::path::Path) -> Result<String, String> {
    let bytes = std::fs::read(path).map_err(|error| error.to_string())?;
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        format!("byte {at} is not UTF-8; save the file as UTF-8")
    })
}

/// The hash of the plan, from the files alone; what is wrong with them is part of it.
pub(super) fn inputs(gate: &Migrate, context: &Context) -> Option<String> {
    if !gate.undoes.is_empty() {
        // What is left to undo follows from the ledger, not from the files alone.
        return None;
    }
    Some(match read_files(gate, context) {
        Ok(files) => plan_digest(gate, &files),
        Err(reasons) => digest(reasons.join("\n").as_bytes()),
    })
}

/// What is applied already is not part of the hash: a plan that was carried out halfway is still
/// the same plan.
fn plan_digest(gate: &Migrate, files: &[PlannedFile]) -> String {
    let inputs: Vec<String> = files
        .iter()
        .map(|file| format!("{} {}", file.name, file.checksum.raw))
        .chain([gate.target.clone(), gate.role.clone().unwrap_or_default()])
        .collect();
    digest(inputs.join("\n").as_bytes())
}

fn describe(gate: &Migrate, migration: MigrationPlan) -> Plan {
    let pending = migration.pending().count();
    let statements: usize = migration
        .pending()
        .map(|file| file.script.statements.len())
        .sum();
    let summary = match (pending, migration.files.len()) {
        (0, _) if !gate.undoes.is_empty() => format!("nothing to undo on {}", gate.target),
        (p, _) if !gate.undoes.is_empty() => format!(
            "undo {p} applied files, {statements} statements, on {}",
            gate.target
        ),
        (0, n) => format!("nothing to do: {n} files are applied to {}", gate.target),
        (p, _) => format!(
            "apply {p} files, {statements} statements, to {}",
            gate.target
        ),
    };
    let mut plan = Plan::new(summary, &[]);
    plan.digest = plan_digest(gate, &migration.files);
    for refusal in &migration.refusals {
        plan.line(Tone::Bad, format!("refused: {refusal}"));
    }
    plan.line(Tone::Plain, super::migrate_session::settings_line(gate));
    if gate.engine == MigrateEngine::Psql {
        for line in super::migrate_psql::CANNOT {
            plan.line(Tone::Muted, line);
        }
    }
    for file in &migration.files {
        let (tone, word) = match &file.standing {
            Standing::Pending if file.undoes.is_some() => (Tone::Warning, "undoes".to_owned()),
            Standing::Applied { .. } if file.undoes.is_some() => (Tone::Muted, "undone".to_owned()),
            Standing::Pending => (Tone::Plain, "pending".to_owned()),
            Standing::Applied { at, .. } => (Tone::Muted, format!("applied {at}")),
            Standing::Changed { .. } => (Tone::Bad, "changed since it was applied".to_owned()),
            Standing::OutOfOrder { .. } => (Tone::Warning, "out of order".to_owned()),
            Standing::Lost => (Tone::Bad, "lost".to_owned()),
        };
        let count = file.script.statements.len();
        plan.line(
            tone,
            match &file.undoes {
                None if file.script.alone().is_some() => {
                    format!("{word:<9} {}  (outside of a transaction)", file.name)
                }
                Some(up) => format!("{word:<9} {up}  by {}  ({count} statements)", file.name),
                None => format!("{word:<9} {}  ({count} statements)", file.name),
            },
        );
    }
    for file in &migration.missing {
        plan.line(Tone::Bad, format!("missing   {file}"));
    }
    for file in migration.pending() {
        plan.line(
            Tone::Heading,
            format!("{}  {}", file.name, &file.checksum.raw[..12]),
        );
        plan.line(Tone::Sql, file.script.text.trim_end());
    }
    plan.refuses = migration.refusals.first().cloned();
    plan.payload = Payload::Migration(Box::new(migration));
    plan
}
