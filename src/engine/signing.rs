//! Lets statements wait for signatures, takes what comes back, and makes void what has changed.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::actor::Engine;
use super::handle::CommandError;
use super::open::new_nonce;
use super::signers;
use super::statements;
use crate::digest::digest;
use crate::gate::TargetStatus;
use crate::promotion::signature::{KeyStatement, LARGEST_REPLY, Purpose, Reply, TargetSeen};
use crate::promotion::{Actor, Command, Decision, Event, GateState, Nature, RunStatus, Via};
use crate::system::durable::make_private_folder;

/// The part of a run's folder where statements lie, and where replies may be put.
pub const STATEMENTS: &str = "statements";
/// The part that keeps the lists of keys as they were when the run was opened.
const SIGNERS: &str = "signers";
/// How often the folder is looked at while statements wait.
const LOOK: Duration = Duration::from_secs(1);
/// A reply that is still being written is left alone for so long.
const SETTLES: Duration = Duration::from_secs(3);

/// The times at which replies are looked for, while somebody is waited for.
pub(super) struct Replies(tokio::time::Interval);

impl Replies {
    pub(super) fn new() -> Replies {
        let mut interval = tokio::time::interval(LOOK);
        interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        Replies(interval)
    }

    pub(super) async fn next(&mut self) {
        self.0.tick().await;
    }
}

/// The name of a statement's file.
pub fn statement_file(statement: &KeyStatement) -> String {
    let purpose = match statement.purpose {
        Purpose::Signoff => String::new(),
        other => format!("{}.", other.word()),
    };
    let decision = match statement.decision {
        Decision::Approve => "approve",
        Decision::Reject => "reject",
    };
    let plain = |text: &str| -> String {
        let keep = |c: char| c.is_alphanumeric() || "@-_.+".contains(c);
        text.chars()
            .map(|c| if keep(c) { c } else { '_' })
            .collect()
    };
    let (gate, role, signer) = (
        &statement.gate,
        plain(&statement.role),
        plain(&statement.signer),
    );
    format!("{gate}.{purpose}{role}.{signer}.{decision}.json")
}

impl Engine {
    /// Says what the run knows of its databases.
    fn targets_seen(&self) -> Vec<TargetSeen> {
        let seen = |(name, status): (String, TargetStatus)| match status {
            TargetStatus::Connected(identity) => Some(TargetSeen {
                database: identity.database,
                name,
                system_identifier: identity.system_identifier.unwrap_or_default(),
            }),
            _ => None,
        };
        self.targets
            .statuses()
            .into_iter()
            .filter_map(seen)
            .collect()
    }

    /// Holds the run when a list of keys is another one than when it was opened.
    pub(super) fn check_lists(&mut self) -> Result<(), CommandError> {
        let Some(rules) = &self.run.definition.signatures else {
            return Ok(());
        };
        let Some(reason) = signers::changed(rules, &self.base) else {
            return Ok(());
        };
        if !matches!(self.run.status, RunStatus::Held(_)) {
            self.own_command(&Command::Hold {
                reason: reason.clone(),
            });
        }
        Err(CommandError::Signature(format!(
            "the run is held: {reason}"
        )))
    }

    /// Lets statements of a gate wait for signatures.
    pub(super) fn issue_statements(
        &mut self,
        (gate, purpose): (String, Purpose),
        reason: String,
        actor: &Actor,
    ) -> Result<(), CommandError> {
        self.check_lists()?;
        let connecting = |status: &TargetStatus| matches!(status, TargetStatus::Connecting);
        if let Some((name, _)) = self.targets.statuses().iter().find(|(_, s)| connecting(s)) {
            return Err(CommandError::Signature(format!(
                "target `{name}` is still being asked who it is, and the statements name it; ask again"
            )));
        }
        self.check_inputs();
        let seed = new_nonce().map_err(|error| CommandError::Signature(error.to_string()))?;
        let command = Command::IssueStatements {
            gate,
            purpose,
            reason,
            seed,
            targets: self.targets_seen(),
        };
        self.command(&command, actor)
    }

