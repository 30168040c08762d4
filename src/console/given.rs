//! Carries out what is given to the engine: commands, and plans that a person gives.

use std::sync::Arc;

use futures_util::FutureExt as _;
use futures_util::future::LocalBoxFuture;

use super::msg::{Msg, Origin};
use crate::engine::EngineHandle;
use crate::promotion::Command;
use crate::sql::elsewhere::{self, LARGEST_PLAN};
use crate::untrusted::clean_line;

/// Asks for a command.
pub(super) fn command(
    handle: &Arc<EngineHandle>,
    command: Command,
    origin: Origin,
) -> LocalBoxFuture<'static, Msg> {
    let handle = Arc::clone(handle);
    async move {
        let result = handle.command(command.clone()).await;
        Msg::Done {
            command,
            origin,
            result,
        }
    }
    .boxed_local()
}

/// Gives a gate a plan.
pub(super) fn give(
    handle: &Arc<EngineHandle>,
    gate: String,
    text: String,
) -> LocalBoxFuture<'static, Msg> {
    let handle = Arc::clone(handle);
    async move {
        let result = handle.give_plan(gate.clone(), text.into_bytes()).await;
        Msg::PlanGiven { gate, result }
    }
    .boxed_local()
}

/// Reads a file that a person named.
pub(super) fn load(path: String) -> LocalBoxFuture<'static, Msg> {
    async move {
        let read = tokio::task::spawn_blocking(move || read(&path)).await;
        let read = read.unwrap_or_else(|_| Err("reading ended in a defect of this program".into()));
        Msg::PlanLoaded(read.map_err(|why| clean_line(&why)))
    }
    .boxed_local()
}

fn read(path: &str) -> Result<String, String> {
    use std::io::Read as _;
    let told = |why: &dyn std::fmt::Display| format!("{path} was not loaded: {why}");
    let place = match (path.strip_prefix("~/"), std::env::home_dir()) {
        (Some(rest), Some(home)) => home.join(rest),
        _ => path.into(),
    };
    let found = std::fs::metadata(&place).map_err(|error| told(&error))?;
    if !found.is_file() {
        return Err(told(&"it is no file"));
    }
    let mut bytes = Vec::new();
    std::fs::File::open(&place)
        .and_then(|file| file.take(LARGEST_PLAN as u64 + 1).read_to_end(&mut bytes))
        .map_err(|error| told(&error))?;
    let text = elsewhere::readable(&bytes).map_err(|why| told(&why))?;
    Ok(text.to_owned())
}
