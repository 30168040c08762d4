//! Which server and database this is, asked of real ones.

use stagegate::postgres::cluster::{Cluster, ClusterOptions};
use stagegate::postgres::identity::{self, Identity};

use crate::server::{cluster, info, one, open, resolve, run};

#[tokio::test]
async fn an_identity_is_read_the_same_by_every_way_to_the_database() {
    let cluster = Cluster::start(&ClusterOptions {
        listen_tcp: true,
        ..ClusterOptions::default()
    })
    .unwrap();
    let by_socket = open(&info(&cluster)).await;
    let one_way = identity::read(&by_socket).await.unwrap();
    let by_tcp = resolve(&format!(
        "host=127.0.0.1 port={} user=postgres sslmode=disable",
        cluster.port()
    ));
    let other_way = identity::read(&open(&by_tcp).await).await.unwrap();

    assert_eq!(one_way.database, "postgres");
    assert_eq!(one_way.timeline, Some(1));
    assert!(one_way.is_superuser && one_way.bypass_rls && !one_way.in_recovery && !one_way.tls);
    assert_eq!(
        one_way.system_identifier.as_deref(),
        Some(
            one(
                &by_socket,
                "SELECT system_identifier FROM pg_control_system()"
            )
            .await
        )
        .as_deref()
    );
    assert!(
        one_way.address.contains("/.s.PGSQL."),
        "{}",
        one_way.address
    );
    assert_eq!(other_way.address, format!("127.0.0.1:{}", cluster.port()));
    assert_eq!(one_way.fingerprint(), other_way.fingerprint());
    one_way.same_server(&other_way).unwrap();

    let text = serde_json::to_string(&one_way).unwrap();
    assert_eq!(serde_json::from_str::<Identity>(&text).unwrap(), one_way);
}

#[tokio::test]
async fn what_a_role_may_not_read_is_left_out() {
    let cluster = cluster();
    let admin = open(&info(&cluster)).await;
    run(
        &admin,
        "CREATE ROLE small LOGIN; REVOKE EXECUTE ON FUNCTION pg_control_system() FROM PUBLIC",
    )
    .await;
    let session = open(&info(&cluster).with_user("small")).await;
    let identity = identity::read(&session).await.unwrap();
    assert_eq!(identity.system_identifier, None);
    assert_eq!(identity.user, "small");
    assert!(!identity.is_superuser && !identity.bypass_rls);
    identity.same_server(&identity).unwrap();
}

#[tokio::test]
async fn databases_servers_and_promotions_are_told_apart() {
    let cluster = cluster();
    let admin = open(&info(&cluster)).await;
    run(&admin, "CREATE DATABASE app").await;
    let before = identity::read(&admin).await.unwrap();
    let app = open(&info(&cluster).with_database("app")).await;
    let app = identity::read(&app).await.unwrap();
    assert!(app.same_server(&before).unwrap_err().contains("database"));
    assert_ne!(app.fingerprint(), before.fingerprint());

    cluster.place_file("standby.signal", b"").unwrap();
    cluster.restart().unwrap();
    let standby = open(&info(&cluster)).await;
    let as_standby = identity::read(&standby).await.unwrap();
    assert!(as_standby.in_recovery);
    assert_eq!(as_standby.timeline, Some(1));
    as_standby.same_server(&before).unwrap();

    run(&standby, "SELECT pg_promote()").await;
    let promoted = identity::read(&standby).await.unwrap();
    assert!(!promoted.in_recovery);
    assert_eq!(promoted.timeline, Some(2));
    assert!(
        promoted
            .same_server(&before)
            .unwrap_err()
            .contains("promoted")
    );
}
