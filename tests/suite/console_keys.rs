//! What keys do to the console, message by message.

use std::sync::Arc;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers, MouseButton, MouseEvent, MouseEventKind};
use stagegate::console::ConsoleEnd;
use stagegate::console::model::{Focus, Model};
use stagegate::console::msg::{Effect, Msg, Origin};
use stagegate::console::screen::Screen;
use stagegate::console::update::update;
use stagegate::engine::CommandError;
use stagegate::expectation::Finding;
use stagegate::gate::{FeedLine, FeedView, Plan, Source, TargetStatus};
use stagegate::promotion::{Command, Decision, Event, Refusal};

use super::console_world::{World, keys, listen, migration_plan, publish, text};

const SIZE: (u16, u16) = (100, 30);

/// The commands among effects.
fn commands(effects: &[Effect]) -> Vec<Command> {
    let command = |effect: &Effect| match effect {
        Effect::Command { command, .. } => Some(command.clone()),
        _ => None,
    };
    effects.iter().filter_map(command).collect()
}

/// A world that stands at the migration of production, with its plan shown.
fn before_orders() -> World {
    let mut world = World::new().passed(3);
    world.plan("orders", migration_plan());
    world
}

fn toast(model: &Model) -> String {
    model
        .toast
        .as_ref()
        .map_or(String::new(), |toast| toast.text.clone())
}

fn done(model: &mut Model, command: Command, result: Result<(), CommandError>) {
    let origin = Origin::Dialog;
    update(
        model,
        Msg::Done {
            command,
            origin,
            result,
        },
    );
    model.settle();
}

fn started(typed: &str) -> Command {
    Command::Start {
        gate: "orders".to_owned(),
        plan: Some(migration_plan().digest),
        typed_name: Some(typed.to_owned()),
    }
}

#[test]
fn the_exact_name_starts_what_acts_on_production() {
    let mut model = before_orders().model(SIZE);
    assert!(keys(&mut model, "<enter>").is_empty());
    listen(&mut model);
    assert!(keys(&mut model, "production").is_empty());
    assert_eq!(
        commands(&keys(&mut model, "<enter>")),
        [started("production")]
    );
    assert!(keys(&mut model, "<enter>").is_empty(), "it is asked once");
}

#[test]
fn nothing_but_the_exact_name_does() {
    for typed in [
        "",
        "Production",
        "production ",
        " production",
        "prod",
        "pr\u{43e}duction",
        "y",
        "yes",
    ] {
        let mut model = before_orders().model(SIZE);
        keys(&mut model, "<enter>");
        listen(&mut model);
        assert!(keys(&mut model, typed).is_empty());
        assert!(keys(&mut model, "<enter>").is_empty(), "{typed:?}");
        assert!(model.dialog.is_some());
    }
}

#[test]
fn keys_typed_before_the_dialog_was_seen_confirm_nothing() {
    let mut model = before_orders().model(SIZE);
    assert!(keys(&mut model, "<enter>production<enter>").is_empty());
    listen(&mut model);
    assert!(
        keys(&mut model, "<enter>").is_empty(),
        "nothing of it was kept"
    );
    assert!(text(&model).contains("nothing was typed"));
}

#[test]
fn pasted_text_confirms_nothing() {
    let mut model = before_orders().model(SIZE);
    keys(&mut model, "<enter>");
    listen(&mut model);
    let effects = update(&mut model, Msg::Paste("production\n".to_owned()));
    assert!(effects.is_empty());
    assert!(keys(&mut model, "<enter>").is_empty());
    keys(&mut model, "production");
    update(&mut model, Msg::Paste("x".to_owned()));
    assert!(text(&model).contains("pasted text confirms nothing"));
}

#[test]
fn what_was_typed_is_void_when_the_plan_changes() {
    let mut world = before_orders();
    let mut model = world.model(SIZE);
    keys(&mut model, "<enter>");
    listen(&mut model);
    keys(&mut model, "productio");
    world.plan("orders", Plan::new("apply 3 files", &["2"]));
    publish(&mut model, &world);
    assert!(
        text(&model).contains("the plan has changed"),
        "{}",
        text(&model)
    );
    assert!(keys(&mut model, "n<enter>").is_empty());
}

#[test]
fn what_was_typed_is_void_when_another_server_answers() {
    let mut world = before_orders();
    let mut model = world.model(SIZE);
    keys(&mut model, "<enter>");
    listen(&mut model);
    keys(&mut model, "production");
    let failed = TargetStatus::Failed("connection refused".to_owned());
    world
        .snapshot
        .targets
        .insert("production".to_owned(), failed);
    publish(&mut model, &world);
    assert!(keys(&mut model, "<enter>").is_empty());
    assert!(text(&model).contains("connection refused"));
}

