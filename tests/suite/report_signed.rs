//! A run that four people signed, as a bundle: checked by us, and by `ssh-keygen` alone.

use std::path::Path;
use std::process::Command;

use stagegate::promotion::{Event, GENESIS, Journal, Record};

use crate::signatures_cli::Desk;
use crate::site::{Ended, ended};

/// A run with four signatures, to its end.
fn signed() -> Desk {
    let desk = Desk::new();
    desk.headless(&[]).exits(4);
    for role in ["dba", "release", "security", "business"] {
        let reply = desk.sign(role, &["--note", "seen"]);
        desk.hand_in(&[&reply]).exits(0);
    }
    desk.headless(&["--resume"]).exits(0);
    desk
}

fn script(folder: &Path) -> Ended {
    let mut command = Command::new("sh");
    ended(command.arg(folder.join("verify.sh")).output().unwrap())
}

#[test]
fn four_signatures_are_verified_by_the_bundles_own_script() {
    let desk = signed();
    let run = desk.run_name();
    let place = ["--runs-dir", "runs"];
    let verified = desk.stagegate("carrier", &[&["verify", &run], &place[..]].concat());
    verified.exits(0).shows("well       signatures: 4 verify");
    let out = desk.folder().join("run.tar.zst");
    let shown = out.display().to_string();
    desk.stagegate(
        "carrier",
        &[&["bundle", &run, "--out", &shown], &place[..]].concat(),
    )
    .exits(0);
    let into = tempfile::tempdir().unwrap();
    let bundle = std::fs::File::open(&out).unwrap();
    let folder = stagegate::report::unpack(bundle, into.path()).unwrap();
    let said = script(&folder).exits(0);
    assert_eq!(said.out.matches("Good \"").count(), 4, "{}", said.out);

    // The list of what is in the bundle is made anew, so that only the signature tells.
    let changes = [
        ("json", "\"note\":\"seen\"", "\"note\":\"Seen\""),
        ("sig", "U1NIU0lH", "U1NIU0lI"),
    ];
    for (ending, from, to) in changes {
        let files = crate::site::names(&folder.join("signatures"));
        let file = files.iter().find(|name| name.ends_with(ending)).unwrap();
        let path = folder.join("signatures").join(file);
        let before = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, before.replacen(from, to, 1)).unwrap();
        let listed = "find . -type f ! -name SHA256SUMS | sed 's#^\\./##' | LC_ALL=C sort \
                      | xargs sha256sum > SHA256SUMS";
        let mut shell = Command::new("sh");
        shell.args(["-c", listed]).current_dir(&folder);
        assert!(shell.status().unwrap().success());
        let said = script(&folder);
        assert_eq!(said.code, Some(1), "{ending}: {}", said.out);
        assert!(said.out.contains("does not verify"), "{}", said.out);
        std::fs::write(&path, before).unwrap();
    }
    let html = desk.stagegate(
        "carrier",
        &[&["report", &run, "--format", "html"], &place[..]].concat(),
    );
    html.exits(0).shows("SHA256:").shows("ana@example.com");
}

/// Writes a run's journal anew, record by record, with a chain that is right.
fn rewritten(path: &Path, change: impl Fn(&Record) -> Vec<Event>) {
    let read = Journal::read(&std::fs::read(path).unwrap()).unwrap();
    let mut last = (0, GENESIS.to_owned());
    let mut bytes = Vec::new();
    for record in &read.records {
        for event in change(record) {
            let made = Record::after((last.0, &last.1), record.time, &record.actor, event);
            let made = made.unwrap();
            last = (made.0.seq, made.0.hash.clone());
            bytes.extend(made.1);
        }
    }
    std::fs::write(path, bytes).unwrap();
}

#[test]
fn a_sign_off_that_passes_on_too_few_keys_is_told_and_not_gone_on_with() {
    let desk = Desk::new();
    desk.headless(&[]).exits(4);
    let reply = desk.sign("dba", &[]);
    desk.hand_in(&[&reply]).exits(0);
    let run = desk.run_name();
    let path = desk.run_folder().join("journal.jsonl");
    let passes = |record: &Record| {
        let mut events = vec![record.event.clone()];
        if let Event::SignatureAccepted(accepted) = &record.event {
            events.push(Event::GateFinished {
                gate: accepted.gate.clone(),
                attempt: accepted.attempt,
                finding: stagegate::expectation::Finding::passed("4 roles approved"),
                evidence: None,
                captures: Default::default(),
                files: Default::default(),
            });
        }
        events
    };
    rewritten(&path, passes);
    let before = std::fs::read(&path).unwrap();
    desk.stagegate("carrier", &["verify", &run, "--runs-dir", "runs"])
        .exits(1)
        .shows("gate `accept` was let through on 1 of 4 signatures");
    desk.headless(&["--resume"])
        .exits(1)
        .says("was let through on 1 of 4 signatures");
    assert_eq!(
        std::fs::read(&path).unwrap(),
        before,
        "nothing is written into it"
    );
}

