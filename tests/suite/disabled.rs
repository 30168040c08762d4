//! The flag that keeps migrations from running: gates are left out, told, and open again.

use crate::pty::Pty;
use crate::site::{Ended, Site, ended};

const FLAG: &str = "DISABLE_AUTO_MIGRATIONS";

/// A migration, a question that does not need it, and people at the end.
fn promotion(site: &Site, top: &str, last: &str) {
    site.write("db/1.sql", "CREATE TABLE made (n int);\n");
    site.runbook(&format!(
        "[[phase.gate]]\nid = \"mig\"\ntitle = \"Migrate\"\n[phase.gate.migrate]\ntarget = \"db\"\n\
         files = [\"db/*.sql\"]\n\
         [[phase.gate]]\nid = \"one\"\ntitle = \"One\"\n[phase.gate.query]\ntarget = \"db\"\n\
         sql = \"SELECT 1\"\nexpect = {{ value = 1 }}\n{last}"
    ));
    let text = std::fs::read_to_string(site.path("runbook.toml")).unwrap();
    site.write(
        "runbook.toml",
        &text.replacen("title = \"Test\"\n", &format!("title = \"Test\"\n{top}"), 1),
    );
}

const SIGNED: &str = "[[phase.gate]]\nid = \"agreed\"\ntitle = \"Agreed\"\n[phase.gate.signoff]\n\
                      roles = [\"dba\"]\nsignature = \"none\"\n";

fn run(site: &Site, value: Option<&str>, more: &[&str]) -> Ended {
    let run = ["run", "runbook.toml", "--headless", "--runs-dir", "runs"];
    let arguments: Vec<&str> = run.iter().chain(more).copied().collect();
    let mut command = site.command(&arguments);
    if let Some(value) = value {
        command.env(FLAG, value);
    }
    ended(command.output().unwrap())
}

fn journal(site: &Site) -> String {
    std::fs::read_to_string(site.run_folder().join("journal.jsonl")).unwrap()
}

#[test]
fn a_run_goes_on_without_its_migrations_and_says_so() {
    let site = Site::new();
    promotion(&site, "", "");
    run(&site, Some("Yes"), &[])
        .exits(0)
        .says("DISABLE_AUTO_MIGRATIONS=Yes: migrations are not run")
        .says(
            "left out because of DISABLE_AUTO_MIGRATIONS=Yes, and open again once it is gone: mig",
        );
    assert_eq!(site.one("SELECT to_regclass('made')"), "");
    let journal = journal(&site);
    assert!(journal.contains("\"type\":\"gate_left_out\""), "{journal}");
    assert!(journal.contains("\"seen\":"), "{journal}");
    let json = run(&site, Some("1"), &["--format", "json"]).exits(0).out;
    assert!(
        json.lines()
            .last()
            .unwrap()
            .contains("\"left_out\":[\"mig\"]"),
        "{json}"
    );
    for value in ["false", "0", "no", "off", ""] {
        run(&site, Some(value), &[]).exits(0);
    }
    assert_eq!(site.one("SELECT to_regclass('made')"), "made");
}

#[test]
fn production_needs_nobody_to_leave_it_alone() {
    let site = Site::new();
    promotion(&site, "", "");
    let text = std::fs::read_to_string(site.path("runbook.toml")).unwrap();
    site.write(
        "runbook.toml",
        &text.replace("\"staging\"", "\"production\""),
    );
    run(&site, None, &[]).exits(4).says("it acts on production");
    run(&site, Some("on"), &[]).exits(0);
    assert_eq!(site.one("SELECT to_regclass('made')"), "");
}

#[test]
fn what_was_left_out_is_open_again_once_the_flag_is_gone() {
    let site = Site::new();
    promotion(&site, "", SIGNED);
    run(&site, Some("true"), &[])
        .exits(4)
        .says("signed by people")
        .says("open again once it is gone: mig");
    run(&site, None, &["--resume"])
        .exits(4)
        .says("signed by people");
    assert_eq!(site.one("SELECT to_regclass('made')"), "made");
    let journal = journal(&site);
    assert!(journal.contains("it was left out, and DISABLE_AUTO_MIGRATIONS is not set any more"));
    // What was asked without the migration is asked again with it.
    let asked = journal
        .matches("\"type\":\"gate_started\",\"gate\":\"one\"")
        .count();
    assert_eq!(asked, 2, "{journal}");
}

