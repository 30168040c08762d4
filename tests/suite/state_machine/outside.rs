//! Plans that people give, what a refused one begins, and gates that a flag leaves out.

use stagegate::expectation::Verdict;
use stagegate::promotion::{Command, Event, FlagSays, GateState, Refusal, Run, Via};

use super::world::{
    World, confirm, definition, finish, flag_says, lose, resolve, retry, see_flag, start,
};

/// The usual gates, of which `answer` judges a plan.
fn judging() -> World {
    let mut definition = definition();
    for phase in &mut definition.phases {
        for gate in &mut phase.gates {
            gate.pastes = gate.id == "answer";
        }
    }
    World::opened_with(definition).up_to("answer")
}

fn paste(sha256: &str) -> Command {
    Command::PastePlan {
        gate: "answer".into(),
        sha256: sha256.into(),
        bytes: 12,
    }
}

fn refused(world: &mut World, via: Via, command: &Command) -> Refusal {
    world.ask(via, command).unwrap_err()
}

#[test]
fn a_plan_is_judged_only_when_one_was_given() {
    let mut world = judging();
    let nothing = refused(&mut world, Via::Console, &start("answer"));
    assert_eq!(nothing, Refusal::NothingPasted("answer".into()));
    world.ask(Via::Engine, &paste("a")).unwrap_err();
    let elsewhere = Command::PastePlan {
        gate: "count".into(),
        sha256: "a".into(),
        bytes: 1,
    };
    let none = refused(&mut world, Via::Console, &elsewhere);
    assert_eq!(none, Refusal::NoPaste("count".into()));
    world.ask(Via::Headless, &paste("a")).unwrap();
    world.console(&start("answer"));
    refused(&mut world, Via::Console, &paste("b"));
    world.engine(&finish("answer", 1, Verdict::Passed));
    // Another one makes the pass count no longer.
    world.console(&paste("b"));
    assert_eq!(world.state("answer"), GateState::Stale);
    assert_eq!(
        world
            .run()
            .gate("answer")
            .unwrap()
            .pasted
            .as_ref()
            .unwrap()
            .sha256,
        "b"
    );
    world.console(&start("answer"));
    assert_eq!(world.replayed().as_ref(), world.run.as_ref());
}

#[test]
fn a_refused_plan_stays_refused_and_its_recovery_comes_first() {
    let mut world = judging();
    world.console(&paste("a"));
    world.console(&start("answer"));
    world.engine(&finish("answer", 1, Verdict::Failed));
    for gate in ["checklist", "backup"] {
        assert_eq!(world.state(gate), GateState::Stale, "{gate}");
    }
    assert_eq!(world.state("count"), GateState::Passed);
    let checklist = world.run().gate("checklist").unwrap();
    assert!(checklist.items.iter().all(Option::is_none));
    // In order, and nothing else before them: neither the gate nor another plan for it.
    let blocked = |refusal: Refusal| matches!(refusal, Refusal::Blocked { .. });
    assert!(blocked(refused(&mut world, Via::Console, &retry("answer"))));
    assert!(blocked(refused(&mut world, Via::Console, &paste("b"))));
    assert!(blocked(refused(&mut world, Via::Console, &start("backup"))));
    world.console(&confirm(0, None));
    world.console(&confirm(1, Some("1")));
    world.pass("backup");
    let still = refused(&mut world, Via::Console, &retry("answer"));
    assert_eq!(still, Refusal::PasteRefused("answer".into()));
    world.console(&paste("b"));
    world.console(&retry("answer"));
    world.engine(&finish("answer", 2, Verdict::Failed));
    assert_eq!(world.state("backup"), GateState::Stale);
    assert_eq!(world.replayed().as_ref(), world.run.as_ref());
}

#[test]
fn only_a_failure_begins_the_recovery() {
    for verdict in [Verdict::Errored, Verdict::Inconclusive, Verdict::Passed] {
        let mut world = judging();
        world.console(&paste("a"));
        world.console(&start("answer"));
        world.engine(&finish("answer", 1, verdict));
        assert_eq!(world.state("backup"), GateState::Passed, "{verdict:?}");
    }
}

