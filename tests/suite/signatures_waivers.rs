//! Waivers and break-glass by signatures: who, for what, for how long, and the mark that stays.

use stagegate::expectation::Verdict;
use stagegate::promotion::signature::{Purpose, WaiverRule};
use stagegate::promotion::{Decision, Event, GateState, RunStatus, Via};

use crate::signatures_world::{Keys, definition, hand_in, issue, waiting};
use crate::state_machine::world::{REASON, World, finish, retry, start, waive};

/// Release and business together, with a reason of that length.
fn by_two(reason: usize) -> WaiverRule {
    WaiverRule {
        roles: vec!["release".into(), "business".into()],
        signatures: 2,
        reason,
        expires_seconds: 300,
    }
}

/// A run whose first gate has failed.
fn failed(keys: &Keys, glass: bool) -> World {
    let mut definition = definition(&keys.list());
    definition.break_glass = glass.then(|| Box::new(by_two(40)));
    let mut world = World::opened_with(definition);
    world.console(&start("count"));
    world.engine(&finish("count", 1, Verdict::Failed));
    world
}

fn sign(world: &mut World, keys: &Keys, role: &str) -> Result<(), String> {
    let text = keys.envelope(&waiting(world.run(), "count", role, Decision::Approve));
    hand_in(world, &text)
}

#[track_caller]
fn refusal(world: &mut World, via: Via, purpose: Purpose, reason: &str, words: &str) {
    let refused = world.ask(via, &issue("count", purpose, reason));
    let refused = refused.unwrap_err().to_string();
    assert!(refused.contains(words), "{refused}");
}

#[test]
fn enough_signatures_waive_a_gate_and_the_mark_stays() {
    let keys = Keys::new();
    let mut world = failed(&keys, false);
    world.console(&issue("count", Purpose::Waiver, REASON));
    let statement = waiting(world.run(), "count", "dba", Decision::Approve);
    assert_eq!(statement.reason, REASON, "the reason is signed too");
    assert_eq!(statement.namespace, "dba.waiver.stagegate@example.com");
    sign(&mut world, &keys, "dba").unwrap();
    assert_eq!(
        world.state("count"),
        GateState::Failed,
        "one of two has signed"
    );
    sign(&mut world, &keys, "security").unwrap();
    assert_eq!(world.state("count"), GateState::Waived);
    let waiver = world.run().gate("count").unwrap().waiver.clone().unwrap();
    let signed = waiver.signed.clone().unwrap();
    assert_eq!(
        signed.by,
        ["ana@example.com as dba", "sam@example.com as security"]
    );
    assert!(!waiver.broke_glass());
    assert_eq!(waiver.reason, REASON);
    assert_eq!(world.run().waivers, [("count".to_owned(), waiver)]);
    world.console(&issue("accept", Purpose::Signoff, ""));
    assert_eq!(world.state("accept"), GateState::Running, "the run goes on");
    let words = world.records.iter().map(|record| record.event.words());
    let waived =
        words.filter(|words| words.starts_with("waived, signed by ana@example.com as dba, sam"));
    assert_eq!(waived.count(), 1);
    assert_eq!(world.replayed().as_ref(), Some(world.run()));
}

#[test]
fn nobody_waives_alone_where_signatures_waive() {
    let keys = Keys::new();
    let mut world = failed(&keys, false);
    let typed = world
        .ask(Via::Console, &waive("count", REASON))
        .unwrap_err()
        .to_string();
    assert!(typed.contains("is waived by signatures"), "{typed}");
    refusal(
        &mut world,
        Via::Console,
        Purpose::Waiver,
        "too short",
        "at least 20 characters",
    );
    refusal(
        &mut world,
        Via::Headless,
        Purpose::Waiver,
        REASON,
        "needs a person",
    );
    refusal(
        &mut world,
        Via::Console,
        Purpose::BreakGlass,
        REASON,
        "no [break_glass]",
    );
    let refused = world.ask(Via::Console, &issue("act", Purpose::Waiver, REASON));
    assert!(
        refused.is_err(),
        "it stands behind a gate that has not passed"
    );
    let mut world = World::opened_with(definition(&keys.list()));
    refusal(
        &mut world,
        Via::Console,
        Purpose::Waiver,
        REASON,
        "is pending; it cannot be waived",
    );
}

#[test]
fn a_gate_that_is_not_waivable_is_not_waived_by_anybody() {
    let keys = Keys::new();
    let mut definition = definition(&keys.list());
    definition.phases[0].gates[0].waivable = false;
    definition.phases[0].gates[0].waiver = None;
    definition.break_glass = Some(Box::new(by_two(20)));
    let mut world = World::opened_with(definition);
    world.console(&start("count"));
    world.engine(&finish("count", 1, Verdict::Failed));
    for purpose in [Purpose::Waiver, Purpose::BreakGlass] {
        refusal(
            &mut world,
            Via::Console,
            purpose,
            REASON,
            "does not allow gate `count` to be waived",
        );
    }
    refusal(
        &mut world,
        Via::Console,
        Purpose::Signoff,
        "",
        "not signed with keys",
    );
}

