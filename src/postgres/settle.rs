//! Finds out how work ended that nobody saw end: waits for its sessions, then asks the ledger.

use std::time::{Duration, Instant};

use super::PostgresError;
use super::ledger::literal;
use super::session::Session;

/// How long a session of a dead client may take to end by itself.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long it may take after it was told to end.
const GRACE: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(50);

/// A session on the server that still works under a name of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lingering {
    pub pid: i32,
    pub state: String,
    pub wait: String,
}

/// Reads the sessions of this database that carry `application_name`.
///
/// # Errors
/// What the server says.
pub async fn lingering(
    session: &Session,
    application_name: &str,
) -> Result<Vec<Lingering>, PostgresError> {
    let sql = format!(
        "SELECT pid, coalesce(state, ''), coalesce(wait_event_type || '/' || wait_event, '') \
         FROM pg_catalog.pg_stat_activity WHERE datname = current_database() \
         AND pid <> pg_backend_pid() AND application_name = {}",
        literal(application_name)
    );
    let rows = session.client.query_typed(&sql, &[]).await?;
    Ok(rows
        .iter()
        .map(|row| Lingering {
            pid: row.get(0),
            state: row.get(1),
            wait: row.get(2),
        })
        .collect())
}

/// Waits until the session of process `pid` is gone; ends it when it lingers. `name` tells it from
/// another one that has the number by then.
///
/// # Errors
/// What the server says.
pub async fn wait_for(
    session: &Session,
    pid: i32,
    name: &str,
    say: impl FnMut(&str),
) -> Result<Vec<Lingering>, PostgresError> {
    wait(session, name, |left| left.pid == pid, say).await
}

/// Waits until no session carries `application_name`; ends those that linger.
///
/// Returns what is still there after all patience: then nothing may be decided yet.
///
/// # Errors
/// What the server says.
pub async fn wait_until_gone(
    session: &Session,
    application_name: &str,
    say: impl FnMut(&str),
) -> Result<Vec<Lingering>, PostgresError> {
    wait(session, application_name, |_| true, say).await
}

async fn wait(
    session: &Session,
    application_name: &str,
    meant: impl Fn(&Lingering) -> bool,
    mut say: impl FnMut(&str),
) -> Result<Vec<Lingering>, PostgresError> {
    let started = Instant::now();
    let mut told = false;
    loop {
        let mut left = lingering(session, application_name).await?;
        left.retain(&meant);
        if left.is_empty() || started.elapsed() > PATIENCE + GRACE {
            return Ok(left);
        }
        if !told && started.elapsed() > PATIENCE {
            told = true;
            for lingering in &left {
                say(&format!("session {} lingers; ending it", lingering.pid));
                let sql = format!("SELECT pg_catalog.pg_terminate_backend({})", lingering.pid);
                session.client.batch_execute(&sql).await?;
            }
        }
        tokio::time::sleep(POLL).await;
    }
}
