//! Lets the copy take the destination's name, in one transaction.

use std::time::Instant;

use super::Work;
use super::ends::{self};
use super::guards;
use crate::expectation::Finding;
use crate::gate::restore::Trouble;
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
}
