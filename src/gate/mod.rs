//! One file a gate kind: what it would do ([`plan`]), doing it ([`run`]), and asking the world
//! what became of it when nobody saw it end ([`reconcile`]).
//!
//! Gates turn a runbook's words into plain values for the floors below and turn what came back into
//! [`Evidence`]; the verdict on that is computed by [`crate::expectation`].

mod alembic;
mod backup;
mod backup_seen;
mod beside;
mod checklist;
mod choices;
mod clone;
mod commit;
mod context;
pub mod disabled;
pub mod drift;
mod evidence;
mod exec;
mod feed;
mod file;
mod flag;
mod flag_file;
mod git;
mod git_reviewed;
mod git_seen;
mod lint;
mod lint_plan;
mod lint_seen;
mod lint_survey;
mod locks;
mod measure;
mod merge;
mod message;
mod migrate;
mod migrate_adopt;
mod migrate_alone;
mod migrate_apply;
mod migrate_beside;
mod migrate_described;
mod migrate_down;
mod migrate_files;
mod migrate_made;
mod migrate_plan;
mod migrate_psql;
mod migrate_reconcile;
mod migrate_safe;
mod migrate_session;
mod migrate_settled;
mod migrate_stand;
mod migrate_words;
mod observe;
mod plan;
mod query;
mod quiet;
mod ramp;
mod ramp_choose;
mod ramp_course;
mod ramp_plan;
mod ramp_words;
mod recovery_point;
mod recovery_seen;
pub mod rehearse;
mod restore;
mod restore_in_place;
mod restore_plan;
mod restore_reconcile;
mod restore_swap;
mod samples;
mod schema_version;
mod signoff;
mod targets;
mod tool;
mod watched;

pub use alembic::{AlembicSeen, DatabaseSeen, Diagnosis, StepSeen, Tried};
pub use choices::{Choice, Choices, Chosen, Question};
pub use clone::Cloned;
pub use context::Context;
pub use drift::{ChangeSeen, DriftSeen};
pub use evidence::{AppliedFile, Evidence, FileState, Outcome, Reconciled, TracedStatement};
pub use feed::{Asked, Feed, FeedLine, FeedView, Progress, Source, Unit};
pub use git_reviewed::{ReviewedFile, ReviewedSeen};
pub use git_seen::{GitRules, GitSeen};
pub use lint_plan::PLANS_GIVEN;
pub use lint_seen::{BoundaryWrite, HazardStanding, LintSeen, LintedFile, LintedHazard, PlanSeen};
pub use locks::{LockScene, Pause, Signals, Tolerated};
pub use migrate_made::{Made, MadeByFile, change_words};
pub use plan::{Payload, Plan, PlanLine, Tone};
pub use ramp_plan::RampPlan;
pub use recovery_seen::{ArchiverSeen, RecoverySeen};
pub use schema_version::SchemaVersionSeen;
pub use targets::{TargetError, TargetStatus, Targets};
pub use tool::{Migration, StatusSeen, ToolCall, ToolSeen};
pub use watched::{Rung, RungState, SeenMetric, Watched};

use crate::runbook::Kind;

/// Works out what the gate would do. Reads, and changes nothing.
pub async fn plan(context: &Context) -> Plan {
    disabled::mark(planned(context).await, context)
}

async fn planned(context: &Context) -> Plan {
    match &context.gate.kind {
        Kind::Checklist(gate) => checklist::plan(gate, context),
        Kind::Query(gate) => query::plan(gate, context),
        Kind::Exec(gate) => exec::plan(gate, context),
        Kind::File(gate) => file::plan(gate, context),
        Kind::Backup(gate) => backup::plan(gate, context).await,
        Kind::Migrate(gate) => migrate_plan::plan(gate, context).await,
        Kind::Observe(gate) => observe::plan(gate, context),
        Kind::Ramp(gate) => ramp_plan::plan(gate, context).await,
        Kind::Signoff(gate) => signoff::plan(gate, context),
        Kind::Restore(gate) => restore_plan::plan(gate, context).await,
        Kind::Message(gate) => message::plan(gate, context),
        Kind::Commit(gate) => commit::plan(gate, context).await,
        Kind::Git(gate) => git::plan(gate, context),
        Kind::Merge(gate) => merge::plan(gate, context).await,
        Kind::Lint(gate) => lint::plan(gate, context),
        Kind::Drift(gate) => drift::plan(gate, context),
        Kind::SchemaVersion(gate) => schema_version::plan(gate, context),
        Kind::RecoveryPoint(gate) => recovery_point::plan(gate, context),
        Kind::Clone(gate) => clone::plan(gate, context).await,
        Kind::Rehearse(gate) => rehearse::plan(gate, context).await,
        Kind::Tool(gate) => tool::plan(gate, context).await,
        Kind::Alembic(gate) => alembic::plan(gate, context).await,
    }
}

