//! `doctor`: the programs that the product works with, and what is missing.

use std::io::{BufRead as _, IsTerminal as _};

use super::arguments::DoctorArguments;
use super::{Exit, say};
use crate::postgres::programs::{self, ProgramMissing};
use crate::system::process::find_program;

/// Programs of PostgreSQL, with what they are needed for.
const PROGRAMS: [(&str, &str); 5] = [
    ("pg_dump", "backups"),
    ("pg_restore", "verifying backups"),
    ("psql", "looking by hand"),
    ("postgres", "private servers: demo and tests"),
    ("initdb", "private servers: demo and tests"),
];

pub(super) fn run(arguments: &DoctorArguments) -> Exit {
    let mut missing: Option<ProgramMissing> = None;
    for (name, why) in PROGRAMS {
        match programs::find(name) {
            Ok(found) => {
                let (version, path) = (&found.version, found.path.display());
                say::data(&format!("well     {name:<11} {version:<28} {path}\n"));
            }
            Err(error) => {
                say::data(&format!("missing  {name:<11} for {why}\n"));
                missing = missing.or(Some(error));
            }
        }
    }
    match find_program("git", std::path::Path::new("/")) {
        Some(path) => say::data(&format!(
            "well     {:<11} {:<28} {}\n",
            "git",
            "",
            path.display()
        )),
        None => say::data("missing  git         for the demo's repository\n"),
    }
    let Some(missing) = missing else {
        return Exit::Well;
    };
    say::note(&format!("stagegate: {missing}"));
    if arguments.fix && offer_to_install(&missing) {
        return run(&DoctorArguments { fix: false });
    }
    Exit::Error
}

/// Asks, and runs the command that installs what is missing. `true` when it was run and did well.
pub(super) fn offer_to_install(missing: &ProgramMissing) -> bool {
    if !std::io::stdin().is_terminal() || missing.install.is_empty() {
        return false;
    }
    say::note(&format!(
        "Run `{}` now? Type yes to do so:",
        missing.install
    ));
    let mut answer = String::new();
    let read = std::io::stdin().lock().read_line(&mut answer);
    if read.is_err() || answer.trim() != "yes" {
        return false;
    }
    let mut words = missing.install.split_whitespace();
    let Some(program) = words.next() else {
        return false;
    };
    let status = std::process::Command::new(program).args(words).status();
    status.is_ok_and(|status| status.success())
}
