//! Waits until what was committed is safe: on disk, and on the standbys that the server waits for.

use std::sync::PoisonError;

use super::migrate::settings;
use super::migrate_apply::{Stop, Work};
use super::{AppliedFile, Context, Evidence, FileState, Outcome, TargetError};
use crate::expectation::Finding;
use crate::postgres::apply;
use crate::postgres::session::Session;
use crate::runbook::{Migrate, Profile};
use crate::system::fault;
use crate::untrusted::clean_line;

impl Work<'_> {
    /// Makes one commit that waits for everything, where files were committed that did not. The
    /// journal hears of those only then.
    pub(super) async fn make_safe(&self, files: &mut [AppliedFile]) -> Result<(), Stop> {
        let effects = {
            let locked = self.unsafe_yet.lock();
            std::mem::take(&mut *locked.unwrap_or_else(PoisonError::into_inner))
        };
        let waits = files.iter().any(|file| file.unconfirmed);
        if effects.is_empty() && !waits {
            return Ok(());
        }
        let target = &self.gate.target;
        fault::point("before_safe");
        match confirm(self.gate, self.context).await {
            Ok(confirmed) => {
                for effect in effects {
                    self.context.effect(effect).await;
                }
                if confirmed {
                    files.iter_mut().for_each(|file| file.unconfirmed = false);
                    return Ok(());
                }
                for file in files.iter_mut() {
                    file.unconfirmed |= file.state == FileState::Applied;
                }
                Err(Stop::Failed(unconfirmed(target)))
            }
            Err(error) => {
                let reason = clean_line(&error.to_string());
                // Nobody knows which of them a crashed server still has; its ledger does.
                Err(Stop::Lost(
                    Finding::inconclusive("nobody knows yet whether the last files are on disk")
                        .because(format!(
                            "the commit that waits for them all was not seen: {reason}"
                        ))
                        .because(
                            "a server that crashed has lost whole files, with their ledger rows",
                        )
                        .can("when the server answers again, press Enter: its ledger is asked"),
                ))
            }
        }
    }
}

/// What an earlier attempt committed may wait for a standby still: then nothing is applied, and
/// the gate passes as soon as a standby confirms.
pub(super) async fn settle_earlier(gate: &Migrate, context: &Context) -> Option<Outcome> {
    let earlier = context.earlier.get(&context.gate.id)?;
    let Evidence::Migrate { files, .. } = earlier.as_ref() else {
        return None;
    };
    if !files.iter().any(|file| file.unconfirmed) {
        return None;
    }
    let mut outcome = match confirm(gate, context).await {
        Ok(true) => return None,
        Ok(false) => Outcome::of(unconfirmed(&gate.target)),
        Err(error) => super::query::unreachable(&gate.target, &error),
    };
    // It stays known that they wait.
    outcome.evidence = Some(earlier.as_ref().clone());
    Some(outcome)
}

pub(super) async fn confirm(gate: &Migrate, context: &Context) -> Result<bool, TargetError> {
    let id = &context.gate.id;
    context.feed.say(match gate.profile {
        Profile::Safe => "asking whether the standbys have it all",
        Profile::Fast => "one commit that waits for all before it",
    });
    let (session, _): (Session, _) = context
        .targets
        .open(&gate.target, id, settings(gate))
        .await?;
    Ok(apply::confirm(&session, gate.standby_wait).await?)
}

pub(super) fn unconfirmed(target: &str) -> Finding {
    Finding::inconclusive(format!(
        "committed on {target}, and no standby has confirmed it"
    ))
    .because("the server waits for a standby by its synchronous_standby_names, and none answered")
    .because("the files are applied here; should this server be lost now, they are lost with it")
    .can("look at pg_stat_replication on the primary; bring the standby back, then press r")
    .can("nothing is applied again: only the confirmation is asked for")
}
