//! Where a ramp stands, and the steps that it takes: set, read back, record.

use std::time::{Duration, Instant};

use super::flag::Flag;
use super::observe::server;
use super::ramp_plan::Memory;
use super::ramp_words::{Why, span, stands};
use super::samples::{Sample, SampleLog};
use super::{Context, Evidence, Outcome, Rung, RungState, Watched};
use crate::expectation::{Finding, MetricRule, Watch};
use crate::promotion::{EffectOutcome, EffectRecord};
use crate::runbook::Ramp;
use crate::system::{clock, fault};

/// What is going on.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Mode {
    /// Time is counted at the step where it stands.
    Soaking,
    /// A person is asked whether to raise it to this step.
    Asking(usize),
    /// The flag stays where it is, and a person is asked what to do.
    Held(Why),
}

/// How it ended.
#[derive(Debug, Clone)]
pub(super) struct Ending {
    pub(super) finding: Finding,
    pub(super) canceled: bool,
}

impl Ending {
    pub(super) fn of(finding: Finding) -> Ending {
        Ending {
            finding,
            canceled: false,
        }
    }

    pub(super) fn errored(summary: &str) -> Ending {
        Ending::of(Finding::errored(summary))
    }
}

/// One attempt at a ramp.
pub(super) struct Course<'a> {
    pub(super) gate: &'a Ramp,
    pub(super) context: &'a Context,
    pub(super) flag: Flag,
    pub(super) log: SampleLog,
    pub(super) rules: Vec<MetricRule>,
    pub(super) watch: Watch,
    pub(super) watched: Watched,
    /// The step where it stands; `None` before the first.
    pub(super) step: Option<usize>,
    /// The highest step that it was at.
    pub(super) highest: Option<usize>,
    /// The value that was set and read back last, or found at the beginning.
    pub(super) stands: Option<u8>,
    /// The value before the ramp.
    pub(super) before: Option<u8>,
    pub(super) mode: Mode,
    /// When the flag was set last: what began to look before that has seen nothing.
    pub(super) settled: Duration,
    pub(super) unreadable: u32,
    pub(super) serial: u64,
    pub(super) question: Option<std::sync::Arc<super::Question>>,
    /// The flag's value when the question was asked.
    pub(super) asked_at: Option<u8>,
}

