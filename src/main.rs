//! The `stagegate` program: panic hook, process limits, exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    keep_private();
    if let Err(error) = color_eyre::install() {
        tracing::warn!(%error, "panics are reported without colour");
    }
    stagegate::cli::main()
}

/// What this program writes is for its owner alone, and its memory, which may hold passwords, is
/// for nobody.
fn keep_private() {
    use rustix::process::{Resource, Rlimit, setrlimit, umask};

    umask(rustix::fs::Mode::from_raw_mode(0o077));
    let none = Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    let _ = setrlimit(Resource::Core, none);
}
