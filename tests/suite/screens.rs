//! Whole screens of the console, as text, at the sizes that people have.

use std::sync::Arc;

use insta::assert_snapshot;
use stagegate::console::model::Model;
use stagegate::console::view::theme::{Palette, Theme, ThemeName};
use stagegate::expectation::{Answer, Finding, QueryExpectation, Table};
use stagegate::gate::{Evidence, FeedLine, FeedView, Progress, Source, Unit};
use stagegate::promotion::{Decision, EffectOutcome, EffectRecord, Event, Statement};

use super::console_world::{
    World, connected, keys, listen, migration_plan, screen, screen_in, text,
};

const SMALL: (u16, u16) = (80, 24);
const LARGE: (u16, u16) = (120, 40);

/// Snapshots a screen at both sizes.
fn both(name: &str, world: &World, prepare: impl Fn(&mut Model)) {
    for (size, suffix) in [(SMALL, "80x24"), (LARGE, "120x40")] {
        let mut model = world.model(size);
        prepare(&mut model);
        model.settle();
        assert_snapshot!(format!("{name}_{suffix}"), screen(&model).backend());
    }
}

#[test]
fn a_fresh_run() {
    both("fresh", &World::new(), |_| {});
}

#[test]
fn the_plan_of_a_migration() {
    let mut world = World::new().passed(3);
    world.plan("orders", migration_plan());
    both("plan", &world, |_| {});
}

fn at_work() -> World {
    let mut world = World::new().passed(3);
    world.start("orders").record(Event::EffectRecorded {
        gate: "orders".to_owned(),
        attempt: 1,
        effect: EffectRecord {
            name: "db/20251121_001_order_status.sql".to_owned(),
            outcome: EffectOutcome::Committed,
            duration_ms: 1_834,
            detail: String::new(),
        },
    });
    let line = |source, text: &str| FeedLine {
        source,
        gate: Arc::from("orders"),
        text: text.to_owned(),
    };
    let mut lines: Vec<FeedLine> = (1..=30)
        .map(|n| {
            line(
                Source::Own,
                &format!("statement {n} of the backfill — {n}000 rows"),
            )
        })
        .collect();
    lines.push(line(
        Source::Notice,
        "NOTICE: index \"orders_status\" does not exist, skipping",
    ));
    lines.push(line(Source::Own, "db/20251121_002_order_index.sql: begin"));
    world.feed = FeedView {
        asked: stagegate::gate::Asked::default(),
        locks: None,
        lines,
        dropped: 0,
        progress: Some(Progress {
            label: "db/20251121_002_order_index.sql".to_owned(),
            done: 3,
            total: Some(5),
            unit: Unit::Statements,
            detail: "statement 1 of 2, line 1".to_owned(),
        }),
        revision: 7,
    };
    world
}

#[test]
fn work_in_flight() {
    both("running", &at_work(), |_| {});
}

#[test]
fn a_refused_query() {
    let mut world = World::new().passed(4);
    world.start("no-orphans").finish(
        "no-orphans",
        Finding::failed("the value is 3, expected = 0")
            .because("the query returned 3")
            .can("mend what the value shows, then retry this gate"),
    );
    let table = Table {
        columns: vec!["count".to_owned(), "note".to_owned(), "text".to_owned()],
        rows: vec![
            vec![Some("3".to_owned()), None, Some("NULL".to_owned())],
            vec![
                Some("12".to_owned()),
                Some(String::new()),
                Some("日本".to_owned()),
            ],
        ],
        total: 2,
    };
    let evidence = Evidence::Query {
        target: "production".to_owned(),
        server: "deploy@prod-db-1.example.com/shop [1a2b-3c4d]".to_owned(),
        role: Some("auditor".to_owned()),
        sql: "SELECT count(*)\nFROM shop.orders\nWHERE customer_id IS NULL".to_owned(),
        expect: QueryExpectation::default(),
        answer: Answer::Rows(table),
        duration_ms: 12,
    };
    world
        .snapshot
        .evidence
        .insert("no-orphans".to_owned(), Arc::new(evidence));
    both("refused_query", &world, |_| {});
}

