//! `observe`: metrics that must stay in their bands for a while, or are measured before a change.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::measure::{self, Look};
use super::ramp_words::{bands, span};
use super::samples::{self, Sample, SampleLog};
use super::{Asked, Context, Evidence, Outcome, Plan, Tone, Watched};
use crate::expectation::{Finding, MetricRule, Number, Reading, Standing, Verdict, Watch};
use crate::runbook::{Metric, MetricSource, Observe};
use crate::system::clock;

/// How much longer than wanted an observation may take before it ends without an answer.
const PATIENCE: u32 = 2;

pub(super) fn plan(gate: &Observe, context: &Context) -> Plan {
    let lasts = span(gate.lasts);
    let every = span(gate.every);
    let sources = measured(&gate.metrics);
    let mut inputs = vec![lasts.as_str(), every.as_str()];
    inputs.extend(sources.iter().map(String::as_str));
    let count = gate.metrics.len();
    let summary = format!("look at {count} metrics every {every}, for {lasts}");
    let mut plan = Plan::new(summary, &inputs);
    match measure::rules(&gate.metrics, &context.values) {
        Ok(rules) => metric_lines(&mut plan, &gate.metrics, &rules),
        Err(why) => {
            plan.line(Tone::Bad, &why);
            plan.refuses = Some(why);
        }
    }
    plan.line(
        Tone::Muted,
        "only time between two good looks in a row counts; no data is never well",
    );
    plan
}

/// What a plan's hash is over.
pub(super) fn measured(metrics: &[Metric]) -> Vec<String> {
    metrics.iter().map(|metric| format!("{metric:?}")).collect()
}

/// Says of every metric what it must be and how it is measured.
pub(super) fn metric_lines(
    plan: &mut Plan,
    metrics: &[Metric],
    rules: &[(MetricRule, Option<Number>)],
) {
    for (metric, (rule, baseline)) in metrics.iter().zip(rules) {
        plan.line(Tone::Heading, bands(rule));
        if let Some(baseline) = baseline {
            plan.line(Tone::Muted, format!("before: {}", baseline.short()));
        }
        match &metric.source {
            MetricSource::Sql(sql) => plan.line(Tone::Sql, sql.trim()),
            MetricSource::Argv(argv) => plan.line(Tone::Plain, format!("run {}", argv.join(" "))),
        }
        if let Some(capture) = &metric.capture {
            let word = metric.statistic.word();
            plan.line(Tone::Muted, format!("its {word} is kept as {{{capture}}}"));
        }
        plan.line(
            Tone::Muted,
            format!(
                "at least {} samples; tolerated: {} failed, {} errors in a row, {} without an answer",
                rule.min_samples,
                rule.failures_allowed,
                rule.errors_allowed,
                rule.inconclusive_allowed
            ),
        );
    }
}

pub(super) async fn run(gate: &Observe, context: &Context) -> Outcome {
    let rules = match measure::rules(&gate.metrics, &context.values) {
        Ok(rules) => rules,
        Err(why) => {
            let finding = Finding::errored(why).can("mend the limit in the runbook");
            return Outcome::of(finding);
        }
    };
    let log = match SampleLog::open(&samples::path(&context.folder, &context.gate.id)) {
        Ok(log) => log,
        Err(error) => {
            let finding = Finding::errored(format!("samples cannot be kept: {error}"))
                .can("make room in the folder of runs, then retry this gate");
            return Outcome::of(finding);
        }
    };
    let mut observation = Observation {
        watched: Watched::new(&rules, gate.every.as_millis() as u64),
        watch: Watch::new(
            rules.into_iter().map(|(rule, _)| rule).collect(),
            gate.every,
            gate.lasts,
        ),
        values: vec![Vec::new(); gate.metrics.len()],
        log,
        gate,
        context,
    };
    let finding = observation.look().await;
    observation.end(finding).await
}

struct Observation<'a> {
    gate: &'a Observe,
    context: &'a Context,
    watch: Watch,
    watched: Watched,
    /// The numbers of metrics that are captured.
    values: Vec<Vec<Number>>,
    log: SampleLog,
}

