//! `engine = "psql"`: psql runs the files, and the ledger keeps its rules.

use stagegate::postgres::cluster::{Cluster, ClusterOptions};

use crate::site::{Site, ended, names};

const MIGRATE: &str = "[[phase.gate]]\nid = \"mig\"\ntitle = \"Migrate\"\n[phase.gate.migrate]\n\
                       target = \"db\"\nfiles = [\"db/*.sql\"]\nengine = \"psql\"\nattempts = 2\n";

fn site() -> Site {
    let site = Site::new();
    site.runbook(MIGRATE);
    site
}

const APPLIED: &str = "SELECT string_agg(file || ' ' || state, ', ' ORDER BY file, state) \
                       FROM stagegate.ledger";

#[test]
fn its_commands_run_in_the_files_transaction() {
    let site = site();
    site.write(
        "db/1.sql",
        "\\set name 'odd ''name'\nCREATE TABLE t (n int, word text);\n\
         SELECT 3 AS rows, true AS some \\gset\n\\if :some\nINSERT INTO t SELECT g, :'name' FROM \
         generate_series(1, :'rows'::int) g;\n\\else\nSELECT 1/0;\n\\endif\n\\restrict abc\n\
         COPY t (n, word) FROM stdin;\n7\tseven\n\\.\n\\unrestrict abc\n",
    );
    site.write(
        "db/2.sql",
        "SELECT format('CREATE TABLE made_%s (n int)', n) FROM t WHERE n < 3 \\gexec\n",
    );
    site.run().exits(0).shows("2 files applied");
    let seen = "SELECT string_agg(n || word, ',' ORDER BY n) FROM t";
    assert_eq!(site.one(seen), "1odd 'name,2odd 'name,3odd 'name,7seven");
    let made = "SELECT concat_ws(',', to_regclass('made_1'), to_regclass('made_2'))";
    assert_eq!(site.one(made), "made_1,made_2");
    assert_eq!(site.one(APPLIED), "db/1.sql applied, db/2.sql applied");
    let left: Vec<String> = names(&site.run_folder())
        .into_iter()
        .filter(|name| name.starts_with("psql-"))
        .collect();
    assert!(left.is_empty(), "{left:?}");
    site.run().exits(0).shows("2 were applied before");
}

#[test]
fn an_error_is_told_with_its_place_and_leaves_nothing() {
    let site = site();
    site.write(
        "db/1.sql",
        "CREATE TABLE t (n int);\n\nSELECT wrong\nFROM t;\n",
    );
    site.run()
        .exits(4)
        .says("db/1.sql:")
        .says("column \"wrong\" does not exist (42703)")
        .says("left nothing behind, says the ledger");
    assert_eq!(site.one("SELECT to_regclass('t') IS NULL"), "t");
    assert_eq!(site.one(APPLIED), "db/1.sql void");
    site.write("db/1.sql", "CREATE TABLE t (n int);\n");
    site.resume().exits(0);
    assert_eq!(site.one("SELECT to_regclass('t')"), "t");
}

#[test]
fn what_leaves_its_session_or_was_not_reviewed_is_refused() {
    let site = site();
    for (text, said) in [
        ("\\! touch pwned\n", "a command of the operating system"),
        (
            "SELECT 1;\n\\connect other\n",
            "db/1.sql:2: `\\connect` may not be run",
        ),
        ("\\i more.sql\n", "was not reviewed"),
        (
            "CREATE TABLE t (n int);\nCOMMIT;\n",
            "db/1.sql:2: `COMMIT` would begin or end",
        ),
        (
            "CREATE INDEX CONCURRENTLY i ON t (n);\n",
            "engine = \"native\"",
        ),
        (
            "\\if false\nCOPY t FROM stdin;\n\\else\n\\! touch pwned\n\\.\n\\endif\n",
            "inside of `\\if`",
        ),
        (
            "\\set q x\nSELECT :'q' || ' \\! touch pwned #';\n",
            "could be a command to psql",
        ),
        ("\\set q x\nSELECT :q;\n", "is read as SQL once more"),
        ("\\encoding SJIS\n", "none of the psql commands"),
        ("\\set 'ON_ERROR_STOP' off\n", "lower case, without quotes"),
        ("\\set ON_ERROR_STOP off\n", "lower case, without quotes"),
        ("SET lock_timeout = 0;\n", "keeps others safe"),
        (
            "SELECT 1 \\; COMMIT \\; SELECT 2;\n",
            "hides several statements",
        ),
    ] {
        site.write("db/1.sql", text);
        site.run().exits(4).says(said).says("nothing was run");
    }
}

