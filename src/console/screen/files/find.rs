//! Searching: in the file that is shown, and then in the names of the others.

use super::tree::FileRow;
use super::{FilesScreen, Said};
use crate::console::model::{Focus, Tone};

impl FilesScreen {
    /// Searches for a text.
    pub fn search(&mut self, text: String) -> Said {
        self.pattern = text;
        self.find(true)
    }

    /// Goes to the next line that holds what is searched for, or to the next file that is called so.
    pub fn find(&mut self, forwards: bool) -> Said {
        let wanted = self.pattern.to_lowercase();
        if wanted.is_empty() {
            return None;
        }
        let found = match self.focus {
            Focus::Detail => self.in_sheet(&wanted, forwards) || self.in_names(&wanted, forwards),
            Focus::List => self.in_names(&wanted, forwards) || self.in_sheet(&wanted, forwards),
        };
        if found {
            return None;
        }
        let text = format!(
            "`{}` is neither in what this page shows nor in a name; z shows all lines",
            self.pattern
        );
        Some((Tone::Refusal, text))
    }

    fn in_sheet(&mut self, wanted: &str, forwards: bool) -> bool {
        let len = self.sheet.lines.len();
        let holds = |line: &usize| self.sheet.plain(*line).to_lowercase().contains(wanted);
        let here = self.pager.offset.min(len);
        // What is at the end of the page cannot come to its top; it is found where it is seen.
        let found = match forwards {
            true => (here + 1..len).chain(0..len.min(here + 1)).find(holds),
            false => (0..here).rev().chain((here..len).rev()).find(holds),
        };
        let Some(line) = found else { return false };
        self.focus = Focus::Detail;
        self.pager.offset = line.min(self.pager.last());
        true
    }

    fn in_names(&mut self, wanted: &str, forwards: bool) -> bool {
        let Some(changes) = &self.changes else {
            return false;
        };
        let holds = |row: &usize| match self.tree.rows[*row] {
            FileRow::File(place) => changes.files[place].path.to_lowercase().contains(wanted),
            FileRow::Folder(_) => false,
        };
        let (here, len) = (self.cursor, self.tree.rows.len());
        let found = match forwards {
            true => (here + 1..len).chain(0..len.min(here)).find(holds),
            false => (0..here).rev().chain((here + 1..len).rev()).find(holds),
        };
        let Some(row) = found else { return false };
        self.cursor = row;
        self.list.show(row);
        true
    }
}
