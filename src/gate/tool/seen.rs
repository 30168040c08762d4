//! What a tool gate saw, as evidence, and the verdict on it: a pure function of the evidence.

use serde::{Deserialize, Serialize};

use super::call::ToolCall;
use super::status::{StatusSeen, without};
use super::survey::unanswered;
use crate::expectation::{Comparison, Finding};
use crate::gate::{LintSeen, Made, change_words};

/// How many things of a kind are named in a verdict; all of them are in the evidence.
const NAMED: usize = 8;

/// Everything that a tool gate saw.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ToolSeen {
    pub tool: String,
    /// `status`, `plan`, `apply` or `revert`.
    pub action: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// What was called, in that order.
    pub calls: Vec<ToolCall>,
    /// The exit codes that are well for what acts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exit: Vec<i32>,
    /// What the gate demands of the status.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pending: Option<Comparison>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub applied: Option<Comparison>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<StatusSeen>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<StatusSeen>,
    /// The migrations that were to be applied or taken back.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub wanted: Vec<String>,
    /// What this gate has applied in this run, in all its attempts, and is still applied.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ours: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lint: Option<LintSeen>,
    /// What came of the schema; absent where that was not looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub made: Option<Box<Made>>,
    /// Nobody saw the program end.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unseen: bool,
}

/// What became of the migrations that were wanted.
pub(super) struct Became {
    pub(super) done: Vec<String>,
    pub(super) left: Vec<String>,
    /// Where the schema is known before and after: whether it is another one.
    pub(super) changed: Option<bool>,
}

impl ToolSeen {
    /// Judges what was seen.
    pub fn judge(&self) -> Finding {
        match self.action.as_str() {
            "status" => self.judge_status(),
            "plan" => self.judge_plan(),
            _ => self.judge_act(),
        }
    }

    fn judge_status(&self) -> Finding {
        let Some(status) = &self.before else {
            return Finding::errored("the status was not asked");
        };
        let counts = [
            ("pending", &self.pending, &status.pending),
            ("applied", &self.applied, &status.applied),
        ];
        let mut broken: Option<Finding> = None;
        for (word, wanted, found) in counts {
            let Some(wanted) = wanted else { continue };
            if wanted.holds(&found.len().to_string()) == Some(true) {
                continue;
            }
            let said = format!("{} {word}, expected {wanted}", found.len());
            let first =
                broken.unwrap_or_else(|| Finding::failed(format!("{} says: {said}", self.tool)));
            let named = found.iter().take(NAMED);
            broken = Some(named.fold(first, |finding, migration| {
                finding.because(format!("{word}: {} {}", migration.id, migration.text).trim_end())
            }));
        }
        let (pending, applied) = (status.pending.len(), status.applied.len());
        broken.map_or_else(
            || Finding::passed(format!("{pending} pending, {applied} applied")),
            |finding| finding.can("apply or take back what is named, then retry this gate"),
        )
    }

    fn judge_plan(&self) -> Finding {
        match &self.lint {
            Some(lint) if !lint.files.is_empty() => lint.judge(),
            _ if self.before.as_ref().is_some_and(|s| s.pending.is_empty()) => {
                Finding::passed("nothing is pending")
            }
            _ => Finding::inconclusive("no SQL was read, which proves nothing"),
        }
    }

    /// The call that acted last.
    pub fn acted(&self) -> Option<&ToolCall> {
        let acts = |call: &&ToolCall| matches!(call.part.as_str(), "apply" | "revert");
        self.calls.iter().rev().find(acts)
    }

    pub(super) fn became(&self) -> Option<Became> {
        let after = self.after.as_ref()?;
        let reverts = self.action == "revert";
        let says_applied = self.before.as_ref().is_some_and(|s| !s.applied.is_empty())
            || !after.applied.is_empty();
        let done = |id: &&String| match reverts {
            true => !after.is_applied(id),
            // A tool that names only what is pending cannot say more.
            false => !after.is_pending(id) && (!says_applied || after.is_applied(id)),
        };
        let done: Vec<String> = self.wanted.iter().filter(done).cloned().collect();
        let made = self.made.as_ref();
        let known = made.filter(|made| made.notes.is_empty());
        Some(Became {
            left: without(&self.wanted, &done),
            done,
            changed: known.map(|made| !made.seen.comparison.differences.is_empty()),
        })
    }

