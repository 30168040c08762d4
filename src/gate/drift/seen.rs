//! What a drift gate saw, and the verdict on it.

use serde::{Deserialize, Serialize};

use crate::expectation::Finding;
use crate::schema::{Comparison, Direction, Severity};
use crate::untrusted::clean_line;

/// Causes that a finding lists; the evidence has them all.
const LISTED: usize = 8;

/// Two schemas, by their checksums, and what they differ in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DriftSeen {
    /// The source, as the runbook names it.
    pub expected: String,
    pub expected_checksum: String,
    pub actual_checksum: String,
    /// How many objects each side has.
    pub objects: [usize; 2],
    pub comparison: Comparison,
    /// Soft differences that a rule of the runbook allows, by their place in the comparison.
    pub allowed: Vec<usize>,
    /// Files of the run's folder that hold both schemas.
    pub exported: Vec<String>,
}

impl DriftSeen {
    /// Computes the verdict. A hard difference is never allowed.
    pub fn judge(&self) -> Finding {
        let standing: Vec<_> = self
            .comparison
            .differences
            .iter()
            .enumerate()
            .filter(|(index, d)| d.severity == Severity::Hard || !self.allowed.contains(index))
            .map(|(_, difference)| difference)
            .collect();
        let ignored = self.comparison.ignored.len();
        if standing.is_empty() {
            let mut summary = format!("{} objects are as expected", self.objects[1]);
            for (count, word) in [(self.allowed.len(), "allowed"), (ignored, "ignored")] {
                if count > 0 {
                    summary.push_str(&format!("; {count} differences {word}"));
                }
            }
            return Finding::passed(summary);
        }
        let hard = self.comparison.hard();
        let mut finding = Finding::failed(format!("{} differences, {hard} hard", standing.len()));
        for difference in standing.iter().take(LISTED) {
            let property = difference.property.as_deref();
            let property = property.map_or(String::new(), |p| format!(", {p}"));
            finding = finding.because(clean_line(&format!(
                "{} {} {}{property} ({})",
                difference.change.word(),
                difference.kind,
                difference.name,
                difference.severity.word()
            )));
        }
        if standing.len() > LISTED {
            let more = standing.len() - LISTED;
            finding = finding.because(format!("and {more} more"));
        }
        let direction = standing
            .iter()
            .map(|difference| difference.direction)
            .reduce(Direction::with)
            .unwrap_or(Direction::Diverged);
        finding
            .can(format!(
                "the database is {}: {}",
                direction.word(),
                direction.remedy()
            ))
            .can("then retry this gate: it reads both sides again")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expectation::Verdict;
    use crate::schema::{Change, Difference, Kind};

    fn seen(severity: Severity, allowed: Vec<usize>) -> DriftSeen {
        let difference = Difference {
            kind: Kind::Table,
            name: "public.t".to_owned(),
            change: Change::Changed,
            property: Some("comment".to_owned()),
            expected: None,
            actual: Some("x".to_owned()),
            severity,
            direction: Direction::Ahead,
            dependants: Vec::new(),
            maybe_renamed: None,
            ignored_by: None,
        };
        DriftSeen {
            expected: "schema.sql".to_owned(),
            expected_checksum: String::new(),
            actual_checksum: String::new(),
            objects: [1, 1],
            comparison: Comparison {
                format: 1,
                equal: false,
                differences: vec![difference],
                ignored: Vec::new(),
                renames: Vec::new(),
                notes: Vec::new(),
            },
            allowed,
            exported: Vec::new(),
        }
    }

    #[test]
    fn only_soft_differences_can_be_allowed() {
        let verdict = |severity, allowed| seen(severity, allowed).judge().verdict;
        assert_eq!(verdict(Severity::Soft, vec![]), Verdict::Failed);
        assert_eq!(verdict(Severity::Soft, vec![0]), Verdict::Passed);
        assert_eq!(verdict(Severity::Hard, vec![0]), Verdict::Failed);
    }
}
