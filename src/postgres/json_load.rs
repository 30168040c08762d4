//! The rows of one file into one table.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read};
use std::path::Path;

use bytes::Bytes;
use futures_util::SinkExt as _;
use sha2::{Digest as _, Sha256};
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;
use tokio_util::sync::CancellationToken;

use super::content::{Sum, TableContent};
use super::json_manifest::{BackupError, JsonTable, column_list, open_regular, row_form};
use super::json_restore::JsonRestoreError;
use super::ledger::identifier;
use super::session::Session;
use super::tables::Table;
use crate::digest::hex;
use crate::system::fault;

/// How much is sent to the server at once.
const PIECE: usize = 128 * 1024;
/// A piece is full when it holds that much; a row may be longer.
const ROOM: usize = PIECE + PIECE / 4;
const PIECES: usize = 4;
/// Where rows wait that may be there already.
const WAITING: &str = "pg_temp.stagegate_waiting";

/// Writes all rows of a table's file. Gives how many were written.
pub(super) async fn load(
    session: &Session,
    folder: &Path,
    wanted: &JsonTable,
    cancel: &CancellationToken,
) -> Result<u64, JsonRestoreError> {
    copy_in(session, folder, wanted, &wanted.quoted, cancel).await
}

/// Writes those rows of a table's file whose primary key is not there yet.
pub(super) async fn add_missing(
    session: &Session,
    folder: &Path,
    wanted: &JsonTable,
    table: &Table,
    cancel: &CancellationToken,
) -> Result<u64, JsonRestoreError> {
    let list = column_list(&wanted.columns);
    let columns = list.strip_prefix('(').and_then(|l| l.strip_suffix(')'));
    let columns = columns.unwrap_or_default();
    let sql = format!(
        "CREATE TEMPORARY TABLE stagegate_waiting ON COMMIT DROP AS \
         SELECT {columns} FROM {} WITH NO DATA",
        wanted.quoted
    );
    session.client.batch_execute(&sql).await?;
    copy_in(session, folder, wanted, WAITING, cancel).await?;
    let key: Vec<String> = table.primary_key.iter().map(|k| identifier(k)).collect();
    let sql = format!(
        "INSERT INTO {} {list} OVERRIDING SYSTEM VALUE SELECT {columns} FROM {WAITING} \
         ON CONFLICT ({}) DO NOTHING",
        wanted.quoted,
        key.join(", ")
    );
    let written = session.client.execute_typed(&sql, &[]).await?;
    let sql = format!("DROP TABLE {WAITING}");
    session.client.batch_execute(&sql).await?;
    Ok(written)
}

async fn copy_in(
    session: &Session,
    folder: &Path,
    wanted: &JsonTable,
    into: &str,
    cancel: &CancellationToken,
) -> Result<u64, JsonRestoreError> {
    let list = match column_list(&wanted.columns) {
        list if list == "()" => String::new(),
        list => list,
    };
    let sql = format!("COPY {into} {list} FROM STDIN");
    let (sender, mut pieces) = mpsc::channel::<Vec<u8>>(PIECES);
    let (table, path) = (wanted.clone(), folder.join(&wanted.file));
    let reading = spawn_blocking(move || {
        read(&table, &path, |piece| {
            sender.blocking_send(piece).ok()?;
            Some(Vec::with_capacity(ROOM))
        })
    });
    let mut sink = std::pin::pin!(session.client.copy_in::<_, Bytes>(sql.as_str()).await?);
    let mut sent = Ok(());
    while let Some(piece) = pieces.recv().await {
        if cancel.is_cancelled() {
            return Err(JsonRestoreError::Canceled);
        }
        fault::point("during_json_restore");
        sent = sink.send(Bytes::from(piece)).await;
        if sent.is_err() {
            break;
        }
    }
    drop(pieces);
    let read = reading.await.map_err(|error| {
        BackupError::file(&folder.join(&wanted.file))(std::io::Error::other(error))
    })?;
    // What the server said about a row comes first: the reader only noticed that nobody listens.
    sent?;
    // A sink that is dropped unfinished makes the server throw the rows away.
    read?;
    Ok(sink.as_mut().finish().await?)
}

/// Reads a table's file as a restore would, and adds its rows up.
pub(super) fn sum_of_file(table: &JsonTable, path: &Path) -> Result<TableContent, BackupError> {
    let mut sum = Sum::default();
    read(table, path, |mut piece| {
        for line in piece.split_inclusive(|byte| *byte == b'\n') {
            sum.add(line.strip_suffix(b"\n").unwrap_or(line));
        }
        piece.clear();
        Some(piece)
    })?;
    Ok(sum.content(&column_list(&table.columns)))
}

/// Reads a file row by row, as lines of COPY; its hash must be the manifest's once more. `take`
/// gives an empty piece for a full one, or nothing when no more are wanted.
fn read(
    table: &JsonTable,
    path: &Path,
    mut take: impl FnMut(Vec<u8>) -> Option<Vec<u8>>,
) -> Result<(), BackupError> {
    let damaged = |what: String| BackupError::Damaged(format!("{} {what}", table.file));
    let form = row_form(&table.columns);
    let file = open_regular(path).map_err(BackupError::file(path))?;
    let mut lines = BufReader::with_capacity(PIECE, Hashing::new(file));
    let mut line = Vec::new();
    let mut next = |line: &mut Vec<u8>| {
        line.clear();
        lines
            .read_until(b'\n', line)
            .map_err(BackupError::file(path))
    };
    next(&mut line)?;
    if line != b"[\n" {
        return Err(damaged("does not begin with `[`".to_owned()));
    }
    let mut piece = Vec::with_capacity(ROOM);
    for row in 1..=table.rows {
        next(&mut line)?;
        let ends: &[u8] = if row < table.rows { b",\n" } else { b"\n" };
        let json = line
            .strip_suffix(ends)
            .ok_or_else(|| damaged(format!("does not end row {row} as it should")))?;
        form.decode(json, &mut piece)
            .map_err(|bad| damaged(format!("row {row}: {bad}")))?;
        if piece.len() >= PIECE {
            match take(piece) {
                Some(empty) => piece = empty,
                None => return Ok(()),
            }
        }
    }
    next(&mut line)?;
    let end = line == b"]\n";
    next(&mut line)?;
    if !end || !line.is_empty() {
        return Err(damaged("does not end with `]`".to_owned()));
    }
    if lines.into_inner().finish() != table.sha256 {
        return Err(damaged("has changed: its SHA-256 is another".to_owned()));
    }
    take(piece);
    Ok(())
}

/// Hashes what is read through it.
struct Hashing {
    file: File,
    hasher: Sha256,
}

impl Hashing {
    fn new(file: File) -> Hashing {
        Hashing {
            file,
            hasher: Sha256::new(),
        }
    }

    fn finish(self) -> String {
        hex(&self.hasher.finalize())
    }
}

impl Read for Hashing {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.file.read(buffer)?;
        self.hasher.update(&buffer[..read]);
        Ok(read)
    }
}
