//! What two schemas differ in: one value a difference, and what follows from all of them.

use serde::{Deserialize, Serialize};

use super::{Kind, ObjectId};

/// What became of an object, seen from what was expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// It is there and was not expected.
    Added,
    /// It was expected and is not there.
    Removed,
    /// It is there, with another property.
    Changed,
}

impl Change {
    pub fn word(self) -> &'static str {
        match self {
            Change::Added => "added",
            Change::Removed => "removed",
            Change::Changed => "changed",
        }
    }
}

/// Whether a difference may be allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    Soft,
    /// A table, a column, a constraint or an index is not as it must be: nothing goes on.
    Hard,
}

impl Severity {
    pub fn word(self) -> &'static str {
        match self {
            Severity::Soft => "soft",
            Severity::Hard => "hard",
        }
    }
}

/// Which side has to move.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// The database lacks something: run the missing migrations.
    Behind,
    /// The database has something more: update the canonical schema, with approval.
    Ahead,
    /// Both have it, and not the same: resolve by hand.
    Diverged,
}

impl Direction {
    pub fn word(self) -> &'static str {
        match self {
            Direction::Behind => "behind",
            Direction::Ahead => "ahead",
            Direction::Diverged => "diverged",
        }
    }

    /// What can be done about it.
    pub fn remedy(self) -> &'static str {
        match self {
            Direction::Behind => "run the missing migrations",
            Direction::Ahead => "update the canonical schema, with approval",
            Direction::Diverged => "resolve it by hand",
        }
    }

    /// The direction of two differences together.
    pub fn with(self, other: Direction) -> Direction {
        if self == other {
            self
        } else {
            Direction::Diverged
        }
    }
}

/// One difference.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    pub kind: Kind,
    pub name: String,
    pub change: Change,
    /// What differs; absent when the whole object is there or is not.
    pub property: Option<String>,
    pub expected: Option<String>,
    pub actual: Option<String>,
    pub severity: Severity,
    pub direction: Direction,
    /// What came or went with it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dependants: Vec<ObjectId>,
    /// The object on the other side that it may have been renamed from or to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub maybe_renamed: Option<String>,
    /// The rule that ignores it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ignored_by: Option<String>,
}

impl Difference {
    pub fn id(&self) -> ObjectId {
        ObjectId::new(self.kind, self.name.clone())
    }
}

/// Two objects that look like one under two names. A guess, never an assumption.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rename {
    pub kind: Kind,
    pub expected: String,
    pub actual: String,
}

/// All that two schemas differ in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Comparison {
    pub format: u32,
    pub equal: bool,
    pub differences: Vec<Difference>,
    /// Differences that a rule ignores; they are shown and do not count.
    pub ignored: Vec<Difference>,
    pub renames: Vec<Rename>,
    /// What could not be compared as it is, and what was done about that.
    #[serde(default)]
    pub notes: Vec<String>,
}

impl Comparison {
    /// How many differences may not be allowed.
    pub fn hard(&self) -> usize {
        self.differences
            .iter()
            .filter(|difference| difference.severity == Severity::Hard)
            .count()
    }

    /// The direction of all differences together; none when there are none.
    pub fn direction(&self) -> Option<Direction> {
        self.differences
            .iter()
            .map(|difference| difference.direction)
            .reduce(Direction::with)
    }
}
