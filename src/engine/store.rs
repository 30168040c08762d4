//! A run's folder: its journal, its own copy of the runbook, plans, evidence and output.

use std::fs::{self, File, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::digest::digest;
use crate::promotion::{Actor, Event, Journal, JournalDamage, Record, Run, Tail};
use crate::system::durable::{make_private_folder, open_private, sync_folder, write_whole};
use crate::system::{fault, host_name, user_name};

const JOURNAL: &str = "journal.jsonl";
const RUNBOOK: &str = "runbook.toml";
const OWNER: &str = "owner.json";
/// The folders inside a run's own.
const PARTS: [&str; 6] = [
    "plans", "evidence", "outputs", "samples", "messages", "given",
];
/// How the files begin that hold a password for a client program while it runs.
const PASSFILE_PREFIX: &str = ".passfile-";

/// Why a run's folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("{path}: {source}")]
    Io {
        path: String,
        #[source]
        source: io::Error,
    },
    #[error("{path}: {source}")]
    Damaged {
        path: String,
        #[source]
        source: JournalDamage,
    },
    #[error("{path}: the journal holds no run")]
    Empty { path: String },
    #[error("run {run} is open elsewhere: {owner}")]
    Locked { run: String, owner: String },
    #[error("there is no run {run} in {folder}")]
    NoSuchRun { run: String, folder: String },
    #[error("{path} is not the runbook that the run was opened with; its digest differs")]
    RunbookChanged { path: String },
}

/// Who writes a journal.
#[derive(Debug, Serialize, Deserialize)]
struct Owner {
    user: String,
    host: String,
    pid: u32,
    since: String,
}

/// The open folder of a run. Holding it is the right to write its journal.
pub struct Store {
    folder: PathBuf,
    journal: Journaled,
    /// What was written is on the disk; until then nothing may be started.
    settled: bool,
    last: (u64, String),
}

/// Where the records are.
enum Journaled {
    In(File),
    /// The run's folder is not there yet; this is what belongs into it.
    Unmade {
        runbook: Vec<u8>,
        lines: Vec<u8>,
    },
}

/// What opening a folder gives.
pub struct Opened {
    pub store: Store,
    pub records: Vec<Arc<Record>>,
    /// How many bytes a crash had left of an unfinished record.
    pub torn_bytes: usize,
}

/// A run as a list shows it.
#[derive(Debug, Clone)]
pub struct Listed {
    pub folder: PathBuf,
    pub run: Result<Box<Run>, String>,
    pub name: String,
}

impl Store {
    /// A new run, of which nothing is on the disk yet: see [`Store::make`].
    pub fn new(runs: &Path, run: &str, runbook: &[u8]) -> Store {
        Store {
            folder: runs.join(run),
            journal: Journaled::Unmade {
                runbook: runbook.to_vec(),
                lines: Vec::new(),
            },
            settled: false,
            last: (0, crate::promotion::GENESIS.to_owned()),
        }
    }

    /// Makes the folder of a new run, with its own copy of the runbook and what was appended until
    /// now. Does nothing for a run whose folder is there.
    ///
    /// # Errors
    /// When the folder cannot be made or written.
    pub fn make(&mut self) -> Result<(), StoreError> {
        let Journaled::Unmade { runbook, lines } = &self.journal else {
            return Ok(());
        };
        let folder = &self.folder;
        let make = |path: &Path| make_private_folder(path).map_err(|e| io_error(path, e));
        make(folder.parent().unwrap_or(Path::new("/")))?;
        make(folder)?;
        write_private(&folder.join(RUNBOOK), runbook).map_err(|e| io_error(folder, e))?;
        let path = folder.join(JOURNAL);
        let mut journal = open_private(&path).map_err(|e| io_error(&path, e))?;
        let run = folder.file_name().unwrap_or_default().to_string_lossy();
        lock(&journal, folder, &run)?;
        journal.write_all(lines).map_err(|e| io_error(&path, e))?;
        self.journal = Journaled::In(journal);
        fault::point("after_make");
        Ok(())
    }

