//! `restore` of what pg_dump wrote: into an empty database, and compared with the manifest.

use std::path::Path;
use std::time::Duration;

use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::arguments::Format;
use super::backup_arguments::{ConflictPolicy, RestoreArguments};
use super::interruptible::{Ticker, bytes};
use super::restore::{NAME, confirmed, refused};
use super::{Exit, say};
use crate::postgres::conninfo::Conninfo;
use crate::postgres::content;
use crate::postgres::dump::{self, DumpError, Manifest};
use crate::postgres::restore::{self, RestoreRequest};
use crate::postgres::{
    Identity, OperatorLock, OperatorLockError, PostgresError, Session, SessionSettings, identity,
};
use crate::untrusted::{clean, clean_line};

const APPLICATION: &str = "stagegate by hand restore";

pub(super) async fn run(
    arguments: &RestoreArguments,
    info: &Conninfo,
    cancel: &CancellationToken,
) -> Result<String, Exit> {
    if arguments.conflict != ConflictPolicy::Refuse {
        let what = "a backup of pg_dump goes into an empty database only";
        let next = "make an empty database; or use the restore gate of a runbook, which goes over \
                    one in use with its guards";
        return Err(refused(what, next, Exit::DestructiveRefused));
    }
    let use_another = "use another backup";
    let manifest = dump::manifest_beside(&arguments.backup).map_err(|error| {
        let what = format!("there is no backup: {error}");
        refused(&what, use_another, Exit::Error)
    })?;
    // Before pg_restore sees a byte of it.
    dump::check_files(&manifest).map_err(|what| {
        let what = format!("the backup is not what its manifest says: {what}");
        refused(&what, use_another, Exit::Error)
    })?;
    let server = |error: &PostgresError| {
        let next = "mend the address, the server or the privileges";
        refused(&error.to_string(), next, Exit::Error)
    };
    let settings = SessionSettings {
        application_name: APPLICATION.to_owned(),
        statement_timeout: Duration::ZERO,
        ..SessionSettings::default()
    };
    let session = Session::open(info, &settings)
        .await
        .map_err(|e| server(&e))?;
    let identity = identity::read(&session).await.map_err(|e| server(&e))?;
    show(&manifest, &identity);
    let there = relations(&session).await.map_err(|e| server(&e))?;
    if there > 0 {
        let what = format!(
            "the database {} is not empty: it has {there} tables, views and sequences",
            clean_line(&identity.database)
        );
        let next = "restore into an empty database";
        return Err(refused(&what, next, Exit::DestructiveRefused));
    }
    confirmed(arguments, &identity)?;
    let lock = OperatorLock::acquire(info, NAME, Duration::ZERO)
        .await
        .map_err(|error| match error {
            OperatorLockError::Held(_) => {
                let next = "wait for that operator, and run it again";
                refused(&error.to_string(), next, Exit::Held)
            }
            _ => refused(&error.to_string(), "mend what it says", Exit::Error),
        })?;
    pg_restore(arguments, &manifest, &session.conninfo_here(), cancel).await?;
    let compared = compare(&session, &manifest).await;
    lock.release().await;
    compared?;
    Ok(report(arguments.format, &manifest, &identity))
}

async fn relations(session: &Session) -> Result<i64, PostgresError> {
    let sql = "SELECT count(*) FROM pg_catalog.pg_class c \
               JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
               WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' \
               AND c.relkind IN ('r', 'p', 'v', 'm', 'S', 'f') AND NOT EXISTS (\
                 SELECT FROM pg_catalog.pg_depend d WHERE d.objid = c.oid AND d.deptype = 'e')";
    Ok(session.client.query_typed_one(sql, &[]).await?.get(0))
}

fn show(manifest: &Manifest, identity: &Identity) {
    say::note(&format!(
        "backup   {} of {}\nholds    {} tables, {}\ninto     {}, PostgreSQL {}\nthen     every \
         table compared with the backup",
        clean_line(&manifest.taken_at),
        clean_line(&manifest.server),
        manifest.tables,
        bytes(manifest.bytes),
        clean_line(&identity.describe()),
        clean_line(&identity.server_version),
    ));
}

async fn pg_restore(
    arguments: &RestoreArguments,
    manifest: &Manifest,
    info: &Conninfo,
    cancel: &CancellationToken,
) -> Result<(), Exit> {
    let failed = |error: &DumpError| {
        let exit = match error {
            DumpError::Canceled => Exit::Interrupted,
            _ => Exit::Error,
        };
        partly(&error.to_string(), exit)
    };
    let version: u32 = manifest
        .server_version
        .split(['.', ' '])
        .next()
        .and_then(|major| major.parse().ok())
        .unwrap_or(0);
    let (_, program) = dump::find_programs(version).map_err(|error| {
        let next = "install what is named";
        refused(&error.to_string(), next, Exit::Error)
    })?;
    let private = tempfile::tempdir().map_err(|error| {
        let next = "make room where temporary files go";
        refused(&error.to_string(), next, Exit::Error)
    })?;
    let ticker = Ticker::new();
    let request = RestoreRequest {
        program: &program,
        info,
        archive: Path::new(&manifest.path),
        layout: manifest.layout,
        jobs: arguments.jobs,
        in_place: false,
        application_name: APPLICATION,
        private_folder: private.path(),
        timeout: None,
    };
    restore::run(&request, cancel, |line| ticker.tell(line))
        .await
        .map_err(|error| failed(&error))
}

/// The database was empty, and is not what it should be.
fn partly(what: &str, exit: Exit) -> Exit {
    say::Trouble {
        what: clean(what).into_owned(),
        untouched: "every other database; this one was empty and may now hold a part of the backup",
        next: "drop the database, make it again, mend what it says, and run it again".to_owned(),
        evidence: "this message".to_owned(),
    }
    .say();
    exit
}

async fn compare(session: &Session, manifest: &Manifest) -> Result<(), Exit> {
    let ticker = Ticker::new();
    let found = content::read(session, &manifest.contents, |table| {
        ticker.tell(&format!("comparing {table}"));
    })
    .await
    .map_err(|error| partly(&error.to_string(), Exit::Error))?;
    drop(ticker);
    let differences = content::differences(&manifest.contents, &found);
    match differences.is_empty() {
        true => Ok(()),
        false => Err(partly(
            &format!("restored, and not equal: {}", differences.join("; ")),
            Exit::Differs,
        )),
    }
}

fn report(format: Format, manifest: &Manifest, identity: &Identity) -> String {
    let rows: u64 = manifest.contents.values().map(|table| table.rows).sum();
    if format == Format::Json {
        let report = json!({
            "format": 1, "target": identity, "tables": manifest.contents,
        });
        return format!("{report}\n");
    }
    format!(
        "restored into {}: {} tables, {rows} rows, equal to the backup\n",
        clean_line(&identity.describe()),
        manifest.contents.len(),
    )
}
