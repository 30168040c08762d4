//! Brings a JSON backup back, in one transaction: the target is as it was, or it holds what the
//! backup holds and was compared with it before the one COMMIT.
//!
//! Every file's hash and rows are checked before the first write. The order comes from the
//! target's own foreign keys, and no key is switched off on the way.

use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use super::conninfo::Conninfo;
use super::content;
use super::enrolment::{self, Purpose};
use super::identity::{self, Identity};
use super::json_aside::{self, Aside};
use super::json_load;
use super::json_manifest::{self, BackupError, JsonManifest};
use super::json_target::{self, Conflict, Looked};
use super::operator_lock::{OperatorLock, OperatorLockError};
use super::session::{Session, SessionSettings};
use super::{DatabaseError, PostgresError};
use crate::system::fault;

/// How long another operator is waited for: one that died is gone by then.
const PATIENCE: Duration = Duration::from_secs(2);

/// A backup, and the database that is to take it.
#[derive(Debug, Clone)]
pub struct JsonRestoreRequest<'a> {
    pub info: &'a Conninfo,
    pub folder: &'a Path,
    pub conflict: Conflict,
    /// Told to other operators; a name of the attempt.
    pub name: &'a str,
}

/// What a restore would find. It changes nothing.
#[derive(Debug, Clone)]
pub struct JsonSurvey {
    pub manifest: JsonManifest,
    pub identity: Identity,
    /// What the target says that it is, by a mark that was made for exactly this database.
    pub purpose: Option<Purpose>,
    pub looked: Looked,
}

/// What was written into one table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestoredTable {
    pub table: String,
    pub written: u64,
    /// Rows of the backup whose primary key was there already.
    pub kept: u64,
    /// Compared with the backup before the COMMIT, value by value.
    pub compared: bool,
}

/// A restore that committed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JsonRestored {
    /// In the order in which they were written.
    pub tables: Vec<RestoredTable>,
    pub sequences: u64,
}

