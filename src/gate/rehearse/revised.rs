//! Alembic on the private server: the history goes up by the program itself, is looked at by its
//! effect, and comes down again to where it was before.

use std::sync::{Arc, LazyLock};
use std::time::Instant;

use regex::Regex;

use super::down::{Back, undone_by};
use super::outward;
use super::restore::Scratch;
use super::seen::{BackState, RehearsedGate};
use super::tooled::{Ascent, Whole, joined};
use super::up::{Applied, Between, rehearsed};
use super::{Halt, Work};
use crate::expectation::Verdict;
use crate::gate::lint_survey::same_path;
use crate::gate::{
    AlembicSeen, Context, Evidence, HazardStanding, Outcome, Plan, Tone, alembic, lint,
};
use crate::runbook::{AlembicAction, AlembicGate, AllowedHazard, Gate, Kind, Runbook, ToolAction};
use crate::schema::Snapshot;

/// What reaches the host from a text in another language.
static HOST: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let pattern = r"(?isx) \b copy \b [^;]*? \b (from|to) \s+ program \b
    | \b language \s+ ['\x22]? (c | plpython\d?u | plperlu | pltclu) \b
    | \b (lo_import | lo_export | pg_read_file | pg_read_binary_file | pg_ls_dir) \s* \(";
    Regex::new(pattern).ok()
});

/// Tells whether a gate's work is looked at as a whole: another program does it.
pub(super) fn as_a_whole(gate: &Gate) -> bool {
    match &gate.kind {
        Kind::Tool(tool) => tool.action == ToolAction::Apply,
        Kind::Alembic(alembic) => {
            matches!(
                alembic.action,
                AlembicAction::Upgrade | AlembicAction::Stamp
            )
        }
        _ => false,
    }
}

/// The upgrade that a gate does.
pub(super) fn upgrades(gate: &Gate) -> Option<&AlembicGate> {
    match &gate.kind {
        Kind::Alembic(alembic) if alembic.action == AlembicAction::Upgrade => Some(alembic),
        _ => None,
    }
}

/// Tells whether a gate can be carried out there; an error says why not.
pub(super) fn rehearsable(target: &str, alembic: &AlembicGate) -> Result<bool, String> {
    if alembic.target != target {
        return Ok(false);
    }
    match (alembic.action, &alembic.reference) {
        (AlembicAction::Downgrade, _) => {
            Err("it takes back: that is rehearsed with what it takes back".to_owned())
        }
        (_, Some(reference)) => Err(format!(
            "it compares with {reference}, which is not on the private server"
        )),
        _ => Ok(true),
    }
}

/// Tells whether `way` takes back what the gate with that id upgrades.
pub(super) fn takes_back(runbook: &Runbook, gate: &str, way: &AlembicGate) -> bool {
    let found = runbook.gates().find(|found| found.id == gate);
    let up = found.and_then(upgrades);
    way.action == AlembicAction::Downgrade
        && up.is_some_and(|up| up.project == way.project && up.target == way.target)
}

/// The gate as it is there: the private server is the copy, and nothing is written beside it.
pub(super) fn there(alembic: &AlembicGate) -> AlembicGate {
    AlembicGate {
        scratch: false,
        write: None,
        ..alembic.clone()
    }
}

