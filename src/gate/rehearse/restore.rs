//! Restores into a private server, and proves that what is there is what the source held.

use super::source::{Archive, Origin, reading};
use super::{Halt, Work, halted, step};
use crate::expectation::Finding;
use crate::gate::drift::DriftOptions;
use crate::gate::rehearse::compared::Verified;
use crate::gate::rehearse::fit::Fit;
use crate::gate::{Progress, Source, Targets, Unit};
use crate::postgres::content;
use crate::postgres::dump::DumpError;
use crate::postgres::environment::Environment;
use crate::postgres::programs;
use crate::postgres::rehearsal_outward::Outward;
use crate::postgres::rehearsal_restore::{RestoreError, RestoreProgress, Restored, Restoring};
use crate::postgres::rehearsal_server::RehearsalServer;
use crate::postgres::session::{Session, SessionSettings};
use crate::postgres::{PostgresError, catalog, tables};
use crate::runbook::{self, RolesInScratch};
use crate::schema::{Difference, Kind, Snapshot};
use crate::system::fault;
use crate::untrusted::clean_line;

/// A private server with the restored database.
pub(super) struct Scratch {
    pub(super) server: RehearsalServer,
    /// A session of the superuser's in the restored database.
    pub(super) admin: Session,
    /// The targets of the runbook, of which only this one is there.
    pub(super) targets: Targets,
}

