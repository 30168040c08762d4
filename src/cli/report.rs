//! `report` and `bundle`: a run for those who were not there.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use super::arguments::Place;
use super::report_arguments::{BundleArguments, ReportArguments, ReportFormat};
use super::{Exit, run::runs_folder, say};
use crate::console;
use crate::console::screen::text::{DocLine, Ink};
use crate::digest::digest;
use crate::engine::{ReadRun, read_run};
use crate::promotion::GateState;
use crate::report::{self, Facts, Line, Piece, Tone};
use crate::system::durable::write_whole;

/// How wide what the console shows is made for a report.
const WIDTH: usize = 104;

pub(super) fn run(arguments: &ReportArguments) -> Exit {
    let Some((_, read)) = open(&arguments.run, &arguments.place) else {
        return Exit::Error;
    };
    let facts = facts(read.snapshot, read.missing);
    let text = match arguments.format {
        ReportFormat::Md => Ok(report::markdown(&facts)),
        ReportFormat::Html => report::html(&facts).map_err(|error| error.to_string()),
        ReportFormat::Junit => report::junit(&facts).map_err(|error| error.to_string()),
        ReportFormat::Json => serde_json::to_string_pretty(&facts)
            .map(|text| text + "\n")
            .map_err(|error| error.to_string()),
    };
    let text = match text {
        Ok(text) => text,
        Err(reason) => {
            trouble(
                &format!("the report cannot be made: {reason}"),
                &arguments.run,
            );
            return Exit::Error;
        }
    };
    let Some(out) = &arguments.out else {
        say::data(&text);
        return Exit::Well;
    };
    write(out, text.as_bytes())
}

pub(super) fn bundle(arguments: &BundleArguments) -> Exit {
    let Some((folder, read)) = open(&arguments.run, &arguments.place) else {
        return Exit::Error;
    };
    let facts = facts(read.snapshot.clone(), read.missing.clone());
    let mut bytes = Vec::new();
    if let Err(error) = report::write_bundle(&folder, &read, &facts, &mut bytes) {
        trouble(
            &format!("the bundle cannot be made: {error}"),
            &arguments.run,
        );
        return Exit::Error;
    }
    let name = format!("stagegate-{}.tar.zst", read.snapshot.run.id);
    let out = arguments.out.clone().unwrap_or_else(|| name.into());
    if out == Path::new("-") {
        let _ = std::io::stdout().lock().write_all(&bytes);
        return Exit::Well;
    }
    let exit = write(&out, &bytes);
    if exit == Exit::Well {
        let head = &read.snapshot.run.head;
        let (shown, sum) = (out.display(), digest(&bytes));
        say::data(&format!("{sum}  {shown}\n"));
        say::note(&format!(
            "journal's head {head}; tell it to whoever will check this"
        ));
    }
    exit
}

/// Reads a run by its name or its folder; says why it cannot.
pub(super) fn open(run: &str, place: &Place) -> Option<(PathBuf, ReadRun)> {
    let folder = folder(run, place)?;
    match read_run(&folder) {
        Ok(read) => Some((folder, read)),
        Err(error) => {
            trouble(&format!("the run cannot be read: {error}"), run);
            None
        }
    }
}

/// The folder of a run that is given by its name or by its folder.
pub(super) fn folder(run: &str, place: &Place) -> Option<PathBuf> {
    let given = PathBuf::from(run);
    if given.join("journal.jsonl").is_file() {
        return Some(given);
    }
    let runs = runs_folder(place)?;
    let folder = runs.join(run);
    if folder.join("journal.jsonl").is_file() {
        return Some(folder);
    }
    say::Trouble {
        what: format!("there is no run `{run}` in {}", runs.display()),
        untouched: "nothing was read or written",
        next: "list the runs with: stagegate runs; name another folder with --runs-dir".to_owned(),
        evidence: "this message".to_owned(),
    }
    .say();
    None
}

fn trouble(what: &str, run: &str) {
    say::Trouble {
        what: what.to_owned(),
        untouched: "the run and its folder",
        next: format!("see what is wrong with: stagegate verify {run}"),
        evidence: "the run's folder".to_owned(),
    }
    .say();
}

fn write(out: &Path, bytes: &[u8]) -> Exit {
    // What it holds is for whoever it is sent to: nobody else on this machine reads it.
    let written = std::path::absolute(out).and_then(|path| write_whole(&path, bytes));
    match written {
        Ok(()) => Exit::Well,
        Err(error) => {
            say::Trouble {
                what: format!("{} cannot be written: {error}", out.display()),
                untouched: "the run and its folder",
                next: "name another file with --out".to_owned(),
                evidence: "this message".to_owned(),
            }
            .say();
            Exit::Error
        }
    }
}

/// The facts of a run, without rows.
pub(super) fn facts(mut snapshot: crate::engine::Snapshot, missing: Vec<String>) -> Facts {
    report::withhold(&mut snapshot);
    let pages: BTreeMap<String, Vec<Line>> = console::pages(&snapshot, WIDTH)
        .into_iter()
        .map(|(gate, lines)| (gate, lines.iter().map(line).collect()))
        .collect();
    report::gather(&snapshot, missing, |gate| {
        pages.get(gate).cloned().unwrap_or_default()
    })
}

fn line(line: &DocLine) -> Line {
    let pieces = line.spans.iter().map(|span| Piece {
        tone: tone(span.ink),
        text: span.text.clone(),
    });
    Line {
        pieces: pieces.collect(),
    }
}

fn tone(ink: Ink) -> Tone {
    match ink {
        Ink::Plain | Ink::Literal => Tone::Plain,
        Ink::Strong => Tone::Strong,
        Ink::Muted => Tone::Muted,
        Ink::Heading => Tone::Heading,
        Ink::Good => Tone::Good,
        Ink::Warning => Tone::Warning,
        Ink::Bad => Tone::Bad,
        Ink::Accent | Ink::Word => Tone::Accent,
        Ink::State(state) => match state {
            state if state.advances() => Tone::Good,
            GateState::Failed | GateState::Errored | GateState::InDoubt => Tone::Bad,
            GateState::Pending => Tone::Muted,
            _ => Tone::Warning,
        },
    }
}
