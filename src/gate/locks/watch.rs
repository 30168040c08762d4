//! Watches the locks around a gate's transactions, in one side session that is opened when a
//! transaction first takes long, and stops ours where too many wait behind it.
//!
//! Nothing here is ever in the way of the work: it is told by plain memory what runs, and where it
//! cannot look it says so and the work goes on.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::scene::{LockScene, Pause};
use super::watcher::Watcher;
use super::{Patience, QueueLimits};
use crate::gate::{Context, Feed};
use crate::postgres::apply::{FileFailure, FileOutcome};
use crate::postgres::apply_alone::{AloneFailure, AloneOutcome};
use crate::postgres::conninfo::Conninfo;
use crate::postgres::locks::Look;
use crate::postgres::session::Session;

/// A transaction that is older than this is looked at.
const YOUNG: Duration = Duration::from_millis(200);

/// What a gate's transactions have in common.
#[derive(Debug, Clone)]
pub(in crate::gate) struct Rules {
    pub(in crate::gate) target: String,
    pub(in crate::gate) lock_timeout: Duration,
    pub(in crate::gate) tolerated: QueueLimits,
    pub(in crate::gate) patience: Patience,
}

/// What the last look at the last attempt gave.
#[derive(Debug, Clone, Default)]
pub(in crate::gate) struct Seen {
    /// How often it was tried, and why there is no further attempt.
    pub(in crate::gate) exhausted: String,
    pub(in crate::gate) look: Option<Arc<Look>>,
    /// Why nobody looked.
    pub(in crate::gate) trouble: Option<String>,
}

/// The transaction at work.
pub(super) struct Current {
    /// Counts attempts, so that a late answer is not taken for another one's.
    pub(super) serial: u64,
    pub(super) info: Conninfo,
    pub(super) pid: i32,
    pub(super) began: Instant,
    pub(super) stop: CancellationToken,
    pub(super) committing: Arc<AtomicBool>,
}

/// What the work and the watcher share.
#[derive(Default)]
pub(super) struct State {
    pub(super) current: Option<Current>,
    pub(super) serial: u64,
    pub(super) scene: Option<LockScene>,
    pub(super) trouble: Option<String>,
    /// Why the current attempt is being stopped.
    pub(super) excess: Option<String>,
    /// When the first attempt at the file at work began.
    first: Option<Instant>,
}

impl State {
    /// How long the attempts at the file and their pauses took so far.
    fn used(&self) -> Duration {
        self.first.map_or(Duration::ZERO, |first| first.elapsed())
    }
}

pub(super) struct Shared {
    state: Mutex<State>,
    pub(super) feed: Feed,
    pub(super) rules: Rules,
}

impl Shared {
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        // Whoever panicked holding it has changed nothing that matters here.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells whether that attempt is still at work.
    pub(super) fn is_current(&self, serial: u64) -> bool {
        let state = self.lock();
        let current = state.current.as_ref();
        current.is_some_and(|current| current.serial == serial)
    }

    /// Changes the scene and shows it.
    pub(super) fn show(&self, change: impl FnOnce(&mut LockScene)) {
        let mut state = self.lock();
        if let Some(scene) = &mut state.scene {
            change(scene);
            self.feed.locks(Some(Arc::new(scene.clone())));
        }
    }

    /// How old a transaction is when it is first looked at: before its wait for a lock ends.
    pub(super) fn young(&self) -> Duration {
        YOUNG.min(self.rules.lock_timeout / 3)
    }
}

/// The watch over a gate's transactions.
pub(in crate::gate) struct LockWatch {
    shared: Arc<Shared>,
    /// A person asks the gate to stop.
    cancel: CancellationToken,
    ended: CancellationToken,
    task: Option<JoinHandle<()>>,
}

impl LockWatch {
    /// Begins. Nothing is connected to yet.
    pub(in crate::gate) fn begin(context: &Context, rules: Rules) -> LockWatch {
        let shared = Arc::new(Shared {
            state: Mutex::default(),
            feed: context.feed.clone(),
            rules,
        });
        let ended = CancellationToken::new();
        let watcher = Watcher::new(shared.clone(), context);
        LockWatch {
            shared,
            cancel: context.cancel.clone(),
            task: Some(tokio::spawn(watcher.live(ended.clone()))),
            ended,
        }
    }

