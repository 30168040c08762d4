//! What became of a run that has ended.

use super::glyph;
use super::text::{Doc, Ink, cells, clip, span};
use super::times::{day, watch};
use crate::console::model::Model;
use crate::promotion::{GateState, RunStatus};
use crate::untrusted::clean_line;

/// Makes the closing page.
pub fn page(model: &Model, width: usize) -> Doc {
    let mut doc = Doc::new(width);
    let run = model.run();
    let (ink, words) = outcome(&run.status);
    doc.text(Ink::Plain, "");
    doc.text(ink, &words);
    doc.blank();
    doc.pair("opened", Ink::Plain, &day(run.opened, &model.zone));
    doc.pair("ended", Ink::Plain, &day(run.updated, &model.zone));
    doc.pair(
        "lasted",
        Ink::Plain,
        &watch(run.updated.duration_since(run.opened)),
    );
    doc.pair("operator", Ink::Plain, &clean_line(&run.operator));
    doc.pair("folder", Ink::Plain, &clean_line(&model.folder));
    doc.pair(
        "journal",
        Ink::Plain,
        &format!("{} records, head {}", run.seq, run.head),
    );
    let waived = run
        .gates
        .iter()
        .filter(|g| g.state == GateState::Waived)
        .count();
    if waived > 0 {
        doc.pair("waived", Ink::Warning, &format!("{waived} gates"));
    }
    doc.heading("Gates");
    for gate in &run.gates {
        let title = run.definition_of(&gate.id).map_or("", |g| g.title.as_str());
        let took = match (gate.started, gate.ended) {
            (Some(started), Some(ended)) => watch(ended.duration_since(started)),
            _ => String::new(),
        };
        let attempts = if gate.attempt > 1 {
            format!("{} attempts", gate.attempt)
        } else {
            String::new()
        };
        let after = format!("{attempts:>12} {took:>8}");
        let room = doc.width().saturating_sub(18 + cells(&after));
        let title = clip(&clean_line(title), room);
        let pad = " ".repeat(room.saturating_sub(cells(&title)));
        doc.fixed(vec![
            span(
                Ink::State(gate.state),
                format!("{} {:<14} ", glyph(gate.state), gate.state.word()),
            ),
            span(Ink::Plain, title),
            span(Ink::Muted, format!("{pad}{after}")),
        ]);
    }
    doc
}

/// How the run ended, in words.
fn outcome(status: &RunStatus) -> (Ink, String) {
    match status {
        RunStatus::Closed => (
            Ink::Good,
            "✓ The run is closed. Every gate let it through.".to_owned(),
        ),
        RunStatus::RolledBack(rollback) => (
            Ink::Warning,
            format!("↩ The run was rolled back by `{}`.", clean_line(rollback)),
        ),
        RunStatus::Rejected(reason) => (
            Ink::Bad,
            format!("✗ The run was rejected: {}", clean_line(reason)),
        ),
        RunStatus::Abandoned(reason) => (
            Ink::Warning,
            format!("⊘ The run was abandoned: {}", clean_line(reason)),
        ),
        RunStatus::Open | RunStatus::Held(_) => (Ink::Plain, "The run is open.".to_owned()),
    }
}
