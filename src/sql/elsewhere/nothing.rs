//! Texts that plainly say that there is nothing to do.

use super::LineSeen;
use crate::untrusted::clean_line;

/// Lines that say so, in lower case and without the marks around them. Nothing else does.
const PHRASES: [&str; 26] = [
    "no changes",
    "no change",
    "no changes detected",
    "no changes to apply",
    "no schema changes",
    "no schema changes detected",
    "no schema changes to apply",
    "no database changes",
    "no database changes detected",
    "no database changes to apply",
    "no migrations",
    "no migrations to apply",
    "no migrations to run",
    "no migrations pending",
    "no pending migrations",
    "no pending migrations to apply",
    "no migration needed",
    "no migrations needed",
    "nothing to migrate",
    "nothing to do",
    "nothing to apply",
    "database is up to date",
    "your database is up to date",
    "database schema is up to date",
    "schema is up to date",
    "already up to date",
];

/// Beginnings of words that speak of a change; beside one of them no line is believed.
const CHANGES: [&str; 22] = [
    "add", "alter", "apply", "chang", "clear", "creat", "delet", "destroy", "drop", "eras",
    "insert", "los", "migrat", "modif", "purg", "remov", "renam", "replac", "reset", "truncat",
    "updat", "wip",
];

/// Lines of nothing but these are headings.
const HEADINGS: [&str; 16] = [
    "migration",
    "migrations",
    "plan",
    "database",
    "schema",
    "pending",
    "changes",
    "your",
    "the",
    "summary",
    "publish",
    "publishing",
    "preview",
    "production",
    "development",
    "of",
];

/// The line that says so, where every other line speaks of no change.
pub(super) fn said(text: &str) -> Option<LineSeen> {
    let mut found = None;
    for (number, line) in text.lines().enumerate() {
        let words: Vec<String> = line
            .split(|c: char| !c.is_alphanumeric())
            .filter(|word| !word.is_empty())
            .map(str::to_lowercase)
            .collect();
        if PHRASES.contains(&words.join(" ").as_str()) {
            found.get_or_insert(LineSeen {
                line: number + 1,
                text: clean_line(line.trim()),
                why: "it says that there is nothing to do".to_owned(),
            });
        } else if !words.iter().all(|word| HEADINGS.contains(&word.as_str()))
            && words
                .iter()
                .any(|word| CHANGES.iter().any(|begin| word.starts_with(begin)))
        {
            return None;
        }
    }
    found
}
