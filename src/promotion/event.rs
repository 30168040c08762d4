//! What happened, in the past tense. The journal holds these and nothing else.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::signature::{
    self, InputRejected, SignatureAccepted, SignaturesVoided, StatementsIssued,
};
use super::{
    BlockerEnd, BlockerRecord, Definition, EffectRecord, FlagSays, Remedy, Resolution, Statement,
};
use super::{conn, left_out};
use crate::expectation::Finding;

/// A fact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum Event {
    RunOpened {
        run: String,
        version: String,
        runbook_path: String,
        base: String,
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        vars: BTreeMap<String, String>,
        definition: Box<Definition>,
        /// Goes into the key of every part of the run's work.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        nonce: Option<String>,
    },
    /// A target's server was promoted or restored; an earlier timeline of it is not believed any
    /// more.
    TimelineSeen {
        target: String,
        system_identifier: String,
        timeline: u32,
    },
    /// A process took the run up again; gates whose work it did not see end are in doubt.
    RunContinued {
        version: String,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        in_doubt: Vec<String>,
    },
    /// The intent: written and synced before the gate's work begins.
    GateStarted {
        gate: String,
        attempt: u32,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        plan: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        typed_name: Option<String>,
    },
    EffectRecorded {
        gate: String,
        attempt: u32,
        effect: EffectRecord,
    },
    GateFinished {
        gate: String,
        attempt: u32,
        finding: Finding,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        evidence: Option<String>,
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        captures: BTreeMap<String, String>,
        /// SHA-256 of what else the run's folder keeps of the attempt, by its path in it: the plan's
        /// text, the output.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        files: BTreeMap<String, String>,
    },
    CancelRequested {
        gate: String,
        attempt: u32,
    },
    /// A person chose at a gate that was at work; written before the work hears of it.
    ChoiceMade {
        gate: String,
        attempt: u32,
        question: u64,
        choice: String,
    },
    /// A person asked a session that is in the way to stop or to go; written before it is asked.
    BlockerSignaled {
        gate: String,
        attempt: u32,
        blocker: BlockerRecord,
    },
    /// What became of that.
    BlockerSignalEnded {
        gate: String,
        attempt: u32,
        ended: BlockerEnd,
    },
    GateCanceled {
        gate: String,
        attempt: u32,
        finding: Finding,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        evidence: Option<String>,
        /// SHA-256 of what else the run's folder keeps of the attempt, by its path in it: the plan's
        /// text, the output.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        files: BTreeMap<String, String>,
    },
    /// The outcome of a gate's work is not known.
    GateInDoubt {
        gate: String,
        attempt: u32,
        finding: Finding,
    },
    GateReconciled {
        gate: String,
        attempt: u32,
        resolution: Resolution,
        finding: Finding,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        evidence: Option<String>,
    },
    GateWentStale {
        gate: String,
        reason: String,
    },
    /// What can keep migrations from running says something else than before.
    FlagSeen {
        flag: String,
        says: FlagSays,
    },
    /// A gate that migrates was left out, because a flag keeps migrations from running.
    GateLeftOut {
        gate: String,
        flag: String,
        value: String,
        /// When the flag was first seen to be set like this.
        seen: jiff::Timestamp,
    },
    /// A person gave the plan that somebody else shows; its text lies in the run's folder.
    PlanPasted {
        gate: String,
        sha256: String,
        bytes: u64,
    },
    /// A refused plan made earlier gates stale: they are taken again, in order.
    RecoveryBegun {
        gate: String,
        attempt: u32,
        gates: Vec<String>,
    },
    ItemConfirmed {
        gate: String,
        item: usize,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        value: Option<String>,
    },
    GateWaived {
        gate: String,
        reason: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        signed: Option<signature::WaiverSigned>,
    },
    /// Statements wait for the signatures of people.
    StatementsIssued(StatementsIssued),
    /// A signature was verified and counts.
    SignatureAccepted(SignatureAccepted),
    /// What was signed has changed: nothing of it counts any more.
    SignaturesVoided(SignaturesVoided),
    /// Something was handed in that does not count.
    InputRejected(InputRejected),
    /// A person decided what is done about the difference that a gate found.
    RemedyDecided {
        gate: String,
        attempt: u32,
        remedy: Remedy,
        approved_by: String,
        reason: String,
    },
    /// A person has read what a change makes of a file; it counts for that content alone.
    FileReviewed {
        repository: String,
        path: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        old: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        new: Option<String>,
    },
    ReviewWithdrawn {
        repository: String,
        path: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        old: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        new: Option<String>,
    },
    SignedOff {
        statement: Statement,
    },
    RunHeld {
        reason: String,
    },
    RunResumed,
    Noted {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        gate: Option<String>,
        text: String,
    },
    /// The operator gave the conn to somebody else.
    ConnHandedOver {
        to: String,
        /// The epoch that begins with it, where the control schema counts them.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        epoch: Option<u64>,
    },
    /// Somebody took the conn at another terminal: it was handed over, or its holder was gone.
    ConnTaken {
        from: String,
        epoch: u64,
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        unanswered: bool,
    },
    /// A person started a way back; its gates follow those of the run from here on.
    RollbackStarted {
        rollback: String,
        reason: String,
        typed_name: String,
        /// The files that go back, where it asks for them.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        choices: Vec<String>,
    },
    /// Every gate of a way back let the run through.
    RunRolledBack {
        rollback: String,
    },
    /// A person sent a message.
    MessageSent {
        message: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        gate: Option<String>,
        /// How it went out, such as `copied` or `posted to slack`.
        how: String,
        /// SHA-256 of its text, which lies in the run's folder.
        text: String,
    },
    /// A rejection ended the run.
    RunRejected {
        gate: String,
        reason: String,
    },
    RunAbandoned {
        reason: String,
    },
    RunClosed,
}

