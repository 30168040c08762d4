//! Where a repository stands: its branch, what is not committed, how far it is from others.
//!
//! The work tree's part is one `git status`; what else there is costs at most two more runs of git,
//! beside it, and files are looked at where a file says whether a question is worth asking.

use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

pub use super::distance::{CommitLine, Distance};
use super::distance::{between, revision};
use super::program::{Git, GitError};
use super::standing::IN_PROGRESS;
pub use super::status::{Names, fingerprint_now};
use super::status::{Reader, STATUS, Status, fingerprint};
use crate::untrusted::clean_line;

/// How many tags, worktrees and submodules are kept.
const KEPT: usize = 50;

/// Which repository is looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateRequest {
    pub repository: PathBuf,
    /// The branch or revision that the promotion goes to, if one is known.
    pub target: Option<String>,
    /// The user's variables; only those that git may need are handed to it.
    pub variables: Vec<(String, String)>,
}

/// Where a repository stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// The work tree's top folder; git's own folder where there is no work tree.
    pub folder: String,
    pub bare: bool,
    /// The history is cut off: counts of commits may be too small.
    pub shallow: bool,
    pub head: Head,
    pub commit: Option<String>,
    pub upstream: Option<Upstream>,
    pub changed: Names,
    pub untracked: Names,
    pub conflicted: Names,
    /// Such as `a merge`.
    pub in_progress: Option<String>,
    /// When something was last fetched, in seconds since 1970.
    pub fetched: Option<u64>,
    pub tags_at_head: Vec<String>,
    pub latest_tag: Option<String>,
    pub target: Option<Distance>,
    /// The other work trees of the repository.
    pub worktrees: Vec<Worktree>,
    pub submodules: Names,
    /// Those that are not at the commit that is recorded, or have changes of their own.
    pub submodules_changed: Names,
}

/// What is checked out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Head {
    Branch(String),
    Detached,
    /// A branch without a commit.
    Unborn(String),
}

/// The branch that the checked-out one follows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Upstream {
    pub name: String,
    /// Commits here that it lacks, and there that are lacking here; `None` when it is gone.
    pub ahead_behind: Option<(u64, u64)>,
}

/// Another work tree of the same repository.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Worktree {
    pub path: String,
    pub branch: Option<String>,
}

/// Why a repository could not be looked at.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StateError {
    #[error("there is no folder {0}")]
    NoFolder(String),
    #[error("{0} is in no git repository")]
    NoRepository(String),
    /// Git refuses to read what somebody else could have prepared.
    #[error(
        "{folder} belongs to another user, and git reads no such repository: its settings could run \
         programs. If you trust it: git config --global --add safe.directory {folder}"
    )]
    Owner { folder: String },
    #[error(transparent)]
    Git(#[from] GitError),
}

impl State {
    /// The checked-out branch, born or not.
    pub fn branch(&self) -> Option<&str> {
        match &self.head {
            Head::Branch(name) | Head::Unborn(name) => Some(name),
            Head::Detached => None,
        }
    }

    /// Tells whether everything in the work tree is committed.
    pub fn is_clean(&self) -> bool {
        self.changed.count + self.untracked.count + self.conflicted.count == 0
    }

    /// The hash over where it stands, as [`fingerprint_now`] makes it.
    pub fn fingerprint(&self, with_dirt: bool) -> String {
        let dirt = [&self.changed, &self.untracked, &self.conflicted];
        let dirt = with_dirt.then_some(dirt);
        fingerprint(self.commit.as_deref(), self.branch(), dirt)
    }
}

/// Looks at a repository. Changes nothing and talks to no remote.
///
/// # Errors
/// Why it could not be looked at.
pub async fn look(request: &StateRequest, cancel: &CancellationToken) -> Result<State, StateError> {
    let shown = request.repository.display().to_string();
    if !request.repository.is_dir() {
        return Err(StateError::NoFolder(shown));
    }
    let git = Git::find(&request.repository, &request.variables, cancel)?;
    let (place, status, tags, target) =
        tokio::join!(place(&git, &shown), status(&git), tags(&git), async {
            match &request.target {
                Some(target) => between(&git, target, "HEAD").await.map(Some),
                None => Ok(None),
            }
        },);
    let place = place?;
    let status = if place.bare {
        status_without_tree(&git).await?
    } else {
        status?
    };
    let (tags_at_head, latest_tag) = tags?.at(status.commit.as_deref());
    let worktrees = worktrees(&git, &place).await?;
    let submodules = submodules(&git, &place).await?;
    let in_progress = IN_PROGRESS
        .iter()
        .find(|(mark, _)| place.own.join(mark).exists())
        .map(|(_, what)| (*what).to_owned());
    let head = match (&status.branch, &status.commit) {
        (Some(branch), Some(_)) => Head::Branch(branch.clone()),
        (Some(branch), None) => Head::Unborn(branch.clone()),
        (None, _) => Head::Detached,
    };
    Ok(State {
        folder: clean_line(&place.top.display().to_string()),
        bare: place.bare,
        shallow: place.shallow,
        head,
        upstream: status.upstream.map(|name| Upstream {
            name,
            ahead_behind: status.ahead_behind,
        }),
        commit: status.commit,
        changed: status.changed,
        untracked: status.untracked,
        conflicted: status.conflicted,
        in_progress,
        fetched: fetched(&place.own),
        tags_at_head,
        latest_tag,
        target: target?,
        worktrees,
        submodules,
        submodules_changed: status.submodules,
    })
}