#[test]
fn a_first_record_that_tells_another_runbook_is_told() {
    let desk = signed();
    let run = desk.run_name();
    let path = desk.run_folder().join("journal.jsonl");
    rewritten(&path, |record| {
        let mut event = record.event.clone();
        if let Event::RunOpened { definition, .. } = &mut event {
            definition.roles.pop();
        }
        vec![event]
    });
    desk.stagegate("carrier", &["verify", &run, "--runs-dir", "runs"])
        .exits(1)
        .shows("the first record tells other gates, roles or rules than runbook.toml");
}

#[test]
fn what_a_bundle_shows_of_signatures_must_be_what_the_journal_says() {
    let desk = signed();
    let run = desk.run_name();
    let out = desk.folder().join("run.tar.zst").display().to_string();
    desk.stagegate(
        "carrier",
        &["bundle", &run, "--out", &out, "--runs-dir", "runs"],
    )
    .exits(0);
    let spoilt = |what: &str| {
        let into = tempfile::tempdir().unwrap();
        let bundle = std::fs::File::open(&out).unwrap();
        let folder = stagegate::report::unpack(bundle, into.path()).unwrap();
        let listed = format!(
            "{what}; find . -type f ! -name SHA256SUMS | sed 's#^\\./##' | LC_ALL=C sort \
             | xargs sha256sum > SHA256SUMS"
        );
        let mut shell = Command::new("sh");
        shell.args(["-c", &listed]).current_dir(&folder);
        assert!(shell.status().unwrap().success());
        let holds = stagegate::report::verify(&folder).holds();
        (holds, script(&folder).code)
    };
    assert_eq!(spoilt("true"), (true, Some(0)));
    assert_eq!(spoilt("rm -r signatures"), (false, Some(1)));
    assert_eq!(spoilt("rm signatures/*dba.sig"), (false, Some(1)));
    assert_eq!(spoilt("echo >> signers/allowed_signers"), (false, Some(1)));
    let hidden = "sha256sum evidence/* > WITHHELD; rm evidence/*";
    assert!(!spoilt(hidden).0, "only evidence of queries stays behind");
    assert_eq!(
        spoilt("for f in evidence/*; do echo '{}' > $f; done"),
        (false, Some(1))
    );
}

#[test]
fn a_bundle_that_names_what_is_no_plain_file_is_refused_at_once() {
    let desk = signed();
    let run = desk.run_name();
    let out = desk.folder().join("run.tar.zst").display().to_string();
    desk.stagegate(
        "carrier",
        &["bundle", &run, "--out", &out, "--runs-dir", "runs"],
    )
    .exits(0);
    let into = tempfile::tempdir().unwrap();
    let bundle = std::fs::File::open(&out).unwrap();
    let folder = stagegate::report::unpack(bundle, into.path()).unwrap();
    let sums = folder.join("SHA256SUMS");
    let before = std::fs::read_to_string(&sums).unwrap();
    for name in ["/dev/zero", "../../etc/passwd", "signatures"] {
        let line = format!("{}  {name}\n", "0".repeat(64));
        std::fs::write(&sums, format!("{before}{line}")).unwrap();
        let checks = stagegate::report::verify(&folder).checks;
        assert!(
            format!("{checks:?}").contains("no plain file"),
            "{name}: {checks:?}"
        );
    }
}

#[test]
fn a_signature_that_was_put_in_place_of_another_is_named() {
    let desk = signed();
    let path = desk.run_folder().join("journal.jsonl");
    let read = Journal::read(&std::fs::read(&path).unwrap()).unwrap();
    let signature = |record: &Record| match &record.event {
        Event::SignatureAccepted(accepted) => Some(accepted.signature.clone()),
        _ => None,
    };
    let signatures: Vec<String> = read.records.iter().filter_map(|r| signature(r)).collect();
    // The whole journal is written anew, with one person's signature in another's place.
    let mut last = (0, GENESIS.to_owned());
    let (mut bytes, mut first) = (Vec::new(), None);
    for record in &read.records {
        let mut event = record.event.clone();
        if let Event::SignatureAccepted(accepted) = &mut event
            && first.is_none()
        {
            accepted.signature.clone_from(&signatures[1]);
            first = Some(record.seq);
        }
        let made = Record::after((last.0, &last.1), record.time, &record.actor, event).unwrap();
        last = (made.0.seq, made.0.hash.clone());
        bytes.extend(made.1);
    }
    std::fs::write(&path, bytes).unwrap();
    let run = desk.run_name();
    desk.stagegate("carrier", &["verify", &run, "--runs-dir", "runs"])
        .exits(1)
        .shows(&format!("WRONG      signatures, record {}", first.unwrap()));
}
