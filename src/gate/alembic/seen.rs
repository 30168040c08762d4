//! What an `alembic` gate saw, as evidence.

use serde::{Deserialize, Serialize};

use crate::gate::{LintSeen, Made};

/// Everything that a gate saw.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct AlembicSeen {
    pub project: String,
    pub action: String,
    /// As the program says it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    pub heads: Vec<String>,
    /// What is wrong with the history.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub troubles: Vec<String>,
    /// The target, and the database it is compared with.
    pub databases: Vec<DatabaseSeen>,
    /// Where it goes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub goal: Option<String>,
    /// The revisions that are applied or taken back, in that order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<StepSeen>,
    /// The SQL that Alembic would run, as it was judged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lint: Option<LintSeen>,
    /// What it did to a private copy of the schema.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tried: Option<Tried>,
    /// Where two schemas differ that should be the same, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub differences: Option<Vec<String>>,
    /// What the models say of the database afterwards; empty where they say the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub models: Option<String>,
    /// What the version table says afterwards.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Vec<String>>,
    /// What became of the schema.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub made: Option<Box<Made>>,
    /// The files that an audit wrote.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub written: Vec<String>,
    pub duration_ms: u64,
}

/// One database.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct DatabaseSeen {
    pub target: String,
    pub environment: String,
    pub server: String,
    /// Which database it is, whatever way leads there.
    pub fingerprint: String,
    pub database: String,
    pub user: String,
    pub search_path: String,
    pub tables: Vec<String>,
    /// The version table; none where the database is not tracked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub relation: Option<String>,
    pub versions: Vec<String>,
    /// The revisions that lead to the head, and are not there.
    pub behind: Vec<String>,
    /// What is wrong with its versions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unknown: Vec<String>,
}

/// A revision on the way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepSeen {
    pub revision: String,
    pub message: String,
    pub file: String,
}

/// What was seen on a private copy of the target's schema.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Tried {
    /// Why it failed there, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed: Option<String>,
    /// What it made of the schema, in words.
    pub changes: Vec<String>,
    /// Those of them that take something away.
    pub removed: Vec<String>,
    /// Where the schema then differs from the one it should be, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub differences: Option<Vec<String>>,
    /// The schema's checksum then.
    pub checksum: String,
}

impl DatabaseSeen {
    /// Its version in words.
    pub fn at(&self) -> String {
        match (&self.relation, self.versions.as_slice()) {
            (None, _) => "not tracked".to_owned(),
            (Some(_), []) => "at the beginning".to_owned(),
            (Some(_), versions) => format!("at {}", versions.join(", ")),
        }
    }
}

impl AlembicSeen {
    /// The target itself.
    pub fn here(&self) -> Option<&DatabaseSeen> {
        self.databases.first()
    }

    /// The database that it is compared with.
    pub fn reference(&self) -> Option<&DatabaseSeen> {
        self.databases.get(1)
    }
}
