//! Reads the schema of a source.

use std::path::{Path, PathBuf};

use tokio_util::sync::CancellationToken;

use super::kept::Kept;
use super::settle;
use crate::git::program::{Git, GitError, PASSED_ON};
use crate::postgres::catalog::{self, CatalogError};
use crate::postgres::conninfo::{Conninfo, ConninfoError};
use crate::postgres::environment::Environment;
use crate::postgres::scratch::{Scratch, ScratchError, ScratchOptions};
use crate::postgres::{PostgresError, Session, SessionSettings};
use crate::schema::{Snapshot, SnapshotError, Source};

/// More than any schema.
const LARGEST_FILE: u64 = 256 * 1024 * 1024;

/// Where names of sources are resolved. It holds passwords, so that it has no `Debug`.
#[derive(Clone)]
pub struct Surroundings {
    pub environment: Environment,
    /// Where relative paths start, and the repository of `git:`.
    pub base: PathBuf,
    /// What `git` may need of the user's environment.
    pub variables: Vec<(String, String)>,
    /// Schemas of files that were loaded once are kept here; nowhere when absent.
    pub cache: Option<PathBuf>,
}

impl Surroundings {
    /// Takes those of a run: its addresses, its folder, and where this user's files are kept.
    pub(in crate::gate) fn of_run(environment: &Environment, base: &Path) -> Surroundings {
        let variable = |name: &&str| {
            let value = environment.variable(name)?;
            Some(((*name).to_owned(), value.to_owned()))
        };
        Surroundings {
            environment: environment.clone(),
            base: base.to_owned(),
            variables: PASSED_ON.iter().filter_map(variable).collect(),
            cache: cache(),
        }
    }

    /// Takes those of this process.
    pub fn of_process() -> Surroundings {
        Surroundings {
            environment: Environment::of_process(),
            base: std::env::current_dir().unwrap_or_default(),
            variables: std::env::vars_os()
                .filter_map(|(name, value)| {
                    Some((name.into_string().ok()?, value.into_string().ok()?))
                })
                .collect(),
            cache: cache(),
        }
    }
}

fn cache() -> Option<PathBuf> {
    let folders = directories::ProjectDirs::from("", "", "stagegate")?;
    Some(folders.cache_dir().join("schemas"))
}

/// A schema, and what is not as it was asked for.
#[derive(Debug, Clone)]
pub struct Loaded {
    pub snapshot: Snapshot,
    pub notes: Vec<String>,
    /// Tells whether files of SQL are all that it comes from.
    pub of_files: bool,
}

