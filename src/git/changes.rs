//! The files that differ between two revisions, or between one and the work tree.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::distance::revision;
use super::program::{Git, GitError};
use super::state::StateError;
use super::untracked::{known_now, untracked};
use super::watch::{marks, places_of};
use crate::untrusted::clean_line;

/// More files than that are reviewed by nobody; the rest is counted.
const FILES: usize = 20_000;
/// How often files are looked at for whether they have moved.
const GLANCE: Duration = Duration::from_millis(700);

/// What is compared with what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Range {
    /// A revision with the work tree.
    WorkTree(String),
    /// One revision with another.
    Between(String, String),
    /// What a revision has made since it left another.
    SinceFork(String, String),
}

impl Range {
    /// Reads `REV`, `REV..REV` or `REV...REV`; an end that is left out is `HEAD`.
    pub fn read(text: &str) -> Range {
        let end = |name: &str| match name {
            "" => "HEAD".to_owned(),
            name => name.to_owned(),
        };
        if let Some((old, new)) = text.split_once("...") {
            return Range::SinceFork(end(old), end(new));
        }
        match text.split_once("..") {
            Some((old, new)) => Range::Between(end(old), end(new)),
            None => Range::WorkTree(end(text)),
        }
    }

    /// The range as people write it.
    pub fn words(&self) -> String {
        clean_line(&match self {
            Range::WorkTree(name) => format!("{name} and the work tree"),
            Range::Between(old, new) => format!("{old}..{new}"),
            Range::SinceFork(old, new) => format!("{old}...{new}"),
        })
    }
}

/// Which files are asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangesRequest {
    pub repository: PathBuf,
    pub range: Range,
    /// The user's variables; only those that git may need are handed to it.
    pub variables: Vec<(String, String)>,
}

/// What became of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileChange {
    Added,
    Removed,
    Modified,
    Renamed,
    Copied,
    /// It is another sort of file now, such as a link.
    Type,
    Conflicted,
    Untracked,
}

impl FileChange {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            FileChange::Added => "added",
            FileChange::Removed => "removed",
            FileChange::Modified => "modified",
            FileChange::Renamed => "renamed",
            FileChange::Copied => "copied",
            FileChange::Type => "another sort of file",
            FileChange::Conflicted => "in conflict",
            FileChange::Untracked => "not tracked",
        }
    }

    fn of(letter: u8) -> FileChange {
        match letter {
            b'A' => FileChange::Added,
            b'D' => FileChange::Removed,
            b'R' => FileChange::Renamed,
            b'C' => FileChange::Copied,
            b'T' => FileChange::Type,
            b'U' => FileChange::Conflicted,
            _ => FileChange::Modified,
        }
    }
}

/// What a side has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    /// The content's name in git, which is a hash of it. Content that git does not have is hashed
    /// as git would.
    pub id: String,
    pub mode: String,
    /// It is in the work tree and need not be in git.
    pub in_work_tree: bool,
}

/// A file that differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangedFile {
    pub path: String,
    /// How it was called before.
    pub old_path: Option<String>,
    pub change: FileChange,
    /// Lines that were added and removed; `None` for what has no lines.
    pub lines: Option<(u64, u64)>,
    pub old: Option<Object>,
    pub new: Option<Object>,
}

impl ChangedFile {
    /// What both sides have, by name: a review counts for exactly that.
    pub fn content(&self) -> [Option<&str>; 2] {
        [&self.old, &self.new].map(|side| side.as_ref().map(|object| object.id.as_str()))
    }
}

/// The files that differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changes {
    /// The work tree's top folder, or git's own where there is none.
    pub top: PathBuf,
    /// What the two sides are, cleaned.
    pub sides: [String; 2],
    pub files: Vec<ChangedFile>,
    /// How many more there are.
    pub omitted: usize,
    stamp: String,
}

/// Lists what differs. Changes nothing.
///
/// # Errors
/// Why it could not be listed.
pub async fn changes(
    request: &ChangesRequest,
    cancel: &CancellationToken,
) -> Result<Changes, StateError> {
    let shown = request.repository.display().to_string();
    if !request.repository.is_dir() {
        return Err(StateError::NoFolder(shown));
    }
    let git = Git::find(&request.repository, &request.variables, cancel)?;
    let top = top(&git, &shown).await?;
    let places = places_of(&git).await;
    let before = marks(places.as_ref());
    let (old, new, sides) = ends(&git, &request.range).await?;
    let mut listed = differing(&git, &old, new.as_deref()).await?;
    if new.is_none() {
        let git = git.in_folder(&top);
        untracked(&git, &top, &mut listed).await?;
        known_now(&git, &top, &mut listed).await?;
    }
    listed.sort_by(|one, other| one.path.cmp(&other.path));
    let omitted = listed.len().saturating_sub(FILES);
    listed.truncate(FILES);
    let stamp = before + &times(&top, &listed);
    Ok(Changes {
        top,
        sides,
        files: listed,
        omitted,
        stamp,
    })
}

