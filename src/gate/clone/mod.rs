//! `clone`: one database becomes the copy of another, and is the old one or the new one at every
//! moment.
//!
//! Both ends are proved first ([`guards`]); the destination is dumped; the copy is made in a new
//! database beside it ([`build`]), compared with the source, and then takes its name ([`change`]).

mod build;
mod carry;
mod change;
mod ends;
mod guards;
mod masks;
mod plan;
mod reconcile;

use std::path::PathBuf;
use std::time::Instant;

use serde::{Deserialize, Serialize};

use super::beside::Beside;
use super::restore::Trouble;
use super::{Context, Evidence, Outcome, Source, TargetError};
use crate::expectation::Finding;
use crate::postgres::dump::{self, DumpError, DumpRequest, Layout, Manifest};
use crate::postgres::fresh_database;
use crate::postgres::identity::Identity;
use crate::postgres::session::Session;
use crate::postgres::swap::{self, SwapNames};
use crate::promotion::{EffectOutcome, EffectRecord};
use crate::runbook::{CloneDatabase, Previous};
use crate::system::durable::write_whole;
use crate::system::fault;
use crate::untrusted::clean;
use build::Built;
pub(super) use plan::plan;
pub(super) use reconcile::reconcile;

/// What a clone made, as the evidence keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cloned {
    /// The target that was copied, and the server that answered for it.
    pub from: String,
    pub source: String,
    /// What the destination's database of before is called now; absent when it was dropped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kept: Option<String>,
    /// The dump of the destination as it was: its path and the hash of its manifest's files.
    pub safety: String,
    /// The source's snapshot that all rows are of.
    pub snapshot: String,
    pub tables: u64,
    pub rows: u64,
    pub bytes: u64,
    pub sequences: u64,
    pub large_objects: u64,
    /// Rows and content digest of each table, equal at both ends.
    pub contents: crate::postgres::content::Contents,
    /// Columns that are hidden, with their rules.
    pub masked: Vec<String>,
    /// What did not come along.
    pub left: Vec<String>,
    pub warnings: Vec<String>,
    pub ended_sessions: u64,
    pub duration_ms: u64,
}

/// What an attempt writes down before it changes names over.
#[derive(Debug, Serialize, Deserialize)]
struct Record {
    /// The destination, in words that end with its fingerprint.
    destination: String,
    live: u32,
    fresh: u32,
    from: String,
    source: String,
    safety: String,
    built: Built,
}

/// One attempt at a clone.
struct Work<'a> {
    gate: &'a CloneDatabase,
    context: &'a Context,
}

pub(super) async fn run(gate: &CloneDatabase, context: &Context) -> Outcome {
    let work = Work { gate, context };
    match Box::pin(work.run()).await {
        Ok((finding, evidence)) => Outcome::of(finding).with(evidence),
        Err(Trouble::Target(TargetError::Postgres(error))) => {
            Outcome::of(build::failed(&error.to_string()))
        }
        Err(Trouble::Target(error)) => super::query::unreachable(&gate.target, &error),
        Err(Trouble::Finding(finding)) => Outcome::of(*finding),
        Err(Trouble::Lost(finding)) => {
            let mut outcome = Outcome::of(*finding);
            outcome.lost = true;
            outcome
        }
        Err(Trouble::Canceled) => {
            Outcome::canceled("the clone was canceled; the destination is as it was before")
        }
    }
}

