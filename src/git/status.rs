//! The work tree's status as `git status --porcelain=v2 --branch -z` writes it, read while it comes.

use std::path::Path;

use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use super::program::Git;
use crate::digest::digest;
use crate::untrusted::clean_line;

/// How many names of each sort are kept.
const KEPT: usize = 50;

/// The command whose output [`Reader`] reads. A repository may name a program that watches files;
/// looking runs no such program.
pub(super) const STATUS: [&str; 7] = [
    "-c",
    "core.fsmonitor=false",
    "status",
    "--porcelain=v2",
    "--branch",
    "-z",
    "--untracked-files=normal",
];

/// Names that were counted; the first of them are kept.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Names {
    pub count: u64,
    pub first: Vec<String>,
}

impl Names {
    /// Counts one more, and keeps its name while there are few.
    pub fn add(&mut self, name: &str) {
        self.count += 1;
        if self.first.len() < KEPT {
            self.first.push(clean_line(name));
        }
    }

    /// The first few names, and how many more there are.
    pub fn shown(&self, most: usize) -> String {
        let mut shown = self.first[..most.min(self.first.len())].join(", ");
        let more = self.count.saturating_sub(most as u64);
        if more > 0 {
            shown.push_str(&format!(" and {more} more"));
        }
        shown
    }
}

/// What the status says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Status {
    /// `None` before the first commit.
    pub(super) commit: Option<String>,
    /// `None` when no branch is checked out.
    pub(super) branch: Option<String>,
    pub(super) upstream: Option<String>,
    /// `None` when the upstream has no such branch any more.
    pub(super) ahead_behind: Option<(u64, u64)>,
    pub(super) changed: Names,
    pub(super) untracked: Names,
    pub(super) conflicted: Names,
    /// Submodules that differ from what is recorded.
    pub(super) submodules: Names,
}

/// The hash over where a repository stands. What is not committed counts only where it is asked for.
pub(super) fn fingerprint(
    commit: Option<&str>,
    branch: Option<&str>,
    dirt: Option<[&Names; 3]>,
) -> String {
    let mut parts = vec![
        commit.unwrap_or_default().to_owned(),
        branch.unwrap_or_default().to_owned(),
    ];
    for names in dirt.into_iter().flatten() {
        parts.push(names.count.to_string());
        parts.extend(names.first.iter().cloned());
    }
    digest(parts.join("\0").as_bytes())
}

/// Where a repository stands now, asked without a runtime; `None` when git does not say.
///
/// # Errors
/// Never; what cannot be asked is `None`.
pub fn fingerprint_now(
    folder: &Path,
    variables: &[(String, String)],
    with_dirt: bool,
) -> Option<String> {
    let git = Git::find(folder, variables, &CancellationToken::new()).ok()?;
    let mut reader = Reader::default();
    reader.take(&git.at_once(&STATUS)?);
    let now = reader.finish();
    let dirt = [&now.changed, &now.untracked, &now.conflicted];
    let dirt = with_dirt.then_some(dirt);
    Some(fingerprint(
        now.commit.as_deref(),
        now.branch.as_deref(),
        dirt,
    ))
}

/// Takes the output piece by piece.
#[derive(Debug, Default)]
pub(super) struct Reader {
    status: Status,
    rest: Vec<u8>,
    /// The next record is the old name of a renamed file.
    old_name: bool,
}

impl Reader {
    pub(super) fn take(&mut self, mut piece: &[u8]) {
        while let Some(end) = piece.iter().position(|byte| *byte == 0) {
            let mut record = std::mem::take(&mut self.rest);
            record.extend_from_slice(&piece[..end]);
            piece = &piece[end + 1..];
            self.record(&String::from_utf8_lossy(&record));
        }
        self.rest.extend_from_slice(piece);
    }

    pub(super) fn finish(self) -> Status {
        self.status
    }

    fn record(&mut self, record: &str) {
        if std::mem::take(&mut self.old_name) {
            return;
        }
        let status = &mut self.status;
        let Some((sort, rest)) = record.split_once(' ') else {
            return;
        };
        let path = |fields: usize| rest.splitn(fields, ' ').last().unwrap_or_default();
        match sort {
            "#" => status.header(rest),
            "1" => status.entry(rest, path(8)),
            "2" => {
                status.entry(rest, path(9));
                self.old_name = true;
            }
            "u" => status.conflicted.add(path(10)),
            "?" => status.untracked.add(rest),
            _ => {}
        }
    }
}

impl Status {
    fn header(&mut self, header: &str) {
        let Some((name, value)) = header.split_once(' ') else {
            return;
        };
        let known = |unknown: &str| (value != unknown).then(|| clean_line(value));
        match name {
            "branch.oid" => self.commit = known("(initial)"),
            "branch.head" => self.branch = known("(detached)"),
            "branch.upstream" => self.upstream = Some(clean_line(value)),
            "branch.ab" => {
                let mut counts = value.split(' ').map(|count| count[1..].parse().ok());
                if let (Some(Some(ahead)), Some(Some(behind))) = (counts.next(), counts.next()) {
                    self.ahead_behind = Some((ahead, behind));
                }
            }
            _ => {}
        }
    }

    fn entry(&mut self, rest: &str, path: &str) {
        self.changed.add(path);
        // `XY sub …`: the second field begins with S where the path is a submodule.
        if rest.split(' ').nth(1).is_some_and(|f| f.starts_with('S')) {
            self.submodules.add(path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUTPUT: &str = "# branch.oid 1234\0# branch.head develop\0# branch.upstream origin/develop\0\
        # branch.ab +3 -2\0\
        1 .M N... 100644 100644 100644 aaaa bbbb a file.txt\0\
        2 R. N... 100644 100644 100644 aaaa bbbb R100 new name\0old ? name\0\
        1 .M S.M. 160000 160000 160000 aaaa bbbb lib/sub\0\
        u UU N... 100644 100644 100644 100644 a b c both.txt\0\
        ? un\ntracked\0";

    #[test]
    fn records_are_read_however_they_are_cut() {
        let mut whole = Reader::default();
        whole.take(OUTPUT.as_bytes());
        let status = whole.finish();
        assert_eq!(status.branch.as_deref(), Some("develop"));
        assert_eq!(status.ahead_behind, Some((3, 2)));
        assert_eq!(status.changed.first, ["a file.txt", "new name", "lib/sub"]);
        assert_eq!(status.conflicted.first, ["both.txt"]);
        assert_eq!(status.untracked.first, ["un⏎tracked"]);
        assert_eq!(status.submodules.first, ["lib/sub"]);
        for size in 1..9 {
            let mut cut = Reader::default();
            OUTPUT.as_bytes().chunks(size).for_each(|c| cut.take(c));
            assert_eq!(cut.finish(), status);
        }
    }

    #[test]
    fn names_are_bounded_and_counted() {
        let mut names = Names::default();
        (0..60).for_each(|n| names.add(&n.to_string()));
        assert_eq!((names.count, names.first.len()), (60, KEPT));
        assert_eq!(names.shown(2), "0, 1 and 58 more");
    }

    #[test]
    fn a_fingerprint_moves_with_the_head_and_with_dirt_that_counts() {
        let (none, mut some) = (Names::default(), Names::default());
        some.add("a");
        let clean = [&none, &none, &none];
        let dirty = [&some, &none, &none];
        let print = |commit, dirt| fingerprint(Some(commit), Some("main"), dirt);
        assert_ne!(print("1", None), print("2", None));
        assert_ne!(print("1", Some(clean)), print("1", Some(dirty)));
        assert_eq!(print("1", Some(clean)), print("1", Some(clean)));
    }
}
