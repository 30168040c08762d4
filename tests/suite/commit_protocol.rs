//! What ends a file's transaction early undoes all of it, by whatever way it was ended: the files
//! here are given to the server past the check that refuses them before anything runs.

use std::time::Duration;

use stagegate::postgres::apply::{
    ApplyEvent, FileFailure, FileOutcome, FileToApply, Renewal, apply_file, confirm, read_guards,
};
use stagegate::postgres::cluster::{Cluster, ClusterOptions};
use stagegate::postgres::ledger::{self, NewRow};
use stagegate::postgres::{Conninfo, Environment, Session, SessionSettings};
use stagegate::sql::Script;
use tokio_util::sync::CancellationToken;

use crate::site::{Site, ended};

async fn open(cluster: &Cluster) -> Session {
    let info = Conninfo::resolve(
        &cluster.url("postgres", "postgres"),
        &Environment::default(),
    )
    .unwrap();
    Session::open(&info, &SessionSettings::default())
        .await
        .unwrap()
}

fn row(nonce: &str) -> NewRow<'_> {
    NewRow {
        nonce,
        collection: "mig",
        file: nonce,
        undoes: None,
        replaces: false,
        checksum: "v1:0",
        raw_sha256: "0",
        statements: 1,
        run: "run",
        journal_seq: 1,
        journal_head: "0",
    }
}

/// Gives a text to the server as a file, whatever is in it.
async fn give(session: &Session, name: &str, sql: &str) -> FileOutcome {
    let script = Script::read(sql);
    let renewal = Renewal::of(session, &[]);
    session
        .client
        .batch_execute(renewal.sql(false))
        .await
        .unwrap();
    let guards = read_guards(session).await.unwrap();
    let file = FileToApply {
        script: &script,
        row: row(name),
        role: None,
        guards: &guards,
        standby_wait: Duration::from_secs(5),
        renewal: &renewal,
        traced: false,
    };
    apply_file(session, file, &CancellationToken::new(), |_: ApplyEvent| {}).await
}

async fn one(session: &Session, sql: &str) -> String {
    let rows = session.rows(sql).await.unwrap();
    rows[0][0].clone().unwrap_or_default()
}

/// Files that end their transaction, or fail in it.
const ENDS: [(&str, &str); 11] = [
    (
        "commit",
        "create table t_a (i int); COMMIT; create table t_b (i int)",
    ),
    (
        "chain",
        "create table t_a (i int); COMMIT AND CHAIN; create table t_b (i int)",
    ),
    ("wrapped", "BEGIN; create table t_a (i int); COMMIT;"),
    (
        "twice",
        "create table t_a (i int); COMMIT; BEGIN; create table t_b (i int); COMMIT",
    ),
    (
        "rollback",
        "create table t_a (i int); ROLLBACK; create table t_b (i int)",
    ),
    (
        "back-chain",
        "create table t_a (i int); ROLLBACK AND CHAIN; create table t_b (i int)",
    ),
    (
        "abort",
        "create table t_a (i int); ABORT; BEGIN; create table t_b (i int)",
    ),
    (
        "prepare",
        "create table t_a (i int); PREPARE TRANSACTION 'x'; create table t_b (i int)",
    ),
    (
        "do",
        "create table t_a (i int); do $$ begin create table t_b (i int); commit; end $$",
    ),
    (
        "constraints",
        "create table t_a (i int); SET CONSTRAINTS ALL IMMEDIATE",
    ),
    (
        "error",
        "create table t_a (i int); select 1 / 0; create table t_b (i int)",
    ),
];

#[tokio::test]
async fn whatever_ends_a_files_transaction_undoes_all_of_it() {
    let cluster = Cluster::start(&ClusterOptions {
        settings: vec![("max_prepared_transactions".to_owned(), "2".to_owned())],
        ..ClusterOptions::default()
    })
    .unwrap();
    let admin = open(&cluster).await;
    ledger::ensure(&admin).await.unwrap();
    for (name, sql) in ENDS {
        let session = open(&cluster).await;
        let outcome = give(&session, name, sql).await;
        let FileOutcome::RolledBack(failure) = outcome else {
            panic!("{name}: {outcome:?}");
        };
        let there = "SELECT concat_ws(' ', to_regclass('t_a'), to_regclass('t_b'), \
             (SELECT count(*) FROM stagegate.ledger), (SELECT count(*) FROM pg_prepared_xacts))";
        assert_eq!(one(&admin, there).await, "0 0", "{name}: {failure:?}");
        match name {
            "commit" | "chain" | "wrapped" | "twice" | "prepare" | "constraints" => {
                assert!(
                    matches!(&failure, FileFailure::Guard { reason } if reason.contains("ends its transaction")),
                    "{name}: {failure:?}"
                );
            }
            "rollback" | "back-chain" | "abort" => {
                let found = matches!(failure, FileFailure::Left | FileFailure::Statement { .. });
                assert!(found, "{name}: {failure:?}");
            }
            _ => {
                assert!(
                    matches!(failure, FileFailure::Statement { .. }),
                    "{name}: {failure:?}"
                );
            }
        }
    }
    let session = open(&cluster).await;
    let honest = give(
        &session,
        "honest",
        "create table t_a (i int); create table t_b (i int)",
    )
    .await;
    let committed = matches!(
        honest,
        FileOutcome::Committed {
            confirmed: true,
            ..
        }
    );
    assert!(committed, "{honest:?}");
    let there = "SELECT to_regclass('t_a') || ' ' || to_regclass('t_b') || ' ' || \
                 (SELECT string_agg(state, ',') FROM stagegate.ledger)";
    assert_eq!(one(&admin, there).await, "t_a t_b applied");
}

