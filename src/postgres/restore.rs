//! Brings a dump back: into an empty database, or over one in one transaction.
//!
//! `pg_restore` is never told to create or drop a database: which one is written is said by us
//! alone, whatever name the archive carries.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::PostgresError;
use super::conninfo::Conninfo;
use super::content::Contents;
use super::dump::{DumpError, Layout, Manifest};
use super::dump_work::check_ended;
use super::ledger::literal;
use super::passfile::ChildPassfile;
use super::programs::Program;
use super::session::Session;
use crate::system::process::{self, Invocation, Stream};
use crate::untrusted::clean;

/// How long sessions of ours may take to end.
const GRACE: Duration = Duration::from_secs(15);
const POLL: Duration = Duration::from_millis(50);

/// Waits until no other session carries `application_name`; returns how many are left after all
/// patience.
///
/// # Errors
/// What the server says.
pub async fn wait_for_our_own(
    session: &Session,
    application_name: &str,
) -> Result<i64, PostgresError> {
    let started = std::time::Instant::now();
    let sql = format!(
        "SELECT count(*) FROM pg_catalog.pg_stat_activity WHERE application_name = {} \
         AND pid <> pg_backend_pid()",
        literal(application_name)
    );
    loop {
        let left: i64 = session.client.query_typed_one(&sql, &[]).await?.get(0);
        if left == 0 || started.elapsed() > GRACE {
            return Ok(left);
        }
        tokio::time::sleep(POLL).await;
    }
}

/// What `pg_restore` is told.
#[derive(Debug)]
pub struct RestoreRequest<'a> {
    pub program: &'a Program,
    /// The database that is written, and no other.
    pub info: &'a Conninfo,
    pub archive: &'a Path,
    pub layout: Layout,
    /// Workers; only into an empty database from a directory or custom dump.
    pub jobs: u32,
    /// Drop what the archive holds before it is made, all in one transaction.
    pub in_place: bool,
    pub application_name: &'a str,
    pub private_folder: &'a Path,
    pub timeout: Option<Duration>,
}

/// Runs `pg_restore`; every line of its commentary goes to `observe`.
///
/// # Errors
/// Why it did not end well. In place nothing is changed then.
pub async fn run(
    request: &RestoreRequest<'_>,
    cancel: &CancellationToken,
    mut observe: impl FnMut(&str),
) -> Result<(), DumpError> {
    let passfile = match &request.info.password {
        Some(password) => Some(
            ChildPassfile::write(request.private_folder, password)
                .map_err(|error| super::dump_files::file_error(request.private_folder, error))?,
        ),
        None => None,
    };
    let invocation = invocation(request, passfile.as_ref().map(ChildPassfile::path));
    let ended = process::run(&invocation, cancel, |stream, line| {
        if stream == Stream::Err {
            crate::system::fault::point("during_restore");
            observe(&crate::untrusted::clean_bytes(line));
        }
    })
    .await?;
    check_ended("pg_restore", &ended)
}

fn invocation(request: &RestoreRequest<'_>, passfile: Option<&Path>) -> Invocation {
    let mut arguments = vec![
        "--no-password".to_owned(),
        "--verbose".to_owned(),
        "--exit-on-error".to_owned(),
        format!("--dbname={}", request.info.database),
    ];
    if request.in_place {
        arguments.extend(["--clean", "--if-exists", "--single-transaction"].map(str::to_owned));
    } else if request.jobs > 1 {
        arguments.push(format!("--jobs={}", request.jobs));
    }
    arguments.push(request.archive.display().to_string());
    let mut environment = request.info.child_environment(passfile);
    environment.retain(|(name, _)| name != "PGAPPNAME" && name != "PGOPTIONS");
    environment.push(("PGAPPNAME".to_owned(), request.application_name.to_owned()));
    environment.push(("LC_ALL".to_owned(), "C".to_owned()));
    Invocation {
        program: request.program.path.clone(),
        arguments,
        environment,
        folder: None,
        timeout: request.timeout,
    }
}

/// Tables by their quoted, qualified names, with their oids where they are there.
pub type Oids = BTreeMap<String, Option<u32>>;

/// Asks for the oids of up to `most` of a dump's tables.
///
/// # Errors
/// What the server says.
pub async fn oids(
    session: &Session,
    contents: &Contents,
    most: usize,
) -> Result<Oids, PostgresError> {
    let mut oids = Oids::new();
    for table in contents.keys().take(most) {
        let sql = format!("SELECT pg_catalog.to_regclass({})::oid", literal(table));
        let row = session.client.query_typed_one(&sql, &[]).await?;
        oids.insert(table.clone(), row.get(0));
    }
    Ok(oids)
}

/// The tables, views and sequences of the database that a dump does not hold, each with its kind.
///
/// # Errors
/// What the server says.
pub async fn newer_objects(
    session: &Session,
    manifest: &Manifest,
) -> Result<Vec<String>, PostgresError> {
    // A sequence that belongs to a column comes and goes with its table. Names are cleaned as those
    // of the dump's table of contents are.
    let sql = "SELECT k.word, n.nspname::text, c.relname::text, \
               pg_catalog.format('%I.%I', n.nspname, c.relname) \
               FROM pg_catalog.pg_class c \
               JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
               JOIN (VALUES ('r', 'table'), ('p', 'table'), ('v', 'view'), \
                     ('m', 'materialized view'), ('S', 'sequence'), ('f', 'foreign table')) \
               k (kind, word) ON k.kind = c.relkind::text \
               WHERE c.relpersistence <> 't' AND n.nspname !~ '^pg_' \
               AND n.nspname NOT IN ('information_schema', 'stagegate') \
               AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.objid = c.oid \
                   AND d.classid = 'pg_catalog.pg_class'::regclass AND (d.deptype = 'e' \
                   OR c.relkind = 'S' AND d.deptype IN ('a', 'i') \
                      AND d.refclassid = 'pg_catalog.pg_class'::regclass)) ORDER BY 4";
    let rows = session.client.query_typed(sql, &[]).await?;
    let held = |kind: &str, schema: &str, name: &str, quoted: &str| {
        if manifest.objects.is_empty() {
            // A manifest of before only names the tables with rows to copy.
            return kind != "table" || manifest.contents.contains_key(quoted);
        }
        let begins = clean(&format!("{} {schema} {name} ", kind.to_uppercase())).into_owned();
        let mut objects = manifest.objects.iter();
        objects.any(|object| object.starts_with(&begins))
    };
    Ok(rows
        .iter()
        .map(|row| [0, 1, 2, 3].map(|n| row.get::<_, String>(n)))
        .filter(|[kind, schema, name, quoted]| !held(kind, schema, name, quoted))
        .map(|[kind, _, _, quoted]| format!("{kind} {quoted}"))
        .collect())
}
