//! What a remote has, bringing it here, and pushing one branch so that nobody's work is lost.

use std::time::Duration;

use super::program::{Git, GitError};
use crate::untrusted::clean_line;

/// How long a question to a remote may take.
const QUESTION: Duration = Duration::from_secs(60);
/// How long bringing or sending commits may take, hooks included.
const TRANSFER: Duration = Duration::from_secs(15 * 60);

/// The configured remotes.
pub(super) async fn remotes(git: &Git) -> Result<Vec<String>, GitError> {
    let answer = git.must(&["remote"]).await?;
    Ok(answer.text().lines().map(str::to_owned).collect())
}

/// Tells whether what is pushed arrives where it is asked for: one place for both.
pub(super) async fn is_one_place(git: &Git, remote: &str) -> Result<bool, GitError> {
    let asked = git.must(&["remote", "get-url", "--all", remote]).await?;
    let pushed = git
        .must(&["remote", "get-url", "--push", "--all", remote])
        .await?;
    Ok(asked.out == pushed.out && pushed.text().lines().count() == 1)
}

/// The commit of a branch on a remote; `None` when it has no such branch.
pub(super) async fn tip(git: &Git, remote: &str, branch: &str) -> Result<Option<String>, GitError> {
    let name = format!("refs/heads/{branch}");
    let git = git.on_the_network(QUESTION).await;
    let answer = git.must(&["ls-remote", remote, &name]).await;
    let answer = answer.map_err(without_passwords)?;
    // The pattern matches the ends of longer names as well.
    let commit = |line: &str| {
        let (commit, found) = line.split_once(|c: char| c.is_whitespace())?;
        (found.trim() == name).then(|| commit.to_owned())
    };
    let text = String::from_utf8_lossy(&answer.out).into_owned();
    Ok(text.lines().find_map(commit))
}

/// Asks a remote whether it answers, for no longer than `longest`.
pub(super) async fn answers(git: &Git, remote: &str, longest: Duration) -> Result<(), GitError> {
    let git = git.on_the_network(longest).await;
    let asked = git.must(&["ls-remote", "--quiet", remote, "HEAD"]).await;
    asked.map_err(without_passwords)?;
    Ok(())
}

/// Brings branches of a remote here. The remote-tracking branches move, and nothing else.
pub(super) async fn fetch(git: &Git, remote: &str, refs: &[&str]) -> Result<(), GitError> {
    let git = git.on_the_network(TRANSFER).await;
    let mut arguments = vec![
        "fetch",
        "--quiet",
        "--no-tags",
        "--no-recurse-submodules",
        "--no-auto-maintenance",
        remote,
    ];
    arguments.extend(refs);
    git.must(&arguments).await.map_err(without_passwords)?;
    Ok(())
}

/// What git said of a push. Whether it happened is for the remote to say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct PushSaid {
    /// Why the branch was rejected, where the remote gave a reason for it.
    pub(super) reason: Option<String>,
    /// The remote's own words, such as its hook's.
    pub(super) words: Vec<String>,
    /// How it failed, when it did.
    pub(super) failed: Option<String>,
}

/// Pushes a commit to a branch that must still be at `old`; `None`: that must not exist yet.
pub(super) async fn push(
    git: &Git,
    remote: &str,
    branch: &str,
    commit: &str,
    old: Option<&str>,
) -> Result<PushSaid, GitError> {
    let git = git.on_the_network(TRANSFER).await;
    let lease = format!(
        "--force-with-lease=refs/heads/{branch}:{}",
        old.unwrap_or_default()
    );
    let to = format!("{commit}:refs/heads/{branch}");
    let answer = git
        .ask(&[
            "push",
            "--porcelain",
            "--atomic",
            "--no-follow-tags",
            &lease,
            remote,
            &to,
        ])
        .await
        .map_err(without_passwords)?;
    Ok(read_push(
        answer.code,
        &String::from_utf8_lossy(&answer.out),
        &answer.said,
    ))
}

fn read_push(code: i32, out: &str, said: &str) -> PushSaid {
    let rejected = out.lines().find(|line| line.starts_with('!'));
    let reason = rejected.and_then(|line| line.split('\t').nth(2));
    let words = said.lines().filter_map(|line| line.strip_prefix("remote:"));
    let words: Vec<String> = words
        .map(|line| clean_line(line.trim()))
        .filter(|line| !line.is_empty())
        .take(20)
        .collect();
    let rest = said.lines().filter(|line| !line.starts_with("remote:"));
    let rest: Vec<&str> = rest.collect();
    PushSaid {
        reason: reason.map(clean_line),
        words,
        failed: (code != 0).then(|| redact(rest.join("\n").trim())),
    }
}

fn without_passwords(error: GitError) -> GitError {
    match error {
        GitError::Said { command, said } => GitError::Said {
            command,
            said: redact(&said),
        },
        other => other,
    }
}

/// Takes the user and the password out of every address in a text.
fn redact(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (before, after) = rest.split_at(at + 3);
        out.push_str(before);
        let ends = |c: char| c == '/' || c.is_whitespace() || c == '\'' || c == '"';
        let end = after.find(ends).unwrap_or(after.len());
        let host = after[..end].rfind('@').map_or(0, |sign| sign + 1);
        out.push_str(&after[host..end]);
        rest = &after[end..];
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rejection_is_read_with_the_hooks_words() {
        let said = read_push(
            1,
            "To /r\n!\tabc:refs/heads/main\t[remote rejected] (pre-receive hook declined)\nDone\n",
            "remote: not on a Friday        \nremote:\nerror: failed to push some refs to '/r'",
        );
        assert_eq!(
            said.reason.as_deref(),
            Some("[remote rejected] (pre-receive hook declined)")
        );
        assert_eq!(said.words, ["not on a Friday"]);
        assert_eq!(
            said.failed.as_deref(),
            Some("error: failed to push some refs to '/r'")
        );
        assert_eq!(read_push(0, "Done\n", "").failed, None);
    }

    #[test]
    fn passwords_of_addresses_are_not_shown() {
        let said = redact("fatal: 'https://ana:hunter2@example.com/x.git/' and ssh://h/p: no");
        assert_eq!(
            said,
            "fatal: 'https://example.com/x.git/' and ssh://h/p: no"
        );
    }
}
