//! The schema of a clone: what `pg_dump` writes of the source without a row, cut into the part
//! that tables need before their rows come and the part that comes after them.
//!
//! What would reach from the copy back to where the source lives stays behind: subscriptions and
//! the passwords of user mappings are not taken along, and foreign servers lead nowhere.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::PostgresError;
use super::conninfo::Conninfo;
use super::dump::DumpError;
use super::dump_files::file_error;
use super::dump_work::check_ended;
use super::enrolment;
use super::ledger::{identifier, literal};
use super::passfile::ChildPassfile;
use super::programs::Program;
use super::session::Session;
use crate::system::process::{self, Invocation, Stream};

/// Where nothing answers; the name is reserved for that.
const NOWHERE: &str = "nowhere.invalid";

/// The options of foreign servers that say where to connect to.
const PLACES: [&str; 14] = [
    "host",
    "hostaddr",
    "server",
    "servername",
    "address",
    "url",
    "uri",
    "dsn",
    "endpoint",
    "hosts",
    "connstr",
    "dbserver",
    "service",
    "servers",
];

/// What the client programs are run with.
#[derive(Debug)]
pub struct SchemaWork<'a> {
    pub pg_dump: &'a Program,
    pub pg_restore: &'a Program,
    /// The folder that holds the dump and a passfile; private to its owner.
    pub folder: &'a Path,
    /// What the dump is called in it.
    pub name: &'a str,
    pub application_name: &'a str,
    pub timeout: Option<Duration>,
    pub cancel: &'a CancellationToken,
}

/// A part of a schema dump.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Section {
    /// Types, functions, tables without indexes.
    PreData,
    /// Indexes, constraints, triggers, policies, materialized views' rows.
    PostData,
}

