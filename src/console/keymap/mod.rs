//! One table of keys. What a key does, the bar at the bottom, the help screen and the table in the
//! README all come from it.

mod binding;
mod comparing;
mod giving;
mod locks;
mod passing;
mod repository;
mod signing;
mod table;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

pub use binding::{Binding, Key, On};

use self::binding::Key::{Char, Code, Control};
use self::comparing::COMPARING;
use self::giving::GIVING;
use self::locks::LOCKS;
use self::passing::PASSING;
use self::repository::{FILES, REPOSITORY};
use self::signing::SIGNING;
use self::table::{DIALOGS, TABLE};
use super::model::Model;
use super::screen::text::{Doc, Ink, cells, span};
use super::screen::{Screen, conn};

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
    BreakGlass,
    Decide,
    Sign,
    Note,
    RollBack,
    Tell,
    Cancel,
    Hold,
    Abandon,
    Replan,
    /// Give a gate the plan that it judges.
    GivePlan,
    Copy,
    Search,
    Next,
    Previous,
    Follow,
    /// One column or two.
    Columns,
    Filter,
    Fold,
    Whitespace,
    NextChange,
    NextFile,
    PreviousFile,
    /// Mark a file as reviewed, or take the mark away.
    Review,
    PreviousChange,
    Run,
    Diff,
    Git,
    /// Look at the repository at once.
    LookAgain,
    Locks,
    CancelBlocker,
    EndBlocker,
    /// Do nothing about a lock.
    Wait,
    Log,
    Journal,
    Help,
    Back,
    Leave,
    Suspend,
    /// Ask for the conn, take it, or answer whoever asks.
    Conn,
    /// Choose at a gate that is at work.
    Choose,
}

impl Binding {
    fn is_on(&self, screen: Screen) -> bool {
        match self.on {
            On::Everywhere => true,
            On::Run => screen == Screen::Run,
            On::Diff => screen == Screen::Diff,
            On::Git => screen == Screen::Git,
            On::Files => screen == Screen::Files,
            On::Locks => screen == Screen::Locks,
            On::Compared => matches!(screen, Screen::Diff | Screen::Files),
            On::Panes => matches!(
                screen,
                Screen::Run | Screen::Diff | Screen::Files | Screen::Git
            ),
            On::Reading => matches!(screen, Screen::Log | Screen::Journal),
            On::Searched => matches!(
                screen,
                Screen::Diff
                    | Screen::Files
                    | Screen::Git
                    | Screen::Locks
                    | Screen::Log
                    | Screen::Journal
            ),
            // They count by the question, before the screen's own keys.
            On::Question => false,
        }
    }
}

/// All lines of the table, most useful first.
pub fn bindings() -> impl Iterator<Item = &'static Binding> {
    // The first are where the screen of differences is, or where there is anything to compare.
    let first = COMPARING.iter().chain(FILES).chain(REPOSITORY).chain(LOCKS);
    first
        .chain(GIVING)
        .chain(PASSING)
        .chain(SIGNING)
        .chain(TABLE)
}

/// All lines of the table as help lists them: what is there at every gate comes before what some
/// gates add.
fn listed() -> impl Iterator<Item = &'static Binding> {
    let added = GIVING.iter().chain(PASSING).chain(SIGNING);
    let screens = COMPARING.iter().chain(FILES).chain(REPOSITORY).chain(LOCKS);
    screens.chain(TABLE).chain(added)
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
    bindings()
        .filter(|binding| binding.is_on(screen))
        .find(|binding| binding.keys.iter().any(matches))
        .map(|binding| binding.action)
}

