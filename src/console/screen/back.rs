//! Going back and telling people: reachable from every screen.

use super::act::open;
use super::dialog::{BackSheet, Dialog, MessageSheet};
use crate::console::model::{Model, Tone};
use crate::console::msg::Effect;
use crate::engine::CommandError;
use crate::promotion::RunStatus;
use crate::untrusted::clean_line;

/// Opens the question which way to go back, and has the plans of all ways made.
pub fn roll_back(model: &mut Model) -> Vec<Effect> {
    let over = model.run().status.is_terminal();
    if over && !matches!(model.run().status, RunStatus::Rejected(_)) {
        let word = model.run().status.word();
        model.say(
            Tone::Refusal,
            format!("the run is {word}; it cannot be rolled back"),
        );
        return Vec::new();
    }
    if model.at_work() {
        model.say(
            Tone::Refusal,
            "a gate is at work; c cancels it, then b goes back",
        );
        return Vec::new();
    }
    let Some(sheet) = BackSheet::of(model) else {
        model.say(Tone::Refusal, "this runbook has no way back ([[rollback]])");
        return Vec::new();
    };
    open(model, Dialog::Back(Box::new(sheet)));
    let run = model.run();
    let gates = run.definition.rollbacks.iter().flat_map(|back| &back.gates);
    gates.map(|gate| Effect::Plan(gate.id.clone())).collect()
}

/// Opens the messages; the one that is due first, if there is one.
pub fn tell(model: &mut Model) -> Vec<Effect> {
    let Some(mut sheet) = MessageSheet::of(model) else {
        model.say(Tone::Refusal, "this runbook has no messages ([[message]])");
        return Vec::new();
    };
    if let Some(reminder) = &model.run().reminder {
        sheet.choose(&reminder.message);
    }
    open(model, Dialog::Message(Box::new(sheet)));
    Vec::new()
}

/// Opens the message that a gate waits for.
pub fn tell_for(model: &mut Model, gate: &str, message: &str) -> Vec<Effect> {
    if let Some(sheet) = MessageSheet::for_gate(model, gate, message) {
        open(model, Dialog::Message(Box::new(sheet)));
    }
    Vec::new()
}

/// Takes the answer to a message that was sent.
pub fn told(model: &mut Model, result: Result<(), CommandError>) -> Vec<Effect> {
    model.dirty = true;
    match (result, &mut model.dialog) {
        (Ok(()), _) => {
            model.dialog = None;
            model.say(Tone::Good, "sent, and recorded in the journal");
        }
        (Err(error), Some(dialog)) => dialog.refused(clean_line(&error.to_string())),
        (Err(error), None) => model.say(Tone::Refusal, clean_line(&error.to_string())),
    }
    Vec::new()
}