    /// Takes what a signer gave, and says what it was.
    pub(super) fn hand_in(
        &mut self,
        text: &[u8],
        from: &str,
        actor: &Actor,
    ) -> Result<String, CommandError> {
        if self.run.definition.signatures.is_some() {
            self.check_lists()?;
            self.check_inputs();
        }
        // Longer ones are refused by their length; nothing else of them is needed.
        let text = &text[..text.len().min(LARGEST_REPLY + 1)];
        let before = self.run.seq;
        let command = Command::HandIn {
            text: String::from_utf8_lossy(text).into_owned(),
            from: from.to_owned(),
            received: jiff::Timestamp::now(),
            targets: self.targets_seen(),
        };
        self.command(&command, actor)?;
        let mut news = self.records.iter().filter(|record| record.seq > before);
        let said = news.find_map(|record| match &record.event {
            Event::SignatureAccepted(_) => Some(Ok(record.event.words())),
            Event::InputRejected(input) => Some(Err(CommandError::Signature(input.reason.clone()))),
            _ => None,
        });
        said.unwrap_or_else(|| Err(CommandError::Signature("nothing came of it".to_owned())))
    }

    /// Sees to what a command has changed for statements and signatures.
    pub(super) fn follow_signatures(&mut self, after: &Command) {
        let own = matches!(
            after,
            Command::CheckSignatures { .. } | Command::RecordEffect { .. }
        );
        if self.run.definition.signatures.is_none() || own || self.run.status.is_terminal() {
            return;
        }
        self.check_signatures();
        if let Some(gate) = self.wants_new_statements() {
            let actor = Actor {
                name: self.operator.name.clone(),
                via: Via::Engine,
            };
            if let Err(error) =
                self.issue_statements((gate, Purpose::Signoff), String::new(), &actor)
            {
                self.view
                    .notices
                    .push(format!("no new statements: {error}"));
            }
        }
        self.write_statements();
    }

    /// A sign-off whose signatures became void while it was being signed.
    fn wants_new_statements(&self) -> Option<String> {
        let gate = self
            .run
            .current()
            .filter(|_| self.run.status == RunStatus::Open)?;
        let keys = |nature: &Nature| matches!(nature, Nature::SignOff { keys: true, .. });
        let wants = gate.state == GateState::Running
            && gate.signed.issued.is_none()
            && !gate.signed.voided.is_empty()
            && self
                .run
                .definition_of(&gate.id)
                .is_some_and(|of| keys(&of.nature));
        wants.then(|| gate.id.clone())
    }

    /// Puts the lists of keys and the statements that wait into the run's folder.
    pub(super) fn begin_signing(&mut self) {
        let Some(rules) = self.run.definition.signatures.clone() else {
            return;
        };
        for part in [SIGNERS, STATEMENTS] {
            if let Err(error) = make_private_folder(&self.store.folder().join(part)) {
                self.view
                    .notices
                    .push(format!("the folder {part} cannot be made: {error}"));
            }
        }
        let lists = [
            Some(("allowed_signers", &rules.allowed_signers)),
            rules.revoked.as_ref().map(|l| ("revoked", l)),
        ];
        for (name, list) in lists.into_iter().flatten() {
            if let Err(error) = self.store.put(SIGNERS, name, list.text.as_bytes()) {
                self.view
                    .notices
                    .push(format!("a copy of {} cannot be kept: {error}", list.path));
            }
        }
        self.check_signatures();
        self.write_statements();
    }

    /// Makes void what was signed and has changed since.
    pub(super) fn check_signatures(&mut self) {
        if self.run.definition.signatures.is_some() && !self.run.status.is_terminal() {
            let targets = self.targets_seen();
            self.own_command(&Command::CheckSignatures { targets });
        }
    }

