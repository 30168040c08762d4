//! Applies one SQL file in one transaction, with its ledger row, and says how that came out.
//!
//! The statements are sent ahead in a window, so a file costs two round trips however long it is.
//! `COMMIT` is never in the same message as anything else: a client that dies before it is sent
//! has certainly not committed.

use std::collections::VecDeque;
use std::pin::pin;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use tokio_postgres::{SimpleQueryMessage, SimpleQueryStream};
use tokio_util::sync::CancellationToken;

use super::ledger::{NewRow, identifier, literal};
use super::session::Session;
use super::{DatabaseError, PostgresError};
use crate::sql::{Class, Script};
use crate::system::fault;

/// How many statements are on their way before the first is answered.
const WINDOW: usize = 32;

/// What is applied, and how.
#[derive(Debug, Clone, Copy)]
pub struct FileToApply<'a> {
    pub script: &'a Script,
    pub row: NewRow<'a>,
    /// The role that owns what the file makes.
    pub role: Option<&'a str>,
    /// Settings that must read the same before COMMIT as they do now.
    pub guarded: &'a [(String, String)],
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
    /// `COMMIT` was sent.
    Committing,
}

/// How a file came out.
#[derive(Debug, Clone, PartialEq)]
pub enum FileOutcome {
    /// The transaction committed; its rows and time.
    Committed { took: Duration },
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
    /// The file changed a setting that keeps others safe, or left its transaction.
    Guard { reason: String },
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
    let outcome = commit(session, started).await;
    fault::point("after_commit");
    outcome
}

