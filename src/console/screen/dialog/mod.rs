//! Questions that must be answered before anything else is done.
//!
//! A dialog holds everything that it shows. What it asks of the engine leaves as a command; it
//! stays open until the answer is there, so that a refusal is read beside what was typed.

mod back;
mod choose;
mod conn;
mod decide;
mod fields;
mod given;
mod message;
mod prompt;
mod sign;
mod signal;
mod signatures;
mod start;
mod ways;

pub use back::BackSheet;
pub use choose::ChooseSheet;
pub use conn::{ConnSheet, HandInSheet, TakeSheet};
pub use decide::DecideSheet;
pub use given::GivenSheet;
pub use message::MessageSheet;
pub use prompt::{Prompt, PromptKind};
pub use sign::{Field, SignSheet};
pub use signal::SignalSheet;
pub use signatures::SignatureSheet;
pub use start::{StartSheet, Subject};

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::pager::Pager;
use super::text::{Doc, DocLine, Ink, span};
use crate::engine::Announcement;
use crate::promotion::Command;
use crate::promotion::signature::Purpose;

/// An open question.
#[derive(Debug, Clone)]
pub enum Dialog {
    Start(StartSheet),
    Prompt(Prompt),
    Sign(SignSheet),
    /// Statements that wait for keys.
    Signatures(Box<SignatureSheet>),
    Back(Box<BackSheet>),
    Message(Box<MessageSheet>),
    /// The plan that a gate judges.
    Given(Box<GivenSheet>),
    /// A choice at a gate that is at work.
    Choose(ChooseSheet),
    Decide(DecideSheet),
    /// Something is canceled or ended because of a lock.
    Signal(Box<SignalSheet>),
    /// Somebody asks for the conn.
    Conn(Box<ConnSheet>),
    /// The conn is taken from a holder who is gone.
    Take(Box<TakeSheet>),
    /// A text is handed in to the holder.
    HandIn(Box<HandInSheet>),
    /// Work is in flight and the operator wants to leave.
    Quit,
    Help(Pager),
}

/// What a key made of a dialog.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    Stay,
    Close,
    Send(Box<Command>),
    /// Send what was written to people.
    Announce(Box<Announcement>),
    /// Give a gate the plan that it judges.
    GivePlan {
        gate: String,
        text: String,
    },
    /// Read the file of such a plan.
    LoadPlan(String),
    /// Let statements wait for the signatures of a waiver.
    AskSignatures {
        gate: String,
        purpose: Purpose,
        reason: String,
    },
    /// Hand a signed text in.
    HandIn(String),
    /// Read the file of one.
    LoadReply(String),
    /// Give a text to the terminal's clipboard.
    Copy(String),
    /// Say no to whoever asks for the conn.
    RefuseConn(i64),
    /// Take the conn from this epoch, whose holder is gone.
    TakeConn(i64),
    /// Hand a text in to the holder.
    Pass(String),
    /// Leave while the work goes on to its end.
    LeaveRunning,
    /// Cancel the work, and leave when it has stopped.
    CancelAndLeave,
}

/// How a dialog looks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sheet {
    pub title: String,
    /// It is about something that cannot be taken back.
    pub danger: bool,
    pub doc: Doc,
    /// Line and cell of the cursor.
    pub cursor: Option<(usize, usize)>,
    /// Keys and what they do.
    pub keys: Vec<(&'static str, &'static str)>,
}

impl Sheet {
    /// Gives empty lines up, from the top, until there are no more than `height` lines.
    pub fn squeeze(&mut self, height: usize) {
        while self.doc.lines.len() > height {
            let empty = |line: &DocLine| line.spans.is_empty();
            let Some(at) = self.doc.lines.iter().position(empty) else {
                return;
            };
            self.doc.lines.remove(at);
            if let Some((line, _)) = &mut self.cursor
                && *line > at
            {
                *line -= 1;
            }
        }
    }
}