/// The keys that work now, with their words, as many as fit in `width` cells. Help and leaving
/// always do.
pub fn bar(model: &Model, width: usize) -> Vec<(&'static str, &'static str)> {
    let all: Vec<(&str, &str)> = bindings()
        .filter(|binding| binding.is_on(model.screen) || binding.on == On::Question)
        .filter(|binding| !conn::is_dead(model, binding.action))
        .filter_map(|binding| Some((binding.shown, (binding.bar)(model)?)))
        .collect();
    let (last, first) = match all.len().checked_sub(2) {
        Some(at) => (&all[at..], &all[..at]),
        None => (&all[..], &all[..0]),
    };
    fitting(first, last, width)
}

/// The keys of a review without a run, as many as fit.
pub fn review_bar(width: usize) -> Vec<(&'static str, &'static str)> {
    let all = [
        ("r", "reviewed"),
        ("]", "next change"),
        (">", "next file"),
        ("v", "columns"),
        ("z", "all lines"),
        ("w", "white space"),
        ("/", "search"),
        ("f", "filter"),
    ];
    fitting(&all, &[("?", "help"), ("q", "leave")], width)
}

/// The first entries that fit beside the last ones, which always do.
fn fitting<'a>(
    first: &[(&'a str, &'a str)],
    last: &[(&'a str, &'a str)],
    width: usize,
) -> Vec<(&'a str, &'a str)> {
    let room = |(key, word): &(&str, &str)| cells(key) + cells(word) + 3;
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

const SECTIONS: [(On, &str); 11] = [
    (On::Run, "On the run"),
    (On::Question, "At a flag that is raised, on the run"),
    (On::Diff, "In the differences"),
    (On::Compared, "In the differences and in changed files"),
    (On::Files, "In changed files"),
    (On::Git, "On the repository"),
    (On::Locks, "On the locks"),
    (
        On::Panes,
        "On the run, the differences, changed files and the repository",
    ),
    (On::Reading, "In the log and the journal"),
    (On::Searched, "After a search"),
    (On::Everywhere, "Everywhere"),
];

/// The help screen.
pub fn help_page(width: usize) -> Doc {
    let mut doc = help_of(width, &SECTIONS);
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

/// The help of a review without a run.
pub fn review_help(width: usize) -> Doc {
    let counts = |on: &On| {
        let here = [
            On::Compared,
            On::Files,
            On::Panes,
            On::Searched,
            On::Everywhere,
        ];
        here.contains(on)
    };
    let sections: Vec<(On, &str)> = SECTIONS.into_iter().filter(|(on, _)| counts(on)).collect();
    help_of(width, &sections)
}

fn help_of(width: usize, sections: &[(On, &str)]) -> Doc {
    let mut doc = Doc::new(width);
    for (on, title) in sections {
        doc.heading(title);
        for binding in listed().filter(|binding| binding.on == *on) {
            let lead = span(Ink::Strong, format!("{:<8}", binding.shown));
            doc.hanging(&[lead], Ink::Plain, binding.words);
        }
    }
    doc
}

/// The table of keys for the README.
pub fn table_markdown() -> String {
    let mut out = String::from("| key | where | what it does |\n|---|---|---|\n");
    let place = |on: On| match on {
        On::Run => "run",
        On::Question => "run, at a ramp",
        On::Diff => "differences",
        On::Git => "git",
        On::Locks => "locks",
        On::Files => "files",
        On::Compared => "differences, files",
        On::Panes => "run, differences, files, git",
        On::Reading => "log, journal",
        On::Searched => "differences, files, git, locks, log, journal",
        On::Everywhere => "everywhere",
    };
    for (on, _) in SECTIONS {
        for binding in listed().filter(|binding| binding.on == on) {
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
        for screen in [
            Screen::Run,
            Screen::Diff,
            Screen::Files,
            Screen::Git,
            Screen::Locks,
            Screen::Log,
            Screen::Journal,
            Screen::Closing,
        ] {
            let mut seen: Vec<Key> = Vec::new();
            for binding in bindings().filter(|binding| binding.is_on(screen)) {
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
        assert_eq!(rows, 2 + bindings().count() + DIALOGS.len());
    }
}
