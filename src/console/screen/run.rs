//! The main screen: moving among gates and acting on the selected one.

use super::act::{open, send_unless_refused, sign};
use super::dialog::{DecideSheet, Dialog, Prompt};
use super::{act, given};
use crate::console::keymap::Action;
use crate::console::model::{Focus, Model, Tone};
use crate::console::msg::Effect;
use crate::promotion::{Command, Refusal, Remedy, RunStatus};

/// How far one step sideways goes.
const SIDEWAYS: usize = 8;

/// Carries an action out.
pub fn act(model: &mut Model, action: Action) -> Vec<Effect> {
    match action {
        Action::Up => step(model, -1),
        Action::Down => step(model, 1),
        Action::Left => left(model),
        Action::Right => right(model),
        Action::Top => edge(model, false),
        Action::Bottom => edge(model, true),
        Action::PageUp => model.pager.page(-1),
        Action::PageDown => model.pager.page(1),
        Action::ScrollUp => model.pager.by(-1),
        Action::ScrollDown => model.pager.by(1),
        Action::SwitchPane => {
            model.focus = match model.focus {
                Focus::List => Focus::Detail,
                Focus::Detail => Focus::List,
            };
        }
        Action::Current => go_to_current(model),
        Action::Act | Action::Tick => return acting(model, action),
        Action::Retry => return given::retry(model),
        Action::GivePlan => return given::ask(model),
        Action::Sign => return sign(model),
        Action::Waive => return waive(model),
        Action::BreakGlass => return super::signing::break_glass(model),
        Action::Decide => return decide(model),
        Action::Note => return note(model),
        Action::Cancel => return cancel(model),
        Action::Hold => return hold(model),
        Action::Abandon => return abandon(model),
        Action::Replan => return replan(model),
        _ => {}
    }
    wanted_plan(model)
}

fn acting(model: &mut Model, action: Action) -> Vec<Effect> {
    if action == Action::Tick && !matches!(act::on_enter(model), act::Act::Tick(_)) {
        model.say(Tone::Refusal, "there is no item to confirm here");
        return Vec::new();
    }
    act::enter(model)
}

fn step(model: &mut Model, by: isize) {
    match model.focus {
        Focus::List => {
            let last = model.run().gates.len().saturating_sub(1);
            let next = model.selected.saturating_add_signed(by).min(last);
            if next != model.selected {
                model.select(next);
            }
        }
        Focus::Detail if model.has_items() => {
            let items = model.gate().map_or(0, |gate| gate.items.len());
            let last = items.saturating_sub(1);
            model.item = model.item.saturating_add_signed(by).min(last);
            show_item(model);
        }
        Focus::Detail => model.pager.by(by),
    }
}

/// Scrolls so that the item under the cursor is visible.
pub fn show_item(model: &mut Model) {
    let lines = &model.detail.lines;
    let of_item = |line: &super::text::DocLine| line.item == Some(model.item);
    let first = lines.iter().position(of_item);
    let last = lines.iter().rposition(of_item);
    for line in [last, first].into_iter().flatten() {
        model.pager.show(line);
    }
}

fn left(model: &mut Model) {
    if model.focus == Focus::Detail && model.sideways > 0 {
        model.sideways = model.sideways.saturating_sub(SIDEWAYS);
    } else {
        model.focus = Focus::List;
    }
}

fn right(model: &mut Model) {
    if model.focus == Focus::List {
        model.focus = Focus::Detail;
        return;
    }
    let width = model.detail.width();
    let longest = |line: &super::text::DocLine| {
        let cells: usize = line.spans.iter().map(|s| super::text::cells(&s.text)).sum();
        if line.fixed { cells } else { 0 }
    };
    let widest = model.detail.lines.iter().map(longest).max().unwrap_or(0);
    if model.sideways + width < widest {
        model.sideways += SIDEWAYS;
    }
}

fn edge(model: &mut Model, end: bool) {
    match (model.focus, end) {
        (Focus::List, false) => model.select(0),
        (Focus::List, true) => model.select(usize::MAX),
        (Focus::Detail, false) => model.pager.top(),
        (Focus::Detail, true) => model.pager.bottom(),
    }
}

fn go_to_current(model: &mut Model) {
    match model.current() {
        Some(gate) => model.select(gate),
        None => model.say(
            Tone::Good,
            "every gate lets the run through; Enter closes it",
        ),
    }
}

/// Asks for the plan of the selected gate, unless it is there or on its way.
pub fn wanted_plan(model: &mut Model) -> Vec<Effect> {
    let Some(gate) = model.gate() else {
        return Vec::new();
    };
    let id = gate.id.clone();
    let watched = model.snapshot.control.watching.is_some();
    let done = watched || gate.state.advances() || model.run().status.is_terminal();
    let busy = model.run().at_work().is_some_and(|work| work.id == id);
    let known = model.snapshot.plans.contains_key(&id) || model.snapshot.planning.contains(&id);
    if done || busy || known || !model.asked.insert(id.clone()) {
        return Vec::new();
    }
    vec![Effect::Plan(id)]
}

