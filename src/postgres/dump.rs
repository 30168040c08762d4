//! Takes a dump with `pg_dump`, proves that it can be read, and describes it in a manifest.
//!
//! A dump is written under a name that says it is not finished; it gets its own name when it is
//! whole and synced, and its manifest last. Without a manifest there is no backup.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use super::PostgresError;
use super::conninfo::Conninfo;
use super::content::{Contents, SequenceValues};
use super::dump_files::{Place, file_error, hash_all};
use super::dump_witness::Witnessed;
use super::dump_work::{Reading, Work};
use super::programs::{self, Program, ProgramMissing};
use super::session::Session;
use crate::system::durable::{make_private_folder, write_whole};
use crate::system::process;

/// How a dump is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Layout {
    /// One compressed file.
    Custom,
    /// A folder with a file a table, written by several workers.
    Directory,
}

/// What to dump, and where to.
#[derive(Debug, Clone)]
pub struct DumpRequest<'a> {
    pub info: &'a Conninfo,
    pub layout: Layout,
    pub jobs: u32,
    /// The folder that receives the dump; made when missing.
    pub folder: &'a Path,
    /// The dump's name without an ending.
    pub name: &'a str,
    pub application_name: &'a str,
    /// Where a passfile may be written for the programs.
    pub private_folder: &'a Path,
    /// The exported snapshot that is dumped; the dump takes one of its own without.
    pub snapshot: Option<&'a str>,
}

/// One file of a dump.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DumpedFile {
    pub bytes: u64,
    pub sha256: String,
}

/// What a finished dump is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    pub format: u32,
    pub path: String,
    pub layout: Layout,
    pub bytes: u64,
    /// By path inside the dump; the file's own name for one file.
    pub files: BTreeMap<String, DumpedFile>,
    pub duration_ms: u64,
    /// When the dump began, by the server's clock.
    pub taken_at: String,
    /// The write-ahead log's position when the dump began.
    pub wal_position: String,
    pub server_version: String,
    pub pg_dump_version: String,
    /// Entries in its table of contents.
    pub entries: u64,
    /// Tables whose rows it holds.
    pub tables: u64,
    /// The tables, views and sequences in it, as its table of contents lists them: kind, schema,
    /// name, owner, such as `VIEW app v ana`. Empty in manifests of before this was kept.
    #[serde(default)]
    pub objects: Vec<String>,
    /// The database that it was taken of, in words that end with its fingerprint.
    #[serde(default)]
    pub server: String,
    /// The rows of each table, added up, as the dump holds them.
    #[serde(default)]
    pub contents: Contents,
    /// Where the sequences stand in the dump.
    #[serde(default)]
    pub sequences: SequenceValues,
    /// Size of the database that was dumped, in bytes; 0 in manifests of before this was kept.
    #[serde(default)]
    pub database_bytes: u64,
    /// What the source itself held in the snapshot that was dumped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<Witnessed>,
}

/// How far a dump has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DumpProgress {
    pub bytes_written: u64,
    pub tables_begun: u64,
    pub tables: u64,
    /// Size on the server of the tables that are done, and of all, in bytes.
    pub data_done: u64,
    pub data: u64,
}

