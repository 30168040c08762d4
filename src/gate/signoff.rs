//! `signoff`: people in roles approve or reject.

use super::{Context, Plan, Tone};
use crate::runbook::Signoff;

pub(super) fn plan(gate: &Signoff, context: &Context) -> Plan {
    let inputs: Vec<&str> = gate.roles.iter().map(String::as_str).collect();
    let mut plan = Plan::new(format!("{} roles must approve", gate.roles.len()), &inputs);
    for name in &gate.roles {
        let role = context.runbook.roles.iter().find(|role| role.name == *name);
        let (title, members) = role.map_or((name.as_str(), String::new()), |role| {
            (role.title.as_str(), role.members.join(", "))
        });
        plan.line(Tone::Plain, format!("{title}: {members}"));
    }
    if gate.distinct {
        plan.line(Tone::Muted, "each role by another person");
    }
    plan.with(Tone::Muted, "one rejection ends the run")
}
