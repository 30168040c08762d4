//! Applies one SQL file in one transaction, with its ledger row, and says how that came out.
//!
//! `BEGIN`, the ledger row, the statements and the check are sent ahead, so a file costs two round
//! trips however long it is. What keeps that safe: outside of the transaction that we begin the
//! session is read only ([`Renewal`]), so a `BEGIN` that failed and whatever ends the transaction early
//! leave the statements behind them nothing to write to. `COMMIT` is never in the same message as
//! anything else: a client that dies before it is sent has certainly not committed.

use std::time::{Duration, Instant};

use tokio_postgres::SimpleQueryStream;
use tokio_util::sync::CancellationToken;

use super::apply_flight::{Flight, finish, send};
use super::apply_guard::{self, is_missing_ticket, judge};
pub use super::apply_guard::{Guard, read as read_guards};
use super::commit::{self, Answer};
use super::ledger::{NewRow, identifier};
pub use super::renewal::Renewal;
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
    /// Said before it, so that nothing of the file before it is left in the session.
    pub renewal: &'a Renewal,
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

/// What a file's commit waits for, whatever the role says of it: for nothing, or at least for this
/// server's disk.
///
/// # Errors
/// What the server says; that the session's role switches the triggers off by which the database
/// refuses a file that ends its transaction.
pub async fn durability(session: &Session, waits: bool) -> Result<String, PostgresError> {
    let sql = "SELECT CASE reset_val WHEN 'off' THEN 'on' WHEN 'local' THEN 'on' \
               ELSE reset_val END, pg_catalog.current_setting('session_replication_role') \
               FROM pg_catalog.pg_settings WHERE name OPERATOR(pg_catalog.=) 'synchronous_commit'";
    let row = session.rows(sql).await?.into_iter().next();
    let mut fields = row.into_iter().flatten().flatten();
    let (commit, role) = (fields.next(), fields.next());
    if role.as_deref() != Some("origin") {
        return Err(PostgresError::SettingNotKept {
            name: "session_replication_role".to_owned(),
            wanted: "origin".to_owned(),
            found: role.unwrap_or_default(),
        });
    }
    Ok(match waits {
        true => commit.unwrap_or_else(|| "on".to_owned()),
        false => "off".to_owned(),
    })
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
        begun(session, begin, file).await?;
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
            begun(session, begin, file).await?;
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
        begun(session, begin, file).await?;
    }
    if let Some(check) = flight.check {
        for said in judge(check, wrong).await? {
            observe(ApplyEvent::Said(said));
        }
    }
    if cancel.is_cancelled() {
        return Err(FileFailure::Canceled);
    }
    Ok(())
}

/// What was sent before the file, in order; the ledger row is written by the last.
struct Ahead {
    before: Vec<SimpleQueryStream>,
    row: SimpleQueryStream,
    prepares: bool,
}

/// Sends what comes before the file, and waits for none of it.
///
/// `BEGIN` is in a message that nothing can be wrong with: whatever the server may refuse in the
/// row, the file is in a transaction by then, and one that is aborted.
async fn start(session: &Session, file: &FileToApply<'_>) -> Result<Ahead, PostgresError> {
    let mut before = Vec::new();
    let renewal = file.renewal.sql(session.has_check());
    before.push(send(session, renewal).await?);
    let prepare = apply_guard::to_prepare(session, file);
    if let Some(prepare) = &prepare {
        let renewal = file.renewal.prepare();
        before.push(send(session, &format!("{renewal}{prepare}")).await?);
    }
    let begin = "BEGIN READ WRITE";
    let mut row = row_sql(file, session.has_check());
    if row.is_ascii() {
        // In any encoding it is what it is here, and all of it is ours: the server cannot refuse to
        // read it, which is the one way to refuse BEGIN with it.
        row = format!("{begin}; {row}");
    } else {
        before.push(send(session, begin).await?);
    }
    Ok(Ahead {
        before,
        row: send(session, &row).await?,
        prepares: prepare.is_some(),
    })
}

/// The session is in no transaction any more: an answer that is on its way may say why.
async fn why_it_left(mut flight: Flight<'_>, index: usize) -> FileFailure {
    match flight.rest().await.map_err(|error| classify(index, error)) {
        Err(failure @ (FileFailure::Guard { .. } | FileFailure::ConnectionLost { .. })) => failure,
        _ => FileFailure::Left,
    }
}

/// Waits until the transaction stands, with its ledger row.
async fn begun(session: &Session, ahead: Ahead, file: &FileToApply<'_>) -> Result<(), FileFailure> {
    for stream in ahead.before {
        finish(stream).await.map_err(refused_at_begin)?;
    }
    if ahead.prepares {
        session.check_is_prepared();
    }
    let rows = finish(ahead.row).await.map_err(refused_at_begin)?;
    match file.row.undoes {
        // Between the plan and now somebody else undid it; nothing of the file is run.
        Some(up) if rows == 0 => Err(FileFailure::Guard {
            reason: format!("{up} is not applied any more: somebody else undid it meanwhile"),
        }),
        _ => Ok(()),
    }
}

fn row_sql(file: &FileToApply<'_>, prepared: bool) -> String {
    let mut sql = match prepared {
        true => file.row.insert_prepared(),
        false => file.row.insert(),
    };
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
