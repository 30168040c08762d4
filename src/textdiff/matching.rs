//! Which lines of two texts are the same, in time that is bounded by their number.
//!
//! Small texts are searched for the shortest way from one to the other. Large ones are first cut at
//! lines that each of them has exactly once: between those there is little left. Where there is
//! much, a short way is looked for, and a coarse one is taken when there is none.

use std::ops::Range;

use similar::{Algorithm, DiffOp, capture_diff_slices};

/// Texts of so many lines together are searched at once.
const SMALL: usize = 4_000;
/// So many changes are looked for in a large part that has no line to cut it at.
const FEW: usize = 400;
/// Lines that are searched at once where there are more changes than that.
const CHUNK: usize = 400;
/// Cuts inside of cuts. Each is at least one line less; this many are never needed.
const DEPTH: usize = 12;

/// A run of lines that are the same: where it begins in both, and its length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Same {
    pub(super) old: usize,
    pub(super) new: usize,
    pub(super) len: usize,
}

/// Finds what is the same, in order.
pub(super) fn same(old: &[u32], new: &[u32]) -> Vec<Same> {
    let most = old
        .iter()
        .chain(new)
        .max()
        .map_or(0, |most| *most as usize + 1);
    let mut matcher = Matcher {
        old,
        new,
        seen: vec![Seen::default(); most],
        found: Vec::new(),
    };
    matcher.part(0..old.len(), 0..new.len(), DEPTH);
    matcher.found
}

/// How often a line stands in both parts, and where.
#[derive(Debug, Clone, Copy, Default)]
struct Seen {
    old: u32,
    new: u32,
    old_at: usize,
    new_at: usize,
}

struct Matcher<'a> {
    old: &'a [u32],
    new: &'a [u32],
    /// By the line's number; empty between uses.
    seen: Vec<Seen>,
    found: Vec<Same>,
}

impl Matcher<'_> {
    fn part(&mut self, mut old: Range<usize>, mut new: Range<usize>, depth: usize) {
        let (a, b) = (&self.old[old.clone()], &self.new[new.clone()]);
        let head = a.iter().zip(b).take_while(|(a, b)| a == b).count();
        self.add(old.start, new.start, head);
        old.start += head;
        new.start += head;
        let (a, b) = (&self.old[old.clone()], &self.new[new.clone()]);
        let tail = a.iter().rev().zip(b.iter().rev());
        let tail = tail.take_while(|(a, b)| a == b).count();
        old.end -= tail;
        new.end -= tail;
        if !old.is_empty() && !new.is_empty() {
            if old.len() + new.len() <= SMALL {
                self.search(old.clone(), new.clone());
            } else {
                self.cut(old.clone(), new.clone(), depth);
            }
        }
        self.add(old.end, new.end, tail);
    }

    fn add(&mut self, old: usize, new: usize, len: usize) {
        if len == 0 {
            return;
        }
        match self.found.last_mut() {
            Some(last) if last.old + last.len == old && last.new + last.len == new => {
                last.len += len;
            }
            _ => self.found.push(Same { old, new, len }),
        }
    }

    /// The shortest way, as far as it is worth its time.
    fn search(&mut self, old: Range<usize>, new: Range<usize>) {
        let (a, b) = (&self.old[old.clone()], &self.new[new.clone()]);
        for op in capture_diff_slices(Algorithm::Myers, a, b) {
            if let DiffOp::Equal {
                old_index,
                new_index,
                len,
            } = op
            {
                self.add(old.start + old_index, new.start + new_index, len);
            }
        }
    }

    /// Cuts at lines that both parts have once.
    fn cut(&mut self, old: Range<usize>, new: Range<usize>, depth: usize) {
        let (anchors, shared) = self.anchors(&old, &new);
        if !shared {
            return;
        }
        if anchors.is_empty() || depth == 0 {
            self.large(old, new);
            return;
        }
        let (mut a, mut b) = (old.start, new.start);
        for (at_old, at_new) in anchors {
            // What the anchor before has brought along may reach this far.
            if at_old < a || at_new < b {
                continue;
            }
            self.part(a..at_old, b..at_new, depth - 1);
            self.add(at_old, at_new, 1);
            (a, b) = (at_old + 1, at_new + 1);
        }
        self.part(a..old.end, b..new.end, depth - 1);
    }

    /// The most lines that stand once in both parts and in the same order; and whether any line at
    /// all stands in both.
    fn anchors(&mut self, old: &Range<usize>, new: &Range<usize>) -> (Vec<(usize, usize)>, bool) {
        for at in old.clone() {
            let seen = &mut self.seen[self.old[at] as usize];
            seen.old += 1;
            seen.old_at = at;
        }
        for at in new.clone() {
            let seen = &mut self.seen[self.new[at] as usize];
            seen.new += 1;
            seen.new_at = at;
        }
        let mut shared = false;
        let mut pairs = Vec::new();
        for at in old.clone() {
            let seen = self.seen[self.old[at] as usize];
            shared |= seen.new > 0;
            if (seen.old, seen.new) == (1, 1) {
                pairs.push((at, seen.new_at));
            }
        }
        for at in old.clone() {
            self.seen[self.old[at] as usize] = Seen::default();
        }
        for at in new.clone() {
            self.seen[self.new[at] as usize] = Seen::default();
        }
        (rising(&pairs), shared)
    }

    /// A large part without anchors: few changes are found as they are, many are found by chunks.
    fn large(&mut self, old: Range<usize>, new: Range<usize>) {
        if let Some(found) = few(&self.old[old.clone()], &self.new[new.clone()]) {
            for same in found {
                self.add(old.start + same.old, new.start + same.new, same.len);
            }
            return;
        }
        let chunks = old.len().max(new.len()).div_ceil(CHUNK);
        let cut = |range: &Range<usize>, chunk: usize| range.start + range.len() * chunk / chunks;
        for chunk in 0..chunks {
            let a = cut(&old, chunk)..cut(&old, chunk + 1);
            let b = cut(&new, chunk)..cut(&new, chunk + 1);
            self.search(a, b);
        }
    }
}

