//! Tools on the private server: what one applies is looked at as a whole, by its effect, and is
//! taken back by its own means.

use std::sync::Arc;
use std::time::Instant;

use super::down::Back;
use super::hazards::{self, Judge, is_of};
use super::restore::Scratch;
use super::seen::{BackState, RehearsedFile, RehearsedGate, SeenHazard};
use super::up::{Applied, Between, Look, Up, rehearsed};
use super::{Halt, Work};
use crate::expectation::Verdict;
use crate::gate::drift::DriftOptions;
use crate::gate::migrate_plan::{PlannedFile, Standing as FileStanding};
use crate::gate::{Evidence, FileState, HazardStanding, LintSeen, Payload, change_words, tool};
use crate::postgres::effects::{self, Standing};
use crate::runbook::naming::Mark;
use crate::runbook::{Gate, Kind, ToolAction, ToolGate};
use crate::sql::{Checksum, Script};

/// The tool that a gate lets apply.
pub(super) fn applies(gate: &Gate) -> Option<&ToolGate> {
    match &gate.kind {
        Kind::Tool(tool) if tool.action == ToolAction::Apply => Some(tool),
        _ => None,
    }
}

/// What was there before the first gate, what was applied, and what gates know of each other.
pub(super) struct Ascent<'a> {
    pub(super) base: &'a Standing,
    pub(super) up: &'a mut Up,
    pub(super) look: &'a mut Look,
    pub(super) between: &'a mut Between,
}

/// What another program did, and what was known of it beforehand.
pub(super) struct Whole<'a> {
    pub(super) joined: &'a PlannedFile,
    pub(super) lint: Option<&'a LintSeen>,
    /// The program's own table, which is no part of what is judged.
    pub(super) aside: Option<&'a str>,
    pub(super) applied: bool,
    pub(super) duration_ms: u64,
    /// Why a hazard that no text says is allowed, by its code.
    pub(super) allows: &'a dyn Fn(&str) -> Option<String>,
}

