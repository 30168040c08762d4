//! Migrations that meet locks: who is in the way is said, attempts have a budget, and nobody waits
//! long behind them.

use std::io::Read as _;
use std::process::Child;

use crate::locks_world::{Stuck, named};
use crate::server::{self, info};
use crate::site::{Ended, Site};

fn runbook(site: &Site, more: &str) {
    site.runbook(&format!(
        "[[phase.gate]]\nid = \"mig\"\ntitle = \"Migrate\"\n[phase.gate.migrate]\n\
         target = \"db\"\nfiles = [\"db/*.sql\"]\n{more}\n"
    ));
}

/// The gate at work in a process of its own.
struct AtWork {
    child: Child,
}

impl AtWork {
    fn begin(site: &Site) -> AtWork {
        let arguments = ["run", "runbook.toml", "--headless", "--runs-dir", "runs"];
        AtWork {
            child: site.command(&arguments).spawn().unwrap(),
        }
    }

    fn ended(mut self) -> Ended {
        let (mut out, mut err) = (String::new(), String::new());
        self.child
            .stdout
            .take()
            .unwrap()
            .read_to_string(&mut out)
            .unwrap();
        self.child
            .stderr
            .take()
            .unwrap()
            .read_to_string(&mut err)
            .unwrap();
        let status = self.child.wait().unwrap();
        Ended {
            code: status.code(),
            signal: None,
            out,
            err,
        }
    }
}

/// Waits until a query answers that.
fn until(site: &Site, sql: &str, answer: &str) {
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
    while site.one(sql) != answer {
        assert!(
            std::time::Instant::now() < deadline,
            "{sql} is not {answer}"
        );
        std::thread::yield_now();
    }
}

const OURS_WAITS: &str = "SELECT count(*) FROM pg_locks l JOIN pg_stat_activity a USING (pid) \
                          WHERE NOT granted AND application_name LIKE 'stagegate % mig'";

/// Ours is in a transaction that has what others want.
const OURS_HOLDS: &str = "SELECT count(*) FROM pg_locks l JOIN pg_stat_activity a USING (pid) \
                          WHERE granted AND relation = 't'::regclass AND mode = 'AccessExclusiveLock' \
                          AND application_name LIKE 'stagegate % mig'";

#[test]
fn whoever_was_in_the_way_stands_in_the_finding() {
    let site = Site::new();
    site.sql("CREATE TABLE t (n int)");
    site.write("db/1.sql", "ALTER TABLE t ADD COLUMN m int;");
    runbook(&site, "lock_timeout = \"1500ms\"\nattempts = 2");
    let blocker = site.runtime().block_on(async {
        let session = named(&info(&site.cluster), "psql").await;
        server::run(&session, "BEGIN; SELECT 'a report' FROM t").await;
        session
    });
    let pid = blocker.backend_pid();
    site.run()
        .exits(4)
        .says("db/1.sql:1: canceling statement due to lock timeout (55P03)")
        .says("tried 2 times in")
        .says("it waited for AccessExclusiveLock on public.t")
        .says(&format!(
            "blocked by pid {pid}, postgres@psql, idle in transaction for"
        ))
        .says("a report")
        .says(&format!("wait until pid {pid} has ended"));
    let output = site.output("mig-1.log");
    assert!(
        output.contains("waits for AccessExclusiveLock on public.t"),
        "{output}"
    );
    assert!(
        output.contains("nothing is held; attempt 2 of 2,"),
        "{output}"
    );
    site.runtime().block_on(blocker.close());
    site.resume().exits(0);
}

#[test]
fn attempts_end_when_their_budget_does() {
    let site = Site::new();
    site.sql("CREATE TABLE t (n int)");
    site.write("db/1.sql", "ALTER TABLE t ADD COLUMN m int;");
    runbook(
        &site,
        "lock_timeout = \"100ms\"\nattempts = 100\nbudget = \"1s\"",
    );
    let blocker = site.hold_open("postgres");
    site.runtime()
        .block_on(server::run(&blocker, "BEGIN; SELECT FROM t"));
    site.run().exits(4).says("the budget of 1 s allows no more");
    let attempts = site.evidence("mig-1.json")["files"][0]["attempts"].as_u64();
    assert!(matches!(attempts, Some(2..=3)), "{attempts:?}");
}

#[test]
fn a_lock_that_is_free_again_is_had_by_the_next_attempt() {
    let site = Site::new();
    site.sql("CREATE TABLE t (n int)");
    site.write("db/1.sql", "ALTER TABLE t ADD COLUMN m int;");
    runbook(&site, "lock_timeout = \"300ms\"\nattempts = 20");
    let blocker = site.hold_open("postgres");
    site.runtime()
        .block_on(server::run(&blocker, "BEGIN; SELECT FROM t"));
    let work = AtWork::begin(&site);
    until(&site, OURS_WAITS, "1");
    // Between two attempts nothing of ours is in anybody's way.
    until(&site, OURS_WAITS, "0");
    site.runtime().block_on(server::run(&blocker, "COMMIT"));
    work.ended().exits(0);
    assert!(site.evidence("mig-1.json")["files"][0]["attempts"].as_u64() >= Some(2));
}

