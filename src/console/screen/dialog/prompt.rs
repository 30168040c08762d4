//! Questions that are answered with one line of text.

use crossterm::event::{KeyCode, KeyEvent};

use super::{Answer, Sheet, input_line, notice_line};
use crate::console::model::Model;
use crate::console::screen::detail;
use crate::console::screen::input::Input;
use crate::console::screen::text::{Doc, Ink};
use crate::promotion::signature::{Purpose, WaiverRule};
use crate::promotion::{Command, InputKind, Nature};
use crate::untrusted::clean_line;

/// What the text is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PromptKind {
    Note(Option<String>),
    Value {
        gate: String,
        item: usize,
        text: String,
        kind: InputKind,
        unit: Option<String>,
    },
    Waive(String),
    /// The same, where signatures waive.
    WaiveByKeys(String, Purpose, WaiverRule),
    Hold,
    Abandon,
}

/// A question and the answer so far.
#[derive(Debug, Clone)]
pub struct Prompt {
    pub kind: PromptKind,
    input: Input,
    notice: Option<String>,
    sent: bool,
}

impl Prompt {
    fn new(kind: PromptKind) -> Prompt {
        Prompt {
            kind,
            input: Input::default(),
            notice: None,
            sent: false,
        }
    }

    /// Asks for a remark.
    pub(in crate::console) fn note(gate: Option<String>) -> Prompt {
        Prompt::new(PromptKind::Note(gate))
    }

    /// Asks why a gate is passed over.
    pub(in crate::console) fn waive(gate: &str) -> Prompt {
        Prompt::new(PromptKind::Waive(gate.to_owned()))
    }

    /// Asks why a gate is to be passed over, before anybody signs that.
    pub(in crate::console) fn waive_by_keys(
        gate: &str,
        purpose: Purpose,
        rule: WaiverRule,
    ) -> Prompt {
        Prompt::new(PromptKind::WaiveByKeys(gate.to_owned(), purpose, rule))
    }

    /// Asks why the run is held.
    pub(in crate::console) fn hold() -> Prompt {
        Prompt::new(PromptKind::Hold)
    }

    /// Asks why the run is given up.
    pub(in crate::console) fn abandon() -> Prompt {
        Prompt::new(PromptKind::Abandon)
    }

    /// Asks for the value of a checklist item, if it wants one.
    pub(in crate::console) fn value(model: &Model, gate: &str, item: usize) -> Option<Prompt> {
        let Nature::Items(items) = &model.run().definition_of(gate)?.nature else {
            return None;
        };
        let definition = items.get(item)?;
        Some(Prompt::new(PromptKind::Value {
            gate: gate.to_owned(),
            item,
            text: detail::item_text(model, gate, item),
            kind: definition.input?,
            unit: definition.unit.clone(),
        }))
    }

    pub(super) fn key(&mut self, key: KeyEvent) -> Answer {
        if self.sent {
            return Answer::Stay;
        }
        if key.code != KeyCode::Enter {
            if self.input.key(key) {
                self.notice = None;
            }
            return Answer::Stay;
        }
        let text = self.input.text();
        if text.trim().is_empty() {
            self.notice = Some("nothing was typed".to_owned());
            return Answer::Stay;
        }
        self.sent = true;
        if let PromptKind::WaiveByKeys(gate, purpose, _) = &self.kind {
            return Answer::AskSignatures {
                gate: gate.clone(),
                purpose: *purpose,
                reason: text,
            };
        }
        Answer::Send(Box::new(self.command(text)))
    }

    fn command(&self, text: String) -> Command {
        match &self.kind {
            PromptKind::Note(gate) => Command::Note {
                gate: gate.clone(),
                text,
            },
            PromptKind::Value { gate, item, .. } => Command::ConfirmItem {
                gate: gate.clone(),
                item: *item,
                value: Some(text),
            },
            PromptKind::Waive(gate) | PromptKind::WaiveByKeys(gate, ..) => Command::Waive {
                gate: gate.clone(),
                reason: text,
            },
            PromptKind::Hold => Command::Hold { reason: text },
            PromptKind::Abandon => Command::Abandon { reason: text },
        }
    }

    pub(super) fn paste(&mut self, text: &str) {
        if !self.sent {
            self.input.paste(text);
        }
    }

