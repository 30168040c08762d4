//! What a tool gate was about to do, on disk before its program starts: whoever takes the run up
//! after a crash reads it here.

use serde::{Deserialize, Serialize};

use super::call::Caller;
use super::seen::ToolSeen;
use super::status::StatusSeen;
use crate::expectation::Finding;
use crate::gate::Context;
use crate::system::durable;

/// What was about to happen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Intent {
    pub(super) tool: String,
    pub(super) action: String,
    pub(super) argv: Vec<String>,
    pub(super) version: Option<String>,
    pub(super) wanted: Vec<String>,
    pub(super) ours: Vec<String>,
    pub(super) before: Option<StatusSeen>,
}

fn place(context: &Context) -> std::path::PathBuf {
    let (gate, attempt) = (&context.gate.id, context.attempt);
    context
        .folder
        .join(format!("outputs/{gate}-{attempt}-tool.json"))
}

impl Intent {
    pub(super) fn of(caller: &Caller<'_>, seen: &ToolSeen) -> Intent {
        let argv = super::act::step(caller).map(|step| caller.filled(&step.argv, None));
        Intent {
            tool: seen.tool.clone(),
            action: seen.action.clone(),
            argv: argv.unwrap_or_default(),
            version: seen.version.clone(),
            wanted: seen.wanted.clone(),
            ours: seen.ours.clone(),
            before: seen.before.clone(),
        }
    }

    /// Writes it so that it survives a power cut.
    ///
    /// # Errors
    /// Why it could not be written; then nothing may be started.
    pub(super) fn write(&self, context: &Context) -> Result<(), Finding> {
        let path = place(context);
        let written = serde_json::to_vec_pretty(self)
            .map_err(std::io::Error::other)
            .and_then(|text| durable::write_whole(&path, &text));
        written.map_err(|error| {
            Finding::errored("the intent could not be written down")
                .because(format!("{}: {error}", path.display()))
                .because("nothing was run")
                .can("make room, then retry this gate")
        })
    }

    /// Reads it back; none where the program was not started.
    pub(super) fn read(context: &Context) -> Result<Option<Intent>, String> {
        let path = place(context);
        match std::fs::read(&path) {
            Ok(text) => serde_json::from_slice(&text)
                .map(Some)
                .map_err(|error| format!("{}: {error}", path.display())),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(format!("{}: {error}", path.display())),
        }
    }
}
