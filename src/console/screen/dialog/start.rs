//! The question before a gate acts: what, where, by which plan; on production its name is typed.

use crossterm::event::{KeyCode, KeyEvent};

use super::{Answer, Sheet, input_line, notice_line};
use crate::console::model::Model;
use crate::console::screen::Verb;
use crate::console::screen::act::starting;
use crate::console::screen::input::Input;
use crate::console::screen::text::{Doc, Ink, clip, span};
use crate::gate::TargetStatus;
use crate::promotion::GateState;
use crate::runbook::Environment;
use crate::untrusted::clean_line;

/// Everything that a confirmation is about. When any of it changes, what was typed is void.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    pub gate: String,
    pub title: String,
    pub verb: Verb,
    pub target: Option<(String, Environment)>,
    /// The name that must be typed.
    pub name: Option<String>,
    /// Who answers there, with the fingerprint.
    pub server: String,
    pub digest: String,
    pub summary: String,
    pub refuses: Option<String>,
    state: GateState,
    attempt: u32,
}

impl Subject {
    /// What starting the selected gate is about; `None` when its plan is not there.
    pub fn of(model: &Model, verb: Verb) -> Option<Subject> {
        let id = model.gate()?.id.clone();
        Subject::of_gate(model, &id, verb)
    }

    /// What starting a gate is about.
    pub fn of_gate(model: &Model, id: &str, verb: Verb) -> Option<Subject> {
        let gate = model.run().gate(id)?;
        let definition = model.run().definition_of(id)?;
        let plan = model.snapshot.plans.get(id)?;
        let target = model.target_of(id);
        let status = target.and_then(|target| model.snapshot.targets.get(&target.name));
        Some(Subject {
            gate: id.to_owned(),
            title: clean_line(&definition.title),
            verb,
            target: target.map(|target| (target.name.clone(), target.environment)),
            name: definition.typed_name.clone(),
            server: server(status),
            digest: plan.digest.clone(),
            summary: plan.summary.clone(),
            refuses: plan.refuses.clone(),
            state: gate.state,
            attempt: gate.attempt,
        })
    }

    /// Tells whether the gate can still be started this way.
    pub fn is_startable(&self) -> bool {
        match self.verb {
            Verb::Start => matches!(self.state, GateState::Pending | GateState::Stale),
            Verb::Retry => self.state.may_retry(),
        }
    }
}

fn server(status: Option<&TargetStatus>) -> String {
    match status {
        Some(TargetStatus::Connected(identity)) => clean_line(&identity.describe()),
        Some(TargetStatus::Failed(reason)) => format!("not reached: {}", clean_line(reason)),
        Some(TargetStatus::Held(holder)) => format!("held by {}", clean_line(holder)),
        Some(TargetStatus::NotAsked | TargetStatus::Connecting) => "not connected yet".to_owned(),
        None => String::new(),
    }
}

/// The confirmation of a start.
#[derive(Debug, Clone)]
pub struct StartSheet {
    pub subject: Subject,
    input: Input,
    notice: Option<String>,
    sent: bool,
}

impl StartSheet {
    pub(in crate::console) fn new(subject: Subject) -> StartSheet {
        StartSheet {
            subject,
            input: Input::default(),
            notice: None,
            sent: false,
        }
    }

    pub(super) fn key(&mut self, key: KeyEvent) -> Answer {
        if self.sent {
            return Answer::Stay;
        }
        let Some(name) = self.subject.name.clone() else {
            return match key.code {
                KeyCode::Enter | KeyCode::Char('y') => self.send(None),
                KeyCode::Char('n') => Answer::Close,
                _ => Answer::Stay,
            };
        };
        if key.code != KeyCode::Enter {
            self.input.key(key);
            self.notice = None;
            return Answer::Stay;
        }
        if self.input.text() == name {
            return self.send(Some(name));
        }
        self.notice = Some(if self.input.is_empty() {
            format!("nothing was typed; type {name} to go on, Esc to leave it")
        } else {
            format!("that is not `{name}`; it must be the same, letter by letter")
        });
        Answer::Stay
    }

    fn send(&mut self, typed: Option<String>) -> Answer {
        self.sent = true;
        self.notice = None;
        let subject = &self.subject;
        let plan = Some(subject.digest.clone());
        Answer::Send(Box::new(starting(subject.verb, &subject.gate, plan, typed)))
    }

    pub(super) fn refuse_paste(&mut self) {
        self.notice = Some(match &self.subject.name {
            Some(name) => format!("pasted text confirms nothing; type {name}"),
            None => "pasted text confirms nothing; press y or Esc".to_owned(),
        });
    }

    pub(super) fn refused(&mut self, reason: String) {
        self.sent = false;
        self.input.clear();
        self.notice = Some(reason);
    }

    /// Compares with what the world is now. What was typed for another subject is void.
    pub(in crate::console) fn renew(&mut self, now: Subject) {
        if now == self.subject || self.sent {
            return;
        }
        let what = if now.digest != self.subject.digest {
            "the plan has changed"
        } else if now.server != self.subject.server {
            "another answer came from the server"
        } else {
            "the gate has changed"
        };
        self.notice = Some(format!(
            "{what} while this was open; look again, then confirm"
        ));
        self.subject = now;
        self.input.clear();
    }

    pub(super) fn sheet(&self, width: usize) -> Sheet {
        let subject = &self.subject;
        let mut doc = Doc::new(width);
        doc.text(Ink::Strong, &subject.title);
        doc.text(Ink::Plain, &subject.summary);
        doc.blank();
        if let Some((target, environment)) = &subject.target {
            let ink = match environment {
                Environment::Production => Ink::Bad,
                _ => Ink::Strong,
            };
            let word = environment.word().to_uppercase();
            doc.pair("on", ink, &format!("{target}  {word}"));
            doc.pair("server", Ink::Plain, &subject.server);
        }
        doc.pair("plan", Ink::Plain, &clip(&subject.digest, 17));
        if let Some(reason) = &subject.refuses {
            doc.blank();
            let text = format!("as planned it would refuse: {reason}");
            doc.hanging(&[span(Ink::Warning, "! ")], Ink::Warning, &text);
        }
        doc.blank();
        let cursor = self.question(&mut doc);
        notice_line(&mut doc, self.notice.as_deref());
        let keys = if self.subject.name.is_some() {
            vec![("Enter", "confirm"), ("Esc", "leave it")]
        } else {
            vec![("y", "confirm"), ("Esc", "leave it")]
        };
        Sheet {
            title: match subject.verb {
                Verb::Start => format!("Start `{}`?", subject.gate),
                Verb::Retry => format!("Retry `{}`?", subject.gate),
            },
            danger: subject.name.is_some(),
            doc,
            cursor,
            keys,
        }
    }

    fn question(&self, doc: &mut Doc) -> Option<(usize, usize)> {
        if self.sent {
            doc.text(Ink::Muted, "asked; waiting for the journal …");
            return None;
        }
        let Some(name) = &self.subject.name else {
            doc.text(Ink::Plain, "It acts. Press y or Enter to go on.");
            return None;
        };
        doc.hanging(
            &[span(Ink::Plain, "Type the name of the target to go on: ")],
            Ink::Strong,
            name,
        );
        if !name.is_ascii() {
            let points: Vec<String> = name
                .chars()
                .filter(|c| !c.is_ascii())
                .map(|c| format!("{c} is U+{:04X}", c as u32))
                .collect();
            doc.text(Ink::Warning, &points.join(", "));
        }
        Some(input_line(doc, "> ", &self.input))
    }
}
