//! One operator for each database, on a real server and behind a pooler.

use std::path::{Path, PathBuf};
use std::time::Duration;

use stagegate::postgres::{OperatorLock, OperatorLockError};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};

use crate::server::{cluster, info, open, resolve, run, wait_until};

const NO_WAIT: Duration = Duration::ZERO;
const LONG: Duration = Duration::from_secs(30);

#[tokio::test]
async fn the_second_operator_is_shown_the_first() {
    let cluster = cluster();
    let first = OperatorLock::acquire(&info(&cluster), "run-1", NO_WAIT)
        .await
        .unwrap();
    assert!(first.still_held().await.unwrap());

    let error = OperatorLock::acquire(&info(&cluster), "run-2", NO_WAIT)
        .await
        .unwrap_err();
    let OperatorLockError::Held(holder) = error else {
        panic!("expected a holder, got {error}");
    };
    assert_eq!(holder.pid, first.backend_pid());
    assert_eq!(holder.application_name, "stagegate run-1 operator");
    assert_eq!(holder.user, "postgres");
    assert_eq!(holder.client, "this server");
    assert!(holder.since.ends_with('Z'));

    // Another database of the same server is another target.
    let admin = open(&info(&cluster)).await;
    run(&admin, "CREATE DATABASE other").await;
    let other = info(&cluster).with_database("other");
    OperatorLock::acquire(&other, "run-3", NO_WAIT)
        .await
        .unwrap();

    drop(first);
    OperatorLock::acquire(&info(&cluster), "run-2", LONG)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_waiting_operator_keeps_no_snapshot_and_gets_the_lock_when_it_is_free() {
    let cluster = cluster();
    let admin = open(&info(&cluster)).await;
    let address = info(&cluster);
    let first = OperatorLock::acquire(&address, "run-1", NO_WAIT)
        .await
        .unwrap();
    let second = OperatorLock::acquire(&address, "run-2", LONG);
    let release = async {
        let idle = "SELECT count(*) FROM pg_stat_activity \
                    WHERE application_name = 'stagegate run-2 operator' \
                      AND query LIKE '%pg_locks%' AND state = 'idle' \
                      AND backend_xmin IS NULL AND wait_event = 'ClientRead'";
        wait_until(&admin, idle, "1").await;
        first.release().await;
    };
    let (second, ()) = tokio::join!(second, release);
    assert!(second.unwrap().still_held().await.unwrap());
}

#[tokio::test]
async fn a_lock_whose_session_is_ended_is_lost_and_says_so() {
    let cluster = cluster();
    let admin = open(&info(&cluster)).await;
    let lock = OperatorLock::acquire(&info(&cluster), "run-1", NO_WAIT)
        .await
        .unwrap();
    let unlock = format!("SELECT pg_terminate_backend({})", lock.backend_pid());
    run(&admin, &unlock).await;
    lock.lost().await;
    assert!(lock.still_held().await.unwrap_err().is_connection_lost());
}

#[tokio::test]
async fn a_low_role_sees_the_holder_too() {
    let cluster = cluster();
    let admin = open(&info(&cluster)).await;
    run(&admin, "CREATE ROLE small LOGIN").await;
    let _first = OperatorLock::acquire(&info(&cluster), "run-1", NO_WAIT)
        .await
        .unwrap();
    let error = OperatorLock::acquire(&info(&cluster).with_user("small"), "run-2", NO_WAIT)
        .await
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("postgres (stagegate run-1 operator)"),
        "{error}"
    );
}

/// Announces another process than the one that runs the statements, as poolers do, and passes
/// everything else on to a real server.
async fn relay_like_a_pooler(folder: &Path, server: PathBuf) {
    let listener = UnixListener::bind(folder.join(".s.PGSQL.5432")).unwrap();
    while let Ok((mut client, _)) = listener.accept().await {
        let mut upstream = UnixStream::connect(&server).await.unwrap();
        tokio::spawn(async move {
            // The startup packet, then all of the server's greeting up to "ready for query".
            let mut startup = vec![0; client.read_u32().await.unwrap() as usize - 4];
            client.read_exact(&mut startup).await.unwrap();
            upstream.write_u32(startup.len() as u32 + 4).await.unwrap();
            upstream.write_all(&startup).await.unwrap();
            loop {
                let kind = upstream.read_u8().await.unwrap();
                let length = upstream.read_u32().await.unwrap();
                let mut body = vec![0; length as usize - 4];
                upstream.read_exact(&mut body).await.unwrap();
                if kind == b'K' {
                    body[3] ^= 1;
                }
                client.write_u8(kind).await.unwrap();
                client.write_u32(length).await.unwrap();
                client.write_all(&body).await.unwrap();
                if kind == b'Z' {
                    break;
                }
            }
            let _ = tokio::io::copy_bidirectional(&mut client, &mut upstream).await;
        });
    }
}

#[tokio::test]
async fn a_lock_through_a_pooler_is_refused() {
    let cluster = cluster();
    let folder = tempfile::tempdir().unwrap();
    let server = cluster.socket_folder().join(".s.PGSQL.5432");
    tokio::spawn({
        let folder = folder.path().to_owned();
        async move { relay_like_a_pooler(&folder, server).await }
    });
    tokio::task::yield_now().await;
    let pooled = resolve(&format!(
        "host={} port=5432 user=postgres",
        folder.path().display()
    ));
    let error = OperatorLock::acquire(&pooled, "run-1", NO_WAIT)
        .await
        .unwrap_err();
    assert!(matches!(error, OperatorLockError::Pooled(_)), "{error}");
    assert!(error.to_string().contains("directly"), "{error}");
}
