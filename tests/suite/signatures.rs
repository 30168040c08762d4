//! Every rule by which a signature counts or does not, with keys of the stock `ssh-keygen`; where a
//! rule is about the signature alone, that program must agree.

use stagegate::expectation::Verdict;
use stagegate::promotion::signature::{
    Purpose, SignatureRules, TargetSeen, audit, envelope, verify,
};
use stagegate::promotion::{Command, Decision, Event, GateState, RunStatus, Via};

use crate::signatures_world::{
    DOMAIN, Keys, PARTIES, definition, hand_in, issue, namespace, pinned, rules, sign_with,
    signature_of, stock_verifies, waiting,
};
use crate::state_machine::world::{World, finish, invalidate, retry, start};

/// A run that waits at its sign-off.
fn at_signoff(keys: &Keys) -> World {
    with_rules(rules(&keys.list()))
}

fn with_rules(rules: SignatureRules) -> World {
    let mut definition = definition("");
    definition.signatures = Some(Box::new(rules));
    let mut world = World::opened_with(definition);
    world.console(&start("count"));
    world.engine(&finish("count", 1, Verdict::Passed));
    world.console(&issue("accept", Purpose::Signoff, ""));
    world
}

fn approve(world: &World, keys: &Keys, role: &str) -> String {
    keys.envelope(&waiting(world.run(), "accept", role, Decision::Approve))
}

#[track_caller]
fn refused(world: &mut World, text: &str, words: &str) {
    let before = world
        .run()
        .gate("accept")
        .unwrap()
        .signed
        .signatures
        .clone();
    let reason = hand_in(world, text).unwrap_err();
    assert!(reason.contains(words), "no `{words}` in: {reason}");
    assert_eq!(
        world.run().gate("accept").unwrap().signed.signatures,
        before
    );
    let last = world.records.last().unwrap();
    let Event::InputRejected(input) = &last.event else {
        panic!("{last:?}");
    };
    assert_eq!(input.sha256, stagegate::digest::digest(text.as_bytes()));
    assert_eq!(input.from, "pasted");
}

#[test]
fn four_parties_sign_with_four_keys_and_the_gate_passes() {
    let keys = Keys::new();
    let mut world = at_signoff(&keys);
    assert_eq!(world.state("accept"), GateState::Running);
    for (role, person) in PARTIES {
        assert_eq!(world.state("accept"), GateState::Running);
        let text = approve(&world, &keys, role);
        hand_in(&mut world, &text).unwrap();
        let gate = world.run().gate("accept").unwrap();
        let signed = gate.signed.of_role(role).unwrap();
        assert_eq!(signed.statement.signer, person);
        assert!(signed.fingerprint.starts_with("SHA256:"));
    }
    assert_eq!(world.state("accept"), GateState::Passed);
    assert_eq!(
        world.replayed().as_ref(),
        Some(world.run()),
        "replay is the live path"
    );
    let audited = audit(&world.records).unwrap();
    assert_eq!(
        audited.len(),
        4,
        "the journal is verified with nothing else"
    );
    // Whoever changes what was signed, and makes the chain of hashes anew, is found out.
    let mut forged = world.records.clone();
    let at = forged
        .iter()
        .position(|record| matches!(record.event, Event::SignatureAccepted(_)))
        .unwrap();
    let mut record = (*forged[at]).clone();
    if let Event::SignatureAccepted(accepted) = &mut record.event {
        accepted.statement = accepted
            .statement
            .replace("\"note\":\"\"", "\"note\":\"fine\"");
    }
    forged[at] = std::sync::Arc::new(record);
    let (seq, why) = audit(&forged).unwrap_err();
    assert_eq!(seq, at as u64 + 1);
    assert!(why.contains("does not fit these bytes"), "{why}");
    world.console(&start("act"));
    assert_eq!(world.state("act"), GateState::Running);
}

#[test]
fn what_the_journal_keeps_verifies_with_the_stock_program() {
    let keys = Keys::new();
    let mut world = at_signoff(&keys);
    let text = approve(&world, &keys, "dba");
    hand_in(&mut world, &text).unwrap();
    let Event::SignatureAccepted(accepted) = &world.records.last().unwrap().event else {
        panic!("nothing was accepted");
    };
    let rules = world.run().definition.signatures.clone().unwrap();
    let statement = waiting(world.run(), "accept", "dba", Decision::Approve);
    assert_eq!(accepted.statement.as_bytes(), statement.canonical());
    let folder = keys.folder.path();
    assert!(stock_verifies(
        folder,
        &rules,
        &statement,
        &accepted.signature,
        world.now
    ));
}

