//! The verdicts on what an `alembic` gate saw: pure functions of the evidence.

use super::audit::Diagnosis;
use super::seen::{AlembicSeen, DatabaseSeen};
use crate::alembic::Distance;
use crate::expectation::Finding;

/// How many differences are named in a verdict; all of them are in the evidence.
const NAMED: usize = 8;

/// Judges an audit. `accept` holds the diagnoses that pass.
pub(super) fn audit(seen: &AlembicSeen, accept: &[String]) -> Finding {
    let diagnosis = Diagnosis::of(seen);
    let places: Vec<String> = seen.databases.iter().map(place).collect();
    let said = format!("{}: {}", diagnosis.word(), places.join("; "));
    if accept.iter().any(|word| word == diagnosis.word()) {
        return Finding::passed(said);
    }
    let mut finding = Finding::failed(said);
    for database in &seen.databases {
        for unknown in &database.unknown {
            let target = &database.target;
            finding = finding.because(format!("{target}: no file has revision {unknown}"));
        }
        if database.relation.is_none() {
            let target = &database.target;
            finding = finding
                .because(format!("{target} has no version table"))
                .can(format!("stamp {target} at the baseline, then audit again"));
        }
    }
    finding = seen
        .troubles
        .iter()
        .cloned()
        .fold(finding, Finding::because);
    finding = named(finding, seen.differences.as_deref().unwrap_or_default());
    finding.can("read the summaries; then run the guard again")
}

fn place(database: &DatabaseSeen) -> String {
    format!("{} {}", database.target, database.at())
}

/// Names some differences.
pub(super) fn named(finding: Finding, differences: &[String]) -> Finding {
    let mut finding = differences
        .iter()
        .take(NAMED)
        .cloned()
        .fold(finding, Finding::because);
    if differences.len() > NAMED {
        finding = finding.because(format!("and {} more", differences.len() - NAMED));
    }
    finding
}

/// What is wrong with the history itself.
pub(super) fn history(seen: &AlembicSeen) -> Option<Finding> {
    if let Some(first) = seen.troubles.first() {
        let finding = Finding::failed("the history is broken").because(first.clone());
        let more = seen.troubles.iter().skip(1).take(NAMED).cloned();
        return Some(
            more.fold(finding, Finding::because)
                .because("nothing was run")
                .can("mend the revision files it names, commit that, then retry this gate"),
        );
    }
    (seen.heads.len() > 1).then(|| {
        Finding::failed(format!("the history has {} heads", seen.heads.len()))
            .because(seen.heads.join(", "))
            .because("nobody can say which of them production should reach")
            .because("nothing was run")
            .can("join them: alembic merge -m \"join\" heads; commit that, then retry this gate")
    })
}

/// A database that Alembic does not know.
pub(super) fn untracked(database: &DatabaseSeen) -> Finding {
    let target = &database.target;
    Finding::failed(format!("{target} is not tracked by Alembic"))
        .because(format!(
            "it has no version table, and {} tables",
            database.tables.len()
        ))
        .because("an upgrade would begin at the beginning, as if nothing were there")
        .because("nothing was run")
        .can(format!(
            "stamp {target} at the baseline: the runbook alembic-baseline does that once"
        ))
        .can("do not approve a publishing plan before that")
}

/// A database with a revision that no file has.
pub(super) fn unknown(database: &DatabaseSeen) -> Finding {
    let (target, ids) = (&database.target, database.unknown.join(", "));
    Finding::failed(format!("{target} is at a revision that no file has: {ids}"))
        .because("it was migrated from another branch, or its file was removed")
        .because("nothing was run")
        .can("find the revision in git: git log --all -- the folder of the history")
        .can("bring its file back; never stamp over it")
}

/// Says where the target is, seen from the reference: each distance has its own advice.
pub(super) fn distance(
    here: &DatabaseSeen,
    there: &DatabaseSeen,
    found: &Distance,
) -> Option<Finding> {
    let (target, reference) = (&here.target, &there.target);
    let list = |ids: &[String]| ids.join(", ");
    let finding = match found {
        Distance::Same | Distance::Behind(_) => return None,
        Distance::Unknown(ids) => Finding::failed(format!("no file has revision {}", list(ids)))
            .can("bring its file back; never stamp over it"),
        Distance::Ahead(ids) => Finding::failed(format!("{target} is ahead of {reference}"))
            .because(format!(
                "it has {} revisions that {reference} lacks: {}",
                ids.len(),
                list(ids)
            ))
            .because("what is tested is older than what runs")
            .can(format!(
                "upgrade {reference} first, test there, then retry this gate"
            )),
        Distance::Diverged {
            here: ours,
            there: theirs,
        } => Finding::failed(format!("{target} and {reference} went different ways"))
            .because(format!("only {target} has {}", list(ours)))
            .because(format!("only {reference} has {}", list(theirs)))
            .can("join the branches: alembic merge; upgrade both, then retry this gate"),
    };
    Some(finding.because("nothing was run"))
}

/// A version that is not the one that a stamp would write: the policy's own steps.
pub(super) fn unexpected(here: &DatabaseSeen, wanted: &str) -> Finding {
    let target = &here.target;
    Finding::failed(format!("{target} has an unexpected Alembic version"))
        .because(format!("it is {}, and the stamp is {wanted}", here.at()))
        .because("it is tracked already; a stamp over that would hide what really ran there")
        .because("nothing was run")
        .can("look at the history: alembic history")
        .can("compare with `alembic current` for that database; the audit shows both")
        .can("find out why the versions diverged; never stamp over it")
}

/// Both addresses lead to one database.
pub(super) fn one_database(here: &DatabaseSeen, there: &DatabaseSeen) -> Finding {
    let (target, reference) = (&here.target, &there.target);
    Finding::failed(format!("{target} and {reference} are one database"))
        .because(format!("both are {}", here.server))
        .because("what is compared with itself is always alike")
        .because("nothing was run")
        .can("mend the address of one of them, then retry this gate")
}

/// What an upgrade would bring was never applied where it is tested.
pub(super) fn untested(there: &DatabaseSeen) -> Finding {
    let (target, count) = (&there.target, there.behind.len());
    Finding::failed(format!("{target} is {count} revisions behind the head"))
        .because(there.behind.join(", "))
        .because("an upgrade to the head would bring what nobody has tried there")
        .because("nothing was run")
        .can(format!("upgrade {target}, test it, then retry this gate"))
}
