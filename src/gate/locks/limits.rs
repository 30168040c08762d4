//! How much of a queue behind us is tolerated. Pure.

use std::time::Duration;

use crate::postgres::locks::{Look, age, whole};

/// What is tolerated behind a transaction of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tolerated {
    /// So many may wait.
    pub waiters: u32,
    /// So long the longest may, while we have what they wait for.
    pub wait: Duration,
}

/// The limits of a gate.
pub(in crate::gate) type QueueLimits = Tolerated;

impl Tolerated {
    /// Says what is beyond what is tolerated, if anything is.
    ///
    /// While we wait ourselves the lock timeout bounds how long those behind us do, unless the file
    /// has found a way to change it.
    pub fn exceeded(&self, look: &Look) -> Option<String> {
        let queue = &look.queue;
        if queue.count > self.waiters as usize {
            return Some(format!(
                "{} waited behind it, {} are tolerated",
                queue.count, self.waiters
            ));
        }
        let longest = Duration::from_millis(queue.longest_ms);
        if queue.count > 0 && longest > self.wait {
            return Some(format!(
                "somebody waited {} behind it, {} are tolerated",
                age(queue.longest_ms),
                whole(self.wait)
            ));
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::postgres::locks::Queue;

    const LIMITS: Tolerated = Tolerated {
        waiters: 3,
        wait: Duration::from_secs(5),
    };

    fn look(count: usize, longest_ms: u64) -> Look {
        Look {
            queue: Queue {
                count,
                longest_ms,
                ..Queue::default()
            },
            ..Look::default()
        }
    }

    #[test]
    fn the_number_named_is_the_number_tolerated() {
        assert_eq!(LIMITS.exceeded(&look(3, 0)), None);
        let said = LIMITS.exceeded(&look(4, 0)).unwrap();
        assert_eq!(said, "4 waited behind it, 3 are tolerated");
        let none = Tolerated {
            waiters: 0,
            ..LIMITS
        };
        assert_eq!(none.exceeded(&look(0, 0)), None);
        assert!(none.exceeded(&look(1, 0)).is_some());
    }

    #[test]
    fn time_counts_only_while_we_have_the_lock() {
        assert_eq!(LIMITS.exceeded(&look(1, 5_000)), None);
        let said = LIMITS.exceeded(&look(1, 5_300)).unwrap();
        assert_eq!(said, "somebody waited 5.3 s behind it, 5 s are tolerated");
        let mut waiting = look(1, 60_000);
        waiting.wait = Some(crate::postgres::locks::Wait::on("shop.orders"));
        assert!(LIMITS.exceeded(&waiting).is_some());
        waiting.queue.longest_ms = 1_000;
        assert_eq!(LIMITS.exceeded(&waiting), None);
        waiting.queue.count = 4;
        assert!(LIMITS.exceeded(&waiting).is_some());
    }
}
