//! The table of keys itself.

use crossterm::event::KeyCode;

use super::Action;
use super::binding::{Binding, Key, On, quiet, shown};
use super::comparing::opens;
use crate::console::model::Model;
use crate::console::screen::{Screen, act, choose, run};
use crate::promotion::RunStatus;

use Key::{Char, Code, Control};

/// The table, most useful first.
pub(super) const TABLE: &[Binding] = &[
    shown(
        &[Code(KeyCode::Enter)],
        "Enter",
        Action::Act,
        On::Run,
        "act on the selected gate: start it, confirm an item, sign, ask about a gate in doubt, close the run",
        act::enter_word,
    ),
    quiet(
        &[Char(' ')],
        "Space",
        Action::Tick,
        On::Run,
        "confirm the checklist item under the cursor",
    ),
    shown(
        &[Char('g')],
        "g",
        Action::Choose,
        On::Question,
        "go on: raise the flag where that is asked, or go on after a hold; asks once more",
        |model| choose::word(model, 'g', "go on"),
    ),
    shown(
        &[Char('s')],
        "s",
        Action::Choose,
        On::Question,
        "step back: set the flag to the value before, and end the gate",
        |model| choose::word(model, 's', "step back"),
    ),
    shown(
        &[Char('o')],
        "o",
        Action::Choose,
        On::Question,
        "off: set the flag to 0 % at once, at any time while the ramp works",
        |model| choose::word(model, 'o', "off"),
    ),
    shown(
        &[Char('c')],
        "c",
        Action::Cancel,
        On::Run,
        "cancel the work in flight",
        |model| model.run().at_work().map(|_| "cancel"),
    ),
    shown(
        &[Char('r')],
        "r",
        Action::Retry,
        On::Run,
        "plan and retry a gate that did not pass",
        retry_word,
    ),
    shown(
        &[Char('w')],
        "w",
        Action::Waive,
        On::Run,
        "waive a gate that did not pass, with a reason, where the runbook allows it",
        waive_word,
    ),
    shown(
        &[Char('d')],
        "d",
        Action::Decide,
        On::Run,
        "decide what is done about a drift, with who approved it; it goes into the changelog",
        run::decide_word,
    ),
    quiet(
        &[Char('s')],
        "s",
        Action::Sign,
        On::Run,
        "sign the selected gate in a role",
    ),
    shown(
        &[Char('.')],
        ".",
        Action::Current,
        On::Run,
        "go to the gate that the run stands at",
        |model| (model.current() != Some(model.selected)).then_some("current gate"),
    ),
    quiet(
        &[Char('p')],
        "p",
        Action::Replan,
        On::Run,
        "plan the selected gate again",
    ),
    shown(
        &[Char('n')],
        "n",
        Action::Note,
        On::Run,
        "write a note into the journal",
        |model| (!model.run().status.is_terminal()).then_some("note"),
    ),
    shown(
        &[Char('H')],
        "H",
        Action::Hold,
        On::Run,
        "hold the run, so that nothing is started, or resume it",
        |model| match model.run().status {
            RunStatus::Held(_) => Some("resume"),
            RunStatus::Open => Some("hold"),
            _ => None,
        },
    ),
    shown(
        &[Char('b')],
        "b",
        Action::RollBack,
        On::Everywhere,
        "roll back: choose a way, say why, type the name",
        |model| {
            let open = !model.run().status.is_terminal() && !model.at_work();
            (open && model.run().ways_back().next().is_some()).then_some("roll back")
        },
    ),
    shown(
        &[Char('m')],
        "m",
        Action::Tell,
        On::Everywhere,
        "tell people: choose a message, edit it, copy or post it",
        |model| {
            let due = model
                .run()
                .reminder
                .as_ref()
                .is_some_and(|r| r.due <= model.now);
            due.then_some("tell people")
        },
    ),
    quiet(
        &[Char('A')],
        "A",
        Action::Abandon,
        On::Run,
        "abandon the run for good",
    ),
    quiet(
        &[Code(KeyCode::Tab), Code(KeyCode::BackTab)],
        "Tab",
        Action::SwitchPane,
        On::Panes,
        "move between the list and what is beside it",
    ),
    shown(
        &[Char('f')],
        "f",
        Action::Follow,
        On::Reading,
        "go to the end and stay there as lines are added",
        |_| Some("follow"),
    ),
    shown(
        &[Char('/')],
        "/",
        Action::Search,
        On::Everywhere,
        "search: gates, differences with their values, the repository, log lines, journal records",
        |model| (!matches!(model.screen, Screen::Run | Screen::Closing)).then_some("search"),
    ),
    shown(
        &[Char('n')],
        "n",
        Action::Next,
        On::Searched,
        "go to the next match",
        |model| searched(model).then_some("next"),
    ),
    quiet(
        &[Char('N')],
        "N",
        Action::Previous,
        On::Searched,
        "go to the match before",
    ),
    shown(
        &[Char('1')],
        "1",
        Action::Run,
        On::Everywhere,
        "the run",
        |model| (model.screen != Screen::Run).then_some("run"),
    ),
    shown(
        &[Char('2')],
        "2",
        Action::Diff,
        On::Everywhere,
        "the differences that a drift gate has seen: of the selected gate, or the last of the run",
        opens,
    ),
    shown(
        &[Char('3')],
        "3",
        Action::Git,
        On::Everywhere,
        "the repository: where it stands, and what would be promoted",
        super::repository::opens,
    ),
    shown(
        &[Char('4')],
        "4",
        Action::Locks,
        On::Everywhere,
        "the locks: what the statement at work waits for, who has that, and who waits behind it",
        super::locks::opens,
    ),
    shown(
        &[Char('5')],
        "5",
        Action::Log,
        On::Everywhere,
        "the log: everything that was said by what ran",
        |model| (model.screen != Screen::Log).then_some("log"),
    ),
    shown(
        &[Char('6')],
        "6",
        Action::Journal,
        On::Everywhere,
        "the journal: everything that happened",
        |model| (model.screen != Screen::Journal).then_some("journal"),
    ),
    quiet(
        &[Char('y')],
        "y",
        Action::Copy,
        On::Everywhere,
        "copy what the screen shows into a file of the run's folder",
    ),
    quiet(
        &[Code(KeyCode::Up), Char('k')],
        "↑ k",
        Action::Up,
        On::Everywhere,
        "up",
    ),
    quiet(
        &[Code(KeyCode::Down), Char('j')],
        "↓ j",
        Action::Down,
        On::Everywhere,
        "down",
    ),
    quiet(
        &[Code(KeyCode::Left), Char('h')],
        "← h",
        Action::Left,
        On::Panes,
        "to the list; scroll long lines back",
    ),
    quiet(
        &[Code(KeyCode::Right), Char('l')],
        "→ l",
        Action::Right,
        On::Panes,
        "to what is beside the list; scroll long lines",
    ),
    quiet(
        &[Char('K')],
        "K",
        Action::ScrollUp,
        On::Panes,
        "scroll the detail up",
    ),
    quiet(
        &[Char('J')],
        "J",
        Action::ScrollDown,
        On::Panes,
        "scroll the detail down",
    ),
    quiet(
        &[Code(KeyCode::PageUp), Control('b')],
        "PgUp",
        Action::PageUp,
        On::Everywhere,
        "a page up",
    ),
    quiet(
        &[Code(KeyCode::PageDown), Control('f')],
        "PgDn",
        Action::PageDown,
        On::Everywhere,
        "a page down",
    ),
    quiet(
        &[Code(KeyCode::Home), Char('g')],
        "Home g",
        Action::Top,
        On::Everywhere,
        "to the beginning",
    ),
    quiet(
        &[Code(KeyCode::End), Char('G')],
        "End G",
        Action::Bottom,
        On::Everywhere,
        "to the end",
    ),
    quiet(
        &[Code(KeyCode::Esc)],
        "Esc",
        Action::Back,
        On::Everywhere,
        "back; drops what was about to be asked",
    ),
    shown(
        &[Char('?'), Code(KeyCode::F(1))],
        "?",
        Action::Help,
        On::Everywhere,
        "all keys",
        |_| Some("help"),
    ),
    shown(
        &[Char('q'), Control('c')],
        "q",
        Action::Leave,
        On::Everywhere,
        "leave, like Ctrl-C; never stops work without asking",
        |_| Some("leave"),
    ),
    quiet(
        &[Control('z')],
        "Ctrl-Z",
        Action::Suspend,
        On::Everywhere,
        "does nothing: suspending would leave a transaction open",
    ),
];

