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
    shown(
        &[Code(KeyCode::Enter)],
        "Enter",
        Action::Act,
        On::Git,
        "open the files behind the row: what would be promoted, or what is not committed",
        |model| (model.screen == Screen::Git && model.git.row().is_some()).then_some("files"),
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

/// The keys of the changed files, most useful first.
pub(super) const FILES: &[Binding] = &[
    quiet(
        &[Code(KeyCode::Enter)],
        "Enter",
        Action::Act,
        On::Files,
        "fold or unfold a folder; go to the selected file",
    ),
    shown(
        &[Char('r')],
        "r",
        Action::Review,
        On::Files,
        "mark the file as reviewed with the content that it has now; again takes the mark away",
        |model| on_file(model).then_some("reviewed"),
    ),
    shown(
        &[Char('>')],
        ">",
        Action::NextFile,
        On::Files,
        "go to the next file",
        |model| on_file(model).then_some("next file"),
    ),
    quiet(
        &[Char('<')],
        "<",
        Action::PreviousFile,
        On::Files,
        "go to the file before",
    ),
    shown(
        &[Char('f')],
        "f",
        Action::Filter,
        On::Files,
        "show all files, or only those that are not reviewed",
        |model| on_file(model).then_some("filter"),
    ),
];

fn on_file(model: &Model) -> bool {
    model.screen == Screen::Files && model.files.row().is_some()
}

/// The word for the key that opens the screen, where a gate is about a repository.
pub(super) fn opens(model: &Model) -> Option<&'static str> {
    let of = |kind: &Kind| matches!(kind, Kind::Git(_) | Kind::Merge(_) | Kind::Commit(_));
    let mut gates = model.snapshot.runbook.gates();
    (model.screen != Screen::Git && gates.any(|gate| of(&gate.kind))).then_some("git")
}
