//! Gates that people move: items to confirm, roles that sign.

use crate::console::model::Model;
use crate::console::screen::text::{Doc, Ink, span};
use crate::console::screen::times::clock;
use crate::promotion::{Decision, GateRecord, InputKind, ItemDefinition, Nature};
use crate::untrusted::{clean, clean_line};

/// The text of an item: filled in as the plan has it, or as the runbook wrote it.
pub fn item_text(model: &Model, gate: &str, item: usize) -> String {
    let lead = format!("{}. ", item + 1);
    let planned = model.snapshot.plans.get(gate).and_then(|plan| {
        let mut lines = plan.lines.iter();
        lines.find_map(|line| line.text.strip_prefix(&lead))
    });
    if let Some(text) = planned {
        return text.to_owned();
    }
    match model.run().definition_of(gate).map(|gate| &gate.nature) {
        Some(Nature::Items(items)) => items
            .get(item)
            .map_or(String::new(), |item| clean_line(&item.text)),
        _ => String::new(),
    }
}

pub(super) fn items(doc: &mut Doc, model: &Model, gate: &GateRecord, items: &[ItemDefinition]) {
    let done = gate.items.iter().filter(|item| item.is_some()).count();
    doc.heading(&format!("Items, {done} of {} confirmed", items.len()));
    for (number, item) in items.iter().enumerate() {
        let from = doc.lines.len();
        let record = gate.items.get(number).and_then(Option::as_ref);
        let (mark, ink) = match record {
            Some(_) => (span(Ink::Good, "[x] "), Ink::Plain),
            None => (span(Ink::Muted, "[ ] "), Ink::Plain),
        };
        doc.hanging(&[mark], ink, &item_text(model, &gate.id, number));
        let indent = span(Ink::Muted, "    ");
        let unit = clean_line(item.unit.as_deref().unwrap_or_default());
        match record {
            Some(record) => {
                let by = clean_line(&record.by);
                let at = clock(record.at, &model.zone);
                let space = if unit.is_empty() { "" } else { " " };
                let value = record.value.as_ref().map_or(String::new(), |value| {
                    format!("{}{space}{unit} · ", clean_line(value))
                });
                doc.hanging(&[indent], Ink::Muted, &format!("{value}{by} at {at}"));
            }
            None => {
                let wanted = match item.input {
                    None => String::new(),
                    Some(InputKind::Number) if unit.is_empty() => "asks for a number".to_owned(),
                    Some(InputKind::Number) => format!("asks for a number, {unit}"),
                    Some(InputKind::Text) => "asks for a text".to_owned(),
                };
                if !wanted.is_empty() {
                    doc.hanging(&[indent], Ink::Muted, &wanted);
                }
            }
        }
        doc.mark_item(from, number);
    }
}

pub(super) fn signatures(
    doc: &mut Doc,
    model: &Model,
    gate: &GateRecord,
    roles: &[String],
    distinct: bool,
) {
    let done = gate.statements.len();
    doc.heading(&format!("Signatures, {done} of {}", roles.len()));
    for name in roles {
        let role = model.run().definition.role(name);
        let title = role.map_or(name.clone(), |role| clean_line(&role.title));
        let said = gate.statements.iter().find(|said| said.role == *name);
        let Some(said) = said else {
            doc.hanging(&[span(Ink::Muted, "[ ] ")], Ink::Plain, &title);
            let members = role.map_or(String::new(), |role| role.members.join(", "));
            doc.hanging(
                &[span(Ink::Muted, "    ")],
                Ink::Muted,
                &clean_line(&members),
            );
            continue;
        };
        let (mark, ink, word) = match said.decision {
            Decision::Approve => ("[x] ", Ink::Good, "approved"),
            Decision::Reject => ("[✗] ", Ink::Bad, "REJECTED"),
        };
        doc.hanging(&[span(ink, mark)], Ink::Plain, &title);
        let by = clean_line(&said.person);
        let at = clock(said.time, &model.zone);
        doc.hanging(
            &[span(Ink::Muted, "    ")],
            ink,
            &format!("{word} by {by} at {at}"),
        );
        if !said.note.is_empty() {
            doc.hanging(&[span(Ink::Muted, "    ")], Ink::Plain, &clean(&said.note));
        }
    }
    doc.blank();
    if distinct {
        doc.text(
            Ink::Muted,
            "each role by another person; one rejection ends the run",
        );
    } else {
        doc.text(Ink::Muted, "one rejection ends the run");
    }
}
