//! A metric: what one look at it can give, the bands it must stay in, and the verdict on all looks.
//!
//! No data is never a pass. Limits say how many are tolerated: 0 means that the first one counts.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::arithmetic::{ArithmeticError, Expression};
use super::{Comparison, ComparisonError, Finding, Number, Operator, Verdict};

/// A condition as a runbook writes it, such as `<= {p95_before} * 1.1`.
#[derive(Debug, Clone, PartialEq)]
pub struct Condition {
    operator: Operator,
    expression: Expression,
    /// The right-hand side as it was written.
    pub written: String,
}

/// Why a text is no condition.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConditionError {
    #[error(transparent)]
    Comparison(#[from] ComparisonError),
    #[error(transparent)]
    Arithmetic(#[from] ArithmeticError),
}

impl FromStr for Condition {
    type Err = ConditionError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let comparison: Comparison = text.parse()?;
        Ok(Condition {
            operator: comparison.operator,
            expression: Expression::parse(&comparison.value)?,
            written: comparison.value,
        })
    }
}

impl Condition {
    /// Computes the limit with what the names stand for now.
    ///
    /// # Errors
    /// When a name has no value that is a number.
    pub fn band(&self, values: &BTreeMap<String, String>) -> Result<Band, ArithmeticError> {
        Ok(Band {
            operator: self.operator,
            limit: self.expression.value(values)?,
            written: self.written.clone(),
        })
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.operator.symbol(), self.written)
    }
}

/// A condition whose limit is known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Band {
    pub operator: Operator,
    pub limit: Number,
    /// The limit as the runbook writes it.
    pub written: String,
}

impl Band {
    /// Tells whether a value lies in the band. A value on the limit is in it when the operator
    /// says `=`.
    pub fn holds(&self, value: &Number) -> bool {
        self.operator.accepts(value.cmp(&self.limit))
    }
}

impl fmt::Display for Band {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.operator.symbol(), self.limit.short())
    }
}

/// What one look at a metric gave.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reading {
    Value(Number),
    /// NULL, NaN, no row, no line: the source answered, and there was nothing.
    NoData(String),
    /// The source could not be asked.
    Error(String),
}

/// What is demanded of a metric.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MetricRule {
    pub name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub success: Option<Band>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Band>,
    /// Fewer successes than this cannot pass.
    pub min_samples: u32,
    /// How many failed looks are tolerated.
    pub failures_allowed: u32,
    /// How many errors in a row are tolerated.
    pub errors_allowed: u32,
    /// How many looks without an answer either way are tolerated.
    pub inconclusive_allowed: u32,
}

/// How many looks came out how.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Tally {
    pub passed: u32,
    pub failed: u32,
    pub errors: u32,
    /// Errors since the source last answered.
    pub errors_in_row: u32,
    /// The longest row of errors.
    pub worst_row: u32,
    pub inconclusive: u32,
}

impl Tally {
    /// Counts one look.
    pub fn count(&mut self, verdict: Verdict) {
        match verdict {
            Verdict::Passed => self.passed = self.passed.saturating_add(1),
            Verdict::Failed => self.failed = self.failed.saturating_add(1),
            Verdict::Inconclusive => self.inconclusive = self.inconclusive.saturating_add(1),
            Verdict::Errored => {
                self.errors = self.errors.saturating_add(1);
                self.errors_in_row = self.errors_in_row.saturating_add(1);
                self.worst_row = self.worst_row.max(self.errors_in_row);
                return;
            }
        }
        self.errors_in_row = 0;
    }

    /// How many looks there were.
    pub fn all(&self) -> u32 {
        self.passed + self.failed + self.errors + self.inconclusive
    }
}

impl MetricRule {
    /// Judges one look. A band that is not given is what the other one leaves; a value that is in
    /// neither of two is a person's to judge; without bands the metric is only measured.
    pub fn judge(&self, reading: &Reading) -> Verdict {
        let value = match reading {
            Reading::Value(value) => value,
            Reading::NoData(_) => return Verdict::Inconclusive,
            Reading::Error(_) => return Verdict::Errored,
        };
        let fails = self.failure.as_ref().map(|band| band.holds(value));
        let succeeds = self.success.as_ref().map(|band| band.holds(value));
        match (fails, succeeds) {
            (Some(true), _) | (None, Some(false)) => Verdict::Failed,
            (_, Some(true)) | (Some(false) | None, None) => Verdict::Passed,
            (Some(false), Some(false)) => Verdict::Inconclusive,
        }
    }

    /// The verdict when nothing more is looked at: failed over errored over inconclusive.
    pub fn verdict(&self, tally: &Tally) -> Verdict {
        if tally.failed > self.failures_allowed {
            Verdict::Failed
        } else if tally.worst_row > self.errors_allowed {
            Verdict::Errored
        } else if tally.inconclusive > self.inconclusive_allowed
            || tally.passed < self.min_samples.max(1)
        {
            Verdict::Inconclusive
        } else {
            Verdict::Passed
        }
    }

