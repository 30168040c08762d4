//! What Enter would do to the selected gate, and how a gate is started.

use super::Verb;
use super::dialog::{Dialog, Prompt, SignSheet, StartSheet, Subject};
use crate::console::model::{Intent, Model, Tone};
use crate::console::msg::{Effect, Origin};
use crate::promotion::{Command, Decision, GateState, Nature, Refusal};

/// What is said to a key that was meant for the gate before.
pub const JUST_HERE: &str = "the run has just come to this gate; look first";
/// What is said when keys count again.
pub const PRESS_AGAIN: &str = "the run has come to this gate; press again to confirm";

/// What Enter does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Act {
    Start,
    Tick(usize),
    Sign,
    /// Shows the message of that id, to be sent.
    Message(String),
    Reconcile,
    Close,
    /// Nothing, and why.
    Nothing(String),
}

impl Act {
    /// The word on the bar.
    pub fn word(&self) -> Option<&'static str> {
        match self {
            Act::Start => Some("start"),
            Act::Tick(_) => Some("confirm item"),
            Act::Sign => Some("sign"),
            Act::Message(_) => Some("write the message"),
            Act::Reconcile => Some("ask the target"),
            Act::Close => Some("close the run"),
            Act::Nothing(_) => None,
        }
    }
}

/// What Enter would do now.
pub fn on_enter(model: &Model) -> Act {
    let run = model.run();
    if run.status.is_terminal() {
        let word = run.status.word();
        return Act::Nothing(format!("the run is {word}; q leaves"));
    }
    if run.current().is_none() {
        return Act::Close;
    }
    let (Some(gate), Some(definition)) = (model.gate(), model.definition()) else {
        return Act::Nothing("this runbook has no gates".to_owned());
    };
    match (gate.state, &definition.nature) {
        (GateState::InDoubt, _) => Act::Reconcile,
        (GateState::Running, Nature::Looks | Nature::Acts) => {
            Act::Nothing("it is at work; c cancels it".to_owned())
        }
        (state, _) if state.advances() => Act::Nothing(format!(
            "it is {}; . goes to the current gate",
            state.word()
        )),
        (state, _) if state.may_retry() => {
            let waive = if definition.waivable {
                ", w waives it"
            } else {
                ""
            };
            Act::Nothing(format!("it is {}; r retries it{waive}", state.word()))
        }
        (_, Nature::Items(_)) => Act::Tick(model.item),
        (_, Nature::SignOff { .. }) => Act::Sign,
        (_, Nature::Message(message)) => Act::Message(message.clone()),
        (_, Nature::Looks | Nature::Acts) => Act::Start,
    }
}

/// The word for Enter on the bar, where it would not be refused.
pub fn enter_word(model: &Model) -> Option<&'static str> {
    let act = on_enter(model);
    if act == Act::Sign && super::signing::by_keys(model) {
        return super::signing::enter_word(model);
    }
    let gate = model.gate()?.id.clone();
    let probe = match act {
        Act::Start => starting(Verb::Start, &gate, None, None),
        Act::Tick(item) => Command::ConfirmItem {
            gate,
            item,
            value: None,
        },
        Act::Close => Command::Close,
        Act::Sign | Act::Message(_) | Act::Reconcile | Act::Nothing(_) => return act.word(),
    };
    let asks_more = |refusal: &Refusal| {
        matches!(
            refusal,
            Refusal::NoPlan(_)
                | Refusal::NameNotTyped { .. }
                | Refusal::BadInput { .. }
                | Refusal::NothingPasted(_)
                | Refusal::PasteRefused(_)
        )
    };
    let stopped = model.snapshot.journal_error.is_some() || model.engine_gone;
    let refused = model.refusal(&probe).is_some_and(|r| !asks_more(&r));
    let left_out = act == Act::Start
        && model.definition().is_some_and(|of| of.migrates)
        && model.run().migrations_disabled().is_some();
    let word = if left_out {
        Some("leave it out")
    } else {
        act.word()
    };
    word.filter(|_| !stopped && !refused)
}

/// Does what Enter does.
pub fn enter(model: &mut Model) -> Vec<Effect> {
    if model.waiting {
        // The key before this one is still being recorded; what follows from it is not known.
        return Vec::new();
    }
    let act = on_enter(model);
    if model.moved && matches!(act, Act::Tick(_)) {
        // A person's word counts for what that person has read.
        model.say(Tone::Info, JUST_HERE);
        return Vec::new();
    }
    let Some(gate) = model.gate().map(|gate| gate.id.clone()) else {
        return Vec::new();
    };
    match act {
        Act::Start => start(model, Verb::Start),
        Act::Tick(item) => tick(model, &gate, item),
        Act::Sign => sign(model),
        Act::Message(message) => super::back::tell_for(model, &gate, &message),
        Act::Reconcile => {
            model.say(Tone::Info, "the target is asked what really happened");
            vec![Effect::Reconcile(gate)]
        }
        Act::Close => send_unless_refused(model, Command::Close),
        Act::Nothing(why) => {
            model.say(Tone::Refusal, why);
            Vec::new()
        }
    }
}

