//! Gets from an address to a connection: dials, secures, starts, and says why not.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use secrecy::ExposeSecret;
use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;
use tokio_postgres::config::{SslMode as DriverSslMode, SslNegotiation};
use tokio_postgres::{Client, Config, Connection};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::conninfo::{ChannelBinding, Conninfo, Host, Keepalives, SslMode};
use super::error::{ConnectError, ConnectFailure};
use super::refusal::Refusal;
use super::tls;
use super::wire::{AlreadySecured, Plain, Wire};
use super::witness::Witness;

/// PostgreSQL's question whether the server speaks TLS: length 8, code 80877103.
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f];

/// A started session.
pub(super) struct Connected {
    pub(super) client: Client,
    pub(super) connection: Connection<Wire, Wire>,
    pub(super) route: Route,
    pub(super) tls: bool,
    pub(super) witness: Arc<Witness>,
}

/// The way that a connection took: to which of the host's addresses, secured how. A cancel
/// request must reach the same server, so it takes the same way.
#[derive(Clone)]
pub(super) struct Route {
    place: Place,
    keepalives: Keepalives,
    security: Security,
}

#[derive(Clone)]
enum Place {
    Socket(PathBuf),
    Tcp(SocketAddr),
}

#[derive(Clone)]
enum Security {
    None,
    Tls {
        connector: MakeRustlsConnect,
        name: Arc<str>,
        direct: bool,
        /// Goes on in clear when the server has no TLS.
        optional: bool,
    },
}

enum RouteError {
    Io(io::Error),
    NoTls,
    NotPostgres(u8),
    Handshake(io::Error),
}

/// Connects as the address says, in each of the ways that its `sslmode` allows.
pub(super) async fn connect(
    info: &Conninfo,
    application_name: &str,
) -> Result<Connected, ConnectError> {
    attempt_all(info, application_name)
        .await
        .map_err(|refusal| refusal.at(info))
}

async fn attempt_all(info: &Conninfo, application_name: &str) -> Result<Connected, Refusal> {
    let places = resolve(info).await?;
    let (first, second) = match info.sslmode {
        // TLS on a socket protects from nobody; PostgreSQL does not speak it there.
        _ if matches!(info.host, Host::Socket(_)) => (Security::None, None),
        SslMode::Disable => (Security::None, None),
        SslMode::Allow => (Security::None, Some(security(info)?)),
        SslMode::Prefer => (security(info)?, Some(Security::None)),
        SslMode::Require | SslMode::VerifyCa | SslMode::VerifyFull => (security(info)?, None),
    };
    let (first_way, second_way) = match &first {
        Security::None => ("without TLS", "with TLS"),
        Security::Tls { .. } => ("with TLS", "without TLS"),
    };
    let refusal = match attempt_places(info, application_name, &places, &first).await {
        Ok(connected) => return Ok(connected),
        Err(refusal) => refusal,
    };
    match second {
        Some(second) if refusal.depends_on_tls() => {
            attempt_places(info, application_name, &places, &second)
                .await
                .map_err(|last| last.after(&refusal, first_way, second_way))
        }
        _ => Err(refusal),
    }
}

fn security(info: &Conninfo) -> Result<Security, Refusal> {
    let name = match &info.host {
        Host::Tcp(name) => name.as_str(),
        Host::Socket(_) => "localhost",
    };
    Ok(Security::Tls {
        connector: MakeRustlsConnect::new(tls::client_config(info)?),
        name: Arc::from(name),
        direct: info.ssl_direct,
        optional: info.sslmode < SslMode::Require,
    })
}

async fn resolve(info: &Conninfo) -> Result<Vec<Place>, Refusal> {
    let name = match (&info.host, info.hostaddr) {
        (Host::Socket(folder), _) => {
            let socket = folder.join(format!(".s.PGSQL.{}", info.port));
            return Ok(vec![Place::Socket(socket)]);
        }
        (_, Some(address)) => return Ok(vec![Place::Tcp((address, info.port).into())]),
        (Host::Tcp(name), None) => name,
    };
    if let Ok(address) = name.parse::<IpAddr>() {
        return Ok(vec![Place::Tcp((address, info.port).into())]);
    }
    let lookup = tokio::net::lookup_host((name.as_str(), info.port));
    let unknown = |why: String| {
        Refusal::new(
            ConnectFailure::HostUnknown,
            format!("the name {name} was not found: {why}"),
            "Check the name, the VPN, the DNS server",
        )
    };
    let addresses: Vec<Place> = timeout(info.connect_timeout, lookup)
        .await
        .map_err(|_| Refusal::timed_out(info))?
        .map_err(|error| unknown(error.to_string()))?
        .map(Place::Tcp)
        .collect();
    if addresses.is_empty() {
        return Err(unknown("it has no address".to_owned()));
    }
    Ok(addresses)
}

/// Tries the addresses of one host in order, because a name may have one of each family and only
/// one of them a way. An answer of a server, whatever it is, ends the search.
async fn attempt_places(
    info: &Conninfo,
    application_name: &str,
    places: &[Place],
    security: &Security,
) -> Result<Connected, Refusal> {
    let mut last = None;
    for place in places {
        let route = Route {
            place: place.clone(),
            keepalives: info.keepalives.clone(),
            security: security.clone(),
        };
        let attempt = Box::pin(attempt(info, application_name, route));
        let refusal = match timeout(info.connect_timeout, attempt).await {
            Ok(Ok(connected)) => return Ok(connected),
            Ok(Err(refusal)) => refusal,
            Err(_) => Refusal::timed_out(info),
        };
        let next = matches!(
            refusal.failure,
            ConnectFailure::Refused | ConnectFailure::Unreachable | ConnectFailure::TimedOut
        );
        last = Some(refusal);
        if !next {
            break;
        }
    }
    Err(last.unwrap_or_else(|| Refusal::new(ConnectFailure::HostUnknown, "no address", "")))
}

