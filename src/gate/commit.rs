//! `commit`: exactly these files, with exactly this content, on one branch.

use super::{Context, Evidence, Outcome, Plan, Reconciled, Tone};
use crate::expectation::Finding;
use crate::git::commit::{
    self, CommitError, CommitFile, CommitOutcome, CommitPlan, CommitRequest, FileState,
};
use crate::git::program::PASSED_ON;
use crate::promotion::Resolution;
use crate::runbook::{Commit, ContentSource, fill_content};
use crate::untrusted::{clean, clean_line};

/// What is to be committed, in the words of the floor below.
fn request(gate: &Commit, context: &Context) -> Result<CommitRequest, String> {
    let mut files = Vec::new();
    for file in &gate.files {
        let content = match &file.content {
            ContentSource::Template(template) => fill_content(template, &context.values)
                .map_err(|error| format!("{}: {error}", file.path))?,
            ContentSource::File(path) => {
                let path = context.path(path);
                super::migrate_files::read_text(&path)
                    .map_err(|reason| format!("{}: {reason}", context.shown(&path)))?
            }
        };
        files.push(CommitFile {
            path: context.fill(&file.path),
            content,
        });
    }
    let variable = |name: &&str| {
        Some((
            (*name).to_owned(),
            context.targets.variable(name)?.to_owned(),
        ))
    };
    Ok(CommitRequest {
        repository: context.path(&gate.repository),
        branch: context.fill(&gate.branch),
        message: context.fill(&gate.message),
        files,
        variables: PASSED_ON.iter().filter_map(variable).collect(),
    })
}

/// The hash over what would be committed; where the branch is now is looked at when it acts.
fn inputs(request: &CommitRequest) -> Vec<String> {
    let mut inputs = vec![
        request.repository.display().to_string(),
        request.branch.clone(),
        request.message.clone(),
    ];
    for file in &request.files {
        inputs.push(file.path.clone());
        inputs.push(file.content.clone());
    }
    inputs
}

pub(super) async fn plan(gate: &Commit, context: &Context) -> Plan {
    let request = match request(gate, context) {
        Ok(request) => request,
        Err(reason) => {
            let mut plan = Plan::new("commit files", &[&reason]);
            plan.line(Tone::Bad, &reason);
            plan.refuses = Some(reason);
            return plan;
        }
    };
    let inputs = inputs(&request);
    let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
    let planned = Box::pin(commit::plan(&request, &context.cancel)).await;
    let names: Vec<&str> = request.files.iter().map(|f| f.path.as_str()).collect();
    let mut plan = Plan::new(
        format!("commit {} on `{}`", names.join(", "), request.branch),
        &inputs,
    );
    plan.line(Tone::Plain, format!("branch   {}", request.branch));
    plan.line(
        Tone::Plain,
        format!("message  {}", clean_line(&request.message)),
    );
    match planned {
        Err(error) => {
            let reason = clean(&error.to_string()).into_owned();
            plan.line(Tone::Bad, &reason);
            plan.refuses = Some(reason);
        }
        Ok(planned) => {
            describe(&mut plan, &planned);
            plan.payload = super::Payload::Commit(Box::new(planned));
        }
    }
    plan.with(
        Tone::Muted,
        "nothing else is touched: what is staged or edited stays as it is; nothing is pushed",
    )
}

fn describe(plan: &mut Plan, planned: &CommitPlan) {
    plan.line(Tone::Plain, format!("author   {}", planned.author));
    let head: String = planned.head.chars().take(12).collect();
    plan.line(Tone::Plain, format!("onto     {head}"));
    if !planned.changes() {
        plan.summary = format!("nothing to do: `{}` has these files", planned.branch);
    }
    for file in &planned.files {
        plan.line(Tone::Heading, &file.path);
        match file.state {
            FileState::Committed => plan.line(Tone::Good, "the branch has this content"),
            FileState::Written => plan.line(Tone::Warning, "written already, not committed yet"),
            FileState::ToWrite => {}
        }
        for line in file.diff.lines() {
            let header = line.starts_with("--- ") || line.starts_with("+++ ");
            let tone = match line.as_bytes().first() {
                _ if header => Tone::Muted,
                Some(b'+') => Tone::Good,
                Some(b'-') => Tone::Bad,
                Some(b'@') => Tone::Muted,
                _ => Tone::Plain,
            };
            plan.line(tone, line);
        }
    }
}

