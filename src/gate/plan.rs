//! What a gate is going to do, in words and as a hash.

use super::migrate_plan::MigrationPlan;
use super::ramp_plan::RampPlan;
use crate::digest::digest;

/// How a line of a plan is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    Plain,
    Heading,
    Sql,
    Good,
    Warning,
    Bad,
    Muted,
}

/// One line of a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanLine {
    pub tone: Tone,
    pub text: String,
}

/// What a plan carries for the work itself.
#[derive(Debug, Clone)]
pub enum Payload {
    None,
    Migration(Box<MigrationPlan>),
    Ramp(RampPlan),
    /// What a person may choose to take back, the last applied first.
    Undoes(Vec<String>),
    Commit(Box<crate::git::commit::CommitPlan>),
    Merge(Box<crate::git::merge::MergePlan>),
    /// The SQL that a tool would run.
    Texts(Vec<String>),
}

/// What a gate is going to do.
#[derive(Debug, Clone)]
pub struct Plan {
    /// SHA-256 over what the gate depends on; nothing in it changes by itself.
    pub digest: String,
    /// One line.
    pub summary: String,
    pub lines: Vec<PlanLine>,
    /// Why the gate would refuse if it were started now, if that is known already.
    pub refuses: Option<String>,
    pub payload: Payload,
}

impl Plan {
    /// Begins a plan whose hash is over `inputs`.
    pub fn new(summary: impl Into<String>, inputs: &[&str]) -> Plan {
        Plan {
            digest: digest(inputs.join("\0").as_bytes()),
            summary: crate::untrusted::clean_line(&summary.into()),
            lines: Vec::new(),
            refuses: None,
            payload: Payload::None,
        }
    }

    /// Adds a line; text of several lines becomes several.
    pub fn line(&mut self, tone: Tone, text: impl AsRef<str>) {
        for line in crate::untrusted::clean(text.as_ref()).lines() {
            self.lines.push(PlanLine {
                tone,
                text: line.to_owned(),
            });
        }
    }

    /// Adds a line and returns the plan.
    #[must_use]
    pub fn with(mut self, tone: Tone, text: impl AsRef<str>) -> Plan {
        self.line(tone, text);
        self
    }
}
