//! A private server and sessions on it, for the tests that speak to one.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use stagegate::postgres::cluster::{Cluster, ClusterOptions};
use stagegate::postgres::{
    ConnectError, Conninfo, Environment, PostgresError, Session, SessionSettings,
};

pub(crate) fn cluster() -> Cluster {
    Cluster::start(&ClusterOptions::default()).unwrap()
}

pub(crate) fn info(cluster: &Cluster) -> Conninfo {
    resolve(&cluster.url("postgres", "postgres"))
}

/// Resolves an address in surroundings that say nothing.
pub(crate) fn resolve(source: &str) -> Conninfo {
    Conninfo::resolve(source, &Environment::default()).unwrap()
}

pub(crate) async fn open(info: &Conninfo) -> Session {
    Session::open(info, &SessionSettings::default())
        .await
        .unwrap()
}

pub(crate) async fn refusal(info: &Conninfo) -> ConnectError {
    match Session::open(info, &SessionSettings::default()).await {
        Err(PostgresError::Connect(error)) => *error,
        other => panic!("expected a refused connection, got {other:?}"),
    }
}

pub(crate) async fn run(session: &Session, sql: &str) {
    session.client.batch_execute(sql).await.unwrap();
}

pub(crate) async fn one(session: &Session, sql: &str) -> String {
    let rows = session.rows(sql).await.unwrap();
    rows[0][0].clone().unwrap_or_default()
}

/// Waits until a query answers that; the test's own timeout is the runner's.
pub(crate) async fn wait_until(session: &Session, sql: &str, answer: &str) {
    let wait = async {
        while one(session, sql).await != answer {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), wait)
        .await
        .unwrap();
}

pub(crate) fn write_private(path: &Path, text: &str) {
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}
