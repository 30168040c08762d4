//! Runs a statement that no transaction can hold, between an intent and its result in the ledger.
//!
//! What became of one that nobody saw end stands in the catalog: an index that is valid was made,
//! one that is not was left behind, a partition that is still attached was not detached.

use std::time::{Duration, Instant};

use super::alone_seen::{Seen, at_work, look};
use super::ledger::{NewRow, identifier, literal};
use super::session::Session;
use super::{DatabaseError, PostgresError};
use crate::sql::Alone;
use crate::system::fault;

/// A statement and its row.
#[derive(Debug, Clone, Copy)]
pub struct AloneFile<'a> {
    pub statement: &'a str,
    pub alone: &'a Alone,
    pub row: NewRow<'a>,
    pub role: Option<&'a str>,
}

/// How it came out.
#[derive(Debug, Clone, PartialEq)]
pub enum AloneOutcome {
    Done {
        took: Duration,
        rows: u64,
    },
    /// It was done before, by an attempt that nobody saw end.
    WasDone,
    /// It was not, or not wholly, done.
    Failed(AloneFailure),
    /// The connection was lost; the catalog will say.
    Unknown {
        reason: String,
    },
}

/// Why it was not done.
#[derive(Debug, Clone, PartialEq)]
pub enum AloneFailure {
    /// The server refused the row, the role or what makes room for it.
    Before(PostgresError),
    /// Something invalid stands in its place that this file did not make.
    InTheWay {
        what: String,
    },
    /// What it is to remove is not there.
    NotThere {
        what: String,
    },
    /// Another session works on what looks left behind.
    Busy {
        what: String,
        pid: i32,
    },
    Statement {
        error: Box<DatabaseError>,
        leftover: Option<String>,
    },
    Canceled {
        leftover: Option<String>,
    },
    /// Too many waited behind it for too long, so it was stopped.
    Stopped {
        reason: String,
        leftover: Option<String>,
    },
    /// The server took it, and what it was to make is not valid.
    NotValid {
        what: String,
    },
}

/// Runs the statement. Before it the ledger holds the intent, after it the result.
pub async fn apply_alone(
    session: &Session,
    file: AloneFile<'_>,
    mut say: impl FnMut(String),
) -> AloneOutcome {
    let before = match prepare(session, &file, &mut say).await {
        Ok(Ready::Done) => return AloneOutcome::WasDone,
        Ok(Ready::Go(seen)) => seen,
        Err(AloneFailure::Before(error)) if error.is_connection_lost() => {
            return AloneOutcome::Unknown {
                reason: error.to_string(),
            };
        }
        Err(failure) => return AloneOutcome::Failed(failure),
    };
    fault::point("after_alone_intent");
    let started = Instant::now();
    let ran = session.client.simple_query(file.statement).await;
    fault::point("after_alone");
    let took = started.elapsed();
    let seen = look(session, file.alone).await;
    let rows = match (ran.map_err(PostgresError::from), seen) {
        (Err(error), _) if error.is_connection_lost() => {
            return AloneOutcome::Unknown {
                reason: error.to_string(),
            };
        }
        (Err(PostgresError::Database(error)), seen) => {
            let leftover = leftover(seen.ok());
            if leftover.is_none() {
                withdraw(session, &file.row).await;
            }
            return AloneOutcome::Failed(if super::apply::is_our_cancel(&error) {
                AloneFailure::Canceled { leftover }
            } else {
                AloneFailure::Statement { error, leftover }
            });
        }
        (Err(error), _) => return AloneOutcome::Failed(AloneFailure::Before(error)),
        (Ok(_), Err(error)) => {
            return AloneOutcome::Unknown {
                reason: error.to_string(),
            };
        }
        // Somebody else's leftover of before is not this statement's.
        (Ok(_), Ok(seen @ Seen::Leftover { .. })) if seen != before => {
            let what = leftover(Some(seen)).unwrap_or_default();
            return AloneOutcome::Failed(AloneFailure::NotValid { what });
        }
        (Ok(_), Ok(Seen::NotDone)) => {
            let what = "what the catalog shows: it is as before".to_owned();
            return AloneOutcome::Failed(AloneFailure::NotValid { what });
        }
        (Ok(messages), Ok(_)) => rows_of(&messages),
    };
    match finish(session, &file.row).await {
        Ok(()) => AloneOutcome::Done { took, rows },
        Err(error) => AloneOutcome::Unknown {
            reason: error.to_string(),
        },
    }
}

