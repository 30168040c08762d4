//! What reaches the console, and what it wants done. Values, nothing else.

use std::sync::Arc;

use crossterm::event::{KeyEvent, MouseEvent};
use jiff::Timestamp;

use super::ConsoleEnd;
use super::screen::files::FilesNews;
use super::signing::{SigningEffect, SigningNews};
use crate::engine::{Announcement, CommandError, Snapshot};
use crate::gate::FeedView;
use crate::git::watch::News;
use crate::promotion::Command;

/// Something that happened.
#[derive(Debug)]
pub enum Msg {
    Key(KeyEvent),
    Paste(String),
    Mouse(MouseEvent),
    Resize(u16, u16),
    /// What the clock says.
    Tick(Timestamp),
    Snapshot(Arc<Snapshot>),
    Feed(FeedView),
    /// A command was answered.
    Done {
        command: Command,
        origin: Origin,
        result: Result<(), CommandError>,
    },
    /// The watcher of a round says something about the repository.
    Git(u64, Box<News>),
    /// What was read of changed files.
    Files(Box<FilesNews>),
    /// A plan was taken for a gate, or why not.
    PlanGiven {
        gate: String,
        result: Result<(), CommandError>,
    },
    /// The file of a plan was read, or why not.
    PlanLoaded(Result<String, String>),
    /// What came of something about signatures by key.
    Signing(Box<SigningNews>),
    /// A message was sent, or why not; if it was copied, its text.
    Announced(Result<(), CommandError>),
    /// What the holder answered to a text, or why it did not arrive.
    HandedIn(Result<String, CommandError>),
    /// A text was written to a file, or why not.
    Saved(Result<String, String>),
    /// The screen that a guarded dialog stands on was seen for long enough; keys count again.
    Listen,
    /// The engine publishes nothing any more.
    EngineGone,
    /// Somebody asked the process to suspend.
    Suspend,
    /// The terminal is gone.
    HangUp,
    /// The process was asked to end.
    Terminate,
}

/// Who sent a command, and so who shows a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    Key,
    Dialog,
}

/// Something to be done outside.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    Command {
        command: Command,
        origin: Origin,
    },
    /// Sends a message to people. One that is not posted goes to the terminal's clipboard.
    Announce(Announcement),
    /// Gives a gate the plan that it judges.
    GivePlan {
        gate: String,
        text: String,
    },
    /// Reads the file of such a plan.
    LoadPlan(String),
    /// Something about signatures by key.
    Signing(SigningEffect),
    /// Gives a text to the terminal's clipboard.
    Copy(String),
    /// Asks the holder for the conn.
    AskConn,
    /// Says no to whoever asks for it.
    RefuseConn(i64),
    /// Hands a text in to the holder.
    HandIn(String),
    Plan(String),
    Reconcile(String),
    Look,
    /// Writes a text into the run's folder under a name.
    Save {
        name: String,
        text: String,
    },
    Quit(ConsoleEnd),
}
