//! What a ramp is going to do, what it goes on from, and what became of it when nobody saw it end.

use std::time::Duration;

use super::flag::Flag;
use super::observe::{measured, metric_lines};
use super::ramp_words::{span, stands};
use super::samples::{self, Sample};
use super::{Context, Payload, Plan, Reconciled, Tone, flag_file, measure};
use crate::expectation::{Finding, MetricRule, Watch};
use crate::promotion::Resolution;
use crate::runbook::{FlagWay, OnBreach, Ramp};

/// What the plan found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RampPlan {
    /// The flag's value when the plan was made.
    pub flag: Option<u8>,
}

/// What the samples of earlier attempts say.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Memory {
    /// The value before the ramp began.
    pub(super) before: Option<u8>,
    /// The value that was set and read back last; `None` when none ever was.
    pub(super) stands: Option<u8>,
    /// A value that was about to be set.
    pub(super) setting: Option<u8>,
    /// The watch at the step where it stands, when the last attempt did not end in good order.
    pub(super) watch: Option<Watch>,
}

/// Folds the samples of a gate.
pub(super) fn recall(gate: &Ramp, lines: &[Sample], rules: &[MetricRule]) -> Memory {
    let wanted = |percent: u8| {
        let step = gate.steps.iter().find(|step| step.percent == percent);
        step.map_or(Duration::ZERO, |step| step.soak)
    };
    let fresh = |percent| Watch::new(rules.to_vec(), gate.every, wanted(percent));
    let mut memory = Memory {
        before: None,
        stands: None,
        setting: None,
        watch: None,
    };
    for line in lines {
        match line {
            Sample::Began { .. } => {
                if let Some(watch) = &mut memory.watch {
                    watch.interrupt();
                }
            }
            Sample::Setting { percent } => memory.setting = Some(*percent),
            Sample::Stands { percent } => {
                memory.before = memory.before.or(Some(*percent));
                memory.stands = Some(*percent);
                memory.setting = None;
                memory.watch = Some(fresh(*percent));
            }
            Sample::Afresh => memory.watch = memory.stands.map(fresh),
            Sample::Look {
                at_ms,
                readings,
                flag,
                ..
            } => {
                if let Some(watch) = &mut memory.watch {
                    let sound = flag.is_some() && *flag == memory.stands;
                    watch.look(Duration::from_millis(*at_ms), readings, sound);
                }
            }
            // What comes after an end begins anew.
            Sample::Ended { .. } => memory.watch = None,
        }
    }
    if let Some(watch) = &mut memory.watch {
        watch.interrupt();
    }
    memory
}

impl Memory {
    /// The step of the value where it stands.
    pub(super) fn step(&self, gate: &Ramp) -> Option<usize> {
        let stands = self.stands?;
        gate.steps.iter().position(|step| step.percent == stands)
    }
}

/// The rules of a gate's metrics, without what they were before the change.
pub(super) fn rules(gate: &Ramp, context: &Context) -> Result<Vec<MetricRule>, String> {
    let rules = measure::rules(&gate.metrics, &context.values)?;
    Ok(rules.into_iter().map(|(rule, _)| rule).collect())
}

pub(super) fn remembered(gate: &Ramp, context: &Context, rules: &[MetricRule]) -> Memory {
    let lines = samples::read(&samples::path(&context.folder, &context.gate.id));
    recall(gate, &lines, rules)
}

pub(super) async fn plan(gate: &Ramp, context: &Context) -> Plan {
    let flag = Flag::new(&gate.flag, gate.target.as_deref(), context);
    let read = flag.read().await;
    let steps: Vec<String> = gate
        .steps
        .iter()
        .map(|step| format!("{} %", step.percent))
        .collect();
    let shown = stands(read.as_ref().ok().copied());
    let steps_seen = format!("{:?} {:?} {:?}", gate.steps, gate.flag, gate.on_breach);
    let sources = measured(&gate.metrics);
    let mut inputs = vec![steps_seen.as_str(), shown.as_str()];
    inputs.extend(sources.iter().map(String::as_str));
    let summary = format!(
        "raise the flag {}; it stands at {shown}",
        steps.join(" -> ")
    );
    let mut plan = Plan::new(summary, &inputs);
    plan.payload = Payload::Ramp(RampPlan {
        flag: read.as_ref().ok().copied(),
    });
    step_lines(&mut plan, gate);
    flag_lines(&mut plan, gate, context, read.as_ref().ok().copied()).await;
    match measure::rules(&gate.metrics, &context.values) {
        Ok(rules) => {
            metric_lines(&mut plan, &gate.metrics, &rules);
            let rules: Vec<MetricRule> = rules.into_iter().map(|(rule, _)| rule).collect();
            let memory = remembered(gate, context, &rules);
            if let Some(line) = goes_on(gate, &memory) {
                plan.line(Tone::Heading, "where it goes on");
                plan.line(Tone::Plain, line);
            } else if let Some(reason) = refusal(gate, &memory, &read) {
                plan.line(Tone::Bad, &reason);
                plan.refuses = Some(reason);
            }
        }
        Err(why) => {
            plan.line(Tone::Bad, &why);
            plan.refuses = Some(why);
        }
    }
    plan
}

