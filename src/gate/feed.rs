//! What a worker says while it works: lines and progress, kept bounded, read by whoever draws.
//!
//! A worker never waits for a reader. Old lines are dropped from memory, and counted; all of them
//! are in the gate's output file, up to its limit.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::choices::{Choice, Question};
use super::locks::LockScene;
use super::watched::Watched;
use crate::system::durable::open_private;
use crate::untrusted::clean_line;

/// How many lines are kept in memory.
const KEPT_LINES: usize = 2_000;
/// How many bytes of output a gate may leave on disk.
const LOG_LIMIT: u64 = 16 * 1024 * 1024;
/// How many characters of one line are kept.
const LINE_LIMIT: usize = 2_000;

/// Where a line comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// This program says what it does.
    Own,
    /// A program's standard output.
    Out,
    /// A program's standard error.
    Err,
    /// The server's notices.
    Notice,
}

/// One line, cleaned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeedLine {
    pub source: Source,
    pub gate: Arc<str>,
    pub text: String,
}

/// What progress counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    Bytes,
    Statements,
    Files,
    Steps,
    /// What an archive holds: a table, its rows, an index.
    Entries,
}

/// How far the work has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// What is being worked on now.
    pub label: String,
    pub done: u64,
    pub total: Option<u64>,
    pub unit: Unit,
    /// What else there is to say, such as bytes written.
    pub detail: String,
}

/// What a gate at work shows and asks besides its lines.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Asked {
    pub watched: Option<Arc<Watched>>,
    /// What may be chosen without being asked.
    pub offers: Arc<[Choice]>,
    pub question: Option<Arc<Question>>,
}

impl Asked {
    /// What may be chosen now, with the question that each answers.
    pub fn choices(&self) -> impl Iterator<Item = (u64, &Choice)> {
        let asked = self.question.iter();
        let answers = asked.flat_map(|question| {
            let serial = question.serial;
            question.choices.iter().map(move |choice| (serial, choice))
        });
        answers.chain(self.offers.iter().map(|choice| (0, choice)))
    }
}

#[derive(Default)]
struct State {
    gate: Option<Arc<str>>,
    lines: VecDeque<FeedLine>,
    /// How many lines were dropped from the front.
    dropped: u64,
    progress: Option<Progress>,
    asked: Asked,
    locks: Option<Arc<LockScene>>,
    revision: u64,
    log: Option<BufWriter<File>>,
    logged: u64,
}

/// A copy of what the feed holds, for one frame.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FeedView {
    pub lines: Vec<FeedLine>,
    pub dropped: u64,
    pub progress: Option<Progress>,
    pub asked: Asked,
    /// The locks around a transaction at work.
    pub locks: Option<Arc<LockScene>>,
    pub revision: u64,
}

/// The shared end of both sides. Cloning gives the same feed.
#[derive(Clone, Default)]
pub struct Feed {
    state: Arc<Mutex<State>>,
    changed: Arc<Notify>,
}

impl Feed {
    /// Begins the output of a gate; `log` is the file that receives all of it.
    pub fn begin(&self, gate: &str, log: Option<&Path>) {
        let mut state = self.lock();
        state.gate = Some(Arc::from(gate));
        state.progress = None;
        state.asked = Asked::default();
        state.locks = None;
        state.logged = 0;
        state.log = log
            .and_then(|path| open_private(path).ok())
            .map(BufWriter::new);
        self.touch(state);
    }

    /// Ends the output of a gate.
    pub fn end(&self) {
        let mut state = self.lock();
        state.progress = None;
        state.asked = Asked::default();
        state.locks = None;
        if let Some(mut log) = state.log.take() {
            let _ = log.flush();
        }
        self.touch(state);
    }

    /// Adds a line. Control sequences in it become visible.
    pub fn line(&self, source: Source, text: &str) {
        let text = crate::untrusted::clip(&clean_line(text), LINE_LIMIT);
        let mut state = self.lock();
        state.write_log(&text);
        if state.lines.len() == KEPT_LINES {
            state.lines.pop_front();
            state.dropped += 1;
        }
        let gate = state.gate.clone().unwrap_or_else(|| Arc::from(""));
        state.lines.push_back(FeedLine { source, gate, text });
        self.touch(state);
    }

    /// Adds a line of our own.
    pub fn say(&self, text: impl AsRef<str>) {
        self.line(Source::Own, text.as_ref());
    }

    /// Replaces the progress.
    pub fn progress(&self, progress: Progress) {
        let mut state = self.lock();
        if state.progress.as_ref() != Some(&progress) {
            state.progress = Some(progress);
            self.touch(state);
        }
    }

    /// Replaces what was seen and what is asked.
    pub fn ask(&self, asked: Asked) {
        let mut state = self.lock();
        if state.asked != asked {
            state.asked = asked;
            self.touch(state);
        }
    }

    /// What is seen and asked now.
    pub fn asked(&self) -> Asked {
        self.lock().asked.clone()
    }

    /// Replaces what is known of the locks.
    pub fn locks(&self, locks: Option<Arc<LockScene>>) {
        let mut state = self.lock();
        if state.locks != locks {
            state.locks = locks;
            self.touch(state);
        }
    }

    /// What is known of the locks now.
    pub fn lock_scene(&self) -> Option<Arc<LockScene>> {
        self.lock().locks.clone()
    }

    /// Counts every change; equal numbers mean that nothing changed.
    pub fn revision(&self) -> u64 {
        self.lock().revision
    }

    /// Copies the last `limit` lines and the progress.
    pub fn view(&self, limit: usize) -> FeedView {
        let state = self.lock();
        let skip = state.lines.len().saturating_sub(limit);
        FeedView {
            lines: state.lines.iter().skip(skip).cloned().collect(),
            dropped: state.dropped + skip as u64,
            progress: state.progress.clone(),
            asked: state.asked.clone(),
            locks: state.locks.clone(),
            revision: state.revision,
        }
    }

    /// Waits for the next change.
    pub async fn changed(&self) {
        self.changed.notified().await;
    }

    fn touch(&self, mut state: MutexGuard<'_, State>) {
        state.revision += 1;
        drop(state);
        self.changed.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A reader that panicked has changed nothing.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn write_log(&mut self, text: &str) {
        let Some(log) = &mut self.log else { return };
        if self.logged > LOG_LIMIT {
            return;
        }
        self.logged += text.len() as u64 + 1;
        let written = if self.logged > LOG_LIMIT {
            writeln!(log, "[output beyond {LOG_LIMIT} bytes is not kept]")
        } else {
            writeln!(log, "{text}")
        };
        if written.is_err() {
            // A full disk must not stop the work that is only being reported on.
            self.log = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_bounded_and_counted() {
        let feed = Feed::default();
        for number in 0..KEPT_LINES + 10 {
            feed.line(Source::Notice, &format!("notice {number}"));
        }
        let view = feed.view(100);
        assert_eq!(view.lines.len(), 100);
        assert_eq!(view.dropped as usize, 10 + KEPT_LINES - 100);
        assert_eq!(view.lines[99].text, format!("notice {}", KEPT_LINES + 9));
    }
}
