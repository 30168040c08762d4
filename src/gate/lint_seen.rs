//! What a lint saw, as evidence, and the verdict on it: a pure function of the evidence.

use serde::{Deserialize, Serialize};

use crate::expectation::Finding;
use crate::sql::elsewhere::LineSeen;
use crate::sql::hazard::Hazard;

/// How many findings are named in a verdict; all of them are in the evidence.
const NAMED: usize = 12;

/// One file and its hazards.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LintedFile {
    pub file: String,
    pub sha256: String,
    pub statements: usize,
    pub hazards: Vec<LintedHazard>,
}

/// A hazard, and what becomes of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LintedHazard {
    #[serde(flatten)]
    pub hazard: Hazard,
    pub standing: HazardStanding,
}

/// What becomes of a hazard.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HazardStanding {
    /// Its class does not refuse.
    Shown,
    /// Its class refuses, and nothing allows it.
    Refused,
    /// The runbook allows it, if the predicate holds; nobody has asked yet.
    Conditional { target: String, predicate: String },
    /// The runbook allows it, and the predicate held.
    Allowed {
        target: String,
        server: String,
        predicate: String,
        reason: String,
    },
    /// The runbook would allow it, but the predicate did not hold.
    PredicateFailed { predicate: String, why: String },
    /// The runbook would allow it, but the predicate could not be asked.
    PredicateErrored { predicate: String, why: String },
}

/// A write across a boundary.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BoundaryWrite {
    pub from: String,
    pub file: String,
    pub line: usize,
    pub verb: String,
    pub relation: String,
    /// The pattern that forbids it.
    pub forbidden: String,
    /// The line as it stands there.
    pub text: String,
}

/// A plan that somebody else made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanSeen {
    pub bytes: u64,
    /// Where it came from, its hash, and what is dangerous in it.
    pub file: LintedFile,
    /// What could not be read, or says too little.
    pub unclear: Vec<LineSeen>,
    /// The line that says that there is nothing to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nothing_to_do: Option<LineSeen>,
}

/// Everything that a lint saw.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct LintSeen {
    pub deny: Vec<String>,
    pub files: Vec<LintedFile>,
    pub boundary: Vec<BoundaryWrite>,
    /// How many files below the boundaries were read.
    pub boundary_files: usize,
    /// Files below the boundaries that are no text, too large, or links.
    pub skipped: Vec<String>,
    /// Why something could not be looked at.
    pub problems: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<Box<PlanSeen>>,
}

impl LintSeen {
    /// Judges what was seen.
    pub fn judge(&self) -> Finding {
        let mut findings = vec![self.passed()];
        findings.extend(self.unreadable());
        findings.extend(self.errored());
        findings.extend(self.unclear());
        findings.extend(self.refused());
        findings.extend(self.crossed());
        let failed: Vec<&Finding> = findings.iter().skip(1).collect();
        let causes: Vec<String> = failed.iter().flat_map(|f| f.caused_by.clone()).collect();
        let can: Vec<String> = failed
            .iter()
            .flat_map(|f| f.what_you_can_do.clone())
            .collect();
        let mut worst = Finding::worst(findings).unwrap_or_else(|| Finding::errored("nothing"));
        // One verdict, with every reason for it.
        worst.caused_by = causes;
        worst.what_you_can_do = can;
        worst
    }

    fn all(&self) -> impl Iterator<Item = (&LintedFile, &LintedHazard)> {
        let files = self.files.iter();
        let files = files.chain(self.plan.iter().map(|plan| &plan.file));
        files.flat_map(|file| file.hazards.iter().map(move |hazard| (file, hazard)))
    }

    fn passed(&self) -> Finding {
        let mut parts = Vec::new();
        if !self.files.is_empty() {
            let allowed = self
                .all()
                .filter(|(_, h)| matches!(h.standing, HazardStanding::Allowed { .. }));
            let all = self
                .files
                .iter()
                .map(|file| file.hazards.len())
                .sum::<usize>();
            let allowed = allowed.count();
            let statements: usize = self.files.iter().map(|f| f.statements).sum();
            parts.push(format!(
                "{} files, {statements} statements: {all} hazards, none refused{}",
                self.files.len(),
                match allowed {
                    0 => String::new(),
                    n => format!(", {n} allowed by the runbook"),
                }
            ));
        }
        if self.boundary_files > 0 {
            parts.push(format!(
                "{} source files: nothing is written across the boundary",
                self.boundary_files
            ));
        }
        if let Some(plan) = &self.plan {
            parts.push(match &plan.nothing_to_do {
                Some(line) => format!("{} says: {}", plan.file.file, line.text),
                None => format!(
                    "{}: {} statements, none refused",
                    plan.file.file, plan.file.statements
                ),
            });
        }
        Finding::passed(parts.join("; "))
    }

    /// A plan in which nothing was recognised, or not everything, has not been judged.
    fn unclear(&self) -> Option<Finding> {
        let plan = self.plan.as_ref()?;
        let nothing = plan.file.statements == 0 && plan.nothing_to_do.is_none();
        if plan.unclear.is_empty() && !nothing {
            return None;
        }
        let mut finding = Finding::inconclusive(format!("{} is unclear", plan.file.file));
        if nothing {
            finding = finding.because(
                "nothing in it is recognised as SQL, and it does not say that there is nothing to do",
            );
        }
        for line in plan.unclear.iter().take(NAMED) {
            finding = finding.because(format!("line {}: {}: {}", line.line, line.why, line.text));
        }
        if plan.unclear.len() > NAMED {
            finding = finding.because(format!("and {} more", plan.unclear.len() - NAMED));
        }
        Some(finding.can("give the whole plan, with the SQL that it would run, and nothing else"))
    }

