//! The engine's thread: the only owner of the journal and of the state.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::begin::{Reports, Requests, Siblings};
use super::handle::{CommandError, Request, Snapshot};
use super::open::other_open_run;
use super::outside::Looks;
use super::signing::Replies;
use super::store::Store;
use super::work::{self, Report, Tasks};
use crate::control::mirror::Mirror;
use crate::gate::{Chosen, Feed, Targets};
use crate::promotion::{
    Actor, BlockerRecord, Command, Event, GateDefinition, Moment, Nature, Record, Refusal, Run,
    decide,
};
use crate::runbook::Runbook;

/// A place in the queue of choices.
type Place = mpsc::OwnedPermit<Chosen>;

/// The engine. Made by [`Engine::asleep`], lives on its own thread.
pub(super) struct Engine {
    pub(super) store: Store,
    pub(super) runbook: Arc<Runbook>,
    pub(super) base: PathBuf,
    pub(super) targets: Targets,
    pub(super) feed: Feed,
    pub(super) tasks: Tasks,
    pub(super) reports: mpsc::Sender<Report>,
    pub(super) run: Run,
    pub(super) cancel: CancellationToken,
    /// Takes what a person chooses to the work in flight.
    pub(super) chosen: Option<mpsc::Sender<Chosen>>,
    /// Takes what a person asks of sessions in our way to the watcher.
    pub(super) signals: Option<mpsc::Sender<BlockerRecord>>,
    pub(super) operator: Actor,
    pub(super) records: Vec<Arc<Record>>,
    pub(super) view: Snapshot,
    pub(super) snapshots: watch::Sender<Arc<Snapshot>>,
    /// Tasks that will still report.
    pub(super) in_flight: usize,
    /// Parts of the work that were reported and are not recorded yet.
    pub(super) gathered: Vec<Command>,
    /// Gates whose statements lie in the run's folder, and the records that issued them.
    pub(super) written: Vec<(String, u64)>,
    /// The copy for other terminals.
    pub(super) mirror: Option<Mirror>,
    /// The epoch under which the conn was taken at another terminal.
    pub(super) taken: Option<i64>,
}

/// How long a part of the work waits to be recorded with those that follow it.
const GATHER: Duration = Duration::from_millis(25);

/// Waits until then; for ever where nothing is due.
async fn until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => std::future::pending().await,
    }
}

impl Engine {
    pub(super) fn live(
        mut self,
        siblings: Siblings,
        mut asked: Requests,
        mut reported: Reports,
        on: &Handle,
    ) {
        self.tasks.run_on(on.clone());
        match self.store.settle() {
            Ok(()) => {
                self.begin_signing();
                self.reconcile_all();
            }
            Err(error) => self.view.journal_error = Some(error.to_string()),
        }
        if let Some((runbook, runs)) = siblings {
            let other = other_open_run(&runbook, &runs, &self.run.id);
            self.view.notices.extend(other);
        }
        let mut heard = self.begin_control(on);
        self.publish();
        on.block_on(async {
            let mut listening = true;
            let mut looks = Looks::of(&self.runbook.migrations_disabled_by);
            let mut replies = Replies::new();
            let mut due = None;
            // A worker must be heard out even when nobody listens any more.
            while listening || self.in_flight > 0 {
                tokio::select! {
                    biased;
                    () = until(due) => self.record_gathered(),
                    Some(report) = reported.recv() => self.report(report, &mut reported),
                    request = asked.recv(), if listening => {
                        self.record_gathered();
                        match request {
                            Some(request) => self.request(request),
                            None => listening = false,
                        }
                    }
                    () = replies.next(), if listening && self.waits_for_replies() => {
                        if !self.take_replies() {
                            continue;
                        }
                    }
                    news = heard.next(), if listening => self.hear(news),
                    () = looks.next(), if listening => if !self.look_at_flag() {
                        continue; // Nobody draws a frame because nothing has changed.
                    },
                }
                match self.gathered.is_empty() {
                    true => due = None,
                    // Nothing to show yet.
                    false => {
                        due.get_or_insert_with(|| Instant::now() + GATHER);
                        continue;
                    }
                }
                self.publish();
            }
            self.end_control().await;
        });
    }

    fn request(&mut self, request: Request) {
        match request {
            Request::Command {
                command,
                actor,
                reply,
            } => {
                let result = self.command(&command, &actor);
                self.publish();
                let _ = reply.send(result);
            }
            Request::Announce {
                announcement,
                actor,
                reply,
            } => self.announce(announcement, actor, reply),
            Request::RefuseConn { id, actor } => self.refuse_conn(id, &actor),
            // For whoever watches.
            Request::AskConn => {}
            Request::GivePlan {
                gate,
                text,
                actor,
                reply,
            } => {
                let result = self.take_plan(&gate, &text, &actor);
                self.publish();
                let _ = reply.send(result);
            }
            Request::IssueStatements {
                gate,
                purpose,
                reason,
                actor,
                reply,
            } => {
                let result = self.issue_statements((gate, purpose), reason, &actor);
                self.publish();
                let _ = reply.send(result);
            }
            Request::HandIn {
                text,
                from,
                actor,
                reply,
            } => {
                let result = self.hand_in(&text, &from, &actor);
                self.publish();
                let _ = reply.send(result);
            }
            Request::Plan { gate } => self.begin_plan(&gate),
            Request::Reconcile { gate } => self.begin_reconcile(&gate),
            Request::Look => {
                for name in self.runbook.targets.keys() {
                    self.targets.expect(name);
                    work::look(
                        self.targets.clone(),
                        name.clone(),
                        &self.tasks,
                        &self.reports,
                    );
                    self.in_flight += 1;
                }
            }
        }
    }