/// Why nothing was restored; except for [`JsonRestoreError::Unknown`], the target is as it was.
#[derive(Debug, thiserror::Error)]
pub enum JsonRestoreError {
    #[error(transparent)]
    Backup(#[from] BackupError),
    #[error(transparent)]
    Postgres(#[from] PostgresError),
    #[error(transparent)]
    Held(#[from] OperatorLockError),
    #[error("the target is another one than was shown: {0}")]
    Moved(String),
    #[error("the target cannot take this backup: {}", .0.join("; "))]
    Refused(Vec<String>),
    #[error("the rows that were written are not those of the backup: {}", .0.join("; "))]
    Differs(Vec<String>),
    #[error(
        "the connection was lost at COMMIT ({reason}). The restore either happened as a whole or \
         not at all; SELECT txid_status({transaction}) says which, unless the server crashed"
    )]
    Unknown { transaction: String, reason: String },
    #[error("the restore was canceled")]
    Canceled,
}

impl From<tokio_postgres::Error> for JsonRestoreError {
    fn from(error: tokio_postgres::Error) -> Self {
        JsonRestoreError::Postgres(error.into())
    }
}

impl JsonRestoreError {
    /// What the server said, if it did.
    pub fn database_error(&self) -> Option<&DatabaseError> {
        match self {
            JsonRestoreError::Postgres(error) => error.database_error(),
            _ => None,
        }
    }
}

/// Verifies a backup without a server: every file, its hash and rows, and that the rows are those
/// that the server gave, value by value.
///
/// # Errors
/// What is wrong with it first.
pub fn verify(folder: &Path, mut observe: impl FnMut(&str)) -> Result<JsonManifest, BackupError> {
    let manifest = json_manifest::read_manifest(folder)?;
    manifest.check_files(folder)?;
    for table in &manifest.tables {
        observe(&format!("reading {}", table.file));
        let found = json_load::sum_of_file(table, &folder.join(&table.file))?;
        if found != table.content {
            return Err(BackupError::Damaged(format!(
                "the rows of {} are not those that the server gave",
                table.file
            )));
        }
    }
    Ok(manifest)
}

fn settings(name: &str, read_only: bool) -> SessionSettings {
    SessionSettings {
        application_name: format!("stagegate {name} restore"),
        statement_timeout: Duration::ZERO,
        idle_in_transaction_timeout: Duration::ZERO,
        read_only,
        ..SessionSettings::default()
    }
}

/// Says what a restore would meet. Reads the manifest, not the files; writes nothing.
///
/// # Errors
/// When there is no backup, or the target cannot be asked.
pub async fn survey(request: &JsonRestoreRequest<'_>) -> Result<JsonSurvey, JsonRestoreError> {
    let manifest = json_manifest::read_manifest(request.folder)?;
    let session = Session::open(request.info, &settings(request.name, true)).await?;
    let identity = identity::read(&session).await?;
    // Whoever may not read the mark is not told of it.
    let mark = enrolment::read(&session).await.ok().flatten();
    let mark = mark.filter(|mark| mark.is_for(&identity));
    session.client.batch_execute("BEGIN READ ONLY").await?;
    json_manifest::pin(&session).await?;
    let looked = json_target::look(&session, &manifest, request.conflict).await?;
    session.client.batch_execute("ROLLBACK").await?;
    session.close().await;
    Ok(JsonSurvey {
        manifest,
        identity,
        purpose: mark.and_then(|mark| mark.purpose),
        looked,
    })
}

/// Restores. `shown` is the database that somebody was shown and agreed to.
///
/// # Errors
/// Why nothing was written, or that the outcome is unknown.
pub async fn restore(
    request: &JsonRestoreRequest<'_>,
    shown: &Identity,
    cancel: &CancellationToken,
    mut observe: impl FnMut(&str),
) -> Result<JsonRestored, JsonRestoreError> {
    let manifest = json_manifest::read_manifest(request.folder)?;
    observe("checking the files");
    let checked = {
        let (manifest, folder) = (manifest.clone(), request.folder.to_owned());
        tokio::task::spawn_blocking(move || manifest.check_files(&folder))
    };
    checked
        .await
        .map_err(|lost| BackupError::file(request.folder)(std::io::Error::other(lost)))??;
    let lock = OperatorLock::acquire(request.info, request.name, PATIENCE).await?;
    let session = Session::open(request.info, &settings(request.name, false)).await?;
    session.require_primary().await?;
    let found = identity::read(&session).await?;
    found.same_server(shown).map_err(JsonRestoreError::Moved)?;
    let work = Work {
        request,
        manifest: &manifest,
        session: &session,
        cancel,
    };
    let (restored, transaction) = tokio::select! {
        written = work.write(&mut observe) => written?,
        // The session ends with us, and the server rolls back.
        () = cancel.cancelled() => return Err(JsonRestoreError::Canceled),
    };
    fault::point("before_json_commit");
    // From here on nobody can stop it: half a COMMIT is an unknown outcome.
    work.commit(transaction).await?;
    fault::point("after_json_commit");
    session.close().await;
    lock.release().await;
    Ok(restored)
}

struct Work<'a> {
    request: &'a JsonRestoreRequest<'a>,
    manifest: &'a JsonManifest,
    session: &'a Session,
    cancel: &'a CancellationToken,
}

