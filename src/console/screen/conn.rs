//! Who has the conn: what a console may do that has it not, and how it goes from one to another.

use super::Screen;
use super::act::open;
use super::banner::{Banner, Loudness};
use super::dialog::{ConnSheet, Dialog, HandInSheet, TakeSheet};
use super::signing;
use super::times::{clock, watch};
use crate::console::ConsoleEnd;
use crate::console::keymap::Action;
use crate::console::model::{Model, Tone};
use crate::console::msg::Effect;
use crate::engine::{Asked, Snapshot, Taking, Watching};
use crate::untrusted::clean_line;

/// A holder that says every second that it is alive, and did not for so many, is not seen.
const UNSEEN: i64 = 5;

/// Tells whether an action only reads, so that it counts without the conn.
fn reads(action: Action) -> bool {
    use Action as A;
    !matches!(
        action,
        A::Act
            | A::Tick
            | A::Retry
            | A::Waive
            | A::Decide
            | A::Sign
            | A::Note
            | A::RollBack
            | A::Tell
            | A::Cancel
            | A::Hold
            | A::Abandon
            | A::Replan
            | A::GivePlan
            | A::Review
            | A::CancelBlocker
            | A::EndBlocker
            | A::Choose
    )
}

/// Why nothing is done from here; `None` where the conn is here.
fn elsewhere(model: &Model) -> Option<String> {
    let control = &model.snapshot.control;
    if let Some(watching) = &control.watching {
        let hint = match watching.may_ask {
            true => "; T asks for it",
            false => "",
        };
        return Some(format!("{} has the conn{hint}", watching.holder));
    }
    let reason = control.read_only.as_ref()?;
    Some(format!("nothing is done here any more: {reason}"))
}

/// Tells whether an action does nothing here, so that the bar does not offer it.
pub fn is_dead(model: &Model, action: Action) -> bool {
    // What is at work may still be canceled where the conn has gone.
    let cancels = action == Action::Cancel && model.snapshot.control.watching.is_none();
    // Whoever watches may sign: the holder takes it, or says why not.
    let signs = action == Action::Sign && signing::waiting(model).is_some() && may_hand_in(model);
    elsewhere(model).is_some() && !reads(action) && !cancels && !signs
}

/// Tells whether what is handed in here reaches the holder.
fn may_hand_in(model: &Model) -> bool {
    let watching = model.snapshot.control.watching.as_ref();
    watching.is_some_and(|watching| watching.may_ask)
}

/// Takes an action before the screens do: those that need the conn are refused in words.
pub fn act(model: &mut Model, action: Action) -> Option<Vec<Effect>> {
    if action == Action::Conn {
        return Some(conn(model));
    }
    if !is_dead(model, action) {
        return None;
    }
    let words = elsewhere(model).unwrap_or_default();
    model.say(Tone::Refusal, words);
    Some(Vec::new())
}

/// What the key of the conn does.
fn conn(model: &mut Model) -> Vec<Effect> {
    let now = model.now;
    let Some(watching) = model.snapshot.control.watching.clone() else {
        if !ask(model) {
            model.say(Tone::Info, "you have the conn, and nobody asks for it");
        }
        return Vec::new();
    };
    if !watching.may_ask {
        let text =
            "the conn is asked for through the control schema: run --watch RUN --control URL";
        model.say(Tone::Refusal, text);
    } else if let Some(silent) = watching.stale(now) {
        let text = format!(
            "nothing was heard for {}; first it must answer again",
            watch(silent)
        );
        model.say(Tone::Refusal, text);
    } else if watching.differs.is_some() {
        model.say(
            Tone::Refusal,
            "what is there is another history; nothing is taken from it",
        );
    } else if model.run().status.is_terminal() {
        let text = format!("the run is {}", model.run().status.word());
        model.say(Tone::Refusal, text);
    } else if watching.left(now) {
        let sheet = TakeSheet::new(&watching, model.run().id.clone(), now);
        open(model, Dialog::Take(Box::new(sheet)));
    } else if watching.asked == Some(Asked::Waiting) {
        model.say(
            Tone::Info,
            format!("{} has not answered yet", watching.holder),
        );
    } else {
        model.say(
            Tone::Info,
            format!("asking {} for the conn", watching.holder),
        );
        return vec![Effect::AskConn];
    }
    Vec::new()
}

/// Opens the question of whoever asks for the conn, if somebody does.
fn ask(model: &mut Model) -> bool {
    let control = &model.snapshot.control;
    let epoch = control.mirror.as_ref().and_then(|mirror| mirror.epoch);
    let (Some(asks), Some(epoch)) = (control.asks.clone(), epoch) else {
        return false;
    };
    open(model, Dialog::Conn(Box::new(ConnSheet::new(asks, epoch))));
    true
}

/// Pasted text, where it is handed in to the holder. `false` where it is not.
pub fn pasted(model: &mut Model, text: &str) -> bool {
    let watching = model.snapshot.control.watching.as_ref();
    let Some(watching) = watching.filter(|watching| watching.may_ask) else {
        return false;
    };
    let sheet = HandInSheet::new(watching.holder.clone(), text);
    open(model, Dialog::HandIn(Box::new(sheet)));
    true
}

