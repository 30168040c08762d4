//! Runs `pg_dump` and `pg_restore` for one dump.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::content::{Contents, DumpReader, SequenceValues};
use super::dump::{DumpError, DumpProgress, DumpRequest, DumpedFile, Layout, Manifest, Survey};
use super::dump_files::{Place, file_error, make_private, size_of, sync_and_hash};
use super::passfile::ChildPassfile;
use super::programs::Program;
use crate::system::durable::{sync_folder, write_whole};
use crate::system::fault;
use crate::system::process::{self, Ended, Ending, Invocation, Stream};

/// What reading a dump back gave.
struct Read {
    entries: u64,
    objects: Vec<String>,
    tables: u64,
    contents: Contents,
    sequences: SequenceValues,
}

/// One dump that is being made.
pub(super) struct Work<'a> {
    pub(super) request: &'a DumpRequest<'a>,
    pub(super) survey: &'a Survey,
    pub(super) place: &'a Place,
    pub(super) timeout: Option<Duration>,
    pub(super) cancel: &'a CancellationToken,
}

impl Work<'_> {
    /// Dumps, reads back, hashes, renames, and writes the manifest last.
    pub(super) async fn take(
        &self,
        pg_dump: &Program,
        pg_restore: &Program,
        observe: impl FnMut(DumpProgress, Option<&str>),
    ) -> Result<Manifest, DumpError> {
        let started = std::time::Instant::now();
        let tables = self.run_pg_dump(pg_dump, observe).await?;
        fault::point("after_dump");
        make_private(&self.place.partial).map_err(|e| file_error(&self.place.partial, e))?;
        let reading = Reading {
            pg_restore,
            archive: &self.place.partial,
            timeout: self.timeout,
            cancel: self.cancel,
        };
        let (entries, objects) = reading.list().await?;
        let (contents, sequences) = reading.read_fully().await?;
        fault::point("after_dump_verified");
        let partial = self.place.partial.clone();
        let files = tokio::task::spawn_blocking(move || sync_and_hash(&partial))
            .await
            .map_err(|e| file_error(&self.place.partial, io::Error::other(e)))?
            .map_err(|e| file_error(&self.place.partial, e))?;
        let read = Read {
            entries,
            objects,
            tables,
            contents,
            sequences,
        };
        self.finish(files, read, started.elapsed(), pg_dump)
    }

    fn finish(
        &self,
        mut files: BTreeMap<String, DumpedFile>,
        read: Read,
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
            entries: read.entries,
            tables: read.tables,
            objects: read.objects,
            server: self.survey.server.clone(),
            contents: read.contents,
            sequences: read.sequences,
            database_bytes: self.survey.database_bytes,
            source: None,
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
        check_ended("pg_dump", &ended)?;
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
        if let Some(snapshot) = request.snapshot {
            arguments.push(format!("--snapshot={snapshot}"));
        }
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
        // Times are compared as text after a restore, wherever that is done.
        environment.push(("PGTZ".to_owned(), "UTC".to_owned()));
        Invocation {
            program: pg_dump.path.clone(),
            arguments,
            environment,
            folder: None,
            timeout: self.timeout,
        }
    }
}

/// A dump that is read back by `pg_restore`.
pub(super) struct Reading<'a> {
    pub(super) pg_restore: &'a Program,
    pub(super) archive: &'a Path,
    pub(super) timeout: Option<Duration>,
    pub(super) cancel: &'a CancellationToken,
}

impl Reading<'_> {
    /// Reads the table of contents: the number of its entries, and its relations.
    pub(super) async fn list(&self) -> Result<(u64, Vec<String>), DumpError> {
        let (mut entries, mut objects) = (0, Vec::new());
        self.run(&["--list"], |line| {
            if !line.is_empty() && !line.starts_with(b";") {
                entries += 1;
                objects.extend(listed_relation(&crate::untrusted::clean_bytes(line)));
            }
        })
        .await?;
        Ok((entries, objects))
    }

    /// Reads every byte of it as a restore would, and adds the rows of each table up.
    pub(super) async fn read_fully(&self) -> Result<(Contents, SequenceValues), DumpError> {
        let schema = ["--schema-only", "--file=/dev/null"];
        self.run(&schema, |_| {}).await?;
        let invocation = self.invocation(&["--data-only", "--file=-"]);
        let mut reader = DumpReader::default();
        let ended =
            process::run_raw(&invocation, self.cancel, |_, _| {}, |out| reader.take(out)).await?;
        check_ended("pg_restore", &ended)?;
        Ok(reader.finish_with_sequences())
    }

    fn invocation(&self, arguments: &[&str]) -> Invocation {
        let mut arguments: Vec<String> = arguments.iter().map(|a| (*a).to_owned()).collect();
        arguments.push(self.archive.display().to_string());
        Invocation {
            program: self.pg_restore.path.clone(),
            arguments,
            environment: vec![("LC_ALL".to_owned(), "C".to_owned())],
            folder: None,
            timeout: self.timeout,
        }
    }

    async fn run(
        &self,
        arguments: &[&str],
        mut on_out: impl FnMut(&[u8]),
    ) -> Result<(), DumpError> {
        let invocation = self.invocation(arguments);
        let ended = process::run(&invocation, self.cancel, |stream, line| {
            if stream == Stream::Out {
                on_out(line);
            }
        })
        .await?;
        check_ended("pg_restore", &ended)
    }
}

/// Tells whether a client program did its work; else what it said about that.
pub(super) fn check_ended(program: &'static str, ended: &Ended) -> Result<(), DumpError> {
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

/// Tells apart what went wrong from the running commentary.
fn says_error(line: &str) -> bool {
    const TELLING: [&str; 6] = [
        "error:",
        "detail:",
        "hint:",
        "DETAIL:",
        "HINT:",
        "Command was:",
    ];
    TELLING.iter().any(|word| line.contains(word))
}

/// The relation that a line of `pg_restore --list` is of, such as `TABLE app t ana` of
/// `215; 1259 16386 TABLE app t ana`.
fn listed_relation(line: &str) -> Option<String> {
    const KINDS: [&str; 5] = [
        "TABLE ",
        "VIEW ",
        "MATERIALIZED VIEW ",
        "SEQUENCE ",
        "FOREIGN TABLE ",
    ];
    const PARTS: [&str; 5] = [
        "TABLE DATA ",
        "TABLE ATTACH ",
        "MATERIALIZED VIEW DATA ",
        "SEQUENCE SET ",
        "SEQUENCE OWNED BY ",
    ];
    let relation = line.splitn(4, ' ').nth(3)?;
    let starts = |words: &[&str]| words.iter().any(|word| relation.starts_with(word));
    (starts(&KINDS) && !starts(&PARTS)).then(|| relation.to_owned())
}

/// The table that a line of `pg_dump --verbose` says is being dumped now.
fn dumped_table(line: &str) -> Option<String> {
    let (_, rest) = line.split_once("dumping contents of table \"")?;
    Some(rest.trim_end_matches('"').to_owned())
}
