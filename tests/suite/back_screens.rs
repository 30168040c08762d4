//! Screens and keys of going back and of telling people, at the sizes people have.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use insta::assert_snapshot;
use stagegate::console::model::Model;
use stagegate::console::msg::{Effect, Msg};
use stagegate::console::update::update;
use stagegate::expectation::Finding;
use stagegate::gate::Plan;
use stagegate::promotion::{Command, Event};

use super::console_world::{World, keys, listen, publish, screen, text};

const RUNBOOK: &str = r#"
format = 1
title  = "Production promotion: orders"

[window]
lasts = "2h"
rollback_margin = "10m"

[target.production]
url         = "env:PROD_DATABASE_URL"
environment = "production"

[[phase]]
id    = "change"
title = "The change"

[[phase.gate]]
id    = "dump"
title = "Backup of production"
backup = { target = "production", path = "backups" }

[[phase.gate]]
id    = "orders"
title = "Apply the order migrations"
migrate = { target = "production", files = ["db/*.sql"] }

[[rollback]]
id    = "at-once"
title = "Immediate: restore the backup"
scope = "immediate"
valid_from = "orders"
expect_duration = "5m"
help = """
Everything written since
the backup is lost."""
[[rollback.gate]]
id    = "restore"
title = "Restore production"
restore = { target = "production", backup = "dump" }
[[rollback.gate]]
id    = "told"
title = "People know"
message = { send = "back" }

[[rollback]]
id    = "in-part"
title = "Partial: undo chosen migrations"
scope = "partial"
valid_from = "orders"
expect_duration = "10m"
[[rollback.gate]]
id    = "down"
title = "Undo"
migrate = { target = "production", files = ["down/*.sql"], undoes = ["orders"] }

[[message]]
id      = "back"
subject = "[ROLLBACK INITIATED] {title}"
body    = """
Status: Rolling back due to {issue}
Impact: {impact}
ETA: {eta}"""
next_update = "15m"
webhook = { url = "env:HOOK", shape = "slack" }
"#;

/// The migrations have failed.
fn failed() -> World {
    let mut world = World::of(RUNBOOK).passed(1);
    world.start("orders");
    let finding = Finding::failed("db/2.sql: column \"x\" does not exist").because("42703");
    world.finish("orders", finding);
    world
}

fn both(name: &str, world: &World, prepare: impl Fn(&mut Model)) {
    for (size, suffix) in [((80, 24), "80x24"), ((120, 40), "120x40")] {
        let mut model = world.model(size);
        prepare(&mut model);
        model.settle();
        assert_snapshot!(format!("{name}_{suffix}"), screen(&model).backend());
    }
}

fn press(model: &mut Model, code: KeyCode, modifiers: KeyModifiers) -> Vec<Effect> {
    update(model, Msg::Key(KeyEvent::new(code, modifiers)))
}

#[test]
fn the_ways_back() {
    both("back_ways", &failed(), |model| {
        let effects = keys(model, "b");
        let plans = effects.iter().filter(|e| matches!(e, Effect::Plan(_)));
        assert_eq!(plans.count(), 3);
        listen(model);
    });
}

#[test]
fn the_name_is_typed_and_what_is_sent_says_why() {
    let mut model = failed().model((100, 30));
    keys(&mut model, "b");
    // Nothing counts before the question was seen.
    press(&mut model, KeyCode::Enter, KeyModifiers::NONE);
    assert!(text(&model).contains("It would:"));
    listen(&mut model);
    press(&mut model, KeyCode::Enter, KeyModifiers::NONE);
    press(&mut model, KeyCode::Enter, KeyModifiers::NONE);
    assert!(text(&model).contains("say why"), "{}", text(&model));
    keys(&mut model, "orders are lost");
    press(&mut model, KeyCode::Enter, KeyModifiers::NONE);
    update(&mut model, Msg::Paste("production".to_owned()));
    assert!(text(&model).contains("pasted text confirms nothing"));
    keys(&mut model, "prod");
    assert!(press(&mut model, KeyCode::Enter, KeyModifiers::NONE).is_empty());
    keys(&mut model, "uction");
    let effects = press(&mut model, KeyCode::Enter, KeyModifiers::NONE);
    let [Effect::Command { command, .. }] = effects.as_slice() else {
        panic!("{effects:?}");
    };
    assert_eq!(
        *command,
        Command::RollBack {
            rollback: "at-once".into(),
            reason: "orders are lost".into(),
            typed_name: Some("production".into()),
            choices: Vec::new(),
        }
    );
}

