//! What the engine does when a worker reports, and how it starts the next one.

use std::sync::Arc;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::actor::Engine;
use super::handle::CommandError;
use super::work::{self, Report};
use crate::gate::Evidence;
use crate::promotion::{Actor, Command, Event, GateState, Moment, Nature, Via, decide};
use crate::runbook::Kind;

/// How many records are written with one sync at most.
const BATCH: usize = 256;

impl Engine {
    /// Records what a worker reports, as the engine.
    pub(super) fn own_command(&mut self, command: &Command) {
        let actor = Actor {
            name: self.operator.name.clone(),
            via: Via::Engine,
        };
        if let Err(error) = self.command(command, &actor) {
            tracing::warn!(%error, "a report was not recorded");
            self.view
                .notices
                .push(format!("a report was not recorded: {error}"));
        }
    }

    pub(super) fn report(&mut self, first: Report, reported: &mut mpsc::Receiver<Report>) {
        let mut reports = vec![first];
        while reports.len() < BATCH
            && let Ok(report) = reported.try_recv()
        {
            reports.push(report);
        }
        for report in reports {
            match report {
                Report::Effect {
                    gate,
                    attempt,
                    effect,
                } => self.gathered.push(Command::RecordEffect {
                    gate,
                    attempt,
                    effect,
                }),
                other => {
                    self.record_gathered();
                    self.one_report(other);
                }
            }
        }
        if self.gathered.len() >= BATCH {
            self.record_gathered();
        }
    }

    /// Records the parts of the work that were reported since, with one sync. Nothing is started
    /// because of them, and the target's ledger has them already, so they may wait a moment for
    /// each other: where the journal shares a disk with the server, a sync for each would slow the
    /// very work that they are about.
    pub(super) fn record_gathered(&mut self) {
        let effects = std::mem::take(&mut self.gathered);
        if effects.is_empty() || self.view.journal_error.is_some() {
            return;
        }
        let now = jiff::Timestamp::now();
        let actor = Actor {
            name: self.operator.name.clone(),
            via: Via::Engine,
        };
        let at = Moment {
            now,
            actor: actor.clone(),
        };
        let events = effects
            .iter()
            .filter_map(|command| decide(Some(&self.run), command, &at).ok())
            .flatten()
            .map(|event| (actor.clone(), event))
            .collect();
        let _ = self.record(events, now);
    }

    pub(super) fn one_report(&mut self, report: Report) {
        match report {
            Report::Effect { .. } => {}
            Report::Signaled(gate, attempt, ended) => self.signaled(gate, attempt, ended),
            Report::Ended {
                gate,
                attempt,
                outcome,
            } => {
                self.in_flight -= 1;
                self.ended(&gate, attempt, *outcome);
            }
            Report::Planned { gate, plan } => {
                self.in_flight -= 1;
                self.view.planning.remove(&gate);
                self.view.plans.insert(gate, Arc::from(plan));
            }
            Report::Reconciled {
                gate,
                attempt,
                reconciled,
            } => {
                self.in_flight -= 1;
                self.reconciled(&gate, attempt, *reconciled);
            }
            Report::Posted(posted) => {
                self.in_flight -= 1;
                self.announced(*posted);
            }
            Report::Documented { gate, outcome } => {
                self.in_flight -= 1;
                self.documented(&gate, outcome);
            }
            Report::Looked => {
                self.in_flight -= 1;
                self.check_servers();
            }
            Report::ConnOver(reason) => self.conn_over(reason),
            Report::RetryDue { gate, attempt } => self.retry_due(&gate, attempt),
        }
    }

