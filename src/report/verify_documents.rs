//! Checks every document that the records name by its digest, and that a bundle holds what it says.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::ErrorKind::NotFound;
use std::path::{Component, Path};
use std::sync::Arc;

use super::bundle::{SUMS, WITHHELD};
use super::verify::Checked;
use crate::digest::{digest, digest_of};
use crate::promotion::{Event, Record, Run};

/// Documents whose digests stand in the records, with the first record that names each.
pub(super) type Named = BTreeMap<String, (String, u64)>;

/// What the records name: by its path in the run's folder, its SHA-256 and the naming record. A
/// later record that names the same path again is the one that counts.
pub(super) fn named(records: &[Arc<Record>]) -> Named {
    let mut named = Named::new();
    let mut name = |path: String, digest: &str, seq| {
        named.insert(path, (digest.to_owned(), seq));
    };
    for record in records {
        let seq = record.seq;
        let mut attempt_of = |gate: &str, attempt: u32, evidence: Option<&String>| {
            if let Some(digest) = evidence {
                name(format!("evidence/{gate}-{attempt}.json"), digest, seq);
            }
        };
        match &record.event {
            Event::GateFinished {
                gate,
                attempt,
                evidence,
                files,
                ..
            }
            | Event::GateCanceled {
                gate,
                attempt,
                evidence,
                files,
                ..
            } => {
                attempt_of(gate, *attempt, evidence.as_ref());
                for (path, digest) in files {
                    name(path.clone(), digest, seq);
                }
            }
            Event::GateReconciled {
                gate,
                attempt,
                evidence,
                ..
            } => attempt_of(gate, *attempt, evidence.as_ref()),
            Event::PlanPasted { sha256, .. } => name(format!("given/{sha256}.txt"), sha256, seq),
            _ => {}
        }
    }
    named
}

/// Compares every named document with its digest.
pub(super) fn documents(folder: &Path, records: &[Arc<Record>]) -> Vec<Checked> {
    let named = named(records);
    let withheld = withheld(folder, records);
    let taken = taken_at(records);
    let mut checks = Vec::new();
    let (mut held, mut elsewhere) = (0, 0);
    for (path, (wanted, seq)) in &named {
        let found = open_plain(folder, path).and_then(digest_of);
        match found {
            Ok(found) if found == *wanted => {}
            Ok(_) => {
                let words = format!("{path} is not what record {seq} says");
                checks.push(Checked::wrong("documents", words).at(*seq));
            }
            Err(_) if withheld.get(path) == Some(wanted) => held += 1,
            Err(error) if error.kind() == NotFound && *seq < taken && stays_behind(path) => {
                elsewhere += 1;
            }
            Err(error) => {
                let words = format!("{path}, which record {seq} names, cannot be read: {error}");
                checks.push(Checked::wrong("documents", words).at(*seq));
            }
        }
    }
    let held = match held {
        0 => String::new(),
        n => format!("; {n} with rows of queries did not travel"),
    };
    if checks.is_empty() {
        let here = named.len() - elsewhere;
        let words = format!("{here} are what the journal says{held}");
        checks.push(Checked::good("documents", words));
    }
    if elsewhere > 0 {
        let words = "with what programs wrote lie where the conn was before";
        checks.push(Checked::unchecked(
            "documents",
            format!("{elsewhere} {words}"),
        ));
    }
    checks.extend(messages(folder, records));
    let unnamed = unnamed(folder, &named, records);
    if !unnamed.is_empty() {
        let (count, some) = (unnamed.len(), unnamed.iter().take(3));
        let some: Vec<&str> = some.map(String::as_str).collect();
        let some = some.join(", ");
        let words = format!("no record vouches for {count} other files, such as {some}");
        checks.push(Checked::unchecked("documents", words));
    }
    checks
}