pub(super) async fn run(gate: &Commit, context: &Context, plan: &Plan) -> Outcome {
    let request = match request(gate, context) {
        Ok(request) => request,
        Err(reason) => return Outcome::of(Finding::errored(reason)),
    };
    let super::Payload::Commit(planned) = &plan.payload else {
        let reason = plan.refuses.clone().unwrap_or_default();
        return Outcome::of(
            Finding::failed("nothing was committed")
                .because(reason)
                .can("mend what it says, then retry this gate"),
        );
    };
    match Box::pin(commit::commit(&request, planned, &context.cancel)).await {
        Ok(done) => {
            let evidence = evidence(&request, planned, &done);
            Outcome::of(finding(&request, &done)).with(evidence)
        }
        Err(CommitError::Git(crate::git::program::GitError::Canceled(_))) => {
            Outcome::canceled("the commit was canceled; the files are as they were")
        }
        Err(error) => Outcome::of(failure(&error)),
    }
}

fn finding(request: &CommitRequest, done: &CommitOutcome) -> Finding {
    let short: String = done.commit.chars().take(12).collect();
    Finding::passed(if done.changed {
        format!("committed as {short} on `{}`", request.branch)
    } else {
        format!("`{}` had it already, in {short}", request.branch)
    })
}

fn evidence(request: &CommitRequest, planned: &CommitPlan, done: &CommitOutcome) -> Evidence {
    Evidence::Commit {
        repository: request.repository.display().to_string(),
        branch: request.branch.clone(),
        message: clean_line(&request.message),
        commit: done.commit.clone(),
        changed: done.changed,
        author: clean_line(&planned.author),
        files: planned.files.clone(),
    }
}

fn failure(error: &CommitError) -> Finding {
    let said = clean(&error.to_string()).into_owned();
    match error {
        CommitError::Refused(_) | CommitError::Changed(_) => {
            Finding::failed("nothing was committed")
                .because(said)
                .because("no file was touched")
                .can("mend what it says, then retry this gate")
        }
        CommitError::NotCommitted { put_back, .. } => Finding::failed("git refused the commit")
            .because(said)
            .because(if *put_back {
                "the files are as they were"
            } else {
                "the files could not all be put back: look at `git status`"
            })
            .can("mend what the hook or git says, then retry this gate"),
        CommitError::Other { commit, .. } => Finding::failed("the commit is not what was planned")
            .because(said)
            .can(format!("look at it: git show {commit}"))
            .can("take it back with git revert, or mend the hook, then retry this gate"),
        CommitError::File { .. } | CommitError::Git(_) => {
            Finding::errored("nothing could be committed")
                .because(said)
                .can("mend what it says, then retry this gate")
        }
    }
}

/// Asks git whether the branch has the content.
pub(super) async fn reconcile(gate: &Commit, context: &Context) -> Reconciled {
    let unknown = |reason: String| Reconciled {
        resolution: None,
        finding: Finding::errored("git could not be asked").because(reason),
        evidence: None,
    };
    let request = match request(gate, context) {
        Ok(request) => request,
        Err(reason) => return unknown(reason),
    };
    let found = match Box::pin(commit::committed(&request, &context.cancel)).await {
        Ok(found) => found,
        Err(error) => return unknown(clean(&error.to_string()).into_owned()),
    };
    let Some(commit) = found else {
        return Reconciled {
            resolution: Some(Resolution::Pending),
            finding: Finding::inconclusive("it was not committed")
                .because(format!("`{}` does not have the content", request.branch))
                .can("press Enter to commit it; what was written already is taken up"),
            evidence: None,
        };
    };
    let done = CommitOutcome {
        commit,
        changed: true,
    };
    let planned = Box::pin(commit::plan(&request, &context.cancel)).await.ok();
    Reconciled {
        resolution: Some(Resolution::Passed),
        finding: finding(&request, &done),
        evidence: planned.map(|planned| evidence(&request, &planned, &done)),
    }
}
