//! The plan of a tool gate in words: what would be called, what is pending, which SQL that is.

use super::act::step;
use super::call::{Caller, sessions_of};
use super::survey::Survey;
use crate::gate::{HazardStanding, Plan, Tone, lint};
use crate::runbook::ToolAction;
use crate::untrusted::clip;

/// How many lines of one text are shown.
const LINES: usize = 60;

pub(super) fn plan(caller: &Caller<'_>, survey: &Survey) -> Plan {
    let (tool, gate) = (&caller.tool.name, caller.gate);
    let target = &gate.target;
    let count = survey.wanted.len();
    let summary = match gate.action {
        ToolAction::Status => format!("ask {tool} what is pending on {target}"),
        ToolAction::Plan => format!("look at the SQL that {tool} would run on {target}"),
        ToolAction::Apply => format!("let {tool} apply {count} migrations to {target}"),
        ToolAction::Revert => format!("let {tool} take {count} migrations back from {target}"),
    };
    let mut plan = Plan::new(summary, &[]);
    plan.digest.clone_from(&survey.digest);
    if let Some(refusal) = &survey.refusal {
        plan.refuses = Some(refusal.summary.clone());
        plan.line(Tone::Bad, &refusal.summary);
        for cause in &refusal.caused_by {
            plan.line(Tone::Bad, format!("  {cause}"));
        }
    }
    if let Some(version) = &survey.version {
        plan.line(Tone::Plain, format!("version  {version}"));
    }
    calls(&mut plan, caller, survey);
    status(&mut plan, gate.action, survey);
    texts(&mut plan, caller, survey);
    expected(&mut plan, caller);
    plan
}

fn calls(plan: &mut Plan, caller: &Caller<'_>, survey: &Survey) {
    if let Some(step) = step(caller) {
        plan.line(
            Tone::Heading,
            "calls, each argument as it is, without a shell",
        );
        let ids: Vec<Option<&str>> = match caller.gate.action {
            ToolAction::Revert => survey.wanted.iter().map(|id| Some(id.as_str())).collect(),
            _ => vec![None],
        };
        for id in ids {
            let argv = caller.filled(&step.argv, id).join(" ");
            plan.line(Tone::Sql, format!("  {argv}"));
        }
        let codes: Vec<String> = step.exit.iter().map(ToString::to_string).collect();
        let waits = caller.gate.lock_timeout.as_millis();
        plan.line(
            Tone::Plain,
            format!(
                "expected exit {}; lock_timeout {waits} ms",
                codes.join(", ")
            ),
        );
        plan.line(
            Tone::Plain,
            format!("its sessions are called `{}`", sessions_of(caller.context)),
        );
    }
    let asked = survey.calls.iter();
    for call in asked {
        let argv = call.argv.join(" ");
        plan.line(Tone::Muted, format!("asked    {argv}"));
        if call.not_utf8 {
            plan.line(Tone::Warning, "         its output is not UTF-8");
        }
    }
    let told = [
        &caller.tool.url_env,
        &caller.tool.user_env,
        &caller.tool.password_env,
    ];
    let told: Vec<&str> = told.into_iter().flatten().map(String::as_str).collect();
    let told = match told.as_slice() {
        [] => "PGHOST and the others of libpq".to_owned(),
        told => format!("{}, and PGHOST and the others of libpq", told.join(", ")),
    };
    plan.line(Tone::Muted, format!("told     {told}"));
}

fn status(plan: &mut Plan, action: ToolAction, survey: &Survey) {
    let Some(status) = &survey.status else { return };
    let applied = status.applied.len();
    plan.line(Tone::Plain, format!("applied  {applied}"));
    let (heading, ids) = match action {
        ToolAction::Revert => ("taken back, in this order", survey.wanted.clone()),
        _ => ("pending", status.pending_ids()),
    };
    match ids.is_empty() {
        true => plan.line(Tone::Good, "nothing is left to do"),
        false => plan.line(Tone::Heading, format!("{heading}, {}", ids.len())),
    }
    for id in &ids {
        let all = status.pending.iter().chain(&status.applied);
        let text = all.clone().find(|m| m.id == *id).map(|m| m.text.as_str());
        let line = format!("  {id}  {}", text.unwrap_or_default());
        plan.line(Tone::Plain, line.trim_end());
    }
}

/// The SQL with its hazards.
fn texts(plan: &mut Plan, caller: &Caller<'_>, survey: &Survey) {
    let acts = caller.gate.action == ToolAction::Apply;
    let Some(lint) = &survey.lint else {
        if acts && !caller.tool.tells_sql() {
            let said = "which SQL it runs is not known before: hazards are not looked for";
            plan.line(Tone::Warning, said);
        }
        return;
    };
    for file in &lint.files {
        lint::describe(plan, file);
    }
    for text in &survey.sql.texts {
        let shown = text.text.trim_matches('\n');
        if shown.is_empty() {
            continue;
        }
        plan.line(Tone::Heading, format!("SQL of {}", text.name));
        let lines: Vec<&str> = shown
            .lines()
            .filter(|line| !line.trim().is_empty())
            .collect();
        for line in lines.iter().take(LINES) {
            let line = clip(&caller.masked(line), 400);
            plan.line(Tone::Sql, format!("  {line}"));
        }
        if lines.len() > LINES {
            plan.line(
                Tone::Muted,
                format!("  and {} more lines", lines.len() - LINES),
            );
        }
    }
    let all = lint.files.iter().flat_map(|file| &file.hazards);
    let refused = all.filter(|one| one.standing == HazardStanding::Refused);
    match refused.count() {
        0 => {}
        1 => plan.refuses = Some("1 hazard is refused".to_owned()),
        n => plan.refuses = Some(format!("{n} hazards are refused")),
    }
}

fn expected(plan: &mut Plan, caller: &Caller<'_>) {
    let gate = caller.gate;
    for (word, wanted) in [("pending", &gate.pending), ("applied", &gate.applied)] {
        if let Some(wanted) = wanted {
            plan.line(Tone::Plain, format!("expected {word} {wanted}"));
        }
    }
    if !gate.action.looks() {
        plan.line(
            Tone::Muted,
            "what came of it is read from its status and from the catalog, not from its words",
        );
    }
}
