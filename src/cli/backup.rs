//! `backup`: a database into files, and what they hold.

use std::fs::File;
use std::path::Path;

use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::arguments::Format;
use super::backup_arguments::{BackupArguments, BackupLayout};
use super::interruptible::{self, Ticker, bytes};
use super::{Exit, address, say};
use crate::postgres::conninfo::Conninfo;
use crate::postgres::dump::{self, DumpError, DumpRequest, Layout, Manifest};
use crate::postgres::json_dump::{self, JsonDumpError, JsonDumpRequest};
use crate::postgres::json_manifest::JsonManifest;
use crate::postgres::{PostgresError, Session, SessionSettings, identity};
use crate::untrusted::clean_line;

const APPLICATION: &str = "stagegate backup";

pub(super) fn run(arguments: &BackupArguments) -> Exit {
    if arguments.format != BackupLayout::Json && !arguments.table.is_empty() {
        return wrong(
            "--table goes with --format json only".to_owned(),
            Exit::Usage,
        );
    }
    let plain = |name: &str| !name.is_empty() && !name.starts_with('.') && !name.contains('/');
    if let Some(name) = arguments.name.as_deref().filter(|name| !plain(name)) {
        let what = format!("--name is a name in the folder, and `{name}` is none");
        return wrong(what, Exit::Usage);
    }
    let info = match address::resolve(&arguments.target) {
        Ok(info) => info,
        Err(error) => return wrong(error, Exit::Config),
    };
    let name = arguments.name.clone().unwrap_or_else(|| {
        let now = jiff::Timestamp::now().strftime("%Y%m%dT%H%M%SZ");
        free_name(
            &arguments.to,
            &format!("{}_{now}", file_safe(&info.database)),
        )
    });
    let done = interruptible::run(|cancel| async move {
        match arguments.format {
            BackupLayout::Json => json(arguments, &info, &name, &cancel).await,
            BackupLayout::Custom => archive(arguments, &info, &name, Layout::Custom, &cancel).await,
            BackupLayout::Directory => {
                archive(arguments, &info, &name, Layout::Directory, &cancel).await
            }
        }
    });
    match done {
        Ok(Ok(text)) => {
            say::data(&text);
            Exit::Well
        }
        Ok(Err(exit)) | Err(exit) => exit,
    }
}

/// Adds a number where a backup of the same second stands.
fn free_name(folder: &Path, name: &str) -> String {
    let endings = ["", ".partial", ".dump", ".dir"];
    let taken = |name: &str| {
        let stands = |ending: &&str| folder.join(format!("{name}{ending}")).exists();
        endings.iter().any(stands)
    };
    let numbered = (2..).map(|n| format!("{name}_{n}"));
    let mut names = std::iter::once(name.to_owned()).chain(numbered);
    names.find(|name| !taken(name)).unwrap_or_default()
}

/// A database's name may hold what a path may not.
fn file_safe(name: &str) -> String {
    let safe = |c: char| match c {
        'a'..='z' | 'A'..='Z' | '0'..='9' | '_' | '-' => c,
        _ => '_',
    };
    name.chars().map(safe).collect()
}

fn wrong(what: String, exit: Exit) -> Exit {
    say::Trouble {
        what,
        untouched: "nothing was read or written",
        next: "see: stagegate backup --help".to_owned(),
        evidence: "this message".to_owned(),
    }
    .say();
    exit
}

async fn json(
    arguments: &BackupArguments,
    info: &Conninfo,
    name: &str,
    cancel: &CancellationToken,
) -> Result<String, Exit> {
    let request = JsonDumpRequest {
        info,
        jobs: arguments.jobs,
        folder: &arguments.to,
        name,
        application_name: APPLICATION,
        only: &arguments.table,
    };
    let ticker = Ticker::new();
    let dumped = json_dump::dump(&request, cancel, |progress| {
        ticker.tell(&format!(
            "table {} of {}, {} rows, {}",
            progress.tables_done,
            progress.tables,
            progress.rows,
            bytes(progress.bytes)
        ));
    })
    .await;
    drop(ticker);
    tell_leftovers(&arguments.to);
    match dumped {
        Ok((folder, manifest)) => Ok(json_report(arguments.report, &folder, &manifest)),
        Err(error) => Err(trouble(&error.to_string(), json_advice(&error))),
    }
}

/// Names what backups left that were killed; they take space, and nobody else removes them.
fn tell_leftovers(folder: &Path) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        let unfinished = path.extension().is_some_and(|ending| ending == "partial");
        // One that is being written is locked.
        if unfinished && File::open(&path).is_ok_and(|f| f.try_lock().is_ok()) {
            say::note(&format!(
                "stagegate: {} was left by an interrupted backup and can be removed",
                clean_line(&path.display().to_string())
            ));
        }
    }
}

