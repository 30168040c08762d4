//! What a tool gate finds before it does anything: the version, the status, the SQL, its hazards.

use super::call::{Call, Caller, ToolCall, no_program};
use super::sql::{self, Sql};
use super::status::{self, StatusSeen};
use crate::digest::digest;
use crate::expectation::Finding;
use crate::gate::{Context, Evidence, LintSeen};
use crate::runbook::{ToolAction, ToolStatus};
use crate::untrusted::clean_line;

/// What was found.
#[derive(Default)]
pub(super) struct Survey {
    pub(super) version: Option<String>,
    pub(super) calls: Vec<ToolCall>,
    pub(super) status: Option<StatusSeen>,
    pub(super) sql: Sql,
    pub(super) lint: Option<LintSeen>,
    /// The migrations that the gate is going to apply or to take back, in that order.
    pub(super) wanted: Vec<String>,
    /// Why the gate cannot go on, whatever else is found.
    pub(super) refusal: Option<Finding>,
    pub(super) digest: String,
}

/// Asks the tool, and changes nothing.
pub(super) async fn survey(caller: &Caller<'_>) -> Survey {
    let mut survey = Survey::default();
    if let Err(finding) = survey.ask(caller).await {
        survey.refusal = Some(finding);
    }
    survey.digest = survey.digest_of(caller);
    survey
}

/// Asks for the status.
///
/// # Errors
/// Why it could not be asked, or does not say what it must.
pub(super) async fn ask_status(
    caller: &Caller<'_>,
    status: &ToolStatus,
) -> (Option<ToolCall>, Result<StatusSeen, Finding>) {
    let call = Call {
        part: "status",
        argv: &status.argv,
        exit: &status.exit,
        id: None,
        read_only: status.read_only,
    };
    let ran = match caller.run(&call).await {
        Ok(ran) => ran,
        Err(finding) => return (None, Err(finding)),
    };
    let call = ran.call.clone();
    let name = &caller.tool.name;
    if let Some(end) = call.bad_end(&status.exit) {
        let mut finding =
            Finding::errored(format!("{name} {end} when it was asked for its status"));
        finding.caused_by.extend(call.last_words());
        if let Some(question) = &call.question {
            finding = finding.because(unanswered(question));
        }
        return (
            Some(call),
            Err(finding.can("mend what it says, then retry this gate")),
        );
    }
    let seen = status::read(status, &ran);
    if let Some(reason) = &seen.unsure {
        let finding = Finding::inconclusive(format!("the status of {name} does not say enough"))
            .because(reason.clone())
            .because("that nothing is named does not mean that nothing is pending")
            .can(format!(
                "compare its output (5) with the forms in [tool.{name}.status], and mend them"
            ));
        return (Some(call), Err(finding));
    }
    (Some(call), Ok(seen))
}

/// Says that a program asked something.
pub(super) fn unanswered(question: &str) -> String {
    format!(
        "it asked, and nobody could answer: {}",
        clean_line(question)
    )
}

impl Survey {
    async fn ask(&mut self, caller: &Caller<'_>) -> Result<(), Finding> {
        let (tool, action) = (caller.tool, caller.gate.action);
        let step = match action {
            ToolAction::Apply => tool.apply.as_ref(),
            ToolAction::Revert => tool.revert.as_ref(),
            ToolAction::Status | ToolAction::Plan => None,
        };
        let status = tool.status.as_ref().filter(|_| self.needs_status(caller));
        let plan = tool.plan.as_ref();
        let plan = plan.filter(|_| matches!(action, ToolAction::Plan | ToolAction::Apply));
        let programs = [
            Some(&tool.version),
            status.map(|status| &status.argv),
            plan.map(|plan| &plan.argv),
            step.map(|step| &step.argv),
        ];
        for argv in programs.into_iter().flatten() {
            if caller.absent(argv).is_some() {
                return Err(no_program(tool, &caller.filled(argv, None)[0]));
            }
        }
        self.version = caller.version().await;
        if let Some(status) = status {
            let (call, seen) = ask_status(caller, status).await;
            self.calls.extend(call);
            self.status = Some(seen?);
        }
        if let Some(plan) = plan {
            let (sql, ran) = sql::gather(caller, plan, self.status.as_ref()).await?;
            self.calls.extend(ran.map(|ran| ran.call));
            self.lint = Some(sql::lint(caller, &sql));
            self.sql = sql;
        }
        self.wanted = match (action, &self.status) {
            (ToolAction::Apply, Some(status)) => status.pending_ids(),
            (ToolAction::Revert, Some(status)) => to_take_back(caller, status)?,
            _ => Vec::new(),
        };
        self.unsound(caller)
    }

