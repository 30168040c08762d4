//! The mark by which a database says what it is for: that it is development and may be replaced,
//! or that it is production and never may be.
//!
//! A mark is made for exactly one database of one server. One that came along in a dump, in a
//! template or in a copy of the server's files names another one, and counts for nothing.

use super::PostgresError;
use super::identity::Identity;
use super::ledger::literal;
use super::session::Session;

/// The table of the mark, as a dump names it when it leaves it out.
pub const TABLE: &str = "stagegate.enrolment";

/// What a database is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// It may be replaced by a copy of another database.
    Development,
    Production,
}

impl Purpose {
    pub fn word(self) -> &'static str {
        match self {
            Purpose::Development => "development",
            Purpose::Production => "production",
        }
    }
}

/// The mark of a database, as it stands there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    /// `None` where the word is not one of ours.
    pub purpose: Option<Purpose>,
    /// It may be replaced.
    pub resettable: bool,
    /// It may be replaced by a copy of another database of the same server.
    pub same_cluster: bool,
    /// For which server it was made.
    pub system_identifier: String,
    /// For which database it was made.
    pub database_oid: u32,
    pub made_by: String,
    /// As the server writes it, in UTC.
    pub made_at: String,
}

impl Mark {
    /// Tells whether it was made for that database; it never is where the server hides who it is.
    pub fn is_for(&self, identity: &Identity) -> bool {
        identity.system_identifier.as_deref() == Some(self.system_identifier.as_str())
            && identity.database_oid == self.database_oid
    }
}

/// Why a database cannot be marked.
#[derive(Debug, thiserror::Error)]
pub enum EnrolError {
    #[error(transparent)]
    Postgres(#[from] PostgresError),
    #[error(
        "this role may not read the system identifier, and a mark without it proves nothing: \
         GRANT EXECUTE ON FUNCTION pg_control_system() TO {role}"
    )]
    Unidentified { role: String },
    #[error("the server is a standby: it is marked at its primary")]
    Standby,
    /// A mark stands there that says otherwise.
    #[error("it is marked as {0} already")]
    Marked(&'static str),
}

/// Reads the mark, if there is one.
///
/// # Errors
/// What the server says.
pub async fn read(session: &Session) -> Result<Option<Mark>, PostgresError> {
    let there = "SELECT EXISTS (SELECT FROM pg_catalog.pg_class c \
                 JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
                 WHERE n.nspname = 'stagegate' AND c.relname = 'enrolment' AND c.relkind = 'r')";
    if !session
        .client
        .query_typed_one(there, &[])
        .await?
        .get::<_, bool>(0)
    {
        return Ok(None);
    }
    let sql = format!(
        "SELECT purpose, resettable, same_cluster, system_identifier, database_oid::bigint, \
         made_by, to_char(made_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS') FROM {TABLE}"
    );
    let row = session.client.query_typed_opt(&sql, &[]).await?;
    Ok(row.map(|row| Mark {
        purpose: match row.get::<_, &str>(0) {
            "development" => Some(Purpose::Development),
            "production" => Some(Purpose::Production),
            _ => None,
        },
        resettable: row.get(1),
        same_cluster: row.get(2),
        system_identifier: row.get(3),
        database_oid: row.get::<_, i64>(4) as u32,
        made_by: row.get(5),
        made_at: row.get(6),
    }))
}

/// Marks the database of a session. The mark of another database that lies there is written over;
/// its own mark stays, and a different purpose is refused.
///
/// # Errors
/// Why it is not marked.
pub async fn enrol(
    session: &Session,
    identity: &Identity,
    purpose: Purpose,
    same_cluster: bool,
) -> Result<(), EnrolError> {
    let Some(system) = identity.system_identifier.clone() else {
        return Err(EnrolError::Unidentified {
            role: identity.user.clone(),
        });
    };
    if identity.in_recovery {
        return Err(EnrolError::Standby);
    }
    if let Some(mark) = read(session).await?
        && mark.is_for(identity)
        && mark.purpose != Some(purpose)
    {
        return Err(EnrolError::Marked(
            mark.purpose.map_or("something unknown", Purpose::word),
        ));
    }
    write(
        session,
        (&system, identity.database_oid),
        purpose,
        same_cluster,
    )
    .await?;
    Ok(())
}

/// Writes a mark for a database of that server and that number, in place of any other.
///
/// # Errors
/// What the server says.
pub async fn write(
    session: &Session,
    (system_identifier, database_oid): (&str, u32),
    purpose: Purpose,
    same_cluster: bool,
) -> Result<(), PostgresError> {
    let resettable = purpose == Purpose::Development;
    let sql = format!(
        "BEGIN; CREATE SCHEMA IF NOT EXISTS stagegate; \
         CREATE TABLE IF NOT EXISTS {TABLE} ( \
             only_one boolean PRIMARY KEY DEFAULT true CHECK (only_one), \
             purpose text NOT NULL CHECK (purpose IN ('development', 'production')), \
             resettable boolean NOT NULL, same_cluster boolean NOT NULL, \
             system_identifier text NOT NULL, database_oid oid NOT NULL, \
             made_by text NOT NULL DEFAULT session_user, \
             made_at timestamptz NOT NULL DEFAULT clock_timestamp()); \
         DELETE FROM {TABLE}; \
         INSERT INTO {TABLE} \
             (purpose, resettable, same_cluster, system_identifier, database_oid) \
             VALUES ({}, {resettable}, {same_cluster}, {}, {database_oid}); COMMIT",
        literal(purpose.word()),
        literal(system_identifier),
    );
    session.client.batch_execute(&sql).await?;
    Ok(())
}

/// Takes the mark away; tells whether there was one.
///
/// # Errors
/// What the server says.
pub async fn withdraw(session: &Session) -> Result<bool, PostgresError> {
    if read(session).await?.is_none() {
        return Ok(false);
    }
    let sql = format!("DROP TABLE {TABLE}");
    session.client.batch_execute(&sql).await?;
    Ok(true)
}
