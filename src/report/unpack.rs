//! Unpacks a bundle, which may come from anybody.

use std::io::{self, Read};
use std::path::{Component, Path, PathBuf};

/// A bundle that unpacks to more than this is none.
const MOST_BYTES: u64 = 8 << 30;

/// Unpacks a bundle below `into`, and gives the folder of its run. Every byte of the bundle is read:
/// one that was cut or changed anywhere does not unpack.
///
/// # Errors
/// What is wrong with it.
pub fn unpack(bundle: impl Read, into: &Path) -> io::Result<PathBuf> {
    let wrong = |words: &str| io::Error::new(io::ErrorKind::InvalidData, words.to_owned());
    let mut archive = tar::Archive::new(zstd::Decoder::new(bundle)?.take(MOST_BYTES));
    let mut root: Option<PathBuf> = None;
    for entry in archive.entries()? {
        let mut entry = entry?;
        let path = entry.path()?.into_owned();
        let plain = |part: Component| matches!(part, Component::Normal(_));
        if !path.components().all(plain) || path.components().count() < 2 {
            return Err(wrong("it holds a path that leads out of it"));
        }
        if entry.header().entry_type() != tar::EntryType::Regular {
            return Err(wrong("it holds something else than plain files"));
        }
        let first: PathBuf = path.components().take(1).collect();
        if root.get_or_insert_with(|| first.clone()) != &first {
            return Err(wrong("it holds more than one run"));
        }
        let target = into.join(&path);
        std::fs::create_dir_all(target.parent().unwrap_or(into))?;
        let mut file = std::fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(&target)?;
        io::copy(&mut entry, &mut file)?;
    }
    // What follows the archive's end is read too: the checksum stands behind it.
    let mut rest = archive.into_inner();
    let mut piece = [0; 16 * 1024];
    loop {
        let read = rest.read(&mut piece)?;
        if read == 0 {
            break;
        }
        if piece[..read].iter().any(|byte| *byte != 0) {
            return Err(wrong("something stands behind its end"));
        }
    }
    if rest.limit() == 0 {
        return Err(wrong("it is too large"));
    }
    root.map(|root| into.join(root))
        .ok_or_else(|| wrong("it is empty"))
}
