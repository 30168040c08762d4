//! Statements that no transaction can hold: an intent before, a result after, and the catalog in
//! between.

use stagegate::postgres::Session;

use crate::site::{Ended, Site};

const MIGRATE: &str = "[[phase.gate]]\nid = \"mig\"\ntitle = \"Migrate\"\n[phase.gate.migrate]\n\
                       target = \"db\"\nfiles = [\"db/*.sql\"]\nattempts = 1\n";

const STATES: &str = "SELECT string_agg(file || ' ' || state, ', ' ORDER BY file, state) \
                      FROM stagegate.ledger";

fn site() -> Site {
    let site = Site::new();
    site.sql("CREATE TABLE t AS SELECT n, n / 2 AS half FROM generate_series(1, 1000) n");
    site.runbook(MIGRATE);
    site
}

/// Lets somebody else's session say something.
fn says(site: &Site, other: &Session, sql: &str) {
    let said = site.runtime().block_on(other.client.batch_execute(sql));
    said.unwrap();
}

fn valid(site: &Site, index: &str) -> String {
    site.one(&format!(
        "SELECT coalesce((SELECT indisvalid::text FROM pg_index \
         WHERE indexrelid = to_regclass('{index}')), 'none')"
    ))
}

/// Fails as a concurrent build of a unique index over duplicates does.
fn fails_on_duplicates(site: &Site) -> Ended {
    site.write(
        "db/2.sql",
        "CREATE UNIQUE INDEX CONCURRENTLY half_i ON t (half);\n",
    );
    site.run()
        .exits(4)
        .says("could not create unique index")
        .says("the INVALID index public.half_i is left")
        .says("press r: it is removed first")
}

#[test]
fn they_run_between_others_and_stand_in_the_ledger() {
    let site = site();
    site.sql(
        "CREATE TABLE parts (n int) PARTITION BY LIST (n); \
         CREATE TABLE part_1 PARTITION OF parts FOR VALUES IN (1); CREATE INDEX old_i ON t (half)",
    );
    for (name, sql) in [
        ("1", "ALTER TABLE t ADD COLUMN more int;"),
        ("2", "CREATE INDEX CONCURRENTLY n_i ON t (n);"),
        ("3", "DROP INDEX CONCURRENTLY old_i;"),
        ("4", "REINDEX INDEX CONCURRENTLY n_i;"),
        (
            "5",
            "ALTER TABLE parts DETACH PARTITION part_1 CONCURRENTLY;",
        ),
        ("6", "VACUUM (ANALYZE) t;"),
        ("7", "ALTER TABLE t DROP COLUMN more;"),
    ] {
        site.write(&format!("db/{name}.sql"), sql);
    }
    site.run().exits(0).shows("7 files applied");
    assert_eq!(valid(&site, "n_i"), "true");
    assert_eq!(valid(&site, "old_i"), "none");
    assert_eq!(site.one("SELECT count(*) FROM pg_inherits"), "0");
    let applied = "SELECT count(*) FROM stagegate.ledger WHERE state = 'applied'";
    assert_eq!(site.one(applied), "7");
    site.run().exits(0).shows("7 were applied before");
}

#[test]
fn what_a_failed_build_leaves_is_removed_before_the_next() {
    let site = site();
    fails_on_duplicates(&site);
    assert_eq!(valid(&site, "half_i"), "false");
    assert_eq!(site.one(STATES), "db/2.sql intent");
    site.sql("DELETE FROM t WHERE n % 2 = 1");
    site.resume().exits(0).shows("1 files applied");
    assert_eq!(valid(&site, "half_i"), "true");
    assert_eq!(site.one(STATES), "db/2.sql applied, db/2.sql void");
}

#[test]
fn an_invalid_index_of_somebody_elses_is_not_touched_nor_taken_for_made() {
    let site = site();
    fails_on_duplicates(&site);
    // As if another program had left it.
    site.sql("TRUNCATE stagegate.ledger, stagegate.ticket; DELETE FROM t WHERE n % 2 = 1");
    let sql = "CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS half_i ON t (half);";
    site.write("db/2.sql", sql);
    site.run()
        .exits(4)
        .says("the INVALID index public.half_i stands in its place")
        .says("no attempt of this file made it");
    assert_eq!(valid(&site, "half_i"), "false");
    site.sql("DROP INDEX half_i");
    site.resume().exits(0);
    assert_eq!(valid(&site, "half_i"), "true");
}

#[test]
fn killed_before_it_the_statement_is_run_and_behind_it_it_is_found_done() {
    for point in ["after_alone_intent", "after_alone"] {
        let site = site();
        site.write("db/2.sql", "CREATE INDEX CONCURRENTLY n_i ON t (n);");
        site.write("db/3.sql", "DROP INDEX CONCURRENTLY IF EXISTS gone_i;");
        site.dies_at(point);
        assert_eq!(site.one(STATES), "db/2.sql intent", "{point}");
        site.resume().exits(0);
        assert_eq!(valid(&site, "n_i"), "true", "{point}");
        let applied = "SELECT string_agg(file, ',' ORDER BY file) FROM stagegate.ledger \
                       WHERE state = 'applied'";
        assert_eq!(site.one(applied), "db/2.sql,db/3.sql", "{point}");
        let made = "SELECT count(*) FROM pg_index WHERE indrelid = 't'::regclass";
        assert_eq!(site.one(made), "1", "{point}");
    }
}

