//! `alembic`: the schema belongs to Alembic. The gate looks at the history and at the databases by
//! itself, has Alembic say what it would do, tries that on a private copy, and lets Alembic do it.
//! The version table is never written here.

mod act;
mod audit;
mod call;
mod came;
mod guard;
mod intent;
mod judge;
mod offline;
mod plan;
mod reconcile;
mod seen;
mod sight;
mod tried;
mod way;

use super::{Context, Outcome, Plan, Reconciled};
use crate::digest::digest;
use crate::runbook::{AlembicAction, AlembicGate};
pub use audit::Diagnosis;
pub use seen::{AlembicSeen, DatabaseSeen, StepSeen, Tried};
use sight::Sight;

pub(super) async fn plan(gate: &AlembicGate, context: &Context) -> Plan {
    match Sight::of(gate, context) {
        Some(sight) => Box::pin(plan::plan(&sight)).await,
        None => {
            let mut plan = Plan::new(format!("there is no project `{}`", gate.project), &[]);
            plan.refuses = Some(plan.summary.clone());
            plan
        }
    }
}

pub(super) async fn run(gate: &AlembicGate, context: &Context, plan: &Plan) -> Outcome {
    let Some(sight) = Sight::of(gate, context) else {
        return Outcome::errored(format!("there is no project `{}`", gate.project));
    };
    match gate.action {
        AlembicAction::Audit => audit::run(&sight).await,
        AlembicAction::Guard => Box::pin(guard::run(&sight)).await,
        AlembicAction::Check => Box::pin(guard::check(&sight)).await,
        _ => Box::pin(act::run(&sight, plan)).await,
    }
}

pub(super) async fn reconcile(gate: &AlembicGate, context: &Context) -> Reconciled {
    match Sight::of(gate, context) {
        Some(sight) if !gate.action.looks() => Box::pin(reconcile::reconcile(&sight)).await,
        _ => Reconciled::nothing_happened(),
    }
}

/// The hash of the project's history, for a gate that passed on it.
pub(super) fn inputs(gate: &AlembicGate, context: &Context) -> Option<String> {
    Some(inputs_of(&Sight::of(gate, context)?))
}

/// The revisions that an upgrade has before it, by their files, with their text.
pub(super) async fn pending(gate: &AlembicGate, context: &Context) -> Vec<(String, String)> {
    let Some(sight) = Sight::of(gate, context) else {
        return Vec::new();
    };
    let steps = match sight.look(&gate.target).await {
        Ok(here) if here.unknown.is_empty() => here.behind,
        _ => sight.graph().revisions().map(|r| r.id.clone()).collect(),
    };
    let files = sight.steps(&steps).into_iter().map(|step| step.file);
    let read = |file: String| {
        // One that cannot be read is refused by the gate itself.
        let text = std::fs::read_to_string(sight.project.folder.join(&file));
        (file, text.unwrap_or_default())
    };
    files.map(read).collect()
}

fn inputs_of(sight: &Sight<'_>) -> String {
    let parts = [&format!("{:?}", sight.gate), &sight.project.digest];
    digest(parts.map(String::as_str).join("\n").as_bytes())
}
