//! Content that is in the work tree and not in git: files that are not tracked, and the names that
//! git would give to what has changed.

use std::path::Path;

use super::changes::{ChangedFile, FileChange, Object};
use super::program::{Git, GitError};
use crate::digest::digest;

/// More files that are not tracked than that are not listed.
const FILES: usize = 2_000;
/// A larger file is known by its size and its time alone.
const LARGEST: u64 = 64 * 1024 * 1024;
/// Lines of larger files are not counted for the list.
const COUNTED: u64 = 1024 * 1024;
/// How many files one command is asked about.
const AT_ONCE: usize = 200;

/// Adds the files that are not tracked and not ignored.
pub(super) async fn untracked(
    git: &Git,
    top: &Path,
    files: &mut Vec<ChangedFile>,
) -> Result<(), GitError> {
    let mut out = Vec::new();
    let arguments = ["ls-files", "--others", "--exclude-standard", "-z"];
    git.read(&arguments, |piece| out.extend_from_slice(piece))
        .await?;
    let names = out.split(|byte| *byte == 0).filter(|name| !name.is_empty());
    for name in names.take(FILES) {
        let path = String::from_utf8_lossy(name).into_owned();
        let Ok(found) = std::fs::symlink_metadata(top.join(&path)) else {
            continue;
        };
        // A repository inside this one is listed as a folder.
        if found.is_dir() {
            continue;
        }
        let mode = if found.is_symlink() {
            "120000"
        } else {
            "100644"
        };
        let lines = || {
            let bytes = std::fs::read(top.join(&path)).ok()?;
            let text = !bytes.iter().take(8_000).any(|byte| *byte == 0);
            let ends = bytes.iter().filter(|byte| **byte == b'\n').count();
            let open = bytes.last().is_some_and(|byte| *byte != b'\n');
            text.then_some((ends as u64 + u64::from(open), 0))
        };
        files.push(ChangedFile {
            lines: (found.is_file() && found.len() <= COUNTED)
                .then(lines)
                .flatten(),
            path,
            old_path: None,
            change: FileChange::Untracked,
            old: None,
            new: Some(Object {
                id: String::new(),
                mode: mode.to_owned(),
                in_work_tree: true,
            }),
        });
    }
    Ok(())
}

/// Names the content of the work tree as git would, so that a commit of it has the same name.
pub(super) async fn known_now(
    git: &Git,
    top: &Path,
    files: &mut [ChangedFile],
) -> Result<(), GitError> {
    let mut asked: Vec<(usize, String)> = Vec::new();
    for (place, file) in files.iter_mut().enumerate() {
        let Some(new) = &mut file.new else { continue };
        if new.id.bytes().any(|byte| byte != b'0') {
            continue;
        }
        let path = top.join(&file.path);
        let Ok(found) = std::fs::symlink_metadata(&path) else {
            continue;
        };
        if found.is_symlink() {
            let target = std::fs::read_link(&path).unwrap_or_default();
            new.id = format!("link-{}", digest(target.display().to_string().as_bytes()));
        } else if found.len() > LARGEST {
            let time = found.modified().ok();
            new.id = format!(
                "large-{}",
                digest(format!("{} {time:?}", found.len()).as_bytes())
            );
        } else if found.is_file() {
            asked.push((place, file.path.clone()));
        }
    }
    for part in asked.chunks(AT_ONCE) {
        let mut arguments = vec!["hash-object", "--"];
        arguments.extend(part.iter().map(|(_, path)| path.as_str()));
        let answer = git.must(&arguments).await?.text();
        for ((place, _), id) in part.iter().zip(answer.lines()) {
            if let Some(new) = &mut files[*place].new {
                id.clone_into(&mut new.id);
            }
        }
    }
    Ok(())
}