impl Work<'_> {
    /// Starts the server while the archive's hash is computed.
    pub(super) async fn boot(
        &mut self,
        origin: &Origin,
        fit: &Fit,
        hashing: impl Future<Output = Result<(), Halt>>,
    ) -> Result<RehearsalServer, Halt> {
        let started = std::time::Instant::now();
        let (major, room) = (origin.major, fit.room.clone());
        let booting = tokio::task::spawn_blocking(move || RehearsalServer::boot(major, &room));
        let (booted, hashed) = tokio::join!(booting, hashing);
        let server = booted
            .map_err(|error| halted(&error.to_string()))?
            .map_err(|error| {
                Finding::errored("a private server could not be started")
                    .because(clean_line(&error.to_string()))
                    .can(format!(
                        "install PostgreSQL {major} here, then retry this gate"
                    ))
            });
        hashed?;
        let server = server?;
        fault::point("rehearsal_booted");
        self.bounds.count(server.data_folder());
        self.seen.version = server.version();
        self.seen.took.boot = started.elapsed().as_millis() as u64;
        Ok(server)
    }

    /// Makes what a dump leaves out: roles, and the empty database.
    pub(super) async fn prepare(
        &mut self,
        origin: &Origin,
        server: &RehearsalServer,
    ) -> Result<Vec<String>, Halt> {
        let info = server
            .maintenance()
            .map_err(|error| halted(&error.to_string()))?;
        let session = Session::open(&info, &settings()).await?;
        let globals = &origin.globals;
        let missing = globals.missing_extensions(&session).await?;
        let unallowed = missing
            .iter()
            .filter(|name| !self.gate.missing.contains(name));
        let unallowed: Vec<String> = unallowed.cloned().collect();
        if !unallowed.is_empty() {
            let names = unallowed.join(", ");
            return Err(Finding::errored(format!(
                "this machine lacks extensions of the source: {names}"
            ))
            .because("without them it cannot be rehearsed what the source would do")
            .can(format!(
                "install them for PostgreSQL {}, then retry this gate",
                origin.major
            ))
            .can("or allow that they are missing: missing = [\"…\"]")
            .into());
        }
        for name in &missing {
            let said = format!("extension {name} is not installed here, and is left out");
            self.seen.missing.push(said);
        }
        let all = self.gate.roles == RolesInScratch::Make;
        let user = &origin.identity.user;
        let roles = globals.make_roles(&session, |_| all, user).await?;
        self.seen.roles = roles;
        let notes = globals.make_database(&session).await?;
        self.seen.missing.extend(notes);
        session.close().await;
        Ok(missing)
    }

    /// Restores the archive and compares what is there with what the source held.
    pub(super) async fn restore(
        &mut self,
        archive: &Archive,
        origin: &Origin,
        server: RehearsalServer,
    ) -> Result<Scratch, Halt> {
        let started = std::time::Instant::now();
        let without = self.prepare(origin, &server).await?;
        let database = &origin.globals.database;
        let info = server
            .at(database)
            .map_err(|error| halted(&error.to_string()))?;
        let program = programs::find_at_least("pg_restore", origin.major)
            .map_err(|missing| halted(&missing.to_string()))?;
        let restoring = Restoring {
            program: &program,
            info: &info,
            archive: std::path::Path::new(&archive.manifest.path),
            jobs: self.gate.jobs,
            folder: &self.folder,
            without: &without,
            wanted: &archive.wanted,
            may_call: &self.gate.may_call,
            cancel: &self.stop,
        };
        let context = self.context;
        let restoring = restoring.run(|progress| told(context, progress));
        let restored = Box::pin(restoring).await;
        let restored = restored.map_err(|error| self.not_restored(error))?;
        fault::point("rehearsal_restored");
        self.seen.took.restore = restored.restore_ms;
        self.seen
            .missing
            .extend(restored.left_out.iter().map(|l| format!("left out: {l}")));
        self.seen.missing.extend(restored.disarmed.clone());
        let scratch = self.enter(origin, server).await?;
        self.compare(archive, &restored, &scratch, !without.is_empty())
            .await?;
        self.seen.took.verify = started.elapsed().as_millis() as u64 + self.seen.took.boot;
        fault::point("rehearsal_compared");
        Ok(scratch)
    }

    /// Opens the restored database, as its superuser and as the target of the runbook.
    pub(super) async fn enter(
        &self,
        origin: &Origin,
        server: RehearsalServer,
    ) -> Result<Scratch, Halt> {
        let database = &origin.globals.database;
        let info = server
            .at(database)
            .map_err(|error| halted(&error.to_string()))?;
        let admin = Session::open(&info, &settings()).await?;
        let mut runbook = (*self.context.runbook).clone();
        runbook.targets.retain(|name, _| *name == self.gate.target);
        for target in runbook.targets.values_mut() {
            target.url = server.url(database, &origin.identity.user);
            target.environment = runbook::Environment::Scratch;
            target.system_identifier = None;
        }
        let around = Environment::default().with_variables(&self.programs_variables());
        let targets = Targets::new(&self.context.run, &runbook, around);
        Ok(Scratch {
            server,
            admin,
            targets,
        })
    }

    /// What programs find themselves by, there as here, and what their projects name. Where to
    /// connect stands in none of it.
    fn programs_variables(&self) -> Vec<(String, String)> {
        let projects = self.context.runbook.projects.values();
        let named = projects.flat_map(|project| project.env.iter().map(String::as_str));
        let names = ["PATH", "HOME", "VIRTUAL_ENV"].into_iter().chain(named);
        let names = names.filter(|name| !name.starts_with("PG"));
        let value = |name: &str| self.context.targets.variable(name).map(str::to_owned);
        names
            .filter_map(|name| Some((name.to_owned(), value(name)?)))
            .collect()
    }

    fn not_restored(&self, error: RestoreError) -> Halt {
        let said = match error {
            RestoreError::Program(DumpError::Canceled) => return Halt::Canceled,
            RestoreError::Outward(Outward::Calls(calls)) => {
                return super::outward::refused(&calls).into();
            }
            RestoreError::Postgres(_) | RestoreError::Outward(_) if self.stop.is_cancelled() => {
                return Halt::Canceled;
            }
            error => clean_line(&error.to_string()),
        };
        let missing_role = said.contains("role \"") && said.contains("does not exist");
        let finding = Finding::failed("the backup could not be restored").because(said);
        match missing_role && self.gate.roles == RolesInScratch::Refuse {
            true => finding
                .because("it needs a role that belongs to the server, which no dump holds")
                .can("roles = \"make\" makes the roles of the source on the private server")
                .into(),
            false => finding
                .because("what cannot be restored is no way back")
                .can("mend what it says, or take a new backup; then retry this gate")
                .into(),
        }
    }

    /// Compares rows, sequences and the schema.
    async fn compare(
        &mut self,
        archive: &Archive,
        restored: &Restored,
        scratch: &Scratch,
        without: bool,
    ) -> Result<(), Halt> {
        self.seen.differences = content::differences(&archive.wanted, &restored.found);
        let mut there = tables::read(&scratch.admin).await?;
        tables::read_values(&scratch.admin, &mut there.sequences).await?;
        for (name, (value, called)) in &archive.sequences {
            let found = there.sequences.iter().find(|s| s.quoted == *name);
            match found.map(|s| (s.last_value, s.is_called)) {
                Some(found) if found == (*value, *called) => {}
                Some((found, _)) => self.seen.differences.push(format!(
                    "sequence {name} stands at {found}, and stood at {value}"
                )),
                None => self
                    .seen
                    .differences
                    .push(format!("sequence {name} is missing")),
            }
        }
        if let Some(schema) = archive.schema.as_ref().filter(|_| !without) {
            let found = self.schema(scratch).await?;
            self.seen
                .differences
                .extend(schema_differences(schema, &found));
        }
        let rows: u64 = restored.found.values().map(|content| content.rows).sum();
        self.rows = restored
            .found
            .iter()
            .map(|(table, content)| (table.clone(), content.rows))
            .collect();
        if self.seen.differences.is_empty() {
            let compared = Verified {
                target: self.gate.target.clone(),
                tables: restored.found.len() as u64,
                rows,
                sequences: archive.sequences.len() as u64,
                with_source: archive.with_source,
                schema: archive.schema.is_some() && !without,
                hashed: true,
            };
            let empty = archive.schema.as_ref().is_some_and(has_no_table);
            match compared.why_not(empty) {
                None => self.seen.verified = Some(compared),
                Some(reason) => {
                    self.seen.unverified = Some(reason.to_owned());
                    self.seen.compared = Some(compared);
                }
            }
        }
        Ok(())
    }

    /// Reads the schema as the user who connects in production sees it.
    pub(super) async fn schema(&self, scratch: &Scratch) -> Result<Snapshot, Halt> {
        let targets = &scratch.targets;
        let opened = targets.open(&self.gate.target, &self.context.gate.id, reading());
        let (session, _) = opened.await.map_err(|error| halted(&error.to_string()))?;
        let read = catalog::read(&session).await;
        session.close().await;
        read.map_err(|error| halted(&error.to_string()))
    }

    /// What must be as in production before anything runs there, and what must not.
    pub(super) async fn settle(&mut self, origin: &Origin, scratch: &Scratch) -> Result<(), Halt> {
        let started = std::time::Instant::now();
        // Nothing that is rehearsed may reach beyond this server.
        self.keep_in(origin, scratch).await?;
        origin.globals.make_grants(&scratch.admin).await?;
        origin.globals.make_settings(&scratch.admin).await?;
        step(self.context, "planner statistics", 3);
        self.execute(&scratch.admin, "ANALYZE").await?;
        self.seen.took.analyze = started.elapsed().as_millis() as u64;
        Ok(())
    }

    /// Runs a statement that may be canceled.
    pub(super) async fn execute(&self, session: &Session, sql: &str) -> Result<(), Halt> {
        tokio::select! {
            done = session.client.batch_execute(sql) => Ok(done.map_err(PostgresError::from)?),
            () = self.stop.cancelled() => {
                let _ = session.canceller().cancel().await;
                Err(Halt::Canceled)
            }
        }
    }
}

