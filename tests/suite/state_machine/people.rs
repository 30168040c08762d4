//! What people do: confirm, sign, reject, waive, and what they are told when they may not.

use stagegate::expectation::Verdict;
use stagegate::promotion::{Decision, GateState, Nature, RunStatus, Via};

use super::refusals::refused;
use super::world::{
    ANA, REASON, SAM, World, confirm, decide_remedy, definition, finish, invalidate, retry, sign,
    start, waive,
};

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
        keys: false,
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
fn what_is_done_about_a_difference_is_decided_and_approved_and_passes_nothing() {
    let mut world = World::opened().up_to("count");
    world.console(&start("count"));
    let early = decide_remedy("count", ANA, REASON);
    assert_eq!(
        refused(&mut world, Via::Console, &early),
        "gate `count` is running; it cannot be decided about"
    );
    world.engine(&finish("count", 1, Verdict::Failed));
    for (command, says) in [
        (decide_remedy("count", " ", REASON), "say who approved it"),
        (
            decide_remedy("count", SAM, REASON),
            "`sam@example.com` may not approve that; members of dba may: ana@example.com",
        ),
        (
            decide_remedy("count", ANA, "because"),
            "a reason of at least 20 characters is needed",
        ),
        (
            decide_remedy("backup", ANA, REASON),
            "nothing is decided about gate `backup`: it compares no schema with its canonical one",
        ),
    ] {
        assert_eq!(refused(&mut world, Via::Console, &command), says);
    }
    let decide = decide_remedy("count", ANA, REASON);
    let nobody = refused(&mut world, Via::Headless, &decide);
    assert!(nobody.contains("needs a person at a console"), "{nobody}");
    world.console(&decide);
    assert_eq!(world.state("count"), GateState::Failed);
    world.console(&retry("count"));
    world.engine(&finish("count", 2, Verdict::Passed));
    let remedies = &world.run().gate("count").unwrap().remedies;
    assert_eq!(remedies.len(), 1);
    assert_eq!(
        (remedies[0].attempt, remedies[0].reason.as_str()),
        (1, REASON)
    );
    assert_eq!(world.replayed(), world.run);
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