#[test]
fn a_signature_may_come_alone_and_a_note_comes_in_an_envelope() {
    let keys = Keys::new();
    let mut world = at_signoff(&keys);
    let alone = signature_of(&approve(&world, &keys, "security"));
    hand_in(&mut world, &format!("Here it is:\n\n{alone}")).unwrap();
    // Of one that was made for something else nobody knows which statement it was meant for.
    let other = keys.sign("ana@example.com", "file", b"something");
    refused(
        &mut world,
        &other,
        "namespace `file`, in which no statement here is signed",
    );
    let mut noted = waiting(world.run(), "accept", "dba", Decision::Approve);
    noted.note = "lock waits were below 40 ms".into();
    hand_in(&mut world, &keys.envelope(&noted)).unwrap();
    let gate = world.run().gate("accept").unwrap();
    assert_eq!(
        gate.signed.of_role("dba").unwrap().statement.note,
        noted.note
    );
    assert!(gate.signed.of_role("security").is_some());
    let mut hostile = waiting(world.run(), "accept", "business", Decision::Approve);
    hostile.note = "fine\u{1b}[2J".into();
    refused(&mut world, &keys.envelope(&hostile), "control characters");
}

#[test]
fn a_signed_rejection_ends_the_run() {
    let keys = Keys::new();
    let mut world = at_signoff(&keys);
    let mut no = waiting(world.run(), "accept", "security", Decision::Reject);
    no.note = "the dump was not restored".into();
    hand_in(&mut world, &keys.envelope(&no)).unwrap();
    assert_eq!(world.state("accept"), GateState::Failed);
    let RunStatus::Rejected(why) = &world.run().status else {
        panic!("{:?}", world.run().status);
    };
    assert!(
        why.contains("REJECTED by sam@example.com as security: the dump"),
        "{why}"
    );
    assert_eq!(world.replayed().as_ref(), Some(world.run()));
}

#[test]
fn other_bytes_other_runs_and_replays_are_refused() {
    let keys = Keys::new();
    let mut world = at_signoff(&keys);
    let issued = waiting(world.run(), "accept", "dba", Decision::Approve);
    let changed = |change: &dyn Fn(&mut stagegate::promotion::signature::KeyStatement)| {
        let mut statement = issued.clone();
        change(&mut statement);
        keys.envelope(&statement)
    };
    let text = changed(&|s| s.run = "20250101-000000-abcd".into());
    refused(&mut world, &text, "it is for run 20250101-000000-abcd");
    let text = changed(&|s| s.gate = "nowhere".into());
    refused(&mut world, &text, "a gate `nowhere`");
    let text = changed(&|s| s.gate = "count".into());
    refused(&mut world, &text, "waits for a signature there");
    let text = changed(&|s| s.evidence = format!("sha256:{}", "0".repeat(64)));
    refused(&mut world, &text, "it was not issued here: `evidence`");
    let text = changed(&|s| s.expires = "2027-01-01T00:00:00Z".parse().unwrap());
    refused(&mut world, &text, "it was not issued here: `expires`");
    let text = changed(&|s| s.nonce = "0".repeat(32));
    refused(&mut world, &text, "it was not issued here: `nonce`");
    let text = changed(&|s| s.journal.seq += 1);
    refused(&mut world, &text, "it was not issued here: `journal`");
    let mut other = issued.clone();
    other.signer = "eve@example.com".into();
    let bytes = other.canonical();
    let text = envelope(
        &bytes,
        &keys.sign("ana@example.com", &namespace(&other), &bytes),
    );
    refused(
        &mut world,
        &text,
        "`eve@example.com` is not a member of role `dba`",
    );
    let bytes = issued.canonical();
    let blank = String::from_utf8(bytes.clone())
        .unwrap()
        .replacen(",", ", ", 1);
    let text = envelope(
        blank.as_bytes(),
        &keys.sign("ana@example.com", &namespace(&issued), blank.as_bytes()),
    );
    refused(&mut world, &text, "canonical");
    refused(&mut world, "looks good to me, ana", "no signature");

    let good = approve(&world, &keys, "dba");
    hand_in(&mut world, &good).unwrap();
    refused(&mut world, &good, "it was handed in before");
    refused(&mut world, &signature_of(&good), "it was handed in before");
    let reject = keys.envelope(&waiting(world.run(), "accept", "dba", Decision::Reject));
    refused(&mut world, &reject, "it was handed in before");
}

