//! Folds one record into the state. Total and deterministic: live and replay use this alone.

use std::collections::{BTreeMap, BTreeSet};

use super::signature::SignedGate;
use super::{
    Actor, Definition, EffectOutcome, Event, GateDefinition, GateRecord, GateState, ItemRecord,
    Nature, PhaseDefinition, Record, RemedyRecord, Reminder, Review, RollbackRecord, Run,
    RunStatus, Waiver,
};
use crate::expectation::{Finding, Verdict};

impl Run {
    /// Folds a whole journal. `None` when it is empty or does not begin with an opening.
    pub fn fold(records: &[std::sync::Arc<Record>]) -> Option<Run> {
        let mut run = Run::begin(records.first()?)?;
        for record in &records[1..] {
            run.apply(record);
        }
        Some(run)
    }

    /// Makes the state after the first record.
    pub fn begin(record: &Record) -> Option<Run> {
        let Event::RunOpened {
            run,
            runbook_path,
            base,
            vars,
            definition,
            nonce,
            ..
        } = &record.event
        else {
            return None;
        };
        Some(Run {
            id: run.clone(),
            gates: new_gates(definition),
            definition: Definition::clone(definition),
            runbook_path: runbook_path.clone(),
            base: base.clone(),
            vars: vars.clone(),
            status: RunStatus::Open,
            captures: BTreeMap::new(),
            rollback: None,
            reminder: None,
            reviews: BTreeMap::new(),
            timelines: BTreeMap::new(),
            migrations: None,
            nonce: nonce.clone().unwrap_or_else(|| run.clone()),
            waivers: Vec::new(),
            nonces: BTreeSet::new(),
            operator: record.actor.name.clone(),
            opened: record.time,
            updated: record.time,
            seq: record.seq,
            head: record.hash.clone(),
        })
    }

    /// Folds one record.
    pub fn apply(&mut self, record: &Record) {
        self.seq = record.seq;
        self.head.clone_from(&record.hash);
        self.updated = record.time;
        match &record.event {
            Event::RunOpened { .. } => {}
            Event::RunContinued { in_doubt, .. } => {
                self.operator.clone_from(&record.actor.name);
                self.doubt(in_doubt);
            }
            Event::RunHeld { reason } => self.status = RunStatus::Held(reason.clone()),
            Event::RunResumed => self.status = RunStatus::Open,
            Event::TimelineSeen {
                target,
                system_identifier,
                timeline,
            } => {
                let seen = (system_identifier.clone(), *timeline);
                self.timelines.insert(target.clone(), seen);
            }
            Event::FlagSeen { .. } | Event::RecoveryBegun { .. } => self.take_from_outside(record),
            Event::StatementsIssued(_)
            | Event::SignatureAccepted(_)
            | Event::SignaturesVoided(_)
            | Event::InputRejected(_) => self.take_signing(record),
            Event::ConnHandedOver { to, .. } => self.operator.clone_from(to),
            Event::ConnTaken { .. } => self.operator.clone_from(&record.actor.name),
            Event::RunRejected { reason, .. } => self.status = RunStatus::Rejected(reason.clone()),
            Event::RunAbandoned { reason } => self.status = RunStatus::Abandoned(reason.clone()),
            Event::RunClosed => self.status = RunStatus::Closed,
            Event::RollbackStarted {
                rollback,
                reason,
                choices,
                ..
            } => {
                self.status = RunStatus::Open;
                self.begin_rollback((rollback, reason), choices, record);
            }
            Event::RunRolledBack { rollback } => {
                self.status = RunStatus::RolledBack(rollback.clone());
            }
            Event::FileReviewed { .. } | Event::ReviewWithdrawn { .. } => self.review(record),
            Event::Noted { gate, text } => {
                if let Some(gate) = gate.as_deref().and_then(|id| self.gate_mut(id)) {
                    gate.notes.push(format!("{}: {text}", record.actor.name));
                }
            }
            event => {
                self.promise_update(event, record.time);
                if let Event::GateFinished { captures, .. } = event {
                    self.captures.extend(captures.clone());
                }
                self.capture_item(event);
                let Some(id) = event.gate().map(str::to_owned) else {
                    return;
                };
                if let Some(gate) = self.gate_mut(&id) {
                    gate.apply(event, &record.actor, record.time);
                    gate.remedies.extend(RemedyRecord::of(record));
                    if let (Event::GateWaived { .. }, Some(waiver)) = (event, gate.waiver.clone()) {
                        self.waivers.push((id, waiver));
                    }
                }
            }
        }
    }

