//! Sessions against real servers: how they begin, what they keep, how they end, and what is said
//! when they cannot begin.

use std::time::Duration;

use stagegate::postgres::cluster::{Cluster, ClusterOptions};
use stagegate::postgres::{
    ConnectFailure, Conninfo, Environment, PostgresError, Session, SessionSettings,
};

use crate::server::{cluster, info, one, open, refusal, resolve, run, wait_until, write_private};

#[tokio::test]
async fn a_session_has_the_settings_that_it_was_given() {
    let cluster = cluster();
    let settings = SessionSettings {
        application_name: "stagegate run-1 gate-2".into(),
        lock_timeout: Duration::from_millis(1234),
        search_path: Some("pg_catalog, \"odd, 'name\\\"".into()),
        read_only: true,
        ..SessionSettings::default()
    };
    let session = Session::open(&info(&cluster), &settings).await.unwrap();
    assert_eq!(
        one(&session, "SHOW application_name").await,
        "stagegate run-1 gate-2"
    );
    assert_eq!(one(&session, "SHOW lock_timeout").await, "1234ms");
    assert_eq!(one(&session, "SHOW statement_timeout").await, "10min");
    assert_eq!(
        one(&session, "SHOW idle_in_transaction_session_timeout").await,
        "1min"
    );
    assert_eq!(
        one(&session, "SHOW search_path").await,
        "pg_catalog, \"odd, 'name\\\""
    );
    let denied = session.client.batch_execute("CREATE TABLE t()").await;
    assert_eq!(
        PostgresError::from(denied.unwrap_err()).sqlstate(),
        Some("25006")
    );

    let read_back = session.settings_read_back();
    assert!(read_back.contains(&("lock_timeout".into(), "1234".into())));
    assert!(read_back.contains(&("client_connection_check_interval".into(), "500".into())));
    assert_eq!(session.server_version().major(), cluster.version().major);
    assert!(!session.is_tls());
    assert_eq!(
        one(&session, "SELECT pg_backend_pid()").await,
        session.backend_pid().to_string()
    );
    session.close().await;
}

#[tokio::test]
async fn what_a_role_was_given_does_not_reach_into_the_session() {
    let cluster = cluster();
    let admin = open(&info(&cluster)).await;
    run(
        &admin,
        "CREATE ROLE tricky LOGIN SUPERUSER;
         CREATE SCHEMA evil;
         CREATE FUNCTION evil.set_config(text, text, boolean) RETURNS text LANGUAGE sql
            AS $$ SELECT 'evil' $$;
         CREATE VIEW evil.pg_settings AS SELECT 'lock_timeout'::text AS name, '1'::text AS setting;
         CREATE FUNCTION evil.never(text, text) RETURNS boolean LANGUAGE sql AS $$ SELECT false $$;
         CREATE OPERATOR evil.= (LEFTARG = text, RIGHTARG = text, FUNCTION = evil.never);
         ALTER ROLE tricky SET search_path = evil, pg_catalog;
         ALTER ROLE tricky SET lock_timeout = 0;
         ALTER ROLE tricky SET statement_timeout = 1000;
         ALTER ROLE tricky SET standard_conforming_strings = off;
         ALTER ROLE tricky SET client_min_messages = error;
         ALTER ROLE tricky SET idle_session_timeout = 1000",
    )
    .await;
    let session = open(&info(&cluster).with_user("tricky")).await;
    let setting = |name| {
        let session = &session;
        async move { one(session, &format!("SHOW {name}")).await }
    };
    assert_eq!(setting("lock_timeout").await, "3s");
    assert_eq!(setting("statement_timeout").await, "10min");
    assert_eq!(setting("standard_conforming_strings").await, "on");
    assert_eq!(setting("client_min_messages").await, "notice");
    assert_eq!(setting("idle_session_timeout").await, "0");
    assert_eq!(setting("search_path").await, "evil, pg_catalog");
}

