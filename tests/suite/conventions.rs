//! Migration files under the names that the tools of the field give them, and what those tools have
//! recorded, by the real binary against a real server.

use stagegate::engine::Which;
use stagegate::promotion::GateState;
use tokio::runtime::Runtime;

use crate::rollback::{Bench, start};
use crate::site::{Ended, Site};

/// Runs one gate of that style; `more` are further keys.
fn migrate(site: &Site, style: &str, files: &str, more: &str) -> Ended {
    gate(site, style, files, more);
    site.run()
}

fn gate(site: &Site, style: &str, files: &str, more: &str) {
    site.runbook(&format!(
        "[[phase.gate]]\nid = \"mig\"\ntitle = \"Migrate\"\n[phase.gate.migrate]\n\
         target = \"db\"\nstyle = \"{style}\"\nfiles = [\"{files}\"]\n{more}\n"
    ));
}

fn plan(site: &Site) -> Ended {
    site.stagegate(&["plan", "runbook.toml"])
}

const LOG: &str = "CREATE TABLE log (n text)";

fn log(site: &Site, name: &str, n: &str) {
    site.write(name, &format!("INSERT INTO log VALUES ('{n}');\n"));
}

fn logged(site: &Site) -> String {
    site.one("SELECT string_agg(n, ',' ORDER BY ctid) FROM log")
}

fn ledger(site: &Site, state: &str) -> String {
    site.one(&format!(
        "SELECT coalesce(string_agg(file, ',' ORDER BY applied_at, file), '') \
         FROM stagegate.ledger WHERE state = '{state}'"
    ))
}

#[test]
fn versions_are_ordered_by_number_and_ways_back_are_not_applied() {
    for (style, names, back) in [
        (
            "numbered",
            ["10_c.sql", "2_b.sql", "001_a.sql"],
            "2_b.down.sql",
        ),
        (
            "timestamp",
            [
                "20260301000000_c.sql",
                "20260201000000_b.sql",
                "20260101000000_a.sql",
            ],
            "20260201000000_b.down.sql",
        ),
        (
            "flyway",
            ["V10__c.sql", "V2__b.sql", "V1.5__a.sql"],
            "U2__b.sql",
        ),
        (
            "golang-migrate",
            ["10_c.up.sql", "2_b.up.sql", "1_a.up.sql"],
            "2_b.down.sql",
        ),
    ] {
        let site = Site::new();
        site.sql(LOG);
        for name in names {
            log(&site, &format!("db/{name}"), &name.replace(".sql", ""));
        }
        log(&site, &format!("db/{back}"), "never");
        migrate(&site, style, "db/*.sql", "")
            .exits(0)
            .shows("3 files applied");
        let wanted: Vec<String> = names.iter().rev().map(|n| n.replace(".sql", "")).collect();
        assert_eq!(logged(&site), wanted.join(","), "{style}");
        site.run().exits(0).shows("3 were applied before");
    }
}

#[test]
fn duplicates_and_names_out_of_style_are_refused() {
    let site = Site::new();
    site.write("db/V1__a.sql", "CREATE TABLE t (n int);");
    site.write("db/V1.0__b.sql", "CREATE TABLE u (n int);");
    site.write("db/V01__c.sql", "CREATE TABLE v (n int);");
    migrate(&site, "flyway", "db/*.sql", "")
        .exits(4)
        .says("version 1 is that of 3 files: db/V01__c.sql, db/V1.0__b.sql, db/V1__a.sql")
        .says("nothing was run");
    site.write("more/2_a.sql", "CREATE TABLE t (n int);");
    migrate(&site, "flyway", "more/*.sql", "")
        .exits(4)
        .says("more/2_a.sql is no name of style = \"flyway\"")
        .says("V1__title.sql, U1__title.sql or R__title.sql");
    assert_eq!(site.one("SELECT to_regclass('t') IS NULL"), "t");
}

