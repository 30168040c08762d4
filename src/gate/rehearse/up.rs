//! Carries the gates that come out on the private server, by their own code, and looks at what each
//! file does.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use super::restore::Scratch;
use super::seen::{RehearsedFile, RehearsedGate};
use super::{Halt, Work, fit, hazards, revised, step, tooled};
use crate::expectation::{Finding, Verdict};
use crate::gate::drift::{self, DriftOptions, export_snapshot};
use crate::gate::migrate_plan::{MigrationPlan, PlannedFile};
use crate::gate::{
    AppliedFile, Choices, Context, Evidence, FileState, Outcome, Payload, Plan, alembic,
    change_words, lint, migrate, migrate_plan, query, schema_version, tool,
};
use crate::postgres::effects::{self, Standing};
use crate::promotion::GateState;
use crate::runbook::{Gate, Kind, Migrate};
use crate::schema::Snapshot;
use crate::system::fault;

/// What was applied, with what is needed to see whether it was undone.
pub(super) struct Applied {
    pub(super) gate: Gate,
    pub(super) file: String,
    pub(super) before: Snapshot,
    pub(super) after: Snapshot,
    /// What a tool has left; files have their ledger.
    pub(super) evidence: Option<Arc<Evidence>>,
}

/// Everything that was applied, and what stands there now.
pub(super) struct Up {
    pub(super) applied: Vec<Applied>,
    pub(super) last: Snapshot,
}

/// What gates find of each other while they are rehearsed.
#[derive(Default)]
pub(super) struct Between {
    evidence: BTreeMap<String, Arc<Evidence>>,
    values: BTreeMap<String, String>,
}

impl Between {
    /// What one gate has left.
    pub(super) fn of(gate: &str, evidence: Option<Arc<Evidence>>) -> Between {
        let mut between = Between::default();
        if let Some(evidence) = evidence {
            between.note(gate, evidence);
        }
        between
    }

    pub(super) fn note(&mut self, gate: &str, evidence: Arc<Evidence>) {
        self.evidence.insert(gate.to_owned(), evidence);
    }
}

/// Where the schema and the rows stand, before a file and after it.
pub(super) struct Look {
    pub(super) schema: Snapshot,
    pub(super) rows: Standing,
}

