//! `file`: a file must exist, and hold or not hold what patterns say.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use regex::Regex;

use super::{Context, Evidence, Outcome, Plan, Tone};
use crate::digest::digest;
use crate::expectation::{FileSeen, PatternMatch};
use crate::runbook::FileCheck;
use crate::untrusted::{clean_line, clip};

/// A file larger than this is not read, in bytes.
const LARGEST: u64 = 64 * 1024 * 1024;
/// How many matching lines are kept for each pattern.
const KEPT_LINES: usize = 20;

pub(super) fn plan(gate: &FileCheck, context: &Context) -> Plan {
    let path = context.fill(&gate.path);
    let patterns = [
        gate.expect.contains.join("\0"),
        gate.expect.lacks.join("\0"),
    ];
    let mut plan = Plan::new(
        format!("look at {path}"),
        &[&path, &patterns[0], &patterns[1]],
    );
    if !gate.expect.exists {
        plan.line(Tone::Plain, "it must not exist");
    }
    for pattern in &gate.expect.contains {
        plan.line(Tone::Plain, format!("it must contain    {pattern}"));
    }
    for pattern in &gate.expect.lacks {
        plan.line(Tone::Plain, format!("it must not contain {pattern}"));
    }
    plan
}

pub(super) fn run(gate: &FileCheck, context: &Context) -> Outcome {
    let path = context.path(&gate.path);
    let seen = look(gate, &path);
    let mut finding = gate.expect.judge(&seen);
    let shown = context.shown(&path);
    finding.summary = format!("{shown}: {}", finding.summary);
    Outcome::of(finding).with(Evidence::File { path: shown, seen })
}

fn look(gate: &FileCheck, path: &Path) -> FileSeen {
    let metadata = match fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == ErrorKind::NotFound => return FileSeen::Missing,
        Err(error) => return FileSeen::Unreadable(error.to_string()),
    };
    if !metadata.is_file() {
        return FileSeen::Unreadable("it is no plain file".to_owned());
    }
    if metadata.len() > LARGEST {
        return FileSeen::Unreadable(format!("it is larger than {LARGEST} bytes"));
    }
    match fs::read(path) {
        Err(error) => FileSeen::Unreadable(error.to_string()),
        Ok(bytes) => {
            let text = String::from_utf8_lossy(&bytes);
            let patterns = gate.expect.contains.iter().chain(&gate.expect.lacks);
            FileSeen::Read {
                bytes: bytes.len() as u64,
                sha256: digest(&bytes),
                matches: patterns.map(|pattern| find(pattern, &text)).collect(),
            }
        }
    }
}

fn find(pattern: &str, text: &str) -> PatternMatch {
    let mut found = PatternMatch {
        pattern: pattern.to_owned(),
        count: 0,
        lines: Vec::new(),
    };
    // The loader has compiled every pattern once, so this cannot fail.
    let Ok(regex) = Regex::new(pattern) else {
        return found;
    };
    for hit in regex.find_iter(text) {
        found.count += 1;
        if found.lines.len() < KEPT_LINES {
            let before = &text[..hit.start()];
            let number = before.bytes().filter(|b| *b == b'\n').count() as u64 + 1;
            let start = before.rfind('\n').map_or(0, |at| at + 1);
            let line = text[start..].lines().next().unwrap_or_default();
            found.lines.push((number, clip(&clean_line(line), 300)));
        }
    }
    found
}
