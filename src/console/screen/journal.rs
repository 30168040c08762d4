//! The journal's records, one a line, with the one under the cursor in full.

use std::sync::Arc;

use super::pager::Pager;
use crate::promotion::Record;

/// How many lines the record under the cursor takes.
pub const FULL: usize = 5;

/// The journal screen.
#[derive(Debug, Clone)]
pub struct JournalScreen {
    pub pager: Pager,
    /// The record under the cursor, from 0.
    pub cursor: usize,
    pub pattern: String,
    /// Stays on the newest record.
    follow: bool,
}

impl Default for JournalScreen {
    /// Begins at the newest record.
    fn default() -> JournalScreen {
        JournalScreen {
            pager: Pager::default(),
            cursor: 0,
            pattern: String::new(),
            follow: true,
        }
    }
}

impl JournalScreen {
    /// Takes the number of records and the height of the body.
    pub fn fit(&mut self, records: usize, height: usize) {
        let last = records.saturating_sub(1);
        self.cursor = if self.follow {
            last
        } else {
            self.cursor.min(last)
        };
        // One line for the names of the columns, one between the two parts.
        let rows = height.saturating_sub(FULL + 2).max(1);
        self.pager.fit(records, rows);
        self.pager.show(self.cursor);
    }

    /// Moves the cursor by records.
    pub fn by(&mut self, records: isize) {
        let last = self.pager.len.saturating_sub(1);
        self.cursor = self.cursor.saturating_add_signed(records).min(last);
        self.follow = self.cursor == last;
        self.pager.show(self.cursor);
    }

    /// Moves the cursor by pages.
    pub fn page(&mut self, pages: isize) {
        self.by(pages * self.pager.height.saturating_sub(1).max(1) as isize);
    }

    /// Goes to the first record.
    pub fn top(&mut self) {
        self.by(-(self.pager.len as isize));
    }

    /// Goes to the newest record.
    pub fn bottom(&mut self) {
        self.by(self.pager.len as isize);
    }

    /// Goes to the next record with the pattern. Tells whether there is one.
    pub fn find(&mut self, records: &[Arc<Record>], forwards: bool) -> bool {
        let wanted = self.pattern.to_lowercase();
        if wanted.is_empty() {
            return true;
        }
        let matches = |at: &usize| text(&records[*at]).to_lowercase().contains(&wanted);
        let here = self.cursor.min(records.len());
        let found = if forwards {
            let after = (here + 1).min(records.len());
            (after..records.len()).chain(0..after).find(matches)
        } else {
            let before = (0..here).rev();
            before.chain((here..records.len()).rev()).find(matches)
        };
        if let Some(record) = found {
            self.cursor = record;
            self.follow = false;
            self.pager.show(record);
        }
        found.is_some()
    }
}

/// What a search looks at.
fn text(record: &Record) -> String {
    format!(
        "{} {} {} {}",
        record.actor.name,
        record.event.gate().unwrap_or_default(),
        record.event.words(),
        record.hash
    )
}
