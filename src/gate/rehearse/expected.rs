//! What a rehearsal lets one expect of production: how long each file takes, what the schema is
//! afterwards, and which hazards a lint must know.

use std::sync::Arc;
use std::time::Duration;

use super::restore::leads_nowhere;
use super::seen::{Rehearsed, RehearsedFile, RehearsedGate};
use super::source::reading;
use crate::expectation::{Finding, Verdict};
use crate::gate::drift::DriftOptions;
use crate::gate::{Context, Evidence, FileState, Outcome, Payload, Plan, Tone, change_words};
use crate::postgres::catalog;
use crate::promotion::GateState;
use crate::runbook::Migrate;
use crate::schema::Snapshot;
use crate::sql::hazard::Hazard;

/// What is expected of one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expected {
    /// How long it took in rehearsal, with the same rows on another machine.
    pub duration: Duration,
    pub statements: usize,
    /// The checksum of the schema after the file's gate.
    pub schema: Option<String>,
}

/// The rehearsals of a run that passed.
fn passed(context: &Context) -> impl Iterator<Item = &Rehearsed> {
    context.earlier.iter().filter_map(|(id, evidence)| {
        let stands = context.states.get(id) == Some(&GateState::Passed);
        match evidence.as_ref() {
            Evidence::Rehearse { rehearsed, .. } if stands => Some(rehearsed.as_ref()),
            _ => None,
        }
    })
}

fn gate_of<'a>(context: &'a Context, gate: &str) -> Option<&'a RehearsedGate> {
    passed(context)
        .flat_map(|rehearsed| rehearsed.gates.iter())
        .find(|rehearsed| rehearsed.id == gate)
}

/// What is expected of a file of a gate; none where it was not rehearsed as it is now.
pub fn expected(context: &Context, gate: &str, file: &str, checksum: &str) -> Option<Expected> {
    let gate = gate_of(context, gate)?;
    let same = |f: &&RehearsedFile| {
        f.file == file && f.checksum == checksum && f.state == FileState::Applied
    };
    let file = gate.files.iter().find(same)?;
    Some(Expected {
        duration: Duration::from_millis(file.duration_ms),
        statements: file.statements,
        schema: gate.schema.clone(),
    })
}

/// Where the schema after a gate differs from the rehearsed one, in words; none where it was not
/// rehearsed, or its schema cannot be read any more.
pub fn schema_of(context: &Context, gate: &str, found: &Snapshot) -> Option<Vec<String>> {
    let gate = gate_of(context, gate)?;
    let options = DriftOptions::default();
    if gate.schema.as_ref() == Some(&options.checksum(found)) {
        return Some(Vec::new());
    }
    let path = context.folder.join(gate.exported.as_ref()?);
    let wanted = Snapshot::from_json(&std::fs::read_to_string(path).ok()?).ok()?;
    let compared = options.compare(&wanted, found);
    let differences = compared.differences.iter();
    let real = differences.filter(|difference| !leads_nowhere(difference));
    Some(real.map(change_words).collect())
}

/// How many differences are named.
const NAMED: usize = 10;

/// Compares the schema after a gate's last file with the rehearsed one: what was proved elsewhere is
/// proved here only if the same came of it.
pub(in crate::gate) async fn as_rehearsed(
    gate: &Migrate,
    context: &Context,
    mut outcome: Outcome,
) -> Outcome {
    if gate.undoes.is_empty() {
        outcome.finding = same_schema(&gate.target, context, outcome.finding).await;
    }
    outcome
}

/// The same for a gate whose work passed: what it says if the schema is the rehearsed one, or was
/// not rehearsed.
pub(in crate::gate) async fn same_schema(
    target: &str,
    context: &Context,
    applied: Finding,
) -> Finding {
    let rehearsed = gate_of(context, &context.gate.id).is_some_and(|seen| seen.schema.is_some());
    if applied.verdict != Verdict::Passed || !rehearsed {
        return applied;
    }
    let said = applied.summary.clone();
    let found = found(target, context).await;
    match found.map(|found| schema_of(context, &context.gate.id, &found)) {
        Ok(Some(differences)) if differences.is_empty() => {
            context.feed.say("the schema is the rehearsed one");
            applied
        }
        Ok(Some(differences)) => {
            let first =
                Finding::failed("the schema is not the one that was rehearsed").because(said);
            let named = differences.into_iter().take(NAMED);
            named
                .fold(first, |finding, difference| {
                    finding.because(format!("since the rehearsal: {difference}"))
                })
                .can("find out who else changed it since the backup was taken")
                .can("take the difference back, then retry this gate: nothing is applied twice")
        }
        Ok(None) => applied.because("the rehearsed schema cannot be read any more; not compared"),
        Err(reason) => {
            Finding::inconclusive("the schema could not be compared with the rehearsed one")
                .because(said)
                .because(reason)
                .can("retry this gate: nothing is applied twice")
        }
    }
}

