//! What a program is expected to do, what it did, and the verdict.

use regex::Regex;
use serde::{Deserialize, Serialize};

use super::Finding;

/// What the runbook demands of a program. Every part that is given must hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessExpectation {
    /// The exit codes that are well.
    pub exit: Vec<i32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stdout_contains: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stdout_lacks: Option<String>,
    /// A regular expression; checked when the runbook is loaded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stdout_matches: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stdout_last_line: Option<String>,
}

impl Default for ProcessExpectation {
    fn default() -> Self {
        ProcessExpectation {
            exit: vec![0],
            stdout_contains: None,
            stdout_lacks: None,
            stdout_matches: None,
            stdout_last_line: None,
        }
    }
}

/// How a program ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExitSeen {
    Code(i32),
    Signal(i32),
    /// The gate's own time limit ended it.
    TimedOut,
    /// A person cancelled it.
    Canceled,
}

/// What a program left behind: cleaned output, bounded at both ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessSeen {
    pub exit: ExitSeen,
    pub stdout: String,
    pub stderr: String,
    /// How many bytes were left out of the middle because there was too much.
    pub omitted_bytes: u64,
}

impl ProcessExpectation {
    /// Judges what a program did.
    pub fn judge(&self, seen: &ProcessSeen) -> Finding {
        let code = match &seen.exit {
            ExitSeen::Code(code) => *code,
            ExitSeen::Signal(signal) => {
                return Finding::errored(format!("the program was ended by signal {signal}"))
                    .because(last_line(&seen.stderr))
                    .can("find out who ended it, then retry this gate");
            }
            ExitSeen::TimedOut => {
                return Finding::errored("the program took longer than the gate allows")
                    .because(last_line(&seen.stderr))
                    .can("raise the gate's timeout, or find out what it waits for");
            }
            ExitSeen::Canceled => return Finding::errored("the program was canceled"),
        };
        if !self.exit.contains(&code) {
            return Finding::failed(format!("the program exited with {code}"))
                .because(last_line(&seen.stderr))
                .can("read its output below, mend what it says, then retry this gate");
        }
        match self.first_broken(&seen.stdout) {
            // What must not be there may stand in the part that was left out.
            None if seen.omitted_bytes > 0 && self.stdout_lacks.is_some() => {
                Finding::inconclusive(format!(
                    "the output was too long to judge ({} bytes left out)",
                    seen.omitted_bytes
                ))
            }
            None => Finding::passed(format!("exit {code}")),
            // A pattern sought in the part that was left out proves nothing.
            Some(_) if seen.omitted_bytes > 0 => Finding::inconclusive(format!(
                "the output was too long to judge ({} bytes left out)",
                seen.omitted_bytes
            )),
            Some(reason) => Finding::failed(reason)
                .because(format!(
                    "exit {code}; last line: {}",
                    last_line(&seen.stdout)
                ))
                .can("read its output below, mend what it says, then retry this gate"),
        }
    }

    fn first_broken(&self, stdout: &str) -> Option<String> {
        if let Some(text) = &self.stdout_contains
            && !stdout.contains(text.as_str())
        {
            return Some(format!("the output does not contain `{text}`"));
        }
        if let Some(text) = &self.stdout_lacks
            && stdout.contains(text.as_str())
        {
            return Some(format!("the output contains `{text}`"));
        }
        if let Some(pattern) = &self.stdout_matches
            && !Regex::new(pattern).is_ok_and(|regex| regex.is_match(stdout))
        {
            return Some(format!("the output does not match `{pattern}`"));
        }
        if let Some(line) = &self.stdout_last_line
            && last_line(stdout) != *line
        {
            return Some(format!("the last line of the output is not `{line}`"));
        }
        None
    }
}

fn last_line(text: &str) -> String {
    text.lines()
        .rev()
        .find(|line| !line.trim().is_empty())
        .unwrap_or("(no output)")
        .trim_end()
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::*;

    fn seen(exit: ExitSeen, stdout: &str) -> ProcessSeen {
        ProcessSeen {
            exit,
            stdout: stdout.into(),
            stderr: String::new(),
            omitted_bytes: 0,
        }
    }

    #[test]
    fn exit_and_output_must_both_hold() {
        let wanted = ProcessExpectation {
            stdout_last_line: Some("OK".into()),
            ..Default::default()
        };
        let verdict = |exit, out| wanted.judge(&seen(exit, out)).verdict;
        assert_eq!(verdict(ExitSeen::Code(0), "x\nOK\n"), Verdict::Passed);
        assert_eq!(verdict(ExitSeen::Code(0), "OK\nx"), Verdict::Failed);
        assert_eq!(verdict(ExitSeen::Code(1), "OK"), Verdict::Failed);
        assert_eq!(verdict(ExitSeen::Signal(9), "OK"), Verdict::Errored);
        assert_eq!(verdict(ExitSeen::TimedOut, "OK"), Verdict::Errored);
    }

    #[test]
    fn output_that_was_cut_cannot_fail_a_pattern() {
        let wanted = ProcessExpectation {
            stdout_contains: Some("needle".into()),
            ..Default::default()
        };
        let mut long = seen(ExitSeen::Code(0), "head tail");
        long.omitted_bytes = 5;
        assert_eq!(wanted.judge(&long).verdict, Verdict::Inconclusive);
    }

    #[test]
    fn output_that_was_cut_cannot_prove_an_absence() {
        let wanted = ProcessExpectation {
            stdout_lacks: Some("FAILED".into()),
            ..Default::default()
        };
        let mut long = seen(ExitSeen::Code(0), "head tail");
        assert_eq!(wanted.judge(&long).verdict, Verdict::Passed);
        long.omitted_bytes = 5;
        assert_eq!(wanted.judge(&long).verdict, Verdict::Inconclusive);
    }
}
