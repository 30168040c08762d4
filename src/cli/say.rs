//! What is written outside of the console: data to stdout, everything else to stderr.

use std::fmt::Write as _;
use std::io::Write as _;

use super::Exit;
use crate::engine::{OpenError, StoreError};
use crate::untrusted::clean;

/// Writes data. A reader that has gone away changes nothing about the work.
pub(super) fn data(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes());
    let _ = out.flush();
}

/// Writes everything that is not data.
pub(super) fn note(text: &str) {
    let mut err = std::io::stderr().lock();
    let _ = err.write_all(text.as_bytes());
    let _ = err.write_all(b"\n");
}

/// An error as a person needs it: what is true, what was not touched, what can be done, and where
/// the evidence is.
pub(super) struct Trouble<'a> {
    pub(super) what: String,
    pub(super) untouched: &'a str,
    pub(super) next: String,
    pub(super) evidence: String,
}

impl Trouble<'_> {
    /// Writes it to stderr.
    pub(super) fn say(&self) {
        let mut text = String::new();
        let _ = writeln!(text, "stagegate: {}", clean(&self.what));
        let _ = writeln!(text, "  not touched: {}", self.untouched);
        let _ = writeln!(text, "  you can:     {}", self.next);
        let _ = write!(text, "  evidence:    {}", self.evidence);
        note(&text);
    }
}

/// Explains why a run could not be opened.
pub(super) fn open_error(error: &OpenError) -> Exit {
    let (next, exit) = match error {
        OpenError::Runbook(problems) => {
            let colour = std::io::IsTerminal::is_terminal(&std::io::stderr())
                && std::env::var_os("NO_COLOR").is_none();
            note(problems.render(colour).trim_end());
            return Exit::Config;
        }
        OpenError::Read { .. } => ("name a runbook that can be read".to_owned(), Exit::Config),
        OpenError::Signers { .. } => (
            "mend the lists of keys, or what the runbook says of them".to_owned(),
            Exit::Config,
        ),
        OpenError::Address { .. } => (
            "set what the address names, or mend `url` in the runbook".to_owned(),
            Exit::Config,
        ),
        OpenError::Store(StoreError::Locked { run, .. }) => (
            format!("end that process, or wait for it; then: stagegate run --resume {run}"),
            Exit::Held,
        ),
        OpenError::Store(StoreError::Damaged { .. }) => (
            "restore the journal from a copy; it is not mended by guessing".to_owned(),
            Exit::Error,
        ),
        OpenError::Store(StoreError::NoSuchRun { .. }) | OpenError::NothingToResume { .. } => {
            ("list the runs with: stagegate runs".to_owned(), Exit::Error)
        }
        OpenError::Store(StoreError::RunbookChanged { .. }) => (
            "put back the runbook's copy, or open a new run".to_owned(),
            Exit::Config,
        ),
        OpenError::Ended { .. } => ("open a new run, without --resume".to_owned(), Exit::Error),
        OpenError::Store(_) | OpenError::Journal { .. } => (
            "choose a folder that can be written: --runs-dir FOLDER".to_owned(),
            Exit::Error,
        ),
        OpenError::HandedOver { run, .. } => (
            format!("follow it, and ask for the conn: stagegate run --watch {run} --control URL"),
            Exit::Held,
        ),
        OpenError::Behind { run, .. } => (
            format!("put the journal back whole, or look at it with: stagegate run --watch {run}"),
            Exit::Unknown,
        ),
        OpenError::Refused(_) => (
            "look at the run with: stagegate runs".to_owned(),
            Exit::Error,
        ),
    };
    let evidence = match error {
        OpenError::Store(StoreError::Damaged { path, .. }) => path.clone(),
        _ => "this message; no run was changed".to_owned(),
    };
    Trouble {
        what: error.to_string(),
        untouched: "nothing was started",
        next,
        evidence,
    }
    .say();
    exit
}