fn leftover(seen: Option<Seen>) -> Option<String> {
    match seen {
        Some(Seen::Leftover { what, .. }) => Some(what),
        _ => None,
    }
}

fn rows_of(messages: &[tokio_postgres::SimpleQueryMessage]) -> u64 {
    let rows = |message: &tokio_postgres::SimpleQueryMessage| match message {
        tokio_postgres::SimpleQueryMessage::CommandComplete(rows) => *rows,
        _ => 0,
    };
    messages.iter().map(rows).sum()
}

/// What stands before the statement is run.
enum Ready {
    /// It was done by an attempt of this file whose end nobody saw.
    Done,
    /// As the catalog was just before.
    Go(Seen),
}

/// Makes room and writes the intent. An intent is only written where there is something to do, so
/// that what is found done behind one was done by it.
async fn prepare(
    session: &Session,
    file: &AloneFile<'_>,
    say: &mut impl FnMut(String),
) -> Result<Ready, AloneFailure> {
    let before = AloneFailure::Before;
    let begun = intended(session, file.row.file).await.map_err(before)?;
    // Names are found as the role finds them.
    as_role(session, file.role).await.map_err(before)?;
    let mut seen = look(session, file.alone).await.map_err(before)?;
    match (&seen, file.alone) {
        (Seen::Done, _) if begun => {
            as_ourselves(session).await.map_err(before)?;
            write_intent(session, &file.row).await.map_err(before)?;
            finish(session, &file.row).await.map_err(before)?;
            return Ok(Ready::Done);
        }
        (Seen::Leftover { what, mend }, _) if begun => {
            if let Some(pid) = at_work(session, file.alone).await.map_err(before)? {
                let what = what.clone();
                return Err(AloneFailure::Busy { what, pid });
            }
            say(format!("{what} was left by an attempt that failed"));
            for sql in mend {
                say(sql.clone());
                let mended = session.client.batch_execute(sql).await;
                mended.map_err(|error| before(error.into()))?;
            }
            seen = look(session, file.alone).await.map_err(before)?;
            // A partition is brought to its end by what mends it.
            if matches!(file.alone, Alone::DetachPartition { .. }) && seen == Seen::Done {
                as_ourselves(session).await.map_err(before)?;
                write_intent(session, &file.row).await.map_err(before)?;
                finish(session, &file.row).await.map_err(before)?;
                return Ok(Ready::Done);
            }
        }
        (seen, alone) => {
            if let Some(failure) = unfit(seen, alone) {
                return Err(failure);
            }
        }
    }
    as_ourselves(session).await.map_err(before)?;
    write_intent(session, &file.row).await.map_err(before)?;
    as_role(session, file.role).await.map_err(before)?;
    Ok(Ready::Go(seen))
}

/// Why a statement that nobody has begun yet is not begun: what it would make or remove is there, or
/// not there, already.
fn unfit(seen: &Seen, alone: &Alone) -> Option<AloneFailure> {
    match (seen, alone) {
        // IF NOT EXISTS would be content with it, and otherwise the server's words would not say
        // what is wrong.
        (Seen::Leftover { what, .. } | Seen::Other { what }, Alone::CreateIndex { .. }) => {
            let what = what.clone();
            Some(AloneFailure::InTheWay { what })
        }
        (
            Seen::Done,
            Alone::CreateIndex {
                index,
                if_not_exists,
                ..
            },
        ) if !if_not_exists => {
            let what = format!("another index {index}");
            Some(AloneFailure::InTheWay { what })
        }
        (
            Seen::Done,
            Alone::DropIndex {
                index,
                if_exists: false,
            },
        ) => {
            let what = format!("index {index}");
            Some(AloneFailure::NotThere { what })
        }
        (Seen::Done, Alone::DetachPartition { table, partition }) => {
            let what = format!("partition {partition} of {table}");
            Some(AloneFailure::NotThere { what })
        }
        _ => None,
    }
}

