//! A runbook that loaded: every reference in it holds, every unit and pattern was checked.

use std::collections::BTreeMap;
use std::time::Duration;

use super::cloning::CloneDatabase;
use super::comparing::{Drift, SchemaVersion};
use super::controlling::Control;
use super::disabling::DisabledBy;
use super::elsewhere::PlanSource;
use super::going_back::{Message, MessageGate, Restore, Rollback};
use super::migrating::Migrate;
use super::rehearsing::Rehearse;
use super::revising::{AlembicAction, AlembicGate, AlembicProject};
use super::signing::{Signatures, SignedWaiver, Signoff};
use super::tooling::{Tool, ToolAction, ToolGate};
use super::versioning::{Commit, GitCheck, Merge};
use super::watching::{Observe, Ramp};
use crate::expectation::{FileExpectation, ProcessExpectation, QueryExpectation};

/// The gate kinds of the format, in the order in which they are listed to people.
pub const KINDS: [&str; 22] = [
    "checklist",
    "query",
    "exec",
    "file",
    "commit",
    "git",
    "merge",
    "backup",
    "restore",
    "recovery-point",
    "lint",
    "rehearse",
    "migrate",
    "alembic",
    "drift",
    "schema-version",
    "tool",
    "clone",
    "ramp",
    "observe",
    "message",
    "signoff",
];

/// What an operator wrote.
#[derive(Debug, Clone, PartialEq)]
pub struct Runbook {
    pub title: String,
    pub summary: String,
    /// SHA-256 of the file's bytes.
    pub digest: String,
    /// Where relative paths start, relative to the runbook's own folder.
    pub root: String,
    pub vars: BTreeMap<String, String>,
    pub window: Option<Window>,
    pub targets: BTreeMap<String, Target>,
    /// Other programs that own a schema, by their names.
    pub tools: BTreeMap<String, Tool>,
    pub projects: BTreeMap<String, AlembicProject>,
    pub roles: Vec<Role>,
    pub phases: Vec<Phase>,
    pub rollbacks: Vec<Rollback>,
    pub messages: Vec<Message>,
    /// Where the flag stands that keeps migrations from running.
    pub migrations_disabled_by: DisabledBy,
    pub signatures: Option<Signatures>,
    pub break_glass: Option<SignedWaiver>,
    /// Where other terminals follow the runs.
    pub control: Option<Control>,
}

/// A named database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    pub name: String,
    /// `env:NAME`, `service:NAME` or a URL without a password.
    pub url: String,
    pub environment: Environment,
    pub system_identifier: Option<String>,
}

/// What a target is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Environment {
    Production,
    Staging,
    Development,
    Scratch,
}

impl Environment {
    pub const ALL: [Environment; 4] = [
        Environment::Production,
        Environment::Staging,
        Environment::Development,
        Environment::Scratch,
    ];

    /// The word for it in the format and on every screen.
    pub fn word(self) -> &'static str {
        match self {
            Environment::Production => "production",
            Environment::Staging => "staging",
            Environment::Development => "development",
            Environment::Scratch => "scratch",
        }
    }
}

/// The maintenance window.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Window {
    pub opens: Option<jiff::Timestamp>,
    pub closes: Option<jiff::Timestamp>,
    /// Counted from the run's opening when no times are given.
    pub lasts: Option<Duration>,
    pub last_start: Option<jiff::Timestamp>,
    pub rollback_margin: Duration,
}

/// People who sign in one capacity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Role {
    pub name: String,
    pub title: String,
    pub members: Vec<String>,
}

/// An ordered part of a runbook.
#[derive(Debug, Clone, PartialEq)]
pub struct Phase {
    pub id: String,
    pub title: String,
    pub help: Option<String>,
    pub gates: Vec<Gate>,
}

/// One thing that must pass.
#[derive(Debug, Clone, PartialEq)]
pub struct Gate {
    pub id: String,
    pub title: String,
    pub help: Option<String>,
    pub waivable: bool,
    /// Whose signatures waive it; where there are none, a person at the console does.
    pub waiver: Option<SignedWaiver>,
    pub timeout: Option<Duration>,
    pub retry: Option<Retry>,
    pub kind: Kind,
}

/// How often a gate that only looks is tried again before it counts as not passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retry {
    pub attempts: u32,
    pub every: Duration,
}

/// What a gate does.
#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    Checklist(Checklist),
    Query(Query),
    Exec(Exec),
    File(FileCheck),
    Backup(Backup),
    Migrate(Migrate),
    Ramp(Ramp),
    Observe(Observe),
    Signoff(Signoff),
    Commit(Commit),
    Git(GitCheck),
    Merge(Merge),
    Lint(Lint),
    Drift(Drift),
    SchemaVersion(SchemaVersion),
    RecoveryPoint(RecoveryPoint),
    Restore(Restore),
    Message(MessageGate),
    Clone(Box<CloneDatabase>),
    Rehearse(Box<Rehearse>),
    Tool(Box<ToolGate>),
    Alembic(Box<AlembicGate>),
}

/// Items that people confirm.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checklist {
    pub items: Vec<Item>,
}

/// An item of a checklist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    pub text: String,
    pub input: Option<InputKind>,
    pub unit: Option<String>,
    /// The name under which later gates know the value.
    pub capture: Option<String>,
}

/// What an item asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InputKind {
    Number,
    Text,
}

/// A statement and what it must answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    pub target: String,
    pub role: Option<String>,
    pub sql: SqlSource,
    pub expect: QueryExpectation,
    /// Its rows may stand in reports and bundles, which leave this machine.
    pub report_rows: bool,
}

/// Where a statement stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SqlSource {
    Inline(String),
    File(String),
}

