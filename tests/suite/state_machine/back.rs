//! Ways back: when they open and close, who may start one, and that nothing goes forward after.

use stagegate::expectation::Verdict;
use stagegate::promotion::{
    Command, Decision, Definition, GateDefinition, GateState, MessageDefinition, Nature, Refusal,
    RollbackDefinition, RunStatus, Scope, Via, WindowDefinition,
};

use super::world::{SAM, World, definition, finish, retry, sign, start};

fn with_ways_back() -> Definition {
    let gate = |id: &str, nature: Nature| GateDefinition {
        id: id.into(),
        title: id.into(),
        kind: "exec".into(),
        nature,
        waivable: false,
        waiver: None,
        typed_name: None,
        lasts_seconds: 0,
        approvers: None,
        migrates: false,
        pastes: false,
        recovery: Vec::new(),
    };
    let way = |id: &str, scope, until: Option<&str>, chooses, gates| RollbackDefinition {
        id: id.into(),
        title: id.into(),
        scope,
        valid_from: Some("migrate".into()),
        valid_until: until.map(str::to_owned),
        expected_seconds: 300,
        typed_name: "production".into(),
        chooses,
        gates,
    };
    Definition {
        rollbacks: vec![
            way(
                "at-once",
                Scope::Immediate,
                Some("announce"),
                false,
                vec![
                    gate("stop", Nature::Acts),
                    gate("tell", Nature::Message("back".into())),
                ],
            ),
            way(
                "in-part",
                Scope::Partial,
                None,
                true,
                vec![gate("down", Nature::Acts)],
            ),
        ],
        messages: vec![MessageDefinition {
            id: "back".into(),
            next_update_seconds: Some(900),
        }],
        window: Some(WindowDefinition {
            lasts_seconds: Some(3600),
            rollback_margin_seconds: 600,
            rollback_seconds: 300,
            ..WindowDefinition::default()
        }),
        ..definition()
    }
}

fn back(rollback: &str, choices: &[&str]) -> Command {
    Command::RollBack {
        rollback: rollback.into(),
        reason: "errors".into(),
        typed_name: Some("production".into()),
        choices: choices.iter().map(|c| (*c).to_owned()).collect(),
    }
}

fn tell(gate: Option<&str>) -> Command {
    Command::SayMessage {
        message: "back".into(),
        gate: gate.map(str::to_owned),
        how: "copied".into(),
        text: "t".repeat(64),
    }
}

fn world(gate: &str) -> World {
    World::opened_with(with_ways_back()).up_to(gate)
}

#[test]
fn a_way_is_open_from_the_start_of_one_gate_until_another_has_passed() {
    let mut early = world("migrate");
    assert!(matches!(
        early.ask(Via::Console, &back("at-once", &[])),
        Err(Refusal::WayBackClosed { .. })
    ));
    assert_eq!(early.run().ways_back().count(), 0);
    early.console(&start("migrate"));
    assert!(matches!(
        early.ask(Via::Console, &back("at-once", &[])),
        Err(Refusal::Busy(_))
    ));
    early.engine(&finish("migrate", 1, Verdict::Failed));
    assert_eq!(early.run().ways_back().count(), 2);
    let mut late = world("");
    assert!(late.ask(Via::Console, &back("at-once", &[])).is_err());
    assert!(late.ask(Via::Console, &back("in-part", &["a.sql"])).is_ok());
}

#[test]
fn only_a_person_who_types_the_name_and_says_why_goes_back() {
    for via in [Via::Headless, Via::Engine] {
        assert!(world("answer").ask(via, &back("at-once", &[])).is_err());
    }
    let refused = |command: Command| world("answer").ask(Via::Console, &command).unwrap_err();
    let Command::RollBack {
        rollback,
        reason,
        choices,
        ..
    } = back("at-once", &[])
    else {
        panic!();
    };
    let unnamed = Command::RollBack {
        rollback: rollback.clone(),
        reason,
        typed_name: Some("Production".into()),
        choices: choices.clone(),
    };
    assert!(matches!(
        refused(unnamed),
        Refusal::RollbackNameNotTyped { .. }
    ));
    let unsaid = Command::RollBack {
        rollback,
        reason: " ".into(),
        typed_name: Some("production".into()),
        choices,
    };
    assert!(matches!(refused(unsaid), Refusal::ReasonTooShort(_)));
    assert!(matches!(
        refused(back("in-part", &[])),
        Refusal::NothingChosen(_)
    ));
    assert!(matches!(
        refused(back("nowhere", &[])),
        Refusal::UnknownRollback { .. }
    ));
}

