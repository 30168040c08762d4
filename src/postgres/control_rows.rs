//! What holders and watchers of runs ask of the control schema. Plain values in, plain values out.

use std::time::Duration;

use tokio_postgres::types::Type;

use super::PostgresError;
use super::session::Session;

/// What the server says to a record of an epoch that is over, or that does not follow.
pub const NOT_FOLLOWING: &str = "SG001";
/// A holder that was not seen for so long may be gone.
pub const GONE_AFTER: Duration = Duration::from_secs(30);

/// A run, as its row says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunRow {
    pub id: String,
    pub title: String,
    pub holder: String,
    /// The machine and the folder in which it is held.
    pub place: String,
    pub epoch: i64,
    /// The last record that is here.
    pub seq: u64,
    pub hash: String,
    /// How long ago the holder was seen, by the server's clock.
    pub unseen: Duration,
}

impl RunRow {
    /// Tells whether the holder may be gone.
    pub fn is_left(&self) -> bool {
        self.unseen > GONE_AFTER
    }
}

/// One line of a journal, without its line feed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    pub seq: u64,
    pub hash: String,
    pub bytes: Vec<u8>,
}

/// A document of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    pub part: String,
    pub name: String,
    pub sha256: String,
    pub content: Vec<u8>,
}

/// Something that a watching console handed in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HandedIn {
    pub id: i64,
    pub kind: String,
    pub sender: String,
    pub payload: String,
    /// The role of the database that it came from.
    pub sent_by: String,
}

const RUN: &str = "SELECT id, title, holder, place, epoch, seq, hash, \
                   (extract(epoch FROM clock_timestamp() - seen) * 1000)::bigint \
                   FROM stagegate_control.run";

fn run_row(row: &tokio_postgres::Row) -> RunRow {
    RunRow {
        id: row.get(0),
        title: row.get(1),
        holder: row.get(2),
        place: row.get(3),
        epoch: row.get(4),
        seq: u64::try_from(row.get::<_, i64>(5)).unwrap_or_default(),
        hash: row.get(6),
        unseen: Duration::from_millis(u64::try_from(row.get::<_, i64>(7)).unwrap_or_default()),
    }
}

/// Reads a run's row.
///
/// # Errors
/// What the server says.
pub async fn run(session: &Session, id: &str) -> Result<Option<RunRow>, PostgresError> {
    let sql = format!("{RUN} WHERE id = $1");
    let row = session
        .client
        .query_typed_opt(&sql, &[(&id, Type::TEXT)])
        .await?;
    Ok(row.as_ref().map(run_row))
}

/// Reads the rows of all runs, the newest first.
///
/// # Errors
/// What the server says.
pub async fn runs(session: &Session) -> Result<Vec<RunRow>, PostgresError> {
    let sql = format!("{RUN} ORDER BY id DESC LIMIT 200");
    let rows = session.client.query_typed(&sql, &[]).await?;
    Ok(rows.iter().map(run_row).collect())
}

/// Adds a run whose row is missing; its first epoch is 1. `false` where it is there already.
///
/// # Errors
/// What the server says.
pub async fn add_run(
    session: &Session,
    id: &str,
    title: &str,
    (holder, place): (&str, &str),
) -> Result<bool, PostgresError> {
    let sql = "INSERT INTO stagegate_control.run (id, title, holder, place) \
               VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING";
    let added = session
        .client
        .execute_typed(
            sql,
            &[
                (&id, Type::TEXT),
                (&title, Type::TEXT),
                (&holder, Type::TEXT),
                (&place, Type::TEXT),
            ],
        )
        .await?;
    Ok(added == 1)
}

/// Takes the conn of a run from an epoch that is still the current one: of all who try, exactly one
/// is told `true`, and the epoch after it is theirs. With `left`, only where the holder is gone.
///
/// # Errors
/// What the server says. After a lost connection only the row tells whether it was taken.
pub async fn take(
    session: &Session,
    id: &str,
    epoch: i64,
    (holder, place): (&str, &str),
    left: bool,
) -> Result<bool, PostgresError> {
    let left = if left {
        format!(
            " AND seen < clock_timestamp() - interval '{} seconds'",
            GONE_AFTER.as_secs()
        )
    } else {
        String::new()
    };
    let sql = format!(
        "UPDATE stagegate_control.run SET epoch = epoch + 1, holder = $3, place = $4, \
         seen = clock_timestamp() WHERE id = $1 AND epoch = $2{left}"
    );
    let taken = session
        .client
        .execute_typed(
            &sql,
            &[
                (&id, Type::TEXT),
                (&epoch, Type::INT8),
                (&holder, Type::TEXT),
                (&place, Type::TEXT),
            ],
        )
        .await?;
    Ok(taken == 1)
}

/// Says that the holder of this epoch is alive. `false` when the epoch is over.
///
/// # Errors
/// What the server says.
pub async fn beat(session: &Session, id: &str, epoch: i64) -> Result<bool, PostgresError> {
    let sql = "UPDATE stagegate_control.run SET seen = clock_timestamp() \
               WHERE id = $1 AND epoch = $2";
    let values: [(&(dyn tokio_postgres::types::ToSql + Sync), Type); 2] =
        [(&id, Type::TEXT), (&epoch, Type::INT8)];
    Ok(session.client.execute_typed(sql, &values).await? == 1)
}

