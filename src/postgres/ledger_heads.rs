//! What a database's ledger remembers of a run's journal.

use super::PostgresError;
use super::ledger;
use super::session::Session;

/// One row of a run: the file, and the journal's head when it was started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedgerHead {
    pub file: String,
    /// As the ledger writes it, such as `applied`.
    pub state: String,
    pub checksum: String,
    pub nonce: String,
    pub journal_seq: u64,
    pub journal_head: String,
}

/// Reads the rows of a run, oldest first. A database without a ledger has none.
///
/// # Errors
/// What the server says; 42501 when the role may not read the ledger.
pub async fn read(session: &Session, run: &str) -> Result<Vec<LedgerHead>, PostgresError> {
    if !ledger::exists(session).await? {
        return Ok(Vec::new());
    }
    let sql = "SELECT file, state, checksum, nonce, journal_seq, journal_head \
               FROM stagegate.ledger WHERE run OPERATOR(pg_catalog.=) $1 ORDER BY journal_seq, file";
    let parameters: [(&(dyn tokio_postgres::types::ToSql + Sync), _); 1] =
        [(&run, tokio_postgres::types::Type::TEXT)];
    let rows = session.client.query_typed(sql, &parameters).await?;
    Ok(rows
        .iter()
        .map(|row| LedgerHead {
            file: row.get(0),
            state: row.get(1),
            checksum: row.get(2),
            nonce: row.get(3),
            journal_seq: u64::try_from(row.get::<_, i64>(4)).unwrap_or(0),
            journal_head: row.get(5),
        })
        .collect())
}
