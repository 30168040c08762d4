//! What came of it: by the version table and the schema, not by what was printed.

use super::call::Called;
use super::judge::named;
use super::sight::Sight;
use super::way::Way;
use crate::expectation::Finding;
use crate::runbook::AlembicAction;
use crate::untrusted::clean_line;

/// The revisions of the way that are done, by the version table.
pub(super) fn reached(way: &Way) -> Vec<String> {
    let (Some(here), Some(after)) = (way.seen.here(), &way.seen.after) else {
        return Vec::new();
    };
    if *after == here.versions {
        return Vec::new();
    }
    match after.as_slice() {
        [now] if way.goal.as_ref() == Some(now) => way.steps.clone(),
        [] if way.goal.is_none() => way.steps.clone(),
        now => {
            let place = way.steps.iter().position(|step| now.contains(step));
            let done = place.map_or(0, |place| place + 1);
            way.steps.iter().take(done).cloned().collect()
        }
    }
}

/// Says how it ended: by the version table and the schema, not by what was printed.
pub(super) fn ended(sight: &Sight<'_>, way: &Way, called: Option<&Called>) -> Finding {
    let target = &sight.gate.target;
    let goal: Vec<String> = way.goal.iter().cloned().collect();
    let after = way.seen.after.clone().unwrap_or_default();
    let trouble = called.and_then(|called| called.trouble.as_ref());
    let made = way.seen.made.as_ref();
    let changes = made.map_or(0, |made| made.seen.comparison.differences.len());
    let seconds = way.seen.duration_ms as f64 / 1000.0;
    if after == goal {
        let done = match sight.gate.action {
            AlembicAction::Stamp => format!("{target} is stamped {}", way.goal_word()),
            AlembicAction::Downgrade => format!(
                "{} revisions taken back in {seconds:.1} s; {target} is at {}",
                way.steps.len(),
                way.goal_word()
            ),
            _ => format!(
                "{} revisions applied in {seconds:.1} s; {target} is at {}",
                way.steps.len(),
                way.goal_word()
            ),
        };
        return match trouble {
            None => stamp_made_only_its_table(sight, way).unwrap_or_else(|| Finding::passed(done)),
            Some(trouble) => {
                Finding::failed("Alembic failed, and the version says that it is done")
                    .because(clean_line(&trouble.words()))
                    .because(done)
                    .can("look at its output and at the schema's changes; press r to look again")
            }
        };
    }
    let reached = reached(way);
    let mut finding = match (reached.is_empty(), changes) {
        (true, 0) => {
            Finding::failed("Alembic failed, and nothing of it is there").because(format!(
                "{target} is at {} as before, its schema is the same",
                at(&after)
            ))
        }
        (true, n) => Finding::failed("Alembic failed and left the database half done")
            .because(format!(
                "{target} is at {} as before, and {n} things of its schema changed",
                at(&after)
            ))
            .because("some of a revision ran outside of its transaction")
            .can(
                "compare the changes below with the revision; take them back by hand, or finish it",
            ),
        (false, n) => Finding::failed("Alembic stopped on the way")
            .because(format!(
                "{} of {} revisions are done: {}; {target} is at {}",
                reached.len(),
                way.steps.len(),
                reached.join(", "),
                at(&after)
            ))
            .because(format!(
                "each revision has its own transaction; {n} things of the schema changed"
            ))
            .can("mend the revision that failed, then retry this gate: it goes on from there")
            .can("or take back what is done: the way back of this runbook"),
    };
    if let Some(trouble) = trouble {
        finding.caused_by.insert(0, clean_line(&trouble.words()));
        finding = finding.can(trouble.advice());
    }
    finding.can("its whole output is in the log of this gate")
}

fn at(versions: &[String]) -> String {
    match versions {
        [] => "the beginning".to_owned(),
        versions => versions.join(", "),
    }
}

/// A stamp that changed the schema was none.
fn stamp_made_only_its_table(sight: &Sight<'_>, way: &Way) -> Option<Finding> {
    if sight.gate.action != AlembicAction::Stamp {
        return None;
    }
    let made = way.seen.made.as_ref()?;
    let table = &sight.described.version_table;
    let differences = made.seen.comparison.differences.iter();
    let other: Vec<String> = differences
        .map(crate::gate::change_words)
        .filter(|words| !words.contains(table.as_str()))
        .collect();
    if other.is_empty() {
        return None;
    }
    let finding = Finding::failed("the schema changed while it was stamped");
    Some(named(finding, &other).can("find out who changed it; the stamp itself is written"))
}

pub(super) fn not_known(target: &str, reason: &str) -> Finding {
    Finding::inconclusive(format!("what came of it on {target} is not known yet"))
        .because(clean_line(reason))
        .can("when it answers again, press Enter: its version is asked")
}
