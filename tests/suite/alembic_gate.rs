//! Alembic gates with real Alembic, on two real databases: each thing the policy refuses.

use crate::alembic_world::{BASELINE, HEAD, MIDDLE, World};
use crate::pty::Pty;
use crate::walker::Walker;

const REFERENCE: &str = "reference = \"development\"";

#[test]
fn an_audit_tells_missing_mismatch_and_ok_and_writes_a_summary_for_each() {
    let world = World::new();
    let audit = format!("{REFERENCE}\nwrite = \"ops/db_audit\"");
    world.gate("audit", &audit);
    world
        .run()
        .exits(4)
        .says("MISSING: production not tracked; development at b3e92d4416f5")
        .says("production has no version table")
        .says("stamp production at the baseline");
    let read = |name: &str| std::fs::read_to_string(world.site.path(name)).unwrap();
    let development = read("ops/db_audit/dev-summary.txt");
    assert!(
        development.contains("diagnosis    MISSING"),
        "{development}"
    );
    assert!(
        development.contains(&format!("alembic      at {HEAD}")),
        "{development}"
    );
    assert!(development.contains("search_path  "), "{development}");
    assert!(development.contains("  connections\n"), "{development}");
    assert!(read("ops/db_audit/production-summary.txt").contains("not tracked"));
    assert_eq!(world.version("production"), "-");

    world.alembic("production", &["stamp", BASELINE]);
    world
        .run()
        .exits(4)
        .says("MISMATCH: production at 5a9d6371e18c");
    world.alembic("production", &["upgrade", "head"]);
    world
        .run()
        .exits(0)
        .shows("passed: OK: production at b3e92d4416f5");
    world
        .site
        .sql_in("production", "ALTER TABLE agents ADD COLUMN note text");
    world
        .run()
        .exits(4)
        .says("MISMATCH")
        .says("added column public.agents.note");
}

#[test]
fn a_guard_has_another_answer_for_each_way_to_be_apart() {
    let world = World::new();
    world.gate("guard", REFERENCE);
    world
        .run()
        .exits(4)
        .says("production is not tracked by Alembic")
        .says("stamp production at the baseline")
        .says("do not approve a publishing plan");

    world.alembic("production", &["stamp", BASELINE]);
    world
        .run()
        .exits(0)
        .shows("production is 2 revisions behind; upgraded on a private copy");
    assert_eq!(world.version("production"), BASELINE);

    // What somebody did by hand is no pending revision.
    world
        .site
        .sql_in("production", "ALTER TABLE agents ADD COLUMN note text");
    world
        .run()
        .exits(4)
        .says("differences between production and development that no pending revision explains")
        .says("public.agents.note");
    world
        .site
        .sql_in("production", "ALTER TABLE agents DROP COLUMN note");

    world.alembic("production", &["upgrade", "head"]);
    world
        .run()
        .exits(0)
        .shows("in sync, and the schemas are the same");

    world.alembic("development", &["downgrade", "-1"]);
    world
        .run()
        .exits(4)
        .says("production is ahead of development")
        .says("upgrade development first");
    // What nobody has tried is not brought on.
    world.alembic("production", &["downgrade", "-1"]);
    world
        .run()
        .exits(4)
        .says("development is 1 revisions behind the head")
        .says("upgrade development, test it");

    world.site.sql_in(
        "production",
        "UPDATE alembic_version SET version_num = 'feedfeedfeed'",
    );
    world
        .run()
        .exits(4)
        .says("production is at a revision that no file has: feedfeedfeed")
        .says("never stamp over it");
}

#[test]
fn two_branches_and_a_lost_file_are_refused_before_anything_is_asked_of_alembic() {
    let world = World::tracked();
    world.revision("c0ffee000001", MIDDLE, "pass", "pass");
    world.gate("guard", REFERENCE);
    world
        .run()
        .exits(4)
        .says("the history has 2 heads")
        .says("alembic merge");
    world.gate("upgrade", "");
    world.run().exits(4).says("the history has 2 heads");
    std::fs::remove_file(world.site.path("alembic/versions/c0ffee000001.py")).unwrap();

    let middle = world
        .site
        .path("alembic/versions/8c1f0b77d2aa_agents_have_a_state.py");
    std::fs::remove_file(middle).unwrap();
    world
        .run()
        .exits(4)
        .says("the history is broken")
        .says("comes after 8c1f0b77d2aa, and no file has that revision");
    assert_eq!(world.version("production"), BASELINE);
}