/// Waits until something has moved that may make the list another.
pub async fn moved(request: &ChangesRequest, seen: &Changes, cancel: &CancellationToken) {
    let Ok(git) = Git::find(&request.repository, &request.variables, cancel) else {
        return;
    };
    let places = places_of(&git).await;
    loop {
        tokio::select! {
            () = cancel.cancelled() => return,
            () = tokio::time::sleep(GLANCE) => {}
        }
        if marks(places.as_ref()) + &times(&seen.top, &seen.files) != seen.stamp {
            return;
        }
    }
}

async fn top(git: &Git, shown: &str) -> Result<PathBuf, StateError> {
    let answer = git.ask(&["rev-parse", "--show-toplevel"]).await?;
    if answer.code == 0 {
        let text = String::from_utf8_lossy(&answer.out).into_owned();
        return Ok(PathBuf::from(text.trim_end_matches('\n')));
    }
    if answer.said.contains("dubious ownership") {
        let folder = shown.to_owned();
        return Err(StateError::Owner { folder });
    }
    if answer.said.contains("not a git repository") {
        return Err(StateError::NoRepository(shown.to_owned()));
    }
    Ok(PathBuf::from(
        git.must(&["rev-parse", "--absolute-git-dir"]).await?.text(),
    ))
}

/// The two commits, without a second one where the work tree is compared; and what they are called.
async fn ends(
    git: &Git,
    range: &Range,
) -> Result<(String, Option<String>, [String; 2]), StateError> {
    let commit = |name: String| async move {
        let found = revision(git, &name).await?;
        let said = || GitError::Said {
            command: "rev-parse".to_owned(),
            said: format!("there is no commit `{}` here", clean_line(&name)),
        };
        found.ok_or_else(said)
    };
    let short = |name: &str, commit: &str| {
        let short: String = commit.chars().take(8).collect();
        match commit.starts_with(name) {
            true => short,
            false => format!("{} ({short})", clean_line(name)),
        }
    };
    Ok(match range {
        Range::WorkTree(name) => match revision(git, name).await? {
            Some(old) => {
                let sides = [short(name, &old), "the work tree".to_owned()];
                (old, None, sides)
            }
            // Before the first commit everything is new.
            None if name == "HEAD" => {
                let empty = git
                    .must(&["hash-object", "-t", "tree", "/dev/null"])
                    .await?;
                let sides = ["nothing".to_owned(), "the work tree".to_owned()];
                (empty.text(), None, sides)
            }
            None => (
                commit(name.clone()).await?,
                None,
                [String::new(), String::new()],
            ),
        },
        Range::Between(old, new) => {
            let (a, b) = (commit(old.clone()).await?, commit(new.clone()).await?);
            let sides = [short(old, &a), short(new, &b)];
            (a, Some(b), sides)
        }
        Range::SinceFork(old, new) => {
            let (a, b) = (commit(old.clone()).await?, commit(new.clone()).await?);
            let base = git.ask(&["merge-base", &a, &b]).await?;
            // Without a common commit everything counts.
            let fork = if base.code == 0 {
                base.text()
            } else {
                a.clone()
            };
            let left = match fork == a {
                true => short(old, &a),
                false => format!("where it left {}", short(old, &a)),
            };
            let sides = [left, short(new, &b)];
            (fork, Some(b), sides)
        }
    })
}

async fn differing(git: &Git, old: &str, new: Option<&str>) -> Result<Vec<ChangedFile>, GitError> {
    let mut arguments = vec![
        "-c",
        "core.fsmonitor=false",
        "diff",
        "--raw",
        "--numstat",
        "-z",
        "--find-renames",
        "--no-abbrev",
        "--no-ext-diff",
        "--no-textconv",
        "--no-color",
        "--no-relative",
        old,
    ];
    arguments.extend(new);
    arguments.push("--");
    let mut out = Vec::new();
    let answer = git
        .read(&arguments, |piece| out.extend_from_slice(piece))
        .await?;
    if answer.code != 0 {
        return Err(GitError::Said {
            command: "diff".to_owned(),
            said: answer.said,
        });
    }
    Ok(read(&out, new.is_none()))
}

