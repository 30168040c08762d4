//! The acting half of a commit: writing, committing alone, putting back, and proving it.

use super::commit::{CommitError, CommitRequest, FileState, Survey};
use super::program::GitError;
use super::standing::content_at;
use super::write::{put_back, read, write};

/// Writes every file that the work tree does not have yet; puts all of them back when one fails.
pub(super) fn write_all(request: &CommitRequest, now: &Survey) -> Result<(), CommitError> {
    for (index, file) in request.files.iter().enumerate() {
        let standing = &now.files[index];
        if now.plan.files[index].state != FileState::ToWrite {
            continue;
        }
        // The last look before the rename: what was read a moment ago must still be there.
        let unchanged = read(&standing.full).is_ok_and(|found| found == standing.written);
        let failed = if unchanged {
            write(&standing.full, file.content.as_bytes())
                .err()
                .map(|error| CommitError::File {
                    action: "write",
                    path: file.path.clone(),
                    said: error.to_string(),
                })
        } else {
            Some(CommitError::Changed(file.path.clone()))
        };
        if let Some(error) = failed {
            for done in &now.files[..index] {
                let _ = put_back(&done.full, done.written.as_deref());
            }
            return Err(error);
        }
    }
    Ok(())
}

/// The paths that the commit takes: those that the branch does not have yet.
fn paths(now: &Survey) -> Vec<&str> {
    let open = now.plan.files.iter();
    open.filter(|file| file.state != FileState::Committed)
        .map(|file| file.path.as_str())
        .collect()
}

pub(super) async fn make(now: &Survey, request: &CommitRequest) -> Result<(), GitError> {
    // A path that git does not know cannot be committed alone; this makes it known, empty.
    let unknown = untracked(now);
    if !unknown.is_empty() {
        let mut add = vec!["add", "--intent-to-add", "--"];
        add.extend(&unknown);
        now.git.must(&add).await?;
    }
    let message = format!("--message={}", request.message);
    let mut arguments = vec![
        "-c",
        "user.useConfigOnly=true",
        "commit",
        "--quiet",
        "--only",
        &message,
        "--",
    ];
    arguments.extend(paths(now));
    now.git.must(&arguments).await?;
    Ok(())
}

fn untracked(now: &Survey) -> Vec<&str> {
    now.plan
        .files
        .iter()
        .zip(&now.files)
        .filter(|(file, found)| file.state != FileState::Committed && !found.tracked)
        .map(|(file, _)| file.path.as_str())
        .collect()
}

/// Undoes what was written; tells whether all of it is as it was.
pub(super) async fn put_all_back(now: &Survey) -> bool {
    let mut whole = true;
    let unknown = untracked(now);
    if !unknown.is_empty() {
        let mut forget = vec![
            "rm",
            "--cached",
            "--quiet",
            "--force",
            "--ignore-unmatch",
            "--",
        ];
        forget.extend(&unknown);
        whole &= now.git.must(&forget).await.is_ok();
    }
    for (file, found) in now.plan.files.iter().zip(&now.files) {
        if file.state == FileState::ToWrite {
            whole &= put_back(&found.full, found.written.as_deref()).is_ok();
        }
    }
    whole
}

/// Proves that the new commit is the planned one: its parent, its paths, its content.
pub(super) async fn verify(
    now: &Survey,
    request: &CommitRequest,
    head: &str,
) -> Result<(), CommitError> {
    let other = |said: String| CommitError::Other {
        commit: head.to_owned(),
        said,
    };
    let parents = now
        .git
        .must(&["rev-list", "--parents", "-n", "1", head])
        .await?
        .text();
    if parents != format!("{head} {}", now.plan.head) {
        return Err(other(
            "it does not follow the commit that was planned on".to_owned(),
        ));
    }
    let listed = now
        .git
        .must(&[
            "diff-tree",
            "--no-commit-id",
            "--name-only",
            "-r",
            "-z",
            head,
        ])
        .await?;
    let mut changed: Vec<String> = String::from_utf8_lossy(&listed.out)
        .split_terminator('\0')
        .map(str::to_owned)
        .collect();
    changed.sort();
    let mut wanted = paths(now);
    wanted.sort_unstable();
    if changed != wanted {
        return Err(other(format!(
            "it changes {} where {} was asked for",
            changed.join(", "),
            wanted.join(", ")
        )));
    }
    for file in &request.files {
        let content = content_at(&now.git, head, &file.path).await?;
        if content.as_deref() != Some(file.content.as_bytes()) {
            return Err(other(format!(
                "`{}` has other content in it; a hook or a filter of git has changed it",
                file.path
            )));
        }
    }
    Ok(())
}