#[test]
fn one_database_under_two_names_is_no_comparison() {
    let world = World::tracked();
    world.gate("guard", REFERENCE);
    let mut command = world.command(&["run", "runbook.toml", "--headless", "--runs-dir", "runs"]);
    command.env("DATABASE_URL", world.url("production"));
    crate::site::ended(command.output().unwrap())
        .exits(4)
        .says("production and development are one database");
}

#[test]
fn diverged_databases_are_told_what_each_has() {
    let world = World::tracked();
    world.revision("c0ffee000001", MIDDLE, "pass", "pass");
    world.alembic("production", &["upgrade", "c0ffee000001"]);
    world.revision("c0ffee000002", "c0ffee000001", "pass", "pass");
    // One head again: the branches are joined, and neither database is there yet.
    let merge = "\"\"\"Join\"\"\"\nrevision = \"c0ffee000003\"\n\
                 down_revision = (\"c0ffee000002\", \"b3e92d4416f5\")\n\
                 def upgrade():\n    pass\ndef downgrade():\n    pass\n";
    world.site.write("alembic/versions/c0ffee000003.py", merge);
    world.gate("guard", REFERENCE);
    world
        .run()
        .exits(4)
        .says("production and development went different ways")
        .says("only production has c0ffee000001")
        .says("only development has b3e92d4416f5");
}

#[test]
fn a_stamp_writes_its_table_and_nothing_else_and_the_second_writes_nothing() {
    let world = World::new();
    world
        .site
        .sql("ALTER DATABASE production SET log_statement = 'all'");
    world.gate("stamp", "");
    world
        .run()
        .exits(0)
        .shows("passed: production is stamped 5a9d6371e18c");
    assert_eq!(world.version("production"), BASELINE);
    let evidence = world.site.evidence("stamp-1.json");
    let made = &evidence["made"]["comparison"]["differences"];
    for difference in made.as_array().unwrap() {
        let name = difference["name"].as_str().unwrap();
        assert!(name.contains("alembic_version"), "{difference}");
    }
    assert_eq!(evidence["tried"]["removed"], serde_json::json!([]));
    let catalog = "SELECT string_agg(format('%s %s %s', oid, relname, relfilenode), ',' ORDER BY oid) \
                   FROM pg_class WHERE relnamespace = 'public'::regnamespace";
    let schema = world.site.one_in("production", catalog);
    let row = "SELECT xmin::text FROM alembic_version";
    let written = world.site.one_in("production", row);

    world
        .run()
        .exits(0)
        .shows("passed: production is at 5a9d6371e18c already; nothing was run");
    assert_eq!(world.site.one_in("production", row), written);
    assert_eq!(world.site.one_in("production", catalog), schema);
    let log = std::fs::read_to_string(world.site.cluster.log_file()).unwrap();
    assert!(log.contains("INSERT INTO alembic_version"), "{log}");
    assert!(!log.to_uppercase().contains("DROP TABLE"), "{log}");
}

#[test]
fn a_stamp_refuses_another_version_and_an_upgrade_that_would_destroy() {
    let world = World::new();
    world.alembic("production", &["stamp", MIDDLE]);
    world.gate("stamp", &format!("revision = \"{BASELINE}\""));
    world
        .run()
        .exits(4)
        .says("production has an unexpected Alembic version")
        .says("alembic history")
        .says("never stamp over it");
    assert_eq!(world.version("production"), MIDDLE);

    let world = World::new();
    world.revision("c0ffee000001", HEAD, "op.drop_table('connections')", "pass");
    world.gate("stamp", "");
    world
        .run()
        .exits(4)
        .says("DS102")
        .says("c0ffee000001.py")
        .says("nothing was run");
    assert_eq!(world.version("production"), "-");
}

#[test]
fn an_upgrade_applies_what_is_pending_and_compares_the_models() {
    let world = World::tracked();
    world.gate("upgrade", "");
    world
        .run()
        .exits(0)
        .shows("passed: 2 revisions applied")
        .shows("production is at b3e92d4416f5");
    assert_eq!(world.version("production"), HEAD);
    let evidence = world.site.evidence("upgrade-1.json");
    assert_eq!(evidence["version"], "alembic 1.20.1");
    assert_eq!(evidence["models"], "");
    assert_eq!(evidence["steps"].as_array().unwrap().len(), 2);
    let log = world.site.output("upgrade-1.log");
    assert!(
        log.contains("Running upgrade 8c1f0b77d2aa -> b3e92d4416f5"),
        "{log}"
    );

    // A column that no model has.
    world.revision(
        "c0ffee000001",
        HEAD,
        "op.add_column('agents', sa.Column('extra', sa.Text()))",
        "op.drop_column('agents', 'extra')",
    );
    world
        .run()
        .exits(4)
        .says("the models and the database differ")
        .says("extra");
    assert_eq!(world.version("production"), "c0ffee000001");
    world.gate("check", "");
    world.run().exits(4).says("the models say something else");
}