impl Observation<'_> {
    /// Looks until it is decided; `None` when it was canceled.
    async fn look(&mut self) -> Option<Finding> {
        let attempt = self.context.attempt;
        let time = jiff::Timestamp::now();
        self.log.add(Sample::Began { attempt, time });
        self.watched.count(&self.watch);
        self.publish();
        let gate = self.gate;
        let target = gate.target.as_deref();
        let mut looking = measure::begin(self.context, target, &gate.metrics, gate.every, None);
        let begun = clock::since_start();
        let given = self.context.gate.timeout;
        let patience = given.unwrap_or_else(|| patience(gate));
        loop {
            let look = tokio::select! {
                biased;
                () = self.context.cancel.cancelled() => return None,
                look = looking.looks.recv() => look,
            };
            let Some(look) = look else {
                return Some(Finding::errored(
                    "looking ended in a defect of this program",
                ));
            };
            self.take(&look);
            match self.watch.standing() {
                Standing::Enough => return Some(self.passed()),
                Standing::Decided(finding) => return Some(advised(finding)),
                Standing::Going if look.at.saturating_sub(begun) > patience => {
                    return Some(advised(self.watch.finding()));
                }
                Standing::Going => {}
            }
        }
    }

    fn take(&mut self, look: &Look) {
        self.watch.look(look.at, &look.readings, true);
        let at_ms = look.at.as_millis() as u64;
        self.log.add(Sample::Look {
            at_ms,
            time: jiff::Timestamp::now(),
            readings: look.readings.clone(),
            flag: None,
        });
        for (index, reading) in look.readings.iter().enumerate() {
            if let Reading::Value(value) = reading
                && self.gate.metrics[index].capture.is_some()
            {
                self.values[index].push(value.clone());
            }
        }
        self.watched.draw(at_ms, &look.readings);
        self.watched.count(&self.watch);
        self.publish();
    }

    fn publish(&self) {
        self.context.feed.ask(Asked {
            watched: Some(Arc::new(self.watched.clone())),
            ..Asked::default()
        });
    }

    fn passed(&self) -> Finding {
        let seen = span(self.watch.observed());
        let kept: Vec<String> = self
            .captures()
            .iter()
            .map(|(name, value)| format!("{name} = {value}"))
            .collect();
        if kept.is_empty() {
            Finding::passed(format!("every metric stayed in its band, {seen} observed"))
        } else {
            Finding::passed(format!("{seen} observed; {}", kept.join(", ")))
        }
    }

    fn captures(&self) -> BTreeMap<String, String> {
        let metrics = self.gate.metrics.iter().zip(&self.values);
        metrics
            .filter_map(|(metric, values)| {
                let value = metric.statistic.of(values)?;
                Some((metric.capture.clone()?, value.to_string()))
            })
            .collect()
    }

    async fn end(mut self, finding: Option<Finding>) -> Outcome {
        let attempt = self.context.attempt;
        self.log.must(Sample::Ended { attempt }).await;
        self.watched.stalled = None;
        let captures = self.captures();
        let written = self.log.end().await;
        let mut outcome = match finding {
            None => Outcome::canceled("canceled; it only looked"),
            Some(finding) => Outcome::of(finding),
        };
        if let Err(error) = written {
            let text = format!("the samples could not all be kept: {error}");
            outcome.finding = Finding::errored(text).because(outcome.finding.summary);
        }
        if outcome.finding.verdict == Verdict::Passed {
            outcome.captures = captures;
        }
        let server = server(self.context, self.gate.target.as_deref());
        outcome.with(Evidence::Watched {
            target: self.gate.target.clone().unwrap_or_default(),
            server,
            watched: Box::new(self.watched),
        })
    }
}

/// How long an observation may take in all when the runbook does not say.
fn patience(gate: &Observe) -> Duration {
    gate.lasts
        .saturating_mul(PATIENCE)
        .saturating_add(gate.every.saturating_mul(10))
        .max(Duration::from_secs(10))
}

/// Who answered for a target, as the evidence names it.
pub(super) fn server(context: &Context, target: Option<&str>) -> String {
    let statuses = context.targets.statuses();
    match target.and_then(|target| statuses.get(target)) {
        Some(super::TargetStatus::Connected(identity)) => identity.describe(),
        _ => String::new(),
    }
}

fn advised(finding: Finding) -> Finding {
    match finding.verdict {
        Verdict::Failed => finding.can("find out what changed, mend it, then press r"),
        Verdict::Errored => finding.can("mend the source of the metric, then press r"),
        _ => finding
            .because("no data and too few samples are never a pass")
            .can("find out why there is no answer, then press r"),
    }
}
