//! A private copy of a target's schema, for gates that want to see first what something does to it.

use std::sync::PoisonError;
use std::time::Duration;

use super::restore::Scratch;
use super::{Bounds, Halt, Rehearsed, Work, fit};
use crate::expectation::Finding;
use crate::gate::{Context, Targets};
use crate::postgres::rehearsal_server::LOG_BETWEEN;
use crate::postgres::{PostgresError, Session, catalog};
use crate::runbook::{RehearsalOf, Rehearse, RolesInScratch, Take};
use crate::schema::Snapshot;
use crate::system::durable::make_private_folder;
use crate::untrusted::clean_line;

/// How long making it may take.
const WITHIN: Duration = Duration::from_secs(10 * 60);

/// The copy: the schema without its rows, on a private server that goes with it.
pub(in crate::gate) struct Copied {
    scratch: Scratch,
    target: String,
    gate: String,
    folder: std::path::PathBuf,
    /// How much of the server's log was read.
    read: std::sync::Mutex<usize>,
}

/// How often it is looked whether the server logs what it was asked to.
const POLL: Duration = Duration::from_millis(5);

/// Copies the schema of a target.
///
/// # Errors
/// Why there is no copy; the target was only read.
pub(in crate::gate) async fn copy_of(target: &str, context: &Context) -> Result<Copied, Finding> {
    let gate = Rehearse {
        target: target.to_owned(),
        of: RehearsalOf::Target(Take::Schema),
        gates: Some(Vec::new()),
        down: false,
        jobs: 2,
        within: WITHIN,
        space: None,
        roles: RolesInScratch::Make,
        missing: Vec::new(),
        deny: Vec::new(),
        allow: Vec::new(),
        may_leave: Vec::new(),
        keep_superusers: false,
        may_call: Vec::new(),
    };
    let stop = context.cancel.child_token();
    let folder = fit::folder(context);
    let mut work = Work {
        gate: &gate,
        context,
        bounds: Bounds::watch(gate.within, gate.space, &stop),
        stop,
        folder: folder.clone(),
        seen: Rehearsed::default(),
        rows: std::collections::BTreeMap::new(),
    };
    let made = make_private_folder(&folder).map_err(|error| {
        Finding::errored("there is no folder for a private copy")
            .because(clean_line(&format!("{}: {error}", folder.display())))
            .because("nothing was run")
            .can("make room, then retry this gate")
    });
    made?;
    let copied = Box::pin(copied(&mut work)).await;
    work.stop.cancel();
    let passed = work.bounds.passed();
    copied
        .map(|scratch| Copied {
            scratch,
            target: target.to_owned(),
            gate: context.gate.id.clone(),
            folder: folder.clone(),
            read: std::sync::Mutex::new(0),
        })
        .map_err(|halt| {
            let _ = std::fs::remove_dir_all(&folder);
            match (halt, passed) {
                (Halt::Finding(finding), None) => finding.because("nothing was run"),
                (_, Some(reason)) => Finding::errored("making a private copy was stopped")
                    .because(reason)
                    .because("nothing was run"),
                (Halt::Canceled, None) => {
                    Finding::inconclusive("it was canceled before anything was run")
                }
            }
        })
}

async fn copied(work: &mut Work<'_>) -> Result<Scratch, Halt> {
    let origin = work.origin().await?;
    let fit = fit::fit(work.gate, origin.database_bytes);
    if let Some(reason) = &fit.refuses {
        return Err(Finding::failed("a private copy does not fit")
            .because(reason.clone())
            .can("make room, then retry this gate")
            .into());
    }
    let scratch = work.partly(Take::Schema, &origin, &fit).await?;
    work.settle(&origin, &scratch).await?;
    Ok(scratch)
}

impl Copied {
    /// The target, as it is here.
    pub(in crate::gate) fn targets(&self) -> &Targets {
        &self.scratch.targets
    }

    /// A session of the superuser's.
    pub(in crate::gate) fn admin(&self) -> &Session {
        &self.scratch.admin
    }

