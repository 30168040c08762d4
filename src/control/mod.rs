//! The control schema of a run: a copy of its journal for other terminals, an inbox for what they
//! hand in, and the epoch that says who has the conn.
//!
//! The copy is only ever a copy. The holder's side is a task with a session of its own
//! ([`mirror`]); nothing of the run waits for it. A watcher's side ([`watch`]) verifies every
//! record itself. [`fence`] asks before every effect whether the epoch is still ours.

mod address;
pub mod documents;
pub mod fence;
pub mod folder;
pub mod mirror;
mod mirror_link;
pub mod rebuild;
pub mod remembered;
pub mod tail;
pub mod watch;

pub use address::{Address, Trouble};
