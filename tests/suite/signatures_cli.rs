//! Four people with separate homes sign a run of the real binary: through files, through the run's
//! folder, and with nothing but `ssh-keygen`.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use stagegate::engine::{EngineHandle, OpenOptions, Which};
use stagegate::postgres::environment::Environment;
use stagegate::promotion::signature::Purpose;
use stagegate::promotion::{Event, GateState, Run, RunStatus, Via};

use crate::signatures_world::{DOMAIN, Keys, PARTIES, sign_with, signature_of};
use crate::site::{BINARY, Ended, ended};

/// A folder with a runbook whose sign-off wants four keys, and the homes of four people.
pub(crate) struct Desk {
    pub(crate) keys: Keys,
}

const GATES: &str = r#"
[[phase]]
id    = "only"
title = "Only"

[[phase.gate]]
id    = "look"
title = "The change has no hazards"
[phase.gate.lint]
files = ["db/*.sql"]
deny  = ["data-loss"]

[[phase.gate]]
id    = "accept"
title = "Four parties accept"
[phase.gate.signoff]
roles = ["dba", "release", "security", "business"]

[[phase.gate]]
id    = "after"
title = "The notes are there"
[phase.gate.file]
path   = "notes.md"
exists = true
"#;

impl Desk {
    pub(crate) fn new() -> Desk {
        let desk = Desk { keys: Keys::new() };
        desk.write("allowed_signers", &desk.keys.list());
        desk.write("notes.md", "ready\n");
        desk.write("db/1.sql", "CREATE TABLE a (b int);\n");
        let roles: String = PARTIES
            .map(|(role, person)| {
                format!("[[role]]\nname = \"{role}\"\nmembers = [\"{person}\"]\n")
            })
            .concat();
        let head = format!(
            "format = 1\ntitle = \"Release\"\n[signatures]\nallowed_signers = \"allowed_signers\"\n\
             domain = \"{DOMAIN}\"\nexpires = \"2h\"\n"
        );
        desk.write("runbook.toml", &format!("{head}{roles}{GATES}"));
        desk
    }

    pub(crate) fn folder(&self) -> &Path {
        self.keys.folder.path()
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        let path = self.folder().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    /// Runs the binary as somebody, whose home it has.
    pub(crate) fn stagegate(&self, person: &str, arguments: &[&str]) -> Ended {
        let mut command = Command::new(BINARY);
        command
            .args(arguments)
            .current_dir(self.folder())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap())
            .env("HOME", self.folder().join(person))
            .stdin(Stdio::null());
        ended(command.output().unwrap())
    }

    pub(crate) fn headless(&self, more: &[&str]) -> Ended {
        let start = ["run", "runbook.toml", "--headless", "--runs-dir", "runs"];
        self.stagegate("operator", &[&start[..], more].concat())
    }

    pub(crate) fn run_folder(&self) -> PathBuf {
        let runs = std::fs::read_dir(self.folder().join("runs")).unwrap();
        let runs: Vec<PathBuf> = runs.map(|entry| entry.unwrap().path()).collect();
        assert_eq!(runs.len(), 1, "{runs:?}");
        runs[0].clone()
    }

    pub(crate) fn run_name(&self) -> String {
        self.run_folder()
            .file_name()
            .unwrap()
            .to_string_lossy()
            .into_owned()
    }

    pub(crate) fn statement(&self, role: &str, decision: &str) -> PathBuf {
        let person = PARTIES.iter().find(|(of, _)| *of == role).unwrap().1;
        let name = format!("accept.{role}.{person}.{decision}.json");
        self.run_folder().join("statements").join(name)
    }

    /// Signs as the person in a role, and gives the file of the signed text, in that person's home.
    pub(crate) fn sign(&self, role: &str, more: &[&str]) -> String {
        let person = PARTIES.iter().find(|(of, _)| *of == role).unwrap().1;
        let statement = self.statement(role, "approve").display().to_string();
        let out = format!("{}/{person}/{role}.signed", self.folder().display());
        let arguments = ["sign", &statement, "--yes", "--out", &out];
        self.stagegate(person, &[&arguments[..], more].concat())
            .exits(0);
        out
    }