fn json_advice(error: &JsonDumpError) -> (&'static str, Exit) {
    let advice = match error {
        JsonDumpError::Canceled => return ("run it again", Exit::Interrupted),
        JsonDumpError::Postgres(error) => match error.sqlstate() {
            Some("42501") if error.to_string().contains("row-level security") => {
                "connect as a role that policies do not bind (BYPASSRLS), or as the owner"
            }
            Some("42501") => "let the role read everything: GRANT pg_read_all_data TO it",
            Some("22021") => "JSON holds UTF-8 only; back this database up with --format custom",
            Some("55P03") => "wait until whoever changes that table is done, and run it again",
            _ => "mend the address, the server or the privileges, and run it again",
        },
        JsonDumpError::File { .. } => "make room, or name a folder that can be written: --to",
        JsonDumpError::Exists(_) | JsonDumpError::Busy(_) => "choose another --name",
        JsonDumpError::NoTable(_) => {
            "name tables that are there; a view or a partitioned table \
                                      has no rows of its own"
        }
        _ => "mend what it says, and run it again",
    };
    (advice, Exit::Error)
}

fn trouble(what: &str, (next, exit): (&str, Exit)) -> Exit {
    say::Trouble {
        what: format!("no backup was taken: {what}"),
        untouched: "the database; nothing is left of this backup",
        next: next.to_owned(),
        evidence: "this message".to_owned(),
    }
    .say();
    exit
}

fn json_report(format: Format, folder: &Path, manifest: &JsonManifest) -> String {
    let path = clean_line(&folder.display().to_string());
    if format == Format::Json {
        let report = json!({ "format": 1, "path": folder, "manifest": manifest });
        return format!("{report}\n");
    }
    let mut text = format!(
        "backup   {path}\nof       {}, PostgreSQL {}\nmoment   {}, WAL {}\nholds    {} tables, {} \
         rows, {} sequences, {} in {:.1} s\n",
        clean_line(&manifest.server),
        clean_line(&manifest.server_version),
        clean_line(&manifest.taken_at),
        clean_line(&manifest.wal_position),
        manifest.tables.len(),
        manifest.rows(),
        manifest.sequences.len(),
        bytes(manifest.bytes()),
        manifest.duration_ms as f64 / 1000.0,
    );
    for lack in &manifest.left_out {
        text.push_str(&format!("not in   {}\n", clean_line(lack)));
    }
    text.push_str(&format!("next     stagegate verify-backup {path}\n"));
    text
}

async fn archive(
    arguments: &BackupArguments,
    info: &Conninfo,
    name: &str,
    layout: Layout,
    cancel: &CancellationToken,
) -> Result<String, Exit> {
    let survey = match survey(info).await {
        Ok(survey) => survey,
        Err(error) => {
            let next = "mend the address, the server or the privileges, and run it again";
            return Err(trouble(&error.to_string(), (next, Exit::Error)));
        }
    };
    let private = tempfile::tempdir().map_err(|error| {
        let next = "make room where temporary files go";
        trouble(&error.to_string(), (next, Exit::Error))
    })?;
    let request = DumpRequest {
        info,
        layout,
        jobs: arguments.jobs,
        folder: &arguments.to,
        name,
        application_name: APPLICATION,
        private_folder: private.path(),
        snapshot: None,
    };
    let ticker = Ticker::new();
    let dumped = dump::dump(&request, &survey, None, cancel, |progress, _| {
        ticker.tell(&format!(
            "table {} of {}, {} written",
            progress.tables_begun,
            progress.tables,
            bytes(progress.bytes_written)
        ));
    })
    .await;
    drop(ticker);
    match dumped {
        Ok(manifest) => Ok(archive_report(arguments.report, &manifest)),
        Err(error) => {
            let advice = match &error {
                DumpError::Canceled => ("run it again", Exit::Interrupted),
                DumpError::Missing(_) => {
                    ("install what is named, or use --format json", Exit::Error)
                }
                DumpError::Exists(_) => ("choose another --name", Exit::Error),
                _ => ("mend what it says, and run it again", Exit::Error),
            };
            Err(trouble(&error.to_string(), advice))
        }
    }
}

async fn survey(info: &Conninfo) -> Result<dump::Survey, PostgresError> {
    let settings = SessionSettings {
        application_name: APPLICATION.to_owned(),
        read_only: true,
        ..SessionSettings::default()
    };
    let session = Session::open(info, &settings).await?;
    let mut survey = dump::survey(&session).await?;
    survey.server = identity::read(&session).await?.describe();
    session.close().await;
    Ok(survey)
}

fn archive_report(format: Format, manifest: &Manifest) -> String {
    if format == Format::Json {
        let report = json!({ "format": 1, "path": manifest.path, "manifest": manifest });
        return format!("{report}\n");
    }
    let path = clean_line(&manifest.path);
    format!(
        "backup   {path}\nof       {}, PostgreSQL {}\nmoment   {}, WAL {}\nholds    {} tables, {} \
         in {:.1} s, read back in full\nby       pg_dump {}\nnext     stagegate verify-backup {path}\n",
        clean_line(&manifest.server),
        clean_line(&manifest.server_version),
        clean_line(&manifest.taken_at),
        clean_line(&manifest.wal_position),
        manifest.tables,
        bytes(manifest.bytes),
        manifest.duration_ms as f64 / 1000.0,
        clean_line(&manifest.pg_dump_version),
    )
}
