//! Where a repository stands, told truthfully of every sort of repository, by the real `git`.

use std::path::Path;

use stagegate::git::state::{Head, State, StateError, StateRequest, fingerprint_now, look};
use tokio_util::sync::CancellationToken;

use crate::git_commit::{Repository, variables};

async fn look_at(folder: &Path, target: Option<&str>) -> Result<State, StateError> {
    let request = StateRequest {
        repository: folder.to_owned(),
        target: target.map(str::to_owned),
        variables: variables(),
    };
    look(&request, &CancellationToken::new()).await
}

async fn state(repository: &Repository) -> State {
    look_at(repository.path(), None).await.unwrap()
}

/// A bare repository beside, as `origin`, with `main` pushed and followed.
fn with_remote() -> (Repository, tempfile::TempDir) {
    let repository = Repository::new();
    let remote = tempfile::tempdir().unwrap();
    let path = remote.path().to_str().unwrap();
    repository.git(&["init", "--quiet", "--bare", path]);
    repository.git(&["remote", "add", "origin", path]);
    repository.git(&["push", "--quiet", "-u", "origin", "main"]);
    (repository, remote)
}

fn commit(repository: &Repository, file: &str) {
    repository.write(file, file);
    repository.git(&["add", "--", file]);
    repository.git(&["commit", "--quiet", "-m", &format!("add {file}")]);
}

#[tokio::test]
async fn a_branch_tells_how_far_it_is_from_its_upstream_and_from_the_target() {
    let (repository, _remote) = with_remote();
    repository.git(&["checkout", "--quiet", "-b", "develop"]);
    commit(&repository, "one");
    repository.git(&["push", "--quiet", "-u", "origin", "develop"]);
    repository.git(&["fetch", "--quiet"]);
    commit(&repository, "two");
    commit(&repository, "three");
    repository.git(&["reset", "--quiet", "--hard", "HEAD~2"]);
    commit(&repository, "four");
    repository.git(&["tag", "light"]);
    repository.git(&["tag", "-a", "v1", "-m", "v1", "HEAD~1"]);
    let seen = look_at(repository.path(), Some("origin/main"))
        .await
        .unwrap();
    assert_eq!(seen.head, Head::Branch("develop".to_owned()));
    let upstream = seen.upstream.as_ref().unwrap();
    assert_eq!(upstream.name, "origin/develop");
    assert_eq!(upstream.ahead_behind, Some((1, 0)));
    let target = seen.target.as_ref().unwrap();
    assert_eq!((target.ahead, target.behind), (2, 0));
    let subjects: Vec<&str> = target.commits.iter().map(|c| c.subject.as_str()).collect();
    assert_eq!(subjects, ["add four", "add one"]);
    assert_eq!(target.commits[0].author, "Ana Lind");
    assert_eq!(target.commits[0].parents, 1);
    assert_eq!(seen.tags_at_head, ["light"]);
    assert!(seen.latest_tag.is_some());
    assert!(seen.fetched.is_some() && seen.is_clean());
    assert_eq!(
        seen.commit.as_deref(),
        Some(repository.git(&["rev-parse", "HEAD"]).as_str())
    );
    // A branch of the remote that is gone is gone, and not equal.
    repository.git(&["update-ref", "-d", "refs/remotes/origin/develop"]);
    let seen = state(&repository).await;
    assert_eq!(seen.upstream.unwrap().ahead_behind, None);
    let missing = look_at(repository.path(), Some("nowhere")).await.unwrap();
    assert_eq!(missing.target.unwrap().commit, None);
}

#[tokio::test]
async fn what_is_not_committed_is_named() {
    let repository = Repository::new();
    assert!(state(&repository).await.is_clean());
    let clean = state(&repository).await.fingerprint(true);
    repository.write("a.txt", "1\n");
    repository.git(&["mv", "b.txt", "ü c.txt"]);
    repository.write("new folder/x", "x");
    let seen = state(&repository).await;
    assert_eq!(seen.changed.first, ["a.txt", "ü c.txt"]);
    assert_eq!(seen.untracked.first, ["new folder/"]);
    assert_ne!(seen.fingerprint(true), clean);
    for with_dirt in [true, false] {
        let now = fingerprint_now(repository.path(), &variables(), with_dirt);
        assert_eq!(now, Some(seen.fingerprint(with_dirt)));
    }
}