    pub(crate) fn hand_in(&self, files: &[&str]) -> Ended {
        let run = self.run_name();
        let start = ["hand-in", &run, "--runs-dir", "runs"];
        self.stagegate("carrier", &[&start[..], files].concat())
    }

    fn open(&self, runtime: &tokio::runtime::Runtime, which: Which) -> EngineHandle {
        let options = OpenOptions {
            which,
            vars: Default::default(),
            runs_folder: self.folder().join("runs"),
            operator: "otto".into(),
            via: Via::Console,
            surroundings: Environment::default(),
        };
        stagegate::engine::open(&options, runtime.handle()).unwrap()
    }
}

#[test]
fn four_people_sign_on_their_own_and_the_run_reaches_its_end() {
    let desk = Desk::new();
    let waiting = desk.headless(&[]).exits(4);
    let waiting = waiting.says("it waits for the keys of `dba`, `release`, `security`, `business`");
    waiting.says("4 statements lie in");
    let names = crate::site::names(&desk.run_folder().join("statements"));
    assert_eq!(names.len(), 8, "{names:?}");

    let ana = desk.sign("dba", &["--note", "lock waits below 40 ms"]);
    desk.hand_in(&[&ana])
        .exits(0)
        .shows("approved by ana@example.com as dba: lock waits below 40 ms (key SHA256:");
    // Lee has no stagegate: the stock program, and its signature alone.
    let bytes = std::fs::read(desk.statement("release", "approve")).unwrap();
    let namespace = format!("release.signoff.{DOMAIN}");
    let signature = sign_with(&desk.keys.path("lee@example.com"), &namespace, &bytes, &[]);
    desk.write("lee.sig", &signature);
    let sam = desk.sign("security", &[]);
    desk.hand_in(&["lee.sig", &sam])
        .exits(0)
        .says("`accept` is running");
    desk.hand_in(&[&sam])
        .exits(4)
        .says("it was handed in before");
    let kim = desk.sign("business", &[]);
    // What lies beside the statements too was taken once, and is not refused for that.
    std::fs::copy(&sam, desk.run_folder().join("statements/sam.signed")).unwrap();
    desk.hand_in(&[&kim]).exits(0);
    desk.headless(&["--resume"]).exits(0);
    let journal = std::fs::read_to_string(desk.run_folder().join("journal.jsonl")).unwrap();
    assert_eq!(journal.matches("input_rejected").count(), 1);
}

#[test]
fn what_is_signed_is_shown_in_words_and_what_is_new_since_the_last_time() {
    let desk = Desk::new();
    desk.headless(&[]).exits(4);
    let file = desk.statement("dba", "approve").display().to_string();
    let ana = "ana@example.com";
    let refused = desk.stagegate(ana, &["sign", &file]).exits(64);
    let refused = refused
        .says("decision    APPROVE")
        .says("sign-off of gate `accept`, attempt 1");
    let refused = refused.says("You have signed nothing for this run");
    refused
        .says("this is no terminal")
        .says("nothing was signed");
    desk.sign("dba", &[]);
    let again = desk.stagegate(
        ana,
        &[
            "sign", &file, "--yes", "--out", "-", "--reject", "--note", "no",
        ],
    );
    let again = again.exits(0).says("decision    REJECT: this ends the run");
    let again = again.says("decision: \"approve\" then, \"reject\" now");
    assert!(!signature_of(&again.out).is_empty());
    desk.stagegate(ana, &["sign", &file, "--yes", "--reject"])
        .exits(64)
        .says("say why");
    desk.stagegate("nobody", &["sign", &file, "--yes"])
        .exits(64)
        .says("no key was named");
    let text = std::fs::read_to_string(&file)
        .unwrap()
        .replace("dba.signoff", "dba.waiver");
    desk.write("forged.json", &text);
    desk.stagegate(ana, &["sign", "forged.json", "--yes"])
        .exits(1)
        .says("its namespace");
    desk.write("forged.json", &text.replacen(',', ",\n", 1));
    desk.stagegate(ana, &["sign", "forged.json", "--yes"])
        .exits(1)
        .says("canonical");
}

