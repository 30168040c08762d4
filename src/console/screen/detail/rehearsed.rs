//! What a rehearsal saw, and what it lets one expect while the same gates run in earnest.

use crate::console::model::Model;
use crate::console::screen::text::{Doc, Ink, cells, clip_start, span};
use crate::console::screen::times::{bytes, took};
use crate::expectation::Verdict;
use crate::gate::rehearse::{BackState, Rehearsed, RehearsedBack, RehearsedFile, RehearsedGate};
use crate::gate::{AppliedFile, Evidence, FileState};
use crate::promotion::{EffectOutcome, GateRecord, GateState};
use crate::untrusted::clean_line;

/// How many lines a list may have; the evidence file has all.
const LISTED: usize = 200;
/// How wide a bar is, in cells.
const BAR: usize = 24;

pub(super) fn seen(doc: &mut Doc, target: &str, seen: &Rehearsed) {
    backup(doc, target, seen);
    for difference in seen.differences.iter().take(LISTED) {
        let lead = span(Ink::Bad, "✗ ");
        doc.hanging(&[lead], Ink::Bad, &clean_line(difference));
    }
    window(doc, seen);
    hazards(doc, seen);
    gates(doc, seen);
    way_back(doc, seen);
    list(doc, "Not rehearsed", &seen.left_out);
    list(doc, "Otherwise here than there", &seen.missing);
}

fn backup(doc: &mut Doc, target: &str, seen: &Rehearsed) {
    doc.heading("The backup, restored");
    let of = match &seen.backup {
        Some(gate) => format!("{target}, by `{gate}`, {}", seen.taken_at),
        None => format!("{target}, {}, taken for this alone", seen.how),
    };
    doc.pair("of", Ink::Strong, &clean_line(&of));
    match &seen.verified {
        Some(verified) => {
            let holds = format!(
                "{} tables, {} rows, {} sequences",
                verified.tables, verified.rows, verified.sequences
            );
            doc.pair("verified", Ink::Good, &holds);
            let equal = match verified.with_source {
                true => "to what the source held in the snapshot that was dumped",
                false => "to what the dump says of itself; the source was not read beside it",
            };
            doc.pair("equal", Ink::Plain, equal);
            let schema = match verified.schema {
                true => "equal to the source's",
                false => "not compared",
            };
            doc.pair("schema", Ink::Plain, schema);
        }
        None if seen.unverified.is_some() => {
            let reason = seen.unverified.as_deref().unwrap_or_default();
            doc.pair("verified", Ink::Warning, &clean_line(reason));
        }
        None if seen.differences.is_empty() => {
            doc.pair(
                "verified",
                Ink::Warning,
                "no: it is only a part of the source",
            );
        }
        None => doc.pair("verified", Ink::Bad, "no"),
    }
    let all = &seen.took;
    let parts = format!(
        "{}: restored {}, compared by {}",
        took(all.all),
        took(all.restore),
        took(all.verify)
    );
    doc.pair("took", Ink::Plain, &parts);
    let room = format!(
        "{} here, {} there",
        bytes(seen.scratch_bytes),
        bytes(seen.database_bytes)
    );
    doc.pair("room", Ink::Plain, &room);
    doc.pair(
        "server",
        Ink::Muted,
        &format!("PostgreSQL {}, private, gone again", seen.version),
    );
}

/// What the run itself is going to take. Measured, and said where: it is another machine.
fn window(doc: &mut Doc, seen: &Rehearsed) {
    if seen.gates.is_empty() {
        return;
    }
    doc.heading("What to expect");
    let files = seen
        .files()
        .filter(|(_, f)| f.state == FileState::Applied)
        .count();
    let window = format!("{} for {files} files", took(seen.window_ms()));
    doc.pair("window", Ink::Strong, &window);
    let restore = format!("{} to restore the backup", took(seen.took.verify));
    doc.pair("way back", Ink::Strong, &restore);
    let reversed = |back: &&RehearsedBack| back.state == BackState::Reversed;
    let undone: Vec<&RehearsedBack> = seen.backs.iter().filter(reversed).collect();
    if !undone.is_empty() {
        let ms = undone.iter().map(|back| back.duration_ms).sum();
        let down = format!("{} to undo {} files", took(ms), undone.len());
        doc.pair("", Ink::Plain, &down);
    }
    let same = match seen.how.as_str() {
        "schema" => "measured without rows: with them it takes longer",
        "sample" => "measured with a part of the rows: with all it takes longer",
        _ => "measured with the same rows on another machine, where nobody else works",
    };
    doc.text(Ink::Muted, same);
}

