//! Takes a dump with `pg_dump`, proves that it can be read, and describes it in a manifest.
//!
//! A dump is written under a name that says it is not finished; it gets its own name when it is
//! whole and synced, and its manifest last. Without a manifest there is no backup.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use tokio_util::sync::CancellationToken;

use super::PostgresError;
use super::conninfo::Conninfo;
use super::passfile::ChildPassfile;
use super::programs::{self, Program, ProgramMissing};
use super::session::Session;
use crate::digest::hex;
use crate::system::durable::{make_private_folder, sync_folder, write_whole};
use crate::system::fault;
use crate::system::process::{self, Ended, Ending, Invocation, Stream};

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
        let _ = place.remove_partial();
    }
    result
}

/// Reads a finished dump's manifest, if it has one.
pub fn read_manifest(request: &DumpRequest<'_>) -> Option<Manifest> {
    let bytes = fs::read(Place::new(request).manifest).ok()?;
    serde_json::from_slice(&bytes).ok()
}

/// Removes what an interrupted dump of that name left.
///
/// # Errors
/// What the file system says.
pub fn remove_partial(request: &DumpRequest<'_>) -> Result<(), DumpError> {
    Place::new(request).remove_partial()
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

/// Where a dump stands, finished and not.
struct Place {
    path: PathBuf,
    partial: PathBuf,
    manifest: PathBuf,
}

impl Place {
    fn new(request: &DumpRequest<'_>) -> Place {
        let ending = match request.layout {
            Layout::Custom => "dump",
            Layout::Directory => "dir",
        };
        let at = |ending: String| request.folder.join(format!("{}.{ending}", request.name));
        Place {
            path: at(ending.to_owned()),
            partial: at(format!("{ending}.partial")),
            manifest: at("manifest.json".to_owned()),
        }
    }

    fn must_be_free(&self) -> Result<(), DumpError> {
        if self.path.exists() {
            return Err(DumpError::Exists(self.path.display().to_string()));
        }
        Ok(())
    }

    fn remove_partial(&self) -> Result<(), DumpError> {
        let removed = if self.partial.is_dir() {
            fs::remove_dir_all(&self.partial)
        } else {
            fs::remove_file(&self.partial)
        };
        match removed {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(file_error(&self.partial, error))
            }
            _ => Ok(()),
        }
    }
}

struct Work<'a> {
    request: &'a DumpRequest<'a>,
    survey: &'a Survey,
    place: &'a Place,
    timeout: Option<Duration>,
    cancel: &'a CancellationToken,
}

