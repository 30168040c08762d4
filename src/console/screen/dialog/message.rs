//! A message to people: chosen, read, edited, sent.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui_textarea::{CursorMove, TextArea, WrapMode};

use super::{Answer, Sheet, notice_line};
use crate::console::model::Model;
use crate::console::screen::text::{Doc, Ink, cells, span};
use crate::engine::Announcement;
use crate::promotion::message_fields;
use crate::runbook::{Message, fill};
use crate::untrusted::clean;

/// A message that is being written.
#[derive(Debug, Clone)]
pub struct MessageSheet {
    messages: Vec<Draft>,
    at: usize,
    /// The gate that waits for it.
    gate: Option<String>,
    /// What is being edited; `None` while one is being chosen.
    text: Option<TextArea<'static>>,
    notice: Option<String>,
    sent: bool,
}

/// A template with its fields filled in.
#[derive(Debug, Clone)]
struct Draft {
    id: String,
    /// Subject, an empty line, body.
    text: String,
    posts: bool,
}

impl MessageSheet {
    /// All messages of the runbook; `None` when it has none.
    pub(in crate::console) fn of(model: &Model) -> Option<MessageSheet> {
        let messages: Vec<Draft> = model
            .snapshot
            .runbook
            .messages
            .iter()
            .map(|message| draft(model, message))
            .collect();
        (!messages.is_empty()).then_some(MessageSheet {
            messages,
            at: 0,
            gate: None,
            text: None,
            notice: None,
            sent: false,
        })
    }

    /// The one message that a gate waits for.
    pub(in crate::console) fn for_gate(
        model: &Model,
        gate: &str,
        id: &str,
    ) -> Option<MessageSheet> {
        let mut sheet = MessageSheet::of(model)?;
        sheet.at = sheet.messages.iter().position(|draft| draft.id == id)?;
        sheet.gate = Some(gate.to_owned());
        sheet.edit();
        Some(sheet)
    }

    /// Chooses the message of that id, where it is there.
    pub(in crate::console) fn choose(&mut self, id: &str) {
        if let Some(at) = self.messages.iter().position(|draft| draft.id == id) {
            self.at = at;
        }
    }

    fn edit(&mut self) {
        if let Some(draft) = self.messages.get(self.at) {
            let lines: Vec<&str> = draft.text.lines().collect();
            let mut text = TextArea::from(lines);
            text.set_wrap_mode(WrapMode::None);
            text.move_cursor(CursorMove::Top);
            self.text = Some(text);
        }
    }

    pub(super) fn key(&mut self, key: KeyEvent) -> Answer {
        if self.sent {
            return Answer::Stay;
        }
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        let Some(text) = &mut self.text else {
            let last = self.messages.len().saturating_sub(1);
            match key.code {
                KeyCode::Up | KeyCode::Char('k') => self.at = self.at.saturating_sub(1),
                KeyCode::Down | KeyCode::Char('j') => self.at = (self.at + 1).min(last),
                KeyCode::Enter => self.edit(),
                _ => {}
            }
            return Answer::Stay;
        };
        match key.code {
            KeyCode::Char('s') if control => self.send(false),
            KeyCode::Char('p') if control => {
                if self.messages.get(self.at).is_some_and(|draft| draft.posts) {
                    return self.send(true);
                }
                self.notice = Some("this message has no webhook; Ctrl-S copies it".to_owned());
                Answer::Stay
            }
            _ => {
                text.input(key);
                self.notice = None;
                Answer::Stay
            }
        }
    }

    fn send(&mut self, post: bool) -> Answer {
        let (Some(text), Some(draft)) = (&self.text, self.messages.get(self.at)) else {
            return Answer::Stay;
        };
        let lines = text.lines();
        let subject = lines.first().cloned().unwrap_or_default();
        let body = lines.get(1..).unwrap_or_default().join("\n");
        if subject.trim().is_empty() || body.trim().is_empty() {
            self.notice = Some("the first line is the subject; write both".to_owned());
            return Answer::Stay;
        }
        self.sent = true;
        self.notice = None;
        Answer::Announce(Box::new(Announcement {
            message: draft.id.clone(),
            gate: self.gate.clone(),
            subject: subject.trim().to_owned(),
            body: body.trim().to_owned(),
            post,
        }))
    }

