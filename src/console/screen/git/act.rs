//! What keys do on the screen of the repository.

use super::{GitScreen, source};
use crate::console::keymap::Action;
use crate::console::model::{Focus, Model, Tone};
use crate::console::msg::Effect;
use crate::console::screen::{Screen, review};

/// Opens the screen on the repository of the selected gate.
pub fn open(model: &mut Model) {
    if model.screen == Screen::Run {
        let selected = model.gate().map(|gate| gate.id.clone());
        let request = source(&model.snapshot, selected.as_deref());
        model.git.watch(request);
    } else if model.git.watched.is_none() {
        let request = source(&model.snapshot, None);
        model.git.watch(request);
    }
    model.screen = Screen::Git;
}

/// Carries an action out.
pub fn act(model: &mut Model, action: Action) -> Vec<Effect> {
    let git = &mut model.git;
    let in_list = git.focus == Focus::List;
    let page = git.list.height.saturating_sub(1).max(1) as isize;
    match action {
        Action::Up if in_list => git.by(-1),
        Action::Down if in_list => git.by(1),
        Action::PageUp if in_list => git.by(-page),
        Action::PageDown if in_list => git.by(page),
        Action::Top if in_list => git.by(-(git.rows.len() as isize)),
        Action::Bottom if in_list => git.by(git.rows.len() as isize),
        Action::Up | Action::ScrollUp => git.pager.by(-1),
        Action::Down | Action::ScrollDown => git.pager.by(1),
        Action::PageUp => git.pager.page(-1),
        Action::PageDown => git.pager.page(1),
        Action::Top => git.pager.top(),
        Action::Bottom => git.pager.bottom(),
        Action::Left if in_list => {}
        Action::Left if model.sideways > 0 => {
            model.sideways = model.sideways.saturating_sub(SIDEWAYS);
        }
        Action::Left => git.focus = Focus::List,
        Action::Right if in_list => git.focus = Focus::Detail,
        Action::Right => model.sideways += SIDEWAYS,
        Action::SwitchPane => {
            git.focus = match git.focus {
                Focus::List => Focus::Detail,
                Focus::Detail => Focus::List,
            };
        }
        Action::Act => review::open(model),
        Action::LookAgain => {
            git.look_again();
            model.say(Tone::Info, "looking again; the remote is asked too");
        }
        Action::Next => find(model, true),
        Action::Previous => find(model, false),
        _ => {}
    }
    Vec::new()
}

/// How many cells long lines move.
const SIDEWAYS: usize = 8;

impl GitScreen {
    /// Moves the cursor by rows.
    pub fn by(&mut self, rows: isize) {
        let last = self.rows.len().saturating_sub(1);
        self.cursor = self.cursor.saturating_add_signed(rows).min(last);
        self.list.show(self.cursor);
    }

    /// Puts the cursor on a row.
    pub fn click(&mut self, row: usize) {
        if row < self.rows.len() {
            self.cursor = row;
            self.focus = Focus::List;
        }
    }
}

/// Searches the page for a text.
pub fn search(model: &mut Model, text: String) {
    model.git.pattern = text;
    find(model, true);
}

/// Goes to the next line of the page that holds what is searched for.
pub fn find(model: &mut Model, forwards: bool) {
    let git = &mut model.git;
    let wanted = git.pattern.to_lowercase();
    if wanted.is_empty() {
        return;
    }
    let lines = &git.page.lines;
    let holds = |at: &usize| lines[*at].plain().to_lowercase().contains(&wanted);
    let here = git.pager.offset;
    let found = match forwards {
        true => (here + 1..lines.len())
            .chain(0..lines.len().min(here + 1))
            .find(holds),
        false => (0..here).rev().chain((here..lines.len()).rev()).find(holds),
    };
    match found {
        Some(line) => {
            git.focus = Focus::Detail;
            git.pager.offset = line.min(git.pager.last());
        }
        None => {
            let text = format!("`{}` is nowhere here", git.pattern);
            model.say(Tone::Refusal, text);
        }
    }
}
