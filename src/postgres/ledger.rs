//! The ledger: one row for each file that is applied, written in the file's own transaction.
//!
//! The row's key is a nonce that belongs to one attempt at one file. Whoever finds the row knows
//! that the attempt committed; whoever can insert the same key knows that it never will.

use super::PostgresError;
pub use super::ledger_row::NewRow;
use super::session::Session;

/// What a row says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LedgerState {
    /// The file's transaction committed.
    Applied,
    /// It was applied once, and undone since.
    Reverted,
    /// The row of a file that undid another one.
    Undo,
    /// The attempt was proven dead; the key is taken so that it can never commit.
    Void,
    /// A statement that no transaction can hold was begun; the catalog says what became of it.
    Intent,
    /// It was there before the ledger was, and a person said so.
    Baseline,
}

impl LedgerState {
    /// Tells whether what the file did is there.
    pub fn is_applied(self) -> bool {
        matches!(self, LedgerState::Applied | LedgerState::Baseline)
    }
}

/// One row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedgerRow {
    pub nonce: String,
    pub state: LedgerState,
    /// The set that the file belongs to: files are out of order or missing only within one.
    pub collection: String,
    pub file: String,
    /// Over normalised text, with the algorithm's version in front.
    pub checksum: String,
    pub raw_sha256: String,
    pub run: String,
    pub applied_by: String,
    /// As the server writes it, in UTC.
    pub applied_at: String,
}

/// The constraint by which a transaction that ends before its file does cannot be committed.
pub(super) const TICKET_KEY: &str = "ledger_ticket_fkey";

