//! `backup`: a dump that can be read back, with a manifest that says what it is.

use super::query::unreachable;
use super::{
    Context, Evidence, Outcome, Plan, Progress, Reconciled, Source, TargetError, Tone, Unit,
};
use crate::expectation::Finding;
use crate::postgres::conninfo::Conninfo;
use crate::postgres::dump::{self, DumpError, DumpProgress, DumpRequest, Layout, Manifest, Survey};
use crate::postgres::session::SessionSettings;
use crate::promotion::Resolution;
use crate::runbook::{Backup, BackupFormat};
use crate::untrusted::clean;

pub(super) async fn plan(gate: &Backup, context: &Context) -> Plan {
    let path = context.fill(&gate.path);
    let format = match gate.format {
        BackupFormat::Custom => "custom",
        BackupFormat::Directory => "directory",
    };
    let summary = format!("dump {} into {path}, format {format}", gate.target);
    let mut plan = Plan::new(
        summary,
        &[&gate.target, &path, format, &gate.jobs.to_string()],
    );
    match survey(gate, context).await {
        Err(error) => {
            let reason = format!("{} cannot be asked: {error}", gate.target);
            plan.line(Tone::Bad, &reason);
            plan.refuses = Some(reason);
        }
        Ok((survey, server)) => {
            plan.line(
                Tone::Plain,
                format!("from     {server}, PostgreSQL {}", survey.server_version),
            );
            let rows: u64 = survey.tables.values().sum();
            let size = format!(
                "size     {} tables, {} of rows, database {}",
                survey.tables.len(),
                bytes(rows),
                bytes(survey.database_bytes)
            );
            plan.line(Tone::Plain, size);
            describe_programs(&mut plan, &survey);
        }
    }
    let folder = context.path(&gate.path);
    plan.line(Tone::Plain, format!("into     {}", folder.display()));
    if let Some(free) = free_space(&folder) {
        plan.line(Tone::Plain, format!("free     {} there", bytes(free)));
    }
    plan.line(
        Tone::Plain,
        "then     SHA-256, pg_restore --list and a full read; then its manifest",
    );
    plan.with(
        Tone::Muted,
        "it changes nothing in the database; files are for their owner alone",
    )
}

fn describe_programs(plan: &mut Plan, survey: &Survey) {
    match dump::find_programs(survey.server_major) {
        Ok((pg_dump, _)) => plan.line(
            Tone::Plain,
            format!(
                "by       {} ({})",
                pg_dump.version.text,
                pg_dump.path.display()
            ),
        ),
        Err(missing) => {
            plan.line(Tone::Bad, missing.to_string());
            plan.refuses = Some(missing.to_string());
        }
    }
}

/// Free bytes where `folder` is or will be.
fn free_space(folder: &std::path::Path) -> Option<u64> {
    let existing = folder.ancestors().find(|path| path.exists())?;
    let stat = rustix::fs::statvfs(existing).ok()?;
    Some(stat.f_bavail * stat.f_frsize)
}

async fn survey(gate: &Backup, context: &Context) -> Result<(Survey, String), TargetError> {
    let settings = SessionSettings {
        read_only: true,
        ..SessionSettings::default()
    };
    let (session, identity) = context
        .targets
        .open(&gate.target, &context.gate.id, settings)
        .await?;
    let mut survey = dump::survey(&session).await?;
    survey.server = identity.describe();
    Ok((survey, identity.describe()))
}

/// What a dump of this attempt is called and where it stands.
struct Place {
    info: Conninfo,
    folder: std::path::PathBuf,
    name: String,
    application_name: String,
}

impl Place {
    fn new(gate: &Backup, context: &Context) -> Result<Place, TargetError> {
        Ok(Place {
            info: context.targets.conninfo(&gate.target)?,
            folder: context.path(&gate.path),
            name: format!("{}_{}_{}", gate.target, context.run, context.attempt),
            application_name: context.targets.application_name(&context.gate.id),
        })
    }

    fn request<'a>(
        &'a self,
        gate: &Backup,
        context: &'a Context,
        snapshot: Option<&'a str>,
    ) -> DumpRequest<'a> {
        DumpRequest {
            snapshot,
            info: &self.info,
            layout: match gate.format {
                BackupFormat::Custom => Layout::Custom,
                BackupFormat::Directory => Layout::Directory,
            },
            jobs: gate.jobs,
            folder: &self.folder,
            name: &self.name,
            application_name: &self.application_name,
            private_folder: &context.folder,
        }
    }
}