#[tokio::test]
async fn notices_come_in_order_before_their_statement_ends_and_are_bounded() {
    let cluster = cluster();
    let mut session = open(&info(&cluster)).await;
    let mut notices = session.take_notices();
    let raise = |from: i32, to: i32| {
        format!(
            "DO $$ BEGIN FOR n IN {from}..{to} LOOP
               RAISE NOTICE 'n %', n USING HINT = 'h', ERRCODE = '0A000';
             END LOOP; END $$"
        )
    };
    run(&session, &raise(1, 3)).await;
    for n in 1..=3 {
        // Without waiting: they were there before the statement's end was.
        let notice = notices.try_recv().unwrap();
        assert_eq!(notice.message, format!("n {n}"));
        assert_eq!(notice.severity, "NOTICE");
        assert_eq!(notice.sqlstate, "0A000");
        assert_eq!(notice.hint.as_deref(), Some("h"));
        assert!(notice.where_.is_some());
    }
    assert!(notices.try_recv().is_err());

    run(&session, &raise(1, 1500)).await;
    let mut kept = 0;
    while notices.try_recv().is_ok() {
        kept += 1;
    }
    assert!(kept < 1500);
    assert_eq!(session.notices_dropped(), 1500 - kept);
    assert!(session.take_notices().recv().await.is_none());
}

#[tokio::test]
async fn a_lock_wait_is_cancelled_and_the_session_goes_on() {
    let cluster = cluster();
    let holder = open(&info(&cluster)).await;
    let patient = SessionSettings {
        lock_timeout: Duration::from_secs(60),
        ..SessionSettings::default()
    };
    let waiter = Session::open(&info(&cluster), &patient).await.unwrap();
    run(&holder, "CREATE TABLE t()").await;
    run(&holder, "BEGIN; LOCK TABLE t").await;

    let canceller = waiter.canceller();
    let waiting = waiter.client.batch_execute("SELECT FROM t");
    let cancel = async {
        let sql = format!(
            "SELECT count(*) FROM pg_locks WHERE NOT granted AND pid = {}",
            waiter.backend_pid()
        );
        wait_until(&holder, &sql, "1").await;
        canceller.cancel().await.unwrap();
    };
    let (result, ()) = tokio::join!(waiting, cancel);
    let error = PostgresError::from(result.unwrap_err());
    assert_eq!(error.sqlstate(), Some("57014"));
    assert!(!error.is_connection_lost());
    assert_eq!(one(&waiter, "SELECT 1").await, "1");
    canceller.cancel().await.unwrap();
    assert_eq!(one(&waiter, "SELECT 2").await, "2");
}

#[tokio::test]
async fn a_dropped_session_takes_its_running_statement_along() {
    let cluster = cluster();
    let watcher = open(&info(&cluster)).await;
    let session = open(&info(&cluster)).await;
    let count = format!(
        "SELECT count(*) FROM pg_stat_activity WHERE pid = {} AND state = 'active'",
        session.backend_pid()
    );
    let pid = session.backend_pid();
    tokio::select! {
        _ = session.client.batch_execute("SELECT pg_sleep(600)") => panic!("it ended"),
        () = wait_until(&watcher, &count, "1") => {}
    }
    drop(session);
    let gone = format!("SELECT count(*) FROM pg_stat_activity WHERE pid = {pid}");
    wait_until(&watcher, &gone, "0").await;
}

#[tokio::test]
async fn a_session_that_the_server_ends_says_so() {
    let cluster = cluster();
    let admin = open(&info(&cluster)).await;
    let session = open(&info(&cluster)).await;
    assert!(!session.is_closed());
    let kill = format!("SELECT pg_terminate_backend({})", session.backend_pid());
    run(&admin, &kill).await;
    session.closed().await;
    assert!(session.is_closed());
    let loss = session.loss().unwrap();
    assert_eq!(loss.sqlstate(), Some("57P01"), "{loss}");
    assert!(loss.is_connection_lost());
    let error = session.rows("SELECT 1").await.unwrap_err();
    assert!(error.is_connection_lost(), "{error:?}");
}

#[tokio::test]
async fn an_idle_transaction_is_ended_with_its_reason() {
    let cluster = cluster();
    let settings = SessionSettings {
        idle_in_transaction_timeout: Duration::from_millis(50),
        ..SessionSettings::default()
    };
    let session = Session::open(&info(&cluster), &settings).await.unwrap();
    run(&session, "BEGIN").await;
    session.closed().await;
    assert_eq!(session.loss().unwrap().sqlstate(), Some("25P03"));
}