#[test]
fn a_repeatable_file_is_applied_again_when_it_changed() {
    let site = Site::new();
    site.write(
        "db/R__view.sql",
        "CREATE OR REPLACE VIEW v AS SELECT 1 AS n;",
    );
    site.write("db/V1__t.sql", "CREATE TABLE t (n int);");
    migrate(&site, "flyway", "db/*.sql", "").exits(0);
    assert_eq!(ledger(&site, "applied"), "db/V1__t.sql,db/R__view.sql");
    site.run().exits(0).shows("0 files applied");
    site.write(
        "db/R__view.sql",
        "CREATE OR REPLACE VIEW v AS SELECT 2 AS n;",
    );
    // A later version is not out of order behind what is applied again and again.
    site.write("db/V2__u.sql", "CREATE TABLE u (n int);");
    plan(&site).shows("changed, applied again db/R__view.sql");
    site.run().exits(0).shows("2 files applied");
    assert_eq!(site.one("SELECT n FROM v"), "2");
    assert_eq!(
        ledger(&site, "applied"),
        "db/V1__t.sql,db/V2__u.sql,db/R__view.sql"
    );
    assert_eq!(ledger(&site, "reverted"), "db/R__view.sql");
    site.run().exits(0).shows("0 files applied");
    // One that fails leaves the row of before.
    site.write(
        "db/R__view.sql",
        "CREATE OR REPLACE VIEW v AS SELECT 1/0 FROM nowhere;",
    );
    site.run().exits(4).says("\"nowhere\" does not exist");
    assert_eq!(ledger(&site, "reverted"), "db/R__view.sql");
    assert_eq!(site.one("SELECT n FROM v"), "2");
}

#[test]
fn only_line_ends_are_said_to_be_that() {
    let site = Site::new();
    site.write("db/1.sql", "CREATE TABLE t (\nn int);\n");
    migrate(&site, "plain", "db/*.sql", "").exits(0);
    site.write("db/1.sql", "\u{feff}CREATE TABLE t (\r\nn int);\r\n");
    plan(&site).shows("only its line ends changed since");
    site.run().exits(0).shows("0 files applied");
    site.write("db/1.sql", "CREATE TABLE t (\nn bigint);\n");
    site.run().exits(4).says("has changed since");
}

#[test]
fn halves_of_dbmate_keep_their_lines() {
    let site = Site::new();
    site.write(
        "db/1_t.sql",
        "-- migrate:up\r\nCREATE TABLE t (n int);\r\n\r\n-- migrate:down\r\nDROP TABLE t;\r\n",
    );
    migrate(&site, "dbmate", "db/*.sql", "").exits(0);
    assert_eq!(site.one("SELECT count(*) FROM t"), "0");
    site.write(
        "db/2_u.sql",
        "\n-- migrate:up\n\nSELECT wrong;\n-- migrate:down\n",
    );
    site.run().exits(4).says("db/2_u.sql:4: column \"wrong\"");
    site.write("db/2_u.sql", "CREATE TABLE u (n int);");
    site.run()
        .exits(4)
        .says("db/2_u.sql has no line `-- migrate:up`");
}

fn sqitch(site: &Site) {
    site.write(
        "db/sqitch.plan",
        "%syntax-version=1.0.0\n%project=shop\n\n\
         users 2026-01-01T00:00:00Z Ana <ana@example.com> # users\n\
         app/log [users] 2026-01-02T00:00:00Z Ana <ana@example.com> # log\n\
         @v1 2026-01-03T00:00:00Z Ana <ana@example.com> # tag\n",
    );
    site.write(
        "db/deploy/users.sql",
        "-- Deploy shop:users to pg\n\nBEGIN;\n\nCREATE TABLE users (n int);\n\nCOMMIT;\n",
    );
    site.write(
        "db/deploy/app/log.sql",
        "CREATE TABLE log AS SELECT n FROM users;\n",
    );
    site.write(
        "db/revert/users.sql",
        "-- Revert shop:users from pg\n\nBEGIN;\n\nDROP TABLE users;\n\nCOMMIT;\n",
    );
    site.write(
        "db/revert/app/log.sql",
        "BEGIN;\nDROP TABLE log;\nCOMMIT;\n",
    );
}