impl Work<'_> {
    /// Carries all gates out, until one that migrates does not pass.
    pub(super) async fn up(&mut self, scratch: &Scratch) -> Result<Up, Halt> {
        let steps = fit::steps(self.gate, self.context);
        self.seen.left_out = steps.left_out;
        let started = Instant::now();
        let first = self.look(scratch).await?;
        let base = first.rows.clone();
        let mut up = Up {
            applied: Vec::new(),
            last: first.schema.clone(),
        };
        let mut look = first;
        let mut between = Between::default();
        for gate in steps.gates {
            self.go_on()?;
            step(self.context, &format!("up, {}", gate.id), 4);
            let whole = revised::as_a_whole(&gate);
            let migrates = whole || matches!(gate.kind, Kind::Migrate(_));
            let rehearsed = match &gate.kind {
                _ if whole => {
                    let ascent = tooled::Ascent {
                        base: &base,
                        up: &mut up,
                        look: &mut look,
                        between: &mut between,
                    };
                    Box::pin(self.whole(scratch, &gate, ascent)).await?
                }
                Kind::Migrate(migrate) => {
                    let mut climb = Climb {
                        gate: &gate,
                        migrate,
                        base: &base,
                        up: &mut up,
                    };
                    self.migrate(scratch, &mut climb, &mut look, &between)
                        .await?
                }
                _ => self.other(scratch, &gate, &mut between).await?,
            };
            let passed = rehearsed.verdict == Verdict::Passed;
            self.seen.gates.push(rehearsed);
            if migrates && !passed {
                break;
            }
        }
        up.last = look.schema;
        self.seen.took.up = started.elapsed().as_millis() as u64;
        fault::point("rehearsal_up");
        Ok(up)
    }

    pub(super) fn go_on(&self) -> Result<(), Halt> {
        match self.stop.is_cancelled() {
            true => Err(Halt::Canceled),
            false => Ok(()),
        }
    }

    async fn look(&self, scratch: &Scratch) -> Result<Look, Halt> {
        Ok(Look {
            schema: self.schema(scratch).await?,
            rows: effects::read(&scratch.admin).await?,
        })
    }

    /// What a gate is given to work with on the private server.
    pub(super) fn inner(
        &self,
        scratch: &Scratch,
        gate: &Gate,
        attempt: u32,
        between: &Between,
    ) -> Context {
        let mut inner = self.context.clone();
        inner.gate = Arc::new(gate.clone());
        inner.attempt = attempt;
        inner.folder.clone_from(&self.folder);
        inner.targets = scratch.targets.clone();
        inner.cancel = self.stop.clone();
        // Nobody takes what is only rehearsed for a part of the run.
        inner.effects = tokio::sync::mpsc::channel(1).0;
        inner.choices = Choices::none();
        inner.chosen_files = Vec::new();
        inner.planned = None;
        inner.committed.clear();
        inner.traced = true;
        inner.remedies = Vec::new();
        inner.values.extend(between.values.clone());
        for (id, evidence) in &between.evidence {
            inner.earlier.insert(id.clone(), Arc::clone(evidence));
            inner.states.insert(id.clone(), GateState::Passed);
        }
        inner
    }

    /// A gate that looks, or writes the schema's version.
    async fn other(
        &self,
        scratch: &Scratch,
        gate: &Gate,
        between: &mut Between,
    ) -> Result<RehearsedGate, Halt> {
        let started = Instant::now();
        let inner = self.inner(scratch, gate, self.context.attempt, between);
        let outcome = match &gate.kind {
            Kind::Query(query) => query::run(query, &inner).await,
            Kind::Drift(drift) => Box::pin(drift::run(drift, &inner)).await,
            Kind::SchemaVersion(version) => schema_version::run(version, &inner).await,
            Kind::Lint(lint) => lint::run(lint, &inner).await,
            Kind::Tool(gate) => tool::run(gate, &inner, &Plan::new("", &[])).await,
            Kind::Alembic(gate) => {
                let there = revised::there(gate);
                Box::pin(alembic::run(&there, &inner, &Plan::new("", &[]))).await
            }
            _ => Outcome::errored("this kind is not rehearsed"),
        };
        self.go_on()?;
        if let Some(evidence) = outcome.evidence {
            between.evidence.insert(gate.id.clone(), Arc::new(evidence));
        }
        between.values.extend(outcome.captures);
        Ok(rehearsed(gate, &outcome.finding, started))
    }

    /// A gate that migrates, file by file, so that each can be looked at.
    async fn migrate(
        &mut self,
        scratch: &Scratch,
        climb: &mut Climb<'_>,
        look: &mut Look,
        between: &Between,
    ) -> Result<RehearsedGate, Halt> {
        let started = Instant::now();
        let inner = self.inner(scratch, climb.gate, self.context.attempt, between);
        let quiet = Migrate {
            record_change: false,
            ..climb.migrate.clone()
        };
        let plan = migrate_plan::plan(&quiet, &inner).await;
        let Payload::Migration(migration) = &plan.payload else {
            let reason = plan.refuses.clone().unwrap_or_default();
            return Ok(rehearsed(climb.gate, &Finding::errored(reason), started));
        };
        if let Some(first) = migration.refusals.first() {
            let mut finding = Finding::failed(first.clone());
            finding
                .caused_by
                .extend(migration.refusals.iter().skip(1).cloned());
            return Ok(rehearsed(climb.gate, &finding, started));
        }
        let mut files = Vec::new();
        let mut took = 0;
        let mut worst = Finding::passed("nothing was left to apply");
        for file in migration.pending() {
            self.go_on()?;
            let planned = alone(&plan, file);
            let outcome = Box::pin(migrate::run(&quiet, &inner, &planned)).await;
            self.go_on()?;
            let applied = applied_file(&outcome);
            took += applied.as_ref().map_or(0, hazards::worked_ms);
            let passed = outcome.finding.verdict == Verdict::Passed;
            let now = self.after(scratch, &inner, look).await?;
            files.push(self.seen_file(file, applied.as_ref(), climb.base, look, &now));
            if passed {
                climb.up.applied.push(Applied {
                    gate: climb.gate.clone(),
                    file: file.name.clone(),
                    before: look.schema.clone(),
                    after: now.schema.clone(),
                    evidence: None,
                });
            }
            *look = now;
            if !passed {
                worst = outcome.finding;
                break;
            }
        }
        let count = files
            .iter()
            .filter(|file| file.state == FileState::Applied)
            .count();
        if worst.verdict == Verdict::Passed && count > 0 {
            worst = Finding::passed(format!(
                "{count} files applied in {:.1} s",
                took as f64 / 1000.0
            ));
        }
        let mut gate = rehearsed(climb.gate, &worst, started);
        gate.duration_ms = took;
        gate.files = files;
        self.note_schema(&inner, &mut gate, &look.schema);
        Ok(gate)
    }

    /// Keeps the schema that production must have after a gate.
    pub(super) fn note_schema(
        &mut self,
        inner: &Context,
        gate: &mut RehearsedGate,
        schema: &Snapshot,
    ) {
        gate.schema = Some(DriftOptions::default().checksum(schema));
        match export_snapshot(inner, "rehearsed", schema) {
            Ok(name) => gate.exported = Some(self.in_run_folder(&name)),
            Err(reason) => self.seen.missing.push(reason),
        }
    }

    /// Looks again once the sessions of the gate have ended: then the server has counted their rows.
    pub(super) async fn after(
        &self,
        scratch: &Scratch,
        inner: &Context,
        before: &Look,
    ) -> Result<Look, Halt> {
        let name = scratch.targets.application_name(&inner.gate.id);
        effects::settled(&scratch.admin, &name).await?;
        let mut now = self.look(scratch).await?;
        if now.schema == before.schema {
            now.schema.objects.clone_from(&before.schema.objects);
        }
        Ok(now)
    }

    fn seen_file(
        &mut self,
        file: &PlannedFile,
        applied: Option<&AppliedFile>,
        base: &Standing,
        before: &Look,
        now: &Look,
    ) -> RehearsedFile {
        let done = applied.is_some_and(|file| file.state == FileState::Applied);
        let made = DriftOptions::default().compare(&before.schema, &now.schema);
        let effects = match done {
            true => effects::between(&before.rows, &now.rows),
            false => Vec::new(),
        };
        let known = |relation: &str| base.relations.values().any(|r| r.quoted == relation);
        let mut found = hazards::of_effects(&effects, &self.rows, known);
        let traced = applied.map_or_else(Vec::new, |file| file.traces.clone());
        found.extend(hazards::of_locks(&traced, &self.rows, base));
        let judge = hazards::Judge {
            gate: self.gate,
            context: self.context,
            file,
        };
        let seen = RehearsedFile {
            file: file.name.clone(),
            checksum: file.checksum.normalised.clone(),
            statements: file.script.statements.len(),
            state: applied.map_or(FileState::NotStarted, |file| file.state),
            duration_ms: applied.map_or(0, hazards::worked_ms),
            changes: made.differences.iter().map(change_words).collect(),
            rows: hazards::row_words(&effects),
            hazards: found.into_iter().filter_map(|f| judge.judge(f)).collect(),
            wal_bytes: traced.iter().map(|one| one.trace.wal_bytes).sum(),
            traced,
        };
        hazards::count(&mut self.rows, &before.rows, &now.rows);
        for hazard in seen.hazards.iter().filter(|hazard| hazard.refused) {
            self.context.feed.say(format!("  seen: {}", hazard.words()));
        }
        seen
    }

    fn in_run_folder(&self, name: &str) -> String {
        let path = self.folder.join(name);
        let below = path.strip_prefix(&self.context.folder).unwrap_or(&path);
        below.display().to_string()
    }
}

