//! Drives the console: everything that happens goes in, effects are carried out, frames go out.
//!
//! All waiting messages are taken before a frame is drawn, so five hundred queued keys cost one
//! frame; and none is drawn when nothing on the screen has changed.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use crossterm::event::{Event, EventStream};
use futures_util::future::LocalBoxFuture;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt as _, StreamExt as _};
use jiff::Timestamp;
use tokio::time::{Instant, sleep_until};

use super::given;
use super::model::Model;
use super::msg::{Effect, Msg};
use super::reader::Reader;
use super::recording::{self, Recorder};
use super::saved::save;
use super::screen::run::wanted_plan;
use super::signals::{Asked, Signals};
use super::signing;
use super::terminal::{self, Screen};
use super::update::update;
use super::view;
use super::view::theme::Theme;
use super::watcher::Watcher;
use super::zone::local_zone;
use super::{ConsoleEnd, ConsoleOptions, Recording};
use crate::engine::{Announcement, EngineHandle, Request};

/// The shortest time between two frames that a person's input asks for.
const AFTER_INPUT: Duration = Duration::from_millis(10);
/// The shortest time between two frames that nobody asked for.
const BY_ITSELF: Duration = Duration::from_millis(33);
/// How long a guarded dialog is on the screen before keys count.
const GUARD: Duration = Duration::from_millis(250);
/// How often the terminal is asked whether it is still there.
const HANG_UP_CHECK: Duration = Duration::from_secs(2);
/// How many input events are taken before other things are looked at.
const DRAIN: usize = 4096;

/// A console that has taken the terminal over and drawn its first frame.
pub struct Console(Driver);

/// Takes the terminal over and draws the first frame, whether the engine has begun or not.
///
/// # Errors
/// When the terminal cannot be taken over.
pub fn open(handle: &Arc<EngineHandle>, options: ConsoleOptions) -> color_eyre::Result<Console> {
    let screen = Screen::enter(options.mouse)?;
    let model = Model::new(
        handle.snapshot(),
        handle.actor().clone(),
        handle.folder().display().to_string(),
        screen.size()?,
        Timestamp::now(),
        local_zone(),
    );
    let mut driver = Driver {
        handle: Arc::clone(handle),
        model,
        theme: terminal::theme(options),
        screen,
        answers: FuturesUnordered::new(),
        watcher: Watcher::new(),
        reader: Reader::new(),
        recorder: None,
        drawn: None,
        guard: None,
        input: true,
        stale_feed: true,
        end: None,
    };
    driver.frame();
    Ok(Console(driver))
}

impl Console {
    /// Records from now on what the console shows. A recording that cannot be written any more ends,
    /// and nothing else does.
    ///
    /// # Errors
    /// When the file is there already, or cannot be written.
    pub fn record(&mut self, recording: &Recording) -> std::io::Result<()> {
        let Console(driver) = self;
        let title = driver.model.run().definition.title.clone();
        let from = (driver.screen.size()?, driver.model.run().seq);
        let recorder = Recorder::begin(&recording.path, &title, from, &recording.secrets)?;
        driver.recorder = Some(recorder);
        driver.model.dirty = true;
        Ok(())
    }

    /// Shows the run until the operator leaves.
    ///
    /// # Errors
    /// When signals cannot be listened to. A terminal that goes away is [`ConsoleEnd::HungUp`].
    pub async fn live(self) -> color_eyre::Result<ConsoleEnd> {
        let Console(mut driver) = self;
        let mut first = vec![Effect::Look];
        first.extend(wanted_plan(&mut driver.model));
        driver.carry_out(first);
        driver.live().await
    }
}

struct Driver {
    handle: Arc<EngineHandle>,
    model: Model,
    theme: Theme,
    screen: Screen,
    /// Commands that the engine has not answered yet.
    answers: FuturesUnordered<LocalBoxFuture<'static, Msg>>,
    /// Looks at the repository while the screen shows it.
    watcher: Watcher,
    /// Reads the files that are shown.
    reader: Reader,
    recorder: Option<Recorder>,
    /// When the last frame was drawn.
    drawn: Option<Instant>,
    /// When keys count for the dialog that is guarded.
    guard: Option<Instant>,
    /// A person did something since the last frame.
    input: bool,
    /// Workers have said something since the feed was read.
    stale_feed: bool,
    end: Option<ConsoleEnd>,
}

