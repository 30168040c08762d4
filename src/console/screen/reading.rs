//! Moving and searching in the log, the journal and the closing page; the search line of every screen.

use std::sync::Arc;

use crossterm::event::{KeyCode, KeyEvent};

use super::dialog::is_interrupt;
use super::review::files_say;
use super::{Screen, diff, git, locks, run};
use crate::console::keymap::Action;
use crate::console::model::{Model, Tone};
use crate::console::msg::Effect;

pub(in crate::console) fn in_search(model: &mut Model, key: KeyEvent) {
    let Some(input) = &mut model.search else {
        return;
    };
    match key.code {
        KeyCode::Esc => model.search = None,
        KeyCode::Enter => {
            let text = input.text();
            model.search = None;
            if !text.is_empty() {
                search(model, text);
            }
        }
        KeyCode::Backspace if input.is_empty() => model.search = None,
        _ if is_interrupt(key) => model.search = None,
        _ => {
            input.key(key);
        }
    }
}

fn search(model: &mut Model, text: String) {
    match model.screen {
        Screen::Run | Screen::Closing => run::find(model, &text),
        Screen::Diff => diff::search(model, text),
        Screen::Files => {
            let said = model.files.search(text);
            files_say(model, said);
        }
        Screen::Git => git::search(model, text),
        Screen::Locks => locks::search(model, text),
        Screen::Log => {
            model.log.pattern = text;
            find(model, true);
        }
        Screen::Journal => {
            model.journal.pattern = text;
            find(model, true);
        }
    }
}

fn find(model: &mut Model, forwards: bool) {
    let (found, pattern) = match model.screen {
        Screen::Journal => {
            let records = Arc::clone(&model.snapshot.records);
            let found = model.journal.find(&records, forwards);
            (found, model.journal.pattern.clone())
        }
        _ => (model.log.find(forwards), model.log.pattern.clone()),
    };
    if !found {
        model.say(Tone::Refusal, format!("`{pattern}` is nowhere here"));
    }
}

pub(in crate::console) fn reading_log(model: &mut Model, action: Action) -> Vec<Effect> {
    let pager = &mut model.log.pager;
    match action {
        Action::Up => pager.by(-1),
        Action::Down => pager.by(1),
        Action::PageUp => pager.page(-1),
        Action::PageDown => pager.page(1),
        Action::Top => pager.top(),
        Action::Bottom | Action::Follow => {
            pager.bottom();
            pager.follow = true;
        }
        Action::Next => find(model, true),
        Action::Previous => find(model, false),
        _ => {}
    }
    Vec::new()
}

pub(in crate::console) fn reading_closing(model: &mut Model, action: Action) -> Vec<Effect> {
    let pager = &mut model.closing;
    match action {
        Action::Up => pager.by(-1),
        Action::Down => pager.by(1),
        Action::PageUp => pager.page(-1),
        Action::PageDown => pager.page(1),
        Action::Top => pager.top(),
        Action::Bottom => pager.bottom(),
        _ => {}
    }
    Vec::new()
}

pub(in crate::console) fn reading_journal(model: &mut Model, action: Action) -> Vec<Effect> {
    let journal = &mut model.journal;
    match action {
        Action::Up => journal.by(-1),
        Action::Down => journal.by(1),
        Action::PageUp => journal.page(-1),
        Action::PageDown => journal.page(1),
        Action::Top => journal.top(),
        Action::Bottom | Action::Follow => journal.bottom(),
        Action::Next => find(model, true),
        Action::Previous => find(model, false),
        _ => {}
    }
    Vec::new()
}
