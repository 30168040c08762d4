//! A second console on a run: what it sees, through a proxy that drops, stalls and cuts, and what it
//! hands in.

use std::time::Instant;

use stagegate::control::folder::Folder;
use stagegate::control::watch::Source;
use stagegate::engine::{self, CommandError, EngineHandle, Snapshot, WatchOptions};
use stagegate::promotion::Command;

use crate::control_world::{CUT, PASS, PEOPLE, STALL, World, lee};

fn hashes(snapshot: &Snapshot) -> Vec<&str> {
    snapshot.records.iter().map(|r| r.hash.as_str()).collect()
}

/// Waits until the watcher shows the very records that the holder shows.
#[track_caller]
pub(crate) fn until_same(world: &World, watcher: &EngineHandle, holder: &EngineHandle) {
    let wanted = holder.snapshot();
    world.until(watcher, "the same records", |snapshot| {
        hashes(snapshot) == hashes(&wanted)
    });
    let (seen, held) = (watcher.snapshot(), holder.snapshot());
    assert_eq!(seen.run, held.run, "the same fold");
}

fn trouble(snapshot: &Snapshot) -> bool {
    let watching = snapshot.control.watching.as_ref().unwrap();
    watching.trouble.is_some()
}

pub(crate) fn command(
    world: &World,
    handle: &EngineHandle,
    command: Command,
) -> Result<(), CommandError> {
    world.runtime.block_on(handle.command(command))
}

pub(crate) fn tick() -> Command {
    Command::ConfirmItem {
        gate: "people".into(),
        item: 0,
        value: None,
    }
}

#[test]
fn a_watcher_is_consistent_after_every_reconnection_and_the_run_is_unaffected() {
    let world = World::new();
    world.runbook(PEOPLE);
    let holder = world.open();
    let run = holder.snapshot().run.id.clone();
    world.until_mirrored(&run, 1);
    let watcher = world.watch(&run);
    until_same(&world, &watcher, &holder);
    let watching = watcher.snapshot().control.watching.clone().unwrap();
    assert!(watching.holder.starts_with("ana@"), "{watching:?}");
    for (round, fault) in [CUT, STALL, CUT].into_iter().enumerate() {
        world.watcher.order(fault);
        let before = Instant::now();
        for n in 0..40 {
            world.note(&holder, &format!("round {round}, note {n}"));
        }
        assert!(before.elapsed().as_secs() < 4, "{:?}", before.elapsed());
        world.until_mirrored(&run, holder.snapshot().run.seq);
        world.until(&watcher, "trouble", trouble);
        let old = watcher.snapshot();
        let heard = old.control.watching.as_ref().unwrap().heard;
        world.until(&watcher, "silence", |s| {
            let watching = s.control.watching.as_ref().unwrap();
            watching.heard == heard && watching.stale(jiff::Timestamp::now()).is_some()
        });
        world.watcher.order(PASS);
        until_same(&world, &watcher, &holder);
        world.until(&watcher, "no trouble", |snapshot| !trouble(snapshot));
    }
    command(&world, &holder, tick()).unwrap();
    until_same(&world, &watcher, &holder);
    assert!(watcher.snapshot().evidence.is_empty());
    // It decides nothing, whatever is asked of it.
    let refused = command(&world, &watcher, tick()).unwrap_err();
    assert!(refused.to_string().contains("has the conn"), "{refused}");
    assert_eq!(holder.close().notices, Vec::<String>::new());
}

#[test]
fn another_history_is_said_and_never_taken() {
    let world = World::new();
    world.runbook(PEOPLE);
    let holder = world.open();
    let run = holder.snapshot().run.id.clone();
    world.note(&holder, "first");
    world.note(&holder, "second");
    world.until_mirrored(&run, 3);
    let watcher = world.watch(&run);
    until_same(&world, &watcher, &holder);
    let seen = watcher.snapshot();
    world.one(&format!(
        "SET session_replication_role = replica; \
         UPDATE stagegate_control.record SET hash = repeat('f', 64) WHERE seq = 3 AND run = '{run}'; \
         SELECT 1"
    ));
    world.until(&watcher, "the difference", |snapshot| {
        let watching = snapshot.control.watching.as_ref().unwrap();
        watching
            .differs
            .as_deref()
            .is_some_and(|d| d.contains("another history: record 3"))
    });
    assert_eq!(hashes(&watcher.snapshot()), hashes(&seen));
    // Whoever watches anew on this machine is told too: it remembers what it has seen.
    world.one(&format!(
        "SET session_replication_role = replica; \
         DELETE FROM stagegate_control.record WHERE seq = 3 AND run = '{run}'; SELECT 1"
    ));
    let again = world.watch(&run);
    let watching = again.snapshot().control.watching.clone().unwrap();
    let differs = watching.differs.unwrap_or_default();
    assert!(differs.contains("has seen record 3"), "{differs}");
    holder.close();
}

