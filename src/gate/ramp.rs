//! `ramp`: raises a flag step by step, each only after the one before was seen to be well.
//!
//! What is set is read back, and what is read decides. A person can switch the flag off at every
//! moment: nothing that hangs is waited for by the loop that hears it.

use super::flag::Flag;
use super::measure::{self, Look, Looking};
use super::query::unreachable;
use super::ramp_course::{Course, Ending, Mode};
use super::ramp_plan::{remembered, rules};
use super::ramp_words::Why;
use super::samples::{self, Sample, SampleLog};
use super::{Context, Outcome, Payload, Plan, Watched};
use crate::expectation::{Finding, MetricRule, Number, Standing, Verdict, Watch};
use crate::runbook::{OnBreach, Ramp};
use crate::system::clock;

/// How often in a row the flag may be unreadable before a person is asked.
const UNREADABLE_ALLOWED: u32 = 3;

pub(super) async fn run(gate: &Ramp, context: &Context, plan: &Plan) -> Outcome {
    if let Some(reason) = &plan.refuses {
        let finding = Finding::errored(reason.clone())
            .because("nothing was set")
            .can("mend it, then press r");
        return Outcome::of(finding);
    }
    if let Some(target) = &gate.target
        && let Err(error) = context.targets.hold(target).await
    {
        return unreachable(target, &error);
    }
    let limits = match measure::rules(&gate.metrics, &context.values) {
        Ok(limits) => limits,
        Err(why) => {
            let finding = Finding::errored(why).can("mend the limit in the runbook");
            return Outcome::of(finding);
        }
    };
    let path = samples::path(&context.folder, &context.gate.id);
    let memory = rules(gate, context).map(|rules| remembered(gate, context, &rules));
    let opened = SampleLog::open(&path);
    let (Ok(memory), Ok(log)) = (memory, opened) else {
        let finding = Finding::errored("samples cannot be kept, so nothing was set")
            .because(path.display().to_string())
            .can("make room in the folder of runs, then press r");
        return Outcome::of(finding);
    };
    let planned = match &plan.payload {
        Payload::Ramp(planned) => planned.flag,
        _ => None,
    };
    let mut course = course(gate, context, &limits, log);
    let attempt = context.attempt;
    let time = jiff::Timestamp::now();
    course.log.must(Sample::Began { attempt, time }).await;
    course.begin(memory, planned).await;
    let ending = course.travel().await;
    course.end(ending).await
}

fn course<'a>(
    gate: &'a Ramp,
    context: &'a Context,
    limits: &[(MetricRule, Option<Number>)],
    log: SampleLog,
) -> Course<'a> {
    let rules: Vec<MetricRule> = limits.iter().map(|(rule, _)| rule.clone()).collect();
    Course {
        flag: Flag::new(&gate.flag, gate.target.as_deref(), context),
        watch: Watch::new(rules.clone(), gate.every, std::time::Duration::ZERO),
        watched: Watched::new(limits, gate.every.as_millis() as u64),
        rules,
        log,
        gate,
        context,
        step: None,
        highest: None,
        stands: None,
        before: None,
        mode: Mode::Soaking,
        settled: clock::since_start(),
        unreadable: 0,
        serial: 0,
        question: None,
        asked_at: None,
    }
}

impl Course<'_> {
    /// Goes on until it is decided.
    async fn travel(&mut self) -> Ending {
        let flag = Some(self.flag.clone());
        let target = self.gate.target.as_deref();
        let (metrics, every) = (&self.gate.metrics, self.gate.every);
        let mut looking: Looking = measure::begin(self.context, target, metrics, every, flag);
        self.publish();
        loop {
            let context = self.context;
            let ending = tokio::select! {
                biased;
                () = context.cancel.cancelled() => Some(self.canceled()),
                chosen = context.choices.next() => self.chosen(&chosen).await,
                look = looking.looks.recv() => match look {
                    Some(look) => self.look(look).await,
                    None => Some(Ending::errored("looking ended in a defect of this program")),
                },
            };
            self.publish();
            if let Some(ending) = ending {
                return ending;
            }
        }
    }

    /// Takes one look, and does what follows from it.
    async fn look(&mut self, look: Look) -> Option<Ending> {
        if look.begun < self.settled {
            // It may have read the flag before it was set.
            return None;
        }
        let at_ms = look.at.as_millis() as u64;
        let flag = look.flag.as_ref().and_then(|read| read.as_ref().ok());
        self.watched.flag = flag.copied();
        self.watched.draw(at_ms, &look.readings);
        self.log.add(Sample::Look {
            at_ms,
            time: jiff::Timestamp::now(),
            readings: look.readings.clone(),
            flag: flag.copied(),
        });
        if let Mode::Held(_) = self.mode {
            self.seen_while_held();
            return None;
        }
        let sound = flag.is_some() && flag == self.stands.as_ref();
        self.watch.look(look.at, &look.readings, sound);
        self.watched.count(&self.watch);
        match (&look.flag, self.stands) {
            (Some(Ok(seen)), Some(ours)) if *seen != ours => {
                self.hold(Why::Changed { ours, seen: *seen });
                return None;
            }
            (Some(Err(why)), _) => {
                self.unreadable += 1;
                self.watched.stalled = Some(format!("the flag cannot be read: {why}"));
                if self.unreadable > UNREADABLE_ALLOWED {
                    self.hold(Why::Unknown(why.clone()));
                }
                return None;
            }
            _ => self.unreadable = 0,
        }
        match self.watch.standing() {
            Standing::Decided(finding) => self.breach(finding).await,
            Standing::Enough if self.mode == Mode::Soaking => self.advance().await,
            Standing::Enough | Standing::Going => None,
        }
    }

    async fn breach(&mut self, finding: Finding) -> Option<Ending> {
        let failed = finding.verdict == Verdict::Failed;
        if failed && self.gate.on_breach == OnBreach::StepBack {
            self.context
                .feed
                .say(format!("breach: {}", finding.summary));
            let why = Why::Metric(finding);
            return self.step_back(&why).await;
        }
        self.hold(Why::Metric(finding));
        None
    }

    /// The step was seen to be well for long enough.
    async fn advance(&mut self) -> Option<Ending> {
        let next = self.step.map_or(0, |step| step + 1);
        self.soaked().await;
        if next >= self.gate.steps.len() {
            return Some(self.arrived());
        }
        self.towards(next).await;
        None
    }
}
