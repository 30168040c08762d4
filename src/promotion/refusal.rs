//! Why a command was not granted, in words that help.

use super::{GateState, Resolution};
use crate::expectation::Verdict;

/// A command that was refused. Nothing was changed by it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("there is no run yet")]
    NotOpened,
    #[error("the journal holds a run already")]
    AlreadyOpened,
    #[error("the run is {0}; it takes no further commands")]
    Ended(String),
    #[error("the run is held ({0}); resume it first")]
    Held(String),
    #[error("there is no gate `{0}` in this run")]
    UnknownGate(String),
    #[error("gate `{blocking}` is {}; nothing later starts until it has passed", .state.word())]
    Blocked { blocking: String, state: GateState },
    #[error("there is no change of a file to be reviewed")]
    NothingToReview,
    #[error("gate `{0}` is at work; one gate acts at a time")]
    Busy(String),
    #[error("gate `{0}` is in doubt; nothing else acts before it is known what it did")]
    Unresolved(String),
    #[error("gate `{0}` acts; it never starts by itself")]
    NeverByItself(String),
    #[error("only the work of gate `{0}` reports how it ended")]
    NoReport(String),
    #[error(
        "gate `{gate}` is said to be {} by a finding that {}; the two do not agree",
        .resolution.word(), .verdict.word()
    )]
    Contradiction {
        gate: String,
        resolution: Resolution,
        verdict: Verdict,
    },
    #[error("gate `{gate}` is {}; it cannot be {asked}", .state.word())]
    WrongState {
        gate: String,
        state: GateState,
        asked: &'static str,
    },
    #[error(
        "gate `{0}` is moved by people, item by item or signature by signature; no work of its own starts, stops or reports"
    )]
    MovedByPeople(String),
    #[error("gate `{0}` acts; its plan must be made and shown before it starts")]
    NoPlan(String),
    #[error("the plan of gate `{0}` has changed since it was shown; look at the new one first")]
    PlanChanged(String),
    #[error("`{target}` is held by another operator: {holder}")]
    TargetHeld { target: String, holder: String },
    #[error("gate `{gate}` acts on `{name}`; type that name to confirm")]
    NameNotTyped { gate: String, name: String },
    #[error("gate `{gate}` does not offer `{choice}` now; look at what it asks")]
    NotOffered { gate: String, choice: String },
    #[error("type the process number {pid} to confirm")]
    PidNotTyped { pid: i32 },
    #[error("pid {pid} is not in the way of gate `{gate}` any more; nothing was done")]
    NotInTheWay { gate: String, pid: i32 },
    #[error("{what} needs a person at a console; this front end has none")]
    NeedsPerson { what: String },
    #[error("gate `{gate}` has no item {item}")]
    UnknownItem { gate: String, item: usize },
    #[error("item {item} of gate `{gate}` is confirmed already")]
    ItemConfirmed { gate: String, item: usize },
    #[error("item {item} asks for {wanted}; `{given}` is none")]
    BadInput {
        item: usize,
        wanted: String,
        given: String,
    },
    #[error("the runbook does not allow gate `{0}` to be waived")]
    NotWaivable(String),
    #[error("nothing is decided about gate `{0}`: it compares no schema with its canonical one")]
    NothingToDecide(String),
    #[error("say who approved it")]
    NobodyApproved,
    #[error("`{person}` may not approve that; members of {roles} may: {members}")]
    NotAnApprover {
        person: String,
        roles: String,
        members: String,
    },
    #[error("a reason of at least {0} characters is needed")]
    ReasonTooShort(usize),
    #[error("gate `{0}` judges a plan that somebody gives; none was given yet")]
    NothingPasted(String),
    #[error("gate `{0}` has refused the plan that was given; give it another one")]
    PasteRefused(String),
    #[error("gate `{0}` takes no plan from people")]
    NoPaste(String),
    #[error(
        "{flag}={value} keeps migrations from running, and gate `{gate}` has begun its work: it is \
         neither run nor left out. Take the flag away, then retry it"
    )]
    MigrationsDisabled {
        gate: String,
        flag: String,
        value: String,
    },
    #[error("role `{role}` does not sign gate `{gate}`; roles: {valid}")]
    WrongRole {
        gate: String,
        role: String,
        valid: String,
    },
    #[error("`{person}` is not a member of role `{role}`; members: {members}")]
    NotAMember {
        person: String,
        role: String,
        members: String,
    },
    #[error("this run takes no signatures: its runbook has no [signatures]")]
    NoKeys,
    #[error("gate `{0}` is not signed with keys; its people sign by name, at the console")]
    SignedByNames(String),
    #[error("gate `{0}` is signed with keys; its statements are signed and handed in")]
    SignedWithKeys(String),
    #[error("gate `{0}` is waived by signatures, and not by the operator alone")]
    WaivedWithKeys(String),
    #[error("the runbook has no [break_glass]")]
    NoBreakGlass,
    #[error("role `{0}` has signed already")]
    RoleSigned(String),
    #[error("`{person}` has signed already as `{role}`; this gate wants distinct people")]
    PersonSigned { person: String, role: String },
    #[error("there is no way back `{rollback}` in this run; there are: {valid}")]
    UnknownRollback { rollback: String, valid: String },
    #[error("`{rollback}` cannot be started: {why}")]
    WayBackClosed { rollback: String, why: String },
    #[error("`{rollback}` undoes work; type `{name}` to confirm")]
    RollbackNameNotTyped { rollback: String, name: String },
    #[error("`{0}` undoes chosen files only, and none is chosen")]
    NothingChosen(String),
    #[error("the run goes back by `{rollback}`; gate `{gate}` does not move any more")]
    GoingBack { gate: String, rollback: String },
    #[error("there is no message `{0}` to send here")]
    UnknownMessage(String),
    #[error("{0}")]
    OutsideWindow(String),
    #[error(
        "the report is about attempt {reported} of gate `{gate}`, which is at attempt {current}"
    )]
    StaleReport {
        gate: String,
        reported: u32,
        current: u32,
    },
    #[error("gate `{0}` has not passed yet; a run closes when every gate has let it through")]
    NotAllPassed(String),
}

impl Refusal {
    /// Tells whether only a person at a console could have this granted.
    pub fn needs_person(&self) -> bool {
        matches!(
            self,
            Refusal::NeedsPerson { .. }
                | Refusal::MovedByPeople(_)
                | Refusal::NameNotTyped { .. }
                | Refusal::PidNotTyped { .. }
                | Refusal::RollbackNameNotTyped { .. }
        )
    }
}
