//! What the services of a sample company do while its world stands: requests, ingest runs, log lines.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use tokio::task::JoinHandle;
use tokio_postgres::{Client, NoTls};

/// How often something happens.
const EVERY: Duration = Duration::from_millis(200);
/// The line of the settings that says how many sources take the new path.
const FLAG: &str = "const INGEST_ROLLOUT_PERCENTAGE = ";

/// Services at work. Dropping it ends them.
#[derive(Debug)]
pub(super) struct Traffic {
    task: JoinHandle<()>,
}

impl Drop for Traffic {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Lets the services work on a database, by the settings of a file.
pub(super) fn begin(url: String, settings: PathBuf) -> Traffic {
    let task = tokio::spawn(async move {
        let mut ticks = tokio::time::interval(EVERY);
        let mut last = Instant::now();
        let mut session: Option<Session> = None;
        loop {
            ticks.tick().await;
            if session.is_none() {
                session = Session::open(&url).await;
            }
            let Some(open) = &session else { continue };
            let percent = flag(&settings);
            let elapsed = i32::try_from(last.elapsed().as_millis()).unwrap_or(i32::MAX);
            let sql = format!("SELECT traffic.tick({percent}, {elapsed})");
            // Whoever works on the database may end our session; the services come back.
            if open.client.batch_execute(&sql).await.is_ok() {
                last = Instant::now();
            } else {
                session = None;
            }
        }
    });
    Traffic { task }
}

struct Session {
    client: Client,
    driver: JoinHandle<()>,
}

impl Drop for Session {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl Session {
    async fn open(url: &str) -> Option<Session> {
        let (client, connection) = tokio_postgres::connect(url, NoTls).await.ok()?;
        let driver = tokio::spawn(async move { drop(connection.await) });
        Some(Session { client, driver })
    }
}

/// The flag as the service reads it; 0 when it cannot.
fn flag(settings: &Path) -> u8 {
    let text = std::fs::read_to_string(settings).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(FLAG));
    line.and_then(|rest| rest.trim_end_matches(';').parse().ok())
        .unwrap_or(0)
}