#[test]
fn a_failed_migration_keeps_the_caret_in_its_column() {
    let mut world = World::new().passed(3);
    let finding = Finding::failed(
        "db/20251121_001_order_status.sql:3: column \"statsu\" does not exist (42703)",
    )
    .because("    2 | UPDATE shop.orders")
    .because("    3 |    SET statsu = 'done' WHERE shipped_at IS NOT NULL AND cancelled_at IS NULL AND archived IS FALSE;")
    .because("      |        ^")
    .because("SQLSTATE: 42703")
    .because("hint: Perhaps you meant to reference the column \"orders.status\".")
    .because("db/20251121_001_order_status.sql left nothing behind")
    .can("mend the data or the file, then press r: only what is pending runs");
    world.start("orders").finish("orders", finding);
    both("failed_migration", &world, |_| {});
}

fn half_done() -> World {
    let mut world = World::new().passed(1);
    world.start("people-know");
    for (item, value) in [(0, None), (1, Some("41.5".to_owned()))] {
        world.record(Event::ItemConfirmed {
            gate: "people-know".to_owned(),
            item,
            value,
        });
    }
    world
}

#[test]
fn a_checklist_half_done() {
    both("checklist", &half_done(), |model| {
        keys(model, "<tab>");
    });
}

fn to_be_signed() -> World {
    let mut world = World::new().passed(6);
    let run = &world.snapshot.run;
    let statement = Statement {
        decision: Decision::Approve,
        gate: "agreed".to_owned(),
        journal_head: run.head.clone(),
        journal_seq: run.seq,
        note: "counts compared by hand".to_owned(),
        person: "cem@example.com".to_owned(),
        role: "lead".to_owned(),
        run: run.id.clone(),
        runbook_digest: run.definition.runbook_digest.clone(),
        time: run.updated,
    };
    world.start("agreed").record(Event::SignedOff { statement });
    world
}

#[test]
fn the_sign_off_dialog() {
    both("sign_off", &to_be_signed(), |model| {
        keys(model, "<enter>");
        listen(model);
        keys(model, "<down><down>");
    });
}

#[test]
fn the_typed_name_dialog() {
    let mut world = World::new().passed(3);
    world.plan("orders", migration_plan());
    both("typed_name", &world, |model| {
        keys(model, "<enter>");
        listen(model);
        keys(model, "prodction<enter>");
    });
}

#[test]
fn the_log() {
    both("log", &at_work(), |model| {
        keys(model, "5/notice<enter>");
    });
}

#[test]
fn the_journal() {
    both("journal", &half_done(), |model| {
        keys(model, "6k");
    });
}

#[test]
fn help() {
    both("help", &World::new(), |model| {
        keys(model, "?");
    });
}

#[test]
fn leaving_while_work_is_in_flight() {
    both("quit", &at_work(), |model| {
        keys(model, "q");
    });
}

#[test]
fn a_held_run() {
    let mut world = World::new().passed(2);
    world.record(Event::RunHeld {
        reason: "replication lag on prod-db-2".to_owned(),
    });
    both("held", &world, |model| {
        keys(model, "<enter>");
    });
}

#[test]
fn a_gate_in_doubt() {
    let mut world = World::new().passed(3);
    world.start("orders").record(Event::GateInDoubt {
        gate: "orders".to_owned(),
        attempt: 1,
        finding: Finding::inconclusive("the answer to COMMIT was lost")
            .because("the connection was closed while COMMIT was under way")
            .can("press Enter: the target is asked what really happened"),
    });
    both("in_doubt", &world, |_| {});
}

#[test]
fn a_journal_that_cannot_be_written() {
    let mut world = World::new().passed(3);
    world.snapshot.journal_error = Some("No space left on device (os error 28)".to_owned());
    world.snapshot.targets.insert(
        "production".to_owned(),
        stagegate::gate::TargetStatus::Failed("connection refused".to_owned()),
    );
    both("journal_error", &world, |_| {});
}

#[test]
fn the_end_of_a_run() {
    let mut world = World::new().passed(7);
    world.record(Event::RunClosed);
    both("closed", &world, |_| {});
}

#[test]
fn too_small() {
    let model = World::new().model((40, 10));
    assert_snapshot!("too_small", screen(&model).backend());
    let mut working = at_work().model((59, 16));
    assert!(keys(&mut working, "q").is_empty());
    assert!(working.dialog.is_none(), "nobody could read it");
}

#[test]
fn the_header_of_production_in_every_palette() {
    let model = World::new().passed(2).model(SMALL);
    for (name, palette, suffix) in [
        (ThemeName::Dark, Palette::Many, "dark"),
        (ThemeName::Light, Palette::Many, "light"),
        (ThemeName::Dark, Palette::Sixteen, "sixteen"),
        (ThemeName::Dark, Palette::None, "no_color"),
    ] {
        let theme = Theme { name, palette };
        let terminal = screen_in(&model, &theme);
        let mut buffer = terminal.backend().buffer().clone();
        buffer.resize(ratatui::layout::Rect::new(0, 0, 80, 8));
        assert_snapshot!(format!("header_{suffix}"), format!("{buffer:?}"));
    }
}

