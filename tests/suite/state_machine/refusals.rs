//! Every refusal in its words, and the journeys that lead to it.

use stagegate::expectation::{Finding, Verdict};
use stagegate::promotion::{
    Command, Decision, Event, GateState, Nature, Refusal, Resolution, RunStatus, Via,
    WindowDefinition,
};

use super::world::{
    ANA, GATES, REASON, SAM, World, confirm, definition, finish, invalidate, lose, resolve, retry,
    sign, start, waive,
};

/// Asks for a command and gives the words of its refusal.
fn refused(world: &mut World, via: Via, command: &Command) -> String {
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

#[test]
fn refusals_name_the_gate_and_the_way_on() {
    let cases: [(&str, Via, Command, &str); 16] = [
        (
            "count",
            Via::Console,
            start("nowhere"),
            "there is no gate `nowhere` in this run",
        ),
        (
            "count",
            Via::Console,
            start("backup"),
            "gate `count` is pending; nothing later starts until it has passed",
        ),
        (
            "count",
            Via::Console,
            start("checklist"),
            "gate `checklist` is moved by people, item by item or signature by signature; \
             no work of its own starts, stops or reports",
        ),
        (
            "count",
            Via::Console,
            retry("count"),
            "gate `count` is pending; it cannot be retried",
        ),
        (
            "backup",
            Via::Console,
            Command::Start {
                gate: "backup".into(),
                plan: None,
                typed_name: None,
            },
            "gate `backup` acts; its plan must be made and shown before it starts",
        ),
        (
            "migrate",
            Via::Console,
            Command::Start {
                gate: "migrate".into(),
                plan: Some("p".into()),
                typed_name: Some("Production".into()),
            },
            "gate `migrate` acts on `production`; type that name to confirm",
        ),
        (
            "migrate",
            Via::Headless,
            start("migrate"),
            "gate `migrate`, which acts on `production`, needs a person at a console; this front end has none",
        ),
        (
            "checklist",
            Via::Console,
            confirm(7, None),
            "gate `checklist` has no item 8",
        ),
        (
            "checklist",
            Via::Console,
            confirm(1, Some("many")),
            "item 2 asks for a number, such as 12.5; `many` is none",
        ),
        (
            "count",
            Via::Console,
            waive("count", REASON),
            "gate `count` is pending; it cannot be waived",
        ),
        (
            "backup",
            Via::Console,
            waive("backup", REASON),
            "the runbook does not allow gate `backup` to be waived",
        ),
        (
            "agreed",
            Via::Console,
            sign("owner", ANA, Decision::Approve),
            "role `owner` does not sign gate `agreed`; roles: dba, security",
        ),
        (
            "agreed",
            Via::Console,
            sign("dba", SAM, Decision::Approve),
            "`sam@example.com` is not a member of role `dba`; members: ana@example.com",
        ),
        (
            "agreed",
            Via::Console,
            Command::Close,
            "gate `agreed` has not passed yet; a run closes when every gate has let it through",
        ),
        (
            "count",
            Via::Console,
            Command::Note {
                gate: None,
                text: "  ".into(),
            },
            "a reason of at least 1 characters is needed",
        ),
        (
            "backup",
            Via::Engine,
            start("backup"),
            "gate `backup` acts; it never starts by itself",
        ),
    ];
    for (gate, via, command, words) in cases {
        let mut world = World::opened().up_to(gate);
        assert_eq!(refused(&mut world, via, &command), words);
    }
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
fn items_are_confirmed_once_and_their_values_kept() {
    let mut world = World::opened();
    world.console(&confirm(0, Some("ignored")));
    assert_eq!(
        refused(&mut world, Via::Console, &confirm(0, None)),
        "item 1 of gate `checklist` is confirmed already"
    );
    for bad in [None, Some(""), Some("  "), Some("12,5"), Some("NaN")] {
        let words = refused(&mut world, Via::Console, &confirm(1, bad));
        assert!(words.starts_with("item 2 asks for a number"), "{words}");
    }
    world.console(&confirm(1, Some(" 12.50 ")));
    assert_eq!(world.state("checklist"), GateState::Passed);
    assert_eq!(world.run().captures["p95_before"], "12.50");
    assert_eq!(world.run().gate("checklist").unwrap().attempt, 1);
}

#[test]
fn people_sign_in_their_roles_and_are_distinct() {
    let mut world = World::opened().up_to("agreed");
    let head = (world.run().head.clone(), world.run().seq);
    world.console(&sign("dba", ANA, Decision::Approve));
    let statement = world.run().gate("agreed").unwrap().statements[0].clone();
    assert_eq!((statement.journal_head, statement.journal_seq), head);
    let mut again = |role: &str, person: &str| {
        refused(
            &mut world,
            Via::Console,
            &sign(role, person, Decision::Approve),
        )
    };
    assert_eq!(again("dba", ANA), "role `dba` has signed already");
    assert_eq!(
        again("security", ANA),
        "`ana@example.com` has signed already as `dba`; this gate wants distinct people"
    );
    world.console(&sign("security", SAM, Decision::Approve));
    assert_eq!(world.state("agreed"), GateState::Passed);
}

#[test]
fn one_person_in_another_spelling_is_not_two() {
    let mut definition = definition();
    definition.roles[1].members.push("Ana@Example.com".into());
    let mut world = World::opened_with(definition).up_to("agreed");
    world.console(&sign("dba", ANA, Decision::Approve));
    let second = sign("security", "Ana@Example.com", Decision::Approve);
    assert!(refused(&mut world, Via::Console, &second).contains("wants distinct people"));
}

#[test]
fn one_person_may_sign_twice_where_the_runbook_says_so() {
    let mut definition = definition();
    definition.phases[2].gates[0].nature = Nature::SignOff {
        roles: vec!["dba".into(), "security".into()],
        distinct: false,
    };
    let mut world = World::opened_with(definition).up_to("agreed");
    world.console(&sign("dba", ANA, Decision::Approve));
    world.console(&sign("security", ANA, Decision::Approve));
    assert_eq!(world.state("agreed"), GateState::Passed);
}

#[test]
fn a_rejection_ends_the_run() {
    let mut world = World::opened().up_to("agreed");
    world.console(&sign("dba", ANA, Decision::Approve));
    world.console(&sign("security", SAM, Decision::Reject));
    assert_eq!(world.state("agreed"), GateState::Failed);
    assert!(matches!(world.run().status, RunStatus::Rejected(_)));
    assert_eq!(
        refused(&mut world, Via::Console, &start("announce")),
        "the run is rejected; it takes no further commands"
    );
}

#[test]
fn what_people_said_of_something_else_is_asked_again() {
    let mut world = World::opened().up_to("announce");
    world.engine(&invalidate("checklist"));
    world.engine(&invalidate("agreed"));
    assert_eq!(
        refused(&mut world, Via::Console, &start("announce")),
        "gate `checklist` is stale; nothing later starts until it has passed"
    );
    world.console(&confirm(1, Some("13")));
    assert_eq!(world.state("checklist"), GateState::Running);
    assert_eq!(world.attempt("checklist"), 2);
    world.console(&confirm(0, None));
    assert_eq!(world.state("checklist"), GateState::Passed);
    world.pass("agreed");
    assert_eq!(world.run().gate("agreed").unwrap().statements.len(), 2);
    assert_eq!(world.replayed(), world.run);
}

#[test]
fn nobody_rejects_a_run_whose_work_is_in_flight() {
    let mut world = World::opened().up_to("announce");
    world.console(&start("announce"));
    world.engine(&invalidate("agreed"));
    let reject = sign("dba", ANA, Decision::Reject);
    assert_eq!(
        refused(&mut world, Via::Console, &reject),
        "gate `announce` is at work; one gate acts at a time"
    );
    world.engine(&finish("announce", 1, Verdict::Passed));
    world.console(&reject);
}

#[test]
fn waivers_have_reasons_and_stay_visible() {
    let mut world = World::opened().up_to("count");
    world.console(&start("count"));
    world.engine(&finish("count", 1, Verdict::Inconclusive));
    assert_eq!(
        refused(
            &mut world,
            Via::Console,
            &waive("count", "       too short       ")
        ),
        "a reason of at least 20 characters is needed"
    );
    world.console(&waive("count", REASON));
    assert_eq!(world.state("count"), GateState::Waived);
    assert_eq!(
        world
            .run()
            .gate("count")
            .unwrap()
            .waiver
            .as_ref()
            .unwrap()
            .reason,
        REASON
    );
    // The verdict that it lets the run go past is not rewritten.
    let finding = world.run().gate("count").unwrap().finding.as_ref().unwrap();
    assert_eq!(finding.verdict, Verdict::Inconclusive);
    world.console(&start("backup"));
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
