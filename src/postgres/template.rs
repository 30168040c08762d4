//! The data folder of a fresh cluster, made once for each server version and copied ever after.

use std::fs::{self, File};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};

use super::cluster::ClusterError;
use super::programs::Program;
use super::server_user::ServerUser;
use super::system_identifier;

/// Small log segments: a fresh cluster is then 24 MB instead of 40, and copied sooner.
const WAL_SEGMENT_MB: &str = "1";
const LOCALE: &str = if cfg!(target_os = "linux") {
    "C.UTF-8"
} else {
    "C"
};
/// Another process needs a second or two for it.
const LOCK_DEADLINE: Duration = Duration::from_secs(60);

/// Fills an empty data folder that the server's user owns.
pub(super) fn copy_into(
    postgres: &Program,
    data: &Path,
    user: Option<&ServerUser>,
) -> Result<(), ClusterError> {
    let initdb = postgres.sibling("initdb")?;
    let mut arguments = [
        "--username=postgres",
        "--auth=trust",
        "--encoding=UTF8",
        &format!("--locale={LOCALE}"),
        &format!("--wal-segsize={WAL_SEGMENT_MB}"),
        "--no-sync",
    ]
    .map(str::to_owned)
    .to_vec();
    // Version 13 does not know it, and older ones are not supported.
    if postgres.version.major >= 14 {
        arguments.push("--no-instructions".to_owned());
    }
    // Without a place to keep it (no home folder, or a read-only one) every cluster is made anew.
    let Some(cache) = cache_folder() else {
        return make(&initdb, &arguments, data, user);
    };
    let template = cache.join(key(&initdb, &arguments));
    if !template.is_dir() {
        let _lock = lock(&template.with_extension("lock"))?;
        // Whoever held the lock before may have made it.
        if !template.is_dir() {
            make(&initdb, &arguments, data, user)?;
            return keep(data, &template);
        }
    }
    copy_tree(&template, data, user)?;
    // Copies of one template would pass for one server, and a check that a database is not
    // production's would see no difference.
    if system_identifier::renew(data).map_err(ClusterError::file("renew", data))? {
        return Ok(());
    }
    empty(data)?;
    make(&initdb, &arguments, data, user)
}

/// Removes what is in a folder.
fn empty(folder: &Path) -> Result<(), ClusterError> {
    for entry in fs::read_dir(folder).map_err(ClusterError::file("read", folder))? {
        let path = entry.map_err(ClusterError::file("read", folder))?.path();
        let removed = if path.is_dir() {
            fs::remove_dir_all(&path)
        } else {
            fs::remove_file(&path)
        };
        removed.map_err(ClusterError::file("remove", &path))?;
    }
    Ok(())
}

fn cache_folder() -> Option<PathBuf> {
    let folder = directories::ProjectDirs::from("", "", "stagegate")?
        .cache_dir()
        .join("initdb");
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&folder)
        .ok()?;
    File::create(folder.join("writable.lock")).ok()?;
    Some(folder)
}

/// Names a template after all that makes it differ: version, installation, arguments.
fn key(initdb: &Program, arguments: &[String]) -> String {
    let mut hash = Sha256::new();
    hash.update(initdb.path.as_os_str().as_encoded_bytes());
    for argument in arguments {
        hash.update([0]);
        hash.update(argument);
    }
    let digest: String = hash
        .finalize()
        .iter()
        .take(6)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("{}-{digest}", initdb.version.text.replace('.', "_"))
}

fn lock(path: &Path) -> Result<File, ClusterError> {
    let file = File::create(path).map_err(ClusterError::file("write", path))?;
    let deadline = Instant::now() + LOCK_DEADLINE;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(fs::TryLockError::WouldBlock) if Instant::now() < deadline => {
                std::thread::sleep(Duration::from_millis(20));
            }
            Err(error) => return Err(ClusterError::file("lock", path)(error.into())),
        }
    }
}

fn make(
    initdb: &Program,
    arguments: &[String],
    data: &Path,
    user: Option<&ServerUser>,
) -> Result<(), ClusterError> {
    let mut command = Command::new(&initdb.path);
    command
        .arg("-D")
        .arg(data)
        .args(arguments)
        .current_dir("/")
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .stdin(Stdio::null());
    if let Some(user) = user {
        user.become_in(&mut command);
    }
    let output = command.output().map_err(|source| ClusterError::Run {
        program: initdb.path.clone(),
        source,
    })?;
    if output.status.success() {
        return Ok(());
    }
    Err(ClusterError::Initdb {
        output: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
    })
}

/// Copies a fresh data folder to where it is kept, whole or not at all.
fn keep(data: &Path, template: &Path) -> Result<(), ClusterError> {
    let unfinished = template.with_extension("unfinished");
    if unfinished.exists() {
        fs::remove_dir_all(&unfinished).map_err(ClusterError::file("remove", &unfinished))?;
    }
    fs::DirBuilder::new()
        .mode(0o700)
        .create(&unfinished)
        .map_err(ClusterError::file("make the folder", &unfinished))?;
    copy_tree(data, &unfinished, None)?;
    fs::rename(&unfinished, template).map_err(ClusterError::file("rename into", template))
}

/// Copies what is in a folder into an existing one. `fs::copy` shares the blocks where the file
/// system can.
fn copy_tree(from: &Path, to: &Path, owner: Option<&ServerUser>) -> Result<(), ClusterError> {
    for entry in fs::read_dir(from).map_err(ClusterError::file("read", from))? {
        let entry = entry.map_err(ClusterError::file("read", from))?;
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        let kind = entry
            .file_type()
            .map_err(ClusterError::file("look at", &source))?;
        if kind.is_dir() {
            fs::DirBuilder::new()
                .mode(0o700)
                .create(&target)
                .map_err(ClusterError::file("make the folder", &target))?;
            copy_tree(&source, &target, owner)?;
        } else {
            fs::copy(&source, &target).map_err(ClusterError::file("copy to", &target))?;
        }
        if let Some(owner) = owner {
            owner
                .own(&target)
                .map_err(ClusterError::file("hand over", &target))?;
        }
    }
    Ok(())
}
