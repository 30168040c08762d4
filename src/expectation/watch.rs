//! Several metrics looked at together, again and again, and what may follow from it.

use std::time::Duration;

use super::{Finding, MetricRule, Reading, Soak, Tally, Verdict};

/// What the looks so far allow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// Nothing is decided yet.
    Going,
    /// Enough was seen, and all of it was well.
    Enough,
    /// More looks cannot make it well: failed, errored or inconclusive.
    Decided(Finding),
}

/// A watch over metrics for a wanted time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Watch {
    rules: Vec<MetricRule>,
    tallies: Vec<Tally>,
    last: Vec<Option<Reading>>,
    soak: Soak,
    wanted: Duration,
    /// Good looks in a row, up to the last one.
    in_row: u32,
}

impl Watch {
    /// Begins with nothing seen.
    pub fn new(rules: Vec<MetricRule>, every: Duration, wanted: Duration) -> Watch {
        let count = rules.len();
        Watch {
            rules,
            tallies: vec![Tally::default(); count],
            last: vec![None; count],
            soak: Soak::new(every),
            wanted,
            in_row: 0,
        }
    }

    /// Takes one look at all metrics at the moment `at`. `sound` says that what is watched is what
    /// it should be; where it is not, the time does not count. Tells whether the look was good.
    pub fn look(&mut self, at: Duration, readings: &[Reading], sound: bool) -> bool {
        let mut good = sound && readings.len() == self.rules.len() && !self.rules.is_empty();
        for (index, reading) in readings.iter().take(self.rules.len()).enumerate() {
            let verdict = self.rules[index].judge(reading);
            self.tallies[index].count(verdict);
            self.last[index] = Some(reading.clone());
            good &= verdict == Verdict::Passed;
        }
        self.soak.look(at, good);
        self.in_row = if good {
            self.in_row.saturating_add(1)
        } else {
            0
        };
        good
    }

    /// Nobody has looked since the last look: what comes next is not its neighbour, and errors of
    /// before are not in a row with errors of now.
    pub fn interrupt(&mut self) {
        self.soak.interrupt();
        self.in_row = 0;
        self.tallies
            .iter_mut()
            .for_each(|tally| tally.errors_in_row = 0);
    }

    /// What follows from the looks so far.
    pub fn standing(&self) -> Standing {
        let decided = self
            .each()
            .filter(|(rule, tally, _)| rule.is_decided(tally));
        let findings = decided.map(|(rule, tally, last)| rule.finding(tally, last));
        if let Some(finding) = Finding::worst(findings.collect()) {
            return Standing::Decided(finding);
        }
        let passed = self
            .each()
            .all(|(rule, tally, _)| rule.verdict(tally) == Verdict::Passed);
        // Two good looks in a row, so that nothing follows from what was seen before a gap alone.
        if passed && self.in_row >= 2 && self.observed() >= self.wanted && !self.rules.is_empty() {
            Standing::Enough
        } else {
            Standing::Going
        }
    }

    /// The verdict if nothing more is looked at.
    pub fn finding(&self) -> Finding {
        let findings = self
            .each()
            .map(|(rule, tally, last)| rule.finding(tally, last))
            .collect();
        match Finding::worst(findings) {
            None => Finding::inconclusive("nothing was looked at"),
            Some(worst) if worst.verdict != Verdict::Passed => worst,
            Some(_) if self.standing() == Standing::Enough => {
                Finding::passed("every metric stayed in its band")
            }
            Some(_) => Finding::inconclusive(format!(
                "{} s were observed of {} s that are wanted",
                self.observed().as_secs(),
                self.wanted.as_secs()
            )),
        }
    }

    fn each(&self) -> impl Iterator<Item = (&MetricRule, &Tally, Option<&Reading>)> {
        let both = self.rules.iter().zip(&self.tallies);
        both.zip(&self.last)
            .map(|((rule, tally), last)| (rule, tally, last.as_ref()))
    }

    /// The time that counts.
    pub fn observed(&self) -> Duration {
        self.soak.observed()
    }

    /// The time that is wanted.
    pub fn wanted(&self) -> Duration {
        self.wanted
    }