    /// Watches a transaction that is about to begin in a session: that attempt, from 1, at a file.
    pub(in crate::gate) fn around(
        &self,
        session: &Session,
        file: &str,
        attempt: u32,
    ) -> Around<'_> {
        let rules = &self.shared.rules;
        let now = Timestamp::now();
        let stop = self.cancel.child_token();
        let committing = Arc::new(AtomicBool::new(false));
        let mut state = self.shared.lock();
        if attempt <= 1 {
            state.first = Some(Instant::now());
        }
        let tried = rules.patience.words(attempt, state.used());
        state.serial += 1;
        state.excess = None;
        state.current = Some(Current {
            serial: state.serial,
            info: session.conninfo_here(),
            pid: session.backend_pid(),
            began: Instant::now(),
            stop: stop.clone(),
            committing: committing.clone(),
        });
        // What was in the way of this file before is shown until it is known anew.
        let before = state.scene.take().filter(|scene| scene.file == file);
        state.scene = Some(LockScene {
            target: rules.target.clone(),
            file: file.to_owned(),
            line: None,
            statement_began: now,
            transaction_began: now,
            attempt: tried.clone(),
            lock_timeout_ms: rules.lock_timeout.as_millis() as u64,
            tolerated: rules.tolerated,
            look: before.as_ref().and_then(|scene| scene.look.clone()),
            looked: before.as_ref().and_then(|scene| scene.looked),
            asked: None,
            trouble: state.trouble.clone(),
            pause: None,
            stopping: None,
        });
        drop(state);
        Around {
            watch: self,
            tried: match attempt {
                0 | 1 => String::new(),
                _ => format!("; {tried}"),
            },
            stop,
            committing,
        }
    }

    /// Watches a statement that no transaction holds, with a limit of its own to wait for locks.
    pub(in crate::gate) fn around_alone(
        &self,
        session: &Session,
        file: &str,
        attempt: u32,
        lock_timeout: Duration,
    ) -> Around<'_> {
        let around = self.around(session, file, attempt);
        if let Some(scene) = &mut self.shared.lock().scene {
            scene.lock_timeout_ms = lock_timeout.as_millis() as u64;
            scene.line = Some(1);
        }
        around
    }

    /// Counts the time of a file whose session is not ours to watch.
    pub(in crate::gate) fn unwatched(&self, attempt: u32) {
        if attempt <= 1 {
            self.shared.lock().first = Some(Instant::now());
        }
    }

    /// How long to pause before the next attempt at the file at work; `None` when there is none.
    pub(in crate::gate) fn pause(&self, tried: u32) -> Option<Duration> {
        let used = self.shared.lock().used();
        self.shared.rules.patience.pause(tried, used)
    }

    /// Says that nothing runs, and nothing is held, until another attempt begins.
    pub(in crate::gate) fn pausing(&self, tried: u32, pause: Duration, because: &str) {
        let used = self.shared.lock().used();
        self.shared.feed.say(format!(
            "{because}; rolled back, nothing is held; {} in {} ms",
            self.shared.rules.patience.words(tried + 1, used),
            pause.as_millis()
        ));
        let pause = jiff::SignedDuration::try_from(pause).unwrap_or_default();
        let until = Timestamp::now().checked_add(pause);
        self.shared.show(|scene| {
            scene.pause = Some(Pause {
                until: until.unwrap_or(Timestamp::MAX),
                because: because.to_owned(),
            });
        });
    }

    /// What was seen around the last attempt, of so many.
    pub(in crate::gate) fn seen(&self, tried: u32) -> Seen {
        let state = self.shared.lock();
        Seen {
            exhausted: self.shared.rules.patience.exhausted(tried, state.used()),
            look: state.scene.as_ref().and_then(|scene| scene.look.clone()),
            trouble: state.trouble.clone(),
        }
    }

    /// Ends, after what was asked of somebody's session has come out.
    pub(in crate::gate) async fn end(mut self) {
        self.ended.cancel();
        if let Some(task) = self.task.take() {
            let _ = task.await;
        }
    }
}

impl Drop for LockWatch {
    fn drop(&mut self) {
        self.ended.cancel();
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

/// Stands around one transaction.
pub(in crate::gate) struct Around<'a> {
    watch: &'a LockWatch,
    tried: String,
    stop: CancellationToken,
    committing: Arc<AtomicBool>,
}

impl Around<'_> {
    /// What stops the transaction between two statements: a person, or this watch.
    pub(in crate::gate) fn stop(&self) -> &CancellationToken {
        &self.stop
    }

    /// How often it was tried, to be said behind something else; empty the first time.
    pub(in crate::gate) fn tried(&self) -> &str {
        &self.tried
    }

    /// A statement that begins on that line is waited for now.
    pub(in crate::gate) fn statement(&self, line: usize) {
        if let Some(scene) = &mut self.watch.shared.lock().scene {
            scene.line = Some(line);
            scene.statement_began = Timestamp::now();
        }
    }

    /// `COMMIT` is being sent: from now on nothing is stopped.
    pub(in crate::gate) fn committing(&self) {
        self.committing.store(true, Ordering::SeqCst);
    }

    /// The transaction has ended. What this watch has stopped is said to be that.
    pub(in crate::gate) fn end(self, outcome: FileOutcome) -> FileOutcome {
        let excess = self.over(matches!(outcome, FileOutcome::Committed { .. }));
        match (outcome, excess) {
            (FileOutcome::RolledBack(failure), Some(reason)) if was_stopped(&failure) => {
                FileOutcome::RolledBack(FileFailure::Stopped { reason })
            }
            (outcome, _) => outcome,
        }
    }

    /// The statement that no transaction held has ended.
    pub(in crate::gate) fn end_alone(self, outcome: AloneOutcome) -> AloneOutcome {
        let excess = self.over(matches!(outcome, AloneOutcome::Done { .. }));
        match (outcome, excess) {
            (AloneOutcome::Failed(AloneFailure::Canceled { leftover }), Some(reason)) => {
                AloneOutcome::Failed(AloneFailure::Stopped { reason, leftover })
            }
            (outcome, _) => outcome,
        }
    }

    /// Nothing runs any more. Gives why this watch has stopped it, if it has and nobody else did.
    fn over(&self, done: bool) -> Option<String> {
        let mut state = self.watch.shared.lock();
        state.current = None;
        let excess = state.excess.take();
        if let Some(scene) = &mut state.scene {
            scene.line = None;
            scene.asked = None;
            scene.stopping = None;
        }
        if done {
            state.scene = None;
        }
        drop(state);
        if done {
            self.watch.shared.feed.locks(None);
        }
        excess.filter(|_| !self.watch.cancel.is_cancelled())
    }
}

impl Drop for Around<'_> {
    fn drop(&mut self) {
        self.watch.shared.lock().current = None;
    }
}

/// Tells whether a request to cancel is what ended it.
fn was_stopped(failure: &FileFailure) -> bool {
    matches!(failure, FileFailure::Canceled) || failure.sqlstate() == Some("57014")
}