impl Event {
    /// The gate that the event is about.
    pub fn gate(&self) -> Option<&str> {
        match self {
            Event::GateStarted { gate, .. }
            | Event::EffectRecorded { gate, .. }
            | Event::GateFinished { gate, .. }
            | Event::CancelRequested { gate, .. }
            | Event::ChoiceMade { gate, .. }
            | Event::BlockerSignaled { gate, .. }
            | Event::BlockerSignalEnded { gate, .. }
            | Event::GateCanceled { gate, .. }
            | Event::GateInDoubt { gate, .. }
            | Event::GateReconciled { gate, .. }
            | Event::GateWentStale { gate, .. }
            | Event::GateLeftOut { gate, .. }
            | Event::PlanPasted { gate, .. }
            | Event::RecoveryBegun { gate, .. }
            | Event::ItemConfirmed { gate, .. }
            | Event::GateWaived { gate, .. }
            | Event::RemedyDecided { gate, .. }
            | Event::RunRejected { gate, .. } => Some(gate),
            Event::SignedOff { statement } => Some(&statement.gate),
            Event::StatementsIssued(StatementsIssued { gate, .. })
            | Event::SignatureAccepted(SignatureAccepted { gate, .. })
            | Event::SignaturesVoided(SignaturesVoided { gate, .. }) => Some(gate),
            Event::InputRejected(input) => input.gate.as_deref(),
            Event::Noted { gate, .. } | Event::MessageSent { gate, .. } => gate.as_deref(),
            Event::RunOpened { .. }
            | Event::TimelineSeen { .. }
            | Event::FlagSeen { .. }
            | Event::RunContinued { .. }
            | Event::RunHeld { .. }
            | Event::RunResumed
            | Event::FileReviewed { .. }
            | Event::ReviewWithdrawn { .. }
            | Event::ConnHandedOver { .. }
            | Event::ConnTaken { .. }
            | Event::RollbackStarted { .. }
            | Event::RunRolledBack { .. }
            | Event::RunAbandoned { .. }
            | Event::RunClosed => None,
        }
    }