    /// Tells whether the last look was good and recent.
    pub fn is_well(&self, now: Duration) -> bool {
        self.soak.is_well(now)
    }

    /// The counts, one of each metric.
    pub fn tallies(&self) -> &[Tally] {
        &self.tallies
    }

    /// Why time does not count just now; `None` when it does.
    pub fn stalled(&self) -> Option<String> {
        if self.in_row > 0 {
            return None;
        }
        let bad = self.each().find_map(|(rule, _, last)| {
            let last = last?;
            (rule.judge(last) != Verdict::Passed).then(|| rule.told(last))
        });
        Some(bad.unwrap_or_else(|| "nothing good was seen yet".to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rule(name: &str) -> MetricRule {
        let condition: super::super::Condition = "= 0".parse().unwrap();
        MetricRule {
            name: name.into(),
            unit: None,
            success: condition.band(&Default::default()).ok(),
            failure: None,
            min_samples: 3,
            failures_allowed: 0,
            errors_allowed: 2,
            inconclusive_allowed: 2,
        }
    }

    fn watch(wanted: u64) -> Watch {
        let rules = vec![rule("errors"), rule("lag")];
        Watch::new(rules, Duration::from_secs(10), Duration::from_secs(wanted))
    }

    fn reading(kind: u8) -> Reading {
        match kind {
            0..=5 => Reading::Value("0".parse().unwrap()),
            6 => Reading::NoData("NULL".into()),
            7 => Reading::Error("refused".into()),
            _ => Reading::Value("1".parse().unwrap()),
        }
    }

    #[test]
    fn full_time_and_enough_samples_are_both_needed() {
        let mut watch = watch(20);
        for at in [0, 10, 20] {
            assert_eq!(watch.standing(), Standing::Going);
            watch.look(Duration::from_secs(at), &[reading(0), reading(0)], true);
        }
        assert_eq!(watch.standing(), Standing::Enough);
        watch.interrupt();
        assert_eq!(watch.standing(), Standing::Going, "never right after a gap");
        let mut short = self::watch(0);
        short.look(Duration::ZERO, &[reading(0), reading(0)], true);
        assert_eq!(short.standing(), Standing::Going, "one sample of three");
    }

    #[test]
    fn the_worst_metric_decides() {
        let mut watch = watch(0);
        for at in 0..4 {
            watch.look(Duration::from_secs(at), &[reading(7), reading(0)], true);
        }
        let Standing::Decided(finding) = watch.standing() else {
            panic!("three errors in a row are one too many");
        };
        assert_eq!(finding.verdict, Verdict::Errored);
        watch.look(Duration::from_secs(5), &[reading(7), reading(9)], true);
        let Standing::Decided(finding) = watch.standing() else {
            panic!("it does not mend itself");
        };
        assert_eq!(finding.verdict, Verdict::Failed);
        assert!(
            finding.summary.starts_with("lag failed once"),
            "{finding:?}"
        );
    }

    proptest! {
        /// Whatever is seen: enough means full observed time, enough samples, nothing over a limit.
        #[test]
        fn enough_is_only_what_was_seen_to_be_well(
            looks in prop::collection::vec((1u64..25, 0u8..9, 0u8..9, prop::bool::weighted(0.9)), 0..40),
        ) {
            let mut watch = watch(40);
            let (mut at, mut good, mut counted, mut last) = (0, 0, 0, None::<u64>);
            for (gap, one, two, sound) in looks {
                at += gap;
                let well = watch.look(Duration::from_secs(at), &[reading(one), reading(two)], sound);
                prop_assert_eq!(well, sound && one <= 5 && two <= 5);
                if well {
                    good += 1;
                    counted += last.map_or(0, |last| if at - last <= 20 { at - last } else { 0 });
                }
                last = well.then_some(at);
                if watch.standing() == Standing::Enough {
                    prop_assert!(good >= 3 && counted >= 40 && well);
                    prop_assert!(watch.tallies().iter().all(|tally| tally.failed == 0));
                    prop_assert_eq!(watch.finding().verdict, Verdict::Passed);
                } else {
                    prop_assert!(watch.finding().verdict != Verdict::Passed);
                }
            }
        }
    }
}
