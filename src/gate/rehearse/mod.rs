//! `rehearse`: a backup becomes a database on a private server, is compared with its source, and
//! the gates that come run there first, up, down and up again.
//!
//! The target itself is only read. Whatever comes of it, neither the server nor its files stay.

mod bounds;
mod compared;
mod copied;
mod down;
mod expected;
mod fit;
mod hazards;
mod outward;
mod restore;
mod revised;
mod sample;
mod seen;
mod source;
mod tooled;
mod up;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use tokio_util::sync::CancellationToken;

use super::{Context, Evidence, Outcome, Progress, Reconciled, Unit};
use crate::digest::digest;
use crate::expectation::Finding;
use crate::postgres::PostgresError;
use crate::postgres::rehearsal_server::sweep_leftovers;
use crate::promotion::Resolution;
use crate::runbook::{Kind, RehearsalOf, Rehearse, Take};
use crate::system::durable::make_private_folder;
use crate::untrusted::clean_line;
use bounds::Bounds;
pub use compared::Verified;
pub(super) use copied::{Copied, copy_of};
pub use expected::{Expected, expected, hazards_of, schema_of, unverified, verified};
pub(super) use expected::{as_rehearsed, foretell};
pub(super) use fit::plan;
pub(super) use hazards::is_of;
pub use seen::{
    Again, BackState, Rehearsed, RehearsedBack, RehearsedFile, RehearsedGate, SeenHazard, Took,
};

/// How many steps a rehearsal has, for people.
const STEPS: u64 = 6;

/// Why a rehearsal stops before it has seen everything.
pub(super) enum Halt {
    Finding(Box<Finding>),
    Canceled,
}

impl From<Finding> for Halt {
    fn from(finding: Finding) -> Halt {
        Halt::Finding(Box::new(finding))
    }
}

impl From<PostgresError> for Halt {
    fn from(error: PostgresError) -> Halt {
        halted(&error.to_string())
    }
}

/// What could not be done on the private server, and is no fault of the backup or the files.
fn halted(reason: &str) -> Halt {
    Finding::errored("the rehearsal could not go on")
        .because(clean_line(reason))
        .can("mend what it says, then retry this gate")
        .into()
}

/// One attempt at a rehearsal.
struct Work<'a> {
    gate: &'a Rehearse,
    context: &'a Context,
    /// Fires when somebody cancels, or a bound is passed.
    stop: CancellationToken,
    bounds: Arc<Bounds>,
    /// The attempt's folder.
    folder: PathBuf,
    seen: Rehearsed,
    /// How many rows each table of the source had.
    rows: BTreeMap<String, u64>,
}

pub(super) async fn run(gate: &Rehearse, context: &Context) -> Outcome {
    let started = Instant::now();
    let stop = context.cancel.child_token();
    let folder = fit::folder(context);
    let mut work = Work {
        gate,
        context,
        bounds: Bounds::watch(gate.within, gate.space, &stop),
        stop,
        folder,
        seen: Rehearsed::default(),
        rows: BTreeMap::new(),
    };
    if let Err(error) = make_private_folder(&work.folder.join("outputs")) {
        let reason = format!("{}: {error}", work.folder.display());
        return Outcome::of(
            Finding::errored("the rehearsal has no folder")
                .because(clean_line(&reason))
                .can("make room, then retry this gate"),
        );
    }
    let done = Box::pin(work.all()).await;
    work.stop.cancel();
    let _ = std::fs::remove_dir_all(work.dump_folder());
    work.seen.took.all = started.elapsed().as_millis() as u64;
    if matches!(done, Err(Halt::Canceled)) || !work.has_evidence() {
        let _ = std::fs::remove_dir_all(&work.folder);
    }
    work.outcome(done)
}