    /// Opens the folder of a run to go on with it: locks it, verifies the journal, cuts off what a
    /// crash left unfinished.
    ///
    /// # Errors
    /// When somebody else writes it, or when it is damaged.
    pub fn open(runs: &Path, run: &str) -> Result<Opened, StoreError> {
        let folder = runs.join(run);
        let path = folder.join(JOURNAL);
        if !path.is_file() {
            let folder = runs.display().to_string();
            return Err(StoreError::NoSuchRun {
                run: run.to_owned(),
                folder,
            });
        }
        let mut journal = open_private(&path).map_err(|e| io_error(&path, e))?;
        lock(&journal, &folder, run)?;
        remove_passfiles(&folder);
        let mut bytes = Vec::new();
        journal
            .read_to_end(&mut bytes)
            .map_err(|e| io_error(&path, e))?;
        let read = Journal::read(&bytes).map_err(|source| StoreError::Damaged {
            path: path.display().to_string(),
            source,
        })?;
        let torn_bytes =
            mend_tail(&folder, &mut journal, &bytes, &read).map_err(|e| io_error(&path, e))?;
        let (seq, hash) = read.last();
        let last = (seq, hash.to_owned());
        if read.records.is_empty() {
            return Err(StoreError::Empty {
                path: path.display().to_string(),
            });
        }
        let store = Store {
            folder,
            journal: Journaled::In(journal),
            settled: false,
            last,
        };
        Ok(Opened {
            store,
            records: read.records,
            torn_bytes,
        })
    }

    /// The folder itself.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Sequence number and hash of the last record.
    pub fn last(&self) -> (u64, &str) {
        (self.last.0, &self.last.1)
    }

    /// Makes what else the folder holds and puts all of it on the disk; from then on every append is
    /// synced. The first frame need not wait for this, but nothing may be started before it.
    ///
    /// # Errors
    /// When it may not be durable.
    pub fn settle(&mut self) -> io::Result<()> {
        say_owner(&self.folder)?;
        for part in PARTS {
            make_private_folder(&self.folder.join(part))?;
        }
        File::open(self.folder.join(RUNBOOK))?.sync_all()?;
        if let Journaled::In(journal) = &self.journal {
            journal.sync_all()?;
        }
        sync_folder(&self.folder)?;
        sync_folder(self.folder.parent().unwrap_or(Path::new("/")))?;
        self.settled = true;
        Ok(())
    }

    /// Appends events as records, in one write, and syncs them once the store is settled. Work may
    /// start only after that.
    ///
    /// # Errors
    /// When the records may not be durable. The journal must not be written again then: what a
    /// failed sync left on the disk is not known.
    pub fn append(
        &mut self,
        events: Vec<(Actor, Event)>,
        time: jiff::Timestamp,
    ) -> io::Result<Vec<Arc<Record>>> {
        let mut records = Vec::with_capacity(events.len());
        let mut bytes = Vec::new();
        let mut last = self.last.clone();
        for (actor, event) in events {
            let (record, line) = Record::after((last.0, &last.1), time, &actor, event)?;
            last = (record.seq, record.hash.clone());
            bytes.extend_from_slice(&line);
            records.push(Arc::new(record));
        }
        fault::point("before_append");
        match &mut self.journal {
            Journaled::In(journal) => journal.write_all(&bytes)?,
            Journaled::Unmade { lines, .. } => lines.extend_from_slice(&bytes),
        }
        fault::point("after_append_before_sync");
        if let Journaled::In(journal) = &self.journal
            && self.settled
        {
            journal.sync_data()?;
        }
        fault::point("after_append");
        self.last = last;
        Ok(records)
    }

    /// Reads the run's own copy of the runbook and proves that it is the one it was opened with.
    ///
    /// # Errors
    /// When it cannot be read, or is another one.
    pub fn runbook(&self, wanted: &str) -> Result<String, StoreError> {
        let path = self.folder.join(RUNBOOK);
        let text = fs::read_to_string(&path).map_err(|e| io_error(&path, e))?;
        if digest(text.as_bytes()) != wanted {
            return Err(StoreError::RunbookChanged {
                path: path.display().to_string(),
            });
        }
        Ok(text)
    }

    /// Stores a document of the run and returns its hash.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn put(&self, part: &str, name: &str, content: &[u8]) -> io::Result<String> {
        write_whole(&self.folder.join(part).join(name), content)?;
        Ok(digest(content))
    }
}

