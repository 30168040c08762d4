//! What keeps others from waiting long behind a migration, and it from waiting for ever.

use std::time::Duration;

/// The limits of waiting, on both sides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Queueing {
    /// No attempt at a file is begun when its attempts and their pauses have taken this long.
    pub budget: Duration,
    /// How many may wait behind a transaction before it is stopped.
    pub queue_limit: u32,
    /// How long the longest of them may, while the transaction has what they wait for.
    pub queue_wait: Duration,
    /// A `pg_dump` that reads the database is no reason to refuse.
    pub beside_dumps: bool,
}
