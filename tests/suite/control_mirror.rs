//! The copy of the journal: whole, never waited for, and told from another history.

use std::time::{Duration, Instant};

use stagegate::control::mirror::State;
use stagegate::engine::{CommandError, Snapshot, Which};
use stagegate::promotion::Command;
use stagegate::report::Found;

use crate::control_world::{CUT, PASS, PEOPLE, STALL, World};
use crate::site::{BINARY, ended};

fn live(snapshot: &Snapshot) -> bool {
    let mirror = snapshot.control.mirror.as_ref();
    mirror.is_some_and(|mirror| mirror.state == State::Live)
}

fn lost(snapshot: &Snapshot) -> bool {
    let mirror = snapshot.control.mirror.as_ref();
    mirror.is_some_and(|mirror| matches!(mirror.state, State::Lost(_)))
}

/// The program itself, headless, with the holder's way to the control schema.
fn headless(world: &World, more: &[&str]) -> crate::site::Ended {
    let output = std::process::Command::new(BINARY)
        .args(["run", "--headless", "--runs-dir", "one"])
        .args(more)
        .current_dir(world.path())
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap())
        .env("HOME", world.path())
        .env("DB", world.cluster.url("postgres", "postgres"))
        .env("CONTROL", world.holder.url())
        .output()
        .unwrap();
    ended(output)
}

const QUERY: &str = "[[phase.gate]]\nid = \"one\"\ntitle = \"One\"\n[phase.gate.query]\n\
                     target = \"db\"\nsql = \"SELECT 1\"\nexpect = { value = \"= 1\" }\n";

fn run_id(said: &str) -> String {
    let rest = said.split("run ").nth(1).unwrap();
    rest.split(':').next().unwrap().to_owned()
}

#[test]
fn every_record_arrives_byte_for_byte_with_its_documents() {
    let world = World::new();
    world.runbook(&format!("{QUERY}{PEOPLE}"));
    let said = headless(&world, &["runbook.toml"]).exits(4);
    let run = run_id(&said.err);
    assert_eq!(world.mirrored(&run), world.journal("one", &run));
    let names = "SELECT string_agg(part || '/' || name, ' ' ORDER BY part, name) \
                 FROM stagegate_control.document";
    let names = world.one(names);
    assert!(names.contains("/runbook.toml"), "{names}");
    assert!(names.contains("evidence/one-1.json"), "{names}");
    // Going on with it is another epoch, and follows what is there.
    headless(&world, &["--resume", &run]).exits(4);
    assert_eq!(world.mirrored(&run), world.journal("one", &run));
    assert_eq!(world.one("SELECT epoch FROM stagegate_control.run"), "2");
}

#[test]
fn a_run_goes_on_without_a_control_schema_and_never_makes_one() {
    let world = World::without_schema();
    world.runbook(QUERY);
    headless(&world, &["runbook.toml"])
        .exits(0)
        .says("the run goes on without other terminals: there is no control schema in");
    assert_eq!(
        world.one("SELECT to_regnamespace('stagegate_control') IS NULL"),
        "t"
    );
}

#[test]
fn a_lost_control_connection_blocks_nothing_and_is_caught_up() {
    let world = World::new();
    world.runbook(PEOPLE);
    let handle = world.open();
    world.until(&handle, "a live mirror", live);
    let run = handle.snapshot().run.id.clone();
    for fault in [CUT, STALL] {
        world.holder.order(fault);
        let before = Instant::now();
        for n in 0..60 {
            world.note(&handle, &format!("while {fault}, {n}"));
        }
        let hold = Command::Hold {
            reason: "the kill switch".into(),
        };
        world.runtime.block_on(handle.command(hold)).unwrap();
        world
            .runtime
            .block_on(handle.command(Command::Resume))
            .unwrap();
        let took = before.elapsed();
        assert!(took < Duration::from_secs(4), "{fault}: {took:?}");
        world.until(&handle, "the loss", lost);
        let (lacks, _) = handle
            .snapshot()
            .control
            .behind(handle.snapshot().run.seq)
            .unwrap();
        assert!(lacks >= 62, "{lacks}");
        world.holder.order(PASS);
        world.until(&handle, "a live mirror again", live);
        world.until_mirrored(&run, handle.snapshot().run.seq);
    }
    let last = handle.close();
    assert_eq!(last.notices, Vec::<String>::new());
    assert_eq!(world.mirrored(&run), world.journal("one", &run));
}

#[test]
fn an_end_waits_a_bounded_moment_for_the_copy_and_says_what_it_lacks() {
    let world = World::new();
    world.runbook(PEOPLE);
    let handle = world.open();
    world.until(&handle, "a live mirror", live);
    world.until_mirrored(&handle.snapshot().run.id, 1);
    world.holder.order(STALL);
    world.note(&handle, "never seen elsewhere");
    let before = Instant::now();
    let last = handle.close();
    assert!(
        before.elapsed() < Duration::from_secs(4),
        "{:?}",
        before.elapsed()
    );
    let said = last.notices.join("\n");
    assert!(said.contains("lacks the last 1 records"), "{said}");
    world.holder.order(PASS);
}