#[test]
fn a_way_that_is_not_open_says_why() {
    let world = World::of(RUNBOOK);
    let mut model = world.model((100, 30));
    keys(&mut model, "b");
    listen(&mut model);
    press(&mut model, KeyCode::Enter, KeyModifiers::NONE);
    assert!(text(&model).contains("has not begun"), "{}", text(&model));
}

#[test]
fn no_file_is_said_to_be_missing_while_the_ledger_is_read() {
    let mut world = failed();
    let mut model = world.model((100, 30));
    keys(&mut model, "b");
    listen(&mut model);
    keys(&mut model, "j");
    press(&mut model, KeyCode::Enter, KeyModifiers::NONE);
    let shown = text(&model);
    assert!(shown.contains("The ledger is being read"), "{shown}");
    assert!(!shown.contains("holds no file"), "{shown}");
    press(&mut model, KeyCode::Enter, KeyModifiers::NONE);
    assert!(
        text(&model).contains("still being read"),
        "{}",
        text(&model)
    );
    let mut plan = Plan::new("nothing to undo", &["1"]);
    world.plan("down", plan.clone());
    publish(&mut model, &world);
    let shown = text(&model);
    assert!(shown.contains("The ledger holds no file"), "{shown}");
    plan.refuses = Some("production cannot be asked".into());
    world.plan("down", plan);
    publish(&mut model, &world);
    let shown = text(&model);
    assert!(
        shown.contains("No file can be shown: production cannot be asked"),
        "{shown}"
    );
}

#[test]
fn a_run_that_goes_back() {
    let mut world = failed();
    world.record(Event::RollbackStarted {
        rollback: "at-once".into(),
        reason: "orders are lost".into(),
        typed_name: "production".into(),
        choices: Vec::new(),
    });
    both("back_going", &world, |_| {});
}

#[test]
fn a_rejected_run_may_go_back_from_its_closing_page() {
    let mut world = failed();
    let mut model = world.model((100, 30));
    world.record(Event::RunRejected {
        gate: "orders".into(),
        reason: "the numbers are wrong".into(),
    });
    publish(&mut model, &world);
    assert!(text(&model).contains("rejected"), "{}", text(&model));
    keys(&mut model, "b");
    assert!(text(&model).contains("Roll back?"), "{}", text(&model));
    world.record(Event::RollbackStarted {
        rollback: "at-once".into(),
        reason: "the numbers are wrong".into(),
        typed_name: "production".into(),
        choices: Vec::new(),
    });
    publish(&mut model, &world);
    let shown = text(&model);
    assert!(
        shown.contains("ROLLING BACK") && shown.contains("Restore production"),
        "{shown}"
    );
}

#[test]
fn a_message_is_written_and_its_update_promised() {
    let world = failed();
    both("message_written", &world, |model| {
        keys(model, "m");
        press(model, KeyCode::Enter, KeyModifiers::NONE);
    });
    let mut model = world.model((100, 30));
    keys(&mut model, "m");
    press(&mut model, KeyCode::Enter, KeyModifiers::NONE);
    keys(&mut model, "!");
    let effects = press(&mut model, KeyCode::Char('p'), KeyModifiers::CONTROL);
    let [Effect::Announce(sent)] = effects.as_slice() else {
        panic!("{effects:?}");
    };
    assert!(sent.post && sent.gate.is_none());
    assert_eq!(
        sent.subject,
        "![ROLLBACK INITIATED] Production promotion: orders"
    );
    assert!(
        sent.body.contains("gate orders is failed: db/2.sql"),
        "{}",
        sent.body
    );
    // Every message carries the journal's head.
    assert!(
        sent.body.contains(&world.snapshot.run.head),
        "{}",
        sent.body
    );
    let mut world = failed();
    world.record(Event::MessageSent {
        message: "back".into(),
        gate: None,
        how: "copied".into(),
        text: "t".repeat(64),
    });
    let shown = text(&world.model((100, 30)));
    assert!(shown.contains("update in 14:35"), "{shown}");
    world.now = world
        .now
        .checked_add(jiff::SignedDuration::from_mins(20))
        .unwrap();
    let shown = text(&world.model((100, 30)));
    assert!(
        shown.contains("TELL PEOPLE") && shown.contains("update is due"),
        "{shown}"
    );
}

#[test]
fn no_size_panics() {
    let world = failed();
    for width in (0..130).step_by(7) {
        for height in (0..45).step_by(5) {
            for key in ["b", "m"] {
                let mut model = world.model((width, height));
                keys(&mut model, key);
                listen(&mut model);
                model.settle();
                text(&model);
                press(&mut model, KeyCode::Enter, KeyModifiers::NONE);
                model.settle();
                text(&model);
            }
        }
    }
}
