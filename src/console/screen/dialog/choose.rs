//! The last question before something is chosen at a gate that is at work.

use crossterm::event::{KeyCode, KeyEvent};

use super::{Answer, Sheet, notice_line};
use crate::console::screen::text::{Doc, Ink};
use crate::promotion::Command;
use crate::untrusted::clean_line;

/// A choice that is confirmed.
#[derive(Debug, Clone)]
pub struct ChooseSheet {
    gate: String,
    /// The question that it answers.
    pub question: u64,
    word: String,
    text: String,
    notice: Option<String>,
    sent: bool,
}

impl ChooseSheet {
    pub(in crate::console) fn new(
        gate: &str,
        question: u64,
        word: &str,
        text: String,
    ) -> ChooseSheet {
        ChooseSheet {
            gate: gate.to_owned(),
            question,
            word: word.to_owned(),
            text,
            notice: None,
            sent: false,
        }
    }

    /// Tells whether it was answered.
    pub fn is_sent(&self) -> bool {
        self.sent
    }

    pub(super) fn key(&mut self, key: KeyEvent) -> Answer {
        match key.code {
            _ if self.sent => Answer::Stay,
            KeyCode::Enter | KeyCode::Char('y') => {
                self.sent = true;
                Answer::Send(Box::new(Command::Choose {
                    gate: self.gate.clone(),
                    question: self.question,
                    choice: self.word.clone(),
                }))
            }
            KeyCode::Char('n') => Answer::Close,
            _ => Answer::Stay,
        }
    }

    pub(super) fn refused(&mut self, reason: String) {
        self.sent = false;
        self.notice = Some(reason);
    }

    pub(super) fn sheet(&self, width: usize) -> Sheet {
        let mut doc = Doc::new(width);
        doc.text(Ink::Strong, &clean_line(&self.text));
        doc.blank();
        if self.sent {
            doc.text(Ink::Muted, "asked; waiting for the journal …");
        } else {
            doc.text(
                Ink::Plain,
                "Press y or Enter to go on. A breach withdraws this.",
            );
        }
        notice_line(&mut doc, self.notice.as_deref());
        Sheet {
            title: format!("{} at `{}`?", self.word, self.gate),
            danger: true,
            doc,
            cursor: None,
            keys: vec![("y", "confirm"), ("Esc", "leave it")],
        }
    }
}
