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
use crate::postgres::enrolment::{self, Purpose};
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
    let settings = SessionSettings {
        application_name: APPLICATION.to_owned(),
        statement_timeout: Duration::ZERO,
        ..SessionSettings::default()
    };
    let session = Session::open(info, &settings)
        .await
        .map_err(|e| server(&e))?;
    let identity = identity::read(&session).await.map_err(|e| server(&e))?;
    // Whoever may not read the mark is not told of it.
    let mark = enrolment::read(&session).await.ok().flatten();
    let mark = mark.filter(|mark| mark.is_for(&identity));
    show(&manifest, &identity, mark.and_then(|mark| mark.purpose));
    require_empty(&session, &identity).await?;
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
    // Somebody may have filled it while the name was typed.
    require_empty(&session, &identity).await?;
    pg_restore(arguments, &manifest, &session.conninfo_here(), cancel).await?;
    let compared = compare(&session, &manifest).await;
    lock.release().await;
    compared?;
    Ok(report(arguments.format, &manifest, &identity))
}

/// What a person may have made, and no extension did. Types of tables and of arrays come with
/// what they belong to.
const OBJECTS: &str = "\
SELECT (SELECT count(*) FROM (\
    SELECT 'pg_catalog.pg_class'::pg_catalog.regclass AS catalog, oid, relnamespace AS namespace \
      FROM pg_catalog.pg_class WHERE relkind IN ('r', 'p', 'v', 'm', 'S', 'f', 'c') \
    UNION ALL SELECT 'pg_catalog.pg_proc'::pg_catalog.regclass, oid, pronamespace \
      FROM pg_catalog.pg_proc \
    UNION ALL SELECT 'pg_catalog.pg_type'::pg_catalog.regclass, oid, typnamespace \
      FROM pg_catalog.pg_type WHERE typtype IN ('b', 'd', 'e', 'r') AND typcategory <> 'A' \
    UNION ALL SELECT 'pg_catalog.pg_operator'::pg_catalog.regclass, oid, oprnamespace \
      FROM pg_catalog.pg_operator \
    UNION ALL SELECT 'pg_catalog.pg_collation'::pg_catalog.regclass, oid, collnamespace \
      FROM pg_catalog.pg_collation \
    UNION ALL SELECT 'pg_catalog.pg_namespace'::pg_catalog.regclass, oid, oid \
      FROM pg_catalog.pg_namespace WHERE nspname <> 'public') o \
  JOIN pg_catalog.pg_namespace n ON n.oid = o.namespace \
  WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' AND NOT EXISTS (\
    SELECT FROM pg_catalog.pg_depend d \
    WHERE d.classid = o.catalog AND d.objid = o.oid AND d.deptype = 'e')) \
+ (SELECT count(*) FROM pg_catalog.pg_event_trigger e WHERE NOT EXISTS (\
    SELECT FROM pg_catalog.pg_depend d WHERE d.objid = e.oid AND d.deptype = 'e' \
    AND d.classid = 'pg_catalog.pg_event_trigger'::pg_catalog.regclass)) \
+ (SELECT count(*) FROM pg_catalog.pg_largeobject_metadata)";

async fn require_empty(session: &Session, identity: &Identity) -> Result<(), Exit> {
    let found = session.client.query_typed_one(OBJECTS, &[]).await;
    let there: i64 = found.map_err(|error| server(&error.into()))?.get(0);
    if there == 0 {
        return Ok(());
    }
    let what = format!(
        "the database {} is not empty: it has {there} tables, views, sequences, functions, types, \
         schemas or the like",
        clean_line(&identity.database)
    );
    let next = "restore into an empty database";
    Err(refused(&what, next, Exit::DestructiveRefused))
}

fn server(error: &PostgresError) -> Exit {
    let next = "mend the address, the server or the privileges";
    refused(&error.to_string(), next, Exit::Error)
}

fn show(manifest: &Manifest, identity: &Identity, purpose: Option<Purpose>) {
    let marked = purpose.map_or(String::new(), |purpose| {
        let word = purpose.word().to_uppercase();
        format!("\nmarked   {word}, by its own enrolment")
    });
    say::note(&format!(
        "backup   {} of {}\nholds    {} tables, {}\ninto     {}, PostgreSQL {}{marked}\nthen     \
         every table compared with the backup",
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
