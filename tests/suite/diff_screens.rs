//! The screen of differences, as text at the sizes that people have, and what keys do on it.

use std::sync::Arc;

use crossterm::event::{KeyModifiers, MouseButton, MouseEvent, MouseEventKind};
use insta::assert_snapshot;
use ratatui::style::{Color, Modifier};
use stagegate::console::model::{Focus, Model};
use stagegate::console::msg::{Effect, Msg};
use stagegate::console::screen::Screen;
use stagegate::console::update::update;
use stagegate::console::view::theme::{Palette, Theme, ThemeName};
use stagegate::gate::{DriftSeen, Evidence};
use stagegate::schema::{
    Change, Comparison, Difference, Direction, Kind, ObjectId, Rename, Severity,
};

use super::console_world::{World, keys, publish, screen, screen_in, text};

const SMALL: (u16, u16) = (80, 24);
const LARGE: (u16, u16) = (120, 40);

const RUNBOOK: &str = r#"
format = 1
title  = "Schema sync: shop"

[target.production]
url         = "env:PROD_DATABASE_URL"
environment = "production"

[[phase]]
id    = "before"
title = "Before"

[[phase.gate]]
id    = "no-drift"
title = "Production is as it should be"
[phase.gate.drift]
target   = "production"
expected = "db/schema.sql"

[[phase.gate]]
id    = "readme"
title = "There is a readme"
[phase.gate.file]
path = "README.md"
"#;

const VIEW: &str = "SELECT o.id,\n    o.total,\n    c.name\n   FROM shop.orders o\n     \
     JOIN shop.customers c ON c.id = o.customer_id\n  WHERE o.status = 'open'::text;";

const CHECK: &str = "CHECK (((total >= (0)::numeric) AND (currency = ANY (ARRAY['EUR'::text, \
     'USD'::text])) AND (discount <= total)))";

fn difference(kind: Kind, name: &str, property: Option<&str>) -> Difference {
    Difference {
        kind,
        name: name.to_owned(),
        change: Change::Changed,
        property: property.map(str::to_owned),
        expected: None,
        actual: None,
        severity: Severity::Soft,
        direction: Direction::Diverged,
        dependants: Vec::new(),
        maybe_renamed: None,
        ignored_by: None,
    }
}

fn of(mut difference: Difference, expected: &str, actual: &str) -> Difference {
    let said = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    (difference.expected, difference.actual) = (said(expected), said(actual));
    difference
}

fn hard(difference: Difference) -> Difference {
    Difference {
        severity: Severity::Hard,
        ..difference
    }
}

/// A function with one change far from the other.
fn function(raised: &str, written: &str) -> String {
    let lines = |from: u32| -> String {
        (from..from + 12)
            .map(|n| format!("    total := total + part_{n};\n"))
            .collect()
    };
    format!(
        "CREATE FUNCTION shop.settle() RETURNS trigger\nLANGUAGE plpgsql AS $$\nBEGIN\n    \
         RAISE NOTICE '{raised}';\n{}    NEW.note := '{written}';\n{}END $$",
        lines(1),
        lines(20)
    )
}

fn differences() -> Vec<Difference> {
    let mut gone = hard(of(
        difference(Kind::Table, "shop.bills", None),
        "persistence: permanent",
        "",
    ));
    gone.change = Change::Removed;
    gone.direction = Direction::Behind;
    gone.dependants = vec![
        ObjectId::new(Kind::Column, "shop.bills.id"),
        ObjectId::new(Kind::Constraint, "shop.bills.bills_pkey"),
    ];
    gone.maybe_renamed = Some("shop.invoices".to_owned());
    let mut extra = hard(of(
        difference(Kind::Column, "shop.orders.by_hand", None),
        "",
        "text",
    ));
    extra.change = Change::Added;
    extra.direction = Direction::Ahead;
    let column = |name, property| difference(Kind::Column, name, Some(property));
    vec![
        gone,
        of(
            difference(Kind::Table, "shop.orders", Some("comment")),
            "Every order, for ever",
            "Every order, by hand",
        ),
        extra,
        of(
            column("shop.orders.total", "default"),
            "(0)::numeric",
            "(1)::numeric",
        ),
        hard(of(column("shop.orders.total", "not null"), "yes", "")),
        hard(of(
            difference(
                Kind::Constraint,
                "shop.orders.orders_total_is_right",
                Some("definition"),
            ),
            CHECK,
            &CHECK.replace("discount <= total", "discount < total"),
        )),
        of(
            difference(Kind::View, "shop.open_orders", Some("definition")),
            VIEW,
            &VIEW
                .replace("'open'", "'new'")
                .replace("o.total,", "o.total * 2 AS total,"),
        ),
        of(
            difference(Kind::Function, "shop.settle()", Some("definition")),
            &function("settling", "as written"),
            &function("settling it", "by hand"),
        ),
    ]
}

