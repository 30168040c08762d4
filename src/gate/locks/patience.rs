//! How often and for how long a transaction that met a lock is tried again. Pure.

use std::time::Duration;

use crate::gate::migrate_apply::{FIRST_PAUSE, LONGEST_PAUSE};
use crate::postgres::locks::{age, whole};

/// What is left to try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::gate) struct Patience {
    attempts: u32,
    budget: Duration,
}

impl Patience {
    pub(in crate::gate) fn new(attempts: u32, budget: Duration) -> Patience {
        Patience { attempts, budget }
    }

    /// How long to pause before the next attempt, after `tried` of them took `used` in all. `None`
    /// when there is none: enough were made, or the next would begin after the budget.
    pub(in crate::gate) fn pause(&self, tried: u32, used: Duration) -> Option<Duration> {
        if tried >= self.attempts {
            return None;
        }
        let doubled = FIRST_PAUSE.saturating_mul(1 << tried.saturating_sub(1).min(16));
        let pause = doubled.min(LONGEST_PAUSE);
        (used + pause < self.budget).then_some(pause)
    }

    /// Where it stands, such as `attempt 2 of 5, 38 s of 5 min used`.
    pub(in crate::gate) fn words(&self, attempt: u32, used: Duration) -> String {
        format!(
            "attempt {attempt} of {}, {} of {} used",
            self.attempts,
            age(used.as_millis() as u64),
            whole(self.budget)
        )
    }

    /// Why there is no further attempt.
    pub(in crate::gate) fn exhausted(&self, tried: u32, used: Duration) -> String {
        let used = age(used.as_millis() as u64);
        let times = match tried {
            1 => "once".to_owned(),
            n => format!("{n} times"),
        };
        match tried >= self.attempts {
            true => format!("tried {times} in {used}; attempts = {tried} allows no more"),
            false => format!(
                "tried {times} in {used}; the budget of {} allows no more",
                whole(self.budget)
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_until_enough_was_tried() {
        let patience = Patience::new(9, Duration::from_secs(300));
        let pause = |tried| patience.pause(tried, Duration::ZERO).map(|p| p.as_millis());
        assert_eq!(pause(1), Some(500));
        assert_eq!(pause(2), Some(1_000));
        assert_eq!(pause(7), Some(30_000));
        assert_eq!(pause(8), Some(30_000));
        assert_eq!(pause(9), None);
        assert_eq!(
            Patience::new(100, Duration::MAX).pause(99, Duration::ZERO),
            Some(LONGEST_PAUSE)
        );
    }

    #[test]
    fn no_attempt_begins_after_the_budget() {
        let patience = Patience::new(5, Duration::from_secs(3));
        let used = Duration::from_millis;
        assert!(patience.pause(1, used(2_400)).is_some());
        assert_eq!(patience.pause(1, used(2_500)), None);
        assert_eq!(
            patience.exhausted(2, used(2_500)),
            "tried 2 times in 2.5 s; the budget of 3 s allows no more"
        );
        assert_eq!(
            patience.exhausted(5, used(2_500)),
            "tried 5 times in 2.5 s; attempts = 5 allows no more"
        );
        assert_eq!(
            Patience::new(5, used(300_000)).words(2, used(38_000)),
            "attempt 2 of 5, 38 s of 5 min used"
        );
    }
}
