//! The arguments of `audit`.

use std::path::PathBuf;

use clap::Args;

use super::arguments::{Format, parse_var};

#[derive(Debug, Args)]
#[command(after_help = "\
Reads, of each database: its server, name, user and search path, its tables, and the version that Alembic
has written there. Reads the history from the project's files. Nothing of the project is run, Alembic
need not be installed, and no database is changed. Two databases are compared object by object.

With a runbook: the databases of its audit gates; of a runbook without one, every database on which its
project works. Without a runbook: a development database, and production where its address is known.

  OK        the same version, known to the history, and the same schema
  MISMATCH  another version, one that no file has, another schema, or a broken history
  MISSING   a database has no version table: Alembic does not know it

A summary of each is written beside that: dev-summary.txt, prod-summary.txt, and NAME-summary.txt for a
target that is neither development nor production.

Exit code 0: OK. 2: MISMATCH or MISSING. 1: a database cannot be asked. 64: wrong arguments. 78: no such
project or runbook, or an address that leads nowhere.

  stagegate audit                                 DATABASE_URL and DATABASE_URL_PROD, ./alembic.ini
  stagegate audit --folder backend --dev env:DEV_URL --prod service:prod --format json
  stagegate audit runbooks/alembic-deploy.toml --out /tmp/audit")]
pub(super) struct AuditArguments {
    /// The runbook's file
    pub(super) runbook: Option<PathBuf>,
    /// Only this project of the runbook
    #[arg(long, value_name = "NAME", requires = "runbook")]
    pub(super) project: Option<String>,
    /// Replace a variable of the runbook
    #[arg(long = "var", value_name = "NAME=VALUE", value_parser = parse_var, requires = "runbook")]
    pub(super) vars: Vec<(String, String)>,
    /// The project's folder [default: this one]
    #[arg(long, value_name = "FOLDER", conflicts_with = "runbook")]
    pub(super) folder: Option<PathBuf>,
    /// Alembic's configuration, in that folder [default: alembic.ini]
    #[arg(long, value_name = "FILE", conflicts_with = "runbook")]
    pub(super) config: Option<PathBuf>,
    /// The development database: env:NAME, service:NAME or postgresql://… [default: env:DATABASE_URL]
    #[arg(long, value_name = "ADDRESS", conflicts_with = "runbook")]
    pub(super) dev: Option<String>,
    /// The production database [default: env:DATABASE_URL_PROD, where that is set]
    #[arg(long, value_name = "ADDRESS", conflicts_with = "runbook")]
    pub(super) prod: Option<String>,
    /// Where the summaries are written [default: what the runbook says, or ops/db_audit]
    #[arg(long, value_name = "FOLDER")]
    pub(super) out: Option<PathBuf>,
    #[arg(long, value_enum, default_value = "text")]
    pub(super) format: Format,
}
