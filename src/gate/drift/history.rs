//! The migrations that a target must have had, and the version that was recorded last.

use crate::gate::Context;
use crate::gate::migrate_files::{expand, read_text};
use crate::postgres::ledger::LedgerRow;
use crate::postgres::schema_version::{self, Versions};
use crate::postgres::{PostgresError, Session, ledger};
use crate::runbook::Drift;
use crate::sql::Checksum;

use super::seen::{HistoryGap, HistoryStanding, VersionSeen};

/// A migration file as it lies here.
pub(super) struct File {
    name: String,
    checksum: Checksum,
}

/// Reads the files that the gate's patterns name.
pub(super) fn files(gate: &Drift, context: &Context) -> Result<Vec<File>, String> {
    let mut files: Vec<File> = Vec::new();
    for pattern in &gate.migrations {
        let pattern = context.fill(pattern);
        let mut paths = expand(&context.base.join(&pattern));
        if paths.is_empty() {
            return Err(format!("no file matches `{pattern}`"));
        }
        paths.sort();
        for path in paths {
            let name = context.shown(&path);
            if files.iter().any(|file| file.name == name) || name.ends_with(".down.sql") {
                continue;
            }
            let text = read_text(&path).map_err(|reason| format!("{name}: {reason}"))?;
            let checksum = Checksum::of(&text);
            files.push(File { name, checksum });
        }
    }
    Ok(files)
}

/// The files in words, for the hash of what was judged.
pub(super) fn digest_lines(files: &[File]) -> String {
    let lines: Vec<String> = files
        .iter()
        .map(|file| format!("{} {}", file.name, file.checksum.raw))
        .collect();
    lines.join("\n")
}

/// Where the ledger and the files do not say the same.
pub(super) fn gaps(files: &[File], rows: &[LedgerRow], pending: bool) -> Vec<HistoryGap> {
    let applied = |name: &str| {
        rows.iter()
            .find(|row| row.state.is_applied() && row.file == name)
    };
    let gap = |file: &str, standing| HistoryGap {
        file: file.to_owned(),
        standing,
    };
    // What comes after the last applied file is pending, which is no gap where that is allowed.
    let last = files.iter().rposition(|file| applied(&file.name).is_some());
    let due = |at: usize| !pending || last.is_some_and(|last| at < last);
    // A file that was applied under a name that is not here any more was moved or renamed.
    let moved = |file: &File| {
        let same = |row: &&LedgerRow| {
            row.state.is_applied()
                && row.checksum == file.checksum.normalised
                && files.iter().all(|other| other.name != row.file)
        };
        rows.iter().find(same).map(|row| row.file.clone())
    };
    let mut gaps: Vec<HistoryGap> = files
        .iter()
        .enumerate()
        .filter_map(|(at, file)| match applied(&file.name) {
            None if moved(file).is_some() => {
                let applied_as = moved(file).unwrap_or_default();
                Some(gap(&file.name, HistoryStanding::Moved { applied_as }))
            }
            None if !due(at) => None,
            None => Some(gap(&file.name, HistoryStanding::Missing)),
            Some(row) if row.checksum != file.checksum.normalised => {
                let applied_at = row.applied_at.clone();
                Some(gap(&file.name, HistoryStanding::Changed { applied_at }))
            }
            Some(_) => None,
        })
        .collect();
    // The ledger may hold other sets of files; only those of the same folders are asked for.
    let folder = |name: &str| name.rsplit_once('/').map(|(folder, _)| folder.to_owned());
    let folders: Vec<_> = files.iter().map(|file| folder(&file.name)).collect();
    for row in rows.iter().filter(|row| row.state.is_applied()) {
        let known = files.iter().any(|file| file.name == row.file);
        let moved = gaps.iter().any(|gap| gap.was_applied_as(&row.file));
        if !known && !moved && folders.contains(&folder(&row.file)) {
            let applied_at = row.applied_at.clone();
            gaps.push(gap(&row.file, HistoryStanding::Unexpected { applied_at }));
        }
    }
    gaps
}

/// What a target's own records say.
pub(super) struct Recorded {
    pub(super) gaps: Vec<HistoryGap>,
    pub(super) version: Option<VersionSeen>,
}

