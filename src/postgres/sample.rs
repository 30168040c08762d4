//! Some rows of every table, with all rows that they refer to, so that foreign keys hold.

use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use tokio_util::sync::CancellationToken;

use super::PostgresError;
use super::ledger::{identifier, literal};
use super::session::Session;
use super::tables::Table;

/// How often rows that others refer to are looked for: as deep as references may be nested.
const ROUNDS: usize = 2000;
/// How many keys one statement asks for.
const KEYS_AT_ONCE: usize = 500;
/// How many keys of one reference are followed in a round.
const KEYS: usize = 20_000;

/// A foreign key: who refers to whom, by which columns, quoted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    pub name: String,
    /// With `ONLY` where it is no partitioned table, which holds no rows of its own.
    pub child: String,
    pub child_columns: Vec<String>,
    pub parent: String,
    pub parent_columns: Vec<String>,
    /// The parent's columns that can be written, quoted.
    pub parent_all: Vec<String>,
}

const REFERENCES: &str = "\
    SELECT k.conname::text, CASE c.relkind WHEN 'p' THEN '' ELSE 'ONLY ' END || \
      pg_catalog.format('%I.%I', cn.nspname, c.relname), \
      ARRAY(SELECT pg_catalog.quote_ident(a.attname) FROM pg_catalog.unnest(k.conkey) \
        WITH ORDINALITY u (n, o) JOIN pg_catalog.pg_attribute a \
        ON a.attrelid = k.conrelid AND a.attnum = u.n ORDER BY u.o), \
      pg_catalog.format('%I.%I', pn.nspname, p.relname), \
      ARRAY(SELECT pg_catalog.quote_ident(a.attname) FROM pg_catalog.unnest(k.confkey) \
        WITH ORDINALITY u (n, o) JOIN pg_catalog.pg_attribute a \
        ON a.attrelid = k.confrelid AND a.attnum = u.n ORDER BY u.o), \
      ARRAY(SELECT pg_catalog.quote_ident(a.attname) FROM pg_catalog.pg_attribute a \
        WHERE a.attrelid = k.confrelid AND a.attnum > 0 AND NOT a.attisdropped \
        AND a.attgenerated = '' ORDER BY a.attnum) \
    FROM pg_catalog.pg_constraint k JOIN pg_catalog.pg_class c ON c.oid = k.conrelid \
    JOIN pg_catalog.pg_namespace cn ON cn.oid = c.relnamespace \
    JOIN pg_catalog.pg_class p ON p.oid = k.confrelid \
    JOIN pg_catalog.pg_namespace pn ON pn.oid = p.relnamespace \
    WHERE k.contype = 'f' AND k.conparentid = 0 ORDER BY k.oid";

/// Reads the foreign keys of a database.
///
/// # Errors
/// What the server says.
pub async fn references(session: &Session) -> Result<Vec<Reference>, PostgresError> {
    let rows = session.client.query_typed(REFERENCES, &[]).await?;
    Ok(rows
        .iter()
        .map(|row| Reference {
            name: row.get(0),
            child: row.get(1),
            child_columns: row.get(2),
            parent: row.get(3),
            parent_columns: row.get(4),
            parent_all: row.get(5),
        })
        .collect())
}

/// Carries the first rows of a table over, as they come. Returns how many.
///
/// # Errors
/// What either server says.
pub async fn first_rows(
    from: &Session,
    to: &Session,
    table: &Table,
    rows: u64,
) -> Result<u64, PostgresError> {
    let columns = table.columns.iter().filter(|column| !column.generated);
    let columns: Vec<String> = columns.map(|column| identifier(&column.name)).collect();
    if columns.is_empty() {
        return Ok(0);
    }
    let quoted = &table.quoted;
    let list = columns.join(", ");
    carry(
        from,
        to,
        &format!("SELECT {list} FROM ONLY {quoted} LIMIT {rows}"),
        &format!("{quoted} ({list})"),
    )
    .await
}

