//! Carries the rows of all tables over, several tables at a time, each read back when it is there.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use tokio::task::JoinSet;

use super::Work;
use super::build::{Built, Exported, at_source, could_not, execute, in_copy};
use super::ends::{reading, writing};
use crate::gate::backup::bytes;
use crate::gate::restore::Trouble;
use crate::gate::{Progress, Unit};
use crate::postgres::PostgresError;
use crate::postgres::clone_rows::{self, CopyError, CopyPlan};
use crate::postgres::content::TableContent;
use crate::postgres::session::{Session, SessionSettings};
use crate::postgres::shared_snapshot;
use crate::postgres::tables::{self, Tables};
use crate::system::fault;
use crate::untrusted::clean;

/// How far the rows have come.
#[derive(Default)]
struct Carried {
    waiting: VecDeque<CopyPlan>,
    /// Tables that somebody waits to change: only the first session, which holds them, reads them.
    left: Vec<CopyPlan>,
    done: BTreeMap<String, TableContent>,
    rows: u64,
    bytes: u64,
    tables: usize,
}

type Shared = Arc<Mutex<Carried>>;

fn locked(shared: &Shared) -> std::sync::MutexGuard<'_, Carried> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Work<'_> {
    /// Carries all rows over, several tables at a time, and the values of sequences.
    pub(super) async fn rows(
        &self,
        exported: &Exported,
        fresh: &Session,
        built: &mut Built,
    ) -> Result<(), Trouble> {
        let plans = &exported.masked.plans;
        let shared: Shared = Arc::new(Mutex::new(Carried {
            waiting: plans.iter().cloned().collect(),
            ..Carried::default()
        }));
        let total: u64 = plans.iter().map(|plan| plan.bytes).sum();
        let started = Instant::now();
        let mut workers = JoinSet::new();
        let count = (self.gate.jobs as usize).min(plans.len());
        let carrier = || Carrier {
            context: self.context.clone(),
            shared: Arc::clone(&shared),
            tables: plans.len(),
            total,
            started,
        };
        for _ in 0..count {
            let from = self.reader(&exported.snapshot).await?;
            let to = self.writer(fresh).await?;
            let work = carrier();
            workers.spawn(async move { work.carry(&from, &to).await });
        }
        while let Some(ended) = workers.join_next().await {
            match ended {
                Ok(carried) => carried?,
                Err(error) => return Err(could_not(&error.to_string())),
            }
        }
        let left = std::mem::take(&mut locked(&shared).left);
        if !left.is_empty() {
            let to = self.writer(fresh).await?;
            for plan in &left {
                carrier().one(&exported.session, &to, plan).await?;
            }
        }
        self.context
            .feed
            .say("the values of sequences, large objects");
        clone_rows::prepare(&exported.session)
            .await
            .map_err(|error| at_source(&error))?;
        clone_rows::prepare(fresh)
            .await
            .map_err(|error| in_copy(&error))?;
        let arrived = exported.masked.prove_arrived(&exported.session, fresh);
        tokio::select! {
            arrived = arrived => arrived?,
            () = self.context.cancel.cancelled() => return Err(Trouble::Canceled),
        }
        let sequences = &exported.tables.sequences;
        let set = clone_rows::set_sequences(fresh, sequences).await;
        set.map_err(|error| in_copy(&error))?;
        self.equal_sequences(&exported.tables, fresh).await?;
        built.sequences = sequences.len() as u64;
        if self.gate.large_objects != Some(false) {
            built.large_objects = self.large_objects(&exported.session, fresh).await?;
        }
        let mut carried = locked(&shared);
        built.bytes = carried.bytes;
        built.tables = std::mem::take(&mut carried.done);
        Ok(())
    }

    /// Carries the large objects over, and adds them up at both ends.
    async fn large_objects(&self, source: &Session, fresh: &Session) -> Result<u64, Trouble> {
        let failed = |error: PostgresError| could_not(&format!("large objects: {error}"));
        let count = clone_rows::copy_large_objects(source, fresh).await;
        let count = count.map_err(failed)?;
        if count > 0 {
            let there = clone_rows::large_objects(source).await.map_err(failed)?;
            if there != clone_rows::large_objects(fresh).await.map_err(failed)? {
                return Err(could_not("the large objects are not those of the source"));
            }
        }
        Ok(count)
    }

    async fn reader(&self, snapshot: &str) -> Result<Session, Trouble> {
        let targets = &self.context.targets;
        let (session, _) = targets
            .open(&self.gate.from, &self.context.gate.id, reading())
            .await
            .map_err(|error| could_not(&format!("at the source: {error}")))?;
        let failed = |error: PostgresError| at_source(&error);
        shared_snapshot::join(&session, snapshot)
            .await
            .map_err(failed)?;
        clone_rows::prepare(&session).await.map_err(failed)?;
        Ok(session)
    }

    async fn writer(&self, fresh: &Session) -> Result<Session, Trouble> {
        let settings = SessionSettings {
            application_name: self.context.targets.application_name(&self.context.gate.id),
            ..writing()
        };
        let session = Session::open(&fresh.conninfo_here(), &settings).await?;
        // Nothing that is written here is of worth before all of it is there.
        execute(&session, "SET synchronous_commit = off").await?;
        clone_rows::prepare(&session).await?;
        Ok(session)
    }

    async fn equal_sequences(&self, tables: &Tables, fresh: &Session) -> Result<(), Trouble> {
        let values = |tables: &Tables| -> BTreeMap<String, (i64, bool)> {
            let sequences = tables.sequences.iter();
            sequences
                .map(|s| (s.quoted.clone(), (s.last_value, s.is_called)))
                .collect()
        };
        let wanted = values(tables);
        let found = values(&tables::read(fresh).await?);
        let differs = wanted
            .iter()
            .find(|(name, value)| found.get(*name) != Some(value));
        match differs {
            None => Ok(()),
            Some((name, _)) => Err(could_not(&format!("sequence {name} has another value"))),
        }
    }
}

