//! The locks around the statement at work: what it waits for, who has that, who waits behind it.

mod act;
mod line;
mod page;

use std::sync::Arc;

pub use act::{act, find, open, renew, search};
pub use line::line;

use super::pager::Pager;
use super::text::Doc;
use crate::console::model::Model;
use crate::gate::LockScene;
use crate::postgres::locks::Blocker;
use crate::promotion::BlockerAct;

/// The screen.
#[derive(Debug, Clone, Default)]
pub struct LocksScreen {
    /// Which of those in the way is selected.
    pub cursor: usize,
    pub page: Arc<Doc>,
    pub pager: Pager,
    pub pattern: String,
}

/// What is known of the locks around the gate at work.
pub fn scene(model: &Model) -> Option<&LockScene> {
    model.run().at_work()?;
    model.feed.locks.as_deref()
}

/// Everybody in the way.
pub fn blockers(model: &Model) -> &[Blocker] {
    let look = scene(model).and_then(|scene| scene.look.as_deref());
    look.map_or(&[], |look| &look.blockers)
}

/// The one that is selected.
pub fn selected(model: &Model) -> Option<&Blocker> {
    blockers(model).get(model.locks.cursor)
}

/// Why that may not be asked of somebody in the way; `Ok` where it may.
pub fn offered(blocker: &Blocker, act: BlockerAct) -> Result<(), String> {
    let who = &blocker.who;
    if who.pid == 0 {
        return Err(
            "no session has it: COMMIT PREPARED or ROLLBACK PREPARED ends it, by hand".to_owned(),
        );
    }
    if !who.may_signal {
        return Err(
            "this user may not end it: that takes pg_signal_backend, or a superuser".to_owned(),
        );
    }
    if blocker.in_the_way().is_none() {
        return Err(
            "when it began may not be seen, so a later session could have its number: \
             that takes pg_read_all_stats"
                .to_owned(),
        );
    }
    if act == BlockerAct::Cancel && who.is_idle() {
        return Err("it is idle: there is no statement to cancel, and t ends it".to_owned());
    }
    Ok(())
}

impl Model {
    /// Makes the page anew for a body of that size.
    pub(in crate::console) fn settle_locks(&mut self, width: usize, height: usize) {
        let last = blockers(self).len().saturating_sub(1);
        self.locks.cursor = self.locks.cursor.min(last);
        let page = page::page(self, width);
        self.locks.pager.fit(page.lines.len(), height);
        self.locks.page = Arc::new(page);
    }
}
