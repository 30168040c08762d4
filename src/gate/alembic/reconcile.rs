//! Finds out what became of Alembic when nobody saw it end: waits until nothing of it works any
//! more, then asks the version table.

use super::audit::evidence;
use super::call::sessions_of;
use super::came::not_known;
use super::intent::{Intent, checksum};
use super::sight::Sight;
use super::way::Way;
use crate::expectation::Finding;
use crate::gate::Reconciled;
use crate::gate::quiet::quiet;
use crate::promotion::Resolution;
use crate::runbook::AlembicAction;

pub(super) async fn reconcile(sight: &Sight<'_>) -> Reconciled {
    let (gate, context) = (sight.gate, sight.context);
    let unknown = |reason: &str| Reconciled {
        resolution: None,
        finding: not_known(&gate.target, reason),
        evidence: None,
    };
    if let Err(error) = context.targets.hold(&gate.target).await {
        return unknown(&error.to_string());
    }
    if let Err(error) = quiet(context, &gate.target, &sessions_of(context)).await {
        return unknown(&error.to_string());
    }
    let way = match sight.way().await {
        Ok(way) => way,
        Err(outcome) => return unknown(&outcome.finding.summary),
    };
    let Some(here) = way.seen.here() else {
        return unknown("the target was not looked at");
    };
    let at = here.at();
    let left = way.steps.len();
    match half_done(sight, &way).await {
        Ok(None) => {}
        Ok(Some(finding)) => {
            return Reconciled {
                resolution: Some(Resolution::Failed),
                finding,
                evidence: Some(evidence(sight, way.seen)),
            };
        }
        Err(reason) => return unknown(&reason),
    }
    let (resolution, finding) = match (gate.action, way.is_there(), &way.refusal) {
        (_, _, Some(refusal)) => (
            Resolution::Failed,
            Finding::failed(refusal.summary.clone())
                .because(format!("{} is {at}", gate.target))
                .can("press r: the plan is made again from where it stands"),
        ),
        (AlembicAction::Downgrade, false, _) if gate.revision.is_none() || is_steps(gate) => (
            // One step from where it stands is another step than before, if that one was made.
            Resolution::Failed,
            Finding::failed("nobody saw how the way back ended")
                .because(format!("{} is {at}", gate.target))
                .can("read the plan: it says where the next step would lead; then press r, or leave it"),
        ),
        (_, true, _) => (
            Resolution::Failed,
            Finding::failed("the version says that it is done; it was not checked")
                .because(format!("{} is {at}", gate.target))
                .because("nobody saw Alembic end; nothing of it works there any more")
                .can("press r: nothing is run again, and what must be true there is looked at"),
        ),
        (_, false, _) => (
            Resolution::Pending,
            Finding::inconclusive("Alembic did not finish")
                .because(format!("{} is {at}; {left} revisions are left", gate.target))
                .because("nothing of it works there any more")
                .can("press Enter: the plan is made again from there"),
        ),
    };
    Reconciled {
        resolution: Some(resolution),
        finding,
        evidence: Some(evidence(sight, way.seen)),
    }
}

fn is_steps(gate: &crate::runbook::AlembicGate) -> bool {
    gate.revision
        .as_ref()
        .is_some_and(|name| name.starts_with('-'))
}

/// Whether the schema changed, and the version did not.
async fn half_done(sight: &Sight<'_>, way: &Way) -> Result<Option<Finding>, String> {
    let intent = Intent::read(sight.context);
    let before = intent.filter(|intent| intent.versions == way.versions() && !way.is_there());
    let Some(before) = before else {
        return Ok(None);
    };
    if checksum(sight).await? == before.schema {
        return Ok(None);
    }
    let (target, at) = (&sight.gate.target, before.versions.join(", "));
    Ok(Some(
        Finding::failed("Alembic did not finish and left the database half done")
            .because(format!(
                "{target} is at {at} as before, and its schema changed"
            ))
            .because("some of a revision ran outside of its transaction")
            .can("compare the schema with the revision; take it back by hand, or finish it")
            .can("then press r: it goes on from there"),
    ))
}