async fn commit(session: &Session, started: Instant) -> FileOutcome {
    match session
        .client
        .batch_execute("COMMIT")
        .await
        .map_err(PostgresError::from)
    {
        Ok(()) => FileOutcome::Committed {
            took: started.elapsed(),
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
///
/// Nothing of the file is sent before the server has said that the transaction stands: a cancel
/// request that hits `BEGIN` itself would leave what follows to commit by itself.
async fn run_body(
    session: &Session,
    file: &FileToApply<'_>,
    cancel: &CancellationToken,
    observe: &mut impl FnMut(ApplyEvent),
) -> Result<(), FileFailure> {
    let begin = send(session, &begin_sql(file))
        .await
        .map_err(refused_at_begin)?;
    fault::point("after_begin_sent");
    let rows = finish(begin).await.map_err(refused_at_begin)?;
    if let Some(up) = file.row.undoes
        && rows == 0
    {
        // Between the plan and now somebody else undid it; nothing of the file is run.
        return Err(FileFailure::Guard {
            reason: format!("{up} is not applied any more: somebody else undid it meanwhile"),
        });
    }
    let mut flight = Flight {
        session,
        file,
        streams: VecDeque::new(),
        next: 0,
        check: None,
    };
    let mut last = Instant::now();
    for index in 0..file.script.statements.len() {
        flight
            .fill(index)
            .await
            .map_err(|error| classify(index, error))?;
        observe(ApplyEvent::Waiting { index });
        let rows = flight
            .land(index)
            .await
            .map_err(|error| classify(index, error))?;
        fault::point("after_statement");
        observe(ApplyEvent::Done {
            index,
            rows,
            took: last.elapsed(),
        });
        last = Instant::now();
        if cancel.is_cancelled() {
            return Err(FileFailure::Canceled);
        }
    }
    let index = file.script.statements.len();
    flight
        .fill(index)
        .await
        .map_err(|error| classify(index, error))?;
    if let Some(check) = flight.check {
        judge_guards(check, file).await?;
    }
    if cancel.is_cancelled() {
        return Err(FileFailure::Canceled);
    }
    Ok(())
}

/// Statements that are on their way, answered in the order in which they were sent.
struct Flight<'a> {
    session: &'a Session,
    file: &'a FileToApply<'a>,
    streams: VecDeque<SimpleQueryStream>,
    /// The next statement to send.
    next: usize,
    /// The check that is sent behind the last statement.
    check: Option<SimpleQueryStream>,
}

impl Flight<'_> {
    /// Sends ahead what may be sent while statement `index` is waited for. COPY needs the wire for
    /// itself, so nothing is sent past one.
    async fn fill(&mut self, index: usize) -> Result<(), PostgresError> {
        let script = self.file.script;
        while self.next < script.statements.len()
            && self.next < index + WINDOW
            && script.statements[self.next].class != Class::CopyFromStdin
        {
            self.streams
                .push_back(send(self.session, script.statement(self.next)).await?);
            self.next += 1;
        }
        if self.next == script.statements.len() && self.check.is_none() {
            self.check = Some(send(self.session, &check_sql(self.file)).await?);
        }
        Ok(())
    }

    /// Waits for statement `index`; returns its rows.
    async fn land(&mut self, index: usize) -> Result<u64, PostgresError> {
        match self.streams.pop_front() {
            Some(stream) => finish(stream).await,
            None => {
                self.next = index + 1;
                copy_in(self.session, self.file.script, index).await
            }
        }
    }
}

fn begin_sql(file: &FileToApply<'_>) -> String {
    let mut sql = format!("BEGIN; {}", file.row.insert());
    if let Some(role) = file.role {
        sql.push_str(&format!("; SET LOCAL ROLE {}", identifier(role)));
    }
    sql
}

/// Asks back, in the transaction and as ourselves, what must still be true before `COMMIT`.
fn check_sql(file: &FileToApply<'_>) -> String {
    let nonce = literal(file.row.nonce);
    let settings: String = file
        .guarded
        .iter()
        .map(|(name, _)| format!(", pg_catalog.current_setting({}, true)", literal(name)))
        .collect();
    // As ourselves: the file may have taken on a role that may not read the ledger.
    format!(
        "SET LOCAL ROLE NONE; SELECT (SELECT pg_catalog.count(*) FROM stagegate.ledger \
         WHERE nonce = {nonce} AND xmin::text::bigint = \
         (pg_catalog.pg_current_xact_id()::text::bigint & 4294967295)){settings}"
    )
}

async fn judge_guards(check: SimpleQueryStream, file: &FileToApply<'_>) -> Result<(), FileFailure> {
    let index = file.script.statements.len().saturating_sub(1);
    let mut check = pin!(check);
    let mut answer = Vec::new();
    while let Some(message) = check.next().await {
        answer.push(message.map_err(|error| classify(index, error.into()))?);
    }
    let row = answer.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => Some(row),
        _ => None,
    });
    let Some(row) = row else {
        return Err(FileFailure::Guard {
            reason: "the check before COMMIT gave no answer".into(),
        });
    };
    if row.get(0) != Some("1") {
        return Err(FileFailure::Guard {
            reason: "the file left its transaction: its ledger row is not there".into(),
        });
    }
    for (column, (name, wanted)) in file.guarded.iter().enumerate() {
        let found = row.get(column + 1).unwrap_or("(unset)");
        if found != wanted {
            return Err(FileFailure::Guard {
                reason: format!("the file changed `{name}` from `{wanted}` to `{found}`"),
            });
        }
    }
    Ok(())
}

/// Sends a statement without waiting for its answer.
async fn send(session: &Session, sql: &str) -> Result<SimpleQueryStream, PostgresError> {
    Ok(session.client.simple_query_raw(sql).await?)
}

/// Reads an answer to its end; the rows of all its statements are counted and dropped.
async fn finish(stream: SimpleQueryStream) -> Result<u64, PostgresError> {
    let mut stream = pin!(stream);
    let mut rows = 0;
    while let Some(message) = stream.next().await {
        if let SimpleQueryMessage::CommandComplete(count) = message? {
            rows += count;
        }
    }
    Ok(rows)
}

async fn copy_in(session: &Session, script: &Script, index: usize) -> Result<u64, PostgresError> {
    let sink = session.client.copy_in(script.statement(index)).await?;
    let mut sink = pin!(sink);
    let data = script.copy_data(index).unwrap_or_default();
    for chunk in data.as_bytes().chunks(64 * 1024) {
        sink.send(Bytes::copy_from_slice(chunk)).await?;
    }
    Ok(sink.finish().await?)
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
        // Our own cancel request; a statement timeout has the same code and another message.
        PostgresError::Database(error)
            if error.sqlstate == "57014" && error.message.contains("user request") =>
        {
            FileFailure::Canceled
        }
        PostgresError::Database(error) => FileFailure::Statement { index, error },
        other => FileFailure::Other {
            index,
            reason: other.to_string(),
        },
    }
}
