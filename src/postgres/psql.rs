//! Lets `psql` run a file in one transaction with its ledger row, under the same guards.
//!
//! What it is given is a small script of ours around a copy of the reviewed bytes: `BEGIN`, the
//! ledger row, the file, the check, the ticket, `COMMIT`. `psql` sends each statement by itself, so
//! `COMMIT` is alone here, too. How it ended is never read from its exit code: the ledger says it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::apply::Guard;
use super::conninfo::Conninfo;
use super::ledger::{NewRow, identifier, literal};
use super::ledger_row::ticket_sql;
use super::passfile::ChildPassfile;
use super::programs::{Program, ProgramMissing};
use crate::system::durable;
use crate::system::process::{self, Ended, Ending, Invocation, Stream};
use crate::untrusted::clean_bytes;

/// A file for psql.
#[derive(Debug, Clone, Copy)]
pub struct PsqlFile<'a> {
    pub program: &'a Program,
    pub info: &'a Conninfo,
    /// The reviewed bytes.
    pub text: &'a str,
    pub row: NewRow<'a>,
    pub role: Option<&'a str>,
    pub guards: &'a [Guard],
    /// Settings of the session, by name.
    pub settings: &'a [(String, String)],
    pub application_name: &'a str,
    /// Receives the copy and the script; private to its owner.
    pub folder: &'a Path,
    pub timeout: Option<Duration>,
}

/// What psql said when a statement failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PsqlError {
    /// In the file, from 1; none where it was in what stands around the file.
    pub line: Option<usize>,
    pub sqlstate: Option<String>,
    pub message: String,
    /// DETAIL, HINT and the rest, a line each.
    pub more: Vec<String>,
}

/// How psql ended; what became of the file is asked of the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PsqlEnd {
    Well,
    Failed(PsqlError),
    Canceled,
    TimedOut,
}

/// Runs the file. Every line that psql prints goes to `observe`.
///
/// # Errors
/// Why psql could not be started; nothing has happened then.
pub async fn run(
    file: &PsqlFile<'_>,
    cancel: &CancellationToken,
    mut observe: impl FnMut(Stream, &str),
) -> Result<PsqlEnd, String> {
    let written = Written::write(file).map_err(|error| error.to_string())?;
    let passfile = match &file.info.password {
        Some(password) => {
            let passfile = ChildPassfile::write(file.folder, password);
            Some(passfile.map_err(|error| error.to_string())?)
        }
        None => None,
    };
    let invocation = invocation(file, &written, passfile.as_ref().map(ChildPassfile::path));
    let ended = process::run(&invocation, cancel, |stream, line| {
        observe(stream, &clean_bytes(line));
    })
    .await
    .map_err(|error| error.to_string())?;
    Ok(end(&ended, &written.copy))
}

/// The copy and the script; they are removed when psql has ended.
struct Written {
    copy: PathBuf,
    script: PathBuf,
}

impl Written {
    fn write(file: &PsqlFile<'_>) -> std::io::Result<Written> {
        let place = |what: &str| {
            file.folder
                .join(format!("psql-{}-{what}.sql", file.row.nonce))
        };
        let written = Written {
            copy: place("file"),
            script: place("around"),
        };
        durable::write_whole(&written.copy, file.text.as_bytes())?;
        durable::write_whole(&written.script, around(file, &written.copy).as_bytes())?;
        Ok(written)
    }
}

impl Drop for Written {
    fn drop(&mut self) {
        for path in [&self.copy, &self.script] {
            let _ = std::fs::remove_file(path);
        }
    }
}

/// What stands around the file.
fn around(file: &PsqlFile<'_>, copy: &Path) -> String {
    let mut lines = vec![
        "BEGIN READ WRITE;".to_owned(),
        check(
            file.guards.iter().filter(|guard| guard.binding),
            "before it",
        ),
        format!("{};", file.row.insert()),
    ];
    if let Some(up) = file.row.undoes {
        let nonce = literal(file.row.nonce);
        lines.push(raise_unless(
            &format!(
                "EXISTS (SELECT FROM stagegate.ledger WHERE nonce OPERATOR(pg_catalog.=) {nonce})"
            ),
            &format!("{up} is not applied any more: somebody else undid it meanwhile"),
        ));
    }
    if let Some(role) = file.role {
        lines.push(format!("SET LOCAL ROLE {};", identifier(role)));
    }
    lines.push(format!("\\i {}", name_of(copy)));
    lines.push("SET LOCAL ROLE NONE;".to_owned());
    let nonce = literal(file.row.nonce);
    lines.push(raise_unless(
        &format!(
            "(SELECT pg_catalog.count(*) FROM stagegate.ledger WHERE nonce OPERATOR(pg_catalog.=) \
             {nonce} AND xmin::text::bigint OPERATOR(pg_catalog.=) \
             (pg_catalog.pg_current_xact_id()::text::bigint OPERATOR(pg_catalog.&) 4294967295)) \
             OPERATOR(pg_catalog.=) 1"
        ),
        "the file left its transaction",
    ));
    lines.push(check(
        file.guards.iter().filter(|guard| guard.binding),
        "in it",
    ));
    lines.push(format!("{};", ticket_sql(file.row.nonce, false)));
    lines.push("COMMIT;".to_owned());
    lines.join("\n")
}

