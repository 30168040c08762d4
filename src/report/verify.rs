//! Checks a run's folder, or a bundle that was unpacked, trusting nothing in it.

use std::path::Path;

use serde::Serialize;

use super::verify_chain;
use super::verify_documents;
use crate::engine::{self, ReadRun, read_run};
use crate::promotion::{Event, Journal};

/// What one check came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "found", content = "words", rename_all = "snake_case")]
pub enum Found {
    Good(String),
    /// Something was changed, is missing, or contradicts something else.
    Wrong(String),
    /// It could not be checked here, and why.
    Unchecked(String),
}

/// One check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Checked {
    /// What was checked, such as `journal`.
    pub what: String,
    #[serde(flatten)]
    pub found: Found,
    /// The first record that is wrong, where it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub record: Option<u64>,
}

impl Checked {
    pub(super) fn good(what: &str, words: impl Into<String>) -> Checked {
        Checked::of(what, Found::Good(words.into()))
    }

    pub(super) fn wrong(what: &str, words: impl Into<String>) -> Checked {
        Checked::of(what, Found::Wrong(words.into()))
    }

    pub(super) fn unchecked(what: &str, words: impl Into<String>) -> Checked {
        Checked::of(what, Found::Unchecked(words.into()))
    }

    fn of(what: &str, found: Found) -> Checked {
        Checked {
            what: what.to_owned(),
            found,
            record: None,
        }
    }

    pub(super) fn at(mut self, record: u64) -> Checked {
        self.record = Some(record);
        self
    }
}

/// What was checked, and the run where it could be read.
pub struct Verification {
    pub checks: Vec<Checked>,
    pub read: Option<ReadRun>,
}

impl Verification {
    /// Of something that cannot be looked into.
    pub fn broken(words: String) -> Verification {
        Verification {
            checks: vec![Checked::wrong("bundle", words)],
            read: None,
        }
    }

    /// Tells whether nothing was found to be wrong.
    pub fn holds(&self) -> bool {
        let wrong = |checked: &Checked| matches!(checked.found, Found::Wrong(_));
        !self.checks.iter().any(wrong)
    }
}

/// The runbook is the one of the run, and the first record says of it what it says itself.
fn runbook(read: &ReadRun) -> Checked {
    let snapshot = &read.snapshot;
    let first = snapshot.records.first().map(|record| &record.event);
    if let Some(Event::RunOpened { definition, .. }) = first {
        let mut again = engine::definition(&snapshot.runbook);
        // The lists of keys are pinned beside it; whether there are any is the runbook's to say.
        if snapshot.runbook.signatures.is_some() {
            again.signatures.clone_from(&definition.signatures);
        }
        if again != **definition
            || again.signatures.is_some() != snapshot.runbook.signatures.is_some()
        {
            let words = "the first record tells other gates, roles or rules than runbook.toml";
            return Checked::wrong("runbook", words).at(1);
        }
    }
    let digest = &snapshot.run.definition.runbook_digest;
    let words = format!("is the one that the run was opened with, {}", &digest[..12]);
    Checked::good("runbook", words)
}

/// Checks a run's folder, or an unpacked bundle: every digest, the chain, what the records say
/// against what folding them gives, and every document that they name. Asks no database.
pub fn verify(folder: &Path) -> Verification {
    let mut checks = Vec::new();
    if folder.join(super::bundle::SUMS).exists() {
        checks.push(verify_documents::sums(folder));
    }
    let bytes = match std::fs::read(folder.join("journal.jsonl")) {
        Ok(bytes) => bytes,
        Err(error) => {
            let words = format!("journal.jsonl cannot be read: {error}");
            checks.push(Checked::wrong("journal", words));
            return Verification { checks, read: None };
        }
    };
    let journal = match Journal::read(&bytes) {
        Ok(journal) => journal,
        Err(damage) => {
            let wrong = Checked::wrong("journal", damage.reason.clone());
            checks.push(wrong.at(damage.record));
            return Verification { checks, read: None };
        }
    };
    checks.push(verify_chain::chain(&journal));
    checks.push(verify_chain::fold(&journal));
    checks.extend(verify_chain::signatures(&journal));
    let read = match read_run(folder) {
        Ok(read) => {
            checks.push(runbook(&read));
            Some(read)
        }
        Err(error) => {
            checks.push(Checked::wrong("runbook", error.to_string()));
            None
        }
    };
    checks.extend(verify_documents::documents(folder, &journal.records));
    checks.extend(verify_documents::unknown(folder, &journal.records));
    if let Some(read) = &read
        && folder.join(super::bundle::SUMS).exists()
    {
        let run = &read.snapshot.run;
        checks.extend(verify_documents::shown(folder, run, &journal.records));
    }
    if let Some(read) = &read {
        checks.push(verify_chain::verdicts(&read.snapshot));
    }
    Verification { checks, read }
}
