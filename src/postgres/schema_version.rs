//! The table that says which schema was verified last, and what had been applied by then.
//!
//! Its shape is the one that schema policies commonly give: a version of the form
//! `YYYYMMDD.HHMMSS`, when it was written, the schema's checksum, and the files applied.

use super::PostgresError;
use super::ledger::{identifier, literal};
use super::session::Session;

/// One version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VersionRow {
    pub version: String,
    /// As the server writes it, in UTC.
    pub applied_at: String,
    pub checksum: Option<String>,
    pub migrations: Vec<String>,
}

/// What stands under the table's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Versions {
    /// There is no such table.
    Absent,
    /// Something else has the name; these columns are missing.
    Foreign(Vec<String>),
    /// The newest version, or none yet.
    Newest(Option<VersionRow>),
}

const COLUMNS: [&str; 4] = ["version", "applied_at", "checksum", "migrations_applied"];

/// The table's name as SQL needs it, from `schema.table`.
fn quoted(table: &str) -> String {
    let (schema, name) = table.split_once('.').unwrap_or(("public", table));
    format!("{}.{}", identifier(schema), identifier(name))
}

/// The statement that makes the table.
pub fn create(table: &str) -> String {
    format!(
        "CREATE TABLE IF NOT EXISTS {} (\n    version VARCHAR(50) PRIMARY KEY,\n    \
         applied_at TIMESTAMP WITH TIME ZONE DEFAULT NOW(),\n    checksum VARCHAR(64),\n    \
         migrations_applied TEXT[]\n)",
        quoted(table)
    )
}

/// Reads the newest version.
///
/// # Errors
/// What the server says.
pub async fn newest(session: &Session, table: &str) -> Result<Versions, PostgresError> {
    let columns = session
        .rows(&format!(
            "SELECT a.attname FROM pg_catalog.pg_attribute a \
             WHERE a.attrelid = pg_catalog.to_regclass({}) AND a.attnum > 0 AND NOT a.attisdropped",
            literal(&quoted(table))
        ))
        .await?;
    if columns.is_empty() {
        return Ok(Versions::Absent);
    }
    let has = |name: &str| columns.iter().flatten().flatten().any(|c| c == name);
    let lacking: Vec<String> = COLUMNS
        .iter()
        .filter(|name| !has(name))
        .map(|name| (*name).to_owned())
        .collect();
    if !lacking.is_empty() {
        return Ok(Versions::Foreign(lacking));
    }
    let sql = format!(
        "SELECT version::text, to_char(applied_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS'), \
         checksum::text, coalesce(migrations_applied::text[], '{{}}') \
         FROM {} ORDER BY applied_at DESC NULLS LAST, version DESC LIMIT 1",
        quoted(table)
    );
    let row = session.client.query_typed_opt(&sql, &[]).await?;
    Ok(Versions::Newest(row.map(|row| {
        VersionRow {
            version: row.get(0),
            applied_at: row.get::<_, Option<String>>(1).unwrap_or_default(),
            checksum: row.get(2),
            migrations: row
                .get::<_, Vec<Option<String>>>(3)
                .into_iter()
                .flatten()
                .collect(),
        }
    })))
}

/// Makes the table where it is missing and writes a version, in one transaction. The version is the
/// server's time.
///
/// # Errors
/// What the server says; nothing is written then.
pub async fn write(
    session: &Session,
    table: &str,
    checksum: &str,
    migrations: &[String],
) -> Result<String, PostgresError> {
    let files: Vec<String> = migrations.iter().map(|file| literal(file)).collect();
    let begin = format!("BEGIN; {}", create(table));
    let insert = format!(
        "INSERT INTO {} (version, checksum, migrations_applied) VALUES (to_char(clock_timestamp() \
         AT TIME ZONE 'UTC', 'YYYYMMDD.HH24MISS'), {}, ARRAY[{}]::text[]) RETURNING version::text",
        quoted(table),
        literal(checksum),
        files.join(", ")
    );
    let written = async {
        session.client.batch_execute(&begin).await?;
        let row = session.client.query_typed_one(&insert, &[]).await?;
        session.client.batch_execute("COMMIT").await?;
        Ok(row.get(0))
    };
    match written.await {
        Ok(version) => Ok(version),
        Err(error) => {
            let _ = session.client.batch_execute("ROLLBACK").await;
            Err(error)
        }
    }
}
