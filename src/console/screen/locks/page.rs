//! The page of the locks.

use jiff::SignedDuration;

use super::{blockers, offered, scene};
use crate::console::model::Model;
use crate::console::screen::text::{Doc, Ink, cells, clip, span};
use crate::console::screen::times::watch;
use crate::gate::LockScene;
use crate::postgres::locks::{Blocker, Look, Phase, age, whole};
use crate::promotion::{BlockerAct, Event};

/// How many of those behind us are named.
const NAMED: usize = 12;
/// How many cells a bar has.
const BAR: usize = 30;
/// How many of the things that were asked are shown.
const ASKED: usize = 3;

/// Makes the page.
pub(super) fn page(model: &Model, width: usize) -> Doc {
    let mut doc = Doc::new(width);
    let Some(scene) = scene(model) else {
        nothing(&mut doc, model);
        asked(&mut doc, model);
        return doc;
    };
    statement(&mut doc, model, scene);
    if let Some(look) = scene.look.as_deref() {
        wait(&mut doc, model, scene, look);
        in_the_way(&mut doc, model, scene);
        asked(&mut doc, model);
        queue(&mut doc, scene, look);
        for phase in &look.progress {
            progress(&mut doc, phase);
        }
        if let Some(unseen) = look.unseen() {
            doc.heading("What may not be seen");
            doc.text(Ink::Muted, &unseen);
        }
    } else if scene.trouble.is_none() {
        doc.blank();
        doc.text(
            Ink::Muted,
            "It has not run for long; the server is not asked yet.",
        );
    }
    doc
}

fn nothing(doc: &mut Doc, model: &Model) {
    let text = match model.run().at_work() {
        Some(gate) => format!(
            "`{}` is at work, and no transaction of it is watched now.",
            gate.id
        ),
        None => "Nothing is running, so nothing of ours holds or waits for a lock.".to_owned(),
    };
    doc.text(Ink::Strong, &text);
    doc.blank();
    doc.prose(
        Ink::Plain,
        "While a migration runs a transaction for longer than a moment, this shows its statement, \
         what it waits for and who has that, who waits behind it and for how long, and how far it \
         is. From here ours is canceled, or whoever is in the way, once its process number is \
         typed.",
    );
}

/// Ours: file and line, what it runs, which attempt it is.
fn statement(doc: &mut Doc, model: &Model, scene: &LockScene) {
    let place = match scene.line {
        Some(line) => format!("{}:{line}", scene.file),
        None => scene.file.clone(),
    };
    let ran = model.now.duration_since(scene.statement_began);
    match &scene.pause {
        Some(pause) => {
            let left = pause
                .until
                .duration_since(model.now)
                .max(SignedDuration::ZERO);
            let text = format!(
                "{place}: nothing runs and nothing is held; tried again in {}",
                watch(left)
            );
            doc.hanging(&[span(Ink::Warning, "‖ ")], Ink::Strong, &text);
            doc.hanging(&[span(Ink::Plain, "  ")], Ink::Muted, &pause.because);
        }
        None => {
            let text = format!(
                "{place}, running for {}",
                watch(ran.max(SignedDuration::ZERO))
            );
            doc.hanging(&[span(Ink::Accent, "▶ ")], Ink::Strong, &text);
            if let Some(ours) = scene.look.as_deref().and_then(|look| look.ours.as_ref()) {
                doc.sql(&clip(&ours.query, doc.width().saturating_sub(2)));
            }
        }
    }
    let lead = [span(Ink::Plain, "  ")];
    doc.hanging(&lead, Ink::Muted, &scene.attempt);
    if scene.pause.is_none() {
        behind(doc, scene);
    }
    let mut warn = |ink: Ink, text: &str| {
        doc.hanging(&[span(ink, "! ")], ink, text);
    };
    if let Some(silent) = scene.silence(model.now) {
        let text = format!("no answer from the server for {} s", silent.as_secs());
        warn(Ink::Bad, &text);
    }
    if let Some(stopping) = &scene.stopping {
        warn(Ink::Warning, &format!("it is being stopped: {stopping}"));
    }
    if let Some(trouble) = &scene.trouble {
        let text = format!("the locks are not watched: {trouble}");
        warn(Ink::Warning, &text);
        warn(
            Ink::Warning,
            "lock_timeout bounds our waits all the same; the limits of the queue do not hold",
        );
    }
}