/// Why there is no backup.
#[derive(Debug, thiserror::Error)]
pub enum DumpError {
    #[error(transparent)]
    Missing(#[from] ProgramMissing),
    #[error(transparent)]
    Postgres(#[from] PostgresError),
    #[error("`{path}`: {source}")]
    File {
        path: String,
        #[source]
        source: io::Error,
    },
    #[error("{0}")]
    Start(#[from] process::StartError),
    #[error("{program} {how}: {said}")]
    Program {
        program: &'static str,
        how: String,
        said: String,
    },
    #[error("the backup was canceled")]
    Canceled,
    #[error("the backup took longer than the gate allows")]
    TimedOut,
    #[error("{0} stands there already")]
    Exists(String),
}

/// What the server says before a dump begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Survey {
    pub taken_at: String,
    pub wal_position: String,
    pub server_version: String,
    pub server_major: u32,
    /// Size of each table's rows, in bytes, by `schema.table`.
    pub tables: BTreeMap<String, u64>,
    pub database_bytes: u64,
    /// Which database this is; for the manifest.
    pub server: String,
}

/// Asks the server what there is to dump.
///
/// # Errors
/// What the server says.
pub async fn survey(session: &Session) -> Result<Survey, PostgresError> {
    let sql = "SELECT to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"'), \
               CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() \
               ELSE pg_current_wal_lsn() END::text, current_setting('server_version'), \
               current_setting('server_version_num')::int, pg_database_size(current_database())";
    let row = session.client.query_typed_one(sql, &[]).await?;
    let tables = session
        .client
        .query_typed(
            "SELECT n.nspname || '.' || c.relname, pg_catalog.pg_relation_size(c.oid) \
             FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
             WHERE c.relkind = 'r' AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'",
            &[],
        )
        .await?;
    Ok(Survey {
        taken_at: row.get(0),
        wal_position: row.get(1),
        server_version: row.get(2),
        server_major: (row.get::<_, i32>(3) / 10_000) as u32,
        database_bytes: row.get::<_, i64>(4) as u64,
        server: String::new(),
        tables: tables
            .iter()
            .map(|row| (row.get(0), row.get::<_, i64>(1).max(0) as u64))
            .collect(),
    })
}

/// Finds `pg_dump` and `pg_restore` that are not older than the server.
///
/// # Errors
/// Which one is missing or too old, and what to install.
pub fn find_programs(server_major: u32) -> Result<(Program, Program), ProgramMissing> {
    let dump = programs::find_at_least("pg_dump", server_major)?;
    let restore = programs::find_at_least("pg_restore", server_major)?;
    Ok((dump, restore))
}

/// Takes a dump, verifies it and writes its manifest.
///
/// # Errors
/// Why there is no backup. Whatever was written of it is removed.
pub async fn dump(
    request: &DumpRequest<'_>,
    survey: &Survey,
    timeout: Option<Duration>,
    cancel: &CancellationToken,
    observe: impl FnMut(DumpProgress, Option<&str>),
) -> Result<Manifest, DumpError> {
    let (pg_dump, pg_restore) = find_programs(survey.server_major)?;
    let place = Place::new(request);
    make_private_folder(request.folder).map_err(|e| file_error(request.folder, e))?;
    place.must_be_free()?;
    place.remove_partial()?;
    let work = Work {
        request,
        survey,
        place: &place,
        timeout,
        cancel,
    };
    let result = work.take(&pg_dump, &pg_restore, observe).await;
    if result.is_err() {
        // A dump that died leaves nothing that could be taken for one.
        let _ = place.remove_unfinished();
    }
    result
}

/// Reads a finished dump's manifest, if it has one.
pub fn read_manifest(request: &DumpRequest<'_>) -> Option<Manifest> {
    let bytes = fs::read(Place::new(request).manifest).ok()?;
    serde_json::from_slice(&bytes).ok()
}

/// Adds what the source itself held to a finished dump's manifest.
///
/// # Errors
/// What the file system says; the dump is as whole as before.
pub fn add_source(
    request: &DumpRequest<'_>,
    manifest: &mut Manifest,
    source: Witnessed,
) -> Result<(), DumpError> {
    let place = Place::new(request);
    manifest.source = Some(source);
    let bytes = serde_json::to_vec_pretty(manifest)
        .map_err(|e| file_error(&place.manifest, io::Error::other(e)))?;
    write_whole(&place.manifest, &bytes).map_err(|e| file_error(&place.manifest, e))
}

/// Removes a finished dump that turned out to be none.
///
/// # Errors
/// What the file system says.
pub fn discard(request: &DumpRequest<'_>) -> Result<(), DumpError> {
    let place = Place::new(request);
    // Without its manifest it is no backup, whatever is left of it.
    fs::remove_file(&place.manifest).map_err(|e| file_error(&place.manifest, e))?;
    place.remove_unfinished()
}

/// Removes what an interrupted dump of that name left.
///
/// # Errors
/// What the file system says.
pub fn remove_unfinished(request: &DumpRequest<'_>) -> Result<(), DumpError> {
    Place::new(request).remove_unfinished()
}

/// Reads the manifest of the dump that stands at `path`: its file, its folder, or the manifest.
///
/// # Errors
/// Why there is none that can be read.
pub fn manifest_beside(path: &Path) -> Result<Manifest, DumpError> {
    let name = path.to_string_lossy();
    let stem = ["manifest.json", "dump", "dir"]
        .iter()
        .find_map(|ending| {
            name.trim_end_matches('/')
                .strip_suffix(&format!(".{ending}"))
        })
        .unwrap_or(&name);
    let beside = Path::new(&format!("{stem}.manifest.json")).to_owned();
    let bytes = fs::read(&beside).map_err(|e| file_error(&beside, e))?;
    let mut manifest: Manifest =
        serde_json::from_slice(&bytes).map_err(|e| file_error(&beside, io::Error::from(e)))?;
    // It may have been moved since.
    let ending = match manifest.layout {
        Layout::Custom => "dump",
        Layout::Directory => "dir",
    };
    manifest.path = format!("{stem}.{ending}");
    Ok(manifest)
}

/// Reads a finished dump in full, as a restore would. Gives the entries of its table of contents
/// and what its tables hold.
///
/// # Errors
/// Why it cannot be read.
pub async fn read_back(
    manifest: &Manifest,
    cancel: &CancellationToken,
) -> Result<(u64, Contents), DumpError> {
    let reading = Reading {
        pg_restore: &programs::find_at_least("pg_restore", 0)?,
        archive: Path::new(&manifest.path),
        timeout: None,
        cancel,
    };
    let (entries, _) = reading.list().await?;
    Ok((entries, reading.read_fully().await?.0))
}

/// Computes the hashes of a dump's files again and compares.
///
/// # Errors
/// The first file that differs, is missing or is too many.
pub fn check_files(manifest: &Manifest) -> Result<(), String> {
    let found = hash_all(Path::new(&manifest.path)).map_err(|error| error.to_string())?;
    for (name, wanted) in &manifest.files {
        match found.get(name) {
            None => return Err(format!("{name} is missing")),
            Some(file) if file != wanted => return Err(format!("{name} has changed")),
            Some(_) => {}
        }
    }
    match found
        .keys()
        .find(|name| !manifest.files.contains_key(*name))
    {
        Some(extra) => Err(format!("{extra} does not belong to it")),
        None => Ok(()),
    }
}
