//! Reads what a tool says is applied and pending. What cannot be told is never taken for nothing.

use std::collections::BTreeSet;

use regex::Regex;
use serde::{Deserialize, Serialize};

use super::call::Ran;
use crate::runbook::ToolStatus;
use crate::untrusted::{clean_line, clip};

/// What the tool said.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct StatusSeen {
    /// In the order in which it named them.
    pub pending: Vec<Migration>,
    pub applied: Vec<Migration>,
    /// Lines that say that something is wrong.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub broken: Vec<String>,
    /// Why it says nothing that could be relied on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unsure: Option<String>,
}

/// A migration as its tool names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Migration {
    pub id: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub text: String,
}

impl StatusSeen {
    pub(super) fn is_pending(&self, id: &str) -> bool {
        self.pending.iter().any(|migration| migration.id == id)
    }

    pub(super) fn is_applied(&self, id: &str) -> bool {
        self.applied.iter().any(|migration| migration.id == id)
    }

    pub(super) fn pending_ids(&self) -> Vec<String> {
        self.pending.iter().map(|m| m.id.clone()).collect()
    }
}

/// Reads the status from what a call gave.
pub(super) fn read(status: &ToolStatus, ran: &Ran) -> StatusSeen {
    let mut seen = of_text(status, &ran.masked);
    if ran.too_much {
        seen.unsure = Some("its output is too long to be read whole".to_owned());
    }
    seen
}

fn of_text(status: &ToolStatus, text: &str) -> StatusSeen {
    let form = |pattern: Option<&String>| pattern.and_then(|pattern| Regex::new(pattern).ok());
    let (pending, applied) = (form(Some(&status.pending)), form(status.applied.as_ref()));
    let (none, broken) = (form(status.none.as_ref()), form(status.broken.as_ref()));
    let mut seen = StatusSeen::default();
    let mut said_none = false;
    for line in text.lines() {
        let line = line.trim_end_matches('\r');
        said_none |= none.as_ref().is_some_and(|none| none.is_match(line));
        if broken.as_ref().is_some_and(|broken| broken.is_match(line)) {
            seen.broken.push(clip(&clean_line(line.trim()), 300));
        }
        let found = [&pending, &applied].map(|form| migration(form.as_ref()?, line));
        match found {
            [Some(first), Some(_)] => {
                let id = first.id;
                let reason = format!("its line of `{id}` reads as pending and as applied");
                seen.unsure.get_or_insert(reason);
            }
            [Some(one), None] => add(&mut seen.pending, one),
            [None, Some(one)] => add(&mut seen.applied, one),
            [None, None] => {}
        }
    }
    let both = seen.pending.iter().find(|m| seen.is_applied(&m.id));
    let unsure = if let Some(both) = both {
        Some(format!("it names `{}` as pending and as applied", both.id))
    } else if !seen.pending.is_empty() || !seen.applied.is_empty() || said_none {
        None
    } else {
        Some("no line of its output names a migration".to_owned())
    };
    seen.unsure = seen.unsure.or(unsure);
    seen
}

fn migration(form: &Regex, line: &str) -> Option<Migration> {
    let found = form.captures(line)?;
    let part = |name| {
        let part = found.name(name).map(|part| part.as_str().trim());
        part.map(|part| clip(&clean_line(part), 300))
    };
    let id = part("id").filter(|id| !id.is_empty())?;
    let text = part("text").unwrap_or_default();
    Some(Migration { id, text })
}

fn add(list: &mut Vec<Migration>, one: Migration) {
    if !list.iter().any(|other| other.id == one.id) {
        list.push(one);
    }
}

/// What is missing from the second list.
pub(super) fn without(ids: &[String], others: &[String]) -> Vec<String> {
    let others: BTreeSet<&String> = others.iter().collect();
    ids.iter()
        .filter(|id| !others.contains(id))
        .cloned()
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(applied: Option<&str>, none: Option<&str>) -> ToolStatus {
        ToolStatus {
            argv: Vec::new(),
            exit: vec![0],
            pending: r"^\[ \] (?P<id>\S+?)_(?P<text>\S+)$".into(),
            applied: applied.map(Into::into),
            none: none.map(Into::into),
            broken: Some("checksum".into()),
            read_only: true,
        }
    }

    fn ids(list: &[Migration]) -> Vec<&str> {
        list.iter().map(|m| m.id.as_str()).collect()
    }

    #[test]
    fn lines_are_told_apart_by_their_forms() {
        let form = Some(r"^\[X\] (?P<id>\S+?)_");
        let said = "[X] 1_a.sql\r\n[ ] 2_b.sql\n[ ] 2_b.sql\n\nApplied: 1\nbad checksum of 1\n";
        let seen = of_text(&status(form, None), said);
        assert_eq!(ids(&seen.pending), ["2"]);
        assert_eq!(ids(&seen.applied), ["1"]);
        assert_eq!(seen.pending[0].text, "b.sql");
        assert_eq!(seen.broken, ["bad checksum of 1"]);
        assert_eq!(seen.unsure, None);
    }

    #[test]
    fn silence_does_not_mean_that_nothing_is_pending() {
        let form = Some(r"^\[X\] (?P<id>\S+?)_");
        assert!(
            of_text(&status(form, None), "everything is fine")
                .unsure
                .is_some()
        );
        assert!(
            of_text(&status(None, Some("up to date")), "oops")
                .unsure
                .is_some()
        );
        let none = of_text(&status(None, Some("up to date")), "shop is up to date");
        assert_eq!(none.unsure, None);
    }

    #[test]
    fn what_is_both_is_neither() {
        let seen = of_text(&status(Some(r"(?P<id>1)"), None), "[ ] 1_a.sql\n");
        assert!(seen.unsure.unwrap().contains("`1`"));
        let form = Some(r"^\[X\] (?P<id>\S+?)_");
        let seen = of_text(&status(form, None), "[ ] 1_a\n[X] 1_a\n");
        assert!(seen.unsure.is_some());
    }
}
