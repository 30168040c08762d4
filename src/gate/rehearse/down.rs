//! Undoes what was applied, the last file first, sees whether the schema is as it was before each,
//! and applies everything once more.

use std::time::Instant;

use super::restore::Scratch;
use super::seen::{Again, BackState, RehearsedBack};
use super::up::{Applied, Between, Up, alone, applied_file};
use super::{Halt, Work, revised, step};
use crate::expectation::Verdict;
use crate::gate::drift::DriftOptions;
use crate::gate::lint_survey::same_path;
use crate::gate::migrate_files::{Known, read_files};
use crate::gate::{Context, Payload, change_words, migrate, migrate_plan};
use crate::runbook::naming::Mark;
use crate::runbook::{Gate, Kind, Migrate, Runbook};
use crate::schema::{Difference, Snapshot};
use crate::system::fault;

/// Attempts of the second time up have these numbers added, so that none is taken for the first.
const AGAIN: u32 = 10_000;
/// Something else needs what a file would drop.
const DEPENDENT_OBJECTS: &str = "2BP01";

/// The gate whose files undo those of another.
pub(super) fn undone_by<'a>(runbook: &'a Runbook, gate: &str) -> Option<&'a Gate> {
    let ways = runbook.rollbacks.iter().flat_map(|back| back.gates.iter());
    ways.into_iter().find(|way| match &way.kind {
        Kind::Migrate(migrate) => migrate.undoes.iter().any(|undone| undone == gate),
        Kind::Tool(tool) => tool.undoes.as_deref() == Some(gate),
        Kind::Alembic(way) => revised::takes_back(runbook, gate, way),
        _ => false,
    })
}

fn is_repeatable(applied: &Applied) -> bool {
    match &applied.gate.kind {
        Kind::Migrate(gate) => Mark::of(gate.style, &applied.file) == Some(Mark::Repeatable),
        _ => false,
    }
}

/// The hashes of the files of a gate that undoes.
pub(super) fn files_digest(gate: &Migrate, context: &Context) -> Option<String> {
    let parts: Vec<String> = match read_files(gate, context, &Known::new()) {
        Err(reasons) => reasons,
        Ok(files) => files
            .iter()
            .map(|file| format!("{} {}", file.name, file.checksum.raw))
            .collect(),
    };
    Some(parts.join("\n"))
}

/// How one file came back.
pub(super) struct Back {
    pub(super) state: BackState,
    pub(super) by: Option<String>,
    pub(super) duration_ms: u64,
    pub(super) said: Vec<String>,
}

impl Back {
    fn not_tried(reason: &str) -> Back {
        Back {
            state: BackState::NotTried,
            ..Back::none(reason)
        }
    }

    fn of(self, applied: &Applied) -> RehearsedBack {
        RehearsedBack {
            gate: applied.gate.id.clone(),
            file: applied.file.clone(),
            by: self.by,
            state: self.state,
            duration_ms: self.duration_ms,
            said: self.said,
        }
    }

    pub(super) fn none(reason: impl Into<String>) -> Back {
        Back {
            state: BackState::NoWay,
            by: None,
            duration_ms: 0,
            said: vec![reason.into()],
        }
    }
}

