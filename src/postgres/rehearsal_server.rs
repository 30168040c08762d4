//! A private server that is quick to fill and of no worth once it is gone.

use std::fs;
use std::path::{Path, PathBuf};

use super::cluster::{Cluster, ClusterError, ClusterOptions, default_root, sweep};
use super::cluster_folder::disk_root;
use super::environment::Environment;
use super::{Conninfo, ConninfoError};

/// Memory is used where it has this many times the room that is needed.
const MEMORY_SHARE: u64 = 4;
/// The superuser that every private server has.
pub const SUPERUSER: &str = "postgres";
/// What one connects to while the database itself is made.
const MAINTENANCE: &str = "template1";

/// Where a server will be, and how much room there is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Room {
    pub folder: PathBuf,
    pub free: u64,
    pub in_memory: bool,
}

/// Finds the place for a server that needs so much room, in bytes.
pub fn room(needed: u64) -> Room {
    let memory = default_root();
    let in_memory = memory != disk_root();
    let free = free_at(&memory);
    if in_memory && free >= needed.saturating_mul(MEMORY_SHARE) {
        return Room {
            folder: memory,
            free,
            in_memory: true,
        };
    }
    let folder = disk_root();
    Room {
        free: free_at(&folder),
        folder,
        in_memory: false,
    }
}

/// Free bytes where a folder is or will be.
pub fn free_at(folder: &Path) -> u64 {
    let existing = folder.ancestors().find(|path| path.exists());
    existing
        .and_then(|path| rustix::fs::statvfs(path).ok())
        .map_or(0, |stat| stat.f_bavail * stat.f_frsize)
}

/// Removes the servers that somebody left who was killed; says how many there were.
pub fn sweep_leftovers() -> usize {
    let memory = default_root();
    let disk = disk_root();
    let mut swept = sweep(&memory);
    if disk != memory {
        swept += sweep(&disk);
    }
    swept
}

/// What stands between the name of a session and what is said of it, in the server's log.
pub const LOG_BETWEEN: &str = " \u{b7} ";

/// A server for one rehearsal. Dropping it stops it and removes all of it, which takes a moment.
#[derive(Debug)]
pub struct RehearsalServer {
    cluster: Cluster,
}

/// The settings of a server that is filled once, as fast as it can be, and never recovered.
pub fn tuned() -> Vec<(String, String)> {
    let cores = std::thread::available_parallelism().map_or(2, usize::from);
    let helpers = cores.clamp(2, 8).to_string();
    [
        ("shared_buffers", "128MB"),
        ("maintenance_work_mem", "256MB"),
        ("wal_level", "minimal"),
        ("max_wal_senders", "0"),
        ("wal_skip_threshold", "1MB"),
        ("max_wal_size", "8GB"),
        ("checkpoint_timeout", "1h"),
        ("full_page_writes", "off"),
        ("fsync", "off"),
        ("synchronous_commit", "off"),
        ("autovacuum", "off"),
        ("bgwriter_lru_maxpages", "0"),
        ("max_parallel_maintenance_workers", helpers.as_str()),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .to_vec()
}

impl RehearsalServer {
    /// Starts a server of that major version. Blocks, so call it from a thread that may.
    ///
    /// # Errors
    /// Why there is none.
    pub fn boot(major: u32, room: &Room) -> Result<RehearsalServer, ClusterError> {
        let cluster = Cluster::start(&ClusterOptions {
            settings: {
                let mut settings = tuned();
                let prefix = format!("%a{LOG_BETWEEN}");
                settings.push(("log_line_prefix".to_owned(), prefix));
                settings
            },
            on_disk: !room.in_memory,
            major: Some(major),
            ..ClusterOptions::default()
        })?;
        Ok(RehearsalServer { cluster })
    }

    /// The address of a database, for a user.
    pub fn url(&self, database: &str, user: &str) -> String {
        self.cluster.url(database, user)
    }

    /// Where to connect to as the superuser.
    ///
    /// # Errors
    /// What is wrong with the address.
    pub fn at(&self, database: &str) -> Result<Conninfo, ConninfoError> {
        Conninfo::resolve(&self.url(database, SUPERUSER), &Environment::default())
    }

    /// Where to connect to while there is no database yet.
    ///
    /// # Errors
    /// What is wrong with the address.
    pub fn maintenance(&self) -> Result<Conninfo, ConninfoError> {
        self.at(MAINTENANCE)
    }

    /// The version that runs.
    pub fn version(&self) -> String {
        self.cluster.version().text.clone()
    }

    /// What the server says of itself.
    pub fn log_file(&self) -> PathBuf {
        self.cluster.log_file()
    }

    /// The folder whose size is watched.
    pub fn data_folder(&self) -> PathBuf {
        self.cluster.data_folder()
    }
}

/// How much a folder holds, in bytes. What goes while it is counted is not counted.
pub fn size_of(folder: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(folder) else {
        return 0;
    };
    entries
        .flatten()
        .map(|entry| match entry.metadata() {
            Ok(found) if found.is_dir() => size_of(&entry.path()),
            Ok(found) => found.len(),
            Err(_) => 0,
        })
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_memory_has_no_room_for_goes_to_disk() {
        let huge = room(u64::MAX);
        assert!(!huge.in_memory);
        assert_eq!(huge.folder, disk_root());
        assert!(huge.free > 0);
    }

    #[test]
    fn a_folder_is_counted_with_all_below_it() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("a")).unwrap();
        fs::write(folder.path().join("a/b"), [0; 100]).unwrap();
        fs::write(folder.path().join("c"), [0; 23]).unwrap();
        assert_eq!(size_of(folder.path()), 123);
        assert_eq!(size_of(&folder.path().join("missing")), 0);
    }
}
