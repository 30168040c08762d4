//! `stagegate backup`, `verify-backup` and `restore`: exit codes, words, and death in the middle.

use std::path::PathBuf;

use serde_json::Value;

use crate::site::{Ended, Site, ended};

const SCHEMA: &str = "CREATE SCHEMA shop;
CREATE TABLE shop.orders (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, note text);
CREATE TABLE shop.lines (id int PRIMARY KEY, o bigint NOT NULL REFERENCES shop.orders);";

struct Shop {
    site: Site,
    target: String,
}

impl Shop {
    /// A database with rows, and `dev` with the same tables and none.
    fn new() -> Shop {
        let site = Site::new();
        site.sql("CREATE DATABASE dev");
        let target = site.cluster.url("dev", "postgres");
        let shop = Shop { site, target };
        shop.site.sql(SCHEMA);
        shop.dev(SCHEMA);
        shop.site.sql(
            "INSERT INTO shop.orders (note) SELECT repeat('x', 200) FROM generate_series(1, 5000);
             INSERT INTO shop.lines SELECT n, n FROM generate_series(1, 5000) n",
        );
        shop
    }

    fn dev(&self, sql: &str) {
        self.site.sql_in("dev", sql);
    }

    fn rows(&self) -> String {
        self.site.one_in("dev", "SELECT count(*) FROM shop.orders")
    }

    fn stagegate(&self, arguments: &[&str], die_at: &str) -> Ended {
        let mut command = self.site.command(arguments);
        command.env("DEV", &self.target);
        if !die_at.is_empty() {
            command.env("STAGEGATE_DIE_AT", die_at);
        }
        ended(command.output().unwrap())
    }

    fn backup(&self, format: &str) -> PathBuf {
        let arguments = [
            "backup", "env:DB", "--format", format, "--to", "b", "--report", "json",
        ];
        let report = self.stagegate(&arguments, "").exits(0).out;
        let report: Value = serde_json::from_str(&report).unwrap();
        self.site.path("").join(report["path"].as_str().unwrap())
    }
}

#[test]
fn json_goes_there_and_back_after_the_name_was_typed() {
    let shop = Shop::new();
    let backup = shop.backup("json");
    let backup = backup.to_str().unwrap();
    shop.stagegate(&["verify-backup", backup], "")
        .exits(0)
        .shows("2 tables, 10000 rows")
        .shows("not in   the schema itself");
    let restore = ["restore", backup, "env:DEV"];
    shop.stagegate(&restore, "")
        .exits(3)
        .says("into     postgres@")
        .says("add: --confirm dev");
    let with = |more: &[&str]| shop.stagegate(&[&restore[..], more].concat(), "");
    with(&["--confirm", "postgres"])
        .exits(3)
        .says("is not the name of the target, which is `dev`");
    assert_eq!(shop.rows(), "0");
    with(&["--confirm", "dev"])
        .exits(0)
        .shows("5000 rows  shop.orders: equal to the backup")
        .shows("committed");
    assert_eq!(shop.rows(), "5000");
    with(&["--confirm", "dev"])
        .exits(3)
        .says("shop.orders has rows already")
        .says("--conflict replace or keep");
    shop.dev("DELETE FROM shop.lines WHERE id > 4000; UPDATE shop.orders SET note = 'mine'");
    with(&["--confirm", "dev", "--conflict", "keep"])
        .exits(0)
        .shows("1000 rows  shop.lines: 4000 were there and were kept");
    with(&[
        "--confirm",
        "dev",
        "--conflict",
        "replace",
        "--format",
        "json",
    ])
    .exits(0)
    .says("LOST: every row")
    .shows("\"compared\":true");
    let enrol = [
        "enrol",
        "env:DEV",
        "--as",
        "production",
        "--database",
        "dev",
    ];
    shop.stagegate(&enrol, "").exits(0);
    shop.dev("ALTER TABLE shop.lines ADD more int");
    with(&["--confirm", "dev", "--conflict", "replace"])
        .exits(3)
        .says("marked   PRODUCTION, by its own enrolment")
        .says("has a column more that the backup does not have");
}

#[test]
fn no_text_of_a_manifest_moves_the_cursor() {
    let shop = Shop::new();
    let backup = shop.backup("json");
    let manifest = backup.join("manifest.json");
    let text = std::fs::read_to_string(&manifest).unwrap();
    let mut changed: Value = serde_json::from_str(&text).unwrap();
    changed["taken_at"] = "[2Jnow
marked   DEVELOPMENT"
        .into();
    std::fs::write(&manifest, changed.to_string()).unwrap();
    let ended = shop.stagegate(&["restore", backup.to_str().unwrap(), "env:DEV"], "");
    let ended = ended.exits(3).says("add: --confirm dev");
    assert!(!ended.err.contains(''), "{}", ended.err);
    assert!(
        !ended.err.contains(
            "
marked"
        ),
        "{}",
        ended.err
    );
}

