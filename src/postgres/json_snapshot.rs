//! The snapshot that all workers of a JSON backup share, and the tables that are in it.

use super::PostgresError;
use super::json_dump::JsonDumpError;
use super::json_manifest;
use super::session::Session;
use super::shared_snapshot;
use super::tables::{self, Tables};

/// Where this program keeps its own rows. They tell of the database that they are in, and are
/// not carried into another one.
const OWN_SCHEMAS: [&str; 2] = ["stagegate", "stagegate_control"];

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
    let taken = shared_snapshot::take(session, |found| wanted(found, only)).await?;
    let Some((id, all)) = taken else {
        return Err(JsonDumpError::Moving);
    };
    json_manifest::pin(session).await?;
    let left_out = left_out(session, &all).await?;
    let mut tables = wanted(all, only)?;
    tables::read_values(session, &mut tables.sequences).await?;
    let snapshot = described(session, id, left_out).await?;
    Ok((snapshot, tables))
}

async fn described(
    session: &Session,
    id: String,
    left_out: Vec<String>,
) -> Result<Snapshot, PostgresError> {
    let sql = "SELECT pg_catalog.to_char(pg_catalog.clock_timestamp() AT TIME ZONE 'UTC', \
                   'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"'), \
               CASE WHEN pg_catalog.pg_is_in_recovery() THEN pg_catalog.pg_last_wal_replay_lsn() \
               ELSE pg_catalog.pg_current_wal_lsn() END::text, \
               pg_catalog.current_setting('server_version')";
    let row = session.client.query_typed_one(sql, &[]).await?;
    Ok(Snapshot {
        id,
        taken_at: row.get(0),
        wal_position: row.get::<_, Option<String>>(1).unwrap_or_default(),
        server_version: row.get(2),
        left_out,
    })
}

/// Gives a session of a worker the snapshot.
pub(super) async fn join(session: &Session, snapshot: &str) -> Result<(), PostgresError> {
    shared_snapshot::join(session, snapshot).await?;
    json_manifest::pin(session).await
}

/// Reduces what there is to what was asked for.
fn wanted(mut found: Tables, only: &[String]) -> Result<Tables, JsonDumpError> {
    let others = |schema: &str| !OWN_SCHEMAS.contains(&schema);
    found.tables.retain(|table| others(&table.schema));
    found.sequences.retain(|sequence| others(&sequence.schema));
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
    for own in OWN_SCHEMAS {
        if found.tables.iter().any(|table| table.schema == own) {
            lacks.push(format!("the schema {own}: it tells of this database alone"));
        }
    }
    Ok(lacks)
}