#[tokio::test]
async fn a_crashed_server_is_a_lost_connection() {
    let cluster = cluster();
    let session = open(&info(&cluster)).await;
    let statement = session.rows("SELECT pg_sleep(600)");
    let crash = async {
        let watcher = open(&info(&cluster)).await;
        let active = format!(
            "SELECT state FROM pg_stat_activity WHERE pid = {}",
            session.backend_pid()
        );
        wait_until(&watcher, &active, "active").await;
        cluster.crash();
    };
    let (result, ()) = tokio::join!(statement, crash);
    let error = result.unwrap_err();
    assert!(error.is_connection_lost(), "{error:?}");
}

#[tokio::test]
async fn a_position_is_in_characters_of_the_statement() {
    let cluster = cluster();
    let session = open(&info(&cluster)).await;
    let error = session.rows("SELECT 'é', nope").await.unwrap_err();
    let error = error.database_error().unwrap();
    assert_eq!(error.position, Some(13));
    let error = session
        .rows("DO $$ BEGIN EXECUTE 'SELECT nope'; END $$")
        .await
        .unwrap_err();
    let error = error.database_error().unwrap();
    assert_eq!(error.position, None);
    assert_eq!(error.internal_position, Some(8));
    assert_eq!(error.internal_query.as_deref(), Some("SELECT nope"));
}

#[tokio::test]
async fn each_way_not_to_get_in_has_its_own_words() {
    let cluster = cluster();
    let base = info(&cluster);

    let error = refusal(&base.with_database("nope")).await;
    assert_eq!(error.failure, ConnectFailure::DatabaseMissing);
    assert_eq!(error.database_error.unwrap().sqlstate, "3D000");
    let error = refusal(&base.with_user("nobody_here")).await;
    assert_eq!(error.failure, ConnectFailure::RoleMissing);
    assert!(error.advice.contains("nobody_here"));

    let admin = open(&base).await;
    run(
        &admin,
        "CREATE ROLE idle_one NOLOGIN; CREATE ROLE outsider LOGIN",
    )
    .await;
    run(&admin, "CREATE DATABASE closed").await;
    run(&admin, "REVOKE CONNECT ON DATABASE closed FROM PUBLIC").await;
    let error = refusal(&base.with_user("idle_one")).await;
    assert_eq!(error.failure, ConnectFailure::RoleForbidden);
    let error = refusal(&base.with_user("outsider").with_database("closed")).await;
    assert_eq!(error.failure, ConnectFailure::DatabaseForbidden);
    assert!(error.to_string().contains("GRANT CONNECT"), "{error}");

    let mut elsewhere = base.clone();
    elsewhere.port = 1;
    let error = refusal(&elsewhere).await;
    assert_eq!(error.failure, ConnectFailure::SocketMissing);
    assert!(error.cause.contains(".s.PGSQL.1"), "{error}");

    let error = refusal(&resolve("host=name.invalid user=u")).await;
    assert_eq!(error.failure, ConnectFailure::HostUnknown);
    assert!(error.cause.contains("name.invalid"), "{error}");

    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let at_port = |more: &str| resolve(&format!("host=127.0.0.1 port={port} user=u {more}"));
    let error = refusal(&at_port("connect_timeout=1")).await;
    assert_eq!(error.failure, ConnectFailure::TimedOut);
    drop(listener);
    let error = refusal(&at_port("")).await;
    assert_eq!(error.failure, ConnectFailure::Refused);
    assert!(
        error.to_string().contains(&format!("port {port}")),
        "{error}"
    );
}

#[tokio::test]
async fn what_is_no_postgresql_server_is_told_apart() {
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0))
        .await
        .unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let answer = b"HTTP/1.1 400 Bad Request\r\n\r\n";
            let _ = tokio::io::AsyncWriteExt::write_all(&mut stream, answer).await;
        }
    });
    for mode in ["disable", "require"] {
        let info = resolve(&format!(
            "host=127.0.0.1 port={port} user=u sslmode={mode} connect_timeout=2"
        ));
        let error = refusal(&info).await;
        assert_eq!(
            error.failure,
            ConnectFailure::NotPostgres,
            "{mode}: {error}"
        );
    }
}

