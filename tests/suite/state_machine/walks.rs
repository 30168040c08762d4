//! Random walks: what may be asked, in whatever order, and what it means as a command.

use std::collections::BTreeMap;

use proptest::prelude::*;
use stagegate::expectation::{Finding, Verdict};
use stagegate::promotion::{
    Command, Decision, EffectOutcome, EffectRecord, GateRecord, GateState, Nature, Resolution, Run,
    RunStatus, Via,
};

use super::model::{PEOPLE, ROLES};
use super::world::{
    GATES, REASON, confirm, decide_remedy, flag_says, invalidate, lose, see_flag, sign, waive,
};

/// Something that is asked, with gates and people by number.
#[derive(Debug, Clone)]
pub(crate) enum Move {
    Start {
        gate: usize,
        plan: bool,
        typed: bool,
    },
    Retry {
        gate: usize,
        plan: bool,
        typed: bool,
    },
    Confirm {
        item: usize,
        number: bool,
    },
    Sign {
        role: usize,
        person: usize,
        approve: bool,
    },
    Waive {
        gate: usize,
        long: bool,
    },
    Decide {
        gate: usize,
        person: usize,
        long: bool,
    },
    Cancel {
        gate: usize,
    },
    Choose {
        gate: usize,
        blank: bool,
    },
    Signal {
        gate: usize,
        mistyped: bool,
    },
    Hold,
    Resume,
    Note,
    HandOver,
    Abandon,
    Close,
    Continue,
    Effect {
        gate: usize,
        stale: bool,
    },
    Finish {
        gate: usize,
        verdict: Verdict,
        canceled: bool,
        stale: bool,
    },
    Lose {
        gate: usize,
        stale: bool,
    },
    Resolve {
        gate: usize,
        resolution: Resolution,
        verdict: Verdict,
        stale: bool,
    },
    Invalidate {
        gate: usize,
    },
    /// A flag that keeps migrations from running says this.
    Flag {
        says: usize,
    },
}

/// Stands for the gate that something is about just now, whichever that is.
const FOCUS: usize = GATES.len();

fn gate() -> impl Strategy<Value = usize> {
    prop_oneof![1 => 0..GATES.len(), 2 => Just(FOCUS)]
}

fn verdict() -> impl Strategy<Value = Verdict> {
    prop_oneof![
        4 => Just(Verdict::Passed),
        1 => Just(Verdict::Failed),
        1 => Just(Verdict::Errored),
        1 => Just(Verdict::Inconclusive),
    ]
}

fn resolution() -> impl Strategy<Value = Resolution> {
    prop_oneof![
        Just(Resolution::Passed),
        Just(Resolution::Failed),
        Just(Resolution::Pending)
    ]
}

fn often() -> impl Strategy<Value = bool> {
    prop::bool::weighted(0.85)
}

fn seldom() -> impl Strategy<Value = bool> {
    prop::bool::weighted(0.1)
}

fn any_move() -> impl Strategy<Value = Move> {
    prop_oneof![
        3 => (gate(), often(), often()).prop_map(|(gate, plan, typed)| Move::Start { gate, plan, typed }),
        3 => (gate(), often(), often()).prop_map(|(gate, plan, typed)| Move::Retry { gate, plan, typed }),
        3 => (0..3usize, often()).prop_map(|(item, number)| Move::Confirm { item, number }),
        2 => (0..2usize, 0..2usize, often())
            .prop_map(|(role, person, approve)| Move::Sign { role, person, approve }),
        2 => (gate(), often()).prop_map(|(gate, long)| Move::Waive { gate, long }),
        2 => (gate(), 0..2usize, often())
            .prop_map(|(gate, person, long)| Move::Decide { gate, person, long }),
        2 => gate().prop_map(|gate| Move::Cancel { gate }),
        2 => (gate(), seldom()).prop_map(|(gate, blank)| Move::Choose { gate, blank }),
        1 => (gate(), seldom()).prop_map(|(gate, mistyped)| Move::Signal { gate, mistyped }),
        1 => Just(Move::Hold),
        2 => Just(Move::Resume),
        1 => Just(Move::Note),
        1 => Just(Move::HandOver),
        1 => seldom().prop_map(|end| if end { Move::Abandon } else { Move::Note }),
        1 => Just(Move::Close),
        1 => Just(Move::Continue),
        2 => (gate(), seldom()).prop_map(|(gate, stale)| Move::Effect { gate, stale }),
        4 => (gate(), verdict(), seldom(), seldom()).prop_map(
            |(gate, verdict, canceled, stale)| Move::Finish { gate, verdict, canceled, stale }),
        2 => (gate(), seldom()).prop_map(|(gate, stale)| Move::Lose { gate, stale }),
        3 => (gate(), resolution(), verdict(), seldom()).prop_map(
            |(gate, resolution, verdict, stale)| Move::Resolve { gate, resolution, verdict, stale }),
        2 => gate().prop_map(|gate| Move::Invalidate { gate }),
        2 => prop_oneof![2 => Just(0), 2 => Just(1), 1 => Just(2)]
            .prop_map(|says: usize| Move::Flag { says }),
    ]
}

