//! The command line, as `--help` teaches it.

use std::path::PathBuf;

use clap::{Args, Parser, ValueEnum};

use super::audit_arguments::AuditArguments;
use super::backup_arguments::{BackupArguments, RestoreArguments, VerifyBackupArguments};
use super::control_schema::ControlArguments;
use super::rehearse_arguments::RehearseArguments;
use super::report_arguments::{BundleArguments, ReportArguments, VerifyArguments};
use super::sign_arguments::{HandInArguments, SignArguments};

/// Takes a PostgreSQL change from staging to production through a runbook, gate by gate,
/// and refuses to advance past a gate that has not passed.
#[derive(Debug, Parser)]
#[command(name = "stagegate", version, max_term_width = 100, after_help = AFTER_HELP)]
pub(super) struct Arguments {
    #[command(subcommand)]
    pub(super) command: Subcommand,
}

const AFTER_HELP: &str = "\
Start here:
  stagegate demo                        a private PostgreSQL, sample data, a runbook: the console opens on it
  stagegate check runbook.toml          is the runbook right? offline
  stagegate plan runbook.toml           what would every gate do? read only
  stagegate rehearse runbook.toml       do it on a private copy: up, down, and up again
  stagegate run runbook.toml            walk through it, gate by gate

Exit codes:
  0  well                                    4  a gate did not pass, or people are needed
  1  error                                   5  another operator holds the target
  2  differs, pending or drift               6  the outcome of something is unknown
  3  destructive refused                    64  wrong arguments
130  interrupted, can be resumed            78  bad runbook or configuration";

