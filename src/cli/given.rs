//! `--paste GATE=FILE`: plans that a headless run gives its gates.

use std::io::Read as _;

use super::{Exit, say};
use crate::headless::Given;
use crate::promotion::Run;
use crate::sql::elsewhere::{self, LARGEST_PLAN};
use crate::untrusted::clean_line;

/// Reads the files that were named; `-` is standard input. Says why one cannot be taken.
pub(super) fn read(pastes: &[(String, String)]) -> Result<Given, Exit> {
    let mut given = Given::default();
    for (gate, file) in pastes {
        let text = text_of(file).map_err(|why| {
            let what = format!("the plan for gate `{gate}` cannot be taken: {file}: {why}");
            trouble(&what, "name a text file, or - for standard input")
        })?;
        if given.0.insert(gate.clone(), text).is_some() {
            let what = format!("gate `{gate}` is given two plans");
            return Err(trouble(&what, "give it the one that is shown now"));
        }
    }
    Ok(given)
}

/// Reads one such text, which must be one that can be judged.
pub(super) fn text_of(file: &str) -> Result<Vec<u8>, String> {
    let limit = LARGEST_PLAN as u64 + 1;
    let mut bytes = Vec::new();
    let read = match file {
        "-" => std::io::stdin().lock().take(limit).read_to_end(&mut bytes),
        file => std::fs::File::open(file).and_then(|f| f.take(limit).read_to_end(&mut bytes)),
    };
    read.map_err(|error| error.to_string())?;
    elsewhere::readable(&bytes)?;
    Ok(bytes)
}

/// Every plan is for a gate that takes one.
pub(super) fn check(given: &Given, run: &Run) -> Result<(), Exit> {
    for gate in given.0.keys() {
        if !run.definition_of(gate).is_some_and(|of| of.pastes) {
            let what = format!("there is no gate `{gate}` that takes a plan from people");
            let next = "name a lint gate that has plan = { paste = true }";
            return Err(trouble(&what, next));
        }
    }
    Ok(())
}

fn trouble(what: &str, next: &str) -> Exit {
    say::Trouble {
        what: clean_line(what),
        untouched: "nothing was started",
        next: next.to_owned(),
        evidence: "this message".to_owned(),
    }
    .say();
    Exit::Usage
}

pub(super) fn parse_paste(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((gate, file)) if !gate.is_empty() && !file.is_empty() => {
            Ok((gate.to_owned(), file.to_owned()))
        }
        _ => Err("write it as gate=file, or gate=- for standard input".to_owned()),
    }
}
