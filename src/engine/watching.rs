//! Watches a run that somebody else holds: the same snapshots as an engine's, made of records that
//! were copied and verified. It decides nothing and writes nothing into the run.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{MissedTickBehavior, interval};

use super::begin::bare_view;
use super::control;
use super::control_view::{Asked, ControlView, Watching};
use super::handle::{CommandError, EngineHandle, Request, Snapshot};
use super::statements;
use crate::control::watch::{LookError, Seen, Source};
use crate::control::{documents, remembered};
use crate::gate::{Evidence, Feed};
use crate::promotion::{Actor, Journal, Run, judge};
use crate::runbook;
use crate::untrusted::clean_line;

/// How often it is looked even if nobody says that there is anything new.
const LOOK: Duration = Duration::from_secs(1);
/// How often a folder is looked into: looking costs little there, and nobody says anything.
const LOOK_INTO_FOLDER: Duration = Duration::from_millis(250);
const QUEUE: usize = 64;

/// What is to be watched, and by whom.
pub struct WatchOptions {
    pub run: String,
    pub source: Source,
    pub runs_folder: PathBuf,
    pub actor: Actor,
    /// Why the run is only looked at, where that was not asked for.
    pub reason: Option<String>,
}

/// Why a run cannot be watched.
#[derive(Debug, thiserror::Error)]
pub enum WatchError {
    #[error(transparent)]
    Look(#[from] LookError),
    #[error("run {0} holds no record yet")]
    Empty(String),
    #[error("what is there under the name {0} is not that run")]
    OtherRun(String),
    #[error("the run's own copy of its runbook is not there yet, or is another one")]
    NoRunbook,
    #[error(transparent)]
    Runbook(#[from] Box<runbook::Problems>),
}

/// Reads the run as it is, and watches it from then on.
///
/// # Errors
/// Why there is nothing to be seen.
pub async fn watch(mut options: WatchOptions) -> Result<EngineHandle, WatchError> {
    let mut journal = Journal::empty();
    let seen = options.source.look(&mut journal).await?;
    let run = Run::fold(&journal.records).ok_or_else(|| WatchError::Empty(options.run.clone()))?;
    // Paths are made of the name, and whoever writes the source may have chosen it.
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-';
    if run.id != options.run || !run.id.chars().all(plain) {
        return Err(WatchError::OtherRun(options.run.clone()));
    }
    let (part, name) = documents::RUNBOOK;
    let wanted = run.definition.runbook_digest.clone();
    let text = options.source.document(part, name, &wanted).await;
    let text = text.and_then(|bytes| String::from_utf8(bytes).ok());
    let text = text.ok_or(WatchError::NoRunbook)?;
    let runbook = runbook::load(&run.runbook_path, &text, &run.vars).map_err(Box::new)?;
    let watching = Watching {
        run: run.id.clone(),
        holder: seen.holder.clone(),
        source: options.source.describe(),
        heard: Timestamp::now(),
        seen: None,
        trouble: None,
        differs: None,
        epoch: seen.epoch,
        may_ask: matches!(options.source, Source::Schema(_)),
        asked: None,
    };
    let control = ControlView {
        read_only: options.reason.clone(),
        watching: Some(watching),
        ..ControlView::default()
    };
    let view = Snapshot {
        control,
        ..bare_view(&run, &Arc::new(runbook), &journal.records)
    };
    let (snapshots, watched) = watch::channel(Arc::new(view.clone()));
    let (requests, asked) = mpsc::channel(QUEUE);
    // What belongs to a run of another machine stays apart from the runs of this one.
    let folder = match &options.source {
        Source::Folder(_) => options.runs_folder.join(&options.run),
        Source::Schema(_) => options.runs_folder.join("watched").join(&options.run),
    };
    let actor = options.actor.clone();
    let mut watcher = Watcher {
        options,
        journal,
        view,
        snapshots,
        handed: Vec::new(),
        attempts: BTreeMap::new(),
        folder: folder.clone(),
        laid: Vec::new(),
    };
    watcher.compare_with_remembered();
    watcher.saw(&seen).await;
    watcher.publish();
    tokio::spawn(watcher.live(asked));
    Ok(EngineHandle {
        requests,
        snapshots: watched,
        feed: Feed::default(),
        actor,
        folder,
        asleep: Mutex::new(None),
        thread: Mutex::new(None),
    })
}

/// What was handed in and is not answered.
enum Handed {
    Conn(i64),
    Text(i64, oneshot::Sender<Result<String, CommandError>>),
}

struct Watcher {
    options: WatchOptions,
    journal: Journal,
    view: Snapshot,
    snapshots: watch::Sender<Arc<Snapshot>>,
    handed: Vec<Handed>,
    /// Where statements are laid for whoever signs here.
    folder: PathBuf,
    /// The gates whose statements lie there.
    laid: Vec<(String, u64)>,
    /// The attempt whose evidence is known, of each gate.
    attempts: BTreeMap<String, u32>,
}

impl Watcher {
    async fn live(mut self, mut asked: mpsc::Receiver<Request>) {
        let pace = match self.options.source {
            Source::Schema(_) => LOOK,
            Source::Folder(_) => LOOK_INTO_FOLDER,
        };
        let mut looks = interval(pace);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                request = asked.recv() => match request {
                    Some(request) => self.request(request).await,
                    None => return,
                },
                () = self.options.source.stirred() => self.look().await,
                _ = looks.tick() => self.look().await,
            }
        }
    }

