//! The question before something is canceled or ended because of a lock: ours with a key, somebody
//! else's session with its process number, typed.

use crossterm::event::{KeyCode, KeyEvent};

use super::{Answer, Sheet, input_line, notice_line};
use crate::console::model::Model;
use crate::console::screen::input::Input;
use crate::console::screen::text::{Doc, Ink, clip, span};
use crate::postgres::locks::Blocker;
use crate::promotion::{BlockerAct, BlockerRecord, Command};
use crate::runbook::Environment;

/// The question.
#[derive(Debug, Clone)]
pub struct SignalSheet {
    pub gate: String,
    target: Option<(String, Environment)>,
    /// `None`: it is ours that is canceled.
    blocker: Option<BlockerRecord>,
    /// What it does, for whoever decides.
    words: String,
    input: Input,
    notice: Option<String>,
    sent: bool,
}

impl SignalSheet {
    fn of(model: &Model, gate: &str, blocker: Option<BlockerRecord>, words: String) -> SignalSheet {
        let target = model.target_of(gate);
        SignalSheet {
            gate: gate.to_owned(),
            target: target.map(|target| (target.name.clone(), target.environment)),
            blocker,
            words,
            input: Input::default(),
            notice: None,
            sent: false,
        }
    }

    /// Asks whether ours is canceled.
    pub(in crate::console) fn ours(model: &Model, gate: &str) -> SignalSheet {
        SignalSheet::of(model, gate, None, String::new())
    }

    /// Asks whether somebody's statement is canceled, or the session ended; `None` where nothing
    /// names the session for sure.
    pub(in crate::console) fn blocker(
        model: &Model,
        gate: &str,
        blocker: &Blocker,
        act: BlockerAct,
    ) -> Option<SignalSheet> {
        let who = &blocker.who;
        let record = BlockerRecord {
            act,
            pid: who.pid,
            backend_start: blocker.in_the_way()?.backend_start,
            who: format!("{}, {}, database {}", who.who(), who.client, who.database),
            query: clip(&who.query, 200),
        };
        Some(SignalSheet::of(model, gate, Some(record), blocker.words()))
    }

    /// What would be asked of the engine if the number were typed.
    pub(in crate::console) fn probe(&self) -> Command {
        let pid = self.blocker.as_ref().map_or(0, |blocker| blocker.pid);
        self.command(Some(pid.to_string()))
    }

    fn command(&self, typed_pid: Option<String>) -> Command {
        let gate = self.gate.clone();
        match &self.blocker {
            None => Command::Cancel { gate },
            Some(blocker) => Command::SignalBlocker {
                gate,
                blocker: blocker.clone(),
                typed_pid,
            },
        }
    }

    /// Tells whether it was answered.
    pub fn is_sent(&self) -> bool {
        self.sent
    }

    /// Tells whether something is typed, which is no accident.
    pub fn is_typed(&self) -> bool {
        self.blocker.is_some()
    }

    /// The session that it is about: its number and its start.
    pub fn whom(&self) -> Option<(i32, &str)> {
        let blocker = self.blocker.as_ref()?;
        Some((blocker.pid, &blocker.backend_start))
    }

    pub(super) fn key(&mut self, key: KeyEvent) -> Answer {
        if self.sent {
            return Answer::Stay;
        }
        let Some(blocker) = &self.blocker else {
            return match key.code {
                KeyCode::Enter | KeyCode::Char('y') => self.send(None),
                KeyCode::Char('n') => Answer::Close,
                _ => Answer::Stay,
            };
        };
        let pid = blocker.pid.to_string();
        if key.code != KeyCode::Enter {
            self.input.key(key);
            self.notice = None;
            return Answer::Stay;
        }
        if self.input.text() == pid {
            return self.send(Some(pid));
        }
        self.notice = Some(match self.input.is_empty() {
            true => format!("nothing was typed; type {pid} to go on, Esc to leave it"),
            false => format!("that is not {pid}; nothing was asked of anybody"),
        });
        Answer::Stay
    }

    fn send(&mut self, typed: Option<String>) -> Answer {
        self.sent = true;
        self.notice = None;
        Answer::Send(Box::new(self.command(typed)))
    }

    pub(super) fn refuse_paste(&mut self) {
        self.notice = Some(match &self.blocker {
            Some(blocker) => format!("pasted text confirms nothing; type {}", blocker.pid),
            None => "pasted text confirms nothing; press y or Esc".to_owned(),
        });
    }

    pub(super) fn refused(&mut self, reason: String) {
        self.sent = false;
        self.input.clear();
        self.notice = Some(reason);
    }

    pub(super) fn sheet(&self, width: usize) -> Sheet {
        let mut doc = Doc::new(width);
        if let Some((target, environment)) = &self.target {
            let ink = match environment {
                Environment::Production => Ink::Bad,
                _ => Ink::Strong,
            };
            let word = environment.word().to_uppercase();
            doc.pair("on", ink, &format!("{target}  {word}"));
        }
        let (title, keys, cursor) = match &self.blocker {
            None => self.about_ours(&mut doc),
            Some(blocker) => self.about(&mut doc, blocker),
        };
        notice_line(&mut doc, self.notice.as_deref());
        Sheet {
            title,
            danger: true,
            doc,
            cursor,
            keys,
        }
    }

    fn about_ours(&self, doc: &mut Doc) -> Asking {
        doc.blank();
        doc.text(
            Ink::Plain,
            "The transaction at work is rolled back, and the gate ends as canceled. What \
             committed before it stays.",
        );
        doc.blank();
        if self.sent {
            doc.text(Ink::Muted, "asked; waiting for the journal …");
        } else {
            doc.text(Ink::Plain, "Press y or Enter to cancel it.");
        }
        let title = format!("Cancel `{}`?", self.gate);
        (title, vec![("y", "cancel ours"), ("Esc", "wait")], None)
    }

    fn about(&self, doc: &mut Doc, blocker: &BlockerRecord) -> Asking {
        doc.pair("session", Ink::Strong, &self.words);
        doc.pair("who", Ink::Plain, &blocker.who);
        doc.pair("began", Ink::Plain, &blocker.backend_start);
        if !blocker.query.is_empty() {
            let room = doc.width() * 2;
            doc.pair("statement", Ink::Plain, &clip(&blocker.query, room));
        }
        doc.blank();
        let (verb, text) = match blocker.act {
            BlockerAct::Cancel => (
                "Cancel what",
                "Its statement ends with an error, and with it what its transaction did.",
            ),
            BlockerAct::Terminate => (
                "Terminate",
                "It is disconnected. What it has not committed is rolled back.",
            ),
        };
        doc.text(Ink::Plain, text);
        doc.blank();
        let pid = blocker.pid.to_string();
        let cursor = if self.sent {
            doc.text(Ink::Muted, "asked; waiting for the journal …");
            None
        } else {
            let lead = span(Ink::Plain, "Type its process number to go on: ");
            doc.hanging(&[lead], Ink::Strong, &pid);
            Some(input_line(doc, "> ", &self.input))
        };
        let title = match blocker.act {
            BlockerAct::Cancel => format!("{verb} pid {pid} runs?"),
            BlockerAct::Terminate => format!("{verb} pid {pid}?"),
        };
        (
            title,
            vec![("Enter", "confirm"), ("Esc", "leave it")],
            cursor,
        )
    }
}

/// The title, the keys and where the cursor stands.
type Asking = (
    String,
    Vec<(&'static str, &'static str)>,
    Option<(usize, usize)>,
);
