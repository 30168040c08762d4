//! A runbook as the state machine needs to know it.

use crate::promotion::{
    Definition, GateDefinition, InputKind, ItemDefinition, Nature, PhaseDefinition, RoleDefinition,
    WindowDefinition,
};
use crate::runbook::{self, Environment, Gate, Kind, Runbook};

/// Makes the definition that a run's first record holds.
pub(super) fn definition(runbook: &Runbook) -> Definition {
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
        window: runbook.window.as_ref().map(window),
    }
}

fn window(window: &runbook::Window) -> WindowDefinition {
    WindowDefinition {
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
        typed_name: match nature {
            Nature::Acts => typed_name(runbook, &gate.kind),
            _ => None,
        },
        nature,
    }
}

fn nature(kind: &Kind) -> Nature {
    match kind {
        Kind::Query(_) | Kind::File(_) | Kind::Lint(_) | Kind::Observe(_) => Nature::Looks,
        Kind::RecoveryPoint(gate) if gate.restore_point.is_none() => Nature::Looks,
        Kind::RecoveryPoint(_) | Kind::Commit(_) => Nature::Acts,
        Kind::Exec(gate) if gate.looks => Nature::Looks,
        Kind::Exec(_) | Kind::Backup(_) | Kind::Migrate(_) | Kind::Ramp(_) => Nature::Acts,
        Kind::Checklist(gate) => Nature::Items(gate.items.iter().map(item).collect()),
        Kind::Signoff(gate) => Nature::SignOff {
            roles: gate.roles.clone(),
            distinct: gate.distinct,
        },
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

/// Acting on production asks for the target's name, typed.
fn typed_name(runbook: &Runbook, kind: &Kind) -> Option<String> {
    let target = runbook.targets.get(kind.target()?)?;
    (target.environment == Environment::Production).then(|| target.name.clone())
}
