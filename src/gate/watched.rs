//! What a gate that looks again and again has seen: drawn while it works, kept as evidence after.

use serde::{Deserialize, Serialize};

use crate::expectation::{Finding, MetricRule, Number, Reading, Series, Tally, Verdict, Watch};

/// All that was seen.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Watched {
    /// The steps of a ramp; none of an observation.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ladder: Vec<Rung>,
    /// What the flag was last read as; `None` when it could not be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flag: Option<u8>,
    /// How much was observed of how much, at the step where it stands.
    pub observed_ms: u64,
    pub wanted_ms: u64,
    /// Why time does not count just now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stalled: Option<String>,
    pub every_ms: u64,
    pub metrics: Vec<SeenMetric>,
}

/// A step of a ramp.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rung {
    pub percent: u8,
    pub soak_ms: u64,
    pub state: RungState,
}

/// Where a step stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RungState {
    Ahead,
    /// The flag stands here, and time is counted.
    Soaking,
    /// The flag stands here, and a person is asked.
    Held,
    Done,
    /// The flag stands here, and the gate has ended.
    Stands,
    /// It was left for a lower one.
    Left,
}

impl RungState {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            RungState::Ahead => "ahead",
            RungState::Soaking => "soaks",
            RungState::Held => "held",
            RungState::Done => "done",
            RungState::Stands => "stands",
            RungState::Left => "left",
        }
    }

    /// The sign beside the word.
    pub fn glyph(self) -> &'static str {
        match self {
            RungState::Ahead => "·",
            RungState::Soaking => "▶",
            RungState::Held => "‖",
            RungState::Done => "✓",
            RungState::Stands => "•",
            RungState::Left => "↩",
        }
    }
}

/// A metric and its looks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeenMetric {
    pub rule: MetricRule,
    /// The counts at the step where it stands.
    pub tally: Tally,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<Reading>,
    /// What it was before the change, where a limit is computed from that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub baseline: Option<Number>,
    pub series: Series,
}

impl Watched {
    /// Begins with nothing seen of these metrics.
    pub fn new(rules: &[(MetricRule, Option<Number>)], every_ms: u64) -> Watched {
        let metric = |(rule, baseline): &(MetricRule, Option<Number>)| SeenMetric {
            rule: rule.clone(),
            tally: Tally::default(),
            last: None,
            baseline: baseline.clone(),
            series: Series::default(),
        };
        Watched {
            every_ms,
            metrics: rules.iter().map(metric).collect(),
            ..Watched::default()
        }
    }

    /// Adds one look to what is drawn.
    pub fn draw(&mut self, at_ms: u64, readings: &[Reading]) {
        for (metric, reading) in self.metrics.iter_mut().zip(readings) {
            let value = match reading {
                Reading::Value(value) => Some(value),
                _ => None,
            };
            metric.series.push(at_ms, value);
            metric.last = Some(reading.clone());
        }
    }

    /// Takes over what a watch has counted.
    pub fn count(&mut self, watch: &Watch) {
        self.observed_ms = watch.observed().as_millis() as u64;
        self.wanted_ms = watch.wanted().as_millis() as u64;
        self.stalled = watch.stalled();
        for (metric, tally) in self.metrics.iter_mut().zip(watch.tallies()) {
            metric.tally = *tally;
        }
    }

    /// The verdict that the counts give by themselves, so that evidence can be judged again.
    pub fn judge(&self) -> Finding {
        let found = |metric: &SeenMetric| metric.rule.finding(&metric.tally, metric.last.as_ref());
        let worst = Finding::worst(self.metrics.iter().map(found).collect());
        match worst {
            None => Finding::inconclusive("nothing was looked at"),
            Some(worst) if worst.verdict != Verdict::Passed => worst,
            Some(_) if self.observed_ms < self.wanted_ms => Finding::inconclusive(format!(
                "{} s were observed of {} s that are wanted",
                self.observed_ms / 1000,
                self.wanted_ms / 1000
            )),
            Some(_) => Finding::passed("every metric stayed in its band"),
        }
    }
}