/// Sends a command, or says why it would be refused.
pub fn send_unless_refused(model: &mut Model, command: Command) -> Vec<Effect> {
    if let Some(refusal) = model.refusal(&command) {
        model.say(Tone::Refusal, refusal.to_string());
        return Vec::new();
    }
    send(model, command)
}

/// Sends a command for a key.
fn send(model: &mut Model, command: Command) -> Vec<Effect> {
    model.waiting = true;
    let origin = Origin::Key;
    vec![Effect::Command { command, origin }]
}

/// Starts or retries the selected gate: at once when it only looks, behind a confirmation that
/// shows its plan when it acts.
pub fn start(model: &mut Model, verb: Verb) -> Vec<Effect> {
    let Some(gate) = model.gate().map(|gate| gate.id.clone()) else {
        return Vec::new();
    };
    let plan = model.snapshot.plans.get(&gate).cloned();
    let digest = plan.as_ref().map(|plan| plan.digest.clone());
    match model.refusal(&starting(verb, &gate, None, None)) {
        None => {
            let command = starting(verb, &gate, digest, None);
            send(model, command)
        }
        Some(Refusal::NoPlan(_) | Refusal::NameNotTyped { .. }) => {
            let making = model.snapshot.planning.contains(&gate);
            if plan.is_some() && !making && verb == Verb::Start {
                open_start(model, verb);
                return Vec::new();
            }
            // What is retried may have been mended since its plan was made.
            let word = verb.word();
            model.say(
                Tone::Info,
                format!("making its plan; the question whether to {word} it follows"),
            );
            model.intent = Some(Intent {
                gate: gate.clone(),
                verb,
                old: plan,
            });
            vec![Effect::Plan(gate)]
        }
        Some(Refusal::NothingPasted(_) | Refusal::PasteRefused(_)) => super::given::ask(model),
        Some(refusal) => {
            model.say(Tone::Refusal, refusal.to_string());
            Vec::new()
        }
    }
}

/// The command that starts a gate.
pub fn starting(
    verb: Verb,
    gate: &str,
    plan: Option<String>,
    typed_name: Option<String>,
) -> Command {
    let gate = gate.to_owned();
    match verb {
        Verb::Start => Command::Start {
            gate,
            plan,
            typed_name,
        },
        Verb::Retry => Command::Retry {
            gate,
            plan,
            typed_name,
        },
    }
}

/// Opens the confirmation for the selected gate.
pub fn open_start(model: &mut Model, verb: Verb) {
    if let Some(subject) = Subject::of(model, verb) {
        model.intent = None;
        model.toast = None;
        model.show_plan = true;
        open(model, Dialog::Start(StartSheet::new(subject)));
    }
}

/// Opens a dialog. One that a key could confirm waits until it has been seen.
pub fn open(model: &mut Model, dialog: Dialog) {
    model.deaf = dialog.is_guarded();
    model.dialog = Some(dialog);
    model.search = None;
    model.dirty = true;
}

fn tick(model: &mut Model, gate: &str, item: usize) -> Vec<Effect> {
    let command = Command::ConfirmItem {
        gate: gate.to_owned(),
        item,
        value: None,
    };
    match model.refusal(&command) {
        None => send(model, command),
        Some(Refusal::BadInput { .. }) => {
            if let Some(prompt) = Prompt::value(model, gate, item) {
                open(model, Dialog::Prompt(prompt));
            }
            Vec::new()
        }
        Some(refusal) => {
            model.say(Tone::Refusal, refusal.to_string());
            Vec::new()
        }
    }
}

/// Opens the sign-off of the selected gate.
pub fn sign(model: &mut Model) -> Vec<Effect> {
    if let Some(effects) = super::signing::sign(model) {
        return effects;
    }
    let Some(sheet) = SignSheet::of(model) else {
        model.say(Tone::Refusal, "this gate is not signed by anybody");
        return Vec::new();
    };
    let probe = Command::Sign {
        gate: sheet.gate.clone(),
        role: sheet.role().map_or(String::new(), |role| role.name.clone()),
        person: sheet.person().unwrap_or_default(),
        decision: Decision::Approve,
        note: String::new(),
    };
    match model.refusal(&probe) {
        // Another person of the role may sign even where the first one may not.
        None | Some(Refusal::PersonSigned { .. } | Refusal::NotAMember { .. }) => {
            open(model, Dialog::Sign(sheet));
        }
        Some(refusal) => model.say(Tone::Refusal, refusal.to_string()),
    }
    Vec::new()
}