    async fn look(&mut self) {
        match self.options.source.look(&mut self.journal).await {
            Ok(seen) => {
                self.saw(&seen).await;
                self.answers().await;
            }
            Err(LookError::Trouble(trouble)) => self.change(|watching| {
                watching.trouble = Some(clean_line(&trouble.to_string()));
            }),
            // What was seen stays on the screen, and what is there now is not taken.
            Err(error) => self.change(|watching| {
                watching.heard = Timestamp::now();
                watching.differs = Some(clean_line(&error.to_string()));
            }),
        }
        self.publish();
    }

    fn change(&mut self, change: impl FnOnce(&mut Watching)) {
        if let Some(watching) = &mut self.view.control.watching {
            change(watching);
        }
    }

    fn publish(&mut self) {
        let waiting = statements::waiting(&self.view.run);
        if matches!(self.options.source, Source::Schema(_)) && waiting != self.laid {
            let lost = statements::lay(&self.folder, &self.view.run, &waiting);
            let lost = lost
                .into_iter()
                .map(|(name, error)| format!("{name}: {error}"));
            self.view.notices.extend(lost);
            self.laid = waiting;
        }
        self.snapshots.send_replace(Arc::new(self.view.clone()));
    }

    /// The source has answered, and its records follow those that were known.
    async fn saw(&mut self, seen: &Seen) {
        let now = Timestamp::now();
        let ago = |unseen| SignedDuration::try_from(unseen).ok();
        let last_seen = seen
            .unseen
            .and_then(ago)
            .and_then(|d| now.checked_sub(d).ok());
        self.change(|watching| {
            watching.heard = now;
            // A folder's holder was last seen when it was last there.
            watching.seen = last_seen.or(watching.seen);
            watching.trouble = None;
            watching.holder.clone_from(&seen.holder);
            watching.epoch = seen.epoch;
        });
        self.name_holder();
        let known = self.view.run.seq;
        let fresh = self.journal.records.iter().filter(|r| r.seq > known);
        let fresh: Vec<_> = fresh.cloned().collect();
        if !fresh.is_empty() {
            let mut run = Run::clone(&self.view.run);
            for record in &fresh {
                run.apply(record);
            }
            self.view.run = Arc::new(run);
            self.view.records = Arc::new(self.journal.records.clone());
            self.remember();
        }
        self.read_evidence().await;
    }

    /// A folder names the machine alone; the journal says whose conn it is.
    fn name_holder(&mut self) {
        let operator = self.view.run.operator.clone();
        self.change(|watching| {
            if let Some(host) = watching.holder.strip_prefix('@') {
                watching.holder = control::who_at(&operator, host);
            } else if watching.holder.is_empty() {
                watching.holder = clean_line(&operator);
            }
        });
    }

    fn remember(&mut self) {
        let runs = &self.options.runs_folder;
        let kept = remembered::remember(runs, &self.options.run, self.journal.last());
        if let Err(error) = kept {
            let text = format!("what was seen cannot be remembered on this machine: {error}");
            if !self.view.notices.contains(&text) {
                self.view.notices.push(text);
            }
        }
    }

    /// What this machine has seen of the run before must be in what is there now.
    fn compare_with_remembered(&mut self) {
        let (runs, run) = (&self.options.runs_folder, &self.options.run);
        let witness = remembered::read(runs, run);
        let behind = judge(&self.journal.records, witness.as_slice());
        if let Some(behind) = behind.first() {
            let words = format!("another history: {}", behind.words());
            self.change(|watching| watching.differs = Some(words));
        } else {
            self.remember();
        }
    }