fn seen(differences: Vec<Difference>) -> DriftSeen {
    let mut ignored = difference(Kind::Table, "shop.tmp_copy", None);
    ignored.change = Change::Added;
    ignored.direction = Direction::Ahead;
    ignored.ignored_by = Some("table:shop.tmp_*".to_owned());
    DriftSeen {
        expected: "db/schema.sql".to_owned(),
        expected_checksum: "0a1b2c3d4e5f60718293".to_owned(),
        actual_checksum: "f0e1d2c3b4a596877869".to_owned(),
        objects: [212, 213],
        comparison: Comparison {
            format: 1,
            equal: differences.is_empty(),
            differences,
            ignored: vec![ignored],
            renames: vec![Rename {
                kind: Kind::Table,
                expected: "shop.bills".to_owned(),
                actual: "shop.invoices".to_owned(),
            }],
            notes: vec![
                "PostgreSQL 15 is compared with PostgreSQL 16: definitions that the servers \
                 write differently show as changed"
                    .to_owned(),
            ],
        },
        allowed: vec![1],
        history: Vec::new(),
        version: None,
        exported: Vec::new(),
    }
}

fn world(seen: DriftSeen) -> World {
    let mut world = World::of(RUNBOOK);
    let finding = seen.judge();
    world.start("no-drift").finish("no-drift", finding);
    let evidence = Evidence::Drift {
        target: "production".to_owned(),
        server: "deploy@prod-db-1.example.com/shop [1a2b-3c4d]".to_owned(),
        inputs: String::new(),
        seen: Box::new(seen),
    };
    let evidence = Arc::new(evidence);
    world
        .snapshot
        .evidence
        .insert("no-drift".to_owned(), evidence);
    world
}

fn full() -> World {
    world(seen(differences()))
}

fn opened(world: &World, size: (u16, u16), pressed: &str) -> Model {
    let mut model = world.model(size);
    keys(&mut model, "2");
    keys(&mut model, pressed);
    model.settle();
    model
}

/// Snapshots a screen at both sizes, after keys.
fn both(name: &str, world: &World, pressed: &str) {
    for (size, suffix) in [(SMALL, "80x24"), (LARGE, "120x40")] {
        let model = opened(world, size, pressed);
        assert_snapshot!(format!("{name}_{suffix}"), screen(&model).backend());
    }
}

/// The words that are drawn as changed ones, in reading order.
fn emphasised(model: &Model, theme: &Theme) -> Vec<String> {
    let terminal = screen_in(model, theme);
    let buffer = terminal.backend().buffer();
    let mut runs: Vec<String> = Vec::new();
    let mut inside = false;
    let weight = Modifier::UNDERLINED | Modifier::BOLD;
    for cell in &buffer.content {
        let here = cell.modifier.contains(weight);
        match (here, inside, runs.last_mut()) {
            (true, true, Some(run)) => run.push_str(cell.symbol()),
            (true, ..) => runs.push(cell.symbol().to_owned()),
            _ => {}
        }
        inside = here;
    }
    runs
}

fn toast(model: &Model) -> String {
    model
        .toast
        .as_ref()
        .map_or(String::new(), |t| t.text.clone())
}

#[test]
fn the_list_is_grouped_by_kind() {
    both("diff_list", &full(), "");
}

#[test]
fn a_long_check_is_broken_and_compared_by_line() {
    both("diff_check", &full(), "/is_right<enter>");
}

#[test]
fn a_view_side_by_side_and_in_one_column() {
    both("diff_view", &full(), "/open_orders<enter><tab>");
    both("diff_view_other_way", &full(), "/open_orders<enter>v");
}

#[test]
fn lines_that_are_alike_are_folded() {
    both("diff_function", &full(), "/settle<enter><tab>");
    both("diff_function_all", &full(), "/settle<enter><tab>z");
}

#[test]
fn only_what_is_hard_is_listed() {
    both("diff_only_hard", &full(), "f");
}

#[test]
fn what_the_rules_ignore_is_a_group_of_its_own() {
    both("diff_ignored", &full(), "G<enter>j");
}

#[test]
fn a_search_shows_where_it_is() {
    both("diff_search", &full(), "/by hand<enter>");
}