    pub(super) fn ended(&mut self, gate: &str, attempt: u32, outcome: crate::gate::Outcome) {
        self.feed.end();
        self.record_timelines();
        self.disconnect();
        self.view.plans.remove(gate);
        if outcome.held {
            self.view.held = Some(gate.to_owned());
        }
        let evidence = self.keep_evidence(gate, attempt, outcome.evidence);
        let gate = gate.to_owned();
        let finding = outcome.finding;
        if outcome.lost {
            self.own_command(&Command::Lose {
                gate: gate.clone(),
                attempt,
                finding,
            });
            return;
        }
        let passed = finding.verdict == crate::expectation::Verdict::Passed;
        let plan = self
            .run
            .gate(&gate)
            .and_then(|record| record.plan.as_deref());
        let files = super::kept::files(self.store.folder(), &gate, attempt, plan);
        self.own_command(&Command::Finish {
            gate: gate.clone(),
            attempt,
            finding,
            evidence,
            captures: outcome.captures,
            files,
            canceled: outcome.canceled,
        });
        if !passed && !outcome.canceled {
            self.plan_retry(&gate, attempt);
        }
    }

    pub(super) fn reconciled(
        &mut self,
        gate: &str,
        attempt: u32,
        reconciled: crate::gate::Reconciled,
    ) {
        self.view.reconciling = None;
        self.view.plans.remove(gate);
        let Some(resolution) = reconciled.resolution else {
            self.view.doubts.insert(gate.to_owned(), reconciled.finding);
            return;
        };
        self.view.doubts.remove(gate);
        let evidence = self.keep_evidence(gate, attempt, reconciled.evidence);
        self.own_command(&Command::Resolve {
            gate: gate.to_owned(),
            attempt,
            resolution,
            finding: reconciled.finding,
            evidence,
        });
        self.reconcile_all();
    }

    pub(super) fn keep_evidence(
        &mut self,
        gate: &str,
        attempt: u32,
        evidence: Option<Evidence>,
    ) -> Option<String> {
        let evidence = evidence?;
        let bytes = serde_json::to_vec_pretty(&evidence).ok()?;
        let stored = self
            .store
            .put("evidence", &format!("{gate}-{attempt}.json"), &bytes);
        self.view
            .evidence
            .insert(gate.to_owned(), Arc::new(evidence));
        match stored {
            Ok(digest) => Some(digest),
            Err(error) => {
                let notice = format!("the evidence of {gate} could not be stored: {error}");
                self.view.notices.push(notice);
                None
            }
        }
    }

    /// A gate that only looks is tried again by itself where the runbook says so.
    pub(super) fn plan_retry(&mut self, gate: &str, attempt: u32) {
        let Some(retry) = self.runbook.gate(gate).and_then(|gate| gate.retry) else {
            return;
        };
        let Some(record) = self.run.gate(gate) else {
            return;
        };
        // Attempts are counted from the last time a person started it.
        let by_person = self
            .records
            .iter()
            .rev()
            .find_map(|record| match &record.event {
                Event::GateStarted {
                    gate: id, attempt, ..
                } if id == gate && record.actor.via != Via::Engine => Some(*attempt),
                _ => None,
            });
        let tried = attempt + 1 - by_person.unwrap_or(attempt);
        // Neither is a plan that was refused, before what it asks for is done.
        let waits = self.run.blocking(gate).is_some()
            || record.pasted.as_ref().is_some_and(|pasted| pasted.refused);
        if tried >= retry.attempts || !record.state.may_retry() || waits {
            return;
        }
        let every = jiff::SignedDuration::try_from(retry.every).unwrap_or_default();
        let at = jiff::Timestamp::now()
            .checked_add(every)
            .unwrap_or(jiff::Timestamp::MAX);
        self.view.retrying = Some((gate.to_owned(), at));
        work::retry_later(gate, attempt, retry.every, &self.tasks, &self.reports);
    }

    pub(super) fn retry_due(&mut self, gate: &str, attempt: u32) {
        self.view.retrying = None;
        let still = self
            .run
            .gate(gate)
            .is_some_and(|record| record.attempt == attempt && record.state.may_retry());
        if still {
            let gate = gate.to_owned();
            self.own_command(&Command::Retry {
                gate,
                plan: None,
                typed_name: None,
            });
        }
    }

