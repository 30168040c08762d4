//! Why a sample world could not be made, broken or mended.

use std::path::{Path, PathBuf};

use crate::postgres::PostgresError;
use crate::postgres::cluster::ClusterError;

/// Why a sample world could not be made, broken or mended.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    #[error("there is no sample world '{name}'; there is: {known}")]
    UnknownWorld { name: String, known: String },
    #[error("the sample world '{world}' has no fault '{name}'; it has: {known}")]
    UnknownFault {
        world: &'static str,
        name: String,
        known: String,
    },
    #[error(transparent)]
    Cluster(Box<ClusterError>),
    #[error("cannot {action} {}: {source}", path.display())]
    File {
        action: &'static str,
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("cannot run git: {source}. The sample repository needs it; install git")]
    GitMissing { source: std::io::Error },
    #[error("git {action} failed in the sample repository: {output}")]
    Git { action: String, output: String },
    #[error("{script}{} failed in {database}: {source}", at_line(*line))]
    Sql {
        script: String,
        database: String,
        line: Option<usize>,
        source: Box<PostgresError>,
    },
    #[error(
        "{database} is still in use by {sessions} sessions; the copy for staging needs it alone"
    )]
    StillInUse { database: String, sessions: i64 },
    /// The program was built without a file that it needs; no world can cause it.
    #[error("the sample world's file {0} is not part of this program; build it again")]
    NotEmbedded(String),
    #[error("a part of the making of the sample world ended early: {0}")]
    Interrupted(String),
}

impl From<ClusterError> for DemoError {
    fn from(error: ClusterError) -> Self {
        Self::Cluster(Box::new(error))
    }
}

impl DemoError {
    /// Returns a mapper for an input/output error on `path`.
    pub(super) fn file(
        action: &'static str,
        path: &Path,
    ) -> impl FnOnce(std::io::Error) -> DemoError {
        let path = path.to_owned();
        move |source| DemoError::File {
            action,
            path,
            source,
        }
    }
}

fn at_line(line: Option<usize>) -> String {
    line.map(|line| format!(" (line {line})"))
        .unwrap_or_default()
}
