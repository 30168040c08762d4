//! What a drift gate saw, and the verdict on it.

use serde::{Deserialize, Serialize};

use crate::expectation::Finding;
use crate::schema::{Change, Comparison, Difference, Direction, Severity};
use crate::untrusted::clean_line;

/// Causes that a finding lists: all findings at once, as far as anybody reads them. The evidence
/// has every one.
const LISTED: usize = 100;
const SHORT: usize = 12;

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
    /// Where the migration files and the ledger do not say the same.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub history: Vec<HistoryGap>,
    /// The newest recorded version, where the gate asks for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<VersionSeen>,
}

/// A migration that the ledger does not have as it lies here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistoryGap {
    pub file: String,
    pub standing: HistoryStanding,
}

/// How the ledger and a file differ.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HistoryStanding {
    /// It was not applied.
    Missing,
    /// It was applied with another content.
    Changed { applied_at: String },
    /// It was applied and is not among the files.
    Unexpected { applied_at: String },
    /// It was applied under another name.
    Moved { applied_as: String },
    /// A recorded version says that it was applied, and the ledger does not.
    Forgotten { version: String },
}

impl HistoryGap {
    /// The gap as one line.
    pub fn words(&self) -> String {
        let file = &self.file;
        match &self.standing {
            HistoryStanding::Missing => format!("missing migration {file}"),
            HistoryStanding::Changed { applied_at } => format!(
                "checksum mismatch of {file}: it has changed since it was applied on {applied_at}"
            ),
            HistoryStanding::Unexpected { applied_at } => format!(
                "unexpected migration {file}: it was applied on {applied_at} and is not here"
            ),
            HistoryStanding::Moved { applied_as } => {
                format!("moved migration {file}: it was applied as {applied_as}")
            }
            HistoryStanding::Forgotten { version } => format!(
                "forgotten migration {file}: version {version} says that it was applied, and the \
                 ledger does not"
            ),
        }
    }

    pub(super) fn was_applied_as(&self, file: &str) -> bool {
        matches!(&self.standing, HistoryStanding::Moved { applied_as } if applied_as == file)
    }

    fn direction(&self) -> Direction {
        match self.standing {
            HistoryStanding::Missing => Direction::Behind,
            HistoryStanding::Changed { .. }
            | HistoryStanding::Moved { .. }
            | HistoryStanding::Forgotten { .. } => Direction::Diverged,
            HistoryStanding::Unexpected { .. } => Direction::Ahead,
        }
    }
}

/// What a target says of its own schema.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct VersionSeen {
    pub table: String,
    /// None when no version was ever recorded.
    pub version: Option<String>,
    /// In UTC.
    #[serde(default)]
    pub applied_at: String,
    pub checksum: Option<String>,
    /// Columns that a table of this name lacks.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lacks: Vec<String>,
}

impl VersionSeen {
    /// What is wrong with it, given the schema's checksum.
    fn mismatch(&self, actual: &str) -> Option<String> {
        let table = &self.table;
        if !self.lacks.is_empty() {
            let lacks = self.lacks.join(", ");
            return Some(format!("{table} is another table: it has no {lacks}"));
        }
        let short = |sum: &str| sum.chars().take(SHORT).collect::<String>();
        match (&self.version, &self.checksum) {
            (None, _) => Some(format!("no schema version is recorded in {table}")),
            (Some(_), Some(recorded)) if recorded == actual => None,
            (Some(version), None) => Some(format!("version {version} has no checksum")),
            (Some(version), Some(recorded)) => {
                let [was, is] = match short(recorded) == short(actual) {
                    true => [recorded.clone(), actual.to_owned()],
                    false => [short(recorded), short(actual)],
                };
                Some(format!(
                    "schema checksum mismatch: version {version} has {was}, the schema has {is}"
                ))
            }
        }
    }
}

/// One difference as one line, without its severity.
pub(in crate::gate) fn difference_words(difference: &Difference) -> String {
    let (kind, name) = (difference.kind, &difference.name);
    clean_line(&match (difference.change, &difference.property) {
        (Change::Removed, _) => format!("missing {kind} {name}"),
        (Change::Added, _) => format!("unexpected {kind} {name}"),
        (Change::Changed, None) => format!("different {kind} {name}"),
        (Change::Changed, Some(property)) => format!("different {kind} {name}, {property}"),
    })
}

impl DriftSeen {
    /// What is wrong with the history and the recorded version, in lines.
    pub fn recorded(&self) -> Vec<String> {
        let version = self.version.as_ref();
        let version = version.and_then(|version| version.mismatch(&self.actual_checksum));
        let history = self.history.iter().map(HistoryGap::words);
        history
            .chain(version)
            .map(|words| clean_line(&words))
            .collect()
    }

