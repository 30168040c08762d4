//! Gates that act: backup and migrate, by the real binary against a real server.

use std::os::unix::fs::PermissionsExt as _;

use crate::site::{Site, ended, names};

const MIGRATE: &str = "[[phase.gate]]\nid = \"mig\"\ntitle = \"Migrate\"\n[phase.gate.migrate]\n\
                       target = \"db\"\nfiles = [\"db/*.sql\"]\n";

fn migrate(site: &Site) -> crate::site::Ended {
    site.runbook(MIGRATE);
    site.run()
}

#[test]
fn files_are_applied_once_and_in_order() {
    let site = Site::new();
    site.write("db/10.sql", "INSERT INTO log VALUES (10);");
    site.write(
        "db/02.sql",
        "CREATE TABLE log (n int); INSERT INTO log VALUES (2);",
    );
    site.write("db/9.sql", "INSERT INTO log VALUES (9);");
    migrate(&site).exits(0).shows("3 files applied");
    assert_eq!(
        site.one("SELECT string_agg(n::text, ',' ORDER BY ctid) FROM log"),
        "2,10,9"
    );
    let rows = "SELECT count(*) FROM stagegate.ledger WHERE state = 'applied'";
    assert_eq!(site.one(rows), "3");
    migrate(&site)
        .exits(0)
        .shows("0 files applied in 0.0 s, 3 were applied before");
    site.write("db/99.sql", "INSERT INTO log VALUES (99);");
    migrate(&site).exits(0).shows("1 files applied");
    assert_eq!(site.one("SELECT count(*) FROM log"), "4");
}

#[test]
fn a_failing_statement_is_shown_with_its_place_and_leaves_nothing() {
    let site = Site::new();
    site.write("db/1.sql", "CREATE TABLE kept (n int);");
    site.write(
        "db/2.sql",
        "CREATE TABLE gone (n int);\n\n-- a comment\nINSERT INTO gone (n,\n  wrong)\nVALUES (1, 2);\n",
    );
    site.write("db/3.sql", "CREATE TABLE later (n int);");
    migrate(&site)
        .exits(4)
        .says("db/2.sql:5: column \"wrong\" of relation \"gone\" does not exist (42703)")
        .says("  5 |   wrong)")
        .says("    |   ^")
        .says("1 files before it are applied, 1 after it were not started");
    let there =
        "SELECT concat_ws(',', to_regclass('kept'), to_regclass('gone'), to_regclass('later'))";
    assert_eq!(site.one(there), "kept");
    assert_eq!(
        site.one("SELECT string_agg(file, ',') FROM stagegate.ledger"),
        "db/1.sql"
    );
    site.write("db/2.sql", "CREATE TABLE gone (n int);");
    site.resume().exits(0).shows("2 files applied");
}

#[test]
fn what_leaves_the_transaction_is_refused_before_anything_runs() {
    let site = Site::new();
    site.write("db/1.sql", "CREATE TABLE t (n int);");
    for (text, said) in [
        (
            "CREATE TABLE u (n int);\nCOMMIT;\n",
            "db/2.sql:2: `COMMIT` would begin or end",
        ),
        ("\\i other.sql\n", "db/2.sql:1: `\\i` is a command of psql"),
        (
            "SELECT 1;\nCREATE INDEX CONCURRENTLY i ON t (n);",
            "cannot run inside a transaction",
        ),
        (
            "COPY t FROM '/etc/passwd';",
            "works on the database server's own host",
        ),
        ("SELECT 'open", "never ends"),
    ] {
        site.write("db/2.sql", text);
        migrate(&site).exits(4).says(said).says("nothing was run");
    }
    assert_eq!(site.one("SELECT to_regclass('t') IS NULL"), "t");
    site.write(
        "db/2.sql",
        "\\restrict x\nCOPY t FROM stdin;\n7\n8\n\\.\n\\unrestrict x\n",
    );
    migrate(&site).exits(0);
    assert_eq!(site.one("SELECT sum(n) FROM t"), "15");
}

