//! Reading SQL text, pure: splitting a file into statements, recognising what may not run as it
//! is, and the checksum by which a file is known.

mod checksum;
mod classify;
mod script;
mod split;

pub use checksum::{Checksum, normalise};
pub use classify::{Class, classify};
pub use script::{CopyData, Script, ScriptProblem, Statement};
