//! What a gate expects, what it saw, and the verdict between the two.
//!
//! Everything here is a pure function of data: the same evidence gives the same verdict on every
//! machine and on every replay. No rows, NULL and NaN are never a pass.

mod arithmetic;
mod comparison;
mod file;
mod metric;
mod number;
mod process;
mod query;
mod series;
mod soak;
mod watch;

pub use arithmetic::{ArithmeticError, Expression};
pub use comparison::{Comparison, ComparisonError, Operator};
pub use file::{FileExpectation, FileSeen, PatternMatch};
pub use metric::{Band, Condition, ConditionError, MetricRule, Reading, Statistic, Tally};
pub use number::{NotANumber, Number};
pub use process::{ExitSeen, ProcessExpectation, ProcessSeen};
pub use query::{Answer, ErrorSeen, ExpectedError, QueryExpectation, Table};
pub use series::{MOST_POINTS, Point, Series};
pub use soak::Soak;
pub use watch::{Standing, Watch};

use serde::{Deserialize, Serialize};

/// How a gate ended. The order is the order of severity, used wherever several are combined.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The evidence meets every expectation.
    Passed,
    /// There was nothing to judge: no row, NULL, no sample.
    Inconclusive,
    /// The measurement could not be taken.
    Errored,
    /// The evidence contradicts an expectation.
    Failed,
}

impl Verdict {
    /// The word for it on every screen, in every report.
    pub fn word(self) -> &'static str {
        match self {
            Verdict::Passed => "passed",
            Verdict::Inconclusive => "inconclusive",
            Verdict::Errored => "errored",
            Verdict::Failed => "failed",
        }
    }
}

/// A verdict with the reason in words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Finding {
    pub verdict: Verdict,
    /// One line: what was seen, or why that is not what was expected.
    pub summary: String,
    /// What caused the refusal, most telling first; empty when passed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub caused_by: Vec<String>,
    /// What a person can do about it; empty when passed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub what_you_can_do: Vec<String>,
}

impl Finding {
    /// Makes a finding of `verdict` with a one-line `summary`.
    pub fn new(verdict: Verdict, summary: impl Into<String>) -> Self {
        Finding {
            verdict,
            summary: summary.into(),
            caused_by: Vec::new(),
            what_you_can_do: Vec::new(),
        }
    }

    /// A finding of [`Verdict::Passed`].
    pub fn passed(summary: impl Into<String>) -> Self {
        Self::new(Verdict::Passed, summary)
    }

    /// A finding of [`Verdict::Failed`].
    pub fn failed(summary: impl Into<String>) -> Self {
        Self::new(Verdict::Failed, summary)
    }

    /// A finding of [`Verdict::Errored`].
    pub fn errored(summary: impl Into<String>) -> Self {
        Self::new(Verdict::Errored, summary)
    }

    /// A finding of [`Verdict::Inconclusive`].
    pub fn inconclusive(summary: impl Into<String>) -> Self {
        Self::new(Verdict::Inconclusive, summary)
    }

    /// Adds a cause.
    #[must_use]
    pub fn because(mut self, cause: impl Into<String>) -> Self {
        self.caused_by.push(cause.into());
        self
    }

    /// Adds a way forward.
    #[must_use]
    pub fn can(mut self, action: impl Into<String>) -> Self {
        self.what_you_can_do.push(action.into());
        self
    }

    /// The worst of several findings: failed over errored over inconclusive over passed.
    pub fn worst(findings: Vec<Finding>) -> Option<Finding> {
        let mut worst: Option<Finding> = None;
        for finding in findings {
            match &worst {
                Some(seen) if seen.verdict >= finding.verdict => {}
                _ => worst = Some(finding),
            }
        }
        worst
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failed_is_worse_than_errored_is_worse_than_inconclusive() {
        let order = [
            Verdict::Passed,
            Verdict::Inconclusive,
            Verdict::Errored,
            Verdict::Failed,
        ];
        assert!(order.windows(2).all(|pair| pair[0] < pair[1]));
        let worst = Finding::worst(vec![
            Finding::passed("a"),
            Finding::failed("b"),
            Finding::errored("c"),
        ]);
        assert_eq!(worst.map(|f| f.summary).as_deref(), Some("b"));
        assert_eq!(Finding::worst(Vec::new()), None);
    }
}