/// Where the runs of this user are, unless told otherwise.
pub fn default_runs_folder() -> Option<PathBuf> {
    let folders = directories::ProjectDirs::from("", "", "stagegate")?;
    let state = folders
        .state_dir()
        .unwrap_or_else(|| folders.data_local_dir());
    Some(state.join("runs"))
}

/// Reads a run's journal without locking it, for those who only look.
///
/// # Errors
/// When it cannot be read, or is damaged.
pub fn read_only(folder: &Path) -> Result<(Run, Vec<Arc<Record>>), StoreError> {
    let path = folder.join(JOURNAL);
    let bytes = fs::read(&path).map_err(|e| io_error(&path, e))?;
    let shown = || path.display().to_string();
    let read = Journal::read(&bytes).map_err(|source| StoreError::Damaged {
        path: shown(),
        source,
    })?;
    let run = Run::fold(&read.records).ok_or_else(|| StoreError::Empty { path: shown() })?;
    Ok((run, read.records))
}

/// Lists the runs of a folder, the newest first.
pub fn list(runs: &Path) -> Vec<Listed> {
    let mut listed: Vec<Listed> = fs::read_dir(runs)
        .into_iter()
        .flatten()
        .flatten()
        .filter(|entry| entry.path().join(JOURNAL).is_file())
        .map(|entry| Listed {
            folder: entry.path(),
            name: entry.file_name().to_string_lossy().into_owned(),
            run: read_only(&entry.path())
                .map(|(run, _)| Box::new(run))
                .map_err(|error| error.to_string()),
        })
        .collect();
    // The names begin with the time of opening.
    listed.sort_by(|a, b| b.name.cmp(&a.name));
    listed
}

fn lock(journal: &File, folder: &Path, run: &str) -> Result<(), StoreError> {
    let path = folder.join(OWNER);
    match journal.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let owner = fs::read(&path)
                .ok()
                .and_then(|bytes| serde_json::from_slice::<Owner>(&bytes).ok());
            let owner = owner.map_or_else(
                || "by a process that has not said who it is".to_owned(),
                |o| {
                    format!(
                        "by {} on {}, process {}, since {}",
                        o.user, o.host, o.pid, o.since
                    )
                },
            );
            return Err(StoreError::Locked {
                run: run.to_owned(),
                owner,
            });
        }
        Err(TryLockError::Error(error)) => return Err(io_error(&path, error)),
    }
    Ok(())
}

/// Leaves word of who writes here, for whoever finds the journal locked.
fn say_owner(folder: &Path) -> io::Result<()> {
    let owner = Owner {
        user: user_name(),
        host: host_name(),
        pid: std::process::id(),
        since: jiff::Timestamp::now()
            .strftime("%Y-%m-%d %H:%M:%SZ")
            .to_string(),
    };
    write_private(&folder.join(OWNER), &serde_json::to_vec(&owner)?)
}

/// Writes a file for the owner alone. It is synced later, or need not be.
fn write_private(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut file = open_private(path)?;
    file.set_len(0)?;
    file.write_all(content)
}

/// Removes passwords that a crash left in files for client programs.
fn remove_passfiles(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry
            .file_name()
            .to_string_lossy()
            .starts_with(PASSFILE_PREFIX)
        {
            let _ = fs::remove_file(entry.path());
        }
    }
}

fn mend_tail(folder: &Path, journal: &mut File, bytes: &[u8], read: &Journal) -> io::Result<usize> {
    match read.tail {
        Tail::Clean => Ok(0),
        Tail::MissingLineFeed => {
            journal.write_all(b"\n")?;
            journal.sync_data()?;
            Ok(0)
        }
        Tail::Torn(count) => {
            // Kept beside the journal: it says what was about to happen when the crash came.
            let name = format!("journal.{}.torn", read.valid_bytes);
            write_whole(&folder.join(name), &bytes[read.valid_bytes..])?;
            journal.set_len(read.valid_bytes as u64)?;
            journal.sync_all()?;
            Ok(count)
        }
    }
}

fn io_error(path: &Path, source: io::Error) -> StoreError {
    StoreError::Io {
        path: path.display().to_string(),
        source,
    }
}