pub(super) async fn run(gate: &Backup, context: &Context) -> Outcome {
    if let Err(error) = context.targets.hold(&gate.target).await {
        return unreachable(&gate.target, &error);
    }
    let (survey, server) = match survey(gate, context).await {
        Ok(found) => found,
        Err(error) => return unreachable(&gate.target, &error),
    };
    let place = match Place::new(gate, context) {
        Ok(place) => place,
        Err(error) => return unreachable(&gate.target, &error),
    };
    let seen = super::backup_seen::Seen::begin(&gate.target, context).await;
    let request = place.request(gate, context, seen.snapshot());
    let observe = |progress: DumpProgress, line: Option<&str>| {
        if let Some(line) = line {
            context.feed.line(Source::Err, line);
        }
        context.feed.progress(shown(progress));
    };
    let dumping = dump::dump(
        &request,
        &survey,
        context.gate.timeout,
        &context.cancel,
        observe,
    );
    let (dumped, source) = seen.beside(dumping, context).await;
    match dumped {
        Ok(manifest) => {
            let manifest = match super::backup_seen::join(&request, manifest, source) {
                Ok(manifest) => manifest,
                Err(finding) => return Outcome::of(*finding),
            };
            let summary = passed_words(&manifest);
            Outcome::of(Finding::passed(summary)).with(Evidence::Backup {
                target: gate.target.clone(),
                server,
                manifest,
            })
        }
        Err(DumpError::Canceled) => {
            Outcome::canceled("the backup was canceled; what was written of it was removed")
        }
        Err(error) => Outcome::of(failure(&error)),
    }
}

fn passed_words(manifest: &Manifest) -> String {
    let compared = match manifest.source {
        Some(_) => ", equal to its source",
        None => "",
    };
    format!(
        "{} in {:.1} s, {} tables, read back in full{compared}",
        bytes(manifest.bytes),
        manifest.duration_ms as f64 / 1000.0,
        manifest.tables
    )
}

pub(super) fn failure(error: &DumpError) -> Finding {
    let text = clean(&error.to_string()).into_owned();
    let finding = match error {
        DumpError::Program { .. } | DumpError::TimedOut => Finding::failed("there is no backup"),
        _ => Finding::errored("the backup could not be taken"),
    };
    let finding = finding.because(text.clone());
    let advice = match error {
        DumpError::Missing(_) => "install it as named above, then retry this gate",
        _ if text.contains("permission denied") => {
            "let the user that connects read everything (GRANT pg_read_all_data), then retry"
        }
        _ if text.contains("No space left") => "make room, then retry this gate",
        _ => "mend what it says, then retry this gate",
    };
    finding
        .because("what was written of it was removed")
        .can(advice)
}

/// Bytes of the tables that are done tell more than bytes written, which are compressed.
fn shown(progress: DumpProgress) -> Progress {
    Progress {
        label: format!("table {} of {}", progress.tables_begun, progress.tables),
        done: progress.data_done,
        total: (progress.data > 0).then_some(progress.data),
        unit: Unit::Bytes,
        detail: format!("{} written", bytes(progress.bytes_written)),
    }
}

/// Writes a number of bytes for people.
pub(super) fn bytes(count: u64) -> String {
    const UNITS: [&str; 5] = ["B", "kB", "MB", "GB", "TB"];
    let mut value = count as f64;
    let mut unit = 0;
    while value >= 1000.0 && unit + 1 < UNITS.len() {
        value /= 1000.0;
        unit += 1;
    }
    if unit == 0 {
        format!("{count} B")
    } else {
        format!("{value:.1} {}", UNITS[unit])
    }
}

/// A backup exists when its manifest does, and its bytes are what the manifest says.
pub(super) fn reconcile(gate: &Backup, context: &Context) -> Reconciled {
    let place = match Place::new(gate, context) {
        Ok(place) => place,
        Err(error) => {
            return Reconciled {
                resolution: None,
                finding: Finding::errored(error.to_string()),
                evidence: None,
            };
        }
    };
    let request = place.request(gate, context, None);
    if let Some(manifest) = dump::read_manifest(&request)
        && dump::check_files(&manifest).is_ok()
    {
        return Reconciled {
            resolution: Some(Resolution::Passed),
            finding: Finding::passed(format!(
                "the backup was whole: {}, its manifest and its hashes agree",
                bytes(manifest.bytes)
            )),
            evidence: Some(Evidence::Backup {
                target: gate.target.clone(),
                server: manifest.server.clone(),
                manifest,
            }),
        };
    }
    let removed = dump::remove_unfinished(&request).is_ok();
    let cause = if removed {
        "what was written of it was removed"
    } else {
        "its remains are left"
    };
    Reconciled {
        resolution: Some(Resolution::Pending),
        finding: Finding::inconclusive("the backup was not finished")
            .because("it has no manifest")
            .because(cause)
            .can("press Enter to take it again"),
        evidence: None,
    }
}
