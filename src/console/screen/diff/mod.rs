//! The differences of one comparison: a list of what differs, and what is selected in full.

mod act;
mod broken;
mod page;
pub mod sheet;
pub mod tree;

use std::sync::Arc;

pub use act::{act, find, jump_to_change, open, search, to_copy};
pub use page::words;

use self::page::Seen;
use self::sheet::{Look, Sheet};
use self::tree::{Group, Tree, TreeRow};
pub use super::areas::Areas;
use super::layout::Layout;
use super::pager::Pager;
use super::text::Ink;
use crate::console::model::Focus;
use crate::engine::Snapshot;
use crate::gate::{DriftSeen, Evidence};
use crate::promotion::GateRecord;

/// The screen of differences.
#[derive(Debug, Clone)]
pub struct DiffScreen {
    /// The gate whose comparison is shown.
    pub gate: Option<String>,
    evidence: Option<Arc<Evidence>>,
    pub tree: Tree,
    pub list: Pager,
    /// The row under the cursor.
    pub cursor: usize,
    pub focus: Focus,
    /// Two columns or one, where somebody has chosen.
    pub beside: Option<bool>,
    pub ignore_whitespace: bool,
    /// Lines far from a change are shown too.
    pub all_lines: bool,
    pub pattern: String,
    /// The place of the pattern is to be shown.
    reach: bool,
    pub sheet: Arc<Sheet>,
    pub pager: Pager,
    /// The change that was jumped to.
    pub change: Option<usize>,
    key: Option<Key>,
}

/// What the sheet was made from.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Key {
    row: Option<TreeRow>,
    look: Look,
    /// How many rows are listed: folding says so on the sheet.
    rows: usize,
    filter: tree::Filter,
}

impl Default for DiffScreen {
    fn default() -> DiffScreen {
        DiffScreen {
            gate: None,
            evidence: None,
            tree: Tree::default(),
            list: Pager::default(),
            cursor: 0,
            focus: Focus::List,
            beside: None,
            ignore_whitespace: false,
            all_lines: false,
            pattern: String::new(),
            reach: false,
            sheet: Arc::default(),
            pager: Pager::default(),
            change: None,
            key: None,
        }
    }
}

/// The gate whose comparison is to be shown: the selected one, or the one that compared last.
pub fn source<'a>(snapshot: &'a Snapshot, selected: Option<&'a GateRecord>) -> Option<&'a str> {
    let compared = |gate: &&GateRecord| drift(snapshot, &gate.id).is_some();
    let last = || {
        let gates = snapshot.run.gates.iter().filter(compared);
        gates.max_by_key(|gate| gate.ended)
    };
    selected
        .filter(compared)
        .or_else(last)
        .map(|gate| gate.id.as_str())
}

/// The server and the comparison that a gate has made.
pub fn drift<'a>(snapshot: &'a Snapshot, gate: &str) -> Option<(&'a str, &'a DriftSeen)> {
    let seen = of_evidence(snapshot.evidence.get(gate)?)?;
    Some((seen.server, seen.seen))
}

fn of_evidence(evidence: &Evidence) -> Option<Seen<'_>> {
    let (server, seen, made) = match evidence {
        Evidence::Drift { server, seen, .. } => (server, seen.as_ref(), false),
        Evidence::Migrate {
            server,
            made: Some(made),
            ..
        } => (server, &made.seen, true),
        _ => return None,
    };
    Some(Seen { server, seen, made })
}

impl DiffScreen {
    /// What is compared.
    pub fn seen(&self) -> Option<&DriftSeen> {
        self.compared().map(|seen| seen.seen)
    }