#[test]
fn a_rejection_by_key_ends_the_run() {
    let desk = Desk::new();
    desk.headless(&[]).exits(4);
    let no = desk.sign("security", &["--reject", "--note", "no dump was restored"]);
    desk.hand_in(&[&no])
        .exits(0)
        .shows("REJECTED by sam@example.com as security: no dump");
    desk.headless(&["--resume", &desk.run_name()])
        .exits(1)
        .says("has ended (rejected)");
}

#[test]
fn lists_that_let_too_much_in_are_refused_with_file_and_line() {
    let desk = Desk::new();
    let list = desk.keys.list();
    let refused = |list: &str, words: &str| {
        desk.write("allowed_signers", list);
        desk.stagegate("operator", &["check", "runbook.toml"])
            .exits(78)
            .says(words);
        desk.headless(&[])
            .exits(78)
            .says(words)
            .says("not touched: nothing was started");
        assert!(!desk.folder().join("runs").exists());
    };
    let star = format!(
        "* namespaces=\"*\" {}\n",
        desk.keys.public("ana@example.com")
    );
    refused(
        &format!("{list}{star}"),
        "allowed_signers:5: `*` lets one key sign as anybody",
    );
    refused(
        &list.replacen("namespaces=", "valid-after=", 1),
        "allowed_signers:1: ",
    );
    refused(
        list.split_once('\n').unwrap().1,
        "role `dba` has no key for the namespace",
    );
    let same = list.replace(
        &desk.keys.public("lee@example.com"),
        &desk.keys.public("sam@example.com"),
    );
    refused(&same, "allowed_signers:3: the key SHA256:");
    std::fs::remove_file(desk.folder().join("allowed_signers")).unwrap();
    desk.headless(&[])
        .exits(78)
        .says("allowed_signers: No such file");
}

#[test]
fn a_list_that_changes_during_the_run_holds_it() {
    let desk = Desk::new();
    desk.headless(&[]).exits(4);
    let list = desk.keys.list();
    let ana = desk.sign("dba", &[]);
    desk.write("allowed_signers", &format!("{list}# one line more\n"));
    desk.hand_in(&[&ana])
        .exits(4)
        .says("the run is held: allowed_signers has changed since the run was opened");
    desk.headless(&["--resume"])
        .exits(4)
        .says("the run is held");
    desk.write("allowed_signers", &list);
    desk.hand_in(&[&ana]).exits(4).says("resume it first");
    let copy = desk.run_folder().join("signers").join("allowed_signers");
    assert_eq!(
        std::fs::read_to_string(copy).unwrap(),
        list,
        "the run has its own copy"
    );
}

#[test]
fn what_changes_below_voids_signatures_and_new_statements_lie_there() {
    let desk = Desk::new();
    desk.headless(&[]).exits(4);
    let ana = desk.sign("dba", &[]);
    let sam = desk.sign("security", &[]);
    desk.hand_in(&[&ana]).exits(0);
    let before = std::fs::read(desk.statement("dba", "approve")).unwrap();
    desk.write("db/1.sql", "CREATE TABLE a (b bigint);\n");
    desk.hand_in(&[&sam]).exits(4).says("it is stale: `look`");
    let ran = desk.headless(&["--resume"]).exits(4);
    ran.says("it waits for the keys of `dba`, `release`, `security`, `business`");
    assert_ne!(
        std::fs::read(desk.statement("dba", "approve")).unwrap(),
        before
    );
    let journal = std::fs::read_to_string(desk.run_folder().join("journal.jsonl")).unwrap();
    assert_eq!(journal.matches("\"type\":\"signatures_voided\"").count(), 1);
    for role in ["dba", "release", "security", "business"] {
        let signed = desk.sign(role, &[]);
        desk.hand_in(&[&signed]).exits(0);
    }
    desk.headless(&["--resume"]).exits(0);
}