#[derive(Debug, clap::Subcommand)]
pub(super) enum Subcommand {
    /// Walk through a runbook, in the console or headless
    Run(RunArguments),
    /// Load and validate runbooks, offline
    Check(CheckArguments),
    /// Show what every gate would do, read only
    Plan(PlanArguments),
    /// Carry a runbook's gates out on a private copy of the database, before any run
    Rehearse(RehearseArguments),
    /// Look for what is dangerous in SQL files, offline
    Lint(LintArguments),
    /// Compare what a database is with what it should be
    Drift(DriftArguments),
    /// Show what databases that Alembic tracks say of themselves, side by side, with a diagnosis
    Audit(AuditArguments),
    /// Save the schema of a database or of files as a snapshot, on stdout
    Snapshot(SnapshotArguments),
    /// Back a database up, as JSON or with pg_dump
    Backup(BackupArguments),
    /// Bring a backup back, after its target's name was typed
    Restore(RestoreArguments),
    /// Read a backup in full and compare it with its manifest
    VerifyBackup(VerifyBackupArguments),
    /// Read what differs between two revisions, and mark what was read
    Review(ReviewArguments),
    /// Show or install the schema through which other terminals follow a run
    Control(ControlArguments),
    /// Let a database say that it is development and may be replaced, or that it is production
    Enrol(EnrolArguments),
    /// Open the console on a sample world with a private PostgreSQL
    Demo(DemoArguments),
    /// Read a statement that waits for your signature, and sign it with your SSH key
    Sign(SignArguments),
    /// Hand signatures in to a run that is not open in a console here
    HandIn(HandInArguments),
    /// List the runs on this machine
    Runs(RunsArguments),
    /// Write a run down for those who were not there
    Report(ReportArguments),
    /// Put a run into one file that can be checked without stagegate
    Bundle(BundleArguments),
    /// Check a run or a bundle, trusting nothing in it
    Verify(VerifyArguments),
    /// Show the programs that stagegate works with, and what is missing
    Doctor(DoctorArguments),
    /// Print completions for a shell
    Completions { shell: clap_complete::Shell },
    /// Print the manual page
    Man,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    Text,
    Json,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum LintFormat {
    Text,
    Json,
    Sarif,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum DriftFormat {
    Text,
    Json,
    Github,
    Junit,
    Sarif,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Theme {
    Dark,
    Light,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Headless runs walk on until a gate does not pass or needs a person. They never tick, sign or
confirm: a gate that acts on production needs its name typed at the console.

  stagegate run release.toml --var version=42
  stagegate run release.toml --headless --format json
  stagegate run release.toml --resume           go on with the newest run of this runbook
  stagegate run --watch                         follow the newest run of this machine, read only
  stagegate run --watch RUN --control env:CONTROL_URL    follow it from another machine, ask for the conn")]
pub(super) struct RunArguments {
    /// The runbook's file
    pub(super) runbook: Option<PathBuf>,
    /// Replace a variable of the runbook
    #[arg(long = "var", value_name = "NAME=VALUE", value_parser = parse_var)]
    pub(super) vars: Vec<(String, String)>,
    /// Go on with a run that was interrupted: the newest of this runbook, or the one named
    #[arg(long, value_name = "RUN", num_args = 0..=1, default_missing_value = "")]
    pub(super) resume: Option<String>,
    /// Follow a run that somebody else holds: the newest, or the one named
    #[arg(long, value_name = "RUN", num_args = 0..=1, default_missing_value = "", conflicts_with_all = ["resume", "runbook", "headless"])]
    pub(super) watch: Option<String>,
    /// Where the control schema is, to follow a run of another machine: env:NAME, service:NAME or postgresql://…
    #[arg(long, value_name = "URL", requires = "watch")]
    pub(super) control: Option<String>,
    /// Hand a file in to the holder of the run, wait for the answer, and leave
    #[arg(long, value_name = "FILE", requires = "control")]
    pub(super) hand_in: Option<PathBuf>,
    /// Run without a console
    #[arg(long)]
    pub(super) headless: bool,
    /// Record what the console shows, for asciinema; secrets are masked before they are written
    #[arg(long, value_name = "FILE", conflicts_with = "headless")]
    pub(super) record: Option<PathBuf>,
    /// Give a gate the plan that it judges; - is standard input
    #[arg(long, value_name = "GATE=FILE", value_parser = super::given::parse_paste, requires = "headless")]
    pub(super) paste: Vec<(String, String)>,
    /// How a headless run reports
    #[arg(long, value_enum, default_value = "text")]
    pub(super) format: Format,
    #[command(flatten)]
    pub(super) place: Place,
    #[command(flatten)]
    pub(super) look: Look,
}

/// Where runs are, and who acts.
#[derive(Debug, Clone, Args)]
pub(super) struct Place {
    /// The folder of runs [default: the user's state folder]
    #[arg(long, value_name = "FOLDER")]
    pub(super) runs_dir: Option<PathBuf>,
    /// Your name in the journal [default: the login name]
    #[arg(long, value_name = "NAME")]
    pub(super) operator: Option<String>,
}

/// How the console looks.
#[derive(Debug, Clone, Copy, Args)]
pub(super) struct Look {
    /// Colours for a dark or a light terminal [default: what the terminal says]
    #[arg(long, value_enum)]
    pub(super) theme: Option<Theme>,
    /// Leave the mouse to the terminal
    #[arg(long)]
    pub(super) no_mouse: bool,
}

#[derive(Debug, Args)]
pub(super) struct CheckArguments {
    /// The runbooks' files
    #[arg(required = true)]
    pub(super) runbooks: Vec<PathBuf>,
    /// Replace a variable of the runbooks
    #[arg(long = "var", value_name = "NAME=VALUE", value_parser = parse_var)]
    pub(super) vars: Vec<(String, String)>,
    #[arg(long, value_enum, default_value = "text")]
    pub(super) format: Format,
}

#[derive(Debug, Args)]
pub(super) struct PlanArguments {
    /// The runbook's file
    pub(super) runbook: PathBuf,
    /// Replace a variable of the runbook
    #[arg(long = "var", value_name = "NAME=VALUE", value_parser = parse_var)]
    pub(super) vars: Vec<(String, String)>,
    /// Only this gate
    #[arg(long)]
    pub(super) gate: Option<String>,
    #[arg(long, value_enum, default_value = "text")]
    pub(super) format: Format,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Hazards of the classes data-loss and host-level are refused: exit code 3. Locks, rewrites and what
cannot be told are shown: exit code 0, as when nothing was found. A file that cannot be read: 78.
No comment in a file suppresses anything; --allow does, for this call, by code (DS102) or by kind
(DELETES_DATA). In a run, the lint gate allows a hazard for one file under a condition.

A plan (--plan) that is unclear, or in which nothing is recognised as SQL: exit code 4. --allow has no say in it.

  stagegate lint db/migrations
  stagegate lint --plan publish-page.txt
  stagegate lint change.sql --allow DS102
  stagegate lint db/migrations --format sarif > lint.sarif")]
pub(super) struct LintArguments {
    /// SQL files, or folders that hold them
    #[arg(required_unless_present = "plan")]
    pub(super) files: Vec<PathBuf>,
    /// A plan that somebody else shows, as a text with SQL in it; - is standard input
    #[arg(long, value_name = "FILE")]
    pub(super) plan: Option<String>,
    /// Do not refuse this hazard in the files: a code or a kind
    #[arg(long, value_name = "HAZARD")]
    pub(super) allow: Vec<String>,
    #[arg(long, value_enum, default_value = "text")]
    pub(super) format: LintFormat,
}

#[derive(Debug, Args)]
#[command(after_help = "\
EXPECTED and ACTUAL are each one of:
  file.sql                    loaded into a private throw-away server of the same version
  dir:FOLDER                  migrations, applied in the order of their names, likewise
  git:REV:PATH                a file as a revision has it, likewise
  env:NAME, service:NAME      a database; nothing is written to it
  postgresql://…              a database, without a password in the address
  snapshot.json               what `stagegate snapshot` saved

Exit code 0: equal. 2: they differ. 1: a side could not be read. What is ignored is shown.
Not compared: what is said of the database itself (owner, grants, settings, comment), remarks on the
rule of a view, passwords in user mappings, and connections of subscriptions.

  stagegate drift db/schema.sql env:PROD_DATABASE_URL
  stagegate drift git:main:db/schema.sql dir:db/migrations --format github
  stagegate drift db/schema.sql env:PROD --schema shop --ignore table:shop.tmp_* --ignore *.owner:*")]
pub(super) struct DriftArguments {
    /// What should be there
    pub(super) expected: String,
    /// What is there
    pub(super) actual: String,
    /// Only this schema
    #[arg(long, value_name = "SCHEMA")]
    pub(super) schema: Vec<String>,
    /// Do not count these: KIND:GLOB or KIND.PROPERTY:GLOB, with * for every kind
    #[arg(long, value_name = "RULE")]
    pub(super) ignore: Vec<String>,
    #[arg(long, value_enum, default_value = "text")]
    pub(super) format: DriftFormat,
}

#[derive(Debug, Args)]
pub(super) struct SnapshotArguments {
    /// A source, as `drift` takes it
    pub(super) source: String,
    /// Only this schema
    #[arg(long, value_name = "SCHEMA")]
    pub(super) schema: Vec<String>,
}

#[derive(Debug, Args)]
#[command(after_help = "\
RANGE is one of:
  REV..REV      one revision and another
  REV...REV     what the second has made since it left the first
  REV           a revision and the work tree, with files that are not tracked
Without it: what this branch has made since it left origin/HEAD, main or master; on that branch itself,
what is not committed.

A mark (r) says that you have read a file with the content that it has now. Another content takes it away, and the
same content brings it back. Marks of this command stay on this machine. A `git` gate with `reviewed = [\"…\"]` counts
those that are made inside a run, on the console's screen 3: they are in the run's journal.

Exit code 0: left, or nothing differs. 2: with --list, something differs. 1: it could not be read.

  stagegate review                          what this branch would bring
  stagegate review main..develop            any two revisions
  stagegate review HEAD                     what is not committed
  stagegate review v1.4... --list           what came since v1.4, as a list")]
pub(super) struct ReviewArguments {
    /// What is compared with what
    pub(super) range: Option<String>,
    /// A folder in the repository
    #[arg(long, value_name = "FOLDER", default_value = ".")]
    pub(super) repository: PathBuf,
    /// Your name on the marks [default: the login name]
    #[arg(long, value_name = "NAME")]
    pub(super) reviewer: Option<String>,
    /// Print the files that differ, and leave; so it does without a terminal
    #[arg(long)]
    pub(super) list: bool,
    /// How the list is printed
    #[arg(long, value_enum, default_value = "text")]
    pub(super) format: Format,
    #[command(flatten)]
    pub(super) look: Look,
}

#[derive(Debug, Args)]
pub(super) struct DemoArguments {
    /// The sample world
    #[arg(default_value = "housekeeping")]
    pub(super) world: String,
    /// Prepare a world in which one gate must refuse
    #[arg(long, value_name = "NAME")]
    pub(super) fault: Option<String>,
    /// List the worlds and their faults
    #[arg(long)]
    pub(super) list: bool,
    /// Put right what a fault made wrong, in the demo that is open in another terminal
    #[arg(long, value_name = "NAME", conflicts_with_all = ["fault", "list"])]
    pub(super) mend: Option<String>,
    #[command(flatten)]
    pub(super) look: Look,
}

#[derive(Debug, Args)]
pub(super) struct RunsArguments {
    #[command(flatten)]
    pub(super) place: Place,
    #[arg(long, value_enum, default_value = "text")]
    pub(super) format: Format,
}

#[derive(Debug, Args)]
pub(super) struct DoctorArguments {
    /// Install what is missing, after asking
    #[arg(long)]
    pub(super) fix: bool,
}

pub(super) fn parse_var(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("write it as name=value".to_owned()),
    }
}

/// What a database may be enrolled as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum EnrolAs {
    Development,
    Production,
}

impl EnrolAs {
    pub(super) fn purpose(self) -> crate::postgres::enrolment::Purpose {
        use crate::postgres::enrolment::Purpose;
        match self {
            EnrolAs::Development => Purpose::Development,
            EnrolAs::Production => Purpose::Production,
        }
    }
}

#[derive(Debug, Args)]
#[command(after_help = "\
A `clone` gate replaces only a database that was enrolled as development beforehand. The mark is made
for exactly this database of this server: in a dump, a template or a copy it counts for nothing.
Without --as and --withdraw the mark is shown. URL is env:NAME, service:NAME or postgresql://…

  stagegate enrol env:DEV_DATABASE_URL
  stagegate enrol env:DEV_DATABASE_URL --as development --database app
  stagegate enrol env:PROD_DATABASE_URL --as production --database app")]
pub(super) struct EnrolArguments {
    /// The database: env:NAME, service:NAME or postgresql://user@host:port/database
    pub(super) url: String,
    /// What it is for
    #[arg(long = "as", value_enum, value_name = "PURPOSE")]
    pub(super) purpose: Option<EnrolAs>,
    /// The name of the database that is meant
    #[arg(long, value_name = "NAME")]
    pub(super) database: Option<String>,
    /// It may be replaced by a copy of a database of the same server
    #[arg(long, requires = "purpose")]
    pub(super) same_cluster: bool,
    /// Take the mark away
    #[arg(long, conflicts_with = "purpose")]
    pub(super) withdraw: bool,
}
