//! Lets the copy take the destination's name, in one transaction.

use std::time::Instant;

use super::Work;
use super::ends::{self, writing};
use super::guards;
use crate::expectation::Finding;
use crate::gate::TargetError;
use crate::gate::restore::Trouble;
use crate::gate::restore_swap::same_instance;
use crate::postgres::conninfo::Conninfo;
use crate::postgres::enrolment::Mark;
use crate::postgres::identity::{self, Identity};
use crate::postgres::ledger::identifier;
use crate::postgres::session::{Session, SessionSettings};
use crate::postgres::swap::{self, SwapNames};
use crate::runbook::Sessions;
use crate::system::fault;
use crate::untrusted::{clean, clean_line};

impl Work<'_> {
    /// A session in another database of the destination's server, and who answered it: a database
    /// that is connected to cannot be renamed.
    pub(super) async fn maintenance(
        &self,
        info: Conninfo,
    ) -> Result<(Session, Identity), TargetError> {
        let settings = SessionSettings {
            application_name: self.context.targets.application_name(&self.context.gate.id),
            ..writing()
        };
        let info = info.with_database(&self.gate.maintenance);
        let session = Session::open(&info, &settings).await?;
        let identity = identity::read(&session).await?;
        Ok((session, identity))
    }

    /// Opens the new database, and proves that it is the one that was just made.
    pub(super) async fn open_fresh(
        &self,
        admin: &Session,
        names: &SwapNames,
        proved: &Identity,
        oid: u32,
    ) -> Result<Session, Trouble> {
        let info = admin.conninfo_here().with_database(&names.fresh);
        let settings = SessionSettings {
            application_name: self.context.targets.application_name(&self.context.gate.id),
            ..writing()
        };
        let fresh = Session::open(&info, &settings).await?;
        let here = identity::read(&fresh).await?;
        same_instance(&here, proved)?;
        if here.database_oid == oid {
            return Ok(fresh);
        }
        Err(
            Finding::failed(format!("{} is another database by now", names.fresh))
                .because("somebody else made one of the same name meanwhile")
                .because("the destination is as it was before")
                .can("find out who, then retry this gate")
                .into(),
        )
    }

    /// Proves both ends once more, and changes the names over. Returns how many others were ended.
    pub(super) async fn change(
        &self,
        admin: &Session,
        proved: &Identity,
        mark: &Mark,
        (fresh, names): (u32, &SwapNames),
    ) -> Result<usize, Trouble> {
        let started = Instant::now();
        let again = match self.prove_again(proved, mark).await {
            Ok(()) => self.rename(admin, proved, (fresh, names)).await,
            Err(trouble) => {
                let _ = swap::drop_fresh(admin, names).await;
                Err(trouble)
            }
        };
        let ended = again?;
        self.effect("names changed over", started).await;
        Ok(ended)
    }

    /// Between the first proof and now the rows were carried, which may have taken hours.
    async fn prove_again(&self, proved: &Identity, mark: &Mark) -> Result<(), Trouble> {
        let now = ends::open(self.gate, self.context).await?;
        if let Some(finding) = guards::refusal(&now.ends) {
            return Err(finding.into());
        }
        let same = now.ends.destination.same_server(proved);
        same.and_then(|()| now.ends.destination.same_instance(proved))
            .map_err(|reason| {
                Trouble::from(
                    Finding::failed("the destination is another one by now")
                        .because(clean_line(&reason))
                        .because("the destination is as it was before")
                        .can("find out where the address leads now, then retry this gate"),
                )
            })?;
        if now.ends.mark.as_ref() != Some(mark) {
            return Err(
                Finding::failed("the destination was enrolled anew meanwhile")
                    .because("the destination is as it was before")
                    .can("find out who did that and why, then retry this gate")
                    .into(),
            );
        }
        now.source.close().await;
        now.destination.close().await;
        Ok(())
    }

    async fn rename(
        &self,
        admin: &Session,
        proved: &Identity,
        (fresh, names): (u32, &SwapNames),
    ) -> Result<usize, Trouble> {
        let (helper, beside) = self.maintenance(admin.conninfo_here()).await?;
        same_instance(&beside, proved)?;
        let others = swap::other_sessions(&helper, &names.live, &self.own()).await?;
        let end = self.gate.sessions == Sessions::End;
        if !others.is_empty() && !end {
            let _ = swap::drop_fresh(&helper, names).await;
            let first = others.first().map(|other| clean_line(&other.to_string()));
            return Err(
                Finding::failed("somebody has connected to the destination meanwhile")
                    .because(first.unwrap_or_default())
                    .because("the destination is as it was before")
                    .can("let them end, then retry; sessions = \"end\" in the runbook ends them")
                    .into(),
            );
        }
        self.context.targets.let_go(&self.gate.target).await;
        self.context.feed.say(format!(
            "{} becomes {}, {} becomes {}",
            names.live, names.kept, names.fresh, names.live
        ));
        fault::point("clone_before_swap");
        let oids = (proved.database_oid, fresh);
        if let Err(error) = swap::swap(admin, &helper, names, oids, end).await {
            let refused = error.changed_nothing();
            if refused {
                let _ = swap::drop_fresh(&helper, names).await;
            }
            let finding = Finding::failed("the names could not be changed over")
                .because(clean(&error.to_string()).into_owned());
            if refused {
                return Err(finding
                    .because("the destination is as it was before")
                    .can("retry this gate when nobody is connected")
                    .into());
            }
            return Err(Trouble::Lost(Box::new(
                finding.can("press Enter: the server is asked which names hold"),
            )));
        }
        Ok(others.len())
    }

    /// Drops the database of before, if it still is that one. Returns its name where it stays.
    pub(super) async fn drop_kept(
        &self,
        admin: &Session,
        names: &SwapNames,
        oid: u32,
    ) -> Option<String> {
        let standing = swap::standing(admin, names).await.ok()?;
        if standing.kept != Some(oid) {
            return standing.kept.map(|_| names.kept.clone());
        }
        let sql = format!("DROP DATABASE {} WITH (FORCE)", identifier(&names.kept));
        match super::build::execute(admin, &sql).await {
            Ok(()) => None,
            Err(error) => {
                let said = clean_line(&error.to_string());
                self.context
                    .feed
                    .say(format!("{} stays: {said}", names.kept));
                Some(names.kept.clone())
            }
        }
    }

    /// Opens the target again, which is another database by now.
    pub(super) async fn open_new(&self) -> Result<Identity, Trouble> {
        let targets = &self.context.targets;
        targets.expect_another(&self.gate.target);
        targets.hold(&self.gate.target).await?;
        let (session, identity) = targets
            .open(&self.gate.target, &self.context.gate.id, writing())
            .await?;
        session.close().await;
        Ok(identity)
    }
}
