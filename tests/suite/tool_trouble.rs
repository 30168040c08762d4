//! Tool gates whose tool is absent, asks, floods, lies, is killed, or changes its mind.

use std::os::unix::fs::PermissionsExt as _;
use std::process::Child;

use rustix::process::{Pid, Signal};
use stagegate::postgres::cluster::{Cluster, ClusterOptions};

use crate::site::{Ended, Site};
use crate::tool_world::{OUR_TOOL, done, gate, ours};

fn apply(site: &Site) -> Ended {
    site.runbook(&format!("{}{OUR_TOOL}", gate("gate", "ours", "apply", "")));
    site.run()
}

#[test]
fn a_program_that_is_not_there_is_refused_in_the_plan() {
    let site = ours();
    let tool = OUR_TOOL.replace("[\"./ours.sh\", \"apply\"]", "[\"no-such-tool\"]");
    site.runbook(&format!("{}{tool}", gate("gate", "ours", "apply", "")));
    site.stagegate(&["plan", "runbook.toml"])
        .shows("there is no program `no-such-tool`");
    site.run()
        .exits(4)
        .says("there is no program `no-such-tool`")
        .says("nothing was run");
    assert_eq!(done(&site), "");
}

#[test]
fn the_plan_shows_calls_sql_and_version() {
    let site = ours();
    site.runbook(&format!("{}{OUR_TOOL}", gate("gate", "ours", "apply", "")));
    site.stagegate(&["plan", "runbook.toml"])
        .exits(2)
        .shows("version  ours 1.0")
        .shows("./ours.sh apply")
        .shows("pending, 2")
        .shows("CREATE TABLE t2 (n int);")
        .shows("told     OURS_URL");
    assert_eq!(done(&site), "");
}

#[test]
fn a_question_that_nobody_answers_is_told() {
    let site = ours();
    site.write(
        "before_apply",
        "printf 'Apply 2 migrations? [y/N] '\nread answer || { echo aborted >&2; exit 3; }\n",
    );
    apply(&site)
        .exits(4)
        .says("ours exited with 3; 0 of 2 migrations applied")
        .says("it asked, and nobody could answer: Apply 2 migrations? [y/N]")
        .says("the schema is as it was before");
    assert_eq!(done(&site), "");
}

#[test]
fn a_flood_is_bounded_and_what_is_no_text_is_told() {
    let site = ours();
    site.write(
        "before_apply",
        "yes 'a line of a flood' | head -c 12000000\nprintf '\\377\\376 caf\\351\\n'\n",
    );
    apply(&site).exits(0).shows("2 migrations applied");
    let evidence = site.evidence("gate-1.json");
    let calls = evidence["calls"].as_array().unwrap();
    let call = calls.iter().find(|call| call["part"] == "apply").unwrap();
    assert_eq!(call["not_utf8"], true);
    assert!(call["seen"]["omitted_bytes"].as_u64().unwrap() > 11_000_000);
    assert!(call["seen"]["stdout"].as_str().unwrap().len() < 200_000);
    let log = site.output("gate-1.log");
    assert!(log.contains("longer than 10485760 bytes"));
    assert!(log.contains("its output is not UTF-8"));
    assert!(log.contains("caf\u{fffd}"));
    // A status of which the end is not read says nothing.
    site.write(
        "before_status",
        "yes 'a line of a flood' | head -c 12000000\n",
    );
    site.runbook(&format!("{}{OUR_TOOL}", gate("gate", "ours", "status", "")));
    site.run().exits(4).says("too long to be read whole");
}

#[test]
fn a_status_that_names_nothing_is_not_taken_for_nothing_pending() {
    let site = ours();
    let tool = OUR_TOOL
        .replace("^todo", "^pending")
        .replace("^done", "^applied");
    site.runbook(&format!("{}{tool}", gate("gate", "ours", "status", "")));
    site.run()
        .exits(4)
        .says("no line of its output names a migration")
        .says("does not mean that nothing is pending");
    let site = ours();
    site.write("before_status", "echo cannot connect >&2\nexit 7\n");
    apply(&site)
        .exits(4)
        .says("ours exited with 7 when it was asked for its status")
        .says("cannot connect");
}