impl SchemaWork<'_> {
    fn dump_folder(&self) -> PathBuf {
        self.folder.join(self.name)
    }

    fn list_file(&self) -> PathBuf {
        self.folder.join(format!("{}.list", self.name))
    }

    /// Dumps the schema as a snapshot sees it. Returns what of it is left behind, in words.
    ///
    /// # Errors
    /// Why there is none.
    pub async fn dump(
        &self,
        info: &Conninfo,
        snapshot: &str,
        mut observe: impl FnMut(&str),
    ) -> Result<Vec<String>, DumpError> {
        self.remove();
        let arguments = [
            "--format=directory".to_owned(),
            "--section=pre-data".to_owned(),
            "--section=post-data".to_owned(),
            format!("--snapshot={snapshot}"),
            "--no-subscriptions".to_owned(),
            "--lock-wait-timeout=10000".to_owned(),
            format!("--exclude-table={}", enrolment::TABLE),
            format!("--file={}", self.dump_folder().display()),
            "--no-password".to_owned(),
            format!("--dbname={}", info.database),
        ];
        self.run("pg_dump", self.pg_dump, info, &arguments, &mut observe)
            .await?;
        self.write_list().await
    }

    /// Writes the list of what is restored: all but what holds passwords to elsewhere.
    async fn write_list(&self) -> Result<Vec<String>, DumpError> {
        let invocation = Invocation {
            program: self.pg_restore.path.clone(),
            arguments: vec![
                "--list".to_owned(),
                self.dump_folder().display().to_string(),
            ],
            environment: vec![("LC_ALL".to_owned(), "C".to_owned())],
            folder: None,
            timeout: self.timeout,
        };
        let (mut kept, mut left) = (Vec::new(), Vec::new());
        let ended = process::run_raw(
            &invocation,
            self.cancel,
            |stream, line| {
                if stream == Stream::Out
                    && let Some(words) = left_behind(&crate::untrusted::clean_bytes(line))
                {
                    left.push(words);
                }
            },
            |out| kept.extend_from_slice(out),
        )
        .await?;
        check_ended("pg_restore", &ended)?;
        let lines = kept
            .split_inclusive(|byte| *byte == b'\n')
            .flat_map(|line| {
                let text = String::from_utf8_lossy(line);
                match left_behind(text.trim_end()) {
                    Some(_) => [b";".as_slice(), line].concat(),
                    None => line.to_vec(),
                }
            });
        let path = self.list_file();
        fs::write(&path, lines.collect::<Vec<u8>>()).map_err(|error| file_error(&path, error))?;
        Ok(left)
    }

    /// Restores one part of the dump into an empty database, or one that has the part before.
    ///
    /// # Errors
    /// Why it did not end well; the database is half then, and to be thrown away.
    pub async fn restore(
        &self,
        info: &Conninfo,
        section: Section,
        jobs: u32,
        mut observe: impl FnMut(&str),
    ) -> Result<(), DumpError> {
        let part = match section {
            Section::PreData => "--section=pre-data",
            Section::PostData => "--section=post-data",
        };
        let mut arguments = vec![
            "--no-password".to_owned(),
            "--exit-on-error".to_owned(),
            "--verbose".to_owned(),
            part.to_owned(),
            format!("--use-list={}", self.list_file().display()),
            format!("--dbname={}", info.database),
        ];
        if jobs > 1 && section == Section::PostData {
            arguments.push(format!("--jobs={jobs}"));
        }
        arguments.push(self.dump_folder().display().to_string());
        self.run(
            "pg_restore",
            self.pg_restore,
            info,
            &arguments,
            &mut observe,
        )
        .await
    }

    async fn run(
        &self,
        called: &'static str,
        program: &Program,
        info: &Conninfo,
        arguments: &[String],
        observe: &mut impl FnMut(&str),
    ) -> Result<(), DumpError> {
        let passfile = match &info.password {
            Some(password) => Some(
                ChildPassfile::write(self.folder, password)
                    .map_err(|error| file_error(self.folder, error))?,
            ),
            None => None,
        };
        let path = passfile.as_ref().map(ChildPassfile::path);
        let mut environment = info.child_environment(path);
        environment.retain(|(name, _)| name != "PGAPPNAME" && name != "PGOPTIONS");
        environment.push(("PGAPPNAME".to_owned(), self.application_name.to_owned()));
        environment.push(("LC_ALL".to_owned(), "C".to_owned()));
        let invocation = Invocation {
            program: program.path.clone(),
            arguments: arguments.to_vec(),
            environment,
            folder: None,
            timeout: self.timeout,
        };
        let ended = process::run(&invocation, self.cancel, |stream, line| {
            if stream == Stream::Err {
                crate::system::fault::point("during_clone_program");
                observe(&crate::untrusted::clean_bytes(line));
            }
        })
        .await?;
        check_ended(called, &ended)
    }

    /// Removes the dump; what is not there is not missed.
    pub fn remove(&self) {
        let _ = fs::remove_dir_all(self.dump_folder());
        let _ = fs::remove_file(self.list_file());
    }
}

/// What a line of a table of contents is of, if it is left behind.
fn left_behind(line: &str) -> Option<String> {
    let entry = line.splitn(4, ' ').nth(3)?;
    let mapping = entry.strip_prefix("USER MAPPING - USER MAPPING ")?;
    // The last word is its owner.
    let mapping = mapping
        .rsplit_once(' ')
        .map_or(mapping, |(mapping, _)| mapping);
    Some(format!(
        "user mapping of {}",
        mapping.replacen(" SERVER ", " at ", 1)
    ))
}

/// Lets the foreign servers of a database lead nowhere. Returns which, in words.
///
/// # Errors
/// What the server says.
pub async fn disarm(session: &Session) -> Result<Vec<String>, PostgresError> {
    let sql = "SELECT s.srvname::text, w.fdwname::text, coalesce(s.srvoptions, '{}') \
               FROM pg_catalog.pg_foreign_server s \
               JOIN pg_catalog.pg_foreign_data_wrapper w ON w.oid = s.srvfdw ORDER BY 1";
    let rows = session.client.query_typed(sql, &[]).await?;
    let mut disarmed = Vec::new();
    for row in &rows {
        let (server, wrapper): (String, String) = (row.get(0), row.get(1));
        let options: Vec<String> = row.get(2);
        let changes = nowhere(&wrapper, &options);
        if changes.is_empty() {
            continue;
        }
        let alter = format!(
            "ALTER SERVER {} OPTIONS ({})",
            identifier(&server),
            changes.join(", ")
        );
        session.client.batch_execute(&alter).await?;
        disarmed.push(server);
    }
    Ok(disarmed)
}