/// How many wait behind ours, beside what is tolerated.
fn behind(doc: &mut Doc, scene: &LockScene) {
    let Some(look) = scene.look.as_deref() else {
        return;
    };
    let (queue, lead) = (&look.queue, [span(Ink::Plain, "  ")]);
    let tolerated = format!(
        "{} may, for {}",
        scene.tolerated.waiters,
        whole(scene.tolerated.wait)
    );
    let longest = age(queue.longest_ms);
    let (ink, text) = match queue.count {
        0 => (Ink::Muted, format!("nobody waits behind it; {tolerated}")),
        1 => (
            Ink::Warning,
            format!("1 waits behind it, for {longest}; {tolerated}"),
        ),
        n => (
            Ink::Warning,
            format!("{n} wait behind it, the longest for {longest}; {tolerated}"),
        ),
    };
    doc.hanging(&lead, ink, &text);
}

/// What ours waits for, and how long it still will.
fn wait(doc: &mut Doc, model: &Model, scene: &LockScene, look: &Look) {
    let Some(wait) = &look.wait else {
        doc.heading("It waits for nobody");
        return;
    };
    if scene.pause.is_some() {
        doc.heading("It waited");
        doc.text(Ink::Plain, &format!("for {} on {}", wait.mode, wait.on));
        return;
    }
    doc.heading("It waits");
    let since = scene.since_look(model.now).as_millis().max(0) as u64;
    let waited = wait.waited_ms.map(|ms| ms + since);
    let mut text = format!("for {} on {}", wait.mode, wait.on);
    if let Some(ms) = waited {
        text.push_str(&format!(", {}", age(ms)));
    }
    doc.text(Ink::Plain, &text);
    if let Some(ms) = waited {
        let limit = scene.lock_timeout_ms.max(1);
        let left = limit.saturating_sub(ms);
        let share = ms.min(limit) as f64 / limit as f64;
        let words = format!("  lock_timeout {} gives up in {}", age(limit), age(left));
        bar(doc, share, Ink::Warning, &words);
    }
}

fn bar(doc: &mut Doc, share: f64, ink: Ink, words: &str) {
    let width = doc.width().saturating_sub(cells(words)).clamp(4, BAR);
    let full = (share * width as f64).round() as usize;
    doc.fixed(vec![
        span(ink, "█".repeat(full.min(width))),
        span(Ink::Muted, "░".repeat(width.saturating_sub(full))),
        span(Ink::Plain, words),
    ]);
}

fn in_the_way(doc: &mut Doc, model: &Model, scene: &LockScene) {
    let blockers = blockers(model);
    if blockers.is_empty() {
        return;
    }
    doc.heading(match scene.pause {
        Some(_) => "Who was in the way",
        None => "Who is in the way",
    });
    for (number, blocker) in blockers.iter().enumerate() {
        let from = doc.lines.len();
        one(doc, blocker, number == model.locks.cursor);
        doc.mark_item(from, number);
    }
}

