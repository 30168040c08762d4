//! What a rehearsal saw, as evidence, and the verdict on it: a pure function of the evidence.

use serde::{Deserialize, Serialize};

use super::compared::Verified;
use crate::expectation::{Finding, Verdict};
use crate::gate::{FileState, TracedStatement};
use crate::sql::hazard::Hazard;

/// How many findings of a kind are named in a verdict; all of them are in the evidence.
const NAMED: usize = 8;

/// Everything that a rehearsal saw.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Rehearsed {
    /// The gate whose backup was restored; absent for a dump that was taken for this alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backup: Option<String>,
    /// The archive.
    pub archive: String,
    /// `backup`, `full`, `schema` or `sample`.
    pub how: String,
    pub taken_at: String,
    pub database_bytes: u64,
    /// The version of the private server.
    pub version: String,
    /// The most room that it took, in bytes.
    pub scratch_bytes: u64,
    pub took: Took,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verified: Option<Verified>,
    /// What was compared where that verifies nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compared: Option<Verified>,
    /// Why what was compared verifies nothing, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unverified: Option<String>,
    /// Where what was restored differs from what the source held.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub differences: Vec<String>,
    /// What the private server lacks, or has otherwise than the source.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<String>,
    /// Roles that were made as the source has them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub roles: Vec<String>,
    pub gates: Vec<RehearsedGate>,
    /// Gates that were not rehearsed, and why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<String>,
    /// What was undone, in the order in which it was.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub backs: Vec<RehearsedBack>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub again: Option<Again>,
}

/// How long each part took, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Took {
    pub dump: u64,
    pub boot: u64,
    pub restore: u64,
    /// Until everything was restored and compared.
    pub verify: u64,
    pub analyze: u64,
    pub up: u64,
    pub down: u64,
    pub again: u64,
    pub all: u64,
}

/// One gate of the runbook, carried out on the private server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RehearsedGate {
    pub id: String,
    pub kind: String,
    pub verdict: Verdict,
    pub summary: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub caused_by: Vec<String>,
    pub duration_ms: u64,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<RehearsedFile>,
    /// The checksum of the schema after a gate that migrates.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<String>,
    /// The file in the run's folder that holds that schema.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exported: Option<String>,
}

/// One file of a migrate gate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RehearsedFile {
    pub file: String,
    pub checksum: String,
    pub statements: usize,
    pub state: FileState,
    pub duration_ms: u64,
    /// What it made of the schema, in words.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<String>,
    /// What it did to rows, in words.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rows: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hazards: Vec<SeenHazard>,
    /// What each statement took, where that was traced.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub traced: Vec<TracedStatement>,
    #[serde(default)]
    pub wal_bytes: u64,
}

/// A hazard that happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeenHazard {
    #[serde(flatten)]
    pub hazard: Hazard,
    /// How much it concerned, in words.
    pub extent: String,
    /// The text of the file does not say it.
    pub hidden: bool,
    /// Its class refuses, and nothing allows it.
    pub refused: bool,
    /// Why the runbook allows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allowed: Option<String>,
}

/// One file that was undone, or not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RehearsedBack {
    pub gate: String,
    pub file: String,
    /// The file that undoes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    pub state: BackState,
    pub duration_ms: u64,
    /// Why, or what it left, in words.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub said: Vec<String>,
}

/// How going back came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BackState {
    /// The schema was as before the file.
    Reversed,
    /// It ran, and left a difference.
    NotReversed,
    /// It left a difference, and the runbook says that it may.
    Leaves,
    Failed,
    /// There is nothing that undoes it.
    NoWay,
    /// A later file stays, so it was not tried.
    NotTried,
}

/// What applying everything once more came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Again {
    pub files: usize,
    /// What is otherwise than after the first time.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub differences: Vec<String>,
    /// The gate that did not pass, and why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failed: Vec<String>,
}

impl Rehearsed {
    /// Judges what was seen.
    pub fn judge(&self) -> Finding {
        let findings = [
            self.not_the_source(),
            self.gate_failed(),
            self.refused(),
            self.not_reversed(),
            self.not_again(),
        ];
        let found: Vec<Finding> = findings.into_iter().flatten().collect();
        let Some(first) = found.first() else {
            return self.passed();
        };
        let mut worst = Finding::worst(found.clone()).unwrap_or_else(|| first.clone());
        // One verdict, with every reason for it.
        worst.caused_by = found.iter().flat_map(|f| f.caused_by.clone()).collect();
        worst.what_you_can_do = found
            .iter()
            .flat_map(|f| f.what_you_can_do.clone())
            .collect();
        worst.what_you_can_do.dedup();
        worst.because("production was not touched")
    }

    /// All files that were rehearsed, with their gates.
    pub fn files(&self) -> impl Iterator<Item = (&RehearsedGate, &RehearsedFile)> {
        let gates = self.gates.iter();
        gates.flat_map(|gate| gate.files.iter().map(move |file| (gate, file)))
    }