impl Dialog {
    /// Tells whether keys must not count before the dialog has been seen.
    pub fn is_guarded(&self) -> bool {
        match self {
            Dialog::Start(_)
            | Dialog::Quit
            | Dialog::Sign(_)
            | Dialog::Back(_)
            | Dialog::Decide(_)
            | Dialog::Signal(_)
            | Dialog::Conn(_)
            | Dialog::Take(_)
            | Dialog::HandIn(_)
            | Dialog::Choose(_) => true,
            Dialog::Prompt(prompt) => matches!(prompt.kind, PromptKind::Abandon),
            Dialog::Help(_) | Dialog::Message(_) => false,
            Dialog::Given(_) | Dialog::Signatures(_) => false,
        }
    }

    /// Takes a key.
    pub fn key(&mut self, key: KeyEvent) -> Answer {
        if key.code == KeyCode::Esc || is_interrupt(key) {
            return Answer::Close;
        }
        match self {
            Dialog::Start(sheet) => sheet.key(key),
            Dialog::Prompt(prompt) => prompt.key(key),
            Dialog::Sign(sheet) => sheet.key(key),
            Dialog::Signatures(sheet) => sheet.key(key),
            Dialog::Decide(sheet) => sheet.key(key),
            Dialog::Signal(sheet) => sheet.key(key),
            Dialog::Back(sheet) => sheet.key(key),
            Dialog::Message(sheet) => sheet.key(key),
            Dialog::Given(sheet) => sheet.key(key),
            Dialog::Choose(sheet) => sheet.key(key),
            Dialog::Conn(sheet) => sheet.key(key),
            Dialog::Take(sheet) => sheet.key(key),
            Dialog::HandIn(sheet) => sheet.key(key),
            Dialog::Quit => match key.code {
                KeyCode::Char('l') => Answer::LeaveRunning,
                KeyCode::Char('c') => Answer::CancelAndLeave,
                _ => Answer::Stay,
            },
            Dialog::Help(pager) => help_key(pager, key),
        }
    }

    /// Takes pasted text; only where text is asked for that confirms nothing.
    pub fn paste(&mut self, text: &str) {
        match self {
            Dialog::Start(sheet) => sheet.refuse_paste(),
            Dialog::Signal(sheet) => sheet.refuse_paste(),
            Dialog::Prompt(prompt) => prompt.paste(text),
            Dialog::Sign(sheet) => sheet.paste(text),
            Dialog::Signatures(sheet) => sheet.paste(text),
            Dialog::Decide(sheet) => sheet.paste(text),
            Dialog::Back(sheet) => sheet.paste(text),
            Dialog::Message(sheet) => sheet.paste(text),
            Dialog::Given(sheet) => sheet.paste(text),
            Dialog::Take(sheet) => sheet.refuse_paste(),
            Dialog::Choose(_)
            | Dialog::Conn(_)
            | Dialog::HandIn(_)
            | Dialog::Quit
            | Dialog::Help(_) => {}
        }
    }

    /// Takes the answer to what it sent: a refusal stays on it.
    pub fn refused(&mut self, reason: String) {
        match self {
            Dialog::Start(sheet) => sheet.refused(reason),
            Dialog::Prompt(prompt) => prompt.refused(reason),
            Dialog::Sign(sheet) => sheet.refused(reason),
            Dialog::Signatures(sheet) => sheet.refused(reason),
            Dialog::Decide(sheet) => sheet.refused(reason),
            Dialog::Signal(sheet) => sheet.refused(reason),
            Dialog::Back(sheet) => sheet.refused(reason),
            Dialog::Message(sheet) => sheet.refused(reason),
            Dialog::Given(sheet) => sheet.refused(reason),
            Dialog::Choose(sheet) => sheet.refused(reason),
            Dialog::Conn(sheet) => sheet.refused(reason),
            Dialog::Take(_) | Dialog::HandIn(_) | Dialog::Quit | Dialog::Help(_) => {}
        }
    }

