//! What a rehearsal lets one expect of production: how long each file takes, what the schema is
//! afterwards, and which hazards a lint must know.

use std::sync::Arc;
use std::time::Duration;

use super::seen::{Rehearsed, RehearsedFile, RehearsedGate};
use crate::gate::drift::DriftOptions;
use crate::gate::{Context, Evidence, FileState, change_words};
use crate::promotion::GateState;
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
    Some(compared.differences.iter().map(change_words).collect())
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
                let backup = rehearsed.backup.clone()?;
                (verified.target == target).then(|| (id.clone(), backup))
            }
            _ => None,
        }
    })
}
