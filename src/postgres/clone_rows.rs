//! Carries the rows of tables from one server to another: what the one writes is what the other
//! reads, and is added up on its way.

use bytes::{Bytes, BytesMut};
use futures_util::{SinkExt as _, StreamExt as _};
use tokio_util::sync::CancellationToken;

use super::PostgresError;
use super::content::{self, Contents, SETTINGS, Sum, TableContent};
use super::ledger::{identifier, literal};
use super::session::Session;
use super::tables::{Sequence, Table};

/// How much is handed on at once, in bytes.
const PIECE: usize = 64 * 1024;
/// How much of a large object is carried at once, in bytes.
const LARGE_PIECE: i32 = 1024 * 1024;

/// Which rows go where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopyPlan {
    /// The table as a statement needs it, on both sides.
    pub quoted: String,
    /// Size at the source, for progress, in bytes.
    pub bytes: u64,
    /// The columns, quoted, without what the server computes.
    pub columns: Vec<String>,
    /// What is selected in the place of columns that are hidden, by column.
    pub instead: Vec<(String, String)>,
}

impl CopyPlan {
    /// All rows of a table as they are.
    pub fn of(table: &Table) -> CopyPlan {
        let columns = table.columns.iter().filter(|column| !column.generated);
        CopyPlan {
            quoted: table.quoted.clone(),
            bytes: table.bytes,
            columns: columns.map(|column| identifier(&column.name)).collect(),
            instead: Vec::new(),
        }
    }

    /// The columns in parentheses, as a dump writes them.
    pub(super) fn list(&self) -> String {
        format!("({})", self.columns.join(", "))
    }

    pub(super) fn out(&self) -> String {
        if self.columns.is_empty() {
            return format!("COPY {} TO STDOUT", self.quoted);
        }
        if self.instead.is_empty() {
            return format!("COPY {} {} TO STDOUT", self.quoted, self.list());
        }
        let selected: Vec<String> = self
            .columns
            .iter()
            .map(|column| {
                let instead = self.instead.iter().find(|(name, _)| name == column);
                instead.map_or_else(|| column.clone(), |(_, sql)| sql.clone())
            })
            .collect();
        format!(
            "COPY (SELECT {} FROM ONLY {}) TO STDOUT",
            selected.join(", "),
            self.quoted
        )
    }

    fn taken_in(&self) -> String {
        match self.columns.as_slice() {
            [] => format!("COPY {} FROM STDIN", self.quoted),
            _ => format!("COPY {} {} FROM STDIN", self.quoted, self.list()),
        }
    }
}

/// Why rows were not carried over.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    #[error("{table}, at the source: {error}")]
    Source { table: String, error: PostgresError },
    #[error("{table}, at the destination: {error}")]
    Destination { table: String, error: PostgresError },
    #[error("it was canceled")]
    Canceled,
}

/// Makes both ends write values in the one way in which they can be compared.
///
/// # Errors
/// What the server says.
pub async fn prepare(session: &Session) -> Result<(), PostgresError> {
    let more = "SET lc_monetary = 'C'; SET xmloption = content";
    let sql = format!("{SETTINGS}; {more}");
    session.client.batch_execute(&sql).await?;
    Ok(())
}

/// Carries one table over. `observe` is told how many rows and bytes were carried since it was
/// told before. Both sessions are [`prepare`]d.
///
/// # Errors
/// Which end failed; the destination's table has none of the rows then.
pub async fn copy(
    from: &Session,
    to: &Session,
    plan: &CopyPlan,
    cancel: &CancellationToken,
    mut observe: impl FnMut(u64, u64),
) -> Result<TableContent, CopyError> {
    let at_source = |error: tokio_postgres::Error| CopyError::Source {
        table: plan.quoted.clone(),
        error: error.into(),
    };
    let at_destination = |error: tokio_postgres::Error| CopyError::Destination {
        table: plan.quoted.clone(),
        error: error.into(),
    };
    let rows = from.client.copy_out(plan.out().as_str()).await;
    let mut rows = std::pin::pin!(rows.map_err(at_source)?);
    let sink = to
        .client
        .copy_in::<_, Bytes>(plan.taken_in().as_str())
        .await;
    let mut sink = std::pin::pin!(sink.map_err(at_destination)?);
    let mut sum = Sum::default();
    let mut piece = BytesMut::with_capacity(PIECE + 4096);
    let mut told = 0;
    loop {
        let row = tokio::select! {
            biased;
            () = cancel.cancelled() => return Err(CopyError::Canceled),
            row = rows.next() => row,
        };
        let Some(row) = row else { break };
        let row = row.map_err(at_source)?;
        sum.add(row.strip_suffix(b"\n").unwrap_or(&row));
        piece.extend_from_slice(&row);
        if piece.len() >= PIECE {
            observe(sum.rows() - told, piece.len() as u64);
            told = sum.rows();
            sink.send(piece.split().freeze())
                .await
                .map_err(at_destination)?;
            crate::system::fault::point("during_clone_rows");
        }
    }
    if !piece.is_empty() {
        observe(sum.rows() - told, piece.len() as u64);
        sink.send(piece.freeze()).await.map_err(at_destination)?;
    }
    let taken = sink.finish().await.map_err(at_destination)?;
    let content = sum.content(&plan.list());
    if taken != content.rows {
        let reason = format!("it took {taken} of {} rows", content.rows);
        return Err(CopyError::Destination {
            table: plan.quoted.clone(),
            error: PostgresError::Protocol { reason },
        });
    }
    Ok(content)
}

