//! The schema of a clone: what `pg_dump` writes of the source without a row, cut into the part
//! that tables need before their rows come and the part that comes after them.
//!
//! Subscriptions and the passwords of user mappings stay behind.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::conninfo::Conninfo;
use super::dump::DumpError;
use super::dump_files::file_error;
use super::dump_work::check_ended;
use super::enrolment;
use super::passfile::ChildPassfile;
use super::programs::Program;
use crate::system::process::{self, Invocation, Stream};

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
    fn remove(&self) {
        let _ = fs::remove_dir_all(self.dump_folder());
        let _ = fs::remove_file(self.list_file());
    }
}

impl Drop for SchemaWork<'_> {
    /// The dump holds passwords of user mappings, whatever became of the work.
    fn drop(&mut self) {
        self.remove();
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
}