impl Driver {
    async fn live(mut self) -> color_eyre::Result<ConsoleEnd> {
        let mut signals = Signals::listen()?;
        let mut events = EventStream::new();
        let mut snapshots = self.handle.snapshots();
        let mut check = Instant::now() + HANG_UP_CHECK;
        loop {
            if let Some(end) = self.end {
                return Ok(end);
            }
            let now = Instant::now();
            if now >= check {
                check = now + HANG_UP_CHECK;
                if terminal::is_gone() {
                    self.take(Msg::HangUp);
                    continue;
                }
            }
            if self.guard.is_some_and(|guard| now >= guard) {
                // Whatever was typed until now was typed before the question could be read.
                self.drain(&mut events).await;
                self.guard = None;
                self.take(Msg::Listen);
            }
            if self.due().is_some_and(|due| now >= due) {
                if self.model.guarded() && !self.model.dwells() {
                    // What comes after the frame that shows the question is an answer to it; what
                    // was pressed before is not.
                    self.drain(&mut events).await;
                    self.guard = None;
                    self.take(Msg::Listen);
                }
                self.frame();
            }
            let wake = self.wake(check);
            let feed = self.handle.feed().clone();
            let gone = self.model.engine_gone;
            tokio::select! {
                biased;
                asked = signals.next() => self.asked(&asked),
                event = events.next() => {
                    self.event(event);
                    self.drain(&mut events).await;
                }
                Some(msg) = self.answers.next(), if !self.answers.is_empty() => {
                    // The state that an answer speaks of was published before the answer.
                    if snapshots.has_changed().unwrap_or(false) {
                        let snapshot = snapshots.borrow_and_update().clone();
                        self.take(Msg::Snapshot(snapshot));
                    }
                    self.take(msg);
                }
                changed = snapshots.changed(), if !gone => match changed {
                    Ok(()) => {
                        let snapshot = snapshots.borrow_and_update().clone();
                        self.take(Msg::Snapshot(snapshot));
                    }
                    Err(_) => self.take(Msg::EngineGone),
                },
                Some(msg) = self.watcher.next() => self.take(msg),
                Some(msg) = self.reader.next() => self.take(msg),
                () = feed.changed() => {
                    self.stale_feed = true;
                    self.model.dirty |= self.model.shows_feed();
                }
                () = sleep_until(wake) => self.take(Msg::Tick(Timestamp::now())),
            }
        }
    }

    /// When the next frame may be drawn; `None` when nothing has changed.
    fn due(&self) -> Option<Instant> {
        if !self.model.dirty {
            return None;
        }
        let pause = if self.input { AFTER_INPUT } else { BY_ITSELF };
        Some(self.drawn.map_or_else(Instant::now, |drawn| drawn + pause))
    }

    /// When there is something to do even if nothing happens.
    fn wake(&self, check: Instant) -> Instant {
        let mut wake = check;
        if let Some(due) = self.due() {
            wake = wake.min(due);
        }
        if let Some(guard) = self.guard {
            wake = wake.min(guard);
        }
        if self.model.clock_matters() {
            let into = Timestamp::now().subsec_nanosecond().unsigned_abs();
            let left = 1_000_000_000_u32.saturating_sub(into).max(1_000_000);
            wake = wake.min(Instant::now() + Duration::from_nanos(u64::from(left)));
        }
        wake
    }

    fn frame(&mut self) {
        if self.stale_feed {
            self.stale_feed = false;
            let view = self.handle.feed().view(self.model.feed_limit());
            update(&mut self.model, Msg::Feed(view));
        }
        self.model.now = Timestamp::now();
        if let Ok(size) = self.screen.size() {
            self.model.size = size;
        }
        self.model.settle();
        // What fits the screen is known only now.
        self.look_into();
        let (model, theme) = (&self.model, &self.theme);
        let recorder = &mut self.recorder;
        let drawn = self.screen.draw(
            |buffer| view::draw(buffer, model, theme),
            |buffer| recording::record(recorder, buffer, &model.snapshot.records),
        );
        if drawn.is_err() {
            self.end = Some(ConsoleEnd::HungUp);
        }
        self.model.dirty = false;
        self.input = false;
        let now = Instant::now();
        self.drawn = Some(now);
        if !self.model.guarded() {
            self.guard = None;
        } else if self.guard.is_none() {
            self.guard = Some(now + GUARD);
        }
    }

