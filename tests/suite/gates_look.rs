//! Gates that look: query, file and exec, by the real binary against a real server.

use crate::site::Site;

fn query(site: &Site, body: &str) -> crate::site::Ended {
    site.gate(&format!("[phase.gate.query]\ntarget = \"db\"\n{body}"))
}

#[test]
fn a_query_passes_fails_and_is_inconclusive() {
    let site = Site::new();
    query(&site, "sql = \"SELECT 0\"\nexpect = { value = \"= 0\" }").exits(0);
    query(&site, "sql = \"SELECT 2\"\nexpect = { value = \"= 0\" }")
        .exits(4)
        .says("the value is 2, expected = 0");
    for none in [
        "SELECT NULL",
        "SELECT 1 WHERE false",
        "SELECT 'NaN'::float8",
    ] {
        query(
            &site,
            &format!("sql = \"{none}\"\nexpect = {{ value = \"= 0\" }}"),
        )
        .exits(4)
        .says("inconclusive");
    }
    query(
        &site,
        "sql = \"VALUES (1), (2)\"\nexpect = { rows = \">= 3\" }",
    )
    .exits(4)
    .says("2 rows, expected >= 3");
    query(
        &site,
        "sql = \"VALUES ('a', NULL)\"\nexpect = { table = [[\"a\", \"NULL\"]] }",
    )
    .exits(0);
    query(
        &site,
        "sql = \"SELECT * FROM nothing\"\nexpect = { rows = 0 }",
    )
    .exits(4)
    .says("relation \"nothing\" does not exist");
}

#[test]
fn the_result_is_kept_as_evidence() {
    let site = Site::new();
    let sql = "SELECT g, E'esc\\\\x1b[2J' FROM generate_series(1, 1000) g";
    query(
        &site,
        &format!("sql = \"{sql}\"\nexpect = {{ rows = 1000 }}"),
    )
    .exits(0);
    let evidence = site.evidence("gate-1.json");
    let rows = &evidence["answer"]["rows"];
    assert_eq!(rows["total"], 1000);
    assert_eq!(rows["rows"].as_array().unwrap().len(), 200);
    assert_eq!(rows["rows"][0][1], "esc␛[2J");
}

#[test]
fn a_query_changes_nothing() {
    let site = Site::new();
    site.sql("CREATE TABLE t (a int); CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'INSERT INTO t VALUES (1) RETURNING a'");
    query(&site, "sql = \"SELECT f()\"\nexpect = { value = \"= 1\" }")
        .exits(4)
        .says("25006");
    // A privilege test runs read-write, and is rolled back as well.
    query(
        &site,
        "sql = \"INSERT INTO t VALUES (1)\"\nexpect = { error = { sqlstate = \"23505\" } }",
    )
    .exits(4)
    .says("the statement succeeded");
    assert_eq!(site.one("SELECT count(*) FROM t"), "0");
}

#[test]
fn one_statement_and_no_more() {
    let site = Site::new();
    for sql in ["SELECT 1; SELECT 2", "COMMIT", "\\\\! id"] {
        query(&site, &format!("sql = \"{sql}\"\nexpect = {{ rows = 1 }}")).exits(4);
    }
}

#[test]
fn a_role_test_must_be_able_to_fail() {
    let site = Site::new();
    site.sql(
        "CREATE ROLE reader; CREATE ROLE owner_r; CREATE ROLE passing BYPASSRLS; \
         CREATE ROLE boss SUPERUSER; \
         CREATE TABLE t (a int); ALTER TABLE t OWNER TO owner_r; \
         CREATE TABLE open_t (a int); GRANT SELECT ON open_t TO reader;",
    );
    let as_role = |role: &str, table: &str| {
        query(
            &site,
            &format!(
                "role = \"{role}\"\nsql = \"SELECT count(*) FROM {table}\"\n\
                 expect = {{ error = {{ sqlstate = \"42501\", routine = \"aclcheck_error\" }} }}"
            ),
        )
    };
    as_role("reader", "t").exits(0);
    as_role("reader", "open_t")
        .exits(4)
        .says("the statement succeeded");
    as_role("reader", "missing").exits(4).says("42P01");
    as_role("owner_r", "t").exits(4).says("`owner_r` owns t");
    as_role("passing", "t").exits(4).says("BYPASSRLS");
    as_role("boss", "t").exits(4).says("is a superuser");
    as_role("nobody_here", "t")
        .exits(4)
        .says("there is no role `nobody_here`");
    // Without a role, the user that connects is the one that is tested.
    query(
        &site,
        "sql = \"SELECT count(*) FROM t\"\nexpect = { error = { sqlstate = \"42501\" } }",
    )
    .exits(4)
    .says("is a superuser");
}

