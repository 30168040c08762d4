//! What is put aside in the target while rows are written, and put back as it was, all in the
//! same transaction: triggers of users, and keys of tables that refer to each other in a circle.
//!
//! A key is never switched off. One that cannot be deferred is made deferrable until the rows of
//! the whole circle are there; then every row is checked, and the key is made what it was.

use super::PostgresError;
use super::json_manifest::JsonSequence;
use super::json_target::{Conflict, Looked};
use super::ledger::{identifier, literal};
use super::session::Session;
use super::tables::Fires;

/// The statements that put everything back.
#[derive(Debug, Default)]
pub(super) struct Aside {
    back: Vec<String>,
    /// Of the partitioned tables above those that are emptied, as they were.
    above: Vec<AboveTrigger>,
}

/// A trigger of a partitioned table, which holds no rows and is none of the backup's.
#[derive(Debug, PartialEq, Eq)]
struct AboveTrigger {
    table: String,
    name: String,
    enabled: String,
}

/// The triggers that fire when partitioned tables above the backup's are emptied. Those for rows
/// are at the leaves.
async fn triggers_above(
    session: &Session,
    looked: &Looked,
) -> Result<Vec<AboveTrigger>, PostgresError> {
    let leaves = looked.tables.tables.iter().filter(|t| t.partition);
    let leaves: Vec<String> = leaves.map(|table| table.oid.to_string()).collect();
    if leaves.is_empty() {
        return Ok(Vec::new());
    }
    let sql = format!(
        "SELECT DISTINCT pg_catalog.format('%I.%I', n.nspname, c.relname), t.tgname::text, \
           t.tgenabled::text FROM pg_catalog.unnest(ARRAY[{}]::oid[]) l, \
         LATERAL pg_catalog.pg_partition_ancestors(l) a \
         JOIN pg_catalog.pg_class c ON c.oid = a.relid AND c.relkind = 'p' \
         JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
         JOIN pg_catalog.pg_trigger t ON t.tgrelid = c.oid \
         WHERE NOT t.tgisinternal AND t.tgtype & 32 <> 0 ORDER BY 1, 2",
        leaves.join(", ")
    );
    let rows = session.client.query_typed(&sql, &[]).await?;
    let trigger = |row: &tokio_postgres::Row| AboveTrigger {
        table: row.get(0),
        name: row.get(1),
        enabled: row.get(2),
    };
    Ok(rows.iter().map(trigger).collect())
}

/// Puts aside what stands in the way of rows in any order.
pub(super) async fn put_aside(
    session: &Session,
    looked: &Looked,
    conflict: Conflict,
) -> Result<Aside, PostgresError> {
    let mut aside = Aside::default();
    let mut sql = Vec::new();
    for table in &looked.tables.tables {
        for trigger in &table.triggers {
            let (table, name) = (&table.quoted, identifier(&trigger.name));
            let fires = match trigger.fires {
                Fires::Origin => "ENABLE",
                Fires::Replica => "ENABLE REPLICA",
                Fires::Always => "ENABLE ALWAYS",
            };
            sql.push(format!("ALTER TABLE ONLY {table} DISABLE TRIGGER {name}"));
            aside
                .back
                .push(format!("ALTER TABLE ONLY {table} {fires} TRIGGER {name}"));
        }
    }
    if conflict == Conflict::Replace {
        aside.above = triggers_above(session, looked).await?;
    }
    for trigger in &aside.above {
        let (table, name) = (&trigger.table, identifier(&trigger.name));
        let fires = match trigger.enabled.as_str() {
            "D" => continue,
            "R" => "ENABLE REPLICA",
            "A" => "ENABLE ALWAYS",
            _ => "ENABLE",
        };
        sql.push(format!("ALTER TABLE ONLY {table} DISABLE TRIGGER {name}"));
        let back = format!("ALTER TABLE ONLY {table} {fires} TRIGGER {name}");
        aside.back.push(back);
    }
    for key in keys_of_circles(session, looked).await? {
        // SET CONSTRAINTS knows keys by their names alone, which another table may use, too.
        let alter = format!("ALTER TABLE {} ALTER CONSTRAINT {}", key.table, key.name);
        let back = match (key.deferrable, key.deferred) {
            (_, true) => continue,
            (true, false) => "DEFERRABLE INITIALLY IMMEDIATE",
            (false, false) => "NOT DEFERRABLE",
        };
        sql.push(format!("{alter} DEFERRABLE INITIALLY DEFERRED"));
        aside.back.push(format!("{alter} {back}"));
    }
    session.client.batch_execute(&sql.join("; ")).await?;
    Ok(aside)
}

