//! Who stands in front of a backend and who behind it, from who waits for whom. Pure.

use std::collections::{BTreeMap, BTreeSet};

/// How far back a chain of blockers is followed.
const DEPTH: usize = 8;
/// How many blockers are named.
const NAMED: usize = 40;

/// Who waits for whom: each process with one that it waits for.
pub(super) type Edges = [(i32, i32)];

/// A blocker's place in the tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) pid: i32,
    pub(super) depth: usize,
    /// Whom it blocks.
    pub(super) blocks: i32,
}

/// Everybody in the way of `ours`, each behind the one that it blocks, each once.
pub(super) fn blockers(ours: i32, edges: &Edges) -> Vec<Place> {
    let mut by: BTreeMap<i32, BTreeSet<i32>> = BTreeMap::new();
    for (waiter, blocker) in edges {
        by.entry(*waiter).or_default().insert(*blocker);
    }
    let mut seen = BTreeSet::from([ours]);
    let mut out = Vec::new();
    // The last is taken first, so what blocks somebody stands right behind it.
    let mut left: Vec<Place> = places(&by, ours, 0);
    while let Some(place) = left.pop() {
        if out.len() == NAMED {
            break;
        }
        // No session is behind a prepared transaction, and each waiter may have another one.
        if place.pid != 0 && !seen.insert(place.pid) {
            continue;
        }
        out.push(place);
        if place.pid != 0 && place.depth + 1 < DEPTH {
            left.extend(places(&by, place.pid, place.depth + 1));
        }
    }
    out
}

fn places(by: &BTreeMap<i32, BTreeSet<i32>>, waiter: i32, depth: usize) -> Vec<Place> {
    let of = by.get(&waiter).into_iter().flatten().rev();
    of.map(|pid| Place {
        pid: *pid,
        depth,
        blocks: waiter,
    })
    .collect()
}

/// Everybody who waits for `ours`, or for somebody who does.
pub(super) fn behind(ours: i32, edges: &Edges) -> BTreeSet<i32> {
    let mut waits_for: BTreeMap<i32, Vec<i32>> = BTreeMap::new();
    for (waiter, blocker) in edges {
        waits_for.entry(*blocker).or_default().push(*waiter);
    }
    let mut found = BTreeSet::new();
    let mut left = vec![ours];
    while let Some(pid) = left.pop() {
        for waiter in waits_for.get(&pid).into_iter().flatten() {
            if *waiter != ours && found.insert(*waiter) {
                left.push(*waiter);
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(ours: i32, edges: &Edges) -> Vec<(i32, usize, i32)> {
        let places = blockers(ours, edges);
        places.iter().map(|p| (p.pid, p.depth, p.blocks)).collect()
    }

    #[test]
    fn a_chain_is_followed_to_its_end() {
        // 10 waits for 20, which waits for 30, which waits for 40; 11 and 12 wait behind 10.
        let edges = [(10, 20), (20, 30), (30, 40), (11, 10), (12, 11), (11, 20)];
        assert_eq!(tree(10, &edges), [(20, 0, 10), (30, 1, 20), (40, 2, 30)]);
        assert_eq!(behind(10, &edges), BTreeSet::from([11, 12]));
        assert_eq!(behind(40, &edges), BTreeSet::from([10, 11, 12, 20, 30]));
    }

    #[test]
    fn whom_one_blocks_stands_before_it() {
        let edges = [(1, 2), (1, 3), (2, 9), (3, 4)];
        assert_eq!(
            tree(1, &edges),
            [(2, 0, 1), (9, 1, 2), (3, 0, 1), (4, 1, 3)]
        );
    }

    #[test]
    fn a_circle_ends() {
        let edges = [(1, 2), (2, 1)];
        assert_eq!(tree(1, &edges), [(2, 0, 1)]);
        assert_eq!(behind(1, &edges), BTreeSet::from([2]));
    }

    #[test]
    fn prepared_transactions_are_named_wherever_they_are_in_the_way() {
        let edges = [(1, 0), (1, 2), (2, 0)];
        assert_eq!(tree(1, &edges), [(0, 0, 1), (2, 0, 1), (0, 1, 2)]);
    }

    proptest::proptest! {
        #[test]
        fn any_graph_is_gone_through(edges in proptest::collection::vec((0..12, 0..12), 0..60)) {
            let places = blockers(1, &edges);
            proptest::prop_assert!(places.len() <= NAMED);
            proptest::prop_assert!(places.iter().all(|place| edges.contains(&(place.blocks, place.pid))));
            proptest::prop_assert!(!behind(1, &edges).contains(&1));
        }
    }
}