#[test]
fn a_plan_of_sqitch_is_followed_in_its_order() {
    let site = Site::new();
    sqitch(&site);
    gate(&site, "sqitch", "db/sqitch.plan", "");
    plan(&site).shows("its own BEGIN and COMMIT are left out");
    site.run().exits(0).shows("2 files applied");
    assert_eq!(
        ledger(&site, "applied"),
        "db/deploy/users.sql,db/deploy/app/log.sql"
    );
    site.write(
        "db/sqitch.plan",
        "users 2026-01-01T00:00:00Z Ana <a@b>\napp/log 2026-01-01T00:00:00Z Ana <a@b>\n\
         third 2026-01-01T00:00:00Z Ana <a@b>\nusers [users@v1] 2026-01-01T00:00:00Z Ana <a@b>\n",
    );
    site.run()
        .exits(4)
        .says("has `third`, and there is no db/deploy/third.sql")
        .says("has `users` twice");
    migrate(&site, "sqitch", "db/deploy/*.sql", "")
        .exits(4)
        .says("db/deploy/users.sql is no sqitch.plan");
    // Any other end of a transaction is refused as ever.
    site.write("db/sqitch.plan", "users 2026-01-01T00:00:00Z Ana <a@b>\n");
    site.write(
        "db/deploy/users.sql",
        "BEGIN;\nCREATE TABLE users (n int);\nCOMMIT;\nBEGIN;\nSELECT 1;\nCOMMIT;\n",
    );
    migrate(&site, "sqitch", "db/sqitch.plan", "")
        .exits(4)
        .says("db/deploy/users.sql:3: `COMMIT` would begin or end");
}

const FLYWAY: &str = "CREATE TABLE flyway_schema_history (installed_rank integer NOT NULL, \
    version varchar(50), description varchar(200) NOT NULL, type varchar(20) NOT NULL, \
    script varchar(1000) NOT NULL, checksum integer, installed_by varchar(100) NOT NULL, \
    installed_on timestamp NOT NULL DEFAULT now(), execution_time integer NOT NULL, \
    success boolean NOT NULL); \
    ALTER TABLE flyway_schema_history ADD CONSTRAINT flyway_schema_history_pk \
    PRIMARY KEY (installed_rank); \
    CREATE INDEX flyway_schema_history_s_idx ON flyway_schema_history (success);";

fn flyway_row(rank: u32, version: &str, kind: &str, success: bool) -> String {
    let version = match version {
        "" => "NULL".to_owned(),
        version => format!("'{version}'"),
    };
    format!(
        "INSERT INTO flyway_schema_history VALUES ({rank}, {version}, 'd', '{kind}', 'f{rank}.sql', \
         1, 'postgres', now(), 3, {success});"
    )
}

/// A database that flyway brought to version 2, with files up to 3.
fn flyway_site() -> Site {
    let site = Site::new();
    site.sql(&format!(
        "{LOG}; {FLYWAY} {} {} {}",
        flyway_row(1, "1", "SQL", true),
        flyway_row(2, "2.0", "SQL", true),
        flyway_row(3, "", "SQL", true)
    ));
    for version in ["1", "2", "3"] {
        log(&site, &format!("db/V{version}__x.sql"), version);
    }
    site
}

#[test]
fn another_tools_ledger_is_asked_about_and_adopted_once() {
    let site = flyway_site();
    migrate(&site, "flyway", "db/*.sql", "")
        .exits(4)
        .says("public.flyway_schema_history holds 2 applied versions")
        .says("adopt = \"flyway_schema_history\"")
        .says("adopt = \"ignore\"");
    assert_eq!(site.one("SELECT count(*) FROM log"), "0");
    gate(
        &site,
        "flyway",
        "db/*.sql",
        "adopt = \"flyway_schema_history\"",
    );
    plan(&site)
        .shows("2 files are taken as applied before: public.flyway_schema_history says so")
        .shows("baseline  db/V1__x.sql")
        .shows("pending   db/V3__x.sql");
    site.run()
        .exits(0)
        .shows("1 files applied")
        .shows("2 were applied before");
    assert_eq!(logged(&site), "3");
    assert_eq!(ledger(&site, "baseline"), "db/V1__x.sql,db/V2__x.sql");
    assert_eq!(ledger(&site, "applied"), "db/V3__x.sql");
    // What the other tool says counts no more, and adopting again changes nothing.
    site.sql("DELETE FROM flyway_schema_history WHERE version = '2.0'");
    site.run().exits(0).shows("0 files applied");
    assert_eq!(ledger(&site, "baseline"), "db/V1__x.sql,db/V2__x.sql");
    site.write("db/V2__x.sql", "SELECT 2;");
    site.run().exits(4).says("db/V2__x.sql was applied on");
    log(&site, "db/V2__x.sql", "2");
    std::fs::remove_file(site.path("db/V1__x.sql")).unwrap();
    site.run()
        .exits(4)
        .says("db/V1__x.sql is in the ledger, but not among the files");
}