/// Mostly the way in that the move is meant for.
fn via() -> impl Strategy<Value = Option<Via>> {
    let any = prop_oneof![Just(Via::Console), Just(Via::Headless), Just(Via::Engine)];
    prop::option::weighted(0.3, any)
}

/// One step of a walk: something random, or what would take the run further.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    Random(Option<Via>, Move),
    Onwards(Verdict),
}

pub(crate) fn walk() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        2 => (via(), any_move()).prop_map(|(via, asked)| Step::Random(via, asked)),
        3 => verdict().prop_map(Step::Onwards),
    ];
    prop::collection::vec(step, 0..70)
}

/// What is asked in this step, and by whom.
pub(crate) fn asked(run: &Run, step: Step) -> (Via, Move) {
    match step {
        Step::Onwards(verdict) => onwards(run, verdict),
        Step::Random(via, mut asked) => {
            let reports = aim(run, &mut asked);
            let meant_for = if reports { Via::Engine } else { Via::Console };
            (via.unwrap_or(meant_for), asked)
        }
    }
}

/// Fills in the gate in focus. Tells whether the move is a report.
fn aim(run: &Run, asked: &mut Move) -> bool {
    let doubtful = || run.gates.iter().find(|g| g.state == GateState::InDoubt);
    let last_passed = || run.gates.iter().rfind(|g| g.state == GateState::Passed);
    let busy = || run.at_work().or_else(doubtful).or_else(|| run.current());
    let (gate, focus, reports) = match asked {
        Move::Start { gate, .. }
        | Move::Retry { gate, .. }
        | Move::Waive { gate, .. }
        | Move::Decide { gate, .. }
        | Move::Choose { gate, .. }
        | Move::Signal { gate, .. }
        | Move::Cancel { gate } => (gate, run.current(), false),
        Move::Effect { gate, .. }
        | Move::Finish { gate, .. }
        | Move::Lose { gate, .. }
        | Move::Resolve { gate, .. } => (gate, busy(), true),
        Move::Invalidate { gate } => (gate, last_passed(), true),
        Move::Flag { .. } => return true,
        _ => return false,
    };
    if *gate == FOCUS {
        *gate = focus.map_or(0, |record| number(&record.id));
    }
    reports
}

/// What an operator who wants to be done would do next.
pub(crate) fn onwards(run: &Run, verdict: Verdict) -> (Via, Move) {
    if matches!(run.status, RunStatus::Held(_)) {
        return (Via::Console, Move::Resume);
    }
    if let Some(busy) = run.at_work() {
        let (gate, canceled, stale) = (number(&busy.id), false, false);
        let finish = Move::Finish {
            gate,
            verdict,
            canceled,
            stale,
        };
        return (Via::Engine, finish);
    }
    match run.current() {
        Some(current) => further(run, current),
        None => (Via::Console, Move::Close),
    }
}

fn further(run: &Run, current: &GateRecord) -> (Via, Move) {
    let gate = number(&current.id);
    let (plan, typed, stale) = (true, true, false);
    let anew = current.state != GateState::Running;
    let nature = &run.definition_of(&current.id).unwrap().nature;
    match (nature, current.state) {
        (Nature::Items(_), _) => {
            let item = usize::from(!anew && current.items[0].is_some());
            (Via::Console, Move::Confirm { item, number: true })
        }
        (Nature::SignOff { .. }, _) => {
            let role = usize::from(!anew && !current.statements.is_empty());
            let (person, approve) = (role, true);
            let sign = Move::Sign {
                role,
                person,
                approve,
            };
            (Via::Console, sign)
        }
        (_, GateState::InDoubt) => {
            let (resolution, verdict) = (Resolution::Pending, Verdict::Inconclusive);
            let resolve = Move::Resolve {
                gate,
                resolution,
                verdict,
                stale,
            };
            (Via::Engine, resolve)
        }
        (_, state) if state.may_retry() => (Via::Console, Move::Retry { gate, plan, typed }),
        _ => (Via::Console, Move::Start { gate, plan, typed }),
    }
}

