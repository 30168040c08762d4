//! Where the repository of the promotion stands: a list of what may be looked at, and a page.

mod act;
mod page;
mod source;

use std::sync::Arc;

use jiff::Timestamp;

pub use act::{act, find, open, search};
pub use source::source;

use super::layout::Layout;
use super::pager::Pager;
use super::text::Doc;
use crate::console::model::Focus;
use crate::git::state::Names;
use crate::git::watch::{News, Reach, Seen, WatchRequest};

/// What is not committed, by sorts; the gravest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sort {
    Conflicted,
    Changed,
    Untracked,
}

impl Sort {
    pub const ALL: [Sort; 3] = [Sort::Conflicted, Sort::Changed, Sort::Untracked];

    /// The words for it.
    pub fn words(self) -> &'static str {
        match self {
            Sort::Conflicted => "in conflict",
            Sort::Changed => "changed",
            Sort::Untracked => "not tracked",
        }
    }

    fn names(self, seen: &Seen) -> &Names {
        match self {
            Sort::Conflicted => &seen.state.conflicted,
            Sort::Changed => &seen.state.changed,
            Sort::Untracked => &seen.state.untracked,
        }
    }
}

/// A row of the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GitRow {
    /// What would be promoted.
    Promotion,
    Head(Sort, u64),
    File(Sort, String),
    /// So many files are not named.
    More(Sort, u64),
}

/// A repository that is to be watched, counted so that asking again is another watch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Watched {
    pub request: WatchRequest,
    pub round: u64,
}

/// The screen.
#[derive(Debug, Clone)]
pub struct GitScreen {
    pub watched: Option<Watched>,
    pub seen: Option<Arc<Seen>>,
    /// Why it cannot be looked at.
    pub trouble: Option<String>,
    pub reach: Reach,
    pub rows: Vec<GitRow>,
    pub cursor: usize,
    pub list: Pager,
    pub focus: Focus,
    pub page: Arc<Doc>,
    pub pager: Pager,
    pub pattern: String,
    /// Counts news.
    revision: u64,
    key: Option<(u64, usize, i64)>,
}

impl Default for GitScreen {
    fn default() -> GitScreen {
        GitScreen {
            watched: None,
            seen: None,
            trouble: None,
            reach: Reach::NotAsked,
            rows: Vec::new(),
            cursor: 0,
            list: Pager::default(),
            focus: Focus::List,
            page: Arc::default(),
            pager: Pager::default(),
            pattern: String::new(),
            revision: 0,
            key: None,
        }
    }
}

impl GitScreen {
    /// Watches a repository; what was known of another one is forgotten.
    pub fn watch(&mut self, request: WatchRequest) {
        let round = self.watched.as_ref().map_or(0, |watched| watched.round);
        let same = self.watched.as_ref().is_some_and(|w| w.request == request);
        if !same {
            *self = GitScreen {
                revision: self.revision + 1,
                ..GitScreen::default()
            };
            let round = round + 1;
            self.watched = Some(Watched { request, round });
        }
    }

    /// Looks again at once, and asks the remote again.
    pub fn look_again(&mut self) {
        if let Some(watched) = &mut self.watched {
            watched.round += 1;
            self.reach = Reach::NotAsked;
            self.revision += 1;
        }
    }

    /// Takes what a watcher says. Tells whether it is about what is watched now.
    pub fn hear(&mut self, round: u64, news: News) -> bool {
        if self.watched.as_ref().is_none_or(|w| w.round != round) {
            return false;
        }
        self.revision += 1;
        match news {
            News::Reach(reach) => self.reach = reach,
            News::Trouble(reason) => {
                self.trouble = Some(reason);
                self.seen = None;
                self.rows.clear();
            }
            News::Seen(seen) => {
                let before = self.row().cloned();
                self.trouble = None;
                self.rows = rows(&seen);
                self.seen = Some(Arc::from(seen));
                let again = before.and_then(|row| self.rows.iter().position(|r| *r == row));
                let last = self.rows.len().saturating_sub(1);
                self.cursor = again.unwrap_or(self.cursor.min(last));
            }
        }
        true
    }

    /// The row under the cursor.
    pub fn row(&self) -> Option<&GitRow> {
        self.rows.get(self.cursor)
    }

    /// The repository that is watched.
    pub fn request(&self) -> Option<&WatchRequest> {
        self.watched.as_ref().map(|watched| &watched.request)
    }

    /// Takes the size of the screen and the time.
    pub fn fit(&mut self, layout: &Layout, now: Timestamp) {
        let height = usize::from(layout.list.height);
        self.list.fit(self.rows.len(), height);
        let width = usize::from(layout.detail.width);
        let key = Some((self.revision, width, now.as_second() / 60));
        if key != self.key {
            self.page = Arc::new(page::page(self, width, now));
            self.key = key;
        }
        let height = usize::from(layout.detail.height);
        self.pager.fit(self.page.lines.len(), height);
    }
}

fn rows(seen: &Seen) -> Vec<GitRow> {
    let mut rows = vec![GitRow::Promotion];
    for sort in Sort::ALL {
        let names = sort.names(seen);
        if names.count == 0 {
            continue;
        }
        rows.push(GitRow::Head(sort, names.count));
        let file = |name: &String| GitRow::File(sort, name.clone());
        rows.extend(names.first.iter().map(file));
        let more = names.count.saturating_sub(names.first.len() as u64);
        if more > 0 {
            rows.push(GitRow::More(sort, more));
        }
    }
    rows
}
