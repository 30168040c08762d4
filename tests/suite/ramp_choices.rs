//! Choices at a ramp that is at work, through the engine: held, stepped back, gone on, off.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use stagegate::engine::{CommandError, EngineHandle, OpenOptions, Request, Snapshot, Which, open};
use stagegate::gate::Question;
use stagegate::postgres::environment::Environment;
use stagegate::promotion::{Command, Event, GateState, Refusal, Via};

use crate::site::Site;

const GATE: &str = "[[phase.gate]]\nid = \"gate\"\ntitle = \"Gate\"\n[phase.gate.ramp]\n\
    target = \"db\"\nset_sql = \"UPDATE flag SET percent = {percent}\"\n\
    read_sql = \"SELECT percent FROM flag\"\nevery = \"100ms\"\n";

const METRIC: &str = "[[phase.gate.ramp.metrics]]\nname = \"errors\"\nsql = \"SELECT seen()\"\n\
    success = \"= 0\"\nmin_samples = 2\nerrors_allowed = 1\n";

/// What is measured, in terms of the flag.
const QUIET: &str = "SELECT 0::numeric";
const BREACH: &str = "SELECT (SELECT CASE WHEN percent >= 50 THEN 3 ELSE 0 END FROM flag)::numeric";
const HANGING: &str = "SELECT (CASE WHEN (SELECT percent FROM flag) > 0 THEN (SELECT 1 FROM pg_sleep(20)) ELSE 0 END)::numeric";

struct World {
    site: Site,
    runtime: tokio::runtime::Runtime,
    handle: EngineHandle,
}

impl World {
    fn new(seen: &str, steps: &str) -> World {
        let site = Site::new();
        site.sql("CREATE TABLE flag (percent int); INSERT INTO flag VALUES (0)");
        site.sql(&format!(
            "CREATE FUNCTION seen() RETURNS numeric LANGUAGE sql AS $$ {seen} $$"
        ));
        let path = site.runbook(&format!("{GATE}steps = [{steps}]\n{METRIC}"));
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let variables = [("DB".to_owned(), site.cluster.url("postgres", "postgres"))];
        let options = OpenOptions {
            which: Which::New(path),
            vars: BTreeMap::new(),
            runs_folder: site.path("runs"),
            operator: "ana".to_owned(),
            via: Via::Console,
            surroundings: Environment::of_process().with_variables(&variables),
        };
        let handle = open(&options, runtime.handle()).unwrap();
        World {
            site,
            runtime,
            handle,
        }
    }

    #[track_caller]
    fn until<T>(&self, what: &str, mut seen: impl FnMut(&World) -> Option<T>) -> T {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            if let Some(found) = seen(self) {
                return found;
            }
            assert!(Instant::now() < deadline, "no {what}: {:?}", self.gate());
            std::thread::yield_now();
        }
    }

    fn snapshot(&self) -> Arc<Snapshot> {
        self.handle.snapshot()
    }

    fn gate(&self) -> stagegate::promotion::GateRecord {
        self.snapshot().run.gate("gate").unwrap().clone()
    }

    /// Plans and starts the gate, or retries it.
    #[track_caller]
    fn start(&self, again: bool) {
        let ask = Request::Plan {
            gate: "gate".to_owned(),
        };
        self.runtime.block_on(self.handle.ask(ask));
        let plan = self.until("plan", |world| world.snapshot().plans.get("gate").cloned());
        let (gate, plan, typed_name) = ("gate".to_owned(), Some(plan.digest.clone()), None);
        let command = if again {
            Command::Retry {
                gate,
                plan,
                typed_name,
            }
        } else {
            Command::Start {
                gate,
                plan,
                typed_name,
            }
        };
        self.runtime.block_on(self.handle.command(command)).unwrap();
    }

    fn choose(&self, question: u64, choice: &str) -> Result<(), CommandError> {
        let (gate, choice) = ("gate".to_owned(), choice.to_owned());
        let command = Command::Choose {
            gate,
            question,
            choice,
        };
        self.runtime.block_on(self.handle.command(command))
    }

    #[track_caller]
    fn question(&self, holding: &str) -> Arc<Question> {
        self.until(holding, |world| {
            let question = world.handle.feed().asked().question;
            question.filter(|question| question.text.contains(holding))
        })
    }

    #[track_caller]
    fn ended(&self) -> stagegate::promotion::GateRecord {
        self.until("end", |world| {
            let gate = world.gate();
            (gate.state != GateState::Running).then_some(gate)
        })
    }

    fn flag(&self) -> String {
        self.site.one("SELECT percent FROM flag")
    }

    fn measure(&self, seen: &str) {
        self.site.sql(&format!(
            "CREATE OR REPLACE FUNCTION seen() RETURNS numeric LANGUAGE sql AS $$ {seen} $$"
        ));
    }
}

const STEPS: &str = "{ percent = 10, soak = \"200ms\" }, { percent = 50, soak = \"300ms\" }";

fn words(question: &Question) -> Vec<&str> {
    question
        .choices
        .iter()
        .map(|choice| choice.word.as_str())
        .collect()
}

