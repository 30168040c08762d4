//! `demo`: a sample world with a private PostgreSQL, and the console on it.

use std::sync::Arc;

use super::arguments::DemoArguments;
use super::doctor::offer_to_install;
use super::run::Kept;
use super::{Exit, control, run, runtime, say};
use crate::console;
use crate::demo::{self, DemoError, DemoWorld};
use crate::engine::{OpenOptions, Which, open};
use crate::postgres::cluster::ClusterError;
use crate::postgres::environment::Environment;
use crate::postgres::programs;
use crate::promotion::Via;
use crate::system::user_name;

pub(super) fn run(arguments: &DemoArguments) -> Exit {
    if arguments.list {
        return list();
    }
    if let Some(fault) = &arguments.mend {
        return control::ask_to_mend(fault);
    }
    if let Err(missing) = programs::find("postgres").and_then(|_| programs::find("initdb")) {
        say::note(&format!(
            "stagegate: the demo needs a PostgreSQL server: {missing}"
        ));
        if !offer_to_install(&missing) {
            return Exit::Error;
        }
    }
    let Ok(runtime) = runtime() else {
        return Exit::Error;
    };
    let exit = runtime.block_on(open_console(arguments, runtime.handle()));
    runtime.shutdown_timeout(std::time::Duration::from_secs(1));
    exit
}

fn list() -> Exit {
    for world in demo::worlds() {
        say::data(&format!("{}\n    {}\n", world.name, world.summary));
        for fault in demo::faults(world.name) {
            say::data(&format!(
                "    --fault {:<22} {} (gate {})\n",
                fault.name, fault.summary, fault.gate
            ));
        }
    }
    Exit::Well
}

async fn open_console(arguments: &DemoArguments, runtime: &tokio::runtime::Handle) -> Exit {
    let parent = std::env::temp_dir();
    let fault = arguments.fault.as_deref();
    let world = tokio::select! {
        built = DemoWorld::build(&arguments.world, fault, &parent) => match built {
            Ok(world) => Arc::new(world),
            Err(error) => return explain(&error),
        },
        _ = tokio::signal::ctrl_c() => return Exit::Interrupted,
    };
    let folder = world
        .repository
        .parent()
        .unwrap_or(&world.repository)
        .to_owned();
    if let Err(error) = control::listen(world.clone(), &folder.join("control")) {
        tracing::warn!(%error, "no other terminal can reach this demo");
    }
    let options = OpenOptions {
        which: Which::New(world.runbook.clone()),
        vars: world.vars.clone(),
        runs_folder: folder.join("runs"),
        operator: user_name(),
        via: Via::Console,
        surroundings: Environment::of_process().with_variables(&world.environment),
    };
    let handle = match open(&options, runtime) {
        Ok(handle) => handle,
        Err(error) => return say::open_error(&error),
    };
    let handle = Arc::new(handle);
    let console = console::open(&handle, run::console_options(arguments.look));
    let (exit, _) = Box::pin(run::in_console(handle, console, Kept::Removed)).await;
    say::note("The demo's server, databases and files are removed, and the run with them.");
    exit
}

fn explain(error: &DemoError) -> Exit {
    let (next, exit) = match error {
        DemoError::UnknownWorld { .. } | DemoError::UnknownFault { .. } => (
            "list them with: stagegate demo --list".to_owned(),
            Exit::Usage,
        ),
        DemoError::Cluster(error) => match error.as_ref() {
            ClusterError::Missing(missing) => {
                (format!("install it: {}", missing.install), Exit::Error)
            }
            _ => (
                "mend what it says, then start the demo again".to_owned(),
                Exit::Error,
            ),
        },
        _ => (
            "mend what it says, then start the demo again".to_owned(),
            Exit::Error,
        ),
    };
    say::Trouble {
        what: error.to_string(),
        untouched: "the demo's folder and server are removed again",
        next,
        evidence: "this message".to_owned(),
    }
    .say();
    exit
}