#[test]
fn a_role_that_cannot_be_taken_on_proves_nothing() {
    let site = Site::new();
    site.sql("CREATE ROLE login_r LOGIN; CREATE ROLE other; CREATE TABLE t (a int)");
    site.runbook(
        "[[phase.gate]]\nid = \"gate\"\ntitle = \"Gate\"\n[phase.gate.query]\ntarget = \"db\"\n\
         role = \"other\"\nsql = \"SELECT * FROM t\"\nexpect = { error = { sqlstate = \"42501\" } }\n",
    );
    let url = site.cluster.url("postgres", "login_r");
    let output = site
        .command(&["run", "runbook.toml", "--headless", "--runs-dir", "runs"])
        .env("DB", url)
        .output()
        .unwrap();
    crate::site::ended(output)
        .exits(4)
        .says("the role `other` cannot be taken on");
}

#[test]
fn a_gate_that_looks_is_tried_again_where_the_runbook_says_so() {
    let site = Site::new();
    site.gate("retry = { attempts = 3, every = \"10ms\" }\n[phase.gate.file]\npath = \"never\"\n")
        .exits(4)
        .shows("started, attempt 3");
}

#[test]
fn a_file_is_judged_by_its_lines() {
    let site = Site::new();
    site.write(
        "log.md",
        "# done\nall well\nERROR: one \x1b[31mred\x1b[0m\n",
    );
    let file = |body: &str| site.gate(&format!("[phase.gate.file]\npath = \"log.md\"\n{body}"));
    file("contains = [\"^# done\"]").exits(0);
    file("lacks = [\"ERROR.*\"]")
        .exits(4)
        .says("line 3: ERROR: one ␛[31mred");
    file("contains = [\"missing\"]")
        .exits(4)
        .says("`missing` is not in the file");
    file("exists = false").exits(4).says("the file exists");
    site.gate("[phase.gate.file]\npath = \"none.md\"")
        .exits(4)
        .says("does not exist");
}

#[test]
fn a_program_is_judged_by_its_end_and_its_output() {
    let site = Site::new();
    let exec = |body: &str| site.gate(&format!("[phase.gate.exec]\n{body}"));
    exec("argv = [\"sh\", \"-c\", \"echo one; echo two >&2\"]\nexpect = { stdout_last_line = \"one\" }")
        .exits(0);
    assert_eq!(site.evidence("gate-1.json")["seen"]["stderr"], "two\n");
    exec("argv = [\"sh\", \"-c\", \"exit 3\"]")
        .exits(4)
        .says("exited with 3");
    exec("argv = [\"sh\", \"-c\", \"exit 3\"]\nexpect = { exit = [0, 3] }").exits(0);
    exec("argv = [\"sh\", \"-c\", \"kill -9 $$\"]")
        .exits(4)
        .says("signal 9");
    exec("argv = [\"no-such-program\"]")
        .exits(4)
        .says("there is no program");
    exec("argv = [\"env\"]\nexpect = { stdout_lacks = \"HOME=\" }").exits(0);
    exec("argv = [\"env\"]\nenv = [\"HOME\"]\nexpect = { stdout_contains = \"HOME=\" }").exits(0);
    site.gate("timeout = \"100ms\"\n[phase.gate.exec]\nargv = [\"sleep\", \"60\"]")
        .exits(4)
        .says("took longer than the gate allows");
    exec("argv = [\"printf\", \"a\\u001b]0;title\\u0007b\\n\"]").exits(0);
    assert!(site.output("gate-1.log").contains("a␛]0;title␇b"));
}
