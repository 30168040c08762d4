//! Reads where the plan of somebody else comes from, and the gates that a refused one makes stale.

use super::exec::read_program;
use crate::runbook::elsewhere::{PlanProgram, PlanSource};
use crate::runbook::names::{Names, check_gate, check_template};
use crate::runbook::reader::TableReader;

const WAYS: &str = "write plan = { paste = true }, { file = \"…\" } or { argv = [\"…\"] }";

pub(super) fn read(table: &mut TableReader<'_, '_>, names: &Names) -> Option<PlanSource> {
    let label = format!("`plan` of {}", table.name);
    let mut plan = table.table("plan", &label)?;
    let given: Vec<&str> = ["paste", "file", "argv"]
        .into_iter()
        .filter(|way| plan.has(way))
        .collect();
    let [way] = given.as_slice() else {
        let message = format!("{} needs exactly one of paste, file and argv", plan.name);
        let place = plan.span.clone();
        plan.findings.add(
            place,
            message,
            "where does the plan come from?",
            Some(WAYS.into()),
        );
        // What else is wrong with it is told once this is right.
        for key in ["paste", "file", "argv", "env", "cwd"] {
            plan.any(key);
        }
        plan.finish();
        return None;
    };
    let source = match *way {
        "paste" => read_paste(&mut plan),
        "file" => {
            let file = plan.need_string("file");
            check_template(&file, &plan, names);
            PlanSource::File(file.value)
        }
        _ => {
            let (argv, env, cwd) = read_program(&mut plan, names);
            PlanSource::Program(PlanProgram { argv, env, cwd })
        }
    };
    plan.finish();
    Some(source)
}

fn read_paste(plan: &mut TableReader<'_, '_>) -> PlanSource {
    if !plan.flag("paste", true) {
        plan.findings.add(
            plan.place("paste"),
            format!("`paste` of {} is false", plan.name),
            "then there is no plan",
            Some(WAYS.into()),
        );
    }
    PlanSource::Paste
}

/// Nobody can undo what a platform has lost, so that a plan of its own is always refused for it.
pub(super) fn check_deny(deny: &[String], table: &TableReader<'_, '_>) {
    if deny.iter().any(|class| class == "data-loss") {
        return;
    }
    table.findings.add(
        table.place("deny"),
        format!("`deny` of {} lets data be lost", table.name),
        "a plan that somebody else made is always refused for data-loss",
        Some("add \"data-loss\"".into()),
    );
}

/// The gates that are taken again when the lint fails.
pub(super) fn read_recovery(table: &mut TableReader<'_, '_>, names: &Names) -> Vec<String> {
    let given = table
        .strings("recovery", "[\"publish-canceled\", \"audit\"]")
        .unwrap_or_default();
    if names.going_back && table.has("recovery") {
        table.findings.add(
            table.place("recovery"),
            format!("`recovery` of {}, which is part of a way back", table.name),
            "the gates of the run do not move any more there",
            Some("leave `recovery` out".into()),
        );
        return Vec::new();
    }
    let valid: Vec<&str> = names.gates.keys().map(String::as_str).collect();
    for (index, gate) in given.iter().enumerate() {
        if given[..index].iter().any(|other| other.value == gate.value) {
            let message = format!("gate `{}` stands in `recovery` twice", gate.value);
            table
                .findings
                .add(gate.span.clone(), message, "once is enough", None);
            continue;
        }
        check_gate(gate, &valid, table);
    }
    given.into_iter().map(|gate| gate.value).collect()
}