    fn needs_status(&self, caller: &Caller<'_>) -> bool {
        let by_id = caller
            .tool
            .plan
            .as_ref()
            .is_some_and(|plan| plan.is_by_id());
        caller.gate.action != ToolAction::Plan || by_id
    }

    /// What stands in the way of every action.
    fn unsound(&self, caller: &Caller<'_>) -> Result<(), Finding> {
        let name = &caller.tool.name;
        let broken = self.status.iter().flat_map(|status| &status.broken);
        let problems = self.lint.iter().flat_map(|lint| &lint.problems);
        let mut finding = None;
        if let Some(first) = self.sql.problems.iter().chain(problems).next() {
            let mut errored = Finding::errored(format!("not all SQL of {name} is known"));
            errored = errored.because(clean_line(first));
            for more in self.sql.problems.iter().skip(1).take(11) {
                errored = errored.because(clean_line(more));
            }
            let can = format!("mend what it names, or [tool.{name}.plan], then retry this gate");
            finding = Some(errored.because("nothing was run").can(can));
        }
        let mut broken = broken.peekable();
        if broken.peek().is_some() {
            let first = Finding::failed(format!("{name} says that something is wrong"));
            let said = broken
                .take(12)
                .fold(first, |f, line| f.because(line.clone()));
            let said = said.because("nothing was run");
            finding = Some(said.can("mend it by that tool's own means, then retry this gate"));
        }
        finding.map_or(Ok(()), Err)
    }

    /// The hash over what the gate depends on. What is pending is part of it: a plan that was
    /// carried out halfway is shown anew.
    fn digest_of(&self, caller: &Caller<'_>) -> String {
        let texts = self.sql.texts.iter();
        let mut parts = vec![
            format!("{:?}", caller.tool),
            format!("{:?}", caller.gate),
            self.wanted.join("\n"),
        ];
        let steps = [&caller.tool.apply, &caller.tool.revert];
        for step in steps.into_iter().flatten() {
            parts.push(caller.filled(&step.argv, None).join("\0"));
        }
        parts.extend(texts.map(|text| format!("{} {}", text.name, text.digest)));
        if let Some(refusal) = &self.refusal {
            parts.push(refusal.summary.clone());
        }
        digest(parts.join("\n").as_bytes())
    }
}

/// The migrations that go back, the last one first.
fn to_take_back(caller: &Caller<'_>, status: &StatusSeen) -> Result<Vec<String>, Finding> {
    let applied = status.applied.iter().map(|migration| migration.id.clone());
    let mut ids: Vec<String> = match &caller.gate.undoes {
        None => {
            let all: Vec<String> = applied.collect();
            let keep = all.len().saturating_sub(caller.gate.count as usize);
            all[keep..].to_vec()
        }
        Some(gate) => {
            let Some(ours) = applied_by(caller.context, gate) else {
                return Err(Finding::inconclusive(format!(
                    "nobody knows what `{gate}` has applied in this run"
                ))
                .because("it has left no evidence")
                .can("take back by hand what has to go back"));
            };
            applied.filter(|id| ours.contains(id)).collect()
        }
    };
    ids.reverse();
    Ok(ids)
}

/// What a gate of this run has applied by a tool and not taken back.
pub(super) fn applied_by(context: &Context, gate: &str) -> Option<Vec<String>> {
    match context.earlier.get(gate)?.as_ref() {
        Evidence::Tool { seen, .. } => Some(seen.ours.clone()),
        _ => None,
    }
}