/// The last record by which the conn came to another terminal, where it did.
fn taken_at(records: &[Arc<Record>]) -> u64 {
    let taken = |record: &&Arc<Record>| matches!(record.event, Event::ConnTaken { .. });
    let last = records.iter().rev().find(taken);
    last.map_or(0, |record| record.seq)
}

/// What programs wrote and what was sampled is not copied to other terminals.
fn stays_behind(path: &str) -> bool {
    path.starts_with("outputs/") || path.starts_with("samples/")
}

/// Opens a plain file below a folder. What leads out of it, or is a device, a pipe or a link, is not
/// opened: names come from whoever made what is checked.
fn open_plain(folder: &Path, path: &str) -> std::io::Result<File> {
    let plain = |part: Component| matches!(part, Component::Normal(_));
    let place = folder.join(path);
    if !Path::new(path).components().all(plain) || !std::fs::symlink_metadata(&place)?.is_file() {
        return Err(std::io::Error::other("it is no plain file of the run"));
    }
    File::open(place)
}

/// Messages are found by their digest: their names are made of the moment.
fn messages(folder: &Path, records: &[Arc<Record>]) -> Option<Checked> {
    let sent: Vec<(&String, u64)> = records
        .iter()
        .filter_map(|record| match &record.event {
            Event::MessageSent { text, .. } => Some((text, record.seq)),
            _ => None,
        })
        .collect();
    if sent.is_empty() {
        return None;
    }
    let there = digests_in(&folder.join("messages"));
    let lost = sent.iter().find(|(digest, _)| !there.contains(*digest));
    Some(match lost {
        Some((digest, seq)) => {
            let words = format!(
                "the text that record {seq} names, {}, is not there",
                &digest[..12]
            );
            Checked::wrong("messages", words).at(*seq)
        }
        None => Checked::good(
            "messages",
            format!("{} texts are what was sent", sent.len()),
        ),
    })
}

fn digests_in(folder: &Path) -> BTreeSet<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let digests = entries.filter_map(|entry| File::open(entry.path()).and_then(digest_of).ok());
    digests.collect()
}

/// Files of the run that no record vouches for, such as the output of work that a crash cut off.
fn unnamed(folder: &Path, named: &Named, records: &[Arc<Record>]) -> Vec<String> {
    let sent: BTreeSet<&String> = records
        .iter()
        .filter_map(|record| match &record.event {
            Event::MessageSent { text, .. } => Some(text),
            _ => None,
        })
        .collect();
    let mut unnamed = Vec::new();
    for part in [
        "evidence", "outputs", "plans", "samples", "given", "messages",
    ] {
        let entries = std::fs::read_dir(folder.join(part));
        for entry in entries.into_iter().flatten().flatten() {
            let path = format!("{part}/{}", entry.file_name().to_string_lossy());
            let vouched = named.contains_key(&path)
                || (part == "messages"
                    && File::open(entry.path())
                        .and_then(digest_of)
                        .is_ok_and(|digest| sent.contains(&digest)));
            if !vouched {
                unnamed.push(path);
            }
        }
    }
    unnamed.sort();
    unnamed
}

/// What did not travel, by its path, with its SHA-256: evidence of gates that ask for rows, and only
/// in a bundle.
fn withheld(folder: &Path, records: &[Arc<Record>]) -> BTreeMap<String, String> {
    let Some(Event::RunOpened { definition, .. }) = records.first().map(|first| &first.event)
    else {
        return BTreeMap::new();
    };
    let backs = definition.rollbacks.iter().flat_map(|back| &back.gates);
    let asks: BTreeSet<&str> = definition
        .gates()
        .chain(backs)
        .filter(|gate| gate.kind == "query")
        .map(|gate| gate.id.as_str())
        .collect();
    if !folder.join(SUMS).exists() {
        return BTreeMap::new();
    }
    let text = std::fs::read_to_string(folder.join(WITHHELD)).unwrap_or_default();
    let lines = text.lines().filter_map(|line| {
        let (digest, path) = line.split_once("  ")?;
        let name = path.strip_prefix("evidence/")?.strip_suffix(".json")?;
        let (gate, _) = name.rsplit_once('-')?;
        asks.contains(gate)
            .then(|| (path.to_owned(), digest.to_owned()))
    });
    lines.collect()
}

