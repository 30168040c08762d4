//! Carries out what giving a plan asks for: hand it to the engine, read a file.

use std::sync::Arc;

use futures_util::FutureExt as _;
use futures_util::future::LocalBoxFuture;

use super::msg::Msg;
use crate::engine::EngineHandle;
use crate::sql::elsewhere::{self, LARGEST_PLAN};
use crate::untrusted::clean_line;

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