    fn statements_folder(&self) -> PathBuf {
        self.store.folder().join(STATEMENTS)
    }

    /// Writes the files of the statements that wait, and takes those away that do not any more.
    fn write_statements(&mut self) {
        let waiting = statements::waiting(&self.run);
        if waiting == self.written {
            return;
        }
        for (name, error) in statements::lay(self.store.folder(), &self.run, &waiting) {
            self.view
                .notices
                .push(format!("{name} cannot be written: {error}"));
        }
        self.written = waiting;
    }

    /// Tells whether anybody's reply is waited for.
    pub(super) fn waits_for_replies(&self) -> bool {
        !self.written.is_empty()
            && self.run.status == RunStatus::Open
            && self.view.journal_error.is_none()
    }

    /// Tells whether this very signature was taken before.
    fn was_taken(&self, text: &[u8]) -> bool {
        let Ok(reply) = Reply::read(&String::from_utf8_lossy(text)) else {
            return false;
        };
        self.records.iter().any(|record| match &record.event {
            Event::SignatureAccepted(taken) => taken.signature == reply.signature,
            _ => false,
        })
    }

    /// Takes the replies that lie in the folder. Tells whether there were any.
    pub(super) fn take_replies(&mut self) -> bool {
        let folder = self.statements_folder();
        let mut any = false;
        for name in files_of(&folder, &["sig", "signed"]) {
            let path = folder.join(&name);
            let Some(text) = settled(&path) else {
                continue;
            };
            let actor = Actor {
                name: self.operator.name.clone(),
                via: Via::Engine,
            };
            if self.was_taken(&text) {
                // It was handed in by another way, and still lies here.
                put_aside(&folder, "taken", &name, &text, &mut self.view.notices);
                continue;
            }
            let from = format!("from the file {name} in the run's folder");
            let part = match self.hand_in(&text, &from, &actor) {
                Ok(_) => "taken",
                Err(CommandError::Signature(_))
                    if !matches!(self.run.status, RunStatus::Held(_)) =>
                {
                    "refused"
                }
                // It was not looked at, and stays where it is.
                Err(_) => return true,
            };
            any = true;
            put_aside(&folder, part, &name, &text, &mut self.view.notices);
        }
        any
    }
}

/// Moves a reply out of the way, under a name that no other has.
fn put_aside(folder: &Path, part: &str, name: &str, text: &[u8], notices: &mut Vec<String>) {
    let path = folder.join(name);
    let kept = folder.join(part);
    let unique = format!("{}-{name}", &digest(text)[..8]);
    let moved =
        std::fs::create_dir_all(&kept).and_then(|()| std::fs::rename(&path, kept.join(unique)));
    if let Err(error) = moved {
        notices.push(format!("{name} cannot be put aside: {error}"));
        let _ = std::fs::remove_file(&path);
    }
}

/// The names of the files of a folder that end like this, in order.
fn files_of(folder: &Path, endings: &[&str]) -> Vec<String> {
    let ends = |path: &Path| {
        let ending = path.extension().and_then(|ending| ending.to_str());
        ending.is_some_and(|ending| endings.contains(&ending))
    };
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let files = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_file()));
    let named = files.filter(|entry| ends(&entry.path()));
    let mut names: Vec<String> = named
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect();
    names.sort();
    names
}

/// The content of a reply, unless it may still be being written.
fn settled(path: &Path) -> Option<Vec<u8>> {
    use std::io::Read as _;
    let file = std::fs::File::open(path).ok()?;
    let age = file
        .metadata()
        .ok()?
        .modified()
        .ok()?
        .elapsed()
        .unwrap_or_default();
    let mut text = Vec::new();
    file.take(LARGEST_REPLY as u64 + 1)
        .read_to_end(&mut text)
        .ok()?;
    let whole = Reply::read(&String::from_utf8_lossy(&text)).is_ok();
    (whole || age >= SETTLES).then_some(text)
}
