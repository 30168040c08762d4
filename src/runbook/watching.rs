//! Gates that look again and again: what they look at, how often, and what a ramp sets meanwhile.

use std::time::Duration;

use crate::expectation::{Condition, Statistic};

/// Metrics that are looked at for a while.
#[derive(Debug, Clone, PartialEq)]
pub struct Observe {
    /// The target that the metrics' statements are asked of.
    pub target: Option<String>,
    /// How long everything must have been seen to be well.
    pub lasts: Duration,
    pub every: Duration,
    pub metrics: Vec<Metric>,
}

/// A flag that is raised step by step while metrics are looked at.
#[derive(Debug, Clone, PartialEq)]
pub struct Ramp {
    /// The target that statements are asked of; it decides whether its name must be typed.
    pub target: Option<String>,
    pub flag: FlagWay,
    pub steps: Vec<RampStep>,
    pub every: Duration,
    pub on_breach: OnBreach,
    pub metrics: Vec<Metric>,
}

/// How the flag is set and read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FlagWay {
    Sql {
        set: String,
        read: String,
    },
    Argv {
        set: Vec<String>,
        read: Vec<String>,
    },
    /// A number in a file, found by a pattern with one group; the edit is committed.
    File {
        path: String,
        pattern: String,
    },
}

/// A value of the flag, and how long it is watched there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RampStep {
    pub percent: u8,
    pub soak: Duration,
    /// A person says when the flag is raised to this value.
    pub confirm: bool,
}

/// What follows when a metric leaves its band.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnBreach {
    /// The flag stays where it is, and a person is asked.
    Hold,
    /// The flag is set to the step before.
    StepBack,
}

/// Something that is measured.
#[derive(Debug, Clone, PartialEq)]
pub struct Metric {
    pub name: String,
    pub unit: Option<String>,
    pub source: MetricSource,
    pub success: Option<Condition>,
    pub failure: Option<Condition>,
    pub min_samples: u32,
    pub failures_allowed: u32,
    pub errors_allowed: u32,
    pub inconclusive_allowed: u32,
    /// The name under which later gates know the number.
    pub capture: Option<String>,
    pub statistic: Statistic,
}

/// Where a number comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MetricSource {
    /// The first column of the first row.
    Sql(String),
    /// The last line of a program that only looks.
    Argv(Vec<String>),
}
