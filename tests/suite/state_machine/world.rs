//! A run in memory: commands are decided, recorded and folded as the engine does it.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use stagegate::expectation::{Finding, Verdict};
use stagegate::promotion::{
    Actor, BlockerAct, BlockerRecord, Command, Decision, Definition, FlagSays, GateDefinition,
    GateState, InputKind, ItemDefinition, Journal, Moment, Nature, Opening, PhaseDefinition,
    Record, Refusal, Remedy, Resolution, RoleDefinition, Run, Via, decide,
};

/// The gates of the definition, in order.
pub(crate) const GATES: [&str; 7] = [
    "checklist",
    "count",
    "backup",
    "migrate",
    "answer",
    "agreed",
    "announce",
];

/// A person who is a member of both roles.
pub(crate) const ANA: &str = "ana@example.com";
/// A person who is a member of `security` only.
pub(crate) const SAM: &str = "sam@example.com";
/// A reason that is long enough for a waiver.
pub(crate) const REASON: &str = "measured by hand, ticket OPS-4711";

/// A run and the bytes of its journal.
pub(crate) struct World {
    pub(crate) run: Option<Run>,
    pub(crate) records: Vec<Arc<Record>>,
    pub(crate) bytes: Vec<u8>,
    pub(crate) now: Timestamp,
}

impl World {
    /// Nothing has been opened yet.
    pub(crate) fn empty() -> World {
        World {
            run: None,
            records: Vec::new(),
            bytes: Vec::new(),
            now: "2025-11-22T01:00:00Z".parse().unwrap(),
        }
    }

    /// A run that was just opened.
    pub(crate) fn opened() -> World {
        World::opened_with(definition())
    }

    pub(crate) fn opened_with(definition: Definition) -> World {
        let mut world = World::empty();
        let open = Command::Open(Box::new(opening(definition)));
        world.ask(Via::Console, &open).unwrap();
        world
    }

    pub(crate) fn run(&self) -> &Run {
        self.run.as_ref().unwrap()
    }

    pub(crate) fn state(&self, gate: &str) -> GateState {
        self.run().gate(gate).unwrap().state
    }

    pub(crate) fn attempt(&self, gate: &str) -> u32 {
        self.run().gate(gate).unwrap().attempt
    }

    pub(crate) fn moment(&self, via: Via) -> Moment {
        Moment {
            now: self.now,
            actor: Actor {
                name: "ana".into(),
                via,
            },
        }
    }

    /// Decides, and records and folds what was granted.
    pub(crate) fn ask(&mut self, via: Via, command: &Command) -> Result<(), Refusal> {
        let at = self.moment(via);
        for event in decide(self.run.as_ref(), command, &at)? {
            let previous = self
                .records
                .last()
                .map_or((0, stagegate::promotion::GENESIS), |r| (r.seq, &r.hash));
            let (record, line) = Record::after(previous, self.now, &at.actor, event).unwrap();
            match &mut self.run {
                Some(run) => run.apply(&record),
                None => self.run = Run::begin(&record),
            }
            self.records.push(Arc::new(record));
            self.bytes.extend_from_slice(&line);
        }
        Ok(())
    }

    pub(crate) fn console(&mut self, command: &Command) {
        self.ask(Via::Console, command).unwrap();
    }

    pub(crate) fn engine(&mut self, command: &Command) {
        self.ask(Via::Engine, command).unwrap();
    }

    /// The state that the bytes of the journal give to a process that knows nothing else.
    pub(crate) fn replayed(&self) -> Option<Run> {
        Run::fold(&Journal::read(&self.bytes).unwrap().records)
    }

    /// Takes every gate before `gate` through, each in the way of its kind.
    pub(crate) fn up_to(mut self, gate: &str) -> World {
        for id in GATES.iter().take_while(|id| **id != gate) {
            self.pass(id);
        }
        self
    }

    /// Takes one gate through.
    pub(crate) fn pass(&mut self, gate: &str) {
        match gate {
            "checklist" => {
                self.console(&confirm(0, None));
                self.console(&confirm(1, Some("12.5")));
            }
            "agreed" => {
                self.console(&sign("dba", ANA, Decision::Approve));
                self.console(&sign("security", SAM, Decision::Approve));
            }
            _ => {
                self.console(&start(gate));
                self.engine(&finish(gate, self.attempt(gate), Verdict::Passed));
            }
        }
    }
}

pub(crate) fn opening(definition: Definition) -> Opening {
    Opening {
        run: "20251122-010000-housekeeping".into(),
        version: "0.1.0".into(),
        runbook_path: "promotion.toml".into(),
        base: "/srv/promotion".into(),
        vars: BTreeMap::new(),
        definition,
        nonce: "0".repeat(32),
    }
}

fn signed() -> Nature {
    Nature::SignOff {
        roles: vec!["dba".into(), "security".into()],
        distinct: true,
        keys: false,
    }
}

fn recovery(id: &str) -> Vec<String> {
    match id {
        "answer" => vec!["backup".to_owned(), "checklist".to_owned()],
        _ => Vec::new(),
    }
}

fn role(name: &str, members: &[&str]) -> RoleDefinition {
    RoleDefinition {
        name: name.into(),
        title: name.into(),
        members: members.iter().map(|m| (*m).to_owned()).collect(),
    }
}