/// One migrate gate on its way up.
struct Climb<'a> {
    gate: &'a Gate,
    migrate: &'a Migrate,
    /// What was there before the first gate.
    base: &'a Standing,
    up: &'a mut Up,
}

/// The plan of one file of a plan, beside those that are taken as applied before it.
pub(super) fn alone(plan: &Plan, file: &PlannedFile) -> Plan {
    let mut files = vec![file.clone()];
    if let Payload::Migration(migration) = &plan.payload {
        files.extend(migration.taken().cloned());
    }
    Plan {
        payload: Payload::Migration(Box::new(MigrationPlan {
            files,
            missing: Vec::new(),
            refusals: Vec::new(),
            taken_by: None,
        })),
        ..plan.clone()
    }
}

/// What became of the only file of an attempt.
pub(super) fn applied_file(outcome: &Outcome) -> Option<AppliedFile> {
    match &outcome.evidence {
        Some(Evidence::Migrate { files, .. }) => files.first().cloned(),
        _ => None,
    }
}

pub(super) fn rehearsed(gate: &Gate, finding: &Finding, started: Instant) -> RehearsedGate {
    RehearsedGate {
        id: gate.id.clone(),
        kind: gate.kind.name().to_owned(),
        verdict: finding.verdict,
        summary: finding.summary.clone(),
        caused_by: finding.caused_by.clone(),
        duration_ms: started.elapsed().as_millis() as u64,
        files: Vec::new(),
        schema: None,
        exported: None,
    }
}
