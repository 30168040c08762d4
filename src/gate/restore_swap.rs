//! A restore into a new database that then takes the name of the old one.

use std::time::Instant;

use super::TargetError;
use super::restore::{Done, Trouble, Work, own_prefix};
use super::restore_reconcile::Found;
use crate::expectation::Finding;
use crate::postgres::conninfo::Conninfo;
use crate::postgres::identity::{self, Identity};
use crate::postgres::session::{Session, SessionSettings};
use crate::postgres::swap::{self, Standing, SwapNames};
use crate::postgres::{PostgresError, fresh_database};
use crate::promotion::Resolution;
use crate::runbook::Sessions;
use crate::untrusted::{clean, clean_line};

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
        let (admin, beside) = self.maintenance(session.conninfo_here()).await?;
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
        let ended_sessions = self.change_over(&admin, &identity, fresh, &names).await?;
        // It was compared before the names were changed over; since then people may write again.
        let (_, identity) = self.open_new().await?;
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
        let info = admin.conninfo_here().with_database(&names.fresh);
        let settings = SessionSettings {
            application_name: self.context.targets.application_name(&self.context.gate.id),
            ..super::restore::patient()
        };
        let fresh = Session::open(&info, &settings).await?;
        let here = identity::read(&fresh).await?;
        same_instance(&here, proved)?;
        if here.database_oid != oid {
            return Err(
                Finding::failed(format!("{} is another database by now", names.fresh))
                    .because("somebody else made one of the same name meanwhile")
                    .because("the live database was not touched")
                    .can("find out who, then retry this gate")
                    .into(),
            );
        }
        let differences = self.compare(&fresh).await?;
        if let Some(first) = differences.first() {
            return Err(Finding::failed("what was restored differs from the backup")
                .because(first.clone())
                .because("the live database was not touched")
                .can("take a new backup where that is still possible")
                .into());
        }
        let warnings = self.analyze(&fresh).await;
        fresh.close().await;
        self.effect("restored into a new database", started).await;
        Ok((oid, warnings))
    }

    /// Lets the server learn of the new tables' values. Where that fails queries are slow until
    /// autovacuum has been there, and nothing else is amiss.
    pub(super) async fn analyze(&self, session: &Session) -> Vec<String> {
        let feed = &self.context.feed;
        feed.say("ANALYZE: what is new has no statistics yet");
        let Err(error) = session.client.batch_execute("ANALYZE").await else {
            return Vec::new();
        };
        let said = clean_line(&PostgresError::from(error).to_string());
        let warning = format!("ANALYZE failed, run it by hand: {said}");
        feed.say(&warning);
        vec![warning]
    }

    /// Changes the names over. Our own lock is a session in the old database and goes first.
    async fn change_over(
        &self,
        admin: &Session,
        proved: &Identity,
        fresh: u32,
        names: &SwapNames,
    ) -> Result<usize, Trouble> {
        let started = Instant::now();
        let feed = &self.context.feed;
        let (helper, beside) = self.maintenance(admin.conninfo_here()).await?;
        same_instance(&beside, proved)?;
        let own = own_prefix(self.context);
        let others = swap::other_sessions(&helper, &names.live, &own).await?;
        self.context.targets.let_go(&self.gate.target).await;
        feed.say(format!(
            "{} becomes {}, {} becomes {}",
            names.live, names.kept, names.fresh, names.live
        ));
        let end = self.gate.sessions == Sessions::End;
        let oids = (proved.database_oid, fresh);
        let swapped = swap::swap(admin, &helper, names, oids, end).await;
        if let Err(error) = swapped {
            let refused = error.changed_nothing();
            if refused {
                let _ = swap::drop_fresh(&helper, names).await;
            }
            let finding = Finding::failed("the names could not be changed over")
                .because(clean(&error.to_string()).into_owned());
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
            warnings: Vec::new(),
        }
    }

    /// A session in another database of the same server, and who answered it: a database that is
    /// connected to cannot be renamed.
    async fn maintenance(&self, info: Conninfo) -> Result<(Session, Identity), TargetError> {
        let settings = SessionSettings {
            application_name: self.context.targets.application_name(&self.context.gate.id),
            // Making a database copies its template, and waits for nobody's lock meanwhile.
            statement_timeout: std::time::Duration::from_secs(3600),
            ..SessionSettings::default()
        };
        let session = Session::open(&info.with_database(&self.gate.maintenance), &settings).await?;
        let identity = identity::read(&session).await?;
        Ok((session, identity))
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
        let (admin, beside) = self.maintenance(info).await?;
        let own = self.context.targets.application_name(&self.context.gate.id);
        self.nothing_lingers(&admin, &own).await?;
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
        let (_, identity) = self.open_new().await?;
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
