//! A run as one file that an auditor checks without this program: the same run gives the same bytes.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::Path;

use super::facts::Facts;
use super::withheld::{holds_rows, may_travel};
use crate::digest::digest;
use crate::engine::ReadRun;
use crate::gate::Evidence;
use crate::promotion::Journal;

/// The list of everything else in a bundle, as `sha256sum` writes and checks it.
pub(super) const SUMS: &str = "SHA256SUMS";
/// What stayed behind because it holds rows, by its digest.
pub(super) const WITHHELD: &str = "WITHHELD";
/// The folders of a run that go into a bundle.
const PARTS: [&str; 6] = [
    "plans", "evidence", "outputs", "samples", "messages", "given",
];
const VERIFY: &str = include_str!("../../assets/report/VERIFY.md");
const SCRIPT: &str = include_str!("../../assets/report/verify.sh");
/// How hard is tried to make it small. The same level gives the same bytes.
const LEVEL: i32 = 9;

/// Why there is no bundle.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    #[error("{path}: {source}")]
    Io {
        path: String,
        #[source]
        source: std::io::Error,
    },
    #[error("the report cannot be made: {0}")]
    Report(#[from] minijinja::Error),
}

/// Writes the bundle of a run. What the run's folder holds besides is left out.
///
/// # Errors
/// What could not be read or written.
pub fn write(
    folder: &Path,
    read: &ReadRun,
    facts: &Facts,
    out: impl Write,
) -> Result<(), BundleError> {
    let files = collect(folder, read, facts)?;
    let run = &read.snapshot.run;
    let written = archive(&run.id, run.opened.as_second(), &files, out);
    written.map_err(|source| BundleError::Io {
        path: "the bundle".to_owned(),
        source,
    })
}

fn collect(
    folder: &Path,
    read: &ReadRun,
    facts: &Facts,
) -> Result<BTreeMap<String, Vec<u8>>, BundleError> {
    let take = |path: &str| {
        std::fs::read(folder.join(path)).map_err(|source| BundleError::Io {
            path: folder.join(path).display().to_string(),
            source,
        })
    };
    let mut files = BTreeMap::new();
    let mut journal = take("journal.jsonl")?;
    // Somebody may be writing the next record just now.
    if let Ok(whole) = Journal::read(&journal) {
        journal.truncate(whole.valid_bytes);
    }
    files.insert("journal.jsonl".to_owned(), journal);
    files.insert("runbook.toml".to_owned(), take("runbook.toml")?);
    let mut withheld = String::new();
    let below = files_below(folder).map_err(|source| BundleError::Io {
        path: folder.display().to_string(),
        source,
    })?;
    let of_a_part = |path: &&String| {
        PARTS
            .iter()
            .any(|part| path.starts_with(&format!("{part}/")))
    };
    for path in below.iter().filter(of_a_part) {
        let content = take(path)?;
        if stays(path, &content, read) {
            withheld.push_str(&format!("{}  {path}\n", digest(&content)));
        } else {
            files.insert(path.clone(), content);
        }
    }
    let snapshot = &read.snapshot;
    files.extend(super::bundle_signatures::files(
        &snapshot.run,
        &snapshot.records,
    ));
    if !withheld.is_empty() {
        files.insert(WITHHELD.to_owned(), withheld.into_bytes());
    }
    files.insert(
        "report.html".to_owned(),
        super::html::html(facts)?.into_bytes(),
    );
    files.insert(
        "report.md".to_owned(),
        super::markdown::markdown(facts).into_bytes(),
    );
    files.insert("VERIFY.md".to_owned(), VERIFY.as_bytes().to_vec());
    files.insert("verify.sh".to_owned(), SCRIPT.as_bytes().to_vec());
    let sums: String = files
        .iter()
        .map(|(path, content)| format!("{}  {path}\n", digest(content)))
        .collect();
    files.insert(SUMS.to_owned(), sums.into_bytes());
    Ok(files)
}

/// Tells whether a document stays behind: evidence that holds rows which the runbook does not mark.
fn stays(path: &str, content: &[u8], read: &ReadRun) -> bool {
    let Some(name) = path.strip_prefix("evidence/") else {
        return false;
    };
    let gate = name.rsplit_once('-').map_or(name, |(gate, _)| gate);
    match serde_json::from_slice::<Evidence>(content) {
        Ok(evidence) => holds_rows(&evidence) && !may_travel(&read.snapshot.runbook, gate),
        Err(_) => false,
    }
}

/// The files below a folder, by their paths in it, with `/` between.
pub(super) fn files_below(folder: &Path) -> std::io::Result<BTreeSet<String>> {
    let mut found = BTreeSet::new();
    let mut open = vec![String::new()];
    while let Some(at) = open.pop() {
        for entry in std::fs::read_dir(folder.join(&at))? {
            let entry = entry?;
            let path = format!("{at}{}", entry.file_name().to_string_lossy());
            let kind = entry.file_type()?;
            if kind.is_dir() {
                open.push(format!("{path}/"));
            } else if kind.is_file() {
                found.insert(path);
            }
        }
    }
    Ok(found)
}

fn archive(
    run: &str,
    opened: i64,
    files: &BTreeMap<String, Vec<u8>>,
    out: impl Write,
) -> std::io::Result<()> {
    let mut zstd = zstd::Encoder::new(out, LEVEL)?;
    zstd.include_checksum(true)?;
    let mut tar = tar::Builder::new(zstd);
    for (path, content) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(if path == "verify.sh" { 0o755 } else { 0o644 });
        header.set_mtime(u64::try_from(opened).unwrap_or(0));
        header.set_uid(0);
        header.set_gid(0);
        let path = format!("stagegate-{run}/{path}");
        tar.append_data(&mut header, path, content.as_slice())?;
    }
    let mut zstd = tar.into_inner()?;
    zstd.flush()?;
    zstd.finish()?.flush()
}
