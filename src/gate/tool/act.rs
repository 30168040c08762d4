//! Lets a tool apply or take back, and finds out what came of it from its status and the catalog.

use super::call::{Call, Caller, Ran, sessions_of};
use super::intent::Intent;
use super::seen::ToolSeen;
use super::survey::{Survey, applied_by, ask_status, survey};
use crate::expectation::{ExitSeen, Finding, Verdict};
use crate::gate::migrate_made::Recorder;
use crate::gate::query::unreachable;
use crate::gate::quiet::quiet;
use crate::gate::{Context, Evidence, LintSeen, Outcome, Plan, TargetError, lint};
use crate::promotion::{EffectOutcome, EffectRecord};
use crate::runbook::{ToolAction, ToolStep};
use crate::system::fault;

pub(super) async fn run(caller: &Caller<'_>, plan: &Plan) -> Outcome {
    let (gate, context) = (caller.gate, caller.context);
    if let Err(error) = context.targets.hold(&gate.target).await {
        return unreachable(&gate.target, &error);
    }
    let server = match ready(context, &gate.target).await {
        Ok(server) => server,
        Err(error) => return unreachable(&gate.target, &error),
    };
    let survey = survey(caller).await;
    if context.cancel.is_cancelled() {
        return Outcome::canceled("it was canceled before anything was run");
    }
    let mut seen = seen_of(caller, &survey);
    let evidence = |seen: ToolSeen| Evidence::Tool {
        target: gate.target.clone(),
        server: server.clone(),
        seen: Box::new(seen),
    };
    if let Some(finding) = survey.refusal.clone() {
        return Outcome::of(finding).with(evidence(seen));
    }
    if survey.digest != plan.digest {
        return Outcome::of(changed(caller)).with(evidence(seen));
    }
    if let Some(refused) = judge_hazards(caller, &survey, &mut seen).await {
        return Outcome::of(refused).with(evidence(seen));
    }
    if survey.wanted.is_empty() {
        seen.after.clone_from(&seen.before);
        return Outcome::of(seen.judge()).with(evidence(seen));
    }
    let lost = match carry_out(caller, &mut seen).await {
        Ok(lost) => lost,
        Err(finding) => return Outcome::of(finding).with(evidence(seen)),
    };
    let mut outcome = Outcome::of(lost.clone().unwrap_or_else(|| seen.judge()));
    outcome.lost = lost.is_some();
    outcome.canceled = was_canceled(&seen);
    outcome.with(evidence(seen))
}

/// Nobody else works there under the gate's name, and the server takes changes.
async fn ready(context: &Context, target: &str) -> Result<String, TargetError> {
    quiet(context, target, &sessions_of(context)).await
}

pub(super) fn seen_of(caller: &Caller<'_>, survey: &Survey) -> ToolSeen {
    let step = step(caller);
    ToolSeen {
        tool: caller.tool.name.clone(),
        action: caller.gate.action.word().to_owned(),
        version: survey.version.clone(),
        calls: survey.calls.clone(),
        exit: step.map_or_else(Vec::new, |step| step.exit.clone()),
        pending: caller.gate.pending.clone(),
        applied: caller.gate.applied.clone(),
        before: survey.status.clone(),
        wanted: survey.wanted.clone(),
        ours: ours(caller, survey),
        lint: survey.lint.clone(),
        ..ToolSeen::default()
    }
}

/// What earlier attempts of the gate have applied and is still there.
fn ours(caller: &Caller<'_>, survey: &Survey) -> Vec<String> {
    let before = applied_by(caller.context, &caller.context.gate.id).unwrap_or_default();
    let stands = |id: &String| survey.status.as_ref().is_none_or(|s| s.is_applied(id));
    before.into_iter().filter(stands).collect()
}

pub(super) fn step<'a>(caller: &Caller<'a>) -> Option<&'a ToolStep> {
    match caller.gate.action {
        ToolAction::Apply => caller.tool.apply.as_ref(),
        ToolAction::Revert => caller.tool.revert.as_ref(),
        ToolAction::Status | ToolAction::Plan => None,
    }
}

fn changed(caller: &Caller<'_>) -> Finding {
    let name = &caller.tool.name;
    Finding::failed(format!(
        "what {name} would do changed after its plan was shown"
    ))
    .because("what was reviewed is what runs, and this is something else")
    .because("nothing was run")
    .can("press r: it is asked again, and the new plan is shown")
}

/// Asks the predicates of what is allowed, and says what refuses.
pub(super) async fn judge_hazards(
    caller: &Caller<'_>,
    survey: &Survey,
    seen: &mut ToolSeen,
) -> Option<Finding> {
    let rules = super::sql::rules(caller.gate, caller.context, &survey.sql);
    let linted: &mut LintSeen = seen.lint.as_mut()?;
    lint::ask_all(&rules.allow, &mut linted.files, caller.context).await;
    if linted.files.is_empty() {
        return None;
    }
    let finding = linted.judge();
    (finding.verdict != Verdict::Passed).then(|| finding.because("nothing was run"))
}

