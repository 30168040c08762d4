//! Going back while others are in the way: locks that are held, rows that somebody else changed.

use std::time::{Duration, Instant};

use stagegate::promotion::GateState;

use crate::rollback::{Bench, site};

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
        &format!("held by pid {held}, user postgres, application stagegate"),
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