/// Empties the tables, of an extension's only the rows that are the user's.
pub(super) async fn empty(session: &Session, looked: &Looked) -> Result<(), PostgresError> {
    let mut names = Vec::new();
    let mut leaves = Vec::new();
    for table in &looked.tables.tables {
        match &table.extension {
            Some(config) if !config.condition.is_empty() => {
                let sql = format!("DELETE FROM ONLY {} {}", table.quoted, config.condition);
                session.client.batch_execute(&sql).await?;
            }
            _ => names.push(format!("ONLY {}", table.quoted)),
        }
        if table.partition {
            leaves.push(table.oid.to_string());
        }
    }
    if !leaves.is_empty() {
        // A partitioned table that refers to itself must be named itself, and that is allowed
        // where nothing of it stays.
        let sql = format!(
            "SELECT DISTINCT r.root::regclass::text FROM (\
               SELECT pg_catalog.pg_partition_root(l) AS root \
               FROM pg_catalog.unnest(ARRAY[{0}]::oid[]) l) r \
             WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_partition_tree(r.root) t \
               WHERE t.isleaf AND t.relid <> ALL (ARRAY[{0}]::oid[]))",
            leaves.join(", ")
        );
        let roots = session.client.query_typed(&sql, &[]).await?;
        names.extend(roots.iter().map(|row| row.get::<_, String>(0)));
    }
    if !names.is_empty() {
        // Without CASCADE: the server refuses to empty what others refer to.
        let sql = format!("TRUNCATE {}", names.join(", "));
        session.client.batch_execute(&sql).await?;
    }
    Ok(())
}

/// Checks every row that waits for it, and puts everything back. Gives what is not as it was of
/// the partitioned tables above the backup's.
pub(super) async fn put_back(
    session: &Session,
    looked: &Looked,
    aside: &Aside,
) -> Result<Vec<String>, PostgresError> {
    let sql = "SET CONSTRAINTS ALL IMMEDIATE";
    session.client.batch_execute(sql).await?;
    session.client.batch_execute(&aside.back.join("; ")).await?;
    if aside.above.is_empty() {
        return Ok(Vec::new());
    }
    let now = triggers_above(session, looked).await?;
    let lost = aside.above.iter().filter(|trigger| !now.contains(trigger));
    Ok(lost
        .map(|t| format!("triggers of {}: {} is not as it was", t.table, t.name))
        .collect())
}

/// A key as statements name it; of a partitioned table, the one at the root.
struct Key {
    table: String,
    name: String,
    deferrable: bool,
    /// It is so from the beginning of every transaction.
    deferred: bool,
}

/// The keys between tables of a circle. One that a table has to itself needs nothing: the rows of
/// a table come in one statement, and its keys are checked at the end of that.
async fn keys_of_circles(session: &Session, looked: &Looked) -> Result<Vec<Key>, PostgresError> {
    let mut oids = Vec::new();
    for group in looked.order.iter().filter(|group| group.tables.len() > 1) {
        for table in group.tables.iter().filter_map(|oid| looked.table(*oid)) {
            let within = table.foreign_keys.iter().filter(|key| {
                let mut holders = key.holders.iter();
                holders.any(|oid| *oid != table.oid && group.tables.contains(oid))
            });
            oids.extend(within.map(|key| key.oid.to_string()));
        }
    }
    if oids.is_empty() {
        return Ok(Vec::new());
    }
    let sql = format!(
        "WITH RECURSIVE up(oid, parent) AS (\
           SELECT oid, conparentid FROM pg_catalog.pg_constraint WHERE oid IN ({}) \
           UNION SELECT k.oid, k.conparentid FROM up, pg_catalog.pg_constraint k \
           WHERE k.oid = up.parent) \
         SELECT pg_catalog.format('%I.%I', n.nspname, c.relname), \
           pg_catalog.quote_ident(k.conname), k.condeferrable, k.condeferred \
         FROM up JOIN pg_catalog.pg_constraint k ON k.oid = up.oid \
         JOIN pg_catalog.pg_class c ON c.oid = k.conrelid \
         JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
         WHERE k.conparentid = 0 ORDER BY k.oid",
        oids.join(", ")
    );
    let rows = session.client.query_typed(&sql, &[]).await?;
    Ok(rows
        .iter()
        .map(|row| Key {
            table: row.get(0),
            name: row.get(1),
            deferrable: row.get(2),
            deferred: row.get(3),
        })
        .collect())
}

/// Sets the sequences to where they stood. Where rows are kept, a sequence never goes back.
///
/// `setval` alone outlives a rollback; after `RESTART` the sequence has new storage that belongs to
/// the transaction, and `setval` writes there.
pub(super) async fn set_sequences(
    session: &Session,
    sequences: &[JsonSequence],
    conflict: Conflict,
) -> Result<u64, PostgresError> {
    let mut set = 0;
    for sequence in sequences {
        let (quoted, value) = (&sequence.quoted, sequence.last_value);
        let behind = format!(
            "SELECT CASE WHEN p.seqincrement > 0 \
                THEN (s.last_value, s.is_called) < ({value}, {called}) \
                ELSE (-s.last_value, s.is_called) < (-({value}), {called}) END \
             FROM {quoted} s, pg_catalog.pg_sequence p WHERE p.seqrelid = {name}::regclass",
            called = sequence.is_called,
            name = literal(quoted),
        );
        if conflict == Conflict::Keep {
            let row = session.client.query_typed_one(&behind, &[]).await?;
            if !row.get::<_, bool>(0) {
                continue;
            }
        }
        let sql = format!(
            "ALTER SEQUENCE {quoted} RESTART WITH {value}; \
             SELECT pg_catalog.setval({}, {value}, {})",
            literal(quoted),
            sequence.is_called
        );
        session.client.batch_execute(&sql).await?;
        set += 1;
    }
    Ok(set)
}
