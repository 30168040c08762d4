//! The screen of locks: what it shows at the sizes that people have, and what its keys ask for.

use std::sync::Arc;

use insta::assert_snapshot;
use jiff::SignedDuration;
use stagegate::console::model::Model;
use stagegate::console::msg::{Effect, Msg, Origin};
use stagegate::console::update::update;
use stagegate::console::view::theme::{Palette, Theme, ThemeName};
use stagegate::gate::{FeedView, LockScene, Pause, Tolerated};
use stagegate::postgres::locks::{Backend, Blocker, Look, Phase, Prepared, Queue, Wait, Waiter};
use stagegate::promotion::{BlockerAct, BlockerEnd, BlockerOutcome, BlockerRecord, Command, Event};

use super::console_world::{World, keys, listen, screen, screen_in, text};

const SIZES: [((u16, u16), &str); 2] = [((80, 24), "80x24"), ((120, 40), "120x40")];

fn backend(pid: i32, user: &str, application: &str, state: &str, query: &str) -> Backend {
    Backend {
        pid,
        user: user.to_owned(),
        application: application.to_owned(),
        client: "10.0.0.7".to_owned(),
        database: "shop".to_owned(),
        state: state.to_owned(),
        kind: "client backend".to_owned(),
        backend_start: Some(format!("2025-11-22T00:59:00.{pid}+00:00")),
        transaction_ms: Some(14_200),
        query_ms: Some(12_300),
        state_ms: Some(12_300),
        query: query.to_owned(),
        hidden: false,
        may_signal: true,
    }
}

fn wait(mode: &str, on: &str, ms: u64) -> Wait {
    Wait {
        mode: mode.to_owned(),
        waited_ms: Some(ms),
        ..Wait::on(on)
    }
}

/// We wait for one, who waits for another; two wait behind us.
fn waiting() -> Look {
    let idle = backend(
        4711,
        "ana",
        "psql",
        "idle in transaction",
        "SELECT * FROM shop.orders o JOIN shop.items i USING (id)",
    );
    let mut first = Blocker::new(
        backend(
            4800,
            "cron",
            "nightly",
            "active",
            "UPDATE shop.orders SET status = 'late'",
        ),
        0,
    );
    first.waits = Some(wait("ShareLock", "the end of transaction 760", 11_000));
    let waiter = |pid, ms| Waiter {
        who: backend(pid, "web", "checkout", "active", "SELECT 1"),
        wait: wait("AccessShareLock", "shop.orders", ms),
    };
    Look {
        ours: Some(backend(
            4900,
            "dba",
            "stagegate",
            "active",
            "ALTER TABLE shop.orders ADD COLUMN status text",
        )),
        wait: Some(wait("AccessExclusiveLock", "shop.orders", 1_200)),
        blockers: vec![first, Blocker::new(idle, 1)],
        queue: Queue {
            count: 2,
            longest_ms: 900,
            on: vec![("shop.orders".to_owned(), 2)],
            first: vec![waiter(5001, 900), waiter(5002, 400)],
        },
        ..Look::default()
    }
}

fn world_with(look: Look, change: impl Fn(&mut LockScene, jiff::Timestamp)) -> World {
    let mut world = World::new().passed(3);
    world.start("orders");
    let began = world.now - SignedDuration::from_secs(2);
    let mut scene = LockScene {
        target: "production".to_owned(),
        file: "db/20251121_002_order_index.sql".to_owned(),
        line: Some(4),
        statement_began: began,
        transaction_began: began,
        attempt: "attempt 2 of 5, 38 s of 5 min used".to_owned(),
        lock_timeout_ms: 2_000,
        tolerated: Tolerated {
            waiters: 50,
            wait: std::time::Duration::from_secs(5),
        },
        look: Some(Arc::new(look)),
        looked: Some(world.now),
        asked: None,
        trouble: None,
        pause: None,
        stopping: None,
    };
    change(&mut scene, world.now);
    world.feed = FeedView {
        locks: Some(Arc::new(scene)),
        ..FeedView::default()
    };
    world
}

fn world(look: Look) -> World {
    world_with(look, |_, _| {})
}

