//! The runbook file format, pure: text in, a checked [`Runbook`] or every problem of it out.
//!
//! Strict TOML. An unknown key, a wrong unit, an unknown role or a dangling reference is a problem
//! with file, line, column and the valid choices; all problems of a file are reported at once.

mod duration;
mod findings;
mod gates;
mod load;
mod messages;
mod model;
mod names;
mod problem;
mod reader;
mod roles;
mod rollbacks;
mod secrets;
mod syntax;
mod targets;
mod template;
mod times;
mod vars;
mod watching;
mod window;

pub use duration::{ParseDurationError, parse_duration};
pub use load::load;
pub use model::{
    AllowedHazard, Boundary, Commit, CommittedFile, ContentSource, Lint, RECOVERY_POINT_CAPTURE,
    RecoveryPoint,
};
pub use model::{
    Backup, BackupFormat, Checklist, Environment, Exec, FileCheck, Gate, InputKind, Item, KINDS,
    Kind, Message, MessageGate, Migrate, Phase, Query, Restore, RestoreMode, Retry, Role, Rollback,
    Runbook, Scope, Sessions, Shape, Signoff, SqlSource, Target, Webhook, Window,
};
pub use problem::{Problem, Problems};
pub use template::{UnknownPlaceholder, content_placeholders, fill, fill_content, placeholders};
pub use watching::{FlagWay, Metric, MetricSource, Observe, OnBreach, Ramp, RampStep};
