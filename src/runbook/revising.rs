//! Projects whose schema Alembic owns, and what a gate lets it do.

use std::time::Duration;

use super::model::AllowedHazard;

/// A project: where it is, and how its code is told where the database is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlembicProject {
    pub name: String,
    /// Where Alembic works.
    pub folder: String,
    /// Its configuration, from the folder on.
    pub config: String,
    /// The interpreter; found in the project's virtual environment where it is not named.
    pub python: Option<String>,
    /// The variable in which `env.py` finds the address.
    pub url_env: String,
    /// What stands before `://`.
    pub url_scheme: String,
    /// Names of further variables that the project's code gets.
    pub env: Vec<String>,
    /// The folders of the history, where the configuration does not say them plainly.
    pub versions: Vec<String>,
    pub version_table: String,
}

/// One use of a project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlembicGate {
    pub project: String,
    pub action: AlembicAction,
    pub target: String,
    /// The database that the target is compared with.
    pub reference: Option<String>,
    /// The folder that receives the summaries of an audit.
    pub write: Option<String>,
    /// The diagnoses of an audit that pass.
    pub accept: Vec<String>,
    /// Where it goes: an id, `head`, `base`, or steps such as `-1`.
    pub revision: Option<String>,
    /// Whoever goes back chooses where to.
    pub chooses: bool,
    /// The classes of hazards that refuse, by their words.
    pub deny: Vec<String>,
    pub allow: Vec<AllowedHazard>,
    /// How long a statement may wait for a lock.
    pub lock_timeout: Duration,
    pub statement_timeout: Duration,
    /// The models must say the same as the database afterwards.
    pub models: bool,
    /// It is tried on a private copy of the schema first.
    pub scratch: bool,
}

/// What is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AlembicAction {
    Audit,
    Guard,
    Stamp,
    Upgrade,
    Downgrade,
    Check,
}

impl AlembicAction {
    pub const ALL: [AlembicAction; 6] = [
        AlembicAction::Audit,
        AlembicAction::Guard,
        AlembicAction::Stamp,
        AlembicAction::Upgrade,
        AlembicAction::Downgrade,
        AlembicAction::Check,
    ];

    /// The word of the format.
    pub fn word(self) -> &'static str {
        match self {
            AlembicAction::Audit => "audit",
            AlembicAction::Guard => "guard",
            AlembicAction::Stamp => "stamp",
            AlembicAction::Upgrade => "upgrade",
            AlembicAction::Downgrade => "downgrade",
            AlembicAction::Check => "check",
        }
    }

    /// It changes no database.
    pub fn looks(self) -> bool {
        matches!(
            self,
            AlembicAction::Audit | AlembicAction::Guard | AlembicAction::Check
        )
    }
}