#[test]
fn nothing_is_begun_once_the_epoch_is_anothers() {
    let world = World::new();
    world.runbook(
        "[[phase.gate]]\nid = \"act\"\ntitle = \"Act\"\n[phase.gate.migrate]\ntarget = \"db\"\n\
         files = [\"*.sql\"]\n",
    );
    std::fs::write(world.path().join("1.sql"), "CREATE TABLE made (n int);").unwrap();
    let handle = world.open();
    world.until(&handle, "a live mirror", live);
    let run = handle.snapshot().run.id.clone();
    world
        .runtime
        .block_on(handle.ask(stagegate::engine::Request::Plan { gate: "act".into() }));
    world.until(&handle, "a plan", |snapshot| {
        snapshot.plans.contains_key("act")
    });
    let plan = handle.snapshot().plans["act"].digest.clone();
    // The holder's own connection hears nothing of what happens next.
    world.one(&format!(
        "WITH u AS (UPDATE stagegate_control.run SET epoch = epoch + 1, holder = 'lee@two' \
         WHERE id = '{run}' RETURNING epoch) SELECT epoch FROM u"
    ));
    let start = Command::Start {
        gate: "act".into(),
        plan: Some(plan),
        typed_name: None,
    };
    // Either the start is refused already, or its work is.
    match world.runtime.block_on(handle.command(start)) {
        Ok(()) | Err(CommandError::ReadOnly(_)) => {}
        Err(other) => panic!("{other}"),
    }
    world.until(&handle, "read only", |snapshot| {
        let reason = snapshot.control.read_only.as_deref();
        reason.is_some_and(|reason| reason.contains("lee@two has taken the conn"))
            && snapshot.run.at_work().is_none()
    });
    assert_eq!(world.one("SELECT to_regclass('made') IS NULL"), "t");
    let note = Command::Note {
        gate: None,
        text: "x".into(),
    };
    let refused = world.runtime.block_on(handle.command(note)).unwrap_err();
    assert!(matches!(refused, CommandError::ReadOnly(_)), "{refused}");
    handle.close();
}

#[test]
fn an_unreached_control_schema_stops_no_effect() {
    let world = World::new();
    world.runbook(
        "[[phase.gate]]\nid = \"act\"\ntitle = \"Act\"\n[phase.gate.exec]\n\
         argv = [\"touch\", \"made\"]\n",
    );
    let handle = world.open();
    world.until(&handle, "a live mirror", live);
    world.holder.order(STALL);
    world
        .runtime
        .block_on(handle.ask(stagegate::engine::Request::Plan { gate: "act".into() }));
    world.until(&handle, "a plan", |snapshot| {
        snapshot.plans.contains_key("act")
    });
    let plan = handle.snapshot().plans["act"].digest.clone();
    let start = Command::Start {
        gate: "act".into(),
        plan: Some(plan),
        typed_name: None,
    };
    world.runtime.block_on(handle.command(start)).unwrap();
    world.until(&handle, "the gate's end", |snapshot| {
        snapshot.run.current().is_none()
    });
    let lines = handle.feed().view(100).lines;
    assert!(
        lines
            .iter()
            .any(|line| line.text.contains("the lock on the target alone")),
        "{lines:?}"
    );
    world.holder.order(PASS);
    handle.close();
}

#[test]
fn a_journal_that_was_put_back_is_only_looked_at() {
    let world = World::new();
    world.runbook(&format!("{QUERY}{PEOPLE}"));
    let said = headless(&world, &["runbook.toml"]).exits(4);
    let run = run_id(&said.err);
    let whole = world.journal("one", &run);
    let path = world.runs("one").join(&run).join("journal.jsonl");
    let shorter: String = whole
        .lines()
        .take(2)
        .map(|line| format!("{line}\n"))
        .collect();
    std::fs::write(&path, &shorter).unwrap();
    headless(&world, &["--resume", &run])
        .exits(6)
        .says("is behind its witnesses: the journal ends at record 2; the control schema in");
    assert_eq!(world.journal("one", &run), shorter, "nothing was appended");
    let asked = || {
        let folder = world.runs("one").join(&run);
        let snapshot = stagegate::engine::read_run(&folder).unwrap().snapshot;
        let around = world
            .options("one", "ana", Which::Named(run.clone()))
            .surroundings;
        let checks = stagegate::report::ask_databases(&snapshot, around);
        let checks = world.runtime.block_on(checks);
        let control = checks
            .into_iter()
            .find(|check| check.what == "control schema");
        control.unwrap().found
    };
    let found = asked();
    let Found::Wrong(words) = &found else {
        panic!("{found:?}");
    };
    assert!(words.contains("the journal ends at record 2"), "{words}");
    // With the whole journal it goes on.
    std::fs::write(&path, &whole).unwrap();
    headless(&world, &["--resume", &run]).exits(4);
    let found = asked();
    assert!(matches!(found, Found::Good(_)), "{found:?}");
}
