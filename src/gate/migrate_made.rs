//! What migrations make of a schema: read before and after, and after each file while that is cheap.
//!
//! It reads in a session of its own. That something could not be read is a note in the evidence: a
//! migration neither fails nor waits because of it.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::drift::{DriftOptions, DriftSeen, export_snapshot};
use super::{Context, Targets};
use crate::postgres::Session;
use crate::postgres::catalog;
use crate::postgres::session::SessionSettings;
use crate::schema::{self, Snapshot};
use crate::untrusted::clean_line;

/// Reading that takes longer than this is not done after each file.
const CHEAP: Duration = Duration::from_millis(250);
/// With more files than this it is not done after each of them.
const MOST_FILES: usize = 20;
/// A server that does not answer for this long is not waited for, and is not asked again.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long leaving in good order may take.
const FAREWELL: Duration = Duration::from_secs(2);

/// What one attempt made of the schema.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Made {
    /// Before is what was expected, after is what is there: what was added is `added`.
    #[serde(flatten)]
    pub seen: DriftSeen,
    /// What each file made, in words; empty when that was not looked at.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<MadeByFile>,
    /// Why something is not known.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// What one file made of the schema.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MadeByFile {
    pub file: String,
    pub changes: Vec<String>,
}

/// Looks at the schema while files are applied.
pub(super) struct Recorder<'a> {
    context: &'a Context,
    options: DriftOptions,
    /// None once it has not answered: it must hold nothing that the next file wants.
    session: Option<Session>,
    before: Snapshot,
    last: Snapshot,
    each_file: bool,
    files: Vec<MadeByFile>,
    exported: Vec<String>,
    notes: Vec<String>,
}

impl<'a> Recorder<'a> {
    /// Reads the schema before the first file.
    ///
    /// # Errors
    /// Why it cannot be known, in words.
    pub(super) async fn begin(
        target: &str,
        pending: usize,
        context: &'a Context,
    ) -> Result<Recorder<'a>, String> {
        let opened = open(&context.targets, target, &context.gate.id);
        let opened = tokio::time::timeout(PATIENCE, opened).await;
        let mut session = Some(opened.map_err(|_| no_answer())??);
        let started = Instant::now();
        let before = read(&mut session).await?;
        let cheap = started.elapsed() <= CHEAP && pending <= MOST_FILES;
        let exported = vec![export_snapshot(context, "before", &before)?];
        Ok(Recorder {
            context,
            options: DriftOptions::default(),
            session,
            last: before.clone(),
            before,
            each_file: cheap,
            files: Vec::new(),
            exported,
            notes: Vec::new(),
        })
    }

    /// Says what a file that has just committed made.
    pub(super) async fn committed(&mut self, file: &str) {
        if !self.each_file {
            return;
        }
        let started = Instant::now();
        match read(&mut self.session).await {
            Ok(now) => {
                let made = self.options.compare(&self.last, &now);
                let changes: Vec<String> = made.differences.iter().map(change_words).collect();
                for change in &changes {
                    self.context.feed.say(format!("  made: {change}"));
                }
                self.files.push(MadeByFile {
                    file: file.to_owned(),
                    changes,
                });
                self.last = now;
                self.each_file = started.elapsed() <= CHEAP;
            }
            Err(reason) => {
                self.each_file = false;
                self.notes.push(format!("not read after {file}: {reason}"));
            }
        }
    }

    /// Reads the schema after the last file and says what all of them made.
    pub(super) async fn finish(mut self) -> Made {
        let after = match read(&mut self.session).await {
            Ok(after) => {
                match export_snapshot(self.context, "after", &after) {
                    Ok(name) => self.exported.push(name),
                    Err(reason) => self.notes.push(reason),
                }
                after
            }
            Err(reason) => {
                let last = self.files.last().map(|made| made.file.as_str());
                let known = last.map_or("the beginning".to_owned(), |file| format!("after {file}"));
                let note = format!("not read at the end: {reason}; what is shown is up to {known}");
                self.notes.push(note);
                self.last.clone()
            }
        };
        if let Some(session) = self.session.take() {
            let _ = tokio::time::timeout(FAREWELL, session.close()).await;
        }
        let seen = DriftSeen {
            expected: "the schema before".to_owned(),
            expected_checksum: self.options.checksum(&self.before),
            actual_checksum: self.options.checksum(&after),
            objects: [self.before.objects.len(), after.objects.len()],
            comparison: self.options.compare(&self.before, &after),
            allowed: Vec::new(),
            exported: self.exported,
            history: Vec::new(),
            version: None,
        };
        Made {
            seen,
            files: self.files,
            notes: self.notes,
        }
    }
}

/// A difference as something that was made.
pub fn change_words(difference: &schema::Difference) -> String {
    let (word, kind) = (difference.change.word(), difference.kind);
    let property = difference
        .property
        .as_ref()
        .map_or(String::new(), |property| format!(", {property}"));
    clean_line(&format!("{word} {kind} {}{property}", difference.name))
}

async fn open(targets: &Targets, target: &str, gate: &str) -> Result<Session, String> {
    let settings = SessionSettings {
        read_only: true,
        ..SessionSettings::default()
    };
    let opened = targets.open(target, gate, settings).await;
    opened
        .map(|(session, _)| session)
        .map_err(|error| clean_line(&error.to_string()))
}

/// Reads the schema. A session that does not answer is given up: its statement is canceled and its
/// connection dropped.
async fn read(session: &mut Option<Session>) -> Result<Snapshot, String> {
    let Some(open) = session.as_ref() else {
        return Err("the session was given up".to_owned());
    };
    let read = tokio::time::timeout(PATIENCE, catalog::read(open)).await;
    let error = match read {
        Ok(Ok(snapshot)) => return Ok(snapshot),
        Ok(Err(error)) => clean_line(&error.to_string()),
        Err(_) => {
            let _ = tokio::time::timeout(FAREWELL, open.canceller().cancel()).await;
            no_answer()
        }
    };
    *session = None;
    Err(error)
}

fn no_answer() -> String {
    format!("no answer for {} s", PATIENCE.as_secs())
}
