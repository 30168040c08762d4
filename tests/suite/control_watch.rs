//! A second console on a run: what it sees, through a proxy that drops, stalls and cuts; and who
//! gets the conn when many want it.

use std::sync::Arc;
use std::time::Instant;

use stagegate::control::Address;
use stagegate::control::folder::Folder;
use stagegate::control::watch::Source;
use stagegate::engine::{
    self, Asked, CommandError, EngineHandle, Request, Snapshot, TakeError, Taking, WatchOptions,
    Which, open_taken, take,
};
use stagegate::postgres::OperatorLock;
use stagegate::promotion::{Command, Event};

use crate::control_world::{CUT, PASS, PEOPLE, STALL, World, lee};
use crate::server;

fn hashes(snapshot: &Snapshot) -> Vec<&str> {
    snapshot.records.iter().map(|r| r.hash.as_str()).collect()
}

/// Waits until the watcher shows the very records that the holder shows.
#[track_caller]
fn until_same(world: &World, watcher: &EngineHandle, holder: &EngineHandle) {
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

fn command(world: &World, handle: &EngineHandle, command: Command) -> Result<(), CommandError> {
    world.runtime.block_on(handle.command(command))
}

fn tick() -> Command {
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

fn asked(snapshot: &Snapshot) -> Option<&Asked> {
    snapshot.control.watching.as_ref()?.asked.as_ref()
}

/// Lee asks, and ana's console shows it. Gives what hands the conn over.
fn asks(world: &World, watcher: &EngineHandle, holder: &EngineHandle) -> Command {
    asks_as(world, watcher, holder, "postgres")
}

fn asks_as(world: &World, watcher: &EngineHandle, holder: &EngineHandle, role: &str) -> Command {
    world.runtime.block_on(watcher.ask(Request::AskConn));
    world.until(holder, "the question", |s| s.control.asks.is_some());
    let snapshot = holder.snapshot();
    let ask = snapshot.control.asks.clone().unwrap();
    assert!(ask.who.starts_with("lee@"), "{ask:?}");
    assert_eq!(ask.sent_by, role);
    let epoch = snapshot.control.mirror.as_ref().unwrap().epoch.unwrap();
    Command::HandOver {
        to: ask.who,
        epoch: u64::try_from(epoch + 1).ok(),
    }
}

#[test]
fn the_conn_goes_to_another_machine_and_both_sides_stand_in_the_journal() {
    let world = World::new();
    world.runbook(PEOPLE);
    let holder = world.open();
    let run = holder.snapshot().run.id.clone();
    world.until_mirrored(&run, 1);
    let watcher = world.watch(&run);
    asks(&world, &watcher, &holder);
    let id = holder.snapshot().control.asks.clone().unwrap().id;
    let actor = holder.actor().clone();
    world
        .runtime
        .block_on(holder.ask(Request::RefuseConn { id, actor }));
    world.until(&watcher, "the refusal", |s| {
        matches!(asked(s), Some(Asked::Refused(_)))
    });
    // A hand-over that nobody asked for, or of another epoch, is none.
    let over = asks(&world, &watcher, &holder);
    let wrong = Command::HandOver {
        to: "eve@three".into(),
        epoch: Some(2),
    };
    command(&world, &holder, wrong).unwrap_err();
    command(&world, &holder, over).unwrap();
    world.until(&watcher, "the grant", |s| {
        matches!(asked(s), Some(Asked::Granted(2)))
    });
    world.until(&holder, "the end here", |s| s.control.handed_over.is_some());
    let refused = command(&world, &holder, tick()).unwrap_err();
    assert!(matches!(refused, CommandError::ReadOnly(_)), "{refused}");
    let address = world.watcher.address();
    let options = world.options("two", "lee", Which::Named(run.clone()));
    let taken = world
        .runtime
        .block_on(take(&address, &run, &Taking::Granted(2), &options))
        .unwrap();
    assert_eq!((taken.epoch, taken.from.as_str()), (3, "ana"));
    let new = open_taken(&run, &taken, &options).unwrap();
    new.begin(world.runtime.handle()).unwrap();
    command(&world, &new, tick()).unwrap();
    command(&world, &new, Command::Close).unwrap();
    until_same(&world, &watcher, &new);
    let last = new.snapshot();
    let mut events = last.records.iter().map(|record| &record.event);
    assert!(events.any(|event| matches!(event, Event::ConnHandedOver { epoch: Some(2), .. })));
    assert!(events.any(|event| matches!(event, Event::ConnTaken { epoch: 3, unanswered: false, from } if from == "ana")));
    assert_eq!(new.close().notices, Vec::<String>::new());
    assert_eq!(world.mirrored(&run), world.journal("two", &run));
    // What ana has is the beginning of it, and going on with it there is refused.
    assert!(
        world
            .journal("two", &run)
            .starts_with(&world.journal("one", &run))
    );
    holder.close();
    let stale = world.options("one", "ana", Which::Named(run.clone()));
    let Err(error) = engine::open_asleep(&stale) else {
        panic!("it was opened");
    };
    assert!(
        error.to_string().contains("is behind its witnesses"),
        "{error}"
    );
}

/// A run whose holder was killed: nobody has said anything for a while.
fn abandoned(world: &World) -> String {
    world.runbook(&format!(
        "{PEOPLE}[[phase.gate]]\nid = \"act\"\ntitle = \"Act\"\n[phase.gate.migrate]\n\
         target = \"db\"\nfiles = [\"*.sql\"]\n"
    ));
    std::fs::write(world.path().join("1.sql"), "SELECT 1;").unwrap();
    let holder = world.open();
    let run = holder.snapshot().run.id.clone();
    world.until_mirrored(&run, 1);
    holder.close();
    let gone = "WITH u AS (UPDATE stagegate_control.run SET seen = seen - interval '31 s' \
                RETURNING id) SELECT count(*) FROM u";
    assert_eq!(world.one(gone), "1");
    run
}

#[test]
fn of_all_who_take_an_abandoned_run_exactly_one_has_it() {
    let world = World::new();
    let run = abandoned(&world);
    let address: Arc<Address> = Arc::new(world.watcher.address());
    let takers: Vec<_> = (0..12)
        .map(|n| {
            let options = world.options(
                &format!("machine-{n}"),
                &format!("p{n}"),
                Which::Named(run.clone()),
            );
            let (address, run) = (address.clone(), run.clone());
            world.runtime.spawn(async move {
                // Who finds the lock on the target taken by another taker asks once more.
                loop {
                    match take(&address, &run, &Taking::Left(1), &options).await {
                        Err(TakeError::NotLeft(why)) if why.contains("`db` is held") => {}
                        taken => return taken.map(|taken| taken.epoch),
                    }
                }
            })
        })
        .collect();
    let mut winners = 0;
    for taker in takers {
        match world.runtime.block_on(taker).unwrap() {
            Ok(epoch) => {
                assert_eq!(epoch, 2);
                winners += 1;
            }
            Err(TakeError::Beaten(_) | TakeError::NotLeft(_)) => {}
            Err(other) => panic!("{other}"),
        }
    }
    assert_eq!(winners, 1);
    assert_eq!(world.one("SELECT epoch FROM stagegate_control.run"), "2");
}

#[test]
fn a_run_is_not_taken_from_a_holder_who_lives_or_whose_target_is_held() {
    let world = World::new();
    let run = abandoned(&world);
    let address = world.watcher.address();
    let options = world.options("two", "lee", Which::Named(run.clone()));
    let try_it = || {
        let taken = take(&address, &run, &Taking::Left(1), &options);
        world.runtime.block_on(taken)
    };
    let info = server::info(&world.cluster);
    let lock = OperatorLock::acquire(&info, "other", std::time::Duration::ZERO);
    let lock = world.runtime.block_on(lock).unwrap();
    let error = try_it().unwrap_err().to_string();
    assert!(
        error.contains("`db` is held: postgres (stagegate other operator)"),
        "{error}"
    );
    world.runtime.block_on(lock.release());
    world.one("WITH u AS (UPDATE stagegate_control.run SET seen = clock_timestamp() RETURNING 1) SELECT 1");
    let error = try_it().unwrap_err().to_string();
    assert!(
        error.contains("ana@") && error.contains("is there: it was seen"),
        "{error}"
    );
    world.one("WITH u AS (UPDATE stagegate_control.run SET seen = seen - interval '1 min' RETURNING 1) SELECT 1");
    let taken = try_it().unwrap();
    assert!(
        taken.unanswered && taken.from.starts_with("ana@"),
        "{taken:?}"
    );
    let new = open_taken(&run, &taken, &options).unwrap();
    new.begin(world.runtime.handle()).unwrap();
    assert!(new.snapshot().records.iter().any(|record| matches!(
        record.event,
        Event::ConnTaken {
            unanswered: true,
            epoch: 2,
            ..
        }
    )));
    world.until_mirrored(&run, new.snapshot().run.seq);
    // The holder comes back, and finds that the conn is lee's.
    let back = world.options("one", "ana", Which::Named(run.clone()));
    let Err(error) = engine::open_asleep(&back) else {
        panic!("it was opened");
    };
    assert!(
        error.to_string().contains("behind its witnesses"),
        "{error}"
    );
    new.close();
}

/// The whole way with people who may do nothing but what their role is for.
#[test]
fn the_least_rights_are_enough() {
    let mut world = World::new();
    world.one(
        "CREATE ROLE ana LOGIN; GRANT stagegate_control TO ana; CREATE ROLE lee LOGIN; \
         GRANT stagegate_watch TO lee; SELECT 1",
    );
    world.holder.user = "ana";
    world.watcher.user = "lee";
    world.runbook(PEOPLE);
    let path = world.path().join("runbook.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    let text = text.replace("[control]", "[control]\nrole = \"stagegate_control\"");
    std::fs::write(&path, text).unwrap();
    let holder = world.open();
    let run = holder.snapshot().run.id.clone();
    world.until_mirrored(&run, 1);
    let watcher = world.watch(&run);
    until_same(&world, &watcher, &holder);
    // Lee may ask, and hand in; taking the conn needs the holder's role.
    let over = asks_as(&world, &watcher, &holder, "lee");
    command(&world, &holder, over).unwrap();
    world.until(&watcher, "the grant", |s| {
        matches!(asked(s), Some(Asked::Granted(2)))
    });
    let options = world.options("two", "lee", Which::Named(run.clone()));
    let try_it = || {
        let address = world.watcher.address();
        let taking = Taking::Granted(2);
        world
            .runtime
            .block_on(take(&address, &run, &taking, &options))
    };
    let error = try_it().unwrap_err().to_string();
    assert!(error.contains("permission denied for table run"), "{error}");
    world.one("GRANT stagegate_control TO lee; SELECT 1");
    let taken = try_it().unwrap();
    let new = open_taken(&run, &taken, &options).unwrap();
    new.begin(world.runtime.handle()).unwrap();
    command(&world, &new, tick()).unwrap();
    command(&world, &new, Command::Close).unwrap();
    new.close();
    holder.close();
    assert_eq!(world.mirrored(&run), world.journal("two", &run));
}

#[test]
fn a_database_that_is_put_back_takes_the_conn_from_nobody() {
    let world = World::new();
    world.runbook(PEOPLE);
    let holder = world.open();
    let run = holder.snapshot().run.id.clone();
    world.until_mirrored(&run, 1);
    world.one(
        "SET session_replication_role = replica; DELETE FROM stagegate_control.record; \
               DELETE FROM stagegate_control.document; DELETE FROM stagegate_control.run; SELECT 1",
    );
    world.until(&holder, "that it is said", |s| {
        s.notices
            .iter()
            .any(|notice| notice.contains("was put back to an earlier time"))
    });
    assert_eq!(holder.snapshot().control.read_only, None);
    command(&world, &holder, tick()).unwrap();
    command(&world, &holder, Command::Close).unwrap();
    holder.close();
    assert!(world.journal("one", &run).contains("run_closed"));
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
        .exits(0)
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
        .block_on(watcher.hand_in("a statement".into()));
    assert_eq!(answer, Ok("this run takes no signatures".to_owned()));
    assert_eq!(
        world.one("SELECT count(*) FROM stagegate_control.inbox WHERE answered IS NOT NULL"),
        "1"
    );
    holder.close();
}
