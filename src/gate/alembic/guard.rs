//! `guard`: may the change go from the reference to the target; and `check`: do the models and the
//! database say the same.

use super::audit::{differences, evidence, schema};
use super::call::{Call, failed};
use super::judge;
use super::seen::AlembicSeen;
use super::sight::Sight;
use crate::alembic::Distance;
use crate::alembic::answer::Trouble;
use crate::expectation::{Finding, Verdict};
use crate::gate::Outcome;
use crate::gate::query::unreachable;
use crate::schema::Snapshot;
use crate::untrusted::clean_line;

pub(super) async fn run(sight: &Sight<'_>) -> Outcome {
    let mut seen = match sight.look_at_all().await {
        Ok(seen) => seen,
        Err(outcome) => return outcome,
    };
    seen.version = sight.version().await;
    let finding = judged(sight, &mut seen).await;
    if sight.context.cancel.is_cancelled() {
        return Outcome::canceled("it was canceled; nothing was changed");
    }
    Outcome::of(finding.unwrap_or_else(|finding| finding)).with(evidence(sight, seen))
}

/// Looks as far as it makes sense; what refuses first ends it.
async fn judged(sight: &Sight<'_>, seen: &mut AlembicSeen) -> Result<Finding, Finding> {
    if let Some(finding) = judge::history(seen) {
        return Err(finding);
    }
    for database in &seen.databases {
        if database.relation.is_none() {
            return Err(judge::untracked(database));
        }
        if !database.unknown.is_empty() {
            return Err(judge::unknown(database));
        }
    }
    let (Some(here), Some(there)) = (seen.here().cloned(), seen.reference().cloned()) else {
        return Err(Finding::errored("a guard needs two databases"));
    };
    if here.fingerprint == there.fingerprint {
        return Err(judge::one_database(&here, &there));
    }
    let distance = sight.graph().distance(&here.versions, &there.versions);
    if let Some(finding) = judge::distance(&here, &there, &distance) {
        return Err(finding);
    }
    if !there.behind.is_empty() {
        return Err(judge::untested(&there));
    }
    let wanted = schema(sight, &there.target).await.map_err(unreadable)?;
    let (found, said) = match &distance {
        Distance::Behind(steps) => {
            seen.steps = sight.steps(steps);
            behind(sight, seen, steps.len(), &wanted).await?
        }
        _ => {
            let found = schema(sight, &here.target).await.map_err(unreadable)?;
            let said = "in sync, and the schemas are the same".to_owned();
            (Some(differences(&wanted, &found)), said)
        }
    };
    let Some(found) = found else {
        return Ok(Finding::passed(said));
    };
    seen.differences = Some(found.clone());
    if !found.is_empty() {
        let (target, reference) = (&here.target, &there.target);
        let finding = Finding::failed(format!(
            "{} differences between {target} and {reference} that no pending revision explains",
            found.len()
        ));
        return Err(judge::named(finding, &found)
            .because("nothing was run")
            .can("find out who changed a schema by hand; make a revision of it, or take it back"));
    }
    Ok(Finding::passed(said))
}

/// What is left of the difference once a copy of the target has had what is pending; none where
/// the runbook wants no copy.
async fn behind(
    sight: &Sight<'_>,
    seen: &mut AlembicSeen,
    count: usize,
    wanted: &Snapshot,
) -> Result<(Option<Vec<String>>, String), Finding> {
    let (Some(here), Some(there)) = (seen.here(), seen.reference()) else {
        return Err(Finding::errored("a guard needs two databases"));
    };
    let said = format!("{} is {count} revisions behind", here.target);
    if !sight.gate.scratch {
        return Ok((None, format!("{said}; not tried, as the runbook says")));
    }
    let goals: Vec<&str> = there.versions.iter().map(String::as_str).collect();
    let tried = sight.try_upgrade(&goals, here, Some(wanted));
    let tried = tried.await?;
    let differences = tried.differences.clone().unwrap_or_default();
    let (removed, trouble) = (tried.removed.len(), tried.failed.clone());
    seen.tried = Some(tried);
    if let Some(reason) = trouble {
        return Err(
            Finding::failed("the upgrade fails on a copy of the target's schema")
                .because(reason)
                .because("the target itself was only read")
                .can("mend the revision, test it, then retry this gate"),
        );
    }
    let said = match removed {
        0 => format!("{said}; upgraded on a private copy, its schema is the reference's"),
        n => format!("{said}; on a private copy {n} things are taken away by it, see below"),
    };
    Ok((Some(differences), said))
}

pub(super) fn unreadable(reason: String) -> Finding {
    Finding::errored("a schema could not be read")
        .because(reason)
        .can("mend what it says, then retry this gate")
}

pub(super) async fn check(sight: &Sight<'_>) -> Outcome {
    let mut seen = match sight.look_at_all().await {
        Ok(seen) => seen,
        Err(outcome) => return outcome,
    };
    seen.version = sight.version().await;
    let finding = match judge::history(&seen) {
        Some(finding) => finding,
        None => match seen.here() {
            Some(here) if here.relation.is_none() => judge::untracked(here),
            Some(here) if !here.unknown.is_empty() => judge::unknown(here),
            Some(here) if !here.behind.is_empty() => Finding::failed(format!(
                "{} is {} revisions behind the head",
                here.target,
                here.behind.len()
            ))
            .because(here.behind.join(", "))
            .can("upgrade it, then retry this gate"),
            _ => models(sight, &mut seen).await,
        },
    };
    Outcome::of(finding).with(evidence(sight, seen))
}

/// Asks Alembic whether the models say what the database says.
pub(super) async fn models(sight: &Sight<'_>, seen: &mut AlembicSeen) -> Finding {
    let now = match sight.look(&sight.gate.target).await {
        Ok(now) => now.versions,
        Err(error) => return unreachable(&sight.gate.target, &error).finding,
    };
    match sight.leads_elsewhere(&sight.context.targets, &now).await {
        Ok(None) => {}
        Ok(Some(reason)) => return sight.elsewhere(&sight.gate.target, &reason),
        Err(finding) => return finding,
    }
    let call = Call {
        arguments: &["check"],
        target: &sight.gate.target,
        targets: &sight.context.targets,
        acts: false,
        quiet: false,
    };
    let called = match sight.call(&call).await {
        Ok(called) => called,
        Err(finding) => return finding,
    };
    match called.trouble {
        None => {
            seen.models = Some(String::new());
            Finding::passed("current is the head, and the models say what the database says")
        }
        Some(trouble) => {
            if let Trouble::NewOperations(said) = &trouble {
                seen.models = Some(said.clone());
            }
            failed("the models and the database differ", &trouble)
        }
    }
}

impl Sight<'_> {
    /// Alembic would work somewhere else, or there as well.
    pub(super) fn elsewhere(&self, place: &str, reason: &str) -> Finding {
        let (project, variable) = (&self.described.name, &self.described.url_env);
        Finding::failed(format!("Alembic would not work on {place}"))
            .because(clean_line(reason))
            .because("nothing was run")
            .can(format!(
                "let env.py of {project} take its address from {variable}, whatever it is"
            ))
            .can("where it keeps its versions is said by version_table = \"schema.table\"")
    }
}

/// Tells whether a finding lets one go on.
pub(super) fn is_good(finding: &Finding) -> bool {
    finding.verdict == Verdict::Passed
}