fn step_lines(plan: &mut Plan, gate: &Ramp) {
    plan.line(Tone::Heading, "steps");
    for step in &gate.steps {
        let asked = if step.confirm {
            ", a person says when"
        } else {
            ""
        };
        let soak = match step.soak {
            Duration::ZERO => "at least its samples are looked at".to_owned(),
            soak => format!("{} observed", span(soak)),
        };
        plan.line(
            Tone::Plain,
            format!("  {:>3} %  {soak}{asked}", step.percent),
        );
    }
    let breach = match gate.on_breach {
        OnBreach::Hold => "the flag stays where it is and a person is asked",
        OnBreach::StepBack => "the flag is set to the step before, and the gate fails",
    };
    plan.line(Tone::Plain, format!("on a breach: {breach}"));
    plan.line(
        Tone::Muted,
        "what is set is read back; o switches it off at any time; a flag undoes no schema change",
    );
}

async fn flag_lines(plan: &mut Plan, gate: &Ramp, context: &Context, now: Option<u8>) {
    plan.line(Tone::Heading, "the flag");
    match &gate.flag {
        FlagWay::Sql { set, read } => {
            if let Err(why) = measure::one_statement(read) {
                plan.refuses = Some(format!("reading the flag: {why}"));
            }
            plan.line(Tone::Sql, set.trim());
            plan.line(Tone::Sql, read.trim());
        }
        FlagWay::Argv { set, read } => {
            plan.line(Tone::Plain, format!("set   {}", set.join(" ")));
            plan.line(Tone::Plain, format!("read  {}", read.join(" ")));
        }
        FlagWay::File { path, pattern } => {
            let next = gate.steps.iter().find(|step| Some(step.percent) > now);
            let to = next.map_or(0, |step| step.percent);
            match flag_file::difference(context, path, pattern, to).await {
                Ok((branch, diff)) => {
                    plan.line(
                        Tone::Plain,
                        format!("committed on {branch}, each step alone"),
                    );
                    for line in diff.lines() {
                        let tone = match line.chars().next() {
                            Some('+') => Tone::Good,
                            Some('-') => Tone::Bad,
                            _ => Tone::Muted,
                        };
                        plan.line(tone, line);
                    }
                }
                Err(why) => {
                    plan.line(Tone::Bad, &why);
                    plan.refuses = Some(why);
                }
            }
        }
    }
}

/// Where an attempt that nobody saw end goes on.
fn goes_on(gate: &Ramp, memory: &Memory) -> Option<String> {
    let step = memory.step(gate)?;
    let observed = memory.watch.as_ref()?.observed();
    let step = gate.steps[step];
    Some(format!(
        "at {} %: {} of {} were observed and count; nothing is raised before it was looked at again",
        step.percent,
        or_nothing(observed),
        or_nothing(step.soak),
    ))
}

fn or_nothing(time: Duration) -> String {
    match span(time) {
        text if text.is_empty() => "0s".to_owned(),
        text => text,
    }
}

/// Why the first attempt may not begin.
fn refusal(gate: &Ramp, memory: &Memory, read: &Result<u8, String>) -> Option<String> {
    if memory.stands.is_some() {
        // What is found then is shown to a person, who decides.
        return None;
    }
    let first = gate.steps.first()?.percent;
    match read {
        Err(why) => Some(format!("the flag cannot be read: {why}")),
        Ok(now) if *now > first => Some(format!(
            "the flag stands at {now} % already, above the first step of {first} %; no step is left out"
        )),
        Ok(_) => None,
    }
}

/// Reads the flag and the samples: where it stands, and how much counts. Nothing is in flight, so
/// it may be started again.
pub(super) async fn reconcile(gate: &Ramp, context: &Context) -> Reconciled {
    let flag = Flag::new(&gate.flag, gate.target.as_deref(), context);
    let read = flag.read().await;
    let memory = rules(gate, context).map(|rules| remembered(gate, context, &rules));
    let finding = match (&read, &memory) {
        (Err(why), _) => Finding::inconclusive("the value of the flag is not known")
            .because(why.clone())
            .can("press Enter to start it again: it holds, raises nothing, and asks you"),
        (Ok(now), Ok(memory)) => {
            let observed = memory
                .watch
                .as_ref()
                .map_or(Duration::ZERO, Watch::observed);
            let found = Finding::inconclusive(format!(
                "the flag stands at {now} %; {} were observed there",
                or_nothing(observed)
            ));
            if memory.stands.is_none_or(|ours| ours == *now) || memory.setting == Some(*now) {
                found.can("press Enter to start it again: it goes on at this value, and raises nothing before it has looked again")
            } else {
                found
                    .because(format!("{} was set last", stands(memory.stands)))
                    .can("press Enter to start it again: it holds, and asks you")
            }
        }
        (Ok(now), Err(why)) => {
            Finding::inconclusive(format!("the flag stands at {now} %")).because(why.clone())
        }
    };
    Reconciled {
        resolution: Some(Resolution::Pending),
        finding,
        evidence: None,
    }
}
