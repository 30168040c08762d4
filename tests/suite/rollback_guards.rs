//! Going back while others are in the way: locks that are held, rows that somebody else changed.

use std::time::{Duration, Instant};

use stagegate::engine::Which;
use stagegate::promotion::{Command, Decision, GateState, RunStatus, message_fields};

use crate::rollback::{Bench, site, start};

const IN_PLACE: &str = r#"
[[rollback]]
id = "in-place"
title = "In place"
scope = "immediate"
valid_from = "migrations"
expect_duration = "5m"
[[rollback.gate]]
id = "restore"
title = "Restore"
restore = { target = "db", backup = "dump", mode = "in-place", lock_timeout = "1s" }
"#;

#[test]
fn a_restore_in_place_gives_up_where_it_waits_too_long_for_a_lock() {
    let bench = Bench::new(site(), IN_PLACE);
    bench.passes("dump");
    bench.passes("migrations");
    bench.back("in-place", &[]).unwrap();
    bench.site.sql_in("shop", "DROP TABLE app.u");
    // Nobody else may be connected when it begins, so the blocker carries a name of ours.
    let run = bench.handle.snapshot().run.id.clone();
    let blocker = bench.site.hold_open("shop");
    let hold = format!(
        "SET application_name = 'stagegate {run} elsewhere'; BEGIN; \
         LOCK TABLE app.t IN ACCESS SHARE MODE"
    );
    let held = bench.site.runtime().block_on(async {
        blocker.client.batch_execute(&hold).await.unwrap();
        blocker.backend_pid()
    });
    let started = Instant::now();
    let snapshot = bench.gate("restore");
    assert!(started.elapsed() < Duration::from_secs(30));
    let state = snapshot.run.gate("restore").unwrap().state;
    let finding = bench.finding("restore");
    assert_eq!(state, GateState::Failed, "{finding}");
    for said in [
        "AccessExclusiveLock on app.t",
        &format!("held by pid {held}, postgres@stagegate"),
        "idle in transaction",
        "nothing was changed",
        &format!("pg_terminate_backend({held})"),
    ] {
        assert!(finding.contains(said), "no `{said}` in {finding}");
    }
    let rows = "SELECT count(*) FROM app.t WHERE a = 7";
    assert_eq!(bench.site.one_in("shop", rows), "501");
    let left = "SELECT count(*) FROM pg_locks WHERE NOT granted";
    assert_eq!(bench.site.one_in("shop", left), "0");
    drop(blocker);
    let gone = format!("SELECT count(*) FROM pg_stat_activity WHERE pid = {held}");
    while bench.site.one(&gone) != "0" {
        std::thread::yield_now();
    }
    bench.passes("restore");
    let all = "SELECT count(*) || ' ' || max(id) FROM app.t";
    assert_eq!(bench.site.one_in("shop", all), "500 500");
}

const PARTIAL: &str = r#"
[[rollback]]
id = "in-part"
title = "In part"
scope = "partial"
valid_from = "migrations"
expect_duration = "5m"
[[rollback.gate]]
id = "down"
title = "Down"
migrate = { target = "db", files = ["down/*.sql"], undoes = ["migrations"] }
"#;

#[test]
fn what_somebody_else_undid_since_the_plan_is_not_undone_again() {
    let bench = Bench::new(site(), PARTIAL);
    bench.passes("dump");
    bench.passes("migrations");
    bench.back("in-part", &["up/3_c.sql"]).unwrap();
    let plan = bench.plan("down");
    // Somebody undoes it by hand, and puts a row of theirs in its place.
    bench.site.sql_in(
        "shop",
        "UPDATE stagegate.ledger SET state = 'reverted' WHERE file = 'up/3_c.sql'; \
         UPDATE app.t SET v = 'theirs' WHERE id = 1000",
    );
    let snapshot = bench.start("down", plan);
    let finding = bench.finding("down");
    let state = snapshot.run.gate("down").unwrap().state;
    assert_eq!(state, GateState::Failed, "{finding}");
    assert!(
        finding.contains("up/3_c.sql is not applied any more"),
        "{finding}"
    );
    let theirs = "SELECT v FROM app.t WHERE id = 1000";
    assert_eq!(bench.site.one_in("shop", theirs), "theirs");
    let undone = "SELECT count(*) FROM stagegate.ledger WHERE state = 'undo'";
    assert_eq!(bench.site.one_in("shop", undone), "0");
}

