//! `merge`: one branch into another without a work tree, pushed, and the remote asked what came of it.

use super::git::variables;
use super::git_seen::short;
use super::{Context, Evidence, Outcome, Plan, Reconciled, Tone};
use crate::expectation::Finding;
use crate::git::merge::{self, MergePlan, MergeRequest, Step};
use crate::git::merge_act::{self, MergeError, MergeOutcome};
use crate::git::program::GitError;
use crate::promotion::Resolution;
use crate::runbook::{Merge, MergeMode};
use crate::untrusted::{clean, clean_line};

fn request(gate: &Merge, context: &Context) -> MergeRequest {
    let (from, into) = (context.fill(&gate.from), context.fill(&gate.into));
    let message = match &gate.message {
        Some(message) => context.fill(message),
        None => format!("Merge branch '{from}' into {into}"),
    };
    MergeRequest {
        repository: context.path(&gate.repository),
        fast_forward: gate.mode == MergeMode::FastForward,
        message,
        push_to: gate.push.then(|| context.fill(&gate.remote)),
        reviewed: gate.reviewed.as_ref().map(|text| context.fill(text)),
        variables: variables(context),
        from,
        into,
    }
}

pub(super) async fn plan(gate: &Merge, context: &Context) -> Plan {
    let request = request(gate, context);
    let summary = format!("merge `{}` into `{}`", request.from, request.into);
    let planned = match Box::pin(merge::plan(&request, &context.cancel)).await {
        Ok(planned) => planned,
        Err(error) => {
            let reason = clean(&error.to_string()).into_owned();
            let mut plan = Plan::new(summary, &[&reason]);
            plan.line(Tone::Bad, &reason);
            plan.refuses = Some(reason);
            return plan;
        }
    };
    let remote = request.push_to.clone().unwrap_or_default();
    let mut plan = Plan::new(
        summary,
        &[
            &request.from,
            &request.into,
            &remote,
            &request.message,
            &planned.from,
            &planned.into,
            planned.remote.as_deref().unwrap_or_default(),
            &planned.tree,
        ],
    );
    describe(&mut plan, &request, &planned);
    plan.payload = super::Payload::Merge(Box::new(planned));
    plan
}

fn describe(plan: &mut Plan, request: &MergeRequest, planned: &MergePlan) {
    for (why, _) in &planned.refusals {
        plan.line(Tone::Bad, why);
    }
    plan.refuses = planned.refusals.first().map(|(why, _)| why.clone());
    if !planned.conflicts.first.is_empty() {
        plan.line(Tone::Heading, "Files in conflict");
        for file in &planned.conflicts.first {
            plan.line(Tone::Bad, file);
        }
    }
    if planned.from.is_empty() || planned.into.is_empty() {
        return;
    }
    sides(plan, request, planned);
    manner(plan, request, planned);
    if !planned.commits.is_empty() {
        plan.line(Tone::Heading, format!("Commits, {}", planned.ahead));
        for commit in planned.commits.iter().take(50) {
            let line = format!(
                "{} {} {}",
                short(&commit.commit),
                commit.author,
                commit.subject
            );
            plan.line(Tone::Plain, line);
        }
    }
    if planned.files.count > 0 {
        plan.line(Tone::Heading, format!("Files, {}", planned.files.count));
        for file in &planned.files.first {
            plan.line(Tone::Plain, file);
        }
    }
}

/// Where both branches are, and what would become of them.
fn sides(plan: &mut Plan, request: &MergeRequest, planned: &MergePlan) {
    let (from, into) = (&request.from, &request.into);
    plan.line(Tone::Plain, format!("{from} at {}", short(&planned.from)));
    plan.line(Tone::Plain, format!("{into} at {}", short(&planned.into)));
    if let Some(name) = &request.push_to {
        let at = planned.remote.as_deref().map_or_else(
            || format!("{name} has no {into} yet"),
            |commit| format!("{into} on {name} at {}", short(commit)),
        );
        plan.line(Tone::Plain, at);
    }
    let how = match planned.step {
        Step::Nothing => "nothing to do: it is merged".to_owned(),
        Step::Follow => "the remote has it; only the branch here follows".to_owned(),
        Step::FastForward => format!("fast-forward by {} commits", planned.ahead),
        Step::Merge => format!(
            "a merge commit over {} commits, {} only on {into}: {}",
            planned.ahead,
            planned.behind,
            clean_line(&request.message)
        ),
    };
    plan.line(Tone::Plain, how);
}

/// What goes along with it: the push, the signature, hooks, a work tree.
fn manner(plan: &mut Plan, request: &MergeRequest, planned: &MergePlan) {
    let into = &request.into;
    let acts = matches!(planned.step, Step::FastForward | Step::Merge);
    if let (Some(name), true) = (&request.push_to, acts) {
        let line = format!("pushed to {name} first; {into} here moves only when {name} has it");
        plan.line(Tone::Plain, line);
    }
    if planned.sign {
        plan.line(Tone::Plain, "the merge commit is signed, as git is set to");
    }
    if !planned.hooks_left_out.is_empty() {
        let hooks = planned.hooks_left_out.join(", ");
        plan.line(
            Tone::Warning,
            format!("not run, because there is no work tree: {hooks}"),
        );
    }
    if let Some(path) = &planned.checked_out {
        plan.line(
            Tone::Plain,
            format!("{into} is checked out in {path}, which is clean and is moved along"),
        );
    }
}

