//! The samples of a gate: one JSON object a line in the run's folder, synced batch by batch.
//!
//! They are what a ramp goes on from when the program died: which value was set last, and how much
//! of its time was observed.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::expectation::Reading;
use crate::system::durable::{make_private_folder, open_private};

/// How many lines may wait for the disk.
const QUEUE: usize = 256;
/// More lines than this are not read back: what they say is older than anything that counts.
const MOST_LINES: usize = 2_000_000;

/// One line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "line", rename_all = "snake_case")]
pub(super) enum Sample {
    /// An attempt began, or went on: what comes next is no neighbour of what was before.
    Began { attempt: u32, time: jiff::Timestamp },
    /// The flag is about to be set.
    Setting { percent: u8 },
    /// The flag was read back as this.
    Stands { percent: u8 },
    Look {
        at_ms: u64,
        time: jiff::Timestamp,
        readings: Vec<Reading>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        flag: Option<u8>,
    },
    /// Time at this step is counted from nothing.
    Afresh,
    /// The attempt ended in good order.
    Ended { attempt: u32 },
}

/// The file of a gate.
pub(super) fn path(folder: &Path, gate: &str) -> PathBuf {
    folder.join("samples").join(format!("{gate}.jsonl"))
}

/// Reads what was written before; nothing when there is no file. A torn last line is left out.
pub(super) fn read(path: &Path) -> Vec<Sample> {
    let Ok(file) = File::open(path) else {
        return Vec::new();
    };
    BufReader::new(file)
        .lines()
        .take(MOST_LINES)
        .map_while(Result::ok)
        .filter_map(|line| serde_json::from_str(&line).ok())
        .collect()
}

/// Writes lines on a thread of its own, so that a slow disk stops no one.
pub(super) struct SampleLog {
    lines: Option<mpsc::Sender<Sample>>,
    writer: Option<JoinHandle<std::io::Result<()>>>,
}

impl SampleLog {
    /// Opens the file of a gate.
    ///
    /// # Errors
    /// What the file system says.
    pub(super) fn open(path: &Path) -> std::io::Result<SampleLog> {
        if let Some(folder) = path.parent() {
            make_private_folder(folder)?;
        }
        let mut file = open_private(path)?;
        // A line that a crash cut short must not run into the next one.
        file.write_all(b"\n")?;
        let (lines, mut waiting) = mpsc::channel(QUEUE);
        let writer = tokio::task::spawn_blocking(move || {
            let mut batch = Vec::new();
            while waiting.blocking_recv_many(&mut batch, QUEUE) > 0 {
                let mut bytes = Vec::new();
                for sample in batch.drain(..) {
                    serde_json::to_writer(&mut bytes, &sample)?;
                    bytes.push(b'\n');
                }
                file.write_all(&bytes)?;
                file.sync_data()?;
            }
            Ok(())
        });
        Ok(SampleLog {
            lines: Some(lines),
            writer: Some(writer),
        })
    }

    /// Adds a line. Tells whether it can still be written.
    pub(super) fn add(&self, sample: Sample) -> bool {
        let Some(lines) = &self.lines else {
            return false;
        };
        match lines.try_send(sample) {
            Ok(()) => true,
            // A disk that is this slow may lose a look; the next one is no neighbour of it then.
            Err(mpsc::error::TrySendError::Full(_)) => false,
            Err(mpsc::error::TrySendError::Closed(_)) => false,
        }
    }

    /// Adds a line that what follows rests on, and waits until the queue has room for it.
    pub(super) async fn must(&self, sample: Sample) -> bool {
        match &self.lines {
            Some(lines) => lines.send(sample).await.is_ok(),
            None => false,
        }
    }

    /// Waits until everything is on the disk.
    pub(super) async fn end(mut self) -> std::io::Result<()> {
        self.lines = None;
        match self.writer.take() {
            Some(writer) => writer.await.unwrap_or_else(|error| Err(error.into())),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_was_written_is_read_and_a_torn_line_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = path(folder.path(), "ramp");
        assert_eq!(read(&path), []);
        let lines = [
            Sample::Setting { percent: 10 },
            Sample::Stands { percent: 10 },
        ];
        let log = SampleLog::open(&path).unwrap();
        for line in &lines {
            assert!(log.must(line.clone()).await);
        }
        log.end().await.unwrap();
        let mut file = open_private(&path).unwrap();
        file.write_all(b"{\"line\":\"look\",\"at").unwrap();
        assert_eq!(read(&path), lines);
        let log = SampleLog::open(&path).unwrap();
        assert!(log.must(Sample::Afresh).await);
        log.end().await.unwrap();
        assert_eq!(read(&path).last(), Some(&Sample::Afresh));
    }
}
