//! The holder's side: copies the journal into the control schema, says that it is alive, and brings
//! what others hand in.
//!
//! It is a task of its own with a session of its own. The engine tells it how far the journal is
//! durable and waits for nothing: a lost connection is taken up again with growing pauses, and what
//! was missed follows then.

use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::Address;
use super::documents::Documents;
use super::mirror_link::Left;
use super::tail::Tail;
use crate::postgres::control_rows::HandedIn;

/// How long is waited before the first new attempt to connect, and at most.
const PAUSE: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(8));
/// How many orders and how much news may wait.
const QUEUE: usize = 64;
/// How long an engine that ends waits for what is missing in the copy.
const CLOSING: Duration = Duration::from_secs(2);

/// The run whose conn is here.
#[derive(Debug, Clone)]
pub struct Holding {
    pub run: String,
    pub title: String,
    /// Who has the conn, as others see it: `ana@host`.
    pub holder: String,
    /// The machine and the run's folder; the conn never moves to another one by itself.
    pub place: String,
    pub folder: PathBuf,
    /// The epoch that was taken for it already.
    pub taken: Option<i64>,
}

/// What the engine wants done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Order {
    /// Answers what was handed in.
    Answer { id: i64, words: String },
    /// Gives the conn to whoever asked for it, once every record up to `seq` is there.
    Grant { id: i64, to: String, seq: u64 },
}

/// What the engine hears.
#[derive(Debug, Clone, PartialEq)]
pub enum News {
    Status(Status),
    HandedIn(HandedIn),
    /// The conn is somebody else's now, as was ordered.
    Granted {
        to: String,
        epoch: i64,
    },
    /// Something that a person should know once.
    Notice(String),
}

/// How the copy stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    pub state: State,
    /// The database, in words.
    pub database: String,
    /// The last record that is known to be there.
    pub mirrored: u64,
    /// The epoch under which this process holds the conn.
    pub epoch: Option<i64>,
    /// Since when it stands like this.
    pub since: Timestamp,
}

/// How the copy stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// Nothing has answered yet.
    Connecting,
    Live,
    /// Not reached; it is tried again.
    Lost(String),
    /// There is none, or it cannot be used; the run goes on without.
    Off(String),
    /// The conn is not here: nothing may be done here any more.
    Over(String),
}

/// The engine's end of a mirror.
pub struct Mirror {
    pub orders: mpsc::Sender<Order>,
    pub status: watch::Receiver<Status>,
    heads: watch::Sender<u64>,
    finish: CancellationToken,
    task: JoinHandle<()>,
}

impl Mirror {
    /// Begins copying; what it has to say comes through the channel.
    pub fn begin(
        address: Address,
        holding: Holding,
        head: u64,
        on: &Handle,
    ) -> (Mirror, mpsc::Receiver<News>) {
        let (heads, watched) = watch::channel(head);
        let (orders, ordered) = mpsc::channel(QUEUE);
        let (news, heard) = mpsc::channel(QUEUE);
        let first = Status {
            state: State::Connecting,
            database: address.describe(),
            mirrored: 0,
            epoch: None,
            since: Timestamp::now(),
        };
        let (said, status) = watch::channel(first);
        let finish = CancellationToken::new();
        let link = Link {
            tail: Tail::of(&holding.folder),
            documents: Documents::default(),
            address,
            holding,
            heads: watched,
            ordered,
            granting: None,
            delivered: std::collections::BTreeSet::new(),
            news,
            said,
            finish: finish.clone(),
        };
        let task = on.spawn(link.live());
        let mirror = Mirror {
            orders,
            status,
            heads,
            finish,
            task,
        };
        (mirror, heard)
    }

    /// Says how far the journal is durable.
    pub fn advance(&self, seq: u64) {
        self.heads.send_if_modified(|head| {
            let moved = *head < seq;
            *head = seq.max(*head);
            moved
        });
    }

    /// Gives what is missing a bounded moment to arrive. Returns what is true of the copy then.
    pub async fn end(self) -> Status {
        self.finish.cancel();
        let mut task = self.task;
        if timeout(CLOSING, &mut task).await.is_err() {
            task.abort();
        }
        self.status.borrow().clone()
    }
}

/// The task.
pub(super) struct Link {
    pub(super) address: Address,
    pub(super) holding: Holding,
    pub(super) tail: Tail,
    pub(super) documents: Documents,
    pub(super) heads: watch::Receiver<u64>,
    pub(super) ordered: mpsc::Receiver<Order>,
    /// A hand-over that was ordered and is not known to be done.
    pub(super) granting: Option<(i64, String, u64)>,
    /// What the engine was told of.
    pub(super) delivered: std::collections::BTreeSet<i64>,
    pub(super) news: mpsc::Sender<News>,
    pub(super) said: watch::Sender<Status>,
    pub(super) finish: CancellationToken,
}

impl Link {
    async fn live(mut self) {
        let (mut pause, most) = PAUSE;
        loop {
            match self.serve().await {
                Left::Finished => return,
                Left::ForGood(state) => {
                    self.say(state);
                    return;
                }
                Left::Lost { reason, was_live } => {
                    if was_live {
                        pause = PAUSE.0;
                    }
                    self.say(State::Lost(reason));
                }
            }
            tokio::select! {
                () = self.finish.cancelled() => return,
                () = sleep(pause) => pause = (pause * 2).min(most),
            }
        }
    }

    /// Says how it stands, where that is news.
    pub(super) fn say(&self, state: State) {
        let changed = self.said.send_if_modified(|status| {
            let same = std::mem::discriminant(&status.state) == std::mem::discriminant(&state);
            if same && status.state == state {
                return false;
            }
            // A second reason for the same loss does not begin it anew.
            if !same {
                status.since = Timestamp::now();
            }
            status.state = state;
            true
        });
        if changed {
            self.tell_status();
        }
    }

    pub(super) fn tell_status(&self) {
        let status = self.said.borrow().clone();
        // A full queue means that the engine has ended, or will ask the status itself.
        let _ = self.news.try_send(News::Status(status));
    }

    pub(super) fn epoch(&self) -> Option<i64> {
        self.said.borrow().epoch
    }

    pub(super) fn mirrored(&self) -> u64 {
        self.said.borrow().mirrored
    }
}
