//! `stagegate audit`: two databases side by side, the policy's diagnoses, exit codes, summaries.

use serde_json::Value;

use crate::alembic_world::{BASELINE, HEAD, World, gate};
use crate::site::{Ended, ended};

fn audit(world: &World, more: &[&str]) -> Ended {
    let arguments = [&["audit"], more].concat();
    ended(world.command(&arguments).output().unwrap())
}

fn track(world: &World, version: &str) {
    let sql = format!(
        "CREATE TABLE alembic_version (version_num varchar(32) PRIMARY KEY); \
         INSERT INTO alembic_version VALUES ('{version}')"
    );
    world.site.sql_in("production", &sql);
}

#[test]
fn both_databases_are_shown_side_by_side_without_a_runbook_and_without_alembic() {
    let world = World::new();
    std::fs::remove_file(world.site.path(".venv")).unwrap();
    let missing = audit(&world, &[])
        .exits(2)
        .shows("app: MISSING")
        .shows("not tracked")
        .shows("stamp production at the baseline");
    let header = missing.out.lines().nth(1).unwrap();
    assert!(header.contains("production") && header.contains("development"));
    let read = |name: &str| std::fs::read_to_string(world.site.path(name)).unwrap();
    assert!(read("ops/db_audit/dev-summary.txt").contains(&format!("alembic      at {HEAD}")));
    let summary = read("ops/db_audit/prod-summary.txt");
    assert!(summary.contains("diagnosis    MISSING"), "{summary}");
    assert!(!summary.contains("run   "), "{summary}");
    assert_eq!(world.version("production"), "-");

    track(&world, BASELINE);
    let ended = audit(&world, &["--format", "json", "--out", "elsewhere"]).exits(2);
    let json: Value = serde_json::from_str(&ended.out).unwrap();
    assert_eq!(json["diagnosis"], "MISMATCH");
    let seen = &json["audits"][0]["seen"];
    assert_eq!(seen["databases"][0]["versions"][0], BASELINE);
    assert_eq!(seen["databases"][0]["behind"].as_array().unwrap().len(), 2);
    let differences = seen["differences"].to_string();
    assert!(differences.contains("public.agents.state"), "{differences}");
    assert!(read("elsewhere/prod-summary.txt").contains("diagnosis    MISMATCH"));

    // The same database twice is in sync.
    audit(&world, &["--prod", "env:DATABASE_URL"])
        .exits(0)
        .shows("app: OK")
        .shows("0 differences");
}

#[test]
fn a_runbooks_audits_are_looked_at_or_all_that_its_project_works_on() {
    let world = World::new();
    track(&world, HEAD);
    let written = "reference = \"development\"\nwrite = \"kept\"\naccept = [\"MISMATCH\"]";
    world.runbook(&format!(
        "{}{}",
        gate("before", "audit", written),
        gate("after", "audit", written)
    ));
    // What the gate would let pass is no reason to call it well here.
    let ended = audit(&world, &["runbook.toml", "--format", "json"]).exits(2);
    let json: Value = serde_json::from_str(&ended.out).unwrap();
    assert_eq!(
        json["audits"].as_array().unwrap().len(),
        1,
        "each pair once"
    );
    assert_eq!(json["audits"][0]["gate"], "before");
    assert!(world.site.path("kept/dev-summary.txt").is_file());

    let model = "ALTER TABLE agents ADD COLUMN state varchar(20) DEFAULT 'idle' NOT NULL; \
                 ALTER TABLE connections ADD COLUMN health varchar(20)";
    world.site.sql_in("production", model);
    world.gate("guard", "reference = \"development\"");
    audit(&world, &["runbook.toml", "--project", "app"])
        .exits(2)
        .shows("production");
    assert!(world.site.path("ops/db_audit/dev-summary.txt").is_file());
    audit(&world, &["runbook.toml", "--project", "other"])
        .exits(64)
        .says("there is no project `other`; there are: app");
}

#[test]
fn what_cannot_be_audited_has_its_exit_code_and_four_parts() {
    let world = World::new();
    let without = |name: &str, more: &[&str]| {
        let arguments = [&["audit"], more].concat();
        let mut command = world.command(&arguments);
        ended(command.env_remove(name).output().unwrap())
    };
    // Production is not known: development alone, as the policy says.
    without("DATABASE_URL_PROD", &[])
        .exits(0)
        .says("only development is looked at")
        .shows("app: OK");
    assert!(!world.site.path("ops/db_audit/prod-summary.txt").exists());
    without("DATABASE_URL", &[])
        .exits(78)
        .says("the address of --dev")
        .says("not touched: no database was changed")
        .says("you can:")
        .says("evidence:");
    audit(&world, &["--prod", "schema.sql"])
        .exits(64)
        .says("the address of --prod");
    audit(&world, &["--folder", "nowhere"])
        .exits(78)
        .says("nowhere/alembic.ini");
    audit(&world, &["--prod", "postgresql://u@localhost:1/x"])
        .exits(1)
        .says("production cannot be worked on")
        .says("then run it again");
    audit(&world, &["gone.toml"]).exits(78);
    audit(&world, &["runbook.toml", "--dev", "env:X"]).exits(64);
}
