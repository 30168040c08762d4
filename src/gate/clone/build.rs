//! Makes the copy beside the destination, and proves that it is one.

use std::collections::BTreeMap;

use super::Work;
use super::ends::reading;
use super::masks::{self, Masked};
use serde::{Deserialize, Serialize};

use crate::expectation::Finding;
use crate::gate::Source;
use crate::gate::restore::Trouble;
use crate::postgres::PostgresError;
use crate::postgres::catalog::{self, CatalogError};
use crate::postgres::clone_schema::{SchemaWork, Section};
use crate::postgres::content::TableContent;
use crate::postgres::dump::DumpError;
use crate::postgres::enrolment::Mark;
use crate::postgres::programs::{self, Program};
use crate::postgres::session::Session;
use crate::postgres::shared_snapshot;
use crate::postgres::tables::{self, Tables};
use crate::postgres::{clone_outward, clone_rows};
use crate::postgres::{enrolment, identity::Identity};
use crate::schema::{self, Difference, Kind, Options};
use crate::system::fault;
use crate::untrusted::{clean, clean_line};

/// The source as one snapshot sees it; the session keeps it.
pub(super) struct Exported {
    pub(super) session: Session,
    pub(super) snapshot: String,
    schema: schema::Snapshot,
    pub(super) tables: Tables,
    pub(super) masked: Masked,
}

/// What was made and proved.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Built {
    pub(super) snapshot: String,
    pub(super) tables: BTreeMap<String, TableContent>,
    pub(super) bytes: u64,
    pub(super) sequences: u64,
    pub(super) large_objects: u64,
    pub(super) masked: Vec<String>,
    /// What did not come along, or leads nowhere now.
    pub(super) left: Vec<String>,
    pub(super) warnings: Vec<String>,
}

