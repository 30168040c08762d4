//! What keys and the mouse do on the screen of differences.

use super::tree::TreeRow;
use super::{DiffScreen, is_group, page, source};
use crate::console::keymap::Action;
use crate::console::model::{Focus, Model, Tone};
use crate::console::msg::Effect;
use crate::console::screen::Screen;
use crate::console::screen::pager::Pager;

/// Opens the screen with the selected gate's comparison, or the last one of the run.
pub fn open(model: &mut Model) {
    if model.screen != Screen::Diff {
        let gate = source(&model.snapshot, model.gate()).map(str::to_owned);
        if gate != model.diff.gate {
            model.diff = DiffScreen {
                beside: model.diff.beside,
                ..DiffScreen::default()
            };
        }
        model.diff.gate = gate;
    }
    model.screen = Screen::Diff;
}

/// Carries an action out.
pub fn act(model: &mut Model, action: Action) -> Vec<Effect> {
    let diff = &mut model.diff;
    let in_list = diff.focus == Focus::List;
    match action {
        Action::Up if in_list => diff.by(-1),
        Action::Down if in_list => diff.by(1),
        Action::PageUp if in_list => diff.page(-1),
        Action::PageDown if in_list => diff.page(1),
        Action::Top if in_list => diff.by(-(diff.list.len as isize)),
        Action::Bottom if in_list => diff.by(diff.list.len as isize),
        Action::Up | Action::ScrollUp => diff.scroll(-1),
        Action::Down | Action::ScrollDown => diff.scroll(1),
        Action::PageUp => diff.pager.page(-1),
        Action::PageDown => diff.pager.page(1),
        Action::Top => diff.pager.top(),
        Action::Bottom => diff.pager.bottom(),
        Action::Left => diff.focus = Focus::List,
        Action::Right => diff.focus = Focus::Detail,
        Action::SwitchPane => {
            diff.focus = match diff.focus {
                Focus::List => Focus::Detail,
                Focus::Detail => Focus::List,
            };
        }
        Action::Act => match is_group(diff.row()) {
            Some(group) => diff.tree.fold(group),
            None => diff.focus = Focus::Detail,
        },
        Action::Fold => diff.fold(),
        Action::Filter => {
            diff.tree.next_filter();
            diff.first();
        }
        Action::Columns => columns(model),
        Action::Whitespace => diff.ignore_whitespace = !diff.ignore_whitespace,
        Action::NextChange => jump(model, true),
        Action::PreviousChange => jump(model, false),
        Action::Next => find(model, true),
        Action::Previous => find(model, false),
        _ => {}
    }
    Vec::new()
}

impl DiffScreen {
    /// Moves the cursor by rows.
    pub fn by(&mut self, rows: isize) {
        let last = self.tree.rows.len().saturating_sub(1);
        self.cursor = self.cursor.saturating_add_signed(rows).min(last);
        self.list.show(self.cursor);
    }

    fn page(&mut self, pages: isize) {
        self.by(pages * self.list.height.saturating_sub(1).max(1) as isize);
    }

    fn scroll(&mut self, lines: isize) {
        self.pager.by(lines);
        self.change = None;
    }

    /// Puts the cursor on a row; a head is folded or unfolded by it.
    pub fn click(&mut self, row: usize) {
        if row >= self.tree.rows.len() {
            return;
        }
        self.focus = Focus::List;
        let again = self.cursor == row;
        self.cursor = row;
        if let Some(group) = is_group(self.row()).filter(|_| again) {
            self.tree.fold(group);
        }
    }

    /// In the list, folds the group; on the page, what is alike.
    fn fold(&mut self) {
        if self.focus == Focus::Detail {
            self.all_lines = !self.all_lines;
            return;
        }
        let Some(group) = self.tree.group_at(self.cursor) else {
            return;
        };
        self.tree.fold(group);
        if let Some(head) = self.tree.head(group) {
            self.cursor = head;
            self.list.len = self.tree.rows.len();
            self.list.show(head);
        }
    }
}

/// One column or two. Where two do not fit beside the list, they get the whole screen.
fn columns(model: &mut Model) {
    let Some(layout) = model.layout() else { return };
    let diff = &mut model.diff;
    let beside = !diff.is_beside(&diff.areas(&layout));
    diff.beside = Some(beside);
    if beside && !diff.is_beside(&diff.areas(&layout)) {
        diff.focus = Focus::Detail;
        model.say(
            Tone::Info,
            "two columns take the whole screen here; Tab shows the list again",
        );
    }
}

fn jump(model: &mut Model, forwards: bool) {
    let diff = &mut model.diff;
    let changes = &diff.sheet.changes;
    if jump_to_change(changes, &mut diff.pager, &mut diff.change, forwards) {
        return;
    }
    let text = match (changes.is_empty(), forwards) {
        (true, _) => "no change is shown here",
        (_, true) => "that was the last change here; j goes to the next object",
        (_, false) => "that was the first change here; k goes to the object before",
    };
    model.say(Tone::Info, text);
}

/// Goes to the next change of a sheet. Tells whether there is one.
pub fn jump_to_change(
    changes: &[usize],
    pager: &mut Pager,
    change: &mut Option<usize>,
    forwards: bool,
) -> bool {
    let here = pager.offset;
    let next = match (*change, forwards) {
        (Some(at), true) => Some(at + 1),
        (Some(at), false) => at.checked_sub(1),
        (None, true) => changes.iter().position(|line| *line >= here).or(Some(0)),
        (None, false) => changes.iter().rposition(|line| *line < here),
    };
    let Some((at, line)) = next.and_then(|at| Some((at, *changes.get(at)?))) else {
        return false;
    };
    *change = Some(at);
    // A line of what is before it is seen as well.
    pager.offset = line.saturating_sub(2).min(pager.last());
    true
}

/// Searches for a text from the cursor on.
pub fn search(model: &mut Model, text: String) {
    model.diff.pattern = text;
    find(model, true);
}

/// Goes to the next object that holds what is searched for.
pub fn find(model: &mut Model, forwards: bool) {
    let diff = &mut model.diff;
    if diff.pattern.is_empty() {
        return;
    }
    let found = match diff.compared() {
        Some(seen) => diff
            .tree
            .find(seen.seen, diff.cursor, &diff.pattern, forwards),
        None => None,
    };
    let Some(row) = found.and_then(|place| diff.tree.reveal(place)) else {
        let text = format!("`{}` is nowhere here", diff.pattern);
        model.say(Tone::Refusal, text);
        return;
    };
    diff.cursor = row;
    diff.list.len = diff.tree.rows.len();
    diff.list.show(row);
    diff.reach = true;
}

/// What a copy holds: the selected object, or all that is listed.
pub fn to_copy(model: &Model) -> (String, String) {
    let diff = &model.diff;
    let gate = diff.gate.as_deref().unwrap_or("run");
    let text = match (diff.compared(), diff.row()) {
        (Some(seen), Some(TreeRow::Object(place))) => {
            let entry = diff.tree.entries.get(place);
            entry.map_or_else(String::new, |entry| page::told(seen, entry))
        }
        _ => {
            let lines = 0..diff.sheet.lines.len();
            let lines: Vec<String> = lines.map(|line| diff.sheet.plain(line)).collect();
            lines.join("\n") + "\n"
        }
    };
    (format!("{gate}-difference"), text)
}
