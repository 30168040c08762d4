//! The snapshot that all workers of a JSON backup share, and the tables that are in it.
//!
//! The tables are locked before the snapshot is taken: `TRUNCATE` and statements that write a
//! table anew do not keep the old rows for older snapshots, and a table that was emptied between
//! the two would look empty.

use super::PostgresError;
use super::json_dump::JsonDumpError;
use super::json_manifest;
use super::session::Session;
use super::tables::{self, Tables};

/// How often a schema that changes under our hands is tried.
const ATTEMPTS: usize = 5;
/// How many tables are locked with one statement.
const LOCKED_AT_ONCE: usize = 500;
/// Where this program keeps its own rows. They tell of the database that they are in, and are
/// not carried into another one.
const OWN_SCHEMA: &str = "stagegate";

pub(super) struct Snapshot {
    pub(super) id: String,
    pub(super) taken_at: String,
    pub(super) wal_position: String,
    pub(super) server_version: String,
    pub(super) left_out: Vec<String>,
}

/// Locks the tables, takes the snapshot and exports it. The transaction stays open.
pub(super) async fn take(
    session: &Session,
    only: &[String],
) -> Result<(Snapshot, Tables), JsonDumpError> {
    for _ in 0..ATTEMPTS {
        session.client.batch_execute("BEGIN READ ONLY").await?;
        let before = wanted(tables::read_definitions(session).await?, only)?;
        let sql = "COMMIT; BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
        session.client.batch_execute(sql).await?;
        if !lock(session, &before).await? {
            session.client.batch_execute("ROLLBACK").await?;
            continue;
        }
        json_manifest::pin(session).await?;
        let mut snapshot = export(session).await?;
        let all = tables::read_definitions(session).await?;
        let left_out = left_out(session, &all).await?;
        let mut tables = wanted(all, only)?;
        tables::read_values(session, &mut tables.sequences).await?;
        let oids = |tables: &Tables| -> Vec<u32> { tables.tables.iter().map(|t| t.oid).collect() };
        if oids(&before) == oids(&tables) {
            snapshot.left_out = left_out;
            return Ok((snapshot, tables));
        }
        session.client.batch_execute("ROLLBACK").await?;
    }
    Err(JsonDumpError::Moving)
}

/// Locks what may be dropped or emptied; says no when a table is gone already.
async fn lock(session: &Session, tables: &Tables) -> Result<bool, PostgresError> {
    for some in tables.tables.chunks(LOCKED_AT_ONCE) {
        let names: Vec<String> = some.iter().map(|t| format!("ONLY {}", t.quoted)).collect();
        let sql = format!("LOCK TABLE {} IN ACCESS SHARE MODE", names.join(", "));
        match session.client.batch_execute(&sql).await.map_err(Into::into) {
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

async fn export(session: &Session) -> Result<Snapshot, PostgresError> {
    // The first statement with a snapshot: what comes later in the transaction sees the same.
    let sql = "SELECT pg_catalog.pg_export_snapshot(), \
               pg_catalog.to_char(pg_catalog.clock_timestamp() AT TIME ZONE 'UTC', \
                   'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"'), \
               CASE WHEN pg_catalog.pg_is_in_recovery() THEN pg_catalog.pg_last_wal_replay_lsn() \
               ELSE pg_catalog.pg_current_wal_lsn() END::text, \
               pg_catalog.current_setting('server_version')";
    let row = session.client.query_typed_one(sql, &[]).await?;
    Ok(Snapshot {
        id: row.get(0),
        taken_at: row.get(1),
        wal_position: row.get::<_, Option<String>>(2).unwrap_or_default(),
        server_version: row.get(3),
        left_out: Vec::new(),
    })
}

/// Gives a session of a worker the snapshot.
pub(super) async fn join(session: &Session, snapshot: &str) -> Result<(), PostgresError> {
    let sql = format!(
        "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET TRANSACTION SNAPSHOT {}",
        super::ledger::literal(snapshot)
    );
    session.client.batch_execute(&sql).await?;
    json_manifest::pin(session).await
}

/// Locks a table without waiting. Whoever waits to change it waits for the first session, and
/// would be waited for by this one; no server sees such a circle.
pub(super) async fn lock_now(session: &Session, quoted: &str) -> Result<bool, PostgresError> {
    let sql = format!(
        "SAVEPOINT l; LOCK TABLE ONLY {quoted} IN ACCESS SHARE MODE NOWAIT; RELEASE SAVEPOINT l"
    );
    match session.client.batch_execute(&sql).await.map_err(Into::into) {
        Ok(()) => Ok(true),
        Err(PostgresError::Database(error)) if error.sqlstate == "55P03" => {
            let sql = "ROLLBACK TO SAVEPOINT l; RELEASE SAVEPOINT l";
            session.client.batch_execute(sql).await?;
            Ok(false)
        }
        Err(error) => Err(error),
    }
}

/// Reduces what there is to what was asked for.
fn wanted(mut found: Tables, only: &[String]) -> Result<Tables, JsonDumpError> {
    found.tables.retain(|table| table.schema != OWN_SCHEMA);
    found
        .sequences
        .retain(|sequence| sequence.schema != OWN_SCHEMA);
    if only.is_empty() {
        return Ok(found);
    }
    let named = |table: &tables::Table, name: &str| {
        name == table.quoted || name == format!("{}.{}", table.schema, table.name)
    };
    if let Some(missing) = only
        .iter()
        .find(|name| !found.tables.iter().any(|table| named(table, name)))
    {
        return Err(JsonDumpError::NoTable(missing.clone()));
    }
    found
        .tables
        .retain(|table| only.iter().any(|name| named(table, name)));
    let Tables {
        tables, sequences, ..
    } = &mut found;
    sequences.retain(|sequence| {
        let owner = sequence.owner.as_ref().map(|(oid, _)| *oid);
        tables.iter().any(|table| Some(table.oid) == owner)
    });
    Ok(found)
}

/// Says what a backup of rows lacks, in general and of this database.
async fn left_out(session: &Session, found: &Tables) -> Result<Vec<String>, PostgresError> {
    let mut lacks: Vec<String> = [
        "the schema itself: tables, types, functions, triggers, policies, grants; the target must \
         have them",
        "roles, tablespaces and settings of the database",
    ]
    .map(str::to_owned)
    .to_vec();
    let mut columns = found.tables.iter().flat_map(|table| &table.columns);
    if columns.any(|column| column.generated) {
        lacks.push("generated columns: the server computes them again".to_owned());
    }
    let sql = "SELECT count(*) FROM pg_catalog.pg_class WHERE relkind = 'm'";
    let views: i64 = session.client.query_typed_one(sql, &[]).await?.get(0);
    if views > 0 {
        lacks.push(format!(
            "the rows of {views} materialized views: refresh them"
        ));
    }
    let sql = "SELECT count(*) FROM pg_catalog.pg_largeobject_metadata";
    let large: i64 = session.client.query_typed_one(sql, &[]).await?.get(0);
    if large > 0 {
        lacks.push(format!("{large} large objects"));
    }
    if !found.foreign.is_empty() {
        lacks.push(format!("foreign tables: {}", found.foreign.join(", ")));
    }
    if found.tables.iter().any(|table| table.schema == OWN_SCHEMA) {
        lacks.push(format!(
            "the schema {OWN_SCHEMA}: it tells of this database alone"
        ));
    }
    Ok(lacks)
}
