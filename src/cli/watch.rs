//! `run --watch`: follows a run that somebody else holds, and takes its conn where that is granted.

use std::io::IsTerminal as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Runtime;

use super::arguments::{Look, RunArguments};
use super::run::{Kept, console_options, in_console, runs_folder};
use super::{Exit, address, runtime, say};
use crate::console::{self, Console, ConsoleEnd};
use crate::control::watch::{Schema, Source, runs};
use crate::control::{Address, folder::Folder};
use crate::engine::{
    self, EngineHandle, OpenOptions, Taking, WatchOptions, Which, open_taken, take,
};
use crate::postgres::environment::Environment;
use crate::promotion::{Actor, Via};
use crate::system::user_name;
use crate::untrusted::clean_line;

/// How long a holder may take to answer what is handed in.
const ANSWER: Duration = Duration::from_secs(60);

/// What is watched, and how to take it.
struct Watched {
    run: String,
    /// Where the control schema is; without it the run's folder is followed.
    address: Option<Address>,
    options: OpenOptions,
    look: Look,
    reason: Option<String>,
}

/// What comes after a console.
enum Next {
    Left(Exit),
    Watch,
    Hold(Box<(Arc<EngineHandle>, color_eyre::Result<Console>)>),
}

pub(super) fn run(arguments: &RunArguments) -> Exit {
    let Some(runs_folder) = runs_folder(&arguments.place) else {
        return Exit::Error;
    };
    let given = arguments.place.operator.clone();
    let options = OpenOptions {
        which: Which::Named(String::new()),
        vars: std::collections::BTreeMap::new(),
        runs_folder,
        operator: given.unwrap_or_else(user_name),
        via: Via::Console,
        surroundings: Environment::of_process(),
    };
    let address = match arguments.control.as_deref().map(address::resolve) {
        Some(Ok(info)) => Some(Address::new(info, None)),
        Some(Err(reason)) => {
            return trouble(&reason, "name a database that is there", Exit::Config);
        }
        None => None,
    };
    let terminal = std::io::stdin().is_terminal() && std::io::stdout().is_terminal();
    if !terminal && arguments.hand_in.is_none() {
        let next = "watch in a terminal, or add --hand-in FILE";
        return trouble(
            "watching needs a terminal, and this is none",
            next,
            Exit::Usage,
        );
    }
    let Ok(runtime) = runtime() else {
        return Exit::Error;
    };
    let wanted = arguments.watch.clone().unwrap_or_default();
    let run = match named(&runtime, wanted, address.as_ref(), &options) {
        Ok(run) => run,
        Err(exit) => return exit,
    };
    let watched = Watched {
        run,
        address,
        options,
        look: arguments.look,
        reason: None,
    };
    let exit = match &arguments.hand_in {
        Some(file) => runtime.block_on(hand_in(&watched, file)),
        None => go_on(&runtime, &watched, Next::Watch),
    };
    runtime.shutdown_timeout(Duration::from_secs(1));
    exit
}

/// Shows a run that must not be gone on with, and why.
pub(super) fn look_only(options: &OpenOptions, run: &str, reason: String, look: Look) -> Exit {
    let Ok(runtime) = runtime() else {
        return Exit::Error;
    };
    let watched = Watched {
        run: run.to_owned(),
        address: None,
        options: options.clone(),
        look,
        reason: Some(reason),
    };
    match go_on(&runtime, &watched, Next::Watch) {
        Exit::Well => Exit::Unknown,
        exit => exit,
    }
}

/// Holds a run in its console; once its conn is handed over, watches it.
pub(super) fn from_holding(
    runtime: &Runtime,
    holding: (Arc<EngineHandle>, color_eyre::Result<Console>),
    options: &OpenOptions,
    look: Look,
) -> Exit {
    let snapshot = holding.0.snapshot();
    let control = snapshot.runbook.control.as_ref();
    let address = control.and_then(|control| Address::of(control, &options.surroundings).ok());
    let watched = Watched {
        run: snapshot.run.id.clone(),
        address,
        options: options.clone(),
        look,
        reason: None,
    };
    drop(snapshot);
    go_on(runtime, &watched, Next::Hold(Box::new(holding)))
}

fn go_on(runtime: &Runtime, watched: &Watched, mut next: Next) -> Exit {
    loop {
        next = match next {
            Next::Left(exit) => return exit,
            Next::Watch => watch(runtime, watched),
            Next::Hold(holding) => {
                let (handle, console) = *holding;
                match runtime.block_on(in_console(handle, console, Kept::Kept)) {
                    (_, ConsoleEnd::HandedOver) => Next::Watch,
                    (exit, _) => Next::Left(exit),
                }
            }
        };
    }
}