    /// All hazards that happened, with their files.
    pub fn hazards(&self) -> impl Iterator<Item = (&RehearsedFile, &SeenHazard)> {
        self.files()
            .flat_map(|(_, file)| file.hazards.iter().map(move |hazard| (file, hazard)))
    }

    /// How long the gates took here.
    pub fn window_ms(&self) -> u64 {
        self.gates.iter().map(|gate| gate.duration_ms).sum()
    }

    /// Files that nothing undoes.
    pub fn without_way_back(&self) -> impl Iterator<Item = &RehearsedBack> {
        let backs = self.backs.iter();
        backs.filter(|back| back.state == BackState::NoWay)
    }

    fn passed(&self) -> Finding {
        let applied = self.files().filter(|(_, f)| f.state == FileState::Applied);
        let seconds = |ms: u64| ms as f64 / 1000.0;
        let mut words = match &self.verified {
            Some(verified) => format!(
                "backup verified: {} tables, {} rows, restored in {:.1} s",
                verified.tables,
                verified.rows,
                seconds(self.took.verify)
            ),
            None => format!(
                "{} restored in {:.1} s",
                self.how,
                seconds(self.took.verify)
            ),
        };
        if let Some(reason) = &self.unverified {
            words.push_str(&format!(", {reason}"));
        }
        words.push_str(&format!(
            "; {} files up in {:.1} s",
            applied.count(),
            seconds(self.took.up)
        ));
        let back = self.backs.iter().filter(|b| b.state == BackState::Reversed);
        if !self.backs.is_empty() {
            let (back, down) = (back.count(), seconds(self.took.down));
            words.push_str(&format!(", {back} back in {down:.1} s"));
        }
        let mut finding = Finding::passed(words);
        let none = self.without_way_back().count();
        if none > 0 {
            let files = match none {
                1 => "1 file has no way back but the backup".to_owned(),
                n => format!("{n} files have no way back but the backup"),
            };
            finding = finding.because(files);
        }
        finding
    }

    fn not_the_source(&self) -> Option<Finding> {
        let first = self.differences.first()?;
        let mut finding =
            Finding::failed("the backup does not hold what its source held").because(first.clone());
        for difference in self.differences.iter().skip(1).take(NAMED) {
            finding = finding.because(difference.clone());
        }
        Some(finding.can("take a new backup, then retry this gate"))
    }

    fn gate_failed(&self) -> Option<Finding> {
        let mut refused = self
            .gates
            .iter()
            .filter(|gate| gate.verdict != Verdict::Passed);
        let first = refused.next()?;
        let summary = format!("`{}` does not pass in rehearsal", first.id);
        let mut finding = match first.verdict {
            Verdict::Errored => Finding::errored(summary),
            Verdict::Inconclusive => Finding::inconclusive(summary),
            _ => Finding::failed(summary),
        };
        finding = finding.because(format!("{}: {}", first.id, first.summary));
        for cause in &first.caused_by {
            finding = finding.because(cause.clone());
        }
        for other in refused.take(NAMED) {
            finding = finding.because(format!("{}: {}", other.id, other.summary));
        }
        Some(
            finding.can(
                "mend what it says, then retry this gate: it would be refused in production too",
            ),
        )
    }

    fn refused(&self) -> Option<Finding> {
        let refused: Vec<_> = self.hazards().filter(|(_, h)| h.refused).collect();
        let (_, first) = refused.first()?;
        let hidden = refused.iter().any(|(_, h)| h.hidden);
        let what = match hidden {
            true => "a file does what its text does not say",
            false => "a file does what is not allowed",
        };
        let mut finding = Finding::failed(format!("{what}: {}", first.words()));
        for (file, seen) in refused.iter().take(NAMED) {
            finding = finding.because(format!("{}: {}", file.file, seen.words()));
        }
        if refused.len() > NAMED {
            finding = finding.because(format!("and {} more", refused.len() - NAMED));
        }
        let file = refused.first().map(|(file, _)| file.file.as_str());
        Some(finding.can(first.hazard.instead.clone()).can(format!(
            "or allow it by name in the rehearse gate: \
                     allow = [{{ file = \"{}\", hazard = \"{}\", reason = \"…\" }}]",
            file.unwrap_or_default(),
            first.hazard.code
        )))
    }

    fn not_reversed(&self) -> Option<Finding> {
        let wrong =
            |b: &&RehearsedBack| matches!(b.state, BackState::NotReversed | BackState::Failed);
        let wrong: Vec<&RehearsedBack> = self.backs.iter().filter(wrong).collect();
        let first = wrong.first()?;
        let by = first.by.as_deref().unwrap_or("its way back");
        let mut finding = match first.state {
            BackState::Failed => Finding::failed(format!("{by} does not undo {}", first.file)),
            _ => Finding::failed(format!(
                "a down that does not reverse: {by} leaves a difference"
            )),
        };
        for back in &wrong {
            for said in back.said.iter().take(NAMED) {
                finding = finding.because(format!("{}: {said}", back.file));
            }
        }
        Some(
            finding
                .can(format!(
                    "mend {by} so that it takes back all that {} does, then retry this gate",
                    first.file
                ))
                .can(format!(
                    "or say that it may: may_leave = [\"{}\"]",
                    first.file
                )),
        )
    }

