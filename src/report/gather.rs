//! Makes the facts of a run.

use std::collections::BTreeMap;

use super::attempts::attempts;
use super::chart::charts;
use super::facts::{
    AttemptFacts, FORMAT, Facts, GateFacts, PhaseFacts, Planned, RecordFacts, RunFacts, SaidFacts,
    SignatureFacts, TargetFacts,
};
use super::line::Line;
use crate::engine::Snapshot;
use crate::gate::Evidence;
use crate::promotion::{
    Event, GateDefinition, GateRecord, Nature, PhaseDefinition, Record, Run, RunStatus, Via,
};

/// Makes the facts of a run from what its folder tells. `shown` gives what the console shows of a
/// gate; `missing` is what the folder lacks.
pub fn gather(
    snapshot: &Snapshot,
    missing: Vec<String>,
    shown: impl Fn(&str) -> Vec<Line>,
) -> Facts {
    let run = &*snapshot.run;
    let mut attempts = attempts(&snapshot.records);
    let mut phase = |phase: &PhaseDefinition| PhaseFacts {
        id: phase.id.clone(),
        title: phase.title.clone(),
        gates: phase
            .gates
            .iter()
            .filter_map(|definition| {
                let record = run.gate(&definition.id)?;
                let tried = attempts.remove(&definition.id).unwrap_or_default();
                Some(gate(snapshot, (definition, record), tried, &shown))
            })
            .collect(),
    };
    let phases = run.definition.phases.iter().map(&mut phase).collect();
    Facts {
        format: FORMAT,
        run: run_facts(snapshot),
        targets: targets(snapshot),
        phases,
        signatures: signatures(run),
        waivers: said(&snapshot.records, |event| {
            matches!(event, Event::GateWaived { .. })
        }),
        decisions: said(&snapshot.records, |event| {
            matches!(
                event,
                Event::RemedyDecided { .. }
                    | Event::ChoiceMade { .. }
                    | Event::RollbackStarted { .. }
                    | Event::RunRejected { .. }
                    | Event::RunAbandoned { .. }
                    | Event::RunHeld { .. }
                    | Event::RunResumed
                    | Event::ConnHandedOver { .. }
                    | Event::BlockerSignaled { .. }
            )
        }),
        messages: said(&snapshot.records, |event| {
            matches!(event, Event::MessageSent { .. })
        }),
        notes: said(&snapshot.records, |event| {
            matches!(event, Event::Noted { .. })
        }),
        timeline: snapshot.records.iter().map(|r| record_facts(r)).collect(),
        missing,
    }
}

fn run_facts(snapshot: &Snapshot) -> RunFacts {
    let run = &*snapshot.run;
    let mut versions = Vec::new();
    let mut operators = Vec::new();
    for record in snapshot.records.iter() {
        match &record.event {
            Event::RunOpened { version, .. } | Event::RunContinued { version, .. } => {
                push_new(&mut versions, version);
                push_new(&mut operators, &record.actor.name);
            }
            _ => {}
        }
    }
    let (through, gates) = run.progress();
    let window = run.definition.window.as_ref().and_then(|window| {
        let opens = window.opens.unwrap_or(run.opened);
        let closes = window.closes_for(run.opened)?;
        u64::try_from(closes.duration_since(opens).as_millis()).ok()
    });
    RunFacts {
        id: run.id.clone(),
        title: run.definition.title.clone(),
        runbook: run.runbook_path.clone(),
        runbook_sha256: run.definition.runbook_digest.clone(),
        versions,
        operators,
        vars: run.vars.clone(),
        opened: run.opened,
        updated: run.updated,
        status: run.status.word().to_owned(),
        because: because(&run.status),
        through,
        gates,
        seq: run.seq,
        head: run.head.clone(),
        window_ms: window,
        captures: run.captures.clone(),
    }
}

fn push_new(list: &mut Vec<String>, text: &String) {
    if !list.contains(text) {
        list.push(text.clone());
    }
}

fn because(status: &RunStatus) -> Option<String> {
    match status {
        RunStatus::Open | RunStatus::Closed => None,
        RunStatus::Held(reason)
        | RunStatus::RolledBack(reason)
        | RunStatus::Rejected(reason)
        | RunStatus::Abandoned(reason) => Some(reason.clone()),
    }
}

fn targets(snapshot: &Snapshot) -> Vec<TargetFacts> {
    let mut servers = BTreeMap::<&str, Vec<String>>::new();
    for evidence in snapshot.evidence.values() {
        if let Some((target, server)) = evidence.server()
            && !server.is_empty()
        {
            push_new(servers.entry(target).or_default(), &server.to_owned());
        }
    }
    let targets = snapshot.runbook.targets.iter();
    let targets = targets.map(|(name, target)| TargetFacts {
        name: name.clone(),
        environment: target.environment.word().to_owned(),
        servers: servers.remove(name.as_str()).unwrap_or_default(),
    });
    targets.collect()
}