    fn doubt(&mut self, gates: &[String]) {
        for id in gates {
            if let Some(gate) = self.gate_mut(id) {
                gate.state = GateState::InDoubt;
                gate.finding = Some(unseen_end());
            }
        }
    }

    /// People have read a file, or take that back.
    fn review(&mut self, record: &Record) {
        match &record.event {
            Event::FileReviewed {
                repository,
                path,
                old,
                new,
            } => {
                let review = Review {
                    old: old.clone(),
                    new: new.clone(),
                    by: record.actor.name.clone(),
                    at: record.time,
                };
                let of = self.reviews.entry(repository.clone()).or_default();
                of.add(path, review);
            }
            Event::ReviewWithdrawn {
                repository,
                path,
                old,
                new,
            } => {
                if let Some(of) = self.reviews.get_mut(repository) {
                    of.withdraw(path, [old.as_deref(), new.as_deref()]);
                }
            }
            _ => {}
        }
    }

    /// The gates of a way back follow those of the run, as one more phase.
    fn begin_rollback(&mut self, said: (&str, &str), choices: &[String], record: &Record) {
        let Some(rollback) = self.definition.rollback(said.0).cloned() else {
            return;
        };
        self.rollback = Some(RollbackRecord::new(
            said,
            choices,
            &record.actor.name,
            record.time,
            self.gates.len(),
        ));
        self.gates.extend(rollback.gates.iter().map(new_gate));
        self.definition.phases.push(PhaseDefinition {
            id: rollback.id,
            title: format!("Rollback: {}", rollback.title),
            gates: rollback.gates,
        });
    }

    /// A message that promises another one starts the wait for it; any message ends the one before.
    fn promise_update(&mut self, event: &Event, time: jiff::Timestamp) {
        let Event::MessageSent { message, .. } = event else {
            return;
        };
        let defined = self.definition.messages.iter().find(|m| m.id == *message);
        let seconds = defined.and_then(|message| message.next_update_seconds);
        self.reminder = seconds.and_then(|seconds| {
            let due = time.checked_add(jiff::SignedDuration::from_secs(seconds));
            Some(Reminder {
                message: message.clone(),
                due: due.ok()?,
            })
        });
    }

    fn capture_item(&mut self, event: &Event) {
        let Event::ItemConfirmed {
            gate,
            item,
            value: Some(value),
        } = event
        else {
            return;
        };
        let Some(Nature::Items(items)) = self.definition.gate(gate).map(|g| &g.nature) else {
            return;
        };
        if let Some(capture) = items.get(*item).and_then(|item| item.capture.clone()) {
            self.captures.insert(capture, value.clone());
        }
    }

    pub(super) fn gate_mut(&mut self, id: &str) -> Option<&mut GateRecord> {
        self.gates.iter_mut().find(|gate| gate.id == id)
    }
}

