//! What may be asked of a run. Reading this file and `event.rs` gives the whole behaviour.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::signature::{Purpose, TargetSeen};
use super::{BlockerEnd, BlockerRecord, Decision, Definition, EffectRecord, FlagSays, Remedy};
use crate::expectation::Finding;

/// Who asks, and from where.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Actor {
    /// The login name, or the name the person gave.
    pub name: String,
    pub via: Via,
}

/// Through what an actor acts. Only a console has a person in front of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Via {
    Console,
    Headless,
    /// A worker reports what it did.
    Engine,
}

/// When, and who.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moment {
    pub now: Timestamp,
    pub actor: Actor,
}

/// How a run begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opening {
    pub run: String,
    /// The version of the program that opens it.
    pub version: String,
    pub runbook_path: String,
    /// Where the runbook's relative paths start.
    pub base: String,
    /// What the command line gave for the runbook's variables.
    pub vars: BTreeMap<String, String>,
    pub definition: Definition,
    /// Drawn for this run alone, in hex.
    pub nonce: String,
}

/// What reconciling a gate in doubt found out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Resolution {
    /// Everything the gate wanted to do is done.
    Passed,
    /// It ended, and not well.
    Failed,
    /// Nothing of it is in flight; it may be started again and will do only what is left.
    Pending,
}

impl Resolution {
    /// The word for it in journals and reports.
    pub fn word(self) -> &'static str {
        match self {
            Resolution::Passed => "passed",
            Resolution::Failed => "failed",
            Resolution::Pending => "pending",
        }
    }
}

/// A request, as a value. Whether it is granted is decided in [`super::decide`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Begins a run. Only on an empty journal.
    Open(Box<Opening>),
    /// A process takes up a run that exists.
    Continue { version: String },
    /// Starts a gate for the first time, or again after it went stale.
    Start {
        gate: String,
        plan: Option<String>,
        typed_name: Option<String>,
    },
    /// Starts a gate again that did not pass.
    Retry {
        gate: String,
        plan: Option<String>,
        typed_name: Option<String>,
    },
    /// Confirms one item of a checklist.
    ConfirmItem {
        gate: String,
        item: usize,
        value: Option<String>,
    },
    /// Asks the running gate to stop.
    Cancel { gate: String },
    /// Chooses at a gate that is at work: the answer to its question, or what it always offers.
    Choose {
        gate: String,
        /// The question that was answered; 0 when none was asked.
        question: u64,
        choice: String,
    },
    /// Asks a session that is in the way of the gate at work to stop or to go.
    SignalBlocker {
        gate: String,
        blocker: BlockerRecord,
        /// Its process number, as a person typed it.
        typed_pid: Option<String>,
    },
    /// Lets the run go past a gate that did not pass; only where the runbook allows it.
    Waive { gate: String, reason: String },
    /// Says what is done about the difference that a gate found, and who approved that.
    DecideRemedy {
        gate: String,
        remedy: Remedy,
        approved_by: String,
        reason: String,
    },
    /// A person has read what a change makes of a file.
    ReviewFile {
        /// The repository's top folder.
        repository: String,
        path: String,
        /// What both sides have, as git names it.
        old: Option<String>,
        new: Option<String>,
    },
    /// Takes that back.
    WithdrawReview {
        repository: String,
        path: String,
        old: Option<String>,
        new: Option<String>,
    },
    /// A person in a role decides.
    Sign {
        gate: String,
        role: String,
        person: String,
        decision: Decision,
        note: String,
    },
    /// Lets statements wait for signatures.
    IssueStatements {
        gate: String,
        purpose: Purpose,
        /// Why the gate is waived; nothing for a sign-off.
        reason: String,
        /// Drawn for these statements alone.
        seed: String,
        /// The databases that the run has seen.
        targets: Vec<TargetSeen>,
    },
    /// Hands in what a signer gave. Whoever carries it adds nothing to it.
    HandIn {
        text: String,
        /// How it came, in words.
        from: String,
        received: Timestamp,
        targets: Vec<TargetSeen>,
    },
    /// Looks whether what was signed is still as it was.
    CheckSignatures { targets: Vec<TargetSeen> },
    /// Stops the run from starting anything until it is resumed.
    Hold { reason: String },
    /// Ends a hold.
    Resume,
    /// Writes a remark into the journal.
    Note { gate: Option<String>, text: String },
    /// Gives the conn to another operator.
    HandOver {
        to: String,
        /// The epoch that begins with it, where somebody at another terminal asked for it.
        epoch: Option<u64>,
    },
    /// Takes the conn up at another terminal than the one before.
    TakeConn {
        from: String,
        epoch: u64,
        /// Its holder was gone and did not answer.
        unanswered: bool,
    },
    /// Starts a way back. From then on no gate of the run itself moves.
    RollBack {
        rollback: String,
        reason: String,
        typed_name: Option<String>,
        choices: Vec<String>,
    },
    /// Says that a person sent a message, and how.
    SayMessage {
        message: String,
        gate: Option<String>,
        how: String,
        /// SHA-256 of its text.
        text: String,
    },
    /// Gives the run up for good.
    Abandon { reason: String },
    /// Ends a run all of whose gates let it through.
    Close,
    /// A worker reports one finished part of a gate, such as one migration file.
    RecordEffect {
        gate: String,
        attempt: u32,
        effect: EffectRecord,
    },
    /// The watcher reports what became of a session that was asked to stop or to go.
    RecordSignal {
        gate: String,
        attempt: u32,
        ended: BlockerEnd,
    },
    /// A worker reports how the gate ended.
    Finish {
        gate: String,
        attempt: u32,
        finding: Finding,
        evidence: Option<String>,
        captures: BTreeMap<String, String>,
        /// SHA-256 of what else was kept of it, by its path in the run's folder.
        files: BTreeMap<String, String>,
        /// The work stopped because it was asked to, and left nothing half done.
        canceled: bool,
    },
    /// A worker cannot say how the gate ended: an answer was lost.
    Lose {
        gate: String,
        attempt: u32,
        finding: Finding,
    },
    /// Reconciling found out how a gate in doubt ended.
    Resolve {
        gate: String,
        attempt: u32,
        resolution: Resolution,
        finding: Finding,
        evidence: Option<String>,
    },
    /// What a gate passed on has changed since.
    Invalidate { gate: String, reason: String },
    /// What can keep migrations from running was looked at.
    SeeFlag { flag: String, says: FlagSays },
    /// A person, or a program on its behalf, gives the plan that a gate judges.
    PastePlan {
        gate: String,
        /// SHA-256 of its text, which lies in the run's folder.
        sha256: String,
        bytes: u64,
    },
    /// A target's server is on a later timeline than any before: it was promoted, or restored.
    RecordTimeline {
        target: String,
        system_identifier: String,
        timeline: u32,
    },
}