impl Work<'_> {
    async fn all(&mut self) -> Result<(), Halt> {
        step(self.context, "look at the source", 0);
        if let Some(reason) = fit::unknown_code(self.gate) {
            return Err(Finding::errored(reason)
                .because("nothing was started")
                .can("write the code of a rule, such as DS102, into `allow`")
                .into());
        }
        let origin = self.origin().await?;
        let fit = fit::fit(self.gate, origin.database_bytes);
        self.seen.database_bytes = origin.database_bytes;
        if let Some(reason) = &fit.refuses {
            return Err(Finding::failed("the rehearsal does not fit")
                .because(reason.clone())
                .because("nothing was started")
                .can("make room, or raise `space` or `within`; then retry this gate")
                .into());
        }
        let started = Instant::now();
        let scratch = match &self.gate.of {
            RehearsalOf::Target(take @ (Take::Schema | Take::Sample(_))) => {
                self.seen.how = take.word().to_owned();
                self.partly(*take, &origin, &fit).await?
            }
            of => {
                let manifest = match of {
                    RehearsalOf::Backup(backup) => {
                        self.seen.backup = Some(backup.clone());
                        self.seen.how = "backup".to_owned();
                        source::good_backup(backup, self.context).map_err(Halt::Finding)?
                    }
                    RehearsalOf::Target(_) => {
                        self.seen.how = "full".to_owned();
                        self.bounds.count(self.dump_folder());
                        self.take().await?
                    }
                };
                self.seen.took.dump = started.elapsed().as_millis() as u64;
                self.seen.archive.clone_from(&manifest.path);
                self.seen.taken_at.clone_from(&manifest.taken_at);
                let archive = self.archive(manifest)?;
                step(self.context, "SHA-256, and a private server", 1);
                let hashing = source::hash(archive.manifest.clone());
                let server = self.boot(&origin, &fit, hashing).await?;
                step(self.context, "restore", 2);
                Box::pin(self.restore(&archive, &origin, server)).await?
            }
        };
        let done = Box::pin(self.on(&origin, &scratch)).await;
        self.seen.scratch_bytes = self.bounds.most();
        // Stopping a server and removing its files is work that blocks.
        let gone = tokio::task::spawn_blocking(move || drop(scratch));
        let _ = gone.await;
        done
    }

    /// Everything that happens in the restored database.
    async fn on(
        &mut self,
        origin: &source::Origin,
        scratch: &restore::Scratch,
    ) -> Result<(), Halt> {
        if !self.seen.differences.is_empty() {
            return Ok(());
        }
        self.settle(origin, scratch).await?;
        step(self.context, "up", 4);
        let up = Box::pin(self.up(scratch)).await?;
        if self.gate.down && self.seen.gates.iter().all(passed) {
            step(self.context, "down, and up again", 5);
            self.down(scratch, up).await?;
        }
        Ok(())
    }

    fn has_evidence(&self) -> bool {
        !self.seen.gates.is_empty()
            || self.seen.verified.is_some()
            || self.seen.compared.is_some()
            || !self.seen.differences.is_empty()
    }

    fn outcome(self, done: Result<(), Halt>) -> Outcome {
        let passed = self.bounds.passed();
        let finding = match done {
            Ok(()) => self.seen.judge(),
            Err(Halt::Finding(finding)) if passed.is_none() => {
                finding.because("production was not touched")
            }
            Err(_) if passed.is_some() => Finding::failed("the rehearsal was stopped at its bound")
                .because(passed.unwrap_or_default())
                .because("the private server and its files were removed")
                .because("production was not touched")
                .can("raise `within` or `space`, or make room; then retry this gate"),
            Err(_) => {
                return Outcome::canceled(
                    "the rehearsal was canceled; the private server and its files were removed",
                );
            }
        };
        let outcome = Outcome::of(finding);
        if !self.has_evidence() {
            return outcome;
        }
        outcome.with(Evidence::Rehearse {
            target: self.gate.target.clone(),
            inputs: inputs(self.gate, self.context).unwrap_or_default(),
            rehearsed: Box::new(self.seen),
        })
    }
}

fn passed(gate: &RehearsedGate) -> bool {
    gate.verdict == crate::expectation::Verdict::Passed
}

/// Says which step begins.
fn step(context: &Context, name: &str, done: u64) {
    let label = format!("step {} of {STEPS}: {name}", (done + 1).min(STEPS));
    context.feed.say(&label);
    context.feed.progress(Progress {
        label,
        done,
        total: Some(STEPS),
        unit: Unit::Steps,
        detail: String::new(),
    });
}

/// The hash of what is rehearsed: the files of the gates, and of the ways back.
pub(super) fn inputs(gate: &Rehearse, context: &Context) -> Option<String> {
    let mut parts = vec![format!("{gate:?}")];
    for step in fit::steps(gate, context).gates {
        parts.push(step.id.clone());
        if let Kind::Migrate(migrate) = &step.kind {
            parts.extend(super::migrate_plan::inputs(migrate, context));
            let back = down::undone_by(&context.runbook, &step.id);
            if let Some(Kind::Migrate(back)) = back.map(|gate| &gate.kind) {
                parts.extend(down::files_digest(back, context));
            }
        }
        if let Kind::Alembic(alembic) = &step.kind {
            parts.extend(super::alembic::inputs(alembic, context));
        }
        if let Kind::Tool(tool) = &step.kind {
            let texts = super::tool::files(tool, context).into_iter();
            parts.extend(texts.map(|(name, text)| format!("{name} {}", digest(text.as_bytes()))));
        }
    }
    Some(digest(parts.join("\n").as_bytes()))
}

/// A rehearsal that nobody saw end has touched nothing; its server and its files are removed.
pub(super) fn reconcile(context: &Context) -> Reconciled {
    let swept = sweep_leftovers();
    let folder = fit::folder(context);
    let left = folder.exists() && std::fs::remove_dir_all(&folder).is_err();
    let cause = match swept {
        0 => "its private server was gone already".to_owned(),
        _ => "its private server was ended and removed".to_owned(),
    };
    let mut finding = Finding::inconclusive("the rehearsal was not finished")
        .because(cause)
        .because("production was not touched");
    if left {
        let shown = folder.display();
        finding = finding.because(format!("{shown} could not be removed; remove it by hand"));
    }
    Reconciled {
        resolution: Some(Resolution::Pending),
        finding: finding.can("press Enter to rehearse again"),
        evidence: None,
    }
}
