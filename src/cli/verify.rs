//! `verify`: checks a run or a bundle, trusting nothing in it.

use std::path::PathBuf;

use super::report_arguments::VerifyArguments;
use super::{Exit, arguments::Format, report::folder, runtime, say};
use crate::postgres::environment::Environment;
use crate::report::{self, Checked, Found, Verification};
use crate::untrusted::clean_line;

pub(super) fn run(arguments: &VerifyArguments) -> Exit {
    // What was unpacked is removed when this goes.
    let Ok(scratch) = tempfile::tempdir() else {
        say::note("stagegate: there is no room for temporary files");
        return Exit::Error;
    };
    let file = PathBuf::from(&arguments.run);
    let verification = if file.is_file() {
        match std::fs::File::open(&file).and_then(|file| report::unpack(file, scratch.path())) {
            Ok(folder) => report::verify(&folder),
            Err(error) => Verification::broken(format!("it does not unpack: {error}")),
        }
    } else {
        let Some(folder) = folder(&arguments.run, &arguments.place) else {
            return Exit::Error;
        };
        report::verify(&folder)
    };
    // A bundle comes from anybody, and so do the addresses in it.
    let asks = match file.is_file() {
        true => arguments.database,
        false => !arguments.no_database,
    };
    let verification = match asks {
        true => with_databases(verification),
        false => verification,
    };
    match arguments.format {
        Format::Text => text(&verification),
        Format::Json => {
            let holds = verification.holds();
            let checks = &verification.checks;
            let value = serde_json::json!({ "format": 1, "holds": holds, "checks": checks });
            say::data(&format!("{value}\n"));
        }
    }
    if verification.holds() {
        Exit::Well
    } else {
        Exit::Error
    }
}

fn with_databases(mut verification: Verification) -> Verification {
    let Some(read) = &verification.read else {
        return verification;
    };
    let Ok(runtime) = runtime() else {
        return verification;
    };
    let surroundings = Environment::of_process();
    let asked = runtime.block_on(report::ask_databases(&read.snapshot, surroundings));
    verification.checks.extend(asked);
    verification
}

fn text(verification: &Verification) {
    for Checked {
        what,
        found,
        record,
    } in &verification.checks
    {
        let at = record.map_or(String::new(), |record| format!(", record {record}"));
        let (sign, words) = match found {
            Found::Good(words) => ("well     ", words),
            Found::Wrong(words) => ("WRONG    ", words),
            Found::Unchecked(words) => ("unchecked", words),
        };
        say::data(&format!("{sign}  {what}{at}: {}\n", clean_line(words)));
    }
    if verification.holds() {
        say::data("it holds\n");
        return;
    }
    let first = verification.checks.iter().filter_map(|c| c.record).min();
    let first = first.map_or(String::new(), |seq| format!("; first at record {seq}"));
    say::data(&format!("IT DOES NOT HOLD{first}\n"));
    say::Trouble {
        what: "what was checked is not what it was".to_owned(),
        untouched: "nothing was changed",
        next: "compare with another copy: a bundle, a watcher's console, the ledger's rows"
            .to_owned(),
        evidence: "the lines above".to_owned(),
    }
    .say();
}
