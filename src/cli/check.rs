//! `check`: loads and validates runbooks, offline.

use std::collections::BTreeMap;
use std::io::IsTerminal as _;
use std::path::Path;

use super::arguments::{CheckArguments, Format};
use super::{Exit, say};
use crate::engine;
use crate::runbook::{self, Problems};
use crate::untrusted::clean_line;

pub(super) fn run(arguments: &CheckArguments) -> Exit {
    let vars: BTreeMap<String, String> = arguments.vars.iter().cloned().collect();
    let mut exit = Exit::Well;
    let mut results = Vec::new();
    for path in &arguments.runbooks {
        let shown = path.display().to_string();
        let loaded = match std::fs::read(path) {
            Err(error) => Err(Err(error)),
            Ok(bytes) => runbook::load_bytes(&shown, &bytes, &vars).map_err(Ok),
        };
        let lists = loaded
            .as_ref()
            .map_or(Vec::new(), |runbook| lists(runbook, path));
        if !lists.is_empty() {
            exit = Exit::Config;
        }
        match (&loaded, arguments.format) {
            (Ok(runbook), Format::Text) => {
                let gates = runbook.gates().count();
                let phases = runbook.phases.len();
                match lists.as_slice() {
                    [] => say::data(&format!("{shown}: well, {phases} phases, {gates} gates\n")),
                    lists => refused_lists(&shown, lists),
                }
            }
            (Err(Ok(problems)), Format::Text) => {
                let colour =
                    std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
                say::note(problems.render(colour).trim_end());
            }
            (Err(Err(error)), Format::Text) => {
                say::Trouble {
                    what: format!("{shown} cannot be read: {error}"),
                    untouched: "nothing was started",
                    next: "name a file that can be read".to_owned(),
                    evidence: "this message".to_owned(),
                }
                .say();
            }
            (loaded, Format::Json) => results.push(as_json(&shown, loaded, &lists)),
        }
        if loaded.is_err() {
            exit = Exit::Config;
        }
    }
    if arguments.format == Format::Json {
        say::data(&format!(
            "{}\n",
            serde_json::json!({ "format": 1, "runbooks": results })
        ));
    }
    exit
}

/// What is wrong with the lists of keys that a runbook names.
fn lists(runbook: &runbook::Runbook, path: &Path) -> Vec<String> {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let base = absolute
        .parent()
        .unwrap_or(Path::new("/"))
        .join(&runbook.root);
    let mut definition = engine::definition(runbook);
    engine::pin_signers(&mut definition, runbook, &base)
        .err()
        .unwrap_or_default()
}

fn refused_lists(path: &str, problems: &[String]) {
    for problem in problems {
        say::note(&format!("error: {}", clean_line(problem)));
    }
    say::Trouble {
        what: format!("{path}: its signatures cannot be verified"),
        untouched: "nothing was started",
        next: "mend the lists of keys, or what the runbook says of them".to_owned(),
        evidence: "the lines above".to_owned(),
    }
    .say();
}

fn as_json(
    path: &str,
    loaded: &Result<runbook::Runbook, Result<Problems, std::io::Error>>,
    lists: &[String],
) -> serde_json::Value {
    let problems: Vec<serde_json::Value> = match loaded {
        Ok(_) => lists
            .iter()
            .map(|problem| serde_json::json!({ "message": problem }))
            .collect(),
        Err(Err(error)) => vec![serde_json::json!({ "message": error.to_string() })],
        Err(Ok(problems)) => problems
            .problems
            .iter()
            .map(|problem| {
                serde_json::json!({
                    "line": problem.line,
                    "column": problem.column,
                    "message": problem.message,
                    "label": problem.label,
                    "valid": problem.valid,
                })
            })
            .collect(),
    };
    serde_json::json!({ "path": path, "well": problems.is_empty(), "problems": problems })
}