fn hazards(doc: &mut Doc, seen: &Rehearsed) {
    let count = seen.hazards().count();
    if count == 0 {
        return;
    }
    doc.heading(&format!("Hazards that were seen, {count}"));
    for (file, hazard) in seen.hazards().take(LISTED) {
        let (mark, ink) = match (hazard.refused, &hazard.allowed) {
            (true, _) => ("✗ ", Ink::Bad),
            (false, Some(_)) => ("! ", Ink::Warning),
            (false, None) => ("· ", Ink::Plain),
        };
        let hidden = if hazard.hidden {
            ", hidden in the text"
        } else {
            ""
        };
        let words = format!("{}: {}{hidden}", file.file, hazard.words());
        doc.hanging(&[span(ink, mark)], ink, &clean_line(&words));
        if let Some(reason) = &hazard.allowed {
            doc.hanging(
                &[span(Ink::Muted, "  ")],
                Ink::Muted,
                &format!("allowed: {}", clean_line(reason)),
            );
        }
    }
}

fn gates(doc: &mut Doc, seen: &Rehearsed) {
    if seen.gates.is_empty() {
        return;
    }
    doc.heading(&format!("Gates, {}", seen.gates.len()));
    for gate in &seen.gates {
        let (mark, ink) = match gate.verdict {
            Verdict::Passed => ("✓ ", Ink::Good),
            _ => ("✗ ", Ink::Bad),
        };
        row(
            doc,
            (mark, ink),
            &format!("{} {}", gate.kind, gate.id),
            &took(gate.duration_ms),
        );
        if gate.verdict != Verdict::Passed {
            doc.hanging(
                &[span(Ink::Bad, "  ")],
                Ink::Bad,
                &clean_line(&gate.summary),
            );
        }
        for file in &gate.files {
            one_file(doc, file);
        }
    }
}

fn one_file(doc: &mut Doc, file: &RehearsedFile) {
    let ink = match file.state {
        FileState::Applied => Ink::Plain,
        _ => Ink::Bad,
    };
    let wal = match file.wal_bytes {
        0 => String::new(),
        written => format!(", WAL {}", bytes(written)),
    };
    let after = format!("{}{wal}", took(file.duration_ms));
    row(doc, ("  ", ink), &file.file, &after);
    for words in file.changes.iter().chain(&file.rows).take(LISTED) {
        doc.hanging(&[span(Ink::Muted, "    ")], Ink::Muted, &clean_line(words));
    }
    for traced in &file.traced {
        for words in traced.words() {
            doc.hanging(
                &[span(Ink::Muted, "    ")],
                Ink::Warning,
                &clean_line(&words),
            );
        }
    }
}

fn way_back(doc: &mut Doc, seen: &Rehearsed) {
    if seen.backs.is_empty() {
        return;
    }
    doc.heading("The way back, the last one first");
    for back in &seen.backs {
        let (mark, ink, word) = match back.state {
            BackState::Reversed => ("✓ ", Ink::Good, "undone"),
            BackState::NotReversed => ("✗ ", Ink::Bad, "leaves a difference"),
            BackState::Leaves => ("! ", Ink::Warning, "leaves what it may"),
            BackState::Failed => ("✗ ", Ink::Bad, "failed"),
            BackState::NoWay => ("! ", Ink::Warning, "no way back"),
            BackState::NotTried => ("· ", Ink::Muted, "not tried"),
        };
        let after = match back.state {
            BackState::Reversed => format!("{word}, {}", took(back.duration_ms)),
            _ => word.to_owned(),
        };
        row(doc, (mark, ink), &back.file, &after);
        for said in back.said.iter().take(LISTED) {
            doc.hanging(&[span(Ink::Muted, "    ")], Ink::Muted, &clean_line(said));
        }
    }
    let Some(again) = &seen.again else { return };
    let said: Vec<&String> = again.failed.iter().chain(&again.differences).collect();
    if said.is_empty() {
        let words = format!("{} files up again: the same schema as before", again.files);
        doc.hanging(&[span(Ink::Good, "✓ ")], Ink::Plain, &words);
    }
    for words in said.into_iter().take(LISTED) {
        doc.hanging(&[span(Ink::Bad, "✗ ")], Ink::Bad, &clean_line(words));
    }
}

/// A name at the left, and what there is to say of it at the right.
fn row(doc: &mut Doc, (mark, ink): (&str, Ink), name: &str, after: &str) {
    let after = format!("  {after}");
    let room = doc
        .columns()
        .saturating_sub(cells(&after) + cells(mark))
        .max(8);
    let name = clip_start(&clean_line(name), room);
    let pad = " ".repeat(room.saturating_sub(cells(&name)));
    doc.fixed(vec![
        span(ink, mark),
        span(Ink::Plain, name),
        span(Ink::Muted, format!("{pad}{after}")),
    ]);
}

fn list(doc: &mut Doc, title: &str, lines: &[String]) {
    if lines.is_empty() {
        return;
    }
    doc.heading(title);
    for line in lines.iter().take(LISTED) {
        doc.text(Ink::Plain, &clean_line(line));
    }
}