    fn unreadable(&self) -> Option<Finding> {
        let nothing = self.files.is_empty() && self.boundary_files == 0 && self.plan.is_none();
        if self.problems.is_empty() && !nothing {
            return None;
        }
        let mut finding = Finding::errored("not everything could be looked at");
        for problem in self.problems.iter().take(NAMED) {
            finding = finding.because(problem.clone());
        }
        if nothing && self.problems.is_empty() {
            finding = finding.because("no file was read, which proves nothing");
        }
        Some(finding.can("mend what it names, or the paths in the runbook, then retry this gate"))
    }

    fn errored(&self) -> Option<Finding> {
        let mut causes = Vec::new();
        for (file, linted) in self.all() {
            if let HazardStanding::PredicateErrored { predicate, why } = &linted.standing {
                causes.push(format!(
                    "{}; its predicate could not be asked: {why} ({predicate})",
                    place(file, &linted.hazard)
                ));
            }
        }
        let finding = causes.into_iter().fold(
            Finding::errored("the predicate of a hazard could not be asked"),
            Finding::because,
        );
        (!finding.caused_by.is_empty())
            .then(|| finding.can("mend the predicate or the target, then retry this gate"))
    }

    fn refused(&self) -> Option<Finding> {
        let mut causes = Vec::new();
        let mut instead: Vec<String> = Vec::new();
        for (file, linted) in self.all() {
            let place = place(file, &linted.hazard);
            match &linted.standing {
                HazardStanding::Refused => causes.push(place),
                HazardStanding::PredicateFailed { predicate, why } => {
                    causes.push(format!("{place}; not allowed, because {why}: {predicate}"));
                }
                _ => continue,
            }
            let planned = self.plan.iter().any(|plan| std::ptr::eq(&plan.file, file));
            if !planned && !instead.contains(&linted.hazard.instead) {
                instead.push(linted.hazard.instead.clone());
            }
        }
        let count = causes.len();
        let summary = match count {
            0 => return None,
            1 => "1 hazard is refused".to_owned(),
            n => format!("{n} hazards are refused"),
        };
        let mut finding = Finding::failed(summary);
        for cause in causes.into_iter().take(NAMED) {
            finding = finding.because(cause);
        }
        if count > NAMED {
            finding = finding.because(format!("and {} more", count - NAMED));
        }
        for instead in instead.into_iter().take(4) {
            finding = finding.can(instead);
        }
        let planned = self.plan.iter().flat_map(|plan| &plan.file.hazards);
        let planned = planned.filter(|h| h.standing == HazardStanding::Refused);
        if planned.count() == count {
            return Some(finding.can("do not approve it; cancel it where it is shown"));
        }
        Some(finding.can(
            "or allow it by name for this file in the runbook, with a predicate that proves it harmless",
        ))
    }

    fn crossed(&self) -> Option<Finding> {
        let count = self.boundary.len();
        let summary = match count {
            0 => return None,
            1 => "1 write crosses the boundary".to_owned(),
            n => format!("{n} writes cross the boundary"),
        };
        let mut finding = Finding::failed(summary);
        for write in self.boundary.iter().take(NAMED) {
            finding = finding.because(format!(
                "{}:{}: {} {}, which {} may not write ({})",
                write.file, write.line, write.verb, write.relation, write.from, write.forbidden
            ));
        }
        if count > NAMED {
            finding = finding.because(format!("and {} more", count - NAMED));
        }
        Some(finding.can("have the owner of the code take the writes out, then retry this gate"))
    }
}

/// One line: where it is, how it is called, what it does.
pub(super) fn place(file: &LintedFile, hazard: &Hazard) -> String {
    let relation = hazard
        .relation
        .as_ref()
        .map_or(String::new(), |relation| format!(" {relation}"));
    format!(
        "{}:{}: {} {} {}{relation}: {}",
        file.file,
        hazard.line,
        hazard.code,
        hazard.class.word(),
        hazard.kind.word(),
        hazard.message
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expectation::Verdict;
    use crate::sql::hazard::hazards;

    fn seen(standing: &[HazardStanding]) -> LintSeen {
        let hazard = hazards("drop table t").remove(0);
        let hazards = standing.iter().map(|standing| LintedHazard {
            hazard: hazard.clone(),
            standing: standing.clone(),
        });
        LintSeen {
            files: vec![LintedFile {
                file: "a.sql".into(),
                sha256: String::new(),
                statements: 1,
                hazards: hazards.collect(),
            }],
            ..LintSeen::default()
        }
    }

    #[test]
    fn a_verdict_is_the_worst_of_all() {
        let failed = HazardStanding::PredicateFailed {
            predicate: "SELECT NULL".into(),
            why: "it is NULL".into(),
        };
        let errored = HazardStanding::PredicateErrored {
            predicate: "SELECT x".into(),
            why: "42703".into(),
        };
        for (standing, verdict) in [
            (vec![], Verdict::Passed),
            (vec![HazardStanding::Shown], Verdict::Passed),
            (
                vec![HazardStanding::Shown, HazardStanding::Refused],
                Verdict::Failed,
            ),
            (vec![failed.clone()], Verdict::Failed),
            (vec![errored.clone()], Verdict::Errored),
            (vec![errored, failed], Verdict::Failed),
        ] {
            assert_eq!(seen(&standing).judge().verdict, verdict, "{standing:?}");
        }
        assert_eq!(LintSeen::default().judge().verdict, Verdict::Errored);
    }

    #[test]
    fn evidence_is_read_back() {
        let seen = seen(&[HazardStanding::Refused]);
        let text = serde_json::to_string(&seen).unwrap();
        assert_eq!(serde_json::from_str::<LintSeen>(&text).unwrap(), seen);
    }
}
