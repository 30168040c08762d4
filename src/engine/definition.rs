//! A runbook as the state machine needs to know it.

use std::time::Duration;

use crate::promotion::signature::WaiverRule;
use crate::promotion::{
    Definition, GateDefinition, InputKind, ItemDefinition, MessageDefinition, Nature,
    PhaseDefinition, RoleDefinition, RollbackDefinition, Scope, WindowDefinition,
};
use crate::runbook::{
    self, Against, AlembicAction, Environment, Gate, Kind, PlanSource, Rollback, Runbook,
    SignedWaiver,
};

/// Makes the definition that a run's first record holds, but for the lists of keys, which
/// [`super::pin_signers`] adds from the disk.
pub fn definition(runbook: &Runbook) -> Definition {
    Definition {
        title: runbook.title.clone(),
        runbook_digest: runbook.digest.clone(),
        phases: runbook
            .phases
            .iter()
            .map(|phase| PhaseDefinition {
                id: phase.id.clone(),
                title: phase.title.clone(),
                gates: phase
                    .gates
                    .iter()
                    .map(|gate| gate_definition(runbook, gate))
                    .collect(),
            })
            .collect(),
        roles: runbook
            .roles
            .iter()
            .map(|role| RoleDefinition {
                name: role.name.clone(),
                title: role.title.clone(),
                members: role.members.clone(),
            })
            .collect(),
        window: runbook.window.as_ref().map(|given| window(given, runbook)),
        rollbacks: runbook
            .rollbacks
            .iter()
            .map(|back| rollback(runbook, back))
            .collect(),
        messages: runbook
            .messages
            .iter()
            .map(|message| MessageDefinition {
                id: message.id.clone(),
                next_update_seconds: message.next_update.map(|after| after.as_secs() as i64),
            })
            .collect(),
        signatures: None,
        break_glass: runbook
            .break_glass
            .as_ref()
            .map(|rule| Box::new(waiver(rule))),
    }
}

fn rollback(runbook: &Runbook, back: &Rollback) -> RollbackDefinition {
    let gates: Vec<GateDefinition> = back
        .gates
        .iter()
        .map(|gate| gate_definition(runbook, gate))
        .collect();
    // What one types to go back is what one would type to act there; without production it is the
    // way's own name.
    let typed = gates.iter().find_map(|gate| gate.typed_name.clone());
    RollbackDefinition {
        id: back.id.clone(),
        title: back.title.clone(),
        scope: match back.scope {
            runbook::Scope::Immediate => Scope::Immediate,
            runbook::Scope::Partial => Scope::Partial,
        },
        valid_from: Some(back.valid_from.clone()),
        valid_until: back.valid_until.clone(),
        expected_seconds: back.expect_duration.as_secs() as i64,
        typed_name: typed.unwrap_or_else(|| back.id.clone()),
        chooses: back.chooses(),
        gates,
    }
}

fn window(window: &runbook::Window, runbook: &Runbook) -> WindowDefinition {
    let backs = runbook.rollbacks.iter();
    let longest = backs.map(|back| back.expect_duration).max();
    WindowDefinition {
        rollback_seconds: longest.unwrap_or_default().as_secs() as i64,
        opens: window.opens,
        closes: window.closes,
        lasts_seconds: window.lasts.map(|lasts| lasts.as_secs() as i64),
        last_start: window.last_start,
        rollback_margin_seconds: window.rollback_margin.as_secs() as i64,
    }
}

fn gate_definition(runbook: &Runbook, gate: &Gate) -> GateDefinition {
    let nature = nature(&gate.kind);
    GateDefinition {
        id: gate.id.clone(),
        title: gate.title.clone(),
        kind: gate.kind.name().to_owned(),
        waivable: gate.waivable,
        waiver: gate.waiver.as_ref().map(waiver),
        lasts_seconds: lasts(&gate.kind).as_secs() as i64,
        approvers: approvers(&gate.kind),
        migrates: gate.kind.migrates(),
        pastes: matches!(&gate.kind, Kind::Lint(lint) if lint.plan == Some(PlanSource::Paste)),
        recovery: match &gate.kind {
            Kind::Lint(lint) => lint.recovery.clone(),
            _ => Vec::new(),
        },
        typed_name: match nature {
            Nature::Acts => typed_name(runbook, &gate.kind),
            _ => None,
        },
        nature,
    }
}

/// Who approves what is done about a difference.
fn approvers(kind: &Kind) -> Option<Vec<String>> {
    match kind {
        Kind::Drift(gate) if matches!(gate.against, Against::Schema(_)) => {
            Some(gate.approvers.clone())
        }
        _ => None,
    }
}

/// How long a gate works at least, where the runbook says so.
fn lasts(kind: &Kind) -> Duration {
    match kind {
        Kind::Ramp(gate) => gate.steps.iter().map(|step| step.soak).sum(),
        _ => Duration::ZERO,
    }
}

fn nature(kind: &Kind) -> Nature {
    match kind {
        Kind::Query(_) | Kind::File(_) | Kind::Lint(_) | Kind::Drift(_) | Kind::Observe(_) => {
            Nature::Looks
        }
        Kind::RecoveryPoint(gate) if gate.restore_point.is_none() => Nature::Looks,
        Kind::Git(_) | Kind::Rehearse(_) => Nature::Looks,
        Kind::RecoveryPoint(_) | Kind::Commit(_) | Kind::SchemaVersion(_) => Nature::Acts,
        Kind::Merge(_) | Kind::Clone(_) => Nature::Acts,
        Kind::Exec(gate) if gate.looks => Nature::Looks,
        Kind::Tool(gate) if gate.action.looks() => Nature::Looks,
        Kind::Tool(_) => Nature::Acts,
        Kind::Alembic(gate) if gate.action.looks() => Nature::Looks,
        Kind::Alembic(_) => Nature::Acts,
        Kind::Exec(_) | Kind::Backup(_) | Kind::Migrate(_) | Kind::Ramp(_) | Kind::Restore(_) => {
            Nature::Acts
        }
        Kind::Message(gate) => Nature::Message(gate.message.clone()),
        Kind::Checklist(gate) => Nature::Items(gate.items.iter().map(item).collect()),
        Kind::Signoff(gate) => Nature::SignOff {
            roles: gate.roles.clone(),
            distinct: gate.distinct,
            keys: gate.keys,
        },
    }
}

fn waiver(rule: &SignedWaiver) -> WaiverRule {
    WaiverRule {
        roles: rule.roles.clone(),
        signatures: rule.signatures,
        reason: rule.reason,
        expires_seconds: rule.expires.as_secs() as i64,
    }
}

fn item(item: &runbook::Item) -> ItemDefinition {
    ItemDefinition {
        text: item.text.clone(),
        input: item.input.map(|input| match input {
            runbook::InputKind::Number => InputKind::Number,
            runbook::InputKind::Text => InputKind::Text,
        }),
        unit: item.unit.clone(),
        capture: item.capture.clone(),
    }
}

/// Acting on production asks for the target's name, typed; so does replacing any database.
fn typed_name(runbook: &Runbook, kind: &Kind) -> Option<String> {
    let target = runbook.targets.get(kind.target()?)?;
    let goes_back = matches!(kind, Kind::Alembic(gate) if gate.action == AlembicAction::Downgrade);
    if goes_back || matches!(kind, Kind::Clone(_)) {
        // Whatever it is called, a database is lost, or what stands in some of its columns.
        return Some(target.name.clone());
    }
    (target.environment == Environment::Production).then(|| target.name.clone())
}