#[test]
fn a_breach_holds_and_a_person_steps_back() {
    let world = World::new(BREACH, STEPS);
    world.start(false);
    let question = world.question("BREACH: errors failed once");
    assert_eq!(words(&question), ["step back", "go on"]);
    assert_eq!(world.flag(), "50", "it is left where it is");
    assert_eq!(world.gate().state, GateState::Running);
    world.choose(question.serial, "step back").unwrap();
    let gate = world.ended();
    assert_eq!(
        gate.state,
        GateState::Failed,
        "a recovery rewrites no verdict"
    );
    assert_eq!(world.flag(), "10");
    let names: Vec<&str> = gate
        .effects
        .iter()
        .map(|effect| effect.name.as_str())
        .collect();
    assert_eq!(names.last(), Some(&"stepped back to 10 %"));
    let recorded = world.snapshot().records.iter().any(|record| {
        let via = record.actor.via == Via::Console;
        via && matches!(&record.event, Event::ChoiceMade { choice, .. } if choice == "step back")
    });
    assert!(recorded);
    world.measure(QUIET);
    world.start(true);
    let gate = world.ended();
    assert_eq!(gate.state, GateState::Passed);
    let names: Vec<&str> = gate
        .effects
        .iter()
        .map(|effect| effect.name.as_str())
        .collect();
    assert!(
        names[0].starts_with("soaked 10 %"),
        "not raised before: {names:?}"
    );
}

#[test]
fn going_on_begins_the_soak_anew() {
    let world = World::new(BREACH, STEPS);
    world.start(false);
    let question = world.question("BREACH");
    world.measure(QUIET);
    world.choose(question.serial, "go on").unwrap();
    let gate = world.ended();
    assert_eq!(gate.state, GateState::Passed);
    let names: Vec<&str> = gate
        .effects
        .iter()
        .map(|effect| effect.name.as_str())
        .collect();
    assert_eq!(names[3], "went on at 50 %", "{names:?}");
}

#[test]
fn raising_is_asked_and_a_breach_withdraws_the_question() {
    let steps = "{ percent = 50, soak = \"200ms\" }, { percent = 100, confirm = true }";
    let world = World::new(QUIET, steps);
    world.start(false);
    let asked = world.question("Raise it to 100 %?");
    assert_eq!(world.flag(), "50");
    world.measure(BREACH);
    let held = world.question("BREACH");
    assert!(held.serial > asked.serial);
    let refused = world.choose(asked.serial, "raise");
    assert!(
        matches!(
            refused,
            Err(CommandError::Refused(Refusal::NotOffered { .. }))
        ),
        "{refused:?}"
    );
    assert_eq!(world.flag(), "50");
    world.measure(QUIET);
    world.choose(held.serial, "go on").unwrap();
    let asked = world.question("Raise it to 100 %?");
    world.choose(asked.serial, "raise").unwrap();
    assert_eq!(world.ended().state, GateState::Passed);
    assert_eq!(world.flag(), "100");
}

#[test]
fn it_is_off_within_a_second_while_a_metric_hangs() {
    let world = World::new(HANGING, STEPS);
    world.start(false);
    let sleeping = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'";
    world.until("metric that hangs", |world| {
        (world.site.one(sleeping) == "1").then_some(())
    });
    let asked = Instant::now();
    world.choose(0, "off").unwrap();
    let gate = world.ended();
    assert!(
        asked.elapsed() < Duration::from_secs(1),
        "{:?}",
        asked.elapsed()
    );
    assert_eq!(world.flag(), "0");
    assert_eq!(gate.state, GateState::Canceled);
    assert_eq!(gate.effects.last().unwrap().name, "switched off, 0 %");
}

#[test]
fn a_flag_that_somebody_changed_is_gone_on_from_below() {
    let world = World::new(
        QUIET,
        "{ percent = 10, soak = \"200ms\" }, { percent = 50, soak = \"1h\" }",
    );
    world.start(false);
    world.until("50 %", |world| (world.flag() == "50").then_some(()));
    world.site.sql("UPDATE flag SET percent = 30");
    let question = world.question("somebody else changed it");
    assert_eq!(world.flag(), "30");
    let go_on = question
        .choices
        .iter()
        .find(|choice| choice.word == "go on")
        .unwrap();
    assert!(
        go_on.label.contains("at 10 %"),
        "no step is left out: {}",
        go_on.label
    );
    // It is changed once more before the answer comes: that answer was to something else.
    world.site.sql("UPDATE flag SET percent = 100");
    let again = world.question("100 %");
    assert!(again.serial > question.serial);
    assert!(world.choose(question.serial, "go on").is_err());
    world.choose(again.serial, "go on").unwrap();
    world.until("50 %", |world| (world.flag() == "50").then_some(()));
    world.choose(0, "off").unwrap();
    world.ended();
    assert_eq!(world.flag(), "0");
}

#[test]
fn only_what_is_offered_is_taken_and_canceling_leaves_the_flag() {
    let world = World::new(QUIET, "{ percent = 10, soak = \"1h\" }");
    assert!(world.choose(0, "off").is_err(), "nothing is at work");
    world.start(false);
    world.until("10 %", |world| (world.flag() == "10").then_some(()));
    for (question, choice) in [(0, "raise"), (0, "step back"), (7, "off"), (0, "")] {
        assert!(world.choose(question, choice).is_err(), "{choice}");
    }
    let cancel = Command::Cancel {
        gate: "gate".to_owned(),
    };
    world
        .runtime
        .block_on(world.handle.command(cancel))
        .unwrap();
    let gate = world.ended();
    assert_eq!(gate.state, GateState::Canceled);
    assert!(
        gate.finding
            .unwrap()
            .summary
            .contains("the flag stays at 10 %")
    );
    assert_eq!(world.flag(), "10");
}
