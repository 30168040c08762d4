//! The plan of somebody else in a lint: where it comes from, and what it was found to say.

use std::path::PathBuf;

use super::lint_seen::{HazardStanding, LintedFile, LintedHazard, PlanSeen};
use super::{Context, Plan, Source, Tone};
use crate::digest::digest;
use crate::expectation::{Finding, Verdict};
use crate::promotion::GateState;
use crate::runbook::{Lint, PlanProgram, PlanSource};
use crate::sql::elsewhere::{self, Elsewhere, LARGEST_PLAN};
use crate::system::durable;
use crate::system::process::{self, Ending, Invocation, Stream};
use crate::untrusted::{clean_bytes, clean_line};

/// The part of a run's folder that holds the texts of such plans, each under its hash.
pub const PLANS_GIVEN: &str = "given";

/// What a person gave, as its gate calls it.
const PASTED: &str = "the plan that was given";

/// The plan as far as it is known without running anything. `None` where there is none, where a
/// program prints it, and in a rehearsal, which is over before anything is published.
pub(super) fn known(gate: &Lint, context: &Context) -> Option<Result<PlanSeen, String>> {
    let source = gate.plan.as_ref().filter(|_| !context.traced)?;
    let (from, bytes) = match source {
        PlanSource::Paste => (PASTED.to_owned(), pasted(context)),
        PlanSource::File(path) => {
            let path = context.path(path);
            (context.shown(&path), read(&path))
        }
        PlanSource::Program(_) => return None,
    };
    Some(bytes.and_then(|bytes| judged(gate, from, &bytes)))
}

fn read(path: &std::path::Path) -> Result<Vec<u8>, String> {
    use std::io::Read as _;
    let mut bytes = Vec::new();
    let limit = LARGEST_PLAN as u64 + 1;
    std::fs::File::open(path)
        .and_then(|file| file.take(limit).read_to_end(&mut bytes))
        .map_err(|error| format!("{} cannot be read: {error}", path.display()))?;
    Ok(bytes)
}

/// The text that the journal names, if it is still what was given.
fn pasted(context: &Context) -> Result<Vec<u8>, String> {
    let Some(sha256) = &context.pasted else {
        return Err("no plan was given yet".to_owned());
    };
    let bytes = read(&kept(context, sha256))?;
    match digest(&bytes) == *sha256 {
        true => Ok(bytes),
        false => Err("the plan that was given is another one by now in the run's folder".into()),
    }
}

fn kept(context: &Context, sha256: &str) -> PathBuf {
    let folder = context.folder.join(PLANS_GIVEN);
    folder.join(format!("{sha256}.txt"))
}

fn judged(gate: &Lint, from: String, bytes: &[u8]) -> Result<PlanSeen, String> {
    let named = |why: String| format!("{from}: {why}");
    let text = elsewhere::readable(bytes).map_err(named)?;
    let found = elsewhere::read(text);
    let linted = |hazard| LintedHazard {
        standing: match Elsewhere::refuses(&hazard, &gate.deny) {
            true => HazardStanding::Refused,
            false => HazardStanding::Shown,
        },
        hazard,
    };
    Ok(PlanSeen {
        bytes: bytes.len() as u64,
        file: LintedFile {
            file: from,
            sha256: digest(bytes),
            statements: found.statements,
            hazards: found.hazards.into_iter().map(linted).collect(),
        },
        unclear: found.unclear,
        nothing_to_do: found.nothing_to_do,
    })
}

/// Runs the program whose output is the plan.
pub(super) async fn printed(gate: &Lint, context: &Context) -> Option<Result<PlanSeen, String>> {
    let Some(PlanSource::Program(program)) = gate.plan.as_ref().filter(|_| !context.traced) else {
        return None;
    };
    let output = run(program, context).await;
    Some(output.and_then(|bytes| {
        let from = format!("the output of {}", context.fill(&program.argv[0]));
        let seen = judged(gate, from, &bytes)?;
        keep(context, &seen.file.sha256, &bytes)?;
        Ok(seen)
    }))
}

/// Keeps the text that was judged, for whoever reads the evidence later.
pub(super) fn keep(context: &Context, sha256: &str, bytes: &[u8]) -> Result<(), String> {
    let path = kept(context, sha256);
    if path.is_file() {
        return Ok(());
    }
    let folder = path.parent().unwrap_or(&context.folder);
    durable::make_private_folder(folder)
        .and_then(|()| durable::write_whole(&path, bytes))
        .map_err(|error| format!("the plan cannot be kept: {error}"))
}

/// Keeps the text of a file that was judged, as it is at this moment.
pub(super) fn keep_file(gate: &Lint, context: &Context, seen: &PlanSeen) -> Result<(), String> {
    let Some(PlanSource::File(path)) = &gate.plan else {
        return Ok(());
    };
    let bytes = read(&context.path(path))?;
    if digest(&bytes) != seen.file.sha256 {
        return Err(format!("{} changes while it is read", seen.file.file));
    }
    keep(context, &seen.file.sha256, &bytes)
}

