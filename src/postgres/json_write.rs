//! One table into one file: rows stream from the server, are written as JSON, hashed and synced.
//!
//! Two buffers go round between the task that makes JSON and the thread that hashes and writes, so
//! memory does not grow with the table. It grows with its longest row alone.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::StreamExt as _;
use sha2::{Digest as _, Sha256};
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio_util::sync::CancellationToken;

use super::content::Sum;
use super::json_dump::JsonDumpError;
use super::json_row::RowForm;
use super::session::Session;
use crate::digest::hex;
use crate::system::fault;

/// How much JSON is gathered before it is handed over.
const PIECE: usize = 256 * 1024;
/// How many pieces are on their way.
const PIECES: usize = 3;

/// What was done so far, by all workers.
#[derive(Debug, Default)]
pub(super) struct Done {
    pub(super) tables: AtomicU64,
    pub(super) rows: AtomicU64,
    pub(super) bytes: AtomicU64,
    /// Size on the server of the tables that are done.
    pub(super) data: AtomicU64,
}

/// What a written file holds.
pub(super) struct Written {
    pub(super) bytes: u64,
    pub(super) sha256: String,
    pub(super) sum: Sum,
}

/// One table to be written.
pub(super) struct Job<'a> {
    pub(super) quoted: &'a str,
    pub(super) copy: &'a str,
    pub(super) form: &'a RowForm,
    pub(super) path: &'a Path,
}

/// Writes the rows that a `COPY … TO STDOUT` gives into a new file.
pub(super) async fn write(
    session: &Session,
    job: &Job<'_>,
    done: &Done,
    cancel: &CancellationToken,
) -> Result<Written, JsonDumpError> {
    let file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(job.path)
        .map_err(JsonDumpError::file(job.path))?;
    let mut sink = Sink::new(file);
    let filled = fill(session, job, done, cancel, &mut sink).await;
    // What the file said comes first: a writer that gave up is why the pieces were not taken.
    let (bytes, sha256) = sink.finish().await.map_err(JsonDumpError::file(job.path))?;
    Ok(Written {
        bytes,
        sha256,
        sum: filled?,
    })
}

async fn fill(
    session: &Session,
    job: &Job<'_>,
    done: &Done,
    cancel: &CancellationToken,
    sink: &mut Sink,
) -> Result<Sum, JsonDumpError> {
    let mut rows = std::pin::pin!(session.client.copy_out(job.copy).await?);
    let mut sum = Sum::default();
    let mut piece = Vec::with_capacity(PIECE + PIECE / 4);
    piece.extend_from_slice(b"[\n");
    let mut told = 0;
    while let Some(row) = rows.next().await {
        let row = row?;
        let line = row.strip_suffix(b"\n").unwrap_or(&row);
        if sum.rows() > 0 {
            piece.extend_from_slice(b",\n");
        }
        sum.add(line);
        job.form
            .encode(line, &mut piece)
            .map_err(|bad| JsonDumpError::Row {
                table: job.quoted.to_owned(),
                row: sum.rows(),
                reason: bad.to_string(),
            })?;
        if piece.len() >= PIECE {
            done.rows.fetch_add(sum.rows() - told, Ordering::Relaxed);
            told = sum.rows();
            piece = hand_over(piece, job, done, sink, sum.rows()).await?;
            fault::point("during_json_dump");
            if cancel.is_cancelled() {
                return Err(JsonDumpError::Canceled);
            }
        }
    }
    if sum.rows() > 0 {
        piece.push(b'\n');
    }
    piece.extend_from_slice(b"]\n");
    done.rows.fetch_add(sum.rows() - told, Ordering::Relaxed);
    hand_over(piece, job, done, sink, sum.rows()).await?;
    Ok(sum)
}

/// Sends a piece on its way and gives an empty one.
async fn hand_over(
    piece: Vec<u8>,
    job: &Job<'_>,
    done: &Done,
    sink: &mut Sink,
    row: u64,
) -> Result<Vec<u8>, JsonDumpError> {
    // A database whose encoding is SQL_ASCII may hold what is no text.
    if std::str::from_utf8(&piece).is_err() {
        return Err(JsonDumpError::Row {
            table: job.quoted.to_owned(),
            row,
            reason: "at it or shortly before it is a text that is not UTF-8, which JSON cannot \
                     hold; back this database up with --format custom"
                .to_owned(),
        });
    }
    done.bytes.fetch_add(piece.len() as u64, Ordering::Relaxed);
    sink.send(piece).await.ok_or(JsonDumpError::Canceled)
}

/// The thread that hashes and writes.
struct Sink {
    full: mpsc::Sender<Vec<u8>>,
    empty: mpsc::Receiver<Vec<u8>>,
    thread: JoinHandle<std::io::Result<(u64, String)>>,
}

impl Sink {
    fn new(mut file: File) -> Sink {
        let (full, mut pieces) = mpsc::channel::<Vec<u8>>(PIECES);
        let (emptied, empty) = mpsc::channel(PIECES + 1);
        let thread = spawn_blocking(move || {
            let mut hasher = Sha256::new();
            let mut bytes = 0;
            while let Some(mut piece) = pieces.blocking_recv() {
                hasher.update(&piece);
                file.write_all(&piece)?;
                bytes += piece.len() as u64;
                piece.clear();
                let _ = emptied.try_send(piece);
            }
            file.sync_all()?;
            Ok((bytes, hex(&hasher.finalize())))
        });
        Sink {
            full,
            empty,
            thread,
        }
    }

    /// Gives an empty piece for the full one; nothing when the thread has ended.
    async fn send(&mut self, piece: Vec<u8>) -> Option<Vec<u8>> {
        self.full.send(piece).await.ok()?;
        Some(
            self.empty
                .try_recv()
                .unwrap_or_else(|_| Vec::with_capacity(PIECE + PIECE / 4)),
        )
    }

    /// Waits until all is on disk.
    async fn finish(self) -> std::io::Result<(u64, String)> {
        drop(self.full);
        self.thread.await.map_err(std::io::Error::other)?
    }
}