/// The rehearsal of a gate, where one of this run passed.
fn rehearsal_of<'a>(model: &'a Model, gate: &str) -> Option<&'a RehearsedGate> {
    let run = &model.snapshot.run;
    let stands = |id: &str| run.gate(id).is_some_and(|g| g.state == GateState::Passed);
    let evidence = model.snapshot.evidence.iter().filter(|(id, _)| stands(id));
    let mut rehearsals = evidence.filter_map(|(_, evidence)| match evidence.as_ref() {
        Evidence::Rehearse { rehearsed, .. } => Some(rehearsed),
        _ => None,
    });
    rehearsals.find_map(|seen| seen.gates.iter().find(|rehearsed| rehearsed.id == gate))
}

/// Adds how far a gate at work is against its rehearsal.
pub(super) fn planned(doc: &mut Doc, model: &Model, gate: &GateRecord) {
    let Some(rehearsed) = rehearsal_of(model, &gate.id) else {
        return;
    };
    let expected: u64 = rehearsed.files.iter().map(|file| file.duration_ms).sum();
    if rehearsed.files.is_empty() {
        return;
    }
    let committed = |file: &&RehearsedFile| {
        let mut effects = gate.effects.iter();
        effects.any(|e| e.name == file.file && e.outcome == EffectOutcome::Committed)
    };
    let done: Vec<&RehearsedFile> = rehearsed.files.iter().filter(committed).collect();
    let there: u64 = done.iter().map(|file| file.duration_ms).sum();
    let taken: u64 = gate.effects.iter().map(|effect| effect.duration_ms).sum();
    let words = format!(
        " {} of {} files; rehearsed {} of {}, now {}",
        done.len(),
        rehearsed.files.len(),
        took(there),
        took(expected),
        took(taken)
    );
    bar(doc, there, expected, &words);
}

fn bar(doc: &mut Doc, done: u64, all: u64, words: &str) {
    let share = (done.min(all) as f64) / all.max(1) as f64;
    let width = doc.width().saturating_sub(cells(words)).clamp(4, BAR);
    let full = (share * width as f64).round() as usize;
    doc.fixed(vec![
        span(Ink::Good, "█".repeat(full)),
        span(Ink::Muted, "░".repeat(width - full)),
        span(Ink::Plain, words),
    ]);
}

/// Adds what was rehearsed beside what happened, file by file.
pub(super) fn against(doc: &mut Doc, model: &Model, gate: &str, files: &[AppliedFile]) {
    let Some(rehearsed) = rehearsal_of(model, gate) else {
        return;
    };
    let applied = files.iter().filter(|file| file.state == FileState::Applied);
    let pairs: Vec<(&AppliedFile, &RehearsedFile)> = applied
        .filter_map(|file| {
            let same = |r: &&RehearsedFile| r.file == file.file && r.checksum == file.checksum;
            Some((file, rehearsed.files.iter().find(same)?))
        })
        .collect();
    if pairs.is_empty() {
        return;
    }
    doc.heading("Rehearsed, and in earnest");
    let longest = pairs
        .iter()
        .map(|(a, r)| a.duration_ms.max(r.duration_ms))
        .max();
    let longest = longest.unwrap_or(1).max(1);
    for (actual, rehearsed) in pairs.iter().take(LISTED) {
        let cells_of = |ms: u64| ((ms as f64 / longest as f64) * 8.0).ceil() as usize;
        let bars = |ms: u64| format!("{:<8}", "█".repeat(cells_of(ms).min(8)));
        let after = format!(
            "{} {:>7}  {} {:>7}",
            bars(rehearsed.duration_ms),
            took(rehearsed.duration_ms),
            bars(actual.duration_ms),
            took(actual.duration_ms)
        );
        row(doc, ("", Ink::Plain), &actual.file, &after);
    }
}

/// Adds whether a backup was restored and compared in this run.
pub(super) fn of_backup(doc: &mut Doc, model: &Model, gate: &str) {
    let rehearsals = model.snapshot.evidence.iter();
    let mut found = rehearsals.filter_map(|(id, evidence)| match evidence.as_ref() {
        Evidence::Rehearse { rehearsed, .. } if rehearsed.backup.as_deref() == Some(gate) => {
            Some((id, rehearsed.verified.is_some()))
        }
        _ => None,
    });
    match found.next_back() {
        Some((id, true)) => doc.pair(
            "verified",
            Ink::Good,
            &format!("restored and compared by `{id}`"),
        ),
        Some((id, false)) => doc.pair("verified", Ink::Bad, &format!("`{id}` found it otherwise")),
        None => doc.pair("verified", Ink::Muted, "not restored yet"),
    }
}
