//! How far two revisions are apart, and the commits that one has and the other lacks.

use serde::{Deserialize, Serialize};

use super::program::{Git, GitError};
use crate::untrusted::clean_line;

/// How many commits that would be promoted are kept.
const COMMITS: usize = 200;

/// How far the head is from another revision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Distance {
    pub name: String,
    /// `None` when there is no such revision; nothing was counted then.
    pub commit: Option<String>,
    pub ahead: u64,
    pub behind: u64,
    /// The newest of those that it lacks, newest first.
    pub commits: Vec<CommitLine>,
}

/// One commit in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommitLine {
    pub commit: String,
    /// More than one makes it a merge.
    pub parents: usize,
    /// The parents themselves, for drawing; evidence does without them.
    #[serde(skip)]
    pub parent_ids: Vec<String>,
    pub author: String,
    /// Seconds since 1970.
    pub time: i64,
    pub subject: String,
}

/// The commit of a revision; `None` when there is no such commit.
pub(super) async fn revision(git: &Git, name: &str) -> Result<Option<String>, GitError> {
    let commit = format!("{name}^{{commit}}");
    let answer = git
        .ask(&[
            "rev-parse",
            "--verify",
            "--quiet",
            "--end-of-options",
            &commit,
        ])
        .await?;
    Ok((answer.code == 0).then(|| answer.text()))
}

/// How far `from` is from `target`; what `target` lacks of it is listed.
pub(super) async fn between(git: &Git, target: &str, from: &str) -> Result<Distance, GitError> {
    let (commit, head) = tokio::join!(revision(git, target), revision(git, from));
    let mut distance = Distance {
        name: clean_line(target),
        commit: commit?,
        ahead: 0,
        behind: 0,
        commits: Vec::new(),
    };
    let (Some(commit), Some(head)) = (&distance.commit, head?) else {
        return Ok(distance);
    };
    let range = format!("{commit}...{head}");
    if *commit == head {
        return Ok(distance);
    }
    let mut listed = Listed::default();
    let answer = git
        .read(
            &[
                "-c",
                "log.showSignature=false",
                "log",
                "--left-right",
                // A graph is drawn of it: no commit before those that were made upon it.
                "--topo-order",
                "-z",
                "--no-color",
                "--format=%m%x1f%H%x1f%P%x1f%an%x1f%ct%x1f%s",
                &range,
                "--",
            ],
            |piece| listed.take(piece),
        )
        .await?;
    if answer.code != 0 {
        return Err(GitError::Said {
            command: "log".to_owned(),
            said: answer.said,
        });
    }
    listed.record();
    distance.ahead = listed.ahead;
    distance.behind = listed.behind;
    distance.commits = listed.commits;
    Ok(distance)
}

/// The list as it comes, one record after the other.
#[derive(Default)]
struct Listed {
    ahead: u64,
    behind: u64,
    commits: Vec<CommitLine>,
    rest: Vec<u8>,
}

impl Listed {
    fn take(&mut self, mut piece: &[u8]) {
        while let Some(end) = piece.iter().position(|byte| *byte == 0) {
            self.rest.extend_from_slice(&piece[..end]);
            piece = &piece[end + 1..];
            self.record();
        }
        self.rest.extend_from_slice(piece);
    }

    fn record(&mut self) {
        match self.rest.first() {
            Some(b'<') => self.behind += 1,
            Some(_) => {
                self.ahead += 1;
                if self.commits.len() < COMMITS {
                    self.commits
                        .extend(commit_line(&String::from_utf8_lossy(&self.rest)));
                }
            }
            None => {}
        }
        self.rest.clear();
    }
}

fn commit_line(record: &str) -> Option<CommitLine> {
    let mut fields = record.splitn(6, '\u{1f}').skip(1);
    let commit = fields.next()?.to_owned();
    let parents = fields.next()?.split_whitespace();
    let parent_ids: Vec<String> = parents.map(str::to_owned).collect();
    Some(CommitLine {
        commit,
        parents: parent_ids.len(),
        parent_ids,
        author: clean_line(fields.next()?),
        time: fields.next()?.parse().ok()?,
        subject: clean_line(fields.next()?),
    })
}
