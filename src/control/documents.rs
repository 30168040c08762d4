//! Which files of a run's folder other terminals may see.
//!
//! What programs wrote (`outputs`) and rows of data (`samples`) stay where they are: nobody knows
//! what they hold.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::SystemTime;

use crate::digest::digest;
use crate::postgres::control_rows::Document;

/// The part of the run's own copy of its runbook.
pub const RUNBOOK: (&str, &str) = ("", "runbook.toml");
/// The part of what gates found.
pub const EVIDENCE: &str = "evidence";
/// The folders whose files are documents.
const PARTS: [&str; 5] = ["plans", EVIDENCE, "messages", "given", "statements"];
/// A larger one is not copied; the control schema would refuse it.
const LARGEST: u64 = 8 << 20;
/// How much is read before it is sent.
const AT_ONCE: u64 = 4 << 20;

/// What was seen of a run's documents.
#[derive(Debug, Default)]
pub struct Documents {
    seen: BTreeMap<(String, String), (u64, SystemTime)>,
    /// Those that are too large, until somebody has said so.
    pub too_large: Vec<String>,
}

/// A document that was found, and how it stood when it was.
type Found = ((String, String), (u64, SystemTime));

impl Documents {
    /// Reads documents that are new or changed, as many as are sent at a time. They count as seen
    /// only once [`Documents::sent`] says so.
    pub fn news(&mut self, folder: &Path) -> Vec<(Found, Document)> {
        let mut news = Vec::new();
        let mut bytes = 0;
        for found in self.changed(folder) {
            let ((part, name), (size, _)) = &found;
            if *size > LARGEST {
                self.too_large.push(name.clone());
                let (key, stood) = found;
                self.seen.insert(key, stood);
                continue;
            }
            if bytes > 0 && bytes + size > AT_ONCE {
                break;
            }
            let Ok(content) = fs::read(folder.join(part).join(name)) else {
                continue;
            };
            bytes += size;
            let document = Document {
                part: part.clone(),
                name: name.clone(),
                sha256: digest(&content),
                content,
            };
            news.push((found, document));
        }
        news
    }

    /// Says that documents have arrived.
    pub fn sent(&mut self, found: impl Iterator<Item = Found>) {
        self.seen.extend(found);
    }

    fn changed(&self, folder: &Path) -> Vec<Found> {
        let mut places = vec![(RUNBOOK.0.to_owned(), RUNBOOK.1.to_owned())];
        for part in PARTS {
            let entries = fs::read_dir(folder.join(part)).into_iter().flatten();
            for entry in entries.flatten() {
                if let Ok(name) = entry.file_name().into_string() {
                    places.push((part.to_owned(), name));
                }
            }
        }
        let stands = |(part, name): (String, String)| {
            let known = fs::symlink_metadata(folder.join(&part).join(&name)).ok()?;
            let stood = (known.len(), known.modified().ok()?);
            Some(((part, name), stood)).filter(|_| known.is_file())
        };
        let found = places.into_iter().filter_map(stands);
        found
            .filter(|(key, stood)| self.seen.get(key) != Some(stood))
            .collect()
    }
}

/// Tells whether a document may be written into a run's folder: a known part, a plain name.
pub fn is_plain(part: &str, name: &str) -> bool {
    let plain = !name.is_empty()
        && !name.starts_with('.')
        && !name.contains(['/', '\\', '\0'])
        && name.len() <= 255;
    plain && (PARTS.contains(&part) || (part, name) == RUNBOOK)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_are_found_once_and_what_programs_wrote_is_not() {
        let folder = tempfile::tempdir().unwrap();
        for (part, name) in [("plans", "a.txt"), ("outputs", "o.log"), ("samples", "s")] {
            fs::create_dir_all(folder.path().join(part)).unwrap();
            fs::write(folder.path().join(part).join(name), name).unwrap();
        }
        fs::write(folder.path().join("runbook.toml"), "x").unwrap();
        let mut documents = Documents::default();
        let news = documents.news(folder.path());
        let names: Vec<&str> = news.iter().map(|(_, d)| d.name.as_str()).collect();
        assert_eq!(names, ["runbook.toml", "a.txt"]);
        assert_eq!(documents.news(folder.path()).len(), 2, "not sent yet");
        documents.sent(news.into_iter().map(|(found, _)| found));
        assert!(documents.news(folder.path()).is_empty());
        fs::write(folder.path().join("plans").join("a.txt"), "longer").unwrap();
        assert_eq!(documents.news(folder.path()).len(), 1);
    }

    #[test]
    fn names_from_elsewhere_cannot_leave_the_folder() {
        assert!(is_plain("plans", "a.txt"));
        assert!(is_plain("", "runbook.toml"));
        for (part, name) in [
            ("", "journal.jsonl"),
            ("..", "x"),
            ("plans", "../x"),
            ("plans", ".."),
            ("outputs", "o.log"),
            ("plans", ""),
        ] {
            assert!(!is_plain(part, name), "{part}/{name}");
        }
    }
}