/// A crash may leave the failure in the journal without what it begins.
#[test]
fn a_recovery_that_was_not_recorded_is_recorded_by_whoever_goes_on() {
    let mut world = judging();
    world.console(&paste("a"));
    world.console(&start("answer"));
    world.engine(&finish("answer", 1, Verdict::Failed));
    let last = world.records.pop().unwrap();
    assert!(matches!(last.event, Event::RecoveryBegun { .. }));
    world.run = Run::fold(&world.records);
    assert_eq!(world.state("backup"), GateState::Passed);
    let go_on = Command::Continue {
        version: "0.1.0".into(),
    };
    world.ask(Via::Headless, &go_on).unwrap();
    assert_eq!(world.state("backup"), GateState::Stale);
    world.ask(Via::Headless, &go_on).unwrap();
    let begun = |event: &Event| matches!(event, Event::RecoveryBegun { .. });
    let times = world.records.iter().filter(|r| begun(&r.event)).count();
    assert_eq!(times, 1);
}

fn disabled() -> World {
    let mut world = World::opened().up_to("migrate");
    world.engine(&see_flag(&flag_says(1)));
    world
}

#[test]
fn a_flag_leaves_a_gate_out_and_opens_it_again() {
    let mut world = disabled();
    world
        .ask(Via::Console, &see_flag(&FlagSays::Enabled))
        .unwrap_err();
    world.ask(Via::Engine, &start("migrate")).unwrap_err();
    // Nothing acts, so that neither a plan nor a name is asked for.
    let bare = Command::Start {
        gate: "migrate".into(),
        plan: None,
        typed_name: None,
    };
    world.ask(Via::Headless, &bare).unwrap();
    assert_eq!(world.state("migrate"), GateState::NotApplicable);
    assert_eq!(world.attempt("migrate"), 0);
    world.pass("answer");
    world.pass("agreed");
    world.engine(&see_flag(&flag_says(1)));
    assert_eq!(world.state("migrate"), GateState::NotApplicable);
    // What was looked at and signed without the migration is open again with it.
    world.engine(&see_flag(&FlagSays::Enabled));
    for gate in ["migrate", "answer", "agreed"] {
        assert_eq!(world.state(gate), GateState::Stale, "{gate}");
    }
    assert_eq!(world.state("count"), GateState::Passed);
    assert_eq!(world.run().reopened().count(), 1);
    assert!(world.ask(Via::Console, &start("announce")).is_err());
    world.console(&start("migrate"));
    assert_eq!(world.attempt("migrate"), 1);
    assert_eq!(world.replayed().as_ref(), world.run.as_ref());
}

#[test]
fn what_has_begun_and_did_not_pass_is_not_left_out() {
    for (verdict, left_out) in [
        (Verdict::Failed, false),
        (Verdict::Inconclusive, false),
        (Verdict::Errored, true),
    ] {
        let mut world = World::opened().up_to("migrate");
        world.console(&start("migrate"));
        // Set while it works: nothing that runs is interrupted.
        world.engine(&see_flag(&flag_says(1)));
        assert_eq!(world.state("migrate"), GateState::Running);
        world.engine(&finish("migrate", 1, verdict));
        let asked = world.ask(Via::Console, &retry("migrate"));
        assert_eq!(asked.is_ok(), left_out, "{verdict:?}: {asked:?}");
    }
}

#[test]
fn an_unclear_flag_changes_nothing_until_it_is_clear() {
    let mut world = disabled();
    world.console(&start("migrate"));
    world.engine(&see_flag(&flag_says(2)));
    assert_eq!(world.state("migrate"), GateState::NotApplicable);
    world.engine(&see_flag(&flag_says(0)));
    assert_eq!(world.state("migrate"), GateState::Stale);
    // The gate itself says that it is unclear: it errs, and nothing was done.
    world.engine(&see_flag(&flag_says(2)));
    world.console(&start("migrate"));
    world.engine(&lose("migrate", 1));
    world.engine(&resolve(
        "migrate",
        1,
        stagegate::promotion::Resolution::Pending,
    ));
    assert_eq!(world.state("migrate"), GateState::Pending);
}
