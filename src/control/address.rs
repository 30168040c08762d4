//! Where the control schema is, and how one gets in.

use std::time::Duration;

use tokio::time::timeout;

use crate::postgres::PostgresError;
use crate::postgres::conninfo::Conninfo;
use crate::postgres::control::{self, VERSION};
use crate::postgres::environment::Environment;
use crate::postgres::ledger::identifier;
use crate::postgres::session::{Session, SessionSettings};
use crate::runbook::Control;
use crate::untrusted::clean_line;

/// How long one question to the control schema may take.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);

/// The database of the control schema.
#[derive(Debug, Clone)]
pub struct Address {
    info: Conninfo,
    role: Option<String>,
}

/// Why the control schema cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Trouble {
    /// The database answers and has none.
    #[error("there is no control schema in {0}")]
    NotInstalled(String),
    #[error("the control schema has version {0}; this program knows version {VERSION}")]
    Newer(i32),
    #[error("{}", clean_line(&.0.to_string()))]
    Postgres(#[from] PostgresError),
}

impl Trouble {
    /// Tells whether trying again may mend it.
    pub fn may_pass(&self) -> bool {
        match self {
            Trouble::NotInstalled(_) | Trouble::Newer(_) => false,
            // What the role may not do it may not do in a second either.
            Trouble::Postgres(error) => error.sqlstate() != Some("42501"),
        }
    }
}

impl Address {
    /// Takes an address as it is resolved.
    pub fn new(info: Conninfo, role: Option<String>) -> Address {
        Address {
            info: Conninfo {
                connect_timeout: info.connect_timeout.min(PATIENCE),
                ..info
            },
            role,
        }
    }

    /// Resolves the address that a runbook names.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub fn of(control: &Control, surroundings: &Environment) -> Result<Address, String> {
        let info = Conninfo::resolve(&control.url, surroundings).map_err(|e| e.to_string())?;
        Ok(Address::new(info, control.role.clone()))
    }

    /// The database in words, without a secret.
    pub fn describe(&self) -> String {
        clean_line(&self.info.describe())
    }

    /// Opens a session in which the schema stands, in the version that this program knows.
    ///
    /// # Errors
    /// Why it cannot be used.
    pub async fn open(&self, what: &str) -> Result<Session, Trouble> {
        let mut name = format!("stagegate {what}");
        while name.len() > 63 {
            name.pop();
        }
        let settings = SessionSettings {
            application_name: name,
            statement_timeout: PATIENCE,
            search_path: Some("pg_catalog".to_owned()),
            ..SessionSettings::default()
        };
        let opened = async {
            let session = Session::open(&self.info, &settings).await?;
            if let Some(role) = &self.role {
                let sql = format!("SET ROLE {}", identifier(role));
                session.rows(&sql).await?;
            }
            match control::version(&session).await? {
                None => Err(Trouble::NotInstalled(self.describe())),
                Some(VERSION) => Ok(session),
                Some(other) => Err(Trouble::Newer(other)),
            }
        };
        bounded("opening the control schema", opened).await
    }
}

/// Asks, but not for longer than a question may take.
pub(super) async fn bounded<T, E: Into<Trouble>>(
    what: &str,
    asked: impl Future<Output = Result<T, E>>,
) -> Result<T, Trouble> {
    match timeout(PATIENCE, asked).await {
        Ok(answered) => answered.map_err(Into::into),
        Err(_) => Err(Trouble::Postgres(PostgresError::Timeout {
            what: what.to_owned(),
            after: PATIENCE,
        })),
    }
}
