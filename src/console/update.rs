//! What a message makes of the model. Pure: no clock, no IO; what is to be done leaves as effects.

use crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use super::ConsoleEnd;
use super::keymap::{self, Action};
use super::model::{Focus, Model, Tone};
use super::msg::{Effect, Msg, Origin};
use super::pointer::on_mouse;
use super::published::on_snapshot;
use super::screen::copy::copy;
use super::screen::dialog::{Answer, Dialog, is_interrupt};
use super::screen::input::Input;
use super::screen::reading::{in_search, reading_closing, reading_journal, reading_log};
use super::screen::{
    Screen, act, back, choose, conn, diff, git, given, locks, review, run, signing,
};
use super::signing::SigningEffect;
use crate::engine::{CommandError, Taking};
use crate::promotion::Command;
use crate::untrusted::clean_line;

/// Takes a message.
pub fn update(model: &mut Model, msg: Msg) -> Vec<Effect> {
    match msg {
        Msg::Key(key) => on_key(model, key),
        Msg::Paste(text) => on_paste(model, &text),
        Msg::Mouse(mouse) => on_mouse(model, mouse),
        Msg::Resize(width, height) => {
            model.size = (width, height);
            model.dirty = true;
            Vec::new()
        }
        Msg::Tick(now) => {
            let moved = now.as_second() != model.now.as_second();
            model.dirty |= moved && model.clock_matters();
            // The page says how long ago something was.
            let minute = now.as_second() / 60 != model.now.as_second() / 60;
            model.dirty |= minute && model.screen == Screen::Git;
            model.now = now;
            Vec::new()
        }
        Msg::Snapshot(snapshot) => on_snapshot(model, snapshot),
        Msg::Feed(feed) => {
            model.dirty |= feed.revision != model.feed.revision;
            model.feed = feed;
            choose::renew(model);
            locks::renew(model);
            Vec::new()
        }
        Msg::Done {
            command,
            origin,
            result,
        } => on_done(model, &command, origin, result),
        Msg::Git(round, news) => {
            model.dirty |= model.git.hear(round, *news);
            Vec::new()
        }
        Msg::Files(news) => {
            model.dirty |= model.files.hear(*news);
            review::know(model);
            Vec::new()
        }
        Msg::Announced(result) => back::told(model, result),
        Msg::Signing(news) => signing::told(model, *news),
        Msg::PlanGiven { gate, result } => given::told(model, &gate, result),
        Msg::PlanLoaded(text) => given::loaded(model, text),
        Msg::HandedIn(result) => {
            let said = result.map(|words| (Tone::Info, format!("the holder answers: {words}")));
            tell(model, said.map_err(|error| error.to_string()))
        }
        Msg::Saved(result) => tell(
            model,
            result.map(|path| (Tone::Good, format!("written to {}", clean_line(&path)))),
        ),
        Msg::Listen => {
            listen(model);
            Vec::new()
        }
        Msg::EngineGone => {
            model.engine_gone = true;
            model.dirty = true;
            Vec::new()
        }
        Msg::Suspend => {
            suspended(model);
            Vec::new()
        }
        Msg::HangUp => vec![Effect::Quit(ConsoleEnd::HungUp)],
        Msg::Terminate => vec![Effect::Quit(ConsoleEnd::Terminated)],
    }
}

/// Says how something ended that was done outside.
fn tell(model: &mut Model, ended: Result<(Tone, String), String>) -> Vec<Effect> {
    match ended {
        Ok((tone, text)) => model.say(tone, text),
        Err(reason) => model.say(Tone::Refusal, clean_line(&reason)),
    }
    Vec::new()
}

/// What is on the screen was seen for long enough.
fn listen(model: &mut Model) {
    model.dirty |= model.deaf;
    model.deaf = false;
    model.moved = false;
    let toast = model.toast.as_ref();
    if toast.is_some_and(|toast| toast.text == act::JUST_HERE) {
        model.say(Tone::Info, act::PRESS_AGAIN);
    }
}

