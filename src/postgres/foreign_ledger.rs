//! What other tools have recorded as applied. It is read, and never written.

use super::PostgresError;
use super::session::Session;

/// One such table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForeignLedger {
    /// Its name, without a schema.
    pub table: String,
    /// Quoted and qualified.
    pub relation: String,
    /// What it says is applied, as it writes it.
    pub versions: Vec<String>,
    /// All up to and including this one are applied too, though they are not listed.
    pub up_to: Option<String>,
    /// Why it cannot be trusted as it stands.
    pub broken: Option<String>,
}

impl ForeignLedger {
    /// What it holds, in words; `None` where it holds nothing.
    pub fn words(&self) -> Option<String> {
        let count = self.versions.len();
        match &self.up_to {
            Some(version) => Some(format!(
                "{} says that it is at version {version}",
                self.relation
            )),
            None if count > 0 => Some(format!("{} holds {count} applied versions", self.relation)),
            None => None,
        }
    }

    /// The same where only the last version is written down.
    fn at_its_last(self) -> ForeignLedger {
        ForeignLedger {
            up_to: self.versions.last().cloned(),
            ..self
        }
    }
}

/// Reads every table of these names that one of those tools has made.
///
/// # Errors
/// What the server says.
pub async fn read(session: &Session, named: &[&str]) -> Result<Vec<ForeignLedger>, PostgresError> {
    let names: Vec<String> = named.iter().map(|name| format!("'{name}'")).collect();
    let sql = format!(
        "SELECT c.relname::text, pg_catalog.format('%I.%I', n.nspname, c.relname), \
         coalesce(string_agg(a.attname::text, ' '), '') \
         FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
         LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 \
              AND NOT a.attisdropped \
         WHERE c.relkind IN ('r', 'p') AND c.relname IN ({}) AND n.nspname !~ '^pg_' \
         GROUP BY 1, 2 ORDER BY 1, 2",
        names.join(", ")
    );
    let mut found = Vec::new();
    for row in session.rows(&sql).await? {
        let mut fields = row.into_iter().flatten();
        let (Some(table), Some(relation), Some(columns)) =
            (fields.next(), fields.next(), fields.next())
        else {
            continue;
        };
        let has = |column: &str| columns.split(' ').any(|c| c == column);
        let ledger = match table.as_str() {
            "flyway_schema_history" if has("version") && has("success") => {
                flyway(session, table, relation).await?
            }
            "_sqlx_migrations" if has("version") && has("success") => {
                sqlx(session, table, relation).await?
            }
            "schema_migrations" if has("version") && has("dirty") => {
                golang_migrate(session, table, relation).await?
            }
            "schema_migrations" if has("version") => {
                let sql = format!("SELECT version::text FROM {relation} ORDER BY 1");
                plain(session, table, relation, &sql).await?
            }
            "alembic_version" if has("version_num") => {
                let sql = format!("SELECT version_num::text FROM {relation} ORDER BY 1");
                plain(session, table, relation, &sql).await?.at_its_last()
            }
            // A table of an application that only has the name.
            _ => continue,
        };
        found.push(ledger);
    }
    Ok(found)
}

async fn flyway(
    session: &Session,
    table: String,
    relation: String,
) -> Result<ForeignLedger, PostgresError> {
    let sql = format!(
        "SELECT coalesce(version::text, ''), success, type::text, script::text FROM {relation} \
         ORDER BY installed_rank"
    );
    let mut versions: Vec<String> = Vec::new();
    let mut broken = None;
    let mut up_to = None;
    for row in session.rows(&sql).await? {
        let [Some(version), success, kind, script] = row.as_slice() else {
            continue;
        };
        if success.as_deref() != Some("t") {
            let script = script.as_deref().unwrap_or(version);
            broken = Some(format!("its {script} failed and was not repaired"));
        }
        match kind.as_deref() {
            // What is applied again and again has no version, and is applied once more.
            _ if version.is_empty() => {}
            Some("UNDO_SQL" | "DELETE") => versions.retain(|v| v != version),
            Some("BASELINE") => up_to = Some(version.clone()),
            _ => versions.push(version.clone()),
        }
    }
    Ok(ForeignLedger {
        table,
        relation,
        versions,
        up_to,
        broken,
    })
}

async fn sqlx(
    session: &Session,
    table: String,
    relation: String,
) -> Result<ForeignLedger, PostgresError> {
    let sql = format!("SELECT version::text, success FROM {relation} ORDER BY version");
    let mut versions = Vec::new();
    let mut broken = None;
    for row in session.rows(&sql).await? {
        let [Some(version), success] = row.as_slice() else {
            continue;
        };
        if success.as_deref() != Some("t") {
            broken = Some(format!("its version {version} did not succeed"));
        }
        versions.push(version.clone());
    }
    Ok(ForeignLedger {
        table,
        relation,
        versions,
        up_to: None,
        broken,
    })
}

async fn golang_migrate(
    session: &Session,
    table: String,
    relation: String,
) -> Result<ForeignLedger, PostgresError> {
    let sql = format!("SELECT version::text, dirty FROM {relation} ORDER BY version");
    let mut versions = Vec::new();
    let mut broken = None;
    for row in session.rows(&sql).await? {
        let [Some(version), dirty] = row.as_slice() else {
            continue;
        };
        if dirty.as_deref() == Some("t") {
            broken = Some(format!("its version {version} is marked dirty"));
        }
        versions.push(version.clone());
    }
    let read = ForeignLedger {
        table,
        relation,
        versions,
        up_to: None,
        broken,
    };
    Ok(read.at_its_last())
}

async fn plain(
    session: &Session,
    table: String,
    relation: String,
    sql: &str,
) -> Result<ForeignLedger, PostgresError> {
    let rows = session.rows(sql).await?;
    Ok(ForeignLedger {
        table,
        relation,
        versions: rows.into_iter().flatten().flatten().collect(),
        up_to: None,
        broken: None,
    })
}