#[test]
fn an_unclear_value_is_told_at_the_gate() {
    let site = Site::new();
    promotion(&site, "", SIGNED);
    run(&site, Some("ture"), &[])
        .exits(4)
        .says("gate `mig` is errored")
        .says("`ture` is none of its values: true, 1, yes or on keep migrations from running");
    assert_eq!(site.one("SELECT to_regclass('made')"), "");
    run(&site, Some("true"), &["--resume"])
        .exits(4)
        .says("signed by people");
    assert_eq!(site.one("SELECT to_regclass('made')"), "");
    let plan = |value: &str| {
        let mut command = site.command(&["plan", "runbook.toml"]);
        ended(command.env(FLAG, value).output().unwrap())
    };
    plan("true")
        .exits(0)
        .shows("DISABLE_AUTO_MIGRATIONS=true: it will not run");
    plan("ture").exits(4).shows("is none of its values");
}

/// A failed migration is not passed over because a flag was set meanwhile.
#[test]
fn what_failed_is_not_left_out() {
    let site = Site::new();
    promotion(&site, "", "");
    site.write("db/2.sql", "SELECT nothing FROM nowhere;\n");
    run(&site, None, &[]).exits(4).says("gate `mig` is failed");
    run(&site, Some("true"), &["--resume"])
        .exits(4)
        .says("it is neither run nor left out. Take the flag away, then retry it");
}

#[test]
fn a_flag_in_a_file_is_seen_while_the_console_is_open() {
    let site = Site::new();
    promotion(
        &site,
        "migrations_disabled_by = \"file:.env#OFF\"\n",
        SIGNED,
    );
    site.write(".env", "OFF=true\n");
    let url = site.cluster.url("postgres", "postgres");
    let arguments = ["run", "runbook.toml", "--runs-dir", "runs"];
    let mut pty = Pty::start(&arguments, &site.path(""), &[("DB", &url)], (100, 30));
    pty.wait_for("MIGRATIONS OFF  OFF in .env=true; gates that migrate are left out");
    pty.wait_for("it will not run");
    pty.wait_for("Enter leave it out");
    pty.send("\r");
    pty.wait_for("left out: mig");
    pty.wait_for("1 of 3 gates");
    pty.send("\r");
    pty.wait_for("2 of 3 gates");
    pty.wait_for("! Migrations were not run because of OFF in .env=true");
    pty.send("s");
    pty.wait_for("─ Sign `agreed`");
    assert_eq!(pty.text().matches("! Migrations were not run").count(), 1);
    pty.send("\x1b");
    pty.wait_gone("─ Sign `agreed`");
    // On every screen; and looking at the file draws nothing.
    for (screen, title) in [
        ("5", "Log"),
        ("6", "Journal"),
        ("4", "Locks"),
        ("1", "Gates"),
    ] {
        pty.send(screen);
        pty.wait_for(title);
        assert!(pty.text().contains("MIGRATIONS OFF"), "{}", pty.text());
    }
    while pty.writes_within(std::time::Duration::from_millis(700)) {}
    assert!(!pty.writes_within(std::time::Duration::from_millis(4_500)));
    site.write(".env", "OFF=\n");
    pty.wait_for("MIGRATIONS OPEN  1 gate was left out and is open again: mig");
    pty.wait_for("0 of 3 gates");
    pty.send(".");
    pty.wait_for("it was left out, and OFF in .env is not set any more");
    pty.wait_for("apply 1 files");
    pty.send("\r");
    pty.wait_for("Press y or Enter");
    pty.wait_gone("keys count in a moment");
    pty.send("y");
    pty.wait_for("1 of 3 gates");
    pty.wait_gone("MIGRATIONS OPEN");
    assert_eq!(site.one("SELECT to_regclass('made')"), "made");
    pty.send("q");
    assert_eq!(pty.wait_end().exit_code(), 4);
}
