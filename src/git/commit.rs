//! A commit of exactly the files that were named, with exactly the content that was given.
//!
//! Nothing else of the work tree or of the index is touched: what was staged stays staged, what was
//! edited stays edited. Doing it twice does it once: content that the branch has already is not
//! committed again, and content that was written but not committed, because somebody died in
//! between, is committed now.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use similar::TextDiff;
use tokio_util::sync::CancellationToken;

use super::act::{make, put_all_back, verify, write_all};
use super::program::{Git, GitError};
use super::standing::{self, FileStanding, content_at};
use crate::digest::digest;

/// A file larger than this is no policy and no flag, in bytes.
pub const LARGEST: usize = 100 * 1024;

/// What is to be committed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommitRequest {
    /// The repository's top folder.
    pub repository: PathBuf,
    /// The branch that must be checked out.
    pub branch: String,
    pub message: String,
    pub files: Vec<CommitFile>,
    /// The user's variables; only those that git may need are handed to it.
    pub variables: Vec<(String, String)>,
}

/// A file and what must stand in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommitFile {
    /// Relative to the repository's top folder.
    pub path: String,
    pub content: String,
}

/// What a commit would do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommitPlan {
    pub branch: String,
    /// The commit that the branch is at.
    pub head: String,
    /// Name and address, as git will write them.
    pub author: String,
    pub files: Vec<PlannedFile>,
}

/// What would become of one file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedFile {
    pub path: String,
    pub state: FileState,
    /// SHA-256 of what the work tree has; `None` when there is no such file.
    pub seen: Option<String>,
    /// SHA-256 of what it will have.
    pub sha256: String,
    /// From the branch's content to the new one, as unified text.
    pub diff: String,
}

/// How far a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FileState {
    /// The branch has this content.
    Committed,
    /// The work tree has it, the branch does not.
    Written,
    ToWrite,
}

impl CommitPlan {
    /// Tells whether there is anything to commit.
    pub fn changes(&self) -> bool {
        let done = |file: &PlannedFile| file.state == FileState::Committed;
        !self.files.iter().all(done)
    }
}

/// What a commit did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommitOutcome {
    /// The commit that has the content.
    pub commit: String,
    /// False when the branch had the content already.
    pub changed: bool,
}

/// Why nothing was committed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CommitError {
    /// The repository or a file is in no state for it; nothing was touched.
    #[error("{0}")]
    Refused(String),
    /// Somebody changed a file after the plan was made; nothing was touched.
    #[error("`{0}` is not what it was when the plan was made; nothing was written")]
    Changed(String),
    #[error("cannot {action} `{path}`: {said}")]
    File {
        action: &'static str,
        path: String,
        said: String,
    },
    /// Git refused the commit; the files are as they were.
    #[error("{said}")]
    NotCommitted { said: String, put_back: bool },
    /// There is a commit, and it is not what was asked for.
    #[error("the commit {commit} is not what was planned: {said}")]
    Other { commit: String, said: String },
    #[error(transparent)]
    Git(#[from] GitError),
}

/// Works out what a commit would do. Reads, and changes nothing.
///
/// # Errors
/// Why it may not be done.
pub async fn plan(
    request: &CommitRequest,
    cancel: &CancellationToken,
) -> Result<CommitPlan, CommitError> {
    Ok(survey(request, cancel).await?.plan)
}

/// Asks whether the branch has the content, and in which commit.
///
/// # Errors
/// When git cannot be asked.
pub async fn committed(
    request: &CommitRequest,
    cancel: &CancellationToken,
) -> Result<Option<String>, CommitError> {
    let git = Git::find(&request.repository, &request.variables, cancel)?;
    let branch = format!("refs/heads/{}", request.branch);
    for file in &request.files {
        let content = content_at(&git, &branch, &file.path).await?;
        if content.as_deref() != Some(file.content.as_bytes()) {
            return Ok(None);
        }
    }
    Ok(Some(last_commit(&git, request, &branch).await?))
}

