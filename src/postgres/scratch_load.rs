//! One file on its way into a scratch server: in batches, and statement by statement where one of
//! them fails.

use std::ops::Range;
use std::sync::atomic::Ordering;

use super::ledger::identifier;
use super::scratch::{Scratch, ScratchError};
use super::scratch_check::words;
use super::scratch_manner::{Manner, as_role, is_event_trigger, is_of_grants, needs_rights};
use super::{DatabaseError, PostgresError, Session};
use crate::sql::{Class, Places, Script};

/// As much as goes to the server at once: enough to hide the round trips, and little enough to be
/// run again in single statements when one of them fails.
const BATCH_STATEMENTS: usize = 400;
const BATCH_BYTES: usize = 256 * 1024;
/// More roles than this in one file are a mistake.
const MOST_ROLES: usize = 1000;
const UNDEFINED_OBJECT: &str = "42704";
const DUPLICATE_OBJECT: &str = "42710";
const INSUFFICIENT_PRIVILEGE: &str = "42501";

/// One file on its way into the server.
pub(super) struct Loader<'a> {
    pub(super) scratch: &'a Scratch,
    pub(super) session: &'a Session,
    pub(super) file: &'a str,
    pub(super) script: &'a Script,
    pub(super) manners: &'a [Manner],
}

