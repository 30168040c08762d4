//! A person in a role approves or rejects. Nothing is preselected that would decide for them.

use crossterm::event::{KeyCode, KeyEvent};

use super::fields::{button, choice, mark, step, turn};
use super::{Answer, Sheet, input_line, notice_line};
use crate::console::model::Model;
use crate::console::screen::input::Input;
use crate::console::screen::text::{Doc, Ink, span};
use crate::promotion::{Command, Decision, Nature, RoleDefinition};
use crate::untrusted::clean_line;

/// A field of the sheet, from top to bottom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Field {
    Role,
    Person,
    Decision,
    Note,
    Sign,
}

const FIELDS: [Field; 5] = [
    Field::Role,
    Field::Person,
    Field::Decision,
    Field::Note,
    Field::Sign,
];

/// A sign-off that is being filled in.
#[derive(Debug, Clone)]
pub struct SignSheet {
    pub gate: String,
    title: String,
    distinct: bool,
    /// Roles that have not signed yet.
    roles: Vec<RoleDefinition>,
    /// Which gates were left out, where some were.
    left_out: Option<String>,
    role: usize,
    person: usize,
    decision: Option<Decision>,
    note: Input,
    field: Field,
    notice: Option<String>,
    sent: bool,
}

impl SignSheet {
    /// Begins the sign-off of the selected gate; `None` when nobody signs it.
    pub(in crate::console) fn of(model: &Model) -> Option<SignSheet> {
        let (gate, definition) = (model.gate()?, model.definition()?);
        let Nature::SignOff {
            roles,
            distinct,
            keys: false,
        } = &definition.nature
        else {
            return None;
        };
        let roles: Vec<RoleDefinition> = roles
            .iter()
            .filter(|role| gate.statements.iter().all(|said| said.role != **role))
            .filter_map(|role| model.run().definition.role(role).cloned())
            .collect();
        // The operator may be one of them.
        let me = &model.actor.name;
        let role = roles
            .iter()
            .position(|role| role.members.contains(me))
            .unwrap_or(0);
        let person = roles
            .get(role)
            .and_then(|role| role.members.iter().position(|member| member == me))
            .unwrap_or(0);
        Some(SignSheet {
            gate: gate.id.clone(),
            title: clean_line(&definition.title),
            distinct: *distinct,
            left_out: crate::console::screen::reminder(model.run()),
            roles,
            role,
            person,
            decision: None,
            note: Input::default(),
            field: Field::Role,
            notice: None,
            sent: false,
        })
    }

    /// The role that is chosen.
    pub fn role(&self) -> Option<&RoleDefinition> {
        self.roles.get(self.role)
    }

    /// The person that is chosen.
    pub fn person(&self) -> Option<String> {
        self.role()?.members.get(self.person).cloned()
    }

    pub(super) fn key(&mut self, key: KeyEvent) -> Answer {
        if self.sent {
            return Answer::Stay;
        }
        match key.code {
            KeyCode::Tab | KeyCode::Down => self.go(1),
            KeyCode::BackTab | KeyCode::Up => self.go(-1),
            KeyCode::Enter if self.field == Field::Sign => return self.send(),
            KeyCode::Enter => self.go(1),
            _ if self.field == Field::Note => {
                self.note.key(key);
            }
            KeyCode::Left | KeyCode::Char('h') => self.choose(-1),
            KeyCode::Right | KeyCode::Char('l' | ' ') => self.choose(1),
            KeyCode::Char('j') => self.go(1),
            KeyCode::Char('k') => self.go(-1),
            KeyCode::Char('a') if self.field == Field::Decision => {
                self.decision = Some(Decision::Approve);
            }
            KeyCode::Char('r' | 'x') if self.field == Field::Decision => {
                self.decision = Some(Decision::Reject);
            }
            _ => {}
        }
        Answer::Stay
    }

    fn go(&mut self, by: isize) {
        self.field = step(&FIELDS, self.field, by);
        self.notice = None;
    }

    fn choose(&mut self, by: isize) {
        match self.field {
            Field::Role => {
                self.role = turn(self.role, self.roles.len(), by);
                self.person = 0;
            }
            Field::Person => {
                let members = self.role().map_or(0, |role| role.members.len());
                self.person = turn(self.person, members, by);
            }
            Field::Decision => {
                self.decision = Some(match self.decision {
                    Some(Decision::Approve) => Decision::Reject,
                    Some(Decision::Reject) => Decision::Approve,
                    None if by > 0 => Decision::Approve,
                    None => Decision::Reject,
                });
            }
            Field::Note | Field::Sign => {}
        }
    }