#[test]
fn a_confirmation_closes_when_there_is_nothing_left_to_confirm() {
    let mut world = before_orders();
    let mut model = world.model(SIZE);
    keys(&mut model, "<enter>");
    listen(&mut model);
    keys(&mut model, "production");
    world.record(Event::RunAbandoned {
        reason: "somebody else".to_owned(),
    });
    publish(&mut model, &world);
    assert!(model.dialog.is_none());
    assert!(commands(&keys(&mut model, "<enter>")).is_empty());
}

#[test]
fn a_refusal_is_read_beside_what_was_typed() {
    let mut model = before_orders().model(SIZE);
    keys(&mut model, "<enter>");
    listen(&mut model);
    keys(&mut model, "production<enter>");
    let refusal = Refusal::PlanChanged("orders".to_owned());
    done(&mut model, started("production"), Err(refusal.into()));
    assert!(
        text(&model).contains("has changed since it was shown"),
        "{}",
        text(&model)
    );
    assert!(
        keys(&mut model, "<enter>").is_empty(),
        "it must be typed again"
    );
}

#[test]
fn a_plan_is_made_and_shown_before_it_is_asked() {
    let mut world = World::new().passed(3);
    let mut model = world.model(SIZE);
    assert_eq!(
        keys(&mut model, "<enter>"),
        [Effect::Plan("orders".to_owned())]
    );
    assert!(model.dialog.is_none());
    world.snapshot.planning.insert("orders".to_owned());
    publish(&mut model, &world);
    assert!(model.dialog.is_none());
    world.snapshot.planning.clear();
    world.plan("orders", migration_plan());
    publish(&mut model, &world);
    assert!(model.dialog.is_some() && model.deaf);
}

#[test]
fn a_plan_that_arrives_too_late_asks_nothing() {
    for pressed in ["j", "<esc>", "6"] {
        let mut world = World::new().passed(3);
        let mut model = world.model(SIZE);
        keys(&mut model, "<enter>");
        keys(&mut model, pressed);
        world.plan("orders", migration_plan());
        publish(&mut model, &world);
        assert!(model.dialog.is_none(), "{pressed}");
    }
}

#[test]
fn a_retry_is_planned_again_first() {
    let mut world = before_orders();
    world
        .start("orders")
        .finish("orders", Finding::failed("it broke"));
    let mut model = world.model(SIZE);
    assert_eq!(keys(&mut model, "r"), [Effect::Plan("orders".to_owned())]);
    publish(&mut model, &world);
    assert!(model.dialog.is_none(), "that is the old plan");
    world.plan("orders", migration_plan());
    publish(&mut model, &world);
    listen(&mut model);
    let effects = keys(&mut model, "production<enter>");
    assert!(matches!(commands(&effects)[..], [Command::Retry { .. }]));
}

#[test]
fn enter_on_what_failed_says_which_key_retries() {
    let mut world = World::new().passed(4);
    world
        .start("no-orphans")
        .finish("no-orphans", Finding::failed("3"));
    let mut model = world.model(SIZE);
    assert!(commands(&keys(&mut model, "<enter>")).is_empty());
    assert!(toast(&model).contains("r retries it, w waives it"));
}

#[test]
fn what_only_looks_starts_at_once() {
    let mut model = World::new().model(SIZE);
    let effects = keys(&mut model, "<enter>");
    assert!(
        matches!(&commands(&effects)[..], [Command::Start { gate, .. }] if gate == "staging-clean")
    );
    assert!(
        keys(&mut model, "<enter>").is_empty(),
        "the first is not answered yet"
    );
}

#[test]
fn what_acts_elsewhere_is_confirmed_with_one_key() {
    let mut world = World::new().passed(5);
    world.plan("playground", Plan::new("apply 2 files", &["3"]));
    let mut model = world.model(SIZE);
    assert!(
        keys(&mut model, "<enter>y").is_empty(),
        "nobody has seen the question"
    );
    listen(&mut model);
    assert!(keys(&mut model, "x ").is_empty());
    let effects = keys(&mut model, "y");
    assert!(matches!(
        &commands(&effects)[..],
        [Command::Start {
            typed_name: None,
            ..
        }]
    ));
}

#[test]
fn a_later_gate_is_refused_in_words() {
    let mut model = World::new().model(SIZE);
    let effects = keys(&mut model, "jj<enter>");
    assert!(commands(&effects).is_empty());
    assert!(toast(&model).contains("nothing later starts until it has passed"));
}

