//! Gates that were left out because a flag keeps migrations from running, and what becomes of them
//! once it does not any more.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Actor, Event, GateDefinition, GateRecord, GateState, Nature, Record, Run};

/// What a flag says that can keep migrations from running.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum FlagSays {
    /// It is not set, or set to a word that means no.
    Enabled,
    /// It is set; the value is one of the words that mean yes.
    Disabled { value: String },
    /// It has another value, or could not be read.
    Unclear { why: String },
}

/// The flag as the journal knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FlagRecord {
    /// Where it stands, for people.
    pub flag: String,
    pub says: FlagSays,
    pub seen: Timestamp,
}

/// Why a gate was left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftOut {
    pub flag: String,
    pub value: String,
    pub seen: Timestamp,
    pub by: String,
    pub at: Timestamp,
}

impl FlagRecord {
    /// The value that keeps migrations from running.
    pub fn disables(&self) -> Option<&str> {
        match &self.says {
            FlagSays::Disabled { value } => Some(value),
            FlagSays::Enabled | FlagSays::Unclear { .. } => None,
        }
    }

    /// What it says, in words.
    pub fn words(&self) -> String {
        self.says.words(&self.flag)
    }
}

impl FlagSays {
    /// What it says, in words.
    pub fn words(&self, flag: &str) -> String {
        match self {
            FlagSays::Enabled => format!("{flag} is not set: migrations may run"),
            FlagSays::Disabled { value } => {
                format!("{flag}={value}: migrations are not run")
            }
            FlagSays::Unclear { why } => format!("{flag} is unclear: {why}"),
        }
    }
}

impl Run {
    pub(super) fn take_from_outside(&mut self, record: &Record) {
        match &record.event {
            Event::FlagSeen { flag, says } => {
                self.migrations = Some(FlagRecord {
                    flag: flag.clone(),
                    says: says.clone(),
                    seen: record.time,
                });
            }
            Event::RecoveryBegun {
                gate,
                attempt,
                gates,
            } => self.begin_recovery(gate, *attempt, gates),
            _ => {}
        }
    }

    /// The flag, where it keeps migrations from running, with its value.
    pub fn migrations_disabled(&self) -> Option<(&FlagRecord, &str)> {
        let flag = self.migrations.as_ref()?;
        Some((flag, flag.disables()?))
    }

    /// The gates of the course that are left out now.
    pub fn left_out(&self) -> impl Iterator<Item = &GateRecord> {
        let course = self.course().iter();
        course.filter(|gate| gate.state == GateState::NotApplicable && gate.left_out.is_some())
    }

    /// The gates of the course that were left out and are open again.
    pub fn reopened(&self) -> impl Iterator<Item = &GateRecord> {
        let course = self.course().iter();
        course.filter(|gate| gate.state == GateState::Stale && gate.left_out.is_some())
    }

    /// What opening the gates again that were left out makes of the run: they are stale, and so is
    /// what was looked at or signed after them, which was true of a database without their work.
    pub(super) fn reopening(&self, flag: &str) -> Vec<Event> {
        let mut events = Vec::new();
        for gate in self.course() {
            let left_out = gate.state == GateState::NotApplicable && gate.left_out.is_some();
            let reason = if left_out {
                format!("it was left out, and {flag} is not set any more")
            } else if !events.is_empty() && self.depends_on_what_ran(gate) {
                format!("gates before it had been left out because of {flag}")
            } else {
                continue;
            };
            events.push(Event::GateWentStale {
                gate: gate.id.clone(),
                reason,
            });
        }
        events
    }

    fn depends_on_what_ran(&self, gate: &GateRecord) -> bool {
        let nature = self.definition_of(&gate.id).map(|of| &of.nature);
        match (gate.state, nature) {
            (GateState::Passed, Some(Nature::Looks | Nature::SignOff { .. })) => true,
            // Signatures that were given already are about another state of the database.
            (GateState::Running, Some(Nature::SignOff { .. })) => true,
            _ => false,
        }
    }
}

/// What came from outside, in words.
pub(super) fn words(event: &Event) -> String {
    match event {
        Event::FlagSeen { flag, says } => says.words(flag),
        Event::GateLeftOut { flag, value, .. } => {
            format!("left out, because of {flag}={value}")
        }
        Event::PlanPasted { sha256, bytes, .. } => {
            let short: String = sha256.chars().take(12).collect();
            format!("plan given: {bytes} bytes, SHA-256 {short}")
        }
        Event::RecoveryBegun { gates, .. } => {
            format!("refused; taken again before it: {}", gates.join(", "))
        }
        _ => String::new(),
    }
}

impl GateRecord {
    pub(super) fn leave_out(&mut self, event: &Event, actor: &Actor, at: Timestamp) {
        let Event::GateLeftOut {
            flag, value, seen, ..
        } = event
        else {
            return;
        };
        self.state = GateState::NotApplicable;
        self.finding = None;
        self.evidence = None;
        self.stale_because = None;
        self.ended = Some(at);
        self.left_out = Some(LeftOut {
            flag: flag.clone(),
            value: value.clone(),
            seen: *seen,
            by: actor.name.clone(),
            at,
        });
    }

    /// Tells whether a flag may leave the gate out: it has not begun, or came to nothing. What has
    /// begun and did not pass is neither run nor passed over because a flag was set meanwhile.
    pub(super) fn may_be_left_out(&self, gate: &GateDefinition) -> bool {
        let untouched = self.committed.is_empty() && self.effects.is_empty();
        gate.migrates
            && match self.state {
                GateState::Pending | GateState::Errored | GateState::Canceled => untouched,
                GateState::Stale => true,
                _ => false,
            }
    }
}
