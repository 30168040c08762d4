//! `audit`: what each database says of itself, side by side, and a diagnosis. It never changes one.

use std::path::Path;

use super::seen::{AlembicSeen, DatabaseSeen};
use super::sight::Sight;
use crate::expectation::Finding;
use crate::gate::drift::DriftOptions;
use crate::gate::{Evidence, Outcome, change_words};
use crate::postgres::catalog;
use crate::postgres::session::SessionSettings;
use crate::schema::Snapshot;
use crate::system::durable::write_whole;

/// How the databases stand to each other and to the history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Diagnosis {
    Ok,
    /// Another version, an unknown one, or another schema.
    Mismatch,
    /// A database has no version table.
    Missing,
}

impl Diagnosis {
    /// The policy's word for it.
    pub fn word(self) -> &'static str {
        match self {
            Diagnosis::Ok => "OK",
            Diagnosis::Mismatch => "MISMATCH",
            Diagnosis::Missing => "MISSING",
        }
    }

    /// Diagnoses what was seen.
    pub fn of(seen: &AlembicSeen) -> Diagnosis {
        let databases = || seen.databases.iter();
        if databases().any(|database| database.relation.is_none()) {
            return Diagnosis::Missing;
        }
        let strange = databases().any(|database| !database.unknown.is_empty());
        let versions: Vec<_> = databases().map(|database| &database.versions).collect();
        let apart = versions.windows(2).any(|pair| pair[0] != pair[1]);
        let differ = seen.differences.as_ref().is_some_and(|d| !d.is_empty());
        match strange || apart || differ || !seen.troubles.is_empty() {
            true => Diagnosis::Mismatch,
            false => Diagnosis::Ok,
        }
    }
}

pub(super) async fn run(sight: &Sight<'_>) -> Outcome {
    let mut seen = match sight.look_at_all().await {
        Ok(seen) => seen,
        Err(outcome) => return outcome,
    };
    seen.version = sight.version().await;
    if let Some(reference) = &sight.gate.reference {
        let pair = (
            schema(sight, &sight.gate.target).await,
            schema(sight, reference).await,
        );
        match pair {
            (Ok(here), Ok(there)) => seen.differences = Some(differences(&there, &here)),
            (Err(reason), _) | (_, Err(reason)) => {
                return Outcome::of(
                    Finding::errored("a schema could not be read")
                        .because(reason)
                        .can("mend what it says, then retry this gate"),
                );
            }
        }
    }
    let written = sight.gate.write.as_ref().map(|folder| {
        let folder = sight.context.path(folder);
        write(&folder, &seen, &sight.context.values)
    });
    let finding = match written.transpose() {
        Ok(written) => {
            let files = written.unwrap_or_default();
            let shown = files.iter().map(|path| sight.context.shown(path));
            seen.written = shown.collect();
            super::judge::audit(&seen, &sight.gate.accept)
        }
        Err(reason) => Finding::errored("the summaries could not be written")
            .because(reason)
            .can("make room or mend the path, then retry this gate"),
    };
    Outcome::of(finding).with(evidence(sight, seen))
}

/// What an `alembic` gate leaves as evidence.
pub(super) fn evidence(sight: &Sight<'_>, seen: AlembicSeen) -> Evidence {
    Evidence::Alembic {
        target: sight.gate.target.clone(),
        server: seen
            .here()
            .map_or(String::new(), |here| here.server.clone()),
        inputs: super::inputs_of(sight),
        seen: Box::new(seen),
    }
}

/// Reads the schema of a target.
pub(super) async fn schema(sight: &Sight<'_>, target: &str) -> Result<Snapshot, String> {
    let settings = SessionSettings {
        read_only: true,
        ..SessionSettings::default()
    };
    let targets = &sight.context.targets;
    let opened = targets.open(target, &sight.context.gate.id, settings);
    let (session, _) = opened.await.map_err(|error| error.to_string())?;
    let read = catalog::read(&session).await;
    session.close().await;
    read.map_err(|error| error.to_string())
}

/// Where a schema differs from the one that it should be, in words.
pub(super) fn differences(wanted: &Snapshot, found: &Snapshot) -> Vec<String> {
    let compared = DriftOptions::default().compare(wanted, found);
    compared.differences.iter().map(change_words).collect()
}

/// Writes one summary for each database; returns where they are.
fn write(
    folder: &Path,
    seen: &AlembicSeen,
    values: &std::collections::BTreeMap<String, String>,
) -> Result<Vec<std::path::PathBuf>, String> {
    std::fs::create_dir_all(folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    let run = values.get("run.id").map_or("", String::as_str);
    seen.databases
        .iter()
        .map(|database| {
            let path = folder.join(format!("{}-summary.txt", short(database)));
            let text = summary(seen, database, run);
            write_whole(&path, text.as_bytes())
                .map_err(|error| format!("{}: {error}", path.display()))?;
            Ok(path)
        })
        .collect()
}

/// The policy's names for the two that it knows.
fn short(database: &DatabaseSeen) -> &str {
    match database.environment.as_str() {
        "development" => "dev",
        "production" => "prod",
        _ => &database.target,
    }
}

/// What a summary says of one database.
fn summary(seen: &AlembicSeen, database: &DatabaseSeen, run: &str) -> String {
    let mut text = String::new();
    let mut line = |words: String| {
        text.push_str(&words);
        text.push('\n');
    };
    line(format!("diagnosis    {}", Diagnosis::of(seen).word()));
    line(format!(
        "target       {} ({})",
        database.target, database.environment
    ));
    line(format!("server       {}", database.server));
    line(format!("database     {}", database.database));
    line(format!("user         {}", database.user));
    line(format!("search_path  {}", database.search_path));
    line(format!("alembic      {}", database.at()));
    line(format!("heads        {}", seen.heads.join(", ")));
    for unknown in &database.unknown {
        line(format!("unknown      no file has revision {unknown}"));
    }
    match database.behind.len() {
        0 => {}
        n => line(format!("behind       {n}: {}", database.behind.join(", "))),
    }
    for trouble in &seen.troubles {
        line(format!("history      {trouble}"));
    }
    if !run.is_empty() {
        line(format!("run          {run}"));
    }
    line(format!("tables       {}", database.tables.len()));
    for table in &database.tables {
        line(format!("  {table}"));
    }
    if let Some(differences) = &seen.differences {
        let names: Vec<&str> = seen.databases.iter().map(|d| d.target.as_str()).collect();
        line(format!(
            "distance     {} differences between {}",
            differences.len(),
            names.join(" and ")
        ));
        for difference in differences {
            line(format!("  {difference}"));
        }
    }
    text
}
