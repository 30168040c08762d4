//! Statements that wait for signatures: where they lie, how they are signed, and what came back.

use crossterm::event::{KeyCode, KeyEvent};

use super::{Answer, Sheet, input_line, notice_line};
use crate::console::model::Model;
use crate::console::screen::input::Input;
use crate::console::screen::text::{Doc, Ink, span};
use crate::engine::{STATEMENTS, statement_file};
use crate::promotion::Decision;
use crate::promotion::signature::{KeyStatement, LARGEST_REPLY, Reply};
use crate::untrusted::clean_line;

/// One statement that somebody may sign.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Waiting {
    statement: KeyStatement,
    /// Who has signed for the role.
    signed: Option<String>,
}

/// The sheet.
#[derive(Debug, Clone)]
pub struct SignatureSheet {
    pub gate: String,
    folder: String,
    waiting: Vec<Waiting>,
    chosen: usize,
    /// What was pasted or loaded.
    text: Option<String>,
    path: Option<Input>,
    notice: Option<Result<String, String>>,
    sent: bool,
}

impl SignatureSheet {
    /// Begins for the selected gate; `None` when nothing waits there.
    pub(in crate::console) fn of(model: &Model) -> Option<SignatureSheet> {
        let gate = model.gate()?;
        let statements = model.run().statements_of(&gate.id);
        let approvals = statements
            .into_iter()
            .filter(|of| of.decision == Decision::Approve);
        let waiting = approvals.map(|statement| {
            let signed = gate.signed.of_role(&statement.role);
            Waiting {
                signed: signed.map(|signed| signed.statement.signer.clone()),
                statement,
            }
        });
        // Whoever else could have signed for a role that has signed is not waited for.
        let mut waiting: Vec<Waiting> = waiting.collect();
        waiting.retain(|of| {
            let other = |signer: &String| *signer == of.statement.signer;
            of.signed.as_ref().is_none_or(other)
        });
        let chosen = waiting.iter().position(|of| of.signed.is_none())?;
        Some(SignatureSheet {
            gate: gate.id.clone(),
            folder: format!("{}/{STATEMENTS}", model.folder),
            waiting,
            chosen,
            text: None,
            path: None,
            notice: None,
            sent: false,
        })
    }

    /// Shows who has signed by now, and keeps what was chosen and pasted.
    pub(in crate::console) fn renew(&mut self, fresh: SignatureSheet) {
        let chosen = self.waiting.get(self.chosen).map(|of| &of.statement);
        let still = fresh.waiting.iter();
        let still = still.filter(|of| of.signed.is_none());
        let same = |of: &&Waiting| Some(&of.statement.signer) == chosen.map(|of| &of.signer);
        let at = still.clone().find(same).cloned();
        let position = at.and_then(|at| fresh.waiting.iter().position(|of| *of == at));
        self.chosen = position.unwrap_or(fresh.chosen);
        self.waiting = fresh.waiting;
    }

    pub(super) fn key(&mut self, key: KeyEvent) -> Answer {
        if self.sent {
            return Answer::Stay;
        }
        if self.path.is_some() {
            return self.path_key(key);
        }
        match key.code {
            KeyCode::Down | KeyCode::Tab | KeyCode::Char('j') => self.turn(1),
            KeyCode::Up | KeyCode::BackTab | KeyCode::Char('k') => {
                self.turn(self.waiting.len().saturating_sub(1));
            }
            KeyCode::Char('y') => return self.copy(false),
            KeyCode::Char('Y') => return self.copy(true),
            KeyCode::Char('o') => self.path = Some(Input::default()),
            KeyCode::Enter => return self.hand_in(),
            _ => {}
        }
        Answer::Stay
    }

    /// Goes to the next one that waits.
    fn turn(&mut self, by: usize) {
        let count = self.waiting.len().max(1);
        let steps = (1..=count).map(|step| (self.chosen + step * by) % count);
        let waits = |at: &usize| self.waiting.get(*at).is_some_and(|of| of.signed.is_none());
        let next = steps.into_iter().find(waits);
        self.chosen = next.unwrap_or(self.chosen);
    }

