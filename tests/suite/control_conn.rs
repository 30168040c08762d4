//! Who has the conn: handed over by both sides, taken from a holder who is gone, and by exactly one.

use std::sync::Arc;

use stagegate::control::Address;
use stagegate::engine::{
    self, Asked, CommandError, EngineHandle, Request, Snapshot, TakeError, Taking, Which,
    open_taken, take,
};
use stagegate::postgres::OperatorLock;
use stagegate::promotion::{Command, Event};

use crate::control_watch::{command, tick, until_same};
use crate::control_world::{PEOPLE, World};
use crate::server;

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
        error.to_string().contains("was handed over to lee@"),
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

#[test]
fn a_folder_that_tells_another_history_is_set_aside_and_one_that_is_open_is_not() {
    let world = World::new();
    let run = abandoned(&world);
    let options = world.options("two", "lee", Which::Named(run.clone()));
    let address = world.watcher.address();
    let folder = world.runs("two").join(&run);
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("journal.jsonl"), "another\n").unwrap();
    let lock = std::fs::File::open(folder.join("journal.jsonl")).unwrap();
    lock.lock().unwrap();
    let try_it = || {
        let taking = Taking::Left(1);
        world
            .runtime
            .block_on(take(&address, &run, &taking, &options))
    };
    let error = try_it().unwrap_err().to_string();
    assert!(error.contains("is open on this machine already"), "{error}");
    drop(lock);
    let taken = try_it().unwrap();
    let aside = taken.set_aside.unwrap();
    let kept = std::fs::read_to_string(aside.join("journal.jsonl")).unwrap();
    assert_eq!(kept, "another\n");
    assert_eq!(world.mirrored(&run), world.journal("two", &run));
    let listed = engine::list(&world.runs("two"));
    assert_eq!(listed.len(), 1, "{listed:?}");
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
