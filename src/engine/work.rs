//! Starts work on the runtime and brings back how it ended, panics included.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::runtime::Handle;
use tokio::sync::mpsc;

use super::actor::Engine;
use super::announce::Posted;
use crate::expectation::Finding;
use crate::gate::{self, Choices, Context, Outcome, Plan, Reconciled, Signals, Targets};
use crate::promotion::{BlockerEnd, EffectRecord};

/// Where work runs. Empty until the engine begins: nothing is started before that.
#[derive(Debug, Clone, Default)]
pub(super) struct Tasks(OnceLock<Handle>);

impl Tasks {
    pub(super) fn run_on(&self, runtime: Handle) {
        let _ = self.0.set(runtime);
    }

    pub(super) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        if let Some(runtime) = self.0.get() {
            runtime.spawn(work);
        }
    }
}

/// What a task says to the engine. Every task that is started says exactly one of these, besides
/// effects.
pub(super) enum Report {
    Effect {
        gate: String,
        attempt: u32,
        effect: EffectRecord,
    },
    /// What became of a session that was asked to stop or to go: gate, attempt, end.
    Signaled(String, u32, BlockerEnd),
    Ended {
        gate: String,
        attempt: u32,
        outcome: Box<Outcome>,
    },
    Planned {
        gate: String,
        plan: Box<Plan>,
    },
    Reconciled {
        gate: String,
        attempt: u32,
        reconciled: Box<Reconciled>,
    },
    Posted(Box<Posted>),
    /// The decisions about a gate are in the changelog, or why they are not.
    Documented {
        gate: String,
        outcome: Result<Option<String>, String>,
    },
    Looked,
    /// The control schema says that the conn is somebody else's.
    ConnOver(String),
    RetryDue {
        gate: String,
        attempt: u32,
    },
}

impl Engine {
    /// What one attempt at a gate works with.
    pub(super) fn context(&self, gate: &str, attempt: u32) -> Option<Context> {
        let gate = self.runbook.gate(gate)?;
        let mut values: BTreeMap<String, String> = self.runbook.vars.clone();
        values.extend(self.run.captures.clone());
        values.insert("run.id".to_owned(), self.run.id.clone());
        let date = self.run.opened.strftime("%Y-%m-%d").to_string();
        values.insert("date".to_owned(), date);
        let (seq, head) = self.store.last();
        let record = self.run.gate(&gate.id);
        Some(Context {
            run: self.run.id.clone(),
            attempt,
            nonce: self.run.nonce.clone(),
            gate: Arc::new(gate.clone()),
            runbook: self.runbook.clone(),
            base: self.base.clone(),
            folder: self.store.folder().to_owned(),
            values,
            earlier: self.view.evidence.clone(),
            states: self
                .run
                .gates
                .iter()
                .map(|gate| (gate.id.clone(), gate.state))
                .collect(),
            chosen_files: self
                .run
                .rollback
                .as_ref()
                .map(|rollback| rollback.choices.clone())
                .unwrap_or_default(),
            targets: self.targets.clone(),
            feed: self.feed.clone(),
            effects: mpsc::channel(1).0,
            cancel: self.cancel.clone(),
            choices: Choices::none(),
            signals: Signals::none(),
            planned: record.and_then(|record| record.plan.clone()),
            committed: record
                .map(|record| record.committed.clone())
                .unwrap_or_default(),
            remedies: record
                .map(|record| record.remedies.clone())
                .unwrap_or_default(),
            reviews: self.run.reviews.clone(),
            traced: false,
            pasted: record.and_then(|record| Some(record.pasted.as_ref()?.sha256.clone())),
            migrations: self.run.migrations.clone(),
            left_out: self.run.left_out().map(|gate| gate.id.clone()).collect(),
            journal: (seq, head.to_owned()),
        })
    }
}

