//! What can go wrong between this program and a PostgreSQL server, as plain data.

use std::error::Error as _;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio_postgres::error::{DbError, ErrorPosition};

/// An error or a notice as the server sent it.
///
/// The severity is the one that the server's language does not change.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatabaseError {
    pub sqlstate: String,
    pub severity: String,
    pub message: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// Where in the statement that was sent, in characters, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position: Option<u32>,
    /// Where in `internal_query`, in characters, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub internal_position: Option<u32>,
    /// The statement inside a function that failed, when the one that was sent did not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub internal_query: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub where_: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub table: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub column: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub constraint: Option<String>,
    /// The server's function that reported it: the same in every language.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub routine: Option<String>,
}

impl DatabaseError {
    /// Tells whether the server ended the session with this error.
    pub fn ends_session(&self) -> bool {
        matches!(self.severity.as_str(), "FATAL" | "PANIC")
            || matches!(self.sqlstate.as_str(), "57P01" | "57P02" | "57P05")
            || self.sqlstate.starts_with("08")
    }
}

impl From<&DbError> for DatabaseError {
    fn from(error: &DbError) -> Self {
        let (position, internal_position, internal_query) = match error.position() {
            Some(ErrorPosition::Original(position)) => (Some(*position), None, None),
            Some(ErrorPosition::Internal { position, query }) => {
                (None, Some(*position), Some(query.clone()))
            }
            None => (None, None, None),
        };
        let owned = |text: Option<&str>| text.map(str::to_owned);
        Self {
            sqlstate: error.code().code().to_owned(),
            severity: error.parsed_severity().map_or_else(
                || error.severity().to_owned(),
                |severity| severity.to_string(),
            ),
            message: error.message().to_owned(),
            detail: owned(error.detail()),
            hint: owned(error.hint()),
            position,
            internal_position,
            internal_query,
            where_: owned(error.where_()),
            schema: owned(error.schema()),
            table: owned(error.table()),
            column: owned(error.column()),
            constraint: owned(error.constraint()),
            routine: owned(error.routine()),
        }
    }
}

impl fmt::Display for DatabaseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (SQLSTATE {})", self.message, self.sqlstate)?;
        if let Some(detail) = &self.detail {
            write!(f, "; detail: {detail}")?;
        }
        if let Some(hint) = &self.hint {
            write!(f, "; hint: {hint}")?;
        }
        Ok(())
    }
}

impl std::error::Error for DatabaseError {}

/// Why a connection could not be made. One value for each thing that a person would mend
/// differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ConnectFailure {
    HostUnknown,
    Refused,
    Unreachable,
    TimedOut,
    SocketMissing,
    SocketForbidden,
    /// The server has no TLS and the connection asks for it.
    TlsNotOffered,
    /// The server wants TLS and the connection forbids it.
    TlsRequired,
    /// The server's certificate was not accepted.
    Certificate,
    /// A certificate or key file of ours cannot be used.
    TlsFile,
    TlsHandshake,
    ChannelBinding,
    PasswordMissing,
    PasswordWrong,
    MethodUnsupported,
    NoHbaEntry,
    RoleMissing,
    RoleForbidden,
    DatabaseMissing,
    DatabaseForbidden,
    StartingUp,
    TooManyConnections,
    NotPostgres,
    Other,
}

/// A connection that could not be made: to where, why, and what to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConnectError {
    /// `user@host:port/database`, never a password.
    pub server: String,
    pub failure: ConnectFailure,
    /// What was wrong, in a sentence without a full stop.
    pub cause: String,
    /// What a person can do about it.
    pub advice: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub database_error: Option<DatabaseError>,
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot connect to {}: {}", self.server, self.cause)?;
        if !self.advice.is_empty() {
            write!(f, ". {}", self.advice)?;
        }
        Ok(())
    }
}

impl std::error::Error for ConnectError {}

