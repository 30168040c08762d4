//! Finds out what became of a clone that nobody saw end.

use std::time::Instant;

use super::{Work, named};
use crate::expectation::Finding;
use crate::gate::restore::Trouble;
use crate::gate::{Context, Reconciled};
use crate::postgres::dump;
use crate::postgres::swap::{self, SwapNames};
use crate::promotion::Resolution;
use crate::runbook::{CloneDatabase, Previous};
use crate::untrusted::clean;

pub(in crate::gate) async fn reconcile(gate: &CloneDatabase, context: &Context) -> Reconciled {
    let work = Work { gate, context };
    match work.reconcile().await {
        Ok(reconciled) => reconciled,
        Err(trouble) => {
            let finding = match trouble {
                Trouble::Target(error) => {
                    Finding::inconclusive(format!("{} cannot be asked yet", gate.target))
                        .because(clean(&error.to_string()).into_owned())
                        .can("when it answers again, press Enter: it is asked what it holds")
                }
                Trouble::Finding(finding) | Trouble::Lost(finding) => *finding,
                Trouble::Canceled => Finding::inconclusive("it was canceled"),
            };
            Reconciled {
                resolution: None,
                finding,
                evidence: None,
            }
        }
    }
}

impl Work<'_> {
    async fn reconcile(&self) -> Result<Reconciled, Trouble> {
        let info = self.context.targets.conninfo(&self.gate.target)?;
        let names = SwapNames::new(&info.database, &self.context.run, &named(self.context));
        let (admin, beside) = self.beside().maintenance(info).await?;
        self.beside().nothing_lingers(&admin).await?;
        let standing = swap::standing(&admin, &names).await?;
        let recorded = self.recorded();
        let swapped = recorded.as_ref().filter(|r| standing.live == Some(r.fresh));
        let Some(record) = swapped else {
            swap::drop_fresh(&admin, &names).await?;
            return Ok(Reconciled {
                resolution: Some(Resolution::Pending),
                finding: Finding::inconclusive("the destination was not touched")
                    .because("the names had not been changed over; what was made was removed")
                    .can("press Enter to clone again"),
                evidence: None,
            });
        };
        let (_, now) = self.beside().open_new().await?;
        crate::gate::restore_swap::same_instance(&now, &beside)?;
        let mut built = record.built.clone();
        let kept = match (self.gate.previous, standing.kept) {
            (Previous::Drop, Some(_)) => {
                let dump = dump::manifest_beside(record.safety.as_ref()).ok();
                let old = (record.live, dump.as_ref());
                self.drop_kept(&admin, &names, old, &mut built.warnings)
                    .await
            }
            (Previous::Keep, Some(_)) => Some(names.kept.clone()),
            (_, None) => None,
        };
        let ends = (record.source.clone(), record.safety.clone(), kept);
        let cloned = self.cloned(built, ends, 0, Instant::now());
        Ok(Reconciled {
            resolution: Some(Resolution::Passed),
            finding: Finding::passed("the destination is the copy")
                .because("the names are changed over only after the copy was compared"),
            evidence: Some(self.evidence(&now, cloned)),
        })
    }
}