const CREATE: &str = "\
CREATE SCHEMA IF NOT EXISTS stagegate;
CREATE TABLE IF NOT EXISTS stagegate.ticket (nonce text PRIMARY KEY);
CREATE TABLE IF NOT EXISTS stagegate.ledger (
    nonce text PRIMARY KEY,
    state text NOT NULL CONSTRAINT ledger_state_check
        CHECK (state IN ('applied', 'void', 'reverted', 'undo', 'intent', 'baseline')),
    ticket text CONSTRAINT ledger_ticket_fkey
        REFERENCES stagegate.ticket DEFERRABLE INITIALLY DEFERRED,
    collection text NOT NULL,
    file text NOT NULL,
    checksum text NOT NULL,
    raw_sha256 text NOT NULL,
    statements integer NOT NULL,
    run text NOT NULL,
    journal_seq bigint NOT NULL,
    journal_head text NOT NULL,
    applied_by text NOT NULL DEFAULT session_user,
    applied_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE UNIQUE INDEX IF NOT EXISTS ledger_applied_file
    ON stagegate.ledger (file) WHERE state = 'applied';";

/// Makes the ledger where it is missing. Changes nothing where it stands.
///
/// # Errors
/// What the server says; 42501 when the role may not create it.
pub async fn ensure(session: &Session) -> Result<(), PostgresError> {
    if exists(session).await? {
        return bring_up_to_date(session).await;
    }
    // A second operator may make it at the same moment; the lock makes them take turns.
    let sql = format!("BEGIN; SELECT pg_advisory_xact_lock(7301442, 1); {CREATE} COMMIT");
    if let Err(error) = session.client.batch_execute(&sql).await {
        let _ = session.client.batch_execute("ROLLBACK").await;
        return Err(error.into());
    }
    Ok(())
}

/// Tells what a ledger of an earlier version lacks: words for its states, tickets.
const LACKS: &str = "\
    SELECT (SELECT conname::text FROM pg_catalog.pg_constraint \
            WHERE conrelid = 'stagegate.ledger'::regclass AND contype = 'c' \
            AND pg_catalog.pg_get_constraintdef(oid) LIKE '%void%' \
            AND pg_catalog.pg_get_constraintdef(oid) NOT LIKE '%baseline%'), \
           EXISTS (SELECT FROM pg_catalog.pg_constraint \
            WHERE conrelid = 'stagegate.ledger'::regclass AND conname = 'ledger_ticket_fkey')";

/// Whoever may write the ledger may write tickets.
const TICKETS: &str = "\
    CREATE TABLE IF NOT EXISTS stagegate.ticket (nonce text PRIMARY KEY); \
    DO $$ DECLARE g record; BEGIN FOR g IN SELECT DISTINCT a.grantee FROM pg_catalog.pg_class c, \
        pg_catalog.aclexplode(c.relacl) a WHERE c.oid = 'stagegate.ledger'::regclass \
        AND a.privilege_type = 'INSERT' AND a.grantee <> c.relowner LOOP \
        EXECUTE pg_catalog.format('GRANT SELECT, INSERT, UPDATE ON stagegate.ticket TO %s', \
            CASE g.grantee WHEN 0 THEN 'PUBLIC' ELSE g.grantee::regrole::text END); \
    END LOOP; END $$; \
    ALTER TABLE stagegate.ledger ADD COLUMN IF NOT EXISTS ticket text, \
    ADD CONSTRAINT ledger_ticket_fkey FOREIGN KEY (ticket) \
    REFERENCES stagegate.ticket DEFERRABLE INITIALLY DEFERRED";

/// Gives a ledger of an earlier version what it lacks.
async fn bring_up_to_date(session: &Session) -> Result<(), PostgresError> {
    if lacking(session).await?.is_empty() {
        return Ok(());
    }
    let changed = async {
        // Another operator may do the same at this moment; whoever comes second finds it done.
        let lock = "BEGIN; SELECT pg_advisory_xact_lock(7301442, 1)";
        session.client.batch_execute(lock).await?;
        let changes = lacking(session).await?;
        session.client.batch_execute(&changes.join("; ")).await?;
        session.client.batch_execute("COMMIT").await?;
        Ok(())
    };
    let changed: Result<(), PostgresError> = changed.await;
    if changed.is_err() {
        let _ = session.client.batch_execute("ROLLBACK").await;
    }
    changed
}

async fn lacking(session: &Session) -> Result<Vec<String>, PostgresError> {
    let row = session.client.query_typed_one(LACKS, &[]).await?;
    let mut changes = Vec::new();
    if let Some(name) = row.get::<_, Option<String>>(0) {
        changes.push(format!(
            "ALTER TABLE stagegate.ledger DROP CONSTRAINT {}, ADD CONSTRAINT ledger_state_check \
             CHECK (state IN ('applied', 'void', 'reverted', 'undo', 'intent', 'baseline'))",
            identifier(&name)
        ));
    }
    if !row.get::<_, bool>(1) {
        changes.push(TICKETS.to_owned());
    }
    Ok(changes)
}

/// Tells whether the ledger stands in this database.
///
/// # Errors
/// What the server says.
pub async fn exists(session: &Session) -> Result<bool, PostgresError> {
    let sql = "SELECT to_regclass('stagegate.ledger') IS NOT NULL";
    let row = session.client.query_typed_one(sql, &[]).await?;
    Ok(row.get(0))
}

/// Says of applied files, by their rows' keys, that they are not there any more: a restore has
/// removed what they did.
///
/// # Errors
/// What the server says.
pub async fn revert(session: &Session, nonces: &[String]) -> Result<(), PostgresError> {
    if nonces.is_empty() || !exists(session).await? {
        return Ok(());
    }
    ensure(session).await?;
    let keys: Vec<String> = nonces.iter().map(|nonce| literal(nonce)).collect();
    let sql = format!(
        "UPDATE stagegate.ledger SET state = 'reverted' WHERE state = 'applied' AND nonce IN ({})",
        keys.join(", ")
    );
    session.client.batch_execute(&sql).await?;
    Ok(())
}

/// Reads every row. Empty where there is no ledger.
///
/// # Errors
/// What the server says.
pub async fn rows(session: &Session) -> Result<Vec<LedgerRow>, PostgresError> {
    if !exists(session).await? {
        return Ok(Vec::new());
    }
    let sql = "SELECT nonce, state, collection, file, checksum, raw_sha256, run, \
               applied_by, pg_catalog.left((applied_at AT TIME ZONE 'UTC')::text, 19) \
               FROM stagegate.ledger ORDER BY applied_at, file";
    let rows = session.client.query_typed(sql, &[]).await?;
    Ok(rows
        .iter()
        .map(|row| LedgerRow {
            nonce: row.get(0),
            state: match row.get::<_, &str>(1) {
                "applied" => LedgerState::Applied,
                "reverted" => LedgerState::Reverted,
                "undo" => LedgerState::Undo,
                "intent" => LedgerState::Intent,
                "baseline" => LedgerState::Baseline,
                _ => LedgerState::Void,
            },
            collection: row.get(2),
            file: row.get(3),
            checksum: row.get(4),
            raw_sha256: row.get(5),
            run: row.get(6),
            applied_by: row.get(7),
            applied_at: row.get(8),
        })
        .collect())
}

/// Finds out whether an attempt committed, by taking its key.
///
/// The insert waits for a transaction of that key that is still in flight. `true`: the attempt
/// committed. `false`: it did not, and from now on it cannot.
///
/// # Errors
/// What the server says; a lock timeout means that the attempt is still in flight.
pub async fn fence(session: &Session, row: &NewRow<'_>) -> Result<bool, PostgresError> {
    let inserted = session.client.execute_typed(&row.fence(), &[]).await?;
    if inserted == 1 {
        return Ok(false);
    }
    let sql = format!(
        "SELECT state <> 'void' FROM stagegate.ledger WHERE nonce = {}",
        literal(row.nonce)
    );
    let found = session.client.query_typed_opt(&sql, &[]).await?;
    Ok(found.is_some_and(|row| row.get(0)))
}

/// Writes that files were applied before the ledger was there: all in one transaction, and each
/// once, by its key.
///
/// # Errors
/// What the server says; nothing is written then.
pub async fn write_baseline(session: &Session, rows: &[NewRow<'_>]) -> Result<(), PostgresError> {
    let inserts: Vec<String> = rows.iter().map(|row| row.with_ticket("baseline")).collect();
    let sql = format!("BEGIN READ WRITE; {}; COMMIT", inserts.join("; "));
    if let Err(error) = session.client.batch_execute(&sql).await {
        let _ = session.client.batch_execute("ROLLBACK").await;
        return Err(error.into());
    }
    Ok(())
}

/// Quotes a text as an SQL string constant.
pub fn literal(text: &str) -> String {
    let quoted = text.replace('\'', "''");
    if quoted.contains('\\') {
        format!(" E'{}'", quoted.replace('\\', "\\\\"))
    } else {
        format!("'{quoted}'")
    }
}

/// Quotes a name as an SQL identifier.
pub fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_cannot_leave_their_quotes() {
        assert_eq!(literal("a'b"), "'a''b'");
        assert_eq!(literal("a\\'b"), " E'a\\\\''b'");
        assert_eq!(identifier("a\"b"), "\"a\"\"b\"");
    }
}
