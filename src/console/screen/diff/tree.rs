//! The list on the left: groups, and in each the objects that differ.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use crate::console::screen::text::Ink;
use crate::gate::DriftSeen;
use crate::schema::{Change, Difference, Kind, Severity};
use crate::untrusted::clean_line;

/// How much a difference counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    Hard,
    Soft,
    /// A soft one that a rule of the runbook allows.
    Allowed,
    /// One that a rule keeps out of the comparison.
    Ignored,
    /// What migrations made, which is no fault.
    Made,
}

impl Standing {
    pub const ALL: [Standing; 5] = [
        Standing::Hard,
        Standing::Soft,
        Standing::Allowed,
        Standing::Ignored,
        Standing::Made,
    ];

    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Standing::Hard => "hard",
            Standing::Soft => "soft",
            Standing::Allowed => "allowed",
            Standing::Ignored => "ignored",
            Standing::Made => "made",
        }
    }

    /// The glyph that stands beside the word.
    pub fn glyph(self) -> &'static str {
        match self {
            Standing::Hard => "✗",
            Standing::Soft => "!",
            Standing::Allowed => "·",
            Standing::Ignored => "-",
            Standing::Made => "•",
        }
    }

    pub fn ink(self) -> Ink {
        match self {
            Standing::Hard => Ink::Bad,
            Standing::Soft => Ink::Warning,
            Standing::Allowed | Standing::Ignored => Ink::Muted,
            Standing::Made => Ink::Plain,
        }
    }
}

/// The mark of what became of an object.
pub fn sign(change: Change) -> &'static str {
    match change {
        Change::Added => "+",
        Change::Removed => "-",
        Change::Changed => "~",
    }
}

/// What the list shows: everything, or only what counts as one thing.
pub type Filter = Option<Standing>;

/// What objects are listed under.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Group {
    Kind(Kind),
    Ignored,
}

/// A row of the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TreeRow {
    Group(Group),
    /// The object's place among the entries.
    Object(usize),
}

/// How many differences there are of each standing.
pub type Counts = [usize; 5];

/// One object with all its differences.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub group: Group,
    pub kind: Kind,
    /// The name, as it is drawn.
    pub name: String,
    pub change: Change,
    /// Its differences, by their places.
    pub places: Range<usize>,
    pub counts: Counts,
}

impl Entry {
    /// The gravest of its differences.
    pub fn standing(&self) -> Standing {
        let first = Standing::ALL.into_iter().zip(self.counts);
        let mut first = first.filter(|(_, count)| *count > 0);
        first.next().map_or(Standing::Ignored, |(of, _)| of)
    }

    /// The differences themselves.
    pub fn differences<'a>(&self, seen: &'a DriftSeen) -> &'a [Difference] {
        let all = match self.group {
            Group::Kind(_) => &seen.comparison.differences,
            Group::Ignored => &seen.comparison.ignored,
        };
        all.get(self.places.clone()).unwrap_or_default()
    }

    fn is_in(&self, filter: Filter) -> bool {
        filter.is_none_or(|of| self.counts[of as usize] > 0)
    }
}

/// All objects that differ, and which rows of them are listed.
#[derive(Debug, Clone, Default)]
pub struct Tree {
    pub entries: Vec<Entry>,
    pub rows: Vec<TreeRow>,
    pub filter: Filter,
    pub folded: BTreeSet<Group>,
    counts: BTreeMap<Group, Counts>,
    allowed: BTreeSet<usize>,
}

impl Tree {
    /// Lists what was seen, or what was made. What is ignored begins folded.
    pub fn of(seen: &DriftSeen, made: bool) -> Tree {
        let mut tree = Tree {
            folded: BTreeSet::from([Group::Ignored]),
            allowed: seen.allowed.iter().copied().collect(),
            ..Tree::default()
        };
        for (place, difference) in seen.comparison.differences.iter().enumerate() {
            let standing = match difference.severity {
                _ if made => Standing::Made,
                Severity::Hard => Standing::Hard,
                Severity::Soft if tree.is_allowed(place) => Standing::Allowed,
                Severity::Soft => Standing::Soft,
            };
            let before = place.checked_sub(1);
            let before = before.map(|before| &seen.comparison.differences[before]);
            let group = Group::Kind(difference.kind);
            tree.add(group, difference, before, place, standing);
        }
        for (place, difference) in seen.comparison.ignored.iter().enumerate() {
            let before = place.checked_sub(1);
            let before = before.map(|before| &seen.comparison.ignored[before]);
            tree.add(Group::Ignored, difference, before, place, Standing::Ignored);
        }
        tree.list();
        tree
    }