async fn found(target: &str, context: &Context) -> Result<Snapshot, String> {
    let opened = context.targets.open(target, &context.gate.id, reading());
    let (session, _) = opened.await.map_err(|error| error.to_string())?;
    let read = catalog::read(&session).await;
    session.close().await;
    read.map_err(|error| error.to_string())
}

/// Puts what a rehearsal saw the files of this gate do into its plan, before they run.
pub(in crate::gate) fn foretell(plan: &mut Plan, context: &Context) {
    let Payload::Migration(migration) = &plan.payload else {
        return;
    };
    let Some(gate) = gate_of(context, &context.gate.id) else {
        return;
    };
    let pending: Vec<&str> = migration.pending().map(|file| file.name.as_str()).collect();
    let files = gate.files.iter();
    let seen: Vec<&RehearsedFile> = files
        .filter(|seen| pending.contains(&seen.file.as_str()))
        .collect();
    if seen.is_empty() {
        return;
    }
    plan.line(Tone::Heading, "Seen in the rehearsal");
    for file in seen {
        let took = format!("{}  {} ms", file.file, file.duration_ms);
        plan.line(Tone::Plain, took);
        for seen in &file.hazards {
            let said = format!("  {}, {}", seen.hazard.message, seen.extent);
            plan.line(Tone::Warning, said);
        }
    }
}

/// The hazards that a rehearsal saw a file do and that its text does not say.
pub fn hazards_of(context: &Context, file: &str, checksum: &str) -> Vec<Hazard> {
    let rehearsed = context
        .earlier
        .values()
        .filter_map(|evidence| match evidence.as_ref() {
            Evidence::Rehearse { rehearsed, .. } => Some(rehearsed.as_ref()),
            _ => None,
        });
    let same = |f: &&RehearsedFile| f.file == file && f.checksum == checksum;
    let hidden = rehearsed
        .flat_map(Rehearsed::hazards)
        .filter(|(f, seen)| same(f) && seen.hidden);
    hidden
        .map(|(_, seen)| Hazard {
            message: format!(
                "{}, {}: seen in rehearsal",
                seen.hazard.message, seen.extent
            ),
            ..seen.hazard.clone()
        })
        .collect()
}

/// The rehearsal gate of this run that has restored a backup of a target and compared it, with the
/// backup's gate.
pub fn verified(context: &Context, target: &str) -> Option<(String, String)> {
    context.earlier.iter().find_map(|(id, evidence)| {
        let stands = context.states.get(id) == Some(&GateState::Passed);
        match Arc::as_ref(evidence) {
            Evidence::Rehearse { rehearsed, .. } if stands => {
                let verified = rehearsed.verified.as_ref()?;
                if !verified.is_with_source() {
                    return None;
                }
                let backup = rehearsed.backup.clone()?;
                (verified.target == target).then(|| (id.clone(), backup))
            }
            _ => None,
        }
    })
}

/// Why the rehearsals of a target's backup that passed have verified none, in words.
pub fn unverified(context: &Context, target: &str) -> Option<String> {
    context.earlier.iter().find_map(|(id, evidence)| {
        let stands = context.states.get(id) == Some(&GateState::Passed);
        match Arc::as_ref(evidence) {
            Evidence::Rehearse {
                target: of,
                rehearsed,
                ..
            } if stands && of == target => {
                let backup = rehearsed.backup.as_ref()?;
                let reason = rehearsed.unverified.as_ref()?;
                Some(format!(
                    "`{id}` restored the backup of `{backup}`, {reason}"
                ))
            }
            _ => None,
        }
    })
}
