//! Brings a dump back: into an empty database, or over one in one transaction.
//!
//! `pg_restore` is never told to create or drop a database: which one is written is said by us
//! alone, whatever name the archive carries.

use std::path::Path;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::PostgresError;
use super::conninfo::Conninfo;
use super::dump::{DumpError, Layout};
use super::dump_work::check_ended;
use super::ledger::literal;
use super::passfile::ChildPassfile;
use super::programs::Program;
use super::session::Session;
use crate::system::process::{self, Invocation, Stream};

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

/// The tables of the database that a dump does not hold.
///
/// # Errors
/// What the server says.
pub async fn newer_tables(
    session: &Session,
    contents: &super::content::Contents,
) -> Result<Vec<String>, PostgresError> {
    let sql = "SELECT pg_catalog.format('%I.%I', n.nspname, c.relname) \
               FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
               WHERE c.relkind = 'r' AND c.relpersistence = 'p' AND n.nspname !~ '^pg_' \
               AND n.nspname NOT IN ('information_schema', 'stagegate') \
               AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.objid = c.oid \
                               AND d.classid = 'pg_class'::regclass AND d.deptype = 'e') ORDER BY 1";
    let rows = session.client.query_typed(sql, &[]).await?;
    Ok(rows
        .iter()
        .map(|row| row.get::<_, String>(0))
        .filter(|table| !contents.contains_key(table))
        .collect())
}
