//! What a promotion may ask of a repository: fetched branches, revisions that are contained, a tag,
//! a signature.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use super::distance::revision;
use super::program::{Git, GitError};
use super::remote;
use super::state::{State, StateError, StateRequest, look};
use crate::untrusted::clean_line;

/// What is to be found out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inspection {
    /// The repository, and the revision that the head must not be behind.
    pub at: StateRequest,
    /// The upstream, and what else is named of a remote, is fetched first.
    pub fetch: bool,
    pub contains: Vec<String>,
    pub tag: Option<String>,
    /// Whose signature is looked for: the tag's when one is named, else the commit's.
    pub signature: bool,
    /// Overrides the user's own list of whose keys count.
    pub allowed_signers: Option<PathBuf>,
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inspected {
    pub state: State,
    pub fetched: Vec<Fetched>,
    pub contains: Vec<Contained>,
    pub tag: Option<TagSeen>,
    pub signature: Option<SignatureSeen>,
}

/// A branch of a remote that was fetched, or why not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fetched {
    pub remote: String,
    pub branch: String,
    pub failed: Option<String>,
    /// The remote answered, and has no such branch.
    pub gone: bool,
}

/// A revision that the head must contain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contained {
    pub revision: String,
    /// `None` when there is no such commit here.
    pub commit: Option<String>,
    pub contained: bool,
}

/// A tag.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TagSeen {
    pub name: String,
    /// The commit that it leads to; `None` when there is no such tag.
    pub commit: Option<String>,
    /// It is an object of its own, with an author and a time, and can be signed.
    pub annotated: bool,
}

/// A signature.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignatureSeen {
    /// Such as `the tag v1`.
    pub of: String,
    pub good: bool,
    /// Who the key belongs to, by the list of signers or the keyring.
    pub by: Option<String>,
    pub said: String,
}

/// Looks. Moves remote-tracking branches when it fetches, and nothing else.
///
/// # Errors
/// When the repository cannot be looked at.
pub async fn inspect(
    asked: &Inspection,
    cancel: &CancellationToken,
) -> Result<Inspected, StateError> {
    let git = Git::find(&asked.at.repository, &asked.at.variables, cancel)?;
    let mut fetched = Vec::new();
    if asked.fetch {
        // The first look tells what is followed; it also explains a repository that is none.
        let before = StateRequest {
            target: None,
            ..asked.at.clone()
        };
        let state = look(&before, cancel).await?;
        for (remote, branch) in to_fetch(&git, &state, asked).await? {
            fetched.push(fetch(&git, remote, branch).await?);
        }
    }
    let state = look(&asked.at, cancel).await?;
    let mut contains = Vec::new();
    for name in &asked.contains {
        contains.push(contained(&git, name).await?);
    }
    let tag = match &asked.tag {
        Some(name) => Some(tag(&git, name).await?),
        None => None,
    };
    let signature = if asked.signature {
        Some(signature(&git, asked, tag.as_ref()).await?)
    } else {
        None
    };
    Ok(Inspected {
        state,
        fetched,
        contains,
        tag,
        signature,
    })
}

/// The upstream and every named branch of a remote.
async fn to_fetch(
    git: &Git,
    state: &State,
    asked: &Inspection,
) -> Result<Vec<(String, String)>, GitError> {
    let mut found = Vec::new();
    if let Some(branch) = state.branch() {
        let reference = format!("refs/heads/{branch}");
        let format = "--format=%(upstream:remotename) %(upstream:remoteref)";
        let answer = git.must(&["for-each-ref", format, &reference]).await?;
        // `.` is this repository itself, for a branch that follows a local one.
        if let Some((remote, name)) = answer.text().split_once(' ')
            && let Some(name) = name.strip_prefix("refs/heads/")
            && remote != "."
        {
            found.push((remote.to_owned(), name.to_owned()));
        }
    }
    let remotes = remote::remotes(git).await?;
    for name in asked.at.target.iter().chain(&asked.contains) {
        let of = |remote: &String| {
            let branch = name.strip_prefix(remote)?.strip_prefix('/')?;
            Some((remote.clone(), branch.to_owned()))
        };
        if let Some(named) = remotes.iter().find_map(of)
            && !found.contains(&named)
        {
            found.push(named);
        }
    }
    Ok(found)
}