/// The run that is meant; the newest where none is named.
fn named(
    runtime: &Runtime,
    wanted: String,
    address: Option<&Address>,
    options: &OpenOptions,
) -> Result<String, Exit> {
    if !wanted.is_empty() {
        return Ok(wanted);
    }
    let newest = match address {
        Some(address) => match runtime.block_on(runs(address)) {
            Ok(runs) => runs.into_iter().next().map(|row| row.id),
            Err(error) => {
                let next = "mend the address, or install the schema: stagegate control URL";
                return Err(trouble(&error.to_string(), next, Exit::Error));
            }
        },
        None => engine::list(&options.runs_folder)
            .into_iter()
            .next()
            .map(|listed| listed.name),
    };
    newest.ok_or_else(|| {
        let next = "name a run; list those of this machine with: stagegate runs";
        trouble("there is no run to be watched", next, Exit::Error)
    })
}

fn watch(runtime: &Runtime, watched: &Watched) -> Next {
    let handle = match runtime.block_on(follow(watched)) {
        Ok(handle) => Arc::new(handle),
        Err(exit) => return Next::Left(exit),
    };
    let console = {
        let _inside = runtime.enter();
        console::open(&handle, console_options(watched.look))
    };
    let lived = match console {
        Ok(console) => runtime.block_on(console.live()),
        Err(error) => Err(error),
    };
    match lived {
        Ok(ConsoleEnd::Taking(taking)) => take_conn(runtime, watched, taking),
        Ok(ConsoleEnd::HungUp | ConsoleEnd::Terminated) => Next::Left(Exit::Interrupted),
        Ok(_) => {
            say::note(&format!("run {}: no longer watched", watched.run));
            Next::Left(Exit::Well)
        }
        Err(error) => Next::Left(trouble(
            &format!("the console ended: {error}"),
            "watch again; the run is not touched by that",
            Exit::Error,
        )),
    }
}

async fn follow(watched: &Watched) -> Result<EngineHandle, Exit> {
    let folder = watched.options.runs_folder.join(&watched.run);
    let source = match &watched.address {
        Some(address) => Source::Schema(Box::new(Schema::new(address.clone(), &watched.run))),
        None => Source::Folder(Folder::new(&folder)),
    };
    let options = WatchOptions {
        run: watched.run.clone(),
        source,
        runs_folder: watched.options.runs_folder.clone(),
        actor: Actor {
            name: watched.options.operator.clone(),
            via: Via::Console,
        },
        reason: watched.reason.clone(),
    };
    engine::watch(options).await.map_err(|error| {
        let next = "look at the run's name, and where it is: --control URL, --runs-dir FOLDER";
        trouble(&error.to_string(), next, Exit::Error)
    })
}

fn take_conn(runtime: &Runtime, watched: &Watched, taking: Taking) -> Next {
    let Some(address) = &watched.address else {
        return Next::Left(Exit::Error);
    };
    let (run, options) = (&watched.run, &watched.options);
    let taken = match runtime.block_on(take(address, run, &taking, options)) {
        Ok(taken) => taken,
        Err(error) => {
            let next = "watch the run again, and see who has the conn";
            return Next::Left(trouble(&error.to_string(), next, Exit::Held));
        }
    };
    if let Some(aside) = &taken.set_aside {
        say::note(&format!(
            "stagegate: the folder that was here tells another history; it is now {}",
            aside.display()
        ));
    }
    let handle = match open_taken(run, &taken, options) {
        Ok(handle) => Arc::new(handle),
        Err(error) => return Next::Left(say::open_error(&error)),
    };
    let console = {
        let _inside = runtime.enter();
        console::open(&handle, console_options(watched.look))
    };
    if let Err(error) = handle.begin(runtime.handle()) {
        drop(console);
        return Next::Left(say::open_error(&error));
    }
    Next::Hold(Box::new((handle, console)))
}

async fn hand_in(watched: &Watched, file: &Path) -> Exit {
    let text = match std::fs::read_to_string(file) {
        Ok(text) => text,
        Err(error) => {
            let what = format!("{}: {error}", file.display());
            return trouble(&what, "name a file that is text", Exit::Config);
        }
    };
    let handle = match follow(watched).await {
        Ok(handle) => handle,
        Err(exit) => return exit,
    };
    match tokio::time::timeout(ANSWER, handle.hand_in(text.into_bytes(), String::new())).await {
        Ok(Ok(words)) => {
            say::data(&format!("{}\n", clean_line(&words)));
            match words.starts_with("refused") {
                true => Exit::NotPassed,
                false => Exit::Well,
            }
        }
        Ok(Err(error)) => trouble(
            &error.to_string(),
            "mend that, and hand it in again",
            Exit::Error,
        ),
        Err(_) => trouble(
            "the holder has not answered; the text lies in the inbox",
            "look at the run with: stagegate run --watch",
            Exit::Unknown,
        ),
    }
}

fn trouble(what: &str, next: &str, exit: Exit) -> Exit {
    say::Trouble {
        what: what.to_owned(),
        untouched: "the run, and who has its conn",
        next: next.to_owned(),
        evidence: "this message".to_owned(),
    }
    .say();
    exit
}
