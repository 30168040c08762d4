//! Four people with keys of their own, made and used by the stock `ssh-keygen`.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command as Program, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};

use stagegate::promotion::signature::{
    KeyStatement, PinnedList, Purpose, Reply, SignatureRules, WaiverRule, envelope,
};
use stagegate::promotion::{
    Command, Decision, Definition, Event, GateDefinition, Nature, PhaseDefinition, RoleDefinition,
    Run, Via,
};
use tempfile::TempDir;

use crate::state_machine::world::World;

pub(crate) const DOMAIN: &str = "stagegate@example.com";
/// Role and person of the four parties.
pub(crate) const PARTIES: [(&str, &str); 4] = [
    ("dba", "ana@example.com"),
    ("release", "lee@example.com"),
    ("security", "sam@example.com"),
    ("business", "kim@example.com"),
];

/// Keys in folders of their own, one for each person.
pub(crate) struct Keys {
    pub(crate) folder: TempDir,
}

impl Keys {
    pub(crate) fn new() -> Keys {
        let keys = Keys {
            folder: tempfile::tempdir().unwrap(),
        };
        for (_, person) in PARTIES {
            keys.make(person, &["-t", "ed25519"]);
        }
        keys
    }

    /// Makes a key for somebody.
    pub(crate) fn make(&self, person: &str, kind: &[&str]) -> PathBuf {
        let key = self.path(person);
        std::fs::create_dir_all(key.parent().unwrap()).unwrap();
        let _ = std::fs::remove_file(&key);
        let made = Program::new("ssh-keygen")
            .args(["-q", "-N", "", "-C", person, "-f"])
            .arg(&key)
            .args(kind)
            .status();
        assert!(made.unwrap().success());
        key
    }

    /// The key in somebody's home.
    pub(crate) fn path(&self, person: &str) -> PathBuf {
        self.folder
            .path()
            .join(person)
            .join(".ssh")
            .join("stagegate")
    }

    pub(crate) fn public(&self, person: &str) -> String {
        let public = std::fs::read_to_string(self.path(person).with_extension("pub")).unwrap();
        let words: Vec<&str> = public.split_whitespace().take(2).collect();
        words.join(" ")
    }

    /// A line of the list; `options` stand before the key.
    pub(crate) fn line(&self, person: &str, options: &str) -> String {
        format!("{person} {options} {}\n", self.public(person))
    }

    /// The list of the four parties, each for its role and for every purpose.
    pub(crate) fn list(&self) -> String {
        let line = |(role, person): (&str, &str)| {
            self.line(person, &format!("namespaces=\"{role}.*.{DOMAIN}\""))
        };
        PARTIES.map(line).concat()
    }

    /// Signs with the stock program; what it writes is the armoured signature.
    pub(crate) fn sign(&self, person: &str, namespace: &str, bytes: &[u8]) -> String {
        sign_with(&self.path(person), namespace, bytes, &[])
    }

    /// Signs a statement as its own signer, in its own namespace.
    pub(crate) fn envelope(&self, statement: &KeyStatement) -> String {
        let namespace = namespace(statement);
        let bytes = statement.canonical();
        envelope(&bytes, &self.sign(&statement.signer, &namespace, &bytes))
    }
}

pub(crate) fn namespace(statement: &KeyStatement) -> String {
    statement.purpose.namespace(&statement.role, DOMAIN)
}

