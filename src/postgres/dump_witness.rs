//! What a source itself holds in the snapshot that is dumped: read from its tables, and not from the
//! dump. A dump that left rows out, or wrote other ones, differs from it.
//!
//! What a dump says of itself proves that it was not changed later; only the source can say that it
//! was right in the first place.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use super::catalog::{self, CatalogError};
use super::clone_rows::{self, CopyPlan};
use super::content::{self, Contents};
use super::session::{Session, SessionSettings};
use super::shared_snapshot;
use super::tables::{self, Sequence, Table, Tables};
use super::{PostgresError, content::TableContent};
use crate::schema::Snapshot;

const DAY: Duration = Duration::from_secs(24 * 3600);

/// What was seen of the source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Witnessed {
    /// The exported snapshot's name.
    pub snapshot: String,
    /// The rows of each table, added up.
    pub contents: Contents,
    /// Tables with amounts of money, which each locale writes in its own way.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub money: Vec<String>,
    /// The file in the run's folder that holds the schema.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema_file: Option<String>,
    /// The SHA-256 of that file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema_sha256: Option<String>,
}

impl Witnessed {
    /// Tells whether a table's values are written by a locale.
    pub fn has_money(&self, table: &str) -> bool {
        self.money.iter().any(|name| name == table)
    }
}

/// Why the source could not be read.
#[derive(Debug, thiserror::Error)]
pub enum WitnessError {
    #[error(transparent)]
    Postgres(#[from] PostgresError),
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    #[error("tables come and go faster than they can be locked")]
    Restless,
    #[error("it was canceled")]
    Canceled,
}

/// A session that keeps a snapshot for a dump, and reads what it sees.
pub struct Witness {
    session: Session,
    snapshot: String,
    tables: Tables,
    pub schema: Snapshot,
}

/// What the session of a witness is set to: it reads for long, and waits in its transaction.
pub fn settings() -> SessionSettings {
    SessionSettings {
        read_only: true,
        statement_timeout: DAY,
        idle_in_transaction_timeout: DAY,
        ..SessionSettings::default()
    }
}

impl Witness {
    /// Takes the snapshot and reads the schema in it.
    ///
    /// # Errors
    /// Why it cannot be.
    pub async fn begin(session: Session) -> Result<Witness, WitnessError> {
        let taken = shared_snapshot::take::<PostgresError>(&session, Ok).await?;
        let Some((snapshot, tables)) = taken else {
            return Err(WitnessError::Restless);
        };
        let schema = catalog::read_within(&session).await?;
        clone_rows::prepare(&session).await?;
        Ok(Witness {
            session,
            snapshot,
            tables,
            schema,
        })
    }

    /// The snapshot's name, for whoever dumps it. It lasts as long as this does.
    pub fn snapshot(&self) -> &str {
        &self.snapshot
    }

    /// The session that keeps the snapshot.
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// The tables that hold rows of their own.
    pub fn tables(&self) -> &[Table] {
        &self.tables.tables
    }

    /// How many rows each table has, as the planner last knew; those that it never counted are
    /// left out.
    pub fn estimated_rows(&self) -> BTreeMap<String, u64> {
        let tables = self.tables.tables.iter();
        tables
            .filter_map(|table| Some((table.quoted.clone(), table.estimated_rows?)))
            .filter(|(_, rows)| *rows > 0)
            .collect()
    }

    /// Where the sequences stand now.
    ///
    /// # Errors
    /// What the server says.
    pub async fn sequences(&self) -> Result<Vec<Sequence>, PostgresError> {
        let mut sequences = self.tables.sequences.clone();
        tables::read_values(&self.session, &mut sequences).await?;
        Ok(sequences)
    }

    /// Adds up the rows of every table whose rows are the user's.
    ///
    /// # Errors
    /// What the server says.
    pub async fn read(
        &self,
        cancel: &CancellationToken,
        mut observe: impl FnMut(&str),
    ) -> Result<Witnessed, WitnessError> {
        let mut contents = Contents::new();
        let whole = |table: &&Table| {
            // A dump takes only the rows that the extension's condition names.
            let condition = table.extension.as_ref().map(|e| e.condition.is_empty());
            condition.unwrap_or(true)
        };
        for table in self.tables.tables.iter().filter(whole) {
            if cancel.is_cancelled() {
                return Err(WitnessError::Canceled);
            }
            observe(&table.quoted);
            let plan = CopyPlan::of(table);
            if plan.columns.is_empty() {
                // A dump names no columns of it, and no rows can differ.
                continue;
            }
            let content = self.one(&plan, cancel).await?;
            contents.insert(table.quoted.clone(), content);
        }
        Ok(Witnessed {
            snapshot: self.snapshot.clone(),
            money: self.money(),
            contents,
            schema_file: None,
            schema_sha256: None,
        })
    }

    fn money(&self) -> Vec<String> {
        let tables = self.tables.tables.iter();
        tables
            .filter(|table| table.columns.iter().any(|c| c.type_name.contains("money")))
            .map(|table| table.quoted.clone())
            .collect()
    }

    async fn one(
        &self,
        plan: &CopyPlan,
        cancel: &CancellationToken,
    ) -> Result<TableContent, WitnessError> {
        let copy = plan.out();
        let reading = content::sum_of(&self.session, &copy);
        tokio::select! {
            biased;
            () = cancel.cancelled() => Err(WitnessError::Canceled),
            sum = reading => Ok(sum?.content(&plan.list())),
        }
    }
}