#[test]
fn wrong_bytes_namespace_key_and_algorithm_are_refused_by_both() {
    let keys = Keys::new();
    let mut world = at_signoff(&keys);
    let statement = waiting(world.run(), "accept", "dba", Decision::Approve);
    let (bytes, right) = (statement.canonical(), namespace(&statement));
    let rules = world.run().definition.signatures.clone().unwrap();
    let mut both_refuse = |signature: &str, words: &str| {
        refused(&mut world, &envelope(&bytes, signature), words);
        let at = "2025-11-22T01:00:00Z".parse().unwrap();
        assert!(
            !stock_verifies(keys.folder.path(), &rules, &statement, signature, at),
            "{words}"
        );
    };
    let cut = &bytes[..bytes.len() - 1];
    both_refuse(
        &keys.sign("ana@example.com", &right, cut),
        "does not fit these bytes",
    );
    let wrong = Purpose::Waiver.namespace("dba", DOMAIN);
    both_refuse(
        &keys.sign("ana@example.com", &wrong, &bytes),
        "made in the namespace `dba.waiver.stagegate@example.com`",
    );
    both_refuse(
        &keys.sign("lee@example.com", &right, &bytes),
        "is not listed for `ana@example.com`",
    );
    keys.make("stranger", &["-t", "ed25519"]);
    both_refuse(&keys.sign("stranger", &right, &bytes), "is not listed for");
    both_refuse(
        "-----BEGIN SSH SIGNATURE-----\nU1NIU0lH\n-----END SSH SIGNATURE-----\n",
        "no SSH signature",
    );
}

#[test]
fn the_kinds_of_keys_that_count_are_the_same_for_both() {
    let keys = Keys::new();
    let kinds: [&[&str]; 5] = [
        &["-t", "ed25519"],
        &["-t", "ecdsa", "-b", "256"],
        &["-t", "ecdsa", "-b", "384"],
        &["-t", "ecdsa", "-b", "521"],
        &["-t", "rsa", "-b", "2048"],
    ];
    for (kind, hash) in kinds
        .iter()
        .flat_map(|kind| [(kind, "sha256"), (kind, "sha512")])
    {
        keys.make("ana@example.com", kind);
        let world = at_signoff(&keys);
        let statement = waiting(world.run(), "accept", "dba", Decision::Approve);
        let (bytes, right) = (statement.canonical(), namespace(&statement));
        let hashed = format!("hashalg={hash}");
        let signature = sign_with(
            &keys.path("ana@example.com"),
            &right,
            &bytes,
            &["-O", &hashed],
        );
        let rules = world.run().definition.signatures.clone().unwrap();
        let (signers, revoked) = rules.lists();
        let who = ("ana@example.com", right.as_str());
        let verified = verify((&signers, &revoked), who, &bytes, &signature, &[world.now]);
        assert!(verified.is_ok(), "{kind:?} {hash}: {verified:?}");
        assert!(stock_verifies(
            keys.folder.path(),
            &rules,
            &statement,
            &signature,
            world.now
        ));
    }
}

#[test]
fn a_key_without_the_role_in_its_namespaces_is_refused_by_both() {
    let keys = Keys::new();
    let [dba, release, security, business] = PARTIES;
    let ns = |role: &str| format!("namespaces=\"{role}.signoff.{DOMAIN}\"");
    // Ana may sign for the dba role, and her second line is for waivers alone.
    let mut definition = definition(&keys.list());
    definition.roles[1].members.push(dba.1.to_owned());
    let list = [
        keys.line(dba.1, &ns("dba")),
        keys.line(release.1, &ns("release")),
        keys.line(security.1, &ns("security")),
        keys.line(business.1, &ns("business")),
    ];
    definition.signatures = Some(Box::new(rules(&list.concat())));
    let mut world = World::opened_with(definition);
    world.console(&start("count"));
    world.engine(&finish("count", 1, Verdict::Passed));
    world.console(&issue("accept", Purpose::Signoff, ""));
    let mine = world.run().statements_of("accept");
    let wanted = |s: &&stagegate::promotion::signature::KeyStatement| {
        s.role == "release" && s.signer == dba.1 && s.decision == Decision::Approve
    };
    let statement = mine.iter().find(wanted).unwrap();
    refused(
        &mut world,
        &keys.envelope(statement),
        "may not sign in the namespace `release.signoff",
    );
    let rules = world.run().definition.signatures.clone().unwrap();
    let signature = signature_of(&keys.envelope(statement));
    assert!(!stock_verifies(
        keys.folder.path(),
        &rules,
        statement,
        &signature,
        world.now
    ));
}

