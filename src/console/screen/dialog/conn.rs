//! The questions about the conn: whether it is handed over, whether it is taken from a holder who is
//! gone, and whether a text is handed in.

use crossterm::event::{KeyCode, KeyEvent};
use jiff::Timestamp;

use super::{Answer, Sheet, input_line, notice_line};
use crate::console::screen::input::Input;
use crate::console::screen::text::{Doc, Ink, span};
use crate::console::screen::times::watch;
use crate::engine::{ConnAsk, Watching};
use crate::promotion::Command;
use crate::untrusted::clean_line;

/// Somebody asks for the conn.
#[derive(Debug, Clone)]
pub struct ConnSheet {
    ask: ConnAsk,
    /// The epoch of the conn that is here.
    epoch: i64,
    notice: Option<String>,
    sent: bool,
}

impl ConnSheet {
    pub(in crate::console) fn new(ask: ConnAsk, epoch: i64) -> ConnSheet {
        ConnSheet {
            ask,
            epoch,
            notice: None,
            sent: false,
        }
    }

    pub(super) fn key(&mut self, key: KeyEvent) -> Answer {
        match key.code {
            _ if self.sent => Answer::Stay,
            KeyCode::Char('y') => {
                self.sent = true;
                self.notice = None;
                Answer::Send(Box::new(Command::HandOver {
                    to: self.ask.who.clone(),
                    epoch: u64::try_from(self.epoch + 1).ok(),
                }))
            }
            KeyCode::Char('n') => Answer::RefuseConn(self.ask.id),
            _ => Answer::Stay,
        }
    }

    pub(super) fn refused(&mut self, reason: String) {
        self.sent = false;
        self.notice = Some(reason);
    }

    pub(super) fn sheet(&self, width: usize) -> Sheet {
        let mut doc = Doc::new(width);
        doc.pair("who", Ink::Strong, &self.ask.who);
        doc.pair("came as", Ink::Plain, &format!("role {}", self.ask.sent_by));
        doc.blank();
        doc.text(
            Ink::Plain,
            "With the conn goes the right to act on this run. This console watches from then on. \
             Both sides stand in the journal.",
        );
        doc.blank();
        match self.sent {
            true => doc.text(Ink::Muted, "recording it …"),
            false => doc.text(
                Ink::Plain,
                "Press y to hand over, n to refuse, Esc to think.",
            ),
        }
        notice_line(&mut doc, self.notice.as_deref());
        Sheet {
            title: format!("{} asks for the conn", self.ask.who),
            danger: true,
            doc,
            cursor: None,
            keys: vec![("y", "hand over"), ("n", "refuse"), ("Esc", "later")],
        }
    }
}

/// The holder is gone, and the conn is taken without an answer.
#[derive(Debug, Clone)]
pub struct TakeSheet {
    run: String,
    holder: String,
    unseen: String,
    epoch: i64,
    input: Input,
    notice: Option<String>,
}

impl TakeSheet {
    pub(in crate::console) fn new(watching: &Watching, run: String, now: Timestamp) -> TakeSheet {
        TakeSheet {
            run,
            holder: watching.holder.clone(),
            unseen: watching.unseen(now).map_or_else(String::new, watch),
            epoch: watching.epoch,
            input: Input::default(),
            notice: None,
        }
    }

    pub(super) fn key(&mut self, key: KeyEvent) -> Answer {
        if key.code != KeyCode::Enter {
            self.input.key(key);
            self.notice = None;
            return Answer::Stay;
        }
        if self.input.text() == self.run {
            return Answer::TakeConn(self.epoch);
        }
        self.notice = Some(match self.input.is_empty() {
            true => format!("nothing was typed; type {} to go on", self.run),
            false => format!("that is not {}; nothing was taken", self.run),
        });
        Answer::Stay
    }

    pub(super) fn refuse_paste(&mut self) {
        self.notice = Some(format!("pasted text confirms nothing; type {}", self.run));
    }

    pub(super) fn sheet(&self, width: usize) -> Sheet {
        let mut doc = Doc::new(width);
        doc.pair("holder", Ink::Strong, &self.holder);
        doc.pair("unseen for", Ink::Plain, &self.unseen);
        doc.blank();
        doc.text(
            Ink::Plain,
            "The run's folder is made here from the copy. It goes on here only if nobody holds the \
             targets that it acts on. A holder that comes back finds that the conn is yours.",
        );
        doc.blank();
        let lead = span(Ink::Plain, "Type the name of the run to go on: ");
        doc.hanging(&[lead], Ink::Strong, &self.run);
        let cursor = Some(input_line(&mut doc, "> ", &self.input));
        notice_line(&mut doc, self.notice.as_deref());
        Sheet {
            title: "Take the conn without an answer?".to_owned(),
            danger: true,
            doc,
            cursor,
            keys: vec![("Enter", "take it"), ("Esc", "leave it")],
        }
    }
}

/// A text that was pasted is handed in to the holder.
#[derive(Debug, Clone)]
pub struct HandInSheet {
    holder: String,
    text: String,
}

impl HandInSheet {
    pub(in crate::console) fn new(holder: String, text: &str) -> HandInSheet {
        // Some terminals paste the end of a line as the key of it.
        let text = text.replace("\r\n", "\n").replace('\r', "\n");
        HandInSheet { holder, text }
    }

    pub(super) fn key(&mut self, key: KeyEvent) -> Answer {
        match key.code {
            KeyCode::Char('y') => Answer::Pass(std::mem::take(&mut self.text)),
            KeyCode::Char('n') => Answer::Close,
            _ => Answer::Stay,
        }
    }

    pub(super) fn sheet(&self, width: usize) -> Sheet {
        let mut doc = Doc::new(width);
        doc.pair("to", Ink::Strong, &self.holder);
        let size = format!("{} bytes", self.text.len());
        doc.pair("size", Ink::Plain, &size);
        doc.blank();
        for line in self.text.lines().take(6) {
            doc.fixed(vec![span(Ink::Muted, clean_line(line))]);
        }
        doc.blank();
        doc.text(Ink::Plain, "Press y to hand it in.");
        Sheet {
            title: "Hand this text in?".to_owned(),
            danger: false,
            doc,
            cursor: None,
            keys: vec![("y", "hand it in"), ("Esc", "leave it")],
        }
    }
}
