//! Ends a program of ours that waits for a lock longer than it may, and says who had the lock.
//!
//! `pg_restore` switches the lock timeout off in its own session, whatever it was started with. A
//! statement of it that waits holds up everybody who comes after it, so another session watches.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::PostgresError;
use super::ledger::literal;
use super::locks::{self, Blocker, ON, TAG};
use super::session::Session;

const POLL: Duration = Duration::from_millis(100);
/// How long a program may take to end by itself after its statement was canceled.
const GRACE: Duration = Duration::from_secs(5);

/// A wait that was ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StuckWait {
    pub waited: Duration,
    /// The lock and what it is on, such as `AccessExclusiveLock on app.t`.
    pub lock: String,
    pub holders: Vec<Blocker>,
}

/// A session of ours that waits for a lock now.
struct Waiting {
    pid: i32,
    /// Tells this wait from another one of the same session.
    wait: String,
    lock: String,
}

/// Watches the other sessions called `application_name` in this session's database until one of
/// them waits longer than `limit` for one lock; then ends it. Goes on for ever where none does.
///
/// The wait stands in `found` before anything is done about it: the program may be gone before
/// this is through.
///
/// # Errors
/// What the server says. From then on nobody watches.
pub async fn end_when_stuck(
    session: &Session,
    application_name: &str,
    limit: Duration,
    found: &Mutex<Option<StuckWait>>,
) -> Result<(), PostgresError> {
    let put = |stuck| *found.lock().unwrap_or_else(PoisonError::into_inner) = stuck;
    let mut since: Vec<(String, Instant)> = Vec::new();
    loop {
        let waiting = waiting(session, application_name).await?;
        since.retain(|(wait, _)| waiting.iter().any(|now| now.wait == *wait));
        for one in waiting {
            let began = since.iter().find(|(wait, _)| *wait == one.wait);
            let waited = began.map_or(Duration::ZERO, |(_, began)| began.elapsed());
            if began.is_none() {
                since.push((one.wait, Instant::now()));
            }
            if waited < limit {
                continue;
            }
            put(Some(StuckWait {
                waited,
                lock: one.lock,
                holders: holders(session, one.pid, application_name).await?,
            }));
            if end(session, one.pid, application_name).await? {
                return Ok(());
            }
            put(None);
        }
        tokio::time::sleep(POLL).await;
    }
}

async fn waiting(session: &Session, application_name: &str) -> Result<Vec<Waiting>, PostgresError> {
    // The key of the lock tells one wait from the next; servers before 14 do not say since when.
    let sql = format!(
        "SELECT l.pid, concat_ws(' ', l.pid, a.query_start, {TAG}, l.mode), \
         l.mode || ' on ' || {ON} \
         FROM pg_catalog.pg_locks l JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid \
         WHERE NOT l.granted AND a.application_name = {} AND a.datname = current_database() \
         AND a.pid <> pg_backend_pid()",
        literal(application_name)
    );
    let rows = session.client.query_typed(&sql, &[]).await?;
    Ok(rows
        .iter()
        .map(|row| Waiting {
            pid: row.get(0),
            wait: row.get(1),
            lock: row.get(2),
        })
        .collect())
}

/// Who stands before a session, those that it waits for itself.
async fn holders(
    session: &Session,
    pid: i32,
    application_name: &str,
) -> Result<Vec<Blocker>, PostgresError> {
    let mut look = locks::around(session, pid, application_name).await?;
    look.blockers.retain(|blocker| blocker.depth == 0);
    Ok(look.blockers)
}

/// Cancels the statement that waits, and ends its session where that was not enough. Tells
/// whether it was still waiting: what has its lock by now goes on.
async fn end(session: &Session, pid: i32, application_name: &str) -> Result<bool, PostgresError> {
    let sql = format!(
        "SELECT pg_catalog.pg_cancel_backend(pid) FROM pg_catalog.pg_locks \
         WHERE pid = {pid} AND NOT granted LIMIT 1"
    );
    if session.client.query_typed(&sql, &[]).await?.is_empty() {
        return Ok(false);
    }
    let started = Instant::now();
    // The process number alone may be somebody else's by then.
    let ours = format!(
        "FROM pg_catalog.pg_stat_activity WHERE pid = {pid} AND application_name = {}",
        literal(application_name)
    );
    while started.elapsed() < GRACE {
        let left = session.rows(&format!("SELECT 1 {ours}")).await?;
        if left.is_empty() {
            return Ok(true);
        }
        tokio::time::sleep(POLL).await;
    }
    let sql = format!("SELECT pg_catalog.pg_terminate_backend(pid) {ours}");
    session.rows(&sql).await?;
    Ok(true)
}
