//! Arguments in, exit code out: one file a subcommand.

mod address;
mod arguments;
mod audit;
mod audit_arguments;
mod audit_report;
mod backup;
mod backup_arguments;
mod check;
mod control;
mod control_schema;
mod demo;
mod doctor;
mod drift;
mod drift_formats;
mod enrol;
mod exit;
mod given;
mod hand_in;
mod interruptible;
mod lint;
mod lint_plan;
mod lint_sarif;
mod log;
mod plan;
mod record;
mod rehearse;
mod rehearse_arguments;
mod rehearse_report;
mod report;
mod report_arguments;
mod restore;
mod restore_archive;
mod review;
mod run;
mod runs;
mod say;
mod sign;
mod sign_arguments;
mod sign_words;
mod verify;
mod verify_backup;
mod watch;

use std::process::ExitCode;

use clap::{CommandFactory as _, Parser as _};

use arguments::{Arguments, Subcommand};
pub use exit::Exit;

/// Reads the arguments, does what they ask and returns the exit code.
pub fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            let _ = error.print();
            let exit = if error.use_stderr() {
                Exit::Usage
            } else {
                Exit::Well
            };
            return exit.into();
        }
    };
    log::begin();
    dispatch(arguments.command).into()
}

fn dispatch(command: Subcommand) -> Exit {
    match command {
        Subcommand::Check(arguments) => check::run(&arguments),
        Subcommand::Run(arguments) => run::run(arguments),
        Subcommand::Review(arguments) => review::run(&arguments),
        Subcommand::Demo(arguments) => demo::run(&arguments),
        Subcommand::Plan(arguments) => plan::run(arguments),
        Subcommand::Rehearse(arguments) => rehearse::run(&arguments),
        Subcommand::Runs(arguments) => runs::run(&arguments),
        Subcommand::Lint(arguments) => lint::run(&arguments),
        Subcommand::Drift(arguments) => drift::run(&arguments),
        Subcommand::Audit(arguments) => audit::run(&arguments),
        Subcommand::Snapshot(arguments) => drift::snapshot(&arguments),
        Subcommand::Backup(arguments) => backup::run(&arguments),
        Subcommand::Restore(arguments) => restore::run(&arguments),
        Subcommand::VerifyBackup(arguments) => verify_backup::run(&arguments),
        Subcommand::Control(arguments) => control_schema::run(&arguments),
        Subcommand::Enrol(arguments) => enrol::run(&arguments),
        Subcommand::Report(arguments) => report::run(&arguments),
        Subcommand::Bundle(arguments) => report::bundle(&arguments),
        Subcommand::Verify(arguments) => verify::run(&arguments),
        Subcommand::Sign(arguments) => sign::run(&arguments),
        Subcommand::HandIn(arguments) => hand_in::run(&arguments),
        Subcommand::Doctor(arguments) => doctor::run(&arguments),
        Subcommand::Completions { shell } => {
            let mut command = Arguments::command();
            clap_complete::generate(shell, &mut command, "stagegate", &mut std::io::stdout());
            Exit::Well
        }
        Subcommand::Man => {
            let page = clap_mangen::Man::new(Arguments::command());
            match page.render(&mut std::io::stdout()) {
                Ok(()) => Exit::Well,
                Err(_) => Exit::Error,
            }
        }
    }
}

/// Makes the runtime that workers and front ends share.
fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .max_blocking_threads(8)
        .enable_all()
        .build()
}