/// An engine in this process, at the sign-off of a desk's run.
struct Open<'a> {
    desk: &'a Desk,
    runtime: tokio::runtime::Runtime,
    handle: EngineHandle,
}

impl Open<'_> {
    fn at_signoff(desk: &Desk) -> Open<'_> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()
            .unwrap();
        let which = Which::New(desk.folder().join("runbook.toml"));
        let handle = desk.open(&runtime, which);
        let open = Open {
            desk,
            runtime,
            handle,
        };
        let start = stagegate::promotion::Command::Start {
            gate: "look".into(),
            plan: None,
            typed_name: None,
        };
        open.runtime.block_on(open.handle.command(start)).unwrap();
        open.until("look passed", |run| {
            run.gate("look").unwrap().state == GateState::Passed
        });
        let purpose = Purpose::Signoff;
        let issued = open
            .handle
            .issue_statements("accept".into(), purpose, String::new());
        open.runtime.block_on(issued).unwrap();
        open
    }

    fn until(&self, what: &str, wanted: impl Fn(&Run) -> bool) {
        let mut snapshots = self.handle.snapshots();
        let waited = self.runtime.block_on(async {
            let seen = snapshots.wait_for(|snapshot| wanted(&snapshot.run));
            let waited = tokio::time::timeout(Duration::from_secs(30), seen).await;
            waited.is_ok()
        });
        let run = self.handle.snapshot().run.clone();
        assert!(waited, "never: {what}; {:#?}", run.gate("accept"));
    }

    fn until_signed(&self, role: &str) {
        self.until(role, |run| {
            run.gate("accept").unwrap().signed.of_role(role).is_some()
        });
    }

    /// The stock program writes its signature beside the statement.
    fn sign_beside(&self, role: &str, person: &str) {
        let made = Command::new("ssh-keygen")
            .args([
                "-q",
                "-Y",
                "sign",
                "-n",
                &format!("{role}.signoff.{DOMAIN}"),
            ])
            .arg("-f")
            .arg(self.desk.keys.path(person))
            .arg(self.desk.statement(role, "approve"))
            .status();
        assert!(made.unwrap().success());
    }
}

#[test]
fn the_run_takes_replies_from_its_folder() {
    let desk = Desk::new();
    let open = Open::at_signoff(&desk);
    open.sign_beside("dba", "ana@example.com");
    open.until_signed("dba");
    let statements = desk.run_folder().join("statements");
    std::fs::write(statements.join("nonsense.signed"), "not a signature").unwrap();
    open.until("nonsense is refused", |run| {
        !run.gate("accept").unwrap().signed.refused.is_empty()
    });
    // Somebody else on this machine hands in while the run is open here.
    let sam = desk.sign("security", &[]);
    desk.hand_in(&[&sam])
        .exits(0)
        .says("The run is open elsewhere");
    open.until_signed("security");
    open.sign_beside("release", "lee@example.com");
    open.sign_beside("business", "kim@example.com");
    open.until("all", |run| {
        run.gate("accept").unwrap().state == GateState::Passed
    });
    let snapshot = open.handle.snapshot();
    let accepted = |event: &Event| matches!(event, Event::SignatureAccepted(_));
    let records = snapshot.records.iter();
    let mut vias = records.filter(|record| accepted(&record.event));
    assert!(
        vias.all(|record| record.actor.via == Via::Engine),
        "nobody at the console did it"
    );
    assert_eq!(crate::site::names(&statements.join("taken")).len(), 4);
    assert_eq!(crate::site::names(&statements.join("refused")).len(), 1);
    assert_eq!(snapshot.run.status, RunStatus::Open);
    drop(snapshot);
    open.handle.close();
}
