//! `message`: a person reads what people are to be told, edits it, and sends it.

use super::{Context, Plan, Tone};
use crate::runbook::MessageGate;

pub(super) fn plan(gate: &MessageGate, context: &Context) -> Plan {
    let mut plan = Plan::new(
        format!("wait until message `{}` was sent", gate.message),
        &[&gate.message],
    );
    if let Some(message) = context.runbook.message(&gate.message) {
        plan.line(Tone::Heading, &message.subject);
        plan.line(Tone::Plain, message.body.trim_end());
        if let Some(webhook) = &message.webhook {
            let there = context.targets.variable(&webhook.variable).is_some();
            let said = if there { "is set" } else { "is not set" };
            plan.line(
                Tone::Muted,
                format!("it may be posted: {} {said}", webhook.variable),
            );
        }
    }
    plan.with(Tone::Muted, "Enter opens it with its fields filled in")
}
