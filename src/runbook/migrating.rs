//! What a `migrate` gate says: which files, under which limits, run by whom.

use std::time::Duration;

use super::naming::Style;
use super::queueing::Queueing;

/// SQL files to apply, one transaction each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Migrate {
    pub target: String,
    /// Paths or globs; each glob's files are taken in byte order, or as their style orders them.
    pub files: Vec<String>,
    /// How the files are named.
    pub style: Style,
    /// The table of another tool that says what was applied before, or `ignore`.
    pub adopt: Option<String>,
    /// The last file that was applied before, by its version or its name.
    pub baseline: Option<String>,
    /// The role that owns what is made.
    pub role: Option<String>,
    pub search_path: Option<String>,
    pub lock_timeout: Duration,
    pub statement_timeout: Duration,
    /// How long a commit may wait for a standby.
    pub standby_wait: Duration,
    /// How often a transaction that met a lock or a deadlock is tried in all.
    pub attempts: u32,
    pub queueing: Queueing,
    /// Files that sort before an applied one are applied as well rather than refused.
    pub out_of_order: bool,
    /// The gates whose applied files these files undo, by what their style pairs; empty forward.
    pub undoes: Vec<String>,
    /// What the files make of the schema is read before and after.
    pub record_change: bool,
    pub profile: Profile,
    pub engine: MigrateEngine,
    /// The limits of a statement that no transaction can hold.
    pub alone: AloneLimits,
}

/// When a file's commit is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// Each file's, until it is on disk and on the standbys that the server waits for.
    Safe,
    /// Once, behind the last file. A server that crashes before may have lost the last ones, whole
    /// and with their rows in the ledger.
    Fast,
}

/// Who runs a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MigrateEngine {
    Native,
    /// The client program `psql`, with its meta-commands.
    Psql,
}

/// The limits of a statement that no transaction can hold: it waits for others and holds up few.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AloneLimits {
    pub lock_timeout: Duration,
    pub statement_timeout: Duration,
}
