//! What front ends hold: a way to ask, and snapshots to look at.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot, watch};

use super::announce::Announcement;
use super::begin::Asleep;
use super::control_view::ControlView;
use super::open::OpenError;
use crate::expectation::Finding;
use crate::gate::{Evidence, Feed, Plan, TargetStatus};
use crate::promotion::signature::Purpose;
use crate::promotion::{Actor, Command, Record, Refusal, Run};
use crate::runbook::Runbook;

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
    /// Send what a person wrote to people.
    Announce {
        announcement: Announcement,
        actor: Actor,
        reply: oneshot::Sender<Result<(), CommandError>>,
    },
    /// Keep a plan that somebody gives a gate.
    GivePlan {
        gate: String,
        text: Vec<u8>,
        actor: Actor,
        reply: oneshot::Sender<Result<(), CommandError>>,
    },
    /// Let statements of a gate wait for signatures.
    IssueStatements {
        gate: String,
        purpose: Purpose,
        /// Why the gate is waived; nothing for a sign-off.
        reason: String,
        actor: Actor,
        reply: oneshot::Sender<Result<(), CommandError>>,
    },
    /// Say no to whoever asks for the conn.
    RefuseConn { id: i64, actor: Actor },
    /// Ask the holder for the conn, from a watching console.
    AskConn,
    /// Take what a signer gave: an envelope, or a signature alone. Answers in words what it was.
    HandIn {
        text: Vec<u8>,
        /// How it came, in words, such as `pasted at the console`.
        from: String,
        actor: Actor,
        reply: oneshot::Sender<Result<String, CommandError>>,
    },
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
    #[error("the message was not sent: {0}")]
    Message(String),
    #[error("the plan was not taken: {0}")]
    Plan(String),
    #[error("{0}")]
    Signature(String),
    #[error("nothing is done here any more: {0}")]
    ReadOnly(String),
    #[error("the conn stays here: {0}")]
    Conn(String),
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
    /// Other terminals.
    pub control: ControlView,
}

/// A front end's end of an engine.
pub struct EngineHandle {
    pub(super) requests: mpsc::Sender<Request>,
    pub(super) snapshots: watch::Receiver<Arc<Snapshot>>,
    pub(super) feed: Feed,
    pub(super) actor: Actor,
    pub(super) folder: PathBuf,
    /// What has not begun yet.
    pub(super) asleep: Mutex<Option<Box<Asleep>>>,
    pub(super) thread: Mutex<Option<std::thread::JoinHandle<()>>>,
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

    /// Sends what a person wrote, and waits until it went out and is recorded.
    ///
    /// # Errors
    /// Why it did not.
    pub async fn announce(&self, announcement: Announcement) -> Result<(), CommandError> {
        let (reply, answer) = oneshot::channel();
        let actor = self.actor.clone();
        self.requests
            .send(Request::Announce {
                announcement,
                actor,
                reply,
            })
            .await
            .map_err(|_| CommandError::Gone)?;
        answer.await.map_err(|_| CommandError::Gone)?
    }

    /// Gives a gate the plan that it is to judge, and waits until it is kept and recorded.
    ///
    /// # Errors
    /// Why it was not taken.
    pub async fn give_plan(&self, gate: String, text: Vec<u8>) -> Result<(), CommandError> {
        let (reply, answer) = oneshot::channel();
        let actor = self.actor.clone();
        self.requests
            .send(Request::GivePlan {
                gate,
                text,
                actor,
                reply,
            })
            .await
            .map_err(|_| CommandError::Gone)?;
        answer.await.map_err(|_| CommandError::Gone)?
    }

    /// Lets statements of a gate wait for signatures.
    ///
    /// # Errors
    /// Why they do not.
    pub async fn issue_statements(
        &self,
        gate: String,
        purpose: Purpose,
        reason: String,
    ) -> Result<(), CommandError> {
        let (reply, answer) = oneshot::channel();
        let actor = self.actor.clone();
        self.requests
            .send(Request::IssueStatements {
                gate,
                purpose,
                reason,
                actor,
                reply,
            })
            .await
            .map_err(|_| CommandError::Gone)?;
        answer.await.map_err(|_| CommandError::Gone)?
    }

    /// Hands in what a signer gave, and waits until it is verified and recorded.
    ///
    /// # Errors
    /// Why it does not count, or was not looked at.
    pub async fn hand_in(&self, text: Vec<u8>, from: String) -> Result<String, CommandError> {
        let (reply, answer) = oneshot::channel();
        let actor = self.actor.clone();
        self.requests
            .send(Request::HandIn {
                text,
                from,
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

    /// Begins: the engine gets its thread, and work runs on `runtime`. What was asked until then is
    /// answered now. A front end may draw its first frame before.
    ///
    /// # Errors
    /// When the run's folder cannot be made, or there is no thread.
    pub fn begin(&self, runtime: &Handle) -> Result<(), OpenError> {
        let asleep = self
            .asleep
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(asleep) = asleep {
            let thread = asleep.begin(runtime)?;
            *self.thread.lock().unwrap_or_else(PoisonError::into_inner) = Some(thread);
        }
        Ok(())
    }

    /// Ends the engine after the work in flight has ended; returns the state in which it ended.
    pub fn close(self) -> Arc<Snapshot> {
        drop(self.requests);
        let thread = self
            .thread
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(thread) = thread {
            let _ = thread.join();
        }
        self.snapshots.borrow().clone()
    }
}