/// Commits what `plan` shows.
///
/// # Errors
/// Why nothing was committed, or that what was committed is something else.
pub async fn commit(
    request: &CommitRequest,
    plan: &CommitPlan,
    cancel: &CancellationToken,
) -> Result<CommitOutcome, CommitError> {
    let mut now = survey(request, cancel).await?;
    let planned = |path: &str| plan.files.iter().find(|file| file.path == path);
    for file in &now.plan.files {
        let as_planned = planned(&file.path).is_some_and(|p| {
            p.sha256 == file.sha256 && (p.seen == file.seen || file.state != FileState::ToWrite)
        });
        if !as_planned {
            return Err(CommitError::Changed(file.path.clone()));
        }
    }
    if !now.plan.changes() {
        let commit = last_commit(&now.git, request, "HEAD").await?;
        return Ok(CommitOutcome {
            commit,
            changed: false,
        });
    }
    write_all(request, &now)?;
    crate::system::fault::point("before_git_commit");
    let said = make(&now, request).await;
    crate::system::fault::point("after_git_commit");
    // Whatever git said, or whoever stopped it: what the branch has now is what counts.
    now.git = now.git.to_its_end();
    let head = now.git.must(&["rev-parse", "HEAD"]).await?.text();
    if head == now.plan.head {
        let put_back = put_all_back(&now).await;
        if let (Err(GitError::Canceled(what)), true) = (&said, put_back) {
            return Err(GitError::Canceled(what.clone()).into());
        }
        return Err(CommitError::NotCommitted {
            said: said.err().map_or_else(
                || "git ended well, but the branch has not moved".to_owned(),
                |error| error.to_string(),
            ),
            put_back,
        });
    }
    verify(&now, request, &head).await?;
    Ok(CommitOutcome {
        commit: head,
        changed: true,
    })
}

/// Everything that is known before something is written.
pub(super) struct Survey {
    pub(super) git: Git,
    pub(super) plan: CommitPlan,
    pub(super) files: Vec<FileStanding>,
}

async fn survey(
    request: &CommitRequest,
    cancel: &CancellationToken,
) -> Result<Survey, CommitError> {
    if !request.repository.is_dir() {
        return Err(CommitError::Refused(format!(
            "there is no folder {}",
            request.repository.display()
        )));
    }
    let git = Git::find(&request.repository, &request.variables, cancel)?;
    let repository = standing::look(&git, &request.repository, &request.branch).await?;
    let mut files = Vec::new();
    let mut planned = Vec::new();
    for file in &request.files {
        let found = standing::file(&git, &request.repository, &repository.head, &file.path).await?;
        planned.push(plan_file(file, &found)?);
        files.push(found);
    }
    Ok(Survey {
        plan: CommitPlan {
            branch: request.branch.clone(),
            head: repository.head,
            author: repository.author,
            files: planned,
        },
        git,
        files,
    })
}

fn plan_file(file: &CommitFile, found: &FileStanding) -> Result<PlannedFile, CommitError> {
    let wanted = file.content.as_bytes();
    if wanted.len() > LARGEST {
        return Err(CommitError::Refused(format!(
            "`{}` would be larger than {LARGEST} bytes",
            file.path
        )));
    }
    let written = found.written.as_deref() == Some(wanted);
    let state = match found.committed.as_deref() == Some(wanted) {
        true if !found.dirty || written => FileState::Committed,
        false if written => FileState::Written,
        // Somebody's work would be written over, and nobody could bring it back.
        _ if found.dirty => {
            return Err(CommitError::Refused(format!(
                "`{}` has changes that are not committed; commit, stash or discard them first",
                file.path
            )));
        }
        _ => FileState::ToWrite,
    };
    if state == FileState::Committed && found.staged {
        return Err(CommitError::Refused(format!(
            "something else is staged for `{}`; commit or unstage it first",
            file.path
        )));
    }
    Ok(PlannedFile {
        path: file.path.clone(),
        state,
        seen: found.seen(),
        sha256: digest(wanted),
        diff: diff(&file.path, found.committed.as_deref(), &file.content),
    })
}

/// The difference as unified text.
fn diff(path: &str, before: Option<&[u8]>, after: &str) -> String {
    let from = before.map_or_else(|| "/dev/null".to_owned(), |_| format!("a/{path}"));
    let before = String::from_utf8_lossy(before.unwrap_or_default());
    TextDiff::from_lines(before.as_ref(), after)
        .unified_diff()
        .header(&from, &format!("b/{path}"))
        .to_string()
}

/// The newest commit that changed one of the files.
async fn last_commit(
    git: &Git,
    request: &CommitRequest,
    from: &str,
) -> Result<String, CommitError> {
    let mut arguments = vec!["log", "-1", "--format=%H", from, "--"];
    arguments.extend(request.files.iter().map(|file| file.path.as_str()));
    Ok(git.must(&arguments).await?.text())
}