fn suspended(model: &mut Model) {
    let text = "not suspended: a transaction would stay open and hold its locks; q leaves";
    model.say(Tone::Refusal, text);
}

fn on_key(model: &mut Model, key: KeyEvent) -> Vec<Effect> {
    if key.kind == KeyEventKind::Release {
        return Vec::new();
    }
    if key.modifiers.contains(KeyModifiers::ALT) {
        // A terminal sends the same for Esc and a letter in quick succession, as a slow line
        // delivers them. No key here is an Alt key, so Esc was meant.
        let KeyCode::Char(_) = key.code else {
            return Vec::new();
        };
        let mut effects = on_key(model, KeyEvent::from(KeyCode::Esc));
        let plain = key.modifiers.difference(KeyModifiers::ALT);
        effects.extend(on_key(model, KeyEvent::new(key.code, plain)));
        return effects;
    }
    model.dirty = true;
    if model.layout().is_none() {
        // Nobody can see what a key would do here.
        let leaves = matches!(key.code, KeyCode::Char('q')) || is_interrupt(key);
        if leaves && !model.at_work() {
            return leave(model);
        }
        return Vec::new();
    }
    if model.dialog.is_some() {
        return in_dialog(model, key);
    }
    model.toast = None;
    if model.search.is_some() {
        in_search(model, key);
        return Vec::new();
    }
    if let Some(effects) = choose::key(model, key) {
        return effects;
    }
    let Some(action) = keymap::action(key, model.screen) else {
        return Vec::new();
    };
    on_action(model, action)
}

fn on_action(model: &mut Model, action: Action) -> Vec<Effect> {
    if let Some(effects) = conn::act(model, action) {
        return effects;
    }
    match action {
        Action::Leave => return leave(model),
        Action::Help => act::open(model, Dialog::Help(Default::default())),
        Action::Suspend => suspended(model),
        Action::Run => show(model, Screen::Run),
        Action::Diff => diff::open(model),
        Action::Git => git::open(model),
        Action::Locks => locks::open(model),
        Action::Log => show(model, Screen::Log),
        Action::Journal => show(model, Screen::Journal),
        Action::Search => model.search = Some(Input::default()),
        Action::Copy => return copy(model),
        Action::RollBack => return back::roll_back(model),
        Action::Tell => return back::tell(model),
        Action::Back => step_back(model),
        action => {
            return match model.screen {
                Screen::Run => run::act(model, action),
                Screen::Diff => diff::act(model, action),
                Screen::Files => review::act(model, action),
                Screen::Git => git::act(model, action),
                Screen::Locks => locks::act(model, action),
                Screen::Log => reading_log(model, action),
                Screen::Journal => reading_journal(model, action),
                Screen::Closing => reading_closing(model, action),
            };
        }
    }
    Vec::new()
}

fn show(model: &mut Model, screen: Screen) {
    model.screen = screen;
}

fn step_back(model: &mut Model) {
    if model.leaving {
        model.leaving = false;
        model.say(Tone::Info, "staying");
    } else if model.intent.take().is_some() {
        model.say(Tone::Info, "nothing will be asked; the plan is only shown");
    } else if model.screen == Screen::Files {
        model.screen = Screen::Git;
    } else if model.screen == Screen::Run {
        model.focus = Focus::List;
    } else {
        model.screen = Screen::Run;
    }
}

fn leave(model: &mut Model) -> Vec<Effect> {
    if model.run().status.is_terminal() {
        return vec![Effect::Quit(ConsoleEnd::Closed)];
    }
    if conn::may_just_leave(model) {
        return vec![Effect::Quit(ConsoleEnd::Left)];
    }
    if model.at_work() && !model.engine_gone {
        act::open(model, Dialog::Quit);
        return Vec::new();
    }
    vec![Effect::Quit(ConsoleEnd::Left)]
}

