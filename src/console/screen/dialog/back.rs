//! The question before a run goes back: which way, which files, why; and the name, typed.

use crossterm::event::{KeyCode, KeyEvent};

use super::ways::{Way, ways};
use super::{Answer, Sheet, input_line, notice_line};
use crate::console::model::Model;
use crate::console::screen::input::Input;
use crate::console::screen::text::{Doc, Ink, span};
use crate::promotion::Command;
use crate::untrusted::clean_line;

/// How many files are shown at a time.
const SHOWN: usize = 10;

/// What is being asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Way,
    Files,
    Reason,
    Name,
}

/// The start of a way back.
#[derive(Debug, Clone)]
pub struct BackSheet {
    ways: Vec<Way>,
    way: usize,
    step: Step,
    file: usize,
    chosen: Vec<String>,
    reason: Input,
    name: Input,
    /// When going back is safe no more, in words.
    last_safe: Option<String>,
    notice: Option<String>,
    sent: bool,
}

impl BackSheet {
    /// The ways back of a run; `None` when its runbook has none.
    pub(in crate::console) fn of(model: &Model) -> Option<BackSheet> {
        let ways = ways(model);
        let way = ways.iter().position(|way| way.closed.is_none());
        Some(BackSheet {
            way: way.unwrap_or(0),
            ways: Some(ways).filter(|ways| !ways.is_empty())?,
            step: Step::Way,
            file: 0,
            chosen: Vec::new(),
            reason: Input::default(),
            name: Input::default(),
            last_safe: last_safe(model),
            notice: None,
            sent: false,
        })
    }

    /// Takes what has become known of the ways since: their plans.
    pub(in crate::console) fn renew(&mut self, model: &Model) {
        self.ways = ways(model);
        self.last_safe = last_safe(model);
    }

    fn current(&self) -> Option<&Way> {
        self.ways.get(self.way)
    }

    fn reading(&self) -> bool {
        self.current().is_some_and(|way| way.reading)
    }

    fn files(&self) -> &[String] {
        let files = self.current().and_then(|way| way.files.as_deref());
        files.unwrap_or_default()
    }

    pub(super) fn key(&mut self, key: KeyEvent) -> Answer {
        if self.sent {
            return Answer::Stay;
        }
        match self.step {
            Step::Way => self.choose_way(key),
            Step::Files => self.choose_files(key),
            Step::Reason if key.code == KeyCode::Enter => {
                if self.reason.text().trim().is_empty() {
                    self.notice = Some("say why; it is read in the journal".to_owned());
                } else {
                    self.go_to(Step::Name);
                }
            }
            Step::Reason => {
                self.reason.key(key);
                self.notice = None;
            }
            Step::Name if key.code == KeyCode::Enter => return self.finish(),
            Step::Name => {
                self.name.key(key);
                self.notice = None;
            }
        }
        Answer::Stay
    }

    fn go_to(&mut self, step: Step) {
        self.step = step;
        self.notice = None;
    }

    fn choose_way(&mut self, key: KeyEvent) {
        let last = self.ways.len().saturating_sub(1);
        match key.code {
            KeyCode::Up | KeyCode::Char('k') => self.way = self.way.saturating_sub(1),
            KeyCode::Down | KeyCode::Char('j') => self.way = (self.way + 1).min(last),
            KeyCode::Enter => {
                let Some(way) = self.current() else { return };
                match (&way.closed, &way.files) {
                    (Some(why), _) => self.notice = Some(why.clone()),
                    (None, Some(_)) => self.go_to(Step::Files),
                    (None, None) => self.go_to(Step::Reason),
                }
            }
            _ => {}
        }
    }

    fn choose_files(&mut self, key: KeyEvent) {
        let last = self.files().len().saturating_sub(1);
        match key.code {
            KeyCode::Up | KeyCode::Char('k') => self.file = self.file.saturating_sub(1),
            KeyCode::Down | KeyCode::Char('j') => self.file = (self.file + 1).min(last),
            KeyCode::Char(' ') => {
                let Some(file) = self.files().get(self.file).cloned() else {
                    return;
                };
                match self.chosen.iter().position(|chosen| *chosen == file) {
                    Some(at) => drop(self.chosen.remove(at)),
                    None => self.chosen.push(file),
                }
                self.notice = None;
            }
            KeyCode::Char('a') => self.chosen = self.files().to_vec(),
            KeyCode::Enter if self.chosen.is_empty() && self.reading() => {
                self.notice = Some("the ledger is still being read".to_owned());
            }
            KeyCode::Enter if self.chosen.is_empty() => {
                self.notice = Some("choose at least one file with Space".to_owned());
            }
            KeyCode::Enter => self.go_to(Step::Reason),
            _ => {}
        }
    }

    fn finish(&mut self) -> Answer {
        let Some(way) = self.current() else {
            return Answer::Close;
        };
        if self.name.text() != way.name {
            self.notice = Some(format!("that is not `{}`; letter by letter", way.name));
            return Answer::Stay;
        }
        // In the order in which they are undone, whatever order they were chosen in.
        let chosen = |file: &&String| self.chosen.contains(file);
        let command = Command::RollBack {
            rollback: way.id.clone(),
            reason: self.reason.text(),
            typed_name: Some(way.name.clone()),
            choices: self.files().iter().filter(chosen).cloned().collect(),
        };
        self.sent = true;
        Answer::Send(Box::new(command))
    }

    pub(super) fn paste(&mut self, text: &str) {
        match self.step {
            Step::Reason => self.reason.paste(text),
            Step::Name => self.notice = Some("pasted text confirms nothing; type it".to_owned()),
            Step::Way | Step::Files => {}
        }
    }

