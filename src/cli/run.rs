//! `run`: walks through a runbook, in the console or headless.

use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::arguments::{Format, Look, Place, RunArguments, Theme};
use super::{Exit, runtime, say};
use crate::console::{self, Console, ConsoleEnd, ConsoleOptions, ThemeName};
use crate::engine::{self, EngineHandle, OpenError, OpenOptions, Snapshot, Which, open_asleep};
use crate::headless::{self, Given, Report, Signals};
use crate::postgres::environment::Environment;
use crate::promotion::{Command, GateState, RunStatus, Via};
use crate::system::user_name;

pub(super) fn run(arguments: RunArguments) -> Exit {
    if arguments.watch.is_some() {
        return super::watch::run(&arguments);
    }
    let Some(which) = which(&arguments) else {
        say::note("stagegate: name a runbook, or --resume a run; see stagegate run --help");
        return Exit::Usage;
    };
    let terminal = std::io::stdin().is_terminal() && std::io::stdout().is_terminal();
    if !arguments.headless && !terminal {
        say::Trouble {
            what: "the console needs a terminal, and this is none".to_owned(),
            untouched: "nothing was started",
            next: "run it in a terminal, or add --headless".to_owned(),
            evidence: "this message".to_owned(),
        }
        .say();
        return Exit::Usage;
    }
    let Some(runs_folder) = runs_folder(&arguments.place) else {
        return Exit::Error;
    };
    let via = match arguments.headless {
        true => Via::Headless,
        false => Via::Console,
    };
    let options = OpenOptions {
        which,
        vars: arguments.vars.into_iter().collect(),
        runs_folder,
        operator: arguments.place.operator.unwrap_or_else(user_name),
        via,
        surroundings: Environment::of_process(),
    };
    let given = match super::given::read(&arguments.paste) {
        Ok(given) => given,
        Err(exit) => return exit,
    };
    let handle = match open_asleep(&options) {
        Ok(handle) => Arc::new(handle),
        Err(error) if arguments.headless => return say::open_error(&error),
        Err(error) => return only_to_look_at(&error, &options, arguments.look),
    };
    if let Err(exit) = super::given::check(&given, &handle.snapshot().run) {
        return exit;
    }
    // The first frame waits for nothing that it does not show: threads come after it.
    let look = arguments.look;
    let console = (!arguments.headless).then(|| console::open(&handle, console_options(look)));
    let console = match super::record::recorded(console, &handle, arguments.record) {
        Ok(console) => console,
        Err(exit) => return exit,
    };
    let Ok(runtime) = runtime() else {
        return Exit::Error;
    };
    if let Err(error) = handle.begin(runtime.handle()) {
        // The terminal is given back before anything is said on it.
        drop(console);
        return say::open_error(&error);
    }
    let exit = match console {
        None => runtime.block_on(walk_headless(handle, given, arguments.format)),
        Some(console) => super::watch::from_holding(&runtime, (handle, console), &options, look),
    };
    runtime.shutdown_timeout(Duration::from_secs(1));
    exit
}

/// A run that must not be gone on with is shown, and why; anything else is said.
fn only_to_look_at(error: &OpenError, options: &OpenOptions, look: Look) -> Exit {
    let (run, reason) = match error {
        OpenError::Behind { run, words } => (run, words.clone()),
        OpenError::HandedOver { run, to } => (
            run,
            format!("the conn was handed over to {to}; run --watch --control URL asks for it"),
        ),
        error => return say::open_error(error),
    };
    super::watch::look_only(options, run, reason, look)
}

/// Which run the arguments mean. `--resume x.toml` can only be a runbook's file.
fn which(arguments: &RunArguments) -> Option<Which> {
    match (&arguments.runbook, arguments.resume.as_deref()) {
        (Some(runbook), None) => Some(Which::New(runbook.clone())),
        (Some(runbook), Some("")) => Some(Which::Latest(runbook.clone())),
        (None, Some(name)) if Path::new(name).is_file() => Some(Which::Latest(name.into())),
        (_, Some(name)) if !name.is_empty() => Some(Which::Named(name.to_owned())),
        _ => None,
    }
}

