//! What is mere state in the catalogs of a real server, and names that are odd.

use stagegate::postgres::catalog;
use stagegate::schema::{Comparison, Options, Snapshot, compare};

use crate::server::{cluster, info, open, run};

fn differs(expected: &Snapshot, actual: &Snapshot) -> Comparison {
    compare(expected, actual, &Options::default())
}

fn told(comparison: &Comparison) -> String {
    serde_json::to_string_pretty(&comparison.differences).unwrap()
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
