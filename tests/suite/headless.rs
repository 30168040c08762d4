//! Headless runs and the command line, by the real binary: what they refuse, and how they exit.

use std::io::{BufRead as _, BufReader};

use crate::server;
use crate::site::{Site, ended};

const QUERY: &str = "[[phase.gate]]\nid = \"q\"\ntitle = \"Q\"\n[phase.gate.query]\n\
                     target = \"db\"\nsql = \"SELECT 1\"\nexpect = { value = 1 }\n";

#[test]
fn people_are_never_answered_for() {
    let site = Site::new();
    site.gate("[phase.gate.checklist]\nitems = [\"Somebody looked\"]")
        .exits(4)
        .says("gate `gate` needs a person: its items are confirmed by a person");
    site.gate("[phase.gate.signoff]\nroles = [\"dba\"]\nsignature = \"none\"")
        .exits(4)
        .says("it is signed by people at the console");
    let text = std::fs::read_to_string(site.path("runbook.toml")).unwrap();
    let acts = text
        .replace("\"staging\"", "\"production\"")
        .split("[[phase.gate]]")
        .next()
        .unwrap()
        .to_owned()
        + "[[phase.gate]]\nid = \"dump\"\ntitle = \"Dump\"\n[phase.gate.backup]\ntarget = \"db\"\npath = \"b\"\n";
    site.write("runbook.toml", &acts);
    site.run()
        .exits(4)
        .says("it acts on production, which a person confirms");
    assert!(!site.path("b").exists());
}

#[test]
fn a_run_ends_well_only_at_its_end() {
    let site = Site::new();
    site.runbook(QUERY);
    site.run().exits(0).shows("run closed");
    site.stagegate(&["runs", "--runs-dir", "runs"])
        .exits(0)
        .shows("closed");
    site.resume()
        .exits(1)
        .says("no run of runbook.toml is open");
}

#[test]
fn json_is_one_object_a_line() {
    let site = Site::new();
    site.runbook(QUERY);
    let out = site
        .stagegate(&[
            "run",
            "runbook.toml",
            "--headless",
            "--format",
            "json",
            "--runs-dir",
            "runs",
        ])
        .exits(0)
        .out;
    let lines: Vec<serde_json::Value> = out
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines[0]["event"]["type"], "run_opened");
    assert_eq!(lines.last().unwrap()["result"], "closed");
}

#[test]
fn configuration_is_refused_before_anything_starts() {
    let site = Site::new();
    let run = ["run", "runbook.toml", "--headless", "--runs-dir", "runs"];
    site.stagegate(&run).exits(78).says("runbook.toml");
    site.runbook("[[phase.gate]]\nid = \"q\"\n");
    site.run()
        .exits(78)
        .says("lacks `title`")
        .says("has no kind");
    site.runbook(QUERY);
    let unset = site.command(&run).env_remove("DB").output().unwrap();
    ended(unset)
        .exits(78)
        .says("DB")
        .says("nothing was started");
    assert!(!site.path("runs").exists());
    site.stagegate(&["run"]).exits(64);
    site.stagegate(&["fly"]).exits(64);
    site.stagegate(&["run", "runbook.toml"])
        .exits(64)
        .says("needs a terminal");
    site.stagegate(&["--help"]).exits(0).shows("Exit codes");
}

#[test]
fn check_reports_every_problem_and_exits_78() {
    let site = Site::new();
    site.runbook(QUERY);
    site.write("bad.toml", "format = 2\ntitle = 5\n");
    site.stagegate(&["check", "runbook.toml"])
        .exits(0)
        .shows("1 phases, 1 gates");
    site.stagegate(&["check", "runbook.toml", "bad.toml"])
        .exits(78)
        .says("bad.toml:1:10")
        .says("bad.toml:2:9")
        .says("nothing was started");
    let out = site
        .stagegate(&["check", "--format", "json", "bad.toml"])
        .exits(78)
        .out;
    let json: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(json["runbooks"][0]["problems"][0]["line"], 1);
}