    pub(super) fn begin_plan(&mut self, gate: &str) {
        if self.view.planning.contains(gate) || self.runbook.gate(gate).is_none() {
            return;
        }
        let at_work = self.run.at_work().is_some_and(|record| record.id == gate);
        let attempt = self.run.gate(gate).map_or(1, |record| record.attempt + 1);
        if let Some(context) = self.context(gate, attempt).filter(|_| !at_work) {
            self.view.planning.insert(gate.to_owned());
            self.in_flight += 1;
            work::plan(context, &self.tasks, &self.reports);
        }
    }

    pub(super) fn begin_work(&mut self, gate: &str, attempt: u32) {
        let moved_by_work = self
            .run
            .definition_of(gate)
            .is_some_and(|gate| matches!(gate.nature, Nature::Looks | Nature::Acts));
        if !moved_by_work {
            return;
        }
        self.cancel = CancellationToken::new();
        let Some(mut context) = self.context(gate, attempt) else {
            return;
        };
        let signaled = self.connect(&mut context);
        let log = self
            .store
            .folder()
            .join("outputs")
            .join(format!("{gate}-{attempt}.log"));
        self.feed.begin(gate, Some(&log));
        let plan = self.view.plans.get(gate).cloned();
        self.in_flight += 1;
        crate::system::fault::point("after_intent");
        let acts = self.run.definition_of(gate);
        let acts = acts.is_some_and(|gate| gate.nature == Nature::Acts);
        work::run(context, signaled, (plan, acts), &self.tasks, &self.reports);
    }

    pub(super) fn begin_reconcile(&mut self, gate: &str) {
        let Some(record) = self.run.gate(gate) else {
            return;
        };
        if record.state != GateState::InDoubt || self.view.reconciling.is_some() {
            return;
        }
        let attempt = record.attempt;
        let Some(context) = self.context(gate, attempt) else {
            return;
        };
        self.view.reconciling = Some(gate.to_owned());
        self.in_flight += 1;
        work::reconcile(context, &self.tasks, &self.reports);
    }

    /// Asks about the first gate in doubt that was not asked about yet.
    pub(super) fn reconcile_all(&mut self) {
        let doubtful = self
            .run
            .gates
            .iter()
            .find(|gate| {
                gate.state == GateState::InDoubt && !self.view.doubts.contains_key(&gate.id)
            })
            .map(|gate| gate.id.clone());
        if let Some(gate) = doubtful {
            self.begin_reconcile(&gate);
        }
    }

    /// A gate that passed on files which are others now has not passed.
    pub(super) fn check_inputs(&mut self) {
        let passed: Vec<(String, u32, Option<String>)> = self
            .run
            .gates
            .iter()
            .filter(|gate| gate.state == GateState::Passed)
            .map(|gate| (gate.id.clone(), gate.attempt, gate.plan.clone()))
            .collect();
        for (gate, attempt, plan) in passed {
            let Some(context) = self.context(&gate, attempt) else {
                continue;
            };
            let now = crate::gate::inputs(&context);
            // A gate that looks judges what is there, whatever was planned before.
            let judged = self.view.evidence.get(&gate).and_then(|e| e.inputs());
            let was = judged.map(str::to_owned).or(plan);
            if let (Some(was), Some(now)) = (was, now)
                && was != now
            {
                let what = match &context.gate.kind {
                    Kind::Git(check) if !check.reviewed.is_empty() => {
                        "its repository has moved, or its reviews have changed,"
                    }
                    Kind::Git(_) => "its repository has moved",
                    _ => "its files have changed",
                };
                let reason = format!("{what} since it passed");
                self.own_command(&Command::Invalidate { gate, reason });
            }
        }
    }

    pub(super) fn store_plan(&mut self, gate: &str) -> Result<(), CommandError> {
        let Some(plan) = self.view.plans.get(gate) else {
            return Ok(());
        };
        let text: Vec<&str> = plan.lines.iter().map(|line| line.text.as_str()).collect();
        let content = format!("{}\n\n{}\n", plan.summary, text.join("\n"));
        let name = format!("{gate}-{}.txt", &plan.digest[..16]);
        self.store
            .put("plans", &name, content.as_bytes())
            .map(drop)
            .map_err(|error| CommandError::Journal(format!("its plan cannot be stored: {error}")))
    }
}