/// The folder of runs; says why there is none.
pub(super) fn runs_folder(place: &Place) -> Option<PathBuf> {
    let folder = place.runs_dir.clone().or_else(engine::default_runs_folder);
    if folder.is_none() {
        say::note("stagegate: there is no home folder for runs; name one with --runs-dir FOLDER");
    }
    folder
}

async fn walk_headless(handle: Arc<EngineHandle>, given: Given, format: Format) -> Exit {
    let report = match format {
        Format::Text => Report::Text,
        Format::Json => Report::Json,
    };
    let live = std::io::stderr().is_terminal();
    let end = headless::run(
        &handle,
        given,
        (report, live),
        &mut say::data,
        &mut say::note,
    )
    .await;
    let exit = match end {
        headless::End::Closed => Exit::Well,
        headless::End::NotPassed => Exit::NotPassed,
        headless::End::Held => Exit::Held,
        headless::End::Unknown => Exit::Unknown,
        headless::End::Journal => Exit::Error,
        headless::End::Interrupted => Exit::Interrupted,
    };
    if exit != Exit::Well {
        resume_hint(&handle.snapshot(), Kept::Kept);
    }
    close(handle);
    exit
}

/// Ends the engine, when nobody else holds it any more, and says what it said at the end.
fn close(handle: Arc<EngineHandle>) {
    if let Ok(handle) = Arc::try_unwrap(handle) {
        let known = handle.snapshot().notices.len();
        let last = handle.close();
        for notice in last.notices.iter().skip(known) {
            say::note(&format!("stagegate: {notice}"));
        }
    }
}

/// How the console is to look.
pub(super) fn console_options(look: Look) -> ConsoleOptions {
    ConsoleOptions {
        theme: look.theme.map(|theme| match theme {
            Theme::Dark => ThemeName::Dark,
            Theme::Light => ThemeName::Light,
        }),
        no_color: std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty()),
        mouse: !look.no_mouse,
    }
}

/// Tells whether a run outlives its console.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kept {
    Kept,
    /// What it acts on is removed, and the run with it.
    Removed,
}

/// Lives in the console on a run, and sees to what is left when it is closed. Tells also how the
/// console ended.
pub(super) async fn in_console(
    handle: Arc<EngineHandle>,
    console: color_eyre::Result<Console>,
    kept: Kept,
) -> (Exit, ConsoleEnd) {
    let lived = match console {
        Ok(console) => console.live().await,
        Err(error) => Err(error),
    };
    let ended = match lived {
        Ok(end) => end,
        Err(error) => {
            say::Trouble {
                what: format!("the console ended: {error}"),
                untouched: "work that had begun is ended in good order",
                next: "go on with: stagegate run --resume".to_owned(),
                evidence: handle.folder().display().to_string(),
            }
            .say();
            ConsoleEnd::HungUp
        }
    };
    match ended {
        ConsoleEnd::Left | ConsoleEnd::Closed | ConsoleEnd::HandedOver | ConsoleEnd::Taking(_) => {}
        ConsoleEnd::LeftRunning => {
            say::note("The console is closed; the work that is left goes on to its end here.");
            wait_for_work(&handle, true).await;
        }
        ConsoleEnd::HungUp => {
            hold_without_terminal(&handle).await;
            wait_for_work(&handle, false).await;
        }
        ConsoleEnd::Terminated => {
            cancel_work(&handle).await;
            wait_for_work(&handle, false).await;
        }
    }
    let snapshot = handle.snapshot();
    if !matches!(ended, ConsoleEnd::HungUp | ConsoleEnd::HandedOver) {
        resume_hint(&snapshot, kept);
        if let Some(words) = headless::left_out(&snapshot.run) {
            say::note(&format!("  {words}"));
        }
    }
    if snapshot.run.at_work().is_none() {
        close(handle);
    }
    let exit = match (&snapshot.run.status, ended) {
        (RunStatus::Closed, _) => Exit::Well,
        (_, ConsoleEnd::Terminated | ConsoleEnd::HungUp) => Exit::Interrupted,
        _ if snapshot.journal_error.is_some() => Exit::Error,
        _ if in_doubt(&snapshot) => Exit::Unknown,
        _ if snapshot.held.is_some() => Exit::Held,
        _ => Exit::NotPassed,
    };
    (exit, ended)
}

