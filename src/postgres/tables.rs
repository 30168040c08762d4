//! Which tables and sequences of a database hold data, and all that somebody must know who
//! copies their rows elsewhere.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::error::PostgresError;
use super::ledger::literal;
use super::session::Session;

pub use super::tables_order::{Group, restore_order};

/// All that holds data.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Tables {
    /// Tables with rows of their own, by schema and name. A partitioned table holds none: its
    /// leaves are here.
    pub tables: Vec<Table>,
    /// Foreign tables, quoted: their rows are kept by another server.
    pub foreign: Vec<String>,
    pub sequences: Vec<Sequence>,
}

impl Tables {
    pub fn by_oid(&self, oid: u32) -> Option<&Table> {
        self.tables.iter().find(|table| table.oid == oid)
    }
}

/// One table with rows of its own.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Table {
    pub oid: u32,
    pub schema: String,
    pub name: String,
    /// Schema and name as a statement needs them.
    pub quoted: String,
    /// Its rows are lost in a crash of the server.
    pub unlogged: bool,
    /// It is a leaf of a partitioned table.
    pub partition: bool,
    /// The extension that made it, which says that its rows are the user's.
    pub extension: Option<ExtensionConfig>,
    /// Size with TOAST, without indexes.
    pub bytes: u64,
    /// As the last ANALYZE or VACUUM estimated; `None` when there was none.
    pub estimated_rows: Option<u64>,
    pub columns: Vec<Column>,
    /// The columns of the primary key, in its order.
    pub primary_key: Vec<String>,
    pub foreign_keys: Vec<ForeignKey>,
    /// The user's triggers that are not disabled.
    pub triggers: Vec<Trigger>,
    pub row_security: bool,
    /// Policies hold for the table's owner too.
    pub row_security_forced: bool,
}

