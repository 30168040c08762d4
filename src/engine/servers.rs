//! What becomes of a run when a target's server is another one than before.

use super::actor::Engine;
use crate::gate::TargetStatus;
use crate::promotion::{Command, GateState};

impl Engine {
    /// A gate that passed on a server which is another one now has not passed.
    pub(super) fn check_servers(&mut self) {
        let statuses = self.targets.statuses();
        self.record_timelines();
        let moved: Vec<(String, String)> = self
            .view
            .evidence
            .iter()
            .filter(|(gate, _)| {
                self.run
                    .gate(gate)
                    .is_some_and(|record| record.state == GateState::Passed)
            })
            .filter_map(|(gate, evidence)| {
                let (target, was) = evidence.server()?;
                let Some(TargetStatus::Connected(now)) = statuses.get(target) else {
                    return None;
                };
                let same = was.is_empty() || was.ends_with(&format!("[{}]", now.fingerprint()));
                (!same).then(|| {
                    (
                        gate.clone(),
                        format!("{target} is another server now: {}", now.describe()),
                    )
                })
            })
            .collect();
        for (gate, reason) in moved {
            self.own_command(&Command::Invalidate { gate, reason });
        }
        self.check_signatures();
    }

    /// Puts a later timeline into the journal; the first one needs no word.
    pub(super) fn record_timelines(&mut self) {
        for (target, status) in self.targets.statuses() {
            let TargetStatus::Connected(identity) = status else {
                continue;
            };
            let (Some(timeline), Some(system)) = (identity.timeline, &identity.system_identifier)
            else {
                continue;
            };
            let known = self.run.timelines.get(&target);
            let known = known.map_or(1, |(before, timeline)| match before == system {
                true => *timeline,
                false => 0,
            });
            if timeline > known {
                let system_identifier = system.clone();
                self.own_command(&Command::RecordTimeline {
                    target,
                    system_identifier,
                    timeline,
                });
            }
        }
    }

    /// Tells the targets what the journal knows, so that an old primary is refused.
    pub(super) fn remember_timelines(&self) {
        for (target, (system, timeline)) in &self.run.timelines {
            self.targets.remember(target, system, *timeline);
        }
    }
}
