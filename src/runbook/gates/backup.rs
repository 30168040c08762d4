//! Reads a backup: of which target, where to, in which format.

use crate::runbook::model::{Backup, BackupFormat};
use crate::runbook::names::{Names, check_template, need_target};
use crate::runbook::problem::choices;
use crate::runbook::reader::TableReader;

pub(super) fn read(mut table: TableReader<'_, '_>, names: &Names) -> Backup {
    let target = need_target(&mut table, names);
    let path = table.need_string("path");
    check_template(&path, &table, names);
    let format = match table.string("format") {
        None => BackupFormat::Custom,
        Some(given) => match given.value.as_str() {
            "custom" => BackupFormat::Custom,
            "directory" => BackupFormat::Directory,
            other => {
                let help = choices(other, &["custom", "directory"]);
                table.findings.add(
                    given.span,
                    format!("`{other}` is no format that pg_restore reads back with its checks"),
                    "not known",
                    Some(help),
                );
                BackupFormat::Custom
            }
        },
    };
    let jobs = table.whole("jobs", 1..=64);
    if let Some(jobs) = &jobs
        && format == BackupFormat::Custom
        && jobs.value > 1
    {
        table.findings.add(
            jobs.span.clone(),
            format!("`jobs` of {} needs the directory format", table.name),
            "pg_dump writes the custom format with one worker",
            Some("write format = \"directory\"".into()),
        );
    }
    table.finish();
    Backup {
        target,
        path: path.value,
        format,
        jobs: jobs.map_or(1, |j| j.value as u32),
    }
}