impl Work<'_> {
    async fn run(&self) -> Result<(Finding, Evidence), Trouble> {
        let started = Instant::now();
        let sessions = self.proved().await?;
        let identity = sessions.ends.destination.clone();
        let Some(mark) = sessions.ends.mark.clone() else {
            return Err(Finding::errored("the destination's enrolment is gone").into());
        };
        self.context.targets.hold(&self.gate.target).await?;
        let names = SwapNames::new(&identity.database, &self.context.run, &named(self.context));
        let (admin, beside) = self
            .beside()
            .maintenance(sessions.destination.conninfo_here())
            .await?;
        super::restore_swap::same_instance(&beside, &identity)?;
        swap::drop_fresh(&admin, &names).await?;
        // The dump reads the old database and the copy is a new one: neither waits for the other.
        let both = tokio::try_join!(
            self.safety(&sessions.destination),
            self.make(&admin, &names, &identity, &mark)
        );
        let (safety, (fresh, built)) = match both {
            Ok(both) => both,
            Err(trouble) => {
                // What is left of it is in nobody's way, and goes with the next attempt at last.
                let _ = swap::drop_fresh(&admin, &names).await;
                return Err(trouble);
            }
        };
        self.record(&Record {
            destination: identity.describe(),
            live: identity.database_oid,
            fresh,
            from: self.gate.from.clone(),
            source: sessions.ends.source.describe(),
            safety: safety.path.clone(),
            built: built.clone(),
        })?;
        fault::point("clone_recorded");
        let source = sessions.ends.source.describe();
        drop(sessions);
        let ended = self
            .change(&admin, &identity, &mark, (fresh, &names))
            .await?;
        let mut built = built;
        let kept = match self.gate.previous {
            Previous::Keep => Some(names.kept.clone()),
            Previous::Drop => {
                let old = (identity.database_oid, Some(&safety));
                self.drop_kept(&admin, &names, old, &mut built.warnings)
                    .await
            }
        };
        fault::point("clone_dropped");
        let (_, now) = self.beside().open_new().await?;
        let cloned = self.cloned(built, (source, safety.path, kept), ended, started);
        Ok((said(&cloned), self.evidence(&now, cloned)))
    }

    /// Both ends, proved, and nothing in the way.
    async fn proved(&self) -> Result<ends::Sessions, Trouble> {
        let sessions = ends::open(self.gate, self.context).await?;
        if let Some(finding) = guards::refusal(&sessions.ends) {
            return Err(finding.into());
        }
        sessions.destination.require_primary().await?;
        if sessions.ends.destination.database == self.gate.maintenance {
            return Err(
                Finding::errored("the database that is connected to cannot be renamed")
                    .because(format!(
                        "maintenance_database is {} itself",
                        self.gate.maintenance
                    ))
                    .because("nothing was changed")
                    .can("name another one, such as template1, as maintenance_database")
                    .into(),
            );
        }
        let lay = ends::lay(self.gate, self.context, &sessions).await?;
        match lay.refusal(self.gate) {
            Some(finding) => Err(finding.into()),
            None => Ok(sessions),
        }
    }

    /// Dumps the destination as it is, reads the dump back, and keeps it.
    async fn safety(&self, destination: &Session) -> Result<Manifest, Trouble> {
        let feed = &self.context.feed;
        feed.say("a dump of the destination as it is, in case somebody misses it");
        let mut survey = dump::survey(destination).await?;
        survey.server = format!("{} before a clone", self.gate.target);
        let folder = self.context.path(&self.gate.safety);
        let name = format!(
            "{}_{}_{}_before_clone",
            self.gate.target, self.context.run, self.context.attempt
        );
        let info = destination.conninfo_here();
        let application_name = self.context.targets.application_name(&self.context.gate.id);
        let request = DumpRequest {
            info: &info,
            layout: Layout::Custom,
            jobs: 1,
            folder: &folder,
            name: &name,
            application_name: &application_name,
            private_folder: &self.context.folder,
            snapshot: None,
        };
        let started = Instant::now();
        let (timeout, cancel) = (self.context.gate.timeout, &self.context.cancel);
        let dumped = dump::dump(&request, &survey, timeout, cancel, |_, line| {
            if let Some(line) = line {
                feed.line(Source::Err, line);
            }
        });
        match dumped.await {
            Ok(manifest) => {
                self.effect("the destination was dumped", started).await;
                fault::point("clone_safety_taken");
                Ok(manifest)
            }
            Err(DumpError::Canceled) => Err(Trouble::Canceled),
            Err(error) => Err(Finding::failed("there is no dump of the destination")
                .because(clean(&error.to_string()).into_owned())
                .because("without one it is not replaced; nothing was changed")
                .can("mend what it says, then retry this gate")
                .into()),
        }
    }

    /// Makes the copy in a new database; returns its oid.
    async fn make(
        &self,
        admin: &Session,
        names: &SwapNames,
        identity: &Identity,
        mark: &crate::postgres::enrolment::Mark,
    ) -> Result<(u32, Built), Trouble> {
        let started = Instant::now();
        let exported = self.export().await?;
        self.context.feed.say(format!("making {}", names.fresh));
        let oid = fresh_database::create_like(admin, &names.live, &names.fresh).await?;
        fault::point("clone_created");
        let fresh = self
            .beside()
            .open_fresh(admin, names, identity, oid)
            .await?;
        let built = self.build(&exported, &fresh, mark, identity).await?;
        fresh.close().await;
        self.effect("the copy was made and compared", started).await;
        Ok((oid, built))
    }

    fn beside(&self) -> Beside<'_> {
        Beside {
            context: self.context,
            target: &self.gate.target,
            maintenance: &self.gate.maintenance,
            sessions: self.gate.sessions,
            called: "the destination",
        }
    }

    async fn effect(&self, name: &str, started: Instant) {
        self.context
            .effect(EffectRecord {
                name: name.to_owned(),
                outcome: EffectOutcome::Committed,
                duration_ms: started.elapsed().as_millis() as u64,
                detail: String::new(),
            })
            .await;
    }

    fn record_path(&self) -> PathBuf {
        let name = format!("clone-{}.json", self.context.gate.id);
        self.context.folder.join(name)
    }

    fn record(&self, record: &Record) -> Result<(), Trouble> {
        let path = self.record_path();
        let bytes = serde_json::to_vec_pretty(record).unwrap_or_default();
        write_whole(&path, &bytes).map_err(|error| {
            Finding::errored("what is about to happen cannot be written down")
                .because(format!("{}: {error}", path.display()))
                .because("the destination is as it was before")
                .can("make room, then retry this gate")
                .into()
        })
    }

    fn recorded(&self) -> Option<Record> {
        let bytes = std::fs::read(self.record_path()).ok()?;
        serde_json::from_slice(&bytes).ok()
    }

    fn cloned(
        &self,
        built: Built,
        (source, safety, kept): (String, String, Option<String>),
        ended: usize,
        started: Instant,
    ) -> Cloned {
        Cloned {
            from: self.gate.from.clone(),
            source,
            kept,
            safety,
            snapshot: built.snapshot,
            tables: built.tables.len() as u64,
            rows: built.tables.values().map(|table| table.rows).sum(),
            bytes: built.bytes,
            sequences: built.sequences,
            large_objects: built.large_objects,
            contents: built.tables,
            masked: built.masked,
            left: built.left,
            warnings: built.warnings,
            ended_sessions: ended as u64,
            duration_ms: started.elapsed().as_millis() as u64,
        }
    }

    fn evidence(&self, now: &Identity, cloned: Cloned) -> Evidence {
        Evidence::Clone {
            target: self.gate.target.clone(),
            server: now.describe(),
            cloned: Box::new(cloned),
        }
    }
}

/// What the databases of an attempt are named by: another attempt makes another copy.
fn named(context: &Context) -> String {
    format!("{} {}", context.gate.id, context.attempt)
}

/// What a clone that went well says.
fn said(cloned: &Cloned) -> Finding {
    let seconds = cloned.duration_ms as f64 / 1000.0;
    let what = match cloned.tables {
        0 => "the schema alone".to_owned(),
        tables => format!(
            "{tables} tables, {} rows, {} sequences",
            cloned.rows, cloned.sequences
        ),
    };
    let equal = match cloned.masked.len() {
        0 => "equal to the source".to_owned(),
        1 => "equal to the source but for 1 hidden column".to_owned(),
        hidden => format!("equal to the source but for {hidden} hidden columns"),
    };
    let finding = Finding::passed(format!("cloned in {seconds:.1} s: {what}, {equal}"));
    let warnings = cloned.warnings.iter().cloned();
    warnings.fold(finding, Finding::because)
}