async fn fetch(git: &Git, remote: String, branch: String) -> Result<Fetched, GitError> {
    let reference = format!("refs/heads/{branch}");
    let failed = match remote::fetch(git, &remote, &[&reference]).await {
        Ok(()) => None,
        Err(GitError::Said { said, .. }) => Some(said),
        Err(error @ GitError::TimedOut(_)) => Some(error.to_string()),
        Err(error) => return Err(error),
    };
    let gone = failed
        .as_ref()
        .is_some_and(|said| said.contains("couldn't find remote ref"));
    Ok(Fetched {
        remote: clean_line(&remote),
        branch: clean_line(&branch),
        failed,
        gone,
    })
}

async fn contained(git: &Git, name: &str) -> Result<Contained, GitError> {
    let commit = revision(git, name).await?;
    let contained = match &commit {
        Some(commit) => is_ancestor(git, commit, "HEAD").await?,
        None => false,
    };
    Ok(Contained {
        revision: clean_line(name),
        commit,
        contained,
    })
}

/// Tells whether a commit is another or comes before it.
pub(super) async fn is_ancestor(git: &Git, old: &str, new: &str) -> Result<bool, GitError> {
    let arguments = ["merge-base", "--is-ancestor", old, new];
    match git.ask(&arguments).await? {
        answer if answer.code == 0 => Ok(true),
        answer if answer.code == 1 => Ok(false),
        answer => Err(GitError::Said {
            command: "merge-base".to_owned(),
            said: answer.said,
        }),
    }
}

async fn tag(git: &Git, name: &str) -> Result<TagSeen, GitError> {
    let reference = format!("refs/tags/{name}");
    let commit = revision(git, &reference).await?;
    let kind = git.ask(&["cat-file", "-t", &reference]).await?;
    Ok(TagSeen {
        name: clean_line(name),
        commit,
        annotated: kind.code == 0 && kind.text() == "tag",
    })
}

async fn signature(
    git: &Git,
    asked: &Inspection,
    tag: Option<&TagSeen>,
) -> Result<SignatureSeen, GitError> {
    let signers = asked.allowed_signers.as_ref().map(|path| {
        let path = path.display();
        format!("gpg.ssh.allowedSignersFile={path}")
    });
    // A repository may name the program that verifies; one that it names proves nothing.
    let mut arguments = vec![
        "-c",
        "gpg.program=gpg",
        "-c",
        "gpg.openpgp.program=gpg",
        "-c",
        "gpg.ssh.program=ssh-keygen",
        "-c",
        "gpg.minTrustLevel=fully",
    ];
    if let Some(signers) = &signers {
        arguments.extend(["-c", signers]);
    }
    let tagged = asked.tag.as_ref().map(|name| format!("refs/tags/{name}"));
    let (command, name, of) = match (tag, &tagged) {
        (Some(seen), Some(name)) => (
            "verify-tag",
            name.as_str(),
            format!("the tag {}", seen.name),
        ),
        _ => ("verify-commit", "HEAD", "the commit".to_owned()),
    };
    arguments.extend([command, "--raw", name]);
    let answer = git.ask(&arguments).await?;
    Ok(SignatureSeen {
        of,
        good: answer.code == 0,
        by: signer(&answer.said),
        said: answer.said,
    })
}

/// Who signed, from what ssh-keygen or gpg says.
fn signer(said: &str) -> Option<String> {
    said.lines().find_map(|line| {
        if let Some(rest) = line.strip_prefix("Good \"git\" signature for ") {
            return Some(rest.split(" with ").next()?.to_owned());
        }
        let rest = line.strip_prefix("[GNUPG:] GOODSIG ")?;
        let address = rest.rsplit_once('<')?.1;
        Some(address.trim_end_matches('>').to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::signer;

    #[test]
    fn the_signer_is_read_from_both_programs() {
        let ssh = "Good \"git\" signature for ana@example.com with ED25519 key SHA256:x";
        let gpg = "[GNUPG:] NEWSIG\n[GNUPG:] GOODSIG 12AB Ana Lind <ana@example.com>";
        for said in [ssh, gpg] {
            assert_eq!(signer(said).as_deref(), Some("ana@example.com"));
        }
        assert_eq!(signer("[GNUPG:] BADSIG 12AB Ana <ana@example.com>"), None);
    }
}
