//! The key of the conn.

use super::Action;
use super::binding::{Binding, Key, On, shown};
use crate::console::screen::conn;

/// The table.
pub(super) const PASSING: &[Binding] = &[shown(
    &[Key::Char('T')],
    "T",
    Action::Conn,
    On::Everywhere,
    "the conn: ask for it or take it in a console that watches, answer whoever asks where it is",
    conn::word,
)];
