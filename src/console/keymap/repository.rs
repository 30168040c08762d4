//! The keys of the screen of the repository.

use crossterm::event::KeyCode;

use super::Action;
use super::binding::{Binding, Key, On, quiet, shown};
use crate::console::model::Model;
use crate::console::screen::Screen;
use crate::runbook::Kind;

use Key::{Char, Code};

/// The table, most useful first.
pub(super) const REPOSITORY: &[Binding] = &[
    quiet(
        &[Code(KeyCode::Enter)],
        "Enter",
        Action::Act,
        On::Git,
        "go to the page beside the list",
    ),
    shown(
        &[Char('r')],
        "r",
        Action::LookAgain,
        On::Git,
        "look again now, and ask the remote whether it answers",
        |model| (model.screen == Screen::Git).then_some("look again"),
    ),
];

/// The word for the key that opens the screen, where a gate is about a repository.
pub(super) fn opens(model: &Model) -> Option<&'static str> {
    let of = |kind: &Kind| matches!(kind, Kind::Git(_) | Kind::Merge(_) | Kind::Commit(_));
    let mut gates = model.snapshot.runbook.gates();
    (model.screen != Screen::Git && gates.any(|gate| of(&gate.kind))).then_some("git")
}