    /// What the dialog looks like on lines of `width` cells.
    pub fn sheet(&self, width: usize) -> Sheet {
        match self {
            Dialog::Start(sheet) => sheet.sheet(width),
            Dialog::Prompt(prompt) => prompt.sheet(width),
            Dialog::Sign(sheet) => sheet.sheet(width),
            Dialog::Signatures(sheet) => sheet.sheet(width),
            Dialog::Decide(sheet) => sheet.sheet(width),
            Dialog::Signal(sheet) => sheet.sheet(width),
            Dialog::Back(sheet) => sheet.sheet(width),
            Dialog::Message(sheet) => sheet.sheet(width),
            Dialog::Given(sheet) => sheet.sheet(width),
            Dialog::Choose(sheet) => sheet.sheet(width),
            Dialog::Conn(sheet) => sheet.sheet(width),
            Dialog::Take(sheet) => sheet.sheet(width),
            Dialog::HandIn(sheet) => sheet.sheet(width),
            Dialog::Quit => quit(width),
            Dialog::Help(_) => help(width),
        }
    }
}

fn quit(width: usize) -> Sheet {
    let mut doc = Doc::new(width);
    doc.text(
        Ink::Plain,
        "A gate is at work. Nothing is ever stopped by leaving.",
    );
    doc.blank();
    let choice = |key: &str| [span(Ink::Strong, format!("{key:>5}  "))];
    doc.hanging(
        &choice("l"),
        Ink::Plain,
        "leave; the work goes on to its end and its outcome is recorded",
    );
    doc.hanging(
        &choice("c"),
        Ink::Plain,
        "cancel the work, and leave when it has stopped",
    );
    doc.hanging(&choice("Esc"), Ink::Plain, "stay");
    Sheet {
        title: "Leave while work is in flight?".to_owned(),
        danger: false,
        doc,
        cursor: None,
        keys: vec![
            ("l", "leave it running"),
            ("c", "cancel it"),
            ("Esc", "stay"),
        ],
    }
}

fn help(width: usize) -> Sheet {
    Sheet {
        title: "Keys".to_owned(),
        danger: false,
        doc: crate::console::keymap::help_page(width),
        cursor: None,
        keys: vec![("↑ ↓", "scroll"), ("Esc", "close")],
    }
}

fn help_key(pager: &mut Pager, key: KeyEvent) -> Answer {
    match key.code {
        KeyCode::Down | KeyCode::Char('j' | 'J') => pager.by(1),
        KeyCode::Up | KeyCode::Char('k' | 'K') => pager.by(-1),
        KeyCode::PageDown | KeyCode::Char(' ') => pager.page(1),
        KeyCode::PageUp => pager.page(-1),
        KeyCode::Home | KeyCode::Char('g') => pager.top(),
        KeyCode::End | KeyCode::Char('G') => pager.bottom(),
        KeyCode::Char('?' | 'q') | KeyCode::Enter => return Answer::Close,
        _ => {}
    }
    Answer::Stay
}

/// Tells whether a key is Ctrl-C.
pub fn is_interrupt(key: KeyEvent) -> bool {
    key.code == KeyCode::Char('c') && key.modifiers.contains(KeyModifiers::CONTROL)
}

/// Adds a line that is typed into, scrolled so that the cursor is visible; returns where that is.
fn input_line(doc: &mut Doc, lead: &str, input: &super::input::Input) -> (usize, usize) {
    let lead_cells = super::text::cells(lead);
    let room = doc.width().saturating_sub(lead_cells + 1).max(1);
    let skip = (input.cursor_cells() + 1).saturating_sub(room);
    let shown = super::text::cut(&input.text(), skip, room);
    let pad = room.saturating_sub(super::text::cells(&shown));
    let line = doc.lines.len();
    doc.fixed(vec![
        span(Ink::Muted, lead),
        span(Ink::Strong, shown),
        span(Ink::Muted, "_".repeat(pad)),
    ]);
    (line, lead_cells + input.cursor_cells() - skip)
}

/// Adds what went wrong with the last answer.
fn notice_line(doc: &mut Doc, notice: Option<&str>) {
    if let Some(notice) = notice {
        doc.blank();
        doc.hanging(&[span(Ink::Bad, "✗ ")], Ink::Bad, notice);
    }
}