    pub(super) fn paste(&mut self, pasted: &str) {
        if let Some(text) = &mut self.text {
            text.insert_str(clean(pasted));
        }
    }

    pub(super) fn refused(&mut self, reason: String) {
        self.sent = false;
        self.notice = Some(reason);
    }

    pub(super) fn sheet(&self, width: usize) -> Sheet {
        let mut doc = Doc::new(width);
        let mut cursor = None;
        let posts = self.messages.get(self.at).is_some_and(|draft| draft.posts);
        match &self.text {
            None => {
                for (at, draft) in self.messages.iter().enumerate() {
                    let mark = if at == self.at { "▸ " } else { "  " };
                    let subject = draft.text.lines().next().unwrap_or_default();
                    let lead = [
                        span(Ink::Strong, mark),
                        span(Ink::Muted, format!("{}  ", draft.id)),
                    ];
                    doc.hanging(&lead, Ink::Plain, subject);
                }
                doc.blank();
                for line in self
                    .messages
                    .get(self.at)
                    .into_iter()
                    .flat_map(|d| d.text.lines())
                    .skip(2)
                {
                    doc.text(Ink::Muted, line);
                }
            }
            Some(text) => cursor = Some(edited(&mut doc, text)),
        }
        if self.sent {
            doc.text(Ink::Muted, "being sent …");
        }
        notice_line(&mut doc, self.notice.as_deref());
        let keys = match (&self.text, posts) {
            (None, _) => vec![
                ("↑ ↓", "choose"),
                ("Enter", "write it"),
                ("Esc", "leave it"),
            ],
            (Some(_), true) => vec![
                ("Ctrl-P", "post it"),
                ("Ctrl-S", "copy it"),
                ("Esc", "leave it"),
            ],
            (Some(_), false) => vec![("Ctrl-S", "copy it"), ("Esc", "leave it")],
        };
        Sheet {
            title: match &self.text {
                None => "Tell people".to_owned(),
                Some(_) => "Tell people: read it, edit it, send it".to_owned(),
            },
            danger: false,
            doc,
            cursor: cursor.filter(|_| !self.sent),
            keys,
        }
    }
}

/// Draws what is edited, each long line scrolled as far as the cursor needs; returns where that is.
fn edited(doc: &mut Doc, text: &TextArea<'_>) -> (usize, usize) {
    let ratatui_textarea::DataCursor(row, column) = text.cursor();
    let width = doc.width().saturating_sub(1).max(1);
    let mut at = (0, 0);
    for (number, line) in text.lines().iter().enumerate() {
        let before: String = line.chars().take(column).collect();
        let skip = if number == row {
            (cells(&before) + 1).saturating_sub(width)
        } else {
            0
        };
        if number == row {
            at = (doc.lines.len(), cells(&before) - skip);
        }
        let ink = if number == 0 { Ink::Strong } else { Ink::Plain };
        let shown = crate::console::screen::text::cut(line, skip, width);
        doc.fixed(vec![span(ink, shown)]);
    }
    at
}

/// Fills a template in. Every message carries the journal's head, asked for or not: whoever keeps
/// the message can later tell whether the journal is still the same.
fn draft(model: &Model, message: &Message) -> Draft {
    let seconds = message.next_update.map(|after| after.as_secs() as i64);
    let mut values = model.snapshot.runbook.vars.clone();
    values.extend(message_fields(model.run(), model.now, seconds));
    let filled = |template: &str| {
        let filled = fill(template, &values).unwrap_or_else(|_| template.to_owned());
        clean(&filled).into_owned()
    };
    let mut text = format!(
        "{}\n\n{}",
        filled(&message.subject),
        filled(message.body.trim())
    );
    if !text.contains(&model.run().head) {
        text.push_str(&format!(
            "\n\nJournal of run {}: record {} {}",
            model.run().id,
            model.run().seq,
            model.run().head
        ));
    }
    Draft {
        id: message.id.clone(),
        text,
        posts: message.webhook.is_some(),
    }
}
