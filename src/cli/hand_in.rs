//! `hand-in`: carries signatures to a run that is not open in a console here.

use std::io::Read as _;
use std::path::Path;

use super::sign_arguments::HandInArguments;
use super::{Exit, runtime, say};
use crate::digest::digest;
use crate::engine::{
    EngineHandle, OpenError, OpenOptions, Request, STATEMENTS, StoreError, Which, open_asleep,
};
use crate::gate::TargetStatus;
use crate::postgres::environment::Environment;
use crate::promotion::Via;
use crate::promotion::signature::LARGEST_REPLY;
use crate::system::durable::{make_private_folder, write_whole};
use crate::system::user_name;
use crate::untrusted::clean_line;

pub(super) fn run(arguments: &HandInArguments) -> Exit {
    let mut texts = Vec::new();
    for file in &arguments.files {
        match read(file) {
            Ok(text) => texts.push((file.as_str(), text)),
            Err(error) => {
                return trouble(
                    &format!("{file}: {error}"),
                    "name files that can be read",
                    Exit::Error,
                );
            }
        }
    }
    let Some(runs_folder) = super::run::runs_folder(&arguments.place) else {
        return Exit::Error;
    };
    let operator = arguments.place.operator.clone().unwrap_or_else(user_name);
    let options = OpenOptions {
        which: Which::Named(arguments.run.clone()),
        vars: std::collections::BTreeMap::new(),
        runs_folder: runs_folder.clone(),
        operator,
        // Nobody signs here: what is handed in was signed elsewhere.
        via: Via::Headless,
        surroundings: Environment::of_process(),
    };
    let handle = match open_asleep(&options) {
        Ok(handle) => handle,
        Err(OpenError::Store(StoreError::Locked { owner, .. })) => {
            return leave(&runs_folder.join(&arguments.run), &owner, &texts);
        }
        Err(error) => return say::open_error(&error),
    };
    let Ok(runtime) = runtime() else {
        return Exit::Error;
    };
    if let Err(error) = handle.begin(runtime.handle()) {
        return say::open_error(&error);
    }
    let exit = runtime.block_on(hand_in(&handle, texts));
    handle.close();
    exit
}

async fn hand_in(handle: &EngineHandle, texts: Vec<(&str, Vec<u8>)>) -> Exit {
    // Statements name databases: those that answer now must be the same ones.
    handle.ask(Request::Look).await;
    let mut snapshots = handle.snapshots();
    let asked = |status: &TargetStatus| {
        !matches!(status, TargetStatus::NotAsked | TargetStatus::Connecting)
    };
    // What is borrowed here would keep the engine from publishing.
    let gone = snapshots
        .wait_for(|snapshot| snapshot.targets.values().all(asked))
        .await
        .is_err();
    if gone {
        let next = "look at the run with: stagegate runs";
        return trouble("the engine has ended", next, Exit::Error);
    }
    let mut exit = Exit::Well;
    for (file, text) in texts {
        let from = format!(
            "handed in by {} from {}",
            handle.actor().name,
            name_of(file)
        );
        match handle.hand_in(text, from).await {
            Ok(words) => say::data(&format!("{}: {}\n", clean_line(file), clean_line(&words))),
            Err(error) => {
                let what = format!("{file}: {error}");
                exit = trouble(&what, "see the reason; the journal has it", Exit::NotPassed);
            }
        }
    }
    let run = &handle.snapshot().run;
    if let Some(gate) = run.current() {
        let (name, state) = (&gate.id, gate.state.word());
        say::note(&format!("run {}: `{name}` is {state}", run.id));
    }
    exit
}

/// Puts the texts where the process looks that has the run open.
fn leave(folder: &Path, owner: &str, texts: &[(&str, Vec<u8>)]) -> Exit {
    let statements = folder.join(STATEMENTS);
    for (file, text) in texts {
        let name = format!("{}-{}.signed", name_of(file), &digest(text)[..8]);
        let put = make_private_folder(&statements)
            .and_then(|()| write_whole(&statements.join(&name), text));
        if let Err(error) = put {
            let what = format!("{}: {error}", statements.display());
            return trouble(&what, "hand it in at that console", Exit::Error);
        }
        say::data(&format!(
            "{}: put beside the statements\n",
            clean_line(file)
        ));
    }
    say::note(&format!(
        "The run is open elsewhere, {owner}; it takes them from there."
    ));
    Exit::Well
}

/// The name of a file without its folders, fit for a name of a file again.
fn name_of(file: &str) -> String {
    let name = Path::new(file)
        .file_stem()
        .unwrap_or_default()
        .to_string_lossy();
    let keep = |c: char| c.is_alphanumeric() || "@-_.+".contains(c);
    match file {
        "-" => "standard-input".to_owned(),
        _ => name
            .chars()
            .map(|c| if keep(c) { c } else { '_' })
            .collect(),
    }
}

fn read(file: &str) -> std::io::Result<Vec<u8>> {
    let limit = LARGEST_REPLY as u64 + 1;
    let mut bytes = Vec::new();
    match file {
        "-" => std::io::stdin()
            .lock()
            .take(limit)
            .read_to_end(&mut bytes)?,
        file => std::fs::File::open(file)?
            .take(limit)
            .read_to_end(&mut bytes)?,
    };
    Ok(bytes)
}

fn trouble(what: &str, next: &str, exit: Exit) -> Exit {
    say::Trouble {
        what: clean_line(what),
        untouched: "a signature counts only when the journal says so",
        next: next.to_owned(),
        evidence: "this message".to_owned(),
    }
    .say();
    exit
}
