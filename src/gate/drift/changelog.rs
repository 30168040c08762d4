//! What was decided about a difference, as an entry of the runbook's changelog.
//!
//! An entry ends with a marker that names its journal record, so that it is written once however
//! often that is tried.

use std::io::Write as _;
use std::path::Path;

use super::seen::{DriftSeen, difference_words};
use crate::gate::{Context, Evidence};
use crate::promotion::RemedyRecord;
use crate::runbook::Drift;
use crate::untrusted::clean_line;

/// Differences that an entry lists; the run's folder has them all.
const LISTED: usize = 50;

/// Writes the decisions that are not in the changelog yet. Gives its name when one was written.
///
/// # Errors
/// Why it could not be written; it is as it was.
pub fn document(gate: &Drift, context: &Context) -> Result<Option<String>, String> {
    let Some(changelog) = gate
        .changelog
        .as_ref()
        .filter(|_| !context.remedies.is_empty())
    else {
        return Ok(None);
    };
    let path = context.path(changelog);
    let shown = context.shown(&path);
    let failed = |error: std::io::Error| format!("{shown}: {error}");
    let text = read(&path).map_err(failed)?;
    let mut entries = String::new();
    for remedy in &context.remedies {
        let marker = marker(context, remedy);
        if !text.contains(&marker) {
            entries.push_str(&format!("\n{}{marker}\n", entry(gate, context, remedy)));
        }
    }
    if entries.is_empty() {
        return Ok(None);
    }
    let separate = if text.is_empty() || text.ends_with('\n') {
        ""
    } else {
        "\n"
    };
    append(&path, &format!("{separate}{entries}")).map_err(failed)?;
    Ok(Some(shown))
}

/// Adds to the file as it is: its owner, mode and links are its repository's.
fn append(path: &Path, text: &str) -> std::io::Result<()> {
    let mut file = std::fs::OpenOptions::new()
        .append(true)
        .create(true)
        .open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

fn read(path: &Path) -> std::io::Result<String> {
    match std::fs::read_to_string(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(String::new()),
        read => read,
    }
}

fn marker(context: &Context, remedy: &RemedyRecord) -> String {
    let (run, gate, seq) = (&context.run, &context.gate.id, remedy.seq);
    format!("<!-- stagegate run {run}, gate {gate}, record {seq} -->")
}

fn entry(gate: &Drift, context: &Context, remedy: &RemedyRecord) -> String {
    let at = remedy.at.strftime("%Y-%m-%d %H:%M UTC");
    let mut entry = format!("## {at}: schema drift on {}\n\n", gate.target);
    let mut line = |text: String| {
        entry.push_str("- ");
        entry.push_str(&clean_line(&text));
        entry.push('\n');
    };
    line(format!("Decision: {}.", remedy.remedy.words()));
    line(format!("Approved by: {}.", remedy.approved_by));
    line(format!("Taken by: {}.", remedy.by));
    line(format!("Reason: {}", remedy.reason));
    if let Some(seen) = seen(context, remedy) {
        line(format!(
            "Expected: {}, checksum {}. Found: checksum {}.",
            seen.expected, seen.expected_checksum, seen.actual_checksum
        ));
        if let Some(direction) = seen.direction() {
            line(format!("The database was {}:", direction.word()));
        }
        let differences = seen.comparison.differences.iter().map(difference_words);
        let all: Vec<String> = seen.recorded().into_iter().chain(differences).collect();
        for words in all.iter().take(LISTED) {
            entry.push_str(&format!("  - {}\n", clean_line(words)));
        }
        if all.len() > LISTED {
            entry.push_str(&format!("  - and {} more\n", all.len() - LISTED));
        }
    }
    entry.push('\n');
    entry
}

/// What the attempt saw that the decision is about.
fn seen(context: &Context, remedy: &RemedyRecord) -> Option<DriftSeen> {
    let name = format!("evidence/{}-{}.json", context.gate.id, remedy.attempt);
    let text = std::fs::read_to_string(context.folder.join(name)).ok()?;
    match serde_json::from_str(&text).ok()? {
        Evidence::Drift { seen, .. } => Some(*seen),
        _ => None,
    }
}
