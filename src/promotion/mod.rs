//! The state machine of a run, pure: no IO, no clock.
//!
//! A front end or a worker asks with a [`Command`]; [`decide`] answers with [`Event`]s or a
//! [`Refusal`]; the events become [`Record`]s of the journal; [`Run::apply`] folds them. Replay
//! folds the same records with the same function, so what is on the screen after a crash is what
//! the journal says and nothing else.

mod announce;
mod apply;
mod blocker;
mod command;
mod conn;
mod decide;
mod definition;
mod effect;
mod event;
mod journal;
mod left_out;
mod pasted;
mod refusal;
mod remedy;
mod review;
mod run;
pub mod signature;
mod statement;
mod window;
mod witness;

pub use announce::message_fields;
pub use blocker::{BlockerAct, BlockerEnd, BlockerOutcome, BlockerRecord};
pub use command::{Actor, Command, Moment, Opening, Resolution, Via};
pub use decide::decide;
pub use definition::{
    Definition, GateDefinition, InputKind, ItemDefinition, MessageDefinition, Nature,
    PhaseDefinition, RoleDefinition, RollbackDefinition, Scope,
};
pub use effect::{EffectOutcome, EffectRecord};
pub use event::Event;
pub use journal::{GENESIS, Journal, JournalDamage, Record, Tail};
pub use left_out::{FlagRecord, FlagSays, LeftOut};
pub use pasted::PastedPlan;
pub use refusal::Refusal;
pub use remedy::{Remedy, RemedyRecord};
pub use review::{Review, ReviewStanding, Reviews, Sides};
pub use run::{
    GateRecord, GateState, ItemRecord, Reminder, RollbackRecord, Run, RunStatus, Waiver,
};
pub use statement::{Decision, Statement};
pub use window::{Countdown, WindowDefinition};
pub use witness::{Behind, Failing, Witness, judge};
