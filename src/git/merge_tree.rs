//! The tree that a merge would give: its conflicts, its files, and whether it is the reviewed one.

use super::merge::{MergePlan, MergeRequest, Step};
use super::program::{Git, GitError};
use super::state::Names;
use crate::untrusted::clean_line;

/// The tree of the result, its conflicts, and the files that change.
pub(super) async fn result_tree(git: &Git, plan: &mut MergePlan) -> Result<(), GitError> {
    let tree_of = |commit: &str| format!("{commit}^{{tree}}");
    plan.tree = match plan.step {
        Step::Nothing => git.must(&["rev-parse", &tree_of(&plan.into)]).await?.text(),
        Step::Follow => {
            let tip = plan.remote.clone().unwrap_or_default();
            git.must(&["rev-parse", &tree_of(&tip)]).await?.text()
        }
        Step::FastForward => git.must(&["rev-parse", &tree_of(&plan.from)]).await?.text(),
        Step::Merge => merged_tree(git, plan).await?,
    };
    if !plan.refusals.is_empty() {
        return Ok(());
    }
    let (mut files, mut rest) = (Names::default(), Vec::new());
    let arguments = [
        "diff-tree",
        "-r",
        "-z",
        "--name-only",
        &tree_of(&plan.into),
        &plan.tree,
    ];
    let take = |piece: &[u8]| {
        for byte in piece {
            if *byte == 0 {
                files.add(&String::from_utf8_lossy(&rest));
                rest.clear();
            } else {
                rest.push(*byte);
            }
        }
    };
    git.read(&arguments, take).await?;
    plan.files = files;
    Ok(())
}

async fn merged_tree(git: &Git, plan: &mut MergePlan) -> Result<String, GitError> {
    let answer = git
        .ask(&[
            "merge-tree",
            "--write-tree",
            "-z",
            "--name-only",
            "--no-messages",
            &plan.into,
            &plan.from,
        ])
        .await?;
    let text = String::from_utf8_lossy(&answer.out).into_owned();
    let mut parts = text.split_terminator('\0');
    let tree = parts.next().unwrap_or_default().trim().to_owned();
    match answer.code {
        0 => {}
        1 => {
            parts.for_each(|name| plan.conflicts.add(name));
            plan.refuse(
                format!(
                    "{} files conflict: {}",
                    plan.conflicts.count,
                    plan.conflicts.shown(10)
                ),
                "merge the other way round first, in a work tree, and resolve them there",
            );
        }
        129 => {
            return Err(GitError::Said {
                command: "merge-tree".to_owned(),
                said: "this git cannot merge without a work tree; 2.38 or newer can".to_owned(),
            });
        }
        _ => {
            return Err(GitError::Said {
                command: "merge-tree".to_owned(),
                said: answer.said,
            });
        }
    }
    Ok(tree)
}

/// Refuses a result that has another tree than what was reviewed.
pub(super) async fn reviewed(
    git: &Git,
    request: &MergeRequest,
    plan: &mut MergePlan,
) -> Result<(), GitError> {
    let Some(reviewed) = &request.reviewed else {
        return Ok(());
    };
    let tree = format!("{reviewed}^{{tree}}");
    let answer = git
        .ask(&[
            "rev-parse",
            "--verify",
            "--quiet",
            "--end-of-options",
            &tree,
        ])
        .await?;
    if answer.code != 0 {
        plan.refuse(
            format!("what was reviewed, `{}`, is not here", clean_line(reviewed)),
            "fetch it, or mend `reviewed`",
        );
    } else if answer.text() != plan.tree {
        plan.refuse(
            format!(
                "the result is not what was reviewed: its tree is {}, that of `{}` is {}",
                &plan.tree,
                clean_line(reviewed),
                answer.text()
            ),
            format!(
                "look at what came after: git diff {} {}",
                clean_line(reviewed),
                plan.tree
            ),
        );
    }
    Ok(())
}