#[test]
fn a_plan_that_changed_is_not_carried_out() {
    let site = ours();
    // The second time that it is asked, what is pending is something else.
    site.write(
        "before_status",
        "if [ -f asked ]; then echo 'CREATE TABLE t3 (n int);' >> m/2.sql; fi\n: > asked\n",
    );
    apply(&site)
        .exits(4)
        .says("what ours would do changed after its plan was shown")
        .says("nothing was run");
    assert_eq!(done(&site), "");
}

#[test]
fn it_is_not_believed() {
    let site = ours();
    site.write("before_apply", "echo all migrations applied\nexit 0\n");
    apply(&site)
        .exits(4)
        .says("ours ended well by its own word; 0 of 2 migrations applied")
        .says("not applied: 1, 2")
        .says("the schema is as it was before");
    // Something is there, and its status does not know it.
    site.write(
        "before_apply",
        "psql -Xqc 'CREATE TABLE half (n int)'\necho broken >&2\nexit 1\n",
    );
    site.resume()
        .exits(4)
        .says("something is half done")
        .says("the schema: added table public.half");
}

#[test]
fn what_only_looks_can_change_nothing() {
    let site = ours();
    site.write(
        "before_status",
        "psql -Xqc 'CREATE TABLE sneaked (n int)'\n",
    );
    apply(&site)
        .exits(4)
        .says("cannot execute CREATE TABLE in a read-only transaction");
    assert_eq!(site.one("SELECT to_regclass('sneaked') IS NULL"), "t");
}

fn killed(child: &mut Child) {
    let pid = Pid::from_raw(child.id() as i32).unwrap();
    rustix::process::kill_process(pid, Signal::KILL).unwrap();
    child.wait().unwrap();
}

const AT_WORK: &str = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep' \
                       AND application_name LIKE 'stagegate % tool gate'";

/// A place where the second migration waits until there is a row in `flag`, and a run that was
/// killed meanwhile.
fn killed_in_the_middle() -> Site {
    let site = ours();
    site.sql("CREATE TABLE flag ()");
    site.write(
        "m/2.sql",
        "CREATE TABLE t2 (n int);\nDO $$ BEGIN WHILE NOT EXISTS (SELECT FROM flag) LOOP \
         PERFORM pg_sleep(0.05); END LOOP; END $$;\n",
    );
    site.runbook(&format!("{}{OUR_TOOL}", gate("gate", "ours", "apply", "")));
    let arguments = ["run", "runbook.toml", "--headless", "--runs-dir", "runs"];
    let mut child = site.command(&arguments).spawn().unwrap();
    while site.one(AT_WORK) != "1" {
        assert!(child.try_wait().unwrap().is_none(), "it ended");
        std::thread::yield_now();
    }
    killed(&mut child);
    site
}

#[test]
fn killed_in_the_middle_the_status_says_that_it_committed() {
    let site = killed_in_the_middle();
    site.sql("INSERT INTO flag DEFAULT VALUES");
    site.resume()
        .exits(0)
        .shows("2 migrations applied")
        .shows("says its status");
    assert_eq!(done(&site), "1,2");
}

#[test]
fn killed_in_the_middle_a_half_is_left_to_a_person() {
    let site = killed_in_the_middle();
    let end = "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity \
               WHERE application_name LIKE 'stagegate % tool gate'";
    site.sql(end);
    site.resume()
        .exits(4)
        .says("nobody saw ours end; 1 of 2 migrations applied")
        .says("not applied: 2")
        .says("the schema: added table public.t1");
    site.sql("INSERT INTO flag DEFAULT VALUES");
    site.resume().exits(0).shows("1 migration applied");
    assert_eq!(done(&site), "1,2");
}

#[test]
fn killed_before_and_behind_its_program() {
    let site = ours();
    site.runbook(&format!("{}{OUR_TOOL}", gate("gate", "ours", "apply", "")));
    site.dies_at("tool_intent");
    assert_eq!(done(&site), "");
    site.resume().exits(0);
    assert_eq!(done(&site), "1,2");
    let site = ours();
    site.runbook(&format!("{}{OUR_TOOL}", gate("gate", "ours", "apply", "")));
    site.dies_at("tool_ran");
    assert_eq!(done(&site), "1,2");
    site.resume().exits(0).shows("says its status");
}