    fn send(&mut self) -> Answer {
        let (Some(role), Some(person)) = (self.role(), self.person()) else {
            self.notice = Some("this role has no members".to_owned());
            return Answer::Stay;
        };
        let Some(decision) = self.decision else {
            self.notice = Some("say first whether you approve or reject".to_owned());
            self.field = Field::Decision;
            return Answer::Stay;
        };
        if decision == Decision::Reject && self.note.text().trim().is_empty() {
            self.notice = Some("a rejection ends the run; say why in the note".to_owned());
            self.field = Field::Note;
            return Answer::Stay;
        }
        let command = Command::Sign {
            gate: self.gate.clone(),
            role: role.name.clone(),
            person,
            decision,
            note: self.note.text(),
        };
        self.sent = true;
        Answer::Send(Box::new(command))
    }

    pub(super) fn paste(&mut self, text: &str) {
        if self.field == Field::Note && !self.sent {
            self.note.paste(text);
        }
    }

    pub(super) fn refused(&mut self, reason: String) {
        self.sent = false;
        self.notice = Some(reason);
    }

    pub(super) fn sheet(&self, width: usize) -> Sheet {
        let mut doc = Doc::new(width);
        doc.text(Ink::Strong, &self.title);
        let rule = if self.distinct {
            "Each role is signed by another person. One rejection ends the run."
        } else {
            "One rejection ends the run."
        };
        doc.text(Ink::Muted, rule);
        if let Some(text) = &self.left_out {
            doc.hanging(&[span(Ink::Warning, "! ")], Ink::Warning, text);
        }
        doc.blank();
        let role = self.role().map_or(String::new(), |role| {
            format!("{} ({})", clean_line(&role.title), role.name)
        });
        let choices = |count: usize| count > 1;
        self.choice(
            &mut doc,
            Field::Role,
            "role",
            &role,
            choices(self.roles.len()),
        );
        let person = clean_line(&self.person().unwrap_or_else(|| "nobody".to_owned()));
        let members = self.role().map_or(0, |role| role.members.len());
        self.choice(&mut doc, Field::Person, "person", &person, choices(members));
        let decision = match self.decision {
            None => "not decided: a approves, x rejects",
            Some(Decision::Approve) => "approve",
            Some(Decision::Reject) => "REJECT: this ends the run",
        };
        self.choice(&mut doc, Field::Decision, "decision", decision, true);
        let lead = format!("{} note       ", self.mark(Field::Note));
        let cursor = input_line(&mut doc, &lead, &self.note);
        button(&mut doc, "sign", self.field == Field::Sign);
        if self.sent {
            doc.text(Ink::Muted, "asked; waiting for the journal …");
        }
        notice_line(&mut doc, self.notice.as_deref());
        let keys = match self.field {
            Field::Sign => vec![("Enter", "sign"), ("↑", "back"), ("Esc", "leave it")],
            Field::Decision => vec![
                ("a", "approve"),
                ("x", "reject"),
                ("↓", "next"),
                ("Esc", "leave it"),
            ],
            Field::Note => vec![("Enter", "next"), ("Esc", "leave it")],
            _ => vec![("← →", "choose"), ("↓", "next"), ("Esc", "leave it")],
        };
        Sheet {
            title: format!("Sign `{}`", self.gate),
            danger: self.decision == Some(Decision::Reject),
            doc,
            cursor: (self.field == Field::Note && !self.sent).then_some(cursor),
            keys,
        }
    }

    fn mark(&self, field: Field) -> &'static str {
        mark(self.field == field)
    }

    fn choice(&self, doc: &mut Doc, field: Field, name: &str, value: &str, several: bool) {
        let here = self.field == field;
        let ink = match (field, self.decision) {
            (Field::Decision, Some(Decision::Approve)) => Ink::Good,
            (Field::Decision, Some(Decision::Reject)) => Ink::Bad,
            (Field::Decision, None) => Ink::Muted,
            _ if here => Ink::Strong,
            _ => Ink::Plain,
        };
        let lead = format!("{} {name:<9}", mark(here));
        choice(doc, &lead, value, ink, here && several);
    }
}
