//! What a clone made.

use crate::console::screen::text::{Doc, Ink, span};
use crate::console::screen::times::{bytes, took};
use crate::gate::Cloned;
use crate::untrusted::clean_line;

/// How many tables are listed; the evidence file has all.
const LISTED: usize = 40;

pub(super) fn cloned(doc: &mut Doc, server: &str, cloned: &Cloned) {
    doc.heading("The copy");
    doc.pair("of", Ink::Strong, &clean_line(&cloned.source));
    doc.pair("is", Ink::Strong, &clean_line(server));
    if let Some(kept) = &cloned.kept {
        doc.pair("before", Ink::Strong, &clean_line(kept));
    }
    doc.pair("dump", Ink::Plain, &clean_line(&cloned.safety));
    let holds = format!(
        "{} tables, {} rows, {}, {} sequences, compared by content",
        cloned.tables,
        cloned.rows,
        bytes(cloned.bytes),
        cloned.sequences
    );
    doc.pair("holds", Ink::Plain, &holds);
    if cloned.ended_sessions > 0 {
        let ended = format!("{} sessions of others", cloned.ended_sessions);
        doc.pair("ended", Ink::Warning, &ended);
    }
    doc.pair("took", Ink::Plain, &took(cloned.duration_ms));
    for warning in &cloned.warnings {
        doc.hanging(
            &[span(Ink::Warning, "! ")],
            Ink::Warning,
            &clean_line(warning),
        );
    }
    list(doc, "Hidden", &cloned.masked);
    list(doc, "Left behind", &cloned.left);
    let tables: Vec<String> = cloned
        .contents
        .iter()
        .map(|(table, content)| match content.rows {
            1 => format!("{table} 1 row {}", content.digest),
            rows => format!("{table} {rows} rows {}", content.digest),
        })
        .collect();
    list(doc, "Tables, equal at both ends", &tables);
}

fn list(doc: &mut Doc, title: &str, lines: &[String]) {
    if lines.is_empty() {
        return;
    }
    doc.heading(title);
    for line in lines.iter().take(LISTED) {
        doc.text(Ink::Plain, &clean_line(line));
    }
    if lines.len() > LISTED {
        doc.text(Ink::Muted, &format!("and {} more", lines.len() - LISTED));
    }
}