impl GateRecord {
    fn apply(&mut self, event: &Event, actor: &Actor, time: jiff::Timestamp) {
        match event {
            Event::GateStarted { attempt, plan, .. } => {
                self.plan.clone_from(plan);
                self.begin(*attempt, actor, time);
            }
            Event::EffectRecorded { effect, .. } => {
                if effect.outcome == EffectOutcome::Committed {
                    self.committed.insert(effect.name.clone());
                }
                self.effects.push(std::sync::Arc::new(effect.clone()));
            }
            Event::CancelRequested { .. } => self.cancel_requested = true,
            Event::GateFinished {
                finding, evidence, ..
            } => {
                self.end(finding.verdict.into(), finding, evidence.as_ref(), time);
            }
            Event::GateCanceled {
                finding, evidence, ..
            } => {
                self.end(GateState::Canceled, finding, evidence.as_ref(), time);
            }
            Event::GateInDoubt { finding, .. } => {
                self.state = GateState::InDoubt;
                self.finding = Some(finding.clone());
            }
            Event::GateReconciled {
                resolution,
                finding,
                evidence,
                ..
            } => {
                self.end((*resolution).into(), finding, evidence.as_ref(), time);
            }
            Event::GateWentStale { reason, .. } => {
                self.state = GateState::Stale;
                self.stale_because = Some(reason.clone());
            }
            Event::ItemConfirmed { item, value, .. } => {
                if let Some(slot) = self.items.get_mut(*item) {
                    *slot = Some(ItemRecord {
                        by: actor.name.clone(),
                        at: time,
                        value: value.clone(),
                    });
                }
            }
            Event::GateWaived { reason, signed, .. } => {
                self.state = GateState::Waived;
                self.waiver = Some(Waiver {
                    by: actor.name.clone(),
                    at: time,
                    reason: reason.clone(),
                    signed: signed.clone(),
                });
                self.ended = Some(time);
            }
            Event::GateLeftOut { .. } => self.leave_out(event, actor, time),
            Event::PlanPasted { .. } => self.take_pasted(event, actor, time),
            Event::SignedOff { statement } => self.statements.push(statement.clone()),
            Event::MessageSent { message, how, .. } => {
                self.notes
                    .push(format!("{}: message `{message}` {how}", actor.name));
            }
            _ => {}
        }
    }

    fn begin(&mut self, attempt: u32, actor: &Actor, time: jiff::Timestamp) {
        self.state = GateState::Running;
        self.attempt = attempt;
        self.finding = None;
        self.evidence = None;
        self.effects.clear();
        self.forget_people();
        self.cancel_requested = false;
        self.stale_because = None;
        self.left_out = None;
        self.waiver = None;
        self.started = Some(time);
        self.ended = None;
        self.started_by = Some(actor.name.clone());
    }

    /// Clears what people confirmed and signed, so that they are asked anew.
    pub(super) fn forget_people(&mut self) {
        self.items.fill(None);
        self.statements.clear();
        self.signed.forget();
    }

    fn end(
        &mut self,
        state: GateState,
        finding: &Finding,
        evidence: Option<&String>,
        time: jiff::Timestamp,
    ) {
        self.state = state;
        self.finding = Some(finding.clone());
        self.evidence = evidence.cloned();
        self.ended = Some(time);
        self.cancel_requested = false;
        self.refuse_pasted();
    }
}

fn new_gates(definition: &Definition) -> Vec<GateRecord> {
    definition.gates().map(new_gate).collect()
}

fn new_gate(gate: &GateDefinition) -> GateRecord {
    GateRecord {
        id: gate.id.clone(),
        state: GateState::Pending,
        attempt: 0,
        plan: None,
        finding: None,
        evidence: None,
        effects: Vec::new(),
        committed: BTreeSet::new(),
        items: match &gate.nature {
            Nature::Items(items) => vec![None; items.len()],
            _ => Vec::new(),
        },
        statements: Vec::new(),
        signed: SignedGate::default(),
        waiver: None,
        cancel_requested: false,
        started: None,
        ended: None,
        started_by: None,
        notes: Vec::new(),
        stale_because: None,
        remedies: Vec::new(),
        left_out: None,
        pasted: None,
        recovery: None,
    }
}

fn unseen_end() -> Finding {
    Finding::new(
        Verdict::Inconclusive,
        "its work began, and the program ended before it saw how it came out",
    )
    .because("an intent without an outcome stands in the journal")
    .can("press Enter: the target is asked what really happened")
}
