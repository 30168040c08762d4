//! Applies one SQL file in one transaction, with its ledger row, and says how that came out.
//!
//! `BEGIN`, the ledger row, the statements and the check are sent ahead, so a file costs two round
//! trips however long it is. What keeps that safe: outside of the transaction that we begin the
//! session is read only ([`renewal`]), so a `BEGIN` that failed and whatever ends the transaction early
//! leave the statements behind them nothing to write to. `COMMIT` is never in the same message as
//! anything else: a client that dies before it is sent has certainly not committed.

use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use super::apply_flight::{Flight, finish, send};
use super::apply_guard::{self, is_missing_ticket, judge};
pub use super::apply_guard::{Guard, read as read_guards};
use super::commit::{self, Answer};
use super::ledger::{NewRow, identifier, literal};
use super::session::Session;
use super::trace::{StatementTrace, Tracer};
use super::witness::Standing;
use super::{DatabaseError, PostgresError};
use crate::sql::Script;
use crate::system::fault;

/// What is applied, and how.
#[derive(Debug, Clone, Copy)]
pub struct FileToApply<'a> {
    pub script: &'a Script,
    pub row: NewRow<'a>,
    /// The role that owns what the file makes.
    pub role: Option<&'a str>,
    /// What must read the same before COMMIT as it did when the gate began.
    pub guards: &'a [Guard],
    /// How long the server may wait for a standby to confirm the commit.
    pub standby_wait: Duration,
    /// Said before it ([`renewal`]), so that nothing of the file before it is left in the session.
    pub renewal: Option<&'a str>,
    /// Each statement is sent when the one before it is done, and what it did is looked at.
    pub traced: bool,
}

/// What happens while a file runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ApplyEvent {
    /// Statement `index` (from 0) is now waited for.
    Waiting { index: usize },
    /// Statement `index` is done.
    Done {
        index: usize,
        rows: u64,
        took: Duration,
    },
    /// What statement `index` did to its surroundings, where that is traced.
    Traced { index: usize, trace: StatementTrace },
    /// Something worth saying before `COMMIT`.
    Said(String),
    /// `COMMIT` was sent.
    Committing,
    /// The server has committed, and waits for a standby to confirm it.
    WaitsForStandby { waited: Duration },
}

/// How a file came out.
#[derive(Debug, Clone, PartialEq)]
pub enum FileOutcome {
    /// The transaction committed. It is not confirmed where the wait for a standby was given up.
    Committed { took: Duration, confirmed: bool },
    /// Nothing of the file is there.
    RolledBack(FileFailure),
    /// `COMMIT` was sent and its answer was lost.
    Unknown { reason: String },
}

/// Why a file was rolled back.
#[derive(Debug, Clone, PartialEq)]
pub enum FileFailure {
    /// The transaction could not begin: its ledger row or its role was refused.
    Begin { error: Box<DatabaseError> },
    /// A statement was refused by the server.
    Statement {
        index: usize,
        error: Box<DatabaseError>,
    },
    /// `COMMIT` was refused: a deferred constraint, a serialisation failure.
    Commit { error: Box<DatabaseError> },
    /// The file changed something that keeps others safe.
    Guard { reason: String },
    /// The file left its transaction, by a way that nobody recognised.
    Left,
    /// It was asked to stop.
    Canceled,
    /// Too many waited behind it for too long, so it was stopped.
    Stopped { reason: String },
    /// The connection ended before `COMMIT` was sent.
    ConnectionLost { reason: String },
    /// Something else went wrong before `COMMIT` was sent.
    Other { index: usize, reason: String },
}

impl FileFailure {
    /// The server's code, where it gave one.
    pub fn sqlstate(&self) -> Option<&str> {
        match self {
            FileFailure::Begin { error }
            | FileFailure::Statement { error, .. }
            | FileFailure::Commit { error } => Some(&error.sqlstate),
            _ => None,
        }
    }

    /// Tells whether the same transaction may do better a moment later: a lock or a deadlock.
    pub fn is_transient(&self) -> bool {
        matches!(self, FileFailure::Stopped { .. })
            || matches!(self.sqlstate(), Some("55P03" | "40P01" | "40001"))
    }
}