#[test]
fn the_selection_goes_on_with_the_run_and_waits_to_be_seen() {
    let mut world = World::new();
    let mut model = world.model(SIZE);
    world
        .start("staging-clean")
        .finish("staging-clean", Finding::passed("3 rows"));
    let effects = publish(&mut model, &world);
    assert_eq!(model.gate().unwrap().id, "people-know");
    assert_eq!(effects, [Effect::Plan("people-know".to_owned())]);
    assert!(
        keys(&mut model, "<enter>").is_empty(),
        "a bounce of the last key"
    );
    listen(&mut model);
    let effects = keys(&mut model, "<enter>");
    assert!(matches!(
        commands(&effects)[..],
        [Command::ConfirmItem { item: 0, .. }]
    ));
}

#[test]
fn the_selection_stays_where_somebody_reads() {
    let mut world = World::new();
    let mut model = world.model(SIZE);
    keys(&mut model, "jjj");
    world
        .start("staging-clean")
        .finish("staging-clean", Finding::passed("3 rows"));
    publish(&mut model, &world);
    assert_eq!(model.gate().unwrap().id, "orders");
    keys(&mut model, ".");
    assert_eq!(model.gate().unwrap().id, "people-know");
}

#[test]
fn an_item_with_a_value_asks_for_it_and_keeps_a_bad_one() {
    let mut world = World::new().passed(1);
    let mut model = world.model(SIZE);
    keys(&mut model, "<tab>j");
    assert_eq!(model.item, 1);
    assert!(
        keys(&mut model, "<enter><enter>").is_empty(),
        "empty is no value"
    );
    let sent = commands(&keys(&mut model, "fast<enter>"));
    let refusal = Refusal::BadInput {
        item: 2,
        wanted: "a number".to_owned(),
        given: "fast".to_owned(),
    };
    done(&mut model, sent[0].clone(), Err(refusal.into()));
    assert!(text(&model).contains("asks for a number; `fast` is none"));
    let sent = commands(&keys(&mut model, "<c-u>41.5<enter>"));
    assert!(
        matches!(&sent[..], [Command::ConfirmItem { item: 1, value: Some(v), .. }] if v == "41.5")
    );
    done(&mut model, sent[0].clone(), Ok(()));
    assert!(model.dialog.is_none());
    world.start("people-know").record(Event::ItemConfirmed {
        gate: "people-know".to_owned(),
        item: 1,
        value: Some("41.5".to_owned()),
    });
    publish(&mut model, &world);
    assert_eq!(model.item, 2, "the next open item");
}

#[test]
fn pasted_values_lose_their_control_characters() {
    let mut model = World::new().passed(1).model(SIZE);
    keys(&mut model, "n");
    update(&mut model, Msg::Paste("lag\x1b[31m is\n3 s\n".to_owned()));
    let sent = commands(&keys(&mut model, "<enter>"));
    assert!(matches!(&sent[..], [Command::Note { text, .. }] if text == "lag[31m is 3 s"));
}

#[test]
fn signing_decides_nothing_by_itself() {
    let mut model = World::new().passed(6).model(SIZE);
    keys(&mut model, "<enter>");
    assert!(keys(&mut model, "<enter><enter><enter><enter><enter>").is_empty());
    listen(&mut model);
    assert!(keys(&mut model, "<enter><enter><enter><enter><enter>").is_empty());
    assert!(text(&model).contains("say first whether you approve or reject"));
    keys(&mut model, "x<down><down>");
    assert!(
        keys(&mut model, "<enter>").is_empty(),
        "a rejection says why"
    );
    keys(&mut model, "broken<up>a<down><c-u>fine<down>");
    let sent = commands(&keys(&mut model, "<enter>"));
    let [
        Command::Sign {
            role,
            person,
            decision,
            note,
            ..
        },
    ] = &sent[..]
    else {
        panic!("{sent:?}");
    };
    assert_eq!((role.as_str(), person.as_str()), ("dba", "ana@example.com"));
    assert_eq!((*decision, note.as_str()), (Decision::Approve, "fine"));
}

#[test]
fn roles_and_people_are_chosen_from_those_that_may() {
    let mut model = World::new().passed(6).model(SIZE);
    keys(&mut model, "s");
    listen(&mut model);
    keys(&mut model, "<down><right>");
    assert!(text(&model).contains("bo@example.com"));
    keys(&mut model, "<up><right>");
    assert!(text(&model).contains("Engineering Lead (lead)"));
    assert!(text(&model).contains("cem@example.com"));
}