fn replan(model: &mut Model) -> Vec<Effect> {
    let Some(gate) = model.gate() else {
        return Vec::new();
    };
    let (id, state) = (gate.id.clone(), gate.state);
    if state.advances() || model.run().at_work().is_some_and(|work| work.id == id) {
        let word = state.word();
        model.say(
            Tone::Refusal,
            format!("it is {word}; there is nothing to plan"),
        );
        return Vec::new();
    }
    model.say(Tone::Info, "making its plan again");
    vec![Effect::Plan(id)]
}

fn waive(model: &mut Model) -> Vec<Effect> {
    if let Some(effects) = super::signing::waive(model) {
        return effects;
    }
    let Some(gate) = model.gate().map(|gate| gate.id.clone()) else {
        return Vec::new();
    };
    let probe = Command::Waive {
        gate: gate.clone(),
        reason: "x".repeat(200),
    };
    match model.refusal(&probe) {
        Some(refusal) => model.say(Tone::Refusal, refusal.to_string()),
        None => open(model, Dialog::Prompt(Prompt::waive(&gate))),
    }
    Vec::new()
}

fn decide(model: &mut Model) -> Vec<Effect> {
    let Some(sheet) = DecideSheet::of(model) else {
        model.say(Tone::Refusal, "nothing is decided about this gate");
        return Vec::new();
    };
    match model.refusal(&deciding(&sheet.gate)) {
        Some(refusal) if !asks_more(&refusal) => model.say(Tone::Refusal, refusal.to_string()),
        _ => open(model, Dialog::Decide(sheet)),
    }
    Vec::new()
}

fn deciding(gate: &str) -> Command {
    Command::DecideRemedy {
        gate: gate.to_owned(),
        remedy: Remedy::ResolveByHand,
        approved_by: String::new(),
        reason: String::new(),
    }
}

fn asks_more(refusal: &Refusal) -> bool {
    matches!(
        refusal,
        Refusal::NobodyApproved | Refusal::NotAnApprover { .. } | Refusal::ReasonTooShort(_)
    )
}

/// The word for deciding about the selected gate, where that would not be refused.
pub fn decide_word(model: &Model) -> Option<&'static str> {
    let gate = &model.gate()?.id;
    let refusal = model.refusal(&deciding(gate));
    refusal.is_some_and(|r| asks_more(&r)).then_some("decide")
}

fn note(model: &mut Model) -> Vec<Effect> {
    let gate = model.gate().map(|gate| gate.id.clone());
    let probe = Command::Note {
        gate: gate.clone(),
        text: "x".to_owned(),
    };
    match model.refusal(&probe) {
        Some(refusal) => model.say(Tone::Refusal, refusal.to_string()),
        None => open(model, Dialog::Prompt(Prompt::note(gate))),
    }
    Vec::new()
}

fn cancel(model: &mut Model) -> Vec<Effect> {
    let Some(gate) = model.run().at_work() else {
        model.say(Tone::Refusal, "nothing is at work");
        return Vec::new();
    };
    let gate = gate.id.clone();
    send_unless_refused(model, Command::Cancel { gate })
}

fn hold(model: &mut Model) -> Vec<Effect> {
    if matches!(model.run().status, RunStatus::Held(_)) {
        return send_unless_refused(model, Command::Resume);
    }
    let probe = Command::Hold {
        reason: "x".to_owned(),
    };
    match model.refusal(&probe) {
        Some(refusal) => model.say(Tone::Refusal, refusal.to_string()),
        None => open(model, Dialog::Prompt(Prompt::hold())),
    }
    Vec::new()
}

fn abandon(model: &mut Model) -> Vec<Effect> {
    let probe = Command::Abandon {
        reason: "x".to_owned(),
    };
    match model.refusal(&probe) {
        Some(refusal) => model.say(Tone::Refusal, refusal.to_string()),
        None => open(model, Dialog::Prompt(Prompt::abandon())),
    }
    Vec::new()
}

/// Selects the next gate whose title or id holds a text.
pub fn find(model: &mut Model, wanted: &str) {
    let wanted = wanted.to_lowercase();
    let count = model.run().gates.len();
    let matches = |at: &usize| {
        let Some(gate) = model.run().gates.get(*at) else {
            return false;
        };
        let title = model
            .run()
            .definition_of(&gate.id)
            .map(|g| g.title.as_str());
        gate.id.contains(&wanted) || title.unwrap_or_default().to_lowercase().contains(&wanted)
    };
    let after = (model.selected + 1).min(count);
    let found = (after..count).chain(0..after).find(matches);
    match found {
        Some(gate) => model.select(gate),
        None => model.say(
            Tone::Refusal,
            format!("no gate is called anything with `{wanted}`"),
        ),
    }
}
