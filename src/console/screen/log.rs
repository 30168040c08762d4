//! Everything that workers have said, wrapped, searched and followed.

use super::pager::Pager;
use super::text::{Doc, Ink, span};
use crate::gate::{FeedLine, FeedView, Source};

/// The log screen.
#[derive(Debug, Clone)]
pub struct LogScreen {
    pub doc: Doc,
    pub pager: Pager,
    /// What was searched for last.
    pub pattern: String,
    key: (u64, usize),
}

impl Default for LogScreen {
    /// Begins at the end.
    fn default() -> LogScreen {
        LogScreen {
            doc: Doc::default(),
            pager: Pager::following(),
            pattern: String::new(),
            key: (0, 0),
        }
    }
}

impl LogScreen {
    /// Wraps what is new, for a width.
    pub fn fit(&mut self, feed: &FeedView, width: usize, height: usize) {
        let key = (feed.revision + 1, width);
        if key != self.key {
            self.doc = page(feed, width);
            self.key = key;
        }
        self.pager.fit(self.doc.lines.len(), height);
    }

    /// Goes to the next line with the pattern, forwards or back. Tells whether there is one.
    pub fn find(&mut self, forwards: bool) -> bool {
        let wanted = self.pattern.to_lowercase();
        if wanted.is_empty() {
            return true;
        }
        let lines = &self.doc.lines;
        let matches = |at: &usize| lines[*at].plain().to_lowercase().contains(&wanted);
        let here = self.pager.offset.min(lines.len());
        let found = if forwards {
            let after = (here + 1).min(lines.len());
            (after..lines.len()).chain(0..after).find(matches)
        } else {
            let before = (0..here).rev();
            before.chain((here..lines.len()).rev()).find(matches)
        };
        if let Some(line) = found {
            self.pager.follow = false;
            self.pager.offset = line;
        }
        found.is_some()
    }
}

fn page(feed: &FeedView, width: usize) -> Doc {
    let mut doc = Doc::new(width);
    if feed.lines.is_empty() {
        doc.text(Ink::Muted, "nothing was said yet");
        return doc;
    }
    if feed.dropped > 0 {
        let text = format!(
            "… {} earlier lines are in the gate's output file",
            feed.dropped
        );
        doc.text(Ink::Muted, &text);
    }
    let mut gate = "";
    for line in &feed.lines {
        if *line.gate != *gate {
            gate = &line.gate;
            doc.heading(gate);
        }
        push_line(&mut doc, line);
    }
    doc
}

/// Adds one line of output, marked by where it comes from.
pub fn push_line(doc: &mut Doc, line: &FeedLine) {
    let (mark, ink) = match line.source {
        Source::Own => ("· ", Ink::Plain),
        Source::Out => ("│ ", Ink::Plain),
        Source::Err => ("! ", Ink::Warning),
        Source::Notice => ("» ", Ink::Accent),
    };
    doc.hanging(&[span(Ink::Muted, mark)], ink, &line.text);
}
