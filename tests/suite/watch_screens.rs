//! Screens of gates that look for a while: soaking, asking, held, ended; at the sizes people have.

use std::sync::Arc;

use insta::assert_snapshot;
use stagegate::console::model::Model;
use stagegate::console::msg::{Effect, Msg};
use stagegate::console::update::update;
use stagegate::console::view::theme::{Palette, Theme, ThemeName};
use stagegate::expectation::{Condition, Finding, MetricRule, Number, Reading, Watch};
use stagegate::gate::{Asked, Choice, Evidence, FeedView, Question, Rung, RungState, Watched};
use stagegate::promotion::{Command, EffectOutcome, EffectRecord, Event};

use super::console_world::{World, keys, listen, screen, screen_in, text};

const RUNBOOK: &str = r#"
format = 1
title  = "Production promotion: ingest"

[target.production]
url         = "env:PROD_DATABASE_URL"
environment = "production"

[[phase]]
id    = "ramp"
title = "Feature flag ramp"

[[phase.gate]]
id    = "ingest-ramp"
title = "Ingest 10 % -> 50 % -> 100 %"
[phase.gate.ramp]
target   = "production"
set_sql  = "UPDATE flag SET percent = {percent}"
read_sql = "SELECT percent FROM flag"
every    = "10s"
steps    = [{ percent = 10, soak = "30m" }, { percent = 50, soak = "1h" }, { percent = 100 }]
[[phase.gate.ramp.metrics]]
name     = "errors"
sql      = "SELECT 0"
success  = "= 0"
[[phase.gate.ramp.metrics]]
name     = "p95 latency"
unit     = "ms"
sql      = "SELECT 1"
success  = "<= 107.8"
"#;

fn rule(name: &str, unit: Option<&str>, success: &str) -> MetricRule {
    let success: Condition = success.parse().unwrap();
    MetricRule {
        name: name.to_owned(),
        unit: unit.map(str::to_owned),
        success: success.band(&Default::default()).ok(),
        failure: None,
        min_samples: 3,
        failures_allowed: 0,
        errors_allowed: 3,
        inconclusive_allowed: 2,
    }
}

/// What was seen in `looks` looks; the last ones have errors.
fn watched(looks: u64, errors: u64, here: RungState) -> Watched {
    let baseline: Option<Number> = "98".parse().ok();
    let rules = [
        (rule("errors", None, "= 0"), None),
        (rule("p95 latency", Some("ms"), "<= 107.8"), baseline),
    ];
    let mut watched = Watched::new(&rules, 10_000);
    let only: Vec<MetricRule> = rules.into_iter().map(|(rule, _)| rule).collect();
    let every = std::time::Duration::from_secs(10);
    let mut watch = Watch::new(only, every, every * 360);
    for look in 0..looks {
        let count = if look + errors >= looks { 3 } else { 0 };
        let p95 = 92 + look * 7 % 11;
        let value = |n: u64| Reading::Value(n.to_string().parse().unwrap());
        let readings = [value(count), value(p95)];
        watch.look(every * look as u32, &readings, true);
        watched.draw(look * 10_000, &readings);
    }
    watched.count(&watch);
    watched.flag = Some(50);
    let rung = |percent, minutes: u64, state| Rung {
        percent,
        soak_ms: minutes * 60_000,
        state,
    };
    watched.ladder = vec![
        rung(10, 30, RungState::Done),
        rung(50, 60, here),
        rung(100, 0, RungState::Ahead),
    ];
    watched
}

fn choice(key: char, word: &str, label: &str, confirm: Option<&str>) -> Choice {
    Choice {
        key,
        word: word.to_owned(),
        label: label.to_owned(),
        confirm: confirm.map(str::to_owned),
    }
}

fn world(watched: Watched, question: Option<Question>) -> World {
    let mut world = World::of(RUNBOOK);
    world.start("ingest-ramp");
    for name in ["set 10 %", "soaked 10 % 30m", "set 50 %"] {
        world.record(Event::EffectRecorded {
            gate: "ingest-ramp".to_owned(),
            attempt: 1,
            effect: EffectRecord {
                name: name.to_owned(),
                outcome: EffectOutcome::Committed,
                duration_ms: 41,
                detail: String::new(),
            },
        });
    }
    world.feed = FeedView {
        asked: Asked {
            watched: Some(Arc::new(watched)),
            offers: [choice('o', "off", "off: set it to 0 %", None)].into(),
            question: question.map(Arc::new),
        },
        ..FeedView::default()
    };
    world
}

fn question(world_text: &str, causes: &[&str], choices: Vec<Choice>) -> Question {
    Question {
        serial: 4,
        text: world_text.to_owned(),
        causes: causes.iter().map(|cause| (*cause).to_owned()).collect(),
        choices,
        since: "2025-11-22T01:00:21Z".parse().unwrap(),
    }
}

fn soaking() -> World {
    world(watched(120, 0, RungState::Soaking), None)
}

