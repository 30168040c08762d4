//! Repositories: what stands in them, and commits of exactly the paths that were named.
//!
//! Everything that writes goes through the user's own `git` program, so that hooks, signing and the
//! identity are as the user has set them. Nobody is ever asked for a password.

mod act;
pub mod commit;
mod paths;
pub mod program;
mod standing;
mod write;
