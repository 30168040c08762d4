//! What is restored: the run's own backup, or a dump that is taken for this alone.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{Halt, Work, halted};
use crate::digest::digest;
use crate::expectation::Finding;
use crate::gate::backup_seen::{self, Seen};
use crate::gate::{Context, Evidence, Source};
use crate::postgres::Session;
use crate::postgres::content::{Contents, SequenceValues};
use crate::postgres::dump::{self, DumpError, DumpRequest, Layout, Manifest};
use crate::postgres::globals::{self, Globals};
use crate::postgres::identity::Identity;
use crate::postgres::session::SessionSettings;
use crate::promotion::GateState;
use crate::schema::Snapshot;
use crate::untrusted::clean_line;

/// What is known of the source.
pub(super) struct Origin {
    pub(super) identity: Identity,
    pub(super) globals: Globals,
    pub(super) major: u32,
    pub(super) database_bytes: u64,
}

/// An archive, and what it must hold.
pub(super) struct Archive {
    pub(super) manifest: Manifest,
    pub(super) wanted: Contents,
    pub(super) sequences: SequenceValues,
    pub(super) with_source: bool,
    /// The source's schema in the snapshot that was dumped.
    pub(super) schema: Option<Snapshot>,
}

/// The backup of a gate, where it stands as passed: what an older attempt left is not rehearsed.
pub(super) fn good_backup(backup: &str, context: &Context) -> Result<Manifest, Box<Finding>> {
    let none = |why: String| {
        Finding::errored(format!("`{backup}` has no backup that could be rehearsed"))
            .because(why)
            .because("nothing was started")
            .can(format!("let `{backup}` pass first"))
    };
    let state = context.states.get(backup).copied();
    if let Some(state) = state.filter(|state| *state != GateState::Passed) {
        return Err(Box::new(none(format!(
            "it is {}, not passed",
            state.word()
        ))));
    }
    match context.earlier.get(backup).map(Arc::as_ref) {
        Some(Evidence::Backup { manifest, .. }) => Ok(manifest.clone()),
        _ => Err(Box::new(none("it has taken none in this run".to_owned()))),
    }
}

/// What a session that reads the source is set to.
pub(super) fn reading() -> SessionSettings {
    SessionSettings {
        read_only: true,
        ..SessionSettings::default()
    }
}

impl Work<'_> {
    /// Asks the source who it is, and what belongs to its whole server.
    pub(super) async fn origin(&self) -> Result<Origin, Halt> {
        let (session, identity) = self.source().await?;
        let globals = globals::read(&session)
            .await
            .map_err(|e| self.at_source(&e.to_string()))?;
        let survey = dump::survey(&session)
            .await
            .map_err(|e| self.at_source(&e.to_string()))?;
        session.close().await;
        Ok(Origin {
            identity,
            globals,
            major: survey.server_major,
            database_bytes: survey.database_bytes,
        })
    }

    pub(super) async fn source(&self) -> Result<(Session, Identity), Halt> {
        let targets = &self.context.targets;
        let opened = targets.open(&self.gate.target, &self.context.gate.id, reading());
        opened
            .await
            .map_err(|error| self.at_source(&error.to_string()))
    }

    pub(super) fn at_source(&self, reason: &str) -> Halt {
        let summary = format!("{} cannot be asked", self.gate.target);
        Finding::errored(summary)
            .because(clean_line(reason))
            .because("nothing was changed")
            .can("mend the address or the server, then retry this gate")
            .into()
    }

    /// The archive of a manifest, with all that it must hold.
    pub(super) fn archive(&self, manifest: Manifest) -> Result<Archive, Halt> {
        let mut wanted = manifest.contents.clone();
        let source = manifest.source.as_ref();
        if let Some(source) = source {
            wanted.extend(source.contents.clone());
        }
        let kept = source.and_then(|source| {
            let sum = source.schema_sha256.as_ref()?;
            Some((source.schema_file.as_ref()?, sum))
        });
        let schema = kept
            .map(|(file, sum)| read_schema(&self.context.folder, file, sum))
            .transpose()?;
        Ok(Archive {
            wanted,
            sequences: manifest.sequences.clone(),
            with_source: source.is_some(),
            schema,
            manifest,
        })
    }

    /// Takes a whole dump of the target, with the code that takes every backup.
    pub(super) async fn take(&self) -> Result<Manifest, Halt> {
        let feed = &self.context.feed;
        feed.say(format!("taking a dump of {}", self.gate.target));
        let (session, identity) = self.source().await?;
        let mut survey = dump::survey(&session)
            .await
            .map_err(|e| self.at_source(&e.to_string()))?;
        survey.server = identity.describe();
        let info = session.conninfo_here();
        session.close().await;
        let inner = Context {
            cancel: self.stop.clone(),
            ..self.context.clone()
        };
        let seen = Seen::begin(&self.gate.target, &inner).await;
        let name = self.context.targets.application_name(&self.context.gate.id);
        let folder = self.dump_folder();
        let request = DumpRequest {
            info: &info,
            layout: Layout::Directory,
            jobs: self.gate.jobs,
            folder: &folder,
            name: "rehearsed",
            application_name: &name,
            private_folder: &self.context.folder,
            snapshot: seen.snapshot(),
        };
        let dumping = dump::dump(&request, &survey, None, &self.stop, |_, line| {
            if let Some(line) = line {
                feed.line(Source::Err, line);
            }
        });
        let (dumped, source) = seen.beside(dumping, &inner).await;
        match dumped {
            Ok(manifest) => {
                backup_seen::join(&request, manifest, source).map_err(|finding| (*finding).into())
            }
            Err(DumpError::Canceled) => Err(Halt::Canceled),
            Err(error) => Err(crate::gate::backup::failure(&error).into()),
        }
    }

    pub(super) fn dump_folder(&self) -> PathBuf {
        self.folder.join("dump")
    }
}

/// Proves that the archive is byte for byte what was taken. Before this nothing reads it.
pub(super) async fn hash(manifest: Manifest) -> Result<(), Halt> {
    let checked = tokio::task::spawn_blocking(move || dump::check_files(&manifest));
    let checked = checked.await.map_err(|error| halted(&error.to_string()))?;
    checked.map_err(|reason| {
        Finding::failed("the backup is not what was taken")
            .because(clean_line(&reason))
            .because("its SHA-256 is another one than its manifest's; it was not opened")
            .can("bring back the file as it was, or take a new backup; then retry this gate")
            .into()
    })
}

/// Reads a schema of the run's folder; one that was changed since is not believed.
fn read_schema(folder: &Path, file: &str, sum: &str) -> Result<Snapshot, Halt> {
    let path = folder.join(file);
    let read = std::fs::read(&path)
        .map_err(|error| error.to_string())
        .and_then(|bytes| match digest(&bytes) == sum {
            true => Ok(bytes),
            false => Err("its SHA-256 is another one than its manifest's".to_owned()),
        });
    let snapshot = read.and_then(|bytes| {
        let text = String::from_utf8(bytes).map_err(|error| error.to_string())?;
        Snapshot::from_json(&text).map_err(|error| error.to_string())
    });
    snapshot.map_err(|reason| {
        Finding::failed("the schema kept with the backup is not what was kept")
            .because(clean_line(&format!("{}: {reason}", path.display())))
            .because("without it nobody can say that the backup is what the source held")
            .can("bring back the file as it was, or take a new backup; then retry this gate")
            .into()
    })
}
