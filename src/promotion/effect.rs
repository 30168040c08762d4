//! What became of one part of an acting gate.

use serde::{Deserialize, Serialize};

/// How one part of an acting gate ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EffectOutcome {
    Committed,
    RolledBack,
    /// The answer was lost; only the server knows.
    Unknown,
}

impl EffectOutcome {
    /// The word for it in journals and reports.
    pub fn word(self) -> &'static str {
        match self {
            EffectOutcome::Committed => "committed",
            EffectOutcome::RolledBack => "rolled back",
            EffectOutcome::Unknown => "outcome unknown",
        }
    }
}

/// One part of an acting gate that has ended, such as one migration file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EffectRecord {
    pub name: String,
    pub outcome: EffectOutcome,
    pub duration_ms: u64,
    /// What else there is to say in one line.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub detail: String,
}