/// Why a schema cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    #[error("{path} cannot be read: {reason}")]
    File { path: String, reason: String },
    #[error("no SQL file lies in {0}")]
    Empty(String),
    #[error("{source_name}: {error}")]
    Snapshot {
        source_name: String,
        error: SnapshotError,
    },
    #[error("{0}")]
    Address(#[from] ConninfoError),
    #[error("{source_name}: {error}")]
    Git {
        source_name: String,
        error: GitError,
    },
    #[error("{source_name}: {error}")]
    Connect {
        source_name: String,
        error: PostgresError,
    },
    #[error("{source_name}: {error}")]
    Catalog {
        source_name: String,
        error: CatalogError,
    },
    #[error(transparent)]
    Scratch(#[from] ScratchError),
    #[error("it was canceled; nothing was changed")]
    Canceled,
}

impl LoadError {
    /// Tells whether the source is wrong as it is named, rather than what it holds.
    pub fn is_of_configuration(&self) -> bool {
        matches!(
            self,
            LoadError::File { .. }
                | LoadError::Empty(_)
                | LoadError::Snapshot { .. }
                | LoadError::Address(_)
        )
    }
}

/// Reads a source. Files are loaded into a server like the one that `like` comes from.
pub(super) async fn load(
    source: &Source,
    like: Option<&Snapshot>,
    surroundings: &Surroundings,
    cancel: &CancellationToken,
) -> Result<Loaded, LoadError> {
    let work = async {
        match source {
            Source::Database(address) => database(source, address, surroundings).await,
            Source::Snapshot(path) => snapshot(source, &surroundings.base.join(path)),
            _ => {
                let texts = texts(source, surroundings, cancel).await?;
                files(&texts, like, surroundings).await
            }
        }
    };
    tokio::select! {
        loaded = work => loaded,
        () = cancel.cancelled() => Err(LoadError::Canceled),
    }
}

/// The files of a source that has to be loaded.
async fn texts(
    source: &Source,
    surroundings: &Surroundings,
    cancel: &CancellationToken,
) -> Result<Vec<(String, String)>, LoadError> {
    Ok(match source {
        Source::File(path) => vec![(
            path.display().to_string(),
            read(&surroundings.base.join(path))?,
        )],
        Source::Git { revision, path } => {
            let text = blob(source, revision, path, surroundings, cancel).await?;
            vec![(source.to_string(), text)]
        }
        Source::Migrations(folder) => migrations(folder, &surroundings.base)?,
        Source::Database(_) | Source::Snapshot(_) => Vec::new(),
    })
}

/// Settles what may be only written differently, in a scratch server with the schema of the side
/// that is loaded from files. Where neither is, there is nothing to make a server from.
pub(super) async fn settled(
    sources: [&Source; 2],
    expected: &Loaded,
    actual: &mut Loaded,
    surroundings: &Surroundings,
    cancel: &CancellationToken,
) -> Result<(), LoadError> {
    let questions = settle::in_question(&expected.snapshot, &actual.snapshot);
    if questions.is_empty() {
        return Ok(());
    }
    let [one, other] = sources;
    let (source, options) = match (one.is_loaded(), other.is_loaded()) {
        (true, _) => (one, options(Some(&actual.snapshot))),
        (false, true) => (other, options(Some(&expected.snapshot))),
        (false, false) => {
            actual.notes.push(format!(
                "{} definitions differ as text; whether they mean the same can be told only when \
                 one side is a file of SQL, such as a dump",
                questions.len()
            ));
            return Ok(());
        }
    };
    let work = async {
        let texts = texts(source, surroundings, cancel).await?;
        let scratch = started(&texts, &options).await?;
        let session = scratch.session().await.map_err(ScratchError::from)?;
        settle::settle(&session, &expected.snapshot, actual, &questions).await;
        session.close().await;
        Ok(())
    };
    tokio::select! {
        done = work => done,
        () = cancel.cancelled() => Err(LoadError::Canceled),
    }
}

fn options(like: Option<&Snapshot>) -> ScratchOptions {
    ScratchOptions {
        major: like.map(Snapshot::major),
        database: like.map(|snapshot| snapshot.database.clone()),
        owner: like.map(|snapshot| snapshot.owner.clone()),
    }
}

async fn started(
    texts: &[(String, String)],
    options: &ScratchOptions,
) -> Result<Scratch, LoadError> {
    let scratch = Scratch::start(options).await?;
    for (name, text) in texts {
        scratch.load(name, text).await?;
    }
    Ok(scratch)
}

async fn database(
    source: &Source,
    address: &str,
    surroundings: &Surroundings,
) -> Result<Loaded, LoadError> {
    let info = Conninfo::resolve(address, &surroundings.environment)?;
    let settings = SessionSettings {
        application_name: "stagegate drift".to_owned(),
        read_only: true,
        ..SessionSettings::default()
    };
    let source_name = || source.to_string();
    let session = Session::open(&info, &settings)
        .await
        .map_err(|error| LoadError::Connect {
            source_name: source_name(),
            error,
        })?;
    let snapshot = catalog::read(&session)
        .await
        .map_err(|error| LoadError::Catalog {
            source_name: source_name(),
            error,
        })?;
    session.close().await;
    Ok(Loaded {
        snapshot,
        notes: Vec::new(),
        of_files: false,
    })
}

fn snapshot(source: &Source, path: &Path) -> Result<Loaded, LoadError> {
    let snapshot = Snapshot::from_json(&read(path)?).map_err(|error| LoadError::Snapshot {
        source_name: source.to_string(),
        error,
    })?;
    Ok(Loaded {
        snapshot,
        notes: Vec::new(),
        of_files: false,
    })
}

/// The bytes of the files that a source names; what is elsewhere has none.
pub(super) fn digest_of_files(source: &Source, base: &Path) -> Result<String, LoadError> {
    let texts = match source {
        Source::File(path) | Source::Snapshot(path) => {
            vec![(String::new(), read(&base.join(path))?)]
        }
        Source::Migrations(folder) => migrations(folder, base)?,
        Source::Database(_) | Source::Git { .. } => Vec::new(),
    };
    let digests: Vec<String> = texts
        .iter()
        .map(|(name, text)| format!("{name} {}", crate::digest::digest(text.as_bytes())))
        .collect();
    Ok(digests.join("\n"))
}

fn read(path: &Path) -> Result<String, LoadError> {
    let error = |reason: String| LoadError::File {
        path: path.display().to_string(),
        reason,
    };
    let size = std::fs::metadata(path)
        .map_err(|failure| error(failure.to_string()))?
        .len();
    if size > LARGEST_FILE {
        return Err(error(format!(
            "it has {size} bytes, of {LARGEST_FILE} at most"
        )));
    }
    std::fs::read_to_string(path).map_err(|failure| error(failure.to_string()))
}

async fn blob(
    source: &Source,
    revision: &str,
    path: &str,
    surroundings: &Surroundings,
    cancel: &CancellationToken,
) -> Result<String, LoadError> {
    let asked = async {
        let git = Git::find(&surroundings.base, &surroundings.variables, cancel)?;
        git.must(&["cat-file", "blob", &format!("{revision}:{path}")])
            .await
    };
    let answer = asked.await.map_err(|error| LoadError::Git {
        source_name: source.to_string(),
        error,
    })?;
    String::from_utf8(answer.out).map_err(|error| LoadError::File {
        path: source.to_string(),
        reason: error.to_string(),
    })
}

/// The files of a folder in the order of their names; those that go back are not among them.
fn migrations(folder: &Path, base: &Path) -> Result<Vec<(String, String)>, LoadError> {
    let place = base.join(folder);
    let error = |failure: std::io::Error| LoadError::File {
        path: place.display().to_string(),
        reason: failure.to_string(),
    };
    let mut names: Vec<String> = Vec::new();
    for entry in std::fs::read_dir(&place).map_err(error)? {
        let name = entry.map_err(error)?.file_name();
        let name = name.to_string_lossy().into_owned();
        if name.ends_with(".sql") && !name.ends_with(".down.sql") {
            names.push(name);
        }
    }
    if names.is_empty() {
        return Err(LoadError::Empty(folder.display().to_string()));
    }
    names.sort();
    names
        .into_iter()
        .map(|name| {
            let text = read(&place.join(&name))?;
            Ok((folder.join(name).display().to_string(), text))
        })
        .collect()
}

async fn files(
    texts: &[(String, String)],
    like: Option<&Snapshot>,
    surroundings: &Surroundings,
) -> Result<Loaded, LoadError> {
    let kept = surroundings
        .cache
        .as_deref()
        .and_then(|folder| Kept::place(folder, texts, &options(like)));
    if let Some(snapshot) = kept.as_ref().and_then(Kept::read) {
        return Ok(Loaded {
            snapshot,
            notes: Vec::new(),
            of_files: true,
        });
    }
    let scratch = started(texts, &options(like)).await?;
    let session = scratch.session().await.map_err(ScratchError::from)?;
    let snapshot = catalog::read(&session)
        .await
        .map_err(|error| LoadError::Catalog {
            source_name: "the scratch server".to_owned(),
            error,
        })?;
    session.close().await;
    if let Some(kept) = kept.filter(|_| scratch.notes.is_empty()) {
        kept.write(&snapshot);
    }
    Ok(Loaded {
        snapshot,
        notes: scratch.notes.clone(),
        of_files: true,
    })
}
