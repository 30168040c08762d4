//! Alembic in a rehearsal: what an upgrade would do to production happens on the private server
//! first, and is taken back there.

use crate::alembic_world::{BASELINE, HEAD, World, gate};
use crate::site::ended;

const REHEARSE: &str = "[[phase.gate]]\nid = \"try\"\ntitle = \"Rehearse\"\n[phase.gate.rehearse]\n\
    from = \"production\"\n";
const BACK: &str = "[[rollback]]\nid = \"back\"\ntitle = \"Back\"\nscope = \"partial\"\n\
    valid_from = \"upgrade\"\nexpect_duration = \"1m\"\n[[rollback.gate]]\nid = \"down\"\n\
    title = \"Down\"\n[rollback.gate.alembic]\naction = \"downgrade\"\ntarget = \"production\"\n\
    deny = []\n";

fn runbook(world: &World, back: &str) {
    let gates = [
        REHEARSE.to_owned(),
        gate("stamp", "stamp", ""),
        gate("guard", "guard", "reference = \"development\""),
        gate("upgrade", "upgrade", ""),
        gate("check", "check", ""),
        back.to_owned(),
    ];
    world.runbook(&gates.concat());
}

#[test]
fn an_upgrade_is_rehearsed_up_down_and_up_again_and_then_done_alike() {
    let world = World::new();
    runbook(&world, BACK);
    let run = world.run().exits(0);
    let run = run.shows("production is stamped 5a9d6371e18c");
    let _run = run.shows("2 revisions applied");
    let seen = world.site.evidence("try-1.json");
    let gates = seen["gates"].as_array().unwrap();
    let ids: Vec<&str> = gates.iter().map(|g| g["id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["stamp", "upgrade", "check"]);
    let file = &gates[1]["files"][0];
    assert_eq!(
        (&file["file"], &file["statements"]),
        (&"app".into(), &2.into())
    );
    let changes = file["changes"].to_string();
    assert!(
        changes.contains("added column public.agents.state"),
        "{changes}"
    );
    assert_eq!(seen["backs"][0]["state"], "reversed", "{}", seen["backs"]);
    let by = format!("alembic downgrade {BASELINE}");
    assert_eq!(seen["backs"][0]["by"], by.as_str());
    assert_eq!(seen["again"]["files"], 2, "{}", seen["again"]);
    let left_out = seen["left_out"].to_string();
    assert!(
        left_out
            .contains("guard: it compares with development, which is not on the private server"),
        "{left_out}"
    );
    // What production got is what was rehearsed.
    let log = world.site.output("upgrade-1.log");
    assert!(log.contains("the schema is the rehearsed one"), "{log}");
    assert_eq!(world.version("production"), HEAD);
}

#[test]
fn a_drop_that_no_sql_names_beforehand_is_seen_with_its_rows() {
    let world = World::tracked();
    // Its SQL cannot be said beforehand: it asks the database.
    let drop = "found = op.get_bind().execute(sa.text('SELECT count(*) FROM connections')).scalar()\n    \
                op.get_bind().execute(sa.text('DROP TAB' + 'LE connections')) if found else None";
    world.revision("c0ffee000001", HEAD, drop, "pass");
    let upgrade = |more: &str| gate("upgrade", "upgrade", &format!("models = false\n{more}"));
    world.runbook(&format!("{REHEARSE}{}", upgrade("")));
    world
        .run()
        .exits(4)
        .says("a file does what its text does not say")
        .says("DS102")
        .says("10 rows")
        .says("production was not touched");
    assert_eq!(world.version("production"), BASELINE);
    let there = "SELECT count(*) FROM connections";
    assert_eq!(world.site.one_in("production", there), "10");

    // What the gate allows for tonight is allowed there, too: its predicate is asked before.
    let allow = "[[phase.gate.alembic.allow]]\nfile = \"alembic/versions/c0ffee000001.py\"\n\
                 hazard = \"DS102\"\ntarget = \"production\"\nreason = \"moved\"\n\
                 predicate = \"SELECT count(*) = 10 FROM connections\"";
    world.runbook(&format!("{REHEARSE}{}", upgrade(allow)));
    let mut command = world.command(&["rehearse", "runbook.toml"]);
    ended(command.output().unwrap()).exits(0).shows("moved");
    assert_eq!(world.version("production"), BASELINE);
}

#[test]
fn a_downgrade_that_does_not_reverse_is_refused_and_one_that_nobody_promised_is_told() {
    let world = World::tracked();
    let add = "op.add_column('agents', sa.Column('extra', sa.Text()))";
    world.revision("c0ffee000001", HEAD, add, "pass");
    let upgrade = gate("upgrade", "upgrade", "models = false");
    world.runbook(&format!("{REHEARSE}{upgrade}{BACK}"));
    world
        .run()
        .exits(4)
        .says("a down that does not reverse: alembic downgrade 5a9d6371e18c leaves a difference")
        .says("column public.agents.extra is left")
        .says("production was not touched");
    assert_eq!(world.version("production"), BASELINE);

    world.runbook(&format!("{REHEARSE}{upgrade}"));
    let mut command = world.command(&["rehearse", "runbook.toml"]);
    ended(command.output().unwrap())
        .exits(0)
        .shows("no [[rollback]] gate takes it back, and the project's own way does not");
    assert_eq!(world.version("production"), BASELINE);
}
