//! A private copy of a target's schema, for gates that want to see first what something does to it.

use std::time::Duration;

use super::restore::Scratch;
use super::{Bounds, Halt, Rehearsed, Work, fit};
use crate::expectation::Finding;
use crate::gate::{Context, Targets};
use crate::postgres::{Session, catalog};
use crate::runbook::{RehearsalOf, Rehearse, RolesInScratch, Take};
use crate::schema::Snapshot;
use crate::system::durable::make_private_folder;
use crate::untrusted::clean_line;

/// How long making it may take.
const WITHIN: Duration = Duration::from_secs(10 * 60);

/// The copy: the schema without its rows, on a private server that goes with it.
pub(in crate::gate) struct Copied {
    scratch: Scratch,
    target: String,
    gate: String,
    folder: std::path::PathBuf,
}

/// Copies the schema of a target.
///
/// # Errors
/// Why there is no copy; the target was only read.
pub(in crate::gate) async fn copy_of(target: &str, context: &Context) -> Result<Copied, Finding> {
    let gate = Rehearse {
        target: target.to_owned(),
        of: RehearsalOf::Target(Take::Schema),
        gates: Some(Vec::new()),
        down: false,
        jobs: 2,
        within: WITHIN,
        space: None,
        roles: RolesInScratch::Make,
        missing: Vec::new(),
        deny: Vec::new(),
        allow: Vec::new(),
        may_leave: Vec::new(),
        keep_superusers: false,
        may_call: Vec::new(),
    };
    let stop = context.cancel.child_token();
    let folder = fit::folder(context);
    let mut work = Work {
        gate: &gate,
        context,
        bounds: Bounds::watch(gate.within, gate.space, &stop),
        stop,
        folder: folder.clone(),
        seen: Rehearsed::default(),
        rows: std::collections::BTreeMap::new(),
    };
    let made = make_private_folder(&folder).map_err(|error| {
        Finding::errored("there is no folder for a private copy")
            .because(clean_line(&format!("{}: {error}", folder.display())))
            .because("nothing was run")
            .can("make room, then retry this gate")
    });
    made?;
    let copied = Box::pin(copied(&mut work)).await;
    work.stop.cancel();
    let passed = work.bounds.passed();
    copied
        .map(|scratch| Copied {
            scratch,
            target: target.to_owned(),
            gate: context.gate.id.clone(),
            folder: folder.clone(),
        })
        .map_err(|halt| {
            let _ = std::fs::remove_dir_all(&folder);
            match (halt, passed) {
                (Halt::Finding(finding), None) => finding.because("nothing was run"),
                (_, Some(reason)) => Finding::errored("making a private copy was stopped")
                    .because(reason)
                    .because("nothing was run"),
                (Halt::Canceled, None) => {
                    Finding::inconclusive("it was canceled before anything was run")
                }
            }
        })
}

async fn copied(work: &mut Work<'_>) -> Result<Scratch, Halt> {
    let origin = work.origin().await?;
    let fit = fit::fit(work.gate, origin.database_bytes);
    if let Some(reason) = &fit.refuses {
        return Err(Finding::failed("a private copy does not fit")
            .because(reason.clone())
            .can("make room, then retry this gate")
            .into());
    }
    let scratch = work.partly(Take::Schema, &origin, &fit).await?;
    work.settle(&origin, &scratch).await?;
    Ok(scratch)
}

impl Copied {
    /// The target, as it is here.
    pub(in crate::gate) fn targets(&self) -> &Targets {
        &self.scratch.targets
    }

    /// A session of the superuser's.
    pub(in crate::gate) fn admin(&self) -> &Session {
        &self.scratch.admin
    }

    /// Reads the schema as the target's user sees it.
    ///
    /// # Errors
    /// What the private server says.
    pub(in crate::gate) async fn schema(&self) -> Result<Snapshot, String> {
        let targets = &self.scratch.targets;
        let opened = targets.open(&self.target, &self.gate, super::source::reading());
        let (session, _) = opened.await.map_err(|error| error.to_string())?;
        let read = catalog::read(&session).await;
        session.close().await;
        read.map_err(|error| error.to_string())
    }

    /// Ends the server and removes all of it.
    pub(in crate::gate) async fn remove(self) {
        let folder = self.folder.clone();
        let gone = tokio::task::spawn_blocking(move || {
            drop(self.scratch);
            let _ = std::fs::remove_dir_all(&folder);
        });
        let _ = gone.await;
    }
}