/// Where the parts of a repository lie.
struct Place {
    top: PathBuf,
    /// The folder of this work tree's own state.
    own: PathBuf,
    /// The folder that all work trees share.
    common: PathBuf,
    bare: bool,
    shallow: bool,
}

async fn place(git: &Git, shown: &str) -> Result<Place, StateError> {
    let answer = git
        .ask(&[
            "rev-parse",
            "--path-format=absolute",
            "--is-bare-repository",
            "--is-shallow-repository",
            "--git-dir",
            "--git-common-dir",
            "--show-toplevel",
        ])
        .await?;
    if answer.said.contains("dubious ownership") {
        return Err(StateError::Owner {
            folder: shown.to_owned(),
        });
    }
    let out = String::from_utf8_lossy(&answer.out).into_owned();
    let mut lines = out.lines();
    let mut next = || lines.next().unwrap_or_default();
    let (bare, shallow) = (next() == "true", next() == "true");
    let (own, common, top) = (next(), next(), next());
    if own.is_empty() || common.is_empty() {
        let missing = answer.said.contains("not a git repository");
        return Err(if missing {
            StateError::NoRepository(shown.to_owned())
        } else {
            GitError::Said {
                command: "rev-parse".to_owned(),
                said: answer.said,
            }
            .into()
        });
    }
    // In a repository without a work tree, or inside git's own folder, there is no top folder.
    let top = if answer.code == 0 { top } else { own };
    Ok(Place {
        bare: bare || answer.code != 0,
        shallow,
        top: PathBuf::from(top),
        own: PathBuf::from(own),
        common: PathBuf::from(common),
    })
}

async fn status(git: &Git) -> Result<Status, GitError> {
    let mut reader = Reader::default();
    let answer = git.read(&STATUS, |piece| reader.take(piece)).await?;
    if answer.code != 0 {
        return Err(GitError::Said {
            command: "status".to_owned(),
            said: answer.said,
        });
    }
    Ok(reader.finish())
}

async fn status_without_tree(git: &Git) -> Result<Status, GitError> {
    let branch = git
        .ask(&["symbolic-ref", "--quiet", "--short", "HEAD"])
        .await?;
    let commit = revision(git, "HEAD").await?;
    Ok(Status {
        branch: (branch.code == 0).then(|| branch.text()),
        commit,
        ..Status::default()
    })
}

/// Tags with the commits that they lead to, newest first.
struct Tags(Vec<(String, String)>);

impl Tags {
    fn at(self, head: Option<&str>) -> (Vec<String>, Option<String>) {
        let latest = self.0.first().map(|(name, _)| name.clone());
        let mut here = Vec::new();
        for (name, commit) in self.0 {
            if Some(commit.as_str()) == head && here.len() < KEPT {
                here.push(name);
            }
        }
        (here, latest)
    }
}

async fn tags(git: &Git) -> Result<Tags, GitError> {
    let mut text = Vec::new();
    git.read(
        &[
            "for-each-ref",
            "--sort=-creatordate",
            "--format=%(if)%(*objectname)%(then)%(*objectname)%(else)%(objectname)%(end) \
             %(refname:strip=2)",
            "refs/tags",
        ],
        |piece| text.extend_from_slice(piece),
    )
    .await?;
    let text = String::from_utf8_lossy(&text);
    let tag = |line: &str| {
        let (commit, name) = line.split_once(' ')?;
        Some((clean_line(name), commit.to_owned()))
    };
    Ok(Tags(text.lines().filter_map(tag).collect()))
}

/// When something was last fetched. A fetch that failed leaves the file empty.
fn fetched(own: &Path) -> Option<u64> {
    let found = std::fs::metadata(own.join("FETCH_HEAD")).ok()?;
    let time = found.modified().ok()?.duration_since(UNIX_EPOCH).ok()?;
    (found.len() > 0).then_some(time.as_secs())
}

async fn worktrees(git: &Git, place: &Place) -> Result<Vec<Worktree>, GitError> {
    // Without this folder there is one work tree, and nothing to ask.
    if !place.common.join("worktrees").exists() {
        return Ok(Vec::new());
    }
    let mut found = all_worktrees(git).await?;
    let top = place.top.canonicalize().ok();
    found.retain(|tree| Path::new(&tree.path).canonicalize().ok() != top);
    found.truncate(KEPT);
    Ok(found)
}

/// Every work tree of the repository, this one first of all or not.
pub(super) async fn all_worktrees(git: &Git) -> Result<Vec<Worktree>, GitError> {
    let answer = git.must(&["worktree", "list", "--porcelain"]).await?;
    let text = String::from_utf8_lossy(&answer.out).into_owned();
    let mut found: Vec<Worktree> = Vec::new();
    for line in text.lines() {
        if let Some(path) = line.strip_prefix("worktree ") {
            found.push(Worktree {
                path: path.to_owned(),
                branch: None,
            });
        } else if let (Some(branch), Some(last)) =
            (line.strip_prefix("branch refs/heads/"), found.last_mut())
        {
            last.branch = Some(branch.to_owned());
        } else if line == "bare" {
            found.pop();
        }
    }
    Ok(found)
}

async fn submodules(git: &Git, place: &Place) -> Result<Names, GitError> {
    let mut names = Names::default();
    let listed = place.top.join(".gitmodules");
    if place.bare || !listed.exists() {
        return Ok(names);
    }
    let file = format!("--file={}", listed.display());
    let answer = git
        .ask(&["config", &file, "--get-regexp", r"^submodule\..*\.path$"])
        .await?;
    for line in String::from_utf8_lossy(&answer.out).lines() {
        names.add(line.split_once(' ').map_or(line, |(_, path)| path));
    }
    Ok(names)
}
