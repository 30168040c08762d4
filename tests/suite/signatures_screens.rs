//! Screens of signatures by key: who is waited for, what was signed, what is void, what was refused.

use insta::assert_snapshot;
use jiff::SignedDuration;
use stagegate::console::model::Model;
use stagegate::console::msg::{Effect, Msg};
use stagegate::console::signing::{SigningEffect, SigningNews};
use stagegate::console::update::update;
use stagegate::expectation::Finding;
use stagegate::promotion::signature::{
    InputRejected, Purpose, SignatureAccepted, SignatureRules, SignaturesVoided, StatementsIssued,
    TargetSeen, WaiverSigned, evidence_digest, plan_digest,
};
use stagegate::promotion::{Decision, Event};

use super::console_world::{World, keys, listen, publish, screen, text};
use super::signatures_world::{DOMAIN, rules};

const BOOK: &str = r#"
format = 1
title  = "Release of the shop"

[target.production]
url         = "env:PROD_DATABASE_URL"
environment = "production"

[signatures]
allowed_signers = "keys/allowed_signers"
domain          = "stagegate@example.com"

[break_glass]
roles      = ["business", "security"]
signatures = 2
reason     = 40

[[role]]
name    = "dba"
title   = "Database Admin"
members = ["ana@example.com"]

[[role]]
name    = "release"
title   = "Release Manager"
members = ["lee@example.com"]

[[role]]
name    = "security"
title   = "Security"
members = ["sam@example.com", "uma@example.com"]

[[role]]
name    = "business"
title   = "Business Owner"
members = ["kim@example.com"]

[[phase]]
id    = "accept"
title = "Acceptance"

[[phase.gate]]
id       = "orphans"
title    = "No order without a customer"
waivable = { roles = ["dba", "security"], signatures = 2, reason = 30, expires = "2h" }
[phase.gate.query]
target = "production"
sql    = "SELECT count(*) FROM shop.orders WHERE customer_id IS NULL"
expect = { value = "= 0" }

[[phase.gate]]
id    = "agreed"
title = "Four parties accept"
[phase.gate.signoff]
roles = ["dba", "release", "security", "business"]

[[phase.gate]]
id    = "migrations"
title = "The migrations"
[phase.gate.migrate]
target = "production"
files  = ["db/*.sql"]
"#;

fn lists() -> SignatureRules {
    rules("# the keys of four people\n")
}

fn world() -> World {
    World::with_signatures(BOOK, Some(lists()))
}

fn issue(world: &mut World, gate: &str, purpose: Purpose, reason: &str) {
    let run = &world.snapshot.run;
    let standing = run.standing(gate, purpose != Purpose::Signoff);
    let event = StatementsIssued {
        gate: gate.into(),
        attempt: run.gate(gate).unwrap().attempt,
        purpose,
        seed: "5".repeat(32),
        expires: world.now + SignedDuration::from_hours(2),
        evidence: evidence_digest(&standing),
        plan: plan_digest(&standing),
        targets: vec![TargetSeen {
            database: "shop".into(),
            name: "production".into(),
            system_identifier: "7301442915563021845".into(),
        }],
        reason: reason.into(),
    };
    world.record(Event::StatementsIssued(event));
}

fn sign(world: &mut World, gate: &str, signer: &str, decision: Decision, note: &str) {
    let mut statements = world.snapshot.run.statements_of(gate);
    statements.retain(|of| of.signer == signer && of.decision == decision);
    let mut statement = statements.remove(0);
    statement.note = note.into();
    let event = SignatureAccepted {
        gate: gate.into(),
        attempt: statement.attempt,
        statement: String::from_utf8(statement.canonical()).unwrap(),
        signature: String::new(),
        fingerprint: format!("SHA256:{}", "k".repeat(43)),
        received: world.snapshot.run.updated + SignedDuration::from_secs(7),
        from: "handed in at the console of ana".into(),
    };
    world.record(Event::SignatureAccepted(event));
}

fn refuse(world: &mut World, gate: &str, reason: &str) {
    let event = InputRejected {
        gate: Some(gate.into()),
        reason: reason.into(),
        sha256: "0".repeat(64),
        from: "from the file kim.sig in the run's folder".into(),
    };
    world.record(Event::InputRejected(event));
}

fn asked() -> World {
    let mut world = world().passed(1);
    world.start("agreed");
    issue(&mut world, "agreed", Purpose::Signoff, "");
    let note = "lock waits were below 40 ms";
    sign(
        &mut world,
        "agreed",
        "ana@example.com",
        Decision::Approve,
        note,
    );
    sign(
        &mut world,
        "agreed",
        "uma@example.com",
        Decision::Approve,
        "",
    );
    let why = "it was made in the namespace `business.waiver.stagegate@example.com`; \
               `business.signoff.stagegate@example.com` is wanted";
    refuse(&mut world, "agreed", why);
    world
}

fn both(name: &str, world: &World, prepare: impl Fn(&mut Model)) {
    for (size, suffix) in [((80, 24), "80x24"), ((120, 40), "120x40")] {
        let mut model = world.model(size);
        prepare(&mut model);
        model.settle();
        assert_snapshot!(format!("{name}_{suffix}"), screen(&model).backend());
    }
}

#[test]
fn a_sign_off_by_keys_shows_each_role() {
    both("keys_asked", &asked(), |_| {});
}