/// The longest row of pairs that rises on both sides. They come in the order of the first.
fn rising(pairs: &[(usize, usize)]) -> Vec<(usize, usize)> {
    // For every length, the pair with the smallest end that a row of it has.
    let mut ends: Vec<usize> = Vec::new();
    let mut before: Vec<Option<usize>> = Vec::with_capacity(pairs.len());
    for (place, (_, new)) in pairs.iter().enumerate() {
        let longest = match ends.last() {
            Some(last) if pairs[*last].1 < *new => ends.len(),
            _ => ends.partition_point(|end| pairs[*end].1 < *new),
        };
        before.push(longest.checked_sub(1).map(|at| ends[at]));
        match ends.get_mut(longest) {
            Some(end) => *end = place,
            None => ends.push(place),
        }
    }
    let mut row = Vec::with_capacity(ends.len());
    let mut at = ends.last().copied();
    while let Some(place) = at {
        row.push(pairs[place]);
        at = before[place];
    }
    row.reverse();
    row
}

/// The shortest way, if it has few changes: Myers' greedy search, given up in time.
fn few(old: &[u32], new: &[u32]) -> Option<Vec<Same>> {
    let (rows, columns) = (old.len() as isize, new.len() as isize);
    if (rows - columns).unsigned_abs() > FEW {
        return None;
    }
    let most = FEW as isize;
    let place = |k: isize| (k + most + 1) as usize;
    let mut reach = vec![0_isize; 2 * FEW + 3];
    let mut trace: Vec<Vec<isize>> = Vec::new();
    for changes in 0..=most {
        trace.push(reach.clone());
        for k in (-changes..=changes).step_by(2) {
            let down = k == -changes || (k != changes && reach[place(k - 1)] < reach[place(k + 1)]);
            let mut x = match down {
                true => reach[place(k + 1)],
                false => reach[place(k - 1)] + 1,
            };
            let mut y = x - k;
            while x < rows && y < columns && y >= 0 && old[x as usize] == new[y as usize] {
                x += 1;
                y += 1;
            }
            reach[place(k)] = x;
            if x >= rows && y >= columns {
                return Some(walked(&trace, (rows, columns), place));
            }
        }
    }
    None
}