    /// Reads the evidence of each gate's last attempt that is not known yet.
    async fn read_evidence(&mut self) {
        let missing: Vec<(String, String, String)> = self
            .view
            .run
            .gates
            .iter()
            .filter_map(|gate| {
                let wanted = gate.evidence.clone()?;
                let name = format!("{}-{}.json", gate.id, gate.attempt);
                Some((gate.id.clone(), name, wanted))
            })
            .collect();
        self.view
            .evidence
            .retain(|gate, _| missing.iter().any(|(id, ..)| id == gate));
        for (gate, name, wanted) in missing {
            let known = self.view.run.gate(&gate).map(|record| record.attempt);
            if self.attempts.get(&gate).copied() == known {
                continue;
            }
            let source = &mut self.options.source;
            let bytes = source.document(documents::EVIDENCE, &name, &wanted).await;
            let evidence = bytes.and_then(|b| serde_json::from_slice::<Evidence>(&b).ok());
            if let (Some(evidence), Some(attempt)) = (evidence, known) {
                self.view.evidence.insert(gate.clone(), Arc::new(evidence));
                self.attempts.insert(gate, attempt);
            }
        }
    }

    async fn request(&mut self, request: Request) {
        match request {
            Request::Command { reply, .. }
            | Request::Announce { reply, .. }
            | Request::GivePlan { reply, .. } => {
                let _ = reply.send(Err(self.not_here()));
            }
            Request::AskConn => self.ask_conn().await,
            Request::HandIn { text, reply, .. } => {
                self.hand_in(&String::from_utf8_lossy(&text), reply).await;
            }
            Request::IssueStatements { reply, .. } => {
                let _ = reply.send(Err(self.not_here()));
            }
            Request::Plan { .. }
            | Request::Reconcile { .. }
            | Request::RefuseConn { .. }
            | Request::Look => {}
        }
    }

    fn not_here(&self) -> CommandError {
        let holder = self.view.control.watching.as_ref();
        let holder = holder.map_or("somebody else", |watching| &watching.holder);
        CommandError::ReadOnly(format!("{holder} has the conn; this console watches"))
    }

    async fn ask_conn(&mut self) {
        let waiting = |handed: &Handed| matches!(handed, Handed::Conn(_));
        if self.handed.iter().any(waiting) {
            return;
        }
        let who = super::who(&self.options.actor.name);
        let Source::Schema(schema) = &mut self.options.source else {
            return;
        };
        match schema.hand_in("ask_conn", &who, "").await {
            Ok(id) => {
                self.handed.push(Handed::Conn(id));
                self.change(|watching| watching.asked = Some(Asked::Waiting));
            }
            Err(trouble) => {
                let reason = clean_line(&trouble.to_string());
                self.change(|watching| watching.asked = Some(Asked::Refused(reason)));
            }
        }
        self.publish();
    }

    async fn hand_in(&mut self, text: &str, reply: oneshot::Sender<Result<String, CommandError>>) {
        let who = super::who(&self.options.actor.name);
        let Source::Schema(schema) = &mut self.options.source else {
            let reason = "handing in from another terminal needs the control schema".to_owned();
            let _ = reply.send(Err(CommandError::ReadOnly(reason)));
            return;
        };
        match schema.hand_in("hand_in", &who, text).await {
            Ok(id) => self.handed.push(Handed::Text(id, reply)),
            Err(trouble) => {
                let _ = reply.send(Err(CommandError::ReadOnly(clean_line(
                    &trouble.to_string(),
                ))));
            }
        }
    }

    /// Looks for answers to what was handed in.
    async fn answers(&mut self) {
        for handed in std::mem::take(&mut self.handed) {
            let (Handed::Conn(id) | Handed::Text(id, _)) = &handed;
            let Source::Schema(schema) = &mut self.options.source else {
                return;
            };
            match (schema.answered(*id).await, handed) {
                (Ok(Some(words)), Handed::Conn(_)) => {
                    let words = clean_line(&words);
                    let epoch = words.strip_prefix("granted ").and_then(|n| n.parse().ok());
                    let asked = epoch.map_or(Asked::Refused(words.clone()), Asked::Granted);
                    self.change(|watching| watching.asked = Some(asked));
                }
                (Ok(Some(words)), Handed::Text(_, reply)) => {
                    let _ = reply.send(Ok(clean_line(&words)));
                }
                (_, handed) => self.handed.push(handed),
            }
        }
    }
}
