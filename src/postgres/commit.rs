//! Sends `COMMIT` and waits for its answer, and not for ever where the server waits for a standby.
//!
//! No timeout of the server's ends that wait. A cancel request does: the transaction is committed
//! here by then, and the server says in a notice that no standby has confirmed it. So the request
//! is sent only where another session sees the server in exactly that wait.

use std::pin::pin;
use std::time::{Duration, Instant};

use super::PostgresError;
use super::session::{Session, SessionSettings};

/// How long a commit may take before anybody looks what it waits for, and how often then.
const POLL: Duration = Duration::from_millis(500);

/// What became of a `COMMIT` that was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    Committed,
    /// Committed here; the wait for a standby was given up.
    Unconfirmed,
    /// The transaction was aborted before, so the server rolled it back, without an error.
    RolledBack,
}

/// Commits. `waits` is told how long the server has waited for a standby.
pub(super) async fn commit(
    session: &Session,
    standby_wait: Duration,
    mut waits: impl FnMut(Duration),
) -> Result<Answer, PostgresError> {
    let (ends, unconfirmed) = (session.witness().ends(), session.witness().unconfirmed());
    let started = Instant::now();
    let mut answer = pin!(session.client.batch_execute("COMMIT"));
    let mut watcher = None;
    loop {
        tokio::select! {
            biased;
            answered = &mut answer => {
                answered?;
                break;
            }
            () = tokio::time::sleep(POLL) => {}
        }
        if watcher.is_none() {
            watcher = open(session).await;
        }
        if let Some(open) = &watcher
            && waits_for_standby(open, session.backend_pid()).await
        {
            waits(started.elapsed());
            if started.elapsed() >= standby_wait {
                // Sent again with the next look, should it not have arrived.
                let _ = session.canceller().cancel().await;
            }
        }
    }
    let now = session.witness().ends();
    // In an aborted transaction COMMIT is answered without an error, by another tag.
    Ok(
        if (now.commits, now.rollbacks) != (ends.commits + 1, ends.rollbacks) {
            Answer::RolledBack
        } else if session.witness().unconfirmed() != unconfirmed {
            Answer::Unconfirmed
        } else {
            Answer::Committed
        },
    )
}

/// Another session on the same server; without one the wait is only longer.
async fn open(session: &Session) -> Option<Session> {
    let settings = SessionSettings {
        application_name: "stagegate commit".to_owned(),
        read_only: true,
        ..SessionSettings::default()
    };
    let info = session.conninfo_here();
    let opening = Session::open(&info, &settings);
    // Boxed, for it is seldom needed and large.
    Box::pin(opening).await.ok()
}

async fn waits_for_standby(watcher: &Session, pid: i32) -> bool {
    let sql = format!(
        "SELECT 1 FROM pg_catalog.pg_stat_activity WHERE pid = {pid} AND wait_event = 'SyncRep'"
    );
    watcher.rows(&sql).await.is_ok_and(|rows| !rows.is_empty())
}