/// Walks the search back to the beginning.
fn walked(
    trace: &[Vec<isize>],
    (mut x, mut y): (isize, isize),
    place: impl Fn(isize) -> usize,
) -> Vec<Same> {
    let mut found = Vec::new();
    for (changes, reach) in trace.iter().enumerate().rev() {
        let changes = changes as isize;
        let k = x - y;
        let down = k == -changes || (k != changes && reach[place(k - 1)] < reach[place(k + 1)]);
        let from = if down { k + 1 } else { k - 1 };
        let (start_x, start_y) = match changes {
            0 => (0, 0),
            _ => (reach[place(from)], reach[place(from)] - from),
        };
        let len = match changes {
            0 => x,
            _ if down => x - start_x,
            _ => x - start_x - 1,
        };
        if len > 0 {
            found.push(Same {
                old: (x - len) as usize,
                new: (y - len) as usize,
                len: len as usize,
            });
        }
        (x, y) = (start_x, start_y);
    }
    found.reverse();
    found
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Tells whether runs are in order, inside, and truly the same.
    fn check(old: &[u32], new: &[u32], found: &[Same]) -> Result<usize, TestCaseError> {
        let (mut a, mut b, mut all) = (0, 0, 0);
        for same in found {
            prop_assert!(same.old >= a && same.new >= b && same.len > 0);
            (a, b) = (same.old + same.len, same.new + same.len);
            prop_assert_eq!(&old[same.old..a], &new[same.new..b]);
            all += same.len;
        }
        Ok(all)
    }

    fn matcher<'a>(old: &'a [u32], new: &'a [u32]) -> Matcher<'a> {
        Matcher {
            old,
            new,
            seen: vec![Seen::default(); 64],
            found: Vec::new(),
        }
    }

    #[test]
    fn repetitive_lines_and_lines_that_share_nothing_come_to_an_end() {
        let rows = |step: u32| (0..50_000).map(|n| n % step).collect::<Vec<u32>>();
        let (old, new) = (rows(3), rows(5));
        let all = check(&old, &new, &same(&old, &new)).unwrap();
        assert!(all > 20_000, "{all}");
        let other: Vec<u32> = (50_000..100_000).collect();
        assert!(same(&old, &other).is_empty());
    }

    #[test]
    fn a_few_changes_in_repetitive_lines_are_found_as_they_are() {
        let old: Vec<u32> = (0..50_000).map(|n| n % 3).collect();
        let mut new = old.clone();
        new.remove(40_000);
        new.insert(10_000, 7);
        let all = check(&old, &new, &same(&old, &new)).unwrap();
        assert_eq!(all, 49_999);
    }

    #[test]
    fn halves_that_were_exchanged_keep_one() {
        let old: Vec<u32> = (0..20_000).collect();
        let new: Vec<u32> = (10_000..20_000).chain(0..10_000).collect();
        assert_eq!(check(&old, &new, &same(&old, &new)).unwrap(), 10_000);
    }

    proptest! {
        #[test]
        fn cuts_and_chunks_find_only_what_is_the_same(
            old in proptest::collection::vec(0_u32..30, 0..60),
            new in proptest::collection::vec(0_u32..30, 0..60),
        ) {
            let mut cut = matcher(&old, &new);
            cut.cut(0..old.len(), 0..new.len(), 3);
            check(&old, &new, &cut.found)?;
            let mut large = matcher(&old, &new);
            large.large(0..old.len(), 0..new.len());
            check(&old, &new, &large.found)?;
        }

        #[test]
        fn the_greedy_way_is_the_shortest(
            old in proptest::collection::vec(0_u32..4, 0..30),
            new in proptest::collection::vec(0_u32..4, 0..30),
        ) {
            let found = few(&old, &new).unwrap();
            let all = check(&old, &new, &found)?;
            // The longest common row, by the plain table.
            let mut table = vec![vec![0; new.len() + 1]; old.len() + 1];
            for (a, one) in old.iter().enumerate() {
                for (b, other) in new.iter().enumerate() {
                    table[a + 1][b + 1] = match one == other {
                        true => table[a][b] + 1,
                        false => table[a][b + 1].max(table[a + 1][b]),
                    };
                }
            }
            prop_assert_eq!(all, table[old.len()][new.len()]);
        }
    }
}
