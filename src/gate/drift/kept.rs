//! Schemas of files that were loaded before: loading is what a comparison spends its time on.
//!
//! A kept schema is found by all that it depends on: the files, the server program, the owner and
//! the questions that are asked. Whatever goes wrong here only costs the time of loading again.

use std::path::{Path, PathBuf};

use crate::digest::digest;
use crate::postgres::catalog;
use crate::postgres::scratch::{ScratchOptions, planned_version};
use crate::schema::Snapshot;
use crate::system::durable;

/// Files that are kept; the oldest go.
const MOST: usize = 50;

/// The place of one schema.
#[derive(Clone)]
pub(super) struct Kept(PathBuf);

impl Kept {
    /// Names the place of what these files make. None where it would depend on more, as on the
    /// versions of extensions that are installed.
    pub(super) fn place(
        folder: &Path,
        texts: &[(String, String)],
        options: &ScratchOptions,
    ) -> Option<Kept> {
        let version = planned_version(options)?;
        let asked = catalog::fingerprint(version.major);
        let (database, owner) = (&options.database, &options.owner);
        let mut key = format!("{}\n{database:?}\n{owner:?}\n{asked}\n", version.text);
        for (_, text) in texts {
            if text.to_ascii_lowercase().contains("extension") {
                return None;
            }
            key.push_str(&digest(text.as_bytes()));
        }
        Some(Kept(
            folder.join(format!("{}.json", digest(key.as_bytes()))),
        ))
    }

    /// Reads it on another thread: it takes as long as a database's answer does to come.
    pub(super) async fn read_aside(kept: Option<Kept>) -> Option<Snapshot> {
        let kept = kept?;
        let read = tokio::task::spawn_blocking(move || kept.read());
        read.await.ok().flatten()
    }

    fn read(&self) -> Option<Snapshot> {
        // Its checksum is looked at, so a file that was damaged or changed is not believed.
        Snapshot::from_json(&std::fs::read_to_string(&self.0).ok()?).ok()
    }

    pub(super) fn write(&self, snapshot: &Snapshot) {
        let Some(folder) = self.0.parent() else {
            return;
        };
        let Ok(text) = snapshot.to_json() else { return };
        if durable::make_private_folder(folder).is_err() {
            return;
        }
        forget_oldest(folder);
        if let Err(error) = durable::write_whole(&self.0, text.as_bytes()) {
            tracing::debug!(%error, "a schema could not be kept");
        }
    }
}

fn forget_oldest(folder: &Path) {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return;
    };
    let mut files: Vec<_> = entries
        .flatten()
        .filter_map(|entry| Some((entry.metadata().ok()?.modified().ok()?, entry.path())))
        .filter(|(_, path)| path.extension().is_some_and(|e| e == "json"))
        .collect();
    files.sort();
    let excess = (files.len() + 1).saturating_sub(MOST);
    for (_, path) in files.into_iter().take(excess) {
        let _ = std::fs::remove_file(path);
    }
}
