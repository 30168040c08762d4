//! The keys of signatures by key.

use super::Action;
use super::binding::{Binding, Key, On, shown};
use crate::console::screen::signing;

/// The table.
pub(super) const SIGNING: &[Binding] = &[
    shown(
        &[Key::Char('s')],
        "s",
        Action::Sign,
        On::Run,
        "sign the selected gate by name; with keys: let statements wait, hand in what was signed",
        signing::word,
    ),
    shown(
        &[Key::Char('W')],
        "W",
        Action::BreakGlass,
        On::Run,
        "break the glass: waive a gate without its own roles, where the runbook allows it",
        signing::glass_word,
    ),
];
