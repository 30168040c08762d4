//! Refusals in their words, and the journeys that lead to them.

use stagegate::expectation::{Finding, Verdict};
use stagegate::promotion::{
    BlockerEnd, BlockerOutcome, Command, Decision, Event, GateState, Refusal, Resolution,
    RunStatus, Via, WindowDefinition,
};

use super::world::{
    ANA, GATES, REASON, SAM, World, blocker, confirm, definition, finish, invalidate, lose,
    resolve, retry, sign, start, waive,
};

/// Asks for a command and gives the words of its refusal.
pub(super) fn refused(world: &mut World, via: Via, command: &Command) -> String {
    let before = (world.run.clone(), world.bytes.len());
    let refusal = world.ask(via, command).expect_err("this must be refused");
    assert_eq!(
        (world.run.clone(), world.bytes.len()),
        before,
        "it left a trace"
    );
    refusal.to_string()
}

#[test]
fn without_a_run_only_opening_is_granted() {
    let mut world = World::empty();
    assert_eq!(
        refused(&mut world, Via::Console, &Command::Resume),
        "there is no run yet"
    );
    let mut world = World::opened();
    let open = Command::Open(Box::new(super::world::opening(definition())));
    assert_eq!(
        refused(&mut world, Via::Console, &open),
        "the journal holds a run already"
    );
}

/// Checks what is said when a run stands before `gate` and `command` is asked.
#[track_caller]
fn says(gate: &str, via: Via, command: &Command, words: &str) {
    let mut world = World::opened().up_to(gate);
    assert_eq!(refused(&mut world, via, command), words);
}

#[test]
fn a_refused_start_names_the_gate_and_the_way_on() {
    let person = Via::Console;
    let unknown = "there is no gate `nowhere` in this run";
    says("count", person, &start("nowhere"), unknown);
    let blocked = "gate `count` is pending; nothing later starts until it has passed";
    says("count", person, &start("backup"), blocked);
    let people = "gate `checklist` is moved by people, item by item or signature by signature; \
                  no work of its own starts, stops or reports";
    says("count", person, &start("checklist"), people);
    let pending = "gate `count` is pending; it cannot be retried";
    says("count", person, &retry("count"), pending);
    let by_itself = "gate `backup` acts; it never starts by itself";
    says("backup", Via::Engine, &start("backup"), by_itself);
    for plan in [None, Some(String::new())] {
        let planless = Command::Start {
            gate: "backup".into(),
            plan,
            typed_name: None,
        };
        let no_plan = "gate `backup` acts; its plan must be made and shown before it starts";
        says("backup", person, &planless, no_plan);
    }
    for typed_name in [
        None,
        Some("Production".to_owned()),
        Some(" production".to_owned()),
    ] {
        let mistyped = Command::Start {
            gate: "migrate".into(),
            plan: Some("p".into()),
            typed_name,
        };
        let type_it = "gate `migrate` acts on `production`; type that name to confirm";
        says("migrate", person, &mistyped, type_it);
    }
    let nobody = "gate `migrate`, which acts on `production`, needs a person at a console; \
                  this front end has none";
    says("migrate", Via::Headless, &start("migrate"), nobody);
}

#[test]
fn a_refused_person_learns_what_would_do() {
    let person = Via::Console;
    let no_item = "gate `checklist` has no item 8";
    says("checklist", person, &confirm(7, None), no_item);
    let no_number = "item 2 asks for a number, such as 12.5; `many` is none";
    says("checklist", person, &confirm(1, Some("many")), no_number);
    let pending = "gate `count` is pending; it cannot be waived";
    says("count", person, &waive("count", REASON), pending);
    let not_waivable = "the runbook does not allow gate `backup` to be waived";
    says("backup", person, &waive("backup", REASON), not_waivable);
    let no_role = "role `owner` does not sign gate `agreed`; roles: dba, security";
    says(
        "agreed",
        person,
        &sign("owner", ANA, Decision::Approve),
        no_role,
    );
    let no_member = "`sam@example.com` is not a member of role `dba`; members: ana@example.com";
    says(
        "agreed",
        person,
        &sign("dba", SAM, Decision::Approve),
        no_member,
    );
    let open = "gate `agreed` has not passed yet; \
                a run closes when every gate has let it through";
    says("agreed", person, &Command::Close, open);
    let empty = Command::Note {
        gate: None,
        text: "  ".into(),
    };
    says(
        "count",
        person,
        &empty,
        "a reason of at least 1 characters is needed",
    );
}

