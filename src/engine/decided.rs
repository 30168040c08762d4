//! Writes what people decided about a difference into the runbook's changelog, at once.

use super::actor::Engine;
use super::work::Report;
use crate::gate::drift;
use crate::promotion::Command;
use crate::runbook::Kind;

impl Engine {
    /// Starts writing. The gate writes what is missing when it is retried, so that a failure here
    /// is told and loses nothing.
    pub(super) fn document(&mut self, gate: &str) {
        let attempt = self.run.gate(gate).map_or(1, |record| record.attempt);
        let Some(context) = self.context(gate, attempt) else {
            return;
        };
        let (gate, reports) = (gate.to_owned(), self.reports.clone());
        self.in_flight += 1;
        self.tasks.spawn(async move {
            let written = tokio::task::spawn_blocking(move || match &context.gate.kind {
                Kind::Drift(gate) => drift::document(gate, &context),
                _ => Ok(None),
            });
            let outcome = written
                .await
                .unwrap_or_else(|_| Err("writing ended in a defect of this program".to_owned()));
            let _ = reports.send(Report::Documented { gate, outcome }).await;
        });
    }

    /// Notes in the journal where the decision stands, or that it does not.
    pub(super) fn documented(&mut self, gate: &str, outcome: Result<Option<String>, String>) {
        let text = match outcome {
            Ok(None) => return,
            Ok(Some(path)) => format!("the decision is written into {path}"),
            Err(reason) => {
                format!("the decision is not in the changelog: {reason}; a retry writes it")
            }
        };
        self.view.notices.push(text.clone());
        self.own_command(&Command::Note {
            gate: Some(gate.to_owned()),
            text,
        });
    }
}