fn both(name: &str, world: &World, prepare: impl Fn(&mut Model)) {
    for (size, suffix) in SIZES {
        let mut model = world.model(size);
        keys(&mut model, "4");
        prepare(&mut model);
        model.settle();
        assert_snapshot!(format!("{name}_{suffix}"), screen(&model).backend());
    }
}

#[test]
fn nothing_is_running() {
    both("locks_nothing", &World::new(), |_| {});
}

#[test]
fn we_wait_and_others_behind_us() {
    both("locks_waiting", &world(waiting()), |_| {});
}

#[test]
fn between_two_attempts() {
    let world = world_with(waiting(), |scene, now| {
        scene.line = None;
        scene.pause = Some(Pause {
            until: now + SignedDuration::from_secs(4),
            because:
                "db/20251121_002_order_index.sql:4: canceling statement due to lock timeout (55P03)"
                    .to_owned(),
        });
    });
    both("locks_pause", &world, |_| {});
}

#[test]
fn an_index_that_is_built() {
    let look = Look {
        wait: None,
        blockers: Vec::new(),
        queue: Queue::default(),
        progress: vec![Phase {
            command: "CREATE INDEX".to_owned(),
            phase: "building index: scanning table".to_owned(),
            done: 1_204,
            total: 2_800,
            unit: "blocks",
            detail: String::new(),
        }],
        ..waiting()
    };
    both("locks_index", &world(look), |_| {});
}

#[test]
fn what_may_not_be_seen_and_what_may_not_be_done() {
    let mut look = waiting();
    look.blockers.truncate(1);
    let who = &mut look.blockers[0].who;
    who.hidden = true;
    who.may_signal = false;
    who.backend_start = None;
    (who.state, who.query, who.client) = Default::default();
    (who.transaction_ms, who.query_ms, who.state_ms) = Default::default();
    let mut prepared = Blocker::new(Backend::default(), 0);
    prepared.prepared.push(Prepared {
        gid: "tpc-7".to_owned(),
        owner: "app".to_owned(),
        database: "shop".to_owned(),
        age_ms: 7_300_000,
    });
    look.blockers.push(prepared);
    both("locks_unseen", &world(look), |_| {});
}

#[test]
fn nobody_watches_and_nobody_answers() {
    let world = world_with(waiting(), |scene, now| {
        scene.look = None;
        scene.asked = Some(now - SignedDuration::from_secs(12));
        scene.trouble = Some("sorry, too many clients already".to_owned());
    });
    both("locks_silence", &world, |_| {});
}

#[test]
fn the_question_before_a_session_is_ended() {
    both("locks_question", &world(waiting()), |model| {
        keys(model, "<down>t");
        listen(model);
        keys(model, "4712<enter>");
    });
}

#[test]
fn what_was_asked_is_shown_with_its_outcome() {
    let mut world = world(waiting());
    world.record(Event::BlockerSignaled {
        gate: "orders".to_owned(),
        attempt: 1,
        blocker: BlockerRecord {
            act: BlockerAct::Terminate,
            pid: 4711,
            backend_start: "2025-11-22T00:59:00.4711+00:00".to_owned(),
            who: "ana@psql".to_owned(),
            query: String::new(),
        },
    });
    world.record(Event::BlockerSignalEnded {
        gate: "orders".to_owned(),
        attempt: 1,
        ended: BlockerEnd {
            act: BlockerAct::Terminate,
            pid: 4711,
            outcome: BlockerOutcome::NotPermitted,
            detail: "must be a superuser".to_owned(),
        },
    });
    let mut model = world.model((120, 40));
    keys(&mut model, "4");
    let shown = text(&model);
    assert!(shown.contains("asked: terminate pid 4711"), "{shown}");
    assert!(
        shown.contains("pid 4711: not permitted: must be a superuser"),
        "{shown}"
    );
}

#[test]
fn the_run_says_that_it_waits() {
    let shown = text(&world(waiting()).model((120, 40)));
    assert!(
        shown.contains("! waits for pid 4800, cron@nightly, 1.2 s; 2 wait behind us; press 4"),
        "{shown}"
    );
    let quiet = Look {
        wait: None,
        queue: Queue::default(),
        ..waiting()
    };
    assert!(!text(&world(quiet).model((120, 40))).contains("press 4"));
}