fn number(id: &str) -> usize {
    GATES.iter().position(|gate| *gate == id).unwrap()
}

/// The command that a move stands for, in a run as it is.
pub(crate) fn command(run: &Run, asked: &Move) -> Command {
    let text = |text: &str| text.to_owned();
    let plan = |given: bool| given.then(|| "p".repeat(64));
    let typed_name = |right: bool| Some(text(if right { "production" } else { "staging" }));
    match *asked {
        Move::Start {
            gate,
            plan: given,
            typed,
        } => Command::Start {
            gate: text(GATES[gate]),
            plan: plan(given),
            typed_name: typed_name(typed),
        },
        Move::Retry {
            gate,
            plan: given,
            typed,
        } => Command::Retry {
            gate: text(GATES[gate]),
            plan: plan(given),
            typed_name: typed_name(typed),
        },
        Move::Confirm { item, number } => confirm(item, Some(if number { "12.5" } else { "much" })),
        Move::Sign {
            role,
            person,
            approve: true,
        } => sign(ROLES[role], PEOPLE[person], Decision::Approve),
        Move::Sign { role, person, .. } => sign(ROLES[role], PEOPLE[person], Decision::Reject),
        Move::Waive { gate, long } => waive(GATES[gate], if long { REASON } else { "no time" }),
        Move::Decide { gate, person, long } => {
            let reason = if long { REASON } else { "no time" };
            decide_remedy(GATES[gate], PEOPLE[person], reason)
        }
        Move::Cancel { gate } => Command::Cancel {
            gate: text(GATES[gate]),
        },
        Move::Choose { gate, blank } => Command::Choose {
            gate: text(GATES[gate]),
            question: 1,
            choice: text(if blank { " " } else { "go on" }),
        },
        Move::Signal { gate, mistyped } => Command::SignalBlocker {
            gate: text(GATES[gate]),
            blocker: super::world::blocker(4711),
            typed_pid: Some(text(if mistyped { "4712" } else { "4711" })),
        },
        Move::Hold => Command::Hold {
            reason: text("load"),
        },
        Move::Resume => Command::Resume,
        Move::Note => Command::Note {
            gate: None,
            text: text("seen"),
        },
        Move::HandOver => Command::HandOver {
            to: text("sam"),
            epoch: None,
        },
        Move::Abandon => Command::Abandon {
            reason: text("enough"),
        },
        Move::Close => Command::Close,
        Move::Continue => Command::Continue {
            version: text("0.1.0"),
        },
        _ => report(run, asked),
    }
}

fn report(run: &Run, asked: &Move) -> Command {
    let attempt = |gate: usize, stale: bool| run.gates[gate].attempt + u32::from(stale);
    match *asked {
        Move::Effect { gate, stale } => Command::RecordEffect {
            gate: GATES[gate].to_owned(),
            attempt: attempt(gate, stale),
            effect: EffectRecord {
                name: "001.sql".into(),
                outcome: EffectOutcome::Committed,
                duration_ms: 3,
                detail: String::new(),
            },
        },
        Move::Finish {
            gate,
            verdict,
            canceled,
            stale,
        } => Command::Finish {
            gate: GATES[gate].to_owned(),
            attempt: attempt(gate, stale),
            finding: Finding::new(verdict, "seen"),
            evidence: None,
            captures: BTreeMap::new(),
            files: BTreeMap::new(),
            canceled,
        },
        Move::Lose { gate, stale } => lose(GATES[gate], attempt(gate, stale)),
        Move::Resolve {
            gate,
            resolution,
            verdict,
            stale,
        } => Command::Resolve {
            gate: GATES[gate].to_owned(),
            attempt: attempt(gate, stale),
            resolution,
            finding: Finding::new(verdict, "asked"),
            evidence: None,
        },
        Move::Invalidate { gate } => invalidate(GATES[gate]),
        Move::Flag { says } => see_flag(&flag_says(says)),
        _ => unreachable!("{asked:?} is no report"),
    }
}