#[test]
fn a_server_that_does_not_answer_is_said_plainly() {
    let site = Site::new();
    site.runbook(QUERY);
    let run = |url: &str| {
        let arguments = ["run", "runbook.toml", "--headless", "--runs-dir", "runs"];
        ended(site.command(&arguments).env("DB", url).output().unwrap())
    };
    run("postgresql://nobody@127.0.0.1:1/x")
        .exits(4)
        .says("db cannot be worked on");
    run(&site.cluster.url("missing", "postgres"))
        .exits(4)
        .says("missing");
    run(&site.cluster.url("postgres", "stranger"))
        .exits(4)
        .says("stranger");
}

#[test]
fn a_runs_folder_that_cannot_be_written() {
    let site = Site::new();
    site.runbook(QUERY);
    site.write("file", "");
    site.stagegate(&[
        "run",
        "runbook.toml",
        "--headless",
        "--runs-dir",
        "file/runs",
    ])
    .exits(1)
    .says("choose a folder that can be written");
}

#[test]
fn one_operator_a_target() {
    let site = Site::new();
    site.write("db/1.sql", "SELECT 1");
    site.runbook(
        "[[phase.gate]]\nid = \"mig\"\ntitle = \"M\"\n[phase.gate.migrate]\ntarget = \"db\"\n\
         files = [\"db/*.sql\"]\n",
    );
    let info = server::info(&site.cluster);
    let wait = std::time::Duration::from_secs(1);
    let lock = site
        .runtime()
        .block_on(stagegate::postgres::OperatorLock::acquire(
            &info,
            "other-run",
            wait,
        ))
        .unwrap();
    site.run()
        .exits(5)
        .says("db is held by another operator")
        .says("other-run");
    site.runtime().block_on(lock.release());
    site.resume().exits(0);
}

#[test]
fn one_writer_a_run() {
    let site = Site::new();
    site.gate("[phase.gate.checklist]\nitems = [\"x\"]")
        .exits(4);
    let journal = site.run_folder().join("journal.jsonl");
    let held = std::fs::File::open(&journal).unwrap();
    held.lock().unwrap();
    site.resume()
        .exits(5)
        .says("is open elsewhere: by ")
        .says("process ");
}

#[test]
fn a_torn_record_is_cut_and_any_other_damage_is_refused() {
    let site = Site::new();
    site.gate("[phase.gate.checklist]\nitems = [\"x\"]")
        .exits(4);
    let journal = site.run_folder().join("journal.jsonl");
    let whole = std::fs::read(&journal).unwrap();
    let mut torn = whole.clone();
    torn.extend_from_slice(b"{\"seq\":2,\"time\":\"20");
    std::fs::write(&journal, &torn).unwrap();
    site.resume().exits(4);
    assert!(
        crate::site::names(&site.run_folder())
            .iter()
            .any(|name| name.ends_with(".torn"))
    );
    let mut damaged = std::fs::read(&journal).unwrap();
    damaged[30] ^= 1;
    std::fs::write(&journal, &damaged).unwrap();
    let name = site
        .run_folder()
        .file_name()
        .unwrap()
        .to_str()
        .unwrap()
        .to_owned();
    site.stagegate(&["run", "--resume", &name, "--headless", "--runs-dir", "runs"])
        .exits(1)
        .says("the journal is refused at record 1: its hash does not match its content");
}

#[test]
fn an_interrupted_run_rolls_back_and_can_be_resumed() {
    let site = Site::new();
    site.write("db/1.sql", "CREATE TABLE t (n int); SELECT pg_sleep(60);");
    site.runbook(
        "[[phase.gate]]\nid = \"mig\"\ntitle = \"M\"\n[phase.gate.migrate]\ntarget = \"db\"\n\
         files = [\"db/*.sql\"]\n",
    );
    let mut child = site
        .command(&["run", "runbook.toml", "--headless", "--runs-dir", "runs"])
        .spawn()
        .unwrap();
    let sleeping = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'";
    while site.one(sleeping) != "1" {}
    let pid = rustix::process::Pid::from_raw(child.id() as i32).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    let out: Vec<String> = BufReader::new(child.stdout.take().unwrap())
        .lines()
        .map(Result::unwrap)
        .collect();
    assert_eq!(child.wait().unwrap().code(), Some(130), "{out:?}");
    assert!(
        out.iter()
            .any(|line| line.contains("canceled: canceled; 0 files are applied"))
    );
    assert_eq!(site.one("SELECT to_regclass('t') IS NULL"), "t");
    assert_eq!(site.one(sleeping), "0");
    site.write("db/1.sql", "CREATE TABLE t (n int);");
    site.resume().exits(0);
}