#[test]
fn one_gate_is_at_work_at_a_time() {
    let mut world = World::opened().up_to("migrate");
    world.console(&start("migrate"));
    world.engine(&invalidate("count"));
    let busy = "gate `migrate` is at work; one gate acts at a time";
    assert_eq!(refused(&mut world, Via::Console, &start("count")), busy);
    let abandon = Command::Abandon {
        reason: "enough".into(),
    };
    assert_eq!(refused(&mut world, Via::Console, &abandon), busy);
}

#[test]
fn nothing_acts_while_an_outcome_is_unknown() {
    let mut world = World::opened().up_to("migrate");
    world.console(&start("migrate"));
    world.engine(&lose("migrate", 1));
    world.engine(&invalidate("backup"));
    let words = "gate `migrate` is in doubt; nothing else acts before it is known what it did";
    assert_eq!(refused(&mut world, Via::Console, &start("backup")), words);
    world.engine(&resolve("migrate", 1, Resolution::Pending));
    world.console(&start("backup"));
}

#[test]
fn a_report_about_another_attempt_is_refused() {
    let mut world = World::opened().up_to("count");
    world.console(&start("count"));
    world.engine(&finish("count", 1, Verdict::Errored));
    world.console(&retry("count"));
    for stale in [finish("count", 1, Verdict::Passed), lose("count", 3)] {
        let words = refused(&mut world, Via::Engine, &stale);
        assert!(
            words.contains("of gate `count`, which is at attempt 2"),
            "{words}"
        );
    }
    world.engine(&finish("count", 2, Verdict::Passed));
    assert_eq!(world.state("count"), GateState::Passed);
}

#[test]
fn only_workers_report_and_only_on_work() {
    let mut world = World::opened().up_to("count");
    world.console(&start("count"));
    let forged = finish("count", 1, Verdict::Passed);
    for via in [Via::Console, Via::Headless] {
        assert_eq!(
            refused(&mut world, via, &forged),
            "only the work of gate `count` reports how it ended"
        );
    }
    let mut world = World::opened();
    world.console(&confirm(0, None));
    let forged = finish("checklist", 1, Verdict::Passed);
    assert!(refused(&mut world, Via::Engine, &forged).contains("moved by people"));
    assert!(refused(&mut world, Via::Engine, &lose("checklist", 1)).contains("moved by people"));
}

#[test]
fn a_resolution_says_what_its_finding_says() {
    let mut world = World::opened().up_to("migrate");
    world.console(&start("migrate"));
    world.engine(&lose("migrate", 1));
    for (resolution, verdict) in [
        (Resolution::Passed, Verdict::Inconclusive),
        (Resolution::Passed, Verdict::Errored),
        (Resolution::Failed, Verdict::Passed),
        (Resolution::Pending, Verdict::Passed),
    ] {
        let command = Command::Resolve {
            gate: "migrate".into(),
            attempt: 1,
            resolution,
            finding: Finding::new(verdict, "seen"),
            evidence: None,
        };
        let words = refused(&mut world, Via::Engine, &command);
        assert!(words.contains("the two do not agree"), "{words}");
    }
    assert_eq!(world.state("migrate"), GateState::InDoubt);
}

#[test]
fn nothing_acts_outside_the_window_but_looking_is_free() {
    let mut definition = definition();
    definition.window = Some(WindowDefinition {
        opens: Some("2025-11-22T02:00:00Z".parse().unwrap()),
        last_start: Some("2025-11-22T03:00:00Z".parse().unwrap()),
        ..Default::default()
    });
    let mut world = World::opened_with(definition).up_to("backup");
    assert_eq!(
        refused(&mut world, Via::Console, &start("backup")),
        "the window opens at 2025-11-22T02:00:00Z"
    );
    world.now = "2025-11-22T03:00:01Z".parse().unwrap();
    assert_eq!(
        refused(&mut world, Via::Console, &start("backup")),
        "the last moment to start was 2025-11-22T03:00:00Z"
    );
    world.now = "2025-11-22T03:00:00Z".parse().unwrap();
    world.console(&start("backup"));
}

