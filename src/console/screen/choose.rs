//! Choosing at a gate that is at work: its keys come before those of the screen.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::Screen;
use super::act::{open, send_unless_refused};
use super::dialog::{ChooseSheet, Dialog};
use crate::console::model::{Model, Tone};
use crate::console::msg::Effect;
use crate::gate::Choice;
use crate::promotion::Command;

/// The choice that a key stands for now, with the question that it answers.
fn offered(model: &Model, key: char) -> Option<(u64, &Choice)> {
    if model.screen != Screen::Run {
        return None;
    }
    model.run().at_work()?;
    model
        .feed
        .asked
        .choices()
        .find(|(_, choice)| choice.key == key)
}

/// The word on the bar, while the key counts.
pub fn word(model: &Model, key: char, word: &'static str) -> Option<&'static str> {
    offered(model, key).map(|_| word)
}

/// Takes a key, if a gate at work offers it.
pub fn key(model: &mut Model, key: KeyEvent) -> Option<Vec<Effect>> {
    let KeyCode::Char(typed) = key.code else {
        return None;
    };
    if key.modifiers.contains(KeyModifiers::CONTROL) {
        return None;
    }
    let (question, choice) = offered(model, typed)?;
    let choice = choice.clone();
    let gate = model.run().at_work()?.id.clone();
    let command = Command::Choose {
        gate: gate.clone(),
        question,
        choice: choice.word.clone(),
    };
    let Some(text) = choice.confirm else {
        return Some(send_unless_refused(model, command));
    };
    match model.refusal(&command) {
        Some(refusal) => model.say(Tone::Refusal, refusal.to_string()),
        None => open(
            model,
            Dialog::Choose(ChooseSheet::new(&gate, question, &choice.word, text)),
        ),
    }
    Some(Vec::new())
}

/// An answer counts for the question that it was given to: when that is withdrawn, so is the dialog.
pub fn renew(model: &mut Model) {
    let Some(Dialog::Choose(sheet)) = &model.dialog else {
        return;
    };
    let open = model.feed.asked.question.as_ref();
    if sheet.is_sent() || open.is_some_and(|question| question.serial == sheet.question) {
        return;
    }
    model.dialog = None;
    model.deaf = false;
    let text = match open {
        Some(question) => format!("the question is withdrawn; now: {}", question.text),
        None => "the question is withdrawn; nothing was done".to_owned(),
    };
    model.say(Tone::Refusal, crate::untrusted::clean_line(&text));
}
