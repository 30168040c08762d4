//! The selected gate in full: what it would do, what it does, what it found.

mod cloned;
mod drifted;
mod evidence;
mod linted;
mod noted;
mod people;
mod plan;
mod rehearsed;
mod restored;
mod revised;
mod signed;
mod tooled;
mod versioned;
mod watch;
mod work;

pub use people::item_text;
pub use plan::is_plan_heading;

use super::glyph;
use super::text::{Doc, Ink, span};
use super::times::{clock, watch};
use crate::console::model::Model;
use crate::expectation::Finding;
use crate::promotion::signature::Purpose;
use crate::promotion::{GateDefinition, GateRecord, GateState, Nature, Waiver};
use crate::untrusted::{clean, clean_line};

/// Makes the document of the selected gate for a pane of `width` and `height`.
pub fn page(model: &Model, width: usize, height: usize) -> Doc {
    let mut doc = Doc::new(width);
    let (Some(gate), Some(definition)) = (model.gate(), model.definition()) else {
        doc.text(Ink::Muted, "this runbook has no gates");
        return doc;
    };
    title(&mut doc, model, gate, definition);
    let by_people = matches!(definition.nature, Nature::Items(_) | Nature::SignOff { .. });
    match gate.state {
        GateState::Running if !by_people => {
            work::running(&mut doc, model, gate, height);
            return doc;
        }
        GateState::InDoubt => in_doubt(&mut doc, model, gate),
        _ => {}
    }
    if gate.state != GateState::InDoubt
        && let Some(finding) = &gate.finding
    {
        verdict(&mut doc, gate.state, finding);
    }
    if let Some(reason) = &gate.stale_because {
        doc.blank();
        let once = match gate.left_out {
            Some(_) => "",
            None => "it passed once, but ",
        };
        let text = format!("{once}{}", clean_line(reason));
        doc.hanging(&[span(Ink::Warning, "↻ ")], Ink::Warning, &text);
    }
    noted::from_outside(&mut doc, gate, &model.zone);
    if let Some(waiver) = &gate.waiver {
        waived(&mut doc, model, waiver);
    }
    signed::waiver(&mut doc, model, gate);
    retrying(&mut doc, model, gate);
    let refused = gate.state.may_retry();
    if refused {
        help(&mut doc, model, gate);
    }
    match &definition.nature {
        Nature::Items(items) => people::items(&mut doc, model, gate, items),
        Nature::SignOff { keys: true, .. } => {
            noted::reminder(&mut doc, model);
            signed::page(&mut doc, model, gate, Purpose::Signoff);
        }
        Nature::SignOff {
            roles, distinct, ..
        } => {
            noted::reminder(&mut doc, model);
            people::signatures(&mut doc, model, gate, roles, *distinct);
        }
        Nature::Message(_) => plan::plan(&mut doc, model, gate),
        Nature::Looks | Nature::Acts => {
            evidence::evidence(&mut doc, model, gate);
            plan::plan(&mut doc, model, gate);
        }
    }
    if !refused {
        help(&mut doc, model, gate);
    }
    footer(&mut doc, model, gate);
    doc
}

/// Who waived, those who signed or the operator, and why.
fn waived(doc: &mut Doc, model: &Model, waiver: &Waiver) {
    let who = match &waiver.signed {
        Some(signed) => signed.by.join(", "),
        None => waiver.by.clone(),
    };
    let at = clock(waiver.at, &model.zone);
    doc.heading("Waived");
    doc.text(Ink::Muted, &format!("by {} at {at}", clean_line(&who)));
    doc.text(Ink::Plain, &clean(&waiver.reason));
}

fn title(doc: &mut Doc, model: &Model, gate: &GateRecord, definition: &GateDefinition) {
    doc.text(Ink::Strong, &clean_line(&definition.title));
    let mut words = vec![definition.kind.clone()];
    if let Some(target) = model.target_of(&gate.id) {
        let verb = match definition.nature {
            Nature::Acts => "acts on",
            _ => "looks at",
        };
        words.push(format!("{verb} {}", target.name));
    }
    if gate.attempt > 1 {
        words.push(format!("attempt {}", gate.attempt));
    }
    if definition.waivable && !gate.state.advances() {
        words.push("may be waived".to_owned());
    }
    let state = Ink::State(gate.state);
    let word = format!("{} {}", glyph(gate.state), gate.state.word());
    doc.hanging(
        &[span(state, word), span(Ink::Muted, "  ")],
        Ink::Muted,
        &words.join(" · "),
    );
}

