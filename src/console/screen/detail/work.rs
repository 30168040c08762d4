//! A gate at work: how far it is, what it has done, what it says.

use crate::console::model::Model;
use crate::console::screen::log::push_line;
use crate::console::screen::text::{Doc, Ink, cells, clip, clip_start, span};
use crate::console::screen::times::{bytes, took, watch};
use crate::gate::{Progress, Unit};
use crate::promotion::{EffectOutcome, GateRecord};
use crate::untrusted::clean_line;

/// The fewest lines of output that are shown, however low the pane is.
const TAIL: usize = 4;
/// How many finished parts are shown while more are coming.
const PARTS: usize = 6;
/// How many finished parts are shown of a gate that nothing is coming from.
const ALL_PARTS: usize = 200;

/// Adds what is known of a gate at work; the newest output fills what is left of `height` lines.
pub(super) fn running(doc: &mut Doc, model: &Model, gate: &GateRecord, height: usize) {
    doc.blank();
    let elapsed = gate
        .started
        .map_or(String::new(), |at| watch(model.now.duration_since(at)));
    if gate.cancel_requested {
        let text = format!("cancel requested; running for {elapsed}");
        doc.hanging(&[span(Ink::Warning, "⊘ ")], Ink::Warning, &text);
    } else {
        doc.hanging(
            &[span(Ink::Accent, "▶ ")],
            Ink::Accent,
            &format!("running for {elapsed}"),
        );
    }
    if let Some((ink, text)) = crate::console::screen::locks::line(model) {
        doc.hanging(&[span(ink, "! ")], ink, &text);
    }
    super::watch::live(doc, model, height);
    if let Some(seen) = &model.feed.progress {
        progress(doc, seen);
    }
    super::rehearsed::planned(doc, model, gate);
    parts(doc, gate, PARTS);
    let said = model
        .feed
        .lines
        .iter()
        .filter(|line| *line.gate == *gate.id);
    let mut output = Doc::new(doc.width());
    for line in said {
        push_line(&mut output, line);
    }
    if output.lines.is_empty() {
        return;
    }
    doc.heading("Output, 5 shows all of it");
    let room = height.saturating_sub(doc.lines.len()).max(TAIL);
    let skip = output.lines.len().saturating_sub(room);
    doc.lines.extend(output.lines.drain(skip..));
}

fn progress(doc: &mut Doc, progress: &Progress) {
    let count = |value: u64| match progress.unit {
        Unit::Bytes => bytes(value),
        Unit::Statements | Unit::Files | Unit::Steps | Unit::Entries => value.to_string(),
    };
    let unit = match progress.unit {
        Unit::Bytes => "",
        Unit::Statements => " statements",
        Unit::Files => " files",
        Unit::Steps => " steps",
        Unit::Entries => " entries",
    };
    let room = doc.width();
    match progress.total.filter(|total| *total > 0) {
        Some(total) => {
            let share = (progress.done.min(total) as f64) / total as f64;
            let words = format!(
                " {:>3.0} %  {} of {}{unit}",
                share * 100.0,
                count(progress.done),
                count(total)
            );
            let width = room.saturating_sub(cells(&words)).clamp(4, 40);
            let full = (share * width as f64).round() as usize;
            doc.fixed(vec![
                span(Ink::Accent, "█".repeat(full)),
                span(Ink::Muted, "░".repeat(width - full)),
                span(Ink::Plain, words),
            ]);
        }
        None => doc.text(
            Ink::Plain,
            &format!("{}{unit} so far", count(progress.done)),
        ),
    }
    doc.fixed(vec![span(
        Ink::Plain,
        clip(&clean_line(&progress.label), room),
    )]);
    if !progress.detail.is_empty() {
        doc.fixed(vec![span(
            Ink::Muted,
            clip(&clean_line(&progress.detail), room),
        )]);
    }
}

/// Adds the parts that have ended.
pub(super) fn effects(doc: &mut Doc, gate: &GateRecord) {
    parts(doc, gate, ALL_PARTS);
}

/// Adds the last parts that have ended, the newest last.
fn parts(doc: &mut Doc, gate: &GateRecord, most: usize) {
    if gate.effects.is_empty() {
        return;
    }
    doc.heading(&format!("Done so far, {}", gate.effects.len()));
    let skipped = gate.effects.len().saturating_sub(most);
    if skipped > 0 {
        doc.text(Ink::Muted, &format!("… {skipped} before these"));
    }
    for effect in gate.effects.iter().skip(skipped) {
        let (mark, ink, word) = match effect.outcome {
            EffectOutcome::Committed => ("✓ ", Ink::Good, "committed"),
            EffectOutcome::RolledBack => ("✗ ", Ink::Bad, "rolled back"),
            EffectOutcome::Unknown => ("‽ ", Ink::Warning, "unknown"),
        };
        let after = format!("  {word}, {}", took(effect.duration_ms));
        let room = doc.columns().saturating_sub(cells(&after) + 2);
        let name = clip_start(&clean_line(&effect.name), room);
        let pad = " ".repeat(room.saturating_sub(cells(&name)));
        doc.fixed(vec![
            span(ink, mark),
            span(Ink::Plain, name),
            span(Ink::Muted, format!("{pad}{after}")),
        ]);
    }
}
