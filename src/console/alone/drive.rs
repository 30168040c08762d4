//! Drives a review without a run: input and what was read go in, frames go out.

use std::future::poll_fn;
use std::path::PathBuf;
use std::task::Poll;
use std::time::Duration;

use crossterm::event::{Event, EventStream};
use futures_util::StreamExt as _;
use jiff::Timestamp;

use super::kept;
use super::model::{Alone, Wish};
use crate::console::msg::Msg;
use crate::console::reader::Reader;
use crate::console::signals::{Asked, Signals};
use crate::console::terminal::{self, Screen};
use crate::console::view::alone::draw;
use crate::console::view::theme::Theme;
use crate::console::{ConsoleEnd, ConsoleOptions};
use crate::git::changes::ChangesRequest;
use crate::promotion::Reviews;

/// How often the terminal is asked whether it is still there.
const HANG_UP_CHECK: Duration = Duration::from_secs(2);
/// How many input events are taken before a frame.
const DRAIN: usize = 4096;

/// Shows what differs until the person leaves. Marks are kept in `folder`, if there is one.
///
/// # Errors
/// When the terminal cannot be taken over.
pub async fn review(
    request: ChangesRequest,
    reviewer: String,
    folder: Option<PathBuf>,
    options: ConsoleOptions,
) -> color_eyre::Result<ConsoleEnd> {
    let screen = Screen::enter(options.mouse)?;
    let size = screen.size()?;
    let mut driver = Driver {
        model: Alone::new(request, reviewer, size),
        theme: terminal::theme(options),
        screen,
        reader: Reader::new(),
        folder,
        end: None,
    };
    driver.live().await
}

struct Driver {
    model: Alone,
    theme: Theme,
    screen: Screen,
    reader: Reader,
    folder: Option<PathBuf>,
    end: Option<ConsoleEnd>,
}

impl Driver {
    async fn live(&mut self) -> color_eyre::Result<ConsoleEnd> {
        let mut signals = Signals::listen()?;
        let mut events = EventStream::new();
        loop {
            self.read();
            if self.model.dirty {
                self.frame();
                self.read();
            }
            if let Some(end) = self.end {
                return Ok(end);
            }
            tokio::select! {
                biased;
                asked = signals.next() => self.asked(&asked),
                event = events.next() => {
                    self.event(event);
                    self.drain(&mut events).await;
                }
                Some(msg) = self.reader.next() => self.heard(msg),
                () = tokio::time::sleep(HANG_UP_CHECK) => {
                    if terminal::is_gone() {
                        self.end = Some(ConsoleEnd::HungUp);
                    }
                }
            }
        }
    }

    fn read(&mut self) {
        if let Some(ask) = self.model.files.ask() {
            tokio::spawn(self.reader.read(ask));
        }
    }

    fn frame(&mut self) {
        if let Ok(size) = self.screen.size() {
            self.model.size = size;
        }
        self.model.settle();
        let (model, theme) = (&self.model, &self.theme);
        if self
            .screen
            .draw(|buffer| draw(buffer, model, theme), |_| ())
            .is_err()
        {
            self.end = Some(ConsoleEnd::HungUp);
        }
        self.model.dirty = false;
    }

    fn heard(&mut self, msg: Msg) {
        let Msg::Files(news) = msg else { return };
        let before = self.model.files.changes.is_some();
        self.model.hear(*news);
        if let Some(changes) = &self.model.files.changes
            && !before
            && let Some(folder) = &self.folder
        {
            let kept = kept::load(folder, &changes.top);
            self.model.know(kept);
        }
    }

    fn asked(&mut self, asked: &Asked) {
        match asked {
            Asked::Terminate => self.end = Some(ConsoleEnd::Terminated),
            Asked::HangUp => self.end = Some(ConsoleEnd::HungUp),
            Asked::Interrupt => self.end = Some(ConsoleEnd::Left),
            Asked::Suspend => {}
            Asked::Resume => {
                if self.screen.enter_again().is_err() {
                    self.end = Some(ConsoleEnd::HungUp);
                }
                self.model.dirty = true;
            }
        }
    }

    /// Takes all input that is there already.
    async fn drain(&mut self, events: &mut EventStream) {
        for _ in 0..DRAIN {
            let waiting = poll_fn(|context| match events.poll_next_unpin(context) {
                Poll::Ready(event) => Poll::Ready(Some(event)),
                Poll::Pending => Poll::Ready(None),
            });
            match waiting.await {
                Some(event) if self.end.is_none() => self.event(event),
                _ => return,
            }
        }
    }

    fn event(&mut self, event: Option<std::io::Result<Event>>) {
        match event {
            Some(Ok(Event::Key(key))) => {
                // A jump needs to know what the page shows now.
                self.model.settle();
                let wish = self.model.key(key, Timestamp::now());
                if let Some(wish) = wish {
                    self.grant(wish);
                }
            }
            Some(Ok(Event::Paste(text))) => self.model.paste(&text),
            Some(Ok(Event::Mouse(mouse))) => self.model.mouse(mouse),
            Some(Ok(Event::Resize(..))) => self.model.dirty = true,
            Some(Ok(_)) => {}
            _ => self.end = Some(ConsoleEnd::HungUp),
        }
    }

    fn grant(&mut self, wish: Wish) {
        match wish {
            Wish::Leave => self.end = Some(ConsoleEnd::Left),
            Wish::Copy(text) => self.screen.copy(&text),
            Wish::Keep {
                path,
                review,
                withdrawn,
            } => {
                let change = |reviews: &mut Reviews| {
                    if withdrawn {
                        reviews.withdraw(&path, [review.old.as_deref(), review.new.as_deref()]);
                    } else {
                        reviews.add(&path, review);
                    }
                };
                let top = self.model.files.changes.as_ref().map(|c| c.top.clone());
                let kept = match (&self.folder, top) {
                    (Some(folder), Some(top)) => kept::change(folder, &top, change),
                    _ => Err("there is no state folder to keep a mark in: set HOME".to_owned()),
                };
                self.model.know(kept);
            }
        }
    }
}
