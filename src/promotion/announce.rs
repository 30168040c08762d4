//! What a run knows to say of itself: the fields of a message, prefilled.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::{GateRecord, GateState, Run};
use crate::untrusted::clean_line;

/// The fields that a message may name, as the run stands at `now`. A person reads and edits what
/// comes of them before anything is sent.
pub fn message_fields(
    run: &Run,
    now: Timestamp,
    next_update: Option<i64>,
) -> BTreeMap<String, String> {
    let (through, all) = run.progress();
    let gate = run.current();
    let countdown = run
        .definition
        .window
        .as_ref()
        .and_then(|window| window.countdown(run.opened, now));
    let or_none = |text: Option<String>| text.unwrap_or_else(|| "none".to_owned());
    let mut fields: BTreeMap<String, String> = [
        ("issue", issue(run, gate)),
        ("impact", impact(run)),
        ("eta", or_none(eta(run, now))),
        ("action", "none".to_owned()),
        ("title", run.definition.title.clone()),
        ("run.status", status(run)),
        ("run.progress", format!("{through} of {all} gates")),
        ("gate", or_none(gate.map(|gate| gate.id.clone()))),
        (
            "gate.state",
            or_none(gate.map(|gate| gate.state.word().to_owned())),
        ),
        ("operator", run.operator.clone()),
        (
            "rollback",
            or_none(run.rollback.as_ref().map(|back| back.id.clone())),
        ),
        (
            "window.closes",
            or_none(countdown.map(|count| minute(count.closes))),
        ),
        (
            "last_safe_rollback",
            or_none(countdown.map(|count| minute(count.last_safe_rollback))),
        ),
        (
            "next_update",
            or_none(next_update.and_then(|seconds| {
                let after = SignedDuration::from_secs(seconds);
                now.checked_add(after).ok().map(minute)
            })),
        ),
        ("recovery_point", "not recorded".to_owned()),
        ("journal.head", format!("record {} {}", run.seq, run.head)),
    ]
    .map(|(name, value)| (name.to_owned(), clean_line(&value)))
    .into();
    fields.insert("run.id".to_owned(), run.id.clone());
    fields.insert(
        "date".to_owned(),
        run.opened.strftime("%Y-%m-%d").to_string(),
    );
    fields.extend(run.captures.clone());
    fields
}

fn minute(at: Timestamp) -> String {
    at.strftime("%H:%M UTC").to_string()
}

fn status(run: &Run) -> String {
    match &run.rollback {
        Some(back) if !run.status.is_terminal() => format!("rolling back by {}", back.id),
        _ => run.status.word().to_owned(),
    }
}

fn issue(run: &Run, gate: Option<&GateRecord>) -> String {
    if let Some(back) = &run.rollback {
        return back.reason.clone();
    }
    let stopped = |gate: &&GateRecord| gate.state.may_retry() || gate.state == GateState::InDoubt;
    match gate.filter(stopped) {
        Some(gate) => {
            let said = gate.finding.as_ref().map(|f| f.summary.as_str());
            let word = gate.state.word();
            format!("gate {} is {word}: {}", gate.id, said.unwrap_or_default())
        }
        None => "none".to_owned(),
    }
}

/// What is true of the databases: how many parts of the work are in them, whichever attempt put
/// them there, and how far a way back has taken them out.
fn impact(run: &Run) -> String {
    let ways = &run.definition.rollbacks;
    let of_way = |gate: &&GateRecord| {
        let mut gates = ways.iter().flat_map(|way| &way.gates);
        gates.any(|of_way| of_way.id == gate.id)
    };
    let (back, forward): (Vec<_>, Vec<_>) = run.gates.iter().partition(of_way);
    let count =
        |gates: &[&GateRecord]| -> usize { gates.iter().map(|gate| gate.committed.len()).sum() };
    match (count(&forward), count(&back)) {
        (0, 0) => "nothing has been changed so far".to_owned(),
        (1, 0) => "1 change is applied; nothing later has started".to_owned(),
        (n, 0) => format!("{n} changes are applied; nothing later has started"),
        (n, m) => format!("{n} changes were applied; of the way back {m} parts are done"),
    }
}

/// When it is over: going back takes as long as its way is expected to, going forward until the
/// window closes.
fn eta(run: &Run, now: Timestamp) -> Option<String> {
    if let Some(back) = &run.rollback {
        let way = run.definition.rollback(&back.id)?;
        let lasts = SignedDuration::from_secs(way.expected_seconds);
        return back.started.checked_add(lasts).ok().map(minute);
    }
    let window = run.definition.window.as_ref()?;
    Some(minute(window.countdown(run.opened, now)?.closes))
}
