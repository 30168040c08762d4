//! Locks around a running transaction: watched in a session of its own, shown, and kept from
//! holding everybody up.

mod limits;
mod patience;
mod scene;
mod signals;
mod watch;
mod watcher;

pub(super) use limits::QueueLimits;
pub use limits::Tolerated;
pub(super) use patience::Patience;
pub use scene::{LockScene, Pause};
pub use signals::Signals;
pub(super) use watch::{LockWatch, Rules, Seen};