pub(super) fn settings() -> SessionSettings {
    SessionSettings {
        application_name: "stagegate rehearsal".to_owned(),
        statement_timeout: std::time::Duration::from_secs(86_400),
        ..SessionSettings::default()
    }
}

fn told(context: &crate::gate::Context, progress: RestoreProgress) {
    match progress {
        RestoreProgress::Said(line) => context.feed.line(Source::Err, &line),
        RestoreProgress::Entries { done, total } => context.feed.progress(Progress {
            label: "step 2 of 6: restore".to_owned(),
            done: done as u64,
            total: Some(total as u64),
            unit: Unit::Entries,
            detail: "tables are compared with the source as they come".to_owned(),
        }),
        RestoreProgress::Compared { table, done, total } => {
            let said = format!("{table} compared, {done} of {total}");
            context.feed.line(Source::Own, &said);
        }
    }
}

fn has_no_table(schema: &Snapshot) -> bool {
    let mut kinds = schema.objects.keys().map(|id| id.kind);
    !kinds.any(|kind| kind == Kind::Table)
}

/// Tells whether a difference is only that a foreign server leads nowhere on the private server.
pub(super) fn leads_nowhere(difference: &Difference) -> bool {
    let foreign = matches!(
        difference.kind,
        Kind::ForeignDataWrapper | Kind::ForeignServer | Kind::ForeignTable
    );
    let options = ["options", "foreign options"];
    let property = difference.property.as_deref();
    foreign && property.is_some_and(|property| options.contains(&property))
}

/// Where a restored schema differs from the source's, in words. Members of roles and what leads to
/// other servers are no part of a dump.
fn schema_differences(source: &Snapshot, found: &Snapshot) -> Vec<String> {
    let left = |kind: Kind| {
        matches!(
            kind,
            Kind::RoleMembership | Kind::UserMapping | Kind::Subscription
        )
    };
    let comparison = DriftOptions::default().compare(source, found);
    comparison
        .differences
        .iter()
        .filter(|difference| !left(difference.kind))
        .filter(|difference| !leads_nowhere(difference))
        .filter(|difference| difference.property.as_deref() != Some("tablespace"))
        .map(|difference| {
            let property = difference.property.as_ref();
            let property = property.map_or(String::new(), |p| format!(", {p}"));
            clean_line(&format!(
                "schema: {} {} {}{property}",
                difference.change.word(),
                difference.kind,
                difference.name
            ))
        })
        .collect()
}
