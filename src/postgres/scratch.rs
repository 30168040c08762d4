//! Loads SQL files into a private throw-away server, to look at the schema that they make.
//!
//! Files run statement by statement in batches, without a transaction around them. Data are
//! skipped, roles are made as they are named, and what would leave the server is refused.

use std::sync::atomic::{AtomicBool, Ordering};

use super::cluster::{Cluster, ClusterError, ClusterOptions};
use super::environment::Environment;
use super::ledger::identifier;
use super::programs;
use super::scratch_check::check;
use super::scratch_load::Loader;
use super::scratch_rights::Rights;
use super::{Conninfo, DatabaseError, PostgresError, Session, SessionSettings};
use crate::sql::Script;

const DEFAULT_DATABASE: &str = "canonical";
const DEFAULT_OWNER: &str = "postgres";

/// What the scratch server stands in for.
#[derive(Debug, Clone, Default)]
pub struct ScratchOptions {
    /// The server's major version; the newest installed by default.
    pub major: Option<u32>,
    pub database: Option<String>,
    /// Owns what a file gives no owner.
    pub owner: Option<String>,
}

/// A private server with one database.
#[derive(Debug)]
pub struct Scratch {
    cluster: Cluster,
    info: Conninfo,
    pub(super) rights: Rights,
    /// Code of a user's has run, or may run with whatever runs next: from then on the owner is no
    /// superuser.
    pub(super) coded: AtomicBool,
    /// What fires on everything that is made fires on what would be made for it, too.
    pub(super) watched: AtomicBool,
    /// And nothing keeps it from that.
    pub(super) always: AtomicBool,
    /// What is not as it was asked for.
    pub notes: Vec<String>,
}

/// Why a file could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum ScratchError {
    #[error("{file}:{line}: {message}; {help}")]
    Refused {
        file: String,
        line: usize,
        message: String,
        help: String,
    },
    #[error("{file}:{line}:{column}: {error}{because}\n    {statement}")]
    Load {
        file: String,
        line: usize,
        column: usize,
        statement: String,
        because: &'static str,
        error: Box<DatabaseError>,
    },
    #[error("{file}: {error}")]
    Lost { file: String, error: PostgresError },
    #[error("the private server cannot be used: {0}")]
    Cluster(#[from] ClusterError),
    #[error("the private server cannot be used: {0}")]
    Server(#[from] PostgresError),
    #[error("the private server cannot be used: {0}")]
    Other(String),
}

impl Scratch {
    /// Starts a server of the version asked for, or of the nearest one, with an empty database.
    ///
    /// # Errors
    /// Why there is none.
    pub async fn start(options: &ScratchOptions) -> Result<Scratch, ScratchError> {
        let mut notes = Vec::new();
        let major = options.major.and_then(|wanted| nearest(wanted, &mut notes));
        let cluster_options = ClusterOptions {
            major: major.or(options.major),
            ..ClusterOptions::default()
        };
        let started = tokio::task::spawn_blocking(move || Cluster::start(&cluster_options));
        let cluster = started
            .await
            .map_err(|error| ScratchError::Other(error.to_string()))??;
        let owner = options.owner.as_deref().unwrap_or(DEFAULT_OWNER);
        let rights = Rights::of(&cluster, owner).await?;
        let usual = ["postgres", "template0", "template1"];
        let database = options
            .database
            .as_deref()
            .filter(|name| !usual.contains(name))
            .unwrap_or(DEFAULT_DATABASE);
        let (quoted, owned) = (identifier(database), identifier(owner));
        rights
            .run(&format!("CREATE DATABASE {quoted} OWNER {owned}"))
            .await?;
        let info = at(&cluster, database, owner)?;
        Ok(Scratch {
            cluster,
            info,
            rights,
            coded: AtomicBool::new(false),
            watched: AtomicBool::new(false),
            always: AtomicBool::new(false),
            notes,
        })
    }

    /// Opens a session of the owner's, who may then read everything.
    ///
    /// # Errors
    /// What the server says.
    pub async fn session(&self) -> Result<Session, PostgresError> {
        self.rights.demote().await?;
        let session = Session::open(&self.info, &settings()).await?;
        self.rights.promote().await?;
        Ok(session)
    }

    /// Opens a session of the owner's, who is no superuser any more and acts as every other role:
    /// for text that comes from elsewhere. Nothing of the schema's fires in it.
    ///
    /// # Errors
    /// What the server says.
    pub async fn session_without_rights(&self) -> Result<Session, PostgresError> {
        self.rights.demote().await?;
        self.rights.still().await?;
        self.rights.lend().await?;
        let session = Session::open(&self.info, &settings()).await?;
        // Before version 15 the schema that comes with every database is nobody's here.
        self.rights.promote().await?;
        let may_create = "GRANT USAGE, CREATE ON SCHEMA public TO CURRENT_USER";
        let granted = session.client.batch_execute(may_create).await;
        self.rights.demote().await?;
        drop(granted);
        Ok(session)
    }

    /// The version that runs.
    pub fn major(&self) -> u32 {
        self.cluster.version().major
    }

    /// Loads a file. Its settings end with it.
    ///
    /// # Errors
    /// The statement that is refused, with its line, and why.
    pub async fn load(&self, file: &str, text: &str) -> Result<(), ScratchError> {
        let script = Script::read(text);
        let manners = check(file, &script)?;
        let session = self.session().await?;
        if self.coded.load(Ordering::Relaxed) {
            self.without_rights().await?;
        }
        let loader = Loader {
            scratch: self,
            session: &session,
            file,
            script: &script,
            manners: &manners,
        };
        loader.load().await?;
        session.close().await;
        self.rights.take_back().await?;
        Ok(())
    }

    pub(super) async fn without_rights(&self) -> Result<(), PostgresError> {
        self.rights.demote().await?;
        self.rights.lend().await
    }
}

/// The version of the server program that a scratch server would run, without starting it.
pub fn planned_version(options: &ScratchOptions) -> Option<programs::ProgramVersion> {
    let major = options
        .major
        .and_then(|wanted| nearest(wanted, &mut Vec::new()));
    programs::find_all("postgres")
        .into_iter()
        .find(|program| major.is_none_or(|major| program.version.major == major))
        .map(|program| program.version)
}

pub(super) fn settings() -> SessionSettings {
    SessionSettings {
        application_name: "stagegate scratch".to_owned(),
        ..SessionSettings::default()
    }
}

pub(super) fn at(cluster: &Cluster, database: &str, user: &str) -> Result<Conninfo, ScratchError> {
    Conninfo::resolve(&cluster.url(database, user), &Environment::default())
        .map_err(|error| ScratchError::Other(error.to_string()))
}

/// The version that comes nearest: the next newer one, which reads older definitions, or else the
/// newest there is.
fn nearest(wanted: u32, notes: &mut Vec<String>) -> Option<u32> {
    let mut majors: Vec<u32> = programs::find_all("postgres")
        .iter()
        .map(|program| program.version.major)
        .collect();
    majors.sort_unstable();
    let found = majors
        .iter()
        .find(|major| **major >= wanted)
        .or(majors.last())
        .copied()?;
    if found != wanted {
        notes.push(format!(
            "PostgreSQL {wanted} is not installed here; files were loaded into PostgreSQL {found}"
        ));
    }
    Some(found)
}
