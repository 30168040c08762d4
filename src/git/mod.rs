//! Repositories: what stands in them, and commits of exactly the paths that were named.
//!
//! Everything goes through the user's own `git` program, so that hooks, signing and the identity are
//! as the user has set them, and so that what is read is what the user would read: a library knows
//! neither the hooks nor the user's ssh, and refuses extensions that the program has. Nobody is ever
//! asked for a password.

mod act;
pub mod changes;
pub mod commit;
pub mod content;
mod distance;
pub mod graph;
pub mod inspect;
pub mod merge;
pub mod merge_act;
mod merge_tree;
mod paths;
pub mod program;
mod remote;
mod standing;
pub mod state;
mod status;
mod untracked;
pub mod watch;
mod write;
