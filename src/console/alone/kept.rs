//! The marks of a repository outside of runs, in the user's state folder.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::digest::digest;
use crate::promotion::Reviews;
use crate::system::durable;

/// What is in the file.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    repository: String,
    reviews: Reviews,
}

/// The folder of the marks; `None` when the user has no home.
pub fn folder() -> Option<PathBuf> {
    let folders = directories::ProjectDirs::from("", "", "stagegate")?;
    let state = folders.state_dir().unwrap_or_else(|| folders.data_dir());
    Some(state.join("reviews"))
}

fn path(folder: &Path, top: &Path) -> PathBuf {
    let name: String = digest(top.as_os_str().as_encoded_bytes())
        .chars()
        .take(24)
        .collect();
    folder.join(format!("{name}.json"))
}

/// Reads the marks of a repository. Where there are none yet, there are none.
///
/// # Errors
/// When the file is there and cannot be read.
pub(super) fn load(folder: &Path, top: &Path) -> Result<Reviews, String> {
    let path = path(folder, top);
    let bytes = match std::fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Reviews::default()),
        Err(error) => return Err(format!("{}: {error}", path.display())),
    };
    let kept: Kept = serde_json::from_slice(&bytes)
        .map_err(|error| format!("{} is damaged: {error}", path.display()))?;
    Ok(kept.reviews)
}

/// Changes the marks of a repository as they are on the disk now: another console may have written.
///
/// # Errors
/// When they cannot be read or written; nothing was changed then.
pub(super) fn change(
    folder: &Path,
    top: &Path,
    change: impl FnOnce(&mut Reviews),
) -> Result<Reviews, String> {
    let mut kept = Kept {
        repository: top.display().to_string(),
        reviews: load(folder, top)?,
    };
    change(&mut kept.reviews);
    let path = path(folder, top);
    let failed = |error: std::io::Error| format!("{} cannot be written: {error}", path.display());
    let text = serde_json::to_vec_pretty(&kept).map_err(|error| error.to_string())?;
    durable::make_private_folder(folder).map_err(failed)?;
    durable::write_whole(&path, &text).map_err(failed)?;
    Ok(kept.reviews)
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::promotion::Review;

    #[test]
    fn marks_come_back_and_damage_is_said() {
        let place = tempfile::tempdir().unwrap();
        let top = Path::new("/srv/shop");
        assert_eq!(load(place.path(), top), Ok(Reviews::default()));
        let review = Review {
            old: None,
            new: Some("abc".to_owned()),
            by: "ana".to_owned(),
            at: Timestamp::UNIX_EPOCH,
        };
        let kept = change(place.path(), top, |reviews| reviews.add("a.sql", review)).unwrap();
        assert_eq!(load(place.path(), top), Ok(kept));
        assert_eq!(
            load(place.path(), Path::new("/other")),
            Ok(Reviews::default())
        );
        std::fs::write(path(place.path(), top), "{").unwrap();
        assert!(
            change(place.path(), top, |_| {})
                .unwrap_err()
                .contains("damaged")
        );
        assert_eq!(std::fs::read(path(place.path(), top)).unwrap(), b"{");
    }
}
