//! The keys of a gate that judges a plan which people give.

use super::Action;
use super::binding::{Binding, Key, On, shown};
use crate::console::screen::given;

/// The table.
pub(super) const GIVING: &[Binding] = &[shown(
    &[Key::Char('v')],
    "v",
    Action::GivePlan,
    On::Run,
    "give a gate the plan that it judges: paste it, type it, or load a file",
    given::word,
)];
