//! `stamp`, `upgrade`, `downgrade`: tried on a private copy, then done by Alembic, then looked at.

use std::time::Instant;

use super::audit::evidence;
use super::call::{Call, sessions_of};
use super::came::{as_tried, ended, not_known, reached};
use super::guard::{is_good, models};
use super::intent::Intent;
use super::judge::named;
use super::seen::AlembicSeen;
use super::sight::Sight;
use super::tried::Found;
use super::way::Way;
use crate::expectation::{Finding, Verdict};
use crate::gate::migrate_made::Recorder;
use crate::gate::query::unreachable;
use crate::gate::quiet::quiet;
use crate::gate::{Outcome, Plan, lint, rehearse};
use crate::promotion::{EffectOutcome, EffectRecord};
use crate::runbook::AlembicAction;
use crate::system::fault;
use crate::system::process::Ending;

pub(super) async fn run(sight: &Sight<'_>, plan: &Plan) -> Outcome {
    let (gate, context) = (sight.gate, sight.context);
    if let Err(error) = context.targets.hold(&gate.target).await {
        return unreachable(&gate.target, &error);
    }
    if let Err(error) = quiet(context, &gate.target, &sessions_of(context)).await {
        return unreachable(&gate.target, &error);
    }
    let mut way = match sight.way().await {
        Ok(way) => way,
        Err(outcome) => return outcome,
    };
    if let Some(refusal) = way.refusal.take() {
        return Outcome::of(refusal).with(evidence(sight, way.seen));
    }
    if way.unchosen {
        let finding = Finding::failed("no revision was chosen")
            .because("nothing was run")
            .can("start the way back again, and choose what is taken back");
        return Outcome::of(finding).with(evidence(sight, way.seen));
    }
    if way.digest != plan.digest {
        let finding = Finding::failed("what Alembic would do changed after its plan was shown")
            .because("what was reviewed is what runs, and this is something else")
            .because("nothing was run")
            .can("press r: the plan is made again");
        return Outcome::of(finding).with(evidence(sight, way.seen));
    }
    if let Err(finding) = prove(sight, &mut way).await {
        let canceled = context.cancel.is_cancelled();
        let mut outcome = Outcome::of(finding).with(evidence(sight, way.seen));
        outcome.canceled = canceled;
        return outcome;
    }
    if way.is_there() {
        return there_already(sight, way.seen).await;
    }
    carry_out(sight, way).await
}

/// Everything that can refuse before the target is touched.
async fn prove(sight: &Sight<'_>, way: &mut Way) -> Result<(), Finding> {
    let versions = way.versions();
    let led = sight.leads_elsewhere(&sight.context.targets, &versions);
    if let Some(reason) = led.await? {
        return Err(sight.elsewhere(&sight.gate.target, &reason));
    }
    // What the text says refuses at once; what it does not say is seen on the copy.
    refused(sight, &mut way.seen).await?;
    if sight.gate.scratch && !way.is_there() {
        on_a_copy(sight, way).await?;
        refused(sight, &mut way.seen).await?;
    }
    if sight.context.cancel.is_cancelled() {
        return Err(
            Finding::inconclusive("it was canceled before anything was run")
                .can("retry this gate when you are ready"),
        );
    }
    Ok(())
}

async fn refused(sight: &Sight<'_>, seen: &mut AlembicSeen) -> Result<(), Finding> {
    let Some(linted) = &mut seen.lint else {
        return Ok(());
    };
    lint::ask_all(&sight.gate.allow, &mut linted.files, sight.context).await;
    if linted.files.is_empty() {
        return Ok(());
    }
    let finding = linted.judge();
    if finding.verdict == Verdict::Passed {
        return Ok(());
    }
    Err(finding
        .because("nothing was run")
        .can("do not approve a publishing plan that says the same"))
}

/// Does all of it on a copy, by the same program.
async fn on_a_copy(sight: &Sight<'_>, way: &mut Way) -> Result<(), Finding> {
    let here = way.seen.here().cloned().unwrap_or_default();
    let versions = here.versions.clone();
    let copied = sight.copy(&here).await?;
    let mut found = Found::default();
    let tried = match sight.gate.action {
        AlembicAction::Downgrade => sight.downgrade_copy(&copied, &way.steps, &mut found).await,
        AlembicAction::Stamp => stamped(sight, way, &copied, &mut found).await,
        _ => {
            let goals = [way.goal_word()];
            let upgraded = sight.upgrade_copy(&copied, &goals, &versions, None, &mut found);
            upgraded.await
        }
    };
    copied.remove().await;
    let tried = tried?;
    let failure = tried.failed.clone();
    way.seen.tried = Some(tried);
    if let Some(reason) = failure {
        return Err(Finding::failed("it fails on a copy of the target's schema")
            .because(reason)
            .because("nothing was run")
            .can("mend the revision, test it, then retry this gate"));
    }
    if let Some(linted) = &mut way.seen.lint {
        sight.add_seen(linted, &found);
    }
    way.tried = found.after;
    Ok(())
}

