//! The keys of the screen of the locks.

use super::Action;
use super::binding::{Binding, Key, On, quiet, shown};
use crate::console::model::Model;
use crate::console::screen::Screen;
use crate::console::screen::locks;
use crate::promotion::BlockerAct;

use Key::Char;

/// The table, most useful first.
pub(super) const LOCKS: &[Binding] = &[
    shown(
        &[Char('x')],
        "x",
        Action::CancelBlocker,
        On::Locks,
        "cancel the statement of the session in the way that is selected; its process number is typed",
        |model| offers(model, BlockerAct::Cancel).then_some("cancel blocker"),
    ),
    shown(
        &[Char('t')],
        "t",
        Action::EndBlocker,
        On::Locks,
        "terminate the session in the way that is selected; its process number is typed",
        |model| offers(model, BlockerAct::Terminate).then_some("terminate blocker"),
    ),
    shown(
        &[Char('c')],
        "c",
        Action::Cancel,
        On::Locks,
        "cancel ours: its transaction is rolled back; asks once more",
        |model| on_locks(model).then_some("cancel ours"),
    ),
    shown(
        &[Char('w')],
        "w",
        Action::Wait,
        On::Locks,
        "wait: do nothing, and go back to the run",
        |model| on_locks(model).then_some("wait"),
    ),
    quiet(&[Char('K')], "K", Action::ScrollUp, On::Locks, "scroll up"),
    quiet(
        &[Char('J')],
        "J",
        Action::ScrollDown,
        On::Locks,
        "scroll down",
    ),
];

fn on_locks(model: &Model) -> bool {
    model.screen == Screen::Locks && model.run().at_work().is_some()
}

fn offers(model: &Model, act: BlockerAct) -> bool {
    let selected = locks::selected(model);
    on_locks(model) && selected.is_some_and(|blocker| locks::offered(blocker, act).is_ok())
}

/// The word for the key that opens the screen, while there is something that one should look at.
pub(super) fn opens(model: &Model) -> Option<&'static str> {
    (model.screen != Screen::Locks && locks::line(model).is_some()).then_some("locks")
}