#[test]
fn expired_not_yet_valid_and_revoked_keys_are_refused_by_both() {
    let keys = Keys::new();
    let with = |options: &str, revoked: bool| {
        let mut list = keys.list().lines().skip(1).collect::<Vec<_>>().join("\n");
        let options = format!("namespaces=\"dba.*.{DOMAIN}\"{options}");
        list.push('\n');
        list.push_str(&keys.line("ana@example.com", &options));
        let mut rules = rules(&list);
        let lost = format!("# lost\n{} ana\n", keys.public("ana@example.com"));
        rules.revoked = revoked.then(|| pinned("revoked_keys", &lost));
        rules
    };
    let refuses = |rules: SignatureRules, words: &str| {
        let mut world = with_rules(rules.clone());
        let text = approve(&world, &keys, "dba");
        refused(&mut world, &text, words);
        let statement = waiting(world.run(), "accept", "dba", Decision::Approve);
        let signature = signature_of(&text);
        let folder = keys.folder.path();
        assert!(
            !stock_verifies(folder, &rules, &statement, &signature, world.now),
            "{words}"
        );
        // Alone, it is told the same.
        refused(&mut world, &signature, words);
    };
    refuses(
        with(",valid-before=\"20251121Z\"", false),
        "it expired at 2025-11-21",
    );
    refuses(
        with(",valid-after=\"20251123Z\"", false),
        "it counts only from 2025-11-23",
    );
    refuses(with("", true), "is revoked");
    let good = with(
        ",valid-after=\"20251122Z\",valid-before=\"20251122010000Z\"",
        false,
    );
    let mut world = with_rules(good.clone());
    let text = approve(&world, &keys, "dba");
    let statement = waiting(world.run(), "accept", "dba", Decision::Approve);
    assert!(stock_verifies(
        keys.folder.path(),
        &good,
        &statement,
        &signature_of(&text),
        world.now
    ));
    hand_in(&mut world, &text).unwrap();
}

#[test]
fn a_key_must_count_when_it_is_received_and_when_it_is_taken() {
    let keys = Keys::new();
    let mut list = keys.list().lines().skip(1).collect::<Vec<_>>().join("\n");
    let options = format!("namespaces=\"dba.*.{DOMAIN}\",valid-before=\"20251122010500Z\"");
    list.push('\n');
    list.push_str(&keys.line("ana@example.com", &options));
    let mut world = with_rules(rules(&list));
    let text = approve(&world, &keys, "dba");
    let received = world.now;
    world.now = "2025-11-22T01:06:00Z".parse().unwrap();
    let command = Command::HandIn {
        text,
        from: "another console".into(),
        received,
        targets: Vec::new(),
    };
    world.console(&command);
    let Event::InputRejected(input) = &world.records.last().unwrap().event else {
        panic!("it was taken");
    };
    assert!(
        input.reason.contains("it expired at 2025-11-22T01:05:00Z"),
        "{}",
        input.reason
    );
}

#[test]
fn a_statement_expires() {
    let keys = Keys::new();
    let mut world = at_signoff(&keys);
    let text = approve(&world, &keys, "dba");
    world.now = "2025-11-22T01:59:59Z".parse().unwrap();
    hand_in(&mut world, &text).unwrap();
    let text = approve(&world, &keys, "release");
    world.now = "2025-11-22T02:00:00Z".parse().unwrap();
    refused(&mut world, &text, "it expired at 2025-11-22T02:00:00Z");
    // New ones may be asked for; what was signed before counts no longer, and that is said.
    world.console(&issue("accept", Purpose::Signoff, ""));
    let gate = world.run().gate("accept").unwrap();
    assert!(gate.signed.signatures.is_empty());
    assert!(
        gate.signed.voided[0].reason.contains("expired at"),
        "{:?}",
        gate.signed.voided
    );
    refused(&mut world, &text, "it is stale: they expired at");
}

