//! What a gate is going to do.

use crate::console::model::Model;
use crate::console::screen::text::{Doc, DocLine, Ink, cells, clip_start, span};
use crate::gate::{Plan, Tone};
use crate::promotion::{GateRecord, GateState};

/// Adds the plan of a gate that may still be started.
pub(super) fn plan(doc: &mut Doc, model: &Model, gate: &GateRecord) {
    if gate.state.advances() || matches!(gate.state, GateState::Running | GateState::InDoubt) {
        return;
    }
    let again = gate.state.may_retry();
    let planning = model.snapshot.planning.contains(&gate.id);
    let Some(plan) = model.snapshot.plans.get(&gate.id) else {
        if planning || model.asked.contains(&gate.id) {
            doc.heading(heading(again));
            doc.text(Ink::Muted, "planning …");
        }
        return;
    };
    doc.heading(heading(again));
    doc.text(Ink::Plain, &plan.summary);
    if let Some(reason) = &plan.refuses {
        let lead = span(Ink::Bad, "! ");
        doc.hanging(
            &[lead],
            Ink::Bad,
            &format!("as planned it would refuse: {reason}"),
        );
    }
    lines(doc, plan);
    let short: String = plan.digest.chars().take(16).collect();
    doc.blank();
    let making = if planning { ", being made again" } else { "" };
    doc.text(Ink::Muted, &format!("plan {short}{making}"));
}

const FIRST: &str = "What it would do";
const AGAIN: &str = "What a retry would do";

fn heading(again: bool) -> &'static str {
    if again { AGAIN } else { FIRST }
}

/// Tells whether a line is where the plan begins.
pub fn is_plan_heading(line: &DocLine) -> bool {
    match line.spans.as_slice() {
        [only] => only.ink == Ink::Heading && (only.text == FIRST || only.text == AGAIN),
        _ => false,
    }
}

fn lines(doc: &mut Doc, plan: &Plan) {
    doc.blank();
    for line in &plan.lines {
        if plan
            .refuses
            .as_deref()
            .is_some_and(|reason| line.text.ends_with(reason))
        {
            continue;
        }
        let ink = match line.tone {
            Tone::Warning => Ink::Warning,
            Tone::Bad => Ink::Bad,
            Tone::Muted => Ink::Muted,
            _ => Ink::Plain,
        };
        if line.tone != Tone::Sql && file(doc, ink, &line.text) {
            continue;
        }
        match line.tone {
            Tone::Sql => doc.sql(&line.text),
            Tone::Heading => doc.heading(&line.text),
            Tone::Plain => named(doc, &line.text),
            Tone::Good => doc.text(Ink::Good, &line.text),
            Tone::Warning | Tone::Bad | Tone::Muted => doc.text(ink, &line.text),
        }
    }
}

/// A line such as `pending   db/one.sql  (11 statements)`: in columns, the path cut at its
/// beginning, because its end tells files apart. Tells whether it is one.
fn file(doc: &mut Doc, ink: Ink, text: &str) -> bool {
    let parts = text
        .strip_suffix(" statements)")
        .and_then(|rest| rest.rsplit_once("  ("))
        .and_then(|(rest, count)| Some((rest.rsplit_once(' ')?, count)));
    let Some(((word, path), count)) = parts else {
        return false;
    };
    // When it was applied, and what it was before, stands in the ledger.
    let word = match word.trim_end() {
        long if long.starts_with("applied") => "applied",
        long if long.starts_with("baseline") => "baseline",
        long if long.ends_with("applied again") => "again",
        long if long.starts_with("changed") => "changed",
        word => word,
    };
    let word = format!("{word:<8} ");
    let after = format!("  {count:>3} st.");
    let room = doc
        .columns()
        .saturating_sub(cells(&word) + cells(&after))
        .max(8);
    let path = clip_start(path, room);
    let pad = " ".repeat(room.saturating_sub(cells(&path)));
    let muted = if ink == Ink::Plain { Ink::Muted } else { ink };
    doc.fixed(vec![
        span(muted, word),
        span(ink, path),
        span(Ink::Muted, format!("{pad}{after}")),
    ]);
    true
}

/// A line such as `size     20 tables`: a name in a column of nine cells and its value, which is
/// wrapped below itself.
fn named(doc: &mut Doc, text: &str) {
    let column = text.char_indices().nth(9).map_or(text.len(), |(at, _)| at);
    let (name, value) = text.split_at(column);
    let is_name = name.ends_with(' ') && !name.trim_end().contains(' ') && !name.starts_with(' ');
    if is_name && !value.is_empty() && !value.starts_with(' ') {
        doc.hanging(&[span(Ink::Muted, name)], Ink::Plain, value);
    } else {
        doc.text(Ink::Plain, text);
    }
}
