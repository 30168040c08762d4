//! Giving a gate the plan that it judges: asked for, taken, and judged at once.

use super::act::{open, start};
use super::dialog::{Dialog, GivenSheet};
use super::{Screen, Verb};
use crate::console::model::{Model, Tone};
use crate::console::msg::Effect;
use crate::engine::CommandError;
use crate::promotion::{Command, GateState};
use crate::untrusted::clean_line;

/// Tells whether the selected gate judges a plan that people give.
pub fn takes_plan(model: &Model) -> bool {
    model.definition().is_some_and(|gate| gate.pastes)
}

/// Asks for the plan of the selected gate, unless it would be refused.
pub fn ask(model: &mut Model) -> Vec<Effect> {
    let Some(gate) = model.gate().map(|gate| gate.id.clone()) else {
        return Vec::new();
    };
    match model.refusal(&giving(&gate)) {
        Some(refusal) => model.say(Tone::Refusal, refusal.to_string()),
        None => open(model, Dialog::Given(Box::new(GivenSheet::of(model, &gate)))),
    }
    Vec::new()
}

fn giving(gate: &str) -> Command {
    Command::PastePlan {
        gate: gate.to_owned(),
        sha256: String::new(),
        bytes: 0,
    }
}

/// What `r` does: a plan that was refused, or says too little, is asked for anew.
pub fn retry(model: &mut Model) -> Vec<Effect> {
    let state = model.gate().map(|gate| gate.state);
    let again = matches!(state, Some(GateState::Failed | GateState::Inconclusive));
    match again && takes_plan(model) {
        true => ask(model),
        false => start(model, Verb::Retry),
    }
}

/// Text that is pasted beside a gate that waits for a plan is that plan. Tells whether it was.
pub fn pasted(model: &mut Model, text: &str) -> bool {
    let waits = model.screen == Screen::Run
        && takes_plan(model)
        && model.gate().is_some_and(|gate| !gate.state.advances());
    if !waits {
        return false;
    }
    ask(model);
    if let Some(Dialog::Given(sheet)) = &mut model.dialog {
        sheet.paste(text);
    }
    true
}

/// A plan was taken, or why not. What was taken is judged at once.
pub fn told(model: &mut Model, gate: &str, result: Result<(), CommandError>) -> Vec<Effect> {
    model.dirty = true;
    if let Err(error) = result {
        let reason = clean_line(&error.to_string());
        match &mut model.dialog {
            Some(dialog @ Dialog::Given(_)) => dialog.refused(reason),
            _ => model.say(Tone::Refusal, reason),
        }
        return Vec::new();
    }
    if matches!(model.dialog, Some(Dialog::Given(_))) {
        model.dialog = None;
        model.deaf = false;
    }
    let Some(record) = model.gate().filter(|record| record.id == gate) else {
        model.say(Tone::Good, "the plan is kept, and recorded in the journal");
        return Vec::new();
    };
    let verb = match record.state.may_retry() {
        true => Verb::Retry,
        false => Verb::Start,
    };
    start(model, verb)
}

/// A file was read, or why not.
pub fn loaded(model: &mut Model, text: Result<String, String>) -> Vec<Effect> {
    model.dirty = true;
    if let Some(Dialog::Given(sheet)) = &mut model.dialog {
        sheet.loaded(text);
    }
    Vec::new()
}

/// The word on the bar.
pub fn word(model: &Model) -> Option<&'static str> {
    let passed = model.gate()?.state == GateState::Passed;
    let refused = model.refusal(&giving(&model.gate()?.id)).is_some();
    (takes_plan(model) && passed && !refused).then_some("give another plan")
}