fn gate(
    snapshot: &Snapshot,
    (definition, record): (&GateDefinition, &GateRecord),
    attempts: Vec<AttemptFacts>,
    shown: &impl Fn(&str) -> Vec<Line>,
) -> GateFacts {
    let took: Vec<u64> = attempts.iter().filter_map(|tried| tried.took_ms).collect();
    let kind = snapshot.runbook.gate(&definition.id);
    let evidence = snapshot.evidence.get(&definition.id);
    GateFacts {
        id: definition.id.clone(),
        title: definition.title.clone(),
        kind: definition.kind.clone(),
        state: record.state.word().to_owned(),
        target: kind.and_then(|gate| gate.kind.target().map(str::to_owned)),
        finding: record.finding.clone(),
        planned: planned(snapshot, definition),
        took_ms: (!took.is_empty()).then(|| took.iter().sum()),
        attempts,
        because: record.stale_because.clone(),
        lines: shown(&definition.id),
        charts: evidence.map(|seen| charts(seen)).unwrap_or_default(),
    }
}

/// How long a gate was expected to take: what the rehearsal measured, or what the runbook demands.
fn planned(snapshot: &Snapshot, definition: &GateDefinition) -> Option<Planned> {
    let rehearsed = snapshot.evidence.values().find_map(|evidence| {
        let Evidence::Rehearse { rehearsed, .. } = evidence.as_ref() else {
            return None;
        };
        let gate = rehearsed.gates.iter().find(|gate| gate.id == definition.id);
        gate.map(|gate| gate.duration_ms)
    });
    if let Some(ms) = rehearsed {
        let by = "the rehearsal".to_owned();
        return Some(Planned { ms, by });
    }
    let seconds = u64::try_from(definition.lasts_seconds).ok();
    let seconds = seconds.filter(|seconds| *seconds > 0)?;
    Some(Planned {
        ms: seconds * 1000,
        by: "the runbook".to_owned(),
    })
}

fn signatures(run: &Run) -> Vec<SignatureFacts> {
    let mut all = Vec::new();
    for definition in run.definition.gates() {
        let Nature::SignOff { roles, .. } = &definition.nature else {
            continue;
        };
        if let Some(record) = run.gate(&definition.id) {
            all.extend(roles.iter().map(|role| signature(run, record, role)));
        }
    }
    all
}

/// What was said in a role: by a key, or by a name at the console.
fn signature(run: &Run, record: &GateRecord, role: &str) -> SignatureFacts {
    let title = run.definition.role(role).map(|role| role.title.clone());
    let mut facts = SignatureFacts {
        gate: record.id.clone(),
        role: role.to_owned(),
        title: title.unwrap_or_default(),
        person: None,
        decision: "not signed".to_owned(),
        time: None,
        key: None,
        note: String::new(),
    };
    if let Some(signed) = record.signed.of_role(role) {
        facts.person = Some(signed.statement.signer.clone());
        facts.decision = signed.statement.decision.word().to_owned();
        facts.time = Some(signed.received);
        facts.key = Some(signed.fingerprint.clone());
        facts.note.clone_from(&signed.statement.note);
    } else if let Some(said) = record.statements.iter().find(|said| said.role == role) {
        facts.person = Some(said.person.clone());
        facts.decision = said.decision.word().to_owned();
        facts.time = Some(said.time);
        facts.note.clone_from(&said.note);
    }
    facts
}

fn said(records: &[std::sync::Arc<Record>], wanted: impl Fn(&Event) -> bool) -> Vec<SaidFacts> {
    let wanted = records.iter().filter(|record| wanted(&record.event));
    let facts = wanted.map(|record| SaidFacts {
        seq: record.seq,
        time: record.time,
        by: record.actor.name.clone(),
        gate: record.event.gate().map(str::to_owned),
        words: record.event.words(),
    });
    facts.collect()
}

fn record_facts(record: &Record) -> RecordFacts {
    RecordFacts {
        seq: record.seq,
        time: record.time,
        by: record.actor.name.clone(),
        via: match record.actor.via {
            Via::Console => "console",
            Via::Headless => "headless",
            Via::Engine => "engine",
        }
        .to_owned(),
        gate: record.event.gate().map(str::to_owned),
        words: record.event.words(),
        hash: record.hash.clone(),
    }
}
