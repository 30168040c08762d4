//! What keys do on the screen of the locks.

use super::{blockers, offered, selected};
use crate::console::keymap::Action;
use crate::console::model::{Model, Tone};
use crate::console::msg::Effect;
use crate::console::screen::Screen;
use crate::console::screen::act::open as open_dialog;
use crate::console::screen::dialog::{Dialog, SignalSheet};
use crate::promotion::{BlockerAct, Command};

/// Opens the screen.
pub fn open(model: &mut Model) {
    model.screen = Screen::Locks;
}

/// Carries an action out.
pub fn act(model: &mut Model, action: Action) -> Vec<Effect> {
    match action {
        Action::Up => step(model, -1),
        Action::Down => step(model, 1),
        Action::ScrollUp => model.locks.pager.by(-1),
        Action::ScrollDown => model.locks.pager.by(1),
        Action::PageUp => model.locks.pager.page(-1),
        Action::PageDown => model.locks.pager.page(1),
        Action::Top => model.locks.pager.top(),
        Action::Bottom => model.locks.pager.bottom(),
        Action::Cancel => cancel_ours(model),
        Action::CancelBlocker => signal(model, BlockerAct::Cancel),
        Action::EndBlocker => signal(model, BlockerAct::Terminate),
        Action::Wait => {
            model.screen = Screen::Run;
            model.say(Tone::Info, "waiting goes on; nothing was asked of anybody");
        }
        Action::Next => find(model, true),
        Action::Previous => find(model, false),
        _ => {}
    }
    Vec::new()
}

/// Selects another one in the way; without any the page scrolls.
fn step(model: &mut Model, by: isize) {
    let count = blockers(model).len();
    if count < 2 {
        model.locks.pager.by(by);
        return;
    }
    let next = model.locks.cursor.saturating_add_signed(by).min(count - 1);
    model.locks.cursor = next;
    let lines = &model.locks.page.lines;
    let of = |line: &crate::console::screen::text::DocLine| line.item == Some(next);
    let (first, last) = (lines.iter().position(of), lines.iter().rposition(of));
    for line in [last, first].into_iter().flatten() {
        model.locks.pager.show(line);
    }
}

fn cancel_ours(model: &mut Model) {
    let Some(gate) = model.run().at_work().map(|gate| gate.id.clone()) else {
        model.say(Tone::Refusal, "nothing is at work");
        return;
    };
    let probe = Command::Cancel { gate: gate.clone() };
    match model.refusal(&probe) {
        Some(refusal) => model.say(Tone::Refusal, refusal.to_string()),
        None => {
            let sheet = SignalSheet::ours(model, &gate);
            open_dialog(model, Dialog::Signal(Box::new(sheet)));
        }
    }
}

fn signal(model: &mut Model, act: BlockerAct) {
    let (Some(blocker), Some(gate)) = (selected(model).cloned(), model.run().at_work()) else {
        model.say(Tone::Refusal, "nobody is in the way of ours");
        return;
    };
    let gate = gate.id.clone();
    if let Err(why) = offered(&blocker, act) {
        let text = format!("{}: {why}", blocker.words());
        model.say(Tone::Refusal, text);
        return;
    }
    let Some(sheet) = SignalSheet::blocker(model, &gate, &blocker, act) else {
        return;
    };
    match model.refusal(&sheet.probe()) {
        Some(refusal) => model.say(Tone::Refusal, refusal.to_string()),
        None => open_dialog(model, Dialog::Signal(Box::new(sheet))),
    }
}

/// An answer counts for what is in the way now: when that is gone, so is the question.
pub fn renew(model: &mut Model) {
    let Some(Dialog::Signal(sheet)) = &model.dialog else {
        return;
    };
    if sheet.is_sent() {
        return;
    }
    let at_work = model
        .run()
        .at_work()
        .is_some_and(|gate| gate.id == sheet.gate);
    let text = match sheet.whom() {
        _ if !at_work => "the gate is not at work any more; nothing was asked".to_owned(),
        None => return,
        Some((pid, start)) => {
            let there = blockers(model).iter().any(|blocker| {
                blocker.who.pid == pid && blocker.who.backend_start.as_deref() == Some(start)
            });
            if there {
                return;
            }
            format!("pid {pid} is not in the way any more; nothing was asked of it")
        }
    };
    model.dialog = None;
    model.deaf = false;
    model.say(Tone::Info, text);
}

/// Searches the page for a text.
pub fn search(model: &mut Model, text: String) {
    model.locks.pattern = text;
    find(model, true);
}

/// Goes to the next line of the page that holds what is searched for.
pub fn find(model: &mut Model, forwards: bool) {
    let wanted = model.locks.pattern.to_lowercase();
    if wanted.is_empty() {
        return;
    }
    let lines = &model.locks.page.lines;
    let holds = |at: &usize| lines[*at].plain().to_lowercase().contains(&wanted);
    let here = model.locks.pager.offset.min(lines.len());
    let after = (here + 1).min(lines.len());
    let found = match forwards {
        true => (after..lines.len()).chain(0..after).find(holds),
        false => (0..here).rev().chain((here..lines.len()).rev()).find(holds),
    };
    match found {
        Some(line) => model.locks.pager.show(line),
        None => {
            let text = format!("`{}` is nowhere here", model.locks.pattern);
            model.say(Tone::Refusal, text);
        }
    }
}