    /// Decides, records, and only then starts what follows.
    pub(super) fn command(&mut self, command: &Command, actor: &Actor) -> Result<(), CommandError> {
        if let Some(error) = &self.view.journal_error {
            return Err(CommandError::Journal(error.clone()));
        }
        self.may_be_done_here(command, actor)?;
        self.look_again(command);
        let asked = self.check_hand_over(command)?;
        self.check_start(command)?;
        let place = self.check_choice(command)?;
        let signal = self.check_signal(command)?;
        let now = jiff::Timestamp::now();
        let at = Moment {
            now,
            actor: actor.clone(),
        };
        let events = decide(Some(&self.run), command, &at)?;
        let started = events.iter().find_map(|event| match event {
            Event::GateStarted { gate, attempt, .. } => Some((gate.clone(), *attempt)),
            _ => None,
        });
        if let Some((gate, _)) = &started {
            self.store_plan(gate)?;
        }
        self.record(
            events
                .into_iter()
                .map(|event| (actor.clone(), event))
                .collect(),
            now,
        )?;
        if let Some(ask) = asked {
            self.hand_over(&ask);
        }
        if let Command::Cancel { .. } = command {
            self.cancel.cancel();
        }
        if let Command::RollBack { .. } = command {
            // Those of its gates were made before anybody had chosen what goes back.
            let run = &self.run;
            self.view
                .plans
                .retain(|gate, _| run.course().iter().all(|of| of.id != *gate));
        }
        if let Command::DecideRemedy { gate, .. } = command {
            self.document(gate);
        }
        if let Some((place, chosen)) = place {
            place.send(chosen);
        }
        if let Some((place, blocker)) = signal {
            place.send(blocker);
        }
        if let Some((gate, attempt)) = started {
            self.view.retrying = None;
            self.view.held = None;
            self.begin_work(&gate, attempt);
        }
        self.follow_signatures(command);
        Ok(())
    }

    /// Before something acts, what passed before it is looked at again: files that were judged must
    /// still be the files that are there.
    fn look_again(&mut self, command: &Command) {
        let (Command::Start { gate, .. } | Command::Retry { gate, .. }) = command else {
            return;
        };
        let acts = |gate: &GateDefinition| gate.nature == Nature::Acts;
        self.look_at_flag();
        if self.run.definition_of(gate).is_some_and(acts) {
            self.check_inputs();
            // When a list of keys has changed, this holds the run, and the start is refused.
            let _ = self.check_lists();
        }
        self.follow_signatures(command);
    }

    /// What only the engine knows and the state machine must respect: the plan that was shown is
    /// the plan that is there.
    fn check_start(&self, command: &Command) -> Result<(), Refusal> {
        let (Command::Start { gate, plan, .. } | Command::Retry { gate, plan, .. }) = command
        else {
            return Ok(());
        };
        let Some(definition) = self.run.definition_of(gate) else {
            return Ok(());
        };
        if definition.nature != Nature::Acts {
            return Ok(());
        }
        let shown = self.view.plans.get(gate).map(|plan| &plan.digest);
        if plan.is_some() && plan.as_ref() != shown {
            return Err(Refusal::PlanChanged(gate.clone()));
        }
        Ok(())
    }

    /// What is chosen must be offered at this moment, and the work must be able to hear it. Gives
    /// the place in its queue, so that a choice that is recorded cannot fail to arrive.
    fn check_choice(&self, command: &Command) -> Result<Option<(Place, Chosen)>, Refusal> {
        let Command::Choose {
            gate,
            question,
            choice,
        } = command
        else {
            return Ok(None);
        };
        let asked = self.feed.asked();
        let offered = asked
            .choices()
            .any(|(serial, offered)| serial == *question && offered.word == *choice);
        let place = self.chosen.clone().filter(|_| offered);
        let place = place.and_then(|sender| sender.try_reserve_owned().ok());
        let refusal = || Refusal::NotOffered {
            gate: gate.clone(),
            choice: choice.clone(),
        };
        let at_work = self.run.at_work().is_some_and(|work| work.id == *gate);
        let chosen = Chosen {
            question: *question,
            word: choice.clone(),
        };
        let place = place.filter(|_| at_work).ok_or_else(refusal)?;
        Ok(Some((place, chosen)))
    }

    /// Appends events and folds them. A failed append stops the run for good.
    pub(super) fn record(
        &mut self,
        events: Vec<(Actor, Event)>,
        now: jiff::Timestamp,
    ) -> Result<(), CommandError> {
        if events.is_empty() {
            return Ok(());
        }
        match self.store.append(events, now) {
            Ok(records) => {
                self.advance_mirror();
                let captures = self.run.captures.clone();
                for record in records {
                    self.run.apply(&record);
                    self.records.push(record);
                }
                if self.run.captures != captures {
                    // What was planned before may be filled in otherwise now.
                    self.view.plans.clear();
                }
                Ok(())
            }
            Err(error) => {
                let error = error.to_string();
                self.view.journal_error = Some(error.clone());
                // Work whose outcome could not be recorded must not go on.
                self.cancel.cancel();
                Err(CommandError::Journal(error))
            }
        }
    }

    pub(super) fn publish(&mut self) {
        if self.view.run.seq != self.run.seq {
            self.view.run = Arc::new(self.run.clone());
            self.view.records = Arc::new(self.records.clone());
        }
        self.view.targets = self.targets.statuses();
        self.snapshots.send_replace(Arc::new(self.view.clone()));
    }
}
