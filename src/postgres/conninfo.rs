//! Where to connect and how: one address resolved the way PostgreSQL's own programs would.
//!
//! What is written wins over the service file, that over the `PG…` variables, those over the
//! defaults. One address is one server.

use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use secrecy::SecretString;

use super::conninfo_resolve;
use super::environment::Environment;
use super::keywords::KEYWORDS;

/// Where the server listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Host {
    /// A name or an address.
    Tcp(String),
    /// The folder of its socket.
    Socket(PathBuf),
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // In brackets, so that the port's colon stays apart from the address's own.
            Self::Tcp(name) if name.contains(':') => write!(f, "[{name}]"),
            Self::Tcp(name) => f.write_str(name),
            Self::Socket(folder) => write!(f, "{}", folder.display()),
        }
    }
}

/// How much the connection insists on TLS, from not at all to the server's very name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SslMode {
    Disable,
    Allow,
    Prefer,
    Require,
    VerifyCa,
    VerifyFull,
}

impl SslMode {
    const NAMES: [(&'static str, Self); 6] = [
        ("disable", Self::Disable),
        ("allow", Self::Allow),
        ("prefer", Self::Prefer),
        ("require", Self::Require),
        ("verify-ca", Self::VerifyCa),
        ("verify-full", Self::VerifyFull),
    ];

    /// Returns the keyword's value.
    pub fn as_str(self) -> &'static str {
        Self::NAMES
            .iter()
            .find(|(_, mode)| *mode == self)
            .map_or("", |(name, _)| name)
    }

    /// Reads the keyword's value.
    pub fn parse(text: &str) -> Option<Self> {
        Self::NAMES
            .iter()
            .find(|(name, _)| *name == text)
            .map(|(_, mode)| *mode)
    }
}

/// Which certificates are trusted to vouch for the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RootCertificates {
    File(PathBuf),
    /// Those that the operating system trusts.
    System,
}

/// Whether the password exchange must be tied to the TLS connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChannelBinding {
    Disable,
    Prefer,
    Require,
}

/// How a dead peer of a TCP connection is noticed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keepalives {
    pub enabled: bool,
    pub idle: Duration,
    pub interval: Duration,
    pub count: u32,
    /// How long sent data may stay unacknowledged.
    pub user_timeout: Duration,
}

impl Default for Keepalives {
    /// A black hole in the network is noticed within a quarter of a minute: an operator is
    /// looking at the screen.
    fn default() -> Self {
        Self {
            enabled: true,
            idle: Duration::from_secs(5),
            interval: Duration::from_secs(3),
            count: 3,
            user_timeout: Duration::from_secs(15),
        }
    }
}

/// A resolved address.
#[derive(Clone, Debug)]
pub struct Conninfo {
    pub host: Host,
    /// The address to dial instead of looking the name up; the name is still what is verified.
    pub hostaddr: Option<IpAddr>,
    pub port: u16,
    pub user: String,
    pub database: String,
    pub password: Option<SecretString>,
    pub sslmode: SslMode,
    pub sslrootcert: Option<RootCertificates>,
    pub sslcert: Option<PathBuf>,
    pub sslkey: Option<PathBuf>,
    /// Starts TLS at once instead of asking first, which servers know from version 17.
    pub ssl_direct: bool,
    /// Refuses TLS 1.2.
    pub tls13_only: bool,
    pub channel_binding: ChannelBinding,
    pub connect_timeout: Duration,
    pub keepalives: Keepalives,
    pub options: Option<String>,
    pub application_name: Option<String>,
    /// The session must take changes (`target_session_attrs`).
    pub must_be_primary: bool,
    /// What was found on the way and not used, for the screen.
    pub notes: Vec<String>,
}

/// Why an address could not be resolved. Never quotes what may be part of a password.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {problem}")]
pub struct ConninfoError {
    /// Where the trouble is written: the address, a variable, a line of the service file.
    pub place: String,
    pub problem: String,
}

impl Conninfo {
    /// Resolves `env:NAME`, `service:NAME`, `postgresql://…` or `host=… dbname=…`.
    pub fn resolve(source: &str, environment: &Environment) -> Result<Self, ConninfoError> {
        conninfo_resolve::resolve(source, environment)
    }

    /// Returns `user@host:port/database`: enough to know which one it is, and no secret.
    pub fn describe(&self) -> String {
        format!(
            "{}@{}:{}/{}",
            self.user, self.host, self.port, self.database
        )
    }

    /// Returns the same address for another database of the server.
    #[must_use]
    pub fn with_database(&self, name: &str) -> Self {
        Self {
            database: name.to_owned(),
            ..self.clone()
        }
    }