impl Work<'_> {
    /// Does everything up to the COMMIT in one transaction, and gives its number. An error ends the
    /// session, which rolls it back.
    async fn write(
        &self,
        observe: &mut impl FnMut(&str),
    ) -> Result<(JsonRestored, String), JsonRestoreError> {
        let client = &self.session.client;
        client
            .batch_execute("BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE")
            .await?;
        json_manifest::pin(self.session).await?;
        let before = self.look().await?;
        self.lock(&before).await?;
        // Somebody may have changed it while we waited for the locks.
        let looked = self.look().await?;
        let transaction = self.transaction().await?;
        let aside = json_aside::put_aside(self.session, &looked, self.request.conflict).await?;
        if self.request.conflict == Conflict::Replace {
            json_aside::empty(self.session, &looked).await?;
        }
        fault::point("before_json_load");
        let tables = self.load(&looked, observe).await?;
        // Before the comparison: event triggers of the target see it, and may write.
        let sequences = json_aside::set_sequences(
            self.session,
            &self.manifest.sequences,
            self.request.conflict,
        )
        .await?;
        self.check(&looked, &aside, &tables, observe).await?;
        Ok((JsonRestored { tables, sequences }, transaction))
    }

    async fn look(&self) -> Result<Looked, JsonRestoreError> {
        let looked = json_target::look(self.session, self.manifest, self.request.conflict).await?;
        match looked.refusals.is_empty() {
            true => Ok(looked),
            false => Err(JsonRestoreError::Refused(looked.refusals)),
        }
    }

    /// Keeps others from writing; from reading too where the tables are emptied.
    async fn lock(&self, looked: &Looked) -> Result<(), JsonRestoreError> {
        let mode = match self.request.conflict {
            Conflict::Replace => "ACCESS EXCLUSIVE",
            Conflict::Refuse | Conflict::Keep => "SHARE ROW EXCLUSIVE",
        };
        for some in looked.tables.tables.chunks(500) {
            let names: Vec<String> = some.iter().map(|t| format!("ONLY {}", t.quoted)).collect();
            let sql = format!("LOCK TABLE {} IN {mode} MODE", names.join(", "));
            self.session.client.batch_execute(&sql).await?;
        }
        Ok(())
    }

    /// The transaction's number, for whoever must find out what became of it.
    async fn transaction(&self) -> Result<String, JsonRestoreError> {
        let sql = "SELECT pg_catalog.txid_current()::text";
        Ok(self.session.client.query_typed_one(sql, &[]).await?.get(0))
    }

    async fn load(
        &self,
        looked: &Looked,
        observe: &mut impl FnMut(&str),
    ) -> Result<Vec<RestoredTable>, JsonRestoreError> {
        let mut tables = Vec::new();
        let folder = self.request.folder;
        for oid in looked.order.iter().flat_map(|group| &group.tables) {
            let Some((wanted, table)) = self.pair(looked, *oid) else {
                continue;
            };
            observe(&format!("{}, {} rows", wanted.quoted, wanted.rows));
            let beside = self.request.conflict == Conflict::Keep && looked.holding.contains(oid);
            let written = match beside {
                true => {
                    json_load::add_missing(self.session, folder, wanted, table, self.cancel).await?
                }
                false => json_load::load(self.session, folder, wanted, self.cancel).await?,
            };
            tables.push(RestoredTable {
                table: wanted.quoted.clone(),
                written,
                kept: wanted.rows.saturating_sub(written),
                compared: !beside,
            });
        }
        Ok(tables)
    }

    fn pair<'a>(
        &'a self,
        looked: &'a Looked,
        oid: u32,
    ) -> Option<(&'a json_manifest::JsonTable, &'a super::tables::Table)> {
        let place = looked.places.get(&oid)?;
        Some((self.manifest.tables.get(*place)?, looked.table(oid)?))
    }

    /// Checks the keys, puts everything back, and compares what is there now with the backup, and
    /// what was put back with what was there before.
    async fn check(
        &self,
        looked: &Looked,
        aside: &Aside,
        tables: &[RestoredTable],
        observe: &mut impl FnMut(&str),
    ) -> Result<(), JsonRestoreError> {
        observe("checking foreign keys");
        let mut differences = json_aside::put_back(self.session, looked, aside).await?;
        for wanted in &self.manifest.tables {
            let compared = |t: &RestoredTable| t.table == wanted.quoted && t.compared;
            let mut there = looked.tables.tables.iter();
            let table = there.find(|t| t.quoted == wanted.quoted);
            let Some(table) = table.filter(|_| tables.iter().any(compared)) else {
                continue;
            };
            observe(&format!("comparing {}", wanted.quoted));
            // The condition is SQL: the target's own, and no text of the manifest.
            let own = table.extension.as_ref();
            let copy = json_manifest::copy_out(&table.quoted, &wanted.columns, own);
            let sum = content::sum_of(self.session, &copy).await?;
            let found = sum.content(&wanted.content.columns);
            if found != wanted.content {
                differences.push(format!(
                    "{}: {} rows with the digest {}, of {} with {}",
                    wanted.quoted,
                    found.rows,
                    found.digest,
                    wanted.content.rows,
                    wanted.content.digest
                ));
            }
        }
        let after = super::tables::read_definitions(self.session).await?;
        for before in &looked.tables.tables {
            let now = after.by_oid(before.oid);
            if now.map(|t| (&t.triggers, &t.foreign_keys))
                != Some((&before.triggers, &before.foreign_keys))
            {
                differences.push(format!(
                    "{}: its triggers or keys are not as they were",
                    before.quoted
                ));
            }
        }
        match differences.is_empty() {
            true => Ok(()),
            false => Err(JsonRestoreError::Differs(differences)),
        }
    }

    async fn commit(&self, transaction: String) -> Result<(), JsonRestoreError> {
        let Err(error) = self.session.client.batch_execute("COMMIT").await else {
            return Ok(());
        };
        let error = PostgresError::from(error);
        match error.is_connection_lost() {
            true => Err(JsonRestoreError::Unknown {
                transaction,
                reason: error.to_string(),
            }),
            false => Err(error.into()),
        }
    }
}
