//! One operator for each database: an advisory lock in a session of its own.
//!
//! The session does nothing else and never waits inside the server, where a wait would hold a
//! snapshot and keep vacuum from cleaning up. The lock is asked for again and again instead, and
//! whoever has it is shown.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tokio::time::{Instant, sleep};

use super::conninfo::Conninfo;
use super::error::PostgresError;
use super::session::{Session, SessionSettings};

/// The first key of every lock of this program; the letters "stgt" as a number.
const CLASS: i32 = i32::from_be_bytes(*b"stgt");
const POLL_INTERVAL: Duration = Duration::from_millis(200);
/// The session that has the lock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    pub pid: i32,
    pub application_name: String,
    /// Where it connects from.
    pub client: String,
    /// When its session began, in UTC; empty where this role may not see it.
    pub since: String,
    pub user: String,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.user)?;
        if !self.application_name.is_empty() {
            write!(f, " ({})", self.application_name)?;
        }
        if !self.client.is_empty() {
            write!(f, " from {}", self.client)?;
        }
        if !self.since.is_empty() {
            write!(f, " since {}", self.since)?;
        }
        write!(f, ", process {}", self.pid)
    }
}

/// Why this operator may not act on the database.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum OperatorLockError {
    #[error(
        "another operator is at work on this database: {0}. Wait for them or hand over; if that \
         session is abandoned, end it with SELECT pg_terminate_backend({pid})",
        pid = .0.pid
    )]
    Held(Holder),
    #[error(
        "statements of one session do not reach one server process ({0}): there is a connection \
         pooler in between, and a lock taken through it protects nobody. Connect directly to the \
         server"
    )]
    Pooled(String),
    #[error(transparent)]
    Postgres(#[from] PostgresError),
}

/// The held lock. Dropping it ends the session and so releases the lock.
#[derive(Debug)]
pub struct OperatorLock {
    session: Session,
    key: i32,
}

impl OperatorLock {
    /// Takes the lock, asking until `wait` is over.
    pub async fn acquire(
        info: &Conninfo,
        run_id: &str,
        wait: Duration,
    ) -> Result<OperatorLock, OperatorLockError> {
        let settings = SessionSettings {
            application_name: format!("stagegate {run_id} operator"),
            search_path: Some("pg_catalog".to_owned()),
            ..SessionSettings::default()
        };
        let session = Session::open(info, &settings).await?;
        refuse_pooler(&session, info).await?;
        let lock = OperatorLock {
            session,
            key: key(&info.database),
        };
        let deadline = Instant::now() + wait;
        loop {
            if lock.try_once().await? {
                return Ok(lock);
            }
            let holder = lock.holder().await?;
            if Instant::now() >= deadline {
                match holder {
                    Some(holder) => return Err(OperatorLockError::Held(holder)),
                    // Released between the two questions: it is ours to ask for again.
                    None if lock.try_once().await? => return Ok(lock),
                    None => {}
                }
            }
            let left = deadline.saturating_duration_since(Instant::now());
            sleep(left.min(POLL_INTERVAL)).await;
        }
    }

    /// Asks the server whether this session still has the lock.
    pub async fn still_held(&self) -> Result<bool, PostgresError> {
        let sql = format!(
            "SELECT 1 FROM pg_locks WHERE {} AND pid = pg_backend_pid()",
            self.condition()
        );
        Ok(!self.session.rows(&sql).await?.is_empty())
    }

    /// Resolves when the session has ended and the lock is lost with it.
    pub async fn lost(&self) {
        self.session.closed().await;
    }

    /// Returns the process that has the lock.
    pub fn backend_pid(&self) -> i32 {
        self.session.backend_pid()
    }

    /// Releases the lock and waits until the session has ended.
    pub async fn release(self) {
        self.session.close().await;
    }

    async fn try_once(&self) -> Result<bool, PostgresError> {
        let sql = format!("SELECT pg_try_advisory_lock({CLASS}, {})", self.key);
        let rows = self.session.rows(&sql).await?;
        Ok(rows.first().and_then(|row| row.first()?.as_deref()) == Some("t"))
    }

    /// Selects our lock in `pg_locks`; two-part keys have `objsubid` 2.
    fn condition(&self) -> String {
        format!(
            "locktype = 'advisory' AND classid = {CLASS} AND objid = {} AND objsubid = 2 \
             AND granted \
             AND database = (SELECT oid FROM pg_database WHERE datname = current_database())",
            self.key
        )
    }