/// The word of the key on the bar.
pub fn word(model: &Model) -> Option<&'static str> {
    let control = &model.snapshot.control;
    let Some(watching) = &control.watching else {
        return control.asks.as_ref().map(|_| "asked for the conn");
    };
    let counts = watching.may_ask
        && watching.stale(model.now).is_none()
        && watching.differs.is_none()
        && !model.run().status.is_terminal();
    match watching.left(model.now) {
        _ if !counts => None,
        true => Some("take the conn"),
        false => Some("ask for the conn"),
    }
}

/// What a new state says of the conn.
pub fn on_snapshot(model: &mut Model, before: &Snapshot) -> Vec<Effect> {
    let control = model.snapshot.control.clone();
    if control.handed_over.is_some() {
        return vec![Effect::Quit(ConsoleEnd::HandedOver)];
    }
    let was = &before.control;
    let asked = control.watching.as_ref().and_then(|w| w.asked.as_ref());
    let had = was.watching.as_ref().and_then(|w| w.asked.as_ref());
    match asked.filter(|asked| Some(*asked) != had) {
        Some(Asked::Granted(epoch)) => {
            return vec![Effect::Quit(ConsoleEnd::Taking(Taking::Granted(*epoch)))];
        }
        Some(Asked::Refused(words)) => {
            let text = format!("the conn stays where it is: {}", clean_line(words));
            model.say(Tone::Refusal, text);
        }
        _ => {}
    }
    let open = matches!(model.dialog, Some(Dialog::Conn(_)));
    if open && control.asks.is_none() {
        model.dialog = None;
        model.deaf = false;
    }
    if let Some(asks) = control.asks.filter(|asks| was.asks.as_ref() != Some(asks)) {
        if model.dialog.is_none() {
            ask(model);
        } else {
            model.say(
                Tone::Info,
                format!("{} asks for the conn; T answers", asks.who),
            );
        }
    }
    Vec::new()
}

/// Whether leaving asks nothing, because nothing is left behind here.
pub fn may_just_leave(model: &Model) -> bool {
    model.snapshot.control.watching.is_some()
}

/// The right of the header's second line, where it says more than who has the conn.
pub fn line(model: &Model) -> Option<String> {
    let control = &model.snapshot.control;
    if let Some(watching) = &control.watching {
        let seen = match watching.unseen(model.now) {
            Some(unseen) => format!("{} s ago", unseen.as_secs().max(0)),
            None => "gone".to_owned(),
        };
        return Some(format!("WATCHING · holder {} · {seen}", watching.holder));
    }
    let (lacks, since) = control.behind(model.run().seq)?;
    let since = clock(since, &model.zone);
    let records = match lacks {
        0 => "not reached".to_owned(),
        1 => "1 record behind".to_owned(),
        n => format!("{n} records behind"),
    };
    Some(format!("mirror {records} since {since}"))
}

/// What overrides everything else: what is shown may be old or false, or nothing is done here.
pub fn banner(model: &Model) -> Option<Banner> {
    let control = &model.snapshot.control;
    let made = |loudness, word, text: String| {
        Some(Banner {
            loudness,
            word,
            text,
        })
    };
    if let Some(watching) = &control.watching {
        return match control.read_only.clone() {
            Some(reason) => made(Loudness::Alarm, "READ ONLY", reason),
            None => of_watching(model, watching),
        };
    }
    let reason = control.read_only.clone()?;
    made(Loudness::Alarm, "CONN IS ELSEWHERE", reason)
}

fn of_watching(model: &Model, watching: &Watching) -> Option<Banner> {
    let (loudness, word, text) = if let Some(differs) = &watching.differs {
        (Loudness::Alarm, "MIRROR DIFFERS", differs.clone())
    } else if let Some(silent) = watching.stale(model.now) {
        let why = watching.trouble.as_deref().unwrap_or("it does not answer");
        let text = format!("nothing heard for {}: {why}", watch(silent));
        (Loudness::Alarm, "STALE", text)
    } else if model.run().status.is_terminal() {
        return None;
    } else {
        let unseen = watching.unseen(model.now);
        let holder = &watching.holder;
        let text = match unseen {
            Some(unseen) if unseen.as_secs() < UNSEEN => return None,
            _ if watching.left(model.now) => format!("{holder} may be gone; T takes the conn"),
            Some(unseen) if watching.may_ask => {
                format!("{holder} was last seen {} ago", watch(unseen))
            }
            _ => format!(
                "{holder} is not there; go on with run --resume {}",
                watching.run
            ),
        };
        (Loudness::Caution, "HOLDER NOT SEEN", text)
    };
    Some(Banner {
        loudness,
        word,
        text,
    })
}

/// Tells whether the clock moves what is shown of the holder.
pub fn clock_matters(model: &Model) -> bool {
    model.snapshot.control.watching.is_some() && model.screen != Screen::Closing
}
