//! Takes a JSON backup: one file a table, all of one snapshot, by several workers.
//!
//! The files are written into a folder whose name ends with `.partial`. When all are whole and
//! synced the manifest is written, and only then does the folder get its own name: what a killed
//! backup leaves cannot be taken for one.

use std::collections::VecDeque;
use std::fs::{File, TryLockError};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::PostgresError;
use super::conninfo::Conninfo;
use super::identity;
use super::json_manifest::{self, JsonColumn, JsonManifest, JsonSequence, JsonTable, MANIFEST};
use super::json_snapshot::{self, Snapshot};
use super::json_write::{self, Done, Job};
use super::session::{Session, SessionSettings};
use super::shared_snapshot;
use super::tables::{Table, Tables};
use crate::system::durable::{make_private_folder, sync_folder, write_whole};
use crate::system::fault;

/// How often whoever watches is told.
const TELL: Duration = Duration::from_millis(100);

/// What to back up, and where to.
#[derive(Debug, Clone)]
pub struct JsonDumpRequest<'a> {
    pub info: &'a Conninfo,
    /// How many tables are read at once.
    pub jobs: u32,
    /// The folder that receives the backup; made when missing.
    pub folder: &'a Path,
    /// The backup's name: a folder in that folder.
    pub name: &'a str,
    pub application_name: &'a str,
    /// Only these tables, each `schema.table`; all when empty.
    pub only: &'a [String],
}

/// How far a backup has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct JsonProgress {
    pub tables_done: u64,
    pub tables: u64,
    pub rows: u64,
    /// Bytes of JSON.
    pub bytes: u64,
    /// Size on the server of the tables that are done, and of all, in bytes.
    pub data_done: u64,
    pub data: u64,
}

/// Why there is no backup.
#[derive(Debug, thiserror::Error)]
pub enum JsonDumpError {
    #[error(transparent)]
    Postgres(#[from] PostgresError),
    #[error("`{path}`: {source}")]
    File {
        path: String,
        #[source]
        source: io::Error,
    },
    #[error("{0} stands there already")]
    Exists(String),
    #[error("another backup is being written into {0}")]
    Busy(String),
    #[error("row {row} of {table} cannot be written: {reason}")]
    Row {
        table: String,
        row: u64,
        reason: String,
    },
    #[error("there is no table {0}; write it as schema.table")]
    NoTable(String),
    #[error(
        "tables are made and dropped faster than they can be locked; take the backup when \
         nobody changes the schema"
    )]
    Moving,
    #[error("the backup was canceled")]
    Canceled,
}

impl From<tokio_postgres::Error> for JsonDumpError {
    fn from(error: tokio_postgres::Error) -> Self {
        JsonDumpError::Postgres(error.into())
    }
}

impl JsonDumpError {
    pub(super) fn file(path: &Path) -> impl FnOnce(io::Error) -> JsonDumpError + '_ {
        move |source| JsonDumpError::File {
            path: path.display().to_string(),
            source,
        }
    }
}

/// What every worker knows.
struct Shared {
    info: Conninfo,
    settings: SessionSettings,
    snapshot: String,
    folder: PathBuf,
    /// The largest first.
    queue: Mutex<VecDeque<(Table, String)>>,
    written: Mutex<Vec<JsonTable>>,
    /// Tables that somebody waits to change: another session could not lock them.
    left: Mutex<Vec<(Table, String)>>,
    done: Done,
    cancel: CancellationToken,
}

/// Takes a backup. Gives its folder and its manifest.
///
/// # Errors
/// Why there is none. Whatever was written of it is removed.
pub async fn dump(
    request: &JsonDumpRequest<'_>,
    cancel: &CancellationToken,
    observe: impl FnMut(JsonProgress),
) -> Result<(PathBuf, JsonManifest), JsonDumpError> {
    let path = request.folder.join(request.name);
    let partial = request.folder.join(format!("{}.partial", request.name));
    if path.exists() {
        return Err(JsonDumpError::Exists(path.display().to_string()));
    }
    make_private_folder(request.folder).map_err(JsonDumpError::file(request.folder))?;
    // Held until the end, and released by the system if we are killed.
    let _alone = alone(&partial)?;
    let taken = take(request, &partial, cancel, observe).await;
    let manifest = match taken {
        Ok(manifest) => manifest,
        Err(error) => {
            let _ = std::fs::remove_dir_all(&partial);
            return Err(error);
        }
    };
    fault::point("before_json_rename");
    std::fs::rename(&partial, &path).map_err(JsonDumpError::file(&path))?;
    sync_folder(request.folder).map_err(JsonDumpError::file(request.folder))?;
    Ok((path, manifest))
}

