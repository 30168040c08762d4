//! What a gate observed, as it is stored in the run's folder.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::watched::Watched;
use crate::expectation::{Answer, ErrorSeen, FileSeen, Finding, ProcessSeen, QueryExpectation};
use crate::postgres::dump::Manifest;
use crate::postgres::trace::StatementTrace;
use crate::promotion::Resolution;

/// What a gate observed. The verdict can be computed from it again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Evidence {
    Query {
        target: String,
        server: String,
        role: Option<String>,
        sql: String,
        expect: QueryExpectation,
        answer: Answer,
        duration_ms: u64,
    },
    Exec {
        argv: Vec<String>,
        seen: ProcessSeen,
        duration_ms: u64,
    },
    File {
        path: String,
        seen: FileSeen,
    },
    /// Metrics that were looked at for a while, and the flag of a ramp.
    Watched {
        target: String,
        server: String,
        watched: Box<Watched>,
    },
    Backup {
        target: String,
        server: String,
        manifest: Manifest,
    },
    Migrate {
        target: String,
        server: String,
        /// The session's settings as the server read them back.
        settings: Vec<(String, String)>,
        files: Vec<AppliedFile>,
        /// What the files made of the schema; absent where that was not recorded.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        made: Option<Box<super::Made>>,
    },
    Restore {
        target: String,
        server: String,
        /// The archive.
        backup: String,
        mode: String,
        /// What the database of before is called now.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        kept: Option<String>,
        tables: u64,
        rows: u64,
        /// Where its rows differ from the backup's.
        differences: Vec<String>,
        ended_sessions: u64,
        /// What did not go well and does the data no harm.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        warnings: Vec<String>,
        duration_ms: u64,
    },
    Commit {
        repository: String,
        branch: String,
        message: String,
        /// The commit that has the content.
        commit: String,
        /// False when the branch had it before.
        changed: bool,
        author: String,
        files: Vec<crate::git::commit::PlannedFile>,
    },
    Git {
        repository: String,
        /// The hash over where the repository stood.
        inputs: String,
        #[serde(flatten)]
        seen: Box<super::GitSeen>,
    },
    Merge {
        repository: String,
        from: String,
        into: String,
        /// Where it was pushed to.
        remote: Option<String>,
        done: crate::git::merge_act::MergeOutcome,
        planned: Box<crate::git::merge::MergePlan>,
    },
    Lint {
        /// The hash of everything that was read.
        inputs: String,
        #[serde(flatten)]
        seen: super::LintSeen,
    },
    Drift {
        target: String,
        server: String,
        /// The hash of everything that was read but the target itself.
        inputs: String,
        #[serde(flatten)]
        seen: Box<super::DriftSeen>,
    },
    Change {
        target: String,
        server: String,
        /// The hash of the reviewed file.
        inputs: String,
        #[serde(flatten)]
        seen: Box<super::ChangeSeen>,
    },
    SchemaVersion {
        target: String,
        server: String,
        #[serde(flatten)]
        seen: super::SchemaVersionSeen,
    },
    RecoveryPoint {
        target: String,
        server: String,
        #[serde(flatten)]
        seen: super::RecoverySeen,
    },
    Rehearse {
        /// The target whose gates were rehearsed, elsewhere.
        target: String,
        /// The hash of the files that were rehearsed.
        inputs: String,
        #[serde(flatten)]
        rehearsed: Box<super::rehearse::Rehearsed>,
    },
    Clone {
        target: String,
        /// The server that answers for it since.
        server: String,
        #[serde(flatten)]
        cloned: Box<super::Cloned>,
    },
    Alembic {
        target: String,
        server: String,
        /// The hash of the project's history.
        inputs: String,
        #[serde(flatten)]
        seen: Box<super::AlembicSeen>,
    },
    Tool {
        target: String,
        server: String,
        #[serde(flatten)]
        seen: Box<super::ToolSeen>,
    },
}

impl Evidence {
    /// The hash of the files that were judged, for a gate that reads files when it runs.
    pub fn inputs(&self) -> Option<&str> {
        match self {
            Evidence::Lint { inputs, .. }
            | Evidence::Git { inputs, .. }
            | Evidence::Drift { inputs, .. }
            | Evidence::Rehearse { inputs, .. }
            | Evidence::Alembic { inputs, .. }
            | Evidence::Change { inputs, .. } => Some(inputs),
            _ => None,
        }
    }