async fn carry(
    from: &Session,
    to: &Session,
    select: &str,
    into: &str,
) -> Result<u64, PostgresError> {
    let out = format!("COPY ({select}) TO STDOUT");
    let rows = from.client.copy_out(out.as_str()).await?;
    let mut rows = std::pin::pin!(rows);
    let taken_in = format!("COPY {into} FROM STDIN");
    let sink = to.client.copy_in::<_, Bytes>(taken_in.as_str()).await?;
    let mut sink = std::pin::pin!(sink);
    while let Some(row) = rows.next().await {
        sink.send(row?).await?;
    }
    Ok(sink.finish().await?)
}

/// Brings in the rows that others refer to, until none is missing. What cannot be had is taken out
/// again, with what refers to it; says what that was.
///
/// # Errors
/// What either server says.
pub async fn complete(
    from: &Session,
    to: &Session,
    references: &[Reference],
    cancel: &CancellationToken,
) -> Result<Vec<String>, PostgresError> {
    for _ in 0..ROUNDS {
        let mut brought = 0;
        for reference in references {
            if cancel.is_cancelled() {
                return Ok(Vec::new());
            }
            brought += reference.bring(from, to).await?;
        }
        if brought == 0 {
            break;
        }
    }
    let mut said = Vec::new();
    for _ in 0..ROUNDS {
        let mut removed = 0;
        for reference in references {
            if cancel.is_cancelled() {
                return Ok(Vec::new());
            }
            let sql = format!(
                "DELETE FROM {} c WHERE {}",
                reference.child,
                reference.orphan()
            );
            let rows = to.client.execute(&sql, &[]).await?;
            if rows > 0 {
                let (name, child) = (&reference.name, &reference.child);
                said.push(format!(
                    "{rows} rows of {child} left out: `{name}` did not hold"
                ));
            }
            removed += rows;
        }
        if removed == 0 {
            break;
        }
    }
    Ok(said)
}

impl Reference {
    /// What is true of a row that refers to none.
    fn orphan(&self) -> String {
        let columns = self.child_columns.iter().zip(&self.parent_columns);
        let set: Vec<String> = self
            .child_columns
            .iter()
            .map(|column| format!("c.{column} IS NOT NULL"))
            .collect();
        let same: Vec<String> = columns.map(|(c, p)| format!("p.{p} = c.{c}")).collect();
        format!(
            "{} AND NOT EXISTS (SELECT FROM {} p WHERE {})",
            set.join(" AND "),
            self.parent,
            same.join(" AND ")
        )
    }

    async fn bring(&self, from: &Session, to: &Session) -> Result<u64, PostgresError> {
        let listed: Vec<String> = self
            .child_columns
            .iter()
            .map(|column| format!("c.{column}::text"))
            .collect();
        let sql = format!(
            "SELECT DISTINCT {} FROM {} c WHERE {} LIMIT {KEYS}",
            listed.join(", "),
            self.child,
            self.orphan()
        );
        let missing = to.rows(&sql).await?;
        let mut brought = 0;
        for some in missing.chunks(KEYS_AT_ONCE) {
            let keys: Vec<String> = some.iter().map(|key| one_key(key)).collect();
            let columns = self.parent_all.join(", ");
            let select = format!(
                "SELECT {columns} FROM {} WHERE ({}) IN ({})",
                self.parent,
                self.parent_columns.join(", "),
                keys.join(", ")
            );
            let into = format!("{} ({columns})", self.parent);
            brought += carry(from, to, &select, &into).await?;
        }
        Ok(brought)
    }
}

/// A key as literals that take the columns' own types.
fn one_key(key: &[Option<String>]) -> String {
    let values = key
        .iter()
        .map(|value| literal(value.as_deref().unwrap_or_default()));
    format!("({})", values.collect::<Vec<_>>().join(", "))
}