/// What the gate's author says, where it is of use: before it runs, and after it was refused.
fn help(doc: &mut Doc, model: &Model, gate: &GateRecord) {
    if gate.state.advances() || matches!(gate.state, GateState::Running | GateState::InDoubt) {
        return;
    }
    let runbook = &model.snapshot.runbook;
    if let Some(help) = runbook.gate(&gate.id).and_then(|gate| gate.help.as_deref()) {
        doc.heading(if gate.state.may_retry() {
            "The runbook says"
        } else {
            "If it does not pass, the runbook says"
        });
        doc.prose(Ink::Plain, &clean(help));
    }
}

fn verdict(doc: &mut Doc, state: GateState, finding: &Finding) {
    doc.blank();
    let lead = span(Ink::State(state), format!("{} ", glyph(state)));
    doc.hanging(&[lead], Ink::State(state), &clean(&finding.summary));
    blocks(doc, finding);
}

/// The two blocks of a refusal.
fn blocks(doc: &mut Doc, finding: &Finding) {
    if !finding.caused_by.is_empty() {
        doc.heading("Caused by");
        for cause in &finding.caused_by {
            for line in clean(cause).lines() {
                cause_line(doc, line);
            }
        }
    }
    if !finding.what_you_can_do.is_empty() {
        doc.heading("What you can do");
        for action in &finding.what_you_can_do {
            doc.hanging(&[span(Ink::Accent, "→ ")], Ink::Plain, &clean(action));
        }
    }
}

/// A cause, or a line of a statement with its number, whose columns carry meaning.
fn cause_line(doc: &mut Doc, line: &str) {
    let numbered = line.split_once(" | ").filter(|(number, _)| {
        number.len() >= 4 && number.chars().all(|c| c == ' ' || c.is_ascii_digit())
    });
    match numbered {
        Some((number, rest)) if number.trim().is_empty() => {
            doc.fixed(vec![
                span(Ink::Muted, format!("{number} │ ")),
                span(Ink::Bad, rest),
            ]);
        }
        Some((number, rest)) => {
            doc.fixed(vec![
                span(Ink::Muted, format!("{number} │ ")),
                span(Ink::Plain, rest),
            ]);
        }
        None => doc.hanging(&[span(Ink::Bad, "• ")], Ink::Plain, line),
    }
}

fn in_doubt(doc: &mut Doc, model: &Model, gate: &GateRecord) {
    if let Some(finding) = &gate.finding {
        verdict(doc, gate.state, finding);
    }
    if model.snapshot.reconciling.as_deref() == Some(gate.id.as_str()) {
        doc.blank();
        doc.text(
            Ink::Accent,
            "▶ the target is being asked what really happened",
        );
    } else if let Some(finding) = model.snapshot.doubts.get(&gate.id) {
        doc.heading("Asked, and still in doubt");
        doc.text(Ink::Warning, &clean(&finding.summary));
        blocks(doc, finding);
    }
    work::effects(doc, gate);
}

fn retrying(doc: &mut Doc, model: &Model, gate: &GateRecord) {
    if let Some((id, at)) = &model.snapshot.retrying
        && *id == gate.id
    {
        doc.blank();
        let left = watch(at.duration_since(model.now).max(jiff::SignedDuration::ZERO));
        doc.text(Ink::Accent, &format!("▶ it is tried again in {left}"));
    }
}

/// When, by whom, how often; notes; where the evidence is.
fn footer(doc: &mut Doc, model: &Model, gate: &GateRecord) {
    if !gate.notes.is_empty() {
        doc.heading("Notes");
        for note in &gate.notes {
            doc.hanging(&[span(Ink::Muted, "– ")], Ink::Plain, &clean_line(note));
        }
    }
    let Some(started) = gate.started else { return };
    doc.blank();
    let mut words = format!(
        "attempt {}, started {}",
        gate.attempt,
        clock(started, &model.zone)
    );
    if let Some(by) = &gate.started_by {
        words.push_str(&format!(" by {}", clean_line(by)));
    }
    if let Some(ended) = gate.ended.filter(|_| gate.state != GateState::Running) {
        let lasted = watch(ended.duration_since(started));
        words.push_str(&format!(
            ", ended {} after {lasted}",
            clock(ended, &model.zone)
        ));
    }
    doc.text(Ink::Muted, &words);
    if let Some(digest) = &gate.evidence {
        let short: String = digest.chars().take(12).collect();
        let text = format!(
            "evidence {short}, evidence/{}-{}.json",
            gate.id, gate.attempt
        );
        doc.text(Ink::Muted, &text);
    }
}
