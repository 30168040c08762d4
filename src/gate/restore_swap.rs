//! A restore into a new database that then takes the name of the old one.

use std::time::Instant;

use super::beside::Beside;
use super::restore::{Done, Trouble, Work};
use super::restore_reconcile::Found;
use crate::expectation::Finding;
use crate::postgres::fresh_database;
use crate::postgres::identity::Identity;
use crate::postgres::session::Session;
use crate::postgres::swap::{self, Standing, SwapNames};
use crate::promotion::Resolution;
use crate::untrusted::clean_line;

impl Work<'_> {
    pub(super) async fn swap(&self) -> Result<Done, Trouble> {
        let (session, identity) = self.prove().await?;
        let names = SwapNames::new(&identity.database, &self.context.run, &self.context.gate.id);
        if names.live == self.gate.maintenance {
            return Err(
                Finding::errored("the database that is connected to cannot be renamed")
                    .because(format!("maintenance_database is {} itself", names.live))
                    .because("nothing was changed")
                    .can("name another one, such as template1, as maintenance_database")
                    .into(),
            );
        }
        let (admin, beside) = self.beside().maintenance(session.conninfo_here()).await?;
        same_instance(&beside, &identity)?;
        let standing = swap::standing(&admin, &names).await?;
        if standing.swapped() {
            self.kept_is_backed_up(&beside, standing, &names)?;
            return Ok(self.already_swapped(identity, &names));
        }
        self.same_as_backed_up(&identity)?;
        if standing.kept.is_some() {
            return Err(Finding::failed(format!("{} exists already", names.kept))
                .because("an earlier restore of this run left it, and names are not reused")
                .because("nothing was changed")
                .can("rename or drop it when nobody needs it, then retry")
                .into());
        }
        self.no_others(&session, &identity.database).await?;
        if standing.fresh.is_some() {
            let say = format!("removing {} of an attempt before", names.fresh);
            self.context.feed.say(say);
            swap::drop_fresh(&admin, &names).await?;
        }
        let (fresh, warnings) = match self.restore_beside(&admin, &identity, &names).await {
            Ok(restored) => restored,
            Err(trouble) => {
                // Nothing of an attempt that failed takes up room; the live one was not touched.
                let _ = swap::drop_fresh(&admin, &names).await;
                return Err(trouble);
            }
        };
        drop(session);
        let started = Instant::now();
        let ended_sessions = self
            .beside()
            .change_over(&admin, &identity, fresh, &names)
            .await?;
        self.effect("names changed over", started).await;
        // It was compared before the names were changed over; since then people may write again.
        let (_, identity) = self.beside().open_new().await?;
        Ok(Done {
            identity,
            kept: Some(names.kept),
            differences: Vec::new(),
            ended_sessions,
            warnings,
        })
    }

    /// Restores into the new database and proves that it holds what the backup holds. Returns its
    /// oid, and what did not go well but does no harm.
    async fn restore_beside(
        &self,
        admin: &Session,
        proved: &Identity,
        names: &SwapNames,
    ) -> Result<(u32, Vec<String>), Trouble> {
        let started = Instant::now();
        let feed = &self.context.feed;
        feed.say(format!("making {}", names.fresh));
        let oid = fresh_database::create_like(admin, &names.live, &names.fresh).await?;
        self.pg_restore(admin, &names.fresh, false).await?;
        let fresh = self.beside().open_fresh(admin, names, proved, oid).await?;
        let differences = self.compare(&fresh).await?;
        if let Some(first) = differences.first() {
            return Err(Finding::failed("what was restored differs from the backup")
                .because(first.clone())
                .because("the live database was not touched")
                .can("take a new backup where that is still possible")
                .into());
        }
        let warnings = self.beside().analyze(&fresh).await;
        fresh.close().await;
        self.effect("restored into a new database", started).await;
        Ok((oid, warnings))
    }

    pub(super) fn beside(&self) -> Beside<'_> {
        Beside {
            context: self.context,
            target: &self.gate.target,
            maintenance: &self.gate.maintenance,
            sessions: self.gate.sessions,
            called: "the live database",
        }
    }

    fn already_swapped(&self, identity: Identity, names: &SwapNames) -> Done {
        let said = "the names have been changed over already, after both had been compared";
        self.context.feed.say(said);
        Done {
            identity,
            kept: Some(names.kept.clone()),
            differences: Vec::new(),
            ended_sessions: 0,
            warnings: Vec::new(),
        }
    }

    /// The name of a swap alone proves nothing: the database of before is the one backed up.
    fn kept_is_backed_up(
        &self,
        beside: &Identity,
        standing: Standing,
        names: &SwapNames,
    ) -> Result<(), Trouble> {
        if self.is_backed_up(beside, standing.kept) {
            return Ok(());
        }
        Err(self.elsewhere(beside, &names.kept))
    }

    fn is_backed_up(&self, beside: &Identity, oid: Option<u32>) -> bool {
        oid.is_some_and(|oid| {
            let mark = format!("[{}]", beside.fingerprint_of(oid));
            self.backed_up.ends_with(&mark)
        })
    }

    fn elsewhere(&self, beside: &Identity, name: &str) -> Trouble {
        Finding::inconclusive(format!("{name} is not the database that was backed up"))
            .because(format!("the backup was taken of {}", self.backed_up))
            .because(format!("asked was {}", beside.describe()))
            .because("nothing was changed")
            .can("find out where the address leads now, then press Enter")
            .into()
    }

    pub(super) async fn reconcile_swap(&self) -> Result<Found, Trouble> {
        let info = self.context.targets.conninfo(&self.gate.target)?;
        let names = SwapNames::new(&info.database, &self.context.run, &self.context.gate.id);
        let (admin, beside) = self.beside().maintenance(info).await?;
        self.beside().nothing_lingers(&admin).await?;
        let standing = swap::standing(&admin, &names).await?;
        if !standing.swapped() {
            if !self.is_backed_up(&beside, standing.live) {
                return Err(self.elsewhere(&beside, &names.live));
            }
            swap::drop_fresh(&admin, &names).await?;
            let finding = Finding::inconclusive("the live database was not touched")
                .because("the names had not been changed over; what was restored was removed")
                .can("press Enter to restore again");
            return Ok((Some(Resolution::Pending), finding, None));
        }
        self.kept_is_backed_up(&beside, standing, &names)?;
        let (_, identity) = self.beside().open_new().await?;
        same_instance(&identity, &beside)?;
        let done = self.already_swapped(identity, &names);
        let finding = Finding::passed("the names were changed over")
            .because("that is only done after the restored database was compared with the backup")
            .because(format!("the database of before is {}", names.kept));
        Ok((Some(Resolution::Passed), finding, Some(done)))
    }
}

/// A second session is only used where one server process started both.
pub(super) fn same_instance(here: &Identity, proved: &Identity) -> Result<(), Trouble> {
    here.same_instance(proved).map_err(|reason| {
        Finding::failed(format!(
            "database {} is on another server than the target",
            here.database
        ))
        .because(clean_line(&reason))
        .because(format!("the target is {}", proved.describe()))
        .because("the target was not touched")
        .can("find out where the address leads now, then retry this gate")
        .into()
    })
}
