//! The files of a dump: where they stand, finished and not, and their hashes.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use super::dump::{DumpError, DumpRequest, DumpedFile, Layout};
use crate::digest::hex;

/// Where a dump stands, finished and not.
pub(super) struct Place {
    pub(super) path: PathBuf,
    pub(super) partial: PathBuf,
    pub(super) manifest: PathBuf,
}

impl Place {
    pub(super) fn new(request: &DumpRequest<'_>) -> Place {
        let ending = match request.layout {
            Layout::Custom => "dump",
            Layout::Directory => "dir",
        };
        let at = |ending: String| request.folder.join(format!("{}.{ending}", request.name));
        Place {
            path: at(ending.to_owned()),
            partial: at(format!("{ending}.partial")),
            manifest: at("manifest.json".to_owned()),
        }
    }

    pub(super) fn must_be_free(&self) -> Result<(), DumpError> {
        if self.path.exists() {
            return Err(DumpError::Exists(self.path.display().to_string()));
        }
        Ok(())
    }

    /// Removes whatever stands there without a manifest: only a manifest makes it a backup.
    pub(super) fn remove_unfinished(&self) -> Result<(), DumpError> {
        self.remove_partial()?;
        if self.manifest.exists() {
            return Ok(());
        }
        remove(&self.path)
    }

    pub(super) fn remove_partial(&self) -> Result<(), DumpError> {
        remove(&self.partial)
    }
}

fn remove(path: &Path) -> Result<(), DumpError> {
    let removed = if path.is_dir() {
        fs::remove_dir_all(path)
    } else {
        fs::remove_file(path)
    };
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(file_error(path, error)),
        _ => Ok(()),
    }
}

pub(super) fn size_of(path: &Path) -> u64 {
    let Ok(metadata) = fs::symlink_metadata(path) else {
        return 0;
    };
    if !metadata.is_dir() {
        return metadata.len();
    }
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    entries
        .map(|entry| entry.metadata().map_or(0, |m| m.len()))
        .sum()
}

pub(super) fn make_private(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        for entry in fs::read_dir(path)? {
            fs::set_permissions(entry?.path(), fs::Permissions::from_mode(0o600))?;
        }
        return fs::set_permissions(path, fs::Permissions::from_mode(0o700));
    }
    fs::set_permissions(path, fs::Permissions::from_mode(0o600))
}

pub(super) fn sync_and_hash(path: &Path) -> io::Result<BTreeMap<String, DumpedFile>> {
    if path.is_dir() {
        for entry in fs::read_dir(path)? {
            File::open(entry?.path())?.sync_all()?;
        }
    }
    File::open(path)?.sync_all()?;
    hash_all(path)
}

pub(super) fn hash_all(path: &Path) -> io::Result<BTreeMap<String, DumpedFile>> {
    let mut files = BTreeMap::new();
    let name = |path: &Path| {
        path.file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned()
    };
    if path.is_dir() {
        for entry in fs::read_dir(path)? {
            let entry = entry?.path();
            files.insert(name(&entry), hash_file(&entry)?);
        }
    } else {
        files.insert(name(path), hash_file(path)?);
    }
    Ok(files)
}

pub(super) fn hash_file(path: &Path) -> io::Result<DumpedFile> {
    let mut file = File::open(path)?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    let mut bytes = 0;
    loop {
        let read = file.read(&mut buffer)?;
        if read == 0 {
            break;
        }
        bytes += read as u64;
        hasher.update(&buffer[..read]);
    }
    Ok(DumpedFile {
        bytes,
        sha256: hex(&hasher.finalize()),
    })
}

pub(super) fn file_error(path: &Path, source: io::Error) -> DumpError {
    DumpError::File {
        path: path.display().to_string(),
        source,
    }
}
