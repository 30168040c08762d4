//! Restores a dump into an empty database of a private server, and compares every table with what
//! the source held as soon as its rows are there, while others are still restored.

use std::collections::{BTreeMap, VecDeque};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{Mutex, Notify};
use tokio_util::sync::CancellationToken;

use super::content::Contents;
use super::dump::DumpError;
use super::dump_files::file_error;
use super::dump_work::check_ended;
use super::programs::Program;
use super::rehearsal_outward::{self, Outward};
use super::session::{Session, SessionSettings};
use super::{Conninfo, PostgresError, clone_rows};
use crate::system::process::{self, Invocation, Stream};

const DAY: Duration = Duration::from_secs(24 * 3600);

/// What is restored, and what it must hold then.
#[derive(Debug)]
pub struct Restoring<'a> {
    pub program: &'a Program,
    /// The empty database, as its superuser.
    pub info: &'a Conninfo,
    pub archive: &'a Path,
    pub jobs: u32,
    /// Where a list of what is restored may be written.
    pub folder: &'a Path,
    /// Extensions that are left out.
    pub without: &'a [String],
    /// What each table must hold.
    pub wanted: &'a Contents,
    /// Code that may call out, by name.
    pub may_call: &'a [String],
    pub cancel: &'a CancellationToken,
}

/// How far it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RestoreProgress {
    /// A line of what pg_restore says.
    Said(String),
    /// So many of the entries are restored.
    Entries { done: usize, total: usize },
    /// A table was compared.
    Compared {
        table: String,
        done: usize,
        total: usize,
    },
}

/// What came of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Restored {
    pub found: Contents,
    /// Entries that were left out, in words.
    pub left_out: Vec<String>,
    /// What leads nowhere there, in words.
    pub disarmed: Vec<String>,
    pub restore_ms: u64,
}