impl Work<'_> {
    async fn take(
        &self,
        pg_dump: &Program,
        pg_restore: &Program,
        observe: impl FnMut(DumpProgress, Option<&str>),
    ) -> Result<Manifest, DumpError> {
        let started = std::time::Instant::now();
        let tables = self.run_pg_dump(pg_dump, observe).await?;
        fault::point("after_dump");
        make_private(&self.place.partial).map_err(|e| file_error(&self.place.partial, e))?;
        let entries = self.list(pg_restore).await?;
        self.read_fully(pg_restore).await?;
        fault::point("after_dump_verified");
        let partial = self.place.partial.clone();
        let files = tokio::task::spawn_blocking(move || sync_and_hash(&partial))
            .await
            .map_err(|e| file_error(&self.place.partial, io::Error::other(e)))?
            .map_err(|e| file_error(&self.place.partial, e))?;
        self.finish(files, entries, tables, started.elapsed(), pg_dump)
    }

    fn finish(
        &self,
        mut files: BTreeMap<String, DumpedFile>,
        entries: u64,
        tables: u64,
        took: Duration,
        pg_dump: &Program,
    ) -> Result<Manifest, DumpError> {
        let place = self.place;
        let name = |path: &Path| {
            path.file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned()
        };
        if self.request.layout == Layout::Custom
            && let Some(only) = files.remove(&name(&place.partial))
        {
            files.insert(name(&place.path), only);
        }
        fs::rename(&place.partial, &place.path).map_err(|e| file_error(&place.path, e))?;
        sync_folder(self.request.folder).map_err(|e| file_error(self.request.folder, e))?;
        fault::point("after_dump_renamed");
        let manifest = Manifest {
            format: 1,
            path: place.path.display().to_string(),
            layout: self.request.layout,
            bytes: files.values().map(|file| file.bytes).sum(),
            files,
            duration_ms: took.as_millis() as u64,
            taken_at: self.survey.taken_at.clone(),
            wal_position: self.survey.wal_position.clone(),
            server_version: self.survey.server_version.clone(),
            pg_dump_version: pg_dump.version.text.clone(),
            entries,
            tables,
        };
        let bytes = serde_json::to_vec_pretty(&manifest)
            .map_err(|e| file_error(&place.manifest, io::Error::other(e)))?;
        write_whole(&place.manifest, &bytes).map_err(|e| file_error(&place.manifest, e))?;
        fault::point("after_manifest");
        Ok(manifest)
    }

    async fn run_pg_dump(
        &self,
        pg_dump: &Program,
        mut observe: impl FnMut(DumpProgress, Option<&str>),
    ) -> Result<u64, DumpError> {
        let passfile = match &self.request.info.password {
            Some(password) => Some(
                ChildPassfile::write(self.request.private_folder, password)
                    .map_err(|e| file_error(self.request.private_folder, e))?,
            ),
            None => None,
        };
        let invocation = self.invocation(pg_dump, passfile.as_ref().map(ChildPassfile::path));
        let mut progress = DumpProgress {
            tables: self.survey.tables.len() as u64,
            data: self.survey.tables.values().sum(),
            ..DumpProgress::default()
        };
        let mut current = 0;
        let (lines, mut received) = tokio::sync::mpsc::unbounded_channel();
        let running = process::run(&invocation, self.cancel, move |stream, line| {
            if stream == Stream::Err {
                let _ = lines.send(crate::untrusted::clean_bytes(line));
            }
        });
        tokio::pin!(running);
        let mut tick = tokio::time::interval(Duration::from_millis(100));
        let ended = loop {
            tokio::select! {
                ended = &mut running => break ended?,
                Some(line) = received.recv() => {
                    fault::point("during_dump");
                    if let Some(table) = dumped_table(&line) {
                        progress.data_done += current;
                        current = self.survey.tables.get(&table).copied().unwrap_or(0);
                        progress.tables_begun += 1;
                    }
                    observe(progress, Some(&line));
                }
                _ = tick.tick() => {
                    let written = size_of(&self.place.partial);
                    if written != progress.bytes_written {
                        progress.bytes_written = written;
                        observe(progress, None);
                    }
                }
            }
        };
        while let Ok(line) = received.try_recv() {
            progress.tables_begun += u64::from(dumped_table(&line).is_some());
            observe(progress, Some(&line));
        }
        self.check_ended("pg_dump", &ended)?;
        progress.bytes_written = size_of(&self.place.partial);
        progress.data_done = progress.data;
        observe(progress, None);
        Ok(progress.tables_begun)
    }

    fn invocation(&self, pg_dump: &Program, passfile: Option<&Path>) -> Invocation {
        let request = self.request;
        let mut arguments = vec![
            "--no-password".to_owned(),
            "--verbose".to_owned(),
            // A dump that waits for a lock holds up everybody behind it.
            "--lock-wait-timeout=30s".to_owned(),
            format!("--file={}", self.place.partial.display()),
        ];
        match request.layout {
            Layout::Custom => arguments.push("--format=custom".to_owned()),
            Layout::Directory => {
                arguments.push("--format=directory".to_owned());
                arguments.push(format!("--jobs={}", request.jobs));
            }
        }
        let mut environment = request.info.child_environment(passfile);
        environment.retain(|(name, _)| name != "PGAPPNAME");
        environment.push(("PGAPPNAME".to_owned(), request.application_name.to_owned()));
        environment.push(("LC_ALL".to_owned(), "C".to_owned()));
        Invocation {
            program: pg_dump.path.clone(),
            arguments,
            environment,
            folder: None,
            timeout: self.timeout,
        }
    }

    /// Reads the table of contents.
    async fn list(&self, pg_restore: &Program) -> Result<u64, DumpError> {
        let listed = std::sync::atomic::AtomicU64::new(0);
        self.pg_restore(pg_restore, &["--list"], |line| {
            if !line.is_empty() && !line.starts_with(b";") {
                listed.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            }
        })
        .await?;
        Ok(listed.into_inner())
    }

    /// Reads every byte of it as a restore would, and throws the result away.
    async fn read_fully(&self, pg_restore: &Program) -> Result<(), DumpError> {
        self.pg_restore(pg_restore, &["--file=/dev/null"], |_| {})
            .await
    }

    async fn pg_restore(
        &self,
        pg_restore: &Program,
        arguments: &[&str],
        mut on_out: impl FnMut(&[u8]),
    ) -> Result<(), DumpError> {
        let mut arguments: Vec<String> = arguments.iter().map(|a| (*a).to_owned()).collect();
        arguments.push(self.place.partial.display().to_string());
        let invocation = Invocation {
            program: pg_restore.path.clone(),
            arguments,
            environment: vec![("LC_ALL".to_owned(), "C".to_owned())],
            folder: None,
            timeout: self.timeout,
        };
        let ended = process::run(&invocation, self.cancel, |stream, line| {
            if stream == Stream::Out {
                on_out(line);
            }
        })
        .await?;
        self.check_ended("pg_restore", &ended)
    }

    fn check_ended(&self, program: &'static str, ended: &Ended) -> Result<(), DumpError> {
        use std::os::unix::process::ExitStatusExt as _;
        let how = match ended.ending {
            Ending::Exited(status) if status.success() => return Ok(()),
            Ending::Exited(status) => match status.signal() {
                Some(signal) => format!("was ended by signal {signal}"),
                None => format!("exited with {}", status.code().unwrap_or(-1)),
            },
            Ending::TimedOut => return Err(DumpError::TimedOut),
            Ending::Canceled => return Err(DumpError::Canceled),
        };
        let said = crate::untrusted::clean_bytes(&ended.stderr);
        let lines: Vec<&str> = said
            .lines()
            .filter(|line| says_error(line))
            .take(4)
            .collect();
        Err(DumpError::Program {
            program,
            how,
            said: lines.join("; "),
        })
    }
}

