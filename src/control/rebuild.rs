//! Makes a run's folder of what the control schema holds, for whoever takes the conn elsewhere.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use super::address::bounded;
use super::documents::{RUNBOOK, is_plain};
use super::tail::JOURNAL;
use super::watch::{LookError, follow};
use crate::digest::digest;
use crate::postgres::control_rows;
use crate::postgres::session::Session;
use crate::promotion::{Journal, Run};
use crate::system::durable::{make_private_folder, open_private, sync_folder, write_whole};
use crate::untrusted::clean_line;

/// How many records are read at a time.
const BATCH: i64 = 256;

/// Why a folder could not be made.
#[derive(Debug, thiserror::Error)]
pub enum RebuildError {
    #[error(transparent)]
    Look(#[from] LookError),
    #[error("{path}: {source}")]
    Io {
        path: String,
        #[source]
        source: io::Error,
    },
    #[error("run {0} is open on this machine already")]
    Open(String),
    #[error("{0}")]
    Lacks(String),
}

/// What was made.
#[derive(Debug)]
pub struct Rebuilt {
    pub run: Box<Run>,
    /// Where the folder went that told another history.
    pub set_aside: Option<PathBuf>,
}

/// Reads a run from the control schema, verifies all of it, and makes its folder of it. The journal
/// is written last: what is half made is no run.
///
/// # Errors
/// Why it could not be made; a folder that is open here, or was there before, is as it was.
pub async fn rebuild(session: &Session, run: &str, runs: &Path) -> Result<Rebuilt, RebuildError> {
    let (journal, bytes) = read_journal(session, run).await?;
    let lacks = || RebuildError::Lacks(format!("the control schema holds no record of run {run}"));
    let folded = Run::fold(&journal.records).ok_or_else(lacks)?;
    if folded.id != run || run.contains('/') || run.starts_with('.') {
        return Err(RebuildError::Lacks(format!(
            "the records are of run {}, not of {run}",
            clean_line(&folded.id)
        )));
    }
    let documents = read_documents(session, run).await?;
    let runbook = documents.get(&(RUNBOOK.0.to_owned(), RUNBOOK.1.to_owned()));
    if runbook.is_none_or(|text| digest(text) != folded.definition.runbook_digest) {
        return Err(RebuildError::Lacks(format!(
            "the control schema does not hold the runbook of run {run}"
        )));
    }
    let folder = runs.join(run);
    let run = Box::new(folded);
    let made = tokio::task::spawn_blocking(move || write(&folder, &bytes, &documents));
    let set_aside = made.await.map_err(|_| {
        RebuildError::Lacks("making the folder ended in a defect of this program".to_owned())
    })??;
    Ok(Rebuilt { run, set_aside })
}

async fn read_journal(session: &Session, run: &str) -> Result<(Journal, Vec<u8>), LookError> {
    let mut journal = Journal::empty();
    let mut bytes = Vec::new();
    loop {
        let last = journal.last().0;
        let asked = control_rows::lines_after(session, run, last, BATCH);
        let lines = bounded("reading records", asked).await?;
        for line in &lines {
            follow(&mut journal, line)?;
            bytes.extend_from_slice(&line.bytes);
            bytes.push(b'\n');
        }
        if lines.is_empty() {
            return Ok((journal, bytes));
        }
    }
}

type Contents = BTreeMap<(String, String), Vec<u8>>;

/// The newest of each name, proven by its hash.
async fn read_documents(session: &Session, run: &str) -> Result<Contents, LookError> {
    let mut contents = Contents::new();
    let named = bounded("reading documents", control_rows::documents(session, run)).await?;
    let newest: BTreeMap<(String, String), String> = named
        .into_iter()
        .filter(|(part, name, _)| is_plain(part, name))
        .map(|(part, name, sha256)| ((part, name), sha256))
        .collect();
    for ((part, name), sha256) in newest {
        let asked = control_rows::content(session, run, (&part, &name, &sha256));
        let content = bounded("reading a document", asked)
            .await?
            .unwrap_or_default();
        if digest(&content) != sha256 {
            return Err(LookError::Differs(format!(
                "{} is not what its row names",
                clean_line(&name)
            )));
        }
        contents.insert((part, name), content);
    }
    Ok(contents)
}

fn write(
    folder: &Path,
    journal: &[u8],
    documents: &Contents,
) -> Result<Option<PathBuf>, RebuildError> {
    let failed = |path: &Path| {
        let path = path.display().to_string();
        move |source| RebuildError::Io { path, source }
    };
    let path = folder.join(JOURNAL);
    let mut set_aside = None;
    // Held until the end, so that nobody opens what is being made.
    let mut lock = None;
    let mut there = 0;
    if let Ok(file) = File::open(&path) {
        let open = |_| RebuildError::Open(name_of(folder));
        file.try_lock().map_err(open)?;
        let here = fs::read(&path).map_err(failed(&path))?;
        if journal.starts_with(&here) {
            lock = Some(file);
            there = here.len();
        } else {
            let stamp = jiff::Timestamp::now().strftime("%Y%m%d-%H%M%S");
            // Inside a folder of its own, it is no run that could be gone on with.
            let superseded = folder.with_file_name(".superseded");
            make_private_folder(&superseded).map_err(failed(&superseded))?;
            let aside = superseded.join(format!("{}-{stamp}", name_of(folder)));
            fs::rename(folder, &aside).map_err(failed(folder))?;
            set_aside = Some(aside);
        }
    }
    let parent = folder.parent().unwrap_or(Path::new("/"));
    make_private_folder(parent).map_err(failed(parent))?;
    make_private_folder(folder).map_err(failed(folder))?;
    for ((part, name), content) in documents {
        let part = folder.join(part);
        make_private_folder(&part).map_err(failed(&part))?;
        let path = part.join(name);
        write_whole(&path, content).map_err(failed(&path))?;
    }
    let mut file = open_private(&path).map_err(failed(&path))?;
    // What is there already stays: it is what the journal begins with.
    let written = file.write_all(&journal[there..]).and_then(|()| {
        file.sync_all()?;
        sync_folder(folder)?;
        sync_folder(parent)
    });
    written.map_err(failed(&path))?;
    drop(lock);
    Ok(set_aside)
}

fn name_of(folder: &Path) -> String {
    let name = folder.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}