#[test]
fn taking_back_more_than_was_asked_for_fails() {
    let site = ours();
    apply(&site).exits(0);
    site.write(
        "before_back",
        "psql -Xqc \"DELETE FROM done WHERE id = '1'\"\n",
    );
    site.runbook(&format!("{}{OUR_TOOL}", gate("gate", "ours", "revert", "")));
    site.run().exits(4).says("taken back, and not asked for: 1");
}

#[test]
fn sql_from_its_output_is_looked_at_too() {
    let site = ours();
    site.sql("CREATE TABLE old (n int)");
    let tool = OUR_TOOL.replace(
        "sql = \"files:m/{id}.sql\"",
        "argv = [\"sh\", \"-c\", \"echo -- made at $(date +%s%N); echo 'DROP TABLE old;'\"]\n\
         sql = \"stdout\"\nvolatile = '^-- made at'",
    );
    site.runbook(&format!("{}{tool}", gate("gate", "ours", "apply", "")));
    site.run()
        .exits(4)
        .says("ours:2: DS102")
        .says("nothing was run");
    let allow = "allow = [{ file = \"ours\", hazard = \"DS102\", target = \"db\", \
                 predicate = \"SELECT true\", reason = \"old\" }]";
    site.runbook(&format!("{}{tool}", gate("gate", "ours", "apply", allow)));
    site.run().exits(0);
    let file = tool.replace("sql = \"stdout\"", "sql = \"file:m/1.sql\"");
    site.runbook(&format!("{}{file}", gate("gate", "ours", "plan", "")));
    let old = std::time::SystemTime::now() - std::time::Duration::from_secs(60);
    let written = std::fs::File::options()
        .append(true)
        .open(site.path("m/1.sql"));
    written.unwrap().set_modified(old).unwrap();
    site.run()
        .exits(4)
        .says("m/1.sql is older than the call that should have written it");
}

/// Everything in a folder as one text.
fn everything(folder: &std::path::Path) -> String {
    let mut all = String::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => all.push_str(&everything(&path)),
            false => all.push_str(&String::from_utf8_lossy(&std::fs::read(path).unwrap())),
        }
    }
    all
}

#[test]
fn the_password_reaches_it_and_is_written_nowhere() {
    let options = ClusterOptions {
        listen_tcp: true,
        ..ClusterOptions::default()
    };
    let cluster = Cluster::start(&options).unwrap();
    let rules = b"local all all trust\nhost all all all scram-sha-256\n";
    cluster.place_file("pg_hba.conf", rules).unwrap();
    let site = crate::tool_world::ours_on(Site::on(cluster));
    site.sql("CREATE ROLE app LOGIN SUPERUSER PASSWORD 's3:cr/et'");
    site.sql("SELECT pg_reload_conf()");
    // It shows what it was given, and fails.
    site.write(
        "before_apply",
        "echo \"url $OURS_URL\"\necho \"file $(cat \"$PGPASSFILE\")\" >&2\nls -l \"$PGPASSFILE\"\n\
         psql \"$OURS_URL\" -XAtc 'SELECT current_user'\nexit 9\n",
    );
    site.runbook(&format!("{}{OUR_TOOL}", gate("gate", "ours", "apply", "")));
    let port = site.cluster.port();
    let url = format!("postgresql://app:s3%3Acr%2Fet@127.0.0.1:{port}/postgres?sslmode=disable");
    let arguments = ["run", "runbook.toml", "--headless", "--runs-dir", "runs"];
    let output = site.command(&arguments).env("DB", url).output().unwrap();
    let ended = crate::site::ended(output).exits(4);
    let log = site.output("gate-1.log");
    assert!(log.contains("url postgresql://app:***@127.0.0.1:"), "{log}");
    assert!(log.contains("file *:*:*:*:***"), "{log}");
    assert!(log.contains("-rw-------"), "{log}");
    assert!(log.contains("\napp\n"), "{log}");
    let written = format!(
        "{}{}{}",
        everything(&site.path("runs")),
        ended.out,
        ended.err
    );
    for secret in ["s3:cr/et", "s3%3Acr%2Fet", "s3\\:cr/et"] {
        assert!(!written.contains(secret), "{secret} was written");
    }
    let mode = std::fs::metadata(site.run_folder())
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o700);
}
