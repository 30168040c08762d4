//! Tool gates with dbmate as it is published, on a real server.

use crate::pty::Pty;
use crate::site::Site;
use crate::tool_world::{dbmate_tool, gate, migrations};
use crate::walker::{Stop, Walker};

const VERSIONS: &str = "SELECT string_agg(version, ',' ORDER BY version) FROM schema_migrations";

fn site(gates: &str) -> Site {
    let site = Site::new();
    migrations(&site);
    site.runbook(&format!("{gates}{}", dbmate_tool()));
    site
}

fn apply(more: &str) -> String {
    gate("gate", "dbmate", "apply", more)
}

#[test]
fn every_action_says_what_is_there_and_only_two_change_it() {
    let site = site(&gate("look", "dbmate", "status", ""));
    site.run()
        .exits(4)
        .says("dbmate says: 2 pending, expected = 0")
        .says("pending: 20260101000000 notes.sql");
    assert_eq!(
        site.one("SELECT to_regclass('schema_migrations') IS NULL"),
        "t"
    );
    let gates = [
        gate(
            "count",
            "dbmate",
            "status",
            "expect = { pending = \"= 2\", applied = 0 }",
        ),
        gate("sql", "dbmate", "plan", ""),
        apply(""),
        gate(
            "look",
            "dbmate",
            "status",
            "expect = { pending = 0, applied = 2 }",
        ),
        gate("back", "dbmate", "revert", "undoes = \"gate\""),
        gate(
            "none",
            "dbmate",
            "status",
            "expect = { pending = 2, applied = 0 }",
        ),
        gate("again", "dbmate", "apply", ""),
        gate("one", "dbmate", "revert", "count = 1"),
    ];
    site.runbook(&format!("{}{}", gates.concat(), dbmate_tool()));
    site.run()
        .exits(0)
        .shows("count: passed: 2 pending, 0 applied")
        .shows("gate: passed: dbmate: 2 migrations applied")
        .shows("back: passed: dbmate: 2 migrations taken back")
        .shows("one: passed: dbmate: 1 migration taken back");
    assert_eq!(site.one(VERSIONS), "20260101000000");
    assert_eq!(site.one("SELECT to_regclass('tags') IS NULL"), "t");
    let plan = site.evidence("sql-1.json");
    assert_eq!(
        plan["lint"]["files"][1]["file"],
        "db/migrations/20260102000000_tags.sql"
    );
    let applied = site.evidence("gate-1.json");
    assert_eq!(
        applied["version"].as_str().unwrap()[..14],
        *"dbmate version"
    );
    assert_eq!(applied["wanted"], applied["ours"]);
    assert_eq!(applied["after"]["pending"].as_array().unwrap().len(), 0);
    let made = applied["made"]["comparison"]["differences"]
        .as_array()
        .unwrap();
    assert!(
        made.iter().any(|one| one["name"] == "public.notes"),
        "{made:?}"
    );
    assert!(
        site.output("gate-1.log")
            .contains("Applied: 20260101000000_notes.sql")
    );
    assert_eq!(site.evidence("back-1.json")["wanted"][0], "20260102000000");
}

#[test]
fn what_destroys_is_refused_unless_it_is_allowed_and_its_predicate_holds() {
    let site = site(&apply(""));
    site.sql("CREATE TABLE old (n int); INSERT INTO old VALUES (1)");
    site.write(
        "db/migrations/20260103000000_drop.sql",
        "-- migrate:up\nDROP TABLE old;\n-- migrate:down\nCREATE TABLE old (n int);\n",
    );
    site.run()
        .exits(4)
        .says("1 hazard is refused")
        .says("db/migrations/20260103000000_drop.sql:2: DS102")
        .says("nothing was run");
    assert_eq!(
        site.one("SELECT to_regclass('schema_migrations') IS NULL"),
        "t"
    );
    let allow = |file: &str| {
        let allow = format!(
            "allow = [{{ file = \"{file}\", hazard = \"DS102\", target = \"db\", \
             predicate = \"SELECT NOT EXISTS (SELECT 1 FROM old)\", reason = \"moved\" }}]"
        );
        site.runbook(&format!("{}{}", apply(&allow), dbmate_tool()));
    };
    allow("20260103000000");
    site.run().exits(4).says("it is f, not true");
    site.sql("TRUNCATE old");
    site.run().exits(0);
    assert_eq!(site.one("SELECT to_regclass('old') IS NULL"), "t");
    // By its file as well, and only there.
    site.sql("CREATE TABLE old (n int)");
    site.write(
        "db/migrations/20260104000000_drop.sql",
        "-- migrate:up\nDROP TABLE old;\n",
    );
    site.run().exits(4).says("20260104000000_drop.sql:2: DS102");
    allow("db/migrations/20260104000000_drop.sql");
    site.run().exits(0).shows("1 migration applied");
}