#[test]
fn people_and_keys_are_distinct() {
    let keys = Keys::new();
    let ana = "ana@example.com";
    let mut definition = definition("");
    let list = keys.list() + &keys.line(ana, &format!("namespaces=\"*.signoff.{DOMAIN}\""));
    definition.signatures = Some(Box::new(rules(&list)));
    definition.roles[1].members = vec!["Ana@Example.com".into(), ana.into()];
    let mut world = World::opened_with(definition);
    world.console(&start("count"));
    world.engine(&finish("count", 1, Verdict::Passed));
    world.console(&issue("accept", Purpose::Signoff, ""));
    let text = approve(&world, &keys, "dba");
    hand_in(&mut world, &text).unwrap();
    let of = |world: &World, signer: &str| {
        let mut found = world.run().statements_of("accept");
        found.retain(|s| {
            s.role == "release" && s.decision == Decision::Approve && s.signer == signer
        });
        found.remove(0)
    };
    let text = keys.envelope(&of(&world, ana));
    refused(
        &mut world,
        &text,
        "`ana@example.com` has signed already, as `dba`",
    );
    // Another spelling of the same mailbox is the same person.
    let statement = of(&world, "Ana@Example.com");
    let bytes = statement.canonical();
    let text = envelope(&bytes, &keys.sign(ana, &namespace(&statement), &bytes));
    refused(
        &mut world,
        &text,
        "`Ana@Example.com` has signed already, as `dba`",
    );
}

#[test]
fn one_key_signs_once_even_for_two_people() {
    // Such a list is refused when a run is opened; the rule holds without that too.
    let keys = Keys::new();
    std::fs::copy(keys.path("ana@example.com"), keys.path("lee@example.com")).unwrap();
    let public = |person: &str| keys.path(person).with_extension("pub");
    std::fs::copy(public("ana@example.com"), public("lee@example.com")).unwrap();
    let mut world = at_signoff(&keys);
    let problems = rules(&keys.list()).problems(&world.run().definition);
    assert!(
        problems[0].1.what.contains("one key proves one person"),
        "{problems:?}"
    );
    let text = approve(&world, &keys, "dba");
    hand_in(&mut world, &text).unwrap();
    let text = approve(&world, &keys, "release");
    refused(
        &mut world,
        &text,
        "has signed already, for ana@example.com as `dba`",
    );
}

#[test]
fn whatever_changes_below_a_signature_voids_it_and_says_what() {
    let keys = Keys::new();
    let mut world = at_signoff(&keys);
    let mine = approve(&world, &keys, "dba");
    hand_in(&mut world, &mine).unwrap();
    let theirs = approve(&world, &keys, "release");
    world.engine(&invalidate("count"));
    let reason = hand_in(&mut world, &theirs).unwrap_err();
    let words = "it is stale: `count` was passed at attempt 1, and is stale at attempt 1 now";
    assert!(reason.contains(words), "{reason}");
    let gate = world.run().gate("accept").unwrap();
    assert!(gate.signed.issued.is_none() && gate.signed.signatures.is_empty());
    assert_eq!(gate.signed.voided[0].signatures.len(), 1);
    let voided = world
        .records
        .iter()
        .rev()
        .find(|r| matches!(r.event, Event::SignaturesVoided(_)));
    assert!(
        voided
            .unwrap()
            .event
            .words()
            .starts_with("signatures void: `count`")
    );

    world.console(&start("count"));
    world.engine(&finish("count", 2, Verdict::Passed));
    world.engine(&issue("accept", Purpose::Signoff, ""));
    refused(&mut world, &mine, "it was handed in before");
    refused(&mut world, &theirs, "it is stale");
    for (role, _) in PARTIES {
        let text = approve(&world, &keys, role);
        hand_in(&mut world, &text).unwrap();
    }
    assert_eq!(world.state("accept"), GateState::Passed);
    assert_eq!(world.replayed().as_ref(), Some(world.run()));
}

