//! Turns what the operating system, TLS or the server said about a connection into one sentence
//! and one advice.

use std::io;

use super::conninfo::{Conninfo, Host, SslMode};
use super::error::{ConnectError, ConnectFailure, DatabaseError};

/// Why one attempt failed.
#[derive(Clone, Debug)]
pub(super) struct Refusal {
    pub(super) failure: ConnectFailure,
    pub(super) cause: String,
    pub(super) advice: String,
    pub(super) database_error: Option<Box<DatabaseError>>,
}

impl Refusal {
    pub(super) fn new(failure: ConnectFailure, cause: impl Into<String>, advice: &str) -> Self {
        Self {
            failure,
            cause: cause.into(),
            advice: advice.to_owned(),
            database_error: None,
        }
    }

    /// Adds for whom it was.
    pub(super) fn at(self, info: &Conninfo) -> ConnectError {
        ConnectError {
            server: info.describe(),
            failure: self.failure,
            cause: self.cause,
            advice: self.advice,
            database_error: self.database_error,
        }
    }

    /// Tells whether the other of "with TLS" and "without" may be admitted where this was not.
    pub(super) fn depends_on_tls(&self) -> bool {
        matches!(
            self.failure,
            ConnectFailure::NoHbaEntry
                | ConnectFailure::TlsRequired
                | ConnectFailure::TlsHandshake
                | ConnectFailure::Certificate
        )
    }

    /// Joins the refusals of both ways, so that neither hides the other.
    pub(super) fn after(self, first: &Refusal, first_way: &str, second_way: &str) -> Self {
        Self {
            cause: format!("{first_way}: {}; {second_way}: {}", first.cause, self.cause),
            ..self
        }
    }

    /// Explains a socket that could not be connected.
    pub(super) fn of_socket(error: &io::Error, info: &Conninfo) -> Self {
        match &info.host {
            Host::Socket(folder) => {
                let socket = folder.join(format!(".s.PGSQL.{}", info.port));
                let socket = socket.display();
                match error.kind() {
                    io::ErrorKind::NotFound => Self::new(
                        ConnectFailure::SocketMissing,
                        format!("there is no socket {socket}"),
                        "Is the server running, and does it listen in that folder and at that \
                         port (unix_socket_directories, port)? host=NAME connects by TCP",
                    ),
                    io::ErrorKind::PermissionDenied => Self::new(
                        ConnectFailure::SocketForbidden,
                        format!("the socket {socket} may not be used by this user"),
                        "See unix_socket_permissions, or connect by TCP with host=NAME",
                    ),
                    io::ErrorKind::ConnectionRefused => Self::new(
                        ConnectFailure::Refused,
                        format!("no server listens on the socket {socket}"),
                        "The file is left from one that is gone. Start the server",
                    ),
                    _ => Self::new(
                        ConnectFailure::Other,
                        format!("the socket {socket} cannot be used: {error}"),
                        "",
                    ),
                }
            }
            Host::Tcp(_) => match error.kind() {
                io::ErrorKind::ConnectionRefused => Self::new(
                    ConnectFailure::Refused,
                    format!("nothing listens at port {} there", info.port),
                    "Is the server running, and does it listen on TCP (listen_addresses, port)?",
                ),
                io::ErrorKind::TimedOut => Self::timed_out(info),
                io::ErrorKind::HostUnreachable
                | io::ErrorKind::NetworkUnreachable
                | io::ErrorKind::NetworkDown => Self::new(
                    ConnectFailure::Unreachable,
                    format!("there is no way to the host: {error}"),
                    "Check the network, the VPN, the firewall",
                ),
                _ => Self::new(ConnectFailure::Other, error.to_string(), ""),
            },
        }
    }

    pub(super) fn timed_out(info: &Conninfo) -> Self {
        Self::new(
            ConnectFailure::TimedOut,
            format!(
                "there was no answer within {} s",
                info.connect_timeout.as_secs_f32()
            ),
            "Check the network, the VPN, the firewall; connect_timeout=SECONDS waits longer",
        )
    }