#[test]
fn a_waiver_is_for_what_was_found_and_for_its_time() {
    let keys = Keys::new();
    let mut world = failed(&keys, false);
    world.console(&issue("count", Purpose::Waiver, REASON));
    sign(&mut world, &keys, "dba").unwrap();
    // It is tried again: what was agreed to was another attempt.
    let late = keys.envelope(&waiting(
        world.run(),
        "count",
        "security",
        Decision::Approve,
    ));
    world.console(&retry("count"));
    world.engine(&finish("count", 2, Verdict::Failed));
    let reason = hand_in(&mut world, &late).unwrap_err();
    assert!(
        reason.contains("it is stale: the gate was taken again"),
        "{reason}"
    );
    assert_eq!(world.state("count"), GateState::Failed);

    world.console(&issue("count", Purpose::Waiver, REASON));
    let late = keys.envelope(&waiting(
        world.run(),
        "count",
        "security",
        Decision::Approve,
    ));
    sign(&mut world, &keys, "dba").unwrap();
    world.now = "2025-11-22T01:10:00Z".parse().unwrap();
    assert!(
        hand_in(&mut world, &late)
            .unwrap_err()
            .contains("it expired at")
    );

    // Waived in time, and nothing is started before it expires.
    world.console(&issue("count", Purpose::Waiver, REASON));
    sign(&mut world, &keys, "dba").unwrap();
    sign(&mut world, &keys, "security").unwrap();
    assert_eq!(world.state("count"), GateState::Waived);
    world.now = "2025-11-22T01:20:00Z".parse().unwrap();
    world.engine(&stagegate::promotion::Command::CheckSignatures {
        targets: Vec::new(),
    });
    assert_eq!(world.state("count"), GateState::Stale);
    assert!(
        world
            .run()
            .gate("count")
            .unwrap()
            .stale_because
            .as_ref()
            .unwrap()
            .contains("expired")
    );
    assert_eq!(world.run().waivers.len(), 1, "the mark stays");
    assert_eq!(world.replayed().as_ref(), Some(world.run()));
}

#[test]
fn one_rejection_ends_the_request_and_not_the_run() {
    let keys = Keys::new();
    let mut world = failed(&keys, false);
    world.console(&issue("count", Purpose::Waiver, REASON));
    let mut no = waiting(world.run(), "count", "security", Decision::Reject);
    no.note = "mend it".into();
    hand_in(&mut world, &keys.envelope(&no)).unwrap();
    assert_eq!(world.run().status, RunStatus::Open);
    assert_eq!(world.state("count"), GateState::Failed);
    let gate = world.run().gate("count").unwrap();
    assert!(gate.signed.issued.is_none());
    assert!(
        gate.signed.voided[0]
            .reason
            .contains("REJECTED by sam@example.com as security: mend it")
    );
    assert!(matches!(
        world.records.last().unwrap().event,
        Event::SignaturesVoided(_)
    ));
    world.console(&issue("count", Purpose::Waiver, REASON));
}

#[test]
fn the_glass_is_broken_by_two_and_leaves_a_red_mark() {
    let keys = Keys::new();
    let long = "both of dba and security are out of reach since 02:10, ticket OPS-4711";
    let mut world = failed(&keys, true);
    refusal(
        &mut world,
        Via::Console,
        Purpose::BreakGlass,
        REASON,
        "at least 40 characters",
    );
    world.console(&issue("count", Purpose::BreakGlass, long));
    let waiver = keys.envelope(&{
        let mut statement = waiting(world.run(), "count", "release", Decision::Approve);
        statement.purpose = Purpose::Waiver;
        statement.namespace = "release.waiver.stagegate@example.com".into();
        statement
    });
    let reason = hand_in(&mut world, &waiver).unwrap_err();
    assert!(
        reason.contains("no statement of a waiver waits"),
        "{reason}"
    );
    sign(&mut world, &keys, "release").unwrap();
    assert_eq!(
        world.state("count"),
        GateState::Failed,
        "one person alone breaks no glass"
    );
    sign(&mut world, &keys, "business").unwrap();
    assert_eq!(world.state("count"), GateState::Waived);
    assert!(world.run().waivers[0].1.broke_glass());
    let last = world.records.last().unwrap().event.words();
    assert!(
        last.starts_with("waived by BREAK-GLASS, signed by lee@example.com as release, kim"),
        "{last}"
    );
}

#[test]
fn a_crash_before_the_waiver_is_recorded_is_made_good() {
    let keys = Keys::new();
    let mut world = failed(&keys, false);
    world.console(&issue("count", Purpose::Waiver, REASON));
    sign(&mut world, &keys, "dba").unwrap();
    sign(&mut world, &keys, "security").unwrap();
    world.records.pop();
    world.run = stagegate::promotion::Run::fold(&world.records);
    assert_eq!(world.state("count"), GateState::Failed);
    let version = "0.1.0".to_owned();
    world.console(&stagegate::promotion::Command::Continue { version });
    assert_eq!(world.state("count"), GateState::Waived);
}
