//! The exit codes: a promise to scripts.

use std::process::ExitCode;

/// How the program ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// All is well; for a run: it reached its end.
    Well,
    /// Something went wrong that is none of the below.
    Error,
    /// Something differs, is pending, or has drifted.
    Differs,
    /// Something destructive was refused.
    DestructiveRefused,
    /// A gate did not pass, or people are still needed.
    NotPassed,
    /// Another operator holds the target, or another process the run.
    Held,
    /// The outcome of something is not known yet.
    Unknown,
    /// The arguments are wrong.
    Usage,
    /// The runbook or the configuration is wrong.
    Config,
    /// Interrupted; the run can be resumed.
    Interrupted,
}

impl Exit {
    /// The number.
    pub fn code(self) -> u8 {
        match self {
            Exit::Well => 0,
            Exit::Error => 1,
            Exit::Differs => 2,
            Exit::DestructiveRefused => 3,
            Exit::NotPassed => 4,
            Exit::Held => 5,
            Exit::Unknown => 6,
            Exit::Usage => 64,
            Exit::Config => 78,
            Exit::Interrupted => 130,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit.code())
    }
}
