//! What was compared, in the run's folder, where anybody can compare it again.

use super::seen::DriftSeen;
use crate::gate::Context;
use crate::postgres::schema_dump::schema_dump;
use crate::runbook::Drift;
use crate::schema::Snapshot;
use crate::system::durable;
use crate::untrusted::clean_line;

/// Writes a schema as a snapshot, and gives the file's name in the run's folder.
pub(in crate::gate) fn snapshot(
    context: &Context,
    side: &str,
    snapshot: &Snapshot,
) -> Result<String, String> {
    let name = name(context, side, "json");
    let text = snapshot.to_json().map_err(|error| error.to_string())?;
    durable::write_whole(&context.folder.join(&name), text.as_bytes())
        .map_err(|error| format!("{name}: {error}"))?;
    Ok(name)
}

fn name(context: &Context, side: &str, ending: &str) -> String {
    let (gate, attempt) = (&context.gate.id, context.attempt);
    format!("outputs/{gate}-{attempt}-{side}.{ending}")
}

/// Exports the target's schema as SQL too: whoever decides to take it over needs the file. That it
/// could not be written is a note, and changes no verdict.
pub(super) async fn with_sql(
    gate: &Drift,
    context: &Context,
    major: u32,
    mut seen: DriftSeen,
) -> DriftSeen {
    let name = name(context, "actual", "sql");
    let path = context.folder.join(&name);
    let exported = async {
        let info = context
            .targets
            .conninfo(&gate.target)
            .map_err(|error| error.to_string())?;
        let application = context.targets.application_name(&context.gate.id);
        let dumped = schema_dump(&info, major, &path, &application, &context.cancel);
        dumped.await.map_err(|error| error.to_string())
    };
    match exported.await {
        Ok(()) => seen.exported.push(name),
        Err(reason) => seen.comparison.notes.push(clean_line(&format!(
            "the schema could not be exported as SQL: {reason}"
        ))),
    }
    seen
}
