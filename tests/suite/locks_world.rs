//! Sessions that hold locks and sessions that wait for them.

use std::time::Duration;

use stagegate::postgres::{Conninfo, Session, SessionSettings};
use tokio::task::JoinHandle;

use crate::server;

/// A session of that name, which waits long for its locks.
pub(crate) async fn named(info: &Conninfo, name: &str) -> Session {
    let settings = SessionSettings {
        application_name: name.to_owned(),
        lock_timeout: Duration::from_secs(120),
        ..SessionSettings::default()
    };
    Session::open(info, &settings).await.unwrap()
}

/// Somebody whose statement waits.
pub(crate) struct Stuck {
    pub(crate) pid: i32,
    task: JoinHandle<Result<(), tokio_postgres::Error>>,
}

impl Stuck {
    /// Runs SQL in a session of that name, and gives it back when it waits for a lock.
    pub(crate) async fn on(info: &Conninfo, name: &str, sql: &str) -> Stuck {
        let session = named(info, name).await;
        let pid = session.backend_pid();
        let sql = sql.to_owned();
        let task = tokio::spawn(async move {
            // All of it moves in here: its connection ends with it.
            let session = session;
            session.client.batch_execute(&sql).await
        });
        let watcher = server::open(info).await;
        let waits = format!("SELECT count(*) > 0 FROM pg_locks WHERE NOT granted AND pid = {pid}");
        server::wait_until(&watcher, &waits, "t").await;
        Stuck { pid, task }
    }

    /// How its statement came out: nothing, or the SQLSTATE.
    pub(crate) async fn came_out(self) -> Option<String> {
        let error = self.task.await.unwrap().err()?;
        Some(error.code().map_or_else(
            || "connection lost".to_owned(),
            |code| code.code().to_owned(),
        ))
    }
}