/// Runs a gate; its effects and its end are reported in order.
pub(super) fn run(
    mut context: Context,
    mut signaled: mpsc::Receiver<BlockerEnd>,
    (plan, acts): (Option<Arc<Plan>>, bool),
    tasks: &Tasks,
    reports: &mpsc::Sender<Report>,
) {
    let reports = reports.clone();
    tasks.spawn(async move {
        let (gate, attempt) = (context.gate.id.clone(), context.attempt);
        let (effects, mut received) = mpsc::channel(256);
        context.effects = effects;
        let work = async move {
            let run = async {
                if acts && let Some(outcome) = gate::not_ours(&context).await {
                    return outcome;
                }
                let plan = match plan {
                    Some(plan) => plan,
                    None => Arc::new(gate::plan(&context).await),
                };
                gate::run(&context, &plan).await
            };
            let outcome = AssertUnwindSafe(run).catch_unwind().await;
            outcome.unwrap_or_else(|_| panicked())
        };
        let forward = async {
            loop {
                let gate = gate.clone();
                let report = tokio::select! {
                    Some(effect) = received.recv() => Report::Effect { gate, attempt, effect },
                    Some(ended) = signaled.recv() => Report::Signaled(gate, attempt, ended),
                    else => break,
                };
                let _ = reports.send(report).await;
            }
        };
        let (outcome, ()) = tokio::join!(work, forward);
        crate::system::fault::point("after_work");
        let _ = reports
            .send(Report::Ended {
                gate,
                attempt,
                outcome: Box::new(outcome),
            })
            .await;
    });
}

fn panicked() -> Outcome {
    let mut outcome = Outcome::of(
        Finding::inconclusive("the gate's work ended in a defect of this program")
            .because("it panicked; the log says where")
            .can("press Enter: the target is asked what really happened"),
    );
    outcome.lost = true;
    outcome
}

/// Works out a gate's plan.
pub(super) fn plan(context: Context, tasks: &Tasks, reports: &mpsc::Sender<Report>) {
    let reports = reports.clone();
    tasks.spawn(async move {
        let gate = context.gate.id.clone();
        let planned = AssertUnwindSafe(gate::plan(&context)).catch_unwind().await;
        let plan = planned.unwrap_or_else(|_| {
            let mut plan = Plan::new("this plan could not be made", &[]);
            plan.refuses = Some("planning ended in a defect of this program".to_owned());
            plan
        });
        let _ = reports
            .send(Report::Planned {
                gate,
                plan: Box::new(plan),
            })
            .await;
    });
}

/// Asks the world about a gate in doubt.
pub(super) fn reconcile(context: Context, tasks: &Tasks, reports: &mpsc::Sender<Report>) {
    let reports = reports.clone();
    tasks.spawn(async move {
        let (gate, attempt) = (context.gate.id.clone(), context.attempt);
        let asked = AssertUnwindSafe(gate::reconcile(&context))
            .catch_unwind()
            .await;
        let reconciled = asked.unwrap_or_else(|_| Reconciled {
            resolution: None,
            finding: Finding::inconclusive("asking ended in a defect of this program"),
            evidence: None,
        });
        let reconciled = Box::new(reconciled);
        let _ = reports
            .send(Report::Reconciled {
                gate,
                attempt,
                reconciled,
            })
            .await;
    });
}

/// Connects once to a target, to show who answers.
pub(super) fn look(targets: Targets, name: String, tasks: &Tasks, reports: &mpsc::Sender<Report>) {
    let reports = reports.clone();
    tasks.spawn(async move {
        let _ = AssertUnwindSafe(targets.look(&name)).catch_unwind().await;
        let _ = reports.send(Report::Looked).await;
    });
}

/// Reports when a gate is due to be tried again. Nobody waits for it: an engine that has ended by
/// then tries nothing.
pub(super) fn retry_later(
    gate: &str,
    attempt: u32,
    every: Duration,
    tasks: &Tasks,
    reports: &mpsc::Sender<Report>,
) {
    let (gate, reports) = (gate.to_owned(), reports.clone());
    tasks.spawn(async move {
        tokio::time::sleep(every).await;
        let _ = reports.send(Report::RetryDue { gate, attempt }).await;
    });
}
