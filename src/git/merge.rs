//! One branch into another: what it would bring, whether it may, and the tree that it would have.
//!
//! The result is made as objects that no branch leads to; no work tree is touched. It is pushed
//! before the local branch moves, so that a push that is refused leaves nothing changed here.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use super::distance::{CommitLine, between, revision};
use super::inspect::is_ancestor;
use super::merge_tree::{result_tree, reviewed};
use super::program::{Git, GitError};
use super::remote;
use super::state::{Names, Worktree, all_worktrees};
use super::status::{Reader, STATUS};
use crate::untrusted::clean_line;

/// What is to be merged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MergeRequest {
    pub repository: PathBuf,
    pub from: String,
    pub into: String,
    /// Only if it needs no merge commit.
    pub fast_forward: bool,
    pub message: String,
    /// The remote that it is pushed to.
    pub push_to: Option<String>,
    /// The revision whose tree the result must have.
    pub reviewed: Option<String>,
    /// The user's variables; only those that git may need are handed to it.
    pub variables: Vec<(String, String)>,
}

/// What has to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// It is merged, here and on the remote.
    Nothing,
    /// The remote has it; only the branch here is not there yet.
    Follow,
    FastForward,
    Merge,
}

/// What a merge would do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MergePlan {
    pub step: Step,
    /// Where `from` is.
    pub from: String,
    /// Where `into` is here.
    pub into: String,
    /// Where `into` is on the remote; `None` when it is not pushed, or the remote has none.
    pub remote: Option<String>,
    /// The tree that the result has.
    pub tree: String,
    /// Commits that `into` lacks, and those that `from` lacks.
    pub ahead: u64,
    pub behind: u64,
    pub commits: Vec<CommitLine>,
    pub files: Names,
    pub conflicts: Names,
    /// The clean work tree that has `into` checked out and is taken along.
    pub checked_out: Option<String>,
    pub sign: bool,
    /// Hooks of the repository that a merge in a work tree would run and this one does not.
    pub hooks_left_out: Vec<String>,
    /// Why it may not be done, and what can be done about it.
    pub refusals: Vec<(String, String)>,
}

/// Works out what a merge would do. Fetches what the remote has, and changes nothing else.
///
/// # Errors
/// When git or the remote cannot be asked.
pub async fn plan(
    request: &MergeRequest,
    cancel: &CancellationToken,
) -> Result<MergePlan, GitError> {
    let git = Git::find(&request.repository, &request.variables, cancel)?;
    survey(&git, request).await
}

pub(super) async fn survey(git: &Git, request: &MergeRequest) -> Result<MergePlan, GitError> {
    git.must(&["rev-parse", "--git-dir"]).await?;
    let mut plan = MergePlan {
        step: Step::Nothing,
        from: String::new(),
        into: String::new(),
        remote: None,
        tree: String::new(),
        ahead: 0,
        behind: 0,
        commits: Vec::new(),
        files: Names::default(),
        conflicts: Names::default(),
        checked_out: None,
        sign: false,
        hooks_left_out: Vec::new(),
        refusals: Vec::new(),
    };
    if !branches(git, request, &mut plan).await? {
        return Ok(plan);
    }
    let distance = between(git, &plan.into, &plan.from).await?;
    (plan.ahead, plan.behind) = (distance.ahead, distance.behind);
    plan.commits = distance.commits;
    if let Some(name) = &request.push_to
        && !on_the_remote(git, request, name, &mut plan).await?
    {
        return Ok(plan);
    }
    if plan.step == Step::Nothing && plan.ahead > 0 {
        plan.step = if request.fast_forward {
            Step::FastForward
        } else {
            Step::Merge
        };
    }
    if request.fast_forward && plan.step == Step::FastForward && plan.behind > 0 {
        plan.refuse(
            format!(
                "`{}` has {} commits that `{}` lacks; this is no fast-forward",
                request.into, plan.behind, request.from
            ),
            format!(
                "bring them in first: git merge {} on {}",
                request.into, request.from
            ),
        );
        return Ok(plan);
    }
    result_tree(git, &mut plan).await?;
    reviewed(git, request, &mut plan).await?;
    if plan.step != Step::Nothing {
        work_trees(git, request, &mut plan).await?;
        settings(git, &mut plan).await?;
    }
    Ok(plan)
}

impl MergePlan {
    pub(super) fn refuse(&mut self, why: impl Into<String>, can: impl Into<String>) {
        self.refusals.push((why.into(), can.into()));
    }
}