impl Loader<'_> {
    pub(super) async fn load(&self) -> Result<(), ScratchError> {
        let mut roles = 0;
        for batch in self.batches() {
            if batch.iter().any(|index| self.is_of_code(*index)) {
                self.code_comes().await?;
            }
            if self.all_of_grants(&batch) {
                self.grant(&batch, &mut roles).await?;
                continue;
            }
            loop {
                let text = self.text(&batch);
                match self.send(&text).await? {
                    Ok(()) => break,
                    // The whole batch was undone, so it can be run again as it is.
                    Err(error) if self.makes_role(&error, &mut roles).await? => {}
                    Err(_) => {
                        self.one_by_one(&batch, &mut roles).await?;
                        break;
                    }
                }
            }
        }
        Ok(())
    }

    /// Ranges of statements that run together. What must run alone is a batch of its own.
    fn batches(&self) -> Vec<Vec<usize>> {
        let mut batches: Vec<Vec<usize>> = Vec::new();
        let (mut bytes, mut open) = (0, false);
        let mut coded = self.scratch.coded.load(Ordering::Relaxed);
        let mut granting = false;
        for (index, statement) in self.script.statements.iter().enumerate() {
            let alone = match statement.class {
                Class::Transactional => false,
                Class::NonTransactional => true,
                // Data, output for nobody, and transactions around others.
                _ => continue,
            };
            let length = statement.span.len();
            let full = batches
                .last()
                .is_none_or(|batch| batch.len() >= BATCH_STATEMENTS || bytes >= BATCH_BYTES);
            // Rights are taken before the first statement that runs code.
            let mut turns = !coded && self.is_of_code(index);
            coded |= turns;
            let grants = coded && is_of_grants(self.script.statement(index));
            turns |= grants != granting;
            granting = grants;
            if alone || !open || full || turns {
                batches.push(Vec::new());
                bytes = 0;
            }
            open = !alone;
            bytes += length;
            if let Some(batch) = batches.last_mut() {
                batch.push(index);
            }
        }
        batches
    }

    fn text(&self, batch: &[usize]) -> String {
        let statements: Vec<String> = batch.iter().map(|index| self.one(*index)).collect();
        statements.join(";\n")
    }

    fn one(&self, index: usize) -> String {
        let statement = self.script.statement(index);
        as_role(statement).unwrap_or_else(|| statement.to_owned())
    }

    fn is_of_code(&self, index: usize) -> bool {
        self.manners.get(index) == Some(&Manner::OfCode)
    }

    /// From here on nothing runs as a superuser that could run what the file says.
    async fn code_comes(&self) -> Result<(), ScratchError> {
        if !self.scratch.coded.swap(true, Ordering::Relaxed) {
            self.scratch.without_rights().await?;
        }
        Ok(())
    }

    /// Tells whether a superuser may run it now. What fires always does not fire on what is said of
    /// itself.
    fn may(&self, statement: &str) -> bool {
        let always = self.scratch.always.load(Ordering::Relaxed);
        self.scratch.coded.load(Ordering::Relaxed)
            && needs_rights(statement)
            && (!always || is_event_trigger(statement))
    }

    fn all_of_grants(&self, batch: &[usize]) -> bool {
        self.scratch.coded.load(Ordering::Relaxed)
            && !self.scratch.always.load(Ordering::Relaxed)
            && batch
                .iter()
                .all(|index| is_of_grants(self.script.statement(*index)))
    }

    async fn grant(&self, batch: &[usize], roles: &mut usize) -> Result<(), ScratchError> {
        self.take_rights().await?;
        for index in batch {
            loop {
                let ran = self.session.client.execute(&self.one(*index), &[]).await;
                match self.told(ran.map(|_| ()))? {
                    Ok(()) => break,
                    Err(error) if self.makes_role(&error, roles).await? => {}
                    Err(error) => return Err(self.failed(*index, error)),
                }
            }
        }
        self.leave_rights().await
    }

    /// Nothing of the schema's fires while the owner is a superuser.
    async fn take_rights(&self) -> Result<(), ScratchError> {
        self.scratch.rights.promote().await?;
        if self.scratch.watched.load(Ordering::Relaxed) {
            let quiet = "SET session_replication_role = replica";
            self.send(quiet).await?.ok();
        }
        Ok(())
    }

    async fn leave_rights(&self) -> Result<(), ScratchError> {
        if self.scratch.watched.load(Ordering::Relaxed) {
            let usual = "SET session_replication_role = origin";
            self.send(usual).await?.ok();
        }
        Ok(self.scratch.without_rights().await?)
    }

    /// Runs, as a superuser, one statement that runs nothing of the file's. The server is asked to
    /// take no more than one.
    async fn with_rights(&self, sql: &str) -> Result<Result<(), Box<DatabaseError>>, ScratchError> {
        if is_event_trigger(sql) {
            self.scratch.watched.store(true, Ordering::Relaxed);
            let always = sql.to_ascii_uppercase().contains("ALWAYS");
            self.scratch.always.fetch_or(always, Ordering::Relaxed);
        }
        self.take_rights().await?;
        let ran = self.session.client.execute(sql, &[]).await;
        self.leave_rights().await?;
        self.told(ran.map(|_| ()))
    }

    /// Sends text; an error of the server's is an answer.
    async fn send(&self, text: &str) -> Result<Result<(), Box<DatabaseError>>, ScratchError> {
        self.told(self.session.client.batch_execute(text).await)
    }

    fn told(
        &self,
        answer: Result<(), tokio_postgres::Error>,
    ) -> Result<Result<(), Box<DatabaseError>>, ScratchError> {
        match answer {
            Ok(()) => Ok(Ok(())),
            Err(error) => match PostgresError::from(error) {
                PostgresError::Database(error) if !error.ends_session() => Ok(Err(error)),
                error => Err(ScratchError::Lost {
                    file: self.file.to_owned(),
                    error,
                }),
            },
        }
    }

    async fn one_by_one(&self, batch: &[usize], roles: &mut usize) -> Result<(), ScratchError> {
        for index in batch {
            let (statement, sent) = (self.script.statement(*index), self.one(*index));
            loop {
                let mut answer = self.send(&sent).await?;
                let refused = |error: &DatabaseError| error.sqlstate == INSUFFICIENT_PRIVILEGE;
                if answer.as_ref().is_err_and(|error| refused(error)) && self.may(statement) {
                    answer = self.with_rights(&sent).await?;
                }
                match answer {
                    Ok(()) => break,
                    Err(error) if self.makes_role(&error, roles).await? => {}
                    Err(error) if is_of_no_weight(&error, statement) => break,
                    Err(error) => return Err(self.failed(*index, error)),
                }
            }
        }
        Ok(())
    }

    /// Makes the role whose absence is the error. Tells whether that was it.
    async fn makes_role(
        &self,
        error: &DatabaseError,
        roles: &mut usize,
    ) -> Result<bool, ScratchError> {
        let name = error
            .message
            .strip_prefix("role \"")
            .and_then(|rest| rest.strip_suffix("\" does not exist"));
        let Some(name) = name.filter(|_| error.sqlstate == UNDEFINED_OBJECT) else {
            return Ok(false);
        };
        *roles += 1;
        let rights = &self.scratch.rights;
        let sql = format!("CREATE ROLE {}", identifier(name));
        let made = rights.run(&sql).await.is_ok();
        if made && self.scratch.coded.load(Ordering::Relaxed) {
            rights.lend().await?;
        }
        Ok(made && *roles <= MOST_ROLES)
    }

    fn failed(&self, index: usize, error: Box<DatabaseError>) -> ScratchError {
        let span: Range<usize> = self
            .script
            .statements
            .get(index)
            .map_or(0..0, |statement| statement.span.clone());
        let statement = self.script.statement(index);
        let inside = error.position.map_or(0, |position| {
            let skip = (position as usize).saturating_sub(1);
            statement
                .char_indices()
                .nth(skip)
                .map_or(0, |(byte, _)| byte)
        });
        let (line, column) = Places::new(&self.script.text).of(span.start + inside);
        let emptied = self.script.text.contains("set_config('search_path', ''");
        let unfound = matches!(error.sqlstate.as_str(), "42P01" | "42883" | "42704");
        let because = if emptied && unfound && error.where_.is_some() {
            "; the dump empties search_path, and a function that runs here names something without \
             its schema: qualify the name in the function, or SET search_path on it"
        } else {
            ""
        };
        let one_line: Vec<&str> = statement.split_whitespace().collect();
        let cleaned = crate::untrusted::clean_line(&one_line.join(" "));
        ScratchError::Load {
            file: self.file.to_owned(),
            line,
            column,
            statement: crate::untrusted::clip(&cleaned, 200),
            because,
            error,
        }
    }
}

/// A setting that a newer dump makes and this version does not know, or a role that was made when
/// it was first named.
fn is_of_no_weight(error: &DatabaseError, statement: &str) -> bool {
    let words = words(statement);
    let word = |n: usize| words.get(n).map_or("", String::as_str);
    let unknown_setting = error.sqlstate == UNDEFINED_OBJECT
        && word(0) == "SET"
        && error
            .message
            .starts_with("unrecognized configuration parameter");
    let known_role = error.sqlstate == DUPLICATE_OBJECT
        && word(0) == "CREATE"
        && matches!(word(1), "ROLE" | "USER" | "GROUP");
    unknown_setting || known_role
}
