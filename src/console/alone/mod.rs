//! Reviewing changed files without a run: the same screen, and marks that are kept on this machine.

mod drive;
mod kept;
pub mod model;

pub use drive::review;
pub use kept::folder as kept_folder;
