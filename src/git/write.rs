//! Files of a work tree: written whole, kept after a power cut, with the mode that they had.

use std::fs::{self, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use crate::system::durable::sync_folder;

/// The mode of a file that is new, as git would write it.
const PLAIN: u32 = 0o644;

/// Writes a file so that a reader sees the old content or the new, never a part of it.
pub(super) fn write(path: &Path, content: &[u8]) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    let mode = fs::metadata(path).map_or(PLAIN, |found| found.permissions().mode() & 0o777);
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(content)?;
    file.as_file()
        .set_permissions(Permissions::from_mode(mode))?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    sync_folder(folder)
}

/// Puts a file back as it was: its content, or its absence.
pub(super) fn put_back(path: &Path, before: Option<&[u8]>) -> io::Result<()> {
    match before {
        Some(content) => write(path, content),
        None => match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        },
    }
}

/// Reads a file; `None` when it is not there.
pub(super) fn read(path: &Path) -> io::Result<Option<Vec<u8>>> {
    match fs::read(path) {
        Ok(content) => Ok(Some(content)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