#[test]
fn a_drop_is_refused_wherever_it_hides() {
    let drops = [
        ("op.drop_table('connections')", "DS102"),
        ("op.execute('DROP TABLE connections')", "DS102"),
        (
            "op.get_bind().execute(sa.text('DROP TABLE connections'))",
            "DS102",
        ),
        // Nobody can say it beforehand, and what it does depends on rows.
        (
            "op.execute('DELETE FROM agents') if op.get_bind().execute(sa.text('SELECT count(*) FROM agents')).scalar() else 0",
            "unsaid",
        ),
        (
            "op.execute(\"DO $$ BEGIN EXECUTE 'DEL' || 'ETE FROM connections'; END $$\")",
            "dynamic-sql",
        ),
        // What it says is not what it does.
        (
            "from alembic import context\n    if not context.is_offline_mode(): op.execute('TRUNCATE connections')",
            "truncate",
        ),
        (
            "op.execute('DELETE FROM alembic_version WHERE false; DELETE FROM connections')",
            "delete-without-where",
        ),
    ];
    let world = World::tracked();
    world.gate("upgrade", "");
    for (drop, code) in drops {
        world.revision("c0ffee000001", HEAD, drop, "pass");
        world
            .run()
            .exits(4)
            .says(code)
            .says("alembic/versions/c0ffee000001.py")
            .says("nothing was run")
            .says("do not approve a publishing plan");
        assert_eq!(world.version("production"), BASELINE, "{drop}");
        let there = "SELECT count(*) FROM connections";
        assert_eq!(world.site.one_in("production", there), "10");
    }
}

#[test]
fn a_drop_under_another_name_is_seen_and_what_is_unsaid_is_allowed_by_name() {
    let world = World::tracked();
    let allow = |file: &str| {
        format!(
            "[[phase.gate.alembic.allow]]\nfile = \"alembic/versions/{file}.py\"\n\
             hazard = \"unsaid\"\ntarget = \"production\"\npredicate = \"SELECT true\"\nreason = \"read\"\n"
        )
    };
    let bind = |sql: &str| format!("op.get_bind().execute(sa.text('{sql}')).rowcount + 0");
    let rename = bind("ALTER TABLE connections RENAME TO zz");
    world.revision("c0ffee000001", HEAD, &rename, "pass");
    world.revision(
        "c0ffee000002",
        "c0ffee000001",
        &bind("DROP TABLE zz"),
        "pass",
    );
    let all = [HEAD, MIDDLE].map(|id| {
        let files = std::fs::read_dir(world.site.path("alembic/versions")).unwrap();
        let mut names = files.map(|f| f.unwrap().file_name().into_string().unwrap());
        let name = names.find(|name| name.starts_with(id)).unwrap();
        allow(name.trim_end_matches(".py"))
    });
    let mine = [allow("c0ffee000001"), allow("c0ffee000002")].concat();
    world.gate(
        "upgrade",
        &format!("models = false\n{}{mine}", all.concat()),
    );
    world
        .run()
        .exits(4)
        .says("DS102")
        .says("alembic/versions/c0ffee000002.py");
    assert_eq!(world.version("production"), BASELINE);
    std::fs::remove_file(world.site.path("alembic/versions/c0ffee000002.py")).unwrap();
    world.run().exits(0).shows("3 revisions applied");
}

#[test]
fn a_drop_is_allowed_by_file_hazard_and_a_predicate_that_is_true() {
    let world = World::tracked();
    world.revision(
        "c0ffee000001",
        HEAD,
        "op.drop_column('connections', 'settings')",
        "pass",
    );
    let allow = |predicate: &str| {
        format!(
            "models = false\n[[phase.gate.alembic.allow]]\n\
             file = \"alembic/versions/c0ffee000001.py\"\nhazard = \"DS103\"\n\
             target = \"production\"\npredicate = \"{predicate}\"\nreason = \"moved\""
        )
    };
    world.site.sql_in(
        "production",
        "UPDATE connections SET settings = 'x' WHERE id = 1",
    );
    let empty = "SELECT NOT EXISTS (SELECT 1 FROM connections WHERE settings IS NOT NULL)";
    world.gate("upgrade", &allow(empty));
    world
        .run()
        .exits(4)
        .says("not allowed, because it is f, not true");
    world
        .site
        .sql_in("production", "UPDATE connections SET settings = NULL");
    world.run().exits(0).shows("3 revisions applied");
}

