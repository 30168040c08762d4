//! Reads a run that nobody need have open: its records, its own copy of the runbook, its evidence.

use std::path::Path;
use std::sync::Arc;

use super::begin::first_view;
use super::handle::Snapshot;
use super::store::{StoreError, read_only};
use crate::digest::digest;
use crate::runbook;

/// Why a run cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("{path}: {problems}")]
    Runbook {
        path: String,
        problems: Box<runbook::Problems>,
    },
}

/// A run as its folder tells it.
pub struct ReadRun {
    pub snapshot: Snapshot,
    /// What could not be read or is not what the journal names, in words.
    pub missing: Vec<String>,
}

/// Reads a run's folder without locking it. Evidence that is not what the journal says is left out
/// and named.
///
/// # Errors
/// When the journal or the run's own copy of the runbook cannot be read, or is damaged.
pub fn read_run(folder: &Path) -> Result<ReadRun, ReadError> {
    let (run, records) = read_only(folder)?;
    let path = folder.join("runbook.toml");
    let shown = path.display().to_string();
    let text = std::fs::read_to_string(&path).map_err(|source| StoreError::Io {
        path: shown.clone(),
        source,
    })?;
    if digest(text.as_bytes()) != run.definition.runbook_digest {
        return Err(StoreError::RunbookChanged { path: shown }.into());
    }
    let runbook = runbook::load(&run.runbook_path, &text, &run.vars);
    let runbook = runbook.map_err(|problems| ReadError::Runbook {
        path: shown,
        problems: Box::new(problems),
    })?;
    let snapshot = first_view(&run, &Arc::new(runbook), &records, folder);
    let missing = run.gates.iter().filter_map(|gate| {
        let named = gate.evidence.is_some() && !snapshot.evidence.contains_key(&gate.id);
        let name = format!("evidence/{}-{}.json", gate.id, gate.attempt);
        named.then(|| format!("{name} is missing, or not what the journal says"))
    });
    let missing = missing.collect();
    Ok(ReadRun { snapshot, missing })
}