/// psql works in the folder of both; the name is made of hex digits and hyphens.
fn name_of(path: &Path) -> String {
    path.file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

fn check<'a>(guards: impl Iterator<Item = &'a Guard>, when: &str) -> String {
    let one = |guard: &Guard| {
        let (name, wanted) = (&guard.name, &guard.wanted);
        raise_unless(
            &format!("{} OPERATOR(pg_catalog.=) {}", guard.sql(), literal(wanted)),
            &format!("{name} was changed {when}; it was {wanted}"),
        )
    };
    guards.map(one).collect::<Vec<_>>().join("\n")
}

fn raise_unless(condition: &str, message: &str) -> String {
    format!(
        "DO $stagegate$ BEGIN IF ({condition}) IS NOT TRUE THEN RAISE EXCEPTION USING \
         ERRCODE = 'SG001', MESSAGE = {}; END IF; END $stagegate$;",
        literal(message)
    )
}

fn invocation(file: &PsqlFile<'_>, written: &Written, passfile: Option<&Path>) -> Invocation {
    let mut environment = file.info.child_environment(passfile);
    let own = ["PGAPPNAME", "PGOPTIONS"];
    let given = environment.iter().find(|(name, _)| name == "PGOPTIONS");
    let mut options = given.map_or(String::new(), |(_, value)| format!("{value} "));
    let set: Vec<String> = file
        .settings
        .iter()
        .map(|(name, value)| {
            let value = value.replace('\\', "\\\\").replace(' ', "\\ ");
            format!("-c {name}={value}")
        })
        .collect();
    options.push_str(&set.join(" "));
    environment.retain(|(name, _)| !own.contains(&name.as_str()));
    environment.push(("PGAPPNAME".to_owned(), file.application_name.to_owned()));
    environment.push(("PGOPTIONS".to_owned(), options));
    environment.push(("PGCLIENTENCODING".to_owned(), "UTF8".to_owned()));
    environment.push(("LC_ALL".to_owned(), "C".to_owned()));
    Invocation {
        program: file.program.path.clone(),
        arguments: [
            "--no-psqlrc",
            "--no-password",
            "--quiet",
            "--set=ON_ERROR_STOP=1",
            "--set=VERBOSITY=verbose",
            "--set=SHOW_CONTEXT=errors",
            &format!("--file={}", name_of(&written.script)),
        ]
        .map(str::to_owned)
        .to_vec(),
        environment,
        folder: Some(file.folder.to_owned()),
        timeout: file.timeout,
    }
}

fn end(ended: &Ended, copy: &Path) -> PsqlEnd {
    match ended.ending {
        Ending::Exited(status) if status.success() => PsqlEnd::Well,
        Ending::Exited(_) => PsqlEnd::Failed(read_error(&clean_bytes(&ended.stderr), copy)),
        Ending::Canceled => PsqlEnd::Canceled,
        Ending::TimedOut => PsqlEnd::TimedOut,
    }
}

/// Reads the first error that psql printed: `psql:PATH:LINE: ERROR:  SQLSTATE: message`.
fn read_error(said: &str, copy: &Path) -> PsqlError {
    let lines: Vec<&str> = said.lines().collect();
    let fatal = |line: &&str| {
        ["ERROR:", "FATAL:", "error:"]
            .iter()
            .any(|w| line.contains(w))
    };
    let Some(at) = lines.iter().position(fatal) else {
        return PsqlError {
            line: None,
            sqlstate: None,
            message: lines
                .last()
                .map_or("it gave no reason".to_owned(), |l| (*l).to_owned()),
            more: Vec::new(),
        };
    };
    let (first, more) = (lines[at], &lines[at + 1..]);
    let place = format!("psql:{}:", name_of(copy));
    let line = first
        .strip_prefix(&place)
        .and_then(|rest| rest.split(':').next()?.parse().ok());
    let text = ["ERROR:", "FATAL:", "error:"]
        .iter()
        .find_map(|word| first.split_once(word))
        .map_or(first, |(_, text)| text)
        .trim();
    let (sqlstate, message) = match text.split_once(": ") {
        Some((code, message)) if code.len() == 5 && is_code(code) => {
            (Some(code.to_owned()), message)
        }
        _ => (None, text),
    };
    let told = more
        .iter()
        .take_while(|line| !line.starts_with("psql:"))
        .filter(|line| !line.starts_with("LOCATION:"));
    PsqlError {
        line,
        sqlstate,
        message: message.to_owned(),
        more: told.take(12).map(|line| (*line).to_owned()).collect(),
    }
}

fn is_code(text: &str) -> bool {
    text.bytes()
        .all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
}

/// Finds psql for a server.
///
/// # Errors
/// That it is not installed, and how it is.
pub fn find(server_major: u32) -> Result<Program, ProgramMissing> {
    super::programs::find_at_least("psql", server_major)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_read_with_its_place_in_the_file() {
        let said = "psql:f.sql:4: ERROR:  42703: column \"x\" does not exist\n\
                    LINE 1: SELECT x\n               ^\nLOCATION:  errorMissingColumn, p.c:3\n";
        let error = read_error(said, Path::new("/run/f.sql"));
        assert_eq!(error.line, Some(4));
        assert_eq!(error.sqlstate.as_deref(), Some("42703"));
        assert_eq!(error.message, "column \"x\" does not exist");
        assert_eq!(error.more.len(), 2);
        let around = read_error("psql:a.sql:9: ERROR:  SG001: no", Path::new("/run/f.sql"));
        assert_eq!((around.line, around.message.as_str()), (None, "no"));
        let refused = read_error("psql: error: connection refused", Path::new("/x"));
        assert_eq!(refused.message, "connection refused");
    }
}
