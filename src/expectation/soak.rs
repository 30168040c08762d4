//! How long something was seen to be well.
//!
//! Time counts only between two good looks in a row that are not too far apart: a program that was
//! down, a machine that slept, a source that did not answer have seen nothing.

use std::time::Duration;

/// Observed time. Moments are those of a clock that never goes back and does not stop in sleep.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Soak {
    longest_gap: Duration,
    observed: Duration,
    last_good: Option<Duration>,
}

impl Soak {
    /// Begins at nothing. Two looks may be at most twice `every` apart.
    pub fn new(every: Duration) -> Soak {
        Soak {
            longest_gap: every.saturating_mul(2),
            observed: Duration::ZERO,
            last_good: None,
        }
    }

    /// Takes one look at the moment `at`.
    pub fn look(&mut self, at: Duration, good: bool) {
        if !good {
            self.last_good = None;
            return;
        }
        let gap = self.last_good.and_then(|last| at.checked_sub(last));
        if let Some(gap) = gap.filter(|gap| *gap <= self.longest_gap) {
            self.observed += gap;
        }
        self.last_good = Some(at);
    }

    /// Forgets the last look: what comes next is not its neighbour.
    pub fn interrupt(&mut self) {
        self.last_good = None;
    }

    /// The time that counts.
    pub fn observed(&self) -> Duration {
        self.observed
    }

    /// Tells whether the last look was good and is recent enough at the moment `now`.
    pub fn is_well(&self, now: Duration) -> bool {
        self.last_good
            .and_then(|last| now.checked_sub(last))
            .is_some_and(|gap| gap <= self.longest_gap)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn seconds(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    #[test]
    fn only_neighbours_count() {
        let mut soak = Soak::new(seconds(10));
        soak.look(seconds(0), true);
        soak.look(seconds(10), true);
        assert_eq!(soak.observed(), seconds(10));
        soak.look(seconds(31), true);
        assert_eq!(soak.observed(), seconds(10), "a gap of 21 s is too long");
        soak.look(seconds(41), false);
        soak.look(seconds(51), true);
        assert_eq!(
            soak.observed(),
            seconds(10),
            "a bad look parts its neighbours"
        );
        soak.interrupt();
        soak.look(seconds(61), true);
        assert_eq!(soak.observed(), seconds(10));
        soak.look(seconds(50), true);
        soak.look(seconds(70), true);
        assert_eq!(
            soak.observed(),
            seconds(30),
            "a gap of twice the interval counts"
        );
        assert!(soak.is_well(seconds(90)) && !soak.is_well(seconds(91)));
    }

    proptest! {
        #[test]
        fn observed_time_is_never_more_than_the_time_between_good_looks(
            looks in prop::collection::vec((0u64..60, any::<bool>(), prop::bool::weighted(0.1)), 0..60),
        ) {
            let mut soak = Soak::new(seconds(10));
            let (mut at, mut allowed, mut last) = (0, 0, None::<u64>);
            for (gap, good, interrupted) in looks {
                at += gap;
                if interrupted {
                    soak.interrupt();
                    last = None;
                }
                soak.look(seconds(at), good);
                if good {
                    allowed += last.map_or(0, |last| if at - last <= 20 { at - last } else { 0 });
                }
                last = good.then_some(at);
            }
            prop_assert_eq!(soak.observed(), seconds(allowed));
            prop_assert!(soak.observed() <= seconds(at));
        }
    }
}
