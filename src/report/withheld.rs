//! What does not travel: the rows that a query gave.

use std::sync::Arc;

use crate::engine::Snapshot;
use crate::expectation::{Answer, Table};
use crate::gate::Evidence;
use crate::runbook::{Kind, Runbook};

/// What stands where a value was.
const WITHHELD: &str = "withheld";

/// Tells whether the rows of a gate's answer may leave this machine: the runbook marks them.
pub(super) fn may_travel(runbook: &Runbook, gate: &str) -> bool {
    let gate = runbook.gate(gate);
    gate.is_some_and(|gate| matches!(&gate.kind, Kind::Query(query) if query.report_rows))
}

/// Tells whether evidence holds rows: one value alone is a measure, such as a count.
pub(super) fn holds_rows(evidence: &Evidence) -> bool {
    let Evidence::Query {
        answer: Answer::Rows(table),
        ..
    } = evidence
    else {
        return false;
    };
    !table.rows.is_empty() && !is_measure(table)
}

fn is_measure(table: &Table) -> bool {
    table.total == 1 && table.columns.len() == 1
}

/// Takes the rows out of what a run shows, but for those that the runbook marks.
pub fn withhold(snapshot: &mut Snapshot) {
    let runbook = snapshot.runbook.clone();
    for (gate, evidence) in &mut snapshot.evidence {
        if may_travel(&runbook, gate) || !holds_rows(evidence) {
            continue;
        }
        let mut shown = Evidence::clone(evidence);
        if let Evidence::Query {
            answer: Answer::Rows(table),
            ..
        } = &mut shown
        {
            for value in table.rows.iter_mut().flatten() {
                *value = Some(WITHHELD.to_owned());
            }
        }
        *evidence = Arc::new(shown);
    }
}