    fn judge_act(&self) -> Finding {
        let Some(became) = self.became() else {
            return Finding::inconclusive(format!("what came of {} is not known", self.tool));
        };
        let after = self.after.clone().unwrap_or_default();
        let acted = self.acted();
        let bad_end = acted.and_then(|call| call.bad_end(&self.exit));
        let more = self.more_than_wanted(&after);
        let pending_left = self.action == "apply" && !after.pending.is_empty();
        let sound = after.broken.is_empty() && more.is_empty() && !pending_left;
        if bad_end.is_none() && became.left.is_empty() && sound {
            return Finding::passed(self.done_words(&became));
        }
        let count = format!(
            "{} of {} migrations {}",
            became.done.len(),
            self.wanted.len(),
            self.word()
        );
        let name = &self.tool;
        let summary = match &bad_end {
            Some(end) => format!("{name} {end}; {count}"),
            None if self.unseen => format!("nobody saw {name} end; {count}"),
            None => format!("{name} ended well by its own word; {count}"),
        };
        let mut finding = Finding::failed(summary);
        if let Some(call) = acted {
            finding
                .caused_by
                .extend(call.question.as_deref().map(unanswered));
            finding
                .caused_by
                .extend(call.last_words().filter(|_| bad_end.is_some()));
        }
        finding
            .caused_by
            .extend(after.broken.iter().take(NAMED).cloned());
        finding = named(finding, self.word(), &became.done);
        finding = named(finding, &format!("not {}", self.word()), &became.left);
        let unplanned = without(&after.pending_ids(), &self.wanted);
        if self.action == "apply" {
            finding = named(finding, "pending, and not in the plan", &unplanned);
        }
        finding = named(finding, "taken back, and not asked for", &more);
        finding = self.schema_words(finding, &became);
        if acted.is_some_and(|call| call.question.is_some()) {
            let can = format!("give it the option that answers, in argv of [tool.{name}]");
            finding = finding.can(can);
        }
        finding.can("read its output (5), mend what it says, then press r: it is planned again")
    }

    /// What was there before, was not to go, and is gone.
    fn more_than_wanted(&self, after: &StatusSeen) -> Vec<String> {
        let before = self.before.iter().flat_map(|status| &status.applied);
        let gone = before.filter(|m| !self.wanted.contains(&m.id) && !after.is_applied(&m.id));
        gone.map(|migration| migration.id.clone()).collect()
    }

    fn word(&self) -> &'static str {
        match self.action.as_str() {
            "revert" => "taken back",
            _ => "applied",
        }
    }

    fn done_words(&self, became: &Became) -> String {
        let (name, word) = (&self.tool, self.word());
        let count = match became.done.len() {
            0 => return format!("{name}: nothing was left to be {word}"),
            1 => format!("{name}: 1 migration {word}"),
            n => format!("{name}: {n} migrations {word}"),
        };
        let changes = self.made.as_ref();
        let changes = changes.map(|made| made.seen.comparison.differences.len());
        match (became.changed, changes) {
            (Some(false), _) => format!("{count}; the schema is as before"),
            (Some(true), Some(1)) => format!("{count}; 1 change of the schema"),
            (Some(true), Some(n)) => format!("{count}; {n} changes of the schema"),
            _ => count,
        }
    }

    fn schema_words(&self, finding: Finding, became: &Became) -> Finding {
        let Some(changed) = became.changed else {
            return finding.because("whether the schema changed is not known");
        };
        if !changed {
            return finding.because("the schema is as it was before");
        }
        let half = became.done.is_empty();
        let finding = match half {
            true => finding.because("something is half done: the schema changed meanwhile"),
            false => finding,
        };
        let made = self
            .made
            .iter()
            .flat_map(|made| &made.seen.comparison.differences);
        let words: Vec<String> = made.map(change_words).collect();
        let finding = words.iter().take(NAMED).fold(finding, |finding, change| {
            finding.because(format!("the schema: {change}"))
        });
        match words.len().checked_sub(NAMED) {
            Some(more) if more > 0 => finding.because(format!("and {more} more changes of it")),
            _ => finding,
        }
    }
}