#[test]
fn a_waiver_needs_a_reason_and_the_runbooks_leave() {
    let mut world = World::new().passed(3);
    world
        .start("orders")
        .finish("orders", Finding::failed("it broke"));
    let mut model = world.model(SIZE);
    keys(&mut model, "w");
    assert!(toast(&model).contains("does not allow"));
    let mut world = World::new().passed(4);
    world
        .start("no-orphans")
        .finish("no-orphans", Finding::failed("3"));
    let mut model = world.model(SIZE);
    keys(&mut model, "w");
    assert!(text(&model).contains("of at least 20 characters"));
    let sent = commands(&keys(&mut model, "too short<enter>"));
    let refusal = Refusal::ReasonTooShort(20);
    done(&mut model, sent[0].clone(), Err(refusal.into()));
    assert!(text(&model).contains("too short"), "it can be mended");
    assert!(matches!(
        commands(&keys(&mut model, ", but it is known<enter>"))[..],
        [Command::Waive { .. }]
    ));
}

#[test]
fn holding_and_resuming() {
    let mut world = World::new();
    let mut model = world.model(SIZE);
    let sent = commands(&keys(&mut model, "Hlag<enter>"));
    assert_eq!(
        sent,
        [Command::Hold {
            reason: "lag".to_owned()
        }]
    );
    done(&mut model, sent[0].clone(), Ok(()));
    world.record(Event::RunHeld {
        reason: "lag".to_owned(),
    });
    publish(&mut model, &world);
    keys(&mut model, "<enter>");
    assert!(toast(&model).contains("resume it first"));
    assert_eq!(commands(&keys(&mut model, "H")), [Command::Resume]);
}

#[test]
fn abandoning_asks_why_and_is_guarded() {
    let mut model = World::new().model(SIZE);
    assert!(keys(&mut model, "Ano<enter>").is_empty());
    listen(&mut model);
    assert!(keys(&mut model, "<enter>").is_empty());
    let sent = commands(&keys(&mut model, "wrong day<enter>"));
    assert!(matches!(&sent[..], [Command::Abandon { reason }] if reason == "wrong day"));
}

#[test]
fn leaving_never_stops_work_by_itself() {
    let mut idle = World::new().model(SIZE);
    assert_eq!(keys(&mut idle, "q"), [Effect::Quit(ConsoleEnd::Left)]);
    let mut world = before_orders();
    world.start("orders");
    for key in ["q", "<c-c>"] {
        let mut model = world.model(SIZE);
        assert!(keys(&mut model, key).is_empty());
        assert!(keys(&mut model, "lc").is_empty(), "typed too early");
        listen(&mut model);
        assert!(keys(&mut model, "yq<enter>").is_empty());
        assert_eq!(
            keys(&mut model, "l"),
            [Effect::Quit(ConsoleEnd::LeftRunning)]
        );
    }
}

#[test]
fn canceling_and_leaving_waits_for_the_work_to_stop() {
    let mut world = before_orders();
    world.start("orders");
    let mut model = world.model(SIZE);
    keys(&mut model, "q");
    listen(&mut model);
    let sent = commands(&keys(&mut model, "c"));
    assert_eq!(
        sent,
        [Command::Cancel {
            gate: "orders".to_owned()
        }]
    );
    assert!(text(&model).contains("LEAVING"));
    assert!(publish(&mut model, &world).is_empty());
    world.finish("orders", Finding::failed("canceled"));
    assert_eq!(
        publish(&mut model, &world),
        [Effect::Quit(ConsoleEnd::Left)]
    );
}

#[test]
fn escape_takes_leaving_back() {
    let mut world = before_orders();
    world.start("orders");
    let mut model = world.model(SIZE);
    keys(&mut model, "q");
    listen(&mut model);
    keys(&mut model, "c<esc>");
    world.finish("orders", Finding::failed("canceled"));
    let effects = publish(&mut model, &world);
    assert!(!effects.contains(&Effect::Quit(ConsoleEnd::Left)));
}

#[test]
fn suspending_is_refused_in_words() {
    let mut model = World::new().model(SIZE);
    keys(&mut model, "<c-z>");
    assert!(toast(&model).contains("not suspended"));
}

#[test]
fn a_run_that_let_everything_through_is_closed_with_enter() {
    let mut world = World::new().passed(7);
    let mut model = world.model(SIZE);
    assert_eq!(commands(&keys(&mut model, "<enter>")), [Command::Close]);
    world.record(Event::RunClosed);
    publish(&mut model, &world);
    assert_eq!(model.screen, Screen::Closing);
    assert_eq!(keys(&mut model, "q"), [Effect::Quit(ConsoleEnd::Closed)]);
}