/// Why nothing may begin here: the conn of the run is somebody else's.
pub async fn not_ours(context: &Context) -> Option<Outcome> {
    let error = context.targets.may_act().await.err()?;
    Some(query::unreachable("this run", &error))
}

/// Carries the gate's plan out and says how that ended.
pub async fn run(context: &Context, plan: &Plan) -> Outcome {
    if let Some(outcome) = disabled::stops(context) {
        return outcome;
    }
    match &context.gate.kind {
        Kind::Query(gate) => query::run(gate, context).await,
        Kind::Exec(gate) => exec::run(gate, context).await,
        Kind::File(gate) => file::run(gate, context),
        Kind::Backup(gate) => Box::pin(backup::run(gate, context)).await,
        Kind::Migrate(gate) => {
            let outcome = Box::pin(migrate::run(gate, context, plan)).await;
            match gate.undoes.is_empty() {
                true => Box::pin(rehearse::as_rehearsed(&gate.target, context, outcome)).await,
                false => outcome,
            }
        }
        Kind::Restore(gate) => Box::pin(restore::run(gate, context)).await,
        Kind::Observe(gate) => observe::run(gate, context).await,
        Kind::Ramp(gate) => ramp::run(gate, context, plan).await,
        Kind::Commit(gate) => commit::run(gate, context, plan).await,
        Kind::Git(gate) => git::run(gate, context).await,
        Kind::Merge(gate) => merge::run(gate, context, plan).await,
        Kind::Lint(gate) => lint::run(gate, context).await,
        Kind::Drift(gate) => drift::run(gate, context).await,
        Kind::SchemaVersion(gate) => schema_version::run(gate, context).await,
        Kind::RecoveryPoint(gate) => recovery_point::run(gate, context).await,
        Kind::Clone(gate) => Box::pin(clone::run(gate, context)).await,
        Kind::Rehearse(gate) => Box::pin(rehearse::run(gate, context)).await,
        Kind::Tool(gate) => {
            let outcome = Box::pin(tool::run(gate, context, plan)).await;
            Box::pin(rehearse::as_rehearsed(&gate.target, context, outcome)).await
        }
        Kind::Alembic(gate) => {
            let outcome = Box::pin(alembic::run(gate, context, plan)).await;
            Box::pin(rehearse::as_rehearsed(&gate.target, context, outcome)).await
        }
        Kind::Checklist(_) | Kind::Signoff(_) | Kind::Message(_) => {
            Outcome::errored("this gate is moved by people; there is no work to run")
        }
    }
}

/// Finds out what became of a gate whose work nobody saw end.
pub async fn reconcile(context: &Context) -> Reconciled {
    match &context.gate.kind {
        Kind::Backup(gate) => backup::reconcile(gate, context),
        Kind::Migrate(gate) => migrate_reconcile::reconcile(gate, context).await,
        Kind::Restore(gate) => restore_reconcile::reconcile(gate, context).await,
        Kind::Ramp(gate) => ramp_plan::reconcile(gate, context).await,
        Kind::Exec(gate) if !gate.looks => exec::reconcile(gate),
        Kind::Commit(gate) => commit::reconcile(gate, context).await,
        Kind::Merge(gate) => merge::reconcile(gate, context).await,
        Kind::SchemaVersion(_) => schema_version::reconcile(),
        Kind::Rehearse(_) => rehearse::reconcile(context),
        Kind::Tool(gate) => tool::reconcile(gate, context).await,
        Kind::Alembic(gate) => alembic::reconcile(gate, context).await,
        Kind::Clone(gate) => clone::reconcile(gate, context).await,
        Kind::RecoveryPoint(gate) if gate.restore_point.is_some() => recovery_point::reconcile(),
        _ => Reconciled::nothing_happened(),
    }
}

/// Hashes what a gate depends on and what can be read without a connection, as its plan does.
///
/// `None` for kinds that depend on no files.
pub fn inputs(context: &Context) -> Option<String> {
    match &context.gate.kind {
        Kind::Migrate(gate) => migrate_plan::inputs(gate, context),
        Kind::Git(gate) => git::inputs(gate, context),
        Kind::Lint(gate) => lint::inputs(gate, context),
        Kind::Rehearse(gate) => rehearse::inputs(gate, context),
        Kind::Drift(gate) => Some(drift::plan(gate, context).digest),
        Kind::Alembic(gate) if gate.action.looks() => alembic::inputs(gate, context),
        _ => None,
    }
}
