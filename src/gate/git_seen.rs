//! What a git gate asks for, what it saw, and the verdict between the two.

use serde::{Deserialize, Serialize};

use super::git_reviewed::ReviewedSeen;
use crate::expectation::{Finding, Verdict};
use crate::git::inspect::Inspected;
use crate::git::state::Head;

/// What must be true.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GitRules {
    pub branch: Option<String>,
    pub clean: bool,
    pub in_sync: bool,
    pub fetch: bool,
    pub contains: Vec<String>,
    pub not_behind: Option<String>,
    pub tag: Option<String>,
    pub signed_by: Vec<String>,
    /// Patterns of files that people must have read.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reviewed: Vec<String>,
    /// What they have read begins where the head left this revision.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reviewed_since: Option<String>,
}

/// What was asked for and what was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GitSeen {
    pub rules: GitRules,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reviewed: Option<ReviewedSeen>,
    #[serde(flatten)]
    pub found: Inspected,
}

impl GitRules {
    /// One line for each rule.
    pub(super) fn words(&self) -> Vec<String> {
        let mut lines = Vec::new();
        if let Some(branch) = &self.branch {
            lines.push(format!("`{branch}` is checked out"));
        }
        if self.clean {
            lines.push("everything is committed, and no merge or rebase is unfinished".to_owned());
        }
        if self.in_sync {
            lines.push("the branch and its upstream are at the same commit".to_owned());
        }
        if let Some(other) = &self.not_behind {
            lines.push(format!("nothing of `{other}` is lacking"));
        }
        for revision in &self.contains {
            lines.push(format!("`{revision}` is contained"));
        }
        if let Some(tag) = &self.tag {
            lines.push(format!("the annotated tag `{tag}` is at the head"));
        }
        if !self.signed_by.is_empty() {
            let of = self.tag.as_ref().map_or("the commit", |_| "the tag");
            lines.push(format!("{of} is signed by {}", self.signed_by.join(" or ")));
        }
        if let Some(since) = &self.reviewed_since {
            lines.push(format!(
                "what has changed since `{since}` in {} is reviewed, in this run, as it is",
                self.reviewed.join(", ")
            ));
        }
        lines
    }
}

/// The causes as they are found, with what can be done about each.
struct Causes {
    failed: Vec<(String, String)>,
    errored: Vec<(String, String)>,
}

impl Causes {
    fn fail(&mut self, cause: impl Into<String>, can: impl Into<String>) {
        self.failed.push((cause.into(), can.into()));
    }
}

impl GitSeen {
    /// Every reason for which it does not pass.
    pub fn judge(&self) -> Finding {
        let mut causes = Causes {
            failed: Vec::new(),
            errored: Vec::new(),
        };
        self.fetching(&mut causes);
        self.head(&mut causes);
        self.tree(&mut causes);
        self.distances(&mut causes);
        self.tag(&mut causes);
        self.signature(&mut causes);
        if let Some(reviewed) = &self.reviewed {
            causes.failed.extend(reviewed.causes());
        }
        let (verdict, summary) = match (causes.failed.len(), causes.errored.len()) {
            (0, 0) => return Finding::passed(self.summary()),
            (0, _) => (Verdict::Errored, "the remote could not be asked".to_owned()),
            (1, _) => (Verdict::Failed, causes.failed[0].0.clone()),
            (n, _) => (
                Verdict::Failed,
                format!("{n} things are not as they must be"),
            ),
        };
        let mut finding = Finding::new(verdict, summary);
        for (cause, can) in causes.failed.into_iter().chain(causes.errored) {
            finding = finding.because(cause);
            if !finding.what_you_can_do.contains(&can) {
                finding = finding.can(can);
            }
        }
        finding
    }

    fn summary(&self) -> String {
        let state = &self.found.state;
        let commit = short(state.commit.as_deref().unwrap_or_default());
        let branch = state.branch().unwrap_or("detached HEAD");
        let clean = if self.rules.clean { ", clean" } else { "" };
        let sync = if self.rules.in_sync { ", in sync" } else { "" };
        let reviewed = match &self.reviewed {
            Some(reviewed) => format!(", {} files reviewed", reviewed.files.len()),
            None => String::new(),
        };
        format!("{branch} at {commit}{clean}{sync}{reviewed}")
    }

    fn fetching(&self, causes: &mut Causes) {
        for fetched in &self.found.fetched {
            let (remote, branch) = (&fetched.remote, &fetched.branch);
            match &fetched.failed {
                Some(_) if fetched.gone => causes.fail(
                    format!("`{remote}` has no branch `{branch}` any more"),
                    format!("push it (git push {remote} {branch}) or follow another branch"),
                ),
                Some(said) => causes.errored.push((
                    format!("`{branch}` could not be fetched from `{remote}`: {said}"),
                    "see that the remote answers without asking for a password, then retry".into(),
                )),
                None => {}
            }
        }
    }

