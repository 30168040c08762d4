//! The locks in one line, beside the work that they are about.

use super::scene;
use crate::console::model::Model;
use crate::console::screen::text::Ink;
use crate::console::screen::times::watch;
use crate::postgres::locks::{Look, age};

/// What an operator should know of the locks now, wherever the work is shown.
pub fn line(model: &Model) -> Option<(Ink, String)> {
    let scene = scene(model)?;
    if let Some(silent) = scene.silence(model.now) {
        let text = format!("no answer from the server for {} s", silent.as_secs());
        return Some((Ink::Bad, text));
    }
    let look = scene.look.as_deref();
    if let Some(pause) = &scene.pause {
        let left = pause.until.duration_since(model.now);
        let left = watch(left.max(jiff::SignedDuration::ZERO));
        let by = look
            .and_then(first)
            .map_or(String::new(), |who| format!("; {who} was in the way"));
        return Some((Ink::Warning, format!("tried again in {left}{by}; press 4")));
    }
    if let Some(stopping) = &scene.stopping {
        return Some((Ink::Warning, format!("being stopped: {stopping}; press 4")));
    }
    if let Some(look) = look.filter(|look| look.is_telling()) {
        return Some((
            Ink::Warning,
            format!("{}; press 4", telling(look, scene.since_look(model.now))),
        ));
    }
    let trouble = scene.trouble.as_ref()?;
    Some((Ink::Muted, format!("the locks are not watched: {trouble}")))
}

fn telling(look: &Look, since: jiff::SignedDuration) -> String {
    let mut parts = Vec::new();
    if let Some(wait) = &look.wait {
        let on = match first(look) {
            Some(who) => format!("waits for {who}"),
            None => format!("waits for a lock on {}", wait.on),
        };
        let waited = wait
            .waited_ms
            .map(|ms| ms + since.as_millis().max(0) as u64);
        parts.push(match waited {
            Some(ms) => format!("{on}, {}", age(ms)),
            None => on,
        });
    }
    match look.queue.count {
        0 => {}
        1 => parts.push("1 waits behind us".to_owned()),
        n => parts.push(format!("{n} wait behind us")),
    }
    parts.join("; ")
}

/// The first in the way.
fn first(look: &Look) -> Option<String> {
    let blocker = look.blockers.first()?;
    Some(match blocker.who.pid {
        0 => blocker.words(),
        pid => format!("pid {pid}, {}", blocker.who.who()),
    })
}
