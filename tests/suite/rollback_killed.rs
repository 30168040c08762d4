//! The console is killed while it goes back: what it finds afterwards is what the server says.

use crate::pty::Pty;
use crate::site::Site;
use crate::walker::{Stop, Walker};

const RUNBOOK: &str = r#"
format = 1
title = "Killed on the way back"
[target.db]
url = "env:DB"
environment = "staging"
[[phase]]
id = "forward"
title = "Forward"
[[phase.gate]]
id = "dump"
title = "Backup"
backup = { target = "db", path = "backups" }
[[phase.gate]]
id = "migrations"
title = "Migrations"
migrate = { target = "db", files = ["up/*.sql"] }
[[phase.gate]]
id = "refuses"
title = "Refuses"
query = { target = "db", sql = "SELECT 1", expect = { value = "= 2" } }
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

fn site(runbook: &str) -> Site {
    let site = Site::new();
    site.sql("CREATE DATABASE shop");
    site.sql_in(
        "shop",
        "CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t SELECT generate_series(1, 1000)",
    );
    site.write("up/1.sql", "DELETE FROM t WHERE id > 10;");
    site.write("runbook.toml", runbook);
    site
}

fn console(site: &Site, more: &[&str], die_at: &str) -> Walker {
    let mut arguments = vec!["run", "runbook.toml", "--runs-dir", "runs"];
    arguments.extend(more);
    let url = site.cluster.url("shop", "postgres");
    let environment = [("DB", url.as_str()), ("STAGEGATE_DIE_AT", die_at)];
    let mut pty = Pty::start(&arguments, &site.path(""), &environment, (100, 30));
    pty.wait_for("PG ");
    Walker { pty }
}

/// Goes back, is killed at `point`, is taken up again; `found` is what the screen says then.
fn killed_at(point: &str, found: &str) {
    let site = taken_up_after(RUNBOOK, point, found);
    let databases = "SELECT count(*) FILTER (WHERE datname LIKE 'shop_before_%') || ' ' || \
                     count(*) FILTER (WHERE datname LIKE 'shop_fresh_%') FROM pg_database";
    assert_eq!(site.one(databases), "1 0");
}

/// The same for a restore over the database itself.
fn killed_in_place_at(point: &str, found: &str) {
    let runbook = RUNBOOK.replace("sessions = \"end\"", "mode = \"in-place\"");
    let site = taken_up_after(&runbook, point, found);
    let ledger = "SELECT string_agg(DISTINCT state, ' ') FROM stagegate.ledger";
    assert_eq!(site.one_in("shop", ledger), "reverted");
}

fn taken_up_after(runbook: &str, point: &str, found: &str) -> Site {
    let site = site(runbook);
    let mut killed = console(&site, &[], point);
    assert_eq!(killed.walk(), Stop::Refused);
    killed.roll_back(&["\r"], "at-once");
    let walked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| killed.walk()));
    assert!(walked.is_err(), "it was not killed at {point}");
    assert_ne!(killed.pty.wait_end().exit_code(), 0);
    let mut walker = console(&site, &["--resume"], "");
    walker.pty.wait_for(found);
    assert_eq!(walker.walk(), Stop::AllThrough);
    walker.pty.send("\r");
    walker.pty.wait_for("rolled back by `at-once`");
    walker.pty.send("q");
    assert_eq!(walker.pty.wait_end().exit_code(), 4);
    assert_eq!(site.one_in("shop", "SELECT count(*) FROM t"), "1000");
    site
}

#[test]
fn during_the_restore() {
    killed_at("during_restore:3", "the live database was not touched");
}

#[test]
fn between_the_two_renames() {
    killed_at("between_renames", "the live database was not touched");
}

#[test]
fn before_the_names_are_committed() {
    killed_at("before_swap_commit", "the live database was not touched");
}

#[test]
fn after_the_names_were_changed_over() {
    killed_at("after_swap", "the names were changed over");
}

#[test]
fn before_a_restore_in_place() {
    killed_in_place_at("before_restore_in_place", "did not happen");
}

#[test]
fn after_a_restore_in_place_committed() {
    killed_in_place_at("after_restore_in_place", "the restore in place committed");
}
