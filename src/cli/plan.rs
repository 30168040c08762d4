//! `plan`: what every gate would do, read only and without a run.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::arguments::{Format, PlanArguments};
use super::{Exit, runtime, say};
use crate::engine::OpenError;
use crate::gate::{self, Choices, Context, Feed, Plan, Signals, Targets, Tone, disabled};
use crate::postgres::environment::Environment;
use crate::promotion::{FlagRecord, FlagSays};
use crate::runbook::{self, Gate, Runbook};

pub(super) fn run(arguments: PlanArguments) -> Exit {
    let path = &arguments.runbook;
    let shown = path.display().to_string();
    let (runbook, targets, base) = match open(path, arguments.vars, "plan") {
        Ok(opened) => opened,
        Err(exit) => return exit,
    };
    let Ok(runtime) = runtime() else {
        return Exit::Error;
    };
    let mut plans = Vec::new();
    for gate in runbook.gates() {
        if arguments
            .gate
            .as_ref()
            .is_some_and(|wanted| *wanted != gate.id)
        {
            continue;
        }
        let context = context(&runbook, gate, &targets, &base);
        plans.push((gate.clone(), runtime.block_on(gate::plan(&context))));
    }
    if let Some(wanted) = &arguments.gate
        && plans.is_empty()
    {
        say::note(&format!(
            "stagegate: there is no gate `{wanted}` in {shown}"
        ));
        return Exit::Usage;
    }
    match arguments.format {
        Format::Text => plans.iter().for_each(|(gate, plan)| print_text(gate, plan)),
        Format::Json => {
            let gates: Vec<serde_json::Value> = plans
                .iter()
                .map(|(gate, plan)| as_json(gate, plan))
                .collect();
            say::data(&format!(
                "{}\n",
                serde_json::json!({ "format": 1, "gates": gates })
            ));
        }
    }
    if plans.iter().any(|(_, plan)| plan.refuses.is_some()) {
        return Exit::NotPassed;
    }
    Exit::Well
}

/// Loads a runbook for a command that opens no run: with its targets, and where its paths start.
pub(super) fn open(
    path: &Path,
    vars: Vec<(String, String)>,
    run: &str,
) -> Result<(Arc<Runbook>, Targets, PathBuf), Exit> {
    let shown = path.display().to_string();
    let bytes = std::fs::read(path).map_err(|source| {
        let path = shown.clone();
        say::open_error(&OpenError::Read { path, source })
    })?;
    let vars: BTreeMap<String, String> = vars.into_iter().collect();
    let runbook = runbook::load_bytes(&shown, &bytes, &vars)
        .map_err(|problems| say::open_error(&OpenError::Runbook(Box::new(problems))))?;
    let targets = Targets::new(run, &runbook, Environment::of_process());
    targets
        .check_addresses()
        .map_err(|(target, source)| say::open_error(&OpenError::Address { target, source }))?;
    let folder = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let above = folder.parent().unwrap_or(Path::new("/"));
    let base = above.join(&runbook.root).components().collect();
    Ok((Arc::new(runbook), targets, base))
}

/// What a gate is given to work with where there is no run.
pub(super) fn context(
    runbook: &Arc<Runbook>,
    gate: &Gate,
    targets: &Targets,
    base: &Path,
) -> Context {
    let mut values = runbook.vars.clone();
    values.insert("run.id".to_owned(), "plan".to_owned());
    Context {
        run: "plan".to_owned(),
        attempt: 1,
        gate: Arc::new(gate.clone()),
        runbook: runbook.clone(),
        base: base.to_owned(),
        folder: std::env::temp_dir(),
        values,
        earlier: BTreeMap::new(),
        states: BTreeMap::new(),
        chosen_files: Vec::new(),
        targets: targets.clone(),
        feed: Feed::default(),
        effects: tokio::sync::mpsc::channel(1).0,
        cancel: CancellationToken::new(),
        choices: Choices::none(),
        signals: Signals::none(),
        remedies: Vec::new(),
        reviews: std::collections::BTreeMap::new(),
        planned: None,
        nonce: String::new(),
        committed: BTreeSet::new(),
        traced: false,
        pasted: None,
        migrations: migrations(runbook, targets, base),
        left_out: Vec::new(),
        journal: (0, crate::promotion::GENESIS.to_owned()),
    }
}

/// What keeps migrations from running, as it says now.
fn migrations(runbook: &Runbook, targets: &Targets, base: &Path) -> Option<FlagRecord> {
    let by = &runbook.migrations_disabled_by;
    let says = disabled::look(by, base, &runbook.vars, |name| targets.variable(name));
    (says != FlagSays::Enabled).then(|| FlagRecord {
        flag: by.words(),
        says,
        seen: jiff::Timestamp::now(),
    })
}

fn print_text(gate: &Gate, plan: &Plan) {
    let mut text = format!("{} ({}): {}\n", gate.id, gate.kind.name(), plan.summary);
    for line in &plan.lines {
        let mark = match line.tone {
            Tone::Bad => "!",
            Tone::Warning => "?",
            _ => " ",
        };
        text.push_str(&format!("  {mark} {}\n", line.text));
    }
    text.push('\n');
    say::data(&text);
}

fn as_json(gate: &Gate, plan: &Plan) -> serde_json::Value {
    let lines: Vec<&str> = plan.lines.iter().map(|line| line.text.as_str()).collect();
    serde_json::json!({
        "gate": gate.id,
        "kind": gate.kind.name(),
        "summary": plan.summary,
        "digest": plan.digest,
        "refuses": plan.refuses,
        "lines": lines,
    })
}
