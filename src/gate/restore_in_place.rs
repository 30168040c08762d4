//! A restore over the database itself, in one transaction.

use std::future::Future;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use super::restore::{Done, Trouble, Work, could_not_restore, own_prefix};
use super::restore_reconcile::Found;
use crate::expectation::Finding;
use crate::postgres::dump::DumpError;
use crate::postgres::identity::Identity;
use crate::postgres::ledger::{self, LedgerState};
use crate::postgres::lock_watch::{self, StuckWait};
use crate::postgres::restore::{self, Oids};
use crate::postgres::session::Session;
use crate::postgres::swap;
use crate::promotion::Resolution;
use crate::runbook::Sessions;
use crate::system::durable::write_whole;
use crate::system::fault;
use crate::untrusted::{clean, clean_line};

/// How many tables' oids are written down.
const RECORDED: usize = 50;
/// How many holders of a lock are named.
const NAMED: usize = 8;

/// What was there before an attempt.
#[derive(Debug, Serialize, Deserialize)]
struct Before {
    oids: Oids,
    /// The keys of the ledger's applied rows, where the ledger is younger than the backup.
    applied: Vec<String>,
}

impl Work<'_> {
    pub(super) async fn in_place(&self) -> Result<Done, Trouble> {
        let (session, identity) = self.prove().await?;
        self.same_as_backed_up(&identity)?;
        let newer = restore::newer_objects(&session, self.manifest).await?;
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
        let before = self.before(&session).await?;
        self.record(&before)?;
        fault::point("before_restore_in_place");
        let started = Instant::now();
        self.pg_restore(&session, &identity.database, true).await?;
        fault::point("after_restore_in_place");
        self.effect("restored in place", started).await;
        self.restored(session, identity, &before, ended_sessions)
            .await
    }

    async fn before(&self, session: &Session) -> Result<Before, Trouble> {
        let oids = restore::oids(session, &self.manifest.contents, RECORDED).await?;
        // A ledger that is in the backup comes back as it was then.
        let applied = match self.manifest.contents.contains_key("stagegate.ledger") {
            true => Vec::new(),
            false => ledger::rows(session)
                .await?
                .into_iter()
                .filter(|row| row.state == LedgerState::Applied)
                .map(|row| row.nonce)
                .collect(),
        };
        Ok(Before { oids, applied })
    }

    /// What follows on the COMMIT of a restore. From here on nothing may sound as if the database
    /// were as it was before.
    async fn restored(
        &self,
        session: Session,
        identity: Identity,
        before: &Before,
        ended_sessions: usize,
    ) -> Result<Done, Trouble> {
        // The ledger is younger than the backup: nothing that it said was applied is there now.
        let reverted = ledger::revert(&session, &before.applied).await;
        reverted.map_err(|error| {
            Finding::errored("restored; the ledger could not be told")
                .because(clean(&error.to_string()).into_owned())
                .because("the restore committed: the database holds what the backup holds")
                .because("the ledger still says of later files that they are applied")
                .can("UPDATE stagegate.ledger SET state = 'reverted' WHERE state = 'applied'")
                .can("retrying this gate restores again; what was written since is lost")
        })?;
        let differences = match self.compare(&session).await {
            Ok(differences) => differences,
            Err(Trouble::Canceled) => return Err(not_compared("it was canceled")),
            Err(Trouble::Target(error)) => return Err(not_compared(&error.to_string())),
            Err(Trouble::Finding(finding) | Trouble::Lost(finding)) => {
                return Err(not_compared(&finding.summary));
            }
        };
        let warnings = self.beside().analyze(&session).await;
        Ok(Done {
            identity,
            kept: None,
            differences,
            ended_sessions,
            warnings,
        })
    }

    /// Where it is written down what was there before an attempt.
    fn record_path(&self) -> PathBuf {
        let (gate, attempt) = (&self.context.gate.id, self.context.attempt);
        let folder = &self.context.folder;
        folder.join(format!("restore-{gate}-{attempt}.json"))
    }

    /// Writes down which tables there are before the restore makes them anew: whoever finds the
    /// run unfinished tells by that whether it committed.
    fn record(&self, before: &Before) -> Result<(), Trouble> {
        let path = self.record_path();
        let text = serde_json::to_vec_pretty(before).map_err(std::io::Error::other);
        let written = text.and_then(|text| write_whole(&path, &text));
        written.map_err(|error| {
            Finding::errored("what is there before the restore could not be written down")
                .because(format!("{}: {error}", path.display()))
                .because("nothing was changed")
                .can("make room in the run's folder, then retry this gate")
                .into()
        })
    }

    fn recorded(&self) -> Option<Before> {
        let bytes = std::fs::read(self.record_path()).ok()?;
        serde_json::from_slice(&bytes).ok()
    }

    pub(super) async fn reconcile_in_place(&self) -> Result<Found, Trouble> {
        let (session, identity) = self.prove().await?;
        self.same_as_backed_up(&identity)?;
        self.beside().nothing_lingers(&session).await?;
        let now = restore::oids(&session, &self.manifest.contents, RECORDED).await?;
        let Some(before) = self.recorded() else {
            return self.nobody_knows(&session, &identity).await;
        };
        match stands(&before.oids, &now) {
            Stands::Before => {
                let finding = Finding::inconclusive("the restore in place did not happen")
                    .because("every table is the one that was there before it began")
                    .because("it is one transaction: nothing was changed")
                    .can("press Enter to restore again");
                Ok((Some(Resolution::Pending), finding, None))
            }
            Stands::After => {
                let done = self.restored(session, identity, &before, 0).await?;
                if !done.differences.is_empty() {
                    // It committed; since then people may have written again.
                    let words = "the restore in place committed; the rows differ from the backup's";
                    let differences = done.differences.iter().take(10).cloned();
                    let finding = differences
                        .fold(Finding::failed(words), Finding::because)
                        .can("look whether that was written since; a retry restores again");
                    return Ok((Some(Resolution::Failed), finding, Some(done)));
                }
                let finding = Finding::passed("the restore in place committed")
                    .because("every table is another one than before it began")
                    .because("the rows equal the backup's");
                Ok((Some(Resolution::Passed), finding, Some(done)))
            }
            Stands::Mixed => self.nobody_knows(&session, &identity).await,
        }
    }

    async fn nobody_knows(&self, session: &Session, identity: &Identity) -> Result<Found, Trouble> {
        // Equal rows would not prove it: what was migrated may have changed no row.
        let rows = match self.compare(session).await {
            Ok(differences) if differences.is_empty() => "the rows equal the backup's".to_owned(),
            Ok(differences) => differences.join("; "),
            Err(_) => "the tables could not be compared with the backup's".to_owned(),
        };
        let finding = Finding::inconclusive("nobody saw whether the restore in place committed")
            .because("it is one transaction: all of it is there, or nothing")
            .because(format!("{}: {rows}", identity.database))
            .can("look whether the migrated objects are there; Enter restores again, and what was written since is lost");
        Ok((Some(Resolution::Pending), finding, None))
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

fn not_compared(reason: &str) -> Trouble {
    Finding::errored("restored; could not be compared with the backup")
        .because(clean(reason).into_owned())
        .because("the restore committed: the database is not as it was before")
        .can("compare by hand, or retry this gate: it restores again, and what was written since is lost")
        .into()
}

/// Which of its two states a database is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stands {
    Before,
    After,
    /// Somebody else has made or dropped tables, or there are none to tell by.
    Mixed,
}