fn in_dialog(model: &mut Model, key: KeyEvent) -> Vec<Effect> {
    if model.deaf && key.code != KeyCode::Esc && !is_interrupt(key) {
        // Typed before the question could be read, so it is no answer to it.
        return Vec::new();
    }
    let Some(dialog) = &mut model.dialog else {
        return Vec::new();
    };
    match dialog.key(key) {
        Answer::Stay => Vec::new(),
        Answer::Close => {
            model.dialog = None;
            model.deaf = false;
            Vec::new()
        }
        Answer::Send(command) => vec![Effect::Command {
            command: *command,
            origin: Origin::Dialog,
        }],
        Answer::Announce(announcement) => vec![Effect::Announce(*announcement)],
        Answer::GivePlan { gate, text } => vec![Effect::GivePlan { gate, text }],
        Answer::LoadPlan(path) => vec![Effect::LoadPlan(path)],
        Answer::AskSignatures {
            gate,
            purpose,
            reason,
        } => vec![Effect::Signing(SigningEffect::Issue {
            gate,
            purpose,
            reason,
        })],
        Answer::HandIn(text) => vec![Effect::Signing(SigningEffect::HandIn(text))],
        Answer::LoadReply(path) => vec![Effect::Signing(SigningEffect::Load(path))],
        Answer::Copy(text) => vec![Effect::Copy(text)],
        Answer::RefuseConn(id) => closing(model, Effect::RefuseConn(id)),
        Answer::Pass(text) => closing(model, Effect::HandIn(text)),
        Answer::TakeConn(epoch) => {
            let end = ConsoleEnd::Taking(Taking::Left(epoch));
            closing(model, Effect::Quit(end))
        }
        Answer::LeaveRunning => vec![Effect::Quit(ConsoleEnd::LeftRunning)],
        Answer::CancelAndLeave => {
            model.dialog = None;
            model.leaving = true;
            let gate = model.run().at_work().map(|gate| gate.id.clone());
            let cancel = |gate| Effect::Command {
                command: Command::Cancel { gate },
                origin: Origin::Key,
            };
            gate.map(cancel).into_iter().collect()
        }
    }
}

/// An answer that closes its dialog.
fn closing(model: &mut Model, effect: Effect) -> Vec<Effect> {
    model.dialog = None;
    model.deaf = false;
    vec![effect]
}

fn on_paste(model: &mut Model, text: &str) -> Vec<Effect> {
    model.dirty = true;
    if model.layout().is_none() {
        return Vec::new();
    }
    if let Some(dialog) = &mut model.dialog {
        dialog.paste(text);
    } else if let Some(input) = &mut model.search {
        input.paste(text);
    } else if !conn::pasted(model, text)
        && !given::pasted(model, text)
        && !signing::pasted(model, text)
    {
        model.say(Tone::Refusal, "pasted text is ignored here");
    }
    Vec::new()
}

fn on_done(
    model: &mut Model,
    command: &Command,
    origin: Origin,
    result: Result<(), CommandError>,
) -> Vec<Effect> {
    model.dirty = true;
    if origin == Origin::Key {
        model.waiting = false;
    }
    match (result, origin) {
        (Ok(()), origin) => {
            if origin == Origin::Dialog {
                model.dialog = None;
                model.deaf = false;
            }
            match command {
                Command::Cancel { .. } => model.say(Tone::Info, "cancel requested"),
                Command::SignalBlocker { blocker, .. } => {
                    model.say(
                        Tone::Info,
                        format!("recorded; pid {} is asked", blocker.pid),
                    );
                }
                Command::Note { .. } => model.say(Tone::Good, "noted in the journal"),
                Command::ReviewFile { path, .. } => {
                    model.say(Tone::Good, format!("reviewed: {}", clean_line(path)));
                }
                Command::WithdrawReview { .. } => model.say(Tone::Info, "taken back"),
                Command::Choose { choice, .. } => {
                    model.say(Tone::Info, format!("chosen: {}", clean_line(choice)));
                }
                _ => {}
            }
        }
        (Err(error), Origin::Dialog) if model.dialog.is_some() => {
            if let Some(dialog) = &mut model.dialog {
                dialog.refused(clean_line(&error.to_string()));
            }
        }
        (Err(error), _) => model.say(Tone::Refusal, clean_line(&error.to_string())),
    }
    Vec::new()
}
