//! One table of keys. What a key does, the bar at the bottom, the help screen and the table in the
//! README all come from it.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::model::Model;
use super::screen::text::{Doc, Ink, cells, span};
use super::screen::{Screen, act};
use crate::promotion::RunStatus;

/// What a key asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    Up,
    Down,
    Left,
    Right,
    PageUp,
    PageDown,
    Top,
    Bottom,
    ScrollUp,
    ScrollDown,
    SwitchPane,
    Current,
    Act,
    Tick,
    Retry,
    Waive,
    Sign,
    Note,
    Cancel,
    Hold,
    Abandon,
    Replan,
    Copy,
    Search,
    Next,
    Previous,
    Follow,
    Run,
    Log,
    Journal,
    Help,
    Back,
    Leave,
    Suspend,
}

/// A key that a terminal sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Key {
    Char(char),
    Control(char),
    Code(KeyCode),
}

/// The screens on which a key counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum On {
    Everywhere,
    Run,
    /// The log and the journal.
    Reading,
}

/// One line of the table.
pub struct Binding {
    pub keys: &'static [Key],
    /// How people write it.
    pub shown: &'static str,
    pub action: Action,
    pub on: On,
    /// What it does, for the help screen.
    pub words: &'static str,
    /// The word on the bar while it works there.
    bar: fn(&Model) -> Option<&'static str>,
}

const fn quiet(
    keys: &'static [Key],
    shown: &'static str,
    action: Action,
    on: On,
    words: &'static str,
) -> Binding {
    Binding {
        keys,
        shown,
        action,
        on,
        words,
        bar: |_| None,
    }
}

const fn shown(
    keys: &'static [Key],
    shown: &'static str,
    action: Action,
    on: On,
    words: &'static str,
    bar: fn(&Model) -> Option<&'static str>,
) -> Binding {
    Binding {
        keys,
        shown,
        action,
        on,
        words,
        bar,
    }
}

use Key::{Char, Code, Control};

