//! Opens a run, new or to be continued, and starts its engine.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::actor::Engine;
use super::definition::definition;
use super::handle::EngineHandle;
use super::store::{self, Opened, Store, StoreError};
use super::taking::Taken;
use super::witnesses;
use crate::digest::digest;
use crate::gate::Targets;
use crate::postgres::environment::Environment;
use crate::promotion::signature::audit;
use crate::promotion::{Actor, Command, JournalDamage, Opening, Record, Run, Via};
use crate::runbook::{self, Problems, Runbook};

/// Which run is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Which {
    /// A new one of this runbook.
    New(PathBuf),
    /// The newest of this runbook that has not ended; else the newest that was rejected and may
    /// still go back.
    Latest(PathBuf),
    /// This one.
    Named(String),
}

/// What opening a run needs to know.
#[derive(Clone)]
pub struct OpenOptions {
    pub which: Which,
    pub vars: BTreeMap<String, String>,
    pub runs_folder: PathBuf,
    pub operator: String,
    pub via: Via,
    /// Variables that name addresses and files, as the process sees them.
    pub surroundings: Environment,
}

/// Why a run could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error(transparent)]
    Runbook(#[from] Box<Problems>),
    #[error("{path}: {source}")]
    Read {
        path: String,
        #[source]
        source: std::io::Error,
    },
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("no run of {runbook} is open in {folder}")]
    NothingToResume { runbook: String, folder: String },
    #[error("run {run} has ended ({status}); it cannot be continued")]
    Ended { run: String, status: String },
    #[error("target `{target}`: {source}")]
    Address {
        target: String,
        #[source]
        source: crate::gate::TargetError,
    },
    #[error("{runbook}: its signatures cannot be verified: {}", .problems.join("; "))]
    Signers {
        runbook: String,
        problems: Vec<String>,
    },
    #[error("{0}")]
    Refused(String),
    /// The journal itself says that the conn is elsewhere.
    #[error("the conn of run {run} was handed over to {to}")]
    HandedOver { run: String, to: String },
    /// A witness has seen more of the run, or something else.
    #[error("run {run} is behind its witnesses: {words}")]
    Behind { run: String, words: String },
    #[error("the journal in {path} cannot be written: {source}")]
    Journal {
        path: String,
        #[source]
        source: std::io::Error,
    },
}

/// Opens a run and starts its engine on `runtime`.
///
/// # Errors
/// Why it could not be opened; nothing was started then.
pub fn open(
    options: &OpenOptions,
    runtime: &tokio::runtime::Handle,
) -> Result<EngineHandle, OpenError> {
    let handle = open_asleep(options)?;
    handle.begin(runtime)?;
    Ok(handle)
}

/// Opens a run; its engine does nothing before [`EngineHandle::begin`].
///
/// # Errors
/// Why it could not be opened.
pub fn open_asleep(options: &OpenOptions) -> Result<EngineHandle, OpenError> {
    match &options.which {
        Which::New(path) => open_new(path, options),
        Which::Latest(path) => {
            let open = |run: &Run| !run.status.is_terminal();
            let run = latest(path, &options.runs_folder, open)
                .or_else(|_| latest(path, &options.runs_folder, Run::rejected_may_go_back))?;
            resume(&run, options, None)
        }
        Which::Named(run) => resume(run, options, None),
    }
}