#[test]
fn no_color_leaves_no_colour() {
    use ratatui::style::Color;
    let theme = Theme {
        name: ThemeName::Dark,
        palette: Palette::None,
    };
    let mut world = at_work();
    world.snapshot.journal_error = Some("disk full".to_owned());
    for keys_pressed in ["", "?", "5", "6", "q"] {
        let mut model = world.model(SMALL);
        keys(&mut model, keys_pressed);
        let terminal = screen_in(&model, &theme);
        let coloured = terminal
            .backend()
            .buffer()
            .content
            .iter()
            .find(|cell| cell.fg != Color::Reset || cell.bg != Color::Reset);
        assert!(coloured.is_none(), "{keys_pressed}: {coloured:?}");
    }
}

#[test]
fn the_environment_is_named_on_every_screen_of_twenty_columns() {
    let worlds = [World::new().passed(3), at_work(), to_be_signed()];
    for world in &worlds {
        for pressed in ["", "?", "5", "6", "<enter>", "q", "n", "/x"] {
            for size in [(20, 1), (20, 5), (59, 30), (60, 16), SMALL, (200, 60)] {
                let mut model = world.model(size);
                keys(&mut model, pressed);
                let shown = text(&model);
                let first = shown.lines().next().unwrap();
                assert!(first.contains("PRODUCTION"), "{size:?} {pressed}: {first}");
            }
        }
    }
}

#[test]
fn no_size_panics() {
    let worlds = [World::new(), at_work(), half_done(), to_be_signed()];
    let sizes = (0..=40)
        .flat_map(|width| (0..=20).map(move |height| (width, height)))
        .chain((58..=84).flat_map(|width| [15, 16, 17, 20].map(|height| (width, height))))
        .chain([(500, 200), (1, 200), (500, 1), (61, 16), (200, 60)]);
    let sizes: Vec<(u16, u16)> = sizes.collect();
    for world in &worlds {
        for pressed in ["", "?", "5", "6", "<enter>", "q", "<tab>G"] {
            let mut model = world.model(SMALL);
            keys(&mut model, pressed);
            for size in &sizes {
                model.size = *size;
                model.settle();
                screen(&model);
            }
        }
    }
}

/// What an attacker could put into names, notices and rows must not reach the terminal.
#[test]
fn hostile_text_is_made_visible() {
    let evil = "a\x1b]52;c;AA==\x07b\u{202e}c\u{200b}\u{9b}2J";
    let mut world = half_done();
    world.record(Event::Noted {
        gate: Some("people-know".to_owned()),
        text: evil.to_owned(),
    });
    world.record(Event::RunHeld {
        reason: evil.to_owned(),
    });
    world
        .snapshot
        .targets
        .insert("production".to_owned(), connected(evil, evil));
    for pressed in ["", "5", "6", "?"] {
        let mut model = world.model(LARGE);
        keys(&mut model, pressed);
        let shown = text(&model);
        let bad = |c: char| c != '\n' && stagegate::untrusted::is_forbidden(c);
        assert!(!shown.contains(bad), "{shown:?}");
        assert!(shown.contains("␛]52"), "{shown}");
    }
}

#[test]
fn a_drawn_frame_copies_only_what_is_visible() {
    let mut world = World::new().passed(1);
    for n in 0..5_000 {
        world.record(Event::Noted {
            gate: None,
            text: format!("note {n}"),
        });
    }
    let mut model = world.model(LARGE);
    keys(&mut model, "6");
    let shown = text(&model);
    assert!(shown.contains("note 4999"));
    keys(&mut model, "/note 17<enter>");
    assert!(text(&model).contains("note 17"), "{}", text(&model));
}

#[test]
fn the_smallest_and_a_wide_screen() {
    let mut world = World::new().passed(3);
    world.plan("orders", migration_plan());
    for (size, name) in [((60, 16), "60x16"), ((200, 50), "200x50")] {
        let mut model = world.model(size);
        assert_snapshot!(format!("plan_{name}"), screen(&model).backend());
        keys(&mut model, "<enter>");
        listen(&mut model);
        keys(&mut model, "prod<enter>");
        assert_snapshot!(format!("typed_name_{name}"), screen(&model).backend());
    }
}