#[test]
fn the_sheet_says_how_it_is_signed_and_takes_what_comes_back() {
    let signature = "-----BEGIN SSH SIGNATURE-----\nU1NIU0lH\n-----END SSH SIGNATURE-----\n";
    both("keys_sheet", &asked(), |model| {
        assert!(keys(model, "s").is_empty());
        update(model, Msg::Paste(signature.into()));
    });
}

#[test]
fn what_is_pasted_is_handed_in_by_enter_and_the_answer_is_shown() {
    let mut model = asked().model((120, 40));
    update(&mut model, Msg::Paste("nothing like it".into()));
    model.settle();
    assert!(text(&model).contains("not taken: it holds no signature"));
    let signature = "-----BEGIN SSH SIGNATURE-----\r\nU1NI\r\n-----END SSH SIGNATURE-----\r\n";
    update(&mut model, Msg::Paste(signature.into()));
    let effects = keys(&mut model, "<enter>");
    assert_eq!(
        effects,
        [Effect::Signing(SigningEffect::HandIn(signature.into()))]
    );
    assert!(keys(&mut model, "<enter>y").is_empty(), "it is on its way");
    let why = stagegate::engine::CommandError::Signature("its key is revoked".into());
    update(
        &mut model,
        Msg::Signing(Box::new(SigningNews::HandedIn(Err(why)))),
    );
    model.settle();
    assert!(text(&model).contains("refused: its key is revoked"));
    let effects = keys(&mut model, "<down>y");
    let [Effect::Copy(command)] = effects.as_slice() else {
        panic!("{effects:?}");
    };
    assert!(
        command.starts_with("stagegate sign /home/ana/"),
        "{command}"
    );
    assert!(
        command.ends_with("statements/agreed.business.kim@example.com.approve.json"),
        "{command}"
    );
}

#[test]
fn what_is_void_and_why_is_seen() {
    let mut world = asked();
    world.record(Event::SignaturesVoided(SignaturesVoided {
        gate: "agreed".into(),
        attempt: 1,
        reason: "`orphans` was passed at attempt 1, and is passed at attempt 2 now".into(),
    }));
    issue(&mut world, "agreed", Purpose::Signoff, "");
    both("keys_void", &world, |_| {});
}

#[test]
fn enter_asks_for_statements_where_keys_sign() {
    let world = world().passed(1);
    let mut model = world.model((120, 40));
    assert!(
        text(&model).contains("Enter ask for signatures"),
        "{}",
        text(&model)
    );
    let effects = keys(&mut model, "<enter>");
    let issue = SigningEffect::Issue {
        gate: "agreed".into(),
        purpose: Purpose::Signoff,
        reason: String::new(),
    };
    assert_eq!(effects, [Effect::Signing(issue)]);
    let shown = text(&model);
    assert!(
        shown.contains("may be signed by sam@example.com, uma"),
        "{shown}"
    );
}

fn failed() -> World {
    let mut world = world();
    world
        .start("orphans")
        .finish("orphans", Finding::failed("3 orders have no customer"));
    world
}

#[test]
fn a_waiver_by_keys_is_asked_for_with_its_reason() {
    let reason = "the three orders are test orders, ticket OPS-4711";
    both("keys_waive", &failed(), |model| {
        keys(model, "w");
        listen(model);
        keys(model, reason);
    });
    let mut model = failed().model((80, 24));
    keys(&mut model, "w");
    let effects = keys(&mut model, &format!("{reason}<enter>"));
    let issue = SigningEffect::Issue {
        gate: "orphans".into(),
        purpose: Purpose::Waiver,
        reason: reason.into(),
    };
    assert_eq!(effects, [Effect::Signing(issue)]);
    let mut world = failed();
    self::issue(&mut world, "orphans", Purpose::Waiver, reason);
    sign(
        &mut world,
        "orphans",
        "ana@example.com",
        Decision::Approve,
        "",
    );
    both("keys_waiver_asked", &world, |_| {});
    publish(&mut model, &world);
}

fn waived(purpose: Purpose) -> World {
    let mut world = failed();
    let reason = "dba and security are out of reach since 02:10, ticket OPS-4711";
    issue(&mut world, "orphans", purpose, reason);
    let expires = world.now + SignedDuration::from_hours(2);
    world.record(Event::GateWaived {
        gate: "orphans".into(),
        reason: reason.into(),
        signed: Some(WaiverSigned {
            by: vec![
                "kim@example.com as business".into(),
                "sam@example.com as security".into(),
            ],
            purpose,
            expires,
        }),
    });
    world
}

#[test]
fn what_was_waived_stands_on_every_screen() {
    both("keys_waived", &waived(Purpose::Waiver), |_| {});
    both("keys_glass", &waived(Purpose::BreakGlass), |model| {
        keys(model, "k");
    });
    let mut held = waived(Purpose::BreakGlass);
    held.record(Event::RunHeld {
        reason: "lunch".into(),
    });
    for world in [waived(Purpose::BreakGlass), held] {
        let mut model = world.model((120, 40));
        for key in ["1", "2", "3", "4", "5", "6"] {
            keys(&mut model, key);
            assert!(
                text(&model).contains("GLASS BROKEN"),
                "{key}: {}",
                text(&model)
            );
        }
    }
}

#[test]
fn breaking_the_glass_says_what_it_does() {
    both("keys_break_glass", &failed(), |model| {
        keys(model, "W");
    });
    assert_eq!(lists().domain, DOMAIN);
}