    /// The target and the server that answered for it, as [`crate::postgres::Identity::describe`]
    /// names it.
    pub fn server(&self) -> Option<(&str, &str)> {
        match self {
            Evidence::Query { target, server, .. }
            | Evidence::Watched { target, server, .. }
            | Evidence::Backup { target, server, .. }
            | Evidence::Restore { target, server, .. }
            | Evidence::Migrate { target, server, .. }
            | Evidence::Drift { target, server, .. }
            | Evidence::Change { target, server, .. }
            | Evidence::SchemaVersion { target, server, .. }
            | Evidence::Clone { target, server, .. }
            | Evidence::Alembic { target, server, .. }
            | Evidence::Tool { target, server, .. }
            | Evidence::RecoveryPoint { target, server, .. } => Some((target, server)),
            Evidence::Exec { .. } | Evidence::File { .. } => None,
            Evidence::Commit { .. } | Evidence::Lint { .. } => None,
            Evidence::Git { .. } | Evidence::Merge { .. } | Evidence::Rehearse { .. } => None,
        }
    }
}

/// What became of one file of a migrate gate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppliedFile {
    pub file: String,
    pub checksum: String,
    pub nonce: String,
    pub statements: usize,
    pub state: FileState,
    pub duration_ms: u64,
    pub attempts: u32,
    /// The statement that failed, with its place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<ErrorSeen>,
    /// It is committed, and no standby has confirmed that.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unconfirmed: bool,
    /// What each statement did to its surroundings, where that was traced.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub traces: Vec<TracedStatement>,
}

/// What one statement of a rehearsed file did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TracedStatement {
    /// In the file, from 1.
    pub line: usize,
    /// Its beginning, on one line.
    pub statement: String,
    #[serde(flatten)]
    pub trace: StatementTrace,
}

impl TracedStatement {
    /// The locks that stop others and the tables that were written anew, a line each.
    pub fn words(&self) -> Vec<String> {
        let strong = |mode: &str| match mode {
            "AccessExclusiveLock" => Some("nobody may read or write"),
            "ExclusiveLock" | "ShareRowExclusiveLock" | "ShareLock" => Some("nobody may write"),
            _ => None,
        };
        let line = self.line;
        let mut strongest: BTreeMap<&str, &str> = BTreeMap::new();
        for lock in &self.trace.locks {
            let Some(stops) = strong(&lock.mode) else {
                continue;
            };
            let held = strongest.entry(&lock.relation).or_insert(stops);
            if stops.len() > held.len() {
                *held = stops;
            }
        }
        let locks = strongest
            .into_iter()
            .map(|(relation, stops)| format!("line {line}: {stops} {relation} until it commits"));
        let rewrites = self.trace.rewrites.iter();
        let rewrites =
            rewrites.map(|rewrite| format!("line {line}: wrote {} anew", rewrite.relation));
        locks.chain(rewrites).collect()
    }
}

/// Whether a file's changes are in the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FileState {
    /// It was there before this attempt.
    AlreadyApplied,
    Applied,
    RolledBack,
    Unknown,
    NotStarted,
}

/// How an attempt at a gate ended.
#[derive(Debug, Clone)]
pub struct Outcome {
    pub finding: Finding,
    pub evidence: Option<Evidence>,
    pub captures: BTreeMap<String, String>,
    /// It stopped because it was asked to, and nothing is half done.
    pub canceled: bool,
    /// An answer was lost, and the world could not be asked yet.
    pub lost: bool,
    /// Another operator holds the target.
    pub held: bool,
}

impl Outcome {
    /// An outcome with a finding and nothing else.
    pub fn of(finding: Finding) -> Outcome {
        Outcome {
            finding,
            evidence: None,
            captures: BTreeMap::new(),
            canceled: false,
            lost: false,
            held: false,
        }
    }

    /// An outcome that could not be measured.
    pub fn errored(summary: impl Into<String>) -> Outcome {
        Outcome::of(Finding::errored(summary))
    }

    /// Adds the evidence.
    #[must_use]
    pub fn with(mut self, evidence: Evidence) -> Outcome {
        self.evidence = Some(evidence);
        self
    }

    /// An outcome of work that stopped because it was asked to.
    pub fn canceled(summary: impl Into<String>) -> Outcome {
        let mut outcome =
            Outcome::of(Finding::inconclusive(summary).can("retry this gate when you are ready"));
        outcome.canceled = true;
        outcome
    }
}

/// What asking the world gave.
#[derive(Debug, Clone)]
pub struct Reconciled {
    /// `None`: the world could not be asked; the gate stays in doubt.
    pub resolution: Option<Resolution>,
    pub finding: Finding,
    pub evidence: Option<Evidence>,
}

impl Reconciled {
    /// The gate only looked, so nothing can be half done.
    pub fn nothing_happened() -> Reconciled {
        Reconciled {
            resolution: Some(Resolution::Pending),
            finding: Finding::inconclusive("it only looks; it can be started again")
                .can("press Enter to start it again"),
            evidence: None,
        }
    }
}
