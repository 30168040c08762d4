//! Whether a rehearsal fits, and what is rehearsed: known before anything is started.

use std::path::PathBuf;
use std::time::Duration;

use super::{revised, tooled};
use crate::expectation::QueryExpectation;
use crate::gate::backup::bytes;
use crate::gate::{Context, Plan, TargetError, Tone};
use crate::postgres::dump;
use crate::postgres::rehearsal_server::{Room, room};
use crate::postgres::session::SessionSettings;
use crate::runbook::{
    Gate, Kind, RehearsalOf, Rehearse, SqlSource, Take, ToolAction, placeholders,
};

/// A restored database, its log, and one large table written anew, against the source's size.
const FACTOR: f64 = 1.5;
/// What a server needs before it holds anything, in bytes.
const EMPTY: u64 = 192 * 1024 * 1024;
/// How fast one worker restores on a machine like most, in bytes of the source a second.
const SPEED: u64 = 30_000_000;

/// What is carried out, and what is not.
#[derive(Debug, Clone, Default)]
pub(super) struct Steps {
    pub(super) gates: Vec<Gate>,
    pub(super) left_out: Vec<String>,
}

/// The gates that are rehearsed, in the order of the runbook.
pub(super) fn steps(gate: &Rehearse, context: &Context) -> Steps {
    let runbook = &context.runbook;
    let own = runbook.gates().position(|g| g.id == context.gate.id);
    let after = own.map_or(0, |place| place + 1);
    let mut steps = Steps::default();
    for (place, other) in runbook.gates().enumerate() {
        match &gate.gates {
            Some(named) if !named.contains(&other.id) => continue,
            None if place < after => continue,
            _ => {}
        }
        match rehearsable(gate, other, context) {
            Ok(true) => steps.gates.push(other.clone()),
            Ok(false) if gate.gates.is_none() => {}
            Ok(false) => steps
                .left_out
                .push(format!("{}: it does not work on {}", other.id, gate.target)),
            Err(reason) => steps.left_out.push(format!("{}: {reason}", other.id)),
        }
    }
    steps
}

fn rehearsable(gate: &Rehearse, other: &Gate, context: &Context) -> Result<bool, String> {
    Ok(match &other.kind {
        Kind::Migrate(_) | Kind::Drift(_) | Kind::SchemaVersion(_) => {
            other.kind.target() == Some(&gate.target)
        }
        Kind::Tool(tool) if tool.action == ToolAction::Revert => return Ok(false),
        Kind::Tool(tool) => tool.target == gate.target,
        Kind::Alembic(alembic) => return revised::rehearsable(&gate.target, alembic),
        Kind::Query(query) if query.target == gate.target => {
            let text = match &query.sql {
                SqlSource::Inline(_) => String::new(),
                SqlSource::File(path) => path.clone(),
            };
            let needed = unfilled(&query.expect, &text, context);
            if let Some(name) = needed {
                return Err(format!("it needs `{name}`, which is measured later"));
            }
            true
        }
        Kind::Lint(lint) => !lint.files.is_empty(),
        _ => false,
    })
}

/// The first value that a later gate captures.
fn unfilled(expect: &QueryExpectation, path: &str, context: &Context) -> Option<String> {
    let compared = [&expect.rows, &expect.value].into_iter().flatten();
    let mut texts: Vec<&str> = compared.map(|c| c.value.as_str()).collect();
    texts.push(path);
    let names = texts.into_iter().flat_map(placeholders);
    names
        .map(|name| name.to_string())
        .find(|name| !context.values.contains_key(name))
}

/// What it needs, and what there is.
#[derive(Debug, Clone)]
pub(super) struct Fit {
    pub(super) database_bytes: u64,
    pub(super) needed: u64,
    pub(super) room: Room,
    pub(super) about: Duration,
    /// Why it does not fit.
    pub(super) refuses: Option<String>,
}

/// Works out whether a database of that size fits.
pub(super) fn fit(gate: &Rehearse, database_bytes: u64) -> Fit {
    let held = match gate.of {
        RehearsalOf::Target(Take::Schema) => 0,
        RehearsalOf::Target(Take::Sample(_)) => database_bytes / 10,
        _ => database_bytes,
    };
    let needed = (held as f64 * FACTOR) as u64 + EMPTY;
    let room = room(needed);
    let about = Duration::from_secs(held / SPEED + 2);
    let at = room.folder.display();
    let refuses = if room.free < needed {
        let (needed, free) = (bytes(needed), bytes(room.free));
        Some(format!("it needs about {needed}, and {at} has {free} left"))
    } else if let Some(space) = gate.space.filter(|space| *space < needed) {
        let (needed, space) = (bytes(needed), bytes(space));
        Some(format!(
            "it needs about {needed}, and `space` allows {space}"
        ))
    } else if about > gate.within {
        let (about, within) = (about.as_secs(), gate.within.as_secs());
        Some(format!(
            "the restore alone takes about {about} s, and `within` allows {within} s"
        ))
    } else {
        None
    };
    Fit {
        database_bytes,
        needed,
        room,
        about,
        refuses,
    }
}