pub(crate) fn sign_with(key: &Path, namespace: &str, bytes: &[u8], more: &[&str]) -> String {
    let mut program = Program::new("ssh-keygen");
    program
        .args(["-q", "-Y", "sign", "-n", namespace])
        .args(more)
        .arg("-f")
        .arg(key);
    let output = fed(program, bytes);
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// Verifies with the stock program, at a time of its clock.
pub(crate) fn stock_verifies(
    folder: &Path,
    rules: &SignatureRules,
    statement: &KeyStatement,
    signature: &str,
    at: jiff::Timestamp,
) -> bool {
    let write = |name: &str, text: &str| {
        let path = folder.join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let mut program = Program::new("ssh-keygen");
    program.args([
        "-Y",
        "verify",
        "-n",
        &namespace(statement),
        "-I",
        &statement.signer,
        "-f",
    ]);
    program.arg(write("verified.signers", &rules.allowed_signers.text));
    program.arg(format!("-Overify-time={}", at.strftime("%Y%m%d%H%M%SZ")));
    program.arg("-s").arg(write("verified.sig", signature));
    if let Some(revoked) = &rules.revoked {
        program
            .arg("-r")
            .arg(write("verified.revoked", &revoked.text));
    }
    fed(program, &statement.canonical()).status.success()
}

fn fed(mut program: Program, bytes: &[u8]) -> std::process::Output {
    let mut child = program
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A program that refuses at once may have closed it.
    let _ = child.stdin.take().unwrap().write_all(bytes);
    child.wait_with_output().unwrap()
}

pub(crate) fn pinned(path: &str, text: &str) -> PinnedList {
    PinnedList {
        path: path.into(),
        sha256: stagegate::digest::digest(text.as_bytes()),
        text: text.into(),
    }
}

pub(crate) fn rules(list: &str) -> SignatureRules {
    SignatureRules {
        domain: DOMAIN.into(),
        expires_seconds: 3600,
        allowed_signers: pinned("allowed_signers", list),
        revoked: None,
    }
}

fn gate(id: &str, nature: Nature) -> GateDefinition {
    GateDefinition {
        id: id.into(),
        title: id.into(),
        kind: "query".into(),
        nature,
        waivable: false,
        waiver: None,
        typed_name: None,
        lasts_seconds: 0,
        approvers: None,
        migrates: false,
        pastes: false,
        recovery: Vec::new(),
    }
}

/// A gate that looks and may be waived, a sign-off of the four parties, a gate that acts.
pub(crate) fn definition(list: &str) -> Definition {
    let roles = || PARTIES.map(|(role, _)| role.to_owned()).to_vec();
    let mut look = gate("count", Nature::Looks);
    look.waivable = true;
    look.waiver = Some(WaiverRule {
        roles: vec!["dba".into(), "security".into()],
        signatures: 2,
        reason: 20,
        expires_seconds: 600,
    });
    let agreed = Nature::SignOff {
        roles: roles(),
        distinct: true,
        keys: true,
    };
    let gates = vec![look, gate("accept", agreed), gate("act", Nature::Acts)];
    let role = |(role, person): (&str, &str)| RoleDefinition {
        name: role.into(),
        title: role.into(),
        members: vec![person.into()],
    };
    Definition {
        title: "Release".into(),
        runbook_digest: "d".repeat(64),
        phases: vec![PhaseDefinition {
            id: "only".into(),
            title: "only".into(),
            gates,
        }],
        roles: PARTIES.map(role).to_vec(),
        window: None,
        rollbacks: Vec::new(),
        messages: Vec::new(),
        signatures: Some(Box::new(rules(list))),
        break_glass: None,
    }
}

pub(crate) fn issue(gate: &str, purpose: Purpose, reason: &str) -> Command {
    Command::IssueStatements {
        gate: gate.into(),
        purpose,
        reason: reason.into(),
        seed: drawn(),
        targets: Vec::new(),
    }
}

/// Something that was not drawn before.
fn drawn() -> String {
    static DRAWN: AtomicU64 = AtomicU64::new(0);
    let number = DRAWN.fetch_add(1, Ordering::Relaxed);
    stagegate::digest::digest(&number.to_be_bytes())
}

/// The statement of a person for a decision, as it waits for a signature.
pub(crate) fn waiting(run: &Run, gate: &str, role: &str, decision: Decision) -> KeyStatement {
    let mut found = run.statements_of(gate);
    found.retain(|statement| statement.role == role && statement.decision == decision);
    assert_eq!(found.len(), 1, "{found:?}");
    found.remove(0)
}

/// Hands a text in; gives the reason when it was refused.
pub(crate) fn hand_in(world: &mut World, text: &str) -> Result<(), String> {
    let command = Command::HandIn {
        text: text.into(),
        from: "pasted".into(),
        received: world.now,
        targets: Vec::new(),
    };
    world
        .ask(Via::Headless, &command)
        .map_err(|refusal| format!("refused: {refusal}"))?;
    match world
        .records
        .iter()
        .rev()
        .find_map(|record| match &record.event {
            Event::InputRejected(input) => Some(Err(input.reason.clone())),
            Event::SignatureAccepted(_) => Some(Ok(())),
            _ => None,
        }) {
        Some(result) => result,
        None => Err("nothing came of it".into()),
    }
}

/// A signature alone, out of an envelope.
pub(crate) fn signature_of(envelope: &str) -> String {
    Reply::read(envelope).unwrap().signature
}