    fn not_again(&self) -> Option<Finding> {
        let again = self.again.as_ref()?;
        let said = again.failed.iter().chain(&again.differences);
        let causes: Vec<&String> = said.take(NAMED).collect();
        if causes.is_empty() {
            return None;
        }
        let summary = match again.failed.is_empty() {
            true => "applied once more, the schema is another one",
            false => "what was undone cannot be applied once more",
        };
        let finding = causes
            .into_iter()
            .fold(Finding::failed(summary), |f, cause| {
                f.because(cause.clone())
            });
        Some(finding.can("look at what the way back leaves behind, then retry this gate"))
    }
}

impl SeenHazard {
    /// The hazard in one line: its code, what was done, to what, how much.
    pub fn words(&self) -> String {
        let relation = self.hazard.relation.as_deref().unwrap_or("");
        format!(
            "{} {} {relation}{}{}",
            self.hazard.code,
            self.hazard.message,
            if self.extent.is_empty() { "" } else { ", " },
            self.extent
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::hazard;

    fn gate(verdict: Verdict) -> RehearsedGate {
        RehearsedGate {
            id: "mig".into(),
            kind: "migrate".into(),
            verdict,
            summary: "1 file".into(),
            caused_by: vec!["db/1.sql:1: no".into()],
            duration_ms: 10,
            files: vec![RehearsedFile {
                file: "db/1.sql".into(),
                checksum: String::new(),
                statements: 1,
                state: FileState::Applied,
                duration_ms: 10,
                changes: Vec::new(),
                rows: Vec::new(),
                hazards: Vec::new(),
                traced: Vec::new(),
                wal_bytes: 0,
            }],
            schema: None,
            exported: None,
        }
    }

    fn well() -> Rehearsed {
        Rehearsed {
            gates: vec![gate(Verdict::Passed)],
            ..Rehearsed::default()
        }
    }

    fn back(state: BackState) -> RehearsedBack {
        RehearsedBack {
            gate: "mig".into(),
            file: "db/1.sql".into(),
            by: Some("down/1.sql".into()),
            state,
            duration_ms: 1,
            said: vec!["table app.t is left".into()],
        }
    }

    #[test]
    fn every_way_to_come_out_wrong_is_refused() {
        let verdict = |change: fn(&mut Rehearsed)| {
            let mut seen = well();
            change(&mut seen);
            seen.judge().verdict
        };
        assert_eq!(verdict(|_| {}), Verdict::Passed);
        assert_eq!(
            verdict(|s| s.backs.push(back(BackState::Reversed))),
            Verdict::Passed
        );
        assert_eq!(
            verdict(|s| s.backs.push(back(BackState::NoWay))),
            Verdict::Passed
        );
        assert_eq!(
            verdict(|s| s.backs.push(back(BackState::NotReversed))),
            Verdict::Failed
        );
        assert_eq!(
            verdict(|s| s.backs.push(back(BackState::Failed))),
            Verdict::Failed
        );
        assert_eq!(verdict(|s| s.differences.push("t".into())), Verdict::Failed);
        assert_eq!(
            verdict(|s| s.gates.push(gate(Verdict::Failed))),
            Verdict::Failed
        );
        assert_eq!(
            verdict(|s| s.gates.push(gate(Verdict::Errored))),
            Verdict::Errored
        );
        let again = |differences: Vec<String>| Again {
            files: 1,
            differences,
            failed: Vec::new(),
        };
        let mut seen = well();
        seen.again = Some(again(Vec::new()));
        assert_eq!(seen.judge().verdict, Verdict::Passed);
        seen.again = Some(again(vec!["t".into()]));
        assert_eq!(seen.judge().verdict, Verdict::Failed);
    }

    #[test]
    fn a_hidden_hazard_is_named_with_how_to_allow_it() {
        let mut seen = well();
        seen.gates[0].files[0].hazards.push(SeenHazard {
            hazard: hazard::seen("DS102", (1, 1), "DO", "app.t").unwrap(),
            extent: "7 rows".into(),
            hidden: true,
            refused: true,
            allowed: None,
        });
        let finding = seen.judge();
        assert!(
            finding.summary.contains("its text does not say"),
            "{finding:?}"
        );
        assert!(
            finding.caused_by[0].contains("app.t, 7 rows"),
            "{finding:?}"
        );
        assert!(finding.what_you_can_do[1].contains("hazard = \"DS102\""));
    }

    #[test]
    fn evidence_is_read_back() {
        let text = serde_json::to_string(&well()).unwrap();
        assert_eq!(serde_json::from_str::<Rehearsed>(&text).unwrap(), well());
    }
}