pub(super) async fn run(gate: &Merge, context: &Context, plan: &Plan) -> Outcome {
    let request = request(gate, context);
    let super::Payload::Merge(planned) = &plan.payload else {
        let reason = plan.refuses.clone().unwrap_or_default();
        return Outcome::of(
            Finding::errored("nothing was merged")
                .because(reason)
                .can("mend what it says, then retry this gate"),
        );
    };
    match Box::pin(merge_act::merge(&request, planned, &context.cancel)).await {
        Ok(done) => {
            let evidence = evidence(&request, planned, &done);
            Outcome::of(finding(&request, &done)).with(evidence)
        }
        Err(MergeError::Git(GitError::Canceled(_))) => Outcome::canceled(
            "the merge was canceled; the remote and the branch here are as they were",
        ),
        Err(error) => {
            let lost = matches!(error, MergeError::Unknown(_));
            let mut outcome = Outcome::of(failure(&request, error));
            outcome.lost = lost;
            outcome
        }
    }
}

fn finding(request: &MergeRequest, done: &MergeOutcome) -> Finding {
    let (from, into, commit) = (&request.from, &request.into, short(&done.commit));
    let place = request.push_to.as_ref();
    let place = place.map_or_else(String::new, |name| format!(" on {name}"));
    let mut said = if done.changed {
        format!("`{from}` is in `{into}`{place}, at {commit}")
    } else {
        format!("`{into}`{place} had it already, at {commit}")
    };
    for note in &done.notes {
        said.push_str(&format!("; {}", clean_line(note)));
    }
    Finding::passed(said)
}

fn evidence(request: &MergeRequest, planned: &MergePlan, done: &MergeOutcome) -> Evidence {
    Evidence::Merge {
        repository: request.repository.display().to_string(),
        from: request.from.clone(),
        into: request.into.clone(),
        remote: request.push_to.clone(),
        done: done.clone(),
        planned: Box::new(planned.clone()),
    }
}

fn failure(request: &MergeRequest, error: MergeError) -> Finding {
    const UNTOUCHED: &str = "the remote and the branch here are as they were";
    let said = clean(&error.to_string()).into_owned();
    match error {
        MergeError::Refused(refusals) => {
            let mut finding = Finding::failed("nothing was merged");
            for (why, can) in refusals {
                finding = finding.because(why).can(can);
            }
            finding.because(UNTOUCHED)
        }
        MergeError::Changed(_) => Finding::failed("nothing was merged")
            .because(said)
            .because(UNTOUCHED)
            .can("read the new plan, then retry this gate"),
        MergeError::Rejected { reason, words } => {
            let mut finding = Finding::failed("the remote refused the push").because(reason);
            for word in words {
                finding = finding.because(format!("the remote says: {word}"));
            }
            finding
                .because(UNTOUCHED)
                .can("do what the remote says, then retry this gate")
        }
        MergeError::Moved { .. } => Finding::failed("the remote moved meanwhile")
            .because(said)
            .because("the branch here is as it was; nothing of the remote was written over")
            .can(format!(
                "take it over and look at it again: git fetch {0} {1}:{1}",
                request.push_to.as_deref().unwrap_or("origin"),
                request.into
            )),
        MergeError::Unknown(_) => {
            Finding::inconclusive("the push was sent, and the remote could not be asked")
                .because(said)
                .because("the branch here is as it was")
                .can("see that the remote answers, then press Enter: it is asked again")
        }
        MergeError::NotMoved(_) => Finding::failed("nothing was merged")
            .because(said)
            .can("see what the branch is at now, then retry this gate"),
        MergeError::Git(_) => Finding::errored("nothing was merged")
            .because(said)
            .because(UNTOUCHED)
            .can("mend what it says, then retry this gate"),
    }
}

/// Asks the remote, or without one the branch here.
pub(super) async fn reconcile(gate: &Merge, context: &Context) -> Reconciled {
    let request = request(gate, context);
    let planned = match Box::pin(merge::plan(&request, &context.cancel)).await {
        Ok(planned) => planned,
        Err(error) => {
            return Reconciled {
                resolution: None,
                finding: Finding::errored("git or the remote could not be asked")
                    .because(clean(&error.to_string()).into_owned()),
                evidence: None,
            };
        }
    };
    let place = request.push_to.as_deref().unwrap_or("the branch here");
    if planned.step != Step::Nothing || planned.into.is_empty() || !planned.refusals.is_empty() {
        let said = match planned.step {
            Step::Follow => format!("`{place}` has it; `{}` here does not yet", request.into),
            _ => format!("`{place}` does not have it"),
        };
        return Reconciled {
            resolution: Some(Resolution::Pending),
            finding: Finding::inconclusive("the merge did not come to its end")
                .because(said)
                .can("press Enter to start it again: what was pushed is not pushed twice"),
            evidence: None,
        };
    }
    let done = MergeOutcome {
        commit: planned.into.clone(),
        tree: planned.tree.clone(),
        changed: true,
        words: Vec::new(),
        notes: Vec::new(),
    };
    Reconciled {
        resolution: Some(Resolution::Passed),
        finding: finding(&request, &done),
        evidence: Some(evidence(&request, &planned, &done)),
    }
}
