//! Everything a gate is given to work with.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{Choices, Evidence, Feed, Signals, Targets};
use crate::promotion::{EffectRecord, FlagRecord, GateState, RemedyRecord, Reviews};
use crate::runbook::{self, Gate, Runbook};

/// What one attempt at one gate works with.
#[derive(Clone)]
pub struct Context {
    pub run: String,
    pub attempt: u32,
    /// Drawn for the run alone.
    pub nonce: String,
    pub gate: Arc<Gate>,
    pub runbook: Arc<Runbook>,
    /// Where the runbook's relative paths start.
    pub base: PathBuf,
    /// The run's folder, private to its owner.
    pub folder: PathBuf,
    /// Variables, captures and built-in names.
    pub values: BTreeMap<String, String>,
    /// The evidence of each gate's last attempt.
    pub earlier: BTreeMap<String, Arc<Evidence>>,
    /// How each gate of the run stands.
    pub states: BTreeMap<String, GateState>,
    /// The files that go back, where the way back asked for them.
    pub chosen_files: Vec<String>,
    pub targets: Targets,
    pub feed: Feed,
    /// Takes the parts of the work as they end.
    pub effects: mpsc::Sender<EffectRecord>,
    pub cancel: CancellationToken,
    /// Brings what a person chooses while the gate is at work.
    pub choices: Choices,
    /// Brings what a person asks of sessions that are in the way, and takes what became of it.
    pub signals: Signals,
    /// The plan that the attempt carries out, as the journal names it.
    pub planned: Option<String>,
    /// The parts of the gate's work that the journal says were committed, in whichever attempt.
    pub committed: BTreeSet<String>,
    /// What people decided about the differences that the gate found before.
    pub remedies: Vec<RemedyRecord>,
    /// What people have read, by the top folder of the repository.
    pub reviews: BTreeMap<String, Reviews>,
    /// What each statement does to its surroundings is looked at: in a rehearsal, where nobody waits.
    pub traced: bool,
    /// SHA-256 of the plan that a person gave the gate; its text lies in the run's folder.
    pub pasted: Option<String>,
    /// What keeps migrations from running, where it was seen to be set.
    pub migrations: Option<FlagRecord>,
    /// The gates that were left out because of it.
    pub left_out: Vec<String>,
    /// The journal's last record when the gate was started.
    pub journal: (u64, String),
}

impl Context {
    /// Fills a template in. A placeholder without a value stays as it is: loading refuses those
    /// that nothing can fill, so only a capture that was never made is left.
    pub fn fill(&self, template: &str) -> String {
        runbook::fill(template, &self.values).unwrap_or_else(|_| template.to_owned())
    }

    /// Makes a path of the runbook absolute.
    pub fn path(&self, template: &str) -> PathBuf {
        self.base.join(self.fill(template))
    }

    /// Writes a path as the runbook would, for people and for the ledger.
    pub fn shown(&self, path: &Path) -> String {
        path.strip_prefix(&self.base)
            .unwrap_or(path)
            .display()
            .to_string()
    }

    /// Hands over the outcome of one part of the work.
    pub async fn effect(&self, effect: EffectRecord) {
        let _ = self.effects.send(effect).await;
    }
}
