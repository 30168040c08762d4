//! Reads a journal as an auditor would, knowing the rules and not the program, and the random
//! walks that every rule is held against.

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;
use stagegate::expectation::Verdict;
use stagegate::promotion::{
    Command, Decision, Event, FlagSays, GateDefinition, GateState, Nature, Record, Resolution, Run,
    RunStatus, Via, decide,
};

use super::model::Model;
use super::walks::{Step, asked, command, onwards, walk};
use super::world::{GATES, World, definition};

/// What the auditor remembers of a gate.
#[derive(Default)]
struct Seen {
    state: Option<GateState>,
    attempt: u32,
    ticked: Vec<usize>,
    signed: Vec<(String, String)>,
}

#[derive(Default)]
struct Auditor {
    gates: BTreeMap<String, Seen>,
    flag: Option<FlagSays>,
    held: bool,
    ended: bool,
}

fn lets_through(state: Option<GateState>) -> bool {
    matches!(
        state,
        Some(GateState::Passed | GateState::Waived | GateState::NotApplicable)
    )
}

fn worked(gate: &GateDefinition) -> bool {
    matches!(gate.nature, Nature::Looks | Nature::Acts)
}

impl Auditor {
    fn state(&self, gate: &str) -> Option<GateState> {
        self.gates.get(gate).and_then(|seen| seen.state)
    }

    fn at_work(&self) -> Option<String> {
        let definition = definition();
        let running = |gate: &&GateDefinition| {
            worked(gate) && self.state(&gate.id) == Some(GateState::Running)
        };
        definition.gates().find(running).map(|gate| gate.id.clone())
    }

    /// Checks one record against everything before it.
    fn read(&mut self, record: &Record) {
        assert!(!self.ended, "a record after the end: {record:?}");
        match &record.event {
            Event::GateStarted { .. } => self.started(record),
            Event::GateFinished { .. }
            | Event::EffectRecorded { .. }
            | Event::GateCanceled { .. }
            | Event::GateInDoubt { .. }
            | Event::GateReconciled { .. }
            | Event::GateWentStale { .. } => self.report(record),
            Event::ItemConfirmed { .. }
            | Event::SignedOff { .. }
            | Event::GateWaived { .. }
            | Event::RemedyDecided { .. } => {
                assert!(record.actor.via == Via::Console && !self.held);
                self.people(&record.event);
            }
            Event::RunContinued { in_doubt, .. } => {
                let at_work: Vec<String> = self.at_work().into_iter().collect();
                assert_eq!(*in_doubt, at_work);
                for gate in in_doubt {
                    self.set(gate, GateState::InDoubt);
                }
            }
            Event::BlockerSignaled {
                gate,
                attempt,
                blocker,
            } => {
                assert_eq!(record.actor.via, Via::Console);
                assert_eq!(self.at_work().as_ref(), Some(gate));
                assert_eq!(self.gates[gate].attempt, *attempt);
                assert!(blocker.pid > 0 && !blocker.backend_start.is_empty());
            }
            Event::StatementsIssued(_)
            | Event::SignatureAccepted(_)
            | Event::SignaturesVoided(_)
            | Event::InputRejected(_) => unreachable!("nobody signs with keys in these walks"),
            Event::BlockerSignalEnded { gate, attempt, .. } => {
                self.reported(record, gate, *attempt);
            }
            Event::ChoiceMade { gate, attempt, .. } => {
                assert_eq!(record.actor.via, Via::Console);
                assert_eq!(self.at_work().as_ref(), Some(gate));
                assert_eq!(self.gates[gate].attempt, *attempt);
            }
            Event::RunHeld { .. } => self.held = true,
            Event::RunResumed => self.held = false,
            Event::RunRejected { .. } | Event::RunAbandoned { .. } | Event::RunClosed => {
                self.end(record);
            }
            Event::ConnHandedOver { .. } | Event::ConnTaken { .. } => {
                assert_eq!(record.actor.via, Via::Console);
            }
            Event::TimelineSeen { .. } => assert_eq!(record.actor.via, Via::Engine),
            Event::FlagSeen { .. } | Event::GateLeftOut { .. } | Event::RecoveryBegun { .. } => {
                self.outside(record);
            }
            Event::RunOpened { .. } | Event::CancelRequested { .. } | Event::Noted { .. } => {}
            Event::FileReviewed { .. }
            | Event::ReviewWithdrawn { .. }
            | Event::RollbackStarted { .. }
            | Event::RunRolledBack { .. }
            | Event::PlanPasted { .. }
            | Event::MessageSent { .. } => panic!("these walks go forward: {record:?}"),
        }
    }