#[test]
fn a_wait_that_is_too_long_is_given_up_and_leaves_what_the_next_attempt_removes() {
    let site = site();
    site.runbook(&format!("{MIGRATE}alone_lock_timeout = \"300ms\"\n"));
    site.write("db/2.sql", "CREATE INDEX CONCURRENTLY n_i ON t (n);");
    let other = site.hold_open("postgres");
    site.runtime()
        .block_on(
            other
                .client
                .batch_execute("BEGIN; UPDATE t SET half = 0 WHERE n = 1"),
        )
        .unwrap();
    site.run()
        .exits(4)
        .says("55P03")
        .says("the INVALID index public.n_i is left");
    says(&site, &other, "COMMIT");
    site.resume().exits(0);
    assert_eq!(valid(&site, "n_i"), "true");
}

#[test]
fn a_reindex_that_failed_leaves_nothing_behind_in_the_end() {
    let site = site();
    site.sql("CREATE UNIQUE INDEX n_i ON t (n)");
    site.runbook(&format!("{MIGRATE}alone_lock_timeout = \"300ms\"\n"));
    site.write("db/2.sql", "REINDEX TABLE CONCURRENTLY t;");
    let other = site.hold_open("postgres");
    site.runtime()
        .block_on(
            other
                .client
                .batch_execute("BEGIN; UPDATE t SET half = 0 WHERE n = 1"),
        )
        .unwrap();
    site.run().exits(4).says("_ccnew is left");
    says(&site, &other, "COMMIT");
    site.resume().exits(0);
    let left = "SELECT string_agg(indexrelid::regclass::text || ' ' || indisvalid, ',') \
                FROM pg_index WHERE indrelid = 't'::regclass";
    assert_eq!(site.one(left), "n_i true");
}

#[test]
fn two_of_them_in_one_file_are_refused_before_anything_runs() {
    let site = site();
    for (sql, said) in [
        (
            "CREATE INDEX CONCURRENTLY a ON t (n);\nDROP INDEX CONCURRENTLY b;\n",
            "file of its own",
        ),
        (
            "CREATE INDEX CONCURRENTLY ON t (n);\n",
            "give the index a name",
        ),
        ("CREATE DATABASE x;\n", "nor in a migration"),
    ] {
        site.write("db/2.sql", sql);
        site.run().exits(4).says(said).says("nothing was run");
    }
    // A new value can be used behind its commit only.
    site.sql("CREATE TYPE mood AS ENUM ('a')");
    let sql = "ALTER TYPE mood ADD VALUE 'b';\nSELECT 'b'::mood;\n";
    site.write("db/2.sql", sql);
    site.run()
        .exits(4)
        .says("55P04")
        .says("split it into two files");
}

#[test]
fn what_was_there_before_is_not_taken_for_done() {
    let site = site();
    site.sql("CREATE TABLE u (m int); CREATE INDEX n_i ON t (half); CREATE INDEX u_i ON u (m)");
    for (sql, said) in [
        (
            "CREATE INDEX CONCURRENTLY n_i ON t (n);",
            "another index \"n_i\" stands in its place",
        ),
        (
            "CREATE INDEX CONCURRENTLY IF NOT EXISTS u_i ON t (n);",
            "the index public.u_i of another table stands in its place",
        ),
        (
            "DROP INDEX CONCURRENTLY missing_i;",
            "there is no index \"missing_i\"",
        ),
        (
            "ALTER TABLE t DETACH PARTITION u CONCURRENTLY;",
            "there is no partition \"u\" of \"t\"",
        ),
    ] {
        site.write("db/2.sql", sql);
        site.run().exits(4).says(said);
        // Nor is it on another try.
        site.resume().exits(4).says(said);
        let applied = "SELECT count(*) FROM stagegate.ledger WHERE state IN ('applied', 'intent')";
        assert_eq!(site.one(applied), "0", "{sql}");
    }
    site.write(
        "db/2.sql",
        "CREATE INDEX CONCURRENTLY IF NOT EXISTS n_i ON t (half);",
    );
    site.resume().exits(0);
}

#[test]
fn what_somebody_else_is_building_is_left_alone() {
    let site = site();
    fails_on_duplicates(&site);
    site.sql("DELETE FROM t WHERE n % 2 = 1");
    // As a colleague's build of the same index does all along.
    let other = site.hold_open("postgres");
    let held = "BEGIN; LOCK TABLE t IN SHARE UPDATE EXCLUSIVE MODE";
    says(&site, &other, held);
    site.resume().exits(4).says("is being worked on by process");
    assert_eq!(valid(&site, "half_i"), "false");
    says(&site, &other, "COMMIT");
    site.resume().exits(0);
    assert_eq!(valid(&site, "half_i"), "true");
}
