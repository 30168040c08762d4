//! Why a private server could not be made, and what to do about it.

use std::path::{Path, PathBuf};

use super::programs::ProgramMissing;

/// Why a private server could not be made.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    #[error(transparent)]
    Missing(#[from] ProgramMissing),
    #[error(
        "no PostgreSQL server of version {major} is installed, needed for a private server; \
         found: {found}. Install that version, or set STAGEGATE_PG_BINDIR to its folder"
    )]
    NoSuchMajor { major: u32, found: String },
    #[error("cannot {action} {}: {source}", path.display())]
    File {
        action: &'static str,
        path: PathBuf,
        source: std::io::Error,
    },
    #[error(
        "{} is not a safe place for a private server: {reason}. Remove it or name another folder",
        path.display()
    )]
    UnsafeRoot { path: PathBuf, reason: String },
    #[error(
        "a PostgreSQL server does not run as root, and there is neither a user 'postgres' nor \
         'nobody' to run it as. Run as an ordinary user"
    )]
    NoServerUser,
    #[error(
        "the server's user {user} may not pass through {}. Choose a folder whose parents others \
         may enter (mode 0711)",
        folder.display()
    )]
    FolderClosed { folder: PathBuf, user: String },
    #[error("cannot run {}: {source}", program.display())]
    Run {
        program: PathBuf,
        source: std::io::Error,
    },
    #[error("initdb failed: {output}")]
    Initdb { output: String },
    #[error("the private server did not start: {reason}. Its log ends with:\n{log_tail}")]
    Start { reason: String, log_tail: String },
}

impl ClusterError {
    /// Returns a mapper for an input/output error on `path`.
    pub(super) fn file(
        action: &'static str,
        path: &Path,
    ) -> impl FnOnce(std::io::Error) -> ClusterError {
        let path = path.to_owned();
        move |source| ClusterError::File {
            action,
            path,
            source,
        }
    }
}