/// The size of the target's database.
pub(super) async fn size(gate: &Rehearse, context: &Context) -> Result<u64, TargetError> {
    let settings = SessionSettings {
        read_only: true,
        ..SessionSettings::default()
    };
    let targets = &context.targets;
    let (session, _) = targets
        .open(&gate.target, &context.gate.id, settings)
        .await?;
    Ok(dump::survey(&session).await?.database_bytes)
}

/// A hazard that is allowed by a code that no rule has: a mistake that would allow nothing.
pub(super) fn unknown_code(gate: &Rehearse) -> Option<String> {
    let mut codes = gate.allow.iter().map(|allow| &allow.hazard);
    let unknown = codes.find(|code| !crate::sql::hazard::is_code(code))?;
    Some(format!("no rule has the code `{unknown}`"))
}

/// The folder of one attempt, in the run's folder.
pub(super) fn folder(context: &Context) -> PathBuf {
    let name = format!("{}-{}", context.gate.id, context.attempt);
    context.folder.join("rehearsal").join(name)
}

pub(in crate::gate) async fn plan(gate: &Rehearse, context: &Context) -> Plan {
    let steps = steps(gate, context);
    let of = match &gate.of {
        RehearsalOf::Backup(backup) => format!("the backup that `{backup}` takes"),
        RehearsalOf::Target(take) => format!("a dump of {}, {}", gate.target, take.word()),
    };
    let mut inputs = vec![format!("{gate:?}")];
    inputs.extend(steps.gates.iter().map(|gate| format!("{gate:?}")));
    inputs.extend(super::inputs(gate, context));
    let unknown = unknown_code(gate);
    let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
    let summary = format!(
        "rehearse {} gates of {} on a private server",
        steps.gates.len(),
        gate.target
    );
    let mut plan = Plan::new(summary, &inputs);
    plan.line(Tone::Plain, format!("restores {of}"));
    match size(gate, context).await {
        Ok(size) => describe_fit(&mut plan, &fit(gate, size)),
        Err(error) => {
            let reason = format!("{} cannot be asked: {error}", gate.target);
            plan.line(Tone::Bad, &reason);
            plan.refuses = Some(reason);
        }
    }
    if let Some(reason) = unknown {
        plan.line(Tone::Bad, &reason);
        plan.refuses = Some(reason);
    }
    plan.line(Tone::Plain, format!("bound    {} s", gate.within.as_secs()));
    super::outward::describe(&mut plan, gate);
    if let RehearsalOf::Backup(backup) = &gate.of
        && super::source::good_backup(backup, context).is_err()
    {
        let told = format!("waits    `{backup}` has not passed yet");
        plan.line(Tone::Warning, told);
    }
    plan.line(Tone::Heading, "carried out there, by their own code");
    for step in &steps.gates {
        plan.line(
            Tone::Plain,
            format!("  {:<14} {}", step.kind.name(), step.id),
        );
    }
    if steps.gates.is_empty() {
        plan.line(Tone::Warning, "  none: only the backup is verified");
    }
    for left in &steps.left_out {
        plan.line(Tone::Warning, format!("  not rehearsed: {left}"));
    }
    if gate.down {
        describe_down(&mut plan, &steps, context);
    }
    plan.with(
        Tone::Muted,
        "every table is compared with the source; the target itself is only read",
    )
}

fn describe_fit(plan: &mut Plan, fit: &Fit) {
    let room = format!(
        "fits     database {}, about {} needed, {} free at {}",
        bytes(fit.database_bytes),
        bytes(fit.needed),
        bytes(fit.room.free),
        fit.room.folder.display()
    );
    plan.line(Tone::Plain, room);
    let about = format!(
        "restore  about {} s, which is guessed from its size",
        fit.about.as_secs()
    );
    plan.line(Tone::Plain, about);
    if let Some(reason) = &fit.refuses {
        plan.line(Tone::Bad, format!("no room: {reason}"));
        plan.refuses = Some(reason.clone());
    }
}

fn describe_down(plan: &mut Plan, steps: &Steps, context: &Context) {
    plan.line(
        Tone::Heading,
        "then undone, the last one first, and applied once more",
    );
    for step in &steps.gates {
        let upgrades = revised::upgrades(step).is_some();
        if !matches!(step.kind, Kind::Migrate(_)) && tooled::applies(step).is_none() && !upgrades {
            continue;
        }
        match super::down::undone_by(&context.runbook, &step.id) {
            Some(by) => plan.line(Tone::Plain, format!("  {} by {}", step.id, by.id)),
            None if upgrades => plan.line(
                Tone::Plain,
                format!("  {} by its project's own downgrade", step.id),
            ),
            None => plan.line(
                Tone::Warning,
                format!(
                    "  {} has no way back in this runbook but the backup",
                    step.id
                ),
            ),
        }
    }
}
