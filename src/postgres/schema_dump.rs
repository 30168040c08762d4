//! A database's schema as SQL, by `pg_dump`.

use std::path::Path;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::conninfo::Conninfo;
use super::dump::DumpError;
use super::dump_files::file_error;
use super::dump_work::check_ended;
use super::passfile::ChildPassfile;
use super::programs;
use crate::system::process::{self, Invocation};

/// Much longer than a schema takes that nobody locks.
const LONGEST: Duration = Duration::from_secs(300);

/// Writes the schema without any rows, and without the ledger, into a file.
///
/// # Errors
/// Why there is none; an unfinished file is removed.
pub async fn schema_dump(
    info: &Conninfo,
    major: u32,
    file: &Path,
    application_name: &str,
    cancel: &CancellationToken,
) -> Result<(), DumpError> {
    let folder = file.parent().unwrap_or(file);
    let pg_dump = programs::find_at_least("pg_dump", major)?;
    let passfile = match &info.password {
        Some(password) => Some(
            ChildPassfile::write(folder, password).map_err(|error| file_error(folder, error))?,
        ),
        None => None,
    };
    let mut environment = info.child_environment(passfile.as_ref().map(ChildPassfile::path));
    environment.retain(|(name, _)| name != "PGAPPNAME");
    environment.push(("PGAPPNAME".to_owned(), application_name.to_owned()));
    environment.push(("LC_ALL".to_owned(), "C".to_owned()));
    let invocation = Invocation {
        program: pg_dump.path,
        arguments: vec![
            "--no-password".to_owned(),
            "--schema-only".to_owned(),
            "--exclude-schema=stagegate".to_owned(),
            "--lock-wait-timeout=10s".to_owned(),
            format!("--file={}", file.display()),
        ],
        environment,
        folder: None,
        timeout: Some(LONGEST),
    };
    let ended = process::run(&invocation, cancel, |_, _| {}).await?;
    let checked = check_ended("pg_dump", &ended);
    if checked.is_err() {
        let _ = std::fs::remove_file(file);
    }
    checked
}