    pub(super) fn refused(&mut self, reason: String) {
        self.sent = false;
        self.notice = Some(reason);
    }

    pub(super) fn sheet(&self, width: usize) -> Sheet {
        let mut doc = Doc::new(width);
        let title = self.words(&mut doc);
        doc.blank();
        let lead = match &self.kind {
            PromptKind::Value { unit: Some(u), .. } => format!("{u} > "),
            _ => "> ".to_owned(),
        };
        let cursor = input_line(&mut doc, &lead, &self.input);
        let least = match &self.kind {
            PromptKind::Waive(_) => Some(20),
            PromptKind::WaiveByKeys(_, _, rule) => Some(rule.reason),
            _ => None,
        };
        if let Some(least) = least {
            let typed = self.input.text().trim().chars().count();
            doc.text(
                Ink::Muted,
                &format!("{typed} of at least {least} characters"),
            );
        }
        if self.sent {
            doc.text(Ink::Muted, "asked; waiting for the journal …");
        }
        notice_line(&mut doc, self.notice.as_deref());
        let verb = match self.kind {
            PromptKind::Note(_) => "write it",
            PromptKind::Value { .. } => "confirm the item",
            PromptKind::Waive(_) => "waive the gate",
            PromptKind::WaiveByKeys(..) => "ask for signatures",
            PromptKind::Hold => "hold the run",
            PromptKind::Abandon => "abandon the run",
        };
        Sheet {
            title,
            danger: matches!(
                self.kind,
                PromptKind::Abandon | PromptKind::WaiveByKeys(_, Purpose::BreakGlass, _)
            ),
            doc,
            cursor: (!self.sent).then_some(cursor),
            keys: vec![("Enter", verb), ("Esc", "leave it")],
        }
    }

    /// Writes what is asked; returns the title.
    fn words(&self, doc: &mut Doc) -> String {
        match &self.kind {
            PromptKind::Note(Some(gate)) => {
                doc.text(Ink::Plain, "A remark for whoever reads the journal.");
                format!("Note on `{gate}`")
            }
            PromptKind::Note(None) => {
                doc.text(Ink::Plain, "A remark for whoever reads the journal.");
                "Note".to_owned()
            }
            PromptKind::Value { text, kind, .. } => {
                doc.text(Ink::Strong, text);
                doc.text(
                    Ink::Muted,
                    match kind {
                        InputKind::Number => "a number, such as 12.5",
                        InputKind::Text => "a text",
                    },
                );
                "Confirm with a value".to_owned()
            }
            PromptKind::Waive(gate) => {
                let text = "The run goes on although this gate did not pass. The reason is read \
                            by somebody who was not there.";
                doc.text(Ink::Plain, text);
                format!("Waive `{gate}`: why?")
            }
            PromptKind::WaiveByKeys(gate, purpose, rule) => by_keys(doc, gate, *purpose, rule),
            PromptKind::Hold => {
                let text = "Nothing is started until somebody resumes the run. Work in flight \
                            goes on to its end.";
                doc.text(Ink::Plain, text);
                "Hold the run: why?".to_owned()
            }
            PromptKind::Abandon => {
                let text = "The run ends for good and cannot be continued. What was applied \
                            stays applied.";
                doc.text(Ink::Warning, text);
                "Abandon the run: why?".to_owned()
            }
        }
    }
}

/// Says what the signatures of a waiver do; returns the title.
fn by_keys(doc: &mut Doc, gate: &str, purpose: Purpose, rule: &WaiverRule) -> String {
    let (title, ink, text) = match purpose {
        Purpose::BreakGlass => (
            format!("BREAK THE GLASS for `{gate}`: why?"),
            Ink::Warning,
            "The run goes on although this gate did not pass, and without the roles that should \
             have waived it. A red mark stays on the run and in every report.",
        ),
        _ => (
            format!("Waive `{gate}`: why?"),
            Ink::Plain,
            "The run goes on although this gate did not pass, once enough people have signed \
             this. The reason is signed too.",
        ),
    };
    doc.text(ink, text);
    let who = format!(
        "{} of these sign: {}",
        rule.signatures,
        rule.roles.join(", ")
    );
    doc.text(Ink::Muted, &clean_line(&who));
    title
}