#[tokio::test]
async fn a_commit_in_an_aborted_transaction_is_seen_by_its_tag() {
    let cluster = Cluster::start(&ClusterOptions::default()).unwrap();
    let session = open(&cluster).await;
    let before = session.witness().ends();
    session.client.batch_execute("BEGIN").await.unwrap();
    session
        .client
        .batch_execute("SELECT 1 / 0")
        .await
        .unwrap_err();
    // The driver sees nothing wrong.
    session.client.batch_execute("COMMIT").await.unwrap();
    let after = session.witness().ends();
    assert_eq!(after.commits, before.commits);
    assert_eq!(after.rollbacks, before.rollbacks + 1);
}

#[tokio::test]
async fn nothing_of_one_file_is_left_in_the_session_of_the_next() {
    let cluster = Cluster::start(&ClusterOptions::default()).unwrap();
    let session = open(&cluster).await;
    ledger::ensure(&session).await.unwrap();
    let first = "CREATE TEMP TABLE left_behind (i int); SELECT pg_advisory_lock(4711); \
                 SELECT set_config('app.tenant', 'x', false), set_config('search_path', 'x', false)";
    let outcome = give(&session, "first", first).await;
    assert!(
        matches!(outcome, FileOutcome::Committed { .. }),
        "{outcome:?}"
    );
    let second = "CREATE TABLE seen AS SELECT to_regclass('pg_temp.left_behind') AS temp, \
                  current_setting('app.tenant', true) AS tenant, \
                  current_setting('search_path') AS path, \
                  (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory') AS locks";
    let outcome = give(&session, "second", second).await;
    assert!(
        matches!(outcome, FileOutcome::Committed { .. }),
        "{outcome:?}"
    );
    let seen = "SELECT concat_ws('|', temp, nullif(tenant, ''), path, locks) FROM seen";
    assert_eq!(one(&session, seen).await, "\"$user\", public|0");
}

/// A site whose server waits for its disk, and would wait for standbys.
fn durable() -> Site {
    Site::on(
        Cluster::start(&ClusterOptions {
            durable: true,
            ..ClusterOptions::default()
        })
        .unwrap(),
    )
}

const MIGRATE: &str = "[[phase.gate]]\nid = \"mig\"\ntitle = \"Migrate\"\n[phase.gate.migrate]\n\
                       target = \"db\"\nfiles = [\"db/*.sql\"]\n";

#[test]
fn a_file_that_changes_what_keeps_others_safe_is_not_committed() {
    let site = durable();
    site.runbook(MIGRATE);
    for (name, value) in [
        ("lock_timeout", "0"),
        ("idle_in_transaction_session_timeout", "0"),
        ("synchronous_commit", "off"),
        ("default_transaction_read_only", "off"),
    ] {
        // By its words it is refused before anything runs; by a way around them before COMMIT.
        let plain = format!("CREATE TABLE t (n int);\nSET LOCAL {name} = {value};\n");
        site.write("db/1.sql", &plain);
        site.run()
            .exits(4)
            .says("db/1.sql:2:")
            .says("keeps others safe");
        let hidden =
            format!("SELECT set_config('{name}', '{value}', true);\nCREATE TABLE t (n int);");
        site.write("db/1.sql", &hidden);
        site.run()
            .exits(4)
            .says(&format!("the file changed `{name}`"));
        assert_eq!(site.one("SELECT to_regclass('t') IS NULL"), "t", "{name}");
    }
    // What keeps nobody safe is only said.
    site.write(
        "db/1.sql",
        "SET LOCAL statement_timeout = '2min';\nCREATE TABLE t (n int);",
    );
    site.run().exits(0);
    assert!(
        site.output("mig-1.log")
            .contains("it set statement_timeout to `2min`")
    );
}

