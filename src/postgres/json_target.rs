//! Whether a database can take a JSON backup: the same tables and columns, and no conflict that
//! the policy does not allow. All of it is said before anything is written.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::PostgresError;
use super::json_manifest::{JsonColumn, JsonManifest, JsonTable};
use super::session::Session;
use super::tables::{self, ExtensionConfig, Group, Table, Tables, restore_order};

/// What happens to rows that stand in the tables already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Conflict {
    /// Any row refuses the restore.
    Refuse,
    /// The backup's tables are emptied first.
    Replace,
    /// Rows stay whose primary key the backup has too; the others of the backup are added.
    Keep,
}

/// A target that was looked at.
#[derive(Debug, Clone)]
pub struct Looked {
    /// What stands in the way; nothing may be written while there is anything.
    pub refusals: Vec<String>,
    /// The tables of the backup with their place in the manifest, those referred to first.
    pub order: Vec<Group>,
    /// Of the target, and only those of the backup.
    pub(super) tables: Tables,
    /// From a table's oid to its place in the manifest.
    pub(super) places: BTreeMap<u32, usize>,
    /// Tables of the backup that have rows.
    pub holding: BTreeSet<u32>,
}

impl Looked {
    pub(super) fn table(&self, oid: u32) -> Option<&Table> {
        self.tables.by_oid(oid)
    }

    /// The quoted names of tables that have rows.
    pub fn holding_names(&self) -> Vec<&str> {
        self.holding
            .iter()
            .filter_map(|oid| Some(self.table(*oid)?.quoted.as_str()))
            .collect()
    }
}

/// Looks at the target, in the caller's transaction.
pub(super) async fn look(
    session: &Session,
    manifest: &JsonManifest,
    conflict: Conflict,
) -> Result<Looked, PostgresError> {
    let found = tables::read_definitions(session).await?;
    let mut refusals = Vec::new();
    let mut places = BTreeMap::new();
    for (place, wanted) in manifest.tables.iter().enumerate() {
        match found.tables.iter().find(|t| t.quoted == wanted.quoted) {
            None => refusals.push(format!("the target has no table {}", wanted.quoted)),
            Some(table) => {
                refusals.extend(column_differences(wanted, table));
                places.insert(table.oid, place);
            }
        }
    }
    for sequence in &manifest.sequences {
        if !found.sequences.iter().any(|s| s.quoted == sequence.quoted) {
            refusals.push(format!("the target has no sequence {}", sequence.quoted));
        }
    }
    if conflict == Conflict::Replace {
        refusals.extend(referred_to_from_outside(&found, &places));
    }
    let mut tables = found;
    tables
        .tables
        .retain(|table| places.contains_key(&table.oid));
    refusals.extend(hidden_rows(session, &tables).await?);
    refusals.extend(unguarded(session, &tables).await?);
    let mut holding = BTreeSet::new();
    if refusals.is_empty() {
        holding = with_rows(session, &tables).await?;
        refusals.extend(conflicts(&tables, &holding, conflict));
        if conflict == Conflict::Keep {
            refusals.extend(cannot_keep(session, &tables, &holding).await?);
        }
    }
    Ok(Looked {
        refusals,
        order: restore_order(&tables),
        tables,
        places,
        holding,
    })
}

fn column_differences(wanted: &JsonTable, found: &Table) -> Vec<String> {
    let mut differences = Vec::new();
    let table = &wanted.quoted;
    // Of both, never one of the manifest's: it is SQL, and only the target's own is run.
    let condition = |e: Option<&ExtensionConfig>| e.map_or(String::new(), |e| e.condition.clone());
    if condition(wanted.extension.as_ref()) != condition(found.extension.as_ref()) {
        differences.push(format!(
            "the backup holds other rows of {table} than are the user's by the target's extension"
        ));
    }
    let found: Vec<JsonColumn> = found.columns.iter().map(JsonColumn::of).collect();
    for column in &wanted.columns {
        let name = &column.name;
        match found.iter().find(|other| other.name == *name) {
            None => differences.push(format!("the target's {table} has no column {name}")),
            Some(other) if other.type_name != column.type_name => differences.push(format!(
                "{table}.{name} is {} in the backup and {} in the target",
                column.type_name, other.type_name
            )),
            Some(other) if other.shape.is_none() != column.shape.is_none() => {
                let generated = |c: &JsonColumn| match c.shape {
                    None => "generated",
                    Some(_) => "not generated",
                };
                differences.push(format!(
                    "{table}.{name} is {} in the backup and {} in the target",
                    generated(column),
                    generated(other)
                ));
            }
            Some(_) => {}
        }
    }
    let more = found
        .iter()
        .filter(|other| !wanted.columns.iter().any(|c| c.name == other.name));
    differences.extend(more.map(|column| {
        format!(
            "the target's {table} has a column {} that the backup does not have",
            column.name
        )
    }));
    differences
}