#[test]
fn words_stand_without_colours() {
    let mut model = world(waiting()).model((80, 24));
    keys(&mut model, "4");
    model.settle();
    let plain = Theme {
        name: ThemeName::Dark,
        palette: Palette::None,
    };
    assert_snapshot!("locks_no_color", screen_in(&model, &plain).backend());
}

fn commands(effects: Vec<Effect>) -> Vec<Command> {
    let command = |effect| match effect {
        Effect::Command { command, .. } => Some(command),
        _ => None,
    };
    effects.into_iter().filter_map(command).collect()
}

#[test]
fn ours_is_canceled_after_one_more_question() {
    let mut model = world(waiting()).model((80, 24));
    assert_eq!(commands(keys(&mut model, "4c")), []);
    // What was typed before the question was seen is no answer to it.
    assert_eq!(commands(keys(&mut model, "y")), []);
    listen(&mut model);
    let gate = "orders".to_owned();
    assert_eq!(commands(keys(&mut model, "y")), [Command::Cancel { gate }]);
}

#[test]
fn a_blocker_is_asked_once_its_number_is_typed() {
    let mut model = world(waiting()).model((80, 24));
    keys(&mut model, "4x");
    listen(&mut model);
    for wrong in ["<enter>", "4<enter>", "48000<enter>"] {
        assert_eq!(commands(keys(&mut model, wrong)), [], "{wrong}");
        keys(&mut model, "<c-u>");
    }
    update(&mut model, Msg::Paste("4800".to_owned()));
    assert_eq!(commands(keys(&mut model, "<enter>")), []);
    keys(&mut model, "<c-u>");
    let asked = commands(keys(&mut model, "4800<enter>"));
    let [
        Command::SignalBlocker {
            blocker, typed_pid, ..
        },
    ] = &asked[..]
    else {
        panic!("{asked:?}");
    };
    assert_eq!((blocker.pid, blocker.act), (4800, BlockerAct::Cancel));
    assert_eq!(blocker.backend_start, "2025-11-22T00:59:00.4800+00:00");
    assert_eq!(typed_pid.as_deref(), Some("4800"));
    // A refusal is read beside what was typed.
    let result = Err(stagegate::engine::CommandError::Gone);
    let done = Msg::Done {
        command: asked[0].clone(),
        origin: Origin::Dialog,
        result,
    };
    update(&mut model, done);
    assert!(text(&model).contains("the engine has ended"));
}

#[test]
fn what_is_idle_has_no_statement_to_cancel() {
    let mut model = world(waiting()).model((120, 40));
    keys(&mut model, "4<down>x");
    assert!(model.dialog.is_none());
    assert!(
        text(&model).contains("there is no statement to cancel"),
        "{}",
        text(&model)
    );
}

#[test]
fn a_question_about_somebody_who_has_left_is_withdrawn() {
    let first = world(waiting());
    let mut model = first.model((80, 24));
    keys(&mut model, "4t");
    listen(&mut model);
    keys(&mut model, "48");
    let mut look = waiting();
    look.blockers.remove(0);
    update(&mut model, Msg::Feed(world(look).feed));
    assert!(model.dialog.is_none());
    assert!(text(&model).contains("pid 4800 is not in the way any more"));
    // The same number that began at another time is somebody else.
    keys(&mut model, "t");
    let mut look = waiting();
    look.blockers.remove(0);
    look.blockers[0].who.backend_start = Some("2025-11-22T01:01:00+00:00".to_owned());
    update(&mut model, Msg::Feed(world(look).feed));
    assert!(model.dialog.is_none());
}

#[test]
fn waiting_goes_back_to_the_run() {
    let mut model = world(waiting()).model((80, 24));
    assert_eq!(commands(keys(&mut model, "4w")), []);
    assert!(text(&model).contains("nothing was asked of anybody"));
    assert!(text(&model).contains("running for"));
}