#[test]
fn a_passed_gate_whose_files_changed_is_stale() {
    let site = Site::new();
    site.write("db/1.sql", "CREATE TABLE t (n int);");
    site.runbook(
        "[[phase.gate]]\nid = \"mig\"\ntitle = \"M\"\n[phase.gate.migrate]\ntarget = \"db\"\n\
         files = [\"db/*.sql\"]\n[[phase.gate]]\nid = \"f\"\ntitle = \"F\"\n[phase.gate.file]\n\
         path = \"late\"\n",
    );
    site.run().exits(4);
    site.write("db/2.sql", "CREATE TABLE u (n int);");
    site.write("late", "");
    site.resume()
        .exits(0)
        .shows("stale: its files have changed")
        .shows("1 files applied");
}

#[test]
fn no_secret_is_written_anywhere() {
    let site = Site::new();
    let secret = "hunter2-canary";
    site.runbook(&format!("{QUERY}[[phase.gate]]\nid = \"dump\"\ntitle = \"D\"\n[phase.gate.backup]\ntarget = \"db\"\npath = \"b\"\n"));
    let url = site
        .cluster
        .url("postgres", "postgres")
        .replace("postgres@", &format!("postgres:{secret}@"));
    assert!(url.contains(secret));
    let arguments = ["run", "runbook.toml", "--headless", "--runs-dir", "runs"];
    let done = ended(site.command(&arguments).env("DB", &url).output().unwrap()).exits(0);
    assert!(!done.out.contains(secret) && !done.err.contains(secret));
    let found = std::process::Command::new("grep")
        .args(["-r", "-l", secret])
        .arg(site.path(""))
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&found.stdout), "");
}

#[test]
fn a_gate_that_passed_on_another_server_is_stale() {
    let (first, second) = (Site::new(), Site::new());
    first.runbook(&format!(
        "{QUERY}[[phase.gate]]\nid = \"f\"\ntitle = \"F\"\n[phase.gate.file]\npath = \"late\"\n"
    ));
    first.run().exits(4);
    first.write("late", "");
    let arguments = [
        "run",
        "runbook.toml",
        "--headless",
        "--resume",
        "--runs-dir",
        "runs",
    ];
    let url = second.cluster.url("postgres", "postgres");
    ended(first.command(&arguments).env("DB", url).output().unwrap())
        .exits(0)
        .shows("stale: db is another server now")
        .shows("started, attempt 2");
}

#[test]
fn what_a_person_should_know_is_said_at_the_start() {
    let site = Site::new();
    site.gate("[phase.gate.checklist]\nitems = [\"x\"]")
        .exits(4);
    site.run()
        .exits(4)
        .says("has not ended; --resume goes on with it");
    site.write("runbook.toml", "format = 1 # other");
    site.resume()
        .exits(4)
        .says("this run goes on with its own copy");
}

#[test]
fn a_pending_retry_does_not_keep_a_stopped_run_alive() {
    let site = Site::new();
    site.runbook(
        "[[phase.gate]]\nid = \"f\"\ntitle = \"F\"\nretry = { attempts = 9, every = \"1h\" }\n\
         [phase.gate.file]\npath = \"never\"\n",
    );
    let mut child = site
        .command(&["run", "runbook.toml", "--headless", "--runs-dir", "runs"])
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap())
        .lines()
        .map(Result::unwrap);
    assert!(lines.any(|line| line.contains("failed: never")));
    let pid = rustix::process::Pid::from_raw(child.id() as i32).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert!(!lines.any(|line| line.contains("attempt 2")));
}
