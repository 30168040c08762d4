//! Kills the program at named points, takes the run up again, and compares with the database.
//!
//! Whatever the point: every file is applied exactly once, the ledger and the journal agree with
//! the database, and no file that looks like a backup lacks its manifest.

use crate::site::{Site, ended, names};

/// A backup, three files and a question, none of which asks for a person.
const RUNBOOK: &str = "\
[[phase.gate]]
id = \"dump\"
title = \"Backup\"
[phase.gate.backup]
target = \"db\"
path = \"backups\"
[[phase.gate]]
id = \"mig\"
title = \"Migrate\"
[phase.gate.migrate]
target = \"db\"
files = [\"db/*.sql\"]
[[phase.gate]]
id = \"count\"
title = \"Count\"
[phase.gate.query]
target = \"db\"
sql = \"SELECT count(*) FROM done\"
expect = { value = \"= 3\" }
";

fn site() -> Site {
    let site = Site::new();
    site.sql("CREATE TABLE done (file text)");
    for number in 1..=3 {
        let sql = format!(
            "CREATE TABLE t{number} (n int);\nINSERT INTO done VALUES ('{number}');\n\
             INSERT INTO t{number} SELECT generate_series(1, 10);\n"
        );
        site.write(&format!("db/{number}.sql"), &sql);
    }
    site.runbook(RUNBOOK);
    site
}

/// Dies at the point, goes on, and checks the world.
fn die_and_resume(point: &str) {
    let site = site();
    site.dies_at(point);
    let resumed = site.resume();
    assert_eq!(
        resumed.code,
        Some(0),
        "{point}: {}{}",
        resumed.out,
        resumed.err
    );
    check_world(&site, point);
}

fn check_world(site: &Site, point: &str) {
    let done = "SELECT string_agg(file, ',' ORDER BY file) FROM done";
    assert_eq!(site.one(done), "1,2,3", "{point}: each file once");
    let ledger = "SELECT string_agg(file, ',' ORDER BY file) FROM stagegate.ledger \
                  WHERE state = 'applied'";
    assert_eq!(
        site.one(ledger),
        "db/1.sql,db/2.sql,db/3.sql",
        "{point}: the ledger agrees"
    );
    let backups = names(&site.path("backups"));
    let dumps = backups
        .iter()
        .filter(|name| name.ends_with(".dump"))
        .count();
    let manifests = backups
        .iter()
        .filter(|name| name.ends_with(".manifest.json"))
        .count();
    assert_eq!((dumps, manifests), (1, 1), "{point}: {backups:?}");
    assert_eq!(backups.len(), 2, "{point}: {backups:?}");
    let (run, _) = stagegate::engine::read_only(&site.run_folder()).unwrap();
    assert_eq!(run.status.word(), "closed", "{point}");
}

#[test]
fn before_and_after_a_record_is_written() {
    // Parts of the work may share a record's write; nine writes there are at least.
    for number in 2..=9 {
        die_and_resume(&format!("before_append:{number}"));
    }
}

#[test]
fn before_and_after_a_record_is_synced() {
    die_and_resume("after_make");
    for number in [2, 3, 4, 6, 8] {
        die_and_resume(&format!("after_append_before_sync:{number}"));
        die_and_resume(&format!("after_append:{number}"));
    }
}

#[test]
fn before_the_runs_folder_is_made_there_is_nothing() {
    let site = site();
    let output = site
        .command(&["run", "runbook.toml", "--headless", "--runs-dir", "runs"])
        .env("STAGEGATE_DIE_AT", "after_append:1")
        .output()
        .unwrap();
    assert_eq!(ended(output).signal, Some(9));
    assert!(!site.path("runs").exists());
    site.resume()
        .exits(1)
        .says("no run of runbook.toml is open");
}

#[test]
fn between_an_intent_and_its_work() {
    for number in 1..=3 {
        die_and_resume(&format!("after_intent:{number}"));
        die_and_resume(&format!("after_work:{number}"));
    }
}

#[test]
fn during_a_backup() {
    for point in [
        "during_dump:1",
        "during_dump:20",
        "after_dump",
        "after_dump_verified",
        "after_dump_renamed",
        "after_manifest",
    ] {
        die_and_resume(point);
    }
}

#[test]
fn inside_a_migration_before_commit() {
    for point in [
        "after_begin_sent:1",
        "after_begin_sent:2",
        "after_statement:1",
        "after_statement:3",
        "after_statement:5",
        "before_commit:1",
        "before_commit:3",
    ] {
        die_and_resume(point);
    }
}

#[test]
fn inside_a_migration_after_commit() {
    for point in [
        "after_commit:1",
        "after_commit:2",
        "after_commit:3",
        "after_effect:1",
        "after_effect:2",
        "after_effect:3",
    ] {
        die_and_resume(point);
    }
}

#[test]
fn dying_again_and_again_still_ends_well() {
    let site = site();
    let mut arguments = vec!["run", "runbook.toml", "--headless", "--runs-dir", "runs"];
    for point in [
        "after_dump_renamed",
        "after_begin_sent:1",
        "after_commit:1",
        "before_commit:1",
    ] {
        let output = site
            .command(&arguments)
            .env("STAGEGATE_DIE_AT", point)
            .output()
            .unwrap();
        assert_eq!(ended(output).signal, Some(9), "{point}");
        arguments = vec![
            "run",
            "runbook.toml",
            "--headless",
            "--resume",
            "--runs-dir",
            "runs",
        ];
    }
    site.resume().exits(0);
    check_world(&site, "four deaths");
}

#[test]
fn dying_before_the_first_record_leaves_no_run() {
    let site = site();
    let output = site
        .command(&["run", "runbook.toml", "--headless", "--runs-dir", "runs"])
        .env("STAGEGATE_DIE_AT", "before_append:1")
        .output()
        .unwrap();
    assert_eq!(ended(output).signal, Some(9));
    site.resume()
        .exits(1)
        .says("no run of runbook.toml is open");
    site.run().exits(0);
}

#[test]
fn resuming_twice_changes_nothing() {
    let site = site();
    site.sql("CREATE TABLE t2 (n int)");
    site.run()
        .exits(4)
        .says("db/2.sql:1: relation \"t2\" already exists");
    let before = site.one("SELECT count(*) FROM done");
    site.resume().exits(4);
    site.resume().exits(4);
    assert_eq!(site.one("SELECT count(*) FROM done"), before);
    site.sql("DROP TABLE t2");
    site.resume().exits(0);
}
