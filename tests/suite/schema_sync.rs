//! The schema sync policy by keys: STOP, EXPORT, COMPARE, DECIDE, DOCUMENT, VERIFY, on production.

use std::process::Command;

use crate::pty::Pty;
use crate::site::Site;
use crate::walker::{Stop, Walker};

const BEFORE: &str = "CREATE TABLE orders (id bigint PRIMARY KEY, total numeric);\n";
const MIGRATION: &str = "ALTER TABLE orders ADD COLUMN note text;\n";
const BASELINE: &str = include_str!("../../runbooks/schema-baseline.toml");
const SYNC: &str = include_str!("../../runbooks/schema-sync.toml");

/// A repository as it was deployed, and production as that says.
fn site() -> Site {
    let site = Site::new();
    site.sql(BEFORE);
    site.write("db/schema.sql", BEFORE);
    site.write("db/CHANGELOG.md", "# Changelog\n");
    site.write("schema-baseline.toml", BASELINE);
    site.write("schema-sync.toml", SYNC);
    for runbook in ["schema-baseline.toml", "schema-sync.toml"] {
        site.stagegate(&["check", runbook]).exits(0);
    }
    git(&site, &["init", "--quiet", "--initial-branch=main"]);
    git(&site, &["add", "db"]);
    git(&site, &["commit", "--quiet", "-m", "deployed"]);
    git(&site, &["tag", "deployed"]);
    site
}

fn git(site: &Site, arguments: &[&str]) {
    let ended = Command::new("git")
        .args(["-c", "user.name=Ana", "-c", "user.email=ana@example.com"])
        .args(arguments)
        .current_dir(site.path(""))
        .status()
        .unwrap();
    assert!(ended.success(), "git {arguments:?}");
}

fn console(site: &Site, runbook: &str, size: (u16, u16)) -> Walker {
    let arguments = ["run", runbook, "--runs-dir", "runs"];
    let url = site.cluster.url("postgres", "postgres");
    let environment = [("PROD_DATABASE_URL", url.as_str())];
    let mut pty = Pty::start(&arguments, &site.path(""), &environment, size);
    pty.wait_for("PG ");
    Walker { pty }
}

fn closes(mut walker: Walker) {
    assert_eq!(walker.walk(), Stop::AllThrough);
    walker.pty.send("\r");
    walker.pty.wait_for("closed");
    walker.pty.send("q");
    assert_eq!(walker.pty.wait_end().exit_code(), 0);
}

/// Takes a decision: the second remedy, approved by the only member, for a reason.
fn decide(walker: &mut Walker) {
    walker.pty.send("d");
    walker.pty.wait_for("What is done about `no-drift-before`?");
    walker.pty.wait_gone("keys count in a moment");
    // Nothing is preselected: Enter all the way down decides nothing.
    for _ in 0..3 {
        walker.press_and_wait("\r");
    }
    walker.pty.send("\r");
    walker.pty.wait_for("say first what is done about it");
    walker.press_and_wait("2");
    walker.press_and_wait("\t");
    walker.pty.wait_for("nobody yet");
    walker.press_and_wait("\x1b[C");
    walker.pty.wait_for("‹ ana@example.com ›");
    walker.press_and_wait("\t");
    walker.pty.send("too short");
    walker.pty.wait_for("too short");
    walker.press_and_wait("\r");
    walker.pty.send("\r");
    walker
        .pty
        .wait_for("a reason of at least 20 characters is needed");
    walker.press_and_wait("\x1b[A");
    walker.pty.send(" no: added in incident 4711");
    walker.pty.wait_for("incident 4711");
    walker.press_and_wait("\r");
    walker.pty.send("\r");
    walker.pty.wait_gone("What is done about");
}

#[test]
fn a_baseline_is_recorded_and_a_change_by_hand_is_decided_documented_and_verified() {
    let site = site();
    closes(console(&site, "schema-baseline.toml", (100, 30)));
    assert_eq!(site.one("SELECT count(*) FROM schema_version"), "1");

    site.write("db/migrations/001_note.sql", MIGRATION);
    site.write("db/schema.sql", &format!("{BEFORE}{MIGRATION}"));
    site.sql("CREATE INDEX by_hand ON orders (total)");
    let mut walker = console(&site, "schema-sync.toml", (100, 30));
    // STOP
    assert_eq!(walker.walk(), Stop::Refused);
    walker
        .pty
        .wait_for("unexpected index public.by_hand (hard)");
    walker.pty.wait_for("schema checksum mismatch: version 2");
    walker.pty.send("\r");
    walker.pty.wait_for("it is failed; r retries it");
    // EXPORT
    let exported = site.output("no-drift-before-1-actual.sql");
    assert!(exported.contains("CREATE INDEX by_hand"), "{exported}");
    // DECIDE, DOCUMENT
    decide(&mut walker);
    walker.pty.wait_for("is written into db/CHANGELOG.md");
    let changelog = std::fs::read_to_string(site.path("db/CHANGELOG.md")).unwrap();
    for part in [
        "# Changelog\n\n## 2",
        "UTC: schema drift on production",
        "- Decision: update the canonical schema.",
        "- Approved by: ana@example.com.",
        "- Reason: too short no: added in incident 4711",
        "  - unexpected index public.by_hand\n",
        "gate no-drift-before, record ",
    ] {
        assert!(changelog.contains(part), "no `{part}` in\n{changelog}");
    }
    // A decision passes nothing.
    walker.retry();
    walker.pty.wait_for("attempt 2");
    assert_eq!(walker.walk(), Stop::Refused);
    assert_eq!(
        std::fs::read_to_string(site.path("db/CHANGELOG.md")).unwrap(),
        changelog,
        "it is written once"
    );
    // The hand-made index is given up after all; VERIFY, and go on to the end.
    site.sql("DROP INDEX by_hand");
    walker.pty.send("r");
    walker.pty.wait_gone("r retry");
    closes(walker);
    let versions =
        "SELECT string_agg(migrations_applied::text, ' ' ORDER BY applied_at) FROM schema_version";
    assert_eq!(site.one(versions), "{} {db/migrations/001_note.sql}");
}