/// Runs the program; gives why nobody knows what came of it, if so.
///
/// # Errors
/// Why it was not started.
async fn carry_out(caller: &Caller<'_>, seen: &mut ToolSeen) -> Result<Option<Finding>, Finding> {
    let (gate, context) = (caller.gate, caller.context);
    let recorder = match Recorder::begin(&gate.target, 0, context).await {
        Ok(recorder) => Some(recorder),
        Err(reason) => {
            let said = format!("what it makes of the schema is not recorded: {reason}");
            context.feed.say(said);
            None
        }
    };
    Intent::of(caller, seen).write(context)?;
    fault::point("tool_intent");
    match gate.action {
        ToolAction::Revert => take_back(caller, seen).await?,
        _ => {
            let ran = start(caller, None).await?;
            seen.calls.push(ran.call);
        }
    }
    fault::point("tool_ran");
    let after = aftermath(caller, seen).await;
    if let Some(recorder) = recorder {
        seen.made = Some(Box::new(recorder.finish().await));
    }
    if let Err(finding) = after {
        return Ok(Some(finding));
    }
    report_effects(context, seen).await;
    Ok(None)
}

async fn start(caller: &Caller<'_>, id: Option<&str>) -> Result<Ran, Finding> {
    let Some(step) = step(caller) else {
        return Err(Finding::errored("the tool does not say how"));
    };
    let call = Call {
        part: caller.gate.action.word(),
        argv: &step.argv,
        exit: &step.exit,
        id,
        read_only: false,
    };
    let words = caller.filled(call.argv, id).join(" ");
    caller.context.feed.say(words);
    caller.run(&call).await
}

/// Takes back one after the other: most tools undo the last one, and no more.
async fn take_back(caller: &Caller<'_>, seen: &mut ToolSeen) -> Result<(), Finding> {
    let Some(status) = &caller.tool.status else {
        return Ok(());
    };
    let mut now = seen.before.clone();
    for id in seen.wanted.clone() {
        if now.as_ref().is_some_and(|now| !now.is_applied(&id)) {
            continue;
        }
        let ran = match start(caller, Some(&id)).await {
            Ok(ran) => ran,
            // Something was taken back already; what it came to is asked in any case.
            Err(finding) if seen.acted().is_some() => {
                caller.context.feed.say(finding.summary);
                return Ok(());
            }
            Err(finding) => return Err(finding),
        };
        let well = ran.well;
        seen.calls.push(ran.call);
        if !well || caller.context.cancel.is_cancelled() {
            return Ok(());
        }
        let (call, asked) = ask_status(caller, status).await;
        seen.calls.extend(call);
        match asked {
            Ok(status) if !status.is_applied(&id) => now = Some(status),
            _ => return Ok(()),
        }
    }
    Ok(())
}

/// Waits until nothing of it works any more, and asks what is applied now.
pub(super) async fn aftermath(caller: &Caller<'_>, seen: &mut ToolSeen) -> Result<(), Finding> {
    let (gate, context) = (caller.gate, caller.context);
    // What has been started is finished, canceled or not: the world is asked without a hurry.
    let mut quiet = context.clone();
    quiet.cancel = tokio_util::sync::CancellationToken::new();
    let caller = Caller {
        context: &quiet,
        ..*caller
    };
    if let Err(error) = ready(&quiet, &gate.target).await {
        return Err(not_known(&gate.target, &error.to_string()));
    }
    let Some(status) = &caller.tool.status else {
        return Err(not_known(&gate.target, "the tool does not say its status"));
    };
    let (call, asked) = ask_status(&caller, status).await;
    seen.calls.extend(call);
    match asked {
        Ok(status) => {
            seen.after = Some(status);
            Ok(())
        }
        Err(finding) => {
            let words = std::iter::once(finding.summary).chain(finding.caused_by);
            Err(not_known(
                &gate.target,
                &words.collect::<Vec<_>>().join("; "),
            ))
        }
    }
}

fn not_known(target: &str, reason: &str) -> Finding {
    Finding::inconclusive(format!("what came of it on {target} is not known yet"))
        .because(crate::untrusted::clean_line(reason))
        .can("when it answers again, press Enter: its status is asked")
}

/// Tells the journal which migrations are done, by the status and not by what was printed.
async fn report_effects(context: &Context, seen: &mut ToolSeen) {
    let Some(became) = seen.became() else { return };
    let took = seen.acted().map_or(0, |call| call.duration_ms);
    let together = match became.done.len() {
        1 => String::new(),
        n => format!(", {n} of them in that time"),
    };
    let reverts = seen.action == "revert";
    for id in &became.done {
        let name = match reverts {
            true => format!("taking {id} back"),
            false => id.clone(),
        };
        context
            .effect(EffectRecord {
                name,
                outcome: EffectOutcome::Committed,
                duration_ms: took,
                detail: format!("says the status of {}{together}", seen.tool),
            })
            .await;
    }
    seen.note_ours(&became.done);
}

impl ToolSeen {
    /// Keeps count of what the gate has applied.
    pub(super) fn note_ours(&mut self, done: &[String]) {
        if self.action == "apply" {
            let new = done.iter().filter(|id| !self.ours.contains(id)).cloned();
            let new: Vec<String> = new.collect();
            self.ours.extend(new);
        }
    }
}

/// It was asked to stop, and nothing of it is there.
fn was_canceled(seen: &ToolSeen) -> bool {
    let canceled = seen
        .acted()
        .is_some_and(|call| call.seen.exit == ExitSeen::Canceled);
    let became = seen.became();
    canceled && became.is_some_and(|b| b.done.is_empty() && b.changed == Some(false))
}
