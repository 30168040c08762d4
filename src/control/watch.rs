//! The watcher's side: reads a run's records where they are copied, and verifies each itself.

use std::time::Duration;

use super::address::bounded;
use super::folder::Folder;
use super::{Address, Trouble};
use crate::postgres::control::CHANNEL;
use crate::postgres::control_rows::{self, Line};
use crate::postgres::session::Session;
use crate::postgres::{PostgresError, control_inbox};
use crate::promotion::Journal;
use crate::untrusted::clean_line;

/// How many records are read at a time.
const BATCH: i64 = 256;

/// Where a watched run comes from.
pub enum Source {
    Schema(Box<Schema>),
    /// The run's folder on this machine.
    Folder(Folder),
}

/// What one look has found, besides records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    pub holder: String,
    /// How long ago the holder was seen; `None` where it is certainly gone.
    pub unseen: Option<Duration>,
    pub epoch: i64,
}

/// Why a look came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum LookError {
    #[error(transparent)]
    Trouble(#[from] Trouble),
    /// What is there is not what was seen before, or does not verify. It is never taken.
    #[error("{0}")]
    Differs(String),
    #[error("there is no run {0} here")]
    NoRun(String),
}

impl Source {
    /// Where it is, in words.
    pub fn describe(&self) -> String {
        match self {
            Source::Schema(schema) => schema.address.describe(),
            Source::Folder(folder) => folder.describe(),
        }
    }

    /// Reads what is new into the journal.
    ///
    /// # Errors
    /// Why nothing was read; what was read before stays as it is.
    pub async fn look(&mut self, journal: &mut Journal) -> Result<Seen, LookError> {
        match self {
            Source::Schema(schema) => {
                let looked = schema.look(journal).await;
                if matches!(looked, Err(LookError::Trouble(_))) {
                    schema.session = None;
                }
                looked
            }
            Source::Folder(folder) => folder.look(journal),
        }
    }

    /// Reads a document of the run, proven to be the one of that hash.
    pub async fn document(&mut self, part: &str, name: &str, sha256: &str) -> Option<Vec<u8>> {
        let content = match self {
            Source::Schema(schema) => schema.document(part, name, sha256).await.ok()??,
            Source::Folder(folder) => folder.document(part, name)?,
        };
        (crate::digest::digest(&content) == sha256).then_some(content)
    }

    /// Resolves when there may be something new; for ever where nobody says so.
    pub async fn stirred(&self) {
        match self {
            Source::Schema(schema) if schema.session.is_some() => {
                if let Some(session) = &schema.session {
                    tokio::select! {
                        () = session.notified() => {}
                        () = session.closed() => {}
                    }
                }
            }
            _ => std::future::pending().await,
        }
    }
}

/// A run in the control schema.
pub struct Schema {
    address: Address,
    run: String,
    session: Option<Session>,
}

impl Schema {
    /// A run of that name there.
    pub fn new(address: Address, run: &str) -> Schema {
        Schema {
            address,
            run: run.to_owned(),
            session: None,
        }
    }

    async fn session(&mut self) -> Result<&Session, Trouble> {
        let open = self.session.take().filter(|session| !session.is_closed());
        let session = match open {
            Some(session) => session,
            None => {
                let session = self.address.open(&format!("{} watch", self.run)).await?;
                let listen = format!("LISTEN {CHANNEL}");
                bounded("listening", session.rows(&listen)).await?;
                session
            }
        };
        Ok(self.session.insert(session))
    }

    async fn look(&mut self, journal: &mut Journal) -> Result<Seen, LookError> {
        let run = self.run.clone();
        let session = self.session().await?;
        let row = bounded("reading the run", control_rows::run(session, &run)).await?;
        let row = row.ok_or_else(|| LookError::NoRun(run.clone()))?;
        loop {
            let (ours, hash) = journal.last();
            let known = ours.checked_sub(1);
            // The last one that is known comes again, so that another history is noticed.
            let asked = control_rows::lines_after(session, &run, known.unwrap_or(0), BATCH);
            let lines = bounded("reading records", asked).await?;
            let fresh = match (known, lines.split_first()) {
                (None, _) => &lines[..],
                (Some(_), Some((first, rest))) if first.seq == ours && first.hash == hash => rest,
                (Some(_), found) => return Err(another(ours, hash, found.map(|(line, _)| line))),
            };
            for line in fresh {
                follow(journal, line)?;
            }
            if fresh.is_empty() {
                break;
            }
        }
        Ok(Seen {
            holder: clean_line(&row.holder),
            unseen: Some(row.unseen),
            epoch: row.epoch,
        })
    }

    async fn document(
        &mut self,
        part: &str,
        name: &str,
        sha256: &str,
    ) -> Result<Option<Vec<u8>>, Trouble> {
        let run = self.run.clone();
        let session = self.session().await?;
        let read = control_rows::content(session, &run, (part, name, sha256));
        bounded("reading a document", read).await
    }

    /// Puts something into the holder's inbox.
    ///
    /// # Errors
    /// Why it did not arrive.
    pub async fn hand_in(&mut self, kind: &str, sender: &str, text: &str) -> Result<i64, Trouble> {
        let run = self.run.clone();
        let session = self.session().await?;
        let handed = control_inbox::hand_in(session, &run, kind, (sender, text));
        bounded("handing in", handed).await
    }

    /// The answer to it, once there is one.
    ///
    /// # Errors
    /// Why nobody can tell.
    pub async fn answered(&mut self, id: i64) -> Result<Option<String>, Trouble> {
        let session = self.session().await?;
        let answered = control_inbox::answered(session, id);
        bounded("reading the answer", answered).await
    }
}

/// Adds a line that verifies and follows.
pub(super) fn follow(journal: &mut Journal, line: &Line) -> Result<(), LookError> {
    journal
        .follow(&line.bytes)
        .map_err(|damage| LookError::Differs(damage.to_string()))?;
    let (seq, hash) = journal.last();
    if seq == line.seq && hash == line.hash {
        return Ok(());
    }
    let reason = format!("record {seq} is not the one that its row names");
    Err(LookError::Differs(reason))
}

pub(super) fn another(seq: u64, hash: &str, found: Option<&Line>) -> LookError {
    let short = |hash: &str| hash.get(..12).unwrap_or_default().to_owned();
    let found = match found {
        Some(line) if line.seq == seq => format!("there it is {}", short(&line.hash)),
        _ => "there it is missing".to_owned(),
    };
    LookError::Differs(format!(
        "another history: record {seq} was seen here as {}, and {found}",
        short(hash)
    ))
}

/// Names the runs of a control schema, the newest first.
///
/// # Errors
/// Why nobody can tell.
pub async fn runs(address: &Address) -> Result<Vec<control_rows::RunRow>, Trouble> {
    let session = address.open("looks for runs").await?;
    bounded("reading the runs", control_rows::runs(&session)).await
}

/// What the control schema has seen of a run: number and hash of its last record.
///
/// # Errors
/// Why nobody can tell.
pub async fn witnessed(address: &Address, run: &str) -> Result<Option<(u64, String)>, Trouble> {
    let session = address.open(&format!("{run} witness")).await?;
    let row = bounded("reading the run", control_rows::run(&session, run)).await?;
    Ok(row.map(|row| (row.seq, row.hash)))
}

impl From<PostgresError> for LookError {
    fn from(error: PostgresError) -> LookError {
        LookError::Trouble(error.into())
    }
}
