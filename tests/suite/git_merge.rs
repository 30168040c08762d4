//! Merges without a work tree, pushed to real bare remotes with hooks; the remote decides.

use std::path::Path;

use stagegate::git::merge::{MergePlan, MergeRequest, Step, plan};
use stagegate::git::merge_act::{MergeError, MergeOutcome, merge};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use crate::git_commit::{Repository, variables};

/// `develop`, checked out, is one commit ahead of `main`; the remote has `main`.
pub(crate) struct Promotion {
    pub(crate) repository: Repository,
    pub(crate) remote: TempDir,
}

impl Promotion {
    pub(crate) fn new() -> Promotion {
        let promotion = Promotion {
            repository: Repository::new(),
            remote: tempfile::tempdir().unwrap(),
        };
        let git = |arguments: &[&str]| promotion.repository.git(arguments);
        let path = promotion.remote.path().to_str().unwrap();
        git(&["init", "--quiet", "--bare", path]);
        git(&["remote", "add", "origin", path]);
        git(&["push", "--quiet", "-u", "origin", "main"]);
        git(&["checkout", "--quiet", "-b", "develop"]);
        promotion.commit("new.txt", "new\n");
        git(&["push", "--quiet", "-u", "origin", "develop"]);
        promotion
    }

    pub(crate) fn git(&self, arguments: &[&str]) -> String {
        self.repository.git(arguments)
    }

    pub(crate) fn commit(&self, file: &str, text: &str) {
        self.repository.write(file, text);
        self.git(&["add", "--", file]);
        self.git(&["commit", "--quiet", "-m", &format!("change {file}")]);
    }

    pub(crate) fn remote_main(&self) -> String {
        let line = self.git(&["ls-remote", "origin", "refs/heads/main"]);
        line.split_whitespace()
            .next()
            .unwrap_or_default()
            .to_owned()
    }

    /// A hook of the remote.
    pub(crate) fn hook(&self, name: &str, script: &str) {
        write_hook(&self.remote.path().join("hooks").join(name), script);
    }

    /// Somebody else pushes a commit to `main`.
    pub(crate) fn somebody_pushes(&self) {
        let folder = tempfile::tempdir().unwrap();
        let other = folder.path().to_str().unwrap();
        let url = self.remote.path().to_str().unwrap();
        self.git(&["clone", "--quiet", "-b", "main", url, other]);
        std::fs::write(folder.path().join("theirs.txt"), "theirs\n").unwrap();
        let identity = ["-c", "user.name=Bo", "-c", "user.email=bo@example.com"];
        for arguments in [
            vec!["-C", other, "add", "."],
            [
                vec!["-C", other],
                identity.to_vec(),
                vec!["commit", "--quiet", "-m", "theirs"],
            ]
            .concat(),
            vec!["-C", other, "push", "--quiet"],
        ] {
            self.git(&arguments);
        }
    }

    fn request(&self) -> MergeRequest {
        MergeRequest {
            repository: self.repository.path().to_owned(),
            from: "develop".to_owned(),
            into: "main".to_owned(),
            fast_forward: false,
            message: "Release 1".to_owned(),
            push_to: Some("origin".to_owned()),
            reviewed: None,
            variables: variables(),
        }
    }

    /// Every branch here with its commit, what is checked out, and what is not committed.
    fn standing(&self) -> String {
        [
            self.git(&["for-each-ref", "refs/heads"]),
            self.git(&["symbolic-ref", "HEAD"]),
            self.git(&["status", "--porcelain"]),
        ]
        .join("\n")
    }
}

fn write_hook(path: &Path, script: &str) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, format!("#!/bin/sh\n{script}\n")).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

async fn planned(request: &MergeRequest) -> MergePlan {
    plan(request, &CancellationToken::new()).await.unwrap()
}

async fn both(request: &MergeRequest) -> Result<MergeOutcome, MergeError> {
    let plan = planned(request).await;
    merge(request, &plan, &CancellationToken::new()).await
}

#[track_caller]
fn refuses(plan: &MergePlan, words: &str) {
    let said = format!("{:?}", plan.refusals);
    assert!(said.contains(words), "{said}");
}