/// One worker that carries tables over.
struct Carrier {
    context: crate::gate::Context,
    shared: Shared,
    tables: usize,
    total: u64,
    started: Instant,
}

impl Carrier {
    async fn carry(&self, from: &Session, to: &Session) -> Result<(), Trouble> {
        loop {
            let next = locked(&self.shared).waiting.pop_front();
            let Some(plan) = next else { return Ok(()) };
            let locked_now = shared_snapshot::lock_now(from, &plan.quoted).await;
            if locked_now.map_err(|error| at_source(&error))? {
                self.one(from, to, &plan).await?;
            } else {
                locked(&self.shared).left.push(plan);
            }
        }
    }

    async fn one(&self, from: &Session, to: &Session, plan: &CopyPlan) -> Result<(), Trouble> {
        let copied = clone_rows::copy(from, to, plan, &self.context.cancel, |rows, bytes| {
            let mut carried = locked(&self.shared);
            carried.rows += rows;
            carried.bytes += bytes;
            self.show(&plan.quoted, &carried);
        });
        let wanted = copied.await.map_err(copy_trouble)?;
        let found = clone_rows::read_back(to, &plan.quoted, &wanted).await?;
        if found.as_ref() != Some(&wanted) {
            let table = &plan.quoted;
            return Err(could_not(&format!(
                "{table} does not hold what was carried over"
            )));
        }
        let mut carried = locked(&self.shared);
        carried.tables += 1;
        carried.done.insert(plan.quoted.clone(), wanted);
        drop(carried);
        fault::point("clone_table_done");
        Ok(())
    }

    fn show(&self, table: &str, carried: &Carried) {
        let passed = self.started.elapsed().as_secs_f64();
        let done = carried.bytes.min(self.total.max(1));
        let left = passed * (self.total.saturating_sub(done)) as f64 / done.max(1) as f64;
        self.context.feed.progress(Progress {
            label: format!(
                "{}, table {} of {}",
                clean(table),
                carried.tables + 1,
                self.tables
            ),
            done,
            total: Some(self.total.max(done)),
            unit: Unit::Bytes,
            detail: format!(
                "{} rows, {}, about {left:.0} s left",
                carried.rows,
                bytes(carried.bytes)
            ),
        });
    }
}

fn copy_trouble(error: CopyError) -> Trouble {
    match error {
        CopyError::Canceled => Trouble::Canceled,
        error => could_not(&error.to_string()),
    }
}