#[test]
fn nothing_was_compared_yet() {
    both("diff_nothing", &World::of(RUNBOOK), "");
    let no_gate = text(&opened(&World::new(), LARGE, ""));
    assert!(no_gate.contains("[phase.gate.drift]"), "{no_gate}");
}

#[test]
fn nothing_differs() {
    let mut seen = seen(Vec::new());
    seen.allowed.clear();
    seen.comparison.renames.clear();
    seen.comparison.ignored.clear();
    both("diff_equal", &world(seen), "");
}

#[test]
fn names_are_what_people_write() {
    let names = [
        "shop.\"the \"\"big\"\" one\"",
        "shop.\"two\nlines\"",
        "shop.\"📦 日本\"",
        "shop.\"a\u{1b}]52;c;AA==\u{7}\u{202e}b\"",
    ];
    let all = names
        .iter()
        .map(|name| {
            of(
                difference(Kind::Table, name, Some("comment")),
                "",
                "日本\n\tx\u{1b}[2J",
            )
        })
        .collect();
    let mut seen = seen(all);
    seen.allowed.clear();
    let world = world(seen);
    both("diff_names", &world, "jj");
    for pressed in ["", "j", "jjj", "v"] {
        let shown = text(&opened(&world, LARGE, pressed));
        assert!(!shown.contains(['\u{1b}', '\u{7}', '\u{202e}']), "{shown}");
    }
}

#[test]
fn changed_words_are_marked_with_and_without_colour() {
    for palette in [Palette::None, Palette::Sixteen, Palette::Many] {
        for name in [ThemeName::Dark, ThemeName::Light] {
            let theme = Theme { name, palette };
            let model = opened(&full(), LARGE, "/is_right<enter>");
            let words = emphasised(&model, &theme);
            assert!(
                words.contains(&"<=".to_owned()) || words.contains(&"=".to_owned()),
                "{words:?}"
            );
            let terminal = screen_in(&model, &theme);
            let coloured = terminal
                .backend()
                .buffer()
                .content
                .iter()
                .any(|cell| cell.fg != Color::Reset || cell.bg != Color::Reset);
            assert_eq!(coloured, palette != Palette::None);
        }
    }
}

#[test]
fn keys_move_fold_and_jump() {
    let mut model = opened(&full(), LARGE, "");
    let start = model.diff.cursor;
    assert_eq!(start, 1, "the first object, not the head above it");
    keys(&mut model, "j");
    assert_eq!(model.diff.cursor, start + 1);
    keys(&mut model, "g");
    assert_eq!(model.diff.cursor, 0);
    let rows = model.diff.tree.rows.len();
    keys(&mut model, "z");
    assert_eq!(model.diff.tree.rows.len(), rows - 2);
    keys(&mut model, "<enter>");
    assert_eq!(model.diff.tree.rows.len(), rows);
    keys(&mut model, "/settle<enter>]");
    assert_eq!(model.diff.change, Some(0));
    keys(&mut model, "]");
    assert_eq!(model.diff.change, Some(1));
    assert!(text(&model).contains("change 2 of 2"));
    keys(&mut model, "]");
    assert!(toast(&model).contains("last change"));
    keys(&mut model, "[[");
    assert!(toast(&model).contains("first change"));
    keys(&mut model, "<enter>");
    assert_eq!(model.diff.focus, Focus::Detail);
    keys(&mut model, "G");
    assert!(!model.diff.pager.more_below());
    keys(&mut model, "h");
    assert_eq!(model.diff.focus, Focus::List);
    keys(&mut model, "<esc>");
    assert_eq!(model.screen, Screen::Run);
}

#[test]
fn the_filter_goes_around_what_there_is() {
    let mut model = opened(&full(), LARGE, "");
    for word in ["only hard", "only soft", "only allowed", "only ignored"] {
        keys(&mut model, "f");
        assert!(text(&model).contains(word), "{}", text(&model));
    }
    keys(&mut model, "f");
    assert!(model.diff.tree.filter.is_none());
}

#[test]
fn a_search_looks_into_values_and_unfolds() {
    let mut model = opened(&full(), LARGE, "");
    keys(&mut model, "/part_7;<enter>");
    let shown = text(&model);
    assert!(shown.contains("function shop.settle()"), "{shown}");
    assert!(
        shown.contains("part_7;"),
        "it stands in lines that are alike"
    );
    keys(&mut model, "/tmp_copy<enter>");
    assert!(text(&model).contains("ignored by the rule table:shop.tmp_*"));
    keys(&mut model, "/BY HAND<enter>");
    let first = model.diff.cursor;
    keys(&mut model, "n");
    assert_ne!(model.diff.cursor, first);
    keys(&mut model, "N");
    assert_eq!(model.diff.cursor, first);
    keys(&mut model, "/nowhere at all<enter>");
    assert!(toast(&model).contains("nowhere here"));
}

