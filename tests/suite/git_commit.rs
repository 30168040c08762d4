//! Commits of exactly the named files, on real repositories by the real `git`.

use std::path::{Path, PathBuf};
use std::process::Command;

use stagegate::git::commit::{
    CommitError, CommitFile, CommitOutcome, CommitPlan, CommitRequest, FileState, commit,
    committed, plan,
};
use tokio_util::sync::CancellationToken;

/// A repository on `main` with two files.
pub(crate) struct Repository {
    folder: tempfile::TempDir,
}

impl Repository {
    pub(crate) fn new() -> Repository {
        let repository = Repository {
            folder: tempfile::tempdir().unwrap(),
        };
        repository.git(&["init", "--quiet"]);
        repository.git(&["symbolic-ref", "HEAD", "refs/heads/main"]);
        repository.git(&["config", "user.name", "Ana Lind"]);
        repository.git(&["config", "user.email", "ana@example.com"]);
        repository.write("a.txt", "one\n");
        repository.write("b.txt", "two\n");
        repository.git(&["add", "."]);
        repository.git(&["commit", "--quiet", "-m", "first"]);
        repository
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn write(&self, path: &str, text: &str) {
        let path = self.folder.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    pub(crate) fn read(&self, path: &str) -> String {
        std::fs::read_to_string(self.folder.path().join(path)).unwrap()
    }

    pub(crate) fn git(&self, arguments: &[&str]) -> String {
        let output = Command::new("git")
            .args(arguments)
            .current_dir(self.folder.path())
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .output()
            .unwrap();
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    fn request(&self, files: &[(&str, &str)]) -> CommitRequest {
        let file = |(path, content): &(&str, &str)| CommitFile {
            path: (*path).to_owned(),
            content: (*content).to_owned(),
        };
        CommitRequest {
            repository: self.folder.path().to_owned(),
            branch: "main".to_owned(),
            message: "feat: what was asked for".to_owned(),
            files: files.iter().map(file).collect(),
            variables: variables(),
        }
    }

    pub(crate) fn hook(&self, name: &str, script: &str) {
        use std::os::unix::fs::PermissionsExt as _;
        let path = self.folder.path().join(".git/hooks").join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
}

pub(crate) fn variables() -> Vec<(String, String)> {
    [
        ("PATH", std::env::var("PATH").unwrap()),
        ("GIT_CONFIG_GLOBAL", "/dev/null".to_owned()),
        ("GIT_CONFIG_NOSYSTEM", "1".to_owned()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into()
}

async fn planned(request: &CommitRequest) -> Result<CommitPlan, CommitError> {
    plan(request, &CancellationToken::new()).await
}

async fn carried_out(
    request: &CommitRequest,
    plan: &CommitPlan,
) -> Result<CommitOutcome, CommitError> {
    commit(request, plan, &CancellationToken::new()).await
}

async fn both(request: &CommitRequest) -> Result<CommitOutcome, CommitError> {
    let plan = planned(request).await?;
    carried_out(request, &plan).await
}

#[track_caller]
fn says(result: Result<CommitPlan, CommitError>, words: &str) {
    let said = result.unwrap_err().to_string();
    assert!(said.contains(words), "{said}");
}

#[tokio::test]
async fn only_the_named_files_are_committed() {
    let repository = Repository::new();
    repository.write("b.txt", "staged\n");
    repository.git(&["add", "b.txt"]);
    repository.write("b.txt", "edited after\n");
    repository.write("staged-new.txt", "new and staged\n");
    repository.git(&["add", "staged-new.txt"]);
    repository.write("untracked.txt", "of nobody\n");
    let before = repository.git(&["status", "--porcelain"]);
    let head = repository.git(&["rev-parse", "HEAD"]);

    let request = repository.request(&[("a.txt", "1\n"), (".github/x/new.yml", "on: push\n")]);
    let plan = planned(&request).await.unwrap();
    assert!(plan.files[0].diff.contains("-one\n+1\n"));
    assert!(
        plan.files[1]
            .diff
            .contains("--- /dev/null\n+++ b/.github/x/new.yml")
    );
    assert_eq!(plan.author, "Ana Lind <ana@example.com>");
    assert_eq!(repository.git(&["status", "--porcelain"]), before);
    let done = carried_out(&request, &plan).await.unwrap();
    assert!(done.changed);

    assert_eq!(repository.git(&["status", "--porcelain"]), before);
    assert_eq!(repository.git(&["show", ":b.txt"]), "staged");
    assert_eq!(repository.read("b.txt"), "edited after\n");
    let changed = repository.git(&["diff-tree", "--no-commit-id", "--name-only", "-r", "HEAD"]);
    assert_eq!(changed, ".github/x/new.yml\na.txt");
    assert_eq!(repository.git(&["rev-parse", "HEAD^"]), head);
    assert_eq!(repository.git(&["rev-parse", "HEAD"]), done.commit);
    assert_eq!(
        repository.git(&["log", "-1", "--format=%an %s"]),
        "Ana Lind feat: what was asked for"
    );
}

#[tokio::test]
async fn a_second_time_there_is_nothing_to_do() {
    let repository = Repository::new();
    let request = repository.request(&[("new/flag.toml", "percentage = 10\n")]);
    let none = committed(&request, &CancellationToken::new())
        .await
        .unwrap();
    assert_eq!(none, None);
    let first = both(&request).await.unwrap();
    repository.write("c.txt", "more\n");
    repository.git(&["add", "c.txt"]);
    repository.git(&["commit", "--quiet", "-m", "another"]);
    let plan = planned(&request).await.unwrap();
    assert!(!plan.changes());
    assert_eq!(plan.files[0].state, FileState::Committed);
    let second = carried_out(&request, &plan).await.unwrap();
    assert!(!second.changed);
    assert_eq!(second.commit, first.commit);
    let found = committed(&request, &CancellationToken::new())
        .await
        .unwrap();
    assert_eq!(found, Some(first.commit));
}

#[tokio::test]
async fn what_was_written_before_a_crash_is_committed() {
    let repository = Repository::new();
    let request = repository.request(&[("a.txt", "1\n"), ("n.txt", "n\n")]);
    let plan = planned(&request).await.unwrap();
    repository.write("a.txt", "1\n");
    repository.write("n.txt", "n\n");
    repository.git(&["add", "--intent-to-add", "n.txt"]);
    // The plan of the attempt that died counts as well: what it wanted to write stands there.
    let again = planned(&request).await.unwrap();
    assert_eq!(again.files[0].state, FileState::Written);
    assert_eq!(again.files[1].state, FileState::Written);
    assert!(carried_out(&request, &plan).await.unwrap().changed);
    assert_eq!(repository.git(&["status", "--porcelain"]), "");
}

#[tokio::test]
async fn a_file_that_somebody_changes_is_not_written_over() {
    let repository = Repository::new();
    let request = repository.request(&[("a.txt", "1\n")]);
    let plan = planned(&request).await.unwrap();
    repository.write("a.txt", "somebody's\n");
    let refused = carried_out(&request, &plan).await.unwrap_err();
    assert!(refused.to_string().contains("not committed"), "{refused}");
    assert_eq!(repository.read("a.txt"), "somebody's\n");
    repository.git(&["commit", "--quiet", "-am", "somebody's"]);
    let refused = carried_out(&request, &plan).await.unwrap_err();
    assert_eq!(refused, CommitError::Changed("a.txt".to_owned()));
    assert_eq!(repository.read("a.txt"), "somebody's\n");
    let untracked = repository.request(&[("u.txt", "u\n")]);
    repository.write("u.txt", "of somebody\n");
    says(planned(&untracked).await, "not committed");
}

#[tokio::test]
async fn states_that_are_none_to_commit_on_are_refused() {
    let repository = Repository::new();
    let request = repository.request(&[("a.txt", "1\n")]);
    repository.git(&["checkout", "--quiet", "-b", "other"]);
    says(planned(&request).await, "`other` is checked out");
    repository.write("a.txt", "other\n");
    repository.git(&["commit", "--quiet", "-am", "other"]);
    repository.git(&["checkout", "--quiet", "main"]);
    repository.write("a.txt", "main\n");
    repository.git(&["commit", "--quiet", "-am", "main"]);
    let merge = Command::new("git")
        .args(["merge", "other"])
        .current_dir(repository.path())
        .output()
        .unwrap();
    assert!(!merge.status.success());
    says(planned(&request).await, "a merge is in progress");
    repository.git(&["merge", "--abort"]);
    repository.git(&["checkout", "--quiet", "--detach"]);
    says(planned(&request).await, "detached HEAD");
    repository.git(&["checkout", "--quiet", "main"]);
    repository.git(&["config", "--unset", "user.email"]);
    says(planned(&request).await, "user.name and user.email");
    repository.git(&["config", "user.email", "ana@example.com"]);
    assert!(planned(&request).await.is_ok());
    let mut below = request.clone();
    below.repository = repository.path().join(".git");
    assert!(planned(&below).await.is_err());
    below.repository = PathBuf::from("/nowhere/at/all");
    says(planned(&below).await, "there is no folder");
}

#[tokio::test]
async fn paths_that_lead_elsewhere_are_refused() {
    let repository = Repository::new();
    repository.write(".gitignore", "ignored/\n");
    std::os::unix::fs::symlink("/tmp", repository.path().join("out")).unwrap();
    for (path, words) in [
        ("../x", "leads out"),
        (".git/hooks/pre-commit", "git's own"),
        ("out/x", "symbolic link"),
        ("ignored/x", "is ignored"),
    ] {
        says(planned(&repository.request(&[(path, "x")])).await, words);
    }
}

#[tokio::test]
async fn a_hook_that_refuses_leaves_everything_as_it_was() {
    let repository = Repository::new();
    repository.write("b.txt", "staged\n");
    repository.git(&["add", "b.txt"]);
    let before = repository.git(&["status", "--porcelain"]);
    repository.hook("pre-commit", "echo not on a Friday >&2; exit 1");
    let request = repository.request(&[("a.txt", "1\n"), ("n/n.txt", "n\n")]);
    let refused = both(&request).await.unwrap_err();
    let CommitError::NotCommitted { said, put_back } = &refused else {
        panic!("{refused:?}");
    };
    assert!(said.contains("not on a Friday") && *put_back, "{said}");
    assert_eq!(repository.git(&["status", "--porcelain"]), before);
    assert_eq!(repository.read("a.txt"), "one\n");
    assert!(!repository.path().join("n/n.txt").exists());
}

#[tokio::test]
async fn a_commit_that_is_canceled_leaves_everything_as_it_was() {
    let repository = Repository::new();
    let before = repository.git(&["status", "--porcelain"]);
    repository.hook("pre-commit", "touch .git/began; sleep 60");
    let request = repository.request(&[("a.txt", "1\n"), ("n.txt", "n\n")]);
    let plan = planned(&request).await.unwrap();
    let cancel = CancellationToken::new();
    let began = repository.path().join(".git/began");
    let stop = async {
        while !began.exists() {
            tokio::task::yield_now().await;
        }
        cancel.cancel();
    };
    let (done, ()) = tokio::join!(commit(&request, &plan, &cancel), stop);
    let error = done.unwrap_err();
    assert_eq!(error.to_string(), "git commit was canceled");
    assert_eq!(repository.git(&["status", "--porcelain"]), before);
    assert_eq!(repository.read("a.txt"), "one\n");
    assert!(!repository.path().join("n.txt").exists());
    assert!(!repository.path().join(".git/index.lock").exists());
}

#[tokio::test]
async fn a_hook_that_changes_the_file_is_noticed() {
    let repository = Repository::new();
    repository.hook("pre-commit", "echo changed > a.txt; git add a.txt");
    let refused = both(&repository.request(&[("a.txt", "1\n")]))
        .await
        .unwrap_err();
    let CommitError::Other { said, .. } = &refused else {
        panic!("{refused:?}");
    };
    assert!(said.contains("other content"), "{said}");
}

#[tokio::test]
async fn the_mode_of_a_file_stays() {
    use std::os::unix::fs::PermissionsExt as _;
    let repository = Repository::new();
    let path = repository.path().join("a.txt");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    repository.git(&["commit", "--quiet", "-am", "mode"]);
    both(&repository.request(&[("a.txt", "1\n"), ("n.txt", "n\n")]))
        .await
        .unwrap();
    let mode = |name: &str| {
        let found = std::fs::metadata(repository.path().join(name)).unwrap();
        found.permissions().mode() & 0o777
    };
    assert_eq!((mode("a.txt"), mode("n.txt")), (0o755, 0o644));
    assert_eq!(repository.git(&["status", "--porcelain"]), "");
}
