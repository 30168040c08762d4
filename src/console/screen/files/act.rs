//! What keys do on the screen of changed files, in a run and alone.

use ratatui::layout::Position;

use super::tree::{FileRow, Filter, folder_of};
use super::{FilesScreen, Layout};
use crate::console::keymap::Action;
use crate::console::model::{Focus, Tone};
use crate::console::screen::diff::jump_to_change;

/// Something to be said until the next key.
pub type Said = Option<(Tone, String)>;

impl FilesScreen {
    /// Carries an action out.
    pub fn act(&mut self, action: Action, layout: &Layout) -> Said {
        let in_list = self.focus == Focus::List;
        let page = self.list.height.saturating_sub(1).max(1) as isize;
        match action {
            Action::Up if in_list => self.by(-1),
            Action::Down if in_list => self.by(1),
            Action::PageUp if in_list => self.by(-page),
            Action::PageDown if in_list => self.by(page),
            Action::Top if in_list => self.by(-(self.tree.rows.len() as isize)),
            Action::Bottom if in_list => self.by(self.tree.rows.len() as isize),
            Action::Up | Action::ScrollUp => self.scroll(-1),
            Action::Down | Action::ScrollDown => self.scroll(1),
            Action::PageUp => self.pager.page(-1),
            Action::PageDown => self.pager.page(1),
            Action::Top => self.pager.top(),
            Action::Bottom => self.pager.bottom(),
            Action::Left => self.focus = Focus::List,
            Action::Right => self.focus = Focus::Detail,
            Action::SwitchPane => {
                self.focus = match self.focus {
                    Focus::List => Focus::Detail,
                    Focus::Detail => Focus::List,
                };
            }
            Action::Act => match self.row() {
                Some(FileRow::Folder(_)) => self.fold(),
                _ => self.focus = Focus::Detail,
            },
            Action::Fold if in_list => self.fold(),
            Action::Fold => self.all_lines = !self.all_lines,
            Action::Filter => return self.next_filter(),
            Action::Columns => return self.columns(layout),
            Action::Whitespace => self.ignore_whitespace = !self.ignore_whitespace,
            Action::NextChange => return self.jump(true),
            Action::PreviousChange => return self.jump(false),
            Action::NextFile => return self.jump_to_file(true),
            Action::PreviousFile => return self.jump_to_file(false),
            Action::Next => return self.find(true),
            Action::Previous => return self.find(false),
            _ => {}
        }
        None
    }

    /// Moves the cursor by rows.
    pub fn by(&mut self, rows: isize) {
        let last = self.tree.rows.len().saturating_sub(1);
        self.cursor = self.cursor.saturating_add_signed(rows).min(last);
        self.list.show(self.cursor);
    }

    fn scroll(&mut self, lines: isize) {
        self.pager.by(lines);
        self.change = None;
    }

    /// Puts the cursor on a row; a folder under it is folded or unfolded.
    fn click(&mut self, row: usize) {
        if row >= self.tree.rows.len() {
            return;
        }
        self.focus = Focus::List;
        let again = self.cursor == row;
        self.cursor = row;
        if again && matches!(self.row(), Some(FileRow::Folder(_))) {
            self.fold();
        }
    }

    /// Puts the cursor, or the keys, where a person has pointed.
    pub fn click_at(&mut self, layout: &Layout, at: Position) {
        let areas = self.areas(layout);
        match areas.list.filter(|list| list.contains(at)) {
            Some(list) => self.click(self.list.offset + usize::from(at.y - list.y)),
            None if areas.page.contains(at) => self.focus = Focus::Detail,
            None => {}
        }
    }

    fn fold(&mut self) {
        let name = match self.row() {
            Some(FileRow::Folder(place)) => self.tree.folders[*place].name.clone(),
            Some(FileRow::File(_)) => {
                let path = self.file().map_or("", |file| file.path.as_str());
                folder_of(path).to_owned()
            }
            None => return,
        };
        self.tree.fold(&name);
        self.list_rows();
        self.cursor = self.tree.head(&name).unwrap_or(0);
    }

    fn next_filter(&mut self) -> Said {
        let path = self.file().map(|file| file.path.clone());
        self.tree.filter = match self.tree.filter {
            Filter::All => Filter::NotReviewed,
            Filter::NotReviewed => Filter::All,
        };
        self.list_rows();
        if self.tree.rows.is_empty() && self.tree.filter == Filter::NotReviewed {
            self.tree.filter = Filter::All;
            self.list_rows();
            return Some((Tone::Good, "every file is reviewed".to_owned()));
        }
        let place = path.and_then(|path| self.place_of(&path));
        match place.and_then(|place| self.tree.row_of(place)) {
            Some(row) => self.cursor = row,
            None => self.first(),
        }
        None
    }

    /// One column or two. Where two do not fit beside the list, they get the whole screen.
    fn columns(&mut self, layout: &Layout) -> Said {
        let beside = !self.is_beside(&self.areas(layout));
        self.beside = Some(beside);
        if beside && !self.is_beside(&self.areas(layout)) {
            self.focus = Focus::Detail;
            let text = "two columns take the whole screen here; Tab shows the list again";
            return Some((Tone::Info, text.to_owned()));
        }
        None
    }

    fn jump(&mut self, forwards: bool) -> Said {
        let changes = &self.sheet.changes;
        if jump_to_change(changes, &mut self.pager, &mut self.change, forwards) {
            return None;
        }
        let text = match (changes.is_empty(), forwards) {
            (true, _) => "no change is shown here",
            (_, true) => "that was the last change here; > goes to the next file",
            (_, false) => "that was the first change here; < goes to the file before",
        };
        Some((Tone::Info, text.to_owned()))
    }

    /// Goes to the next file, whichever pane has the keys.
    fn jump_to_file(&mut self, forwards: bool) -> Said {
        let is_file = |row: &usize| matches!(self.tree.rows[*row], FileRow::File(_));
        let found = match forwards {
            true => (self.cursor + 1..self.tree.rows.len()).find(is_file),
            false => (0..self.cursor).rev().find(is_file),
        };
        match found {
            Some(row) => {
                self.cursor = row;
                self.list.show(row);
                None
            }
            None if forwards => Some((Tone::Info, "that was the last file".to_owned())),
            None => Some((Tone::Info, "that was the first file".to_owned())),
        }
    }
}