    fn outside(&mut self, record: &Record) {
        match &record.event {
            Event::FlagSeen { says, .. } => {
                assert_eq!(record.actor.via, Via::Engine);
                assert_ne!(self.flag.as_ref(), Some(says), "no news");
                self.flag = Some(says.clone());
            }
            Event::GateLeftOut { gate, .. } => {
                let disabled = matches!(self.flag, Some(FlagSays::Disabled { .. }));
                assert!(disabled, "left out without a reason");
                assert!(definition().gate(gate).unwrap().migrates);
                assert_ne!(record.actor.via, Via::Engine);
                assert_ne!(self.state(gate), Some(GateState::Failed));
                self.set(gate, GateState::NotApplicable);
            }
            Event::RecoveryBegun { gate, gates, .. } => {
                assert_eq!(self.state(gate), Some(GateState::Failed));
                let definition = definition();
                for earlier in gates {
                    assert!(definition.gate(gate).unwrap().recovery.contains(earlier));
                    assert_eq!(self.state(earlier), Some(GateState::Passed));
                    self.set(earlier, GateState::Stale);
                }
            }
            other => panic!("{other:?} comes from elsewhere"),
        }
    }

    fn report(&mut self, record: &Record) {
        match &record.event {
            Event::GateFinished {
                gate,
                attempt,
                finding,
                ..
            } => self.finished(record, gate, *attempt, finding.verdict),
            Event::EffectRecorded { gate, attempt, .. } => self.reported(record, gate, *attempt),
            Event::GateCanceled { gate, attempt, .. } => {
                self.reported(record, gate, *attempt);
                self.set(gate, GateState::Canceled);
            }
            Event::GateInDoubt { gate, attempt, .. } => {
                self.reported(record, gate, *attempt);
                self.set(gate, GateState::InDoubt);
            }
            Event::GateReconciled {
                gate,
                attempt,
                resolution,
                finding,
                ..
            } => {
                assert_eq!(self.state(gate), Some(GateState::InDoubt));
                assert_eq!(self.gates[gate].attempt, *attempt);
                assert_eq!(record.actor.via, Via::Engine);
                let passed = *resolution == Resolution::Passed;
                assert_eq!(passed, finding.verdict == Verdict::Passed);
                let state = match resolution {
                    Resolution::Passed => GateState::Passed,
                    Resolution::Failed => GateState::Failed,
                    Resolution::Pending => GateState::Pending,
                };
                self.set(gate, state);
            }
            Event::GateWentStale { gate, .. } => {
                assert_eq!(record.actor.via, Via::Engine);
                let state = self.state(gate);
                let signing = state == Some(GateState::Running) && gate == "agreed";
                let out = state == Some(GateState::NotApplicable);
                assert!(
                    signing || out || state == Some(GateState::Passed),
                    "{state:?}"
                );
                self.set(gate, GateState::Stale);
            }
            other => panic!("{other:?} is no report"),
        }
    }