#[tokio::test]
async fn too_many_connections_are_named() {
    let cluster = Cluster::start(&ClusterOptions {
        settings: vec![
            ("max_connections".into(), "2".into()),
            ("superuser_reserved_connections".into(), "1".into()),
            ("max_wal_senders".into(), "0".into()),
        ],
        ..ClusterOptions::default()
    })
    .unwrap();
    let admin = open(&info(&cluster)).await;
    run(&admin, "CREATE ROLE u LOGIN").await;
    let error = refusal(&info(&cluster).with_user("u")).await;
    assert_eq!(error.failure, ConnectFailure::TooManyConnections);
}

#[tokio::test]
async fn passwords_come_from_the_address_the_password_file_or_the_service() {
    let cluster = cluster();
    let admin = open(&info(&cluster)).await;
    run(&admin, "CREATE ROLE ana LOGIN PASSWORD 'it:is\\right'").await;
    cluster
        .place_file(
            "pg_hba.conf",
            b"local all postgres trust\nlocal all all scram-sha-256\n",
        )
        .unwrap();
    run(&admin, "SELECT pg_reload_conf()").await;
    let ana = info(&cluster).with_user("ana");
    // The server reads the file when it gets to it.
    let error = loop {
        match Session::open(&ana, &SessionSettings::default()).await {
            Err(PostgresError::Connect(error)) => break *error,
            _ => tokio::task::yield_now().await,
        }
    };
    assert_eq!(error.failure, ConnectFailure::PasswordMissing);
    assert!(error.to_string().contains("ana"), "{error}");

    let folder = tempfile::tempdir().unwrap();
    let sockets = cluster.socket_folder().display().to_string();
    let at = |more: &str| {
        format!(
            "host={sockets} port={} user=ana dbname=postgres {more}",
            cluster.port()
        )
    };
    let error = refusal(&resolve(&at("password=wr0ng"))).await;
    assert_eq!(error.failure, ConnectFailure::PasswordWrong);
    assert!(!error.to_string().contains("wr0ng"), "{error}");
    assert_eq!(error.database_error.unwrap().sqlstate, "28P01");

    open(&resolve(&at(r"password='it:is\\right'"))).await;

    let passfile = folder.path().join("passes");
    write_private(
        &passfile,
        "*:*:*:other:x\n*:*:postgres:ana:it\\:is\\\\right\n",
    );
    open(&resolve(&at(&format!("passfile={}", passfile.display())))).await;

    let services = folder.path().join("services");
    std::fs::write(
        &services,
        format!(
            "[ours]\nhost={sockets}\nport={}\nuser=ana\npassword=it:is\\right\ndbname=postgres\n",
            cluster.port()
        ),
    )
    .unwrap();
    let environment = Environment::from_variables([("PGSERVICEFILE", services.to_str().unwrap())]);
    let session = open(&Conninfo::resolve("service:ours", &environment).unwrap()).await;
    assert_eq!(one(&session, "SELECT current_user").await, "ana");
}

#[tokio::test]
async fn a_standby_and_a_read_only_role_take_no_changes() {
    let cluster = cluster();
    let address = cluster.url("postgres", "postgres");
    let admin = open(&info(&cluster)).await;
    admin.require_primary().await.unwrap();
    run(
        &admin,
        "CREATE ROLE reader LOGIN; ALTER ROLE reader SET default_transaction_read_only = on",
    )
    .await;
    let reader = open(&info(&cluster).with_user("reader")).await;
    let error = reader.require_primary().await.unwrap_err().to_string();
    assert!(error.contains("default_transaction_read_only"), "{error}");
    assert!(error.contains("reader"), "{error}");
    admin.close().await;
    reader.close().await;

    cluster.place_file("standby.signal", b"").unwrap();
    cluster.restart().unwrap();
    let standby = open(&info(&cluster)).await;
    let error = standby.require_primary().await.unwrap_err().to_string();
    assert!(error.contains("standby"), "{error}");
    let strict = resolve(&format!("{address}&target_session_attrs=read-write"));
    let refused = Session::open(&strict, &SessionSettings::default()).await;
    assert!(matches!(refused, Err(PostgresError::NotPrimary { .. })));
}
