//! Cancels or ends a session that is in the way: exactly the one that was seen, and only while it
//! is in the way.

use std::time::{Duration, Instant};

use super::LockReader;
use super::read::TAG;
use crate::postgres::PostgresError;
use crate::postgres::settings::literal;

/// How long a session may take to obey.
const OBEYS: Duration = Duration::from_secs(5);
const POLL: Duration = Duration::from_millis(50);

/// What is asked of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Act {
    /// Its statement stops; its transaction is left for it to end.
    Cancel,
    /// It is disconnected, and its transaction rolled back.
    Terminate,
}

/// A session that is in the way, named so that no other one is ever hit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InTheWay {
    pub pid: i32,
    /// As the server wrote it.
    pub backend_start: String,
    pub(super) tag: String,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Signaled {
    /// It is out of the way: its statement has stopped, or it is gone.
    Done,
    /// It was gone, or in nobody's way any more, before anything was sent.
    WasGone,
    NotPermitted(String),
    /// It was asked and is still in the way.
    StillThere,
}

impl LockReader {
    /// Asks a session to stop or to go, and waits for what comes of it. `waiting` is our backend,
    /// where it waits now; otherwise the session must still have the lock that it was seen with.
    ///
    /// # Errors
    /// What the server says.
    pub async fn signal(
        &self,
        act: Act,
        whom: &InTheWay,
        waiting: Option<i32>,
    ) -> Result<Signaled, PostgresError> {
        let function = match act {
            Act::Cancel => "pg_cancel_backend",
            Act::Terminate => "pg_terminate_backend",
        };
        let sql = format!(
            "SELECT {function}(a.pid) FROM pg_stat_activity a WHERE {}",
            condition(whom, waiting)
        );
        match self.session.rows(&sql).await {
            Ok(rows) if rows.is_empty() => return Ok(Signaled::WasGone),
            Ok(_) => {}
            Err(PostgresError::Database(error)) if error.sqlstate == "42501" => {
                return Ok(Signaled::NotPermitted(error.message));
            }
            Err(error) => return Err(error),
        }
        let asked = Instant::now();
        let left = match act {
            // A transaction that is open keeps its locks, whatever became of its statement; but
            // nothing else was asked of it.
            Act::Cancel => format!("{} AND a.state = 'active'", condition(whom, waiting)),
            Act::Terminate => same(whom),
        };
        let left = format!("SELECT 1 FROM pg_stat_activity a WHERE {left}");
        while !self.session.rows(&left).await?.is_empty() {
            if asked.elapsed() >= OBEYS {
                return Ok(Signaled::StillThere);
            }
            tokio::time::sleep(POLL).await;
        }
        if act == Act::Cancel {
            let still = condition(whom, waiting);
            let still = format!("SELECT 1 FROM pg_stat_activity a WHERE {still}");
            if !self.session.rows(&still).await?.is_empty() {
                return Ok(Signaled::StillThere);
            }
        }
        Ok(Signaled::Done)
    }
}

fn same(whom: &InTheWay) -> String {
    format!(
        "a.pid = {} AND a.backend_start = {}::timestamptz",
        whom.pid,
        literal(&whom.backend_start)
    )
}

/// The session is the one that was seen, and is in the way at this moment.
fn condition(whom: &InTheWay, waiting: Option<i32>) -> String {
    let in_the_way = match waiting {
        Some(ours) => format!(
            "a.pid IN (WITH RECURSIVE way (pid) AS (\
               SELECT unnest(pg_blocking_pids({ours})) UNION \
               SELECT b.pid FROM way w, unnest(pg_blocking_pids(w.pid)) AS b (pid) \
                WHERE w.pid <> 0) SELECT pid FROM way)"
        ),
        None => format!(
            "EXISTS (SELECT 1 FROM pg_locks l WHERE l.pid = a.pid AND {TAG} = {})",
            literal(&whom.tag)
        ),
    };
    format!("{} AND {in_the_way}", same(whom))
}