/// One gate of every nature: items, looks, acts, acts on production, looks, signed, acts.
pub(crate) fn definition() -> Definition {
    let gate = |id: &str, nature: Nature, waivable: bool| GateDefinition {
        id: id.into(),
        title: id.into(),
        kind: "query".into(),
        typed_name: (id == "migrate").then(|| "production".to_owned()),
        nature,
        waivable,
        waiver: None,
        lasts_seconds: 0,
        approvers: (id == "count").then(|| vec!["dba".to_owned()]),
        migrates: id == "migrate",
        pastes: false,
        recovery: recovery(id),
    };
    let item = |text: &str, input: Option<InputKind>, capture: Option<&str>| ItemDefinition {
        text: text.into(),
        input,
        unit: None,
        capture: capture.map(str::to_owned),
    };
    let items = Nature::Items(vec![
        item("staging is validated", None, None),
        item("p95 before", Some(InputKind::Number), Some("p95_before")),
    ]);
    let signed = signed();
    let phase = |id: &str, gates: Vec<GateDefinition>| PhaseDefinition {
        id: id.into(),
        title: id.into(),
        gates,
    };
    Definition {
        title: "Housekeeping".into(),
        runbook_digest: "d".repeat(64),
        signatures: None,
        break_glass: None,
        phases: vec![
            phase(
                "before",
                vec![
                    gate("checklist", items, false),
                    gate("count", Nature::Looks, true),
                ],
            ),
            phase(
                "change",
                vec![
                    gate("backup", Nature::Acts, false),
                    gate("migrate", Nature::Acts, false),
                    gate("answer", Nature::Looks, true),
                ],
            ),
            phase(
                "after",
                vec![
                    gate("agreed", signed, false),
                    gate("announce", Nature::Acts, true),
                ],
            ),
        ],
        roles: vec![role("dba", &[ANA]), role("security", &[ANA, SAM])],
        window: None,
        rollbacks: Vec::new(),
        messages: Vec::new(),
    }
}

/// Starts a gate with everything that it could ask for.
pub(crate) fn start(gate: &str) -> Command {
    Command::Start {
        gate: gate.into(),
        plan: Some("p".repeat(64)),
        typed_name: Some("production".into()),
    }
}

pub(crate) fn retry(gate: &str) -> Command {
    Command::Retry {
        gate: gate.into(),
        plan: Some("p".repeat(64)),
        typed_name: Some("production".into()),
    }
}

pub(crate) fn confirm(item: usize, value: Option<&str>) -> Command {
    Command::ConfirmItem {
        gate: "checklist".into(),
        item,
        value: value.map(str::to_owned),
    }
}

pub(crate) fn sign(role: &str, person: &str, decision: Decision) -> Command {
    Command::Sign {
        gate: "agreed".into(),
        role: role.into(),
        person: person.into(),
        decision,
        note: String::new(),
    }
}

pub(crate) fn waive(gate: &str, reason: &str) -> Command {
    Command::Waive {
        gate: gate.into(),
        reason: reason.into(),
    }
}

pub(crate) fn decide_remedy(gate: &str, approved_by: &str, reason: &str) -> Command {
    Command::DecideRemedy {
        gate: gate.into(),
        remedy: Remedy::UpdateCanonical,
        approved_by: approved_by.into(),
        reason: reason.into(),
    }
}

pub(crate) fn finish(gate: &str, attempt: u32, verdict: Verdict) -> Command {
    Command::Finish {
        gate: gate.into(),
        attempt,
        finding: Finding::new(verdict, "seen"),
        evidence: Some("e".repeat(64)),
        captures: BTreeMap::new(),
        files: BTreeMap::new(),
        canceled: false,
    }
}

pub(crate) fn lose(gate: &str, attempt: u32) -> Command {
    Command::Lose {
        gate: gate.into(),
        attempt,
        finding: Finding::inconclusive("the answer to COMMIT was lost"),
    }
}

pub(crate) fn resolve(gate: &str, attempt: u32, resolution: Resolution) -> Command {
    let verdict = match resolution {
        Resolution::Passed => Verdict::Passed,
        Resolution::Failed => Verdict::Failed,
        Resolution::Pending => Verdict::Inconclusive,
    };
    Command::Resolve {
        gate: gate.into(),
        attempt,
        resolution,
        finding: Finding::new(verdict, "the ledger was asked"),
        evidence: None,
    }
}

pub(crate) fn invalidate(gate: &str) -> Command {
    Command::Invalidate {
        gate: gate.into(),
        reason: "its files have changed".into(),
    }
}

pub(crate) fn see_flag(says: &FlagSays) -> Command {
    Command::SeeFlag {
        flag: "DISABLE_AUTO_MIGRATIONS".into(),
        says: says.clone(),
    }
}

/// What a flag may say, by the number that moves give it.
pub(crate) fn flag_says(number: usize) -> FlagSays {
    match number {
        0 => FlagSays::Enabled,
        1 => FlagSays::Disabled {
            value: "true".into(),
        },
        _ => FlagSays::Unclear {
            why: "`ture` is none of its values".into(),
        },
    }
}

/// Somebody who is in the way.
pub(crate) fn blocker(pid: i32) -> BlockerRecord {
    BlockerRecord {
        act: BlockerAct::Terminate,
        pid,
        backend_start: "2025-11-22T00:59:00.123456+00:00".into(),
        who: "ana@psql, local socket".into(),
        query: "SELECT 1".into(),
    }
}