impl Work<'_> {
    /// Lets another program do all of its work, and looks at what came of it.
    pub(super) async fn whole(
        &mut self,
        scratch: &Scratch,
        gate: &Gate,
        ascent: Ascent<'_>,
    ) -> Result<RehearsedGate, Halt> {
        match &gate.kind {
            Kind::Tool(tool) => self.by_tool(scratch, gate, tool, ascent).await,
            Kind::Alembic(alembic) => self.by_alembic(scratch, gate, alembic, ascent).await,
            _ => Ok(rehearsed(
                gate,
                &Outcome::errored("this kind is not rehearsed").finding,
                Instant::now(),
            )),
        }
    }

    async fn by_alembic(
        &mut self,
        scratch: &Scratch,
        gate: &Gate,
        alembic: &AlembicGate,
        ascent: Ascent<'_>,
    ) -> Result<RehearsedGate, Halt> {
        let started = Instant::now();
        let inner = self.inner(scratch, gate, self.context.attempt, ascent.between);
        // Afterwards they may ask for what is gone by then.
        let allows = allowing(alembic, &inner).await;
        let there = there(alembic);
        let plan = alembic::plan(&there, &inner).await;
        let outcome = Box::pin(alembic::run(&there, &inner, &plan)).await;
        self.go_on()?;
        let now = self.after(scratch, &inner, ascent.look).await?;
        let passed = outcome.finding.verdict == Verdict::Passed;
        let mut done = rehearsed(gate, &outcome.finding, started);
        let evidence = outcome.evidence.map(Arc::new);
        let steps = steps(evidence.as_deref());
        if let Some(Evidence::Alembic { seen, .. }) = evidence.as_deref() {
            done.duration_ms = seen.duration_ms;
            if upgrades(gate).is_some() && seen.after.is_some() {
                let whole = Whole {
                    joined: &joined(&alembic.project, &sql(&plan)),
                    lint: seen.lint.as_ref(),
                    aside: seen.here().and_then(|here| here.relation.as_deref()),
                    applied: seen.after.as_deref() == seen.goal.as_ref().map(std::slice::from_ref),
                    duration_ms: seen.duration_ms,
                    allows: &|code| is_allowed(code, alembic, &allows, seen, &inner),
                };
                done.files = vec![self.seen_whole(&whole, ascent.base, [&*ascent.look, &now])];
            }
        }
        if passed && upgrades(gate).is_some() && steps > 0 {
            ascent.up.applied.push(Applied {
                gate: gate.clone(),
                file: alembic.project.clone(),
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

    /// Takes an upgrade back to where the database was before it, by the way back of the runbook,
    /// or else by what the project itself says.
    pub(super) async fn back_by_alembic(
        &self,
        scratch: &Scratch,
        up: &AlembicGate,
        applied: &Applied,
        now: &mut Snapshot,
    ) -> Result<Back, Halt> {
        let way = undone_by(&self.context.runbook, &applied.gate.id);
        let goal = match before(applied.evidence.as_deref()).as_slice() {
            [] => "base".to_owned(),
            [only] => only.clone(),
            several => {
                let were = several.join(", ");
                return Ok(Back::none(format!(
                    "it was at several revisions at once: {were}"
                )));
            }
        };
        let (gate, like) = match way.map(|way| (way, &way.kind)) {
            Some((way, Kind::Alembic(down))) => (way, (**down).clone()),
            _ => (
                &applied.gate,
                AlembicGate {
                    // What it takes away is what the upgrade made, and this is a copy.
                    deny: Vec::new(),
                    ..up.clone()
                },
            ),
        };
        let down = AlembicGate {
            action: AlembicAction::Downgrade,
            revision: Some(goal.clone()),
            chooses: false,
            models: false,
            ..there(&like)
        };
        let started = Instant::now();
        let inner = self.inner(scratch, gate, self.context.attempt, &Between::default());
        let plan = alembic::plan(&down, &inner).await;
        let outcome = Box::pin(alembic::run(&down, &inner, &plan)).await;
        self.go_on()?;
        let mut back = Back {
            state: BackState::Reversed,
            by: Some(format!("alembic downgrade {goal}")),
            duration_ms: started.elapsed().as_millis() as u64,
            said: Vec::new(),
        };
        if outcome.finding.verdict == Verdict::Passed {
            back = self.looked_back(scratch, applied, now, back).await?;
        } else {
            back.state = BackState::Failed;
            back.said = vec![outcome.finding.summary];
            back.said.extend(outcome.finding.caused_by);
            *now = self.schema(scratch).await?;
        }
        let bad = matches!(back.state, BackState::Failed | BackState::NotReversed);
        if bad && way.is_none() {
            // Nobody has promised that it leads back.
            back.state = BackState::NoWay;
            let said = "no [[rollback]] gate takes it back, and the project's own way does not";
            back.said.insert(0, said.to_owned());
        }
        Ok(back)
    }

    /// Lets another program do everything once more; gives how many, or why not.
    pub(super) async fn whole_again(
        &self,
        scratch: &Scratch,
        gate: &Gate,
        attempt: u32,
    ) -> Result<Result<usize, Vec<String>>, Halt> {
        let alembic = match &gate.kind {
            Kind::Tool(tool) => return self.tool_again(scratch, gate, tool, attempt).await,
            Kind::Alembic(alembic) => alembic,
            _ => return Ok(Ok(0)),
        };
        let inner = self.inner(scratch, gate, attempt, &Between::default());
        let again = AlembicGate {
            models: false,
            ..there(alembic)
        };
        let plan = alembic::plan(&again, &inner).await;
        let outcome = Box::pin(alembic::run(&again, &inner, &plan)).await;
        self.go_on()?;
        if outcome.finding.verdict != Verdict::Passed {
            let mut failed = vec![format!("{}: {}", gate.id, outcome.finding.summary)];
            failed.extend(outcome.finding.caused_by);
            return Ok(Err(failed));
        }
        Ok(Ok(steps(outcome.evidence.as_ref())))
    }

    /// The revisions that would run there and whose text may leave the server.
    pub(super) async fn leaving_revisions(&self, scratch: &Scratch, gates: &[Gate]) -> Vec<String> {
        let mut leaving = Vec::new();
        for gate in gates {
            let Some(upgrade) = upgrades(gate) else {
                continue;
            };
            let inner = self.inner(scratch, gate, self.context.attempt, &Between::default());
            let pending = alembic::pending(upgrade, &inner).await;
            let found = pending.into_iter().filter(|(_, text)| leaves(text));
            leaving.extend(found.map(|(file, _)| file));
        }
        leaving
    }
}

/// How many revisions were applied.
fn steps(evidence: Option<&Evidence>) -> usize {
    match evidence {
        Some(Evidence::Alembic { seen, .. }) => seen.steps.len(),
        _ => 0,
    }
}

/// Where the database was.
fn before(evidence: Option<&Evidence>) -> Vec<String> {
    match evidence {
        Some(Evidence::Alembic { seen, .. }) => seen
            .here()
            .map_or_else(Vec::new, |here| here.versions.clone()),
        _ => Vec::new(),
    }
}

/// The SQL that a plan shows.
fn sql(plan: &Plan) -> String {
    let lines = plan.lines.iter().filter(|line| line.tone == Tone::Sql);
    let texts: Vec<&str> = lines.map(|line| line.text.as_str()).collect();
    texts.join("\n")
}

/// What the gate allows, and whose predicate is true there.
async fn allowing<'a>(alembic: &'a AlembicGate, inner: &Context) -> Vec<&'a AllowedHazard> {
    let mut true_there = Vec::new();
    for allow in &alembic.allow {
        if matches!(
            lint::asked(allow, inner).await,
            HazardStanding::Allowed { .. }
        ) {
            true_there.push(allow);
        }
    }
    true_there
}

/// Why the gate allows what no text says. It allows that by the revision's file: of several
/// revisions only a copy that is upgraded one by one knows which it was, and the gate makes one.
fn is_allowed(
    code: &str,
    alembic: &AlembicGate,
    allows: &[&AllowedHazard],
    seen: &AlembicSeen,
    inner: &Context,
) -> Option<String> {
    if !alembic.scratch && seen.steps.len() > 1 {
        return None;
    }
    let of_steps = |allow: &&&AllowedHazard| {
        let file = inner.fill(&allow.file);
        seen.steps.iter().any(|step| same_path(&file, &step.file))
    };
    let mut fit = allows.iter().filter(|allow| allow.hazard == code);
    fit.find(of_steps).map(|allow| allow.reason.clone())
}

/// Tells whether a revision's text may leave the server.
fn leaves(text: &str) -> bool {
    outward::leaves(text) || HOST.as_ref().is_some_and(|host| host.is_match(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_leaves_the_server_is_seen_in_python() {
        assert!(HOST.is_some());
        for text in [
            "op.execute(\"COPY agents TO PROGRAM 'curl prod'\")",
            "op.execute(\"\"\"\n  copy t\n  from program 'x'\"\"\")",
            "op.execute('CREATE FUNCTION f() RETURNS int LANGUAGE plpython3u AS $$ $$')",
            "op.execute(\"SELECT dblink_exec('host=prod', 'DROP TABLE t')\")",
            "op.execute(\"SELECT pg_read_file('/etc/passwd')\")",
        ] {
            assert!(leaves(text), "{text}");
        }
        for text in [
            "op.add_column('agents', sa.Column('program', sa.Text()))",
            "# Copies what the program needs.\nop.execute('COPY t FROM STDIN')",
            "op.execute('CREATE FUNCTION f() RETURNS int LANGUAGE plpgsql AS $$ $$')",
        ] {
            assert!(!leaves(text), "{text}");
        }
    }
}
