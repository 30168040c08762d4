//! What a rehearse gate is: a backup is restored into a private server, and the gates that come run
//! there first.

use std::time::Duration;

/// A rehearsal of what comes after it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rehearse {
    /// The target whose gates are rehearsed; it is only read.
    pub target: String,
    pub of: RehearsalOf,
    /// The gates that are rehearsed; `None` takes every one that can be.
    pub gates: Option<Vec<String>>,
    /// What was applied is undone again, and applied once more.
    pub down: bool,
    /// How many workers restore.
    pub jobs: u32,
    /// How long all of it may take.
    pub within: Duration,
    /// How much room it may take, in bytes.
    pub space: Option<u64>,
    pub roles: RolesInScratch,
    /// Extensions that may be missing where it is rehearsed.
    pub missing: Vec<String>,
    /// The classes of hazards that refuse when they are seen, by their words.
    pub deny: Vec<String>,
    pub allow: Vec<SeenAllowed>,
    /// Files whose way back may leave a difference, such as a label of an enum.
    pub may_leave: Vec<String>,
    /// Roles are superusers where the source's are.
    pub keep_superusers: bool,
    /// Code and files that may call out of the private server, by name.
    pub may_call: Vec<String>,
}

/// What is restored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RehearsalOf {
    /// The dump that a gate of this run has taken.
    Backup(String),
    /// A dump that is taken for this alone.
    Target(Take),
}

/// How much of a target is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Take {
    Full,
    /// No rows at all.
    Schema,
    /// At most so many rows of each table, and those that they refer to.
    Sample(u64),
}

impl Take {
    /// The word of the format.
    pub fn word(self) -> &'static str {
        match self {
            Take::Full => "full",
            Take::Schema => "schema",
            Take::Sample(_) => "sample",
        }
    }
}

/// What becomes of roles that the private server lacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RolesInScratch {
    /// They are made as the source has them, without passwords.
    Make,
    /// Only the one that connects is made; a dump that needs another fails.
    Refuse,
}

/// A hazard that may be seen in one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenAllowed {
    pub file: String,
    /// The rule's code, such as `DS102`.
    pub hazard: String,
    pub reason: String,
}