/// Keys of dialogs, for the help screen.
pub(super) const DIALOGS: &[(&str, &str)] = &[
    (
        "Enter",
        "confirm; on production only after the target's name was typed",
    ),
    ("y", "confirm a gate that acts elsewhere"),
    (
        "Enter",
        "confirm what is asked of a session in the way, after its process number was typed",
    ),
    ("Esc", "leave it, nothing is done"),
    ("Ctrl-S Ctrl-P", "copy a message, post it to its webhook"),
    (
        "Ctrl-U Ctrl-W",
        "delete the line, the word before the cursor",
    ),
];

fn retry_word(model: &Model) -> Option<&'static str> {
    model.gate()?.state.may_retry().then_some("retry")
}

fn waive_word(model: &Model) -> Option<&'static str> {
    let waivable = model.definition()?.waivable && model.gate()?.state.may_retry();
    waivable.then_some("waive")
}

fn searched(model: &Model) -> bool {
    match model.screen {
        Screen::Log => !model.log.pattern.is_empty(),
        Screen::Journal => !model.journal.pattern.is_empty(),
        Screen::Diff => !model.diff.pattern.is_empty(),
        Screen::Files => !model.files.pattern.is_empty(),
        Screen::Git => !model.git.pattern.is_empty(),
        Screen::Locks => !model.locks.pattern.is_empty(),
        _ => false,
    }
}