#[test]
fn a_commit_that_no_standby_confirmed_is_told_and_asked_for_again() {
    let site = durable();
    site.write("db/1.sql", "CREATE TABLE one (n int);");
    site.write("db/2.sql", "CREATE TABLE two (n int);");
    site.runbook(&format!("{MIGRATE}standby_wait = \"1s\"\n"));
    site.run().exits(0);
    site.sql("DROP TABLE one, two; TRUNCATE stagegate.ledger, stagegate.ticket");
    site.sql("ALTER SYSTEM SET synchronous_standby_names = 'ghost'");
    site.sql("SELECT pg_reload_conf()");
    site.run()
        .exits(4)
        .says("committed on db, and no standby has confirmed it")
        .says("nothing is applied again");
    // It stopped behind the first file, and that one is there.
    let there = "SELECT concat_ws(',', to_regclass('one'), to_regclass('two'))";
    assert_eq!(site.one(there), "one");
    site.resume().exits(4).says("no standby has confirmed it");
    assert_eq!(site.one(there), "one");
    site.sql("ALTER SYSTEM RESET synchronous_standby_names");
    site.sql("SELECT pg_reload_conf()");
    site.resume().exits(0).shows("1 files applied");
    assert_eq!(site.one(there), "one,two");
}

#[test]
fn a_session_that_is_ended_while_it_waits_for_a_standby_has_committed() {
    let site = durable();
    site.write("db/1.sql", "CREATE TABLE one (n int);");
    site.runbook(&format!("{MIGRATE}standby_wait = \"5min\"\n"));
    // The ledger is made before anybody is asked to confirm.
    site.run().exits(0);
    site.sql("DROP TABLE one; TRUNCATE stagegate.ledger, stagegate.ticket");
    site.sql("ALTER SYSTEM SET synchronous_standby_names = 'ghost'");
    site.sql("SELECT pg_reload_conf()");
    let work = site
        .command(&["run", "runbook.toml", "--headless", "--runs-dir", "runs"])
        .spawn()
        .unwrap();
    let waits = |but: &str| {
        let sql = format!(
            "SELECT min(pid) FROM pg_stat_activity \
             WHERE wait_event = 'SyncRep' AND pid::text <> '{but}'"
        );
        loop {
            let pid = site.one(&sql);
            if !pid.is_empty() {
                return pid;
            }
            std::thread::yield_now();
        }
    };
    let first = waits("");
    site.sql(&format!("SELECT pg_terminate_backend({first})"));
    // Another session has asked the ledger, and now waits for the standby in its place.
    waits(&first);
    site.sql("ALTER SYSTEM RESET synchronous_standby_names");
    site.sql("SELECT pg_reload_conf()");
    ended(work.wait_with_output().unwrap())
        .exits(0)
        .shows("1 files applied");
    let said = site.output("mig-1.log");
    assert!(
        said.contains("the answer to COMMIT was lost")
            && said.contains("asking the ledger in a fresh session"),
        "{said}"
    );
    assert_eq!(
        site.one("SELECT string_agg(state, ',') FROM stagegate.ledger"),
        "applied"
    );
}

#[test]
fn the_fast_profile_waits_once_and_records_what_is_safe() {
    let site = Site::new();
    for number in 1..=5 {
        let sql = format!(
            "CREATE TABLE t{number} AS SELECT current_setting('synchronous_commit') AS waits;"
        );
        site.write(&format!("db/{number}.sql"), &sql);
    }
    site.runbook(&format!("{MIGRATE}profile = \"fast\"\n"));
    site.run().exits(0).shows("5 files applied");
    assert_eq!(site.one("SELECT waits FROM t5"), "off");
    assert!(
        site.output("mig-1.log")
            .contains("one commit that waits for all before it")
    );
    let ledger = "SELECT count(*) FROM stagegate.ledger WHERE state = 'applied'";
    assert_eq!(site.one(ledger), "5");
    // Killed before that one commit, the journal has claimed nothing, and each file is there once.
    site.sql("DROP TABLE t1, t2, t3, t4, t5; TRUNCATE stagegate.ledger, stagegate.ticket");
    site.dies_at("before_safe");
    let journal = std::fs::read_to_string(site.run_folder().join("journal.jsonl")).unwrap();
    assert!(!journal.contains("effect_recorded"), "{journal}");
    site.resume().exits(0);
    assert_eq!(site.one(ledger), "5");
}

#[tokio::test]
async fn a_confirmation_needs_no_standby_where_none_is_asked_for() {
    let cluster = Cluster::start(&ClusterOptions::default()).unwrap();
    let session = open(&cluster).await;
    ledger::ensure(&session).await.unwrap();
    for _ in 0..2 {
        assert!(confirm(&session, Duration::from_secs(5)).await.unwrap());
    }
}

#[test]
fn what_the_journal_saw_commit_and_the_server_lacks_is_lost() {
    let site = Site::new();
    site.write("db/1.sql", "CREATE TABLE one (n int);");
    site.write("db/2.sql", "CREATE TABLE two (n int); SELECT 1 / 0;");
    site.runbook(MIGRATE);
    site.run().exits(4).says("division by zero");
    // As after a failover to a standby that had not received it.
    site.sql("DROP TABLE one; DELETE FROM stagegate.ledger");
    site.write("db/2.sql", "CREATE TABLE two (n int);");
    site.resume()
        .exits(4)
        .says("db/1.sql was committed in this run, and the server that answers now has no record");
    assert_eq!(site.one("SELECT to_regclass('two') IS NULL"), "t");
    // A new run is a decision of a person's.
    site.run().exits(0).shows("2 files applied");
}