#[tokio::test]
async fn operations_in_progress_detached_and_unborn_heads_are_told() {
    let repository = Repository::new();
    repository.git(&["checkout", "--quiet", "-b", "other"]);
    repository.write("a.txt", "other\n");
    repository.git(&["commit", "--quiet", "-am", "other"]);
    repository.git(&["checkout", "--quiet", "main"]);
    repository.write("a.txt", "main\n");
    repository.git(&["commit", "--quiet", "-am", "main"]);
    for (command, undo, what) in [
        ("merge", vec!["merge", "--abort"], "a merge"),
        ("rebase", vec!["rebase", "--abort"], "a rebase"),
        (
            "cherry-pick",
            vec!["cherry-pick", "--abort"],
            "a cherry-pick",
        ),
    ] {
        let failed = std::process::Command::new("git")
            .args([command, "other"])
            .current_dir(repository.path())
            .env("GIT_EDITOR", "true")
            .output()
            .unwrap();
        assert!(!failed.status.success());
        let seen = state(&repository).await;
        assert_eq!(seen.in_progress.as_deref(), Some(what));
        assert_eq!(seen.conflicted.first, ["a.txt"]);
        repository.git(&undo);
    }
    repository.git(&["bisect", "start"]);
    assert_eq!(
        state(&repository).await.in_progress.as_deref(),
        Some("a bisection")
    );
    repository.git(&["bisect", "reset"]);
    repository.git(&["checkout", "--quiet", "--detach"]);
    let seen = state(&repository).await;
    assert_eq!((seen.head, seen.upstream), (Head::Detached, None));
    repository.git(&["checkout", "--quiet", "--orphan", "fresh"]);
    let seen = state(&repository).await;
    assert_eq!(seen.head, Head::Unborn("fresh".to_owned()));
    assert_eq!(seen.commit, None);
}

#[tokio::test]
async fn bare_shallow_worktrees_and_submodules_are_told() {
    let (repository, remote) = with_remote();
    remote_head(remote.path());
    let bare = look_at(remote.path(), None).await.unwrap();
    assert!(bare.bare && bare.commit.is_some());
    commit(&repository, "more");
    repository.git(&["push", "--quiet"]);
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let url = format!("file://{}", remote.path().display());
    repository.git(&[
        "clone",
        "--quiet",
        "--depth=1",
        "-b",
        "main",
        &url,
        &path("shallow"),
    ]);
    let shallow = look_at(Path::new(&path("shallow")), None).await.unwrap();
    assert!(shallow.shallow && !shallow.bare);
    repository.git(&["worktree", "add", "--quiet", "-b", "side", &path("side")]);
    let seen = state(&repository).await;
    assert_eq!(seen.worktrees.len(), 1);
    assert_eq!(seen.worktrees[0].branch.as_deref(), Some("side"));
    let side = look_at(Path::new(&path("side")), None).await.unwrap();
    assert_eq!(side.head, Head::Branch("side".to_owned()));
    assert_eq!(side.worktrees[0].branch.as_deref(), Some("main"));
    repository.git(&[
        "-c",
        "protocol.file.allow=always",
        "submodule",
        "--quiet",
        "add",
        &url,
        "lib/sub",
    ]);
    repository.git(&["commit", "--quiet", "-m", "sub"]);
    repository.write("lib/sub/a.txt", "changed\n");
    let seen = state(&repository).await;
    assert_eq!(seen.submodules.first, ["lib/sub"]);
    assert_eq!(seen.submodules_changed.first, ["lib/sub"]);
    assert!(!seen.is_clean());
}

#[tokio::test]
async fn what_is_no_repository_and_what_is_somebody_elses_is_explained() {
    let empty = tempfile::tempdir().unwrap();
    let said = look_at(empty.path(), None).await.unwrap_err();
    assert!(matches!(said, StateError::NoRepository(_)), "{said:?}");
    let said = look_at(&empty.path().join("x"), None).await.unwrap_err();
    assert!(matches!(said, StateError::NoFolder(_)), "{said:?}");
    // Only root can give a folder away.
    if !rustix::process::getuid().is_root() {
        return;
    }
    let repository = Repository::new();
    for path in [repository.path().to_owned(), repository.path().join(".git")] {
        std::os::unix::fs::chown(path, Some(65534), None).unwrap();
    }
    let said = look_at(repository.path(), None).await.unwrap_err();
    assert!(matches!(said, StateError::Owner { .. }), "{said:?}");
    assert!(said.to_string().contains("safe.directory"), "{said}");
    assert_eq!(fingerprint_now(repository.path(), &variables(), true), None);
}

/// A repository may name programs that its settings run; looking runs none of them.
#[tokio::test]
async fn looking_runs_no_program_of_the_repository() {
    let repository = Repository::new();
    let canary = repository.path().join(".git/canary");
    let touch = format!("touch {}; false", canary.display());
    repository.git(&["config", "core.fsmonitor", &touch]);
    repository.git(&["config", "core.pager", &touch]);
    repository.hook("post-index-change", &touch);
    let _ = look_at(repository.path(), Some("main")).await.unwrap();
    assert!(!canary.exists());
}

/// An older git makes bare repositories on a branch of another name.
fn remote_head(remote: &Path) {
    let ended = std::process::Command::new("git")
        .args(["symbolic-ref", "HEAD", "refs/heads/main"])
        .current_dir(remote)
        .status()
        .unwrap();
    assert!(ended.success());
}