    fn head(&self, causes: &mut Causes) {
        let state = &self.found.state;
        if let Head::Unborn(branch) = &state.head {
            causes.fail(
                format!("`{branch}` has no commit yet"),
                "check the branch out that is to be promoted",
            );
        }
        if let Some(wanted) = &self.rules.branch
            && state.branch() != Some(wanted)
        {
            let cause = match state.branch() {
                Some(branch) => format!("`{branch}` is checked out, not `{wanted}`"),
                None => format!("no branch is checked out (detached HEAD), not `{wanted}`"),
            };
            causes.fail(cause, format!("git switch {wanted}"));
        }
    }

    fn tree(&self, causes: &mut Causes) {
        let state = &self.found.state;
        if !self.rules.clean {
            return;
        }
        if state.bare {
            causes.fail(
                "it has no work tree that could be clean",
                "name a repository with a work tree, or leave `clean` out",
            );
        }
        if let Some(what) = &state.in_progress {
            causes.fail(
                format!("{what} is in progress"),
                "finish it or abort it (git status says how)",
            );
        }
        for (names, word, can) in [
            (&state.conflicted, "in conflict", "resolve it, then commit"),
            (
                &state.changed,
                "changed and not committed",
                "commit it, or stash it (git stash)",
            ),
            (
                &state.untracked,
                "not tracked",
                "commit it, remove it, or name it in .gitignore",
            ),
        ] {
            if names.count > 0 {
                causes.fail(format!("{} {word}: {}", names.count, names.shown(5)), can);
            }
        }
    }

    fn distances(&self, causes: &mut Causes) {
        let state = &self.found.state;
        if self.rules.in_sync {
            match &state.upstream {
                None => causes.fail(
                    "the branch follows no branch of a remote",
                    "git branch --set-upstream-to=origin/<branch>",
                ),
                Some(upstream) => match upstream.ahead_behind {
                    Some((0, 0)) => {}
                    Some((ahead, behind)) => {
                        let name = &upstream.name;
                        if behind > 0 {
                            causes.fail(format!("{behind} behind `{name}`"), "git pull --ff-only");
                        }
                        if ahead > 0 {
                            causes.fail(format!("{ahead} ahead of `{name}`"), "git push");
                        }
                    }
                    None => causes.fail(
                        format!("`{}` is gone", upstream.name),
                        "push the branch again, or follow another one",
                    ),
                },
            }
        }
        if let (Some(name), Some(target)) = (&self.rules.not_behind, &state.target) {
            if target.commit.is_none() {
                causes.fail(
                    format!("there is no `{name}` here"),
                    "fetch it, or mend its name in the runbook",
                );
            } else if target.behind > 0 {
                causes.fail(
                    format!("{} behind `{name}`", target.behind),
                    format!("bring it in: git merge {name}"),
                );
            }
        }
        for asked in self.found.contains.iter().filter(|c| !c.contained) {
            let revision = &asked.revision;
            match &asked.commit {
                None => causes.fail(
                    format!("there is no commit `{revision}` here"),
                    "fetch it, or mend its name in the runbook",
                ),
                Some(_) => causes.fail(
                    format!("`{revision}` is not contained"),
                    format!("bring it in: git merge {revision}"),
                ),
            }
        }
    }

    fn tag(&self, causes: &mut Causes) {
        let Some(tag) = &self.found.tag else {
            return;
        };
        let name = &tag.name;
        let make = format!("git tag -a {name} -m {name}");
        match &tag.commit {
            None => causes.fail(format!("there is no tag `{name}`"), make),
            Some(commit) => {
                if Some(commit) != self.found.state.commit.as_ref() {
                    causes.fail(
                        format!("the tag `{name}` is at {}, not at the head", short(commit)),
                        format!("check it out (git checkout {name}), or tag the head"),
                    );
                }
                if !tag.annotated {
                    causes.fail(
                        format!("the tag `{name}` is lightweight: nobody made it at any time"),
                        format!("git tag -d {name}; {make}"),
                    );
                }
            }
        }
    }

    fn signature(&self, causes: &mut Causes) {
        let Some(signature) = &self.found.signature else {
            return;
        };
        let wanted = self.rules.signed_by.join(" or ");
        let can = format!("have it signed by {wanted} (git commit -S, git tag -s)");
        match (&signature.by, signature.good) {
            (Some(by), true) if self.rules.signed_by.contains(by) => {}
            (Some(by), true) => causes.fail(
                format!("{} is signed by {by}, not by {wanted}", signature.of),
                can,
            ),
            _ if signature.said.is_empty() => {
                causes.fail(format!("{} is not signed", signature.of), can);
            }
            _ => causes.fail(
                format!(
                    "{} has no signature that counts: {}",
                    signature.of,
                    signature.said.lines().next().unwrap_or_default()
                ),
                can,
            ),
        }
    }
}

/// A commit as people read it.
pub(super) fn short(commit: &str) -> String {
    commit.chars().take(12).collect()
}
