//! What a rehearsal saw, as text for people and as JSON.

use std::fmt::Write as _;

use crate::expectation::{Finding, Verdict};
use crate::gate::FileState;
use crate::gate::rehearse::{BackState, Rehearsed};
use crate::untrusted::clean_line;

/// How long something took.
fn took(ms: u64) -> String {
    match ms {
        0..1_000 => format!("{ms} ms"),
        _ => format!("{:.1} s", ms as f64 / 1000.0),
    }
}

/// Writes the verdict and everything it is made of.
pub(super) fn text(finding: &Finding, seen: Option<&Rehearsed>) -> String {
    let mut text = String::new();
    let _ = writeln!(
        text,
        "{}: {}",
        finding.verdict.word(),
        clean_line(&finding.summary)
    );
    for cause in &finding.caused_by {
        let _ = writeln!(text, "  caused by: {}", clean_line(cause));
    }
    for can in &finding.what_you_can_do {
        let _ = writeln!(text, "  you can:   {}", clean_line(can));
    }
    let Some(seen) = seen else { return text };
    let _ = writeln!(text);
    if let Some(verified) = seen.verified.as_ref().or(seen.compared.as_ref()) {
        let _ = writeln!(
            text,
            "restored and compared  {} tables, {} rows, {} sequences in {}",
            verified.tables,
            verified.rows,
            verified.sequences,
            took(seen.took.verify)
        );
    }
    gates(&mut text, seen);
    backs(&mut text, seen);
    for (file, hazard) in seen.hazards() {
        let mark = if hazard.refused { "refused" } else { "seen" };
        let words = clean_line(&format!("{}: {}", file.file, hazard.words()));
        let _ = writeln!(text, "hazard, {mark:<14} {words}");
    }
    if !seen.gates.is_empty() {
        let _ = writeln!(
            text,
            "window                 {} here; the same rows on another machine, with nobody else on it",
            took(seen.window_ms())
        );
    }
    for left in &seen.left_out {
        let _ = writeln!(text, "not rehearsed          {}", clean_line(left));
    }
    for missing in &seen.missing {
        let _ = writeln!(text, "otherwise here         {}", clean_line(missing));
    }
    text
}

fn gates(text: &mut String, seen: &Rehearsed) {
    for gate in &seen.gates {
        let word = gate.verdict.word();
        let summary = clean_line(&gate.summary);
        let _ = writeln!(text, "{word:<22} {}: {summary}", gate.id);
        for file in &gate.files {
            let state = match file.state {
                FileState::Applied => "",
                _ => ", rolled back",
            };
            let name = clean_line(&file.file);
            let _ = writeln!(text, "  {:<20} {name}{state}", took(file.duration_ms));
            for words in file.changes.iter().chain(&file.rows) {
                let _ = writeln!(text, "  {:<20}   {}", "", clean_line(words));
            }
            for traced in &file.traced {
                for words in traced.words() {
                    let _ = writeln!(text, "  {:<20}   {}", "", clean_line(&words));
                }
            }
        }
    }
}

fn backs(text: &mut String, seen: &Rehearsed) {
    for back in &seen.backs {
        let word = match back.state {
            BackState::Reversed => "undone",
            BackState::NotReversed => "not reversed",
            BackState::Leaves => "undone, leaves",
            BackState::Failed => "way back failed",
            BackState::NoWay => "no way back",
            BackState::NotTried => "not undone",
        };
        let _ = writeln!(text, "{word:<22} {}", clean_line(&back.file));
        for said in &back.said {
            let _ = writeln!(text, "  {:<20}   {}", "", clean_line(said));
        }
    }
    if let Some(again) = &seen.again
        && again.failed.is_empty()
        && again.differences.is_empty()
    {
        let files = again.files;
        let _ = writeln!(
            text,
            "up again               {files} files, the same schema as before"
        );
    }
}

/// The verdict and the evidence as one JSON object.
pub(super) fn json(finding: &Finding, seen: Option<&Rehearsed>) -> String {
    let value = serde_json::json!({
        "format": 1,
        "verdict": finding.verdict,
        "summary": finding.summary,
        "caused_by": finding.caused_by,
        "what_you_can_do": finding.what_you_can_do,
        "window_ms": seen.map(Rehearsed::window_ms),
        "rehearsed": seen,
    });
    format!("{value}\n")
}

/// The exit code of a verdict.
pub(super) fn exit(finding: &Finding, canceled: bool) -> super::Exit {
    match finding.verdict {
        _ if canceled => super::Exit::Interrupted,
        Verdict::Passed => super::Exit::Well,
        Verdict::Errored => super::Exit::Error,
        _ => super::Exit::NotPassed,
    }
}