/// Asks the ledger and the table of versions.
pub(super) async fn recorded(
    gate: &Drift,
    files: &[File],
    session: &Session,
) -> Result<Recorded, PostgresError> {
    let rows = match (files, &gate.version_table) {
        ([], None) => Vec::new(),
        _ => ledger::rows(session).await?,
    };
    let mut gaps = match files {
        [] => Vec::new(),
        files => self::gaps(files, &rows, gate.pending),
    };
    let Some(table) = &gate.version_table else {
        return Ok(Recorded {
            gaps,
            version: None,
        });
    };
    let mut seen = VersionSeen {
        table: table.clone(),
        ..VersionSeen::default()
    };
    match schema_version::newest(session, table).await? {
        Versions::Absent | Versions::Newest(None) => {}
        Versions::Foreign(lacking) => seen.lacks = lacking,
        Versions::Newest(Some(row)) => {
            gaps.extend(forgotten(&row.version, &row.migrations, &rows));
            seen.version = Some(row.version);
            seen.applied_at = row.applied_at;
            seen.checksum = row.checksum;
        }
    }
    Ok(Recorded {
        gaps,
        version: Some(seen),
    })
}

/// Files that a version says were applied, and the ledger does not: it was lost, or undone since.
fn forgotten(version: &str, migrations: &[String], rows: &[LedgerRow]) -> Vec<HistoryGap> {
    let is_applied = |file: &String| {
        let mut applied = rows.iter().filter(|row| row.state.is_applied());
        applied.any(|row| row.file == *file)
    };
    let lost = migrations.iter().filter(|file| !is_applied(file));
    lost.map(|file| HistoryGap {
        file: file.clone(),
        standing: HistoryStanding::Forgotten {
            version: version.to_owned(),
        },
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::postgres::ledger::LedgerState;

    fn file(name: &str, text: &str) -> File {
        File {
            name: name.to_owned(),
            checksum: Checksum::of(text),
        }
    }

    fn row(name: &str, text: &str, state: LedgerState) -> LedgerRow {
        LedgerRow {
            nonce: name.to_owned(),
            state,
            collection: "eng".to_owned(),
            file: name.to_owned(),
            checksum: Checksum::of(text).normalised,
            raw_sha256: String::new(),
            run: String::new(),
            applied_by: String::new(),
            applied_at: "2026-11-02 01:00:00".to_owned(),
        }
    }

    #[test]
    fn a_moved_folder_and_a_lost_ledger_are_found() {
        let files = [file("new/1.sql", "one")];
        let rows = [row("m/1.sql", "one", LedgerState::Applied)];
        let moved = gaps(&files, &rows, true);
        assert_eq!(
            moved[0].words(),
            "moved migration new/1.sql: it was applied as m/1.sql"
        );
        assert_eq!(moved.len(), 1);
        let listed = ["m/1.sql".to_owned(), "m/2.sql".to_owned()];
        let lost = forgotten("20240115.143022", &listed, &rows);
        assert_eq!(lost.len(), 1);
        assert!(
            lost[0]
                .words()
                .starts_with("forgotten migration m/2.sql: version 2024")
        );
    }

    #[test]
    fn missing_changed_and_unexpected_migrations_are_all_found() {
        let files = [
            file("m/1.sql", "one\n"),
            file("m/2.sql", "two"),
            file("m/3.sql", "three"),
            file("m/4.sql", "four"),
        ];
        let applied = LedgerState::Applied;
        let rows = [
            // A line ending is no other file.
            row("m/1.sql", "one\r\n", applied),
            row("m/2.sql", "other", applied),
            row("m/4.sql", "four", LedgerState::Reverted),
            row("m/5.sql", "five", applied),
            row("elsewhere/1.sql", "x", applied),
        ];
        let found = |pending: bool| -> Vec<String> {
            let gaps = gaps(&files, &rows, pending);
            gaps.iter().map(HistoryGap::words).collect()
        };
        // Both files that are not applied come after the last one that is.
        assert_eq!(found(true).len(), 2);
        assert!(
            found(true)
                .iter()
                .all(|words| !words.starts_with("missing"))
        );
        assert_eq!(
            found(false),
            [
                "checksum mismatch of m/2.sql: it has changed since it was applied on 2026-11-02 01:00:00",
                "missing migration m/3.sql",
                "missing migration m/4.sql",
                "unexpected migration m/5.sql: it was applied on 2026-11-02 01:00:00 and is not here",
            ]
        );
    }
}
