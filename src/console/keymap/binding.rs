//! What a line of the table of keys says.

use crossterm::event::KeyCode;

use super::Action;
use crate::console::model::Model;

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
    /// The differences.
    Diff,
    /// The repository.
    Git,
    /// The locks.
    Locks,
    /// The changed files.
    Files,
    /// The differences and the changed files: two texts, compared.
    Compared,
    /// The run, the differences and the repository: a list, and a page beside it.
    Panes,
    /// The log and the journal.
    Reading,
    /// Where a search goes from match to match.
    Searched,
    /// The run, while a gate at work offers it.
    Question,
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
    pub(super) bar: fn(&Model) -> Option<&'static str>,
}

pub(super) const fn quiet(
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

pub(super) const fn shown(
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
