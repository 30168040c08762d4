//! Makes an engine, which sleeps until it is told where its work may run.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::actor::Engine;
use super::control_view::ControlView;
use super::handle::{EngineHandle, Request, Snapshot};
use super::open::{OpenError, Parts};
use super::store::Store;
use super::work::{Report, Tasks};
use crate::gate::{Evidence, Feed, Targets};
use crate::promotion::{Actor, Command, Moment, Record, Run, decide};
use crate::runbook::Runbook;

/// How many requests and reports may wait. Senders wait when there are more.
const QUEUE: usize = 1024;

/// The runbook's path and the folder of runs, where other runs of it are looked for.
pub(super) type Siblings = Option<(PathBuf, PathBuf)>;
pub(super) type Requests = mpsc::Receiver<Request>;
pub(super) type Reports = mpsc::Receiver<Report>;

/// An engine that has not begun: the run is open and recorded, and nothing works on it yet.
pub(super) struct Asleep {
    engine: Engine,
    siblings: Siblings,
    asked: Requests,
    reported: Reports,
}

impl Asleep {
    /// Begins on a thread of its own; work runs on `runtime`.
    ///
    /// # Errors
    /// When the run's folder cannot be made, or there is no thread.
    pub(super) fn begin(self, runtime: &Handle) -> Result<std::thread::JoinHandle<()>, OpenError> {
        let Asleep {
            mut engine,
            siblings,
            asked,
            reported,
        } = self;
        engine.store.make()?;
        let runtime = runtime.clone();
        std::thread::Builder::new()
            .name("engine".to_owned())
            .spawn(move || engine.live(siblings, asked, reported, &runtime))
            .map_err(|error| OpenError::Refused(format!("no thread for the engine: {error}")))
    }
}

impl Engine {
    /// Makes the engine of an open run, asleep.
    pub(super) fn asleep(
        parts: Parts,
        targets: Targets,
        actor: Actor,
    ) -> Result<EngineHandle, OpenError> {
        let Parts {
            runbook,
            mut store,
            mut records,
            first,
            base,
            notices,
            siblings,
            then,
        } = parts;
        let runbook = Arc::new(runbook);
        let mut run = first_record(&mut store, &mut records, &first, &actor)?;
        let taken = epoch_of(then.as_ref());
        if let Some(then) = then {
            run = first_record(&mut store, &mut records, &then, &actor)?;
        }
        let feed = Feed::default();
        let folder = store.folder().to_owned();
        let mut view = first_view(&run, &runbook, &records, &folder);
        view.targets = targets.statuses();
        view.notices = notices;
        let (snapshots, watching) = watch::channel(Arc::new(view.clone()));
        let (requests, asked) = mpsc::channel(QUEUE);
        let (reports, reported) = mpsc::channel(QUEUE);
        let mut engine = Engine {
            store,
            runbook,
            base,
            targets,
            feed: feed.clone(),
            tasks: Tasks::default(),
            reports,
            run,
            cancel: CancellationToken::new(),
            chosen: None,
            signals: None,
            operator: actor.clone(),
            records,
            view,
            snapshots,
            in_flight: 0,
            gathered: Vec::new(),
            written: Vec::new(),
            mirror: None,
            taken,
        };
        engine.remember_timelines();
        engine.look_at_flag();
        engine.check_inputs(); // The first snapshot that anybody sees says what is stale.
        engine.publish();
        Ok(EngineHandle {
            requests,
            snapshots: watching,
            feed,
            actor,
            folder,
            asleep: Mutex::new(Some(Box::new(Asleep {
                engine,
                siblings,
                asked,
                reported,
            }))),
            thread: Mutex::new(None),
        })
    }
}

/// The epoch of a conn that was taken.
fn epoch_of(then: Option<&Command>) -> Option<i64> {
    match then {
        Some(Command::TakeConn { epoch, .. }) => i64::try_from(*epoch).ok(),
        _ => None,
    }
}

/// What is known before anything has begun.
pub(super) fn first_view(
    run: &Run,
    runbook: &Arc<Runbook>,
    records: &[Arc<Record>],
    folder: &Path,
) -> Snapshot {
    Snapshot {
        evidence: stored_evidence(run, folder),
        ..bare_view(run, runbook, records)
    }
}

/// The records and the runbook, and nothing else.
pub(super) fn bare_view(run: &Run, runbook: &Arc<Runbook>, records: &[Arc<Record>]) -> Snapshot {
    Snapshot {
        run: Arc::new(run.clone()),
        runbook: runbook.clone(),
        records: Arc::new(records.to_vec()),
        plans: BTreeMap::new(),
        planning: BTreeSet::new(),
        evidence: BTreeMap::new(),
        targets: BTreeMap::new(),
        reconciling: None,
        doubts: BTreeMap::new(),
        retrying: None,
        held: None,
        journal_error: None,
        notices: Vec::new(),
        control: ControlView::default(),
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
