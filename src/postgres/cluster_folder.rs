//! The folder of one private cluster: made under a lock, removed with it, and swept up when its
//! owner was killed.

use std::fs::{self, File};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use rustix::process::{Pid, Signal};

use super::cluster::ClusterError;
use super::server_user::ServerUser;

/// The kernel's limit for a socket's path, its final NUL not counted, where it is lowest (macOS).
const SOCKET_PATH_LIMIT: usize = 103;
/// The longest name that a server gives its socket.
const SOCKET_NAME: &str = ".s.PGSQL.65535";
/// The file that the living owner holds locked.
const LOCK_NAME: &str = "owner.lock";
const FINISHED_PREFIX: &str = "pg-";
const UNFINISHED_PREFIX: &str = "new-";
/// Between making a folder and locking it there are microseconds; an hour is a dead owner.
const UNFINISHED_AGE: Duration = Duration::from_secs(3600);
const LEFTOVER_STOP_DEADLINE: Duration = Duration::from_secs(5);

/// Room that memory must have before a cluster is put there, in bytes.
const MEMORY_ROOM: u64 = 2 << 30;
const MEMORY: &str = "/dev/shm";

/// Returns the place of private clusters when none is named: short, and one for each user.
///
/// A throw-away server lives in memory where there is room: making its files is most of its start.
pub fn default_root() -> PathBuf {
    let room = rustix::fs::statvfs(MEMORY).map_or(0, |stat| stat.f_bavail * stat.f_frsize);
    if room >= MEMORY_ROOM {
        return own_folder(Path::new(MEMORY));
    }
    disk_root()
}

/// Returns the place of clusters that sync to disk, or that memory has no room for.
pub(super) fn disk_root() -> PathBuf {
    own_folder(&std::env::temp_dir())
}

fn own_folder(parent: &Path) -> PathBuf {
    let us = rustix::process::geteuid().as_raw();
    parent.join(format!("stagegate-{us}"))
}

/// Returns the place of sockets whose own folder's path is too long.
fn short_root() -> PathBuf {
    let us = rustix::process::geteuid().as_raw();
    PathBuf::from(format!("/tmp/stagegate-{us}"))
}

/// Makes the folder that clusters are made in. One that has a guessable name in a place where
/// everybody may write must turn out to be ours.
pub(super) fn prepare_root(root: &Path, guessable: bool) -> Result<(), ClusterError> {
    // The server's user must be able to pass through a folder of root's.
    let mode = if rustix::process::geteuid().is_root() {
        0o711
    } else {
        0o700
    };
    fs::DirBuilder::new()
        .recursive(true)
        .mode(mode)
        .create(root)
        .map_err(ClusterError::file("make the folder", root))?;
    if guessable {
        ours_alone(root).map_err(|reason| ClusterError::UnsafeRoot {
            path: root.to_owned(),
            reason,
        })?;
    }
    Ok(())
}

/// A cluster's folder, with its lock. Dropping it removes everything in it.
#[derive(Debug)]
pub(super) struct ClusterFolder {
    path: PathBuf,
    sockets: PathBuf,
    _lock: File,
}

impl ClusterFolder {
    pub(super) fn create(root: &Path, user: Option<&ServerUser>) -> Result<Self, ClusterError> {
        let root = root
            .canonicalize()
            .map_err(ClusterError::file("look at", root))?;
        if let Some(user) = user {
            user.check_way_to(&root)?;
        }
        // It gets its final name only when it is locked, so that a sweep never sees it unlocked.
        let unfinished = tempfile::Builder::new()
            .prefix(UNFINISHED_PREFIX)
            .tempdir_in(&root)
            .map_err(ClusterError::file("make a folder in", &root))?;
        let lock_path = unfinished.path().join(LOCK_NAME);
        let lock = File::create(&lock_path).map_err(ClusterError::file("write", &lock_path))?;
        lock.try_lock()
            .map_err(std::io::Error::from)
            .map_err(ClusterError::file("lock", &lock_path))?;
        let name = unfinished
            .path()
            .file_name()
            .map(|name| {
                name.to_string_lossy()
                    .replacen(UNFINISHED_PREFIX, FINISHED_PREFIX, 1)
            })
            .unwrap_or_default();
        let path = root.join(&name);
        fs::rename(unfinished.keep(), &path).map_err(ClusterError::file("rename into", &path))?;
        let folder = Self {
            sockets: socket_folder(&path),
            path,
            _lock: lock,
        };
        folder.fill(user)?;
        Ok(folder)
    }

    fn fill(&self, user: Option<&ServerUser>) -> Result<(), ClusterError> {
        if !self.sockets.starts_with(&self.path) {
            prepare_root(&short_root(), true)?;
        }
        let data = self.data();
        for folder in [&data, &self.sockets] {
            fs::DirBuilder::new()
                .mode(0o700)
                .create(folder)
                .map_err(ClusterError::file("make the folder", folder))?;
        }
        if let Some(user) = user {
            for folder in [&self.path, &data, &self.sockets] {
                user.own(folder)
                    .map_err(ClusterError::file("hand over", folder))?;
            }
        }
        Ok(())
    }

    pub(super) fn data(&self) -> PathBuf {
        self.path.join("data")
    }

    pub(super) fn log(&self) -> PathBuf {
        self.path.join("server.log")
    }

    pub(super) fn sockets(&self) -> &Path {
        &self.sockets
    }
}

