//! What is done about a difference, who approved it, and why. Nothing is preselected.

use crossterm::event::{KeyCode, KeyEvent};

use super::fields::{button, choice, mark, step, turn};
use super::{Answer, Sheet, input_line, notice_line};
use crate::console::model::Model;
use crate::console::screen::input::Input;
use crate::console::screen::text::{Doc, Ink};
use crate::gate::Evidence;
use crate::promotion::{Command, Remedy};
use crate::untrusted::clean_line;

/// A field of the sheet, from top to bottom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Field {
    Remedy,
    Approver,
    Reason,
    Decide,
}

const FIELDS: [Field; 4] = [Field::Remedy, Field::Approver, Field::Reason, Field::Decide];

/// A decision that is being taken.
#[derive(Debug, Clone)]
pub struct DecideSheet {
    pub gate: String,
    title: String,
    /// What the gate found, in one line, with what that calls for.
    found: String,
    remedy: Option<Remedy>,
    /// Who may approve; anybody types a name when nobody is listed.
    approvers: Vec<String>,
    approver: Option<usize>,
    name: Input,
    reason: Input,
    field: Field,
    notice: Option<String>,
    sent: bool,
}

impl DecideSheet {
    /// Begins the decision about the selected gate; `None` where nothing is decided.
    pub(in crate::console) fn of(model: &Model) -> Option<DecideSheet> {
        let (gate, definition) = (model.gate()?, model.definition()?);
        let roles = definition.approvers.as_ref()?;
        let mut approvers: Vec<String> = roles
            .iter()
            .filter_map(|role| model.run().definition.role(role))
            .flat_map(|role| role.members.clone())
            .collect();
        approvers.sort();
        approvers.dedup();
        let seen = match model.snapshot.evidence.get(&gate.id).map(AsRef::as_ref) {
            Some(Evidence::Drift { seen, .. }) => seen.direction(),
            _ => None,
        };
        let found = seen.map_or_else(String::new, |direction| {
            format!(
                "The database is {}: {}.",
                direction.word(),
                direction.remedy()
            )
        });
        Some(DecideSheet {
            gate: gate.id.clone(),
            title: clean_line(&definition.title),
            found,
            remedy: None,
            approvers,
            approver: None,
            name: Input::default(),
            reason: Input::default(),
            field: Field::Remedy,
            notice: None,
            sent: false,
        })
    }

    pub(super) fn key(&mut self, key: KeyEvent) -> Answer {
        if self.sent {
            return Answer::Stay;
        }
        match key.code {
            KeyCode::Tab | KeyCode::Down => self.go(1),
            KeyCode::BackTab | KeyCode::Up => self.go(-1),
            KeyCode::Enter if self.field == Field::Decide => return self.send(),
            KeyCode::Enter => self.go(1),
            _ if self.field == Field::Reason => {
                self.reason.key(key);
            }
            _ if self.field == Field::Approver && self.approvers.is_empty() => {
                self.name.key(key);
            }
            KeyCode::Left | KeyCode::Char('h') => self.choose(-1),
            KeyCode::Right | KeyCode::Char('l' | ' ') => self.choose(1),
            KeyCode::Char(digit @ '1'..='3') if self.field == Field::Remedy => {
                let at = digit as usize - '1' as usize;
                self.remedy = Remedy::ALL.get(at).copied();
            }
            KeyCode::Char('j') => self.go(1),
            KeyCode::Char('k') => self.go(-1),
            _ => {}
        }
        Answer::Stay
    }

    fn go(&mut self, by: isize) {
        self.field = step(&FIELDS, self.field, by);
        self.notice = None;
    }

    fn choose(&mut self, by: isize) {
        let turned = |at: Option<usize>, count: usize| match at {
            None if by > 0 => 0,
            None => count.saturating_sub(1),
            Some(at) => turn(at, count, by),
        };
        match self.field {
            Field::Remedy => {
                let at = Remedy::ALL.iter().position(|one| Some(*one) == self.remedy);
                self.remedy = Remedy::ALL.get(turned(at, Remedy::ALL.len())).copied();
            }
            Field::Approver => self.approver = Some(turned(self.approver, self.approvers.len())),
            Field::Reason | Field::Decide => {}
        }
    }

