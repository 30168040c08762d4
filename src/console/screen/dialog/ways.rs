//! The ways back of a run, as far as their plans are known.

use crate::console::model::Model;
use crate::gate::Payload;
use crate::promotion::GateDefinition;
use crate::untrusted::clean_line;

/// One way back, as it may be chosen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Way {
    pub(super) id: String,
    pub(super) title: String,
    pub(super) scope: &'static str,
    pub(super) help: String,
    pub(super) minutes: i64,
    pub(super) name: String,
    /// Why it may not be started now.
    pub(super) closed: Option<String>,
    /// What each of its gates would do, and what speaks against it.
    pub(super) steps: Vec<(String, Option<String>)>,
    /// The applied files that it can undo, the last applied first.
    pub(super) files: Option<Vec<String>>,
    /// A plan that names such files is not there yet.
    pub(super) reading: bool,
}

/// The ways back of the run, as the plans of their gates have them by now.
pub(super) fn ways(model: &Model) -> Vec<Way> {
    let run = model.run();
    let plans = &model.snapshot.plans;
    run.definition
        .rollbacks
        .iter()
        .map(|back| {
            let step = |gate: &GateDefinition| match plans.get(&gate.id) {
                Some(plan) => (
                    clean_line(&plan.summary),
                    plan.refuses.as_deref().map(clean_line),
                ),
                None => (clean_line(&gate.title), None),
            };
            let payloads = back.gates.iter().filter_map(|gate| plans.get(&gate.id));
            let files = payloads
                .flat_map(|plan| match &plan.payload {
                    Payload::Migration(migration) => {
                        let files = migration.files.iter();
                        files.filter_map(|file| file.undoes.clone()).collect()
                    }
                    Payload::Undoes(revisions) => revisions.clone(),
                    _ => Vec::new(),
                })
                .collect();
            let planning = &model.snapshot.planning;
            let unread = |gate: &GateDefinition| {
                matches!(gate.kind.as_str(), "migrate" | "alembic")
                    && (planning.contains(&gate.id) || !plans.contains_key(&gate.id))
            };
            let runbook = &model.snapshot.runbook;
            let help = runbook.rollbacks.iter().find(|b| b.id == back.id);
            Way {
                id: back.id.clone(),
                title: clean_line(&back.title),
                scope: back.scope.word(),
                help: help
                    .and_then(|back| back.help.as_deref())
                    .map(|help| clean_line(&help.split_whitespace().collect::<Vec<_>>().join(" ")))
                    .unwrap_or_default(),
                minutes: (back.expected_seconds + 59) / 60,
                name: back.typed_name.clone(),
                closed: run.way_back_closed(back),
                steps: back.gates.iter().map(step).collect(),
                files: back.chooses.then_some(files),
                reading: back.chooses && back.gates.iter().any(unread),
            }
        })
        .collect()
}