/// Nobody is there to answer any more: the run is held, so that nothing is started before somebody
/// comes back. What is at work goes on to its end.
async fn hold_without_terminal(handle: &EngineHandle) {
    let snapshot = handle.snapshot();
    if matches!(snapshot.run.status, RunStatus::Held(_)) || snapshot.run.status.is_terminal() {
        return;
    }
    let reason = match snapshot.run.at_work() {
        Some(_) => "the terminal was lost; the work in flight goes on to its end",
        None => "the terminal was lost",
    };
    let reason = reason.to_owned();
    let _ = handle.command(Command::Hold { reason }).await;
}

fn in_doubt(snapshot: &Snapshot) -> bool {
    snapshot
        .run
        .gates
        .iter()
        .any(|gate| gate.state == GateState::InDoubt)
}

async fn cancel_work(handle: &EngineHandle) {
    if let Some(gate) = handle.snapshot().run.at_work() {
        let _ = handle
            .command(Command::Cancel {
                gate: gate.id.clone(),
            })
            .await;
    }
}

/// Waits until nothing is at work, and says how it goes when somebody reads it. A signal cancels
/// what is at work; a second one leaves it to the server and to the next process.
async fn wait_for_work(handle: &EngineHandle, say_lines: bool) {
    let mut snapshots = handle.snapshots();
    let mut signals = Signals::new();
    let mut shown = handle.feed().view(0).dropped;
    let mut asked = false;
    loop {
        {
            let snapshot = snapshots.borrow_and_update();
            // What cannot be recorded any more is not waited for.
            if snapshot.run.at_work().is_none() || snapshot.journal_error.is_some() {
                return;
            }
        }
        tokio::select! {
            changed = snapshots.changed() => if changed.is_err() { return },
            () = signals.next() => {
                if asked {
                    return;
                }
                asked = true;
                say::note("stopping: the work in flight is canceled; once more leaves at once");
                cancel_work(handle).await;
            }
            () = handle.feed().changed() => {
                if handle.feed().asked().question.is_some() && !asked {
                    asked = true;
                    say::note("a question is open and nobody is there: the work is canceled, what it set stays");
                    cancel_work(handle).await;
                }
                if !say_lines {
                    continue;
                }
                let view = handle.feed().view(usize::MAX);
                let skip = shown.saturating_sub(view.dropped) as usize;
                for line in view.lines.iter().skip(skip) {
                    say::note(&line.text);
                }
                shown = view.dropped + view.lines.len() as u64;
            }
        }
    }
}

fn resume_hint(snapshot: &Snapshot, kept: Kept) {
    let run = &snapshot.run;
    let (through, all) = run.progress();
    if run.status.is_terminal() {
        say::note(&format!(
            "run {}: {}, {through} of {all} gates",
            run.id,
            run.status.word()
        ));
        if kept == Kept::Kept && run.rejected_may_go_back() {
            say::note(&format!(
                "  it may still go back, at the console: stagegate run --resume {}",
                run.id
            ));
        }
        return;
    }
    let at = run.current().map_or(String::new(), |gate| {
        format!("; `{}` is {}", gate.id, gate.state.word())
    });
    say::note(&format!("run {}: {through} of {all} gates{at}", run.id));
    if kept == Kept::Kept {
        say::note(&format!("  go on with: stagegate run --resume {}", run.id));
    }
}