fn named(finding: Finding, word: &str, ids: &[String]) -> Finding {
    if ids.is_empty() {
        return finding;
    }
    let mut list: Vec<&str> = ids.iter().take(NAMED).map(String::as_str).collect();
    let more = format!("and {} more", ids.len().saturating_sub(NAMED));
    if ids.len() > NAMED {
        list.push(&more);
    }
    finding.because(format!("{word}: {}", list.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::super::status::Migration;
    use super::*;
    use crate::expectation::{ExitSeen, ProcessSeen, Verdict};

    fn status(applied: &[&str], pending: &[&str]) -> StatusSeen {
        let list = |ids: &[&str]| {
            let one = |id: &&str| Migration {
                id: (*id).to_owned(),
                text: String::new(),
            };
            ids.iter().map(one).collect()
        };
        StatusSeen {
            applied: list(applied),
            pending: list(pending),
            ..StatusSeen::default()
        }
    }

    fn seen(
        action: &str,
        exit: i32,
        before: StatusSeen,
        after: StatusSeen,
        wanted: &[&str],
    ) -> ToolSeen {
        let call = ToolCall {
            part: action.to_owned(),
            argv: vec!["x".into()],
            seen: ProcessSeen {
                exit: ExitSeen::Code(exit),
                stdout: String::new(),
                stderr: "it broke".into(),
                omitted_bytes: 0,
            },
            not_utf8: false,
            question: None,
            duration_ms: 1,
        };
        ToolSeen {
            tool: "x".into(),
            action: action.into(),
            calls: vec![call],
            exit: vec![0],
            before: Some(before),
            after: Some(after),
            wanted: wanted.iter().map(|id| (*id).to_owned()).collect(),
            ..ToolSeen::default()
        }
    }

    #[test]
    fn it_is_the_status_that_counts_and_not_the_programs_word() {
        let before = || status(&["1"], &["2", "3"]);
        let wanted = ["2", "3"];
        let judged = |exit, after| seen("apply", exit, before(), after, &wanted).judge();
        assert_eq!(
            judged(0, status(&["1", "2", "3"], &[])).verdict,
            Verdict::Passed
        );
        let half = judged(2, status(&["1", "2"], &["3"]));
        assert_eq!(half.summary, "x exited with 2; 1 of 2 migrations applied");
        assert!(half.caused_by.contains(&"not applied: 3".to_owned()));
        let lied = judged(0, status(&["1"], &["2", "3"]));
        assert!(
            lied.summary.contains("by its own word; 0 of 2"),
            "{}",
            lied.summary
        );
        // It is neither pending nor applied: nobody knows.
        assert_eq!(judged(0, status(&["1", "2"], &[])).verdict, Verdict::Failed);
        assert_eq!(
            judged(1, status(&["1", "2", "3"], &[])).verdict,
            Verdict::Failed
        );
    }

    #[test]
    fn taking_back_more_than_was_asked_fails() {
        let before = || status(&["1", "2"], &[]);
        let one = seen("revert", 0, before(), status(&["1"], &["2"]), &["2"]);
        assert_eq!(one.judge().verdict, Verdict::Passed);
        let both = seen("revert", 0, before(), status(&[], &["1", "2"]), &["2"]);
        assert_eq!(both.judge().verdict, Verdict::Failed);
    }

    #[test]
    fn without_the_status_behind_it_nothing_is_known() {
        let mut lost = seen("apply", 0, status(&[], &["1"]), status(&["1"], &[]), &["1"]);
        lost.after = None;
        assert_eq!(lost.judge().verdict, Verdict::Inconclusive);
    }
}
