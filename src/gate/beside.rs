//! A new database beside a live one, and the change of names between the two: what a restore by swap
//! and a clone have in common.

use super::restore::{Trouble, own_prefix};
use super::restore_swap::same_instance;
use super::{Context, TargetError};
use crate::expectation::Finding;
use crate::postgres::PostgresError;
use crate::postgres::conninfo::Conninfo;
use crate::postgres::identity::{self, Identity};
use crate::postgres::restore;
use crate::postgres::session::{Session, SessionSettings};
use crate::postgres::swap::{self, SwapNames};
use crate::runbook::Sessions;
use crate::system::fault;
use crate::untrusted::{clean, clean_line};

/// How long copying all of a database may take.
const DAY: std::time::Duration = std::time::Duration::from_secs(86_400);

/// A live database of a gate's target, and what to call it.
pub(super) struct Beside<'a> {
    pub(super) context: &'a Context,
    pub(super) target: &'a str,
    /// The database to connect to while the live one is renamed.
    pub(super) maintenance: &'a str,
    pub(super) sessions: Sessions,
    /// Such as `the live database`.
    pub(super) called: &'static str,
}

impl Beside<'_> {
    fn settings(&self) -> SessionSettings {
        SessionSettings {
            application_name: self.context.targets.application_name(&self.context.gate.id),
            // Making a database copies its template, and waits for nobody's lock meanwhile.
            statement_timeout: DAY,
            ..SessionSettings::default()
        }
    }

    /// What is true after something that did not go well, before the names changed over.
    pub(super) fn as_before(&self) -> String {
        format!("{} is as it was before", self.called)
    }

    /// A session in another database of the same server, and who answered it: a database that is
    /// connected to cannot be renamed.
    pub(super) async fn maintenance(
        &self,
        info: Conninfo,
    ) -> Result<(Session, Identity), TargetError> {
        let info = info.with_database(self.maintenance);
        let session = Session::open(&info, &self.settings()).await?;
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
        let fresh = Session::open(&info, &self.settings()).await?;
        let here = identity::read(&fresh).await?;
        same_instance(&here, proved)?;
        if here.database_oid == oid {
            return Ok(fresh);
        }
        Err(
            Finding::failed(format!("{} is another database by now", names.fresh))
                .because("somebody else made one of the same name meanwhile")
                .because(self.as_before())
                .can("find out who, then retry this gate")
                .into(),
        )
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

    /// Changes the names over; returns how many others were connected. Our own lock is a session in
    /// the old database and goes first.
    pub(super) async fn change_over(
        &self,
        admin: &Session,
        proved: &Identity,
        fresh: u32,
        names: &SwapNames,
    ) -> Result<usize, Trouble> {
        let (helper, beside) = self.maintenance(admin.conninfo_here()).await?;
        same_instance(&beside, proved)?;
        let own = own_prefix(self.context);
        let others = swap::other_sessions(&helper, &names.live, &own).await?;
        let end = self.sessions == Sessions::End;
        if let (Some(first), false) = (others.first(), end) {
            let _ = swap::drop_fresh(&helper, names).await;
            return Err(
                Finding::failed("somebody has connected meanwhile and is in the way")
                    .because(clean_line(&first.to_string()))
                    .because(self.as_before())
                    .can("let them end, then retry; sessions = \"end\" in the runbook ends them")
                    .into(),
            );
        }
        self.context.targets.let_go(self.target).await;
        self.context.feed.say(format!(
            "{} becomes {}, {} becomes {}",
            names.live, names.kept, names.fresh, names.live
        ));
        fault::point("before_swap");
        let oids = (proved.database_oid, fresh);
        let Err(error) = swap::swap(admin, &helper, names, oids, end).await else {
            return Ok(others.len());
        };
        let finding = Finding::failed("the names could not be changed over")
            .because(clean(&error.to_string()).into_owned());
        if !error.changed_nothing() {
            return Err(Trouble::Lost(Box::new(
                finding.can("press Enter: the server is asked which names hold"),
            )));
        }
        let _ = swap::drop_fresh(&helper, names).await;
        Err(finding
            .because(self.as_before())
            .can("retry this gate when nobody is connected")
            .into())
    }

    /// Opens the target again, which is another database by now.
    pub(super) async fn open_new(&self) -> Result<(Session, Identity), TargetError> {
        let targets = &self.context.targets;
        targets.expect_another(self.target);
        targets.hold(self.target).await?;
        let settings = SessionSettings::default();
        targets
            .open(self.target, &self.context.gate.id, settings)
            .await
    }

    /// Waits until no session of the attempt is left on the server, in whatever database.
    pub(super) async fn nothing_lingers(&self, session: &Session) -> Result<(), Trouble> {
        let name = self.context.targets.application_name(&self.context.gate.id);
        let lingering = restore::wait_for_our_own(session, &name).await?;
        if lingering == 0 {
            return Ok(());
        }
        Err(
            Finding::inconclusive("its sessions still work on the server")
                .because(format!("{lingering} sessions named {name}"))
                .can("press Enter to ask again; whoever may end those sessions can end them")
                .into(),
        )
    }
}