/// A table cannot be emptied while a table that stays refers to it.
fn referred_to_from_outside(found: &Tables, places: &BTreeMap<u32, usize>) -> Vec<String> {
    let mut refusals = Vec::new();
    for outside in found.tables.iter().filter(|t| !places.contains_key(&t.oid)) {
        for key in &outside.foreign_keys {
            let inside = key.holders.iter().filter(|oid| places.contains_key(oid));
            for table in inside.filter_map(|oid| found.by_oid(*oid)) {
                refusals.push(format!(
                    "{} would be emptied, and {}, which the backup does not hold, refers to it \
                     ({})",
                    table.quoted, outside.quoted, key.name
                ));
            }
        }
    }
    refusals
}

/// Row level security would hide rows from us, or refuse ours.
async fn hidden_rows(session: &Session, tables: &Tables) -> Result<Vec<String>, PostgresError> {
    if !tables.tables.iter().any(|table| table.row_security) {
        return Ok(Vec::new());
    }
    let sql = "SELECT c.oid, CURRENT_USER::text FROM pg_catalog.pg_class c \
               WHERE c.relkind = 'r' AND pg_catalog.row_security_active(c.oid)";
    // The function answers for the setting too, which makes an error of what would be hidden.
    session
        .client
        .batch_execute("SET LOCAL row_security = on")
        .await?;
    let rows = session.client.query_typed(sql, &[]).await?;
    session
        .client
        .batch_execute("SET LOCAL row_security = off")
        .await?;
    Ok(rows
        .iter()
        .filter_map(|row| Some((tables.by_oid(row.get(0))?, row.get::<_, String>(1))))
        .map(|(table, user)| {
            format!(
                "row level security of {} binds {user}; restore as the table's owner, or as a \
                 role with BYPASSRLS",
                table.quoted
            )
        })
        .collect())
}

/// Keys that somebody switched off would let rows in that break them.
async fn unguarded(session: &Session, tables: &Tables) -> Result<Vec<String>, PostgresError> {
    let sql = "SELECT pg_catalog.current_setting('session_replication_role')";
    let role: String = session.client.query_typed_one(sql, &[]).await?.get(0);
    let mut refusals = Vec::new();
    if role != "origin" {
        refusals.push(format!(
            "session_replication_role is {role} for this role or database, and no foreign key is \
             checked; see ALTER ROLE, ALTER DATABASE and PGOPTIONS"
        ));
    }
    let sql = "SELECT DISTINCT t.tgrelid, k.conname::text FROM pg_catalog.pg_trigger t \
               JOIN pg_catalog.pg_constraint k ON k.oid = t.tgconstraint \
               WHERE t.tgisinternal AND k.contype = 'f' AND t.tgenabled NOT IN ('O', 'A')";
    for row in session.client.query_typed(sql, &[]).await? {
        if let Some(table) = tables.by_oid(row.get(0)) {
            refusals.push(format!(
                "the foreign key {} of {} is switched off in the target; ALTER TABLE {} ENABLE \
                 TRIGGER ALL switches it on",
                row.get::<_, String>(1),
                table.quoted,
                table.quoted
            ));
        }
    }
    Ok(refusals)
}

async fn with_rows(session: &Session, tables: &Tables) -> Result<BTreeSet<u32>, PostgresError> {
    let mut holding = BTreeSet::new();
    for some in tables.tables.chunks(100) {
        let parts: Vec<String> = some
            .iter()
            .map(|table| {
                let condition = table.extension.as_ref().map_or("", |e| &e.condition);
                format!(
                    "SELECT {}::oid WHERE EXISTS (SELECT FROM ONLY {} {condition})",
                    table.oid, table.quoted
                )
            })
            .collect();
        let sql = parts.join(" UNION ALL ");
        let rows = session.client.query_typed(&sql, &[]).await?;
        holding.extend(rows.iter().map(|row| row.get::<_, u32>(0)));
    }
    Ok(holding)
}

/// Tables with rows where the server does not take rows beside those that are there.
async fn cannot_keep(
    session: &Session,
    tables: &Tables,
    holding: &BTreeSet<u32>,
) -> Result<Vec<String>, PostgresError> {
    let sql = "SELECT indrelid, 'its primary key is deferrable, and nothing can be kept by one' \
               FROM pg_catalog.pg_index WHERE indisprimary AND NOT indimmediate \
               UNION ALL SELECT DISTINCT ev_class, 'it has rules for INSERT or UPDATE' \
               FROM pg_catalog.pg_rewrite WHERE ev_type IN ('2', '3')";
    let rows = session.client.query_typed(sql, &[]).await?;
    let held = |oid: u32| tables.by_oid(oid).filter(|_| holding.contains(&oid));
    let rows = rows.iter();
    Ok(rows
        .filter_map(|row| Some((held(row.get(0))?, row.get::<_, String>(1))))
        .map(|(table, why)| format!("{} has rows that cannot be kept: {why}", table.quoted))
        .collect())
}

fn conflicts(tables: &Tables, holding: &BTreeSet<u32>, conflict: Conflict) -> Vec<String> {
    let held = tables.tables.iter().filter(|t| holding.contains(&t.oid));
    match conflict {
        Conflict::Replace => Vec::new(),
        Conflict::Refuse => held
            .map(|table| format!("{} has rows already", table.quoted))
            .collect(),
        Conflict::Keep => held
            .filter(|table| table.primary_key.is_empty())
            .map(|table| {
                format!(
                    "{} has rows and no primary key to tell them from the backup's",
                    table.quoted
                )
            })
            .collect(),
    }
}