    fn add(
        &mut self,
        group: Group,
        difference: &Difference,
        before: Option<&Difference>,
        place: usize,
        standing: Standing,
    ) {
        let same =
            before.is_some_and(|one| one.kind == difference.kind && one.name == difference.name);
        self.counts.entry(group).or_default()[standing as usize] += 1;
        if let Some(entry) = self.entries.last_mut().filter(|_| same) {
            entry.places.end = place + 1;
            entry.counts[standing as usize] += 1;
            return;
        }
        let mut counts = Counts::default();
        counts[standing as usize] = 1;
        self.entries.push(Entry {
            group,
            kind: difference.kind,
            name: clean_line(&difference.name),
            change: difference.change,
            places: place..place + 1,
            counts,
        });
    }

    /// Makes the rows anew, after the filter or a fold has changed.
    pub fn list(&mut self) {
        self.rows.clear();
        let mut last = None;
        for (place, entry) in self.entries.iter().enumerate() {
            if !entry.is_in(self.filter) {
                continue;
            }
            if last != Some(entry.group) {
                self.rows.push(TreeRow::Group(entry.group));
                last = Some(entry.group);
            }
            if !self.folded.contains(&entry.group) {
                self.rows.push(TreeRow::Object(place));
            }
        }
    }

    /// Tells whether a rule allows the difference at a place.
    pub fn is_allowed(&self, place: usize) -> bool {
        self.allowed.contains(&place)
    }

    /// How many differences of each standing a group has.
    pub fn counts(&self, group: Group) -> Counts {
        self.counts.get(&group).copied().unwrap_or_default()
    }

    /// How many differences of each standing there are.
    pub fn total(&self) -> Counts {
        let mut total = Counts::default();
        for counts in self.counts.values() {
            for (all, one) in total.iter_mut().zip(counts) {
                *all += one;
            }
        }
        total
    }

    /// The group that a row belongs to.
    pub fn group_at(&self, row: usize) -> Option<Group> {
        match self.rows.get(row)? {
            TreeRow::Group(group) => Some(*group),
            TreeRow::Object(place) => Some(self.entries.get(*place)?.group),
        }
    }

    /// The row of a group's head.
    pub fn head(&self, group: Group) -> Option<usize> {
        self.rows
            .iter()
            .position(|row| *row == TreeRow::Group(group))
    }

    /// The row of an object; its group is unfolded for it.
    pub fn reveal(&mut self, place: usize) -> Option<usize> {
        let group = self.entries.get(place)?.group;
        if self.folded.remove(&group) {
            self.list();
        }
        self.rows
            .iter()
            .position(|row| *row == TreeRow::Object(place))
    }

    /// Folds a group, or unfolds it.
    pub fn fold(&mut self, group: Group) {
        if !self.folded.remove(&group) {
            self.folded.insert(group);
        }
        self.list();
    }

    /// The next filter that shows anything, around to all.
    pub fn next_filter(&mut self) {
        let total = self.total();
        let after = self.filter.map_or(0, |of| of as usize + 1);
        self.filter = Standing::ALL
            .into_iter()
            .skip(after)
            .find(|of| total[*of as usize] > 0);
        if self.filter == Some(Standing::Ignored) {
            self.folded.remove(&Group::Ignored);
        }
        self.list();
    }

    /// The next object, forwards or back, that a text is found in. `from` is a row.
    pub fn find(
        &self,
        seen: &DriftSeen,
        from: usize,
        wanted: &str,
        forwards: bool,
    ) -> Option<usize> {
        let wanted = wanted.to_lowercase();
        let len = self.entries.len();
        let matches = |place: &usize| {
            let entry = &self.entries[*place];
            entry.is_in(self.filter) && holds(entry, seen, &wanted)
        };
        // A head stands just before its first object.
        let (here, on_head) = match self.rows.get(from)? {
            TreeRow::Object(place) => (*place, false),
            TreeRow::Group(group) => {
                let first = self.entries.iter().position(|e| e.group == *group)?;
                (first, true)
            }
        };
        if forwards {
            let after = if on_head { here } else { here + 1 };
            (after..len).chain(0..after).find(matches)
        } else {
            let before = (0..here).rev();
            before.chain((here..len).rev()).find(matches)
        }
    }
}

fn holds(entry: &Entry, seen: &DriftSeen, wanted: &str) -> bool {
    let has = |text: &str| text.to_lowercase().contains(wanted);
    has(&entry.name)
        || entry.differences(seen).iter().any(|difference| {
            let said = [
                &difference.property,
                &difference.expected,
                &difference.actual,
                &difference.maybe_renamed,
                &difference.ignored_by,
            ];
            said.into_iter().flatten().any(|text| has(text))
                || difference.dependants.iter().any(|id| has(&id.name))
        })
}
