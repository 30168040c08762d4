//! `check`: loads and validates runbooks, offline.

use std::collections::BTreeMap;
use std::io::IsTerminal as _;

use super::arguments::{CheckArguments, Format};
use super::{Exit, say};
use crate::runbook::{self, Problems};

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
        match (&loaded, arguments.format) {
            (Ok(runbook), Format::Text) => {
                let gates = runbook.gates().count();
                let phases = runbook.phases.len();
                say::data(&format!("{shown}: well, {phases} phases, {gates} gates\n"));
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
            (loaded, Format::Json) => results.push(as_json(&shown, loaded)),
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

fn as_json(
    path: &str,
    loaded: &Result<runbook::Runbook, Result<Problems, std::io::Error>>,
) -> serde_json::Value {
    let problems: Vec<serde_json::Value> = match loaded {
        Ok(_) => Vec::new(),
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
    serde_json::json!({ "path": path, "well": loaded.is_ok(), "problems": problems })
}
