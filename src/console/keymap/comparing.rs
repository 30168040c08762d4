//! The keys of the screen of differences.

use crossterm::event::KeyCode;

use super::Action;
use super::binding::{Binding, Key, On, quiet, shown};
use crate::console::model::{Focus, Model};
use crate::console::screen::Screen;
use crate::console::screen::diff;

use Key::{Char, Code};

/// The table, most useful first.
pub(super) const COMPARING: &[Binding] = &[
    quiet(
        &[Code(KeyCode::Enter)],
        "Enter",
        Action::Act,
        On::Diff,
        "fold or unfold a kind; go to the selected difference",
    ),
    shown(
        &[Char('v')],
        "v",
        Action::Columns,
        On::Compared,
        "two columns or one: both sides beside each other, or below each other",
        |model| shows(model).then_some("columns"),
    ),
    shown(
        &[Char('f')],
        "f",
        Action::Filter,
        On::Diff,
        "show all, only hard, only soft, only allowed, only ignored",
        |model| shows(model).then_some("filter"),
    ),
    shown(
        &[Char(']')],
        "]",
        Action::NextChange,
        On::Compared,
        "go to the next change of what is selected",
        |model| shows(model).then_some("next change"),
    ),
    quiet(
        &[Char('[')],
        "[",
        Action::PreviousChange,
        On::Compared,
        "go to the change before",
    ),
    shown(
        &[Char('z')],
        "z",
        Action::Fold,
        On::Compared,
        "in the list, fold or unfold the group; beside it, the lines that are alike",
        |model| {
            let (focus, all_lines) = match model.screen {
                Screen::Files => (model.files.focus, model.files.all_lines),
                _ => (model.diff.focus, model.diff.all_lines),
            };
            let word = match focus {
                Focus::List => "fold",
                Focus::Detail if all_lines => "changes only",
                Focus::Detail => "all lines",
            };
            shows(model).then_some(word)
        },
    ),
    quiet(
        &[Char('w')],
        "w",
        Action::Whitespace,
        On::Compared,
        "ignore or compare how much white space there is",
    ),
];

/// The word for the key that opens the screen, while a gate has seen differences.
pub(super) fn opens(model: &Model) -> Option<&'static str> {
    let source = diff::source(&model.snapshot, model.gate())?;
    let (_, seen) = diff::drift(&model.snapshot, source)?;
    let differs = !seen.comparison.differences.is_empty();
    (model.screen != Screen::Diff && differs).then_some("differences")
}

fn shows(model: &Model) -> bool {
    match model.screen {
        Screen::Diff => model.diff.seen().is_some(),
        Screen::Files => model.files.file().is_some(),
        _ => false,
    }
}
