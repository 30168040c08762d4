//! The runbook file format, pure: text in, a checked [`Runbook`] or every problem of it out.
//!
//! Strict TOML. An unknown key, a wrong unit, an unknown role or a dangling reference is a problem
//! with file, line, column and the valid choices; all problems of a file are reported at once.

mod cloning;
mod comparing;
mod controlling;
mod disabling;
mod duration;
mod elsewhere;
mod findings;
mod gates;
mod going_back;
mod load;
mod messages;
mod migrating;
mod model;
mod names;
pub mod naming;
mod problem;
mod projects;
mod queueing;
mod reader;
mod rehearsing;
mod revising;
mod roles;
mod rollbacks;
mod secrets;
mod signing;
mod syntax;
mod targets;
mod template;
mod times;
mod tooling;
mod tools;
mod vars;
mod versioning;
mod watching;
mod window;

pub use cloning::{CloneDatabase, Mask, Previous};
pub use comparing::{Against, Drift, SchemaVersion};
pub use controlling::Control;
pub use disabling::{DisabledBy, FLAG_VALUES, FlagMeaning, flag_meaning, line_value};
pub use duration::{ParseDurationError, parse_duration};
pub use elsewhere::{PlanProgram, PlanSource};
pub use going_back::{
    Message, MessageGate, Restore, RestoreMode, Rollback, Scope, Sessions, Shape, Webhook,
};
pub use load::{load, load_bytes};
pub use migrating::{AloneLimits, Migrate, MigrateEngine, Profile};
pub use model::{
    AllowedHazard, Backup, BackupFormat, Boundary, Checklist, Environment, Exec, FileCheck, Gate,
    InputKind, Item, KINDS, Kind, Lint, Phase, Query, RECOVERY_POINT_CAPTURE, RecoveryPoint, Retry,
    Role, Runbook, SqlSource, Target, Window,
};
pub use problem::{Problem, Problems};
pub use queueing::Queueing;
pub use rehearsing::{RehearsalOf, Rehearse, RolesInScratch, SeenAllowed, Take};
pub use revising::{AlembicAction, AlembicGate, AlembicProject};
pub use signing::{Signatures, SignedWaiver, Signoff};
pub use template::{UnknownPlaceholder, content_placeholders, fill, fill_content, placeholders};
pub use tooling::{TOOL_ID, Tool, ToolAction, ToolGate, ToolPlan, ToolSql, ToolStatus, ToolStep};
pub use versioning::{Commit, CommittedFile, ContentSource, GitCheck, Merge, MergeMode};
pub use watching::{FlagWay, Metric, MetricSource, Observe, OnBreach, Ramp, RampStep};
