//! The state of a run: what folding its journal gives.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::signature::{Purpose, SignedGate, WaiverSigned};
use super::{
    Definition, EffectRecord, FlagRecord, GateDefinition, LeftOut, PastedPlan, RemedyRecord,
    Resolution, Reviews, RollbackDefinition, Statement,
};
use crate::expectation::{Finding, Verdict};

/// Where a gate stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GateState {
    Pending,
    /// At work, or waiting for people to finish what they began.
    Running,
    Passed,
    Failed,
    Errored,
    Inconclusive,
    Canceled,
    /// Its work began and nobody saw it end.
    InDoubt,
    Waived,
    NotApplicable,
    /// It passed, and what it passed on has changed since.
    Stale,
}

impl GateState {
    /// Tells whether the next gate may start. Nothing else lets it.
    pub fn advances(self) -> bool {
        matches!(
            self,
            GateState::Passed | GateState::Waived | GateState::NotApplicable
        )
    }

    /// Tells whether the gate ended without passing and may be retried.
    pub fn may_retry(self) -> bool {
        matches!(
            self,
            GateState::Failed | GateState::Errored | GateState::Inconclusive | GateState::Canceled
        )
    }

    /// The word for it on every screen.
    pub fn word(self) -> &'static str {
        match self {
            GateState::Pending => "pending",
            GateState::Running => "running",
            GateState::Passed => "passed",
            GateState::Failed => "failed",
            GateState::Errored => "errored",
            GateState::Inconclusive => "inconclusive",
            GateState::Canceled => "canceled",
            GateState::InDoubt => "in doubt",
            GateState::Waived => "waived",
            GateState::NotApplicable => "not applicable",
            GateState::Stale => "stale",
        }
    }
}

impl From<Verdict> for GateState {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Passed => GateState::Passed,
            Verdict::Failed => GateState::Failed,
            Verdict::Errored => GateState::Errored,
            Verdict::Inconclusive => GateState::Inconclusive,
        }
    }
}

impl From<Resolution> for GateState {
    fn from(resolution: Resolution) -> Self {
        match resolution {
            Resolution::Passed => GateState::Passed,
            Resolution::Failed => GateState::Failed,
            Resolution::Pending => GateState::Pending,
        }
    }
}

/// Where the run as a whole stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunStatus {
    Open,
    Held(String),
    Closed,
    RolledBack(String),
    Rejected(String),
    Abandoned(String),
}

impl RunStatus {
    /// Tells whether the run takes no further commands.
    pub fn is_terminal(&self) -> bool {
        !matches!(self, RunStatus::Open | RunStatus::Held(_))
    }

    /// The word for it.
    pub fn word(&self) -> &'static str {
        match self {
            RunStatus::Open => "open",
            RunStatus::Held(_) => "held",
            RunStatus::Closed => "closed",
            RunStatus::RolledBack(_) => "rolled back",
            RunStatus::Rejected(_) => "rejected",
            RunStatus::Abandoned(_) => "abandoned",
        }
    }
}

/// A confirmed item of a checklist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ItemRecord {
    pub by: String,
    pub at: Timestamp,
    pub value: Option<String>,
}

/// A waived gate: who and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiver {
    pub by: String,
    pub at: Timestamp,
    pub reason: String,
    /// Who signed it, where keys waive.
    pub signed: Option<WaiverSigned>,
}

impl Waiver {
    /// Tells whether the roles that should have waived it were not there.
    pub fn broke_glass(&self) -> bool {
        let purpose = self.signed.as_ref().map(|signed| signed.purpose);
        purpose == Some(Purpose::BreakGlass)
    }
}

/// Everything the journal says of one gate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GateRecord {
    pub id: String,
    pub state: GateState,
    /// How often it was started.
    pub attempt: u32,
    /// Digest of the plan that the current attempt carries out.
    pub plan: Option<String>,
    pub finding: Option<Finding>,
    /// Digest of the evidence file of the last attempt.
    pub evidence: Option<String>,
    /// Shared, so that a snapshot of a long run is cheap.
    pub effects: Vec<Arc<EffectRecord>>,
    /// The names of what committed, in whichever attempt.
    pub committed: BTreeSet<String>,
    pub items: Vec<Option<ItemRecord>>,
    pub statements: Vec<Statement>,
    /// What keys have to do with it.
    pub signed: SignedGate,
    pub waiver: Option<Waiver>,
    pub cancel_requested: bool,
    pub started: Option<Timestamp>,
    pub ended: Option<Timestamp>,
    pub started_by: Option<String>,
    pub notes: Vec<String>,
    pub stale_because: Option<String>,
    /// What was decided about the differences that it found.
    pub remedies: Vec<RemedyRecord>,
    /// Why it was left out; kept until it is started.
    pub left_out: Option<LeftOut>,
    /// The plan that a person gave it last.
    pub pasted: Option<PastedPlan>,
    /// The attempt whose failure began the recovery.
    pub(super) recovery: Option<u32>,
}