#[test]
fn a_change_that_is_not_what_the_canonical_schema_says_is_not_recorded() {
    let site = site();
    closes(console(&site, "schema-baseline.toml", (80, 24)));
    site.write(
        "db/migrations/001_note.sql",
        &MIGRATION.replace("text", "int"),
    );
    site.write(
        "db/schema.sql",
        &format!("{BEFORE}{MIGRATION}CREATE TABLE more (id int);\n"),
    );
    let mut walker = console(&site, "schema-sync.toml", (80, 24));
    assert_eq!(walker.walk(), Stop::Refused);
    walker.pty.wait_for("missing table public.more (hard)");
    walker.pty.wait_for("d decide");
    walker.pty.send("q");
    walker.pty.wait_end();
    assert_eq!(site.one("SELECT count(*) FROM schema_version"), "1");
}

/// How the migrations were deployed.
const APPLIED: &str = r#"
format = 1
title = "Deployed"
[target.db]
url = "env:DB"
environment = "staging"
[[phase]]
id = "deploy"
title = "Deploy"
[[phase.gate]]
id = "migrate"
title = "Migrate"
migrate = { target = "db", files = ["db/migrations/*.sql"] }
"#;

/// The commands of the workflow that is shipped as an example.
fn workflow_steps() -> Vec<&'static str> {
    let workflow = include_str!("../../runbooks/schema-validation.yml");
    let lines = workflow.lines().map(str::trim);
    lines
        .filter_map(|line| line.strip_prefix("run: "))
        .collect()
}

/// Runs them one after the other, as a runner would; gives the exit code of each.
fn checked(site: &Site) -> Vec<i32> {
    let programs = std::path::Path::new(crate::site::BINARY).parent().unwrap();
    let path = std::env::var("PATH").unwrap();
    let run = |step: &&str| {
        let ended = Command::new("bash")
            .args(["-e", "-o", "pipefail", "-c", step])
            .current_dir(site.path(""))
            .env("PATH", format!("{}:{path}", programs.display()))
            .env("HOME", site.path(""))
            .env("DATABASE_URL", site.cluster.url("postgres", "postgres"))
            .output()
            .unwrap();
        ended.status.code().unwrap()
    };
    workflow_steps().iter().map(run).collect()
}

#[test]
fn the_workflow_that_is_shipped_works() {
    let site = site();
    site.write("db/migrations/000_orders.sql", BEFORE);
    git(&site, &["add", "db"]);
    git(&site, &["commit", "--quiet", "-m", "the first migration"]);
    git(&site, &["tag", "--force", "deployed"]);
    let validation = include_str!("../../runbooks/schema-validation.toml");
    // What is wrong here stays wrong.
    let validation = validation.replace("every = \"10s\"", "every = \"1s\"");
    site.write("runbooks/schema-validation.toml", &validation);
    site.sql("DROP TABLE orders");
    site.write("applied.toml", APPLIED);
    let apply = ["run", "applied.toml", "--headless", "--runs-dir", "runs"];
    site.stagegate(&apply).exits(0);
    closes(console(&site, "schema-baseline.toml", (100, 30)));
    assert_eq!(checked(&site), [0, 0, 0]);

    site.write(
        "db/migrations/000_orders.sql",
        &format!("{BEFORE}-- changed\n"),
    );
    site.sql("ALTER TABLE orders ADD COLUMN by_hand int");
    assert_eq!(checked(&site), [0, 1, 4]);
    site.write("db/schema.sql", &format!("{BEFORE}{MIGRATION}"));
    assert_eq!(checked(&site), [2, 1, 4]);
}

#[test]
fn a_gate_goes_stale_when_the_revision_that_it_compared_with_is_another_one() {
    let site = site();
    let runbook = r#"
format = 1
title = "Stale"
[target.db]
url = "env:PROD_DATABASE_URL"
environment = "staging"
[[phase]]
id = "p"
title = "P"
[[phase.gate]]
id = "drift"
title = "Drift"
drift = { target = "db", expected = "git:deployed:db/schema.sql" }
[[phase.gate]]
id = "acts"
title = "Acts"
exec = { argv = ["true"] }
"#;
    site.write("runbook.toml", runbook);
    let mut walker = console(&site, "runbook.toml", (100, 30));
    walker.pty.send("\r");
    walker.pty.wait_for("1 of 2 gates");
    let expected = site.evidence("drift-1.json")["expected"].to_string();
    assert!(
        expected.starts_with("\"git:deployed:db/schema.sql ("),
        "{expected}"
    );
    site.write("db/schema.sql", &format!("{BEFORE}{MIGRATION}"));
    git(&site, &["commit", "--quiet", "-am", "another"]);
    git(&site, &["tag", "--force", "deployed"]);
    walker.pty.wait_for("Enter start");
    walker.pty.send("\r");
    walker.pty.wait_for("It acts. Press y");
    walker.pty.wait_gone("keys count in a moment");
    walker.pty.send("y");
    walker.pty.wait_for("stale");
}