    async fn holder(&self) -> Result<Option<Holder>, PostgresError> {
        let sql = format!(
            "SELECT l.pid, COALESCE(a.application_name, ''), \
                    COALESCE(a.client_hostname, host(a.client_addr), \
                             CASE WHEN a.client_port = -1 THEN 'this server' END, ''), \
                    COALESCE(to_char(timezone('UTC', a.backend_start), \
                                     'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"'), ''), \
                    COALESCE(a.usename, '') \
               FROM (SELECT pid FROM pg_locks WHERE {}) l \
               LEFT JOIN pg_stat_activity a ON a.pid = l.pid",
            self.condition()
        );
        let rows = self.session.rows(&sql).await?;
        let Some(row) = rows.into_iter().next() else {
            return Ok(None);
        };
        let mut fields = row.into_iter().map(Option::unwrap_or_default);
        let mut next = || fields.next().unwrap_or_default();
        Ok(Some(Holder {
            pid: next().parse().unwrap_or_default(),
            application_name: next(),
            client: next(),
            since: next(),
            user: next(),
        }))
    }
}

/// Makes the second key of a database's name: positive, so that it reads the same in `pg_locks`.
fn key(database: &str) -> i32 {
    let [a, b, c, d, ..]: [u8; 32] = Sha256::digest(database).into();
    i32::from_be_bytes([a & 0x7f, b, c, d])
}

/// Refuses a connection whose statements may run in several server processes.
///
/// A pooler gives itself away in one of three ways: the process it announced is none that runs
/// statements; two statements run in two; a setting is gone in the second. A second session keeps
/// it busy, because an idle pooler has no reason to switch.
async fn refuse_pooler(session: &Session, info: &Conninfo) -> Result<(), OperatorLockError> {
    let mark = session.backend_pid().to_string();
    session
        .rows(&format!(
            "SELECT set_config('stagegate.session', '{mark}', false)"
        ))
        .await?;
    check_mark(session, &mark).await?;
    let settings = SessionSettings {
        application_name: "stagegate looks for a pooler".to_owned(),
        ..SessionSettings::default()
    };
    let busy = Session::open(info, &settings).await?;
    // An open transaction takes a server process away from a pooler in transaction mode.
    for statement in ["BEGIN", "COMMIT"] {
        busy.rows(statement).await?;
        check_mark(session, &mark).await?;
    }
    busy.close().await;
    Ok(())
}

async fn check_mark(session: &Session, mark: &str) -> Result<(), OperatorLockError> {
    let rows = session
        .rows("SELECT pg_backend_pid(), current_setting('stagegate.session', true)")
        .await?;
    let field = |n: usize| rows.first()?.get(n)?.as_deref();
    if field(0) != Some(mark) {
        return Err(OperatorLockError::Pooled(
            "another process answered than the one that was announced".to_owned(),
        ));
    }
    if field(1) != Some(mark) {
        return Err(OperatorLockError::Pooled(
            "a setting of the session was gone in its next statement".to_owned(),
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_positive_stable_and_differ_by_database() {
        assert_eq!(key("app"), key("app"));
        assert_ne!(key("app"), key("app2"));
        for name in ["", "a", "production", "ünïcode"] {
            assert!(key(name) >= 0);
        }
    }

    #[test]
    fn a_holder_reads_as_a_sentence_and_leaves_out_what_is_hidden() {
        let holder = Holder {
            pid: 42,
            application_name: "stagegate run-1 operator".into(),
            client: "10.0.0.7".into(),
            since: "2026-11-21T08:00:00Z".into(),
            user: "ana".into(),
        };
        assert_eq!(
            holder.to_string(),
            "ana (stagegate run-1 operator) from 10.0.0.7 since 2026-11-21T08:00:00Z, process 42"
        );
        let hidden = Holder {
            application_name: String::new(),
            client: String::new(),
            since: String::new(),
            ..holder
        };
        assert_eq!(hidden.to_string(), "ana, process 42");
        let error = OperatorLockError::Held(hidden).to_string();
        assert!(error.contains("pg_terminate_backend(42)"), "{error}");
    }
}