#[test]
fn ignoring_it_applies_every_file() {
    let site = flyway_site();
    migrate(&site, "flyway", "db/*.sql", "adopt = \"ignore\"").exits(0);
    assert_eq!(logged(&site), "1,2,3");
    assert_eq!(ledger(&site, "baseline"), "");
}

#[test]
fn a_ledger_that_cannot_be_trusted_is_refused() {
    let site = flyway_site();
    let adopt = "adopt = \"flyway_schema_history\"";
    site.sql(&flyway_row(4, "3", "SQL", false));
    migrate(&site, "flyway", "db/*.sql", adopt)
        .exits(4)
        .says("public.flyway_schema_history cannot be adopted as it stands")
        .says("f4.sql failed and was not repaired");
    site.sql(
        "UPDATE flyway_schema_history SET version = '9', success = true WHERE installed_rank = 4",
    );
    site.run()
        .exits(4)
        .says("has version 9, and no file has it; the database is ahead");
    migrate(&site, "flyway", "db/*.sql", "adopt = \"_sqlx_migrations\"")
        .exits(4)
        .says("adopt = \"_sqlx_migrations\" is not in this database")
        .says("there is public.flyway_schema_history");
    site.sql(
        "CREATE SCHEMA other; CREATE TABLE other.flyway_schema_history \
         (LIKE flyway_schema_history INCLUDING ALL); \
         DELETE FROM flyway_schema_history WHERE version = '9'",
    );
    migrate(&site, "flyway", "db/*.sql", adopt)
        .exits(4)
        .says("may be other.flyway_schema_history or public.flyway_schema_history");
    let own = "adopt = \"public.flyway_schema_history\"";
    migrate(&site, "flyway", "db/*.sql", own)
        .exits(0)
        .shows("1 files applied");
    assert_eq!(logged(&site), "3");
}

#[test]
fn a_baseline_of_flyway_stands_for_all_before_it_and_what_was_undone_is_not_there() {
    let site = Site::new();
    let rows = [
        flyway_row(1, "2.5", "BASELINE", true),
        flyway_row(2, "3", "SQL", true),
        flyway_row(3, "4", "SQL", true),
        flyway_row(4, "4", "UNDO_SQL", true),
    ];
    site.sql(&format!("{LOG}; {FLYWAY} {}", rows.concat()));
    for version in ["1", "2", "3", "4"] {
        log(&site, &format!("db/V{version}__x.sql"), version);
    }
    log(&site, "db/R__x.sql", "r");
    migrate(
        &site,
        "flyway",
        "db/*.sql",
        "adopt = \"flyway_schema_history\"",
    )
    .exits(0);
    assert_eq!(logged(&site), "4,r");
}

#[test]
fn every_table_of_the_field_can_be_adopted() {
    let golang = "CREATE TABLE schema_migrations (version bigint NOT NULL PRIMARY KEY, \
                  dirty boolean NOT NULL); INSERT INTO schema_migrations VALUES (2, false)";
    let dbmate = "CREATE TABLE schema_migrations (version varchar(128) PRIMARY KEY); \
                  INSERT INTO schema_migrations VALUES ('01'), ('02')";
    let sqlx = "CREATE TABLE _sqlx_migrations (version bigint PRIMARY KEY, \
                description text NOT NULL, installed_on timestamptz NOT NULL DEFAULT now(), \
                success boolean NOT NULL, checksum bytea NOT NULL, execution_time bigint NOT NULL); \
                INSERT INTO _sqlx_migrations VALUES (1, 'a', now(), true, '\\x00', 5), \
                (2, 'b', now(), true, '\\x00', 5)";
    let alembic = "CREATE TABLE alembic_version (version_num varchar(32) NOT NULL, \
                   CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)); \
                   INSERT INTO alembic_version VALUES ('ae1027a6acf0')";
    for (style, table, sql, names) in [
        (
            "golang-migrate",
            "schema_migrations",
            golang,
            ["1_a.up.sql", "2_b.up.sql", "3_c.up.sql"],
        ),
        (
            "numbered",
            "schema_migrations",
            dbmate,
            ["01_a.sql", "02_b.sql", "03_c.sql"],
        ),
        (
            "numbered",
            "_sqlx_migrations",
            sqlx,
            ["1_a.sql", "2_b.sql", "3_c.sql"],
        ),
        (
            "plain",
            "_sqlx_migrations",
            sqlx,
            ["1_a.sql", "2_b.sql", "3_c.sql"],
        ),
        (
            "plain",
            "alembic_version",
            alembic,
            ["1.sql", "ae1027a6acf0_b.sql", "c.sql"],
        ),
    ] {
        let site = Site::new();
        site.sql(&format!("{LOG}; {sql}"));
        for name in names {
            log(&site, &format!("db/{name}"), name);
        }
        migrate(&site, style, "db/*.sql", "").exits(4).says(table);
        migrate(&site, style, "db/*.sql", &format!("adopt = \"{table}\""))
            .exits(0)
            .shows("1 files applied");
        assert_eq!(logged(&site), names[2], "{style} {table}");
    }
}