/// Which rows of an extension's table belong to the user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExtensionConfig {
    pub extension: String,
    /// A WHERE clause; empty when all rows do.
    pub condition: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Column {
    pub name: String,
    /// With its modifier; types outside `pg_catalog` with their schema.
    #[serde(rename = "type")]
    pub type_name: String,
    pub type_oid: u32,
    /// Computed by the server; cannot be written.
    pub generated: bool,
    pub identity: Option<IdentityColumn>,
    pub not_null: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IdentityColumn {
    Always,
    ByDefault,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForeignKey {
    pub oid: u32,
    pub name: String,
    /// The table that it names, which may be a partitioned one.
    pub references: u32,
    /// The tables that hold the rows it refers to: the leaves, of a partitioned one.
    pub holders: Vec<u32>,
    pub to_self: bool,
    pub deferrable: bool,
    /// It belongs to a key of the partitioned table above this one, or to one that refers to a
    /// partitioned table, and is changed there.
    pub inherited: bool,
    pub validated: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trigger {
    pub name: String,
    pub fires: Fires,
}

/// In which sessions a trigger fires.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fires {
    Origin,
    Replica,
    Always,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sequence {
    pub oid: u32,
    pub schema: String,
    pub name: String,
    pub quoted: String,
    /// The column that it belongs to: the table's oid and the column's name.
    pub owner: Option<(u32, String)>,
    pub last_value: i64,
    pub is_called: bool,
}

/// Reads what there is, in the caller's transaction, whose search path is as it was afterwards.
///
/// Temporary tables and those of the system are left out, and so are tables of extensions, except
/// those whose rows the extension says are the user's.
///
/// # Errors
/// What the server says.
pub async fn read(session: &Session) -> Result<Tables, PostgresError> {
    let mut found = read_definitions(session).await?;
    read_values(session, &mut found.sequences).await?;
    Ok(found)
}

/// As [`read`], without where the sequences stand, which not every role may see.
pub(super) async fn read_definitions(session: &Session) -> Result<Tables, PostgresError> {
    // Types are named in full only where the search path does not find them.
    let sql = "SELECT pg_catalog.current_setting('search_path'), \
               pg_catalog.set_config('search_path', '', true)";
    let path: String = session.client.query_typed_one(sql, &[]).await?.get(0);
    let found = read_all(session).await?;
    let sql = format!(
        "SELECT pg_catalog.set_config('search_path', {}, true)",
        literal(&path)
    );
    session.client.query_typed_one(&sql, &[]).await?;
    Ok(found)
}

async fn read_all(session: &Session) -> Result<Tables, PostgresError> {
    let mut found = Tables::default();
    let mut places = BTreeMap::new();
    for row in session.client.query_typed(TABLES, &[]).await? {
        if row.get::<_, bool>(14) {
            found.foreign.push(row.get(3));
            continue;
        }
        places.insert(row.get::<_, u32>(0), found.tables.len());
        found.tables.push(table(&row));
    }
    for row in session.client.query_typed(COLUMNS, &[]).await? {
        if let Some(place) = places.get(&row.get::<_, u32>(0)) {
            found.tables[*place].columns.push(column(&row));
        }
    }
    for row in session.client.query_typed(FOREIGN_KEYS, &[]).await? {
        if let Some(place) = places.get(&row.get::<_, u32>(0)) {
            found.tables[*place].foreign_keys.push(foreign_key(&row));
        }
    }
    for row in session.client.query_typed(TRIGGERS, &[]).await? {
        if let Some(place) = places.get(&row.get::<_, u32>(0)) {
            found.tables[*place].triggers.push(Trigger {
                name: row.get(1),
                fires: match row.get::<_, &str>(2) {
                    "R" => Fires::Replica,
                    "A" => Fires::Always,
                    _ => Fires::Origin,
                },
            });
        }
    }
    found.sequences = sequences(session).await?;
    Ok(found)
}

const TABLES: &str = "\
SELECT c.oid, n.nspname::text, c.relname::text, pg_catalog.format('%I.%I', n.nspname, c.relname), \
  c.relpersistence = 'u', c.relispartition, e.extname::text, \
  coalesce(e.extcondition[pg_catalog.array_position(e.extconfig, c.oid)], ''), \
  pg_catalog.pg_table_size(c.oid), c.reltuples::float8, c.relrowsecurity, \
  c.relforcerowsecurity, \
  coalesce((SELECT pg_catalog.array_agg(a.attname::text ORDER BY k.n) \
     FROM pg_catalog.pg_index i, \
     LATERAL pg_catalog.unnest(i.indkey::int2[]) WITH ORDINALITY AS k(attnum, n), \
     pg_catalog.pg_attribute a WHERE i.indrelid = c.oid AND i.indisprimary \
     AND k.n <= i.indnkeyatts AND a.attrelid = c.oid AND a.attnum = k.attnum), '{}'), \
  c.relhasindex, c.relkind = 'f' \
FROM pg_catalog.pg_class c \
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
LEFT JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass \
  AND d.objid = c.oid AND d.objsubid = 0 AND d.deptype = 'e' \
  AND d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass \
LEFT JOIN pg_catalog.pg_extension e ON e.oid = d.refobjid \
WHERE c.relkind IN ('r', 'f') AND c.relpersistence <> 't' AND n.nspname !~ '^pg_' \
  AND n.nspname <> 'information_schema' \
  AND (d.refobjid IS NULL OR c.oid = ANY (e.extconfig)) \
ORDER BY n.nspname::text COLLATE \"C\", c.relname::text COLLATE \"C\"";

fn table(row: &tokio_postgres::Row) -> Table {
    let extension: Option<String> = row.get(6);
    let estimated = row.get::<_, f64>(9);
    Table {
        oid: row.get(0),
        schema: row.get(1),
        name: row.get(2),
        quoted: row.get(3),
        unlogged: row.get(4),
        partition: row.get(5),
        extension: extension.map(|extension| ExtensionConfig {
            extension,
            condition: row.get(7),
        }),
        // A table that was dropped meanwhile has no size.
        bytes: row.get::<_, Option<i64>>(8).unwrap_or(0).max(0) as u64,
        estimated_rows: (estimated >= 0.0).then_some(estimated as u64),
        columns: Vec::new(),
        primary_key: row.get(12),
        foreign_keys: Vec::new(),
        triggers: Vec::new(),
        row_security: row.get(10),
        row_security_forced: row.get(11),
    }
}

const COLUMNS: &str = "\
SELECT a.attrelid, a.attname::text, pg_catalog.format_type(a.atttypid, a.atttypmod), a.atttypid, \
  a.attgenerated::text <> '', a.attidentity::text, a.attnotnull \
FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = a.attrelid \
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
WHERE c.relkind = 'r' AND a.attnum > 0 AND NOT a.attisdropped AND n.nspname !~ '^pg_' \
  AND n.nspname <> 'information_schema' ORDER BY a.attrelid, a.attnum";

fn column(row: &tokio_postgres::Row) -> Column {
    Column {
        name: row.get(1),
        type_name: row.get(2),
        type_oid: row.get(3),
        generated: row.get(4),
        identity: match row.get::<_, &str>(5) {
            "a" => Some(IdentityColumn::Always),
            "d" => Some(IdentityColumn::ByDefault),
            _ => None,
        },
        not_null: row.get(6),
    }
}

const FOREIGN_KEYS: &str = "\
SELECT k.conrelid, k.oid, k.conname::text, k.confrelid, \
  coalesce((SELECT pg_catalog.array_agg(t.relid::oid ORDER BY t.relid::oid) \
     FROM pg_catalog.pg_partition_tree(k.confrelid) t WHERE t.isleaf), ARRAY[k.confrelid]), \
  k.condeferrable, k.conparentid <> 0, k.convalidated \
FROM pg_catalog.pg_constraint k WHERE k.contype = 'f' ORDER BY k.conrelid, k.conname, k.oid";

fn foreign_key(row: &tokio_postgres::Row) -> ForeignKey {
    let holders: Vec<u32> = row.get(4);
    ForeignKey {
        oid: row.get(1),
        name: row.get(2),
        references: row.get(3),
        to_self: holders.contains(&row.get(0)),
        holders,
        deferrable: row.get(5),
        inherited: row.get(6),
        validated: row.get(7),
    }
}

const TRIGGERS: &str = "\
SELECT t.tgrelid, t.tgname::text, t.tgenabled::text FROM pg_catalog.pg_trigger t \
WHERE NOT t.tgisinternal AND t.tgenabled <> 'D' ORDER BY t.tgrelid, t.tgname";

/// More sequences than this are asked for in several statements.
const SEQUENCES_AT_ONCE: usize = 200;

const SEQUENCES: &str = "\
SELECT c.oid, n.nspname::text, c.relname::text, pg_catalog.format('%I.%I', n.nspname, c.relname), \
  d.refobjid, a.attname::text \
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
LEFT JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass \
  AND d.objid = c.oid AND d.deptype IN ('a', 'i') AND d.refobjsubid > 0 \
  AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass \
LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid \
LEFT JOIN pg_catalog.pg_depend m ON m.classid = 'pg_catalog.pg_class'::pg_catalog.regclass \
  AND m.objid = c.oid AND m.deptype = 'e' \
LEFT JOIN pg_catalog.pg_extension e ON e.oid = m.refobjid \
WHERE c.relkind = 'S' AND c.relpersistence <> 't' AND n.nspname !~ '^pg_' \
  AND n.nspname <> 'information_schema' AND (m.refobjid IS NULL OR c.oid = ANY (e.extconfig)) \
ORDER BY n.nspname::text COLLATE \"C\", c.relname::text COLLATE \"C\"";

async fn sequences(session: &Session) -> Result<Vec<Sequence>, PostgresError> {
    let rows = session.client.query_typed(SEQUENCES, &[]).await?;
    let mut sequences = Vec::with_capacity(rows.len());
    for row in &rows {
        let owner: Option<u32> = row.get(4);
        let column: Option<String> = row.get(5);
        sequences.push(Sequence {
            oid: row.get(0),
            schema: row.get(1),
            name: row.get(2),
            quoted: row.get(3),
            owner: owner.zip(column),
            last_value: 0,
            is_called: false,
        });
    }
    Ok(sequences)
}

/// Reads where sequences stand.
pub async fn read_values(
    session: &Session,
    sequences: &mut [Sequence],
) -> Result<(), PostgresError> {
    for some in sequences.chunks_mut(SEQUENCES_AT_ONCE) {
        // `pg_sequences` does not tell whether the value was handed out already.
        let parts: Vec<String> = some
            .iter()
            .enumerate()
            .map(|(n, sequence)| {
                format!("SELECT {n}, last_value, is_called FROM {}", sequence.quoted)
            })
            .collect();
        let sql = parts.join(" UNION ALL ");
        for row in session.client.query_typed(&sql, &[]).await? {
            if let Some(sequence) = some.get_mut(row.get::<_, i32>(0) as usize) {
                sequence.last_value = row.get(1);
                sequence.is_called = row.get(2);
            }
        }
    }
    Ok(())
}
