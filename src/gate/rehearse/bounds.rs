//! The bounds of a rehearsal: how long it may take, and how much room. Whichever is passed first
//! stops it.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use crate::gate::backup::bytes;
use crate::postgres::rehearsal_server::{free_at, size_of};

/// How often the room is looked at.
const EVERY: Duration = Duration::from_millis(250);
/// Less than this is never left on a disk that others use, in bytes.
const RESERVE: u64 = 256 * 1024 * 1024;

/// What is watched while a rehearsal works.
#[derive(Debug, Default)]
pub(super) struct Bounds {
    /// Which bound was passed.
    passed: Mutex<Option<String>>,
    folders: Mutex<Vec<PathBuf>>,
    /// The most room that was taken, in bytes.
    most: AtomicU64,
}

impl Bounds {
    /// Watches until `stop` fires, and fires it itself when a bound is passed.
    pub(super) fn watch(
        within: Duration,
        space: Option<u64>,
        stop: &CancellationToken,
    ) -> Arc<Bounds> {
        let bounds = Arc::new(Bounds::default());
        let (watched, stop) = (Arc::clone(&bounds), stop.clone());
        let started = Instant::now();
        drop(tokio::spawn(async move {
            loop {
                let left = within.saturating_sub(started.elapsed());
                tokio::select! {
                    () = stop.cancelled() => return,
                    () = tokio::time::sleep(EVERY.min(left)) => {}
                }
                let looked = Arc::clone(&watched);
                let over = tokio::task::spawn_blocking(move || looked.over(space));
                let over = over.await.ok().flatten();
                let late = (started.elapsed() >= within).then(|| {
                    format!(
                        "it took longer than `within` allows, {} s",
                        within.as_secs()
                    )
                });
                if let Some(reason) = over.or(late) {
                    *watched.lock() = Some(reason);
                    stop.cancel();
                    return;
                }
            }
        }));
        bounds
    }

    /// Has a folder counted from now on.
    pub(super) fn count(&self, folder: PathBuf) {
        self.folders
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(folder);
    }

    /// Which bound was passed, in words.
    pub(super) fn passed(&self) -> Option<String> {
        self.lock().clone()
    }

    /// The most room that was taken, in bytes.
    pub(super) fn most(&self) -> u64 {
        // What was never looked at in between is looked at now.
        self.over(None);
        self.most.load(Ordering::Relaxed)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<String>> {
        self.passed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn over(&self, space: Option<u64>) -> Option<String> {
        let folders = self
            .folders
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let taken: u64 = folders.iter().map(|folder| size_of(folder)).sum();
        self.most.fetch_max(taken, Ordering::Relaxed);
        if let Some(space) = space.filter(|space| taken > *space) {
            let (taken, space) = (bytes(taken), bytes(space));
            return Some(format!("it takes {taken}, and `space` allows {space}"));
        }
        let scarce = folders.iter().find(|folder| free_at(folder) < RESERVE)?;
        Some(format!(
            "less than {} is left at {}",
            bytes(RESERVE),
            scarce.display()
        ))
    }
}
