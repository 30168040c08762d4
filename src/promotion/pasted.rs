//! Plans that people give, and the recovery that a refused plan begins.

use jiff::Timestamp;

use super::{Actor, Event, GateRecord, GateState, Run};

/// A plan that a person gave; its text lies in the run's folder under its hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PastedPlan {
    pub by: String,
    pub at: Timestamp,
    pub sha256: String,
    pub bytes: u64,
    /// The gate failed on it; another one must be given.
    pub refused: bool,
}

impl GateRecord {
    pub(super) fn take_pasted(&mut self, event: &Event, actor: &Actor, at: Timestamp) {
        if let Event::PlanPasted { sha256, bytes, .. } = event {
            self.pasted = Some(PastedPlan {
                by: actor.name.clone(),
                at,
                sha256: sha256.clone(),
                bytes: *bytes,
                refused: false,
            });
        }
    }

    /// What failed on a plan stays refused until another one is given.
    pub(super) fn refuse_pasted(&mut self) {
        if self.state == GateState::Failed
            && let Some(pasted) = &mut self.pasted
        {
            pasted.refused = true;
        }
    }
}

impl Run {
    /// The gates of its recovery that a failed gate makes stale: those that passed, in the order of
    /// the run. Empty when that was said already for this attempt.
    pub(super) fn recovery_of(&self, id: &str, attempt: u32) -> Option<Event> {
        let wanted = &self.definition_of(id)?.recovery;
        let said = self.gate(id).is_some_and(|g| g.recovery == Some(attempt));
        let gates: Vec<String> = self
            .course()
            .iter()
            .filter(|gate| gate.state == GateState::Passed && wanted.contains(&gate.id))
            .map(|gate| gate.id.clone())
            .collect();
        (!said && !gates.is_empty()).then(|| Event::RecoveryBegun {
            gate: id.to_owned(),
            attempt,
            gates,
        })
    }

    /// The recovery that a gate's failure began and a crash kept from being recorded.
    pub(super) fn recovery_left_unsaid(&self) -> Option<Event> {
        let failed = self.course().iter();
        let mut failed = failed.filter(|gate| gate.state == GateState::Failed);
        failed.find_map(|gate| self.recovery_of(&gate.id, gate.attempt))
    }

    pub(super) fn begin_recovery(&mut self, id: &str, attempt: u32, gates: &[String]) {
        for gate in &mut self.gates {
            if gate.id == id {
                gate.recovery = Some(attempt);
            } else if gates.contains(&gate.id) {
                gate.state = GateState::Stale;
                gate.stale_because = Some(format!("`{id}` was refused; it is taken again"));
                gate.forget_people();
            }
        }
    }
}