#[tokio::test]
async fn a_merge_commit_is_pushed_and_no_work_tree_is_touched() {
    let promotion = Promotion::new();
    promotion.repository.write("a.txt", "edited\n");
    promotion.repository.write("untracked", "x");
    let status = promotion.git(&["status", "--porcelain"]);
    let old = promotion.remote_main();
    let request = promotion.request();
    let plan = planned(&request).await;
    assert_eq!((plan.step, plan.ahead, plan.behind), (Step::Merge, 1, 0));
    assert_eq!(plan.files.first, ["new.txt"]);
    assert_eq!(promotion.remote_main(), old);
    let done = both(&request).await.unwrap();
    assert_eq!(promotion.remote_main(), done.commit);
    assert_eq!(promotion.git(&["rev-parse", "main"]), done.commit);
    let develop = promotion.git(&["rev-parse", "develop"]);
    assert_eq!(
        promotion.git(&["log", "-1", "--format=%P %s", "main"]),
        format!("{old} {develop} Release 1")
    );
    assert_eq!(promotion.git(&["status", "--porcelain"]), status);
    assert_eq!(
        promotion.git(&["symbolic-ref", "--short", "HEAD"]),
        "develop"
    );
    // Once more does nothing.
    let again = both(&request).await.unwrap();
    assert_eq!((again.changed, again.commit), (false, done.commit));
}

#[tokio::test]
async fn a_fast_forward_moves_the_branch_and_nothing_else_is_one() {
    let promotion = Promotion::new();
    let mut request = promotion.request();
    request.fast_forward = true;
    let done = both(&request).await.unwrap();
    assert_eq!(done.commit, promotion.git(&["rev-parse", "develop"]));
    assert_eq!(promotion.remote_main(), done.commit);
    promotion.git(&["checkout", "--quiet", "main"]);
    promotion.commit("only-main.txt", "x\n");
    promotion.git(&["push", "--quiet"]);
    promotion.git(&["checkout", "--quiet", "develop"]);
    promotion.commit("more.txt", "x\n");
    refuses(&planned(&request).await, "this is no fast-forward");
}

#[tokio::test]
async fn conflicts_are_shown_by_file_before_anything_changes() {
    let promotion = Promotion::new();
    promotion.commit("a.txt", "develop\n");
    promotion.git(&["checkout", "--quiet", "main"]);
    promotion.commit("a.txt", "main\n");
    promotion.git(&["push", "--quiet"]);
    promotion.git(&["checkout", "--quiet", "develop"]);
    let before = promotion.standing();
    let plan = planned(&promotion.request()).await;
    assert_eq!(plan.conflicts.first, ["a.txt"]);
    refuses(&plan, "1 files conflict: a.txt");
    let error = both(&promotion.request()).await.unwrap_err();
    assert!(matches!(error, MergeError::Refused(_)), "{error:?}");
    assert_eq!(promotion.standing(), before);
}

#[tokio::test]
async fn a_push_that_a_hook_refuses_leaves_nothing_changed() {
    let promotion = Promotion::new();
    promotion.hook("pre-receive", "echo not on a Friday >&2; exit 1");
    let (before, old) = (promotion.standing(), promotion.remote_main());
    let error = both(&promotion.request()).await.unwrap_err();
    let MergeError::Rejected { reason, words } = &error else {
        panic!("{error:?}");
    };
    assert!(reason.contains("pre-receive hook declined"), "{reason}");
    assert_eq!(words, &["not on a Friday"]);
    assert_eq!(
        (promotion.standing(), promotion.remote_main()),
        (before, old)
    );
}

#[tokio::test]
async fn a_push_that_happened_is_believed_whatever_was_reported() {
    let promotion = Promotion::new();
    promotion.hook("post-receive", "kill -9 $PPID");
    let done = both(&promotion.request()).await.unwrap();
    assert_eq!(promotion.remote_main(), done.commit);
    assert_eq!(promotion.git(&["rev-parse", "main"]), done.commit);
    assert!(
        done.notes[0].contains("the remote has it"),
        "{:?}",
        done.notes
    );
}

#[tokio::test]
async fn a_remote_that_moves_meanwhile_is_never_written_over() {
    let promotion = Promotion::new();
    let plan = planned(&promotion.request()).await;
    promotion.somebody_pushes();
    let before = promotion.standing();
    let cancel = CancellationToken::new();
    let error = merge(&promotion.request(), &plan, &cancel)
        .await
        .unwrap_err();
    let MergeError::Refused(why) = &error else {
        panic!("{error:?}");
    };
    assert!(why[0].0.contains("1 commits ahead"), "{why:?}");
    assert_eq!(promotion.standing(), before);

    // Between the last look and the push: the user's own hook is where somebody else is faster.
    let promotion = Promotion::new();
    let marker = promotion.repository.path().join(".git/pushed");
    let remote = promotion.remote.path().display().to_string();
    promotion.repository.hook(
        "pre-push",
        &format!(
            "[ -e {0} ] && exit 0\ntouch {0}\ncd {remote}\nunset GIT_DIR\n\
             export GIT_AUTHOR_NAME=Bo GIT_AUTHOR_EMAIL=b@x GIT_COMMITTER_NAME=Bo GIT_COMMITTER_EMAIL=b@x\n\
             new=$(git commit-tree -p main -m theirs main^{{tree}})\n\
             git update-ref refs/heads/main $new",
            marker.display()
        ),
    );
    let before = promotion.standing();
    let error = both(&promotion.request()).await.unwrap_err();
    assert!(matches!(error, MergeError::Moved { .. }), "{error:?}");
    assert_eq!(promotion.standing(), before);
    assert_eq!(
        promotion.git(&["--git-dir", &remote, "log", "-1", "--format=%s", "main"]),
        "theirs"
    );
}