async fn as_ourselves(session: &Session) -> Result<(), PostgresError> {
    session.client.batch_execute("RESET ROLE").await?;
    Ok(())
}

/// The server refused the statement and nothing of it is left: what is found done later was not
/// done by this attempt.
async fn withdraw(session: &Session, row: &NewRow<'_>) {
    let sql = format!(
        "RESET ROLE; UPDATE stagegate.ledger SET state = 'void' WHERE state = 'intent' \
         AND nonce = {}",
        literal(row.nonce)
    );
    // Should that fail, the next attempt looks once more.
    let _ = session.client.batch_execute(&sql).await;
}

async fn as_role(session: &Session, role: Option<&str>) -> Result<(), PostgresError> {
    if let Some(role) = role {
        let sql = format!("SET ROLE {}", identifier(role));
        session.client.batch_execute(&sql).await?;
    }
    Ok(())
}

/// Tells whether an attempt at this file was begun before, in this run or another one.
async fn intended(session: &Session, file: &str) -> Result<bool, PostgresError> {
    let sql = format!(
        "SELECT count(*) FROM stagegate.ledger WHERE state = 'intent' AND file = {}",
        literal(file)
    );
    let rows = session.rows(&sql).await?;
    Ok(rows.first().and_then(|row| row.first()?.as_deref()) != Some("0"))
}

async fn write_intent(session: &Session, row: &NewRow<'_>) -> Result<(), PostgresError> {
    session.client.batch_execute(&row.intent()).await?;
    Ok(())
}

/// Writes the result: the intent becomes an applied file, and older ones of it are settled.
async fn finish(session: &Session, row: &NewRow<'_>) -> Result<(), PostgresError> {
    let (nonce, file) = (literal(row.nonce), literal(row.file));
    // The row of before makes way first: only one may say of a file that it is applied.
    let before = row
        .makes_way()
        .map_or(String::new(), |sql| format!("{sql}; "));
    let sql = format!(
        "RESET ROLE; {before}UPDATE stagegate.ledger SET state = CASE WHEN nonce = {nonce} \
         THEN {} ELSE 'void' END, applied_at = clock_timestamp() \
         WHERE state = 'intent' AND file = {file}",
        literal(row.done_state())
    );
    session.client.batch_execute(&sql).await?;
    let sql = format!(
        "SELECT count(*) FROM stagegate.ledger WHERE nonce = {nonce} AND state = {}",
        literal(row.done_state())
    );
    let rows = session.rows(&sql).await?;
    if rows.first().and_then(|row| row.first()?.as_deref()) != Some("1") {
        return Err(PostgresError::Protocol {
            reason: "the ledger did not take the result of a statement that was done".to_owned(),
        });
    }
    Ok(())
}

/// Finds out by the catalog what became of an attempt that nobody saw end, and writes its result
/// where it was done. Tells whether it was.
///
/// # Errors
/// What the server says.
pub async fn settle_alone(
    session: &Session,
    alone: &Alone,
    row: &NewRow<'_>,
    role: Option<&str>,
) -> Result<bool, PostgresError> {
    if !intended(session, row.file).await? {
        return Ok(false);
    }
    as_role(session, role).await?;
    let seen = look(session, alone).await;
    as_ourselves(session).await?;
    if seen? != Seen::Done {
        return Ok(false);
    }
    write_intent(session, row).await?;
    finish(session, row).await?;
    Ok(true)
}