const TWO: &str = r#"
[[phase.gate]]
id = "more"
title = "More migrations"
migrate = { target = "db", files = ["more/*.sql"] }
[[rollback]]
id = "both"
title = "Both"
scope = "partial"
valid_from = "migrations"
expect_duration = "5m"
[[rollback.gate]]
id = "down-more"
title = "Down, the later ones"
migrate = { target = "db", files = ["undo/*.sql"], undoes = ["more"] }
[[rollback.gate]]
id = "down"
title = "Down, the earlier ones"
migrate = { target = "db", files = ["down/*.sql"], undoes = ["migrations"] }
"#;

/// A run whose two migrate gates have passed, and a way back with an undo gate for each.
fn two() -> Bench {
    let site = site();
    site.write("more/4_d.sql", "CREATE TABLE app.w (id int);");
    site.write("undo/4_d.sql", "DROP TABLE app.w;");
    let bench = Bench::new(site, TWO);
    bench.passes("dump");
    bench.passes("migrations");
    bench.gate("look");
    bench.passes("more");
    bench
}

#[test]
fn two_undo_gates_share_what_was_chosen() {
    let bench = two();
    bench.back("both", &["more/4_d.sql", "up/3_c.sql"]).unwrap();
    bench.passes("down-more");
    bench.passes("down");
    let ledger = "SELECT string_agg(file || ' ' || state, ', ' ORDER BY file) \
                  FROM stagegate.ledger WHERE state <> 'undo'";
    assert_eq!(
        bench.site.one_in("shop", ledger),
        "more/4_d.sql reverted, up/1_a.sql applied, up/2_b.sql applied, up/3_c.sql reverted"
    );
}

#[test]
fn an_undo_gate_of_which_nothing_was_chosen_has_nothing_to_do() {
    let bench = two();
    bench.back("both", &["up/3_c.sql"]).unwrap();
    bench.passes("down-more");
    let kept = "SELECT to_regclass('app.w') IS NOT NULL";
    assert_eq!(bench.site.one_in("shop", kept), "t");
    bench.passes("down");
}

const AT_ONCE: &str = r#"
[[rollback]]
id = "at-once"
title = "Immediate"
scope = "immediate"
valid_from = "migrations"
expect_duration = "5m"
[[rollback.gate]]
id = "restore"
title = "Restore"
restore = { target = "db", backup = "dump", sessions = "end" }
"#;

#[test]
fn names_of_objects_are_compared_and_a_failed_analyze_is_a_warning() {
    let site = site();
    // The search path must not shorten what is compared; ANALYZE fails by way of an index.
    site.sql_in(
        "shop",
        "CREATE SCHEMA more; CREATE TABLE more.names (r regclass); \
         CREATE FUNCTION more.f(n int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS \
         $$BEGIN IF current_query() = 'ANALYZE' THEN RAISE 'not now'; END IF; RETURN n; END$$; \
         CREATE TABLE more.t (n int); INSERT INTO more.t SELECT generate_series(1, 50); \
         CREATE INDEX ON more.t (more.f(n)); INSERT INTO more.names VALUES ('more.t'); \
         ALTER DATABASE shop SET search_path = \"$user\", more, \"my-schema\"",
    );
    let bench = Bench::new(site, AT_ONCE);
    bench.passes("dump");
    bench.passes("migrations");
    bench.back("at-once", &[]).unwrap();
    bench.passes("restore");
    let finding = bench.finding("restore");
    assert!(
        finding.contains("ANALYZE failed, run it by hand"),
        "{finding}"
    );
    assert!(finding.contains("not now"), "{finding}");
    assert_eq!(
        bench.site.one_in("shop", "SHOW search_path"),
        "\"$user\", more, \"my-schema\""
    );
}