impl Drop for ClusterFolder {
    fn drop(&mut self) {
        remove(&self.path);
    }
}

/// Returns where a cluster keeps its socket: inside, unless the path would be too long.
fn socket_folder(cluster: &Path) -> PathBuf {
    let inside = cluster.join("s");
    if inside.join(SOCKET_NAME).as_os_str().len() <= SOCKET_PATH_LIMIT {
        return inside;
    }
    let name = cluster.file_name().unwrap_or_default().to_string_lossy();
    // The prefix is neither of those that a sweep looks at; the cluster's sweep removes it.
    short_root().join(format!("s-{name}"))
}

/// Removes the clusters under `root` whose owners are gone, and says how many there were.
pub fn sweep(root: &Path) -> usize {
    let Ok(entries) = fs::read_dir(root) else {
        return 0;
    };
    entries
        .flatten()
        .filter(|entry| is_leftover(&entry.path()))
        .count()
}

/// Removes one cluster if it has no owner any more.
fn is_leftover(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let Ok(metadata) = fs::symlink_metadata(path) else {
        return false;
    };
    if !metadata.is_dir() || !may_remove(&metadata) {
        return false;
    }
    if name.starts_with(UNFINISHED_PREFIX) {
        let age = metadata
            .modified()
            .ok()
            .and_then(|made| SystemTime::now().duration_since(made).ok());
        let dead = age.is_some_and(|age| age > UNFINISHED_AGE) && path.join(LOCK_NAME).exists();
        if dead {
            remove(path);
        }
        return dead;
    }
    if !name.starts_with(FINISHED_PREFIX) {
        return false;
    }
    // Opened without being made: a folder without this file is nobody's cluster.
    let Ok(lock) = File::options().write(true).open(path.join(LOCK_NAME)) else {
        return false;
    };
    if lock.try_lock().is_err() {
        return false;
    }
    stop_leftover_server(path);
    remove(path);
    true
}

fn may_remove(metadata: &fs::Metadata) -> bool {
    let us = rustix::process::geteuid().as_raw();
    let server = ServerUser::needed().ok().flatten();
    metadata.uid() == us || server.is_some_and(|user| metadata.uid() == user.uid())
}

/// Stops a server whose owner was killed on a system without death signals, or a moment ago.
fn stop_leftover_server(cluster: &Path) {
    let text = fs::read_to_string(cluster.join("data/postmaster.pid")).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    let pid = lines
        .first()
        .and_then(|line| line.parse().ok())
        .and_then(Pid::from_raw);
    let (Some(pid), Some(port)) = (pid, lines.get(3)) else {
        return;
    };
    let socket = socket_folder(cluster).join(format!(".s.PGSQL.{port}"));
    // A process number alone may belong to somebody else by now; one who listens on a socket in
    // our private folder is the server.
    let answers = || UnixStream::connect(&socket).is_ok();
    if answers() {
        let _ = rustix::process::kill_process(pid, Signal::QUIT);
        let deadline = Instant::now() + LEFTOVER_STOP_DEADLINE;
        while answers() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

/// Removes a cluster's files. A server that is just ending may still write one, hence the second
/// attempt.
fn remove(cluster: &Path) {
    let sockets = socket_folder(cluster);
    for folder in [sockets.as_path(), cluster] {
        if fs::remove_dir_all(folder).is_err() && folder.exists() {
            let _ = fs::remove_dir_all(folder);
        }
    }
}

/// Tells whether a path is a folder of this user's that nobody else may write.
fn ours_alone(path: &Path) -> Result<(), String> {
    let metadata = fs::symlink_metadata(path).map_err(|error| error.to_string())?;
    if !metadata.is_dir() {
        return Err("it is not a folder".to_owned());
    }
    let us = rustix::process::geteuid().as_raw();
    if metadata.uid() != us {
        return Err(format!("it belongs to the user with id {}", metadata.uid()));
    }
    if metadata.mode() & 0o022 != 0 {
        return Err(format!(
            "others may write into it (mode {:o})",
            metadata.mode() & 0o777
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_socket_moves_to_a_short_folder_when_its_path_would_be_too_long() {
        let short = Path::new("/tmp/stagegate-0/pg-abcdef");
        assert_eq!(socket_folder(short), short.join("s"));
        let long = PathBuf::from(format!("/{}/pg-abcdef", "x".repeat(90)));
        let moved = socket_folder(&long);
        assert!(moved.ends_with("s-pg-abcdef"), "{}", moved.display());
        assert!(moved.join(SOCKET_NAME).as_os_str().len() <= SOCKET_PATH_LIMIT);
    }

    #[test]
    fn a_sweep_leaves_alone_what_it_did_not_make() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("pg-without-lock")).unwrap();
        fs::create_dir(root.path().join("other")).unwrap();
        fs::write(root.path().join("pg-file"), "").unwrap();
        fs::create_dir(root.path().join("new-just-now")).unwrap();
        assert_eq!(sweep(root.path()), 0);
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 4);
        assert_eq!(sweep(&root.path().join("missing")), 0);
    }

    #[test]
    fn a_folder_that_others_may_write_is_not_ours_alone() {
        let folder = tempfile::tempdir().unwrap();
        ours_alone(folder.path()).unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777)).unwrap();
        assert!(ours_alone(folder.path()).unwrap_err().contains("777"));
        let link = folder.path().join("link");
        std::os::unix::fs::symlink("/", &link).unwrap();
        assert!(ours_alone(&link).is_err());
    }
}
