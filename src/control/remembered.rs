//! What a watching console has seen of runs, kept on its own machine: a witness that whoever holds
//! the journal cannot change.

use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::promotion::Witness;
use crate::system::durable::{make_private_folder, write_whole};

/// The folder inside the one of runs.
const FOLDER: &str = ".witnesses";

#[derive(Serialize, Deserialize)]
struct Head {
    seq: u64,
    hash: String,
}

fn path(runs: &Path, run: &str) -> Option<PathBuf> {
    let plain = !run.is_empty() && !run.starts_with('.') && !run.contains(['/', '\0']);
    plain.then(|| runs.join(FOLDER).join(format!("{run}.json")))
}

/// What was seen of a run here.
pub fn read(runs: &Path, run: &str) -> Option<Witness> {
    let bytes = std::fs::read(path(runs, run)?).ok()?;
    let head: Head = serde_json::from_slice(&bytes).ok()?;
    Some(Witness {
        seq: head.seq,
        hash: head.hash,
        place: "a console that watched on this machine".to_owned(),
    })
}

/// Remembers a head that is higher than the one that is known.
///
/// # Errors
/// When it cannot be written.
pub fn remember(runs: &Path, run: &str, (seq, hash): (u64, &str)) -> io::Result<()> {
    if read(runs, run).is_some_and(|known| known.seq >= seq) {
        return Ok(());
    }
    let Some(path) = path(runs, run) else {
        return Ok(());
    };
    make_private_folder(&runs.join(FOLDER))?;
    let hash = hash.to_owned();
    write_whole(&path, &serde_json::to_vec(&Head { seq, hash })?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_highest_head_is_remembered() {
        let runs = tempfile::tempdir().unwrap();
        assert_eq!(read(runs.path(), "r"), None);
        remember(runs.path(), "r", (7, "b")).unwrap();
        remember(runs.path(), "r", (3, "a")).unwrap();
        let head = read(runs.path(), "r").unwrap();
        assert_eq!((head.seq, head.hash.as_str()), (7, "b"));
        remember(runs.path(), "../r", (9, "c")).unwrap();
        assert_eq!(read(runs.path(), "../r"), None);
    }
}