/// Reads the records of `--raw --numstat -z`: first what became of each file, then its lines.
fn read(out: &[u8], in_work_tree: bool) -> Vec<ChangedFile> {
    let mut fields = out.split(|byte| *byte == 0).map(String::from_utf8_lossy);
    let mut files: Vec<ChangedFile> = Vec::new();
    let mut places: BTreeMap<String, usize> = BTreeMap::new();
    while let Some(field) = fields.next() {
        if let Some(raw) = field.strip_prefix(':') {
            let mut parts = raw.split(' ');
            let mut part = || parts.next().unwrap_or_default().to_owned();
            let (old_mode, new_mode, old_id, new_id) = (part(), part(), part(), part());
            let change = FileChange::of(part().bytes().next().unwrap_or(b'M'));
            let mut path = || fields.next().unwrap_or_default().into_owned();
            let first = path();
            let moved = matches!(change, FileChange::Renamed | FileChange::Copied);
            let (old_path, path) = match moved {
                true => (Some(first), path()),
                false => (None, first),
            };
            let side = |id: String, mode: String, in_work_tree: bool| {
                let there = mode.bytes().any(|byte| byte != b'0');
                there.then_some(Object {
                    id,
                    mode,
                    in_work_tree,
                })
            };
            // A file in conflict comes twice: once unmerged, once as it is.
            if let Some(place) = places.get(&path) {
                files[*place].new = side(new_id, new_mode, in_work_tree);
                files[*place].old = side(old_id, old_mode, false);
                continue;
            }
            places.insert(path.clone(), files.len());
            files.push(ChangedFile {
                path,
                old_path,
                change,
                lines: None,
                old: side(old_id, old_mode, false),
                new: side(new_id, new_mode, in_work_tree),
            });
            continue;
        }
        let mut parts = field.splitn(3, '\t');
        let (Some(added), Some(removed)) = (parts.next(), parts.next()) else {
            continue;
        };
        let path = match parts.next() {
            Some("") => fields.nth(1).unwrap_or_default().into_owned(),
            Some(path) => path.to_owned(),
            None => continue,
        };
        let lines = added.parse().ok().zip(removed.parse().ok());
        if let Some(place) = places.get(&path) {
            files[*place].lines = lines;
        }
    }
    files
}

/// The times of the files in the work tree.
fn times(top: &Path, files: &[ChangedFile]) -> String {
    use std::os::unix::fs::MetadataExt as _;
    let mut out = String::new();
    let here = |file: &&ChangedFile| file.new.as_ref().is_some_and(|new| new.in_work_tree);
    for file in files.iter().filter(here) {
        if let Ok(found) = std::fs::symlink_metadata(top.join(&file.path)) {
            let (seconds, nanos) = (found.mtime(), found.mtime_nsec());
            out.push_str(&format!("{seconds}.{nanos} {}\n", found.len()));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_as_git_writes_them() {
        let name = |name: &str| name.to_owned();
        assert_eq!(Range::read("v1"), Range::WorkTree(name("v1")));
        assert_eq!(
            Range::read("v1..v2"),
            Range::Between(name("v1"), name("v2"))
        );
        assert_eq!(
            Range::read("main..."),
            Range::SinceFork(name("main"), name("HEAD"))
        );
        assert_eq!(Range::read("..x"), Range::Between(name("HEAD"), name("x")));
    }

    #[test]
    fn records_are_read_with_their_lines() {
        let out = b":100644 100644 aaa bbb M\0a b.sql\0:100644 100644 ccc ccc R100\0old\0new\0\
            :000000 100644 000 ddd A\0logo.png\0\
            3\t1\ta b.sql\x000\t0\t\0old\0new\0-\t-\tlogo.png\0";
        let files = read(out, false);
        assert_eq!(files.len(), 3);
        assert_eq!(files[0].lines, Some((3, 1)));
        assert_eq!(files[1].old_path.as_deref(), Some("old"));
        assert_eq!(
            (files[1].path.as_str(), files[1].lines),
            ("new", Some((0, 0)))
        );
        assert_eq!((&files[2].old, files[2].lines), (&None, None));
    }
}
