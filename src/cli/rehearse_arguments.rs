//! The arguments of `rehearse`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};

use super::arguments::{Format, parse_var};

/// How much of the database is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum TakeWord {
    Full,
    Schema,
    Sample,
}

#[derive(Debug, Args)]
#[command(after_help = "\
A dump is taken of the target, which is only read, and restored into a private PostgreSQL of the same
major version on this machine. Every table is compared with the source. Then the runbook's migrations
and checks of that target run there, by their own code; what [[rollback]] undoes is undone, the last
file first, and applied once more. The server and the dump are removed at the end.

What is done by a rehearse gate of the runbook (bounds, allowed hazards, which gates) holds here too.

Exit code 0: all went well. 4: a gate would not pass, a file does what is not allowed, or a way back
does not lead back. 1: it could not be rehearsed. 130: interrupted.

  stagegate rehearse release.toml
  stagegate rehearse release.toml --from staging --take sample --sample 1000
  stagegate rehearse release.toml --format json > rehearsal.json")]
pub(super) struct RehearseArguments {
    /// The runbook's file
    pub(super) runbook: PathBuf,
    /// Replace a variable of the runbook
    #[arg(long = "var", value_name = "NAME=VALUE", value_parser = parse_var)]
    pub(super) vars: Vec<(String, String)>,
    /// The target that is dumped, and whose gates are rehearsed [default: the one that is migrated]
    #[arg(long, value_name = "TARGET")]
    pub(super) from: Option<String>,
    /// How much of it is taken [default: what the runbook says, or full]
    #[arg(long, value_enum)]
    pub(super) take: Option<TakeWord>,
    /// With `--take sample`: how many rows of each table
    #[arg(long, value_name = "ROWS", default_value_t = 1000)]
    pub(super) sample: u64,
    /// How long it may take, such as 30m [default: what the runbook says, or 30m]
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    pub(super) within: Option<Duration>,
    /// Do not undo anything
    #[arg(long)]
    pub(super) no_down: bool,
    #[arg(long, value_enum, default_value = "text")]
    pub(super) format: Format,
}

fn parse_time(text: &str) -> Result<Duration, String> {
    crate::runbook::parse_duration(text).map_err(|error| error.to_string())
}
