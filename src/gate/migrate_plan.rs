//! What a `migrate` gate would do: its files in order, and where each stands in the ledger.

use std::path::PathBuf;

use super::migrate_beside;
use super::migrate_described::describe;
use super::migrate_files::{Known, load, understand};
use super::{Context, Plan, TargetError, Tone};
use crate::digest::digest;
use crate::postgres::ledger::{LedgerRow, LedgerState};
use crate::runbook::Migrate;
use crate::runbook::naming::{Mark, Style};
use crate::sql::{Checksum, Script};

/// Where a file stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    Pending,
    /// The ledger has it, with the same checksum.
    Applied {
        at: String,
        by: String,
        /// The bytes differ, by line ends or a byte-order mark.
        line_ends: bool,
    },
    /// It was applied before the ledger was there: the ledger says so, or is going to.
    Baseline {
        at: Option<String>,
    },
    /// It is applied whenever it has changed, and it has.
    Again {
        applied: String,
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
    /// What it has in common with the file that undoes it.
    pub mark: Mark,
    pub script: Script,
    pub standing: Standing,
    /// The applied file that this one undoes.
    pub undoes: Option<String>,
    /// What is done to its text before it runs, for people.
    pub notes: Vec<String>,
}

/// Everything that a migrate gate is going to do.
#[derive(Debug, Clone)]
pub struct MigrationPlan {
    pub files: Vec<PlannedFile>,
    /// Files that the ledger has and the folder lacks.
    pub missing: Vec<String>,
    /// Why nothing may be started, each with file and line where there is one.
    pub refusals: Vec<String>,
    /// Who says of files that they were applied before.
    pub taken_by: Option<String>,
}

impl MigrationPlan {
    /// The files that would be applied.
    pub fn pending(&self) -> impl Iterator<Item = &PlannedFile> {
        self.files.iter().filter(|file| {
            matches!(
                file.standing,
                Standing::Pending | Standing::OutOfOrder { .. } | Standing::Again { .. }
            )
        })
    }
}

pub(super) async fn plan(gate: &Migrate, context: &Context) -> Plan {
    // The files are read while the server is asked which of them it has.
    let (own, given) = (gate.clone(), context.clone());
    let loading = tokio::task::spawn_blocking(move || load(&own, &given));
    let (records, session) = match migrate_beside::ask(gate, context).await {
        Ok(asked) => asked,
        Err(error) => return cannot_ask(gate, &error),
    };
    let loaded = match loading.await {
        Ok(loaded) => loaded,
        Err(_) => load(gate, context),
    };
    let read = understand(gate, loaded, &known(gate, &records.rows));
    let files = read.as_ref().map_or(0, Vec::len);
    let beside = match migrate_beside::beside(gate, &session, &records, files).await {
        Ok(beside) => beside,
        Err(error) => return cannot_ask(gate, &error.into()),
    };
    drop(session);
    let migration = match read {
        Ok(files) if !gate.undoes.is_empty() => {
            super::migrate_down::stand(gate, context, &files, &records.rows)
        }
        Ok(files) => super::migrate_stand::stand(gate, context, files, &records),
        Err(reasons) => MigrationPlan {
            files: Vec::new(),
            missing: Vec::new(),
            refusals: reasons,
            taken_by: None,
        },
    };
    let files = migration.files.iter();
    let digest = plan_digest(gate, files.map(|file| (file.name.as_str(), &file.checksum)));
    let mut plan = describe(gate, digest, migration);
    migrate_beside::describe(&mut plan, gate, &beside);
    super::rehearse::foretell(&mut plan, context);
    plan
}

fn cannot_ask(gate: &Migrate, error: &TargetError) -> Plan {
    let reason = format!("{} cannot be asked: {error}", gate.target);
    let mut plan = Plan::new(format!("apply SQL files to {}", gate.target), &[&reason]);
    plan.line(Tone::Bad, &reason);
    plan.refuses = Some(reason);
    plan
}

/// The applied files, each with its checksum: as long as they have it, nobody reads their SQL.
fn known(gate: &Migrate, rows: &[LedgerRow]) -> Known {
    let applied = rows
        .iter()
        .filter(|row| gate.undoes.is_empty() && row.state == LedgerState::Applied);
    applied
        .map(|row| (row.file.clone(), row.checksum.clone()))
        .collect()
}

/// The hash of the plan, from the files alone; what is wrong with them is part of it.
pub(super) fn inputs(gate: &Migrate, context: &Context) -> Option<String> {
    if !gate.undoes.is_empty() {
        // What is left to undo follows from the ledger, not from the files alone.
        return None;
    }
    let read = load(gate, context);
    Some(match read.hashes() {
        Ok(hashes) => plan_digest(gate, hashes),
        Err(reasons) => digest(reasons.join("\n").as_bytes()),
    })
}

/// What is applied already is not part of the hash: a plan that was carried out halfway is still
/// the same plan.
fn plan_digest<'a>(gate: &Migrate, files: impl Iterator<Item = (&'a str, &'a Checksum)>) -> String {
    let inputs: Vec<String> = files
        .map(|(name, checksum)| format!("{name} {}", checksum.raw))
        .chain([gate.target.clone(), gate.role.clone().unwrap_or_default()])
        .chain((gate.style != Style::Plain).then(|| gate.style.word().to_owned()))
        .chain([&gate.adopt, &gate.baseline].into_iter().flatten().cloned())
        .collect();
    digest(inputs.join("\n").as_bytes())
}