/// The table, most useful first.
pub const TABLE: &[Binding] = &[
    shown(
        &[Code(KeyCode::Enter)],
        "Enter",
        Action::Act,
        On::Run,
        "act on the selected gate: start it, confirm an item, sign, ask about a gate in doubt, close the run",
        |model| act::on_enter(model).word(),
    ),
    quiet(
        &[Char(' ')],
        "Space",
        Action::Tick,
        On::Run,
        "confirm the checklist item under the cursor",
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
        On::Run,
        "move between the gates and the detail",
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
        "search: gates, log lines, journal records",
        |model| (model.screen != Screen::Run).then_some("search"),
    ),
    shown(
        &[Char('n')],
        "n",
        Action::Next,
        On::Reading,
        "go to the next match",
        |model| searched(model).then_some("next"),
    ),
    quiet(
        &[Char('N')],
        "N",
        Action::Previous,
        On::Reading,
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
        On::Run,
        "to the gates; scroll long lines back",
    ),
    quiet(
        &[Code(KeyCode::Right), Char('l')],
        "→ l",
        Action::Right,
        On::Run,
        "to the detail; scroll long lines",
    ),
    quiet(
        &[Char('K')],
        "K",
        Action::ScrollUp,
        On::Run,
        "scroll the detail up",
    ),
    quiet(
        &[Char('J')],
        "J",
        Action::ScrollDown,
        On::Run,
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
        "leave; never stops work without asking",
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
const DIALOGS: &[(&str, &str)] = &[
    (
        "Enter",
        "confirm; on production only after the target's name was typed",
    ),
    ("y", "confirm a gate that acts elsewhere"),
    ("Esc", "leave it, nothing is done"),
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
        _ => false,
    }
}

impl Binding {
    fn is_on(&self, screen: Screen) -> bool {
        match self.on {
            On::Everywhere => true,
            On::Run => screen == Screen::Run,
            On::Reading => matches!(screen, Screen::Log | Screen::Journal),
        }
    }
}

/// What a key asks for on a screen.
pub fn action(key: KeyEvent, screen: Screen) -> Option<Action> {
    let control = key.modifiers.contains(KeyModifiers::CONTROL);
    if key.modifiers.contains(KeyModifiers::ALT) {
        return None;
    }
    let matches = |wanted: &Key| match (*wanted, key.code) {
        (Char(wanted), KeyCode::Char(typed)) => !control && wanted == typed,
        (Control(wanted), KeyCode::Char(typed)) => control && wanted == typed.to_ascii_lowercase(),
        (Code(wanted), typed) => wanted == typed,
        _ => false,
    };
    TABLE
        .iter()
        .filter(|binding| binding.is_on(screen))
        .find(|binding| binding.keys.iter().any(matches))
        .map(|binding| binding.action)
}

/// The keys that work now, with their words, as many as fit in `width` cells. Help and leaving
/// always do.
pub fn bar(model: &Model, width: usize) -> Vec<(&'static str, &'static str)> {
    let all: Vec<(&str, &str)> = TABLE
        .iter()
        .filter(|binding| binding.is_on(model.screen))
        .filter_map(|binding| Some((binding.shown, (binding.bar)(model)?)))
        .collect();
    let room = |(key, word): &(&str, &str)| cells(key) + cells(word) + 3;
    let (last, first) = match all.len().checked_sub(2) {
        Some(at) => (&all[at..], &all[..at]),
        None => (&all[..], &all[..0]),
    };
    let mut left = width.saturating_sub(last.iter().map(room).sum());
    let mut out = Vec::new();
    for entry in first {
        if room(entry) > left {
            break;
        }
        left -= room(entry);
        out.push(*entry);
    }
    out.extend_from_slice(last);
    out
}

const SECTIONS: [(On, &str); 3] = [
    (On::Run, "On the run"),
    (On::Reading, "In the log and the journal"),
    (On::Everywhere, "Everywhere"),
];

/// The help screen.
pub fn help_page(width: usize) -> Doc {
    let mut doc = Doc::new(width);
    for (on, title) in SECTIONS {
        doc.heading(title);
        for binding in TABLE.iter().filter(|binding| binding.on == on) {
            let lead = span(Ink::Strong, format!("{:<8}", binding.shown));
            doc.hanging(&[lead], Ink::Plain, binding.words);
        }
    }
    doc.heading("In a dialog");
    for (key, words) in DIALOGS {
        doc.hanging(
            &[span(Ink::Strong, format!("{key:<14}"))],
            Ink::Plain,
            words,
        );
    }
    doc
}

/// The table of keys for the README.
pub fn table_markdown() -> String {
    let mut out = String::from("| key | where | what it does |\n|---|---|---|\n");
    let place = |on: On| match on {
        On::Run => "run",
        On::Reading => "log, journal",
        On::Everywhere => "everywhere",
    };
    for (on, _) in SECTIONS {
        for binding in TABLE.iter().filter(|binding| binding.on == on) {
            let (key, words) = (binding.shown, binding.words);
            out.push_str(&format!("| `{key}` | {} | {words} |\n", place(on)));
        }
    }
    for (key, words) in DIALOGS {
        out.push_str(&format!("| `{key}` | dialogs | {words} |\n"));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_key_means_two_things_on_one_screen() {
        for screen in [Screen::Run, Screen::Log, Screen::Journal, Screen::Closing] {
            let mut seen: Vec<Key> = Vec::new();
            for binding in TABLE.iter().filter(|binding| binding.is_on(screen)) {
                for key in binding.keys {
                    assert!(!seen.contains(key), "{key:?} on {screen:?}");
                    seen.push(*key);
                }
            }
        }
    }

    #[test]
    fn the_readme_table_has_a_row_for_every_binding() {
        let rows = table_markdown().lines().count();
        assert_eq!(rows, 2 + TABLE.len() + DIALOGS.len());
    }
}
