//! The plan that a gate judges: pasted, typed, or loaded from a file. What is shown is cleaned; what
//! is given is every character as it came.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui_textarea::{CursorMove, DataCursor, TextArea, WrapMode};

use super::{Answer, Sheet, input_line, notice_line};
use crate::console::model::Model;
use crate::console::screen::input::Input;
use crate::console::screen::text::{Doc, Ink, cells, cut, span};
use crate::sql::elsewhere::{self, LARGEST_PLAN};
use crate::untrusted::clean_line;

/// How many lines of the text are shown.
const SHOWN: usize = 8;

/// A plan that is being given.
#[derive(Debug, Clone)]
pub struct GivenSheet {
    pub gate: String,
    refused: bool,
    text: TextArea<'static>,
    /// The path of a file, while it is asked for.
    path: Option<Input>,
    notice: Option<String>,
    sent: bool,
}

impl GivenSheet {
    /// Begins for a gate, with nothing written.
    pub(in crate::console) fn of(model: &Model, gate: &str) -> GivenSheet {
        let record = model.run().gate(gate);
        let pasted = record.and_then(|record| record.pasted.as_ref());
        GivenSheet {
            gate: gate.to_owned(),
            refused: pasted.is_some_and(|pasted| pasted.refused),
            text: empty(),
            path: None,
            notice: None,
            sent: false,
        }
    }

    pub(super) fn key(&mut self, key: KeyEvent) -> Answer {
        if self.sent {
            return Answer::Stay;
        }
        self.notice = None;
        if self.path.is_some() {
            return self.path_key(key);
        }
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        match key.code {
            KeyCode::Char('s') if control => return self.give(),
            KeyCode::Char('o') if control => self.path = Some(Input::default()),
            KeyCode::Char('u') if control => self.text = empty(),
            _ => {
                self.text.input(key);
            }
        }
        Answer::Stay
    }

    fn path_key(&mut self, key: KeyEvent) -> Answer {
        let Some(path) = &mut self.path else {
            return Answer::Stay;
        };
        if key.code != KeyCode::Enter {
            path.key(key);
            return Answer::Stay;
        }
        let path = path.text();
        self.path = None;
        match path.trim() {
            "" => Answer::Stay,
            path => Answer::LoadPlan(path.to_owned()),
        }
    }

    fn give(&mut self) -> Answer {
        let text = self.text.lines().join("\n");
        if let Err(why) = elsewhere::readable(text.as_bytes()) {
            self.notice = Some(format!("it is not given: {why}"));
            return Answer::Stay;
        }
        self.sent = true;
        Answer::GivePlan {
            gate: self.gate.clone(),
            text,
        }
    }

    pub(in crate::console) fn paste(&mut self, pasted: &str) {
        if self.sent {
            return;
        }
        if let Some(path) = &mut self.path {
            path.paste(pasted);
            return;
        }
        // A terminal sends the ends of lines as the key that ends a line.
        let pasted = pasted.replace("\r\n", "\n").replace('\r', "\n");
        if self.bytes() + pasted.len() > LARGEST_PLAN {
            self.notice = Some(format!(
                "not taken: with it the text is larger than {} MB",
                LARGEST_PLAN / (1024 * 1024)
            ));
            return;
        }
        self.text.insert_str(&pasted);
        self.notice = None;
    }

    /// Takes the text of a file, in the place of what was there.
    pub(in crate::console) fn loaded(&mut self, text: Result<String, String>) {
        match text {
            Ok(text) => {
                self.text = empty();
                self.paste(&text);
            }
            Err(why) => self.notice = Some(why),
        }
    }

    pub(super) fn refused(&mut self, reason: String) {
        self.sent = false;
        self.notice = Some(reason);
    }

    fn bytes(&self) -> usize {
        self.text.lines().iter().map(|line| line.len() + 1).sum()
    }

    pub(super) fn sheet(&self, width: usize) -> Sheet {
        let mut doc = Doc::new(width);
        let asked = match self.refused {
            true => {
                "The plan before was refused. Paste the one that is shown now, all of it. \
                 It is read, and never run."
            }
            false => {
                "Paste the plan that is shown to you, all of it, as text. It is read, and never run."
            }
        };
        doc.text(Ink::Plain, asked);
        let mut cursor = self.lines(&mut doc);
        let size = match (self.text.lines().len(), self.bytes().saturating_sub(1)) {
            (_, 0) => "nothing yet".to_owned(),
            (1, bytes) => format!("1 line, {bytes} bytes"),
            (lines, bytes) => format!("{lines} lines, {bytes} bytes"),
        };
        doc.text(Ink::Muted, &size);
        if let Some(path) = &self.path {
            cursor = input_line(&mut doc, "file > ", path);
        }
        if self.sent {
            doc.text(Ink::Muted, "given; waiting for the journal …");
        }
        notice_line(&mut doc, self.notice.as_deref());
        let keys = match self.path {
            Some(_) => vec![("Enter", "load it"), ("Esc", "leave it")],
            None => vec![
                ("Ctrl-S", "give it"),
                ("Ctrl-O", "load a file"),
                ("Ctrl-U", "empty"),
                ("Esc", "leave it"),
            ],
        };
        Sheet {
            title: format!("Give `{}` the plan", self.gate),
            danger: false,
            doc,
            cursor: (!self.sent).then_some(cursor),
            keys,
        }
    }

    /// Draws the lines around the cursor; returns where that is.
    fn lines(&self, doc: &mut Doc) -> (usize, usize) {
        let DataCursor(row, column) = self.text.cursor();
        let lines = self.text.lines();
        let first = (row + 1).saturating_sub(SHOWN);
        let mut at = (0, 0);
        for number in first..first + SHOWN {
            let Some(line) = lines.get(number) else {
                doc.fixed(vec![span(Ink::Muted, "      │")]);
                continue;
            };
            let lead = format!("{:>5} │ ", number + 1);
            let width = doc.width().saturating_sub(cells(&lead) + 1).max(1);
            let before: String = line.chars().take(column).collect();
            let before = cells(&clean_line(&before));
            let skip = match number == row {
                true => (before + 1).saturating_sub(width),
                false => 0,
            };
            if number == row {
                at = (doc.lines.len(), cells(&lead) + before - skip);
            }
            // Only what is seen is cleaned: a line may be very long.
            let near: String = line.chars().take(skip + width).collect();
            let shown = cut(&clean_line(&near), skip, width);
            doc.fixed(vec![span(Ink::Muted, lead), span(Ink::Plain, shown)]);
        }
        at
    }
}

fn empty() -> TextArea<'static> {
    let mut text = TextArea::default();
    text.set_wrap_mode(WrapMode::None);
    // A text of this size is not kept twice.
    text.set_max_histories(0);
    text.move_cursor(CursorMove::Top);
    text
}
