//! The address of a database on the command line.

use crate::postgres::conninfo::Conninfo;
use crate::postgres::environment::Environment;
use crate::schema::{Source, SourceError};

/// Resolves `env:NAME`, `service:NAME` or `postgresql://…`. A password in it is refused: every
/// user of the machine can read what a program was started with.
pub(super) fn resolve(text: &str) -> Result<Conninfo, String> {
    match text.parse::<Source>() {
        Ok(Source::Database(address)) => {
            Conninfo::resolve(&address, &Environment::of_process()).map_err(|e| e.to_string())
        }
        Err(error @ SourceError::Password) => Err(error.to_string()),
        _ => Err(format!(
            "`{text}` is no database; write env:NAME, service:NAME or postgresql://…"
        )),
    }
}
