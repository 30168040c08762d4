//! The watcher's task: looks, stops ours where it must, and does what an operator asked.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use super::signals::Signals;
use super::watch::Shared;
use crate::gate::{Context, Feed};
use crate::postgres::PostgresError;
use crate::postgres::conninfo::Conninfo;
use crate::postgres::locks::{Act, LockReader, Look, Signaled};
use crate::promotion::{BlockerAct, BlockerEnd, BlockerOutcome, BlockerRecord};
use crate::untrusted::clean_line;

/// How often it is looked whether there is anything to look at. Nothing is asked of a server.
const TICK: Duration = Duration::from_millis(50);
/// How long two looks are apart at least.
const APART: Duration = Duration::from_millis(250);
/// A look may take this part of the time at most.
const SHARE: u32 = 5;
/// How often connecting and looking may fail before nobody looks any more.
const PATIENCE: u32 = 3;
/// How long what becomes of a session that was asked to go is waited for.
const SIGNAL: Duration = Duration::from_secs(20);
/// How long an answer is waited for. The server gives a look up long before.
const SILENCE: Duration = Duration::from_secs(60);

/// The task.
pub(super) struct Watcher {
    shared: Arc<Shared>,
    signals: Signals,
    feed: Feed,
    /// What the work's sessions are called, and what ours is.
    names: (String, String),
    reader: Option<LockReader>,
    failures: u32,
    next: Option<Instant>,
    /// The attempt that was last looked at, and whether its wait was told.
    told: (u64, bool),
}

/// What is looked at.
struct Subject {
    serial: u64,
    pid: i32,
    info: Conninfo,
}

impl Watcher {
    pub(super) fn new(shared: Arc<Shared>, context: &Context) -> Watcher {
        let targets = &context.targets;
        Watcher {
            feed: shared.feed.clone(),
            shared,
            signals: context.signals.clone(),
            names: (
                targets.application_name(&context.gate.id),
                targets.application_name("locks"),
            ),
            reader: None,
            failures: 0,
            next: None,
            told: (0, false),
        }
    }

    pub(super) async fn live(mut self, ended: CancellationToken) {
        let signals = self.signals.clone();
        loop {
            tokio::select! {
                biased;
                asked = signals.next() => self.signal(&asked).await,
                () = ended.cancelled() => break,
                () = tokio::time::sleep(TICK) => {
                    if let Some(subject) = self.due() {
                        tokio::select! {
                            () = self.look(&subject) => {}
                            () = ended.cancelled() => break,
                        }
                    }
                }
            }
        }
        // What was recorded has an outcome, whatever it is.
        for asked in signals.close().await {
            let said = "the gate ended before it was sent";
            self.ended(&asked, BlockerOutcome::WasGone, said).await;
        }
    }

    /// The transaction that is to be looked at now.
    fn due(&self) -> Option<Subject> {
        if self.next.is_some_and(|next| Instant::now() < next) || self.failures >= PATIENCE {
            return None;
        }
        let state = self.shared.lock();
        let current = state.current.as_ref()?;
        (current.began.elapsed() >= self.shared.young()).then(|| Subject {
            serial: current.serial,
            pid: current.pid,
            info: current.info.clone(),
        })
    }

    async fn look(&mut self, subject: &Subject) {
        let began = Instant::now();
        let asked = Timestamp::now();
        self.shared.show(|scene| scene.asked = Some(asked));
        let answer = tokio::time::timeout(SILENCE, self.ask(subject)).await;
        let took = began.elapsed();
        self.next = Some(Instant::now() + (took * SHARE).max(APART));
        match answer {
            Ok(Ok(look)) if look.ours.is_none() => {
                // A session that has just ended is no reason for worry.
                if self.shared.is_current(subject.serial) {
                    self.failed("the session at work is not found on the server that answers");
                }
            }
            Ok(Ok(look)) => {
                self.failures = 0;
                self.take(subject, look).await;
            }
            Ok(Err(error)) => self.failed(&error.to_string()),
            Err(_) => self.failed(&format!("no answer for {} s", SILENCE.as_secs())),
        }
    }

    async fn ask(&mut self, subject: &Subject) -> Result<Look, PostgresError> {
        let reader = match self.reader.take() {
            Some(reader) => reader,
            None => LockReader::open(&subject.info, &self.names.1).await?,
        };
        let look = reader.look(subject.pid, &self.names.0).await;
        self.reader = Some(reader).filter(|_| look.is_ok());
        look
    }