/// A program and how it must end. There is no shell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exec {
    pub argv: Vec<String>,
    /// Names of the variables that the program gets; it gets no others.
    pub env: Vec<String>,
    pub cwd: Option<String>,
    pub expect: ProcessExpectation,
    /// It changes nothing, so it may be repeated and needs no confirmation.
    pub looks: bool,
    /// The target that it acts on, which decides whether a name must be typed.
    pub target: Option<String>,
}

/// A file and what must stand in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileCheck {
    pub path: String,
    pub expect: FileExpectation,
}

/// A dump of a target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backup {
    pub target: String,
    /// The folder that receives it.
    pub path: String,
    pub format: BackupFormat,
    /// How many workers; only for the directory format.
    pub jobs: u32,
}

/// The formats that `pg_restore` can read back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BackupFormat {
    Custom,
    Directory,
}

/// SQL files whose hazards are looked for, and folders whose writes are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lint {
    /// Paths or globs.
    pub files: Vec<String>,
    /// The classes of hazards that refuse, by their words.
    pub deny: Vec<String>,
    pub allow: Vec<AllowedHazard>,
    pub boundary: Vec<Boundary>,
    /// A plan that somebody else made.
    pub plan: Option<PlanSource>,
    /// Earlier gates that are taken again when the lint fails.
    pub recovery: Vec<String>,
}

/// One hazard that is allowed in one file, if a question to a target is answered with true.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AllowedHazard {
    pub file: String,
    /// The rule's code, such as `DS102`.
    pub hazard: String,
    pub target: String,
    pub predicate: String,
    pub reason: String,
}

/// What the code below a folder may not write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Boundary {
    pub from: String,
    /// Patterns such as `eng.*` or `eng_*`.
    pub may_not_write: Vec<String>,
}

/// The point to which a target could be recovered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecoveryPoint {
    pub target: String,
    /// How old the last archived segment may be while the log grows.
    pub max_archive_age: Option<Duration>,
    /// The name of a restore point to make; without one the gate only looks.
    pub restore_point: Option<String>,
    pub require_archiving: bool,
    /// A backup of the target must have been restored and compared in this run.
    pub verified: bool,
}

/// The name under which later gates know what a recovery-point gate found.
pub const RECOVERY_POINT_CAPTURE: &str = "recovery_point";

impl Kind {
    /// The kind's name in the format.
    pub fn name(&self) -> &'static str {
        match self {
            Kind::Checklist(_) => "checklist",
            Kind::Query(_) => "query",
            Kind::Exec(_) => "exec",
            Kind::File(_) => "file",
            Kind::Backup(_) => "backup",
            Kind::Migrate(_) => "migrate",
            Kind::Ramp(_) => "ramp",
            Kind::Observe(_) => "observe",
            Kind::Signoff(_) => "signoff",
            Kind::Restore(_) => "restore",
            Kind::Message(_) => "message",
            Kind::Commit(_) => "commit",
            Kind::Git(_) => "git",
            Kind::Merge(_) => "merge",
            Kind::Lint(_) => "lint",
            Kind::Drift(_) => "drift",
            Kind::SchemaVersion(_) => "schema-version",
            Kind::RecoveryPoint(_) => "recovery-point",
            Kind::Clone(_) => "clone",
            Kind::Rehearse(_) => "rehearse",
            Kind::Tool(_) => "tool",
            Kind::Alembic(_) => "alembic",
        }
    }

    /// Tells whether the gate applies migrations, so that a flag may keep it from running. What
    /// undoes migrations is not kept from it.
    pub fn migrates(&self) -> bool {
        match self {
            Kind::Migrate(gate) => gate.undoes.is_empty(),
            Kind::Tool(gate) => gate.action == ToolAction::Apply,
            Kind::Alembic(gate) => gate.action == AlembicAction::Upgrade,
            _ => false,
        }
    }

    /// The target that the gate looks at or acts on.
    pub fn target(&self) -> Option<&str> {
        match self {
            Kind::Query(gate) => Some(&gate.target),
            Kind::Backup(gate) => Some(&gate.target),
            Kind::Migrate(gate) => Some(&gate.target),
            Kind::Exec(gate) => gate.target.as_deref(),
            Kind::Restore(gate) => Some(&gate.target),
            Kind::Ramp(gate) => gate.target.as_deref(),
            Kind::Observe(gate) => gate.target.as_deref(),
            Kind::RecoveryPoint(gate) => Some(&gate.target),
            Kind::Drift(gate) => Some(&gate.target),
            Kind::SchemaVersion(gate) => Some(&gate.target),
            Kind::Clone(gate) => Some(&gate.target),
            Kind::Rehearse(gate) => Some(&gate.target),
            Kind::Tool(gate) => Some(&gate.target),
            Kind::Alembic(gate) => Some(&gate.target),
            Kind::Commit(_) | Kind::Git(_) | Kind::Merge(_) | Kind::Lint(_) => None,
            Kind::Checklist(_) | Kind::File(_) | Kind::Signoff(_) | Kind::Message(_) => None,
        }
    }
}

impl Runbook {
    /// All gates of the run in order. Those of the ways back are not among them.
    pub fn gates(&self) -> impl Iterator<Item = &Gate> {
        self.phases.iter().flat_map(|phase| phase.gates.iter())
    }

    /// The message of that id.
    pub fn message(&self, id: &str) -> Option<&Message> {
        self.messages.iter().find(|message| message.id == id)
    }

    /// The gate of that id, those of the ways back included.
    pub fn gate(&self, id: &str) -> Option<&Gate> {
        let back = self.rollbacks.iter().flat_map(|back| back.gates.iter());
        self.gates().chain(back).find(|gate| gate.id == id)
    }
}