#[test]
fn a_failure_half_way_is_told_from_the_status_and_the_catalog() {
    let site = site(&apply(""));
    site.write(
        "db/migrations/20260102000000_tags.sql",
        "-- migrate:up\nCREATE TABLE tags (id int);\nALTER TABLE nope ADD x int;\n",
    );
    // What it prints of the second is `Applied: … in …`, and that is not so.
    site.run()
        .exits(4)
        .says("dbmate exited with 2; 1 of 2 migrations applied")
        .says("relation \"nope\" does not exist")
        .says("applied: 20260101000000")
        .says("not applied: 20260102000000")
        .says("the schema: added table public.notes");
    assert_eq!(site.one(VERSIONS), "20260101000000");
    assert_eq!(site.one("SELECT to_regclass('tags') IS NULL"), "t");
    migrations(&site);
    site.resume().exits(0).shows("1 migration applied");
    assert_eq!(site.one(VERSIONS), "20260101000000,20260102000000");
    let ours = site.evidence("gate-2.json")["ours"].clone();
    assert_eq!(ours.as_array().unwrap().len(), 2, "{ours}");
}

#[test]
fn its_sessions_have_our_name_and_wait_for_locks_briefly() {
    let site = site(&apply("lock_timeout = \"300ms\""));
    site.sql("CREATE TABLE held (n int)");
    site.write(
        "db/migrations/20260102000000_tags.sql",
        "-- migrate:up\nCREATE TABLE told AS SELECT current_setting('application_name') AS name, \
         current_setting('lock_timeout') AS waits;\n",
    );
    site.write(
        "db/migrations/20260103000000_held.sql",
        "-- migrate:up\nALTER TABLE held ADD m int;\n",
    );
    let holder = site.hold_open("postgres");
    let held = holder.client.batch_execute("BEGIN; LOCK TABLE held");
    site.runtime().block_on(held).unwrap();
    site.run()
        .exits(4)
        .says("2 of 3 migrations applied")
        .says("canceling statement due to lock timeout");
    let name = site.one("SELECT name || ' ' || waits FROM told");
    assert!(
        name.starts_with("stagegate ") && name.ends_with(" tool gate 300ms"),
        "{name}"
    );
    drop(holder);
    site.resume().exits(0);
}

#[test]
fn a_way_back_takes_back_what_its_gate_has_applied() {
    let refuses = "[[phase.gate]]\nid = \"refuses\"\ntitle = \"Refuses\"\n[phase.gate.query]\n\
                   target = \"db\"\nsql = \"SELECT 1\"\nexpect = { value = \"= 2\" }\n";
    let back = "[[rollback]]\nid = \"back\"\ntitle = \"Back\"\nscope = \"partial\"\n\
                valid_from = \"gate\"\nexpect_duration = \"1m\"\n[[rollback.gate]]\nid = \"down\"\n\
                title = \"Down\"\n[rollback.gate.tool]\nuse = \"dbmate\"\naction = \"revert\"\n\
                target = \"db\"\nundoes = \"gate\"\n";
    let site = site(&format!("{}{refuses}{back}", apply("")));
    // What was there before the run stays.
    let (first, second) = ("20260101000000_notes.sql", "20260102000000_tags.sql");
    let path = |name: &str| site.path(&format!("db/migrations/{name}"));
    std::fs::rename(path(second), site.path(second)).unwrap();
    site.run().exits(4);
    assert!(path(first).exists());
    std::fs::rename(site.path(second), path(second)).unwrap();
    std::fs::remove_dir_all(site.path("runs")).unwrap();
    let url = site.cluster.url("postgres", "postgres");
    let arguments = ["run", "runbook.toml", "--runs-dir", "runs"];
    let mut pty = Pty::start(
        &arguments,
        &site.path(""),
        &[("DB", url.as_str())],
        (100, 40),
    );
    pty.wait_for("PG ");
    let mut walker = Walker { pty };
    assert_eq!(walker.walk(), Stop::Refused);
    assert_eq!(site.one(VERSIONS), "20260101000000,20260102000000");
    walker.roll_back(&["\r"], "back");
    assert_eq!(walker.walk(), Stop::AllThrough);
    assert_eq!(site.one(VERSIONS), "20260101000000");
    walker.pty.send("q");
    walker.pty.wait_end();
}