/// Tells apart what went wrong from the running commentary.
fn says_error(line: &str) -> bool {
    line.contains("error:") || line.contains("detail:") || line.contains("hint:")
}

/// The table that a line of `pg_dump --verbose` says is being dumped now.
fn dumped_table(line: &str) -> Option<String> {
    let (_, rest) = line.split_once("dumping contents of table \"")?;
    Some(rest.trim_end_matches('"').to_owned())
}

fn size_of(path: &Path) -> u64 {
    let Ok(metadata) = fs::symlink_metadata(path) else {
        return 0;
    };
    if !metadata.is_dir() {
        return metadata.len();
    }
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    entries
        .map(|entry| entry.metadata().map_or(0, |m| m.len()))
        .sum()
}

fn make_private(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        for entry in fs::read_dir(path)? {
            fs::set_permissions(entry?.path(), fs::Permissions::from_mode(0o600))?;
        }
        return fs::set_permissions(path, fs::Permissions::from_mode(0o700));
    }
    fs::set_permissions(path, fs::Permissions::from_mode(0o600))
}

fn sync_and_hash(path: &Path) -> io::Result<BTreeMap<String, DumpedFile>> {
    if path.is_dir() {
        for entry in fs::read_dir(path)? {
            File::open(entry?.path())?.sync_all()?;
        }
    }
    File::open(path)?.sync_all()?;
    hash_all(path)
}

fn hash_all(path: &Path) -> io::Result<BTreeMap<String, DumpedFile>> {
    let mut files = BTreeMap::new();
    let name = |path: &Path| {
        path.file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned()
    };
    if path.is_dir() {
        for entry in fs::read_dir(path)? {
            let entry = entry?.path();
            files.insert(name(&entry), hash_file(&entry)?);
        }
    } else {
        files.insert(name(path), hash_file(path)?);
    }
    Ok(files)
}

fn hash_file(path: &Path) -> io::Result<DumpedFile> {
    let mut file = File::open(path)?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    let mut bytes = 0;
    loop {
        let read = file.read(&mut buffer)?;
        if read == 0 {
            break;
        }
        bytes += read as u64;
        hasher.update(&buffer[..read]);
    }
    Ok(DumpedFile {
        bytes,
        sha256: hex(&hasher.finalize()),
    })
}

fn file_error(path: &Path, source: io::Error) -> DumpError {
    DumpError::File {
        path: path.display().to_string(),
        source,
    }
}
