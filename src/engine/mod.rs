//! Owns a run: commands in, decide, journal, work started, updates out.
//!
//! One thread owns the journal and the state. Front ends hold an [`EngineHandle`]: they send
//! requests and read snapshots, and never see anything half done. Workers run elsewhere and report
//! back; the engine never waits for one, and no worker waits for a frame.

mod actor;
mod announce;
mod begin;
mod control;
mod control_view;
mod decided;
mod definition;
mod handle;
mod kept;
mod open;
mod outside;
mod react;
mod reading;
mod servers;
mod signal;
mod signers;
mod signing;
mod statements;
mod store;
mod taking;
mod watching;
mod witnesses;
mod work;

pub use announce::Announcement;
pub use control::{place, who};
pub use control_view::{Asked, ConnAsk, ControlView, LEFT_AFTER, STALE_AFTER, Watching};
pub use definition::definition;
pub use handle::{CommandError, EngineHandle, Request, Snapshot};
pub use open::{OpenError, OpenOptions, Which, open, open_asleep};
pub use reading::{ReadError, ReadRun, read_run};
pub use signers::pin as pin_signers;
pub use signing::{STATEMENTS, statement_file};
pub use store::{Listed, Opened, Store, StoreError, default_runs_folder, list, read_only};
pub use taking::{TakeError, Taken, Taking, open_taken, take};
pub use watching::{WatchError, WatchOptions, watch};