    /// Lets the server log every statement, with the name of its session.
    ///
    /// # Errors
    /// What the private server says.
    pub(in crate::gate) async fn log_statements(&self) -> Result<(), String> {
        let admin = &self.scratch.admin;
        for sql in [
            "ALTER SYSTEM SET log_statement = 'all'",
            "SELECT pg_catalog.pg_reload_conf()",
        ] {
            let done = admin.client.batch_execute(sql).await;
            done.map_err(|error| PostgresError::from(error).to_string())?;
        }
        // The server has read it by the time that its sessions have.
        loop {
            let now = "SELECT pg_catalog.current_setting('log_statement')";
            let now = admin.rows(now).await.map_err(|error| error.to_string())?;
            if now.first().and_then(|row| row.first()) == Some(&Some("all".to_owned())) {
                break;
            }
            tokio::time::sleep(POLL).await;
        }
        self.executed().map(drop)
    }

    /// The statements of others than ourselves since the last time, one after the other.
    ///
    /// # Errors
    /// Why the log cannot be read.
    pub(in crate::gate) fn executed(&self) -> Result<String, String> {
        let path = self.scratch.server.log_file();
        let log = std::fs::read(&path).map_err(|e| format!("{}: {e}", path.display()))?;
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        let new = String::from_utf8_lossy(log.get(*read..).unwrap_or_default()).into_owned();
        *read = log.len();
        let own = [
            super::restore::settings().application_name,
            self.scratch.targets.application_name(&self.gate),
        ];
        Ok(statements(&new, &own))
    }

    /// Reads the schema as the target's user sees it.
    ///
    /// # Errors
    /// What the private server says.
    pub(in crate::gate) async fn schema(&self) -> Result<Snapshot, String> {
        let targets = &self.scratch.targets;
        let opened = targets.open(&self.target, &self.gate, super::source::reading());
        let (session, _) = opened.await.map_err(|error| error.to_string())?;
        let read = catalog::read(&session).await;
        session.close().await;
        read.map_err(|error| error.to_string())
    }

    /// Ends the server and removes all of it.
    pub(in crate::gate) async fn remove(self) {
        let folder = self.folder.clone();
        let gone = tokio::task::spawn_blocking(move || {
            drop(self.scratch);
            let _ = std::fs::remove_dir_all(&folder);
        });
        let _ = gone.await;
    }
}

/// The statements in a log, but for those of sessions of these names.
fn statements(log: &str, own: &[String]) -> String {
    let mut text = String::new();
    let mut inside = false;
    for line in log.lines() {
        if let Some(more) = line.strip_prefix('\t').filter(|_| inside) {
            text.push_str(more);
            text.push('\n');
            continue;
        }
        if inside {
            text.push_str(";\n");
        }
        inside = false;
        let Some((name, said)) = line.split_once(LOG_BETWEEN) else {
            continue;
        };
        let said = said.strip_prefix("LOG:  ").unwrap_or_default();
        let statement = match said.strip_prefix("statement: ") {
            Some(statement) => Some(statement),
            None => said
                .strip_prefix("execute ")
                .and_then(|rest| rest.split_once(": "))
                .map(|(_, statement)| statement),
        };
        if let Some(statement) = statement.filter(|_| own.iter().all(|own| own != name)) {
            text.push_str(statement.trim_end_matches(';'));
            text.push('\n');
            inside = true;
        }
    }
    if inside {
        text.push_str(";\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_statements_of_others_are_read_from_the_log() {
        let log = "stagegate r g · LOG:  statement: SELECT 1\n\
                   x · LOG:  statement: DROP\n\tTABLE t\n\
                   x · LOG:  execute <unnamed>: DELETE FROM a;\n\
                   x · DETAIL:  parameters: $1 = '1'\n\
                   x · ERROR:  no\n\
                   \u{20}· LOG:  statement: TRUNCATE b\n";
        let own = ["stagegate r g".to_owned()];
        let said = statements(log, &own);
        assert_eq!(said, "DROP\nTABLE t\n;\nDELETE FROM a\n;\nTRUNCATE b\n;\n");
    }
}
