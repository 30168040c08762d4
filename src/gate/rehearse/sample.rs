//! A database of the source's schema with some of its rows, or none: nothing of it is a backup.

use std::time::Instant;

use super::fit::Fit;
use super::outward::refused;
use super::restore::{Scratch, settings};
use super::source::Origin;
use super::{Halt, Work, halted, step};
use crate::gate::Source;
use crate::postgres::clone_rows;
use crate::postgres::clone_schema::{SchemaWork, Section};
use crate::postgres::dump::{self, DumpError};
use crate::postgres::dump_witness::{self, Witness};
use crate::postgres::rehearsal_outward::{self, Outward};
use crate::postgres::sample;
use crate::postgres::session::Session;
use crate::runbook::Take;
use crate::untrusted::clean_line;

impl Work<'_> {
    /// Makes the schema, and fills it as far as it is wanted.
    pub(super) async fn partly(
        &mut self,
        take: Take,
        origin: &Origin,
        fit: &Fit,
    ) -> Result<Scratch, Halt> {
        let context = self.context;
        let name = context.targets.application_name(&context.gate.id);
        let witness = self.witness().await?;
        step(context, "a private server", 1);
        let server = self.boot(origin, fit, async { Ok(()) }).await?;
        let started = Instant::now();
        let without = self.prepare(origin, &server).await?;
        for extension in &without {
            self.seen
                .missing
                .push(format!("what needs {extension} fails"));
        }
        let (pg_dump, pg_restore) =
            dump::find_programs(origin.major).map_err(|missing| halted(&missing.to_string()))?;
        let folder = self.folder.clone();
        let stop = self.stop.clone();
        let work = SchemaWork {
            pg_dump: &pg_dump,
            pg_restore: &pg_restore,
            folder: &folder,
            name: "schema",
            application_name: &name,
            timeout: None,
            cancel: &stop,
        };
        let said = |line: &str| context.feed.line(Source::Err, line);
        let source = witness.session().conninfo_here();
        step(context, "the schema", 2);
        let left = work.dump(&source, witness.snapshot(), said).await;
        self.seen.missing.extend(left.map_err(program)?);
        let info = server
            .at(&origin.globals.database)
            .map_err(|error| halted(&error.to_string()))?;
        work.restore(&info, Section::PreData, 1, said)
            .await
            .map_err(program)?;
        let disarmed = rehearsal_outward::confine(&info, &self.gate.may_call).await;
        let disarmed = disarmed.map_err(outward)?;
        self.seen.missing.extend(disarmed);
        if let Take::Sample(rows) = take {
            step(context, "some rows of every table", 3);
            let to = Session::open(&info, &settings()).await?;
            self.fill(&witness, &to, rows).await?;
            to.close().await;
        }
        work.restore(&info, Section::PostData, self.gate.jobs, said)
            .await
            .map_err(program)?;
        self.rows = witness.estimated_rows();
        self.seen.took.restore = started.elapsed().as_millis() as u64;
        self.seen.took.verify = self.seen.took.restore;
        self.seen.archive = format!("{}, {}", self.gate.target, take.word());
        self.enter(origin, server).await
    }

    async fn witness(&self) -> Result<Witness, Halt> {
        let targets = &self.context.targets;
        let opened = targets.open(
            &self.gate.target,
            &self.context.gate.id,
            dump_witness::settings(),
        );
        let (session, _) = opened
            .await
            .map_err(|error| self.at_source(&error.to_string()))?;
        let began = tokio::select! {
            began = Witness::begin(session) => began,
            () = self.stop.cancelled() => return Err(Halt::Canceled),
        };
        began.map_err(|error| self.at_source(&error.to_string()))
    }

    /// Carries rows over, and those that they refer to.
    async fn fill(&mut self, witness: &Witness, to: &Session, rows: u64) -> Result<(), Halt> {
        clone_rows::prepare(to).await?;
        let from = witness.session();
        for table in witness.tables() {
            self.go_on()?;
            let carried = sample::first_rows(from, to, table, rows);
            let carried = tokio::select! {
                carried = carried => carried?,
                () = self.stop.cancelled() => return Err(Halt::Canceled),
            };
            let quoted = clean_line(&table.quoted);
            self.context.feed.say(format!("{quoted}: {carried} rows"));
        }
        let references = sample::references(from).await?;
        let completing = sample::complete(from, to, &references, &self.stop);
        let said = tokio::select! {
            said = completing => said?,
            () = self.stop.cancelled() => return Err(Halt::Canceled),
        };
        self.go_on()?;
        self.seen.missing.extend(said);
        clone_rows::set_sequences(to, &witness.sequences().await?).await?;
        Ok(())
    }
}

fn outward(error: Outward) -> Halt {
    match error {
        Outward::Calls(calls) => refused(&calls).into(),
        Outward::Postgres(error) => error.into(),
    }
}

fn program(error: DumpError) -> Halt {
    match error {
        DumpError::Canceled => Halt::Canceled,
        error => halted(&error.to_string()),
    }
}