    pub(super) fn refused(&mut self, reason: String) {
        self.sent = false;
        self.name.clear();
        self.notice = Some(reason);
    }

    pub(super) fn sheet(&self, width: usize) -> Sheet {
        let mut doc = Doc::new(width);
        let mut cursor = None;
        match self.step {
            Step::Way => self.show_ways(&mut doc),
            Step::Files => self.show_files(&mut doc),
            Step::Reason => {
                self.show_way(&mut doc);
                doc.text(Ink::Plain, "Why does the run go back?");
                cursor = Some(input_line(&mut doc, "> ", &self.reason));
            }
            Step::Name => {
                self.show_way(&mut doc);
                let text = "From here on no gate of the run itself moves any more. Each gate of \
                            the way back is still confirmed by itself.";
                doc.text(Ink::Plain, text);
                let name = self.current().map_or("", |way| way.name.as_str());
                doc.hanging(&[span(Ink::Plain, "Type to go on: ")], Ink::Strong, name);
                cursor = Some(input_line(&mut doc, "> ", &self.name));
            }
        }
        if self.sent {
            doc.text(Ink::Muted, "asked; waiting for the journal …");
        }
        notice_line(&mut doc, self.notice.as_deref());
        Sheet {
            title: "Roll back?".to_owned(),
            danger: true,
            doc,
            cursor: cursor.filter(|_| !self.sent),
            keys: match self.step {
                Step::Way => vec![
                    ("↑ ↓", "choose"),
                    ("Enter", "this way"),
                    ("Esc", "leave it"),
                ],
                Step::Files => vec![
                    ("Space", "choose"),
                    ("a", "all"),
                    ("Enter", "these"),
                    ("Esc", "leave it"),
                ],
                Step::Reason | Step::Name => vec![("Enter", "go on"), ("Esc", "leave it")],
            },
        }
    }

    fn show_ways(&self, doc: &mut Doc) {
        if let Some(words) = &self.last_safe {
            doc.text(Ink::Warning, words);
            doc.blank();
        }
        for (at, way) in self.ways.iter().enumerate() {
            let mark = if at == self.way { "▸ " } else { "  " };
            let ink = if way.closed.is_some() {
                Ink::Muted
            } else {
                Ink::Strong
            };
            let text = format!("{} ({}, about {} min)", way.title, way.scope, way.minutes);
            doc.hanging(&[span(Ink::Strong, mark)], ink, &text);
            if let Some(why) = &way.closed {
                doc.hanging(
                    &[span(Ink::Muted, "    ")],
                    Ink::Muted,
                    &format!("not now: {why}"),
                );
            }
        }
        doc.blank();
        if let Some(way) = self.current() {
            if !way.help.is_empty() {
                doc.text(Ink::Muted, &way.help);
            }
            doc.text(Ink::Plain, "It would:");
            for (step, against) in &way.steps {
                doc.hanging(&[span(Ink::Muted, "  · ")], Ink::Plain, step);
                if let Some(against) = against {
                    doc.hanging(&[span(Ink::Warning, "    ! ")], Ink::Warning, against);
                }
            }
        }
    }

    fn show_files(&self, doc: &mut Doc) {
        doc.text(
            Ink::Plain,
            "Which of the applied files are undone? The last applied goes first.",
        );
        doc.blank();
        let files = self.files();
        // As many as the smallest screen has room for, the one under the cursor among them.
        let last = files.len().saturating_sub(SHOWN);
        let first = self.file.saturating_sub(SHOWN / 2).min(last);
        if first > 0 {
            doc.text(Ink::Muted, &format!("  ↑ {first} more"));
        }
        for (at, file) in files.iter().enumerate().skip(first).take(SHOWN) {
            let mark = if at == self.file { "▸ " } else { "  " };
            let chosen = self.chosen.contains(file);
            let tick = if chosen { "[x] " } else { "[ ] " };
            let ink = if chosen { Ink::Strong } else { Ink::Plain };
            doc.hanging(
                &[span(Ink::Strong, mark), span(ink, tick)],
                ink,
                &clean_line(file),
            );
        }
        if first < last {
            doc.text(Ink::Muted, &format!("  ↓ {} more", last - first));
        }
        let against = self.current().into_iter().flat_map(|way| &way.steps);
        let mut against = against.filter_map(|(_, against)| against.as_deref());
        if self.reading() {
            doc.text(Ink::Muted, "The ledger is being read …");
        } else if let (true, Some(against)) = (files.is_empty(), against.next()) {
            doc.text(Ink::Warning, &format!("No file can be shown: {against}"));
        } else if files.is_empty() {
            doc.text(
                Ink::Warning,
                "The ledger holds no file that this way undoes.",
            );
        }
    }

    fn show_way(&self, doc: &mut Doc) {
        if let Some(way) = self.current() {
            doc.text(Ink::Strong, &way.title);
            if way.files.is_some() {
                let text = format!("{} files are undone", self.chosen.len());
                doc.text(Ink::Plain, &text);
            }
            doc.blank();
        }
    }
}

fn last_safe(model: &Model) -> Option<String> {
    let window = model.run().definition.window.as_ref()?;
    let countdown = window.countdown(model.run().opened, model.now)?;
    let at = crate::console::screen::times::clock(countdown.last_safe_rollback, &model.zone);
    Some(if countdown.until_last_safe_rollback.is_negative() {
        format!("The last safe moment to go back was {at}: it may end outside the window.")
    } else {
        format!("The last safe moment to go back is {at}.")
    })
}