    /// Explains what the driver reports of the start of a session.
    pub(super) fn of_startup(error: &tokio_postgres::Error, info: &Conninfo, tls: bool) -> Self {
        if let Some(database) = error.as_db_error() {
            return Self::of_server(DatabaseError::from(database), info, tls);
        }
        let source = std::error::Error::source(error)
            .map(ToString::to_string)
            .unwrap_or_default();
        if source == "password missing" {
            return Self::new(
                ConnectFailure::PasswordMissing,
                format!("the server asks for a password of {}", info.user),
                "Put it into ~/.pgpass (mode 0600), a service file, or PGPASSWORD",
            );
        }
        if source.contains("channel binding") {
            return Self::new(
                ConnectFailure::ChannelBinding,
                "the password exchange is not tied to the TLS connection, as \
                 channel_binding=require asks",
                "It needs TLS and a SCRAM password; something between here and the server may \
                 end the TLS connection",
            );
        }
        let text = if source.is_empty() {
            error.to_string()
        } else {
            format!("{error}: {source}")
        };
        if error.to_string() == "authentication error" {
            return Self::new(
                ConnectFailure::MethodUnsupported,
                text,
                "Password (SCRAM, MD5, clear), certificate, peer and trust are supported",
            );
        }
        let cut = std::error::Error::source(error)
            .and_then(|source| source.downcast_ref::<io::Error>())
            .is_some_and(|error| error.kind() != io::ErrorKind::TimedOut);
        if cut || source.is_empty() {
            return Self::new(
                ConnectFailure::NotPostgres,
                format!("what listens there did not answer as a PostgreSQL server: {text}"),
                "Check host and port; a firewall or proxy on the way may have cut it off",
            );
        }
        Self::new(ConnectFailure::Other, text, "")
    }

    fn of_server(error: DatabaseError, info: &Conninfo, tls: bool) -> Self {
        let (failure, advice) = Self::read_server(&error, info, tls);
        Self {
            failure,
            cause: error.to_string(),
            advice,
            database_error: Some(Box::new(error)),
        }
    }

    fn read_server(error: &DatabaseError, info: &Conninfo, tls: bool) -> (ConnectFailure, String) {
        let user = &info.user;
        let database = &info.database;
        let remote = matches!(info.host, Host::Tcp(_));
        let routine = error.routine.as_deref().unwrap_or_default();
        match error.sqlstate.as_str() {
            "28P01" => (
                ConnectFailure::PasswordWrong,
                format!("Check the password of {user}, and that it is this server's"),
            ),
            // The routine's and the file's names are the same in every language that the server
            // may speak.
            "28000"
                if routine == "ClientAuthentication" && error.message.contains("pg_hba.conf") =>
            {
                if remote && !tls && info.sslmode == SslMode::Disable {
                    (
                        ConnectFailure::TlsRequired,
                        format!(
                            "The server has no rule that admits {user} without TLS: leave out \
                             sslmode=disable, or have a line added to pg_hba.conf"
                        ),
                    )
                } else {
                    (
                        ConnectFailure::NoHbaEntry,
                        format!(
                            "Have a line for {user} and {database} from this machine added to \
                             the server's pg_hba.conf"
                        ),
                    )
                }
            }
            "28000" if error.message.contains("not permitted to log in") => (
                ConnectFailure::RoleForbidden,
                format!("The role {user} has no LOGIN; connect as one that has"),
            ),
            "28000" if routine == "InitializeSessionUserId" => (
                ConnectFailure::RoleMissing,
                format!("Create the role {user} or connect as another (user=NAME)"),
            ),
            "28000" => (
                ConnectFailure::NotAdmitted,
                format!(
                    "The server admits {user} by other means here (peer: only the user of the \
                     operating system with that name; cert: sslcert and sslkey)"
                ),
            ),
            "3D000" => (
                ConnectFailure::DatabaseMissing,
                format!("Check the name {database}; psql -l lists what there is"),
            ),
            "42501" => (
                ConnectFailure::DatabaseForbidden,
                format!("GRANT CONNECT ON DATABASE {database} TO {user}"),
            ),
            "55000" => (ConnectFailure::DatabaseForbidden, String::new()),
            "57P03" => (
                ConnectFailure::StartingUp,
                "Try again in a moment; its log says what it is busy with".to_owned(),
            ),
            "53300" => (
                ConnectFailure::TooManyConnections,
                "End sessions that are idle, or use a role with reserved connections".to_owned(),
            ),
            _ => (ConnectFailure::Other, String::new()),
        }
    }
}
