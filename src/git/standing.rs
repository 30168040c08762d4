//! What stands in a repository before something is committed to it, and why it may not be.

use std::path::{Path, PathBuf};

use super::commit::CommitError;
use super::paths::inside;
use super::program::Git;
use super::write::read;
use crate::digest::digest;

/// What git leaves while an operation is not finished.
pub(super) const IN_PROGRESS: [(&str, &str); 6] = [
    ("MERGE_HEAD", "a merge"),
    ("rebase-merge", "a rebase"),
    ("rebase-apply", "a rebase"),
    ("CHERRY_PICK_HEAD", "a cherry-pick"),
    ("REVERT_HEAD", "a revert"),
    ("BISECT_LOG", "a bisection"),
];

/// One file as it stands now.
pub(super) struct FileStanding {
    pub(super) full: PathBuf,
    /// What the branch has; `None` when it has no such file.
    pub(super) committed: Option<Vec<u8>>,
    /// What the work tree has.
    pub(super) written: Option<Vec<u8>>,
    pub(super) tracked: bool,
    /// The work tree or the index differs from the branch.
    pub(super) dirty: bool,
    /// What is staged differs from the branch.
    pub(super) staged: bool,
}

impl FileStanding {
    /// The hash by which a later look tells that nobody has changed the file.
    pub(super) fn seen(&self) -> Option<String> {
        self.written.as_deref().map(digest)
    }
}

/// The repository as it stands now.
pub(super) struct Standing {
    pub(super) head: String,
    pub(super) author: String,
}

/// Reads where the repository stands; refuses what is no state to commit on.
pub(super) async fn look(git: &Git, folder: &Path, wanted: &str) -> Result<Standing, CommitError> {
    let refused = CommitError::Refused;
    let top = git.must(&["rev-parse", "--show-toplevel"]).await?.text();
    let same = |a: &Path, b: &Path| match (a.canonicalize(), b.canonicalize()) {
        (Ok(a), Ok(b)) => a == b,
        _ => false,
    };
    if !same(Path::new(&top), folder) {
        return Err(refused(format!(
            "{} is not the top folder of its repository, which is {top}",
            folder.display()
        )));
    }
    let git_folder = git.must(&["rev-parse", "--absolute-git-dir"]).await?.text();
    for (mark, what) in IN_PROGRESS {
        if Path::new(&git_folder).join(mark).exists() {
            return Err(refused(format!(
                "{what} is in progress in {}; finish or abort it first",
                folder.display()
            )));
        }
    }
    let branch = git
        .ask(&["symbolic-ref", "--quiet", "--short", "HEAD"])
        .await?;
    if branch.code != 0 {
        return Err(refused(format!(
            "no branch is checked out (detached HEAD); a commit belongs on `{wanted}`"
        )));
    }
    if branch.text() != wanted {
        return Err(refused(format!(
            "`{}` is checked out; the commit belongs on `{wanted}`",
            branch.text()
        )));
    }
    let head = git
        .ask(&["rev-parse", "--verify", "--quiet", "HEAD"])
        .await?;
    if head.code != 0 {
        return Err(refused(format!("`{wanted}` has no commit yet")));
    }
    Ok(Standing {
        head: head.text(),
        author: identity(git).await?,
    })
}

/// Who the commit will be by. Git would make a name up from the machine's; that is refused.
async fn identity(git: &Git) -> Result<String, CommitError> {
    let mut author = String::new();
    for which in ["GIT_COMMITTER_IDENT", "GIT_AUTHOR_IDENT"] {
        let answer = git
            .ask(&["-c", "user.useConfigOnly=true", "var", which])
            .await?;
        if answer.code != 0 {
            return Err(CommitError::Refused(
                "git does not know who you are: set user.name and user.email \
                 (git config --global user.name \"…\"; git config --global user.email \"…\")"
                    .to_owned(),
            ));
        }
        author = answer.text();
    }
    // The name and the address; a time and a zone follow them.
    let end = author.rfind('>').map_or(author.len(), |at| at + 1);
    author.truncate(end);
    Ok(author)
}

/// Reads one file's standing; refuses paths that may not be written.
pub(super) async fn file(
    git: &Git,
    folder: &Path,
    head: &str,
    path: &str,
) -> Result<FileStanding, CommitError> {
    let full = inside(folder, path).map_err(CommitError::Refused)?;
    let ignored = git.ask(&["check-ignore", "--quiet", "--", path]).await?;
    match ignored.code {
        0 => {
            return Err(CommitError::Refused(format!(
                "`{path}` is ignored by this repository (.gitignore)"
            )));
        }
        1 => {}
        _ => return Err(CommitError::Refused(ignored.said)),
    }
    let committed = content_at(git, head, path).await?;
    let written = read(&full).map_err(|error| CommitError::File {
        action: "read",
        path: path.to_owned(),
        said: error.to_string(),
    })?;
    let tracked = git
        .ask(&["ls-files", "--error-unmatch", "--", path])
        .await?
        .code
        == 0;
    let status = git
        .must(&[
            "status",
            "--porcelain=v1",
            "-z",
            "--untracked-files=all",
            "--",
            path,
        ])
        .await?;
    let staged = status
        .out
        .first()
        .is_some_and(|x| !matches!(x, b' ' | b'?'));
    Ok(FileStanding {
        full,
        committed,
        written,
        tracked,
        dirty: !status.out.is_empty(),
        staged,
    })
}

/// A file's content in a commit; `None` when the commit has no such file.
pub(super) async fn content_at(
    git: &Git,
    commit: &str,
    path: &str,
) -> Result<Option<Vec<u8>>, CommitError> {
    let entry = git.must(&["ls-tree", "-z", commit, "--", path]).await?;
    if entry.out.is_empty() {
        return Ok(None);
    }
    let object = format!("{commit}:{path}");
    Ok(Some(git.must(&["cat-file", "blob", &object]).await?.out))
}