/// Compares what a bundle shows of signatures with what the journal says, and says what in it
/// nothing vouches for.
pub(super) fn shown(folder: &Path, run: &Run, records: &[Arc<Record>]) -> Vec<Checked> {
    let wanted = super::bundle_signatures::files(run, records);
    let mut found = BTreeSet::new();
    for part in ["signatures", "signers"] {
        let entries = std::fs::read_dir(folder.join(part));
        for entry in entries.into_iter().flatten().flatten() {
            found.insert(format!("{part}/{}", entry.file_name().to_string_lossy()));
        }
    }
    let mut checks = Vec::new();
    if let Some(more) = found.iter().find(|path| !wanted.contains_key(*path)) {
        checks.push(Checked::wrong(
            "signatures",
            format!("{more} is not of this run"),
        ));
    }
    for (path, content) in &wanted {
        let there = open_plain(folder, path).and_then(digest_of);
        if there.ok() != Some(digest(content)) {
            let words = format!("{path} is not what the journal says");
            checks.push(Checked::wrong("signatures", words));
        }
    }
    let words = "report.html and report.md are for reading; nothing vouches for what they say";
    checks.push(Checked::unchecked("bundle", words));
    checks
}

/// Evidence of attempts that the journal does not know: it was cut.
pub(super) fn unknown(folder: &Path, records: &[Arc<Record>]) -> Option<Checked> {
    let mut known = BTreeSet::new();
    for record in records {
        if let Event::GateStarted { gate, attempt, .. } = &record.event {
            known.insert(format!("{gate}-{attempt}.json"));
        }
    }
    let entries = std::fs::read_dir(folder.join("evidence"));
    let names = entries.into_iter().flatten().flatten();
    let mut names = names.map(|entry| entry.file_name().to_string_lossy().into_owned());
    let name = names.find(|name| name.ends_with(".json") && !known.contains(name))?;
    let words =
        format!("evidence/{name} is of an attempt that the journal does not know: it was cut");
    Some(Checked::wrong("documents", words))
}

/// Compares a bundle with its own list: nothing changed, nothing missing, nothing added.
pub(super) fn sums(folder: &Path) -> Checked {
    match check_sums(folder) {
        Ok(files) => Checked::good("bundle", format!("{files} files are what {SUMS} says")),
        Err(words) => Checked::wrong("bundle", words),
    }
}

fn check_sums(folder: &Path) -> Result<usize, String> {
    let text = std::fs::read_to_string(folder.join(SUMS))
        .map_err(|error| format!("{SUMS} cannot be read: {error}"))?;
    let mut listed = BTreeSet::new();
    for (number, line) in text.split_inclusive('\n').enumerate() {
        let parts = line
            .strip_suffix('\n')
            .and_then(|line| line.split_once("  "));
        let Some((wanted, path)) = parts.filter(|(digest, _)| digest.len() == 64) else {
            return Err(format!("line {} of {SUMS} is none", number + 1));
        };
        let found = open_plain(folder, path).and_then(digest_of);
        match found {
            Ok(found) if found == wanted => {}
            Ok(_) => return Err(format!("{path} is not what {SUMS} says")),
            Err(error) => return Err(format!("{path} cannot be read: {error}")),
        }
        if !listed.insert(path.to_owned()) {
            return Err(format!("{SUMS} lists {path} twice"));
        }
    }
    let there = super::bundle::files_below(folder).map_err(|error| error.to_string())?;
    for path in there.iter().filter(|path| *path != SUMS) {
        if !listed.contains(path) {
            return Err(format!("{path} is not in {SUMS}"));
        }
    }
    Ok(listed.len())
}
