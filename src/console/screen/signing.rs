//! Signing with keys at the console: statements are asked for here, and what comes back is handed in.

use super::Screen;
use super::act::open;
use super::dialog::{Dialog, Prompt, SignatureSheet};
use crate::console::model::{Model, Tone};
use crate::console::msg::Effect;
use crate::console::signing::{SigningEffect, SigningNews};
use crate::engine::CommandError;
use crate::promotion::signature::{Issued, Purpose};
use crate::promotion::{Command, GateState, Nature};
use crate::untrusted::clean_line;

/// The statements of the selected gate that wait for signatures and may still be signed.
pub fn waiting(model: &Model) -> Option<&Issued> {
    let issued = model.gate()?.signed.issued.as_ref()?;
    let state = model.gate()?.state;
    let signed = state == GateState::Running || state.may_retry();
    let open = signed && model.now < issued.expires;
    Some(issued).filter(|_| open)
}

/// Tells whether people sign the selected gate with their keys.
pub fn by_keys(model: &Model) -> bool {
    let nature = model.definition().map(|gate| &gate.nature);
    matches!(nature, Some(Nature::SignOff { keys: true, .. }))
}

/// What the key for signing does at a gate that keys sign: lets statements wait, or takes what came
/// back. `None` at other gates.
pub fn sign(model: &mut Model) -> Option<Vec<Effect>> {
    if waiting(model).is_some() {
        if let Some(sheet) = SignatureSheet::of(model) {
            open(model, Dialog::Signatures(Box::new(sheet)));
        }
        return Some(Vec::new());
    }
    if !by_keys(model) {
        return None;
    }
    let gate = model.gate()?.id.clone();
    Some(issue(model, gate, Purpose::Signoff, String::new()))
}

fn issue(model: &mut Model, gate: String, purpose: Purpose, reason: String) -> Vec<Effect> {
    let probe = probe(&gate, purpose, &reason);
    if let Some(refusal) = model.refusal(&probe) {
        model.say(Tone::Refusal, refusal.to_string());
        return Vec::new();
    }
    model.waiting = true;
    let asked = SigningEffect::Issue {
        gate,
        purpose,
        reason,
    };
    vec![Effect::Signing(asked)]
}

/// The command that the engine would be asked for, to see whether it would be refused.
pub fn probe(gate: &str, purpose: Purpose, reason: &str) -> Command {
    Command::IssueStatements {
        gate: gate.to_owned(),
        purpose,
        reason: reason.to_owned(),
        seed: String::new(),
        targets: Vec::new(),
    }
}

/// What the key for waiving does at a gate that signatures waive: asks for the reason. `None` where
/// the operator alone waives.
pub fn waive(model: &mut Model) -> Option<Vec<Effect>> {
    model.definition()?.waiver.as_ref()?;
    let gate = model.gate()?.id.clone();
    Some(ask_reason(model, &gate, Purpose::Waiver))
}

/// Asks why the glass is broken.
pub fn break_glass(model: &mut Model) -> Vec<Effect> {
    match model.gate().map(|gate| gate.id.clone()) {
        Some(gate) => ask_reason(model, &gate, Purpose::BreakGlass),
        None => Vec::new(),
    }
}

fn ask_reason(model: &mut Model, gate: &str, purpose: Purpose) -> Vec<Effect> {
    match model.refusal(&probe(gate, purpose, &"x".repeat(1000))) {
        Some(refusal) => model.say(Tone::Refusal, refusal.to_string()),
        None => {
            let rule = match purpose {
                Purpose::BreakGlass => model.run().definition.break_glass.as_deref().cloned(),
                _ => model.definition().and_then(|gate| gate.waiver.clone()),
            };
            if let Some(rule) = rule {
                let prompt = Prompt::waive_by_keys(gate, purpose, rule);
                open(model, Dialog::Prompt(prompt));
            }
        }
    }
    Vec::new()
}

/// The word on the bar for breaking the glass.
pub fn glass_word(model: &Model) -> Option<&'static str> {
    let there = model.run().definition.break_glass.is_some();
    let refused = model.gate().is_some_and(|gate| gate.state.may_retry());
    let waivable = model.definition().is_some_and(|gate| gate.waivable);
    (there && refused && waivable).then_some("break the glass")
}

/// The word for Enter on the bar, at a sign-off by keys.
pub fn enter_word(model: &Model) -> Option<&'static str> {
    let gate = model.gate()?.id.clone();
    let refused = model.refusal(&probe(&gate, Purpose::Signoff, ""));
    (waiting(model).is_none() && refused.is_none()).then_some("ask for signatures")
}

/// The word on the bar for signing.
pub fn word(model: &Model) -> Option<&'static str> {
    waiting(model).map(|_| "hand in a signature")
}

/// Text that is pasted beside a gate that waits for signatures is one. Tells whether it was.
pub fn pasted(model: &mut Model, text: &str) -> bool {
    if model.screen != Screen::Run || waiting(model).is_none() {
        return false;
    }
    let _ = sign(model);
    if let Some(Dialog::Signatures(sheet)) = &mut model.dialog {
        sheet.paste(text);
    }
    true
}

/// What came of something that was asked.
pub fn told(model: &mut Model, news: SigningNews) -> Vec<Effect> {
    model.dirty = true;
    match news {
        SigningNews::Issued(result) => issued(model, result),
        SigningNews::Loaded(text) => {
            if let Some(Dialog::Signatures(sheet)) = &mut model.dialog {
                sheet.loaded(text);
            }
        }
        SigningNews::HandedIn(result) => {
            let result = result.map_err(|error| clean_line(&error.to_string()));
            match (&mut model.dialog, result) {
                (Some(Dialog::Signatures(sheet)), result) => {
                    if sheet.handed_in(result.map(|words| clean_line(&words))) {
                        close(model);
                    }
                }
                (_, Ok(words)) => model.say(Tone::Good, clean_line(&words)),
                (_, Err(why)) => model.say(Tone::Refusal, why),
            }
        }
    }
    Vec::new()
}

fn issued(model: &mut Model, result: Result<(), CommandError>) {
    model.waiting = false;
    match result {
        Ok(()) => {
            if matches!(model.dialog, Some(Dialog::Prompt(_))) {
                close(model);
            }
            model.say(Tone::Good, "statements wait for signatures; s takes them");
        }
        Err(error) => {
            let why = clean_line(&error.to_string());
            match &mut model.dialog {
                Some(dialog @ Dialog::Prompt(_)) => dialog.refused(why),
                _ => model.say(Tone::Refusal, why),
            }
        }
    }
}

fn close(model: &mut Model) {
    model.dialog = None;
    model.deaf = false;
}

/// A sheet shows who has signed by now; it closes when nothing waits any more.
pub fn renew(model: &mut Model) {
    let Some(Dialog::Signatures(sheet)) = &model.dialog else {
        return;
    };
    let fresh = model
        .run()
        .gate(&sheet.gate)
        .map(|gate| gate.signed.clone());
    let waits = fresh.as_ref().is_some_and(|signed| signed.issued.is_some());
    let advances = model
        .run()
        .gate(&sheet.gate)
        .is_some_and(|gate| gate.state.advances());
    if !waits || advances {
        let text = match advances {
            true => "every signature is there",
            false => "the statements are void; the gate says why",
        };
        close(model);
        model.say(Tone::Info, text);
        return;
    }
    let renewed = SignatureSheet::of(model);
    if let (Some(Dialog::Signatures(sheet)), Some(renewed)) = (&mut model.dialog, renewed) {
        sheet.renew(renewed);
    }
}