#[test]
fn a_run_of_this_machine_is_followed_through_its_folder() {
    let world = World::without_schema();
    world.runbook(PEOPLE);
    let holder = world.open();
    let run = holder.snapshot().run.id.clone();
    let folder = world.runs("one").join(&run);
    world.until(&holder, "the folder", |_| {
        folder.join("owner.json").exists()
    });
    let options = WatchOptions {
        run: run.clone(),
        source: Source::Folder(Folder::new(&folder)),
        runs_folder: world.runs("one"),
        actor: lee(),
        reason: None,
    };
    let watcher = world.runtime.block_on(engine::watch(options)).unwrap();
    for n in 0..300 {
        world.note(&holder, &format!("{n}"));
    }
    until_same(&world, &watcher, &holder);
    let watching = watcher.snapshot().control.watching.clone().unwrap();
    assert!(!watching.may_ask && watching.seen.is_some(), "{watching:?}");
    holder.close();
}

#[test]
fn a_file_is_handed_in_from_a_shell() {
    let world = World::new();
    world.runbook(PEOPLE);
    let holder = world.open();
    let run = holder.snapshot().run.id.clone();
    world.until_mirrored(&run, 1);
    std::fs::write(world.path().join("statement.txt"), "a statement").unwrap();
    let output = std::process::Command::new(crate::site::BINARY)
        .args([
            "run",
            "--watch",
            &run,
            "--control",
            "env:CONTROL",
            "--runs-dir",
            "two",
        ])
        .args(["--hand-in", "statement.txt", "--operator", "lee"])
        .current_dir(world.path())
        .env("CONTROL", world.watcher.url())
        .output()
        .unwrap();
    crate::site::ended(output)
        .exits(4)
        .shows("this run takes no signatures");
    assert_eq!(
        world.one("SELECT payload FROM stagegate_control.inbox"),
        "a statement"
    );
    holder.close();
}

#[test]
fn a_text_that_is_handed_in_is_answered_once() {
    let world = World::new();
    world.runbook(PEOPLE);
    let holder = world.open();
    let run = holder.snapshot().run.id.clone();
    world.until_mirrored(&run, 1);
    let watcher = world.watch(&run);
    let answer = world
        .runtime
        .block_on(watcher.hand_in("a statement".into(), String::new()));
    let words = answer.unwrap();
    assert!(
        words.starts_with("refused: this run takes no signatures"),
        "{words}"
    );
    assert_eq!(
        world.one("SELECT count(*) FROM stagegate_control.inbox WHERE answered IS NOT NULL"),
        "1"
    );
    holder.close();
}

#[test]
fn a_run_whose_name_leads_elsewhere_is_not_followed() {
    let world = World::new();
    world.runbook(PEOPLE);
    let holder = world.open();
    let run = holder.snapshot().run.id.clone();
    world.until_mirrored(&run, 1);
    // Somebody who may write there gives the records another name, which is a path.
    let copied = format!(
        "INSERT INTO stagegate_control.run (id, title, holder, place) \
         SELECT '../../victim', title, holder, place FROM stagegate_control.run WHERE id = '{run}'; \
         INSERT INTO stagegate_control.record (run, seq, hash, epoch, line) \
         SELECT '../../victim', seq, hash, 1, line FROM stagegate_control.record \
          WHERE run = '{run}' ORDER BY seq; \
         INSERT INTO stagegate_control.document (run, part, name, sha256, content) \
         SELECT '../../victim', part, name, sha256, content FROM stagegate_control.document \
          WHERE run = '{run}'"
    );
    world.on_server(async |session| session.client.batch_execute(&copied).await.unwrap());
    let watch = |run: &str| {
        let arguments = ["run", "--watch", run, "--control", "env:CONTROL"];
        let output = std::process::Command::new(crate::site::BINARY)
            .args(arguments)
            .args(["--runs-dir", "two", "--hand-in", "runbook.toml"])
            .current_dir(world.path())
            .env("CONTROL", world.watcher.url())
            .output();
        crate::site::ended(output.unwrap())
    };
    let refused = watch("../../victim");
    assert_ne!(refused.code, Some(0), "{}", refused.out);
    refused.says("is not that run");
    assert!(!world.path().join("../../victim").exists());
    assert!(!world.runs("two").join("watched").exists());
    // A name that is cut is cut between two characters.
    let unknown = watch(&"é".repeat(40));
    assert!(
        unknown.code.is_some_and(|code| code != 0 && code != 101),
        "{}",
        unknown.err
    );
    holder.close();
}
