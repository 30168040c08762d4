//! `run --record`: begins a recording of the console, and knows what is masked in it.

use std::path::PathBuf;

use secrecy::ExposeSecret as _;

use super::{Exit, say};
use crate::console::{Console, Recording};
use crate::engine::EngineHandle;
use crate::postgres::Conninfo;
use crate::postgres::environment::Environment;
use crate::runbook::Runbook;

/// Words in the names of variables that hold secrets.
const TELLING: [&str; 4] = ["PASSWORD", "SECRET", "TOKEN", "PASSPHRASE"];
/// What is shorter would mask half of every screen.
const SHORTEST: usize = 4;

/// The console, recorded where a file was named for that.
pub(super) fn recorded(
    console: Option<color_eyre::Result<Console>>,
    handle: &EngineHandle,
    path: Option<PathBuf>,
) -> Result<Option<color_eyre::Result<Console>>, Exit> {
    match (console, path) {
        (Some(Ok(console)), Some(path)) => Ok(Some(Ok(begin(console, handle, path)?))),
        (console, _) => Ok(console),
    }
}

/// Begins the recording. Without one the run does not begin either: somebody wanted it.
fn begin(mut console: Console, handle: &EngineHandle, path: PathBuf) -> Result<Console, Exit> {
    let secrets = secrets(&handle.snapshot().runbook);
    let recording = Recording { path, secrets };
    match console.record(&recording) {
        Ok(()) => Ok(console),
        Err(error) => {
            // The terminal is given back before anything is said on it.
            drop(console);
            say::Trouble {
                what: format!(
                    "{} cannot be recorded to: {error}",
                    recording.path.display()
                ),
                untouched: "nothing was started, and no gate of any run",
                next: "name a file that is not there yet with --record, or leave it out".to_owned(),
                evidence: "this message".to_owned(),
            }
            .say();
            Err(Exit::Error)
        }
    }
}

/// The passwords of the run's databases, and variables whose names say that they are secret.
fn secrets(runbook: &Runbook) -> Vec<String> {
    let around = Environment::of_process();
    let targets = runbook.targets.values().map(|target| &target.url);
    let control = runbook.control.iter().map(|control| &control.url);
    let passwords = targets.chain(control).filter_map(|url| {
        let info = Conninfo::resolve(url, &around).ok()?;
        Some(info.password?.expose_secret().to_owned())
    });
    let telling = std::env::vars_os().filter_map(|(name, value)| {
        let name = name.to_string_lossy().to_uppercase();
        let tells = TELLING.iter().any(|word| name.contains(word));
        tells.then(|| value.to_string_lossy().into_owned())
    });
    let mut secrets: Vec<String> = passwords.chain(telling).collect();
    secrets.retain(|secret| secret.chars().count() >= SHORTEST);
    secrets.sort();
    secrets.dedup();
    secrets
}