#[test]
fn a_deadlock_is_rolled_back_and_tried_again() {
    let site = Site::new();
    site.sql("CREATE TABLE a (n int); CREATE TABLE b (n int)");
    // Whoever begins to wait last finds the deadlock, and is the one that the server ends.
    site.write(
        "db/1.sql",
        "LOCK a; SELECT pg_advisory_xact_lock(5); LOCK b;",
    );
    runbook(&site, "lock_timeout = \"20s\"");
    let third = site.hold_open("postgres");
    site.runtime()
        .block_on(server::run(&third, "SELECT pg_advisory_lock(5)"));
    let work = AtWork::begin(&site);
    until(&site, OURS_WAITS, "1");
    let place = info(&site.cluster);
    site.runtime().block_on(async {
        let both = "SET deadlock_timeout = '60s'; BEGIN; LOCK b; LOCK a; COMMIT";
        let other = Stuck::on(&place, "other", both).await;
        server::run(&third, "SELECT pg_advisory_unlock(5)").await;
        assert_eq!(other.came_out().await, None);
    });
    work.ended().exits(0);
    let output = site.output("mig-1.log");
    assert!(
        output.contains("deadlock detected (40P01); rolled back"),
        "{output}"
    );
    assert_eq!(site.one("SELECT count(*) FROM stagegate.ledger"), "1");
}

#[test]
fn too_many_behind_ours_stop_it() {
    let site = Site::new();
    site.sql("CREATE TABLE t (n int)");
    site.write(
        "db/1.sql",
        "ALTER TABLE t ADD COLUMN m int; SELECT pg_sleep(120);",
    );
    runbook(&site, "queue_limit = 1\nattempts = 1");
    let work = AtWork::begin(&site);
    until(&site, OURS_HOLDS, "1");
    let place = info(&site.cluster);
    let (one, two) = site.runtime().block_on(async {
        let one = Stuck::on(&place, "web", "SELECT FROM t").await;
        // One is tolerated.
        (one, Stuck::on(&place, "web", "SELECT FROM t").await)
    });
    site.runtime().block_on(async {
        assert_eq!(one.came_out().await, None);
        assert_eq!(two.came_out().await, None);
    });
    work.ended()
        .exits(4)
        .says("db/1.sql: stopped, so that nobody waits longer: 2 waited behind it, 1 are tolerated")
        .says("they waited for public.t (2)")
        .says("db/1.sql left nothing behind");
    let columns = "SELECT count(*) FROM pg_attribute WHERE attrelid = 't'::regclass AND attnum > 0";
    assert_eq!(site.one(columns), "1");
    assert_eq!(site.one("SELECT count(*) FROM stagegate.ledger"), "0");
}

#[test]
fn too_long_behind_ours_stops_it_and_it_is_tried_again() {
    let site = Site::new();
    site.sql("CREATE TABLE t (n int); CREATE TABLE seen (n int); INSERT INTO seen VALUES (0)");
    site.sql("CREATE SEQUENCE tries");
    // The second attempt is quick: a sequence is not rolled back.
    site.write(
        "db/1.sql",
        "ALTER TABLE t ADD COLUMN m int; \
         SELECT CASE WHEN nextval('tries') = 1 THEN pg_sleep(120) END;",
    );
    runbook(&site, "queue_wait = \"1s\"\nattempts = 3");
    let work = AtWork::begin(&site);
    until(&site, OURS_HOLDS, "1");
    let place = info(&site.cluster);
    site.runtime().block_on(async {
        let one = Stuck::on(&place, "web", "SELECT FROM t").await;
        assert_eq!(one.came_out().await, None);
    });
    work.ended().exits(0);
    let output = site.output("mig-1.log");
    assert!(output.contains("somebody waited 1."), "{output}");
    assert!(output.contains("behind it, 1 s are tolerated"), "{output}");
    let attempts = site.evidence("mig-1.json")["files"][0]["attempts"].as_u64();
    assert_eq!(attempts, Some(2));
}

#[test]
fn fast_files_open_no_session_of_their_own() {
    let site = Site::new();
    let sessions = "SELECT sessions FROM pg_stat_database WHERE datname = 'postgres'";
    let counted = |files: std::ops::Range<usize>| {
        for number in files {
            site.write(&format!("db/{number:04}.sql"), "SELECT 1;");
        }
        runbook(&site, "record_change = false");
        let before: i64 = site.one(sessions).parse().unwrap();
        site.run().exits(0);
        until(
            &site,
            "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'stagegate 2%'",
            "0",
        );
        let after: i64 = site.one(sessions).parse().unwrap();
        after - before
    };
    assert_eq!(counted(0..1), counted(1..60));
}

