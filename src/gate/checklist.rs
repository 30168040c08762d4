//! `checklist`: items that people confirm one by one.

use super::{Context, Plan, Tone};
use crate::runbook::Checklist;

pub(super) fn plan(gate: &Checklist, context: &Context) -> Plan {
    let texts: Vec<String> = gate
        .items
        .iter()
        .map(|item| context.fill(&item.text))
        .collect();
    let inputs: Vec<&str> = texts.iter().map(String::as_str).collect();
    let mut plan = Plan::new(
        format!("{} items to confirm, one by one", texts.len()),
        &inputs,
    );
    for (number, text) in texts.iter().enumerate() {
        plan.line(Tone::Plain, format!("{}. {text}", number + 1));
    }
    plan
}