    /// The event in words, for the journal screen and reports.
    pub fn words(&self) -> String {
        match self {
            Event::RunOpened { definition, .. } => format!("run opened: {}", definition.title),
            Event::RunContinued { in_doubt, .. } => continued(in_doubt),
            Event::GateStarted {
                attempt,
                typed_name,
                ..
            } => started(*attempt, typed_name.as_deref()),
            Event::EffectRecorded { effect, .. } => format!(
                "{} {} ({} ms)",
                effect.name,
                effect.outcome.word(),
                effect.duration_ms
            ),
            Event::GateFinished { finding, .. } => {
                format!("{}: {}", finding.verdict.word(), finding.summary)
            }
            Event::CancelRequested { .. } => "cancel requested".into(),
            Event::ChoiceMade { choice, .. } => format!("chosen: {choice}"),
            Event::BlockerSignaled { blocker, .. } => blocker.words(),
            Event::BlockerSignalEnded { ended, .. } => ended.words(),
            Event::GateCanceled { finding, .. } => format!("canceled: {}", finding.summary),
            Event::GateInDoubt { finding, .. } => format!("in doubt: {}", finding.summary),
            Event::GateReconciled {
                resolution,
                finding,
                ..
            } => format!("reconciled as {}: {}", resolution.word(), finding.summary),
            Event::GateWentStale { reason, .. } => format!("stale: {reason}"),
            Event::FlagSeen { .. } | Event::GateLeftOut { .. } => left_out::words(self),
            Event::PlanPasted { .. } | Event::RecoveryBegun { .. } => left_out::words(self),
            Event::ItemConfirmed { item, value, .. } => confirmed(*item, value.as_deref()),
            Event::GateWaived { reason, signed, .. } => signature::waived(reason, signed.as_ref()),
            Event::StatementsIssued(issued) => issued.words(),
            Event::SignatureAccepted(accepted) => accepted.words(),
            Event::SignaturesVoided(voided) => format!("signatures void: {}", voided.reason),
            Event::InputRejected(input) => format!("REFUSED, {}: {}", input.from, input.reason),
            Event::RemedyDecided {
                remedy,
                approved_by,
                reason,
                ..
            } => remedy.decided(approved_by, reason),
            Event::FileReviewed { path, new, .. } => reviewed(path, new.as_deref()),
            Event::ReviewWithdrawn { path, .. } => format!("took the review of {path} back"),
            Event::SignedOff { statement } => statement.words(),
            Event::RunHeld { reason } => format!("held: {reason}"),
            Event::RunResumed => "resumed".into(),
            Event::TimelineSeen {
                target, timeline, ..
            } => format!("{target} is on timeline {timeline}: it was promoted or restored"),
            Event::Noted { text, .. } => format!("note: {text}"),
            Event::ConnHandedOver { .. } | Event::ConnTaken { .. } => conn::words(self),
            Event::RollbackStarted {
                rollback, reason, ..
            } => format!("rolling back by `{rollback}`: {reason}"),
            Event::RunRolledBack { rollback } => format!("run rolled back by `{rollback}`"),
            Event::MessageSent { message, how, .. } => format!("message `{message}` {how}"),
            Event::RunRejected { reason, .. } => format!("run ended by rejection: {reason}"),
            Event::RunAbandoned { reason } => format!("run abandoned: {reason}"),
            Event::RunClosed => "run closed".into(),
        }
    }
}

fn continued(in_doubt: &[String]) -> String {
    match in_doubt {
        [] => "run continued".into(),
        in_doubt => format!("run continued; in doubt: {}", in_doubt.join(", ")),
    }
}

fn started(attempt: u32, typed_name: Option<&str>) -> String {
    match typed_name {
        Some(name) => format!("started, attempt {attempt}, `{name}` typed"),
        None => format!("started, attempt {attempt}"),
    }
}

fn confirmed(item: usize, value: Option<&str>) -> String {
    let item = item + 1;
    match value {
        Some(value) => format!("item {item} confirmed: {value}"),
        None => format!("item {item} confirmed"),
    }
}

fn reviewed(path: &str, new: Option<&str>) -> String {
    match new {
        Some(id) => format!(
            "reviewed {path} at {}",
            id.chars().take(12).collect::<String>()
        ),
        None => format!("reviewed that {path} is removed"),
    }
}
