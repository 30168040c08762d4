//! The two ways to lay rows out, and what may be folded away between changes.

use std::ops::Range;

use super::{RowKind, TextDiff};

/// Rows in one column, by their places.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece<T> {
    Shown(T),
    /// So many kept rows that are not shown.
    Folded(usize),
}

/// What stands side by side, by places among the rows. A kept row stands on both sides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pair {
    pub left: Option<usize>,
    pub right: Option<usize>,
}

/// A fold that hides fewer rows than that hides nothing worth a line.
const LEAST: usize = 2;

impl TextDiff {
    /// The rows in one column. With a context only so many kept rows are shown around a change.
    pub fn unified(&self, context: Option<usize>) -> Vec<Piece<usize>> {
        self.cut(context, Iterator::collect)
    }

    /// The rows in two columns. With a context only so many kept rows are shown around a change.
    pub fn side_by_side(&self, context: Option<usize>) -> Vec<Piece<Pair>> {
        self.cut(context, |range| self.pairs(range))
    }

    /// The changes: runs of rows that only one text has.
    pub fn changes(&self) -> Vec<Range<usize>> {
        let mut changes: Vec<Range<usize>> = Vec::new();
        for (at, row) in self.rows.iter().enumerate() {
            if !row.is_change() {
                continue;
            }
            match changes.last_mut() {
                Some(last) if last.end == at => last.end = at + 1,
                _ => changes.push(at..at + 1),
            }
        }
        changes
    }

    /// Lays out what is shown and counts what is not.
    fn cut<T>(
        &self,
        context: Option<usize>,
        lay: impl Fn(Range<usize>) -> Vec<T>,
    ) -> Vec<Piece<T>> {
        let len = self.rows.len();
        let mut shown: Vec<Range<usize>> = Vec::new();
        match context {
            None => shown.push(0..len),
            Some(context) => {
                for change in self.changes() {
                    let start = change.start.saturating_sub(context);
                    let end = (change.end + context).min(len);
                    match shown.last_mut() {
                        Some(last) if start < last.end + LEAST => last.end = end,
                        _ => shown.push(start..end),
                    }
                }
                widen(&mut shown, len);
            }
        }
        let mut out = Vec::new();
        let mut at = 0;
        for range in shown {
            if range.start > at {
                out.push(Piece::Folded(range.start - at));
            }
            at = range.end;
            out.extend(lay(range).into_iter().map(Piece::Shown));
        }
        if at < len {
            out.push(Piece::Folded(len - at));
        }
        out
    }

    /// Puts what was added beside what was removed, in order.
    fn pairs(&self, range: Range<usize>) -> Vec<Pair> {
        let mut out = Vec::new();
        let mut at = range.start;
        while at < range.end {
            let run = |from: usize, kind| {
                let rows = &self.rows[from..range.end];
                from + rows.iter().take_while(|row| row.kind == kind).count()
            };
            let removed = at..run(at, RowKind::Removed);
            let added = removed.end..run(removed.end, RowKind::Added);
            if removed.is_empty() && added.is_empty() {
                out.push(Pair {
                    left: Some(at),
                    right: Some(at),
                });
                at += 1;
                continue;
            }
            for line in 0..removed.len().max(added.len()) {
                let of = |part: &Range<usize>| Some(part.start + line).filter(|n| *n < part.end);
                out.push(Pair {
                    left: of(&removed),
                    right: of(&added),
                });
            }
            at = added.end;
        }
        out
    }
}

/// Shows the ends too where folding them would hide too little.
fn widen(shown: &mut [Range<usize>], len: usize) {
    if let Some(first) = shown.first_mut().filter(|first| first.start < LEAST) {
        first.start = 0;
    }
    if let Some(last) = shown.last_mut().filter(|last| last.end + LEAST > len) {
        last.end = len;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{Options, compare};
    use super::*;

    #[test]
    fn what_is_far_from_a_change_is_folded() {
        let old: String = (1..=20).map(|n| format!("{n}\n")).collect();
        let new = old.replace("10\n", "ten\n");
        let diff = compare(old.as_str(), new.as_str(), Options::default());
        let pieces = diff.unified(Some(3));
        assert_eq!(pieces[0], Piece::Folded(6));
        assert_eq!(pieces.len(), 1 + 3 + 2 + 3 + 1);
        let pieces = diff.side_by_side(Some(3));
        assert_eq!(pieces.len(), 1 + 3 + 1 + 3 + 1);
        let changed = Pair {
            left: Some(9),
            right: Some(10),
        };
        assert_eq!(pieces[4], Piece::Shown(changed));
    }

    #[test]
    fn texts_that_are_alike_are_one_fold() {
        let diff = compare("a\nb\nc", "a\nb\nc", Options::default());
        assert_eq!(diff.unified(Some(3)), [Piece::Folded(3)]);
        assert_eq!(diff.unified(None).len(), 3);
    }

    proptest! {
        #[test]
        fn both_layouts_hold_the_same_rows(
            old in "([ab]\n){0,20}",
            new in "([ab]\n){0,20}",
            context in proptest::option::of(0_usize..4),
        ) {
            let diff = compare(old.as_str(), new.as_str(), Options::default());
            let mut one = Vec::new();
            let mut folded = [0, 0];
            for piece in diff.unified(context) {
                match piece {
                    Piece::Shown(row) => one.push(row),
                    Piece::Folded(rows) => folded[0] += rows,
                }
            }
            let mut two = Vec::new();
            for piece in diff.side_by_side(context) {
                match piece {
                    Piece::Shown(Pair { left, right }) => two.extend(left.into_iter().chain(right)),
                    Piece::Folded(rows) => folded[1] += rows,
                }
            }
            two.sort_unstable();
            two.dedup();
            prop_assert_eq!(&one, &two);
            prop_assert_eq!(folded[0], folded[1]);
            prop_assert_eq!(one.len() + folded[0], diff.rows.len());
        }
    }
}