#[test]
fn after_it_began_nothing_goes_forward_and_it_ends_rolled_back() {
    let mut world = world("answer");
    world.console(&back("at-once", &[]));
    assert_eq!(world.run().current().unwrap().id, "stop");
    assert_eq!(world.run().progress(), (0, 2));
    for command in [
        start("answer"),
        start("announce"),
        sign("dba", SAM, Decision::Approve),
    ] {
        assert!(matches!(
            world.ask(Via::Console, &command),
            Err(Refusal::GoingBack { .. })
        ));
    }
    assert!(world.ask(Via::Console, &back("at-once", &[])).is_err());
    assert!(world.ask(Via::Console, &tell(Some("tell"))).is_err());
    world.console(&start("stop"));
    world.engine(&finish("stop", 1, Verdict::Failed));
    assert!(world.ask(Via::Console, &Command::Close).is_err());
    world.console(&retry("stop"));
    world.engine(&finish("stop", 2, Verdict::Passed));
    world.console(&tell(Some("tell")));
    assert_eq!(world.state("tell"), GateState::Passed);
    world.console(&Command::Close);
    assert_eq!(world.run().status, RunStatus::RolledBack("at-once".into()));
    assert!(world.run().status.is_terminal());
    assert_eq!(world.replayed().as_ref(), world.run.as_ref());
}

#[test]
fn another_way_may_follow_one_that_does_not_work() {
    let mut world = world("answer");
    world.console(&back("in-part", &["a.sql"]));
    world.console(&start("down"));
    world.engine(&finish("down", 1, Verdict::Failed));
    world.console(&back("at-once", &[]));
    assert_eq!(world.run().current().unwrap().id, "stop");
    assert!(matches!(
        world.ask(Via::Console, &retry("down")),
        Err(Refusal::GoingBack { .. })
    ));
    assert_eq!(world.replayed().as_ref(), world.run.as_ref());
}

#[test]
fn a_rejected_run_and_a_held_one_may_go_back() {
    let mut world = world("agreed");
    world.console(&sign("dba", super::world::ANA, Decision::Reject));
    assert!(world.run().status.is_terminal());
    world.console(&back("at-once", &[]));
    assert_eq!(world.run().status, RunStatus::Open);
    let mut held = self::world("agreed");
    held.console(&Command::Hold {
        reason: "load".into(),
    });
    held.console(&back("at-once", &[]));
    assert_eq!(held.run().status, RunStatus::Open);
}

#[test]
fn a_rejected_run_is_taken_up_again_only_where_it_may_go_back() {
    let take_up = Command::Continue {
        version: "0.1.0".into(),
    };
    let mut world = world("agreed");
    world.console(&sign("dba", super::world::ANA, Decision::Reject));
    world.console(&take_up);
    assert!(matches!(world.run().status, RunStatus::Rejected(_)));
    assert!(matches!(
        world.ask(Via::Console, &start("announce")),
        Err(Refusal::Ended(_))
    ));
    world.console(&back("at-once", &[]));
    assert_eq!(world.run().status, RunStatus::Open);
    assert_eq!(world.replayed(), world.run);
    let mut nothing = World::opened().up_to("agreed");
    nothing.console(&sign("dba", super::world::ANA, Decision::Reject));
    assert!(matches!(
        nothing.ask(Via::Console, &take_up),
        Err(Refusal::Ended(_))
    ));
}

#[test]
fn past_the_last_safe_moment_only_going_back_is_granted() {
    let mut world = world("migrate");
    world.console(&start("migrate"));
    world.engine(&finish("migrate", 1, Verdict::Failed));
    world.now = "2025-11-22T01:45:01Z".parse().unwrap();
    let refused = world.ask(Via::Console, &retry("migrate")).unwrap_err();
    assert!(
        refused.to_string().contains("last safe moment"),
        "{refused}"
    );
    world.console(&back("at-once", &[]));
    world.console(&start("stop"));
}

#[test]
fn a_message_promises_the_next_one() {
    let mut world = world("answer");
    world.console(&tell(None));
    let due = world.run().reminder.clone().unwrap().due;
    assert_eq!(due, "2025-11-22T01:15:00Z".parse().unwrap());
    assert!(world.ask(Via::Headless, &tell(None)).is_err());
    assert!(world.ask(Via::Console, &tell(Some("answer"))).is_err());
}
