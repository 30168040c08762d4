//! `tool`: another program owns the schema. It is asked what is pending and which SQL that is, is
//! let to work under the same lock and the same looks as our own migrations, and is never believed:
//! what came of it is read from its status and from the catalog.

mod act;
mod call;
mod describe;
mod intent;
mod reconcile;
mod seen;
mod sql;
mod status;
mod survey;

use super::query::unreachable;
use super::{Context, Evidence, Outcome, Plan, Reconciled, TargetError};
use crate::expectation::Finding;
use crate::postgres::session::SessionSettings;
use crate::runbook::ToolGate;
use call::Caller;
pub use call::ToolCall;
pub use seen::ToolSeen;
pub use status::{Migration, StatusSeen};

fn caller<'a>(gate: &'a ToolGate, context: &'a Context) -> Option<Caller<'a>> {
    let tool = context.runbook.tools.get(&gate.tool)?;
    Some(Caller {
        tool,
        gate,
        context,
    })
}

pub(super) async fn plan(gate: &ToolGate, context: &Context) -> Plan {
    let Some(caller) = caller(gate, context) else {
        let mut plan = Plan::new(format!("there is no tool `{}`", gate.tool), &[]);
        plan.refuses = Some(plan.summary.clone());
        return plan;
    };
    let survey = Box::pin(survey::survey(&caller)).await;
    describe::plan(&caller, &survey)
}

pub(super) async fn run(gate: &ToolGate, context: &Context, plan: &Plan) -> Outcome {
    let Some(caller) = caller(gate, context) else {
        return Outcome::errored(format!("there is no tool `{}`", gate.tool));
    };
    match gate.action.looks() {
        true => Box::pin(look(&caller)).await,
        false => Box::pin(act::run(&caller, plan)).await,
    }
}

/// Asks the tool, and judges what it says.
async fn look(caller: &Caller<'_>) -> Outcome {
    let (gate, context) = (caller.gate, caller.context);
    let server = match server(context, &gate.target).await {
        Ok(server) => server,
        Err(error) => return unreachable(&gate.target, &error),
    };
    let survey = survey::survey(caller).await;
    if context.cancel.is_cancelled() {
        return Outcome::canceled("it was canceled; nothing was changed");
    }
    let mut seen = act::seen_of(caller, &survey);
    let refusal = match survey.refusal.clone() {
        Some(refusal) => Some(refusal),
        None => act::judge_hazards(caller, &survey, &mut seen)
            .await
            .map(without_run),
    };
    let finding = refusal.unwrap_or_else(|| seen.judge());
    Outcome::of(finding).with(Evidence::Tool {
        target: gate.target.clone(),
        server,
        seen: Box::new(seen),
    })
}

/// A gate that looks runs nothing that would have to be said not to have run.
fn without_run(mut finding: Finding) -> Finding {
    finding.caused_by.retain(|cause| cause != "nothing was run");
    finding
}

async fn server(context: &Context, target: &str) -> Result<String, TargetError> {
    let settings = SessionSettings {
        read_only: true,
        ..SessionSettings::default()
    };
    let opened = context.targets.open(target, &context.gate.id, settings);
    let (session, identity) = opened.await?;
    session.close().await;
    Ok(identity.describe())
}

pub(super) async fn reconcile(gate: &ToolGate, context: &Context) -> Reconciled {
    match caller(gate, context) {
        Some(caller) if !gate.action.looks() => Box::pin(reconcile::reconcile(&caller)).await,
        _ => Reconciled::nothing_happened(),
    }
}