#[test]
fn changed_missing_and_out_of_order_files_are_refused() {
    let site = Site::new();
    site.write("db/2.sql", "CREATE TABLE t (n int);\n");
    migrate(&site).exits(0);
    site.write("db/2.sql", "CREATE TABLE t (n int);\r\n");
    migrate(&site).exits(0);
    site.write("db/2.sql", "CREATE TABLE t (n bigint);\n");
    migrate(&site)
        .exits(4)
        .says("db/2.sql was applied on")
        .says("has changed since");
    site.write("db/2.sql", "CREATE TABLE t (n int);\n");
    site.write("db/1.sql", "CREATE TABLE u (n int);\n");
    migrate(&site)
        .exits(4)
        .says("db/1.sql is out of order: db/2.sql is applied already");
    site.runbook(&format!("{MIGRATE}out_of_order = \"allow\"\n"));
    site.run().exits(0);
    std::fs::remove_file(site.path("db/1.sql")).unwrap();
    migrate(&site)
        .exits(4)
        .says("db/1.sql is in the ledger, but not among the files");
}

#[test]
fn a_lock_is_not_waited_for_for_long_and_tried_again() {
    let site = Site::new();
    site.sql("CREATE TABLE t (n int)");
    site.write("db/1.sql", "ALTER TABLE t ADD COLUMN m int;");
    site.runbook(&format!(
        "{MIGRATE}lock_timeout = \"100ms\"\nattempts = 2\n"
    ));
    let blocker = site.runtime().block_on(async {
        let session = crate::server::open(&crate::server::info(&site.cluster)).await;
        crate::server::run(&session, "BEGIN; LOCK TABLE t IN ACCESS SHARE MODE").await;
        session
    });
    site.run()
        .exits(4)
        .says("db/1.sql:1: canceling statement due to lock timeout (55P03)");
    assert!(site.output("mig-1.log").contains("attempt 2 of 2"));
    site.runtime().block_on(blocker.close());
    site.resume().exits(0);
    assert_eq!(site.one("SELECT count(m) FROM t"), "0");
}

#[test]
fn a_file_cannot_take_the_safety_off() {
    let site = Site::new();
    site.write(
        "db/1.sql",
        "SELECT set_config('lock_timeout', '0', false); CREATE TABLE t (n int);",
    );
    migrate(&site)
        .exits(4)
        .says("the file changed `lock_timeout` from `2s` to `0`");
    assert_eq!(site.one("SELECT to_regclass('t') IS NULL"), "t");
}

#[test]
fn a_setting_of_one_file_does_not_reach_the_next() {
    let site = Site::new();
    site.sql("CREATE SCHEMA s");
    site.write("db/1.sql", "SET search_path = s; CREATE TABLE one (n int);");
    site.write("db/2.sql", "CREATE TABLE two (n int);");
    migrate(&site).exits(0);
    let found = "SELECT concat_ws(',', to_regclass('s.one'), to_regclass('public.two'))";
    assert_eq!(site.one(found), "s.one,two");
}

#[test]
fn objects_belong_to_the_role_and_notices_are_kept() {
    let site = Site::new();
    site.sql("CREATE ROLE owner_r; GRANT CREATE ON SCHEMA public TO owner_r");
    site.write(
        "db/1.sql",
        "CREATE TABLE t (n int); DO $$ BEGIN RAISE NOTICE 'seen \x1b[2J'; END $$;",
    );
    site.runbook(&format!("{MIGRATE}role = \"owner_r\"\n"));
    site.run().exits(0);
    let owner = "SELECT tableowner FROM pg_tables WHERE tablename = 't'";
    assert_eq!(site.one(owner), "owner_r");
    assert!(site.output("mig-1.log").contains("NOTICE: seen ␛[2J"));
}

#[test]
fn a_deferred_constraint_is_refused_at_commit() {
    let site = Site::new();
    site.sql("CREATE TABLE a (id int PRIMARY KEY)");
    site.write(
        "db/1.sql",
        "CREATE TABLE b (a int REFERENCES a DEFERRABLE INITIALLY DEFERRED);\n\
         INSERT INTO b VALUES (1);\n",
    );
    migrate(&site)
        .exits(4)
        .says("COMMIT was refused")
        .says("23503");
    assert_eq!(site.one("SELECT count(*) FROM stagegate.ledger"), "0");
}

#[test]
fn a_standby_takes_no_changes() {
    let site = Site::new();
    site.write("db/1.sql", "CREATE TABLE t (n int);");
    site.sql("ALTER DATABASE postgres SET default_transaction_read_only = on");
    migrate(&site).exits(4).says("does not take changes");
}

const BACKUP: &str = "[[phase.gate]]\nid = \"dump\"\ntitle = \"Backup\"\n[phase.gate.backup]\n\
                      target = \"db\"\npath = \"backups\"\n";

