//! Reads a `tool` gate: which tool, what is asked of it, on which target.

use std::time::Duration;

use super::lint::{read_allowed_list, read_deny};
use super::query::read_comparison;
use crate::expectation::Comparison;
use crate::runbook::names::{Names, need_gate_of, need_target};
use crate::runbook::problem::choices;
use crate::runbook::reader::TableReader;
use crate::runbook::tooling::{Tool, ToolAction, ToolGate, ToolPlan};

/// How long a statement of a tool waits for a lock when the runbook does not say.
const LOCK_TIMEOUT: Duration = Duration::from_secs(2);
const WORDS: [&str; 4] = ["status", "plan", "apply", "revert"];

pub(super) fn read(mut table: TableReader<'_, '_>, names: &Names) -> ToolGate {
    let tool = read_use(&mut table, names);
    let described = names.tools.get(&tool);
    let action = read_action(&mut table, described);
    let target = need_target(&mut table, names);
    let (pending, applied) = match action {
        ToolAction::Status => read_expect(&mut table, names),
        _ => (None, None),
    };
    let mut gate = ToolGate {
        tool,
        action,
        target,
        pending,
        applied,
        deny: Vec::new(),
        allow: Vec::new(),
        lock_timeout: LOCK_TIMEOUT,
        undoes: None,
        count: 1,
    };
    if matches!(action, ToolAction::Plan | ToolAction::Apply) {
        gate.deny = read_deny(&mut table);
        gate.allow = read_allowed_list(&mut table, "tool", names);
    }
    if !action.looks()
        && let Some(timeout) = table.span_of_time("lock_timeout")
    {
        gate.lock_timeout = timeout.value;
    }
    if action == ToolAction::Revert {
        gate.undoes = table
            .has("undoes")
            .then(|| need_gate_of(&mut table, "undoes", "tool", names));
        gate.count = table
            .whole("count", 1..=1000)
            .map_or(1, |count| count.value as u32);
        if gate.undoes.is_some() && table.has("count") {
            table.findings.add(
                table.place("count"),
                format!("`count` beside `undoes` of {}", table.name),
                "what that gate applied is what goes back",
                Some("leave one of the two out".into()),
            );
        }
    }
    if let Some(tool) = described {
        check_abilities(&gate, tool, &table);
    }
    table.finish();
    gate
}

fn read_use(table: &mut TableReader<'_, '_>, names: &Names) -> String {
    let valid: Vec<&str> = names.tools.keys().map(String::as_str).collect();
    if !table.has("use") {
        let help = match valid.as_slice() {
            [] => "describe one as [tool.NAME] first, then name it here".to_owned(),
            valid => format!("write use = \"…\" with one of {}", valid.join(", ")),
        };
        table.missing("use", help);
    }
    let Some(given) = table.string("use") else {
        return String::new();
    };
    if !valid.contains(&given.value.as_str()) {
        let help = match valid.as_slice() {
            [] => format!("describe it as [tool.{}] first", given.value),
            valid => choices(&given.value, valid),
        };
        table.findings.add(
            given.span,
            format!("there is no tool `{}`", given.value),
            "not a tool of this runbook",
            Some(help),
        );
    }
    given.value
}

fn read_action(table: &mut TableReader<'_, '_>, tool: Option<&Tool>) -> ToolAction {
    if !table.has("action") {
        table.missing(
            "action",
            format!("write action = \"…\" with one of {}", WORDS.join(", ")),
        );
    }
    let place = table.place("action");
    let action = match table.one_of("action", &WORDS) {
        "plan" => ToolAction::Plan,
        "apply" => ToolAction::Apply,
        "revert" => ToolAction::Revert,
        _ => ToolAction::Status,
    };
    let can = tool.is_none_or(|tool| match action {
        ToolAction::Status => tool.status.is_some(),
        ToolAction::Plan => tool.plan.is_some(),
        ToolAction::Apply => tool.apply.is_some(),
        ToolAction::Revert => tool.revert.is_some(),
    });
    if let (false, Some(tool), true) = (can, tool, table.has("action")) {
        let word = action.word();
        table.findings.add(
            place,
            format!("tool `{}` does not say how it does `{word}`", tool.name),
            "not described",
            Some(format!("write [tool.{}.{word}], with its argv", tool.name)),
        );
    }
    action
}

fn read_expect(
    table: &mut TableReader<'_, '_>,
    names: &Names,
) -> (Option<Comparison>, Option<Comparison>) {
    let label = format!("`expect` of {}", table.name);
    let Some(mut expect) = table.table("expect", &label) else {
        return (Some(Comparison::equal_to(0)), None);
    };
    let pending = read_comparison(&mut expect, "pending", names);
    let applied = read_comparison(&mut expect, "applied", names);
    let silent = !expect.has("pending") && !expect.has("applied");
    let (span, name, findings) = (expect.span.clone(), expect.name.clone(), expect.findings);
    if expect.finish_beside(&[], &[]) == 0 && silent {
        findings.add(
            span,
            format!("{name} says nothing"),
            "what must come is missing",
            Some("such as expect = { pending = 0 }".into()),
        );
    }
    (pending, applied)
}

/// What the gate needs of its tool beside the call itself.
fn check_abilities(gate: &ToolGate, tool: &Tool, table: &TableReader<'_, '_>) {
    let lacks = |what: &str, label: &str, help: String| {
        table.findings.add(
            table.place("use"),
            format!("tool `{}` {what}", tool.name),
            label,
            Some(help),
        );
    };
    let name = &tool.name;
    let by_id = tool.plan.as_ref().is_some_and(ToolPlan::is_by_id);
    let needs_status = !gate.action.looks() || (gate.action == ToolAction::Plan && by_id);
    if needs_status && tool.status.is_none() && gate.action != ToolAction::Status {
        lacks(
            "does not say how its status is asked",
            "what came of it is only known from its status",
            format!("write [tool.{name}.status], with argv and pending"),
        );
    }
    let blind = tool
        .status
        .as_ref()
        .is_some_and(|status| status.applied.is_none());
    if gate.action == ToolAction::Revert && blind {
        lacks(
            "does not say what is applied",
            "without it nobody sees what was taken back",
            format!("write applied = \"…\" in [tool.{name}.status]"),
        );
    }
    if gate.action == ToolAction::Apply && !tool.tells_sql() && !gate.deny.is_empty() {
        lacks(
            "does not say which SQL it would run",
            "hazards cannot be looked for",
            format!("write [tool.{name}.plan], or deny = [] in the gate to go without"),
        );
    }
}