    fn take(&mut self, msg: Msg) {
        let was_log = self.model.feed_limit();
        let effects = update(&mut self.model, msg);
        // Another screen may want more lines than were copied.
        self.stale_feed |= self.model.feed_limit() > was_log;
        self.carry_out(effects);
        self.look_into();
    }

    /// Lets the repository be watched and files be read, as far as the screen shows them.
    fn look_into(&mut self) {
        if let Some(work) = self.watcher.keep(self.model.watched()) {
            tokio::spawn(work);
        }
        if self.model.screen != super::screen::Screen::Files {
            self.reader.rest();
        } else if let Some(ask) = self.model.files.ask() {
            tokio::spawn(self.reader.read(ask));
        }
    }

    fn asked(&mut self, asked: &Asked) {
        match asked {
            Asked::Terminate => self.take(Msg::Terminate),
            Asked::HangUp => self.take(Msg::HangUp),
            Asked::Suspend => self.take(Msg::Suspend),
            Asked::Interrupt => {
                use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
                let key = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
                self.take(Msg::Key(key));
            }
            Asked::Resume => {
                if self.screen.enter_again().is_err() {
                    self.take(Msg::HangUp);
                }
                self.model.dirty = true;
                self.input = true;
            }
        }
    }

    /// Takes all input that is there already.
    async fn drain(&mut self, events: &mut EventStream) {
        for _ in 0..DRAIN {
            // The stream keeps the waker of whoever found it empty, so that must be our own.
            let waiting = poll_fn(|context| match events.poll_next_unpin(context) {
                Poll::Ready(event) => Poll::Ready(Some(event)),
                Poll::Pending => Poll::Ready(None),
            });
            match waiting.await {
                Some(event) => self.event(event),
                None => return,
            }
            if self.end.is_some() {
                return;
            }
        }
    }

    fn event(&mut self, event: Option<std::io::Result<Event>>) {
        let Some(Ok(event)) = event else {
            self.take(Msg::HangUp);
            return;
        };
        self.model.now = Timestamp::now();
        match event {
            Event::Key(key) => {
                self.input = true;
                self.take(Msg::Key(key));
            }
            Event::Paste(text) => {
                self.input = true;
                self.take(Msg::Paste(text));
            }
            Event::Mouse(mouse) => {
                self.input = true;
                self.take(Msg::Mouse(mouse));
            }
            Event::Resize(width, height) => self.take(Msg::Resize(width, height)),
            Event::FocusGained | Event::FocusLost => {}
        }
    }

    fn carry_out(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Command { command, origin } => {
                    self.answers
                        .push(given::command(&self.handle, command, origin));
                }
                Effect::Announce(announcement) => self.announce(announcement),
                Effect::GivePlan { gate, text } => {
                    self.answers.push(given::give(&self.handle, gate, text));
                }
                Effect::Signing(asked) => {
                    self.answers.push(signing::carry_out(&self.handle, asked));
                }
                Effect::Copy(text) => self.screen.copy(&text),
                Effect::LoadPlan(path) => self.answers.push(given::load(path)),
                Effect::AskConn => self.ask(Request::AskConn),
                Effect::RefuseConn(id) => {
                    let actor = self.handle.actor().clone();
                    self.ask(Request::RefuseConn { id, actor });
                }
                Effect::HandIn(text) => {
                    self.answers.push(signing::pass(&self.handle, text));
                }
                Effect::Plan(gate) => self.ask(Request::Plan { gate }),
                Effect::Reconcile(gate) => self.ask(Request::Reconcile { gate }),
                Effect::Look => self.ask(Request::Look),
                Effect::Save { name, text } => {
                    let saved = save(self.handle.folder(), &name, &text);
                    self.take(Msg::Saved(saved));
                }
                Effect::Quit(end) => self.end = Some(end),
            }
        }
    }

    fn announce(&mut self, announcement: Announcement) {
        if !announcement.post {
            let text = format!("{}\n\n{}\n", announcement.subject, announcement.body);
            self.screen.copy(&text);
        }
        let handle = Arc::clone(&self.handle);
        let sent = async move { Msg::Announced(handle.announce(announcement).await) };
        self.answers.push(sent.boxed_local());
    }

    fn ask(&self, request: Request) {
        // A full queue means that a thousand requests wait; one more plan can be asked for again.
        let _ = self.handle.requests().try_send(request);
    }
}