#[test]
fn a_dump_of_pg_dump_goes_into_an_empty_database_only() {
    let shop = Shop::new();
    for format in ["custom", "directory"] {
        let backup = shop.backup(format);
        let backup = backup.to_str().unwrap();
        shop.stagegate(&["verify-backup", backup], "")
            .exits(0)
            .shows("2 tables, 10000 rows");
        let restore = |more: &[&str]| {
            let all = [&["restore", backup, "env:DEV", "--confirm", "dev"], more].concat();
            shop.stagegate(&all, "")
        };
        shop.dev("CREATE TABLE here (id int)");
        restore(&[]).exits(3).says("dev is not empty");
        shop.dev("DROP TABLE here; DROP SCHEMA IF EXISTS shop CASCADE");
        for (make, drop) in [
            ("SCHEMA mine", "SCHEMA mine"),
            ("TYPE mood AS ENUM ('a')", "TYPE mood"),
            ("TYPE pair AS (a int)", "TYPE pair"),
            (
                "FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
                "FUNCTION f()",
            ),
        ] {
            shop.dev(&format!("CREATE {make}"));
            restore(&[]).exits(3).says("dev is not empty");
            shop.dev(&format!("DROP {drop}"));
        }
        shop.dev("CREATE EXTENSION IF NOT EXISTS plpgsql; CREATE TABLE here (id int)");
        restore(&["--conflict", "replace"])
            .exits(3)
            .says("empty database only");
        shop.dev("DROP TABLE here; DROP SCHEMA IF EXISTS shop CASCADE");
        restore(&[])
            .exits(0)
            .shows("2 tables, 10000 rows, equal to the backup");
        assert_eq!(shop.rows(), "5000");
        let file = match format {
            "custom" => PathBuf::from(backup),
            _ => std::fs::read_dir(backup)
                .unwrap()
                .next()
                .unwrap()
                .unwrap()
                .path(),
        };
        std::fs::write(&file, "x").unwrap();
        shop.stagegate(&["verify-backup", backup], "")
            .exits(1)
            .says("has changed");
        restore(&[]).exits(1).says("has changed");
    }
}

#[test]
fn a_dump_of_pg_dump_shows_what_the_target_says_of_itself() {
    let shop = Shop::new();
    let backup = shop.backup("custom");
    let dev = [
        "enrol",
        "env:DEV",
        "--as",
        "production",
        "--database",
        "dev",
    ];
    shop.stagegate(&dev, "").exits(0);
    shop.stagegate(&["restore", backup.to_str().unwrap(), "env:DEV"], "")
        .exits(3)
        .says("marked   PRODUCTION, by its own enrolment");
}

#[test]
fn wrong_arguments_are_told_and_nothing_is_made() {
    let shop = Shop::new();
    let backup = |more: &[&str]| {
        let all = [&["backup", "env:DB", "--to", "b"], more].concat();
        shop.stagegate(&all, "")
    };
    backup(&[]).exits(64).says("--format");
    backup(&["--format", "json", "--jobs", "0"]).exits(64);
    backup(&["--format", "json", "--name", "../x"])
        .exits(64)
        .says("--name");
    backup(&["--format", "custom", "--table", "shop.orders"])
        .exits(64)
        .says("json only");
    backup(&["--format", "json", "--table", "orders"])
        .exits(1)
        .says("write it as schema.table");
    shop.stagegate(
        &["backup", "env:NOWHERE", "--format", "json", "--to", "b"],
        "",
    )
    .exits(78)
    .says("NOWHERE");
    shop.stagegate(&["restore", "gone", "env:DEV"], "")
        .exits(1)
        .says("no backup");
    shop.stagegate(&["verify-backup", "gone"], "")
        .exits(1)
        .says("no backup");
    shop.stagegate(&["verify-backup", "."], "")
        .exits(1)
        .says("no backup");
    let folder = shop.site.path("b");
    assert!(!folder.exists() || std::fs::read_dir(folder).unwrap().count() == 0);
}

#[test]
fn a_killed_backup_leaves_nothing_that_looks_finished() {
    let shop = Shop::new();
    let backup = [
        "backup", "env:DB", "--format", "json", "--to", "b", "--name", "x",
    ];
    for point in [
        "during_json_dump:2",
        "before_json_manifest",
        "before_json_rename",
    ] {
        let died = shop.stagegate(&backup, point);
        assert_eq!(died.signal, Some(9), "{point}: {}", died.err);
        assert!(!shop.site.path("b/x").exists());
        shop.stagegate(&["verify-backup", "b/x.partial"], "")
            .exits(1)
            .says("interrupted");
        shop.stagegate(
            &["restore", "b/x.partial", "env:DEV", "--confirm", "dev"],
            "",
        )
        .exits(1)
        .says("interrupted");
    }
    // The next one of that name begins anew.
    shop.stagegate(&backup, "").exits(0);
    shop.stagegate(&["verify-backup", "b/x"], "").exits(0);
    assert!(!shop.site.path("b/x.partial").exists());
}

#[test]
fn a_killed_restore_leaves_the_target_old_or_new() {
    let shop = Shop::new();
    let backup = shop.backup("json");
    shop.dev("INSERT INTO shop.orders (note) VALUES ('old')");
    let restore = [
        "restore",
        backup.to_str().unwrap(),
        "env:DEV",
        "--confirm",
        "dev",
        "--conflict",
        "replace",
    ];
    for (point, rows) in [
        ("before_json_load", "1"),
        ("during_json_restore:2", "1"),
        ("before_json_commit", "1"),
        ("after_json_commit", "5000"),
    ] {
        let died = shop.stagegate(&restore, point);
        assert_eq!(died.signal, Some(9), "{point}: {}", died.err);
        // The count waits for the locks of the session that died.
        assert_eq!(shop.rows(), rows, "{point}");
        // The sequence goes with the rows: it is the old one, or the new one.
        let sequence = "SELECT last_value FROM shop.orders_id_seq";
        assert_eq!(shop.site.one_in("dev", sequence), rows, "{point}");
    }
    shop.stagegate(&restore, "").exits(0);
    assert_eq!(shop.rows(), "5000");
}