impl Work<'_> {
    /// Lets a tool apply everything, and looks at what came of it.
    pub(super) async fn by_tool(
        &mut self,
        scratch: &Scratch,
        gate: &Gate,
        tool: &ToolGate,
        ascent: Ascent<'_>,
    ) -> Result<RehearsedGate, Halt> {
        let started = Instant::now();
        let inner = self.inner(scratch, gate, self.context.attempt, ascent.between);
        let plan = tool::plan(tool, &inner).await;
        let outcome = Box::pin(tool::run(tool, &inner, &plan)).await;
        self.go_on()?;
        let now = self.after(scratch, &inner, ascent.look).await?;
        let passed = outcome.finding.verdict == Verdict::Passed;
        let mut done = rehearsed(gate, &outcome.finding, started);
        let evidence = outcome.evidence.map(Arc::new);
        if let Some(Evidence::Tool { seen, .. }) = evidence.as_deref() {
            done.duration_ms = seen.acted().map_or(0, |call| call.duration_ms);
            let whole = Whole {
                joined: &joined(&tool.tool, &text_of(&plan.payload)),
                lint: seen.lint.as_ref(),
                aside: None,
                applied: seen.after.as_ref().is_some_and(|s| s.pending.is_empty()),
                duration_ms: done.duration_ms,
                allows: &|_| None,
            };
            done.files = vec![self.seen_whole(&whole, ascent.base, [&*ascent.look, &now])];
        }
        if passed {
            ascent.up.applied.push(Applied {
                gate: gate.clone(),
                file: tool.tool.clone(),
                before: ascent.look.schema.clone(),
                after: now.schema.clone(),
                evidence: evidence.clone(),
            });
        }
        if let Some(evidence) = evidence {
            ascent.between.note(&gate.id, evidence);
        }
        *ascent.look = now;
        self.note_schema(&inner, &mut done, &ascent.look.schema);
        Ok(done)
    }

    /// Looks at what another program did as a whole.
    pub(super) fn seen_whole(
        &mut self,
        whole: &Whole<'_>,
        base: &Standing,
        [before, now]: [&Look; 2],
    ) -> RehearsedFile {
        let made = DriftOptions::default().compare(&before.schema, &now.schema);
        let mut effects = effects::between(&before.rows, &now.rows);
        effects.retain(|effect| Some(effect.relation()) != whole.aside);
        let joined = whole.joined;
        let known = |relation: &str| base.relations.values().any(|r| r.quoted == relation);
        let judge = Judge {
            gate: self.gate,
            context: self.context,
            file: joined,
        };
        let found = hazards::of_effects(&effects, &self.rows, known);
        let found = found.into_iter().filter_map(|one| judge.judge(one));
        let hazards: Vec<SeenHazard> = found.map(|one| as_linted(one, whole)).collect();
        hazards::count(&mut self.rows, &before.rows, &now.rows);
        for hazard in hazards.iter().filter(|hazard| hazard.refused) {
            self.context.feed.say(format!("  seen: {}", hazard.words()));
        }
        RehearsedFile {
            file: joined.name.clone(),
            checksum: joined.checksum.normalised.clone(),
            statements: joined.script.statements.len(),
            state: match whole.applied {
                true => FileState::Applied,
                false => FileState::RolledBack,
            },
            duration_ms: whole.duration_ms,
            changes: made.differences.iter().map(change_words).collect(),
            rows: hazards::row_words(&effects),
            hazards,
            traced: Vec::new(),
            wal_bytes: 0,
        }
    }

    /// Takes everything back that a tool has applied, and looks whether the schema is as before.
    pub(super) async fn back_by_tool(
        &self,
        scratch: &Scratch,
        way: &Gate,
        revert: &ToolGate,
        applied: &Applied,
    ) -> Result<Back, Halt> {
        let between = Between::of(&applied.gate.id, applied.evidence.clone());
        let inner = self.inner(scratch, way, self.context.attempt, &between);
        let started = Instant::now();
        let plan = tool::plan(revert, &inner).await;
        let outcome = Box::pin(tool::run(revert, &inner, &plan)).await;
        self.go_on()?;
        let mut back = Back {
            state: BackState::Reversed,
            by: Some(format!("{} revert", revert.tool)),
            duration_ms: started.elapsed().as_millis() as u64,
            said: Vec::new(),
        };
        if outcome.finding.verdict != Verdict::Passed {
            back.state = BackState::Failed;
            back.said = vec![outcome.finding.summary];
            back.said.extend(outcome.finding.caused_by);
        }
        Ok(back)
    }

    /// Lets a tool apply everything once more; gives how many, or why not.
    pub(super) async fn tool_again(
        &self,
        scratch: &Scratch,
        gate: &Gate,
        tool: &ToolGate,
        attempt: u32,
    ) -> Result<Result<usize, Vec<String>>, Halt> {
        let inner = self.inner(scratch, gate, attempt, &Between::default());
        let plan = tool::plan(tool, &inner).await;
        let outcome = Box::pin(tool::run(tool, &inner, &plan)).await;
        self.go_on()?;
        if outcome.finding.verdict != Verdict::Passed {
            let mut failed = vec![format!("{}: {}", gate.id, outcome.finding.summary)];
            failed.extend(outcome.finding.caused_by);
            return Ok(Err(failed));
        }
        Ok(Ok(match &outcome.evidence {
            Some(Evidence::Tool { seen, .. }) => seen.wanted.len(),
            _ => 0,
        }))
    }
}

fn text_of(payload: &Payload) -> String {
    match payload {
        Payload::Texts(texts) => texts.join("\n"),
        _ => String::new(),
    }
}

/// All SQL of a plan as one file under the name of what runs it.
pub(super) fn joined(name: &str, text: &str) -> PlannedFile {
    PlannedFile {
        path: std::path::PathBuf::new(),
        name: name.to_owned(),
        checksum: Checksum::of(text),
        mark: Mark::Repeatable,
        script: Script::read(text),
        standing: FileStanding::Pending,
        undoes: None,
        notes: Vec::new(),
    }
}

/// What the gate's own look at the SQL has allowed is allowed when it happens, with its place.
fn as_linted(mut one: SeenHazard, whole: &Whole<'_>) -> SeenHazard {
    let linted = whole.lint.iter().flat_map(|lint| &lint.files);
    let relation = one.hazard.relation.clone().unwrap_or_default();
    let same = linted
        .flat_map(|file| &file.hazards)
        .find(|told| told.hazard.code == one.hazard.code && is_of(&told.hazard, &relation));
    if let Some(told) = same {
        one.hazard = told.hazard.clone();
        if let HazardStanding::Allowed { reason, .. } = &told.standing {
            one.allowed = Some(reason.clone());
            one.refused = false;
        }
    } else if one.hidden
        && one.refused
        && let Some(reason) = (whole.allows)(&one.hazard.code)
    {
        one.allowed = Some(reason);
        one.refused = false;
    }
    one
}