impl Work<'_> {
    /// Reads the source in one snapshot, and works out what of it is carried over.
    pub(super) async fn export(&self) -> Result<Exported, Trouble> {
        let targets = &self.context.targets;
        let (session, _) = targets
            .open(&self.gate.from, &self.context.gate.id, reading())
            .await
            .map_err(|error| could_not(&format!("at the source: {error}")))?;
        let read = self.read_source(session);
        tokio::select! {
            read = read => read,
            () = self.context.cancel.cancelled() => Err(Trouble::Canceled),
        }
    }

    async fn read_source(&self, session: Session) -> Result<Exported, Trouble> {
        let failed = |error: PostgresError| at_source(&error);
        let taken = shared_snapshot::take::<PostgresError>(&session, Ok).await;
        let Some((snapshot, mut tables)) = taken.map_err(failed)? else {
            return Err(could_not("tables of the source come and go meanwhile"));
        };
        let schema = catalog::read_within(&session)
            .await
            .map_err(|error| unread(&error))?;
        let values = tables::read_values(&session, &mut tables.sequences).await;
        values.map_err(failed)?;
        let above = masks::above(&session).await.map_err(failed)?;
        let sql = "SELECT pg_catalog.gen_random_uuid()::text";
        let row = session.client.query_typed_one(sql, &[]).await;
        let salt: String = row.map_err(|error| failed(error.into()))?.get(0);
        let masked = masks::decide(self.gate, &tables, &above, &salt)?;
        // As the values are written when they are carried.
        clone_rows::prepare(&session).await.map_err(failed)?;
        masked.prove(&session, &self.context.feed).await?;
        Ok(Exported {
            session,
            snapshot,
            schema,
            tables,
            masked,
        })
    }

    /// Fills the empty database `fresh` with the schema and the rows of the source.
    pub(super) async fn build(
        &self,
        exported: &Exported,
        fresh: &Session,
        mark: &Mark,
        proved: &Identity,
    ) -> Result<Built, Trouble> {
        let feed = &self.context.feed;
        let mut built = Built {
            snapshot: exported.snapshot.clone(),
            masked: exported.masked.said.clone(),
            left: exported.masked.left.clone(),
            ..Built::default()
        };
        let (pg_dump, pg_restore) = self.programs(&exported.session, fresh)?;
        let name = self.context.targets.application_name(&self.context.gate.id);
        let dump = format!("clone-{}-{}", self.context.gate.id, self.context.attempt);
        let work = SchemaWork {
            pg_dump: &pg_dump,
            pg_restore: &pg_restore,
            folder: &self.context.folder,
            name: &dump,
            application_name: &name,
            timeout: self.context.gate.timeout,
            cancel: &self.context.cancel,
        };
        let said = |line: &str| feed.line(Source::Err, line);
        feed.say("the schema: pg_dump of the source, no rows");
        let source = exported.session.conninfo_here();
        let info = fresh.conninfo_here();
        built.left.extend(
            work.dump(&source, &exported.snapshot, said)
                .await
                .map_err(program)?,
        );
        fault::point("clone_schema_dumped");
        feed.say("the schema: tables, functions, types");
        work.restore(&info, Section::PreData, 1, said)
            .await
            .map_err(program)?;
        fault::point("clone_pre_data");
        let disarmed = clone_outward::disarm(fresh).await;
        built
            .left
            .extend(disarmed.map_err(|error| in_copy(&error))?);
        // Event triggers come with what follows, and may refuse what is made after them.
        self.mark(fresh, mark, proved).await?;
        if self.gate.rows {
            self.rows(exported, fresh, &mut built).await?;
        }
        fault::point("clone_rows_done");
        feed.say("the schema: indexes, keys, triggers, policies");
        work.restore(&info, Section::PostData, self.gate.jobs, said)
            .await
            .map_err(program)?;
        fault::point("clone_post_data");
        built.warnings = self.beside().analyze(fresh).await;
        self.equal(exported, fresh).await?;
        fault::point("clone_compared");
        Ok(built)
    }

    /// Writes the mark that belongs to the new database.
    async fn mark(&self, fresh: &Session, mark: &Mark, proved: &Identity) -> Result<(), Trouble> {
        let oid = self.oid_of(fresh).await?;
        let system = proved.system_identifier.as_deref().unwrap_or_default();
        let purpose = mark.purpose.unwrap_or(enrolment::Purpose::Production);
        enrolment::write(fresh, (system, oid), purpose, mark.same_cluster)
            .await
            .map_err(|error| in_copy(&error))?;
        fault::point("clone_enrolled");
        Ok(())
    }

    fn programs(&self, source: &Session, fresh: &Session) -> Result<(Program, Program), Trouble> {
        let newest = source
            .server_version()
            .major()
            .max(fresh.server_version().major());
        let find = |name: &'static str| {
            programs::find_at_least(name, newest).map_err(|missing| {
                Trouble::from(
                    Finding::errored(format!("{name} cannot be used"))
                        .because(missing.to_string())
                        .because("the destination is as it was before")
                        .can("install it as named above, then retry this gate"),
                )
            })
        };
        Ok((find("pg_dump")?, find("pg_restore")?))
    }

    async fn oid_of(&self, fresh: &Session) -> Result<u32, Trouble> {
        let sql = "SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database()";
        let row = fresh.client.query_typed_one(sql, &[]).await;
        Ok(row.map_err(PostgresError::from)?.get(0))
    }

    /// The copy's schema is the source's, but for what was left behind on purpose.
    async fn equal(&self, exported: &Exported, fresh: &Session) -> Result<(), Trouble> {
        self.context.feed.say("comparing the two schemas");
        let found = catalog::read(fresh).await.map_err(|error| unread(&error))?;
        let comparison = schema::compare(&exported.schema, &found, &Options::default());
        let told: Vec<String> = comparison
            .differences
            .iter()
            .filter(|difference| !on_purpose(difference))
            .map(|difference| {
                format!(
                    "{} {} {}",
                    difference.change.word(),
                    difference.kind.word(),
                    difference.name
                )
            })
            .collect();
        if told.is_empty() {
            return Ok(());
        }
        let mut finding = Finding::failed("the copy's schema differs from the source's");
        for line in told.iter().take(10) {
            finding = finding.because(clean_line(line));
        }
        Err(finding
            .because("the destination is as it was before")
            .can("look whether the two servers' versions or extensions differ")
            .into())
    }
}

/// What differs because it must not lead back to where the source lives, and the mark.
fn on_purpose(difference: &Difference) -> bool {
    let property = difference.property.as_deref().unwrap_or_default();
    match difference.kind {
        Kind::UserMapping | Kind::Subscription => true,
        Kind::ForeignServer | Kind::ForeignTable | Kind::ForeignDataWrapper => {
            property.contains("options")
        }
        Kind::Schema => difference.name == "stagegate",
        _ => difference.name.starts_with(enrolment::TABLE),
    }
}

/// An error of the source, which is not the destination's.
pub(super) fn at_source(error: &PostgresError) -> Trouble {
    could_not(&format!("at the source: {error}"))
}

/// An error in the new database.
pub(super) fn in_copy(error: &PostgresError) -> Trouble {
    could_not(&format!("in the copy: {error}"))
}

pub(super) async fn execute(session: &Session, sql: &str) -> Result<(), PostgresError> {
    session
        .client
        .batch_execute(sql)
        .await
        .map_err(PostgresError::from)
}

fn program(error: DumpError) -> Trouble {
    match error {
        DumpError::Canceled => Trouble::Canceled,
        error => could_not(&error.to_string()),
    }
}

fn unread(error: &CatalogError) -> Trouble {
    could_not(&error.to_string())
}

pub(super) fn could_not(reason: &str) -> Trouble {
    failed(reason).into()
}

/// What is found where the copy cannot be made; the names were not changed over.
pub(super) fn failed(reason: &str) -> Finding {
    Finding::failed("the copy could not be made")
        .because(clean(reason).into_owned())
        .because("the destination is as it was before")
        .can("mend what it says, then retry this gate")
}
