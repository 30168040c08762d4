//! The arguments of `backup`, `restore` and `verify-backup`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::arguments::Format;

/// How a backup is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum BackupLayout {
    /// One JSON file a table: rows and sequences, no schema; needs no pg_dump
    Json,
    /// One compressed file of pg_dump
    Custom,
    /// A folder of pg_dump, a file a table
    Directory,
}

#[derive(Debug, Args)]
#[command(after_help = "\
TARGET is env:NAME, service:NAME, or postgresql://… without a password in the address. Nothing is
changed in it. A backup that is interrupted leaves nothing that looks finished.

json holds the rows of every table, exactly, and where the sequences stand. It does not hold the
schema, roles, grants, large objects, nor the rows of foreign tables and materialized views; its
manifest says so. custom and directory hold the schema too, and need pg_dump.

  stagegate backup env:PROD_DATABASE_URL --format json --to backups
  stagegate backup env:PROD_DATABASE_URL --format json --to backups --table shop.orders
  stagegate backup service:prod --format directory --to /srv/backups --jobs 4")]
pub(super) struct BackupArguments {
    /// The database
    pub(super) target: String,
    /// How the backup is laid out
    #[arg(long, value_enum)]
    pub(super) format: BackupLayout,
    /// The folder that receives it
    #[arg(long, value_name = "FOLDER")]
    pub(super) to: PathBuf,
    /// Its name in that folder [default: the database's name and the time]
    #[arg(long, value_name = "NAME")]
    pub(super) name: Option<String>,
    /// How many tables are read at once
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=64))]
    pub(super) jobs: u32,
    /// Only this table, as schema.table; json only
    #[arg(long, value_name = "TABLE")]
    pub(super) table: Vec<String>,
    /// How the outcome is reported
    #[arg(long, value_enum, default_value = "text")]
    pub(super) report: Format,
}

/// What happens to rows that are there already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum ConflictPolicy {
    /// Any row refuses the restore
    Refuse,
    /// The backup's tables are emptied first; refused if another table refers to them
    Replace,
    /// Rows stay whose primary key the backup has too; its other rows are added
    Keep,
}

#[derive(Debug, Args)]
#[command(after_help = "\
What would be done is shown first; then the name of the database is asked for, or given with
--confirm. A JSON backup goes into tables that are there, with the same columns, in one transaction:
all of it or nothing. Its order comes from the foreign keys; every key is checked, and the rows are
compared with the backup before COMMIT. A backup of pg_dump goes into an empty database only; over
one that is in use it is brought back by the restore gate of a runbook.

Exit code 0: restored. 3: refused, nothing was written. 5: another operator holds the target.
6: the connection was lost at COMMIT, and the outcome is unknown.

  stagegate restore backups/shop_20261121T101500Z env:DEV_DATABASE_URL
  stagegate restore backups/shop_20261121T101500Z env:DEV_DATABASE_URL --conflict replace --confirm shop_dev")]
pub(super) struct RestoreArguments {
    /// The backup's folder, or the file of pg_dump
    pub(super) backup: PathBuf,
    /// The database that is written
    pub(super) target: String,
    /// What happens to rows that are there already
    #[arg(long, value_enum, default_value = "refuse")]
    pub(super) conflict: ConflictPolicy,
    /// The name of the database that is written, as proof that it is meant
    #[arg(long, value_name = "DATABASE")]
    pub(super) confirm: Option<String>,
    /// How many workers pg_restore has; JSON is one transaction and has one
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=64))]
    pub(super) jobs: u32,
    #[arg(long, value_enum, default_value = "text")]
    pub(super) format: Format,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Every file is read: its size, its SHA-256, and the rows of every table, added up and compared with
what the server gave. No server is asked. A backup of pg_dump is read by pg_restore, in full.

Exit code 0: the backup is what its manifest says. 1: it is not, or there is none.

  stagegate verify-backup backups/shop_20261121T101500Z")]
pub(super) struct VerifyBackupArguments {
    /// The backup's folder, or the file of pg_dump
    pub(super) backup: PathBuf,
    #[arg(long, value_enum, default_value = "text")]
    pub(super) format: Format,
}