    fn people(&mut self, event: &Event) {
        let definition = definition();
        match event {
            Event::ItemConfirmed { gate, item, .. } => {
                let seen = self.gates.get_mut(gate).unwrap();
                assert!(!seen.ticked.contains(item));
                seen.ticked.push(*item);
            }
            Event::SignedOff { statement } => {
                let seen = self.gates.get_mut(&statement.gate).unwrap();
                let (role, person) = (&statement.role, &statement.person);
                assert!(seen.signed.iter().all(|(r, p)| r != role && p != person));
                assert!(definition.role(role).unwrap().members.contains(person));
                assert_eq!(statement.runbook_digest, definition.runbook_digest);
                if statement.decision == Decision::Approve {
                    seen.signed.push((role.clone(), person.clone()));
                }
            }
            Event::GateWaived { gate, reason, .. } => {
                assert!(reason.chars().count() >= 20);
                assert!(definition.gate(gate).unwrap().waivable);
                assert!(self.state(gate).is_some_and(GateState::may_retry));
                self.set(gate, GateState::Waived);
            }
            Event::RemedyDecided {
                gate,
                attempt,
                approved_by,
                reason,
                ..
            } => {
                assert_eq!(self.state(gate), Some(GateState::Failed));
                assert_eq!(self.gates[gate].attempt, *attempt);
                let roles = definition.gate(gate).unwrap().approvers.as_ref().unwrap();
                let role = definition.role(&roles[0]).unwrap();
                assert!(role.members.contains(approved_by));
                assert!(reason.chars().count() >= 20);
            }
            other => panic!("people do not do {other:?}"),
        }
    }

    fn started(&mut self, record: &Record) {
        let disabled = matches!(self.flag, Some(FlagSays::Disabled { .. }));
        let Event::GateStarted {
            gate: id,
            attempt,
            plan,
            typed_name,
        } = &record.event
        else {
            return;
        };
        let definition = definition();
        let gate = definition.gate(id).unwrap();
        assert!(!self.held, "started while held");
        assert!(!(disabled && gate.migrates), "it migrates, and may not");
        for earlier in definition.gates().take_while(|gate| gate.id != *id) {
            let state = self.state(&earlier.id);
            assert!(lets_through(state), "{id} started behind {}", earlier.id);
        }
        if gate.nature == Nature::Acts {
            assert!(plan.as_deref().is_some_and(|plan| !plan.is_empty()));
            assert_ne!(record.actor.via, Via::Engine, "{id} started by itself");
            let doubtful = self
                .gates
                .values()
                .any(|g| g.state == Some(GateState::InDoubt));
            assert!(!doubtful, "{id} started beside an unknown outcome");
        }
        if let Some(name) = &gate.typed_name {
            assert_eq!(typed_name.as_ref(), Some(name));
            assert_eq!(record.actor.via, Via::Console);
        }
        if worked(gate) {
            assert_eq!(self.at_work(), None, "two at work");
        } else {
            assert_eq!(record.actor.via, Via::Console);
        }
        let seen = self.gates.entry(id.clone()).or_default();
        assert_eq!(*attempt, seen.attempt + 1);
        *seen = Seen {
            state: Some(GateState::Running),
            attempt: *attempt,
            ..Seen::default()
        };
    }

    fn finished(&mut self, record: &Record, gate: &str, attempt: u32, verdict: Verdict) {
        let definition = definition();
        let seen = &self.gates[gate];
        match &definition.gate(gate).unwrap().nature {
            Nature::Items(items) => assert_eq!(seen.ticked.len(), items.len()),
            Nature::SignOff { roles, .. } if verdict == Verdict::Passed => {
                assert_eq!(seen.signed.len(), roles.len());
            }
            Nature::SignOff { .. } => assert_eq!(verdict, Verdict::Failed),
            Nature::Looks | Nature::Acts => self.reported(record, gate, attempt),
            Nature::Message(_) => panic!("no gate of these walks waits for a message"),
        }
        self.set(gate, verdict.into());
    }

    fn reported(&self, record: &Record, gate: &str, attempt: u32) {
        assert_eq!(record.actor.via, Via::Engine);
        assert_eq!(self.state(gate), Some(GateState::Running));
        assert_eq!(self.gates[gate].attempt, attempt);
    }

    fn end(&mut self, record: &Record) {
        assert_eq!(self.at_work(), None, "it ended while work was in flight");
        if record.event == Event::RunClosed {
            let definition = definition();
            assert!(
                definition
                    .gates()
                    .all(|gate| lets_through(self.state(&gate.id)))
            );
            assert!(!self.held);
        } else {
            assert_eq!(record.actor.via, Via::Console);
        }
        self.ended = true;
    }

    fn set(&mut self, gate: &str, state: GateState) {
        self.gates.entry(gate.to_owned()).or_default().state = Some(state);
    }
}

