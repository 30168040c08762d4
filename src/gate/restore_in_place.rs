//! A restore over the database itself, in one transaction.

use std::future::Future;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use tokio_util::sync::CancellationToken;

use super::restore::{Done, Trouble, Work, could_not_restore, own_prefix};
use crate::expectation::Finding;
use crate::postgres::dump::DumpError;
use crate::postgres::lock_watch::{self, StuckWait};
use crate::postgres::session::Session;
use crate::postgres::{restore, swap};
use crate::runbook::Sessions;
use crate::untrusted::{clean, clean_line};

/// How many holders of a lock are named.
const NAMED: usize = 8;

impl Work<'_> {
    pub(super) async fn in_place(&self) -> Result<Done, Trouble> {
        let (session, identity) = self.prove().await?;
        self.same_as_backed_up(&identity)?;
        let newer = restore::newer_tables(&session, &self.manifest.contents).await?;
        if !newer.is_empty() && !self.gate.keep_newer {
            return Err(Finding::failed(super::restore_plan::newer_words(&newer))
                .because("a restore in place drops only what the backup holds")
                .because("nothing was changed")
                .can("undo the migrations that made them first, or restore with mode = \"swap\"")
                .into());
        }
        self.no_others(&session, &identity.database).await?;
        let own = own_prefix(self.context);
        let mut ended_sessions = 0;
        if self.gate.sessions == Sessions::End {
            ended_sessions = swap::end_sessions(&session, &identity.database, &own).await?;
        }
        let started = Instant::now();
        self.pg_restore(&session, &identity.database, true).await?;
        self.effect("restored in place", started).await;
        if !self.manifest.contents.contains_key("stagegate.ledger") {
            // The ledger is younger than the backup: nothing that it says was applied is there now.
            crate::postgres::ledger::revert_all(&session).await?;
        }
        let differences = self.compare(&session).await?;
        Ok(Done {
            identity,
            kept: None,
            differences,
            ended_sessions,
        })
    }

    /// Waits for `pg_restore` while `session` looks after its locks. Where nobody can look any
    /// more it is stopped: unwatched, it could hold everybody up without limit.
    pub(super) async fn watch_in_place(
        &self,
        ran: impl Future<Output = Result<(), DumpError>>,
        session: &Session,
        stop: &CancellationToken,
    ) -> Result<(), Trouble> {
        let name = self.context.targets.application_name(&self.context.gate.id);
        let limit = self.gate.lock_timeout;
        let found = Mutex::new(None);
        let watch = lock_watch::end_when_stuck(session, &name, limit, &found);
        tokio::pin!(ran);
        let mut unwatched = None;
        let ended = tokio::select! {
            ended = &mut ran => ended,
            watched = watch => {
                if let Err(error) = watched {
                    unwatched = Some(clean_line(&error.to_string()));
                    stop.cancel();
                }
                ran.await
            }
        };
        let error = match ended {
            Ok(()) => return Ok(()),
            Err(error) => error,
        };
        if may_have_committed(&error) {
            let mut finding =
                Finding::inconclusive("nobody saw whether the restore in place committed")
                    .because(clean(&error.to_string()).into_owned());
            if let Some(said) = unwatched {
                finding = finding.because(format!("its locks could not be watched: {said}"));
            }
            let finding = finding.can("press Enter: the target is asked");
            return Err(Trouble::Lost(Box::new(finding)));
        }
        match found.into_inner().unwrap_or_else(PoisonError::into_inner) {
            Some(stuck) => Err(gave_up(&stuck, &error).into()),
            None => Err(could_not_restore(&error).into()),
        }
    }
}

/// Says which lock was not had, and who has it.
fn gave_up(stuck: &StuckWait, error: &DumpError) -> Finding {
    let mut finding = Finding::failed(format!(
        "the restore in place waited {:.1} s for {} and gave up",
        stuck.waited.as_secs_f64(),
        clean_line(&stuck.lock)
    ));
    for holder in stuck.holders.iter().take(NAMED) {
        finding = finding.because(format!("held by {}", clean_line(&holder.to_string())));
    }
    if stuck.holders.is_empty() {
        finding = finding.because("who held it was gone when it was asked");
    }
    finding = finding
        .because(clean(&error.to_string()).into_owned())
        .because("it is one transaction and was rolled back: nothing was changed");
    for holder in stuck.holders.iter().filter(|holder| holder.pid != 0) {
        finding = finding.can(format!(
            "when nobody needs that session: SELECT pg_terminate_backend({})",
            holder.pid
        ));
    }
    finding.can("let it end, then retry this gate; lock_timeout in the runbook sets the limit")
}

/// Tells whether pg_restore may have sent its COMMIT before it ended.
fn may_have_committed(error: &DumpError) -> bool {
    match error {
        DumpError::Canceled | DumpError::TimedOut => true,
        DumpError::Program { how, said, .. } => {
            how.contains("signal") || said.contains("connection")
        }
        _ => false,
    }
}