/// A way back that was started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RollbackRecord {
    pub id: String,
    pub reason: String,
    pub by: String,
    pub started: Timestamp,
    /// The files that go back, where it asks for them.
    pub choices: Vec<String>,
    /// The place of its first gate among the gates of the run.
    first: usize,
}

impl RollbackRecord {
    /// Begins one whose gates stand from `first` on.
    pub(super) fn new(
        (id, reason): (&str, &str),
        choices: &[String],
        by: &str,
        started: Timestamp,
        first: usize,
    ) -> Self {
        RollbackRecord {
            id: id.to_owned(),
            reason: reason.to_owned(),
            by: by.to_owned(),
            started,
            choices: choices.to_vec(),
            first,
        }
    }
}

/// Another message that was promised.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reminder {
    pub message: String,
    pub due: Timestamp,
}

/// The state of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    pub id: String,
    pub definition: Definition,
    pub runbook_path: String,
    pub base: String,
    pub vars: BTreeMap<String, String>,
    pub status: RunStatus,
    /// In the order of the runbook.
    pub gates: Vec<GateRecord>,
    pub captures: BTreeMap<String, String>,
    /// The way back that is being gone.
    pub rollback: Option<RollbackRecord>,
    pub reminder: Option<Reminder>,
    /// What people have read, by the top folder of the repository.
    pub reviews: BTreeMap<String, Reviews>,
    /// The latest timeline of each target's server, with its system identifier, where it was not
    /// the first.
    pub timelines: BTreeMap<String, (String, u32)>,
    /// What keeps migrations from running, once it was seen to be set.
    pub migrations: Option<FlagRecord>,
    /// Drawn for this run alone; its name where an earlier version opened it.
    pub nonce: String,
    /// Every waiver of the run, by gate, in order; also those that count no longer.
    pub waivers: Vec<(String, Waiver)>,
    /// The nonces of all signatures that were taken.
    pub nonces: BTreeSet<String>,
    /// Who has the conn.
    pub operator: String,
    pub opened: Timestamp,
    pub updated: Timestamp,
    /// Sequence number of the last record.
    pub seq: u64,
    /// Hash of the last record.
    pub head: String,
}

impl Run {
    /// The record of a gate.
    pub fn gate(&self, id: &str) -> Option<&GateRecord> {
        self.gates.iter().find(|gate| gate.id == id)
    }

    /// The gates that are to be gone through now: those of the way back once one was started.
    pub fn course(&self) -> &[GateRecord] {
        let first = self.rollback.as_ref().map_or(0, |rollback| rollback.first);
        self.gates.get(first..).unwrap_or_default()
    }

    /// The first gate of the course that does not let the run through.
    pub fn current(&self) -> Option<&GateRecord> {
        self.course().iter().find(|gate| !gate.state.advances())
    }

    /// The gate of the course that stands before `id` and does not let it start.
    pub fn blocking(&self, id: &str) -> Option<&GateRecord> {
        self.course()
            .iter()
            .take_while(|gate| gate.id != id)
            .find(|gate| !gate.state.advances())
    }

    /// The gate whose work is in flight.
    pub fn at_work(&self) -> Option<&GateRecord> {
        self.gates.iter().find(|gate| {
            gate.state == GateState::Running && self.definition_of(&gate.id).is_some_and(has_work)
        })
    }

    /// The ways back that may be started at this point of the run.
    pub fn ways_back(&self) -> impl Iterator<Item = &RollbackDefinition> {
        let rollbacks = self.definition.rollbacks.iter();
        rollbacks.filter(|rollback| self.way_back_closed(rollback).is_none())
    }

    /// Tells whether people have rejected the run and may still bring back what it did.
    pub fn rejected_may_go_back(&self) -> bool {
        matches!(self.status, RunStatus::Rejected(_)) && self.ways_back().next().is_some()
    }

    /// Why a way back may not be started now, if so.
    pub fn way_back_closed(&self, rollback: &RollbackDefinition) -> Option<String> {
        let gone = |id: &str| self.definition.phases.iter().any(|phase| phase.id == id);
        if gone(&rollback.id) {
            return Some("it has been started already".to_owned());
        }
        if let Some(from) = rollback.valid_from.as_deref()
            && self.gate(from).is_none_or(|gate| gate.attempt == 0)
        {
            return Some(format!(
                "gate `{from}` has not begun: there is nothing to undo"
            ));
        }
        if let Some(until) = rollback.valid_until.as_deref()
            && self.gate(until).is_some_and(|gate| gate.state.advances())
        {
            return Some(format!(
                "gate `{until}` has passed: it is too late for this way"
            ));
        }
        None
    }

    /// The definition of a gate.
    pub fn definition_of(&self, id: &str) -> Option<&GateDefinition> {
        self.definition.gate(id)
    }

    /// How many gates let the run through, of how many.
    pub fn progress(&self) -> (usize, usize) {
        let course = self.course();
        let through = course.iter().filter(|g| g.state.advances()).count();
        (through, course.len())
    }
}

/// Tells whether a gate is moved by a worker rather than by people.
pub(super) fn has_work(gate: &GateDefinition) -> bool {
    matches!(gate.nature, super::Nature::Looks | super::Nature::Acts)
}