/// Applies a file. Nothing is left behind unless it returns [`FileOutcome::Committed`], or
/// [`FileOutcome::Unknown`], which only the ledger can resolve.
pub async fn apply_file(
    session: &Session,
    file: FileToApply<'_>,
    cancel: &CancellationToken,
    mut observe: impl FnMut(ApplyEvent),
) -> FileOutcome {
    let started = Instant::now();
    if let Err(failure) = run_body(session, &file, cancel, &mut observe).await {
        // The session may be gone; then the server rolls back by itself.
        let _ = session.client.batch_execute("ROLLBACK").await;
        return FileOutcome::RolledBack(failure);
    }
    fault::point("before_commit");
    observe(ApplyEvent::Committing);
    let outcome = end(session, &file, started, &mut observe).await;
    fault::point("after_commit");
    outcome
}

/// What makes a session as it was when it was opened, with `more` settings; everything in it is read
/// only but for what [`apply_file`] begins.
///
/// It is what `DISCARD ALL` does, but for the plans: those of the ledger's own key are kept, and a
/// file that prepares statements is followed by another connection.
pub fn renewal(session: &Session, more: &[(&str, &str)]) -> String {
    let mut settings = session.settings_made();
    settings.extend(more.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())));
    settings.push(("default_transaction_read_only".to_owned(), "on".to_owned()));
    let set: Vec<String> = settings
        .iter()
        .map(|(name, value)| {
            let (name, value) = (literal(name), literal(value));
            format!("pg_catalog.set_config({name}, {value}, false)")
        })
        .collect();
    format!(
        "CLOSE ALL; SET SESSION AUTHORIZATION DEFAULT; RESET ALL; SELECT {}; \
         SELECT pg_catalog.pg_advisory_unlock_all(); UNLISTEN *; DISCARD TEMP; DISCARD SEQUENCES",
        set.join(", ")
    )
}

/// Makes a small change and waits until it is safe, on the standbys too where the server wants
/// that: whatever was committed before it is as safe then. `false` when no standby confirmed it.
///
/// # Errors
/// What the server says.
pub async fn confirm(session: &Session, standby_wait: Duration) -> Result<bool, PostgresError> {
    let sql = "BEGIN READ WRITE; \
         SELECT pg_catalog.set_config('synchronous_commit', CASE reset_val \
         WHEN 'off' THEN 'on' WHEN 'local' THEN 'on' ELSE reset_val END, true) \
         FROM pg_catalog.pg_settings WHERE name OPERATOR(pg_catalog.=) 'synchronous_commit'; \
         INSERT INTO stagegate.ticket VALUES ('confirmation') \
         ON CONFLICT (nonce) DO UPDATE SET nonce = excluded.nonce";
    if let Err(error) = session.client.batch_execute(sql).await {
        let _ = session.client.batch_execute("ROLLBACK").await;
        return Err(error.into());
    }
    let answer = commit::commit(session, standby_wait, |_| {}).await?;
    Ok(answer == Answer::Committed)
}

async fn end(
    session: &Session,
    file: &FileToApply<'_>,
    started: Instant,
    observe: &mut impl FnMut(ApplyEvent),
) -> FileOutcome {
    let waits = |waited| observe(ApplyEvent::WaitsForStandby { waited });
    match commit::commit(session, file.standby_wait, waits).await {
        Ok(Answer::RolledBack) => FileOutcome::RolledBack(FileFailure::Guard {
            reason: "the server answered COMMIT with ROLLBACK".to_owned(),
        }),
        Ok(answer) => FileOutcome::Committed {
            took: started.elapsed(),
            confirmed: answer == Answer::Committed,
        },
        Err(error) if error.is_connection_lost() => FileOutcome::Unknown {
            reason: error.to_string(),
        },
        Err(PostgresError::Database(error)) => {
            let _ = session.client.batch_execute("ROLLBACK").await;
            FileOutcome::RolledBack(FileFailure::Commit { error })
        }
        Err(error) => FileOutcome::Unknown {
            reason: error.to_string(),
        },
    }
}