    /// Returns the same address for another user, without the first one's password.
    #[must_use]
    pub fn with_user(&self, user: &str) -> Self {
        Self {
            user: user.to_owned(),
            password: None,
            ..self.clone()
        }
    }

    /// Tells whether the connection stays on this machine.
    pub fn is_local(&self) -> bool {
        match (&self.host, self.hostaddr) {
            (Host::Socket(_), _) => true,
            (Host::Tcp(_), Some(address)) => address.is_loopback(),
            (Host::Tcp(name), None) => {
                name == "localhost" || name.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
            }
        }
    }

    /// Says what an attacker on the way to the server could do, if anything.
    ///
    /// Only `verify-full` knows that the server is the one that was named; the weaker modes are
    /// what PostgreSQL's own library uses unless told otherwise.
    pub fn transport_weakness(&self) -> Option<String> {
        if self.is_local() || self.sslmode == SslMode::VerifyFull {
            return None;
        }
        let danger = match self.sslmode {
            SslMode::Disable => "everything, the password included, is sent in clear",
            SslMode::Allow | SslMode::Prefer => {
                "whoever stands on the way can have everything sent in clear"
            }
            SslMode::Require => "any server with any certificate is accepted",
            SslMode::VerifyCa => "any server with a certificate of that authority is accepted",
            SslMode::VerifyFull => return None,
        };
        Some(format!(
            "sslmode={} to {}: {danger}; use sslmode=verify-full with sslrootcert=FILE or \
             sslrootcert=system",
            self.sslmode.as_str(),
            self.host
        ))
    }

    /// Returns the environment that makes a PostgreSQL program reach this very server.
    ///
    /// The password is not in it: it goes by a [`super::passfile::ChildPassfile`]. What the
    /// child must not inherit is in [`Conninfo::foreign_variables`].
    pub fn child_environment(&self, passfile: Option<&Path>) -> Vec<(String, String)> {
        let mut variables = vec![
            ("PGHOST", self.host_value()),
            ("PGPORT", self.port.to_string()),
            ("PGDATABASE", self.database.clone()),
            ("PGUSER", self.user.clone()),
            ("PGSSLMODE", self.sslmode.as_str().to_owned()),
            (
                "PGCONNECT_TIMEOUT",
                self.connect_timeout.as_secs().max(1).to_string(),
            ),
            (
                "PGAPPNAME",
                self.application_name
                    .clone()
                    .unwrap_or_else(|| "stagegate".to_owned()),
            ),
            (
                "PGCHANNELBINDING",
                match self.channel_binding {
                    ChannelBinding::Disable => "disable",
                    ChannelBinding::Prefer => "prefer",
                    ChannelBinding::Require => "require",
                }
                .to_owned(),
            ),
        ];
        let text = |path: &Path| path.to_string_lossy().into_owned();
        let optional = [
            (
                "PGHOSTADDR",
                self.hostaddr.map(|address| address.to_string()),
            ),
            ("PGPASSFILE", passfile.map(text)),
            (
                "PGSSLROOTCERT",
                self.sslrootcert.as_ref().map(|roots| match roots {
                    RootCertificates::File(path) => text(path),
                    RootCertificates::System => "system".to_owned(),
                }),
            ),
            ("PGSSLCERT", self.sslcert.as_deref().map(text)),
            ("PGSSLKEY", self.sslkey.as_deref().map(text)),
            (
                "PGSSLNEGOTIATION",
                self.ssl_direct.then(|| "direct".to_owned()),
            ),
            (
                "PGSSLMINPROTOCOLVERSION",
                self.tls13_only.then(|| "TLSv1.3".to_owned()),
            ),
            ("PGOPTIONS", self.options.clone()),
        ];
        variables.extend(
            optional
                .into_iter()
                .filter_map(|(name, value)| Some((name, value?))),
        );
        variables
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .collect()
    }

    /// Returns the variables that a child must not inherit, because one that was meant for
    /// something else would change where it connects.
    pub fn foreign_variables() -> impl Iterator<Item = &'static str> {
        KEYWORDS
            .iter()
            .filter_map(|keyword| keyword.variable)
            .chain([
                "PGSYSCONFDIR",
                "PGREQUIRESSL",
                "PGREALM",
                "PGDATESTYLE",
                "PGTZ",
            ])
    }

    fn host_value(&self) -> String {
        match &self.host {
            Host::Tcp(name) => name.clone(),
            Host::Socket(folder) => folder.to_string_lossy().into_owned(),
        }
    }
}
