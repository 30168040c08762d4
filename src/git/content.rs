//! What is in a file of a revision or of the work tree, as text that may be drawn.

use std::borrow::Cow;
use std::path::Path;

use super::changes::{ChangedFile, Object};
use super::program::{Git, GitError};
use crate::untrusted::{clean, clean_bytes, clean_line};

/// A larger file is not read by anybody line by line.
pub const LARGEST: u64 = 32 * 1024 * 1024;
/// Git calls a file binary that has a zero byte before here; so does this.
const LOOKED_AT: usize = 8_000;
/// The mode of a submodule.
const SUBMODULE: &str = "160000";

/// What a side of a file is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// There is no such file.
    Missing,
    /// Cleaned.
    Text(String),
    /// So many bytes that are no text.
    Binary(u64),
    /// So many bytes: too many to be drawn.
    TooLarge(u64),
    /// The commit of another repository.
    Submodule(String),
}

/// Reads both sides of a file.
///
/// # Errors
/// When git or the file cannot be read.
pub async fn contents(git: &Git, top: &Path, file: &ChangedFile) -> Result<[Content; 2], GitError> {
    let (old, new) = tokio::join!(
        content(git, top, file, file.old.as_ref()),
        content(git, top, file, file.new.as_ref()),
    );
    Ok([old?, new?])
}

async fn content(
    git: &Git,
    top: &Path,
    file: &ChangedFile,
    object: Option<&Object>,
) -> Result<Content, GitError> {
    let Some(object) = object else {
        return Ok(Content::Missing);
    };
    if object.mode == SUBMODULE {
        return Ok(Content::Submodule(object.id.clone()));
    }
    if object.in_work_tree {
        let path = top.join(&file.path);
        let read = tokio::task::spawn_blocking(move || from_disk(&path)).await;
        let said = |said: String| GitError::Said {
            command: "diff".to_owned(),
            said: format!("{}: {said}", clean_line(&file.path)),
        };
        let read = read.map_err(|error| said(error.to_string()))?;
        return read.map_err(|error| said(error.to_string()));
    }
    let mut bytes = Vec::new();
    let mut size = 0;
    let answer = git
        .read(&["cat-file", "blob", &object.id], |piece| {
            size += piece.len() as u64;
            if size <= LARGEST {
                bytes.extend_from_slice(piece);
            }
        })
        .await?;
    if answer.code != 0 {
        return Err(GitError::Said {
            command: "cat-file".to_owned(),
            said: answer.said,
        });
    }
    Ok(told(bytes, size))
}

fn from_disk(path: &Path) -> std::io::Result<Content> {
    let found = match std::fs::symlink_metadata(path) {
        Ok(found) => found,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Content::Missing),
        Err(error) => return Err(error),
    };
    if found.is_symlink() {
        let target = std::fs::read_link(path)?;
        return Ok(Content::Text(clean_line(&target.display().to_string())));
    }
    if found.is_dir() {
        return Ok(Content::Missing);
    }
    if found.len() > LARGEST {
        return Ok(Content::TooLarge(found.len()));
    }
    let bytes = std::fs::read(path)?;
    let size = bytes.len() as u64;
    Ok(told(bytes, size))
}

fn told(bytes: Vec<u8>, size: u64) -> Content {
    let head = &bytes[..bytes.len().min(LOOKED_AT)];
    if head.contains(&0) {
        Content::Binary(size)
    } else if size > LARGEST {
        Content::TooLarge(size)
    } else {
        Content::Text(cleaned(bytes))
    }
}

/// Cleans a text; one that needs no cleaning is not copied.
fn cleaned(bytes: Vec<u8>) -> String {
    match String::from_utf8(bytes) {
        Ok(text) => {
            let changed = match clean(&text) {
                Cow::Owned(cleaned) => Some(cleaned),
                Cow::Borrowed(_) => None,
            };
            changed.unwrap_or(text)
        }
        Err(error) => clean_bytes(error.as_bytes()),
    }
}