/// Stamps the copy, which may make the version table and nothing else, and upgrades it.
async fn stamped(
    sight: &Sight<'_>,
    way: &Way,
    copied: &rehearse::Copied,
    found: &mut Found,
) -> Result<super::seen::Tried, Finding> {
    let unreadable = super::guard::unreadable;
    let before = copied.schema().await.map_err(unreadable)?;
    let goal = way.goal_word().to_owned();
    if let Err(reason) = sight.on_copy(copied, &["stamp", &goal]).await? {
        return Ok(super::seen::Tried {
            failed: Some(reason),
            ..super::seen::Tried::default()
        });
    }
    let after = copied.schema().await.map_err(unreadable)?;
    let made = super::audit::differences(&before, &after);
    let table = &sight.described.version_table;
    let other: Vec<String> = made
        .into_iter()
        .filter(|m| !m.contains(table.as_str()))
        .collect();
    if !other.is_empty() {
        let finding = Finding::failed("the stamp does more than write its table");
        return Err(named(finding, &other).because("nothing was run"));
    }
    let heads: Vec<&str> = way.seen.heads.iter().map(String::as_str).collect();
    sight
        .upgrade_copy(copied, &heads, &[goal], None, found)
        .await
}

/// The target is where it should be; what must be true there is looked at all the same.
async fn there_already(sight: &Sight<'_>, mut seen: AlembicSeen) -> Outcome {
    let said = format!(
        "{} is {} already; nothing was run",
        sight.gate.target,
        seen.here()
            .map_or(String::new(), super::seen::DatabaseSeen::at)
    );
    let mut finding = Finding::passed(said);
    if sight.gate.models {
        let checked = models(sight, &mut seen).await;
        if !is_good(&checked) {
            finding = checked;
        }
    }
    Outcome::of(finding).with(evidence(sight, seen))
}

async fn carry_out(sight: &Sight<'_>, mut way: Way) -> Outcome {
    let (gate, context) = (sight.gate, sight.context);
    let recorder = match Recorder::begin(&gate.target, 0, context).await {
        Ok(recorder) => recorder,
        Err(reason) => {
            let finding = super::guard::unreadable(reason).because("nothing was run");
            return Outcome::of(finding).with(evidence(sight, way.seen));
        }
    };
    if let Err(finding) = Intent::write(sight, &way).await {
        return Outcome::of(finding).with(evidence(sight, way.seen));
    }
    fault::point("alembic_intent");
    let goal = way.goal_word().to_owned();
    let started = Instant::now();
    let call = Call {
        arguments: &[gate.action.word(), &goal],
        target: &gate.target,
        targets: &context.targets,
        acts: true,
        quiet: false,
    };
    let called = match sight.call(&call).await {
        Ok(called) => called,
        Err(finding) => return Outcome::of(finding).with(evidence(sight, way.seen)),
    };
    fault::point("alembic_ran");
    way.seen.duration_ms = started.elapsed().as_millis() as u64;
    if let Err(error) = quiet(context, &gate.target, &sessions_of(context)).await {
        let mut outcome = Outcome::of(not_known(&gate.target, &error.to_string()));
        outcome.lost = true;
        return outcome.with(evidence(sight, way.seen));
    }
    way.seen.made = Some(Box::new(recorder.finish().await));
    match sight.look(&gate.target).await {
        Ok(after) => way.seen.after = Some(after.versions),
        Err(error) => {
            let mut outcome = Outcome::of(not_known(&gate.target, &error.to_string()));
            outcome.lost = true;
            return outcome.with(evidence(sight, way.seen));
        }
    }
    let mut finding = as_tried(sight, &way, ended(sight, &way, Some(&called))).await;
    report(sight, &way).await;
    if is_good(&finding) && gate.models {
        let checked = models(sight, &mut way.seen).await;
        if !is_good(&checked) {
            finding = checked.because(finding.summary);
        }
    }
    let mut outcome = Outcome::of(finding);
    outcome.canceled = called.ending == Ending::Canceled && reached(&way).is_empty();
    outcome.with(evidence(sight, way.seen))
}

/// Tells the journal which revisions are done.
async fn report(sight: &Sight<'_>, way: &Way) {
    for revision in reached(way) {
        let record = EffectRecord {
            name: revision,
            outcome: EffectOutcome::Committed,
            duration_ms: 0,
            detail: format!("says {}", sight.described.version_table),
        };
        sight.context.effect(record).await;
    }
}