#[test]
fn a_dirty_version_and_an_unknown_one_are_refused() {
    let site = Site::new();
    site.sql(
        "CREATE TABLE schema_migrations (version bigint NOT NULL PRIMARY KEY, \
         dirty boolean NOT NULL); INSERT INTO schema_migrations VALUES (1, true)",
    );
    site.write("db/1_a.up.sql", "CREATE TABLE t (n int);");
    let adopt = "adopt = \"schema_migrations\"";
    migrate(&site, "golang-migrate", "db/*.sql", adopt)
        .exits(4)
        .says("its version 1 is marked dirty");
    site.sql("UPDATE schema_migrations SET version = 7, dirty = false");
    site.run().exits(4).says("the database is ahead");
    // A table of an application that only has the name is none.
    site.sql("DROP TABLE schema_migrations; CREATE TABLE schema_migrations (id int)");
    migrate(&site, "golang-migrate", "db/*.sql", "").exits(0);
}

#[test]
fn a_stated_baseline_is_taken_as_applied() {
    for said in ["2", "V2", "V2__x.sql", "db/V2__x.sql"] {
        let site = flyway_site();
        site.sql("DROP TABLE flyway_schema_history");
        let baseline = format!("baseline = \"{said}\"");
        migrate(&site, "flyway", "db/*.sql", &baseline)
            .exits(0)
            .shows("1 files applied");
        assert_eq!(logged(&site), "3");
        assert_eq!(ledger(&site, "baseline"), "db/V1__x.sql,db/V2__x.sql");
        let other = "baseline = \"1\"";
        migrate(&site, "flyway", "db/*.sql", other)
            .exits(0)
            .shows("0 files applied");
    }
    let site = flyway_site();
    migrate(&site, "flyway", "db/*.sql", "baseline = \"8\"")
        .exits(4)
        .says("baseline = \"8\" is neither the version nor the name of a file");
    // All of them: nothing is run, and the ledger says so.
    migrate(&site, "flyway", "db/*.sql", "baseline = \"3\"").exits(0);
    assert_eq!(site.one("SELECT count(*) FROM log"), "0");
    assert_eq!(
        site.one("SELECT count(*) FROM stagegate.ledger WHERE state = 'baseline'"),
        "3"
    );
}

#[test]
fn who_dies_while_adopting_adopts_once() {
    for (point, keys) in [
        ("before_baseline", "adopt = \"flyway_schema_history\""),
        ("after_baseline", "adopt = \"flyway_schema_history\""),
        ("before_baseline", "baseline = \"3\""),
        ("after_baseline", "baseline = \"3\""),
    ] {
        let site = flyway_site();
        gate(&site, "flyway", "db/*.sql", keys);
        let killed = site
            .command(&["run", "runbook.toml", "--headless", "--runs-dir", "runs"])
            .env("STAGEGATE_DIE_AT", point)
            .output()
            .unwrap();
        assert_eq!(crate::site::ended(killed).signal, Some(9), "{point}");
        site.resume().exits(0);
        let all = "SELECT string_agg(state || ' ' || file, ',' ORDER BY file) FROM stagegate.ledger \
                   WHERE state <> 'void'";
        let last = if keys.starts_with("adopt") {
            "applied"
        } else {
            "baseline"
        };
        assert_eq!(
            site.one(all),
            format!("baseline db/V1__x.sql,baseline db/V2__x.sql,{last} db/V3__x.sql"),
            "{point} {keys}"
        );
        let run = if last == "applied" { "1" } else { "0" };
        assert_eq!(site.one("SELECT count(*) FROM log"), run, "{point} {keys}");
    }
}