    fn compared(&self) -> Option<Seen<'_>> {
        of_evidence(self.evidence.as_ref()?)
    }

    /// The row under the cursor.
    pub fn row(&self) -> Option<TreeRow> {
        self.tree.rows.get(self.cursor).copied()
    }

    /// Where the parts stand on a screen.
    pub fn areas(&self, layout: &Layout) -> Areas {
        let one = self.beside == Some(true) && self.focus == Focus::Detail;
        Areas::of(layout, one, self.evidence.is_none())
    }

    /// Tells whether two columns stand on the page.
    pub fn is_beside(&self, areas: &Areas) -> bool {
        areas.holds_two(self.beside)
    }

    /// Takes what the run has seen, and the size of the screen.
    pub fn fit(&mut self, snapshot: &Snapshot, layout: &Layout) {
        self.take(snapshot);
        let areas = self.areas(layout);
        let height = usize::from(layout.list.height);
        self.list.fit(self.tree.rows.len(), height);
        let look = Look {
            width: usize::from(areas.page.width),
            beside: self.is_beside(&areas),
            ignore_whitespace: self.ignore_whitespace,
            all_lines: self.all_lines,
        };
        self.make(snapshot, look);
        self.pager
            .fit(self.sheet.lines.len(), usize::from(areas.page.height));
        if std::mem::take(&mut self.reach) {
            self.reach_pattern(snapshot, look);
        }
    }

    fn take(&mut self, snapshot: &Snapshot) {
        if self.gate.is_none() {
            self.gate = source(snapshot, None).map(str::to_owned);
        }
        let gate = self.gate.as_ref();
        let found = gate.and_then(|gate| snapshot.evidence.get(gate));
        let same = match (found, &self.evidence) {
            (Some(found), Some(known)) => Arc::ptr_eq(found, known),
            (None, None) => true,
            _ => false,
        };
        if same {
            return;
        }
        // The object under the cursor stays there, if it still differs.
        let before = match self.row() {
            Some(TreeRow::Object(place)) => self.tree.entries.get(place).cloned(),
            _ => None,
        };
        let filter = self.tree.filter;
        let known = self.evidence.is_some();
        let folded = std::mem::take(&mut self.tree.folded);
        self.evidence = found.cloned();
        let tree = self.compared().map(|of| Tree::of(of.seen, of.made));
        self.tree = tree.unwrap_or_default();
        self.tree.filter = filter;
        if known {
            self.tree.folded = folded;
        }
        self.tree.list();
        let again = before.and_then(|before| {
            let same = |entry: &tree::Entry| {
                (entry.group, entry.kind, &entry.name) == (before.group, before.kind, &before.name)
            };
            self.tree.entries.iter().position(same)
        });
        self.key = None;
        match again.and_then(|place| self.tree.reveal(place)) {
            Some(row) => self.cursor = row,
            None => self.first(),
        }
    }

    /// Goes to the first object.
    fn first(&mut self) {
        let is_object = |row: &TreeRow| matches!(row, TreeRow::Object(_));
        self.cursor = self.tree.rows.iter().position(is_object).unwrap_or(0);
        self.list.top();
    }

    /// Makes the sheet anew, if it would say something else.
    fn make(&mut self, snapshot: &Snapshot, look: Look) {
        let key = Some(Key {
            row: self.row(),
            look,
            rows: self.tree.rows.len(),
            filter: self.tree.filter,
        });
        if key == self.key {
            return;
        }
        let other_row = self
            .key
            .as_ref()
            .is_none_or(|known| known.row != self.row());
        self.sheet = Arc::new(match self.compared() {
            Some(seen) => page::sheet(seen, &self.tree, self.row(), look),
            None => missing(snapshot, look),
        });
        self.change = None;
        if other_row {
            self.pager.top();
        }
        self.key = key;
    }

    /// Scrolls to the pattern, and shows all lines where it is in one that is folded away.
    fn reach_pattern(&mut self, snapshot: &Snapshot, look: Look) {
        let wanted = self.pattern.to_lowercase();
        let place = |sheet: &Sheet| {
            let lines = 0..sheet.lines.len();
            lines
                .into_iter()
                .find(|line| sheet.plain(*line).to_lowercase().contains(&wanted))
        };
        let mut found = place(&self.sheet);
        if found.is_none() && !self.all_lines {
            let all = Look {
                all_lines: true,
                ..look
            };
            let key = self.key.clone();
            let sheet = Arc::clone(&self.sheet);
            self.make(snapshot, all);
            found = place(&self.sheet);
            if found.is_some() {
                self.all_lines = true;
            } else {
                (self.key, self.sheet) = (key, sheet);
            }
        }
        let height = self.pager.height;
        self.pager.fit(self.sheet.lines.len(), height);
        if let Some(line) = found {
            self.pager.show(line);
        }
    }
}

/// The page of a run that has compared nothing yet.
fn missing(snapshot: &Snapshot, look: Look) -> Sheet {
    let mut sheet = Sheet::new(look);
    let gates: Vec<String> = snapshot
        .runbook
        .gates()
        .filter(|gate| matches!(gate.kind, crate::runbook::Kind::Drift(_)))
        .map(|gate| gate.id.clone())
        .collect();
    sheet.words(|doc| {
        doc.text(Ink::Strong, "Nothing has been compared in this run yet.");
        doc.blank();
        if gates.is_empty() {
            doc.text(
                Ink::Plain,
                "This runbook has no drift gate. One is written so, and fills this screen when it \
                 has run:",
            );
            doc.blank();
            doc.sql("[phase.gate.drift]\ntarget   = \"production\"\nexpected = \"schema.sql\"");
        } else {
            doc.text(
                Ink::Plain,
                "A drift gate fills this screen when it has run. In this runbook:",
            );
            for gate in &gates {
                doc.text(Ink::Plain, &format!("  · {gate}"));
            }
        }
        doc.blank();
        doc.text(Ink::Muted, "1 goes back to the run");
    });
    sheet
}

/// Tells whether a group is what stands under the cursor.
pub fn is_group(row: Option<TreeRow>) -> Option<Group> {
    match row? {
        TreeRow::Group(group) => Some(group),
        TreeRow::Object(_) => None,
    }
}
