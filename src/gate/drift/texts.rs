//! The text of the files that a source names.

use std::path::Path;

use tokio_util::sync::CancellationToken;

use super::load::{LoadError, Surroundings};
use crate::git::program::Git;
use crate::schema::Source;

/// More than any schema.
const LARGEST_FILE: u64 = 256 * 1024 * 1024;

/// The files of a source that has to be loaded.
pub(super) async fn texts(
    source: &Source,
    surroundings: &Surroundings,
    cancel: &CancellationToken,
) -> Result<Vec<(String, String)>, LoadError> {
    Ok(match source {
        Source::File(path) => vec![(
            path.display().to_string(),
            read(&surroundings.base.join(path))?,
        )],
        Source::Git { revision, path } => {
            let text = blob(source, revision, path, surroundings, cancel).await?;
            vec![(source.to_string(), text)]
        }
        Source::Migrations(folder) => migrations(folder, &surroundings.base)?,
        Source::Database(_) | Source::Snapshot(_) => Vec::new(),
    })
}

/// The object that a source of git's is now; a branch or a tag may be another one later.
pub(super) fn object_of(
    source: &Source,
    surroundings: &Surroundings,
) -> Result<Option<String>, LoadError> {
    let Source::Git { revision, path } = source else {
        return Ok(None);
    };
    let found = Git::find(
        &surroundings.base,
        &surroundings.variables,
        &CancellationToken::new(),
    )
    .and_then(|git| git.object_now(&format!("{revision}:{path}")));
    found.map(Some).map_err(|error| LoadError::Git {
        source_name: source.to_string(),
        error,
    })
}

/// The bytes of the files that a source names; what is elsewhere has none.
pub(super) fn digest_of_files(
    source: &Source,
    surroundings: &Surroundings,
) -> Result<String, LoadError> {
    if let Some(object) = object_of(source, surroundings)? {
        return Ok(object);
    }
    let base = &surroundings.base;
    let texts = match source {
        Source::File(path) | Source::Snapshot(path) => {
            vec![(String::new(), read(&base.join(path))?)]
        }
        Source::Migrations(folder) => migrations(folder, base)?,
        Source::Database(_) | Source::Git { .. } => Vec::new(),
    };
    let digests: Vec<String> = texts
        .iter()
        .map(|(name, text)| format!("{name} {}", crate::digest::digest(text.as_bytes())))
        .collect();
    Ok(digests.join("\n"))
}

pub(super) fn read(path: &Path) -> Result<String, LoadError> {
    let error = |reason: String| LoadError::File {
        path: path.display().to_string(),
        reason,
    };
    let metadata = std::fs::metadata(path).map_err(|failure| error(failure.to_string()))?;
    if !metadata.is_file() {
        return Err(error("it is no file".to_owned()));
    }
    let size = metadata.len();
    if size > LARGEST_FILE {
        return Err(error(format!(
            "it has {size} bytes, of {LARGEST_FILE} at most"
        )));
    }
    std::fs::read_to_string(path).map_err(|failure| error(failure.to_string()))
}

async fn blob(
    source: &Source,
    revision: &str,
    path: &str,
    surroundings: &Surroundings,
    cancel: &CancellationToken,
) -> Result<String, LoadError> {
    let asked = async {
        let git = Git::find(&surroundings.base, &surroundings.variables, cancel)?;
        git.must(&["cat-file", "blob", &format!("{revision}:{path}")])
            .await
    };
    let answer = asked.await.map_err(|error| LoadError::Git {
        source_name: source.to_string(),
        error,
    })?;
    String::from_utf8(answer.out).map_err(|error| LoadError::File {
        path: source.to_string(),
        reason: error.to_string(),
    })
}

/// The files of a folder in the order of their names; those that go back are not among them.
fn migrations(folder: &Path, base: &Path) -> Result<Vec<(String, String)>, LoadError> {
    let place = base.join(folder);
    let error = |failure: std::io::Error| LoadError::File {
        path: place.display().to_string(),
        reason: failure.to_string(),
    };
    let mut names: Vec<String> = Vec::new();
    for entry in std::fs::read_dir(&place).map_err(error)? {
        let name = entry.map_err(error)?.file_name();
        let name = name.to_string_lossy().into_owned();
        if name.ends_with(".sql") && !name.ends_with(".down.sql") {
            names.push(name);
        }
    }
    if names.is_empty() {
        return Err(LoadError::Empty(folder.display().to_string()));
    }
    names.sort();
    names
        .into_iter()
        .map(|name| {
            let text = read(&place.join(&name))?;
            Ok((folder.join(name).display().to_string(), text))
        })
        .collect()
}
