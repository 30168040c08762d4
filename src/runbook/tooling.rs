//! What a runbook says of another program that owns a schema, and what a `tool` gate asks of it.

use std::time::Duration;

use super::model::AllowedHazard;
use crate::expectation::Comparison;

/// The placeholder that stands for one migration's id.
pub const TOOL_ID: &str = "{id}";

/// A program that owns a schema: how it is called, and how its answers are read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tool {
    pub name: String,
    pub cwd: Option<String>,
    /// Names of the variables that it gets besides those of the connection.
    pub env: Vec<String>,
    /// The variable in which it finds the target's address, with its password.
    pub url_env: Option<String>,
    /// What stands before `://`.
    pub url_scheme: String,
    pub user_env: Option<String>,
    pub password_env: Option<String>,
    /// Says which version of the program is there.
    pub version: Vec<String>,
    pub status: Option<ToolStatus>,
    pub plan: Option<ToolPlan>,
    pub apply: Option<ToolStep>,
    pub revert: Option<ToolStep>,
}

/// How a tool says what is applied and what is pending.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToolStatus {
    pub argv: Vec<String>,
    pub exit: Vec<i32>,
    /// A line of this form names a pending migration, by its group `id`.
    pub pending: String,
    /// A line of this form names an applied one.
    pub applied: Option<String>,
    /// A line of this form says that nothing is pending.
    pub none: Option<String>,
    /// A line of this form says that something is wrong.
    pub broken: Option<String>,
    /// Its session may change nothing.
    pub read_only: bool,
}

/// How the SQL that would run is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToolPlan {
    /// Empty where nothing has to run for it.
    pub argv: Vec<String>,
    pub exit: Vec<i32>,
    pub sql: ToolSql,
    /// The SQL begins behind a line of this form.
    pub from: Option<String>,
    /// It ends before a line of this form.
    pub until: Option<String>,
    /// Lines of this form differ from call to call, and are no part of what is reviewed.
    pub volatile: Option<String>,
    pub read_only: bool,
}

/// Where the SQL stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ToolSql {
    Stdout,
    File(String),
    /// Files; with `{id}` in it, those of each pending migration.
    Files(String),
}

/// A call that changes something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToolStep {
    pub argv: Vec<String>,
    pub exit: Vec<i32>,
}

/// One use of a tool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToolGate {
    /// The tool's name.
    pub tool: String,
    pub action: ToolAction,
    pub target: String,
    /// How many may be pending, and how many must be applied, where the gate asks for the status.
    pub pending: Option<Comparison>,
    pub applied: Option<Comparison>,
    /// The classes of hazards that refuse, by their words.
    pub deny: Vec<String>,
    pub allow: Vec<AllowedHazard>,
    /// How long a statement of the tool may wait for a lock.
    pub lock_timeout: Duration,
    /// The gate whose migrations are taken back.
    pub undoes: Option<String>,
    /// How many are taken back where no gate is named.
    pub count: u32,
}

/// What is asked of a tool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ToolAction {
    Status,
    Plan,
    Apply,
    Revert,
}

impl ToolAction {
    /// The word of the format.
    pub fn word(self) -> &'static str {
        match self {
            ToolAction::Status => "status",
            ToolAction::Plan => "plan",
            ToolAction::Apply => "apply",
            ToolAction::Revert => "revert",
        }
    }

    /// It changes nothing.
    pub fn looks(self) -> bool {
        matches!(self, ToolAction::Status | ToolAction::Plan)
    }
}

impl ToolPlan {
    /// Its files are those of each pending migration, so the status has to be asked first.
    pub fn is_by_id(&self) -> bool {
        matches!(&self.sql, ToolSql::Files(glob) if glob.contains(TOOL_ID))
    }
}

impl Tool {
    /// Whether the SQL that it would run is known.
    pub fn tells_sql(&self) -> bool {
        self.plan.is_some()
    }
}