/// The epoch that counts; `None` where the run is not here.
///
/// # Errors
/// What the server says.
pub async fn epoch(session: &Session, id: &str) -> Result<Option<i64>, PostgresError> {
    let sql = "SELECT epoch FROM stagegate_control.run WHERE id = $1";
    let row = session
        .client
        .query_typed_opt(sql, &[(&id, Type::TEXT)])
        .await?;
    Ok(row.map(|row| row.get(0)))
}

/// Adds documents and then lines, all or nothing.
///
/// # Errors
/// What the server says; [`NOT_FOLLOWING`] when the epoch is over. After a lost connection the row
/// of the run tells how far it came.
pub async fn append(
    session: &Session,
    run: &str,
    epoch: i64,
    documents: &[Document],
    lines: &[Line],
) -> Result<(), PostgresError> {
    let added = async {
        session.client.batch_execute("BEGIN READ WRITE").await?;
        for document in documents {
            add_document(session, run, document).await?;
        }
        if !lines.is_empty() {
            add_lines(session, run, epoch, lines).await?;
        }
        session.client.batch_execute("COMMIT").await?;
        Ok(())
    };
    let added: Result<(), PostgresError> = added.await;
    if added.is_err() && !session.is_closed() {
        let _ = session.client.batch_execute("ROLLBACK").await;
    }
    added
}

async fn add_document(
    session: &Session,
    run: &str,
    document: &Document,
) -> Result<(), PostgresError> {
    let sql = "INSERT INTO stagegate_control.document (run, part, name, sha256, content) \
               VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING";
    session
        .client
        .execute_typed(
            sql,
            &[
                (&run, Type::TEXT),
                (&document.part, Type::TEXT),
                (&document.name, Type::TEXT),
                (&document.sha256, Type::TEXT),
                (&document.content, Type::BYTEA),
            ],
        )
        .await?;
    Ok(())
}

async fn add_lines(
    session: &Session,
    run: &str,
    epoch: i64,
    lines: &[Line],
) -> Result<(), PostgresError> {
    let sql = "INSERT INTO stagegate_control.record (run, seq, hash, epoch, line) \
               SELECT $1, seq, hash, $2, line FROM unnest($3, $4, $5) AS l (seq, hash, line) \
               ORDER BY seq";
    let seqs: Vec<i64> = lines.iter().map(|line| line.seq as i64).collect();
    let hashes: Vec<&str> = lines.iter().map(|line| line.hash.as_str()).collect();
    let bytes: Vec<&[u8]> = lines.iter().map(|line| line.bytes.as_slice()).collect();
    session
        .client
        .execute_typed(
            sql,
            &[
                (&run, Type::TEXT),
                (&epoch, Type::INT8),
                (&seqs, Type::INT8_ARRAY),
                (&hashes, Type::TEXT_ARRAY),
                (&bytes, Type::BYTEA_ARRAY),
            ],
        )
        .await?;
    Ok(())
}

/// Reads the lines after one, at most `limit` of them.
///
/// # Errors
/// What the server says.
pub async fn lines_after(
    session: &Session,
    run: &str,
    seq: u64,
    limit: i64,
) -> Result<Vec<Line>, PostgresError> {
    let sql = "SELECT seq, hash, line FROM stagegate_control.record \
               WHERE run = $1 AND seq > $2 ORDER BY seq LIMIT $3";
    let seq = seq as i64;
    let rows = session
        .client
        .query_typed(
            sql,
            &[(&run, Type::TEXT), (&seq, Type::INT8), (&limit, Type::INT8)],
        )
        .await?;
    Ok(rows
        .iter()
        .map(|row| Line {
            seq: u64::try_from(row.get::<_, i64>(0)).unwrap_or_default(),
            hash: row.get(1),
            bytes: row.get(2),
        })
        .collect())
}

/// Names the documents of a run: part, name, hash; those that were added first come first.
///
/// # Errors
/// What the server says.
pub async fn documents(
    session: &Session,
    run: &str,
) -> Result<Vec<(String, String, String)>, PostgresError> {
    let sql = "SELECT part, name, sha256 FROM stagegate_control.document WHERE run = $1 \
               ORDER BY added, part, name";
    let rows = session
        .client
        .query_typed(sql, &[(&run, Type::TEXT)])
        .await?;
    Ok(rows
        .iter()
        .map(|row| (row.get(0), row.get(1), row.get(2)))
        .collect())
}

/// Reads what a document holds.
///
/// # Errors
/// What the server says.
pub async fn content(
    session: &Session,
    run: &str,
    (part, name, sha256): (&str, &str, &str),
) -> Result<Option<Vec<u8>>, PostgresError> {
    let sql = "SELECT content FROM stagegate_control.document \
               WHERE run = $1 AND part = $2 AND name = $3 AND sha256 = $4";
    let row = session
        .client
        .query_typed_opt(
            sql,
            &[
                (&run, Type::TEXT),
                (&part, Type::TEXT),
                (&name, Type::TEXT),
                (&sha256, Type::TEXT),
            ],
        )
        .await?;
    Ok(row.map(|row| row.get(0)))
}
