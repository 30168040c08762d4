//! Finds out what became of a restore that nobody saw end.

use std::time::Instant;

use super::restore::{Done, Trouble, Work, backup, no_backup};
use super::{Context, Reconciled};
use crate::expectation::Finding;
use crate::promotion::Resolution;
use crate::runbook::{Restore, RestoreMode};
use crate::untrusted::clean;

/// Finds out what became of a restore that nobody saw end.
pub(super) async fn reconcile(gate: &Restore, context: &Context) -> Reconciled {
    let Some((manifest, server)) = backup(gate, context) else {
        return Reconciled {
            resolution: Some(Resolution::Pending),
            finding: no_backup(gate),
            evidence: None,
        };
    };
    let work = Work {
        gate,
        context,
        manifest: &manifest,
        backed_up: &server,
    };
    let asked = match gate.mode {
        RestoreMode::Swap => work.reconcile_swap().await,
        RestoreMode::InPlace => work.reconcile_in_place().await,
    };
    let (resolution, finding, done) = match asked {
        Ok(found) => found,
        Err(Trouble::Target(error)) => {
            let finding = Finding::inconclusive(format!("{} cannot be asked yet", gate.target))
                .because(clean(&error.to_string()).into_owned())
                .can("when it answers again, press Enter: it is asked what it holds");
            (None, finding, None)
        }
        Err(Trouble::Finding(finding) | Trouble::Lost(finding)) => (None, *finding, None),
        Err(Trouble::Canceled) => (None, Finding::inconclusive("it was canceled"), None),
    };
    Reconciled {
        resolution,
        finding,
        evidence: done.map(|done| work.evidence(done, Instant::now())),
    }
}

/// What reconciling found: the resolution, in words, and the evidence's parts.
pub(super) type Found = (Option<Resolution>, Finding, Option<Done>);
