//! Lets the copy take the destination's name, in one transaction.

use std::time::Instant;

use super::Work;
use super::ends::{self, writing};
use super::guards;
use crate::expectation::Finding;
use crate::gate::restore::Trouble;
use crate::postgres::PostgresError;
use crate::postgres::content;
use crate::postgres::dump::Manifest;
use crate::postgres::enrolment::Mark;
use crate::postgres::identity::Identity;
use crate::postgres::ledger::identifier;
use crate::postgres::session::Session;
use crate::postgres::swap::{self, SwapNames};
use crate::untrusted::clean_line;

impl Work<'_> {
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
            Ok(()) => self.beside().change_over(admin, proved, fresh, names).await,
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
                        .because(self.beside().as_before())
                        .can("find out where the address leads now, then retry this gate"),
                )
            })?;
        if now.ends.mark.as_ref() != Some(mark) {
            return Err(
                Finding::failed("the destination was enrolled anew meanwhile")
                    .because(self.beside().as_before())
                    .can("find out who did that and why, then retry this gate")
                    .into(),
            );
        }
        now.source.close().await;
        now.destination.close().await;
        Ok(())
    }

    /// Drops the database of before, if it still is that one and its dump has all of its rows:
    /// somebody may have written after the dump. Returns its name where it stays.
    pub(super) async fn drop_kept(
        &self,
        admin: &Session,
        names: &SwapNames,
        (oid, dump): (u32, Option<&Manifest>),
        warnings: &mut Vec<String>,
    ) -> Option<String> {
        let standing = swap::standing(admin, names).await.ok()?;
        if standing.kept != Some(oid) {
            return standing.kept.map(|_| names.kept.clone());
        }
        let dropped = async {
            let dump = dump.ok_or("its dump is not there")?.clone();
            let differences = self.written_since(admin, names, &dump).await;
            let differences = differences.map_err(|error| clean_line(&error.to_string()))?;
            if let Some(first) = differences.first() {
                return Err(format!("written after its dump: {}", clean_line(first)));
            }
            let sql = format!("DROP DATABASE {} WITH (FORCE)", identifier(&names.kept));
            let dropped = super::build::execute(admin, &sql).await;
            dropped.map_err(|error| clean_line(&error.to_string()))
        };
        let Err(reason) = dropped.await else {
            return None;
        };
        let warning = format!("{} stays: {reason}", names.kept);
        self.context.feed.say(&warning);
        warnings.push(warning);
        Some(names.kept.clone())
    }

    /// Where the database of before holds something else than its dump.
    async fn written_since(
        &self,
        admin: &Session,
        names: &SwapNames,
        dump: &Manifest,
    ) -> Result<Vec<String>, PostgresError> {
        self.context
            .feed
            .say("comparing the database of before with its dump");
        let info = admin.conninfo_here().with_database(&names.kept);
        let session = Session::open(&info, &writing()).await?;
        let found = content::read(&session, &dump.contents, |_| {}).await?;
        session.close().await;
        Ok(content::differences(&dump.contents, &found))
    }
}