/// Why there is nothing that could be compared.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    #[error(transparent)]
    Program(#[from] DumpError),
    #[error(transparent)]
    Postgres(#[from] PostgresError),
    #[error(transparent)]
    Outward(#[from] Outward),
}

/// The entries of an archive.
#[derive(Debug, Clone, Default)]
struct Entries {
    /// The number of entries that are restored.
    total: usize,
    /// The table whose rows an entry holds, by the entry's number.
    rows_of: BTreeMap<u32, String>,
    left_out: Vec<String>,
    list: String,
}

/// Tables whose rows are there and that nobody has compared yet.
#[derive(Debug, Default)]
struct Queue {
    ready: Mutex<(VecDeque<String>, bool)>,
    more: Notify,
    /// How many entries are restored, in all sections so far.
    finished: AtomicUsize,
}

impl Queue {
    async fn add(&self, table: String) {
        self.ready.lock().await.0.push_back(table);
        self.more.notify_one();
    }

    async fn close(&self) {
        self.ready.lock().await.1 = true;
        self.more.notify_one();
    }

    async fn next(&self) -> Option<String> {
        loop {
            {
                let mut ready = self.ready.lock().await;
                if let Some(table) = ready.0.pop_front() {
                    return Some(table);
                }
                if ready.1 {
                    return None;
                }
            }
            self.more.notified().await;
        }
    }
}

impl Restoring<'_> {
    /// Restores, and reads back what is there.
    ///
    /// # Errors
    /// Why it did not end well.
    pub async fn run(
        &self,
        mut observe: impl FnMut(RestoreProgress),
    ) -> Result<Restored, RestoreError> {
        let started = std::time::Instant::now();
        let entries = self.entries().await?;
        let list = self.folder.join("restore.list");
        std::fs::write(&list, &entries.list).map_err(|e| file_error(&list, e))?;
        let queue = Arc::new(Queue::default());
        let (told, mut telling) = tokio::sync::mpsc::unbounded_channel();
        let reading = self.compare(&queue, &told);
        let restoring = async {
            let ended = self.in_sections(&entries, &list, &queue, &told).await;
            let took = started.elapsed().as_millis() as u64;
            queue.close().await;
            ended.map(|disarmed| (disarmed, took))
        };
        let mut both = std::pin::pin!(async { tokio::join!(restoring, reading) });
        let (ended, found) = loop {
            tokio::select! {
                done = &mut both => break done,
                Some(progress) = telling.recv() => observe(progress),
            }
        };
        while let Ok(progress) = telling.try_recv() {
            observe(progress);
        }
        let (disarmed, restore_ms) = ended?;
        Ok(Restored {
            found: found?,
            left_out: entries.left_out.clone(),
            disarmed,
            restore_ms,
        })
    }

    /// What no entry of its own was said to be finished for, such as with one job, is compared as soon
    /// as all rows are there; what was compared by then is not compared again.
    async fn rest(&self, queue: &Queue) {
        for table in self.wanted.keys() {
            queue.add(table.clone()).await;
        }
    }

    async fn entries(&self) -> Result<Entries, DumpError> {
        let invocation = self.invocation(vec!["--list".to_owned()]);
        let names = self.unquoted();
        let mut entries = Entries::default();
        let ended = process::run(&invocation, self.cancel, |stream, line| {
            if stream == Stream::Out {
                entries.take(&String::from_utf8_lossy(line), &names, self.without);
            }
        })
        .await?;
        check_ended("pg_restore", &ended)?;
        Ok(entries)
    }

    /// The tables by schema and name as the archive's list has them.
    fn unquoted(&self) -> BTreeMap<String, String> {
        let tables = self.wanted.keys();
        tables
            .map(|quoted| (unquote(quoted), quoted.clone()))
            .collect()
    }

    fn invocation(&self, mut arguments: Vec<String>) -> Invocation {
        arguments.push(self.archive.display().to_string());
        let mut environment = self.info.child_environment(None);
        environment.retain(|(name, _)| name != "PGAPPNAME" && name != "PGOPTIONS");
        environment.push(("PGAPPNAME".to_owned(), "stagegate rehearsal".to_owned()));
        environment.push(("LC_ALL".to_owned(), "C".to_owned()));
        Invocation {
            program: self.program.path.clone(),
            arguments,
            environment,
            folder: None,
            timeout: None,
        }
    }

    /// Restores section by section. Behind the first one there is code and nothing that has run it:
    /// checks, indexes and views that are filled come later, and find no way out. The rows of
    /// partitions are there before the keys of the table above them, which several workers would
    /// make as soon as there is the table, and check row by row in the name of its owner, who has no
    /// rights yet.
    async fn in_sections(
        &self,
        entries: &Entries,
        list: &Path,
        queue: &Arc<Queue>,
        told: &tokio::sync::mpsc::UnboundedSender<RestoreProgress>,
    ) -> Result<Vec<String>, RestoreError> {
        self.pg_restore(entries, list, "pre-data", queue, told)
            .await?;
        let disarmed = rehearsal_outward::confine(self.info, self.may_call).await?;
        self.pg_restore(entries, list, "data", queue, told).await?;
        self.rest(queue).await;
        self.pg_restore(entries, list, "post-data", queue, told)
            .await?;
        Ok(disarmed)
    }

    async fn pg_restore(
        &self,
        entries: &Entries,
        list: &Path,
        section: &str,
        queue: &Arc<Queue>,
        told: &tokio::sync::mpsc::UnboundedSender<RestoreProgress>,
    ) -> Result<(), DumpError> {
        // Which database is written is said by us alone: never --create, whatever name it carries.
        let mut arguments = vec![
            "--no-password".to_owned(),
            "--verbose".to_owned(),
            "--exit-on-error".to_owned(),
            "--no-tablespaces".to_owned(),
            format!("--use-list={}", list.display()),
            format!("--dbname={}", self.info.database),
            format!("--section={section}"),
        ];
        if self.jobs > 1 {
            arguments.push(format!("--jobs={}", self.jobs));
        }
        let invocation = self.invocation(arguments);
        let (finished, mut finishing) = tokio::sync::mpsc::unbounded_channel();
        let (counting, total) = (Arc::clone(queue), entries.total);
        let running = process::run(&invocation, self.cancel, move |stream, line| {
            if stream == Stream::Err {
                let line = crate::untrusted::clean_bytes(line);
                if let Some(number) = finished_entry(&line) {
                    let done = counting.finished.fetch_add(1, Ordering::Relaxed) + 1;
                    let _ = finished.send(number);
                    let _ = told.send(RestoreProgress::Entries { done, total });
                } else {
                    crate::system::fault::point("during_rehearsal_restore");
                    let _ = told.send(RestoreProgress::Said(line));
                }
            }
        });
        let mut running = std::pin::pin!(running);
        let ended = loop {
            tokio::select! {
                ended = &mut running => break ended?,
                Some(number) = finishing.recv() => {
                    if let Some(table) = entries.rows_of.get(&number) {
                        queue.add(table.clone()).await;
                    }
                }
            }
        };
        while let Ok(number) = finishing.try_recv() {
            if let Some(table) = entries.rows_of.get(&number) {
                queue.add(table.clone()).await;
            }
        }
        check_ended("pg_restore", &ended)
    }

    /// Adds up what the tables hold, each when its rows are there.
    async fn compare(
        &self,
        queue: &Arc<Queue>,
        told: &tokio::sync::mpsc::UnboundedSender<RestoreProgress>,
    ) -> Result<Contents, PostgresError> {
        let settings = SessionSettings {
            application_name: "stagegate rehearsal".to_owned(),
            statement_timeout: DAY,
            lock_timeout: DAY,
            ..SessionSettings::default()
        };
        let session = Session::open(self.info, &settings).await?;
        clone_rows::prepare(&session).await?;
        let mut found = Contents::new();
        while let Some(table) = queue.next().await {
            if self.cancel.is_cancelled() {
                break;
            }
            let Some(wanted) = self.wanted.get(&table) else {
                continue;
            };
            if found.contains_key(&table) {
                continue;
            }
            if let Some(there) = clone_rows::read_back(&session, &table, wanted).await? {
                found.insert(table.clone(), there);
            }
            let (done, total) = (found.len(), self.wanted.len());
            let _ = told.send(RestoreProgress::Compared { table, done, total });
        }
        session.close().await;
        Ok(found)
    }
}

impl Entries {
    /// Takes a line of the list, such as `3344; 0 16386 TABLE DATA app t ana`.
    fn take(&mut self, line: &str, names: &BTreeMap<String, String>, without: &[String]) {
        let entry = line
            .splitn(4, ' ')
            .nth(3)
            .filter(|_| !line.starts_with(';'));
        let Some(entry) = entry else { return };
        let extension = |name: &String| {
            entry.starts_with(&format!("EXTENSION - {name} "))
                || entry == format!("EXTENSION - {name}")
                || entry.starts_with(&format!("COMMENT - EXTENSION {name}"))
        };
        // It would speak to another server.
        if entry.starts_with("SUBSCRIPTION ") || without.iter().any(extension) {
            self.left_out.push(crate::untrusted::clean_line(entry));
            return;
        }
        self.total += 1;
        self.list.push_str(line);
        self.list.push('\n');
        let number = line.split(';').next().and_then(|n| n.parse().ok());
        let (Some(number), Some(of)) = (number, entry.strip_prefix("TABLE DATA ")) else {
            return;
        };
        // The owner comes last; names may hold spaces, so the longest that fits is meant.
        let fits = |name: &&String| {
            of.strip_prefix(name.as_str())
                .is_some_and(|r| r.starts_with(' '))
        };
        if let Some(name) = names.keys().filter(fits).max_by_key(|name| name.len()) {
            self.rows_of.insert(number, names[name].clone());
        }
    }
}

/// The entry that a line says is finished, such as `pg_restore: finished item 3344 TABLE DATA t`.
fn finished_entry(line: &str) -> Option<u32> {
    let (_, rest) = line.split_once("finished item ")?;
    rest.split(' ').next()?.parse().ok()
}

/// `app."the t"` as a list has it: `app the t`.
fn unquote(quoted: &str) -> String {
    let mut plain = String::new();
    let mut inside = false;
    let mut characters = quoted.chars().peekable();
    while let Some(c) = characters.next() {
        match c {
            '"' if inside && characters.peek() == Some(&'"') => {
                plain.push('"');
                characters.next();
            }
            '"' => inside = !inside,
            '.' if !inside => plain.push(' '),
            c => plain.push(c),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_found_by_the_entry_that_holds_its_rows() {
        let names: BTreeMap<String, String> = ["app.t", "app.\"t u\"", "\"a.b\".\"c\"\"d\""]
            .iter()
            .map(|name| (unquote(name), (*name).to_owned()))
            .collect();
        let mut entries = Entries::default();
        for line in [
            "; Archive created at 2026",
            "215; 1259 16386 TABLE app t ana",
            "3344; 0 16386 TABLE DATA app t ana",
            "3345; 0 16387 TABLE DATA app t u ana",
            "3346; 0 16388 TABLE DATA a.b c\"d the owner",
            "2; 3079 16390 EXTENSION - pg_cron ",
            "3; 0 0 COMMENT - EXTENSION pg_cron ",
            "9; 6100 1 SUBSCRIPTION - s ana",
        ] {
            entries.take(line, &names, &["pg_cron".to_owned()]);
        }
        assert_eq!(entries.total, 4);
        assert_eq!(entries.left_out.len(), 3);
        assert_eq!(entries.rows_of[&3344], "app.t");
        assert_eq!(entries.rows_of[&3345], "app.\"t u\"");
        assert_eq!(entries.rows_of[&3346], "\"a.b\".\"c\"\"d\"");
        assert!(!entries.list.contains("pg_cron"));
        assert_eq!(
            finished_entry("pg_restore: finished item 3344 TABLE DATA t"),
            Some(3344)
        );
        assert_eq!(
            finished_entry("pg_restore: launching item 3344 TABLE DATA t"),
            None
        );
    }
}