fn open_new(path: &Path, options: &OpenOptions) -> Result<EngineHandle, OpenError> {
    let shown = path.display().to_string();
    let read = |source| OpenError::Read {
        path: shown.clone(),
        source,
    };
    let bytes = std::fs::read(path).map_err(read)?;
    let runbook = runbook::load_bytes(&shown, &bytes, &options.vars).map_err(Box::new)?;
    let absolute = std::path::absolute(path).map_err(read)?;
    let folder = absolute.parent().unwrap_or(Path::new("/"));
    // Collecting the components drops a `.` in the middle.
    let base: PathBuf = folder.join(&runbook.root).components().collect();
    let mut definition = definition(&runbook);
    let signers = |problems| OpenError::Signers {
        runbook: shown.clone(),
        problems,
    };
    super::signers::pin(&mut definition, &runbook, &base).map_err(signers)?;
    let run = new_id();
    check_addresses(&run, &runbook, options)?;
    let store = Store::new(&options.runs_folder, &run, &bytes);
    let opening = Command::Open(Box::new(Opening {
        run: run.clone(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        runbook_path: absolute.display().to_string(),
        base: base.display().to_string(),
        vars: options.vars.clone(),
        definition,
        nonce: new_nonce()?,
    }));
    let parts = Parts {
        runbook,
        store,
        records: Vec::new(),
        first: opening,
        base,
        notices: Vec::new(),
        siblings: Some((absolute, options.runs_folder.clone())),
        then: None,
    };
    start(parts, options)
}

/// Says so when another run of the same runbook has not ended.
pub(super) fn other_open_run(runbook: &Path, runs: &Path, own: &str) -> Option<String> {
    let other = |run: &Run| !run.status.is_terminal() && run.id != own;
    let run = latest(runbook, runs, other).ok()?;
    Some(format!(
        "run {run} of this runbook has not ended; --resume goes on with it"
    ))
}

/// Goes on with a run; `taken` says that its conn was taken at another terminal.
pub(super) fn resume(
    run: &str,
    options: &OpenOptions,
    taken: Option<&Taken>,
) -> Result<EngineHandle, OpenError> {
    let opened = Store::open(&options.runs_folder, run)?;
    audit(&opened.records).map_err(|(record, reason)| StoreError::Damaged {
        path: opened.store.folder().display().to_string(),
        source: JournalDamage { record, reason },
    })?;
    let folded = Run::fold(&opened.records).ok_or_else(|| {
        let path = opened.store.folder().display().to_string();
        OpenError::Store(StoreError::Empty { path })
    })?;
    if folded.status.is_terminal() && !folded.rejected_may_go_back() {
        let status = folded.status.word().to_owned();
        return Err(OpenError::Ended {
            run: run.to_owned(),
            status,
        });
    }
    let text = opened.store.runbook(&folded.definition.runbook_digest)?;
    let runbook = runbook::load(&folded.runbook_path, &text, &folded.vars).map_err(Box::new)?;
    check_addresses(run, &runbook, options)?;
    if taken.is_none() {
        witnesses::ask(&runbook, &folded.id, &opened.records, options)?;
    }
    let base = PathBuf::from(&folded.base);
    let first = Command::Continue {
        version: env!("CARGO_PKG_VERSION").to_owned(),
    };
    let mut notices = Vec::new();
    if opened.torn_bytes > 0 {
        notices.push(format!(
            "a crash left {} bytes of an unfinished record in the journal; they were cut off",
            opened.torn_bytes
        ));
    }
    let now = std::fs::read(&folded.runbook_path).map(|bytes| digest(&bytes));
    if now.is_ok_and(|now| now != folded.definition.runbook_digest) {
        notices.push("the runbook's file has changed; this run goes on with its own copy".into());
    }
    if taken.is_some() && !base.is_dir() {
        let base = base.display();
        notices.push(format!(
            "the run's files are looked for in {base}, which is not here"
        ));
    }
    let then = taken.map(took);
    let Opened { store, records, .. } = opened;
    start(
        Parts {
            runbook,
            store,
            records,
            first,
            base,
            notices,
            siblings: None,
            then,
        },
        options,
    )
}

/// What an engine is made of.
pub(super) struct Parts {
    pub(super) runbook: Runbook,
    pub(super) store: Store,
    pub(super) records: Vec<Arc<Record>>,
    /// The command whose events are recorded before anything else may happen.
    pub(super) first: Command,
    pub(super) base: PathBuf,
    /// What a person should know from the start.
    pub(super) notices: Vec<String>,
    /// The runbook's path and the folder of runs, to look for other runs of it that are open.
    pub(super) siblings: Option<(PathBuf, PathBuf)>,
    /// The conn that was taken with it.
    pub(super) then: Option<Command>,
}

fn took(taken: &Taken) -> Command {
    Command::TakeConn {
        from: taken.from.clone(),
        epoch: u64::try_from(taken.epoch).unwrap_or_default(),
        unanswered: taken.unanswered,
    }
}

fn start(parts: Parts, options: &OpenOptions) -> Result<EngineHandle, OpenError> {
    let folder = parts.store.folder();
    let run = folder
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let targets = Targets::new(&run, &parts.runbook, options.surroundings.clone());
    let actor = Actor {
        name: options.operator.clone(),
        via: options.via,
    };
    Engine::asleep(parts, targets, actor)
}

fn check_addresses(run: &str, runbook: &Runbook, options: &OpenOptions) -> Result<(), OpenError> {
    Targets::new(run, runbook, options.surroundings.clone())
        .check_addresses()
        .map_err(|(target, source)| OpenError::Address { target, source })
}

/// The newest run of a runbook that is as wanted.
fn latest(path: &Path, runs: &Path, wanted: impl Fn(&Run) -> bool) -> Result<String, OpenError> {
    let absolute = std::path::absolute(path).map_err(|source| OpenError::Read {
        path: path.display().to_string(),
        source,
    })?;
    let runbook = absolute.display().to_string();
    let found = store::list(runs).into_iter().find(|listed| {
        let fits = |run: &Run| run.runbook_path == runbook && wanted(run);
        listed.run.as_deref().is_ok_and(fits)
    });
    found
        .map(|listed| listed.name)
        .ok_or_else(|| OpenError::NothingToResume {
            runbook: path.display().to_string(),
            folder: runs.display().to_string(),
        })
}

/// Draws what makes the keys of this run's work unlike any other's.
pub(super) fn new_nonce() -> Result<String, OpenError> {
    use std::io::Read as _;
    let mut bytes = [0; 16];
    std::fs::File::open("/dev/urandom")
        .and_then(|mut source| source.read_exact(&mut bytes))
        .map_err(|source| OpenError::Read {
            path: "/dev/urandom".to_owned(),
            source,
        })?;
    Ok(digest(&bytes)[..32].to_owned())
}

/// A name that sorts by time and is the same for nobody else.
fn new_id() -> String {
    let now = jiff::Timestamp::now();
    let seed = format!("{} {}", now.as_nanosecond(), std::process::id());
    format!(
        "{}-{}",
        now.strftime("%Y%m%d-%H%M%S"),
        &digest(seed.as_bytes())[..4]
    )
}