    /// Computes the verdict. A hard difference is never allowed, nor is a gap in the history.
    pub fn judge(&self) -> Finding {
        let standing: Vec<&Difference> = self
            .comparison
            .differences
            .iter()
            .enumerate()
            .filter(|(index, d)| d.severity == Severity::Hard || !self.allowed.contains(index))
            .map(|(_, difference)| difference)
            .collect();
        let recorded = self.recorded();
        let of_history = recorded.len();
        if standing.is_empty() && of_history == 0 {
            return self.passed();
        }
        let (all, hard) = (
            standing.len() + of_history,
            self.comparison.hard() + of_history,
        );
        let lines = recorded
            .iter()
            .map(|words| format!("{words} (hard)"))
            .chain(standing.iter().map(|difference| {
                let words = difference_words(difference);
                format!("{words} ({})", difference.severity.word())
            }));
        let plural = if all == 1 { "" } else { "s" };
        let mut finding = Finding::failed(format!("{all} difference{plural}, {hard} hard"));
        for line in lines.take(LISTED) {
            finding = finding.because(line);
        }
        if all > LISTED {
            finding = finding.because(format!("and {} more, in the evidence", all - LISTED));
        }
        let directions = standing.iter().map(|difference| difference.direction);
        let direction = directions
            .chain(self.history.iter().map(HistoryGap::direction))
            .reduce(Direction::with);
        if let Some(direction) = direction {
            let (word, remedy) = (direction.word(), direction.remedy());
            finding = finding.can(format!("the database is {word}: {remedy}"));
        }
        if of_history > self.history.len() {
            finding = finding.can(
                "find out who changed the schema since; when it is as it should be, record it with \
                 a schema-version gate",
            );
        }
        finding.can("then retry this gate: it reads both sides again")
    }

    fn passed(&self) -> Finding {
        let ignored = self.comparison.ignored.len();
        let mut summary = format!("{} objects are as expected", self.objects[1]);
        for (count, word) in [(self.allowed.len(), "allowed"), (ignored, "ignored")] {
            if count > 0 {
                let plural = if count == 1 { "" } else { "s" };
                summary.push_str(&format!("; {count} difference{plural} {word}"));
            }
        }
        match self.comparison.notes.len() {
            0 => {}
            1 => summary.push_str("; 1 note"),
            notes => summary.push_str(&format!("; {notes} notes")),
        }
        if let Some(version) = self.version.as_ref().and_then(|v| v.version.as_ref()) {
            summary.push_str(&format!("; version {version}"));
        }
        Finding::passed(summary)
    }

    /// The direction of all that stands, in one word; none when nothing does.
    pub fn direction(&self) -> Option<Direction> {
        let differences = self.comparison.differences.iter().map(|d| d.direction);
        differences
            .chain(self.history.iter().map(HistoryGap::direction))
            .reduce(Direction::with)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expectation::Verdict;
    use crate::schema::Kind;

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
            history: Vec::new(),
            version: None,
        }
    }

    #[test]
    fn only_soft_differences_can_be_allowed() {
        let verdict = |severity, allowed| seen(severity, allowed).judge().verdict;
        assert_eq!(verdict(Severity::Soft, vec![]), Verdict::Failed);
        assert_eq!(verdict(Severity::Soft, vec![0]), Verdict::Passed);
        assert_eq!(verdict(Severity::Hard, vec![0]), Verdict::Failed);
    }

    #[test]
    fn a_gap_in_the_history_stops_whatever_is_allowed() {
        let mut drifted = seen(Severity::Soft, vec![0]);
        drifted.history.push(HistoryGap {
            file: "m/2.sql".to_owned(),
            standing: HistoryStanding::Missing,
        });
        let finding = drifted.judge();
        assert_eq!(finding.verdict, Verdict::Failed);
        assert_eq!(finding.caused_by, ["missing migration m/2.sql (hard)"]);
        assert_eq!(drifted.direction(), Some(Direction::Diverged));
    }

    #[test]
    fn the_recorded_version_must_have_the_checksum_of_the_schema() {
        let with = |version: Option<&str>, checksum: &str| {
            let mut drifted = seen(Severity::Soft, vec![0]);
            drifted.actual_checksum = "abc".to_owned();
            drifted.version = Some(VersionSeen {
                table: "public.schema_version".to_owned(),
                version: version.map(str::to_owned),
                checksum: Some(checksum.to_owned()),
                ..VersionSeen::default()
            });
            drifted.judge()
        };
        assert_eq!(
            with(Some("20240115.143022"), "abc").verdict,
            Verdict::Passed
        );
        let other = with(Some("20240115.143022"), "abd");
        assert_eq!(other.verdict, Verdict::Failed);
        assert!(other.caused_by[0].contains("version 20240115.143022 has abd"));
        assert_eq!(with(None, "abc").verdict, Verdict::Failed);
    }
}