    /// Tells whether the verdict can only stay as it is or become worse.
    pub fn is_decided(&self, tally: &Tally) -> bool {
        match self.verdict(tally) {
            Verdict::Passed => false,
            Verdict::Inconclusive => tally.inconclusive > self.inconclusive_allowed,
            Verdict::Errored | Verdict::Failed => true,
        }
    }

    /// The verdict in words; `last` is the look that is told of.
    pub fn finding(&self, tally: &Tally, last: Option<&Reading>) -> Finding {
        let name = &self.name;
        let told = last.map_or_else(String::new, |last| format!("last: {}", self.told(last)));
        match self.verdict(tally) {
            Verdict::Passed => Finding::passed(format!("{name}: {} looks passed", tally.passed)),
            Verdict::Failed => Finding::failed(format!(
                "{name} failed {}, {} tolerated",
                times(tally.failed),
                self.failures_allowed
            ))
            .because(self.wanted())
            .because(told),
            Verdict::Errored => Finding::errored(format!(
                "{name} could not be measured {} in a row, {} tolerated",
                times(tally.worst_row),
                self.errors_allowed
            ))
            .because(told),
            Verdict::Inconclusive if tally.inconclusive > self.inconclusive_allowed => {
                Finding::inconclusive(format!(
                    "{name} gave no answer either way {}, {} tolerated",
                    times(tally.inconclusive),
                    self.inconclusive_allowed
                ))
                .because(told)
            }
            Verdict::Inconclusive => Finding::inconclusive(format!(
                "{name} has {} of the {} samples that it needs",
                tally.passed,
                self.min_samples.max(1)
            ))
            .because(told),
        }
    }

    /// The bands in words.
    pub fn wanted(&self) -> String {
        let name = &self.name;
        match (&self.success, &self.failure) {
            (Some(success), Some(failure)) => {
                format!("{name} must be {success}, and fails when {failure}")
            }
            (Some(success), None) => format!("{name} must be {success}"),
            (None, Some(failure)) => format!("{name} fails when {failure}"),
            (None, None) => format!("{name} is only measured"),
        }
    }

    /// A look in words.
    pub fn told(&self, reading: &Reading) -> String {
        match reading {
            Reading::Value(value) => match &self.unit {
                Some(unit) => format!("{} = {} {unit}", self.name, value.short()),
                None => format!("{} = {}", self.name, value.short()),
            },
            Reading::NoData(why) => format!("{}: no data ({why})", self.name),
            Reading::Error(why) => format!("{}: {why}", self.name),
        }
    }
}

fn times(count: u32) -> String {
    match count {
        1 => "once".to_owned(),
        n => format!("{n} times"),
    }
}

/// Which of all numbers a capture keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Statistic {
    #[default]
    Median,
    Mean,
    Max,
    Last,
}

impl Statistic {
    pub const ALL: [Statistic; 4] = [
        Statistic::Median,
        Statistic::Mean,
        Statistic::Max,
        Statistic::Last,
    ];

