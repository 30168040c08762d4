//! What a drift gate saw: differences by kind, with both values under each.

use crate::console::screen::text::{Doc, Ink, span};
use crate::gate::{DriftSeen, Made, change_words};
use crate::schema::{Change, Difference, Severity};
use crate::untrusted::{clean, clean_line};

/// More than anybody reads here; the evidence has all of them.
const SHOWN: usize = 200;
const LINES_SHOWN: usize = 8;
const NAMES_SHOWN: usize = 6;

pub(super) fn seen(doc: &mut Doc, server: &str, seen: &DriftSeen) {
    let differences = &seen.comparison.differences;
    if !differences.is_empty() || !seen.comparison.ignored.is_empty() {
        doc.blank();
        let text = "2 shows them side by side, by kind, with a search";
        doc.hanging(&[span(Ink::Accent, "→ ")], Ink::Plain, text);
    }
    let mut last = None;
    for (index, difference) in differences.iter().take(SHOWN).enumerate() {
        if last != Some(difference.kind) {
            doc.heading(&difference.kind.to_string());
            last = Some(difference.kind);
        }
        one(doc, difference, seen.allowed.contains(&index));
    }
    if differences.len() > SHOWN {
        let more = differences.len() - SHOWN;
        doc.text(Ink::Muted, &format!("and {more} more, in the evidence"));
    }
    if !seen.comparison.renames.is_empty() {
        doc.heading("Renamed?");
        for rename in &seen.comparison.renames {
            let line = format!("{} {} -> {}", rename.kind, rename.expected, rename.actual);
            doc.text(Ink::Plain, &clean_line(&line));
        }
    }
    if !seen.comparison.ignored.is_empty() {
        doc.heading(&format!("Ignored, {}", seen.comparison.ignored.len()));
        for difference in seen.comparison.ignored.iter().take(SHOWN) {
            let rule = difference.ignored_by.as_deref().unwrap_or_default();
            let line = format!("{} {}, by {rule}", difference.kind, difference.name);
            doc.text(Ink::Muted, &clean_line(&line));
        }
    }
    doc.blank();
    for note in &seen.comparison.notes {
        doc.text(Ink::Muted, &clean_line(note));
    }
    let [expected, actual] = seen.objects;
    let sides = [
        (&seen.expected, expected, &seen.expected_checksum),
        (&server.to_owned(), actual, &seen.actual_checksum),
    ];
    for (name, objects, checksum) in sides {
        let short: String = checksum.chars().take(12).collect();
        let line = format!("{}: {objects} objects, checksum {short}", clean_line(name));
        doc.text(Ink::Muted, &line);
    }
}

/// The beginning of a long value; the screen of differences has all of it.
fn first_lines(value: &str) -> String {
    let cleaned = clean(value);
    let mut lines = cleaned.trim().lines();
    let mut shown: Vec<&str> = lines.by_ref().take(LINES_SHOWN).collect();
    let more = lines.count();
    let rest = format!("and {more} more lines");
    if more > 0 {
        shown.push(&rest);
    }
    shown.join("\n")
}

/// What migrations made of the schema, file by file where that was looked at.
pub(super) fn made(doc: &mut Doc, made: &Made) {
    let differences = &made.seen.comparison.differences;
    doc.heading(&format!(
        "What they made of the schema, {}",
        differences.len()
    ));
    if made.files.is_empty() {
        for difference in differences.iter().take(SHOWN) {
            doc.hanging(
                &[span(Ink::Muted, "· ")],
                Ink::Plain,
                &change_words(difference),
            );
        }
    }
    for file in &made.files {
        doc.text(Ink::Strong, &clean_line(&file.file));
        for change in file.changes.iter().take(SHOWN) {
            doc.hanging(&[span(Ink::Muted, "  · ")], Ink::Plain, change);
        }
        if file.changes.is_empty() {
            doc.text(Ink::Muted, "  nothing of the schema");
        }
    }
    for note in &made.notes {
        doc.text(Ink::Warning, note);
    }
}

fn one(doc: &mut Doc, difference: &Difference, allowed: bool) {
    let hard = difference.severity == Severity::Hard;
    let (ink, mark, word) = match (hard, allowed) {
        (true, _) => (Ink::Bad, "✗ ", "hard"),
        (false, true) => (Ink::Muted, "· ", "allowed"),
        (false, false) => (Ink::Warning, "! ", "soft"),
    };
    let property = difference
        .property
        .as_ref()
        .map_or(String::new(), |property| format!(", {property}"));
    let headline = format!(
        "{} {}{property}, {word}, {}",
        difference.change.word(),
        difference.name,
        difference.direction.word()
    );
    doc.hanging(&[span(ink, mark)], Ink::Plain, &clean_line(&headline));
    let sides = [
        ("  expected", &difference.expected, Change::Added),
        ("  actual", &difference.actual, Change::Removed),
    ];
    for (name, value, absent_when) in sides {
        match value {
            Some(value) => doc.pair(name, Ink::Plain, &first_lines(value)),
            None if difference.property.is_some() || difference.change == absent_when => {
                doc.pair(name, Ink::Muted, "none");
            }
            None => {}
        }
    }
    if !difference.dependants.is_empty() && difference.property.is_some() {
        let mut names: Vec<String> = difference
            .dependants
            .iter()
            .take(NAMES_SHOWN)
            .map(|id| clean_line(&id.to_string()))
            .collect();
        let more = difference.dependants.len() - names.len();
        if more > 0 {
            names.push(format!("{more} more"));
        }
        doc.pair("  with it", Ink::Muted, &names.join(", "));
    }
}
