//! `git`: a repository stands where the promotion needs it, or every reason why not.

use super::git_reviewed;
use super::git_seen::{GitRules, GitSeen};
use super::{Context, Evidence, Outcome, Plan, Tone};
use crate::digest::digest;
use crate::expectation::Finding;
use crate::git::inspect::{Inspection, inspect};
use crate::git::program::{GitError, PASSED_ON};
use crate::git::state::{StateError, StateRequest, fingerprint_now};
use crate::runbook::GitCheck;
use crate::untrusted::clean;

/// The user's variables that git may need.
pub(super) fn variables(context: &Context) -> Vec<(String, String)> {
    let variable = |name: &&str| {
        let value = context.targets.variable(name)?;
        Some(((*name).to_owned(), value.to_owned()))
    };
    PASSED_ON.iter().filter_map(variable).collect()
}

fn rules(gate: &GitCheck, context: &Context) -> GitRules {
    let fill = |text: &Option<String>| text.as_ref().map(|text| context.fill(text));
    let fill_all = |list: &[String]| list.iter().map(|text| context.fill(text)).collect();
    GitRules {
        branch: fill(&gate.branch),
        clean: gate.clean,
        in_sync: gate.in_sync,
        fetch: gate.fetch,
        contains: fill_all(&gate.contains),
        not_behind: fill(&gate.not_behind),
        tag: fill(&gate.tag),
        signed_by: fill_all(&gate.signed_by),
        reviewed: fill_all(&gate.reviewed),
        reviewed_since: fill(&gate.reviewed_since),
    }
}

pub(super) fn plan(gate: &GitCheck, context: &Context) -> Plan {
    let rules = rules(gate, context);
    let repository = context.path(&gate.repository);
    let shown = context.shown(&repository);
    let shown = if shown.is_empty() { "." } else { &shown };
    let lines = rules.words();
    let signers = gate.allowed_signers.clone().unwrap_or_default();
    let mut inputs = vec![shown, &signers];
    inputs.extend(lines.iter().map(String::as_str));
    let mut plan = Plan::new(format!("look at the git repository {shown}"), &inputs);
    for line in &lines {
        plan.line(Tone::Plain, line);
    }
    if rules.fetch {
        plan.line(
            Tone::Muted,
            "it fetches first, which moves remote-tracking branches and nothing else",
        );
    }
    plan
}

pub(super) async fn run(gate: &GitCheck, context: &Context) -> Outcome {
    let rules = rules(gate, context);
    let asked = Inspection {
        at: StateRequest {
            repository: context.path(&gate.repository),
            target: rules.not_behind.clone(),
            variables: variables(context),
        },
        fetch: rules.fetch,
        contains: rules.contains.clone(),
        tag: rules.tag.clone(),
        signature: !rules.signed_by.is_empty(),
        allowed_signers: gate.allowed_signers.as_ref().map(|path| context.path(path)),
    };
    if let Some(missing) = asked
        .allowed_signers
        .as_ref()
        .filter(|path| !path.is_file())
    {
        return Outcome::of(
            Finding::errored("the signature cannot be looked at")
                .because(format!("there is no file {}", context.shown(missing)))
                .can("write one line for each signer into it: the address, then the public key"),
        );
    }
    let found = match Box::pin(inspect(&asked, &context.cancel)).await {
        Ok(found) => found,
        Err(StateError::Git(GitError::Canceled(_))) => {
            return Outcome::canceled("looking at the repository was canceled");
        }
        Err(error) => {
            return Outcome::of(
                Finding::errored("the repository could not be looked at")
                    .because(clean(&error.to_string()).into_owned())
                    .can("mend what it says, then retry this gate"),
            );
        }
    };
    let reviewed = match git_reviewed::look(&rules, &asked.at.repository, context).await {
        Ok(reviewed) => reviewed,
        Err(StateError::Git(GitError::Canceled(_))) => {
            return Outcome::canceled("looking at what was reviewed was canceled");
        }
        Err(error) => {
            return Outcome::of(
                Finding::errored("what was reviewed could not be compared with what is there")
                    .because(clean(&error.to_string()).into_owned())
                    .can("mend what it says, then retry this gate"),
            );
        }
    };
    let inputs = with_marks(found.state.fingerprint(rules.clean), gate, context);
    let seen = GitSeen {
        rules,
        reviewed,
        found,
    };
    Outcome::of(seen.judge()).with(Evidence::Git {
        repository: asked.at.repository.display().to_string(),
        inputs,
        seen: Box::new(seen),
    })
}

/// The hash over where the repository stands now, so that a gate that passed is stale once it moves.
pub(super) fn inputs(gate: &GitCheck, context: &Context) -> Option<String> {
    let repository = context.path(&gate.repository);
    let now = fingerprint_now(&repository, &variables(context), gate.clean)?;
    Some(with_marks(now, gate, context))
}

/// The hash with that of the marks, where marks are asked for.
fn with_marks(inputs: String, gate: &GitCheck, context: &Context) -> String {
    if gate.reviewed.is_empty() {
        return inputs;
    }
    let patterns: Vec<String> = gate.reviewed.iter().map(|p| context.fill(p)).collect();
    digest(format!("{inputs} {}", git_reviewed::marks(&patterns, context)).as_bytes())
}