    /// The word for it in the format.
    pub fn word(self) -> &'static str {
        match self {
            Statistic::Median => "median",
            Statistic::Mean => "mean",
            Statistic::Max => "max",
            Statistic::Last => "last",
        }
    }

    /// Picks the number; `None` when there are none.
    pub fn of(self, values: &[Number]) -> Option<Number> {
        match self {
            Statistic::Last => values.last().cloned(),
            Statistic::Max => values.iter().max().cloned(),
            Statistic::Mean => {
                let sum: bigdecimal::BigDecimal = values.iter().map(Number::decimal).sum();
                let count = u64::try_from(values.len()).ok().filter(|n| *n > 0)?;
                Some(Number::of(&(sum / bigdecimal::BigDecimal::from(count))))
            }
            Statistic::Median => {
                let mut sorted = values.to_vec();
                sorted.sort();
                // Of an even number the upper of the two in the middle: a value that was seen.
                sorted.get(sorted.len() / 2).cloned()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn number(value: i64) -> Number {
        value.to_string().parse().unwrap()
    }

    fn band(text: &str) -> Option<Band> {
        let condition: Condition = text.parse().unwrap();
        Some(condition.band(&BTreeMap::new()).unwrap())
    }

    pub(crate) fn rule(success: Option<Band>, failure: Option<Band>) -> MetricRule {
        MetricRule {
            name: "errors".into(),
            unit: None,
            success,
            failure,
            min_samples: 2,
            failures_allowed: 1,
            errors_allowed: 2,
            inconclusive_allowed: 1,
        }
    }

    #[test]
    fn a_value_on_the_limit_is_where_the_operator_says() {
        for (text, on, above) in [
            ("<= 10", true, false),
            ("< 10", false, false),
            (">= 10", true, true),
            ("> 9 + 1", false, true),
        ] {
            let band = band(text).unwrap();
            assert_eq!(
                (band.holds(&number(10)), band.holds(&number(11))),
                (on, above),
                "{text}"
            );
        }
    }

    #[test]
    fn between_two_bands_a_person_judges() {
        let rule = rule(band("<= 5"), band("> 10"));
        let judged = |value| rule.judge(&Reading::Value(number(value)));
        assert_eq!(judged(5), Verdict::Passed);
        assert_eq!(judged(8), Verdict::Inconclusive);
        assert_eq!(judged(11), Verdict::Failed);
    }

    #[test]
    fn one_band_leaves_nothing_between() {
        let only_success = rule(band("<= 5"), None);
        assert_eq!(
            only_success.judge(&Reading::Value(number(6))),
            Verdict::Failed
        );
        let only_failure = rule(None, band("> 5"));
        assert_eq!(
            only_failure.judge(&Reading::Value(number(5))),
            Verdict::Passed
        );
        // Bands that overlap are read for the worse.
        let both = rule(band("<= 9"), band("> 5"));
        assert_eq!(both.judge(&Reading::Value(number(7))), Verdict::Failed);
    }

    #[test]
    fn a_capture_is_a_number_that_was_measured() {
        let values = [3, 9, 1, 4].map(number);
        let of = |statistic: Statistic| statistic.of(&values).unwrap().to_string();
        assert_eq!(of(Statistic::Median), "4");
        assert_eq!(of(Statistic::Max), "9");
        assert_eq!(of(Statistic::Last), "4");
        assert_eq!(of(Statistic::Mean), "4.25");
        for statistic in Statistic::ALL {
            assert_eq!(statistic.of(&[]), None);
        }
    }

    fn verdicts() -> impl Strategy<Value = Vec<Verdict>> {
        let one = prop_oneof![
            6 => Just(Verdict::Passed),
            1 => Just(Verdict::Failed),
            2 => Just(Verdict::Errored),
            1 => Just(Verdict::Inconclusive),
        ];
        prop::collection::vec(one, 0..40)
    }

    fn any_rule() -> impl Strategy<Value = MetricRule> {
        (0u32..6, 0u32..3, 0u32..4, 0u32..3).prop_map(|(min, failures, errors, unclear)| {
            MetricRule {
                min_samples: min,
                failures_allowed: failures,
                errors_allowed: errors,
                inconclusive_allowed: unclear,
                ..rule(None, None)
            }
        })
    }

    fn tally(looks: &[Verdict]) -> Tally {
        let mut tally = Tally::default();
        looks.iter().for_each(|look| tally.count(*look));
        tally
    }

    proptest! {
        #[test]
        fn what_passes_has_its_samples_and_is_within_every_limit(rule in any_rule(), looks in verdicts()) {
            let count = |wanted| looks.iter().filter(|look| **look == wanted).count() as u32;
            if rule.verdict(&tally(&looks)) == Verdict::Passed {
                prop_assert!(count(Verdict::Passed) >= rule.min_samples.max(1));
                prop_assert!(count(Verdict::Failed) <= rule.failures_allowed);
                prop_assert!(count(Verdict::Inconclusive) <= rule.inconclusive_allowed);
                let rows = looks.split(|look| *look != Verdict::Errored);
                prop_assert!(rows.map(<[Verdict]>::len).max().unwrap_or(0) as u32 <= rule.errors_allowed);
            }
        }

        #[test]
        fn failed_is_over_errored_is_over_inconclusive(rule in any_rule(), looks in verdicts()) {
            let tally = tally(&looks);
            let verdict = rule.verdict(&tally);
            prop_assert_eq!(verdict == Verdict::Failed, tally.failed > rule.failures_allowed);
            if verdict == Verdict::Inconclusive {
                prop_assert!(tally.worst_row <= rule.errors_allowed);
            }
        }

        #[test]
        fn more_looks_never_mend_what_is_decided(rule in any_rule(), looks in verdicts(), more in verdicts()) {
            let before = tally(&looks);
            if rule.is_decided(&before) {
                let after = tally(&[looks, more].concat());
                prop_assert!(rule.verdict(&after) >= rule.verdict(&before));
            }
        }

        #[test]
        fn no_data_and_no_answer_never_pass(success in any::<bool>(), failure in any::<bool>()) {
            let rule = rule(band("<= 5").filter(|_| success), band("> 5").filter(|_| failure));
            prop_assert_eq!(rule.judge(&Reading::NoData("NULL".into())), Verdict::Inconclusive);
            prop_assert_eq!(rule.judge(&Reading::Error("refused".into())), Verdict::Errored);
            prop_assert_eq!(rule.verdict(&Tally::default()), Verdict::Inconclusive);
        }
    }
}