/// The changes to a server's options after which it leads nowhere.
fn nowhere(wrapper: &str, options: &[String]) -> Vec<String> {
    let names = options
        .iter()
        .filter_map(|option| option.split_once('=').map(|(name, _)| name));
    let mut changes: Vec<String> = Vec::new();
    let mut has_host = false;
    for name in names.filter(|name| PLACES.contains(name)) {
        has_host |= name == "host";
        changes.push(match name {
            // An address goes before a name, and a service brings one of its own.
            "hostaddr" | "service" => format!("DROP {}", identifier(name)),
            name => format!("SET {} {}", identifier(name), literal(NOWHERE)),
        });
    }
    // Without one it would be the very server that the copy is on.
    if !has_host && matches!(wrapper, "postgres_fdw" | "dblink_fdw") {
        changes.push(format!("ADD host {}", literal(NOWHERE)));
    }
    changes
}

/// Functions of users whose text speaks of ways out of the database, and events that call them.
///
/// # Errors
/// What the server says.
pub async fn reaching_out(session: &Session) -> Result<Vec<String>, PostgresError> {
    let sql = "SELECT 'function ' || p.oid::regprocedure::text \
               FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace \
               WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' \
               AND p.prosrc ~* '(dblink|net\\.http|http_(get|post|put|delete)|pg_notify|cron\\.)' \
               AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d \
                   WHERE d.classid = 'pg_catalog.pg_proc'::regclass AND d.objid = p.oid \
                   AND d.deptype = 'e') \
               UNION ALL SELECT 'server ' || quote_ident(srvname) || ' (leads nowhere in the copy)' \
               FROM pg_catalog.pg_foreign_server \
               UNION ALL SELECT 'user mapping of ' || usename || ' at ' || quote_ident(srvname) || \
               ' (left behind)' FROM pg_catalog.pg_user_mappings \
               UNION ALL SELECT 'subscription ' || quote_ident(subname) || ' (left behind)' \
               FROM pg_catalog.pg_subscription s JOIN pg_catalog.pg_database d \
               ON d.oid = s.subdbid WHERE d.datname = current_database() \
               UNION ALL SELECT 'extension ' || quote_ident(extname) || \
               ' (its own tables are left empty)' FROM pg_catalog.pg_extension \
               WHERE extconfig IS NOT NULL ORDER BY 1";
    let rows = session.client.query_typed(sql, &[]).await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_holds_passwords_to_elsewhere_is_left_behind() {
        let line = "3200; 1418 16400 USER MAPPING - USER MAPPING app SERVER away ana";
        assert_eq!(left_behind(line).unwrap(), "user mapping of app at away");
        assert_eq!(left_behind("215; 1259 16386 TABLE app t ana"), None);
        assert_eq!(left_behind("; comment"), None);
    }

    #[test]
    fn every_way_to_a_server_leads_nowhere() {
        let given = |options: &[&str]| -> Vec<String> {
            let options: Vec<String> = options.iter().map(|o| (*o).to_owned()).collect();
            nowhere("postgres_fdw", &options)
        };
        assert_eq!(
            given(&["host=prod.example", "hostaddr=10.0.0.1", "dbname=app"]),
            ["SET \"host\" 'nowhere.invalid'", "DROP \"hostaddr\""]
        );
        assert_eq!(given(&["dbname=app"]), ["ADD host 'nowhere.invalid'"]);
        assert_eq!(
            given(&["service=prod"]),
            ["DROP \"service\"", "ADD host 'nowhere.invalid'"]
        );
        assert!(nowhere("file_fdw", &[]).is_empty());
    }
}