/// Reads what a table holds, in the form in which it was added up on its way.
///
/// # Errors
/// What the server says.
pub async fn read_back(
    session: &Session,
    quoted: &str,
    wanted: &TableContent,
) -> Result<Option<TableContent>, PostgresError> {
    let wanted = Contents::from([(quoted.to_owned(), wanted.clone())]);
    let mut found = content::read(session, &wanted, |_| {}).await?;
    Ok(found.remove(quoted))
}

/// Gives sequences the values that they have at the source.
///
/// # Errors
/// What the server says.
pub async fn set_sequences(to: &Session, sequences: &[Sequence]) -> Result<(), PostgresError> {
    for some in sequences.chunks(200) {
        let calls: Vec<String> = some
            .iter()
            .map(|sequence| {
                format!(
                    "SELECT pg_catalog.setval({}::pg_catalog.regclass, {}, {})",
                    literal(&sequence.quoted),
                    sequence.last_value,
                    sequence.is_called
                )
            })
            .collect();
        to.client.batch_execute(&calls.join("; ")).await?;
    }
    Ok(())
}

/// Carries the large objects over, which are there already and empty. Returns how many.
///
/// # Errors
/// What either server says.
pub async fn copy_large_objects(from: &Session, to: &Session) -> Result<u64, PostgresError> {
    let sql = "SELECT oid FROM pg_catalog.pg_largeobject_metadata ORDER BY oid";
    let objects = from.client.query_typed(sql, &[]).await?;
    let read = "SELECT pg_catalog.lo_get($1, $2, $3)";
    let write = "SELECT pg_catalog.lo_put($1, $2, $3)";
    for object in &objects {
        let oid: u32 = object.get(0);
        let mut at: i64 = 0;
        loop {
            let piece: Vec<u8> = from
                .client
                .query_one(read, &[&oid, &at, &LARGE_PIECE])
                .await?
                .get(0);
            if piece.is_empty() {
                break;
            }
            to.client.query_one(write, &[&oid, &at, &piece]).await?;
            at += piece.len() as i64;
        }
    }
    Ok(objects.len() as u64)
}

/// Adds up what the large objects hold: how many there are, and a hash over all.
///
/// # Errors
/// What the server says.
pub async fn large_objects(session: &Session) -> Result<(i64, String), PostgresError> {
    let sql = "SELECT count(*), coalesce(pg_catalog.md5(string_agg(oid::text || \
               pg_catalog.md5(pg_catalog.lo_get(oid)), ',' ORDER BY oid)), '') \
               FROM pg_catalog.pg_largeobject_metadata";
    let row = session.client.query_typed_one(sql, &[]).await?;
    Ok((row.get(0), row.get(1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hidden_columns_are_replaced_where_they_are_read() {
        let mut plan = CopyPlan {
            quoted: "app.people".into(),
            bytes: 0,
            columns: vec!["\"id\"".into(), "\"mail\"".into()],
            instead: Vec::new(),
        };
        assert_eq!(plan.out(), "COPY app.people (\"id\", \"mail\") TO STDOUT");
        plan.instead = vec![("\"mail\"".into(), "NULL::text".into())];
        assert_eq!(
            plan.out(),
            "COPY (SELECT \"id\", NULL::text FROM ONLY app.people) TO STDOUT"
        );
        assert_eq!(
            plan.taken_in(),
            "COPY app.people (\"id\", \"mail\") FROM STDIN"
        );
        plan.columns.clear();
        assert_eq!(plan.out(), "COPY app.people TO STDOUT");
    }
}