impl Course<'_> {
    /// Finds out where it stands, and goes to the first step if it stands at none. Nothing is
    /// raised that was raised before: where an attempt died, it looks again first.
    pub(super) async fn begin(&mut self, memory: Memory, planned: Option<u8>) {
        let now = match self.flag.read().await {
            Ok(now) => now,
            Err(why) => {
                self.stands = memory.stands;
                self.step = memory.step(self.gate);
                self.hold(Why::Unknown(why));
                return;
            }
        };
        self.watched.flag = Some(now);
        self.before = memory.before.or(Some(now));
        let was_set = memory.setting == Some(now);
        let ours = memory.stands.or(planned).unwrap_or(now);
        if now != ours && !was_set {
            self.stands = Some(ours);
            self.step = memory.step(self.gate);
            self.highest = self.step;
            self.hold(Why::Changed { ours, seen: now });
            return;
        }
        let first = memory.stands.is_none() && !was_set;
        self.stands = Some(now);
        if first || was_set {
            self.log.must(Sample::Stands { percent: now }).await;
        }
        let step = self.gate.steps.iter().position(|s| s.percent == now);
        match step.filter(|_| !first) {
            None => self.towards(0).await,
            Some(step) => {
                self.at(step);
                if let Some(watch) = memory.watch.filter(|_| !was_set) {
                    let seen = span(watch.observed());
                    if !seen.is_empty() {
                        self.say(&format!(
                            "goes on at {now} %: {seen} were observed and count"
                        ));
                    }
                    self.watch = watch;
                    self.watched.count(&self.watch);
                } else {
                    self.log.must(Sample::Afresh).await;
                }
            }
        }
    }

    /// Goes to a step, or asks whether to.
    pub(super) async fn towards(&mut self, step: usize) {
        if self.gate.steps[step].confirm {
            self.mode = Mode::Asking(step);
            self.ask();
        } else {
            self.raise(step).await;
        }
    }

    /// Raises the flag to a step, if it still is what was set last.
    pub(super) async fn raise(&mut self, step: usize) {
        match (self.flag.read().await, self.stands) {
            (Ok(now), Some(ours)) if now == ours => {
                self.go_to(step).await;
            }
            (Ok(seen), ours) => {
                let ours = ours.unwrap_or_default();
                self.hold(Why::Changed { ours, seen });
            }
            (Err(why), _) => self.hold(Why::Unknown(why)),
        }
    }

    /// Sets the value of a step and stands there.
    pub(super) async fn go_to(&mut self, step: usize) {
        let percent = self.gate.steps[step].percent;
        match self.set(percent, &format!("set {percent} %")).await {
            Ok(()) => self.at(step),
            Err(why) => self.hold(why),
        }
    }

    /// Stands at a step; its time is counted from nothing.
    pub(super) fn at(&mut self, step: usize) {
        self.step = Some(step);
        self.highest = self.highest.max(Some(step));
        let soak = self.gate.steps[step].soak;
        self.watch = Watch::new(self.rules.clone(), self.gate.every, soak);
        self.watched.count(&self.watch);
        self.unreadable = 0;
        self.mode = Mode::Soaking;
        self.withdraw();
    }

    /// Sets a value and reads it back. Whatever the setting said, what is read decides.
    pub(super) async fn set(&mut self, percent: u8, name: &str) -> Result<(), Why> {
        if !self.log.must(Sample::Setting { percent }).await && percent > 0 {
            let said = "the samples cannot be written, so nothing is raised".to_owned();
            return Err(Why::NotSet {
                wanted: percent,
                said,
            });
        }
        fault::point("before_flag_set");
        let started = Instant::now();
        let said = if percent == 0 {
            self.flag.switch_off().await
        } else {
            self.flag.set(percent).await
        };
        fault::point("after_flag_set");
        let read = self.flag.read().await;
        self.settled = clock::since_start();
        let (outcome, result) = match (&read, &said) {
            (Ok(now), _) if *now == percent => (EffectOutcome::Committed, Ok(())),
            (Ok(now), said) if Some(*now) == self.stands => {
                let said = said.clone().err().unwrap_or_else(|| {
                    format!("setting it was said to be well, but {now} % is read back")
                });
                let wanted = percent;
                (EffectOutcome::RolledBack, Err(Why::NotSet { wanted, said }))
            }
            (Ok(now), _) => {
                let (ours, seen) = (percent, *now);
                (EffectOutcome::Unknown, Err(Why::Changed { ours, seen }))
            }
            (Err(why), _) => (EffectOutcome::Unknown, Err(Why::Unknown(why.clone()))),
        };
        self.watched.flag = read.as_ref().ok().copied();
        if result.is_ok() {
            self.stands = Some(percent);
            self.log.must(Sample::Stands { percent }).await;
        }
        let detail = match (&result, &said) {
            (Ok(()), Ok(detail)) => detail.clone(),
            (Ok(()), Err(error)) => format!("read back as set, though: {error}"),
            (Err(why), _) => why.finding().summary,
        };
        self.say(&format!(
            "{name}: it stands at {}",
            stands(self.watched.flag)
        ));
        self.effect(name, outcome, started.elapsed(), detail).await;
        result
    }

    pub(super) async fn effect(
        &self,
        name: &str,
        outcome: EffectOutcome,
        took: Duration,
        detail: String,
    ) {
        let effect = EffectRecord {
            name: name.to_owned(),
            outcome,
            duration_ms: took.as_millis() as u64,
            detail,
        };
        self.context.effect(effect).await;
    }

    /// Records that the step was seen to be well.
    pub(super) async fn soaked(&self) {
        let Some(step) = self.step else { return };
        let observed = self.watch.observed();
        let percent = self.gate.steps[step].percent;
        let name = format!("soaked {percent} % {}", span(observed));
        self.say(name.trim_end());
        self.effect(
            name.trim_end(),
            EffectOutcome::Committed,
            observed,
            String::new(),
        )
        .await;
    }

    pub(super) fn arrived(&mut self) -> Ending {
        let ladder: Vec<String> = self
            .gate
            .steps
            .iter()
            .map(|step| format!("{} %", step.percent))
            .collect();
        Ending::of(Finding::passed(format!(
            "the flag stands at {}, by way of {}, every metric in its band",
            stands(self.stands),
            ladder.join(", ")
        )))
    }

    /// The work is to stop: the flag stays where it is, and that is said.
    pub(super) fn canceled(&mut self) -> Ending {
        let stays = format!(
            "the flag stays at {}",
            stands(self.watched.flag.or(self.stands))
        );
        let finding = match &self.mode {
            Mode::Held(why) => why
                .finding()
                .because(format!("canceled while held; {stays}")),
            _ => Finding::inconclusive(format!("canceled; {stays}")),
        };
        let next = "press r to go on at this value: its time is observed from the start";
        Ending {
            finding: finding.can(next),
            canceled: true,
        }
    }

    pub(super) fn say(&self, text: &str) {
        self.context.feed.say(text);
    }

    /// The steps as they are drawn.
    pub(super) fn ladder(&self, passed: bool) -> Vec<Rung> {
        let rung = |(number, step): (usize, &crate::runbook::RampStep)| {
            let here = self.step == Some(number);
            let state = match &self.mode {
                _ if passed => RungState::Done,
                Mode::Held(_) if here => RungState::Held,
                Mode::Asking(next) if here && *next > number => RungState::Done,
                _ if here => RungState::Soaking,
                _ if self.step > Some(number) => RungState::Done,
                _ if self.highest >= Some(number) => RungState::Left,
                _ => RungState::Ahead,
            };
            Rung {
                percent: step.percent,
                soak_ms: step.soak.as_millis() as u64,
                state,
            }
        };
        self.gate.steps.iter().enumerate().map(rung).collect()
    }

    /// Closes the samples, and makes the outcome.
    pub(super) async fn end(mut self, ending: Ending) -> Outcome {
        let attempt = self.context.attempt;
        let passed = ending.finding.verdict == crate::expectation::Verdict::Passed;
        self.watched.ladder = self.ladder(passed);
        for rung in &mut self.watched.ladder {
            if matches!(rung.state, RungState::Held | RungState::Soaking) {
                rung.state = RungState::Stands;
            }
        }
        self.watched.stalled = None;
        self.log.must(Sample::Ended { attempt }).await;
        let mut outcome = Outcome::of(ending.finding);
        outcome.canceled = ending.canceled;
        if let Err(error) = self.log.end().await {
            outcome.finding = outcome
                .finding
                .because(format!("the samples could not all be kept: {error}"));
        }
        outcome.with(Evidence::Watched {
            target: self.gate.target.clone().unwrap_or_default(),
            server: server(self.context, self.gate.target.as_deref()),
            watched: Box::new(self.watched),
        })
    }
}