async fn attempt(
    info: &Conninfo,
    application_name: &str,
    route: Route,
) -> Result<Connected, Refusal> {
    let wire = route.open().await.map_err(|error| match error {
        RouteError::Io(error) => Refusal::of_socket(&error, info),
        RouteError::Handshake(error) => tls::explain(&error, info),
        RouteError::NoTls => Refusal::new(
            ConnectFailure::TlsNotOffered,
            format!(
                "the server does not speak TLS, which sslmode={} asks for; nothing was sent to it",
                info.sslmode.as_str()
            ),
            "Switch ssl on at the server; if it always was, something is between here and it",
        ),
        RouteError::NotPostgres(byte) => Refusal::new(
            ConnectFailure::NotPostgres,
            format!("what listens there is no PostgreSQL server (it answered 0x{byte:02x})"),
            "Check host and port",
        ),
    })?;
    let tls = wire.is_tls();
    let witness = Arc::new(Witness::default());
    let wire = wire.seen_by(Arc::clone(&witness));
    let (client, connection) =
        Box::pin(driver_config(info, application_name, tls).connect_raw(wire, AlreadySecured))
            .await
            .map_err(|error| Refusal::of_startup(&error, info, tls))?;
    Ok(Connected {
        client,
        connection,
        route,
        tls,
        witness,
    })
}

fn driver_config(info: &Conninfo, application_name: &str, tls: bool) -> Config {
    let mut config = Config::new();
    config
        .user(&info.user)
        .dbname(&info.database)
        .application_name(application_name)
        .channel_binding(match info.channel_binding {
            ChannelBinding::Disable => tokio_postgres::config::ChannelBinding::Disable,
            ChannelBinding::Prefer => tokio_postgres::config::ChannelBinding::Prefer,
            ChannelBinding::Require => tokio_postgres::config::ChannelBinding::Require,
        });
    // "Direct" keeps the driver from asking for TLS itself: the wire is secured already.
    if tls {
        config
            .ssl_mode(DriverSslMode::Require)
            .ssl_negotiation(SslNegotiation::Direct);
    } else {
        config.ssl_mode(DriverSslMode::Disable);
    }
    if let Some(password) = &info.password {
        config.password(password.expose_secret());
    }
    if let Some(options) = &info.options {
        config.options(options);
    }
    config
}

impl Route {
    /// The network address that it leads to; none for a socket.
    pub(super) fn address(&self) -> Option<IpAddr> {
        match &self.place {
            Place::Socket(_) => None,
            Place::Tcp(address) => Some(address.ip()),
        }
    }

    /// Opens a wire for a cancel request.
    pub(super) async fn open_again(&self) -> io::Result<Wire> {
        self.open().await.map_err(|error| match error {
            RouteError::Io(error) | RouteError::Handshake(error) => error,
            RouteError::NoTls | RouteError::NotPostgres(_) => {
                io::Error::other("the server does not speak TLS any more")
            }
        })
    }

    async fn open(&self) -> Result<Wire, RouteError> {
        let mut stream = self.dial().await.map_err(RouteError::Io)?;
        let Security::Tls {
            connector,
            name,
            direct,
            optional,
        } = &self.security
        else {
            return Ok(Wire::plain(stream));
        };
        if !direct {
            match ask_for_tls(&mut stream).await.map_err(RouteError::Io)? {
                b'S' => {}
                b'N' if *optional => return Ok(Wire::plain(stream)),
                b'N' => return Err(RouteError::NoTls),
                other => return Err(RouteError::NotPostgres(other)),
            }
        }
        Box::pin(Wire::secure(stream, connector, name))
            .await
            .map_err(RouteError::Handshake)
    }

    async fn dial(&self) -> io::Result<Plain> {
        match &self.place {
            Place::Socket(path) => Ok(Box::new(UnixStream::connect(path).await?)),
            Place::Tcp(address) => {
                let stream = TcpStream::connect(address).await?;
                stream.set_nodelay(true)?;
                watch_for_death(&stream, &self.keepalives)?;
                Ok(Box::new(stream))
            }
        }
    }
}

/// Reads exactly one byte: whatever else is there before the handshake was put there by somebody
/// in between, and reaches the TLS layer, which refuses it.
async fn ask_for_tls(stream: &mut Plain) -> io::Result<u8> {
    stream.write_all(&SSL_REQUEST).await?;
    stream.flush().await?;
    stream.read_u8().await
}

fn watch_for_death(stream: &TcpStream, keepalives: &Keepalives) -> io::Result<()> {
    let socket = SockRef::from(stream);
    if keepalives.enabled {
        let settings = TcpKeepalive::new()
            .with_time(keepalives.idle)
            .with_interval(keepalives.interval)
            .with_retries(keepalives.count);
        socket.set_tcp_keepalive(&settings)?;
    }
    #[cfg(target_os = "linux")]
    socket.set_tcp_user_timeout(Some(keepalives.user_timeout))?;
    Ok(())
}