/// Makes the unfinished folder anew, and locks it. What an interrupted backup left of that name is
/// removed; one that is at work is not.
fn alone(partial: &Path) -> Result<File, JsonDumpError> {
    let lock = |folder: File| match folder.try_lock() {
        Err(TryLockError::WouldBlock) => Err(JsonDumpError::Busy(partial.display().to_string())),
        // Some network file systems lock no folders; a backup is worth more than this guard.
        Ok(()) | Err(TryLockError::Error(_)) => Ok(folder),
    };
    match File::open(partial) {
        Ok(left) => {
            let _left = lock(left)?;
            std::fs::remove_dir_all(partial).map_err(JsonDumpError::file(partial))?;
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(JsonDumpError::file(partial)(error)),
    }
    std::fs::DirBuilder::new()
        .mode(0o700)
        .create(partial)
        .map_err(JsonDumpError::file(partial))?;
    lock(File::open(partial).map_err(JsonDumpError::file(partial))?)
}

async fn take(
    request: &JsonDumpRequest<'_>,
    partial: &Path,
    cancel: &CancellationToken,
    mut observe: impl FnMut(JsonProgress),
) -> Result<JsonManifest, JsonDumpError> {
    let started = Instant::now();
    let settings = SessionSettings {
        application_name: request.application_name.to_owned(),
        // It stands still while the workers read.
        statement_timeout: Duration::ZERO,
        idle_in_transaction_timeout: Duration::ZERO,
        read_only: true,
        ..SessionSettings::default()
    };
    let leader = Session::open(request.info, &settings).await?;
    let server = identity::read(&leader).await?;
    let (snapshot, tables) = json_snapshot::take(&leader, request.only).await?;
    let shared = Arc::new(Shared {
        info: leader.conninfo_here(),
        settings,
        snapshot: snapshot.id.clone(),
        folder: partial.to_owned(),
        queue: Mutex::new(queue(&tables)),
        written: Mutex::default(),
        left: Mutex::default(),
        done: Done::default(),
        cancel: cancel.clone(),
    });
    work(&shared, &leader, request.jobs, &tables, &mut observe).await?;
    leader.client.batch_execute("COMMIT").await?;
    let mut written = std::mem::take(&mut *lock(&shared.written));
    written.sort_by(|a, b| (&a.schema, &a.name).cmp(&(&b.schema, &b.name)));
    let manifest = manifest(
        request,
        &tables,
        snapshot,
        server.describe(),
        written,
        started,
    );
    let text = serde_json::to_vec_pretty(&manifest).map_err(io::Error::from);
    let place = partial.join(MANIFEST);
    fault::point("before_json_manifest");
    text.and_then(|text| write_whole(&place, &text))
        .map_err(JsonDumpError::file(&place))?;
    Ok(manifest)
}

/// The largest table comes first, so that it is not the one that all wait for in the end.
fn queue(tables: &Tables) -> VecDeque<(Table, String)> {
    let mut names = Vec::new();
    let mut queue = Vec::new();
    for table in &tables.tables {
        let name = json_manifest::file_name(table, &names);
        names.push(name.clone());
        queue.push((table.clone(), name));
    }
    queue.sort_by_key(|(table, _)| std::cmp::Reverse(table.bytes));
    queue.into()
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn work(
    shared: &Arc<Shared>,
    leader: &Session,
    jobs: u32,
    tables: &Tables,
    observe: &mut impl FnMut(JsonProgress),
) -> Result<(), JsonDumpError> {
    let most = u32::try_from(tables.tables.len()).unwrap_or(u32::MAX);
    let mut workers = JoinSet::new();
    for _ in 0..jobs.min(most).max(1) {
        workers.spawn(Arc::clone(shared).work());
    }
    let ended = wait(shared, &mut workers, tables, observe).await;
    // Nobody may write any more when the folder is removed.
    workers.shutdown().await;
    ended?;
    let left = std::mem::take(&mut *lock(&shared.left));
    for (table, file) in left {
        // The leader has the lock already.
        shared.one(leader, &table, file).await?;
    }
    observe(progress(shared, tables));
    Ok(())
}

async fn wait(
    shared: &Shared,
    workers: &mut JoinSet<Result<(), JsonDumpError>>,
    tables: &Tables,
    observe: &mut impl FnMut(JsonProgress),
) -> Result<(), JsonDumpError> {
    let mut tell = tokio::time::interval(TELL);
    let lost = |error| JsonDumpError::file(&shared.folder)(io::Error::other(error));
    loop {
        tokio::select! {
            ended = workers.join_next() => match ended {
                None => return Ok(()),
                Some(ended) => ended.map_err(lost)??,
            },
            _ = tell.tick() => observe(progress(shared, tables)),
            () = shared.cancel.cancelled() => return Err(JsonDumpError::Canceled),
        }
    }
}

fn progress(shared: &Shared, tables: &Tables) -> JsonProgress {
    let done = &shared.done;
    JsonProgress {
        tables_done: done.tables.load(Ordering::Relaxed),
        tables: tables.tables.len() as u64,
        rows: done.rows.load(Ordering::Relaxed),
        bytes: done.bytes.load(Ordering::Relaxed),
        data_done: done.data.load(Ordering::Relaxed),
        data: tables.tables.iter().map(|table| table.bytes).sum(),
    }
}

impl Shared {
    async fn work(self: Arc<Self>) -> Result<(), JsonDumpError> {
        let session = Session::open(&self.info, &self.settings).await?;
        json_snapshot::join(&session, &self.snapshot).await?;
        loop {
            let Some((table, file)) = lock(&self.queue).pop_front() else {
                break;
            };
            if shared_snapshot::lock_now(&session, &table.quoted).await? {
                self.one(&session, &table, file).await?;
            } else {
                lock(&self.left).push((table, file));
            }
        }
        session.client.batch_execute("COMMIT").await?;
        session.close().await;
        Ok(())
    }

    async fn one(
        &self,
        session: &Session,
        table: &Table,
        file: String,
    ) -> Result<(), JsonDumpError> {
        let columns: Vec<JsonColumn> = table.columns.iter().map(JsonColumn::of).collect();
        let copy = json_manifest::copy_out(&table.quoted, &columns, table.extension.as_ref());
        let job = Job {
            quoted: &table.quoted,
            copy: &copy,
            form: &json_manifest::row_form(&columns),
            path: &self.folder.join(&file),
        };
        let written = json_write::write(session, &job, &self.done, &self.cancel).await?;
        self.done.tables.fetch_add(1, Ordering::Relaxed);
        self.done.data.fetch_add(table.bytes, Ordering::Relaxed);
        lock(&self.written).push(JsonTable {
            schema: table.schema.clone(),
            name: table.name.clone(),
            quoted: table.quoted.clone(),
            file,
            rows: written.sum.rows(),
            bytes: written.bytes,
            sha256: written.sha256,
            content: written.sum.content(&json_manifest::column_list(&columns)),
            extension: table.extension.clone(),
            unlogged: table.unlogged,
            columns,
        });
        Ok(())
    }
}

fn manifest(
    request: &JsonDumpRequest<'_>,
    tables: &Tables,
    snapshot: Snapshot,
    server: String,
    written: Vec<JsonTable>,
    started: Instant,
) -> JsonManifest {
    let (kind, version) = JsonManifest::kind_and_version();
    JsonManifest {
        kind,
        version,
        server,
        database: request.info.database.clone(),
        server_version: snapshot.server_version,
        taken_at: snapshot.taken_at,
        wal_position: snapshot.wal_position,
        duration_ms: u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
        values: json_manifest::values_in_words(),
        left_out: snapshot.left_out,
        partial: !request.only.is_empty(),
        tables: written,
        sequences: tables
            .sequences
            .iter()
            .map(|sequence| JsonSequence {
                quoted: sequence.quoted.clone(),
                last_value: sequence.last_value,
                is_called: sequence.is_called,
            })
            .collect(),
    }
}