#[test]
fn a_commit_that_was_made_up_at_the_last_moment_is_refused_by_the_database() {
    let site = site();
    site.write(
        "db/1.sql",
        "CREATE TABLE t (n int);\nSELECT 'COMMIT' \\gexec\nCREATE TABLE u (n int);\n",
    );
    site.run().exits(4).says("ledger_ticket_fkey");
    let there = "SELECT concat_ws(',', to_regclass('t'), to_regclass('u'))";
    assert_eq!(site.one(there), "");
    site.write(
        "db/1.sql",
        "CREATE TABLE t (n int);\nSELECT 'ROLLBACK' \\gexec\nCREATE TABLE u (n int);\n",
    );
    site.resume().exits(4).says("read-only transaction");
    assert_eq!(site.one(there), "");
    site.write(
        "db/1.sql",
        "SELECT set_config('lock_timeout', '0', true);\nCREATE TABLE t (n int);\n",
    );
    site.resume()
        .exits(4)
        .says("lock_timeout was changed in it");
    assert_eq!(site.one(there), "");
}

#[test]
fn killed_with_psql_at_work_it_is_found_out_by_the_ledger() {
    let site = site();
    site.write("db/1.sql", "CREATE TABLE one (n int);");
    site.write("db/2.sql", "CREATE TABLE two (n int);");
    site.dies_at("after_effect");
    site.resume().exits(0);
    let applied = "SELECT string_agg(file, ',' ORDER BY file) FROM stagegate.ledger \
                   WHERE state = 'applied'";
    assert_eq!(site.one(applied), "db/1.sql,db/2.sql");
}

#[test]
fn it_waits_for_a_lock_no_longer_than_it_may_and_tries_again() {
    let site = site();
    site.runbook(&format!("{MIGRATE}lock_timeout = \"200ms\"\n"));
    site.sql("CREATE TABLE t (n int)");
    site.write("db/1.sql", "ALTER TABLE t ADD COLUMN more int;");
    let other = site.hold_open("postgres");
    site.runtime()
        .block_on(other.client.batch_execute("BEGIN; SELECT * FROM t"))
        .unwrap();
    site.run().exits(4).says("(55P03)");
    assert!(site.output("mig-1.log").contains("attempt 2 of 2"));
    site.runtime()
        .block_on(other.client.batch_execute("COMMIT"))
        .unwrap();
    site.resume().exits(0);
}

#[test]
fn a_password_reaches_it_by_a_file_of_its_own() {
    let cluster = Cluster::start(&ClusterOptions {
        listen_tcp: true,
        ..ClusterOptions::default()
    })
    .unwrap();
    cluster
        .place_file(
            "pg_hba.conf",
            b"local all all trust\nhost all all all scram-sha-256\n",
        )
        .unwrap();
    let site = Site::on(cluster);
    site.runbook(MIGRATE);
    site.sql("CREATE ROLE guarded SUPERUSER LOGIN PASSWORD 'canary-secret'");
    site.sql("SELECT pg_reload_conf()");
    site.write(
        "db/1.sql",
        "SELECT current_user AS who \\gset\n\\echo ran as :who\n",
    );
    let url = format!(
        "postgresql://guarded:canary-secret@127.0.0.1:{}/postgres?sslmode=disable",
        site.cluster.port()
    );
    let run = ended(
        site.command(&["run", "runbook.toml", "--headless", "--runs-dir", "runs"])
            .env("DB", &url)
            .output()
            .unwrap(),
    );
    assert_eq!(run.code, Some(0), "{}{}", run.out, run.err);
    assert!(site.output("mig-1.log").contains("ran as guarded"));
    for entry in walk(&site.run_folder()) {
        let text = std::fs::read(&entry).unwrap();
        let secret = b"canary-secret";
        assert!(
            !text.windows(secret.len()).any(|w| w == secret),
            "{entry:?}"
        );
    }
}

fn walk(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(walk(&path));
        } else if path.is_file() {
            found.push(path);
        }
    }
    found
}
