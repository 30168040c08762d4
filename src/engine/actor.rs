//! The engine's thread: the only owner of the journal and of the state.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::handle::{CommandError, EngineHandle, Request, Snapshot};
use super::open::{OpenError, Parts, other_open_run};
use super::store::Store;
use super::work::{self, Report};
use crate::gate::{Chosen, Evidence, Feed, Targets};
use crate::promotion::{
    Actor, Command, Event, GateDefinition, Moment, Nature, Record, Refusal, Run, decide,
};
use crate::runbook::Runbook;

/// How many requests and reports may wait. Senders wait when there are more.
const QUEUE: usize = 1024;

/// A place in the queue of choices.
type Place = mpsc::OwnedPermit<Chosen>;

/// The engine. Made by [`Engine::start`], lives on its own thread.
pub(super) struct Engine {
    pub(super) store: Store,
    pub(super) runbook: Arc<Runbook>,
    pub(super) base: PathBuf,
    pub(super) targets: Targets,
    pub(super) feed: Feed,
    pub(super) runtime: Handle,
    pub(super) reports: mpsc::Sender<Report>,
    pub(super) run: Run,
    pub(super) cancel: CancellationToken,
    /// Takes what a person chooses to the work in flight.
    pub(super) chosen: Option<mpsc::Sender<Chosen>>,
    pub(super) operator: Actor,
    pub(super) records: Vec<Arc<Record>>,
    pub(super) view: Snapshot,
    snapshots: watch::Sender<Arc<Snapshot>>,
    /// Tasks that will still report.
    pub(super) in_flight: usize,
}

impl Engine {
    pub(super) fn start(
        parts: Parts,
        targets: Targets,
        actor: Actor,
        runtime: &Handle,
    ) -> Result<EngineHandle, OpenError> {
        let Parts {
            runbook,
            mut store,
            mut records,
            first,
            base,
            notices,
            siblings,
        } = parts;
        let runbook = Arc::new(runbook);
        let run = first_record(&mut store, &mut records, &first, &actor)?;
        let feed = Feed::default();
        let folder = store.folder().to_owned();
        let view = Snapshot {
            run: Arc::new(run.clone()),
            runbook: runbook.clone(),
            records: Arc::new(records.clone()),
            plans: BTreeMap::new(),
            planning: BTreeSet::new(),
            evidence: stored_evidence(&run, &folder),
            targets: targets.statuses(),
            reconciling: None,
            doubts: BTreeMap::new(),
            retrying: None,
            held: None,
            journal_error: None,
            notices,
        };
        let (snapshots, watching) = watch::channel(Arc::new(view.clone()));
        let (requests, asked) = mpsc::channel(QUEUE);
        let (reports, reported) = mpsc::channel(QUEUE);
        let mut engine = Engine {
            store,
            runbook,
            base,
            targets,
            feed: feed.clone(),
            runtime: runtime.clone(),
            reports,
            run,
            cancel: CancellationToken::new(),
            chosen: None,
            operator: actor.clone(),
            records,
            view,
            snapshots,
            in_flight: 0,
        };
        // The first snapshot that anybody sees says what is stale.
        engine.check_inputs();
        engine.publish();
        let thread = std::thread::Builder::new()
            .name("engine".to_owned())
            .spawn(move || engine.live(siblings, asked, reported))
            .map_err(|error| OpenError::Refused(format!("no thread for the engine: {error}")))?;
        Ok(EngineHandle {
            requests,
            snapshots: watching,
            feed,
            actor,
            folder,
            thread: Some(thread),
        })
    }

    fn live(
        mut self,
        siblings: Option<(PathBuf, PathBuf)>,
        mut asked: mpsc::Receiver<Request>,
        mut reported: mpsc::Receiver<Report>,
    ) {
        let runtime = self.runtime.clone();
        match self.store.settle() {
            Ok(()) => self.reconcile_all(),
            Err(error) => self.view.journal_error = Some(error.to_string()),
        }
        if let Some((runbook, runs)) = siblings {
            let other = other_open_run(&runbook, &runs, &self.run.id);
            self.view.notices.extend(other);
        }
        self.publish();
        runtime.block_on(async {
            let mut listening = true;
            // A worker must be heard out even when nobody listens any more.
            while listening || self.in_flight > 0 {
                tokio::select! {
                    biased;
                    Some(report) = reported.recv() => self.report(report, &mut reported),
                    request = asked.recv(), if listening => match request {
                        Some(request) => self.request(request),
                        None => listening = false,
                    },
                }
                self.publish();
            }
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
            Request::Plan { gate } => self.begin_plan(&gate),
            Request::Reconcile { gate } => self.begin_reconcile(&gate),
            Request::Look => {
                for name in self.runbook.targets.keys() {
                    self.targets.expect(name);
                    work::look(
                        self.targets.clone(),
                        name.clone(),
                        &self.runtime,
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
        self.look_again(command);
        self.check_start(command)?;
        let place = self.check_choice(command)?;
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
        if let Command::Cancel { .. } = command {
            self.cancel.cancel();
        }
        if let Some((place, chosen)) = place {
            place.send(chosen);
        }
        if let Some((gate, attempt)) = started {
            self.view.retrying = None;
            self.view.held = None;
            self.begin_work(&gate, attempt);
        }
        Ok(())
    }

    /// Before something acts, what passed before it is looked at again: files that were judged must
    /// still be the files that are there.
    fn look_again(&mut self, command: &Command) {
        let (Command::Start { gate, .. } | Command::Retry { gate, .. }) = command else {
            return;
        };
        let acts = |gate: &GateDefinition| gate.nature == Nature::Acts;
        if self.run.definition_of(gate).is_some_and(acts) {
            self.check_inputs();
        }
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

    fn publish(&mut self) {
        if self.view.run.seq != self.run.seq {
            self.view.run = Arc::new(self.run.clone());
            self.view.records = Arc::new(self.records.clone());
        }
        self.view.targets = self.targets.statuses();
        self.snapshots.send_replace(Arc::new(self.view.clone()));
    }
}

/// Records the opening or the continuation of a run, before anything else may happen.
fn first_record(
    store: &mut Store,
    records: &mut Vec<Arc<Record>>,
    command: &Command,
    actor: &Actor,
) -> Result<Run, OpenError> {
    let now = jiff::Timestamp::now();
    let at = Moment {
        now,
        actor: actor.clone(),
    };
    let folded = Run::fold(records);
    let events = decide(folded.as_ref(), command, &at)
        .map_err(|refusal| OpenError::Refused(refusal.to_string()))?;
    let path = store.folder().display().to_string();
    let appended = store
        .append(
            events
                .into_iter()
                .map(|event| (actor.clone(), event))
                .collect(),
            now,
        )
        .map_err(|source| OpenError::Journal {
            path: path.clone(),
            source,
        })?;
    records.extend(appended);
    Run::fold(records)
        .ok_or_else(|| OpenError::Refused(format!("the journal in {path} opens no run")))
}

/// Reads back the evidence of each gate's last attempt, where it is what the journal says.
fn stored_evidence(run: &Run, folder: &Path) -> BTreeMap<String, Arc<Evidence>> {
    run.gates
        .iter()
        .filter_map(|gate| {
            let wanted = gate.evidence.as_ref()?;
            let name = format!("{}-{}.json", gate.id, gate.attempt);
            let bytes = std::fs::read(folder.join("evidence").join(name)).ok()?;
            if crate::digest::digest(&bytes) != *wanted {
                return None;
            }
            Some((
                gate.id.clone(),
                Arc::new(serde_json::from_slice(&bytes).ok()?),
            ))
        })
        .collect()
}