impl Work<'_> {
    pub(super) async fn down(&mut self, scratch: &Scratch, up: Up) -> Result<(), Halt> {
        let started = Instant::now();
        let mut now = up.last.clone();
        let (mut stopped, mut stays): (Vec<String>, Vec<String>) = Default::default();
        for applied in up.applied.iter().rev() {
            self.go_on()?;
            step(self.context, &format!("down, {}", applied.file), 5);
            if is_repeatable(applied) {
                let back =
                    Back::not_tried("it is applied whenever it has changed: nothing undoes it");
                self.seen.backs.push(back.of(applied));
                stays.push(applied.file.clone());
                continue;
            }
            let back = if stopped.contains(&applied.gate.id) {
                Back::not_tried("a file after it stays")
            } else {
                self.back(scratch, applied, &mut now, &stays).await?
            };
            if !matches!(back.state, BackState::Reversed | BackState::Leaves) {
                stopped.push(applied.gate.id.clone());
                stays.push(applied.file.clone());
            }
            self.seen.backs.push(back.of(applied));
        }
        self.seen.took.down = started.elapsed().as_millis() as u64;
        fault::point("rehearsal_down");
        let reversed =
            |back: &RehearsedBack| matches!(back.state, BackState::Reversed | BackState::Leaves);
        if self.seen.backs.iter().any(reversed) {
            self.again(scratch, &up).await?;
        }
        Ok(())
    }

    /// Undoes one file, and looks whether the schema is as before it.
    async fn back(
        &mut self,
        scratch: &Scratch,
        applied: &Applied,
        now: &mut Snapshot,
        stays: &[String],
    ) -> Result<Back, Halt> {
        if let Kind::Alembic(upgrade) = &applied.gate.kind {
            let back = self.back_by_alembic(scratch, upgrade, applied, now);
            return Box::pin(back).await;
        }
        let Some(way) = undone_by(&self.context.runbook, &applied.gate.id) else {
            return Ok(Back::none(format!(
                "no [[rollback]] gate undoes `{}`",
                applied.gate.id
            )));
        };
        if let Kind::Tool(revert) = &way.kind {
            let back = Box::pin(self.back_by_tool(scratch, way, revert, applied)).await?;
            return match back.state {
                BackState::Reversed => self.looked_back(scratch, applied, now, back).await,
                _ => Ok(back),
            };
        }
        let Kind::Migrate(undoing) = &way.kind else {
            return Ok(Back::none("its way back runs no files"));
        };
        let quiet = Migrate {
            record_change: false,
            ..undoing.clone()
        };
        let mut inner = self.inner(scratch, way, self.context.attempt, &Between::default());
        inner.chosen_files = vec![applied.file.clone()];
        let plan = migrate_plan::plan(&quiet, &inner).await;
        let Payload::Migration(migration) = &plan.payload else {
            return Ok(Back::none(plan.refuses.unwrap_or_default()));
        };
        let undoes = |up: &Option<String>| up.as_deref() == Some(applied.file.as_str());
        let Some(file) = migration.pending().find(|file| undoes(&file.undoes)) else {
            let reason = migration.refusals.first().cloned();
            return Ok(Back::none(
                reason.unwrap_or_else(|| "nothing undoes it".to_owned()),
            ));
        };
        let planned = alone(&plan, file);
        let outcome = Box::pin(migrate::run(&quiet, &inner, &planned)).await;
        self.go_on()?;
        let ran = applied_file(&outcome);
        let mut back = Back {
            state: BackState::Reversed,
            by: Some(file.name.clone()),
            duration_ms: ran.as_ref().map_or(0, |file| file.duration_ms),
            said: Vec::new(),
        };
        if outcome.finding.verdict != Verdict::Passed {
            let error = ran.as_ref().and_then(|file| file.error.as_ref());
            let dependent = error.is_some_and(|error| error.sqlstate == DEPENDENT_OBJECTS);
            back.said = vec![outcome.finding.summary.clone()];
            back.state = BackState::Failed;
            if dependent && let Some(first) = stays.first() {
                // What is in its way has no way back of its own.
                back.state = BackState::NoWay;
                back.said.push(format!("{first} builds on it, and stays"));
            }
            return Ok(back);
        }
        self.looked_back(scratch, applied, now, back).await
    }

    /// Looks whether the schema is as it was before what came back.
    pub(super) async fn looked_back(
        &self,
        scratch: &Scratch,
        applied: &Applied,
        now: &mut Snapshot,
        mut back: Back,
    ) -> Result<Back, Halt> {
        let then = std::mem::replace(now, self.schema(scratch).await?);
        back.said = left(applied, &then, now);
        if !back.said.is_empty() {
            let allowed = |file: &String| same_path(&self.context.fill(file), &applied.file);
            back.state = match self.gate.may_leave.iter().any(allowed) {
                true => BackState::Leaves,
                false => BackState::NotReversed,
            };
        }
        Ok(back)
    }

    /// Applies everything that was undone once more.
    async fn again(&mut self, scratch: &Scratch, up: &Up) -> Result<(), Halt> {
        let started = Instant::now();
        step(self.context, "up again", 5);
        let mut again = Again {
            files: 0,
            differences: Vec::new(),
            failed: Vec::new(),
        };
        let attempt = self.context.attempt + AGAIN;
        let mut gates: Vec<&Gate> = Vec::new();
        for applied in &up.applied {
            if gates.last().is_none_or(|gate| gate.id != applied.gate.id) {
                gates.push(&applied.gate);
            }
        }
        for gate in gates {
            self.go_on()?;
            if revised::as_a_whole(gate) {
                match Box::pin(self.whole_again(scratch, gate, attempt)).await? {
                    Ok(files) => again.files += files,
                    Err(failed) => {
                        again.failed = failed;
                        break;
                    }
                }
                continue;
            }
            let Kind::Migrate(forward) = &gate.kind else {
                continue;
            };
            let quiet = Migrate {
                record_change: false,
                ..forward.clone()
            };
            let inner = self.inner(scratch, gate, attempt, &Between::default());
            let plan = migrate_plan::plan(&quiet, &inner).await;
            if let Payload::Migration(migration) = &plan.payload {
                again.files += migration.pending().count();
            }
            let outcome = Box::pin(migrate::run(&quiet, &inner, &plan)).await;
            self.go_on()?;
            if outcome.finding.verdict != Verdict::Passed {
                again
                    .failed
                    .push(format!("{}: {}", gate.id, outcome.finding.summary));
                again.failed.extend(outcome.finding.caused_by);
                break;
            }
        }
        if again.failed.is_empty() {
            let last = self.schema(scratch).await?;
            let compared = DriftOptions::default().compare(&up.last, &last);
            again.differences = compared.differences.iter().map(change_words).collect();
        }
        self.seen.again = Some(again);
        self.seen.took.again = started.elapsed().as_millis() as u64;
        Ok(())
    }
}

/// What of a file's work is still there. What later files made and nobody has undone is not its.
fn left(applied: &Applied, then: &Snapshot, now: &Snapshot) -> Vec<String> {
    let options = DriftOptions::default();
    let later = options.compare(&applied.after, then).differences;
    let of_later = |difference: &Difference| {
        later
            .iter()
            .any(|other| other.kind == difference.kind && other.name == difference.name)
    };
    let compared = options.compare(&applied.before, now);
    compared
        .differences
        .iter()
        .filter(|difference| !of_later(difference))
        .map(|difference| match difference.change {
            crate::schema::Change::Removed => {
                format!("{} {} did not come back", difference.kind, difference.name)
            }
            crate::schema::Change::Added => {
                format!("{} {} is left", difference.kind, difference.name)
            }
            crate::schema::Change::Changed => {
                let property = difference.property.as_deref().unwrap_or("it");
                let (kind, name) = (difference.kind, &difference.name);
                format!("{kind} {name} is not as before: {property}")
            }
        })
        .map(|words| crate::untrusted::clean_line(&words))
        .collect()
}
