//! The arguments of `report`, `bundle` and `verify`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::arguments::{Format, Place};

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum ReportFormat {
    /// Markdown
    Md,
    /// One page that loads nothing
    Html,
    Json,
    Junit,
}

#[derive(Debug, Args)]
#[command(after_help = "\
RUN is the name of a run, as `stagegate runs` lists it, or its folder. A run that is open can be
reported too. Rows that a query gave are withheld unless its gate says report_rows = true.

  stagegate report 20261121-031500-1f3a --format html > run.html
  stagegate report 20261121-031500-1f3a --format junit --out gates.xml")]
pub(super) struct ReportArguments {
    /// The run
    pub(super) run: String,
    #[arg(long, value_enum, default_value = "md")]
    pub(super) format: ReportFormat,
    /// Write it to this file
    #[arg(long, value_name = "FILE")]
    pub(super) out: Option<PathBuf>,
    #[command(flatten)]
    pub(super) place: Place,
}

#[derive(Debug, Args)]
#[command(after_help = "\
The same run gives the same bytes. Inside lie the journal, the runbook, plans, evidence, outputs,
messages, statements with their signatures, a report, and VERIFY.md, which says how to check all of
it with sha256sum and ssh-keygen.

  stagegate bundle 20261121-031500-1f3a
  tar --zstd -xf stagegate-20261121-031500-1f3a.tar.zst && sh stagegate-*/verify.sh")]
pub(super) struct BundleArguments {
    /// The run, by its name or its folder
    pub(super) run: String,
    /// Where the bundle goes; - is standard output [default: stagegate-RUN.tar.zst here]
    #[arg(long, value_name = "FILE")]
    pub(super) out: Option<PathBuf>,
    #[command(flatten)]
    pub(super) place: Place,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Computes everything again: each record's hash and the chain, the digests of all documents, the run
that the records fold to, verdicts from their evidence. Then it asks the databases of a run, where their
addresses are known here, whether their ledgers remember the same journal. The databases that a bundle
names are asked only with --database: whoever made the bundle chose the addresses.

Exit code 0: it holds. 1: something is wrong; the first record that is wrong is named.
Checks that could not be made here are said and do not count.

  stagegate verify 20261121-031500-1f3a
  stagegate verify stagegate-20261121-031500-1f3a.tar.zst")]
pub(super) struct VerifyArguments {
    /// A run, by its name or its folder, or a bundle's file
    pub(super) run: String,
    /// Ask no database
    #[arg(long)]
    pub(super) no_database: bool,
    /// Ask the databases that a bundle names: only where you trust whoever made it
    #[arg(long, conflicts_with = "no_database")]
    pub(super) database: bool,
    #[arg(long, value_enum, default_value = "text")]
    pub(super) format: Format,
    #[command(flatten)]
    pub(super) place: Place,
}
