//! What an `alembic` gate was about to do, on disk before Alembic is started: whoever takes the run up
//! after a crash compares with it.

use serde::{Deserialize, Serialize};

use super::audit::schema;
use super::sight::Sight;
use super::way::Way;
use crate::expectation::Finding;
use crate::gate::Context;
use crate::gate::drift::DriftOptions;
use crate::system::durable;

/// How the target was, right before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Intent {
    pub(super) versions: Vec<String>,
    pub(super) goal: String,
    /// The checksum of its schema.
    pub(super) schema: String,
}

fn place(context: &Context) -> std::path::PathBuf {
    let (gate, attempt) = (&context.gate.id, context.attempt);
    let name = format!("outputs/{gate}-{attempt}-alembic.json");
    context.folder.join(name)
}

/// The checksum of the target's schema now.
pub(super) async fn checksum(sight: &Sight<'_>) -> Result<String, String> {
    let found = schema(sight, &sight.gate.target).await?;
    Ok(DriftOptions::default().checksum(&found))
}

impl Intent {
    /// Looks once more whether everything is as it was when the way was worked out, and writes it so
    /// that it survives a power cut.
    ///
    /// # Errors
    /// Why nothing may be started.
    pub(super) async fn write(sight: &Sight<'_>, way: &Way) -> Result<(), Finding> {
        let again = Sight::of(sight.gate, sight.context);
        let same = again.is_some_and(|again| again.project.digest == sight.project.digest);
        let now = sight.look(&sight.gate.target).await;
        let now = now.map_err(|error| super::guard::unreadable(error.to_string()))?;
        if !same || now.versions != way.versions() {
            return Err(Finding::failed("it changed while it was tried on a private copy")
                .because(match same {
                    true => format!("{} is {} now", sight.gate.target, now.at()),
                    false => "the project's files are others now".to_owned(),
                })
                .because("nothing was run")
                .can("find out who else deploys at this moment; then press r: the plan is made again"));
        }
        let intent = Intent {
            versions: now.versions,
            goal: way.goal_word().to_owned(),
            schema: checksum(sight).await.map_err(super::guard::unreadable)?,
        };
        let path = place(sight.context);
        let written = serde_json::to_vec_pretty(&intent)
            .map_err(std::io::Error::other)
            .and_then(|text| durable::write_whole(&path, &text));
        written.map_err(|error| {
            Finding::errored("the intent could not be written down")
                .because(format!("{}: {error}", path.display()))
                .because("nothing was run")
                .can("make room, then retry this gate")
        })
    }

    /// Reads it back; none where Alembic was not started.
    pub(super) fn read(context: &Context) -> Option<Intent> {
        let text = std::fs::read(place(context)).ok()?;
        serde_json::from_slice(&text).ok()
    }
}
