//! Screens of plans that people give, and of migrations that a flag leaves out.

use insta::assert_snapshot;
use stagegate::console::model::Model;
use stagegate::console::msg::Msg;
use stagegate::console::update::update;
use stagegate::expectation::Finding;
use stagegate::promotion::{Event, FlagSays};

use super::console_world::{World, keys, screen};

const BOOK: &str = r#"
format = 1
title  = "Publish the platform"

[target.production]
url         = "env:PROD_DATABASE_URL"
environment = "production"

[[role]]
name    = "dba"
title   = "Database Admin"
members = ["ana@example.com"]

[[phase]]
id    = "publish"
title = "Publish"

[[phase.gate]]
id    = "publish-canceled"
title = "The publish attempt is canceled"
[phase.gate.checklist]
items = ["The publish page is closed"]

[[phase.gate]]
id    = "publish-plan"
title = "The plan of the publish page"
[phase.gate.lint]
plan     = { paste = true }
recovery = ["publish-canceled"]

[[phase.gate]]
id    = "migrations"
title = "Migrations of the application"
[phase.gate.migrate]
target = "production"
files  = ["db/*.sql"]

[[phase.gate]]
id    = "agreed"
title = "People agree"
[phase.gate.signoff]
roles = ["dba"]
signature = "none"
"#;

fn both(name: &str, world: &World, prepare: impl Fn(&mut Model)) {
    for (size, suffix) in [((80, 24), "80x24"), ((120, 40), "120x40")] {
        let mut model = world.model(size);
        prepare(&mut model);
        model.settle();
        assert_snapshot!(format!("{name}_{suffix}"), screen(&model).backend());
    }
}

fn pasted(sha256: &str) -> Event {
    Event::PlanPasted {
        gate: "publish-plan".into(),
        sha256: sha256.repeat(64),
        bytes: 1_234,
    }
}

const TEXT: &str = "Migration plan\r\n\r\n1. ALTER TABLE users ADD COLUMN age integer;\r\n\
                    2. DROP TABLE \x1b[31msessions\x1b[0m;\r\n\r\nYou will lose data.\r\n";

#[test]
fn a_plan_that_is_being_pasted() {
    both("plan_paste", &World::of(BOOK).passed(1), |model| {
        keys(model, "<enter>");
        update(model, Msg::Paste(TEXT.to_owned()));
    });
}

#[test]
fn a_plan_that_was_refused() {
    let mut world = World::of(BOOK).passed(1);
    world.record(pasted("a")).start("publish-plan").finish(
        "publish-plan",
        Finding::failed("2 hazards are refused")
            .because("the plan that was given:4: DS102 data-loss DELETES_DATA sessions: drops a table with its rows")
            .can("take gate 1 of 1 again: The publish attempt is canceled")
            .can("then press r here and give the plan that is shown by then"),
    );
    world.record(Event::RecoveryBegun {
        gate: "publish-plan".into(),
        attempt: 1,
        gates: vec!["publish-canceled".into()],
    });
    both("plan_refused", &world, |model| model.select(1));
}

fn disabled() -> World {
    let mut world = World::of(BOOK).passed(2);
    let (flag, value) = ("DISABLE_AUTO_MIGRATIONS".to_owned(), "true".to_owned());
    world.record(Event::FlagSeen {
        flag: flag.clone(),
        says: FlagSays::Disabled {
            value: value.clone(),
        },
    });
    world.record(Event::GateLeftOut {
        gate: "migrations".into(),
        flag,
        value,
        seen: world.now,
    });
    world
}

#[test]
fn migrations_that_are_left_out() {
    both("left_out", &disabled(), |model| model.select(2));
    both("left_out_signing", &disabled(), |model| {
        keys(model, "<enter>");
    });
}

#[test]
fn migrations_that_are_open_again() {
    let mut world = disabled();
    world.record(Event::FlagSeen {
        flag: "DISABLE_AUTO_MIGRATIONS".into(),
        says: FlagSays::Enabled,
    });
    world.record(Event::GateWentStale {
        gate: "migrations".into(),
        reason: "it was left out, and DISABLE_AUTO_MIGRATIONS is not set any more".into(),
    });
    both("left_out_open", &world, |_| {});
}