/// Everything before `COMMIT`.
async fn run_body(
    session: &Session,
    file: &FileToApply<'_>,
    cancel: &CancellationToken,
    observe: &mut impl FnMut(ApplyEvent),
) -> Result<(), FileFailure> {
    let mut begin = Some(start(session, file).await.map_err(refused_at_begin)?);
    fault::point("after_begin_sent");
    if (file.traced || file.row.undoes.is_some())
        && let Some(begin) = begin.take()
    {
        begun(begin, file).await?;
    }
    let mut tracer = None;
    if file.traced {
        let begun = Tracer::begin(session).await;
        tracer = Some(begun.map_err(|error| classify(0, error))?);
    }
    let mut flight = Flight::new(session, file);
    let mut last = Instant::now();
    for index in 0..file.script.statements.len() {
        let wrong = |error| classify(index, error);
        flight.fill(index).await.map_err(wrong)?;
        if let Some(begin) = begin.take() {
            begun(begin, file).await?;
        }
        observe(ApplyEvent::Waiting { index });
        let rows = flight.land(index).await.map_err(wrong)?;
        fault::point("after_statement");
        if session.witness().standing() == Standing::Idle {
            return Err(why_it_left(flight, index).await);
        }
        let took = last.elapsed();
        observe(ApplyEvent::Done { index, rows, took });
        if let Some(tracer) = &mut tracer {
            let trace = tracer.look(session, last).await.map_err(wrong)?;
            observe(ApplyEvent::Traced { index, trace });
        }
        last = Instant::now();
        if cancel.is_cancelled() {
            return Err(FileFailure::Canceled);
        }
    }
    let index = file.script.statements.len();
    let wrong = |error| classify(index.saturating_sub(1), error);
    flight.fill(index).await.map_err(wrong)?;
    if let Some(begin) = begin.take() {
        begun(begin, file).await?;
    }
    if let Some(check) = flight.check {
        for said in judge(check, file.guards, wrong).await? {
            observe(ApplyEvent::Said(said));
        }
    }
    if cancel.is_cancelled() {
        return Err(FileFailure::Canceled);
    }
    Ok(())
}

/// Sends what comes before the file, and waits for none of it.
async fn start(
    session: &Session,
    file: &FileToApply<'_>,
) -> Result<tokio_postgres::SimpleQueryStream, PostgresError> {
    if let Some(renewal) = file.renewal {
        // It is answered before BEGIN is; were it to fail, the session would not be as it is
        // guarded, and the file would not be committed.
        drop(send(session, renewal).await?);
    }
    if let Some(prepare) = apply_guard::to_prepare(session, file) {
        drop(send(session, &prepare).await?);
    }
    send(session, &begin_sql(file)).await
}

/// The session is in no transaction any more: an answer that is on its way may say why.
async fn why_it_left(mut flight: Flight<'_>, index: usize) -> FileFailure {
    match flight.rest().await.map_err(|error| classify(index, error)) {
        Err(failure @ (FileFailure::Guard { .. } | FileFailure::ConnectionLost { .. })) => failure,
        _ => FileFailure::Left,
    }
}

/// Waits until the transaction stands, with its ledger row.
async fn begun(
    begin: tokio_postgres::SimpleQueryStream,
    file: &FileToApply<'_>,
) -> Result<(), FileFailure> {
    let rows = finish(begin).await.map_err(refused_at_begin)?;
    match file.row.undoes {
        // Between the plan and now somebody else undid it; nothing of the file is run.
        Some(up) if rows == 0 => Err(FileFailure::Guard {
            reason: format!("{up} is not applied any more: somebody else undid it meanwhile"),
        }),
        _ => Ok(()),
    }
}

fn begin_sql(file: &FileToApply<'_>) -> String {
    let mut sql = format!("BEGIN READ WRITE; {}", file.row.insert());
    if let Some(role) = file.role {
        sql.push_str(&format!("; SET LOCAL ROLE {}", identifier(role)));
    }
    sql
}

fn refused_at_begin(error: PostgresError) -> FileFailure {
    match classify(0, error) {
        FileFailure::Statement { error, .. } => FileFailure::Begin { error },
        other => other,
    }
}

fn classify(index: usize, error: PostgresError) -> FileFailure {
    if error.is_connection_lost() {
        return FileFailure::ConnectionLost {
            reason: error.to_string(),
        };
    }
    match error {
        PostgresError::Database(error) if is_our_cancel(&error) => FileFailure::Canceled,
        // The ticket is written last: who meets its absence ended the transaction before.
        PostgresError::Database(error) if is_missing_ticket(&error) => FileFailure::Guard {
            reason: "it ends its transaction, or has all constraints checked, before its last \
                     statement; the database refused to commit it"
                .to_owned(),
        },
        PostgresError::Database(error) => FileFailure::Statement { index, error },
        other => FileFailure::Other {
            index,
            reason: other.to_string(),
        },
    }
}

/// Tells whether a cancel request ended a statement; a statement timeout has the same code and
/// another message.
pub(super) fn is_our_cancel(error: &DatabaseError) -> bool {
    error.sqlstate == "57014" && error.message.contains("user request")
}