async fn run(program: &PlanProgram, context: &Context) -> Result<Vec<u8>, String> {
    let argv: Vec<String> = program.argv.iter().map(|a| context.fill(a)).collect();
    let name = &argv[0];
    let Some(path) = process::find_program(name, &context.base) else {
        return Err(format!("there is no program `{name}`"));
    };
    let folder = program.cwd.as_ref();
    let names = std::iter::once("PATH").chain(program.env.iter().map(String::as_str));
    let invocation = Invocation {
        program: path,
        arguments: argv[1..].to_vec(),
        environment: names
            .filter_map(|n| Some((n.to_owned(), context.targets.variable(n)?.to_owned())))
            .collect(),
        folder: Some(folder.map_or_else(|| context.base.clone(), |cwd| context.path(cwd))),
        timeout: context.gate.timeout,
    };
    let mut output = Vec::new();
    let ended = process::run_raw(
        &invocation,
        &context.cancel,
        |stream, line| {
            let source = match stream {
                Stream::Out => Source::Out,
                Stream::Err => Source::Err,
            };
            context.feed.line(source, &clean_bytes(line));
        },
        |chunk| {
            // One byte more than is taken tells that there was more.
            let room = (LARGEST_PLAN + 1).saturating_sub(output.len());
            output.extend_from_slice(&chunk[..room.min(chunk.len())]);
        },
    )
    .await
    .map_err(|error| error.to_string())?;
    let last = clean_bytes(&ended.stderr);
    let last = last
        .lines()
        .last()
        .map_or(String::new(), |line| format!(": {line}"));
    match ended.ending {
        Ending::Exited(status) if status.code() == Some(0) => Ok(output),
        Ending::Exited(status) => Err(clean_line(&format!("`{name}` ended with {status}{last}"))),
        Ending::TimedOut => Err(format!("`{name}` took too long and was ended")),
        Ending::Canceled => Err(format!("`{name}` was canceled")),
    }
}

/// What a lint says of such a plan before it runs.
pub(super) fn describe(gate: &Lint, context: &Context, plan: &mut Plan) {
    let Some(source) = &gate.plan else { return };
    plan.line(Tone::Heading, "a plan that somebody else made");
    match source {
        PlanSource::Paste if context.pasted.is_none() => {
            let text = "asked for when the gate is started: Enter, then paste it";
            plan.line(Tone::Plain, text);
        }
        PlanSource::Paste => plan.line(Tone::Plain, "given by a person; v gives another one"),
        PlanSource::File(path) => plan.line(Tone::Plain, format!("read  {}", context.fill(path))),
        PlanSource::Program(program) => {
            let argv: Vec<String> = program.argv.iter().map(|a| context.fill(a)).collect();
            plan.line(Tone::Plain, format!("run      {}", argv.join(" ")));
        }
    }
    let titles = recovery(gate, context);
    if !titles.is_empty() {
        let text = format!("refused, these are taken again: {}", titles.join(", "));
        plan.line(Tone::Muted, text);
    }
}

/// What was found in the plan, a line each.
pub(super) fn lines(seen: &PlanSeen, plan: &mut Plan) {
    let short: String = seen.file.sha256.chars().take(12).collect();
    let size = format!("size     {} bytes, SHA-256 {short}", seen.bytes);
    plan.line(Tone::Plain, size);
    for line in &seen.unclear {
        let text = format!("unclear  line {}: {}: {}", line.line, line.why, line.text);
        plan.line(Tone::Warning, text);
    }
    if let Some(line) = &seen.nothing_to_do {
        plan.line(Tone::Good, format!("line {}: {}", line.line, line.text));
    }
}

/// The titles of the gates that a refusal makes stale, in the order of the run: those that passed.
fn recovery(gate: &Lint, context: &Context) -> Vec<String> {
    let named = context.runbook.gates();
    named
        .filter(|of| gate.recovery.contains(&of.id))
        .filter(|of| {
            context
                .states
                .get(&of.id)
                .is_none_or(|s| *s == GateState::Passed)
        })
        .map(|of| of.title.clone())
        .collect()
}

/// Says which gates are taken again, before anything else that can be done.
pub(super) fn with_recovery(mut finding: Finding, gate: &Lint, context: &Context) -> Finding {
    if finding.verdict != Verdict::Failed {
        return finding;
    }
    let titles = recovery(gate, context);
    let count = titles.len();
    let mut can: Vec<String> = titles
        .into_iter()
        .enumerate()
        .map(|(n, title)| format!("take gate {} of {count} again: {title}", n + 1))
        .collect();
    if gate.plan == Some(PlanSource::Paste) {
        can.push("then press r here and give the plan that is shown by then".to_owned());
    }
    can.append(&mut finding.what_you_can_do);
    finding.what_you_can_do = can;
    finding
}