#[test]
fn cancel_is_asked_once_and_a_canceled_pass_is_no_pass() {
    let mut world = World::opened().up_to("count");
    world.console(&start("count"));
    let cancel = Command::Cancel {
        gate: "count".into(),
    };
    world.console(&cancel);
    let before = world.records.len();
    world.console(&cancel);
    assert_eq!(world.records.len(), before);
    world.engine(&Command::Finish {
        gate: "count".into(),
        attempt: 1,
        finding: Finding::passed("it had ended already"),
        evidence: None,
        captures: Default::default(),
        files: Default::default(),
        canceled: true,
    });
    assert_eq!(world.state("count"), GateState::Canceled);
}

#[test]
fn taking_up_twice_changes_nothing_more() {
    let mut world = World::opened().up_to("migrate");
    world.console(&start("migrate"));
    let take_up = Command::Continue {
        version: "0.2.0".into(),
    };
    world.console(&take_up);
    let once = world.run().gates.clone();
    assert_eq!(world.state("migrate"), GateState::InDoubt);
    world.console(&take_up);
    assert_eq!(world.run().gates, once);
    let last = &world.records.last().unwrap().event;
    assert!(matches!(last, Event::RunContinued { in_doubt, .. } if in_doubt.is_empty()));
}

#[test]
fn a_whole_run_closes_once() {
    let mut world = World::opened();
    for gate in GATES {
        world.pass(gate);
    }
    world.console(&Command::Hold {
        reason: "wait".into(),
    });
    assert_eq!(
        refused(&mut world, Via::Console, &Command::Close),
        "the run is held (wait); resume it first"
    );
    world.console(&Command::Resume);
    world.console(&Command::Close);
    assert_eq!(world.run().status, RunStatus::Closed);
    assert_eq!(world.replayed(), world.run);
    let again = world.ask(Via::Console, &Command::Close);
    assert_eq!(again, Err(Refusal::Ended("closed".into())));
}

#[test]
fn a_blocker_is_ended_by_a_person_who_typed_its_number_while_the_gate_works() {
    let mut world = World::opened().up_to("migrate");
    let signal = |pid, typed: Option<&str>| Command::SignalBlocker {
        gate: "migrate".into(),
        blocker: blocker(pid),
        typed_pid: typed.map(str::to_owned),
    };
    assert_eq!(
        refused(&mut world, Via::Console, &signal(4711, Some("4711"))),
        "gate `migrate` is pending; it cannot be unblocked"
    );
    world.console(&start("migrate"));
    assert_eq!(
        refused(&mut world, Via::Headless, &signal(4711, Some("4711"))),
        "terminating pid 4711 needs a person at a console; this front end has none"
    );
    for typed in [None, Some("4712"), Some(" 4711"), Some("")] {
        assert_eq!(
            refused(&mut world, Via::Console, &signal(4711, typed)),
            "type the process number 4711 to confirm"
        );
    }
    // No session belongs to a prepared transaction.
    let words = refused(&mut world, Via::Console, &signal(0, Some("0")));
    assert!(words.contains("pid 0 is not in the way"), "{words}");
    world.console(&signal(4711, Some("4711")));
    let words = world.records.last().unwrap().event.words();
    assert_eq!(
        words,
        "terminate pid 4711, ana@psql, local socket, begun 2025-11-22T00:59:00.123456+00:00: SELECT 1"
    );
    let ended = |attempt| Command::RecordSignal {
        gate: "migrate".into(),
        attempt,
        ended: BlockerEnd {
            act: blocker(1).act,
            pid: 4711,
            outcome: BlockerOutcome::Ended,
            detail: String::new(),
        },
    };
    assert!(world.ask(Via::Console, &ended(1)).is_err());
    assert!(world.ask(Via::Engine, &ended(2)).is_err());
    world.engine(&ended(1));
    let words = world.records.last().unwrap().event.words();
    assert_eq!(words, "pid 4711: it was terminated");
    assert_eq!(world.state("migrate"), GateState::Running);
    assert_eq!(world.replayed(), world.run);
}