/// Anything that a session with a server can end in.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum PostgresError {
    #[error(transparent)]
    Database(Box<DatabaseError>),
    #[error("the connection to the server is gone: {reason}")]
    ConnectionLost { reason: String },
    #[error(transparent)]
    Connect(Box<ConnectError>),
    #[error("{what} took longer than {} ms", after.as_millis())]
    Timeout { what: String, after: Duration },
    /// A setting was made and the server says something else.
    #[error(
        "the server did not keep the setting {name}: asked for '{wanted}', reads '{found}'. \
         Connect directly to the server, not through a pooler that resets sessions"
    )]
    SettingNotKept {
        name: String,
        wanted: String,
        found: String,
    },
    #[error("this server does not take changes: {reason}")]
    NotPrimary { reason: String },
    /// The two ends did not understand each other, or a value had an unexpected type.
    #[error("unexpected answer from the server: {reason}")]
    Protocol { reason: String },
}

impl PostgresError {
    /// Returns the server's error code, also of a refused connection.
    pub fn sqlstate(&self) -> Option<&str> {
        self.database_error().map(|error| error.sqlstate.as_str())
    }

    /// Returns what the server said, if it said anything.
    pub fn database_error(&self) -> Option<&DatabaseError> {
        match self {
            Self::Database(error) => Some(error),
            Self::Connect(error) => error.database_error.as_ref(),
            _ => None,
        }
    }

    /// Tells whether the session is over, so that what was sent last may or may not have happened.
    pub fn is_connection_lost(&self) -> bool {
        match self {
            Self::ConnectionLost { .. } => true,
            Self::Database(error) => error.ends_session(),
            _ => false,
        }
    }
}

impl From<DatabaseError> for PostgresError {
    fn from(error: DatabaseError) -> Self {
        Self::Database(Box::new(error))
    }
}

impl From<ConnectError> for PostgresError {
    fn from(error: ConnectError) -> Self {
        Self::Connect(Box::new(error))
    }
}

impl From<tokio_postgres::Error> for PostgresError {
    fn from(error: tokio_postgres::Error) -> Self {
        if let Some(database) = error.as_db_error() {
            return DatabaseError::from(database).into();
        }
        if error.is_closed() {
            return Self::ConnectionLost {
                reason: "it was closed".to_owned(),
            };
        }
        match error.source() {
            // The driver reports an unreadable answer as an input/output error of kind
            // InvalidInput; anything else of that type is the wire.
            Some(source)
                if source
                    .downcast_ref::<std::io::Error>()
                    .is_some_and(|io| io.kind() != std::io::ErrorKind::InvalidInput) =>
            {
                Self::ConnectionLost {
                    reason: source.to_string(),
                }
            }
            Some(source) => Self::Protocol {
                reason: format!("{error}: {source}"),
            },
            None => Self::Protocol {
                reason: error.to_string(),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_error_keeps_its_parts_when_written_and_read() {
        let error = DatabaseError {
            sqlstate: "42703".into(),
            severity: "ERROR".into(),
            message: "column \"nope\" does not exist".into(),
            hint: Some("Perhaps you meant something else.".into()),
            position: Some(8),
            ..DatabaseError::default()
        };
        let text = serde_json::to_string(&error).unwrap();
        assert_eq!(serde_json::from_str::<DatabaseError>(&text).unwrap(), error);
        assert!(!text.contains("detail"));
        assert_eq!(
            error.to_string(),
            "column \"nope\" does not exist (SQLSTATE 42703); \
             hint: Perhaps you meant something else."
        );
    }

    #[test]
    fn a_fatal_error_means_that_the_connection_is_lost() {
        let mut error = DatabaseError {
            sqlstate: "25P03".into(),
            severity: "FATAL".into(),
            ..DatabaseError::default()
        };
        assert!(PostgresError::from(error.clone()).is_connection_lost());
        error.severity = "ERROR".into();
        assert!(!PostgresError::from(error.clone()).is_connection_lost());
        error.sqlstate = "57P01".into();
        assert!(PostgresError::from(error).is_connection_lost());
    }
}