#[test]
fn white_space_can_be_ignored() {
    let spaced = VIEW.replace("    ", "  ");
    let view = difference(Kind::View, "shop.v", Some("definition"));
    let mut seen = seen(vec![of(view, VIEW, &spaced)]);
    seen.allowed.clear();
    let mut model = opened(&world(seen), LARGE, "");
    assert!(!text(&model).contains("nothing but white space"));
    keys(&mut model, "w");
    let shown = text(&model);
    assert!(shown.contains("nothing but white space"), "{shown}");
    assert!(shown.contains("white space ignored"));
}

#[test]
fn a_copy_holds_the_values_as_they_are() {
    let mut model = opened(&full(), LARGE, "/is_right<enter>");
    let effects = keys(&mut model, "y");
    let [Effect::Save { text, name }] = &effects[..] else {
        panic!("{effects:?}");
    };
    assert_eq!(name, "no-drift-difference");
    assert!(text.contains(CHECK), "{text}");
    assert!(text.contains("resolve it by hand"));
}

#[test]
fn the_last_comparison_is_shown_from_any_gate() {
    let mut model = full().model(LARGE);
    keys(&mut model, "G2");
    assert_eq!(model.diff.gate.as_deref(), Some("no-drift"));
    assert!(text(&model).contains("shop.bills"));
    keys(&mut model, "1g");
    assert!(
        text(&model).contains("2 shows them side by side"),
        "{}",
        text(&model)
    );
}

#[test]
fn a_new_look_keeps_the_place() {
    let mut model = opened(&full(), LARGE, "/settle<enter>");
    let fewer = differences().split_off(3);
    let mut seen = seen(fewer);
    seen.allowed.clear();
    publish(&mut model, &world(seen));
    let shown = text(&model);
    assert!(shown.contains("function shop.settle()"), "{shown}");
    publish(&mut model, &world(self::seen(differences().split_off(6))));
    assert!(text(&model).contains("shop.settle()"));
}

#[test]
fn the_mouse_selects_folds_and_scrolls() {
    let mut model = opened(&full(), LARGE, "");
    let mouse = |kind, column, row| {
        Msg::Mouse(MouseEvent {
            kind,
            column,
            row,
            modifiers: KeyModifiers::NONE,
        })
    };
    let top = model.layout().unwrap().list.y;
    let click = MouseEventKind::Down(MouseButton::Left);
    update(&mut model, mouse(click, 5, top + 2));
    model.settle();
    assert!(
        text(&model).contains("table shop.orders"),
        "{}",
        text(&model)
    );
    let rows = model.diff.tree.rows.len();
    for _ in 0..2 {
        update(&mut model, mouse(click, 5, top));
        model.settle();
    }
    assert_eq!(
        model.diff.tree.rows.len(),
        rows - 2,
        "a head folds when it is clicked again"
    );
    update(&mut model, mouse(click, 90, top + 5));
    assert_eq!(model.diff.focus, Focus::Detail);
    keys(&mut model, "/settle<enter>");
    keys(&mut model, "<tab>z");
    model.settle();
    update(&mut model, mouse(MouseEventKind::ScrollDown, 90, top + 5));
    assert!(model.diff.pager.offset <= model.diff.pager.last());
}

#[test]
fn two_columns_take_a_small_screen() {
    let mut model = opened(&full(), SMALL, "/open_orders<enter>");
    assert!(text(&model).contains("too narrow for two"));
    keys(&mut model, "v");
    assert!(
        toast(&model).contains("Tab shows the list"),
        "{}",
        text(&model)
    );
    keys(&mut model, "<tab>");
    let shown = text(&model);
    assert!(
        shown.contains("Differences") && shown.contains("one column"),
        "{shown}"
    );
}

#[test]
fn no_size_panics() {
    let worlds = [full(), World::of(RUNBOOK)];
    let sizes = [
        (60, 16),
        (61, 17),
        (79, 24),
        (80, 16),
        (111, 30),
        (200, 60),
        (500, 200),
    ];
    for world in &worlds {
        for pressed in ["", "v", "G", "<tab>G", "z", "/settle<enter>]z", "ffff", "y"] {
            for size in sizes {
                let mut model = opened(world, SMALL, pressed);
                model.size = size;
                model.settle();
                screen(&model);
            }
        }
    }
}
