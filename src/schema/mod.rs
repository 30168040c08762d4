//! A database's schema as plain data, and the typed difference of two of them.
//!
//! A [`Snapshot`] is what the catalogs say, by identity and without what is mere state (object
//! ids, statistics, the order in which things were made). [`compare`] matches two of them object
//! by object and property by property; it never looks at a text of the whole.

mod compare;
mod counted;
mod difference;
mod ignore;
mod kind;
mod rename;
mod said;
mod snapshot;
mod source;
mod straddle;

pub use compare::{Options, compare};
pub use counted::Counted;
pub use difference::{Change, Comparison, Difference, Direction, Rename, Severity};
pub use ignore::{IgnoreRule, IgnoreRuleError, matched};
pub use kind::Kind;
pub use snapshot::{FORMAT, Object, ObjectId, Snapshot, SnapshotError};
pub use source::{Source, SourceError};
pub use straddle::HIDDEN;