#[test]
fn whatever_is_newer_is_named_with_its_kind() {
    let bench = Bench::new(site(), IN_PLACE);
    bench.site.sql_in(
        "shop",
        "CREATE TABLE app.old_parts (n int) PARTITION BY RANGE (n); \
         CREATE MATERIALIZED VIEW app.old_m AS SELECT 1 AS n; CREATE SEQUENCE app.old_s; \
         CREATE TABLE app.\"Odd one\" (id serial, n int GENERATED ALWAYS AS IDENTITY)",
    );
    bench.passes("dump");
    bench.passes("migrations");
    bench.back("in-place", &[]).unwrap();
    bench.site.sql_in(
        "shop",
        "CREATE TABLE app.parts (n int) PARTITION BY RANGE (n); \
         CREATE MATERIALIZED VIEW app.m AS SELECT 1 AS n; CREATE SEQUENCE app.s; \
         CREATE VIEW app.\"V 2\" AS SELECT * FROM app.t; CREATE UNLOGGED TABLE app.fast (n int); \
         CREATE FOREIGN DATA WRAPPER w; CREATE SERVER s FOREIGN DATA WRAPPER w; \
         CREATE FOREIGN TABLE app.far (n int) SERVER s",
    );
    bench.gate("restore");
    let finding = bench.finding("restore");
    let named = "view app.\\\"V 2\\\", foreign table app.far, table app.fast, \
                 materialized view app.m, table app.parts, sequence app.s, table app.u";
    assert!(finding.contains(named), "{finding}");
    assert!(
        !finding.contains("app.old") && !finding.contains("Odd"),
        "{finding}"
    );
}

const SIGNED: &str = r#"
[[role]]
name = "dba"
members = ["ana"]
[[phase.gate]]
id = "agreed"
title = "Agreed"
signoff = { roles = ["dba"], signature = "none" }
"#;

#[test]
fn a_rejected_run_goes_back_in_another_process() {
    let bench = Bench::new(site(), &format!("{SIGNED}{PARTIAL}"));
    bench.passes("dump");
    bench.passes("migrations");
    bench.gate("look");
    bench
        .command(Command::Sign {
            gate: "agreed".into(),
            role: "dba".into(),
            person: "ana".into(),
            decision: Decision::Reject,
            note: "the numbers are wrong".into(),
        })
        .unwrap();
    let Bench {
        site,
        runtime,
        handle,
    } = bench;
    let run = handle.snapshot().run.id.clone();
    handle.close();
    let latest = Which::Latest(site.path("runbook.toml"));
    let handle = start(&site, &runtime, latest);
    assert_eq!(handle.snapshot().run.id, run);
    let bench = Bench {
        site,
        runtime,
        handle,
    };
    bench.back("in-part", &["up/2_b.sql"]).unwrap();
    bench.passes("down");
    assert_eq!(bench.close(), RunStatus::RolledBack("in-part".into()));
}

#[test]
fn the_impact_counts_every_attempt_once_and_tells_forward_from_back() {
    let bench = Bench::new(site(), PARTIAL);
    bench.passes("dump");
    bench.site.write("up/3_c.sql", "SELECT 1 / 0;");
    assert_eq!(
        bench
            .gate("migrations")
            .run
            .gate("migrations")
            .unwrap()
            .state,
        GateState::Failed
    );
    let impact = || {
        let run = &bench.handle.snapshot().run;
        message_fields(run, run.opened, None)["impact"].clone()
    };
    assert_eq!(impact(), "2 changes are applied; nothing later has started");
    let mended = "INSERT INTO app.t (id, v) VALUES (1000, 'new');";
    bench.site.write("up/3_c.sql", mended);
    bench.passes("migrations");
    assert_eq!(impact(), "3 changes are applied; nothing later has started");
    bench
        .back("in-part", &["up/2_b.sql", "up/3_c.sql"])
        .unwrap();
    bench.passes("down");
    assert_eq!(
        impact(),
        "3 changes were applied; of the way back 2 parts are done"
    );
}