#[test]
fn a_backup_has_a_manifest_that_is_true() {
    let site = Site::new();
    site.sql("CREATE TABLE t AS SELECT g, md5(g::text) FROM generate_series(1, 20000) g");
    site.runbook(BACKUP);
    site.run().exits(0).shows("1 tables, read back in full");
    let files = names(&site.path("backups"));
    assert_eq!(files.len(), 2);
    assert!(files[0].ends_with(".dump") && files[1].ends_with(".manifest.json"));
    let read = std::fs::read(site.path("backups").join(&files[0])).unwrap();
    let evidence = site.evidence("dump-1.json");
    let manifest = &evidence["manifest"];
    assert_eq!(
        manifest["files"][&files[0]]["sha256"],
        stagegate::digest::digest(&read)
    );
    assert_eq!(manifest["bytes"], read.len());
    assert!(manifest["wal_position"].as_str().unwrap().contains('/'));
    for file in &files {
        let mode = std::fs::metadata(site.path("backups").join(file))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }
}

#[test]
fn a_directory_backup_is_written_by_several_workers() {
    let site = Site::new();
    site.sql("CREATE TABLE t AS SELECT 1 AS a; CREATE TABLE u AS SELECT 2 AS b");
    site.runbook(&format!("{BACKUP}format = \"directory\"\njobs = 2\n"));
    site.run().exits(0);
    let evidence = site.evidence("dump-1.json");
    assert_eq!(evidence["manifest"]["files"].as_object().unwrap().len(), 3);
}

#[test]
fn a_dump_that_fails_leaves_nothing() {
    let site = Site::new();
    site.sql("CREATE ROLE weak LOGIN; CREATE TABLE secret (a int)");
    site.runbook(BACKUP);
    let output = site
        .command(&["run", "runbook.toml", "--headless", "--runs-dir", "runs"])
        .env("DB", site.cluster.url("postgres", "weak"))
        .output()
        .unwrap();
    ended(output)
        .exits(4)
        .says("permission denied for table secret")
        .says("GRANT pg_read_all_data");
    assert!(names(&site.path("backups")).is_empty());
}

#[test]
fn a_full_disk_leaves_no_backup() {
    let site = Site::new();
    site.sql("CREATE TABLE t AS SELECT g, md5(g::text), sha256(g::text::bytea) FROM generate_series(1, 60000) g");
    site.runbook(BACKUP);
    std::fs::create_dir(site.path("backups")).unwrap();
    // A mount of its own, seen by this one program alone.
    let script = format!(
        "mount -t tmpfs -o size=1m tmpfs '{}' && '{}' run runbook.toml --headless --runs-dir runs; \
         code=$?; ls -A '{0}' | wc -l; exit $code",
        site.path("backups").display(),
        crate::site::BINARY
    );
    let mut command = site.command(&[]);
    let mut unshare = std::process::Command::new("unshare");
    unshare
        .args(["--mount", "sh", "-c", &script])
        .current_dir(site.path(""));
    for (name, value) in command.get_envs() {
        unshare.env(name, value.unwrap_or_default());
    }
    command.arg("--version");
    ended(unshare.output().unwrap())
        .exits(4)
        .says("No space left")
        .shows("\n0\n");
}

#[test]
fn a_file_that_is_applied_under_another_name_is_not_applied_again() {
    let site = Site::new();
    site.sql("CREATE TABLE log (n int)");
    site.write("db/1.sql", "INSERT INTO log VALUES (1);");
    migrate(&site).exits(0);
    std::fs::rename(site.path("db/1.sql"), site.path("db/one.sql")).unwrap();
    let text = std::fs::read_to_string(site.path("runbook.toml")).unwrap();
    // Another gate does not know the first one's files, but it knows what was applied.
    site.write(
        "runbook.toml",
        &text.replace("id = \"mig\"", "id = \"next\""),
    );
    site.run()
        .exits(4)
        .says("db/one.sql is applied already as db/1.sql");
    assert_eq!(site.one("SELECT count(*) FROM log"), "1");
}

#[test]
fn a_commit_that_is_smuggled_in_is_noticed() {
    let site = Site::new();
    // With backslashes as escapes the server would see one string less, and a COMMIT.
    site.write(
        "db/1.sql",
        "SELECT set_config('standard_conforming_strings', 'off', false); CREATE TABLE t (n int);",
    );
    migrate(&site)
        .exits(4)
        .says("the file changed `standard_conforming_strings`");
    assert_eq!(site.one("SELECT to_regclass('t') IS NULL"), "t");
}