/// Checks what holds between any two moments: granted or refused, the state is the journal's.
fn check_step(world: &World, model: &Model) {
    let run = world.run();
    let states: Vec<_> = run
        .gates
        .iter()
        .map(|gate| (gate.state, gate.attempt))
        .collect();
    let expected: Vec<_> = model
        .gates
        .iter()
        .map(|gate| (gate.state, gate.attempt))
        .collect();
    assert_eq!(states, expected);
    assert_eq!(run.status.word(), model.status);
    assert_eq!(
        Run::fold(&world.records).as_ref(),
        Some(run),
        "live and folded differ"
    );
    let hold = Command::Hold {
        reason: String::new(),
    };
    for via in [Via::Console, Via::Headless, Via::Engine] {
        assert_eq!(
            decide(Some(run), &hold, &world.moment(via)).is_ok(),
            !model.ended()
        );
    }
}

fn check_resume(world: &mut World) {
    if world.run().status.is_terminal() {
        return;
    }
    let take_up = Command::Continue {
        version: "0.1.0".into(),
    };
    world.ask(Via::Headless, &take_up).unwrap();
    let once = (world.run().gates.clone(), world.run().status.clone());
    world.ask(Via::Headless, &take_up).unwrap();
    assert_eq!(
        (world.run().gates.clone(), world.run().status.clone()),
        once
    );
    assert_eq!(world.run().at_work(), None);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_walk_keeps_every_rule(steps in walk()) {
        let mut world = World::opened();
        let mut model = Model::new();
        for step in steps {
            let (via, asked) = asked(world.run(), step);
            let command = command(world.run(), &asked);
            let granted = world.ask(via, &command);
            let expected = model.step(via, &asked);
            prop_assert_eq!(granted.is_ok(), expected, "{:?} {:?} gave {:?}", via, asked, granted);
            check_step(&world, &model);
        }
        prop_assert_eq!(&world.replayed(), &world.run);
        let mut auditor = Auditor::default();
        for (index, record) in world.records.iter().enumerate() {
            prop_assert_eq!(record.seq, index as u64 + 1);
            auditor.read(record);
        }
        check_resume(&mut world);
    }

    /// Facts in an order that no decision would give still fold, always to the same state.
    #[test]
    fn the_fold_is_total_and_deterministic(
        first in walk(), second in walk(), order in prop::collection::vec(any::<prop::sample::Index>(), 0..60)
    ) {
        let events: Vec<Event> = [first, second].into_iter().flat_map(events_of).collect();
        let mut records = vec![World::opened().records[0].clone()];
        for index in order {
            let last = records.last().map_or((0, ""), |r| (r.seq, r.hash.as_str()));
            let world = World::empty();
            let event = index.get(&events).clone();
            let actor = world.moment(Via::Engine).actor;
            let (record, _) = Record::after(last, world.now, &actor, event).unwrap();
            records.push(Arc::new(record));
        }
        let run = Run::fold(&records);
        prop_assert!(run.is_some());
        prop_assert_eq!(&Run::fold(&records), &run);
    }
}

fn events_of(steps: Vec<Step>) -> Vec<Event> {
    let mut world = World::opened();
    for step in steps {
        let (via, asked) = asked(world.run(), step);
        let command = command(world.run(), &asked);
        let _ = world.ask(via, &command);
    }
    world
        .records
        .iter()
        .map(|record| record.event.clone())
        .collect()
}

/// Walks that only go onwards do come to the end, so that the rules were held against whole runs.
#[test]
fn the_walk_onwards_reaches_the_end() {
    let mut world = World::opened();
    let mut model = Model::new();
    for step in 0..200 {
        let verdict = match step % 7 {
            2 => Verdict::Failed,
            5 => Verdict::Inconclusive,
            _ => Verdict::Passed,
        };
        let (via, asked) = onwards(world.run(), verdict);
        let command = command(world.run(), &asked);
        assert_eq!(world.ask(via, &command).is_ok(), model.step(via, &asked));
        check_step(&world, &model);
        if world.run().status == RunStatus::Closed {
            assert_eq!(world.run().progress(), (GATES.len(), GATES.len()));
            return;
        }
    }
    panic!("it stands at {:?}", world.run().current());
}