#[test]
fn signatures_are_looked_at_when_they_are_used() {
    let keys = Keys::new();
    let sign = |world: &mut World| {
        for (role, _) in PARTIES {
            let text = approve(world, &keys, role);
            hand_in(world, &text).unwrap();
        }
    };
    let mut world = at_signoff(&keys);
    sign(&mut world);
    world.engine(&invalidate("count"));
    world.console(&start("count"));
    world.engine(&finish("count", 2, Verdict::Passed));
    // Four people agreed to what another attempt had found.
    assert_eq!(world.state("accept"), GateState::Stale);
    assert!(world.ask(Via::Console, &start("act")).is_err());
    let gate = world.run().gate("accept").unwrap();
    assert!(
        gate.stale_because
            .as_ref()
            .unwrap()
            .contains("its signatures are void: `count`")
    );

    let mut world = at_signoff(&keys);
    sign(&mut world);
    world.now = "2025-11-22T02:00:00Z".parse().unwrap();
    world.console(&start("act"));
    assert_eq!(
        world.state("accept"),
        GateState::Stale,
        "nothing was started in time"
    );

    let mut world = at_signoff(&keys);
    sign(&mut world);
    world.console(&start("act"));
    world.now = "2025-11-22T03:00:00Z".parse().unwrap();
    world.engine(&finish("act", 1, Verdict::Failed));
    world.console(&retry("act"));
    assert_eq!(world.attempt("act"), 2, "what was begun in time goes on");
}

#[test]
fn another_database_voids_signatures() {
    let keys = Keys::new();
    let mut world = World::opened_with(definition(&keys.list()));
    world.console(&start("count"));
    world.engine(&finish("count", 1, Verdict::Passed));
    let seen = |system: &str| {
        vec![TargetSeen {
            database: "orders".into(),
            name: "production".into(),
            system_identifier: system.into(),
        }]
    };
    let mut command = issue("accept", Purpose::Signoff, "");
    if let Command::IssueStatements { targets, .. } = &mut command {
        *targets = seen("7301442915563021845");
    }
    world.console(&command);
    let text = approve(&world, &keys, "dba");
    hand_in(&mut world, &text).unwrap();
    world.engine(&Command::CheckSignatures {
        targets: Vec::new(),
    });
    assert_eq!(
        world.run().gate("accept").unwrap().signed.signatures.len(),
        1,
        "not asked yet"
    );
    world.engine(&Command::CheckSignatures {
        targets: seen("7301442915563021846"),
    });
    let voided = &world.run().gate("accept").unwrap().signed.voided[0];
    assert!(
        voided.reason.contains("it is another one now"),
        "{}",
        voided.reason
    );
}

#[test]
fn names_are_not_typed_where_keys_sign_and_the_engine_asks_for_nothing_by_itself() {
    let keys = Keys::new();
    let mut world = at_signoff(&keys);
    let typed = Command::Sign {
        gate: "accept".into(),
        role: "dba".into(),
        person: "ana@example.com".into(),
        decision: Decision::Approve,
        note: String::new(),
    };
    let refusal = world.ask(Via::Console, &typed).unwrap_err().to_string();
    assert!(refusal.contains("is signed with keys"), "{refusal}");
    let mut world = World::opened_with(definition(&keys.list()));
    world.console(&start("count"));
    world.engine(&finish("count", 1, Verdict::Passed));
    let refusal = world.ask(Via::Engine, &issue("accept", Purpose::Signoff, ""));
    assert!(
        refusal
            .unwrap_err()
            .to_string()
            .contains("never starts by itself")
    );
    let mut plain = World::opened();
    let refusal = hand_in(&mut plain, "x").unwrap_err();
    assert!(
        refusal.contains("this run takes no signatures"),
        "{refusal}"
    );
}

#[test]
fn what_is_handed_in_to_a_held_run_is_not_used_up() {
    let keys = Keys::new();
    let mut world = at_signoff(&keys);
    let text = approve(&world, &keys, "dba");
    world.console(&Command::Hold {
        reason: "lunch".into(),
    });
    let seq = world.run().seq;
    assert!(
        hand_in(&mut world, &text)
            .unwrap_err()
            .contains("held (lunch)")
    );
    assert_eq!(world.run().seq, seq);
    world.console(&Command::Resume);
    hand_in(&mut world, &text).unwrap();
}

#[test]
fn a_crash_before_the_last_record_is_made_good() {
    let keys = Keys::new();
    let mut world = at_signoff(&keys);
    for (role, _) in PARTIES {
        let text = approve(&world, &keys, role);
        hand_in(&mut world, &text).unwrap();
    }
    // The record that says that the gate passed was torn off.
    world.records.pop();
    world.run = stagegate::promotion::Run::fold(&world.records);
    assert_eq!(world.state("accept"), GateState::Running);
    world.console(&Command::Continue {
        version: "0.1.0".into(),
    });
    assert_eq!(world.state("accept"), GateState::Passed);
}