#[test]
fn who_dies_at_a_repeatable_file_applies_it_once() {
    for point in [
        "after_statement",
        "before_commit",
        "after_commit",
        "after_effect",
    ] {
        let site = Site::new();
        site.sql(LOG);
        log(&site, "db/R__x.sql", "one");
        migrate(&site, "flyway", "db/*.sql", "").exits(0);
        log(&site, "db/R__x.sql", "two");
        let killed = site
            .command(&["run", "runbook.toml", "--headless", "--runs-dir", "runs"])
            .env("STAGEGATE_DIE_AT", point)
            .output()
            .unwrap();
        assert_eq!(crate::site::ended(killed).signal, Some(9), "{point}");
        site.resume().exits(0);
        assert_eq!(logged(&site), "one,two", "{point}");
        assert_eq!(ledger(&site, "applied"), "db/R__x.sql", "{point}");
    }
}

#[test]
fn repeatable_files_run_by_psql_make_way_too() {
    let site = Site::new();
    site.sql(LOG);
    log(&site, "db/R__x.sql", "one");
    migrate(&site, "flyway", "db/*.sql", "engine = \"psql\"").exits(0);
    log(&site, "db/R__x.sql", "two");
    site.run().exits(0).shows("1 files applied");
    assert_eq!(logged(&site), "one,two");
    // One whose statement no transaction can hold does so as well.
    site.write("db/R__y.sql", "VACUUM log;");
    migrate(&site, "flyway", "db/*.sql", "").exits(0);
    site.write("db/R__y.sql", "VACUUM (ANALYZE) log;");
    site.run().exits(0).shows("1 files applied");
    assert_eq!(ledger(&site, "applied"), "db/R__x.sql,db/R__y.sql");
}

#[test]
fn what_is_adopted_is_adopted_in_the_rehearsal_too() {
    let site = flyway_site();
    site.write("db/V4__t.sql", "CREATE TABLE t (n int);");
    site.write("db/U3__x.sql", "DELETE FROM log WHERE n = '3';");
    site.write("db/U4__t.sql", "DROP TABLE t;");
    site.write(
        "db/R__v.sql",
        "CREATE OR REPLACE VIEW v AS SELECT n FROM log;",
    );
    site.runbook(
        "[[phase.gate]]\nid = \"dump\"\ntitle = \"Backup\"\n[phase.gate.backup]\n\
         target = \"db\"\npath = \"backups\"\n\
         [[phase.gate]]\nid = \"try\"\ntitle = \"Rehearse\"\n[phase.gate.rehearse]\n\
         backup = \"dump\"\n\
         [[phase.gate]]\nid = \"mig\"\ntitle = \"Migrate\"\n[phase.gate.migrate]\n\
         target = \"db\"\nstyle = \"flyway\"\nfiles = [\"db/*.sql\"]\n\
         adopt = \"flyway_schema_history\"\n\
         [[rollback]]\nid = \"back\"\ntitle = \"Back\"\nscope = \"partial\"\n\
         valid_from = \"mig\"\nexpect_duration = \"1m\"\n[[rollback.gate]]\nid = \"down\"\n\
         title = \"Down\"\n[rollback.gate.migrate]\ntarget = \"db\"\nstyle = \"flyway\"\n\
         files = [\"db/*.sql\"]\nundoes = [\"mig\"]\n",
    );
    site.run().exits(0).shows("3 files applied");
    let seen = site.evidence("try-1.json").to_string();
    assert!(
        seen.contains("it is applied whenever it has changed"),
        "{seen}"
    );
    assert_eq!(logged(&site), "3");
    assert_eq!(ledger(&site, "baseline"), "db/V1__x.sql,db/V2__x.sql");
}

/// A run whose way back has the same style.
fn there_and_back(site: Site, style: &str, files: &str, more: &str) -> Bench {
    let runbook = format!(
        "format = 1\ntitle = \"There and back\"\n[target.db]\nurl = \"env:DB\"\n\
         environment = \"production\"\n[[phase]]\nid = \"forward\"\ntitle = \"Forward\"\n\
         [[phase.gate]]\nid = \"up\"\ntitle = \"Up\"\n[phase.gate.migrate]\ntarget = \"db\"\n\
         style = \"{style}\"\nfiles = [\"{files}\"]\n{more}\n\
         [[phase.gate]]\nid = \"look\"\ntitle = \"Look\"\n\
         query = {{ target = \"db\", sql = \"SELECT 1\", expect = {{ value = \"= 1\" }} }}\n\
         [[rollback]]\nid = \"some\"\ntitle = \"Some\"\nscope = \"partial\"\nvalid_from = \"up\"\n\
         expect_duration = \"5m\"\n[[rollback.gate]]\nid = \"down\"\ntitle = \"Down\"\n\
         migrate = {{ target = \"db\", style = \"{style}\", files = [\"{files}\"], \
         undoes = [\"up\"] }}\n"
    );
    let path = site.write("runbook.toml", &runbook);
    let runtime = Runtime::new().unwrap();
    let handle = start(&site, &runtime, Which::New(path));
    Bench {
        site,
        runtime,
        handle,
    }
}