#[test]
fn a_dump_at_work_is_named_and_refused_before_anything_runs() {
    let site = Site::new();
    site.sql("CREATE TABLE t (n int); CREATE TABLE z (n int)");
    site.write("db/1.sql", "ALTER TABLE t ADD COLUMN m int;");
    runbook(&site, "");
    // The dump has its lock on t and waits for z, so it is at work for as long as we like.
    let holder = site.hold_open("postgres");
    site.runtime().block_on(server::run(
        &holder,
        "BEGIN; LOCK z IN ACCESS EXCLUSIVE MODE",
    ));
    let pg_dump = stagegate::postgres::programs::find("pg_dump").unwrap();
    let mut dump = std::process::Command::new(&pg_dump.path)
        .args(["-f", "/dev/null", "-d"])
        .arg(site.cluster.url("postgres", "postgres"))
        .spawn()
        .unwrap();
    until(
        &site,
        "SELECT count(*) FROM pg_locks l JOIN pg_stat_activity a USING (pid) \
         WHERE NOT granted AND application_name = 'pg_dump'",
        "1",
    );
    site.stagegate(&["plan", "runbook.toml"])
        .shows("a dump is at work: pid ");
    site.run()
        .exits(4)
        .says("a dump of the database is at work: pid ")
        .says("postgres@pg_dump, its transaction for")
        .says("nothing was run");
    runbook(
        &site,
        "dumps = \"allow\"\nlock_timeout = \"300ms\"\nattempts = 1",
    );
    site.run().exits(4).says("postgres@pg_dump").says("(55P03)");
    site.runtime().block_on(server::run(&holder, "COMMIT"));
    assert!(dump.wait().unwrap().success());
    runbook(&site, "");
    site.run().exits(0);
}

#[test]
fn what_keeps_locks_from_before_stands_in_the_plan() {
    let cluster = stagegate::postgres::cluster::Cluster::start(
        &stagegate::postgres::cluster::ClusterOptions {
            settings: vec![("max_prepared_transactions".to_owned(), "5".to_owned())],
            ..Default::default()
        },
    )
    .unwrap();
    let site = Site::on(cluster);
    site.write("db/1.sql", "SELECT 1;");
    runbook(&site, "");
    let app = site.hold_open("postgres");
    site.runtime().block_on(server::run(
        &app,
        "BEGIN; CREATE TABLE t(); PREPARE TRANSACTION 'tpc-7'",
    ));
    site.stagegate(&["plan", "runbook.toml"])
        .shows("prepared transaction `tpc-7` of postgres, for ")
        .shows("lock_timeout 2000 ms")
        .shows("5 attempts; tried again for 5 min; stopped when 51 wait behind it, or one for 5 s");
    site.sql("SELECT 1");
    site.runtime()
        .block_on(server::run(&app, "ROLLBACK PREPARED 'tpc-7'"));
}

#[test]
fn a_full_disk_of_the_server_leaves_nothing_behind() {
    let site = Site::new();
    site.write(
        "db/1.sql",
        "CREATE TABLE t (n int);\n\
         DO $$ BEGIN RAISE disk_full USING MESSAGE = 'could not extend file: No space left on device'; END $$;",
    );
    runbook(&site, "");
    site.run()
        .exits(4)
        .says("(53100)")
        .says("db/1.sql left nothing behind")
        .says("the server ran out of room");
    assert_eq!(site.one("SELECT to_regclass('t') IS NULL"), "t");
    assert_eq!(site.one("SELECT count(*) FROM stagegate.ledger"), "0");
}

#[test]
fn a_frozen_operator_holds_no_lock_for_ever_and_is_told_when_it_wakes() {
    let site = Site::new();
    site.sql("CREATE TABLE t (n int)");
    // Ours is frozen while the server works for it; then nothing comes, and the server ends it.
    site.write(
        "db/1.sql",
        "ALTER TABLE t ADD COLUMN m int; SELECT pg_advisory_xact_lock(5);\nCOPY t (n) FROM stdin;\n1\n\\.\n",
    );
    runbook(&site, "lock_timeout = \"30s\"");
    let gatekeeper = site.hold_open("postgres");
    site.runtime()
        .block_on(server::run(&gatekeeper, "SELECT pg_advisory_lock(5)"));
    let work = AtWork::begin(&site);
    until(&site, OURS_WAITS, "1");
    let frozen = rustix::process::Pid::from_raw(work.child.id() as i32).unwrap();
    rustix::process::kill_process(frozen, rustix::process::Signal::STOP).unwrap();
    site.runtime()
        .block_on(server::run(&gatekeeper, "SELECT pg_advisory_unlock(5)"));
    let ours = "FROM pg_stat_activity WHERE application_name LIKE 'stagegate % mig' \
                AND state = 'idle in transaction'";
    until(&site, &format!("SELECT count(*) {ours}"), "1");
    // What idle_in_transaction_session_timeout does after its minute.
    site.sql(&format!("SELECT pg_terminate_backend(pid) {ours}"));
    until(&site, OURS_HOLDS, "0");
    rustix::process::kill_process(frozen, rustix::process::Signal::CONT).unwrap();
    work.ended()
        .exits(4)
        .says("the connection was lost before COMMIT")
        .says("db/1.sql left nothing behind");
    let settings = site.evidence("mig-1.json")["settings"].to_string();
    assert!(
        settings.contains("[\"idle_in_transaction_session_timeout\",\"60000\"]"),
        "{settings}"
    );
    site.resume().exits(0);
}
