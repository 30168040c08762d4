//! The rows of the list of gates.

use crate::promotion::Run;

/// A row of the list of gates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Row {
    Phase(usize),
    /// The gate's number in the order of the runbook.
    Gate(usize),
}

impl Row {
    /// The rows of a run: every phase, and its gates below it.
    pub fn all(run: &Run) -> Vec<Row> {
        let mut rows = Vec::new();
        let mut gate = 0;
        for (number, phase) in run.definition.phases.iter().enumerate() {
            rows.push(Row::Phase(number));
            for _ in &phase.gates {
                rows.push(Row::Gate(gate));
                gate += 1;
            }
        }
        rows
    }
}
