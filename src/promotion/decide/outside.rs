//! Grants what comes from outside of the run: a plan that somebody gives, and the flag that keeps
//! migrations from running.

use super::Decided;
use super::conditions::{definition, find, in_state, may_move};
use crate::promotion::{
    Command, Event, FlagSays, GateDefinition, GateRecord, GateState, Moment, Refusal, Run, Via,
};

/// Takes a plan, or what the flag says.
pub(super) fn take(run: &Run, at: &Moment, command: &Command) -> Decided {
    match command {
        Command::SeeFlag { flag, says } => see_flag(run, at, flag, says),
        command => paste(run, at, command),
    }
}

/// Takes a plan. It is an input and decides nothing, so a program may give it too; the engine has
/// none of its own.
fn paste(run: &Run, at: &Moment, command: &Command) -> Decided {
    let Command::PastePlan {
        gate: id,
        sha256,
        bytes,
    } = command
    else {
        return Ok(Vec::new());
    };
    let record = find(run, id)?;
    if !definition(run, id)?.pastes {
        return Err(Refusal::NoPaste(id.clone()));
    }
    if at.actor.via == Via::Engine {
        return Err(Refusal::NeverByItself(id.clone()));
    }
    may_move(run, id)?;
    in_state(record, "given a plan", |state| {
        matches!(
            state,
            GateState::Pending | GateState::Passed | GateState::Stale
        ) || state.may_retry()
    })?;
    let mut events = vec![Event::PlanPasted {
        gate: id.clone(),
        sha256: sha256.clone(),
        bytes: *bytes,
    }];
    if record.state == GateState::Passed {
        events.push(Event::GateWentStale {
            gate: id.clone(),
            reason: "another plan was given since".to_owned(),
        });
    }
    Ok(events)
}

/// A gate that judges a plan needs one that it has not refused.
pub(super) fn may_judge(record: &GateRecord, gate: &GateDefinition) -> Result<(), Refusal> {
    if !gate.pastes {
        return Ok(());
    }
    match &record.pasted {
        None => Err(Refusal::NothingPasted(record.id.clone())),
        Some(pasted) if pasted.refused => Err(Refusal::PasteRefused(record.id.clone())),
        Some(_) => Ok(()),
    }
}

/// Notes what the flag says, where that is news. When it lets migrations run again, what was left
/// out is open again.
fn see_flag(run: &Run, at: &Moment, flag: &str, says: &FlagSays) -> Decided {
    if at.actor.via != Via::Engine {
        return Err(Refusal::NoReport("flag".to_owned()));
    }
    let known = run.migrations.as_ref();
    let before = known.map_or(&FlagSays::Enabled, |known| &known.says);
    if before == says {
        return Ok(Vec::new());
    }
    let mut events = vec![Event::FlagSeen {
        flag: flag.to_owned(),
        says: says.clone(),
    }];
    if *says == FlagSays::Enabled {
        events.extend(run.reopening(flag));
    }
    Ok(events)
}

/// Leaves a gate that migrates out instead of starting it, while the flag is set.
pub(super) fn left_out(
    run: &Run,
    at: &Moment,
    record: &GateRecord,
    gate: &GateDefinition,
) -> Result<Option<Event>, Refusal> {
    let Some((flag, value)) = run.migrations_disabled().filter(|_| gate.migrates) else {
        return Ok(None);
    };
    if at.actor.via == Via::Engine {
        return Err(Refusal::NeverByItself(gate.id.clone()));
    }
    if !record.may_be_left_out(gate) {
        return Err(Refusal::MigrationsDisabled {
            gate: gate.id.clone(),
            flag: flag.flag.clone(),
            value: value.to_owned(),
        });
    }
    Ok(Some(Event::GateLeftOut {
        gate: gate.id.clone(),
        flag: flag.flag.clone(),
        value: value.to_owned(),
        seen: flag.seen,
    }))
}