#[test]
fn every_style_finds_its_own_way_back() {
    let (create, drop) = ("CREATE TABLE t (n int);", "DROP TABLE t;");
    let both = format!("-- migrate:up\n{create}\n-- migrate:down\n{drop}\n");
    for (style, up, down) in [
        ("numbered", "001_t.sql", "001_t.down.sql"),
        ("flyway", "V1__t.sql", "U1.0__gone.sql"),
        ("golang-migrate", "1_t.up.sql", "1_t.down.sql"),
        ("dbmate", "1_t.sql", "1_t.sql"),
    ] {
        let site = crate::rollback::site();
        if up == down {
            site.write(&format!("db/{up}"), &both);
        } else {
            site.write(&format!("db/{up}"), create);
            site.write(&format!("db/{down}"), drop);
        }
        let bench = there_and_back(site, style, "db/*.sql", "");
        bench.passes("up");
        let up = format!("db/{up}");
        bench.back("some", &[&up]).unwrap();
        bench.passes("down");
        let gone = bench.site.one_in("shop", "SELECT to_regclass('t') IS NULL");
        assert_eq!(gone, "t", "{style}");
        let rows = "SELECT string_agg(state || ' ' || file, ',' ORDER BY applied_at) \
                    FROM stagegate.ledger";
        assert_eq!(
            bench.site.one_in("shop", rows),
            format!("reverted {up},undo db/{down}"),
            "{style}"
        );
    }
}

#[test]
fn sqitch_reverts_and_what_has_no_way_back_is_said() {
    let site = crate::rollback::site();
    sqitch(&site);
    let bench = there_and_back(site, "sqitch", "db/sqitch.plan", "");
    bench.passes("up");
    let both = ["db/deploy/users.sql", "db/deploy/app/log.sql"];
    bench.back("some", &both).unwrap();
    bench.passes("down");
    let gone = "SELECT to_regclass('users') IS NULL AND to_regclass('log') IS NULL";
    assert_eq!(bench.site.one_in("shop", gone), "t");

    let site = crate::rollback::site();
    let text = "-- migrate:up\nCREATE TABLE t (n int);\n-- migrate:down\n\n";
    site.write("db/1_t.sql", text);
    let bench = there_and_back(site, "dbmate", "db/*.sql", "");
    bench.passes("up");
    bench.back("some", &["db/1_t.sql"]).unwrap();
    let snapshot = bench.gate("down");
    assert_eq!(snapshot.run.gate("down").unwrap().state, GateState::Failed);
    let said = bench.finding("down");
    assert!(
        said.contains("has no statements behind `-- migrate:down`"),
        "{said}"
    );
    assert_eq!(bench.site.one_in("shop", "SELECT count(*) FROM t"), "0");
}

#[test]
fn what_was_adopted_can_be_undone() {
    let site = crate::rollback::site();
    site.sql_in("shop", "CREATE TABLE t (n int)");
    site.write("db/V1__t.sql", "CREATE TABLE t (n int);");
    site.write("db/U1__t.sql", "DROP TABLE t;");
    let bench = there_and_back(site, "flyway", "db/*.sql", "baseline = \"1\"");
    bench.passes("up");
    bench.back("some", &["db/V1__t.sql"]).unwrap();
    bench.passes("down");
    assert_eq!(
        bench.site.one_in("shop", "SELECT to_regclass('t') IS NULL"),
        "t"
    );
    let rows = "SELECT string_agg(state || ' ' || file, ',' ORDER BY applied_at) \
                FROM stagegate.ledger";
    assert_eq!(
        bench.site.one_in("shop", rows),
        "reverted db/V1__t.sql,undo db/U1__t.sql"
    );
}
