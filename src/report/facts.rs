//! The run as data. Serialised, this is the JSON report.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;

use super::line::Line;
use crate::expectation::Finding;

/// The version of the JSON report's form.
pub(super) const FORMAT: u32 = 1;

/// A whole run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Facts {
    pub format: u32,
    pub run: RunFacts,
    pub targets: Vec<TargetFacts>,
    pub phases: Vec<PhaseFacts>,
    /// The people who were asked for and what they said.
    pub signatures: Vec<SignatureFacts>,
    pub waivers: Vec<SaidFacts>,
    pub decisions: Vec<SaidFacts>,
    pub messages: Vec<SaidFacts>,
    pub notes: Vec<SaidFacts>,
    pub timeline: Vec<RecordFacts>,
    /// What the folder lacks of what the journal names.
    pub missing: Vec<String>,
}

/// The run itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RunFacts {
    pub id: String,
    pub title: String,
    pub runbook: String,
    pub runbook_sha256: String,
    /// The versions of the program that worked on it, in order.
    pub versions: Vec<String>,
    /// Who had the conn, in order.
    pub operators: Vec<String>,
    pub vars: BTreeMap<String, String>,
    pub opened: Timestamp,
    pub updated: Timestamp,
    pub status: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub because: Option<String>,
    pub through: usize,
    pub gates: usize,
    /// The last record.
    pub seq: u64,
    pub head: String,
    /// How long the window lasts by the runbook, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub window_ms: Option<u64>,
    pub captures: BTreeMap<String, String>,
}

/// A database of the run, and who answered for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TargetFacts {
    pub name: String,
    pub environment: String,
    pub servers: Vec<String>,
}

/// A phase, or a way back that was gone.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PhaseFacts {
    pub id: String,
    pub title: String,
    pub gates: Vec<GateFacts>,
}

/// A gate with every attempt at it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct GateFacts {
    pub id: String,
    pub title: String,
    pub kind: String,
    pub state: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finding: Option<Finding>,
    /// How long it was expected to take, in milliseconds, and who said so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub planned: Option<Planned>,
    /// How long its attempts took together, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub took_ms: Option<u64>,
    pub attempts: Vec<AttemptFacts>,
    /// Why it was left out or went stale.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub because: Option<String>,
    /// What the console shows of it.
    pub lines: Vec<Line>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub charts: Vec<ChartFacts>,
}

/// A duration that was said beforehand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Planned {
    pub ms: u64,
    /// `the runbook` or `the rehearsal`.
    pub by: String,
}

/// One attempt at a gate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AttemptFacts {
    pub number: u32,
    pub started: Timestamp,
    pub by: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub took_ms: Option<u64>,
    /// A verdict, `canceled`, `in doubt`, or `reconciled as` something; absent while it runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub came_to: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finding: Option<Finding>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub typed_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plan: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub evidence: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<PartFacts>,
}

/// A part of an acting gate, such as one migration file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PartFacts {
    pub name: String,
    pub outcome: String,
    pub took_ms: u64,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub detail: String,
}

/// A metric over time, with its limit where it has one.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ChartFacts {
    pub name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    pub points: Vec<PointFacts>,
    /// What success and failure mean, in words.
    pub rules: Vec<String>,
    pub limits: Vec<LimitFacts>,
}

/// A limit of a metric.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LimitFacts {
    /// `passes` or `fails`: what lies on the right side of it does.
    pub means: String,
    pub at: f64,
}

/// A moment of a metric; neither end is there when nothing was measured.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct PointFacts {
    pub at_ms: u64,
    pub low: Option<f64>,
    pub high: Option<f64>,
}

/// A person's decision at a sign-off.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SignatureFacts {
    pub gate: String,
    pub role: String,
    /// The role's title.
    pub title: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub person: Option<String>,
    /// `approved`, `REJECTED` or `not signed`.
    pub decision: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time: Option<Timestamp>,
    /// The fingerprint of the key; absent where a name was typed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub note: String,
}

/// What somebody said, and where.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SaidFacts {
    pub seq: u64,
    pub time: Timestamp,
    pub by: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gate: Option<String>,
    pub words: String,
}

/// A record of the journal in words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RecordFacts {
    pub seq: u64,
    pub time: Timestamp,
    pub by: String,
    pub via: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gate: Option<String>,
    pub words: String,
    pub hash: String,
}