#[test]
fn a_gate_in_doubt_is_asked_about() {
    let mut world = before_orders();
    world.start("orders").record(Event::GateInDoubt {
        gate: "orders".to_owned(),
        attempt: 1,
        finding: Finding::inconclusive("lost"),
    });
    let mut model = world.model(SIZE);
    assert!(keys(&mut model, "<enter>").contains(&Effect::Reconcile("orders".to_owned())));
}

#[test]
fn signals_end_the_console() {
    let mut model = before_orders().model(SIZE);
    keys(&mut model, "<enter>");
    assert_eq!(
        update(&mut model, Msg::HangUp),
        [Effect::Quit(ConsoleEnd::HungUp)]
    );
    assert_eq!(
        update(&mut model, Msg::Terminate),
        [Effect::Quit(ConsoleEnd::Terminated)]
    );
}

#[test]
fn a_tick_draws_only_what_the_clock_moves() {
    let mut world = World::new();
    let mut model = world.model(SIZE);
    model.dirty = false;
    update(
        &mut model,
        Msg::Tick(world.now + jiff::SignedDuration::from_millis(10)),
    );
    assert!(!model.dirty, "the same second");
    update(
        &mut model,
        Msg::Tick(world.now + jiff::SignedDuration::from_secs(1)),
    );
    assert!(model.dirty, "the window counts down");
    world = World::new().passed(7);
    world.record(Event::RunClosed);
    let mut model = world.model(SIZE);
    model.dirty = false;
    update(
        &mut model,
        Msg::Tick(world.now + jiff::SignedDuration::from_secs(9)),
    );
    assert!(!model.dirty, "nothing moves on the last page");
}

#[test]
fn clicks_select_and_the_wheel_scrolls_what_is_under_it() {
    let mut world = before_orders();
    world.feed = FeedView {
        lines: vec![
            FeedLine {
                source: Source::Out,
                gate: Arc::from("orders"),
                text: "one".to_owned(),
            };
            100
        ],
        ..FeedView::default()
    };
    let mut model = world.model(SIZE);
    let mouse = |kind, column, row| {
        Msg::Mouse(MouseEvent {
            kind,
            column,
            row,
            modifiers: KeyModifiers::NONE,
        })
    };
    let click = MouseEventKind::Down(MouseButton::Left);
    update(&mut model, mouse(click, 5, 5));
    assert_eq!((model.selected, model.focus), (0, Focus::List));
    update(&mut model, mouse(click, 60, 8));
    assert_eq!(model.focus, Focus::Detail);
    keys(&mut model, "5");
    let end = model.log.pager.offset;
    update(&mut model, mouse(MouseEventKind::ScrollUp, 60, 8));
    assert_eq!(model.log.pager.offset, end - 3);
    keys(&mut model, "1..<enter>");
    update(&mut model, mouse(click, 5, 5));
    assert_ne!(model.selected, 0, "a dialog is open");
}

#[test]
fn searching_finds_gates_lines_and_records() {
    let mut model = before_orders().model(SIZE);
    keys(&mut model, "/agree<enter>");
    assert_eq!(model.gate().unwrap().id, "agreed");
    keys(&mut model, "/nothing like it<enter>");
    assert!(toast(&model).contains("nothing like it"));
    keys(&mut model, "6g/backup<enter>");
    let first = model.journal.cursor;
    keys(&mut model, "n");
    assert_ne!(model.journal.cursor, first);
    keys(&mut model, "N");
    assert_eq!(model.journal.cursor, first);
}

#[test]
fn a_copy_goes_into_a_file() {
    let mut model = before_orders().model(SIZE);
    for (pressed, part) in [("y", "ALTER TABLE shop.orders"), ("6y", "run opened")] {
        let effects = keys(&mut model, pressed);
        let [Effect::Save { text, .. }] = &effects[..] else {
            panic!("{effects:?}");
        };
        assert!(text.contains(part), "{text}");
    }
    update(
        &mut model,
        Msg::Saved(Ok("/runs/x/copies/a.txt".to_owned())),
    );
    assert!(toast(&model).contains("/runs/x/copies/a.txt"));
}

#[test]
fn escape_and_a_letter_that_arrive_together_are_both_taken() {
    let mut model = before_orders().model(SIZE);
    keys(&mut model, "jn");
    let key = KeyEvent::new(KeyCode::Char('.'), KeyModifiers::ALT);
    update(&mut model, Msg::Key(key));
    assert!(model.dialog.is_none());
    assert_eq!(model.gate().unwrap().id, "orders");
    let key = KeyEvent::new(KeyCode::Enter, KeyModifiers::ALT);
    assert!(update(&mut model, Msg::Key(key)).is_empty());
    assert!(model.dialog.is_none(), "Alt and Enter is no Enter");
}