    fn approved_by(&self) -> String {
        match self.approver.and_then(|at| self.approvers.get(at)) {
            Some(member) => member.clone(),
            None => self.name.text(),
        }
    }

    fn send(&mut self) -> Answer {
        let Some(remedy) = self.remedy else {
            self.notice = Some("say first what is done about it".to_owned());
            self.field = Field::Remedy;
            return Answer::Stay;
        };
        self.sent = true;
        Answer::Send(Box::new(Command::DecideRemedy {
            gate: self.gate.clone(),
            remedy,
            approved_by: self.approved_by(),
            reason: self.reason.text(),
        }))
    }

    pub(super) fn paste(&mut self, text: &str) {
        match self.field {
            Field::Reason if !self.sent => self.reason.paste(text),
            Field::Approver if !self.sent && self.approvers.is_empty() => self.name.paste(text),
            _ => {}
        }
    }

    pub(super) fn refused(&mut self, reason: String) {
        self.sent = false;
        self.notice = Some(reason);
    }

    pub(super) fn sheet(&self, width: usize) -> Sheet {
        let mut doc = Doc::new(width);
        doc.text(Ink::Strong, &self.title);
        if !self.found.is_empty() {
            doc.text(Ink::Plain, &self.found);
        }
        doc.text(
            Ink::Muted,
            "It is written into the journal and the changelog. The gate stays failed: it passes when it is \
             retried and both sides are the same.",
        );
        doc.blank();
        let remedy = self
            .remedy
            .map_or("not decided: 1, 2, 3 or → choose", Remedy::words);
        self.choice(
            &mut doc,
            Field::Remedy,
            "decision",
            remedy,
            self.remedy.is_some(),
        );
        let mut cursor = None;
        if self.approvers.is_empty() {
            let lead = format!("{} approved by ", self.mark(Field::Approver));
            let at = input_line(&mut doc, &lead, &self.name);
            cursor = (self.field == Field::Approver).then_some(at);
        } else {
            let chosen = self.approver.is_some();
            let name = match chosen {
                true => clean_line(&self.approved_by()),
                false => "nobody yet: → chooses".to_owned(),
            };
            self.choice(&mut doc, Field::Approver, "approved by", &name, chosen);
        }
        let lead = format!("{} reason      ", self.mark(Field::Reason));
        let at = input_line(&mut doc, &lead, &self.reason);
        if self.field == Field::Reason {
            cursor = Some(at);
        }
        button(&mut doc, "decide", self.field == Field::Decide);
        if self.sent {
            doc.text(Ink::Muted, "asked; waiting for the journal …");
        }
        notice_line(&mut doc, self.notice.as_deref());
        let keys = match self.field {
            Field::Decide => vec![("Enter", "decide"), ("↑", "back"), ("Esc", "leave it")],
            Field::Reason => vec![("Enter", "next"), ("Esc", "leave it")],
            _ => vec![("← →", "choose"), ("↓", "next"), ("Esc", "leave it")],
        };
        Sheet {
            title: format!("What is done about `{}`?", self.gate),
            danger: false,
            doc,
            cursor: cursor.filter(|_| !self.sent),
            keys,
        }
    }

    fn mark(&self, field: Field) -> &'static str {
        mark(self.field == field)
    }

    fn choice(&self, doc: &mut Doc, field: Field, name: &str, value: &str, chosen: bool) {
        let here = self.field == field;
        let ink = match (chosen, here) {
            (false, _) => Ink::Muted,
            (true, true) => Ink::Strong,
            (true, false) => Ink::Plain,
        };
        let lead = format!("{} {name:<12}", mark(here));
        choice(doc, &lead, value, ink, here);
    }
}