/// Tells by the tables' oids: a restore in place drops and makes every one of them.
fn stands(before: &Oids, now: &Oids) -> Stands {
    let same = before
        .iter()
        .filter(|(table, oid)| now.get(*table) == Some(*oid));
    // A table that is missing now was not restored, whatever it was before.
    let made = now.iter().filter(|(table, oid)| {
        oid.is_some() && before.get(*table).is_some_and(|before| before != *oid)
    });
    match (same.count(), made.count()) {
        (same, 0) if same > 0 && same == before.len() => Stands::Before,
        (0, made) if made > 0 && made == before.len() => Stands::After,
        _ => Stands::Mixed,
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
        finding = finding.because(format!("held by {}", holder.sentence()));
    }
    if stuck.holders.is_empty() {
        finding = finding.because("who held it was gone when it was asked");
    }
    finding = finding
        .because(clean(&error.to_string()).into_owned())
        .because("it is one transaction and was rolled back: nothing was changed");
    for holder in stuck.holders.iter().filter(|holder| holder.who.pid != 0) {
        finding = finding.can(format!(
            "when nobody needs that session: SELECT pg_terminate_backend({})",
            holder.who.pid
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

#[cfg(test)]
mod tests {
    use super::*;

    fn oids(list: [Option<u32>; 2]) -> Oids {
        ["app.t", "app.u"]
            .map(str::to_owned)
            .into_iter()
            .zip(list)
            .collect()
    }

    #[test]
    fn oids_tell_before_from_after() {
        let before = oids([Some(1), Some(2)]);
        assert_eq!(stands(&before, &before), Stands::Before);
        assert_eq!(stands(&before, &oids([Some(3), Some(4)])), Stands::After);
        assert_eq!(stands(&before, &oids([Some(1), Some(4)])), Stands::Mixed);
        assert_eq!(stands(&before, &oids([Some(3), None])), Stands::Mixed);
        assert_eq!(stands(&Oids::new(), &Oids::new()), Stands::Mixed);
        // A table that was dropped after the backup comes back.
        let dropped = oids([Some(1), None]);
        assert_eq!(stands(&dropped, &dropped), Stands::Before);
        assert_eq!(stands(&dropped, &oids([Some(3), Some(4)])), Stands::After);
    }
}