fn held() -> World {
    let choices = vec![
        choice('s', "step back", "step back to 10 %, and end", None),
        choice(
            'g',
            "go on",
            "go on at 50 %, its 1h from the start",
            Some("Go on at 50 %? Its 1h are observed from the start."),
        ),
    ];
    let asked = question(
        "BREACH: errors failed once, 0 tolerated. Held at 50 %.",
        &["errors must be = 0", "last: errors = 3"],
        choices,
    );
    let mut watched = watched(120, 2, RungState::Held);
    watched.stalled = Some("held: errors failed once, 0 tolerated".to_owned());
    world(watched, Some(asked))
}

fn ended() -> World {
    let mut world = World::of(RUNBOOK);
    world.start("ingest-ramp");
    let finding = Finding::failed("errors failed once, 0 tolerated")
        .because("errors must be = 0")
        .because("stepped back to 10 %")
        .can("find the cause and mend it, then press r: it goes on from this value");
    world.finish("ingest-ramp", finding);
    let mut watched = watched(300, 2, RungState::Left);
    watched.ladder[0].state = RungState::Stands;
    watched.flag = Some(10);
    watched.stalled = None;
    let evidence = Evidence::Watched {
        target: "production".to_owned(),
        server: "shop on prod-db-1 [3fa9]".to_owned(),
        watched: Box::new(watched),
    };
    let gate = "ingest-ramp".to_owned();
    world.snapshot.evidence.insert(gate, Arc::new(evidence));
    world
}

fn both(name: &str, world: &World, prepare: impl Fn(&mut Model)) {
    for (size, suffix) in [((80, 24), "80x24"), ((120, 40), "120x40")] {
        let mut model = world.model(size);
        prepare(&mut model);
        model.settle();
        assert_snapshot!(format!("ramp_{name}_{suffix}"), screen(&model).backend());
    }
}

#[test]
fn a_ramp_that_soaks() {
    both("soaking", &soaking(), |_| {});
}

#[test]
fn a_ramp_that_is_held() {
    both("held", &held(), |_| {});
}

#[test]
fn the_last_question_before_it_goes_on() {
    both("confirm", &held(), |model| {
        keys(model, "g");
        listen(model);
    });
}

#[test]
fn a_ramp_that_has_ended_is_drawn_from_its_evidence() {
    both("ended", &ended(), |_| {});
}

#[test]
fn without_colour_everything_is_still_said() {
    use ratatui::style::Color;
    let theme = Theme {
        name: ThemeName::Dark,
        palette: Palette::None,
    };
    for world in [soaking(), held(), ended()] {
        let model = world.model((80, 24));
        let terminal = screen_in(&model, &theme);
        let buffer = terminal.backend().buffer();
        let coloured =
            |cell: &&ratatui::buffer::Cell| cell.fg != Color::Reset || cell.bg != Color::Reset;
        assert!(buffer.content.iter().find(coloured).is_none());
    }
    let shown = text(&soaking().model((80, 24)));
    for said in [
        "✓ 10 % done",
        "▶ 50 % soaks",
        "· 100 % ahead",
        "<= 107.8",
        "was 98",
    ] {
        assert!(shown.contains(said), "{said}:\n{shown}");
    }
}

fn chosen(effects: &[Effect]) -> Vec<(u64, String)> {
    let choice = |effect: &Effect| match effect {
        Effect::Command {
            command: Command::Choose {
                question, choice, ..
            },
            ..
        } => Some((*question, choice.clone())),
        _ => None,
    };
    effects.iter().filter_map(choice).collect()
}

#[test]
fn one_key_switches_off_and_two_go_on() {
    let mut model = soaking().model((80, 24));
    assert_eq!(chosen(&keys(&mut model, "o")), [(0, "off".to_owned())]);
    assert!(
        chosen(&keys(&mut model, "s")).is_empty(),
        "nothing is asked"
    );
    let mut model = held().model((80, 24));
    assert_eq!(
        chosen(&keys(&mut model, "s")),
        [(4, "step back".to_owned())]
    );
    let mut model = held().model((80, 24));
    assert!(chosen(&keys(&mut model, "gy")).is_empty(), "not read yet");
    listen(&mut model);
    assert_eq!(chosen(&keys(&mut model, "y")), [(4, "go on".to_owned())]);
}

#[test]
fn an_answer_to_a_question_that_was_withdrawn_is_not_given() {
    let held = held();
    let mut model = held.model((80, 24));
    keys(&mut model, "g");
    listen(&mut model);
    let mut feed = held.feed.clone();
    let mut other = feed.asked.question.as_deref().unwrap().clone();
    other.serial += 1;
    other.text = "CHANGED: the flag stands at 30 %".to_owned();
    feed.asked.question = Some(Arc::new(other));
    feed.revision += 1;
    update(&mut model, Msg::Feed(feed));
    assert!(model.dialog.is_none());
    let said = model.toast.as_ref().unwrap().text.clone();
    assert!(
        said.contains("withdrawn") && said.contains("30 %"),
        "{said}"
    );
    assert!(chosen(&keys(&mut model, "y")).is_empty());
}

#[test]
fn no_size_panics() {
    for world in [soaking(), held(), ended()] {
        for (width, height) in (0..=90)
            .step_by(7)
            .flat_map(|w| [1, 10, 16, 24].map(|h| (w, h)))
        {
            let mut model = world.model((80, 24));
            model.size = (width, height);
            model.settle();
            screen(&model);
        }
    }
}