    /// Copies the command that signs, or the statement itself.
    fn copy(&mut self, whole: bool) -> Answer {
        let Some(waiting) = self.waiting.get(self.chosen) else {
            return Answer::Stay;
        };
        let (what, text) = match whole {
            false => ("the command", self.command(waiting)),
            true => {
                let bytes = waiting.statement.canonical();
                (
                    "the statement",
                    String::from_utf8_lossy(&bytes).into_owned(),
                )
            }
        };
        self.notice = Some(Ok(format!(
            "{what} is copied, where this terminal allows it"
        )));
        Answer::Copy(text)
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
            path => Answer::LoadReply(path.to_owned()),
        }
    }

    fn hand_in(&mut self) -> Answer {
        let Some(text) = self.text.take() else {
            self.notice = Some(Err(
                "paste a signed text first, or load a file with o".to_owned()
            ));
            return Answer::Stay;
        };
        self.sent = true;
        self.notice = None;
        Answer::HandIn(text)
    }

    pub(in crate::console) fn paste(&mut self, pasted: &str) {
        if self.sent {
            return;
        }
        if let Some(path) = &mut self.path {
            path.paste(pasted);
            return;
        }
        self.take(pasted);
    }

    /// Takes the text of a file.
    pub(in crate::console) fn loaded(&mut self, text: Result<String, String>) {
        match text {
            Ok(text) => self.take(&text),
            Err(why) => self.notice = Some(Err(why)),
        }
    }

    /// What is no reply at all is said before it is handed in; the journal need not hear of it.
    fn take(&mut self, text: &str) {
        let cut = &text[..text.floor_char_boundary(LARGEST_REPLY + 1)];
        match Reply::read(cut) {
            Ok(_) => {
                self.text = Some(text.to_owned());
                self.notice = None;
            }
            Err(why) => self.notice = Some(Err(format!("not taken: {why}"))),
        }
    }

    /// What became of what was handed in; tells whether the sheet is done.
    pub(in crate::console) fn handed_in(&mut self, result: Result<String, String>) -> bool {
        self.sent = false;
        self.notice = Some(result);
        false
    }

    pub(super) fn refused(&mut self, reason: String) {
        self.sent = false;
        self.notice = Some(Err(reason));
    }

    fn command(&self, waiting: &Waiting) -> String {
        format!(
            "stagegate sign {}/{}",
            self.folder,
            statement_file(&waiting.statement)
        )
    }

    pub(super) fn sheet(&self, width: usize) -> Sheet {
        let mut doc = Doc::new(width);
        doc.text(
            Ink::Plain,
            "Each signs on a machine of their own, with their own key. The signed text comes back by \
             any way: paste it here, or put it beside the statement.",
        );
        doc.blank();
        for (number, waiting) in self.waiting.iter().enumerate() {
            self.line(&mut doc, number, waiting);
        }
        doc.blank();
        let mut cursor = None;
        match (&self.text, &self.path, self.sent) {
            (_, _, true) => doc.text(Ink::Muted, "handed in; it is verified …"),
            (_, Some(path), _) => cursor = Some(input_line(&mut doc, "file > ", path)),
            (Some(text), ..) => {
                let what = format!("a signed text of {} bytes; Enter hands it in", text.len());
                doc.text(Ink::Strong, &what);
            }
            _ => doc.text(Ink::Muted, "nothing is pasted yet"),
        }
        match &self.notice {
            Some(Ok(words)) => {
                doc.blank();
                doc.hanging(&[span(Ink::Good, "✓ ")], Ink::Good, words);
            }
            Some(Err(why)) => notice_line(&mut doc, Some(&format!("refused: {why}"))),
            None => {}
        }
        self.ways(&mut doc);
        let keys = match self.path {
            Some(_) => vec![("Enter", "load it"), ("Esc", "leave it")],
            None => vec![
                ("Enter", "hand in"),
                ("o", "load a file"),
                ("↑ ↓", "who"),
                ("y", "copy the command"),
                ("Y", "the statement"),
                ("Esc", "leave it"),
            ],
        };
        Sheet {
            title: format!("Signatures for `{}`", self.gate),
            danger: false,
            doc,
            cursor,
            keys,
        }
    }

    /// How the chosen statement is signed.
    fn ways(&self, doc: &mut Doc) {
        let Some(waiting) = self.waiting.get(self.chosen) else {
            return;
        };
        let file = statement_file(&waiting.statement);
        let namespace = &waiting.statement.namespace;
        doc.blank();
        doc.text(Ink::Muted, "statements lie in");
        doc.text(Ink::Plain, &clean_line(&self.folder));
        doc.text(Ink::Muted, "signed by");
        doc.text(Ink::Plain, &clean_line(&format!("stagegate sign {file}")));
        doc.text(Ink::Muted, "or, without stagegate,");
        let stock = format!("ssh-keygen -Y sign -n {namespace} -f KEY {file}");
        doc.text(Ink::Plain, &clean_line(&stock));
    }

    fn line(&self, doc: &mut Doc, number: usize, waiting: &Waiting) {
        let mark = match (&waiting.signed, number == self.chosen) {
            (Some(_), _) => span(Ink::Good, "  [x] "),
            (None, true) => span(Ink::Accent, "▸ [ ] "),
            (None, false) => span(Ink::Muted, "  [ ] "),
        };
        let (role, signer) = (&waiting.statement.role, &waiting.statement.signer);
        let state = match &waiting.signed {
            Some(_) => "signed",
            None => "waits",
        };
        let text = clean_line(&format!("{role:<12} {signer}, {state}"));
        doc.hanging(&[mark], Ink::Plain, &text);
    }
}
