//! A restore into a new database that then takes the name of the old one.

use std::time::Instant;

use super::TargetError;
use super::restore::{Done, Trouble, Work, own_prefix};
use super::restore_reconcile::Found;
use crate::expectation::Finding;
use crate::postgres::PostgresError;
use crate::postgres::identity::Identity;
use crate::postgres::session::{Session, SessionSettings};
use crate::postgres::swap::{self, SwapNames};
use crate::promotion::Resolution;
use crate::runbook::Sessions;

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
        let admin = self.maintenance().await?;
        let standing = swap::standing(&admin, &names).await?;
        if standing.swapped() {
            return Ok(self.already_swapped(identity, &names));
        }
        self.same_as_backed_up(&identity)?;
        if standing.kept {
            return Err(Finding::failed(format!("{} exists already", names.kept))
                .because("an earlier restore of this run left it, and names are not reused")
                .because("nothing was changed")
                .can("rename or drop it when nobody needs it, then retry")
                .into());
        }
        self.no_others(&session, &identity.database).await?;
        if standing.fresh {
            let say = format!("removing {} of an attempt before", names.fresh);
            self.context.feed.say(say);
            swap::drop_fresh(&admin, &names).await?;
        }
        let result = self.restore_beside(&admin, &names).await;
        if let Err(trouble) = result {
            // Nothing of an attempt that failed takes up room; the live database was not touched.
            let _ = swap::drop_fresh(&admin, &names).await;
            return Err(trouble);
        }
        drop(session);
        let ended_sessions = self.change_over(&admin, &names).await?;
        // It was compared before the names were changed over; since then people may write again.
        let (_, identity) = self.open_new().await?;
        Ok(Done {
            identity,
            kept: Some(names.kept),
            differences: Vec::new(),
            ended_sessions,
        })
    }

    /// Restores into the new database and proves that it holds what the backup holds.
    async fn restore_beside(&self, admin: &Session, names: &SwapNames) -> Result<(), Trouble> {
        let started = Instant::now();
        let feed = &self.context.feed;
        feed.say(format!("making {}", names.fresh));
        swap::create_fresh(admin, names).await?;
        self.pg_restore(admin, &names.fresh, false).await?;
        let info = admin.conninfo().with_database(&names.fresh);
        let settings = SessionSettings {
            application_name: self.context.targets.application_name(&self.context.gate.id),
            ..super::restore::patient()
        };
        let fresh = Session::open(&info, &settings).await?;
        let differences = self.compare(&fresh).await?;
        if let Some(first) = differences.first() {
            return Err(Finding::failed("what was restored differs from the backup")
                .because(first.clone())
                .because("the live database was not touched")
                .can("take a new backup where that is still possible")
                .into());
        }
        feed.say("ANALYZE: a new database knows nothing of its values yet");
        let analyzed = fresh.client.batch_execute("ANALYZE").await;
        analyzed.map_err(PostgresError::from)?;
        fresh.close().await;
        self.effect("restored into a new database", started).await;
        Ok(())
    }

    /// Changes the names over. Our own lock is a session in the old database and goes first.
    async fn change_over(&self, admin: &Session, names: &SwapNames) -> Result<usize, Trouble> {
        let started = Instant::now();
        let feed = &self.context.feed;
        let helper = self.maintenance().await?;
        let own = own_prefix(self.context);
        let others = swap::other_sessions(&helper, &names.live, &own).await?;
        self.context.targets.let_go(&self.gate.target).await;
        feed.say(format!(
            "{} becomes {}, {} becomes {}",
            names.live, names.kept, names.fresh, names.live
        ));
        let end = self.gate.sessions == Sessions::End;
        let swapped = swap::swap(admin, &helper, names, end).await;
        if let Err(error) = swapped {
            let refused = error.sqlstate().is_some();
            if refused {
                let _ = swap::drop_fresh(&helper, names).await;
            }
            let finding = Finding::failed("the names could not be changed over")
                .because(crate::untrusted::clean(&error.to_string()).into_owned());
            if refused {
                return Err(finding
                    .because("the live database is as it was before")
                    .can("retry this gate when nobody is connected")
                    .into());
            }
            return Err(Trouble::Lost(Box::new(
                finding.can("press Enter: the server is asked which names hold"),
            )));
        }
        self.effect("names changed over", started).await;
        Ok(others.len())
    }

    /// Opens the target again, which is another database by now.
    async fn open_new(&self) -> Result<(Session, Identity), TargetError> {
        let targets = &self.context.targets;
        targets.expect_another(&self.gate.target);
        targets.hold(&self.gate.target).await?;
        let settings = SessionSettings::default();
        targets
            .open(&self.gate.target, &self.context.gate.id, settings)
            .await
    }

    fn already_swapped(&self, identity: Identity, names: &SwapNames) -> Done {
        let said = "the names have been changed over already, after both had been compared";
        self.context.feed.say(said);
        Done {
            identity,
            kept: Some(names.kept.clone()),
            differences: Vec::new(),
            ended_sessions: 0,
        }
    }

    /// A session in another database of the same server: one that is connected to cannot be
    /// renamed.
    async fn maintenance(&self) -> Result<Session, TargetError> {
        let info = self.context.targets.conninfo(&self.gate.target)?;
        let settings = SessionSettings {
            application_name: self.context.targets.application_name(&self.context.gate.id),
            // Making a database copies its template, and waits for nobody's lock meanwhile.
            statement_timeout: std::time::Duration::from_secs(3600),
            ..SessionSettings::default()
        };
        let session = Session::open(&info.with_database(&self.gate.maintenance), &settings).await?;
        Ok(session)
    }

    pub(super) async fn reconcile_swap(&self) -> Result<Found, Trouble> {
        let admin = self.maintenance().await?;
        let live = self.context.targets.conninfo(&self.gate.target)?.database;
        let names = SwapNames::new(&live, &self.context.run, &self.context.gate.id);
        let own = self.context.targets.application_name(&self.context.gate.id);
        self.nothing_lingers(&admin, &own).await?;
        let standing = swap::standing(&admin, &names).await?;
        if !standing.swapped() {
            swap::drop_fresh(&admin, &names).await?;
            let finding = Finding::inconclusive("the live database was not touched")
                .because("the names had not been changed over; what was restored was removed")
                .can("press Enter to restore again");
            return Ok((Some(Resolution::Pending), finding, None));
        }
        let (_, identity) = self.open_new().await?;
        let done = self.already_swapped(identity, &names);
        let finding = Finding::passed("the names were changed over")
            .because("that is only done after the restored database was compared with the backup")
            .because(format!("the database of before is {}", names.kept));
        Ok((Some(Resolution::Passed), finding, Some(done)))
    }
}
