//! What a file is expected to hold, what it holds, and the verdict.

use serde::{Deserialize, Serialize};

use super::Finding;

/// What the runbook demands of a file. Patterns are regular expressions, checked at load.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct FileExpectation {
    pub exists: bool,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub contains: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lacks: Vec<String>,
}

/// Where a pattern was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PatternMatch {
    pub pattern: String,
    /// How often it was found.
    pub count: u64,
    /// The first matching lines: number (from 1) and cleaned text.
    pub lines: Vec<(u64, String)>,
}

/// What was seen of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FileSeen {
    Missing,
    /// It is there and cannot be read, or is no plain file.
    Unreadable(String),
    Read {
        bytes: u64,
        sha256: String,
        /// One entry a pattern of `contains`, then one a pattern of `lacks`.
        matches: Vec<PatternMatch>,
    },
}

impl FileExpectation {
    /// Judges what was seen.
    pub fn judge(&self, seen: &FileSeen) -> Finding {
        match seen {
            FileSeen::Missing if self.exists => Finding::failed("the file does not exist")
                .because("nothing stands at this path")
                .can("make the file, or mend the path in the runbook, then retry this gate"),
            FileSeen::Missing => Finding::passed("there is no such file, as expected"),
            FileSeen::Unreadable(reason) => {
                Finding::errored(format!("the file cannot be read: {reason}"))
                    .can("mend its permissions, then retry this gate")
            }
            FileSeen::Read { .. } if !self.exists => Finding::failed("the file exists")
                .because("it must not be there")
                .can("remove it, then retry this gate"),
            FileSeen::Read { bytes, matches, .. } => self.judge_matches(*bytes, matches),
        }
    }

    fn judge_matches(&self, bytes: u64, matches: &[PatternMatch]) -> Finding {
        let count = |pattern: &String| {
            matches
                .iter()
                .find(|m| m.pattern == *pattern)
                .map_or(0, |m| m.count)
        };
        let mut findings = Vec::new();
        for pattern in &self.contains {
            if count(pattern) == 0 {
                findings.push(
                    Finding::failed(format!("`{pattern}` is not in the file"))
                        .because(format!("no line of its {bytes} bytes matches"))
                        .can("complete the file, then retry this gate"),
                );
            }
        }
        for pattern in &self.lacks {
            let found = matches
                .iter()
                .find(|m| m.pattern == *pattern && m.count > 0);
            if let Some(found) = found {
                let mut finding =
                    Finding::failed(format!("`{pattern}` is in the file, {} times", found.count));
                for (number, line) in found.lines.iter().take(5) {
                    finding = finding.because(format!("line {number}: {line}"));
                }
                findings.push(finding.can("mend what these lines report, then retry this gate"));
            }
        }
        Finding::worst(findings)
            .unwrap_or_else(|| Finding::passed(format!("{bytes} bytes, every pattern as expected")))
    }
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::*;

    #[test]
    fn patterns_must_be_there_and_must_not_be_there() {
        let wanted = FileExpectation {
            exists: true,
            contains: vec!["done".into()],
            lacks: vec!["ERROR".into()],
        };
        let seen = |done, error| FileSeen::Read {
            bytes: 10,
            sha256: String::new(),
            matches: vec![
                PatternMatch {
                    pattern: "done".into(),
                    count: done,
                    lines: vec![],
                },
                PatternMatch {
                    pattern: "ERROR".into(),
                    count: error,
                    lines: vec![(3, "ERROR x".into())],
                },
            ],
        };
        assert_eq!(wanted.judge(&seen(1, 0)).verdict, Verdict::Passed);
        assert_eq!(wanted.judge(&seen(0, 0)).verdict, Verdict::Failed);
        let refused = wanted.judge(&seen(1, 2));
        assert_eq!(refused.verdict, Verdict::Failed);
        assert_eq!(refused.caused_by, ["line 3: ERROR x"]);
        assert_eq!(wanted.judge(&FileSeen::Missing).verdict, Verdict::Failed);
    }

    #[test]
    fn a_file_that_must_be_absent() {
        let wanted = FileExpectation::default();
        assert_eq!(wanted.judge(&FileSeen::Missing).verdict, Verdict::Passed);
    }
}
