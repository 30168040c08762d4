//! Runs a statement that no transaction can hold, between an intent and its result in the ledger.
//!
//! What became of one that nobody saw end stands in the catalog: an index that is valid was made,
//! one that is not was left behind, a partition that is still attached was not detached.

use std::time::{Duration, Instant};

use super::ledger::{NewRow, identifier, literal};
use super::session::Session;
use super::{DatabaseError, PostgresError};
use crate::sql::Alone;
use crate::system::fault;

/// What the catalog says of such a statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seen {
    /// What it is to make, or to remove, is made or removed.
    Done,
    NotDone,
    /// Something invalid was left behind; these statements remove it or bring it to its end.
    Leftover {
        what: String,
        mend: Vec<String>,
    },
    /// The catalog does not say; to run it once more does no harm.
    Untold,
}

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
    match prepare(session, &file, &mut say).await {
        Ok(true) => return AloneOutcome::WasDone,
        Ok(false) => {}
        Err(AloneFailure::Before(error)) if error.is_connection_lost() => {
            return AloneOutcome::Unknown {
                reason: error.to_string(),
            };
        }
        Err(failure) => return AloneOutcome::Failed(failure),
    }
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
        (Ok(_), Ok(Seen::Leftover { what, .. })) => {
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

/// Makes room and writes the intent. Tells whether the work was done already by an attempt of this
/// file whose end nobody saw.
async fn prepare(
    session: &Session,
    file: &AloneFile<'_>,
    say: &mut impl FnMut(String),
) -> Result<bool, AloneFailure> {
    let before = AloneFailure::Before;
    let begun = intended(session, file.row.file).await.map_err(before)?;
    let seen = look(session, file.alone).await.map_err(before)?;
    match seen {
        Seen::Done if begun => {
            write_intent(session, &file.row).await.map_err(before)?;
            finish(session, &file.row).await.map_err(before)?;
            return Ok(true);
        }
        Seen::Leftover { what, mend } if begun => {
            say(format!("{what} was left by an attempt that failed"));
            as_role(session, file.role).await.map_err(before)?;
            for sql in mend {
                say(sql.clone());
                let mended = session.client.batch_execute(&sql).await;
                mended.map_err(|error| before(error.into()))?;
            }
            session
                .client
                .batch_execute("RESET ROLE")
                .await
                .map_err(|error| before(error.into()))?;
            // What was brought to its end is done; what was removed is made anew.
            if matches!(file.alone, Alone::DetachPartition { .. }) {
                write_intent(session, &file.row).await.map_err(before)?;
                finish(session, &file.row).await.map_err(before)?;
                return Ok(true);
            }
        }
        // IF NOT EXISTS would be content with it, and otherwise the server's words would not say
        // what is wrong.
        Seen::Leftover { what, .. } if matches!(file.alone, Alone::CreateIndex { .. }) => {
            return Err(AloneFailure::InTheWay { what });
        }
        _ => {}
    }
    write_intent(session, &file.row).await.map_err(before)?;
    as_role(session, file.role).await.map_err(before)?;
    Ok(false)
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
) -> Result<bool, PostgresError> {
    if !intended(session, row.file).await? || look(session, alone).await? != Seen::Done {
        return Ok(false);
    }
    write_intent(session, row).await?;
    finish(session, row).await?;
    Ok(true)
}

/// Looks at what such a statement makes or removes.
///
/// # Errors
/// What the server says.
pub async fn look(session: &Session, alone: &Alone) -> Result<Seen, PostgresError> {
    match alone {
        Alone::CreateIndex { index, table, .. } => {
            let found = index_of_table(session, index, table).await?;
            Ok(match found {
                None => Seen::NotDone,
                Some((_, true)) => Seen::Done,
                Some((name, false)) => invalid(&name),
            })
        }
        Alone::DropIndex { index } => Ok(match named_index(session, index).await? {
            None => Seen::Done,
            // A drop that was interrupted leaves it invalid; to run it again ends it.
            Some(_) => Seen::NotDone,
        }),
        Alone::ReindexIndex { index } => {
            remains(
                session,
                &format!(
                    "i.indrelid = (SELECT indrelid FROM pg_catalog.pg_index WHERE indexrelid = \
             pg_catalog.to_regclass({}))",
                    literal(index)
                ),
            )
            .await
        }
        Alone::ReindexTable { table } => {
            let of = format!("i.indrelid = pg_catalog.to_regclass({})", literal(table));
            remains(session, &of).await
        }
        Alone::ReindexMany => remains(session, "true").await,
        Alone::DetachPartition { table, partition } => detached(session, table, partition).await,
        Alone::Vacuum => Ok(Seen::Untold),
    }
}

fn invalid(name: &str) -> Seen {
    Seen::Leftover {
        what: format!("the INVALID index {name}"),
        mend: vec![format!("DROP INDEX CONCURRENTLY IF EXISTS {name}")],
    }
}

/// The index of that name in the schema of its table, and whether it is valid.
async fn index_of_table(
    session: &Session,
    index: &str,
    table: &str,
) -> Result<Option<(String, bool)>, PostgresError> {
    let sql = format!(
        "SELECT pg_catalog.format('%I.%I', n.nspname, c.relname), i.indisvalid AND i.indisready \
         FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
         JOIN pg_catalog.pg_index i ON i.indexrelid = c.oid \
         WHERE pg_catalog.quote_ident(c.relname) = pg_catalog.quote_ident((pg_catalog.parse_ident({}))[1]) \
         AND n.oid = (SELECT relnamespace FROM pg_catalog.pg_class \
                      WHERE oid = pg_catalog.to_regclass({}))",
        literal(index),
        literal(table)
    );
    one_index(session, &sql).await
}

async fn named_index(
    session: &Session,
    index: &str,
) -> Result<Option<(String, bool)>, PostgresError> {
    let sql = format!(
        "SELECT i.indexrelid::regclass::text, i.indisvalid FROM pg_catalog.pg_index i \
         WHERE i.indexrelid = pg_catalog.to_regclass({})",
        literal(index)
    );
    one_index(session, &sql).await
}

async fn one_index(session: &Session, sql: &str) -> Result<Option<(String, bool)>, PostgresError> {
    let rows = session.rows(sql).await?;
    Ok(rows.into_iter().next().and_then(|row| {
        let mut fields = row.into_iter().flatten();
        Some((fields.next()?, fields.next()? == "t"))
    }))
}

/// Indexes that a concurrent REINDEX left behind.
async fn remains(session: &Session, of: &str) -> Result<Seen, PostgresError> {
    let sql = format!(
        "SELECT pg_catalog.format('%I.%I', n.nspname, c.relname) \
         FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid \
         JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
         WHERE NOT i.indisvalid AND c.relname ~ '_cc(new|old)[0-9]*$' AND {of} ORDER BY 1"
    );
    let rows = session.rows(&sql).await?;
    let names: Vec<String> = rows.into_iter().flatten().flatten().collect();
    if names.is_empty() {
        return Ok(Seen::Untold);
    }
    let drop = |name: &String| format!("DROP INDEX CONCURRENTLY IF EXISTS {name}");
    Ok(Seen::Leftover {
        what: format!("the INVALID index {}", names.join(", ")),
        mend: names.iter().map(drop).collect(),
    })
}

async fn detached(session: &Session, table: &str, partition: &str) -> Result<Seen, PostgresError> {
    let sql = format!(
        "SELECT inhdetachpending FROM pg_catalog.pg_inherits \
         WHERE inhrelid = pg_catalog.to_regclass({}) AND inhparent = pg_catalog.to_regclass({})",
        literal(partition),
        literal(table)
    );
    let rows = session.rows(&sql).await?;
    let pending = rows.first().and_then(|row| row.first()?.clone());
    Ok(match pending.as_deref() {
        None => Seen::Done,
        Some("t") => Seen::Leftover {
            what: format!("the half detached partition {partition}"),
            mend: vec![format!(
                "ALTER TABLE {table} DETACH PARTITION {partition} FINALIZE"
            )],
        },
        Some(_) => Seen::NotDone,
    })
}