#[tokio::test]
async fn a_remote_that_is_gone_after_the_push_is_in_doubt_and_then_followed() {
    let promotion = Promotion::new();
    let away = promotion.remote.path().with_extension("away");
    let here = promotion.remote.path().to_owned();
    let script = format!("mv {} {}", here.display(), away.display());
    promotion.hook("post-receive", &script);
    let before = promotion.standing();
    let error = both(&promotion.request()).await.unwrap_err();
    assert!(matches!(error, MergeError::Unknown(_)), "{error:?}");
    assert_eq!(promotion.standing(), before);
    std::fs::rename(&away, &here).unwrap();
    let plan = planned(&promotion.request()).await;
    assert_eq!(plan.step, Step::Follow);
    let done = both(&promotion.request()).await.unwrap();
    assert_eq!(promotion.remote_main(), done.commit);
    assert_eq!(promotion.git(&["rev-parse", "main"]), done.commit);
}

#[tokio::test]
async fn a_checked_out_branch_is_taken_along_clean_and_refused_dirty() {
    let promotion = Promotion::new();
    promotion.git(&["checkout", "--quiet", "main"]);
    promotion.repository.write("a.txt", "edited\n");
    let before = promotion.standing();
    refuses(&planned(&promotion.request()).await, "not committed: a.txt");
    assert_eq!(promotion.standing(), before);
    promotion.git(&["checkout", "--quiet", "a.txt"]);
    let done = both(&promotion.request()).await.unwrap();
    assert!(done.notes.is_empty(), "{:?}", done.notes);
    assert_eq!(promotion.git(&["rev-parse", "HEAD"]), done.commit);
    assert_eq!(promotion.git(&["status", "--porcelain"]), "");
    assert_eq!(promotion.repository.read("new.txt"), "new\n");
}

#[tokio::test]
async fn only_what_was_reviewed_is_merged() {
    let promotion = Promotion::new();
    let mut request = promotion.request();
    request.reviewed = Some("develop".to_owned());
    assert_eq!(planned(&request).await.refusals, []);
    request.reviewed = Some(promotion.git(&["rev-parse", "develop^{tree}"]));
    assert_eq!(planned(&request).await.refusals, []);
    request.reviewed = Some("develop~1".to_owned());
    refuses(&planned(&request).await, "not what was reviewed");
    request.reviewed = Some("nothing".to_owned());
    refuses(&planned(&request).await, "is not here");
}

#[tokio::test]
async fn what_cannot_be_merged_is_explained() {
    let promotion = Promotion::new();
    let mut request = promotion.request();
    request.push_to = Some("elsewhere".to_owned());
    refuses(&planned(&request).await, "there is no remote `elsewhere`");
    request.push_to = Some("twice".to_owned());
    let url = promotion.remote.path().to_str().unwrap();
    promotion.git(&["remote", "add", "twice", url]);
    promotion.git(&[
        "remote",
        "set-url",
        "--add",
        "--push",
        "twice",
        "/elsewhere",
    ]);
    refuses(&planned(&request).await, "pushes to another place");
    request.from = "release".to_owned();
    refuses(&planned(&request).await, "there is no branch `release`");
    let request = promotion.request();
    promotion.git(&["branch", "--quiet", "-f", "main", "main"]);
    promotion.git(&["update-ref", "refs/heads/main", &{
        let tree = promotion.git(&["rev-parse", "main^{tree}"]);
        promotion.git(&["commit-tree", "-p", "main", "-m", "of nobody", &tree])
    }]);
    refuses(&planned(&request).await, "nobody asked to push them");
    // Without a push the branch here is all there is.
    let mut request = promotion.request();
    request.push_to = None;
    let remote = promotion.remote_main();
    let done = both(&request).await.unwrap();
    assert_eq!(promotion.git(&["rev-parse", "main"]), done.commit);
    assert_eq!(promotion.remote_main(), remote);
}
