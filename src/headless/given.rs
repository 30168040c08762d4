//! What a walk without a terminal is given beforehand, and what it says of the flag that keeps
//! migrations from running.

use std::collections::BTreeMap;

use crate::digest::digest;
use crate::promotion::{FlagRecord, GateDefinition, GateRecord, GateState, Run};
use crate::untrusted::clean_line;

/// Why a gate that judges a plan waits.
pub(super) const NEEDS: &str =
    "it judges a plan that is given at the console, or with --paste GATE=FILE";

/// Plans for gates, by the ids of these.
#[derive(Debug, Default)]
pub struct Given(pub BTreeMap<String, Vec<u8>>);

impl Given {
    /// The plan of a gate that is to have it now: the one that the run stands at, or one that has
    /// passed on another plan.
    pub(super) fn take_due(&mut self, run: &Run) -> Option<(String, Vec<u8>)> {
        let current = run.current().map(|gate| gate.id.clone());
        let due = run.course().iter().find(|gate| {
            let Some(text) = self.0.get(&gate.id) else {
                return false;
            };
            let known = gate
                .pasted
                .as_ref()
                .is_some_and(|p| p.sha256 == digest(text));
            match gate.state {
                GateState::Passed => !known,
                GateState::Running | GateState::InDoubt => false,
                _ => current.as_ref() == Some(&gate.id),
            }
        });
        let id = due?.id.clone();
        let text = self.0.remove(&id)?;
        Some((id, text))
    }
}

/// Tells whether a gate cannot go on without another plan.
pub(super) fn needs_plan(definition: &GateDefinition, gate: &GateRecord) -> bool {
    let starts = matches!(gate.state, GateState::Pending | GateState::Stale);
    let refused = gate.pasted.as_ref().is_none_or(|pasted| pasted.refused);
    definition.pastes && starts && refused
}

/// Says what the flag says, when that is news.
pub(super) fn flag_news(run: &Run, said: &mut Option<FlagRecord>, note: &mut impl FnMut(&str)) {
    if run.migrations != *said {
        said.clone_from(&run.migrations);
        if let Some(flag) = said {
            note(&format!("stagegate: {}", clean_line(&flag.words())));
        }
    }
}

/// Which gates were left out, and why.
pub(crate) fn left_out(run: &Run) -> Option<String> {
    let gates: Vec<&str> = run.left_out().map(|gate| gate.id.as_str()).collect();
    let flag = run.left_out().find_map(|gate| gate.left_out.as_ref())?;
    let flag = clean_line(&format!("{}={}", flag.flag, flag.value));
    Some(format!(
        "left out because of {flag}, and open again once it is gone: {}",
        gates.join(", ")
    ))
}
