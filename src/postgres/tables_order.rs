//! The order in which tables are filled: what is referred to, before what refers to it.
//!
//! The order is derived from the foreign keys alone (strongly connected components after
//! Tarjan), so a new table or key needs no list to be kept.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::tables::Tables;

/// Tables that are filled together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Group {
    /// Their oids; more than one when they refer to each other in a circle.
    pub tables: Vec<u32>,
    /// No order of rows satisfies the keys at every moment: the tables refer to each other, or
    /// the one refers to itself.
    pub cycle: bool,
}

/// Derives the order. A group refers only to itself and to groups before it.
pub fn restore_order(tables: &Tables) -> Vec<Group> {
    let places: BTreeMap<u32, usize> = tables
        .tables
        .iter()
        .enumerate()
        .map(|(place, table)| (table.oid, place))
        .collect();
    let edges: Vec<Vec<usize>> = tables
        .tables
        .iter()
        .map(|table| {
            let holders = table.foreign_keys.iter().flat_map(|key| &key.holders);
            let mut edges: Vec<usize> =
                holders.filter_map(|oid| places.get(oid).copied()).collect();
            edges.sort_unstable();
            edges.dedup();
            edges
        })
        .collect();
    let oid = |place: &usize| tables.tables[*place].oid;
    components(&edges)
        .iter()
        .map(|members| Group {
            cycle: members.len() > 1 || members.iter().any(|m| edges[*m].contains(m)),
            tables: members.iter().map(oid).collect(),
        })
        .collect()
}

/// What the walk knows of a node.
#[derive(Clone, Copy, Default)]
struct Visit {
    /// From 1 in the order of the walk; 0 for a node that was not reached yet.
    index: usize,
    lowest: usize,
    on_stack: bool,
}

/// Finds the strongly connected components, each after all that it leads to. The walk keeps its
/// own stack: a chain of keys may be longer than a thread's.
fn components(edges: &[Vec<usize>]) -> Vec<Vec<usize>> {
    let mut visits = vec![Visit::default(); edges.len()];
    let mut stack = Vec::new();
    let mut found = Vec::new();
    let mut reached = 0;
    for start in 0..edges.len() {
        if visits[start].index != 0 {
            continue;
        }
        // Each entry is a node and how many of its edges were followed.
        let mut path = vec![(start, 0)];
        while let Some((node, followed)) = path.pop() {
            if visits[node].index == 0 {
                reached += 1;
                visits[node] = Visit {
                    index: reached,
                    lowest: reached,
                    on_stack: true,
                };
                stack.push(node);
            }
            if let Some(&next) = edges[node].get(followed) {
                path.push((node, followed + 1));
                if visits[next].index == 0 {
                    path.push((next, 0));
                } else if visits[next].on_stack {
                    visits[node].lowest = visits[node].lowest.min(visits[next].index);
                }
                continue;
            }
            if visits[node].lowest == visits[node].index {
                let from = stack.iter().rposition(|n| *n == node).unwrap_or(0);
                let mut members = stack.split_off(from);
                members.iter().for_each(|n| visits[*n].on_stack = false);
                members.sort_unstable();
                found.push(members);
            }
            if let Some((parent, _)) = path.last() {
                visits[*parent].lowest = visits[*parent].lowest.min(visits[node].lowest);
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::postgres::tables::{ForeignKey, Table};

    fn tables(keys: &[(u32, &[u32])]) -> Tables {
        let table = |(oid, refers): &(u32, &[u32])| Table {
            oid: *oid,
            schema: "s".to_owned(),
            name: format!("t{oid}"),
            quoted: format!("s.t{oid}"),
            unlogged: false,
            partition: false,
            extension: None,
            bytes: 0,
            estimated_rows: None,
            columns: Vec::new(),
            primary_key: Vec::new(),
            foreign_keys: refers
                .iter()
                .map(|to| ForeignKey {
                    oid: 0,
                    name: String::new(),
                    references: *to,
                    holders: vec![*to],
                    to_self: to == oid,
                    deferrable: false,
                    inherited: false,
                    validated: true,
                })
                .collect(),
            triggers: Vec::new(),
            row_security: false,
            row_security_forced: false,
        };
        Tables {
            tables: keys.iter().map(table).collect(),
            ..Tables::default()
        }
    }

    fn order(keys: &[(u32, &[u32])]) -> Vec<(Vec<u32>, bool)> {
        restore_order(&tables(keys))
            .into_iter()
            .map(|group| (group.tables, group.cycle))
            .collect()
    }

    #[test]
    fn what_is_referred_to_comes_first() {
        let found = order(&[(1, &[2, 3]), (2, &[3]), (3, &[]), (4, &[1])]);
        let wanted = [3, 2, 1, 4].map(|oid| (vec![oid], false));
        assert_eq!(found, wanted);
    }

    #[test]
    fn a_circle_is_one_group_and_a_reference_to_itself_is_a_circle() {
        let found = order(&[(1, &[2]), (2, &[3, 5]), (3, &[1]), (4, &[3]), (5, &[5])]);
        let wanted = [(vec![5], true), (vec![1, 2, 3], true), (vec![4], false)];
        assert_eq!(found, wanted);
    }

    #[test]
    fn a_key_that_leads_out_of_the_list_does_not_count() {
        assert_eq!(order(&[(1, &[99])]), [(vec![1], false)]);
    }

    #[test]
    fn a_long_chain_needs_no_deep_stack() {
        let to: Vec<[u32; 1]> = (0..200_000).map(|oid| [oid + 1]).collect();
        let keys: Vec<(u32, &[u32])> = (0..200_000).map(|n| (n as u32, &to[n][..])).collect();
        let found = order(&keys);
        assert_eq!(found.len(), keys.len());
        assert_eq!(found[0].0, [199_999]);
    }

    #[test]
    fn every_group_refers_only_to_itself_and_to_groups_before_it() {
        // Keys from a small generator; the rule itself is the check.
        let mut state = 7_u32;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            state >> 16
        };
        for _ in 0..200 {
            let count = next() % 12 + 1;
            let to: Vec<Vec<u32>> = (0..count)
                .map(|_| (0..next() % 4).map(|_| next() % count).collect())
                .collect();
            let keys: Vec<(u32, &[u32])> = (0..count).map(|n| (n, &to[n as usize][..])).collect();
            let mut done = Vec::new();
            for group in restore_order(&tables(&keys)) {
                done.extend(&group.tables);
                for oid in &group.tables {
                    assert!(to[*oid as usize].iter().all(|to| done.contains(to)));
                }
            }
            assert_eq!(done.len(), count as usize);
        }
    }
}
