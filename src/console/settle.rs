//! Brings what depends on the size of the screen, or on other state, up to date before a frame.

use std::sync::Arc;

use super::keymap::help_page;
use super::model::{DetailKey, Model};
use super::screen::dialog::Dialog;
use super::screen::layout::{Layout, dialog_height, dialog_width};
use super::screen::text::DocLine;
use super::screen::{Screen, closing, detail};
use super::view::locks_area;

impl Model {
    /// Brings everything that depends on size or state up to date; called before a frame.
    pub fn settle(&mut self) {
        let Some(layout) = self.layout() else { return };
        self.list
            .fit(self.rows.len(), usize::from(layout.list.height));
        self.settle_detail(&layout);
        let body = usize::from(layout.body.height);
        let width = usize::from(layout.body.width);
        if self.screen == Screen::Log {
            self.log.fit(&self.feed, width, body);
        }
        if self.screen == Screen::Diff {
            self.diff.fit(&self.snapshot, &layout);
        }
        if self.screen == Screen::Files {
            self.files.fit(&layout);
        }
        if self.screen == Screen::Git {
            self.git.fit(&layout, self.now);
        }
        if self.screen == Screen::Locks {
            let area = locks_area(&layout);
            self.settle_locks(usize::from(area.width), body);
        }
        self.journal.fit(self.snapshot.records.len(), body);
        if let Some(Dialog::Help(pager)) = &mut self.dialog {
            let lines = help_page(usize::from(dialog_width(self.size.0)))
                .lines
                .len();
            pager.fit(lines, usize::from(dialog_height(&layout)));
        }
        if self.screen == Screen::Closing {
            let lines = closing::page(self, width).lines.len();
            self.closing.fit(lines, body);
        }
    }

    fn settle_detail(&mut self, layout: &Layout) {
        let working = self
            .run()
            .at_work()
            .is_some_and(|gate| self.gate().is_some_and(|selected| selected.id == gate.id));
        let height = usize::from(layout.detail.height);
        let key = DetailKey {
            generation: self.generation,
            gate: self.selected + 1,
            size: (layout.detail.width, layout.detail.height),
            feed: if working { self.feed.revision } else { 0 },
            second: if self.clock_matters() && (working || self.snapshot.retrying.is_some()) {
                self.now.as_second()
            } else {
                0
            },
        };
        if key != self.detail_key {
            let width = usize::from(layout.detail.width);
            self.detail = Arc::new(detail::page(self, width, height));
            self.detail_key = key;
        }
        self.pager.fit(self.detail.lines.len(), height);
        if std::mem::take(&mut self.show_plan) {
            let heading = |line: &DocLine| detail::is_plan_heading(line);
            if let Some(line) = self.detail.lines.iter().position(heading) {
                self.pager.offset = line.min(self.pager.last());
            }
        }
    }
}
