//! A second, smaller account of what a run allows, written from the rules and not from the code.
//!
//! It knows no events. A disagreement between it and `decide` means that one of them is wrong.

use stagegate::expectation::Verdict;
use stagegate::promotion::{GateState as S, Resolution, Via};

use super::walks::Move;
use super::world::{ANA, GATES, SAM};

/// Who moves a gate.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Items,
    Looks,
    Acts,
    Production,
    Signed,
}

const KINDS: [Kind; 7] = [
    Kind::Items,
    Kind::Looks,
    Kind::Acts,
    Kind::Production,
    Kind::Looks,
    Kind::Signed,
    Kind::Acts,
];
/// The gate that applies migrations.
const MIGRATES: usize = 3;
/// The gate that has a recovery, and the gates of it.
const RECOVERS: usize = 4;
const RECOVERED: [usize; 2] = [0, 2];
const WAIVABLE: [bool; 7] = [false, true, false, false, true, false, true];

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Gate {
    pub(crate) state: S,
    pub(crate) attempt: u32,
    ticked: [bool; 2],
    signed: Vec<(usize, usize)>,
    /// Something of it was done: in this attempt, and in any.
    touched: bool,
    committed: bool,
    left_out: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Model {
    pub(crate) gates: Vec<Gate>,
    /// What the flag says that keeps migrations from running.
    flag: usize,
    /// `open`, `held`, or the word of an end.
    pub(crate) status: &'static str,
}

impl Model {
    pub(crate) fn new() -> Model {
        let gate = Gate {
            state: S::Pending,
            attempt: 0,
            ticked: [false; 2],
            signed: Vec::new(),
            touched: false,
            committed: false,
            left_out: false,
        };
        Model {
            flag: 0,
            gates: vec![gate; GATES.len()],
            status: "open",
        }
    }

    pub(crate) fn ended(&self) -> bool {
        !matches!(self.status, "open" | "held")
    }

    fn lets_through(&self, gate: usize) -> bool {
        matches!(
            self.gates[gate].state,
            S::Passed | S::Waived | S::NotApplicable
        )
    }

    fn reached(&self, gate: usize) -> bool {
        self.status == "open" && (0..gate).all(|earlier| self.lets_through(earlier))
    }

    fn at_work(&self) -> Option<usize> {
        (0..GATES.len()).find(|gate| worked(*gate) && self.gates[*gate].state == S::Running)
    }

    /// Does a move. `false`: it is not allowed, and nothing has changed.
    pub(crate) fn step(&mut self, via: Via, asked: &Move) -> bool {
        if self.ended() {
            return false;
        }
        let person = via == Via::Console;
        match *asked {
            Move::Start { gate, plan, typed } => {
                matches!(self.gates[gate].state, S::Pending | S::Stale)
                    && self.start(via, gate, plan, typed)
            }
            Move::Retry { gate, plan, typed } => {
                unwell(self.gates[gate].state) && self.start(via, gate, plan, typed)
            }
            Move::Confirm { item, number } => person && self.confirm(item, number),
            Move::Sign {
                role,
                person: who,
                approve,
            } => person && self.sign(role, who, approve),
            Move::Waive { gate, long } => {
                let may = person
                    && long
                    && WAIVABLE[gate]
                    && self.reached(gate)
                    && unwell(self.gates[gate].state);
                self.set(may, gate, S::Waived)
            }
            // Only `count` is decided about, and only the first person approves.
            Move::Decide {
                gate,
                person: who,
                long,
            } => {
                let may = GATES[gate] == "count" && PEOPLE[who] == ANA && long;
                person && may && self.reached(gate) && self.gates[gate].state == S::Failed
            }
            Move::Cancel { gate } => self.at_work() == Some(gate),
            Move::Signal { gate, mistyped } => person && !mistyped && self.at_work() == Some(gate),
            Move::Choose { gate, blank } => person && !blank && self.at_work() == Some(gate),
            Move::Hold => self.course(true, "held"),
            Move::Resume => self.course(true, "open"),
            Move::Note => true,
            Move::HandOver => person,
            Move::Abandon => self.course(person && self.at_work().is_none(), "abandoned"),
            Move::Close => {
                let through = (0..GATES.len()).all(|gate| self.lets_through(gate));
                self.course(self.status == "open" && through, "closed")
            }
            Move::Continue => {
                if let Some(gate) = self.at_work() {
                    self.gates[gate].state = S::InDoubt;
                }
                true
            }
            _ => via == Via::Engine && self.report(asked),
        }
    }

    fn start(&mut self, via: Via, gate: usize, plan: bool, typed: bool) -> bool {
        let acts = matches!(KINDS[gate], Kind::Acts | Kind::Production);
        let doubt = self.gates.iter().any(|other| other.state == S::InDoubt);
        let free = worked(gate) && self.reached(gate) && self.at_work().is_none();
        if free && gate == MIGRATES && self.flag == 1 {
            return via != Via::Engine && self.leave_out(gate);
        }
        let may = free
            && (!acts || (plan && !doubt && via != Via::Engine))
            && (KINDS[gate] != Kind::Production || (typed && via == Via::Console));
        if may {
            self.gates[gate].attempt += 1;
            self.gates[gate].touched = false;
            self.gates[gate].left_out = false;
        }
        self.set(may, gate, S::Running)
    }

    /// What has begun and did not pass is neither run nor left out.
    fn leave_out(&mut self, gate: usize) -> bool {
        let of = &self.gates[gate];
        let may = match of.state {
            S::Stale => true,
            S::Pending | S::Errored | S::Canceled => !of.touched && !of.committed,
            _ => false,
        };
        self.gates[gate].left_out |= may;
        self.set(may, gate, S::NotApplicable)
    }

    /// The gates that a failed one takes again, where they passed.
    fn recover(&mut self, gate: usize) {
        if gate != RECOVERS {
            return;
        }
        for earlier in RECOVERED {
            let passed = self.gates[earlier].state == S::Passed;
            self.set(passed, earlier, S::Stale);
        }
    }

    fn see_flag(&mut self, says: usize) {
        let news = self.flag != says;
        self.flag = says;
        if says != 0 || !news {
            return;
        }
        let mut open = false;
        for (gate, kind) in KINDS.into_iter().enumerate() {
            let state = self.gates[gate].state;
            let out = state == S::NotApplicable && self.gates[gate].left_out;
            let looked = state == S::Passed && matches!(kind, Kind::Looks | Kind::Signed);
            let signing = state == S::Running && kind == Kind::Signed;
            open |= out;
            self.set(out || (open && (looked || signing)), gate, S::Stale);
        }
    }

    /// People begin a gate of theirs anew when they have not begun it, or when it went stale.
    fn begin(&mut self, gate: usize) -> bool {
        let state = self.gates[gate].state;
        if !self.reached(gate) || !matches!(state, S::Pending | S::Running | S::Stale) {
            return false;
        }
        if state != S::Running {
            let attempt = self.gates[gate].attempt + 1;
            self.gates[gate] = Gate {
                state: S::Running,
                attempt,
                ticked: [false; 2],
                signed: Vec::new(),
                ..self.gates[gate].clone()
            };
        }
        true
    }

    fn confirm(&mut self, item: usize, number: bool) -> bool {
        let mut after = self.clone();
        if item > 1 || (item == 1 && !number) || !after.begin(0) || after.gates[0].ticked[item] {
            return false;
        }
        after.gates[0].ticked[item] = true;
        if after.gates[0].ticked == [true; 2] {
            after.gates[0].state = S::Passed;
        }
        *self = after;
        true
    }

    fn sign(&mut self, role: usize, who: usize, approve: bool) -> bool {
        const AGREED: usize = 5;
        let mut after = self.clone();
        let member = [[true, false], [true, true]][role][who];
        if !member || !after.begin(AGREED) || (!approve && after.at_work().is_some()) {
            return false;
        }
        let gate = &mut after.gates[AGREED];
        if gate.signed.iter().any(|(r, p)| *r == role || *p == who) {
            return false;
        }
        gate.signed.push((role, who));
        if !approve {
            gate.state = S::Failed;
            after.status = "rejected";
        } else if gate.signed.len() == 2 {
            gate.state = S::Passed;
        }
        *self = after;
        true
    }

    fn report(&mut self, asked: &Move) -> bool {
        let current = |gate: usize, stale: bool| worked(gate) && !stale;
        match *asked {
            Move::Effect { gate, stale } => {
                let may = self.at_work() == Some(gate) && current(gate, stale);
                self.gates[gate].touched |= may;
                self.gates[gate].committed |= may;
                may
            }
            Move::Flag { says } => {
                self.see_flag(says);
                true
            }
            Move::Finish {
                gate,
                verdict,
                canceled,
                stale,
            } => {
                let state = match verdict {
                    _ if canceled => S::Canceled,
                    Verdict::Passed => S::Passed,
                    Verdict::Failed => S::Failed,
                    Verdict::Errored => S::Errored,
                    Verdict::Inconclusive => S::Inconclusive,
                };
                let may = self.at_work() == Some(gate) && current(gate, stale);
                if may && state == S::Failed {
                    self.recover(gate);
                }
                self.set(may, gate, state)
            }
            Move::Lose { gate, stale } => {
                let may = self.at_work() == Some(gate) && current(gate, stale);
                self.set(may, gate, S::InDoubt)
            }
            Move::Resolve {
                gate,
                resolution,
                verdict,
                stale,
            } => {
                let honest = (resolution == Resolution::Passed) == (verdict == Verdict::Passed);
                let may = self.gates[gate].state == S::InDoubt && honest && current(gate, stale);
                let state = match resolution {
                    Resolution::Passed => S::Passed,
                    Resolution::Failed => S::Failed,
                    Resolution::Pending => S::Pending,
                };
                if may && state == S::Failed {
                    self.recover(gate);
                }
                self.set(may, gate, state)
            }
            Move::Invalidate { gate } => {
                self.set(self.gates[gate].state == S::Passed, gate, S::Stale)
            }
            _ => false,
        }
    }

    fn set(&mut self, may: bool, gate: usize, state: S) -> bool {
        if may {
            self.gates[gate].state = state;
        }
        may
    }

    fn course(&mut self, may: bool, status: &'static str) -> bool {
        if may {
            self.status = status;
        }
        may
    }
}

fn worked(gate: usize) -> bool {
    matches!(KINDS[gate], Kind::Looks | Kind::Acts | Kind::Production)
}

fn unwell(state: S) -> bool {
    matches!(
        state,
        S::Failed | S::Errored | S::Inconclusive | S::Canceled
    )
}

/// The two people, by the number that moves give them.
pub(crate) const PEOPLE: [&str; 2] = [ANA, SAM];
/// The two roles, by the number that moves give them.
pub(crate) const ROLES: [&str; 2] = ["dba", "security"];
