//! Grants the start, the retry and the end by request of a gate that has work of its own.

use super::Decided;
use super::conditions::{definition, find, in_state, may_move, needs_console, said};
use super::{outside, signing};
use crate::promotion::run::has_work;
use crate::promotion::{Event, GateDefinition, GateState, Moment, Nature, Refusal, Run, Via};

/// What starting a gate needs to know.
pub(super) struct Starting<'a> {
    run: &'a Run,
    at: &'a Moment,
    plan: Option<&'a str>,
    typed: Option<&'a str>,
}

impl<'a> Starting<'a> {
    pub(super) fn new(
        run: &'a Run,
        at: &'a Moment,
        plan: Option<&'a str>,
        typed: Option<&'a str>,
    ) -> Self {
        Starting {
            run,
            at,
            plan,
            typed,
        }
    }

    /// Starts a gate that has not run, or whose pass counts no longer.
    pub(super) fn first(&self, id: &str) -> Decided {
        self.decide(id, "started", |state| {
            matches!(state, GateState::Pending | GateState::Stale)
        })
    }

    /// Starts a gate again that ended without passing.
    pub(super) fn again(&self, id: &str) -> Decided {
        self.decide(id, "retried", GateState::may_retry)
    }

    fn decide(&self, id: &str, asked: &'static str, from: fn(GateState) -> bool) -> Decided {
        let record = find(self.run, id)?;
        let gate = definition(self.run, id)?;
        may_move(self.run, id)?;
        if !has_work(gate) {
            return Err(Refusal::MovedByPeople(id.to_owned()));
        }
        in_state(record, asked, from)?;
        outside::may_judge(record, gate)?;
        if let Some(busy) = self.run.at_work() {
            return Err(Refusal::Busy(busy.id.clone()));
        }
        if let Some(event) = outside::left_out(self.run, self.at, record, gate)? {
            return Ok(vec![event]);
        }
        if gate.nature == Nature::Acts {
            self.may_act(gate)?;
        }
        // Signatures are looked at when they are used: nothing starts on what has changed since.
        let mut events = signing::outdated(self.run, self.at.now, None);
        let before = |event: &Event| {
            let mut course = self.run.course().iter().take_while(|gate| gate.id != id);
            course.any(|gate| event.gate() == Some(gate.id.as_str()))
        };
        if events.iter().any(before) {
            return Ok(events);
        }
        events.push(Event::GateStarted {
            gate: id.to_owned(),
            attempt: record.attempt + 1,
            plan: self.plan.map(str::to_owned),
            typed_name: self.typed.map(str::to_owned),
        });
        Ok(events)
    }

    fn may_act(&self, gate: &GateDefinition) -> Result<(), Refusal> {
        if self.at.actor.via == Via::Engine {
            return Err(Refusal::NeverByItself(gate.id.clone()));
        }
        // Statements of a gate in doubt may still be running on the server.
        let doubtful = self
            .run
            .gates
            .iter()
            .find(|g| g.state == GateState::InDoubt);
        if let Some(doubtful) = doubtful {
            return Err(Refusal::Unresolved(doubtful.id.clone()));
        }
        if let Some(window) = &self.run.definition.window
            && self.run.rollback.is_none()
            && let Some(reason) =
                window.refuses_start(self.run.opened, self.at.now, gate.lasts_seconds)
        {
            return Err(Refusal::OutsideWindow(reason));
        }
        if self.plan.is_none_or(str::is_empty) {
            return Err(Refusal::NoPlan(gate.id.clone()));
        }
        let Some(name) = &gate.typed_name else {
            return Ok(());
        };
        needs_console(self.at, || {
            format!("gate `{}`, which acts on `{name}`,", gate.id)
        })?;
        if self.typed != Some(name.as_str()) {
            return Err(Refusal::NameNotTyped {
                gate: gate.id.clone(),
                name: name.clone(),
            });
        }
        Ok(())
    }
}

/// Asks the work of a gate to stop. Asking twice changes nothing.
pub(super) fn cancel(run: &Run, id: &str) -> Decided {
    let record = find(run, id)?;
    if !has_work(definition(run, id)?) {
        return Err(Refusal::MovedByPeople(id.to_owned()));
    }
    in_state(record, "canceled", |s| s == GateState::Running)?;
    if record.cancel_requested {
        return Ok(Vec::new());
    }
    Ok(vec![Event::CancelRequested {
        gate: id.to_owned(),
        attempt: record.attempt,
    }])
}

/// Passes on what a person chose at a gate that is at work. A held run is no reason to refuse: what
/// is chosen may be to switch something off.
pub(super) fn choose(run: &Run, at: &Moment, id: &str, question: u64, choice: &str) -> Decided {
    let record = find(run, id)?;
    if !has_work(definition(run, id)?) {
        return Err(Refusal::MovedByPeople(id.to_owned()));
    }
    needs_console(at, || format!("choosing at gate `{id}`"))?;
    in_state(record, "chosen at", |s| s == GateState::Running)?;
    let choice = said(choice);
    if choice.is_empty() {
        return Err(Refusal::NotOffered {
            gate: id.to_owned(),
            choice,
        });
    }
    Ok(vec![Event::ChoiceMade {
        gate: id.to_owned(),
        attempt: record.attempt,
        question,
        choice,
    }])
}