#[test]
fn an_upgrade_that_fails_half_way_says_what_is_done_and_what_is_not() {
    // One transaction for all: nothing is left.
    let world = World::tracked();
    let on_data = "op.execute('ALTER TABLE agents ADD CONSTRAINT c CHECK (id < 100)')";
    world.revision("c0ffee000001", HEAD, on_data, "pass");
    world.gate("upgrade", "models = false");
    world
        .run()
        .exits(4)
        .says("Alembic failed, and nothing of it is there")
        .says("CheckViolation")
        .says("production is at 5a9d6371e18c as before");
    assert_eq!(world.version("production"), BASELINE);

    // A transaction for each revision: those before the failure stay.
    let env = std::fs::read_to_string(world.site.path("alembic/env.py")).unwrap();
    let each = env.replace(
        "connection=connection, target",
        "connection=connection, transaction_per_migration=True, target",
    );
    world.site.write("alembic/env.py", &each);
    world
        .run()
        .exits(4)
        .says("Alembic stopped on the way")
        .says("2 of 3 revisions are done")
        .says("production is at b3e92d4416f5");
    assert_eq!(world.version("production"), HEAD);

    // Outside of its transaction: the version is the old one, and the schema is not.
    let world = World::tracked();
    world.alembic("production", &["upgrade", "head"]);
    let text = "with op.get_context().autocommit_block():\n        \
                op.execute('CREATE INDEX i ON agents (title)')\n    \
                op.execute('ALTER TABLE agents ADD CONSTRAINT c CHECK (id < 100)')";
    world.revision("c0ffee000001", HEAD, text, "pass");
    world.gate("upgrade", "models = false");
    world
        .run()
        .exits(4)
        .says("Alembic failed and left the database half done")
        .says("some of a revision ran outside of its transaction");
    assert_eq!(world.version("production"), HEAD);
}

#[test]
fn a_way_back_is_confirmed_planned_and_leads_where_it_should() {
    let world = World::tracked();
    world.alembic("production", &["upgrade", "head"]);
    world.gate("downgrade", "");
    world.run().exits(4).says("which a person confirms");
    assert_eq!(world.version("production"), HEAD);
    let refused = walk(&world);
    assert!(refused.contains("DS103"), "{refused}");
    assert_eq!(world.version("production"), HEAD);

    world.gate("downgrade", "deny = []");
    let gone = walk(&world);
    assert!(gone.contains("1 revisions taken back"), "{gone}");
    assert_eq!(world.version("production"), MIDDLE);
    world.gate(
        "downgrade",
        &format!("deny = []\nrevision = \"{BASELINE}\""),
    );
    walk(&world);
    assert_eq!(world.version("production"), BASELINE);
    // There is nothing before the baseline but the beginning.
    world.gate("downgrade", "deny = []\nrevision = \"b3e92d4416f5\"");
    let wrong = walk(&world);
    assert!(wrong.contains("is not before"), "{wrong}");
}

/// Runs the only gate by keys and gives the screen it ends on.
fn walk(world: &World) -> String {
    let urls = [world.url("development"), world.url("production")];
    let environment = [
        ("DATABASE_URL", urls[0].as_str()),
        ("DATABASE_URL_PROD", urls[1].as_str()),
    ];
    let arguments = ["run", "runbook.toml", "--runs-dir", "runs"];
    let pty = Pty::start(&arguments, &world.site.path(""), &environment, (120, 40));
    let mut walker = Walker { pty };
    walker.pty.wait_for("PG ");
    walker.walk();
    let text = walker.pty.text();
    walker.pty.send("q");
    text
}

#[test]
fn whoever_is_killed_takes_it_up_where_alembic_left_it() {
    for (point, version) in [("alembic_intent", BASELINE), ("alembic_ran", HEAD)] {
        let world = World::tracked();
        world.gate("upgrade", "");
        world.dies_at(point);
        assert_eq!(world.version("production"), version);
        let resumed = world.resume();
        let _ended = match version {
            HEAD => resumed
                .exits(0)
                .shows("the version says that it is done; it was not checked")
                .shows("already; nothing was run"),
            _ => resumed.exits(0).shows("2 revisions applied"),
        };
        assert_eq!(world.version("production"), HEAD);
    }
}