    fn failed(&mut self, reason: &str) {
        self.reader = None;
        self.failures += 1;
        if self.failures < PATIENCE {
            self.shared.show(|scene| scene.asked = None);
            return;
        }
        let reason = clean_line(reason);
        self.feed.say(format!(
            "the locks are not watched: {reason}; lock_timeout still bounds our waits, the limits \
             of the queue behind us do not hold"
        ));
        self.shared.lock().trouble = Some(reason.clone());
        self.shared.show(|scene| {
            scene.asked = None;
            scene.trouble = Some(reason);
        });
    }

    /// Shows what was seen, and stops ours where more wait than are tolerated.
    async fn take(&mut self, subject: &Subject, look: Look) {
        let look = Arc::new(look);
        let (excess, news) = {
            let mut state = self.shared.lock();
            let Some(current) = state.current.as_ref() else {
                return;
            };
            if current.serial != subject.serial {
                return;
            }
            let committing = current.committing.load(Ordering::SeqCst);
            let stop = current.stop.clone();
            let excess = self.shared.rules.tolerated.exceeded(&look);
            let excess = excess.filter(|_| !committing);
            let news = excess.is_some() && state.excess.is_none();
            if let Some(excess) = &excess {
                state.excess.get_or_insert_with(|| excess.clone());
                stop.cancel();
            }
            (excess, news)
        };
        self.shared.show(|scene| {
            scene.asked = None;
            scene.looked = Some(Timestamp::now());
            scene.look = Some(look.clone());
            scene.stopping.clone_from(&excess);
        });
        self.tell(subject.serial, &look);
        let Some(excess) = excess else { return };
        if news {
            self.feed.say(format!("{excess}: it is stopped"));
        }
        // It may be between two statements now; the next look asks again.
        if let Some(reader) = &self.reader {
            let _ = reader.cancel_ours(subject.pid, &look).await;
        }
    }

    /// Says once an attempt who is in the way.
    fn tell(&mut self, serial: u64, look: &Look) {
        if self.told.0 != serial {
            self.told = (serial, false);
        }
        if let (Some(wait), false) = (&look.wait, self.told.1)
            && !look.blockers.is_empty()
        {
            self.told.1 = true;
            self.feed
                .say(format!("waits for {} on {}", wait.mode, wait.on));
            for blocker in look.blockers.iter().filter(|b| b.depth == 0).take(3) {
                self.feed
                    .say(format!("  blocked by {}", blocker.sentence()));
            }
        }
    }

    /// Does what an operator asked; the journal has it already.
    async fn signal(&mut self, asked: &BlockerRecord) {
        let (outcome, detail) = self.send(asked).await;
        self.ended(asked, outcome, &detail).await;
        // What is in the way now is to be seen at once.
        self.next = None;
    }

    async fn send(&self, asked: &BlockerRecord) -> (BlockerOutcome, String) {
        let scene = self.shared.lock().scene.clone();
        let look = scene.as_ref().and_then(|scene| scene.look.as_ref());
        let blocker = look.and_then(|look| look.blocker(asked.pid, &asked.backend_start));
        let whom = blocker.and_then(crate::postgres::locks::Blocker::in_the_way);
        let (Some(whom), Some(reader)) = (whom, &self.reader) else {
            let said = "it is not in our way any more; nothing was sent";
            return (BlockerOutcome::WasGone, said.to_owned());
        };
        let waiting = match &scene {
            Some(scene) if scene.pause.is_none() => self
                .shared
                .lock()
                .current
                .as_ref()
                .map(|current| current.pid),
            _ => None,
        };
        let act = match asked.act {
            BlockerAct::Cancel => Act::Cancel,
            BlockerAct::Terminate => Act::Terminate,
        };
        let answer = tokio::time::timeout(SIGNAL, reader.signal(act, &whom, waiting)).await;
        let Ok(answer) = answer else {
            let said = format!("no answer for {} s", SIGNAL.as_secs());
            return (BlockerOutcome::Unknown, said);
        };
        match answer {
            Ok(Signaled::Done) => (BlockerOutcome::Ended, String::new()),
            Ok(Signaled::WasGone) => {
                let said = "it was gone or not in our way any more; nothing was sent";
                (BlockerOutcome::WasGone, said.to_owned())
            }
            Ok(Signaled::NotPermitted(said)) => (BlockerOutcome::NotPermitted, clean_line(&said)),
            Ok(Signaled::StillThere) => {
                let said = "it was asked, and is in the way still";
                (BlockerOutcome::StillThere, said.to_owned())
            }
            Err(error) => (BlockerOutcome::Unknown, clean_line(&error.to_string())),
        }
    }

    async fn ended(&self, asked: &BlockerRecord, outcome: BlockerOutcome, detail: &str) {
        let ended = BlockerEnd {
            act: asked.act,
            pid: asked.pid,
            outcome,
            detail: detail.to_owned(),
        };
        self.feed.say(ended.words());
        self.signals.say(ended).await;
    }
}
