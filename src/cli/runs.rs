//! `runs`: lists the runs on this machine.

use super::arguments::{Format, RunsArguments};
use super::{Exit, run::runs_folder, say};
use crate::engine;

pub(super) fn run(arguments: &RunsArguments) -> Exit {
    let Some(folder) = runs_folder(&arguments.place) else {
        return Exit::Error;
    };
    let listed = engine::list(&folder);
    if arguments.format == Format::Json {
        let runs: Vec<serde_json::Value> = listed.iter().map(as_json).collect();
        say::data(&format!(
            "{}\n",
            serde_json::json!({ "format": 1, "runs": runs })
        ));
        return Exit::Well;
    }
    if listed.is_empty() {
        say::note(&format!("no runs in {}", folder.display()));
    }
    for entry in &listed {
        say::data(&match &entry.run {
            Ok(run) => {
                let (through, all) = run.progress();
                let at = run.current().map_or("", |gate| gate.id.as_str());
                format!(
                    "{}  {:<9} {through:>3}/{all:<3} {:<28} {}\n",
                    entry.name,
                    run.status.word(),
                    at,
                    crate::untrusted::clean_line(&run.definition.title)
                )
            }
            Err(reason) => format!("{}  unreadable: {reason}\n", entry.name),
        });
    }
    Exit::Well
}

fn as_json(entry: &engine::Listed) -> serde_json::Value {
    match &entry.run {
        Err(reason) => serde_json::json!({ "run": entry.name, "unreadable": reason }),
        Ok(run) => {
            let (through, all) = run.progress();
            serde_json::json!({
                "run": entry.name,
                "title": run.definition.title,
                "runbook": run.runbook_path,
                "status": run.status.word(),
                "opened": run.opened.to_string(),
                "gates": all,
                "through": through,
                "current": run.current().map(|gate| &gate.id),
                "operator": run.operator,
                "seq": run.seq,
                "head": run.head,
            })
        }
    }
}
