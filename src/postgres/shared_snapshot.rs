//! A snapshot that several sessions share, of tables that stay as they are meanwhile.
//!
//! The tables are locked before the snapshot is taken: `TRUNCATE` and statements that write a
//! table anew do not keep the old rows for older snapshots, and a table that was emptied between
//! the two would look empty.

use super::PostgresError;
use super::session::Session;
use super::tables::{self, Tables};

/// How often a schema that changes under our hands is tried.
const ATTEMPTS: usize = 5;
/// How many tables are locked with one statement.
const LOCKED_AT_ONCE: usize = 500;

/// Locks the tables that are wanted, takes the snapshot and exports it; the transaction stays open.
/// Returns the snapshot's name and everything that it sees, without the values of sequences; `None`
/// when tables come and go faster than they can be locked.
///
/// # Errors
/// What the server says, and what `wanted` does.
pub async fn take<E: From<PostgresError>>(
    session: &Session,
    wanted: impl Fn(Tables) -> Result<Tables, E>,
) -> Result<Option<(String, Tables)>, E> {
    for _ in 0..ATTEMPTS {
        execute(session, "BEGIN READ ONLY").await?;
        let before = wanted(tables::read_definitions(session).await?)?;
        let begin = "COMMIT; BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
        execute(session, begin).await?;
        if lock(session, &before).await? {
            // The first statement with a snapshot: what comes later in the transaction sees the same.
            let sql = "SELECT pg_catalog.pg_export_snapshot()";
            let row = session.client.query_typed_one(sql, &[]).await;
            let id: String = row.map_err(PostgresError::from)?.get(0);
            let all = tables::read_definitions(session).await?;
            let now = wanted(all.clone())?;
            if oids(&before) == oids(&now) {
                return Ok(Some((id, all)));
            }
        }
        execute(session, "ROLLBACK").await?;
    }
    Ok(None)
}

fn oids(tables: &Tables) -> Vec<u32> {
    tables.tables.iter().map(|table| table.oid).collect()
}

async fn execute(session: &Session, sql: &str) -> Result<(), PostgresError> {
    session.client.batch_execute(sql).await.map_err(Into::into)
}

/// Locks what may be dropped or emptied; says no when a table is gone already.
async fn lock(session: &Session, tables: &Tables) -> Result<bool, PostgresError> {
    for some in tables.tables.chunks(LOCKED_AT_ONCE) {
        let names: Vec<String> = some.iter().map(|t| format!("ONLY {}", t.quoted)).collect();
        let sql = format!("LOCK TABLE {} IN ACCESS SHARE MODE", names.join(", "));
        match execute(session, &sql).await {
            Ok(()) => {}
            Err(PostgresError::Database(error))
                if matches!(error.sqlstate.as_str(), "42P01" | "3F000") =>
            {
                return Ok(false);
            }
            Err(error) => return Err(error),
        }
    }
    Ok(true)
}

/// Gives a session of a worker the snapshot, in a transaction of its own.
///
/// # Errors
/// What the server says.
pub async fn join(session: &Session, snapshot: &str) -> Result<(), PostgresError> {
    let sql = format!(
        "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET TRANSACTION SNAPSHOT {}",
        super::ledger::literal(snapshot)
    );
    execute(session, &sql).await
}

/// Locks a table without waiting; says no when somebody waits to change it. Who does waits for the
/// first session, and would be waited for by this one; no server sees such a circle.
///
/// # Errors
/// What the server says.
pub async fn lock_now(session: &Session, quoted: &str) -> Result<bool, PostgresError> {
    let sql = format!(
        "SAVEPOINT l; LOCK TABLE ONLY {quoted} IN ACCESS SHARE MODE NOWAIT; RELEASE SAVEPOINT l"
    );
    match execute(session, &sql).await {
        Ok(()) => Ok(true),
        Err(PostgresError::Database(error)) if error.sqlstate == "55P03" => {
            let sql = "ROLLBACK TO SAVEPOINT l; RELEASE SAVEPOINT l";
            execute(session, sql).await?;
            Ok(false)
        }
        Err(error) => Err(error),
    }
}