fn one(doc: &mut Doc, blocker: &Blocker, selected: bool) {
    let mark = if selected { "▸ " } else { "  " };
    let indent = format!("{mark}{}", "   ".repeat(blocker.depth));
    let inside = format!("{}    ", " ".repeat(cells(&indent)));
    let who = &blocker.who;
    let mut text = blocker.words();
    if !who.client.is_empty() && who.pid != 0 {
        text.push_str(&format!(", {}", who.client));
    }
    if let Some(ms) = who.transaction_ms {
        text.push_str(&format!(", its transaction for {}", age(ms)));
    }
    doc.hanging(&[span(Ink::Accent, indent)], Ink::Strong, &text);
    if !who.query.is_empty() && who.pid != 0 {
        let room = doc.width().saturating_sub(cells(&inside));
        doc.fixed(vec![
            span(Ink::Plain, inside.clone()),
            span(Ink::Muted, clip(&who.query, room)),
        ]);
    }
    if let Some(wait) = &blocker.waits {
        let text = format!("waits itself for {} on {}", wait.mode, wait.on);
        doc.hanging(&[span(Ink::Plain, inside.clone())], Ink::Plain, &text);
    }
    for prepared in blocker.prepared.iter().skip(1) {
        let text = format!("and `{}` of {}", prepared.gid, prepared.owner);
        doc.hanging(&[span(Ink::Plain, inside.clone())], Ink::Plain, &text);
    }
    if !selected {
        return;
    }
    let cancel = offered(blocker, BlockerAct::Cancel);
    let end = offered(blocker, BlockerAct::Terminate);
    let (ink, text) = match (cancel, end) {
        (Ok(()), Ok(())) => (
            Ink::Plain,
            "x cancels its statement, t ends the session; both ask for its number".to_owned(),
        ),
        (Err(why), Ok(())) => (Ink::Plain, why),
        (_, Err(why)) => (Ink::Muted, why),
    };
    doc.hanging(&[span(Ink::Accent, format!("{inside}→ "))], ink, &text);
}

/// What was asked of somebody during this attempt at the gate, and what came of it.
fn asked(doc: &mut Doc, model: &Model) {
    let records = model.snapshot.records.iter().rev();
    let of_attempt = records.take_while(|r| !matches!(r.event, Event::GateStarted { .. }));
    let mut lines: Vec<(Ink, String)> = of_attempt
        .filter_map(|record| match &record.event {
            Event::BlockerSignaled { blocker, .. } => Some((
                Ink::Muted,
                format!("asked: {} pid {}", blocker.act.word(), blocker.pid),
            )),
            Event::BlockerSignalEnded { .. } => Some((Ink::Strong, record.event.words())),
            _ => None,
        })
        .take(ASKED * 2)
        .collect();
    if lines.is_empty() {
        return;
    }
    lines.reverse();
    doc.heading("What was asked of others");
    for (ink, text) in lines {
        doc.text(ink, &crate::untrusted::clean_line(&text));
    }
}

/// Who waits behind ours.
fn queue(doc: &mut Doc, scene: &LockScene, look: &Look) {
    let queue = &look.queue;
    if queue.count == 0 || scene.pause.is_some() {
        return;
    }
    doc.heading("Who waits behind it");
    let on: Vec<String> = queue
        .on
        .iter()
        .map(|(on, n)| format!("{n} for {on}"))
        .collect();
    doc.text(Ink::Plain, &on.join(", "));
    for waiter in queue.first.iter().take(NAMED) {
        let waited = waiter.wait.waited_ms.map_or(String::new(), age);
        let text = format!(
            "{waited:>7}  pid {}, {}  {} on {}",
            waiter.who.pid,
            waiter.who.who(),
            waiter.wait.mode,
            waiter.wait.on
        );
        doc.fixed(vec![span(Ink::Plain, clip(&text, doc.width()))]);
    }
    let more = queue.count.saturating_sub(NAMED.min(queue.first.len()));
    if more > 0 {
        doc.text(Ink::Muted, &format!("and {more} more"));
    }
}

fn progress(doc: &mut Doc, phase: &Phase) {
    doc.heading(&phase.command);
    let text = match phase.detail.is_empty() {
        true => phase.phase.clone(),
        false => format!("{}; {}", phase.phase, phase.detail),
    };
    doc.text(Ink::Plain, &text);
    let counted = phase.counted();
    match phase.share() {
        Some(share) => {
            let words = format!(" {:>3.0} %  {counted}", share * 100.0);
            bar(doc, share, Ink::Accent, &words);
        }
        None if !counted.is_empty() => doc.text(Ink::Plain, &format!("{counted} so far")),
        None => {}
    }
}
