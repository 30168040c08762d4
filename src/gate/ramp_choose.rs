//! What a ramp asks of a person, and what follows from the answer.

use std::sync::Arc;
use std::time::Duration;

use super::ramp_course::{Course, Ending, Mode};
use super::ramp_words::{self as words, Why, span, stands};
use super::samples::Sample;
use super::{Asked, Choice, Chosen, Question};
use crate::expectation::{Finding, Verdict};
use crate::promotion::EffectOutcome;
use crate::system::clock;

/// How often switching it off is tried before a person is told that it does not work.
const TRIES: u32 = 5;
/// The pause between two tries.
const PAUSE: Duration = Duration::from_millis(200);

impl Course<'_> {
    /// Shows what is seen and asks what is asked.
    pub(super) fn publish(&mut self) {
        self.watched.ladder = self.ladder(false);
        self.context.feed.ask(Asked {
            watched: Some(Arc::new(self.watched.clone())),
            offers: [words::off()].into(),
            question: self.question.clone(),
        });
    }

    /// Stops raising: the flag stays where it is, and a person is asked.
    pub(super) fn hold(&mut self, why: Why) {
        if self.question.is_some() {
            self.say("the question is withdrawn");
        }
        let finding = why.finding();
        self.watched.stalled = Some(format!("held: {}", finding.summary));
        self.say(&format!("held: {}", finding.summary));
        self.mode = Mode::Held(why);
        self.ask();
    }

    /// Withdraws the question that is open.
    pub(super) fn withdraw(&mut self) {
        self.question = None;
    }

    /// Opens the question that belongs to what is going on. An answer to one before counts no more.
    pub(super) fn ask(&mut self) {
        self.serial += 1;
        self.asked_at = self.watched.flag;
        let flag = stands(self.watched.flag);
        let (text, causes, choices) = match &self.mode {
            Mode::Soaking => {
                self.question = None;
                return;
            }
            Mode::Asking(next) => {
                let to = self.gate.steps[*next].percent;
                let seen = span(self.watch.observed());
                let text = match self.step {
                    None => format!("It stands at {flag}. Raise it to {to} %?"),
                    Some(_) => format!("{flag} was well for {seen}. Raise it to {to} %?"),
                };
                (text, Vec::new(), vec![words::raise(self.stands, to)])
            }
            Mode::Held(why) => (
                why.question(&flag),
                why.finding().caused_by,
                self.ways_out(),
            ),
        };
        self.question = Some(Arc::new(Question {
            serial: self.serial,
            text,
            causes,
            choices,
            since: jiff::Timestamp::now(),
        }));
    }

    /// What may be chosen while it is held.
    fn ways_out(&self) -> Vec<Choice> {
        let mut choices = Vec::new();
        if self.step.is_some() {
            choices.push(words::step_back(self.value_before()));
        }
        if let Some(step) = self.watched.flag.map(|seen| self.step_for(seen)) {
            choices.push(words::go_on(&self.watched, self.gate.steps[step].percent));
        }
        choices
    }

    /// The step at which it goes on when the flag stands at `seen`: never above the one where it
    /// was, and never past one that was left out.
    fn step_for(&self, seen: u8) -> usize {
        let steps = &self.gate.steps;
        let reached = steps.iter().rposition(|step| step.percent <= seen);
        reached.unwrap_or(0).min(self.step.unwrap_or(0))
    }

    /// The value of the step before, or the one before the ramp.
    fn value_before(&self) -> u8 {
        match self.step {
            Some(step) if step > 0 => self.gate.steps[step - 1].percent,
            _ => self.before.unwrap_or(0),
        }
    }

    /// A look came while it is held: the question must speak of what stands there now.
    pub(super) fn seen_while_held(&mut self) {
        if self.watched.flag == self.asked_at {
            return;
        }
        // A breach stays the reason whatever the flag does; what was said of the flag is said anew.
        if let (Mode::Held(Why::Changed { .. } | Why::Unknown(_)), Some(seen), Some(ours)) =
            (&self.mode, self.watched.flag, self.stands)
        {
            self.mode = Mode::Held(Why::Changed { ours, seen });
        }
        self.ask();
    }

    /// Does what was chosen, if it was chosen of what is asked now.
    pub(super) async fn chosen(&mut self, chosen: &Chosen) -> Option<Ending> {
        let open = self.question.as_ref().map(|question| question.serial);
        if chosen.question != 0 && Some(chosen.question) != open {
            self.say(&format!(
                "`{}` answered a question that was withdrawn; nothing was done",
                chosen.word
            ));
            return None;
        }
        match (chosen.word.as_str(), self.mode.clone()) {
            (words::OFF, _) => return self.switch_off().await,
            (words::RAISE, Mode::Asking(next)) => {
                // Before the first step nothing has been looked at for long.
                let well = self.step.is_none() || self.watch.is_well(clock::since_start());
                if well {
                    self.withdraw();
                    self.raise(next).await;
                } else {
                    self.say("not raised: the last look was not well; look, then choose again");
                    self.ask();
                }
            }
            (words::GO_ON, Mode::Held(_)) => self.go_on().await,
            (words::STEP_BACK, Mode::Held(why)) => return self.step_back(&why).await,
            _ => self.say(&format!("`{}` is not offered now", chosen.word)),
        }
        None
    }

    /// Goes on after a hold, with all time from the start.
    async fn go_on(&mut self) {
        let now = match self.flag.read().await {
            Ok(now) => now,
            Err(why) => return self.hold(Why::Unknown(why)),
        };
        self.watched.flag = Some(now);
        if Some(now) != self.asked_at {
            let ours = self.stands.unwrap_or_default();
            return self.hold(Why::Changed { ours, seen: now });
        }
        let step = self.step_for(now);
        let percent = self.gate.steps[step].percent;
        if now == percent {
            self.settled = clock::since_start();
            self.stands = Some(now);
            self.log.must(Sample::Stands { percent }).await;
            let name = format!("went on at {percent} %");
            let outcome = EffectOutcome::Committed;
            self.effect(&name, outcome, Duration::ZERO, String::new())
                .await;
            self.at(step);
        } else {
            self.go_to(step).await;
        }
    }

    /// Sets the value before and ends; the verdict is why it had to.
    pub(super) async fn step_back(&mut self, why: &Why) -> Option<Ending> {
        let value = self.value_before();
        let name = format!("stepped back to {value} %");
        if let Err(why) = self.set(value, &name).await {
            self.hold(why);
            return None;
        }
        self.step = self.step.and_then(|step| step.checked_sub(1));
        self.mode = Mode::Held(why.clone());
        self.withdraw();
        let mut finding = why.finding();
        if finding.verdict == Verdict::Passed {
            finding = Finding::inconclusive(finding.summary);
        }
        Some(Ending::of(
            finding
                .because(name)
                .because("setting the flag back undoes no change of the schema")
                .can("find the cause and mend it, then press r: it goes on from this value"),
        ))
    }

    /// Sets it to 0 %, again and again until it is read back as that, and ends.
    async fn switch_off(&mut self) -> Option<Ending> {
        self.withdraw();
        let mut result = self.set(0, "switched off, 0 %").await;
        for _ in 1..TRIES {
            if result.is_ok() {
                break;
            }
            tokio::time::sleep(PAUSE).await;
            result = self.set(0, "switched off, 0 %").await;
        }
        if let Err(why) = result {
            self.hold(why);
            return None;
        }
        let said = "switched off by a person; the flag stands at 0 %";
        let held = match &self.mode {
            Mode::Held(why) => Some(why.finding().because(said)),
            _ => None,
        };
        let canceled = held.is_none();
        let finding = held.unwrap_or_else(|| Finding::inconclusive(said));
        self.step = None;
        Some(Ending {
            finding: finding
                .because("switching the flag off undoes no change of the schema")
                .can("find the cause and mend it, then press r: it begins at the first step"),
            canceled,
        })
    }
}
