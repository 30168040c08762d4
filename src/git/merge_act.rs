//! The acting half of a merge: the commit, the push, what the remote says became of it, and only
//! then the branch here.

use std::path::Path;

use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use super::distance::revision;
use super::inspect::is_ancestor;
use super::merge::{MergePlan, MergeRequest, Step, survey};
use super::program::{Git, GitError};
use super::remote::{self, PushSaid};

/// What a merge did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MergeOutcome {
    /// The commit that the branch is at.
    pub commit: String,
    pub tree: String,
    /// False when there was nothing to do.
    pub changed: bool,
    /// What the remote's hooks said.
    pub words: Vec<String>,
    /// What did not go well and does no harm.
    pub notes: Vec<String>,
}

/// Why nothing was merged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MergeError {
    #[error("it is refused")]
    Refused(Vec<(String, String)>),
    #[error("{0} has moved since the plan was made")]
    Changed(&'static str),
    /// The remote has what it had.
    #[error("the push was refused: {reason}")]
    Rejected { reason: String, words: Vec<String> },
    /// The remote has something else now.
    #[error("the remote moved meanwhile, to {now}")]
    Moved { now: String },
    /// The remote could not be asked after the push.
    #[error("{0}")]
    Unknown(String),
    /// The branch here is not where it was.
    #[error("the branch here could not be moved: {0}")]
    NotMoved(String),
    #[error(transparent)]
    Git(#[from] GitError),
}

/// Carries out what [`super::merge::plan`] shows.
///
/// # Errors
/// Why nothing was merged, or that nobody can tell.
pub async fn merge(
    request: &MergeRequest,
    planned: &MergePlan,
    cancel: &CancellationToken,
) -> Result<MergeOutcome, MergeError> {
    let git = Git::find(&request.repository, &request.variables, cancel)?;
    let now = survey(&git, request).await?;
    if !now.refusals.is_empty() {
        return Err(MergeError::Refused(now.refusals));
    }
    for (same, what) in [
        (now.from == planned.from, "the branch that is merged"),
        (now.into == planned.into, "the branch that it goes into"),
        (now.remote == planned.remote, "the remote's branch"),
        (now.tree == planned.tree, "the result"),
    ] {
        if !same {
            return Err(MergeError::Changed(what));
        }
    }
    let mut outcome = MergeOutcome {
        commit: result(&git, request, &now).await?,
        tree: now.tree.clone(),
        changed: now.step != Step::Nothing,
        words: Vec::new(),
        notes: Vec::new(),
    };
    let pushes = matches!(now.step, Step::FastForward | Step::Merge);
    let pushed = match &request.push_to {
        Some(name) if pushes || now.remote.is_none() => {
            send(&git, request, name, &now, &mut outcome).await?;
            true
        }
        other => other.is_some(),
    };
    if outcome.commit != now.into {
        // What the remote took cannot be taken back; the branch here follows, whoever stops us.
        let moved = follow(&git.to_its_end(), request, &now, &outcome.commit).await;
        match moved {
            Ok(()) => {}
            Err(error) if pushed => outcome
                .notes
                .push(format!("`{}` here was not moved: {error}", request.into)),
            Err(error) => return Err(MergeError::NotMoved(error.to_string())),
        }
    }
    Ok(outcome)
}

/// The commit that the branch will be at. A merge commit is made as an object; no branch moves.
async fn result(git: &Git, request: &MergeRequest, now: &MergePlan) -> Result<String, GitError> {
    match now.step {
        Step::Nothing => Ok(now.into.clone()),
        Step::Follow => Ok(now.remote.clone().unwrap_or_default()),
        Step::FastForward => Ok(now.from.clone()),
        Step::Merge => {
            let mut arguments = vec!["-c", "user.useConfigOnly=true", "commit-tree"];
            if now.sign {
                arguments.push("-S");
            }
            arguments.extend([
                "-p",
                &now.into,
                "-p",
                &now.from,
                "-m",
                &request.message,
                &now.tree,
            ]);
            Ok(git.must(&arguments).await?.text())
        }
    }
}

/// Pushes, and asks the remote what became of it, whatever the push said.
async fn send(
    git: &Git,
    request: &MergeRequest,
    name: &str,
    now: &MergePlan,
    outcome: &mut MergeOutcome,
) -> Result<(), MergeError> {
    crate::system::fault::point("before_git_push");
    let old = now.remote.as_deref();
    let said = remote::push(git, name, &request.into, &outcome.commit, old).await;
    crate::system::fault::point("after_git_push");
    let git = git.to_its_end();
    let tip = remote::tip(&git, name, &request.into)
        .await
        .map_err(|error| MergeError::Unknown(error.to_string()))?;
    if tip.as_ref() == Some(&outcome.commit) {
        return landed(said, outcome);
    }
    if tip == now.remote {
        return Err(refused(said));
    }
    // Somebody else pushed: before ours, or on top of it.
    let now = tip.unwrap_or_default();
    if !now.is_empty() {
        let branch = format!("refs/heads/{}", request.into);
        let here = revision(&git, &now).await?.is_some();
        let here = here || remote::fetch(&git, name, &[&branch]).await.is_ok();
        if here && is_ancestor(&git, &outcome.commit, &now).await? {
            let note = format!("somebody has pushed on top of it: the remote is at {now}");
            outcome.notes.push(note);
            return landed(said, outcome);
        }
    }
    Err(MergeError::Moved { now })
}

fn landed(said: Result<PushSaid, GitError>, outcome: &mut MergeOutcome) -> Result<(), MergeError> {
    let failed = match said {
        Ok(said) => {
            outcome.words = said.words;
            said.failed
        }
        Err(error) => Some(error.to_string()),
    };
    if let Some(failed) = failed {
        outcome.notes.push(format!(
            "the push was reported as failed, and the remote has it: {failed}"
        ));
    }
    Ok(())
}

fn refused(said: Result<PushSaid, GitError>) -> MergeError {
    match said {
        Ok(said) => MergeError::Rejected {
            reason: said
                .reason
                .or(said.failed)
                .unwrap_or_else(|| "the push ended well, and the remote has not moved".to_owned()),
            words: said.words,
        },
        Err(error) => MergeError::Git(error),
    }
}

/// Moves the branch here, if it is where it was.
async fn follow(
    git: &Git,
    request: &MergeRequest,
    now: &MergePlan,
    commit: &str,
) -> Result<(), GitError> {
    if let Some(tree) = &now.checked_out {
        // The branch and the files move together, or neither does.
        let there = git.in_folder(Path::new(tree));
        there
            .must(&["merge", "--ff-only", "--quiet", "--no-autostash", commit])
            .await?;
        return Ok(());
    }
    let branch = format!("refs/heads/{}", request.into);
    let reason = format!("merge {}: by stagegate", request.from);
    git.must(&["update-ref", "-m", &reason, &branch, commit, &now.into])
        .await?;
    Ok(())
}
