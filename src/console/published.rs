//! What a new state of the run makes of the model.

use std::sync::Arc;

use super::ConsoleEnd;
use super::model::{Model, Tone};
use super::msg::Effect;
use super::screen::dialog::{Dialog, Subject};
use super::screen::{Screen, act, conn, locks, review, run, signing};
use crate::engine::Snapshot;
use crate::untrusted::clean_line;

pub(super) fn on_snapshot(model: &mut Model, snapshot: Arc<Snapshot>) -> Vec<Effect> {
    let before = Arc::clone(&model.snapshot);
    let (had, has) = (before.notices.len(), snapshot.notices.len());
    model.take(snapshot);
    if has > had
        && let Some(notice) = model.snapshot.notices.last().cloned()
    {
        model.say(Tone::Info, clean_line(&notice));
    }
    let effects = conn::on_snapshot(model, &before);
    if !effects.is_empty() {
        return effects;
    }
    let plans = &model.snapshot.plans;
    let planning = &model.snapshot.planning;
    model
        .asked
        .retain(|gate| !plans.contains_key(gate) && !planning.contains(gate));
    if before.run.seq != model.run().seq {
        model.asked.clear();
        moved_on(model, &before);
    }
    review::know(model);
    locks::renew(model);
    signing::renew(model);
    renew_dialog(model);
    answer_intent(model);
    if model.leaving && !model.at_work() {
        return vec![Effect::Quit(ConsoleEnd::Left)];
    }
    run::wanted_plan(model)
}

/// The run has moved: the selection goes along when it stood at the gate that passed.
fn moved_on(model: &mut Model, before: &Snapshot) {
    let was_open = before
        .run
        .gates
        .get(model.selected)
        .is_some_and(|gate| !gate.state.advances());
    let passed = model.gate().is_some_and(|gate| gate.state.advances());
    if model.run().rollback != before.run.rollback
        && let Some(current) = model.current()
    {
        // It may have been started from anywhere, the page of a rejected run included.
        model.screen = Screen::Run;
        model.select(current);
    }
    if was_open
        && passed
        && let Some(current) = model.current()
    {
        model.select(current);
        model.moved = true;
        // It spoke of the gate that is left behind.
        model.toast = None;
    }
    let confirmed = model
        .gate()
        .is_some_and(|gate| gate.items.get(model.item).is_some_and(Option::is_some));
    let was_confirmed = before
        .run
        .gates
        .get(model.selected)
        .is_some_and(|gate| gate.items.get(model.item).is_some_and(Option::is_some));
    if confirmed && !was_confirmed {
        model.rest_on_open_item();
    }
    if model.run().status.is_terminal() && !before.run.status.is_terminal() {
        model.dialog = None;
        model.screen = Screen::Closing;
    }
}

/// A confirmation is about what was shown when it opened; what was typed for something else is void.
fn renew_dialog(model: &mut Model) {
    if let Some(Dialog::Back(sheet)) = &model.dialog {
        let mut sheet = sheet.clone();
        sheet.renew(model);
        model.dialog = Some(Dialog::Back(sheet));
        return;
    }
    let Some(Dialog::Start(sheet)) = &model.dialog else {
        return;
    };
    let (gate, verb) = (sheet.subject.gate.clone(), sheet.subject.verb);
    let now = Subject::of_gate(model, &gate, verb);
    let Some(now) = now.filter(Subject::is_startable) else {
        model.dialog = None;
        model.deaf = false;
        let word = model
            .run()
            .gate(&gate)
            .map_or("gone", |gate| gate.state.word());
        if word != "running" && word != "passed" {
            model.say(
                Tone::Refusal,
                format!("nothing was started: {gate} is {word}"),
            );
        }
        return;
    };
    if let Some(Dialog::Start(sheet)) = &mut model.dialog {
        sheet.renew(now);
    }
}

/// The plan that a start waits for is there and can be seen: now it may be asked.
fn answer_intent(model: &mut Model) {
    let Some(intent) = &model.intent else { return };
    let selected = model.gate().is_some_and(|gate| gate.id == intent.gate);
    if !selected || model.screen != Screen::Run {
        model.intent = None;
        return;
    }
    let making = model.snapshot.planning.contains(&intent.gate);
    let plan = model.snapshot.plans.get(&intent.gate);
    let fresh = match (plan, &intent.old) {
        (Some(plan), Some(old)) => !Arc::ptr_eq(plan, old),
        (plan, _) => plan.is_some(),
    };
    if fresh && !making && model.dialog.is_none() {
        let verb = intent.verb;
        act::open_start(model, verb);
    }
}