/// Where both branches are here. Tells whether it makes sense to look further.
async fn branches(
    git: &Git,
    request: &MergeRequest,
    plan: &mut MergePlan,
) -> Result<bool, GitError> {
    for (name, place) in [
        (&request.from, &mut plan.from),
        (&request.into, &mut plan.into),
    ] {
        match revision(git, &format!("refs/heads/{name}")).await? {
            Some(commit) => *place = commit,
            None => plan.refusals.push((
                format!("there is no branch `{}` here", clean_line(name)),
                format!("git branch {0} origin/{0}", clean_line(name)),
            )),
        }
    }
    let shallow = git
        .must(&["rev-parse", "--is-shallow-repository"])
        .await?
        .text();
    if shallow == "true" {
        plan.refuse(
            "the history here is cut off (shallow clone): what was merged cannot be told",
            "git fetch --unshallow",
        );
    }
    Ok(plan.refusals.is_empty())
}

/// Where `into` is on the remote, and how that is to here. Tells whether to look further.
async fn on_the_remote(
    git: &Git,
    request: &MergeRequest,
    name: &str,
    plan: &mut MergePlan,
) -> Result<bool, GitError> {
    if !remote::remotes(git)
        .await?
        .iter()
        .any(|known| known == name)
    {
        plan.refuse(
            format!("there is no remote `{}`", clean_line(name)),
            "mend `remote` in the runbook, or git remote add",
        );
        return Ok(false);
    }
    if !remote::is_one_place(git, name).await? {
        plan.refuse(
            format!("`{name}` pushes to another place than it fetches from, or to several"),
            "add a remote that is one place (git remote add), and name it in `remote`",
        );
        return Ok(false);
    }
    let into = &request.into;
    let Some(tip) = remote::tip(git, name, into).await? else {
        return Ok(true);
    };
    plan.remote = Some(tip.clone());
    if tip == plan.into {
        return Ok(true);
    }
    if revision(git, &tip).await?.is_none() {
        remote::fetch(git, name, &[&format!("refs/heads/{into}")]).await?;
    }
    let follows = is_ancestor(git, &plan.into, &tip).await?;
    if follows && is_ancestor(git, &plan.from, &tip).await? {
        plan.step = Step::Follow;
        return Ok(true);
    }
    let here = between(git, &tip, &plan.into).await?;
    let pull = format!("git fetch {name} {into}:{into}");
    match (here.ahead, here.behind) {
        (0, behind) => plan.refuse(
            format!("`{name}` is {behind} commits ahead of `{into}` here: it has moved"),
            format!("take them over and look at them again: {pull}"),
        ),
        (ahead, 0) => plan.refuse(
            format!(
                "`{into}` here has {ahead} commits that `{name}` lacks: nobody asked to push them"
            ),
            format!("push them or drop them first: git log {name}/{into}..{into}"),
        ),
        (ahead, behind) => plan.refuse(
            format!(
                "`{into}` has {ahead} commits here that `{name}` lacks, and lacks {behind} of it"
            ),
            format!("bring both together first: git log --left-right {into}...{name}/{into}"),
        ),
    }
    Ok(false)
}

/// A work tree that has the branch checked out is taken along if it is clean, and else refuses.
async fn work_trees(
    git: &Git,
    request: &MergeRequest,
    plan: &mut MergePlan,
) -> Result<(), GitError> {
    let on_it = |tree: &Worktree| tree.branch.as_ref() == Some(&request.into);
    let Some(tree) = all_worktrees(git).await?.into_iter().find(on_it) else {
        return Ok(());
    };
    let there = git.in_folder(std::path::Path::new(&tree.path));
    let mut reader = Reader::default();
    there.read(&STATUS, |piece| reader.take(piece)).await?;
    let status = reader.finish();
    let path = clean_line(&tree.path);
    let dirty = status.changed.count + status.conflicted.count + status.untracked.count;
    if dirty > 0 {
        let mut names = status.changed.first;
        names.extend(status.conflicted.first);
        names.extend(status.untracked.first);
        names.truncate(5);
        plan.refuse(
            format!(
                "`{}` is checked out in {path} with {dirty} files that are not committed: {}",
                request.into,
                names.join(", ")
            ),
            "commit or stash them there, or switch that work tree to another branch",
        );
    }
    plan.checked_out = Some(path);
    Ok(())
}

async fn settings(git: &Git, plan: &mut MergePlan) -> Result<(), GitError> {
    if plan.step == Step::Merge {
        let sign = git
            .ask(&["config", "--type=bool", "commit.gpgSign"])
            .await?;
        plan.sign = sign.code == 0 && sign.text() == "true";
        let hooks = git
            .must(&["rev-parse", "--path-format=absolute", "--git-path", "hooks"])
            .await?;
        let folder = PathBuf::from(String::from_utf8_lossy(&hooks.out).trim_end());
        for hook in ["pre-merge-commit", "prepare-commit-msg", "commit-msg"] {
            let executable = rustix::fs::Access::EXEC_OK;
            if rustix::fs::access(folder.join(hook), executable).is_ok() {
                plan.hooks_left_out.push(hook.to_owned());
            }
        }
    }
    Ok(())
}
