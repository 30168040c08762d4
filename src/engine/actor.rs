//! The engine's thread: the only owner of the journal and of the state.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

use super::open::OpenError;
use super::store::Store;
use super::work::{self, Report};
use crate::expectation::Finding;
use crate::gate::{Evidence, Feed, Plan, TargetStatus, Targets};
use crate::promotion::{
    Actor, Command, Event, GateState, Moment, Nature, Record, Refusal, Run, Via, decide,
};
use crate::runbook::Runbook;

/// How many requests and reports may wait. Senders wait when there are more.
const QUEUE: usize = 1024;
/// How many records are written with one sync at most.
const BATCH: usize = 256;

/// What a front end asks of the engine.
#[derive(Debug)]
pub enum Request {
    /// Decide on a command, record what follows, start the work.
    Command {
        command: Command,
        actor: Actor,
        reply: oneshot::Sender<Result<(), CommandError>>,
    },
    /// Work out what a gate would do.
    Plan { gate: String },
    /// Ask the world what became of a gate in doubt.
    Reconcile { gate: String },
    /// Connect once to every target, to show who answers.
    Look,
}

/// Why a command came to nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    #[error(transparent)]
    Refused(#[from] Refusal),
    #[error("the journal cannot be written, so nothing more is started: {0}")]
    Journal(String),
    #[error("the engine has ended")]
    Gone,
}

/// Everything a front end may show, at one moment. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Snapshot {
    pub run: Arc<Run>,
    pub runbook: Arc<Runbook>,
    pub records: Arc<Vec<Arc<Record>>>,
    pub plans: BTreeMap<String, Arc<Plan>>,
    pub planning: BTreeSet<String>,
    /// The evidence of each gate's last attempt.
    pub evidence: BTreeMap<String, Arc<Evidence>>,
    pub targets: BTreeMap<String, TargetStatus>,
    /// The gate in doubt that is being asked about.
    pub reconciling: Option<String>,
    /// What asking gave for gates that are still in doubt.
    pub doubts: BTreeMap<String, Finding>,
    /// A gate that is tried again by itself, and when.
    pub retrying: Option<(String, jiff::Timestamp)>,
    /// Another operator held a target when this gate wanted it.
    pub held: Option<String>,
    pub journal_error: Option<String>,
    /// What opening the run found out that a person should know.
    pub notices: Vec<String>,
}

/// A front end's end of an engine.
pub struct EngineHandle {
    requests: mpsc::Sender<Request>,
    snapshots: watch::Receiver<Arc<Snapshot>>,
    feed: Feed,
    actor: Actor,
    folder: PathBuf,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl EngineHandle {
    /// Asks for a command and waits for the answer; its effects go on after that.
    ///
    /// # Errors
    /// Why it came to nothing.
    pub async fn command(&self, command: Command) -> Result<(), CommandError> {
        let (reply, answer) = oneshot::channel();
        let actor = self.actor.clone();
        self.requests
            .send(Request::Command {
                command,
                actor,
                reply,
            })
            .await
            .map_err(|_| CommandError::Gone)?;
        answer.await.map_err(|_| CommandError::Gone)?
    }

    /// Asks without waiting for what comes of it; snapshots will show.
    pub async fn ask(&self, request: Request) {
        let _ = self.requests.send(request).await;
    }

    /// A sender for requests, for tasks of a front end.
    pub fn requests(&self) -> mpsc::Sender<Request> {
        self.requests.clone()
    }

    /// The state as it is, and as it changes.
    pub fn snapshots(&self) -> watch::Receiver<Arc<Snapshot>> {
        self.snapshots.clone()
    }

    /// The state as it is.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.snapshots.borrow().clone()
    }

    /// What workers say.
    pub fn feed(&self) -> &Feed {
        &self.feed
    }

    /// Who acts through this handle.
    pub fn actor(&self) -> &Actor {
        &self.actor
    }

    /// The run's folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Ends the engine after the work in flight has ended.
    pub fn close(mut self) {
        drop(self.requests);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

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
    operator: Actor,
    records: Vec<Arc<Record>>,
    view: Snapshot,
    snapshots: watch::Sender<Arc<Snapshot>>,
    /// Tasks that will still report.
    pub(super) in_flight: usize,
}

impl Engine {
    #[allow(clippy::too_many_arguments)] // Every part of a run comes together here, once.
    pub(super) fn start(
        mut store: Store,
        mut records: Vec<Arc<Record>>,
        runbook: Arc<Runbook>,
        base: PathBuf,
        targets: Targets,
        first: Command,
        actor: Actor,
        runtime: &Handle,
    ) -> Result<EngineHandle, OpenError> {
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
            notices: Vec::new(),
        };
        let (snapshots, watching) = watch::channel(Arc::new(view.clone()));
        let (requests, asked) = mpsc::channel(QUEUE);
        let (reports, reported) = mpsc::channel(QUEUE);
        let engine = Engine {
            store,
            runbook,
            base,
            targets,
            feed: feed.clone(),
            runtime: runtime.clone(),
            reports,
            run,
            cancel: CancellationToken::new(),
            operator: actor.clone(),
            records,
            view,
            snapshots,
            in_flight: 0,
        };
        let thread = std::thread::Builder::new()
            .name("engine".to_owned())
            .spawn(move || engine.live(asked, reported))
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

