//! Every attempt at every gate, as the records tell it.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;

use super::facts::{AttemptFacts, PartFacts};
use crate::expectation::Finding;
use crate::promotion::{Event, Record};

/// The attempts of each gate, in order.
pub(super) fn attempts(records: &[Arc<Record>]) -> BTreeMap<String, Vec<AttemptFacts>> {
    let mut all = BTreeMap::<String, Vec<AttemptFacts>>::new();
    for record in records {
        let Some(gate) = record.event.gate() else {
            continue;
        };
        let attempts = all.entry(gate.to_owned()).or_default();
        if let Event::GateStarted {
            attempt,
            plan,
            typed_name,
            ..
        } = &record.event
        {
            attempts.push(AttemptFacts {
                number: *attempt,
                started: record.time,
                by: record.actor.name.clone(),
                ended: None,
                took_ms: None,
                came_to: None,
                finding: None,
                typed_name: typed_name.clone(),
                plan: plan.clone(),
                evidence: None,
                parts: Vec::new(),
            });
        } else if let Some(last) = attempts.last_mut() {
            add(last, record);
        }
    }
    all.retain(|_, attempts| !attempts.is_empty());
    all
}

fn add(attempt: &mut AttemptFacts, record: &Record) {
    match &record.event {
        Event::EffectRecorded { effect, .. } => attempt.parts.push(PartFacts {
            name: effect.name.clone(),
            outcome: effect.outcome.word().to_owned(),
            took_ms: effect.duration_ms,
            detail: effect.detail.clone(),
        }),
        Event::GateFinished {
            finding, evidence, ..
        } => {
            let word = finding.verdict.word().to_owned();
            end(attempt, record.time, word, finding, evidence.as_ref());
        }
        Event::GateCanceled {
            finding, evidence, ..
        } => end(
            attempt,
            record.time,
            "canceled".to_owned(),
            finding,
            evidence.as_ref(),
        ),
        Event::GateInDoubt { finding, .. } => {
            end(attempt, record.time, "in doubt".to_owned(), finding, None);
        }
        Event::GateReconciled {
            resolution,
            finding,
            evidence,
            ..
        } => {
            let word = format!("reconciled as {}", resolution.word());
            end(attempt, record.time, word, finding, evidence.as_ref());
        }
        _ => {}
    }
}

fn end(
    attempt: &mut AttemptFacts,
    time: Timestamp,
    came_to: String,
    finding: &Finding,
    evidence: Option<&String>,
) {
    attempt.ended = Some(time);
    // The wall clock may have gone back meanwhile; then nothing is known of how long it took.
    let took = time.duration_since(attempt.started).as_millis();
    attempt.took_ms = u64::try_from(took).ok();
    attempt.came_to = Some(came_to);
    attempt.finding = Some(finding.clone());
    attempt.evidence = evidence.cloned();
}
