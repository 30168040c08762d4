//! Follows a run through its folder, on the machine that holds it.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;

use super::tail::Tail;
use super::watch::{LookError, Seen, another, follow};
use super::{Trouble, documents};
use crate::postgres::PostgresError;
use crate::promotion::Journal;
use crate::untrusted::clean_line;

/// How many records are read at a time.
const BATCH: usize = 256;

/// A run's folder that somebody else writes.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    tail: Tail,
}

/// Who writes the journal, as the folder says.
#[derive(Deserialize)]
struct Owner {
    host: String,
    pid: i32,
}

impl Folder {
    /// The folder of a run.
    pub fn new(path: &Path) -> Folder {
        Folder {
            path: path.to_owned(),
            tail: Tail::of(path),
        }
    }

    pub(super) fn describe(&self) -> String {
        clean_line(&self.path.display().to_string())
    }

    pub(super) fn look(&mut self, journal: &mut Journal) -> Result<Seen, LookError> {
        loop {
            let (ours, hash) = journal.last();
            if ours > 0 {
                let there = self.tail.after(ours - 1, 1).map_err(unreadable)?;
                if there.first().is_none_or(|line| line.hash != hash) {
                    return Err(another(ours, hash, there.first()));
                }
            }
            let fresh = self.tail.after(ours, BATCH).map_err(unreadable)?;
            for line in &fresh {
                follow(journal, line)?;
            }
            if fresh.is_empty() {
                break;
            }
        }
        let owner = fs::read(self.path.join("owner.json"))
            .ok()
            .and_then(|bytes| serde_json::from_slice::<Owner>(&bytes).ok());
        // The journal says who has the conn; the folder, on which machine.
        let (holder, alive) = match &owner {
            Some(owner) => (format!("@{}", owner.host), lives(owner.pid)),
            None => (String::new(), false),
        };
        Ok(Seen {
            holder: clean_line(&holder),
            unseen: alive.then_some(Duration::ZERO),
            epoch: 0,
        })
    }

    pub(super) fn document(&self, part: &str, name: &str) -> Option<Vec<u8>> {
        if !documents::is_plain(part, name) {
            return None;
        }
        fs::read(self.path.join(part).join(name)).ok()
    }
}

/// Tells whether a process of this machine is there, whoever's it is.
fn lives(pid: i32) -> bool {
    let Some(pid) = rustix::process::Pid::from_raw(pid) else {
        return false;
    };
    !matches!(
        rustix::process::test_kill_process(pid),
        Err(rustix::io::Errno::SRCH)
    )
}

#[allow(clippy::needless_pass_by_value)] // It is mapped over.
fn unreadable(error: std::io::Error) -> LookError {
    LookError::Trouble(Trouble::Postgres(PostgresError::Protocol {
        reason: format!("the journal cannot be read: {error}"),
    }))
}
