//! Loads SQL files into a private throw-away server, to look at the schema that they make.
//!
//! Files run statement by statement in batches, without a transaction around them. Data are
//! skipped, roles are made as they are named, and what would leave the server is refused.

use std::ops::Range;

use super::cluster::{Cluster, ClusterError, ClusterOptions};
use super::environment::Environment;
use super::ledger::identifier;
use super::programs;
use super::scratch_check::{check, words};
use super::{Conninfo, DatabaseError, PostgresError, Session, SessionSettings};
use crate::sql::{Class, Places, Script};

/// As much as goes to the server at once: enough to hide the round trips, and little enough to be
/// run again in single statements when one of them fails.
const BATCH_STATEMENTS: usize = 400;
const BATCH_BYTES: usize = 256 * 1024;
/// More roles than this in one file are a mistake.
const MOST_ROLES: usize = 1000;
const UNDEFINED_OBJECT: &str = "42704";
const DUPLICATE_OBJECT: &str = "42710";
const DEFAULT_DATABASE: &str = "canonical";
const SUPERUSER: &str = "postgres";

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
        let admin = Session::open(&at(&cluster, SUPERUSER, SUPERUSER)?, &settings()).await?;
        let owner = options.owner.as_deref().unwrap_or(SUPERUSER);
        if owner != SUPERUSER {
            let sql = format!("CREATE ROLE {} SUPERUSER LOGIN", identifier(owner));
            admin.rows(&sql).await?;
        }
        let usual = ["postgres", "template0", "template1"];
        let database = options
            .database
            .as_deref()
            .filter(|name| !usual.contains(name))
            .unwrap_or(DEFAULT_DATABASE);
        let (quoted, owned) = (identifier(database), identifier(owner));
        admin
            .rows(&format!("CREATE DATABASE {quoted} OWNER {owned}"))
            .await?;
        admin.close().await;
        let info = at(&cluster, database, owner)?;
        Ok(Scratch {
            cluster,
            info,
            notes,
        })
    }

    /// Opens a session of the owner's.
    ///
    /// # Errors
    /// What the server says.
    pub async fn session(&self) -> Result<Session, PostgresError> {
        Session::open(&self.info, &settings()).await
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
        check(file, &script)?;
        let session = self.session().await?;
        let loader = Loader {
            session: &session,
            file,
            script: &script,
        };
        loader.load().await?;
        session.close().await;
        Ok(())
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

fn settings() -> SessionSettings {
    SessionSettings {
        application_name: "stagegate scratch".to_owned(),
        ..SessionSettings::default()
    }
}

fn at(cluster: &Cluster, database: &str, user: &str) -> Result<Conninfo, ScratchError> {
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

/// One file on its way into the server.
struct Loader<'a> {
    session: &'a Session,
    file: &'a str,
    script: &'a Script,
}

impl Loader<'_> {
    async fn load(&self) -> Result<(), ScratchError> {
        let mut roles = 0;
        for batch in self.batches() {
            loop {
                let text = self.text(&batch);
                match self.send(&text).await? {
                    Ok(()) => break,
                    // The whole batch was undone, so it can be run again as it is.
                    Err(error) if self.makes_role(&error, &mut roles).await? => {}
                    Err(_) => {
                        self.one_by_one(&batch, &mut roles).await?;
                        break;
                    }
                }
            }
        }
        Ok(())
    }

    /// Ranges of statements that run together. What must run alone is a batch of its own.
    fn batches(&self) -> Vec<Vec<usize>> {
        let mut batches: Vec<Vec<usize>> = Vec::new();
        let (mut bytes, mut open) = (0, false);
        for (index, statement) in self.script.statements.iter().enumerate() {
            let alone = match statement.class {
                Class::Transactional => false,
                Class::NonTransactional => true,
                // Data, output for nobody, and transactions around others.
                _ => continue,
            };
            let length = statement.span.len();
            let full = batches
                .last()
                .is_none_or(|batch| batch.len() >= BATCH_STATEMENTS || bytes >= BATCH_BYTES);
            if alone || !open || full {
                batches.push(Vec::new());
                bytes = 0;
            }
            open = !alone;
            bytes += length;
            if let Some(batch) = batches.last_mut() {
                batch.push(index);
            }
        }
        batches
    }

    fn text(&self, batch: &[usize]) -> String {
        let statements: Vec<&str> = batch
            .iter()
            .map(|index| self.script.statement(*index))
            .collect();
        statements.join(";\n")
    }

    /// Sends text; an error of the server's is an answer.
    async fn send(&self, text: &str) -> Result<Result<(), Box<DatabaseError>>, ScratchError> {
        match self.session.client.batch_execute(text).await {
            Ok(()) => Ok(Ok(())),
            Err(error) => match PostgresError::from(error) {
                PostgresError::Database(error) if !error.ends_session() => Ok(Err(error)),
                error => Err(ScratchError::Lost {
                    file: self.file.to_owned(),
                    error,
                }),
            },
        }
    }

    async fn one_by_one(&self, batch: &[usize], roles: &mut usize) -> Result<(), ScratchError> {
        for index in batch {
            let statement = self.script.statement(*index);
            loop {
                match self.send(statement).await? {
                    Ok(()) => break,
                    Err(error) if self.makes_role(&error, roles).await? => {}
                    Err(error) if is_of_no_weight(&error, statement) => break,
                    Err(error) => return Err(self.failed(*index, error)),
                }
            }
        }
        Ok(())
    }

    /// Makes the role whose absence is the error. Tells whether that was it.
    async fn makes_role(
        &self,
        error: &DatabaseError,
        roles: &mut usize,
    ) -> Result<bool, ScratchError> {
        let name = error
            .message
            .strip_prefix("role \"")
            .and_then(|rest| rest.strip_suffix("\" does not exist"));
        let Some(name) = name.filter(|_| error.sqlstate == UNDEFINED_OBJECT) else {
            return Ok(false);
        };
        *roles += 1;
        let made = self
            .send(&format!("CREATE ROLE {}", identifier(name)))
            .await?;
        Ok(made.is_ok() && *roles <= MOST_ROLES)
    }

    fn failed(&self, index: usize, error: Box<DatabaseError>) -> ScratchError {
        let span: Range<usize> = self
            .script
            .statements
            .get(index)
            .map_or(0..0, |statement| statement.span.clone());
        let statement = self.script.statement(index);
        let inside = error.position.map_or(0, |position| {
            let skip = (position as usize).saturating_sub(1);
            statement
                .char_indices()
                .nth(skip)
                .map_or(0, |(byte, _)| byte)
        });
        let (line, column) = Places::new(&self.script.text).of(span.start + inside);
        let emptied = self.script.text.contains("set_config('search_path', ''");
        let unfound = matches!(error.sqlstate.as_str(), "42P01" | "42883" | "42704");
        let because = if emptied && unfound && error.where_.is_some() {
            "; the dump empties search_path, and a function that runs here names something without \
             its schema: qualify the name in the function, or SET search_path on it"
        } else {
            ""
        };
        let one_line: Vec<&str> = statement.split_whitespace().collect();
        let cleaned = crate::untrusted::clean_line(&one_line.join(" "));
        ScratchError::Load {
            file: self.file.to_owned(),
            line,
            column,
            statement: crate::untrusted::clip(&cleaned, 200),
            because,
            error,
        }
    }
}

/// A setting that a newer dump makes and this version does not know, or a role that was made when
/// it was first named.
fn is_of_no_weight(error: &DatabaseError, statement: &str) -> bool {
    let words = words(statement);
    let word = |n: usize| words.get(n).map_or("", String::as_str);
    let unknown_setting = error.sqlstate == UNDEFINED_OBJECT
        && word(0) == "SET"
        && error
            .message
            .starts_with("unrecognized configuration parameter");
    let known_role = error.sqlstate == DUPLICATE_OBJECT
        && word(0) == "CREATE"
        && matches!(word(1), "ROLE" | "USER" | "GROUP");
    unknown_setting || known_role
}
