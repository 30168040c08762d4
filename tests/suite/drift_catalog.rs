//! The catalogs of a real server, read and compared: what is equal, and what each change shows.

use std::process::Command;

use stagegate::postgres::catalog;
use stagegate::postgres::cluster::Cluster;
use stagegate::schema::{Comparison, Options, Snapshot, compare};

use crate::drift_world::{server as world_server, world};
use crate::server::{cluster, info, open, resolve, run};

async fn database(cluster: &Cluster, name: &str) -> stagegate::postgres::Session {
    let admin = open(&info(cluster)).await;
    run(&admin, &format!("CREATE DATABASE {name}")).await;
    open(&resolve(&cluster.url(name, "postgres"))).await
}

fn differs(expected: &Snapshot, actual: &Snapshot) -> Comparison {
    compare(expected, actual, &Options::default())
}

fn told(comparison: &Comparison) -> String {
    serde_json::to_string_pretty(&comparison.differences).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dump_restored_is_equal() {
    let cluster = world_server(15).await;
    let origin = database(&cluster, "world").await;
    run(&origin, &world(15)).await;
    // Other object ids, holes of dropped columns, and an order of its own.
    run(
        &origin,
        "ALTER TABLE shop.orders ADD COLUMN gone int; ALTER TABLE shop.orders DROP COLUMN gone",
    )
    .await;
    let copy = database(&cluster, "copy").await;
    let dump = Command::new("/usr/lib/postgresql/15/bin/pg_dump")
        .args(["-s", "-d", &cluster.url("world", "postgres")])
        .output()
        .unwrap();
    assert!(dump.status.success());
    let dump = String::from_utf8(dump.stdout).unwrap();
    let sql: Vec<&str> = dump.lines().filter(|l| !l.starts_with('\\')).collect();
    run(&copy, &sql.join("\n")).await;
    let [one, two] = [&origin, &copy].map(catalog::read);
    let (one, two) = (one.await.unwrap(), two.await.unwrap());
    assert!(one.objects.len() > 80, "{}", one.objects.len());
    let comparison = differs(&one, &two);
    assert!(comparison.equal, "{}", told(&comparison));
    assert_eq!(one.checksum(), two.checksum());
    let text = one.to_json().unwrap();
    assert_eq!(Snapshot::from_json(&text).unwrap(), one);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_state_makes_no_difference_and_odd_names_no_trouble() {
    let cluster = cluster();
    let session = open(&info(&cluster)).await;
    let long = "x".repeat(63);
    let columns: Vec<String> = (1..=1600).map(|n| format!("c{n} int")).collect();
    run(
        &session,
        &format!(
            "CREATE TABLE \"{long}\" (\"a\nb\" int, \"\u{1f418}\" text); \
             CREATE TABLE wide ({}); CREATE TABLE t (a int, b text); CREATE SEQUENCE s; \
             CREATE MATERIALIZED VIEW m AS SELECT a FROM t WITH NO DATA",
            columns.join(", ")
        ),
    )
    .await;
    let before = catalog::read(&session).await.unwrap();
    run(
        &session,
        "UPDATE pg_attribute SET attoptions = '{pg_attver=3}' \
         WHERE attrelid = 't'::regclass AND attnum > 0; \
         INSERT INTO t VALUES (1, 'x'); SELECT nextval('s'); REFRESH MATERIALIZED VIEW m; \
         GRANT SELECT (a) ON t TO PUBLIC; REVOKE SELECT (a) ON t FROM PUBLIC",
    )
    .await;
    run(&session, "VACUUM ANALYZE t").await;
    let after = catalog::read(&session).await.unwrap();
    let comparison = differs(&before, &after);
    assert!(comparison.equal, "{}", told(&comparison));
    assert_eq!(before.checksum(), after.checksum());
    let read = Snapshot::from_json(&before.to_json().unwrap()).unwrap();
    assert_eq!(read, before);
}