    fn live(mut self, mut asked: mpsc::Receiver<Request>, mut reported: mpsc::Receiver<Report>) {
        let runtime = self.runtime.clone();
        self.check_inputs();
        self.reconcile_all();
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
        self.check_start(command)?;
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
        if let Some((gate, attempt)) = started {
            self.view.retrying = None;
            self.view.held = None;
            self.begin_work(&gate, attempt);
        }
        Ok(())
    }

    /// What only the engine knows and the state machine must respect: the plan that was shown is
    /// the plan that is there, and nobody else holds the target.
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
        let target = self.runbook.gate(gate).and_then(|gate| gate.kind.target());
        if let Some(target) = target
            && let Some(TargetStatus::Held(holder)) = self.targets.statuses().get(target)
        {
            // It may be free by now: only a start that finds it held again is an answer.
            tracing::debug!(target, holder, "held when last asked");
        }
        Ok(())
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
                for record in records {
                    self.run.apply(&record);
                    self.records.push(record);
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

    /// Records what a worker reports, as the engine.
    fn own_command(&mut self, command: &Command) {
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

    fn report(&mut self, first: Report, reported: &mut mpsc::Receiver<Report>) {
        let mut reports = vec![first];
        while reports.len() < BATCH
            && let Ok(report) = reported.try_recv()
        {
            reports.push(report);
        }
        let mut effects = Vec::new();
        for report in reports {
            match report {
                Report::Effect {
                    gate,
                    attempt,
                    effect,
                } => {
                    effects.push(Command::RecordEffect {
                        gate,
                        attempt,
                        effect,
                    });
                }
                other => {
                    self.record_effects(std::mem::take(&mut effects));
                    self.one_report(other);
                }
            }
        }
        self.record_effects(effects);
    }

    /// Records many parts of the work with one sync.
    fn record_effects(&mut self, effects: Vec<Command>) {
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

    fn one_report(&mut self, report: Report) {
        match report {
            Report::Effect { .. } => {}
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
            Report::Looked => self.in_flight -= 1,
            Report::RetryDue { gate, attempt } => {
                self.in_flight -= 1;
                self.retry_due(&gate, attempt);
            }
        }
    }

    fn ended(&mut self, gate: &str, attempt: u32, outcome: crate::gate::Outcome) {
        self.feed.end();
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
        self.own_command(&Command::Finish {
            gate: gate.clone(),
            attempt,
            finding,
            evidence,
            captures: outcome.captures,
            canceled: outcome.canceled,
        });
        if !passed && !outcome.canceled {
            self.plan_retry(&gate, attempt);
        }
    }

    fn reconciled(&mut self, gate: &str, attempt: u32, reconciled: crate::gate::Reconciled) {
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

    fn keep_evidence(
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
    fn plan_retry(&mut self, gate: &str, attempt: u32) {
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
        if tried >= retry.attempts || !record.state.may_retry() {
            return;
        }
        let every = jiff::SignedDuration::try_from(retry.every).unwrap_or_default();
        let at = jiff::Timestamp::now()
            .checked_add(every)
            .unwrap_or(jiff::Timestamp::MAX);
        self.view.retrying = Some((gate.to_owned(), at));
        self.in_flight += 1;
        work::retry_later(gate, attempt, retry.every, &self.runtime, &self.reports);
    }

    fn retry_due(&mut self, gate: &str, attempt: u32) {
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

    fn begin_plan(&mut self, gate: &str) {
        if self.view.planning.contains(gate) || self.runbook.gate(gate).is_none() {
            return;
        }
        let at_work = self.run.at_work().is_some_and(|record| record.id == gate);
        let attempt = self.run.gate(gate).map_or(1, |record| record.attempt + 1);
        if let Some(context) = self.context(gate, attempt).filter(|_| !at_work) {
            self.view.planning.insert(gate.to_owned());
            self.in_flight += 1;
            work::plan(context, &self.runtime, &self.reports);
        }
    }

    fn begin_work(&mut self, gate: &str, attempt: u32) {
        let moved_by_work = self
            .run
            .definition_of(gate)
            .is_some_and(|gate| matches!(gate.nature, Nature::Looks | Nature::Acts));
        if !moved_by_work {
            return;
        }
        self.cancel = CancellationToken::new();
        let Some(context) = self.context(gate, attempt) else {
            return;
        };
        let log = self
            .store
            .folder()
            .join("outputs")
            .join(format!("{gate}-{attempt}.log"));
        self.feed.begin(gate, Some(&log));
        let plan = self.view.plans.get(gate).cloned();
        self.in_flight += 1;
        crate::system::fault::point("after_intent");
        work::run(context, plan, &self.runtime, &self.reports);
    }

    fn begin_reconcile(&mut self, gate: &str) {
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
        work::reconcile(context, &self.runtime, &self.reports);
    }

    /// Asks about the first gate in doubt that was not asked about yet.
    fn reconcile_all(&mut self) {
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
    fn check_inputs(&mut self) {
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
            if let (Some(was), Some(now)) = (plan, now)
                && was != now
            {
                let reason = "its files have changed since it passed".to_owned();
                self.own_command(&Command::Invalidate { gate, reason });
            }
        }
    }

    fn store_plan(&mut self, gate: &str) -> Result<(), CommandError> {
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
