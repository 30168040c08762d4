//! The screens of a console that watches, and of one that is asked for the conn.

use insta::assert_snapshot;
use jiff::SignedDuration;
use stagegate::console::ConsoleEnd;
use stagegate::console::model::Model;
use stagegate::console::msg::Effect;
use stagegate::control::mirror::{State, Status};
use stagegate::engine::{Asked, ConnAsk, Taking, Watching};
use stagegate::promotion::Command;

use super::console_world::{World, keys, listen, publish, screen, text};

const SMALL: (u16, u16) = (80, 24);
const LARGE: (u16, u16) = (120, 40);

fn both(name: &str, world: &World, prepare: impl Fn(&mut Model)) {
    for (size, suffix) in [(SMALL, "80x24"), (LARGE, "120x40")] {
        let mut model = world.model(size);
        prepare(&mut model);
        model.settle();
        assert_snapshot!(format!("{name}_{suffix}"), screen(&model).backend());
    }
}

/// A run that ana holds, watched a second after she was seen.
fn watched() -> World {
    let mut world = World::new().passed(2);
    world.snapshot.control.watching = Some(Watching {
        run: world.snapshot.run.id.clone(),
        holder: "ana@db-host-1".into(),
        source: "ops@control.example.com:5432/ops".into(),
        heard: world.now,
        seen: Some(world.now - SignedDuration::from_secs(1)),
        trouble: None,
        differs: None,
        epoch: 3,
        may_ask: true,
        asked: None,
    });
    world
}

fn watching(world: &mut World) -> &mut Watching {
    world.snapshot.control.watching.as_mut().unwrap()
}

#[test]
fn a_watching_console() {
    both("watching", &watched(), |_| {});
}

#[test]
fn old_news_is_an_alarm() {
    let mut world = watched();
    watching(&mut world).trouble = Some("the connection to the server is gone".into());
    world.now += SignedDuration::from_secs(12);
    both("watching_stale", &world, |_| {});
}

#[test]
fn a_holder_who_is_gone() {
    let mut world = watched();
    watching(&mut world).seen = Some(world.now - SignedDuration::from_secs(42));
    let take = |model: &mut Model| {
        keys(model, "T");
        listen(model);
        keys(model, "2025");
    };
    both("watching_take", &world, take);
}

#[test]
fn somebody_asks_for_the_conn() {
    let mut world = held();
    world.snapshot.control.asks = Some(ask());
    both("conn_asked", &world, |model| {
        keys(model, "T");
        listen(model);
    });
}

fn ask() -> ConnAsk {
    ConnAsk {
        id: 7,
        who: "lee@laptop".into(),
        sent_by: "lee".into(),
    }
}

fn held() -> World {
    let mut world = World::new().passed(2);
    world.snapshot.control.mirror = Some(Status {
        state: State::Live,
        database: "ops@control.example.com:5432/ops".into(),
        mirrored: world.snapshot.run.seq,
        epoch: Some(3),
        since: world.now,
    });
    world
}

#[test]
fn a_copy_that_lacks_records_is_said() {
    let mut world = held();
    let mirror = world.snapshot.control.mirror.as_mut().unwrap();
    mirror.state = State::Lost("the connection is gone".into());
    mirror.mirrored -= 2;
    let shown = text(&world.model(LARGE));
    assert!(
        shown.contains("mirror 2 records behind since 01:01:"),
        "{shown}"
    );
}

#[test]
fn the_question_is_no_accident() {
    let mut world = held();
    let mut model = world.model(SMALL);
    world.snapshot.control.asks = Some(ask());
    publish(&mut model, &world);
    assert!(text(&model).contains("lee@laptop asks for the conn"));
    assert!(
        keys(&mut model, "y").is_empty(),
        "it was typed for something else"
    );
    listen(&mut model);
    assert!(keys(&mut model, "<enter><space>").is_empty());
    let sent = keys(&mut model, "y");
    let Some(Effect::Command { command, .. }) = sent.first() else {
        panic!("{sent:?}");
    };
    let wanted = Command::HandOver {
        to: "lee@laptop".into(),
        epoch: Some(4),
    };
    assert_eq!(*command, wanted);
    // Somebody else's ask came to nothing: so does the question.
    let mut model = world.model(SMALL);
    keys(&mut model, "T");
    listen(&mut model);
    assert_eq!(keys(&mut model, "n"), [Effect::RefuseConn(7)]);
    keys(&mut model, "T");
    world.snapshot.control.asks = None;
    publish(&mut model, &world);
    assert!(model.dialog.is_none());
}

#[test]
fn a_watching_console_asks_only_what_it_may() {
    let mut world = watched();
    let mut model = world.model(SMALL);
    let acting = [
        "<enter>", "<space>", "r", "w", "d", "s", "n", "H", "A", "b", "m", "p", "c",
    ];
    for key in acting {
        assert!(keys(&mut model, key).is_empty(), "{key}");
        let shown = text(&model);
        assert!(
            shown.contains("ana@db-host-1 has the conn"),
            "{key}: {shown}"
        );
        assert!(model.dialog.is_none(), "{key}");
    }
    for key in ["6", "5", "1", "j", "?", "<esc>", "/"] {
        keys(&mut model, key);
        assert!(!text(&model).contains("has the conn"), "{key}");
    }
    let mut model = world.model(SMALL);
    assert_eq!(keys(&mut model, "T"), [Effect::AskConn]);
    // A text that is pasted may be handed in.
    stagegate::console::update::update(
        &mut model,
        stagegate::console::msg::Msg::Paste("signed".into()),
    );
    listen(&mut model);
    assert_eq!(keys(&mut model, "y"), [Effect::HandIn("signed".into())]);
    watching(&mut world).asked = Some(Asked::Granted(4));
    let effects = publish(&mut model, &world);
    assert_eq!(
        effects,
        [Effect::Quit(ConsoleEnd::Taking(Taking::Granted(4)))]
    );
}

#[test]
fn the_runs_name_is_typed_before_the_conn_is_taken() {
    let mut world = watched();
    watching(&mut world).seen = Some(world.now - SignedDuration::from_secs(31));
    let mut model = world.model(LARGE);
    keys(&mut model, "T");
    listen(&mut model);
    assert!(keys(&mut model, "<enter>yes<enter>").is_empty());
    assert!(text(&model).contains("nothing was taken"));
    for _ in 0..3 {
        keys(&mut model, "<backspace>");
    }
    let id = world.snapshot.run.id.clone();
    let effects = keys(&mut model, &format!("{id}<enter>"));
    assert_eq!(effects, [Effect::Quit(ConsoleEnd::Taking(Taking::Left(3)))]);
}
