//! What one statement of a migration did to its surroundings, read in its own transaction.
//!
//! Between two statements the transaction is asked what it holds by now. The locks that are new
//! are the statement's, and so are the files of relations that are others than before: those were
//! written anew.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::PostgresError;
use super::session::Session;

/// A lock on a relation that a statement took.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct TracedLock {
    /// Quoted and qualified.
    pub relation: String,
    /// As `pg_locks` names it, such as `AccessExclusiveLock`.
    pub mode: String,
}

/// A relation whose file was written anew.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Rewrite {
    /// Quoted and qualified.
    pub relation: String,
    /// The size of the new file.
    pub bytes: u64,
}

/// What one statement did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatementTrace {
    /// What it took that the transaction did not hold before, on relations that were there before
    /// the transaction; held until its end.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub locks: Vec<TracedLock>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rewrites: Vec<Rewrite>,
    /// What it wrote to the write-ahead log, with what others wrote meanwhile.
    pub wal_bytes: u64,
    /// Until its answer.
    pub took_ms: u64,
}

/// Compares what a transaction holds from statement to statement.
#[derive(Debug, Default)]
pub struct Tracer {
    /// The relations that were there before, by oid, with the number of their file.
    before: BTreeMap<u32, u32>,
    held: Vec<(u32, String)>,
    wal: Option<u64>,
}

/// Relations of people's schemas; the ledger's own are none of a file's business.
const RELATIONS: &str = "SELECT c.oid::text, pg_catalog.pg_relation_filenode(c.oid)::text \
     FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
     WHERE n.nspname NOT IN ('pg_catalog', 'information_schema', 'stagegate', 'stagegate_control', 'pg_toast') \
     AND c.relkind IN ('r', 'i', 'm', 'p', 'S', 'v', 'f', 'I')";

const WAL: &str = "SELECT pg_catalog.pg_wal_lsn_diff(pg_catalog.pg_current_wal_insert_lsn(), \
     '0/0')::bigint::text";

const HELD: &str = "SELECT l.relation::text, l.mode, \
     pg_catalog.format('%I.%I', n.nspname, c.relname), \
     pg_catalog.pg_relation_filenode(c.oid)::text, \
     CASE WHEN l.mode = 'AccessExclusiveLock' AND c.relkind IN ('r', 'i', 'm') \
          THEN pg_catalog.pg_relation_size(c.oid) ELSE 0 END::text \
     FROM pg_catalog.pg_locks l JOIN pg_catalog.pg_class c ON c.oid = l.relation \
     JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
     WHERE l.pid = pg_catalog.pg_backend_pid() AND l.granted AND l.locktype = 'relation' \
     AND l.database = (SELECT oid FROM pg_catalog.pg_database \
                       WHERE datname = pg_catalog.current_database()) \
     AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'stagegate', 'stagegate_control', 'pg_toast') \
     ORDER BY 3, 2";

impl Tracer {
    /// Reads what is there before the file's first statement, in its transaction.
    ///
    /// # Errors
    /// What the server says.
    pub async fn begin(session: &Session) -> Result<Tracer, PostgresError> {
        let mut tracer = Tracer::default();
        for row in session.rows(RELATIONS).await? {
            if let Some(oid) = number(row.first()) {
                tracer.before.insert(oid, number(row.get(1)).unwrap_or(0));
            }
        }
        tracer.wal = session.rows(WAL).await?.first().and_then(|row| {
            let bytes = row.first()?.as_deref()?;
            bytes.parse().ok()
        });
        Ok(tracer)
    }

    /// Says what the statement did that has just ended and began at `since`.
    ///
    /// # Errors
    /// What the server says.
    pub async fn look(
        &mut self,
        session: &Session,
        since: Instant,
    ) -> Result<StatementTrace, PostgresError> {
        let took: Duration = since.elapsed();
        let mut trace = StatementTrace {
            took_ms: took.as_millis() as u64,
            ..StatementTrace::default()
        };
        let (wal, held) = futures_util::join!(session.rows(WAL), session.rows(HELD));
        let wal = wal?.first().and_then(|row| {
            let bytes = row.first()?.as_deref()?;
            bytes.parse::<u64>().ok()
        });
        if let (Some(now), Some(before)) = (wal, self.wal) {
            trace.wal_bytes = now.saturating_sub(before);
        }
        self.wal = wal;
        for row in held? {
            let field = |n: usize| row.get(n).cloned().flatten().unwrap_or_default();
            let Some(oid) = number(row.first()) else {
                continue;
            };
            let Some(file) = self.before.get(&oid).copied() else {
                continue;
            };
            let (mode, relation) = (field(1), field(2));
            let now = number(row.get(3)).unwrap_or(0);
            if now != file {
                self.before.insert(oid, now);
                trace.rewrites.push(Rewrite {
                    relation: relation.clone(),
                    bytes: field(4).parse().unwrap_or(0),
                });
            }
            if !self.held.contains(&(oid, mode.clone())) {
                self.held.push((oid, mode.clone()));
                trace.locks.push(TracedLock { relation, mode });
            }
        }
        trace.rewrites.dedup_by(|a, b| a.relation == b.relation);
        Ok(trace)
    }
}

fn number(field: Option<&Option<String>>) -> Option<u32> {
    field?.as_deref()?.parse().ok()
}
