//! Reads the schema of a source.

use std::path::{Path, PathBuf};

use tokio_util::sync::CancellationToken;

use super::kept::Kept;
use super::settle;
use super::texts::{read, texts};
use crate::git::program::{GitError, PASSED_ON};
use crate::postgres::catalog::{self, CatalogError};
use crate::postgres::conninfo::{Conninfo, ConninfoError};
use crate::postgres::environment::Environment;
use crate::postgres::scratch::{Scratch, ScratchError, ScratchOptions};
use crate::postgres::{PostgresError, Session, SessionSettings};
use crate::schema::{Snapshot, SnapshotError, Source};

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
    #[error("there is no schema `{0}` on either side")]
    NoSchema(String),
    #[error("it was canceled; nothing was changed")]
    Canceled,
}

impl LoadError {
    /// Tells whether somebody holds a lock that nothing can be read past.
    pub fn is_locked(&self) -> bool {
        matches!(
            self,
            LoadError::Catalog {
                error: CatalogError::Locked { .. },
                ..
            }
        )
    }

    /// Tells whether the source is wrong as it is named, rather than what it holds.
    pub fn is_of_configuration(&self) -> bool {
        matches!(
            self,
            LoadError::File { .. }
                | LoadError::Empty(_)
                | LoadError::Snapshot { .. }
                | LoadError::NoSchema(_)
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
            Source::Database(address) => {
                let session = open(source, address, surroundings).await?;
                schema_of(session, source).await
            }
            Source::Snapshot(path) => snapshot(source, &surroundings.base.join(path)),
            _ => {
                let texts = texts(source, surroundings, cancel).await?;
                let mut loaded = files(&texts, like, surroundings).await?;
                loaded.notes.extend(unread_folders(source, surroundings));
                Ok(loaded)
            }
        }
    };
    tokio::select! {
        loaded = work => loaded,
        () = cancel.cancelled() => Err(LoadError::Canceled),
    }
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
        let session = scratch.session_without_rights().await;
        let session = session.map_err(ScratchError::from)?;
        settle::settle(&session, &expected.snapshot, actual, &questions).await;
        session.close().await;
        Ok(())
    };
    tokio::select! {
        done = work => done,
        () = cancel.cancelled() => Err(LoadError::Canceled),
    }
}

/// Says which folders in a folder of migrations hold files that are not read.
fn unread_folders(source: &Source, surroundings: &Surroundings) -> Option<String> {
    let Source::Migrations(folder) = source else {
        return None;
    };
    let holds_sql = |path: &Path| {
        let entries = std::fs::read_dir(path).ok();
        let mut names = entries.into_iter().flatten().flatten();
        names.any(|entry| entry.path().extension().is_some_and(|e| e == "sql"))
    };
    let entries = std::fs::read_dir(surroundings.base.join(folder)).ok()?;
    let mut names: Vec<String> = entries
        .flatten()
        .filter(|entry| holds_sql(&entry.path()))
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    (!names.is_empty()).then(|| {
        format!(
            "folders in {} are not read: {}",
            folder.display(),
            names.join(", ")
        )
    })
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

/// Loads files while the database that they are compared with is read: neither needs more of the
/// other than its version and its names.
pub(super) async fn beside(
    files_of: &Source,
    database: (&Source, &str),
    surroundings: &Surroundings,
    cancel: &CancellationToken,
) -> Result<(Loaded, Loaded), LoadError> {
    let work = async {
        let (source, address) = database;
        let session = open(source, address, surroundings).await?;
        let like = catalog::about(&session).await;
        let like = like.map_err(|error| unreadable(source, error.into()))?;
        let texts = texts(files_of, surroundings, cancel).await?;
        let loaded = files(&texts, Some(&like), surroundings);
        let (mut one, other) = tokio::try_join!(loaded, schema_of(session, source))?;
        one.notes.extend(unread_folders(files_of, surroundings));
        Ok((one, other))
    };
    tokio::select! {
        both = work => both,
        () = cancel.cancelled() => Err(LoadError::Canceled),
    }
}

async fn open(
    source: &Source,
    address: &str,
    surroundings: &Surroundings,
) -> Result<Session, LoadError> {
    let info = Conninfo::resolve(address, &surroundings.environment)?;
    let settings = SessionSettings {
        application_name: "stagegate drift".to_owned(),
        read_only: true,
        ..SessionSettings::default()
    };
    let opened = Session::open(&info, &settings).await;
    opened.map_err(|error| LoadError::Connect {
        source_name: source.to_string(),
        error,
    })
}

fn unreadable(source: &Source, error: CatalogError) -> LoadError {
    LoadError::Catalog {
        source_name: source.to_string(),
        error,
    }
}

async fn schema_of(session: Session, source: &Source) -> Result<Loaded, LoadError> {
    let snapshot = catalog::read(&session).await;
    let snapshot = snapshot.map_err(|error| unreadable(source, error))?;
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

async fn files(
    texts: &[(String, String)],
    like: Option<&Snapshot>,
    surroundings: &Surroundings,
) -> Result<Loaded, LoadError> {
    let kept = surroundings
        .cache
        .as_deref()
        .and_then(|folder| Kept::place(folder, texts, &options(like)));
    if let Some(snapshot) = Kept::read_aside(kept.clone()).await {
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
