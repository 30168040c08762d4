//! One connection to a server, with settings that were made in one round trip and read back.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::poll_fn;
use serde::{Deserialize, Serialize};
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_postgres::{AsyncMessage, Client, Connection, SimpleQueryMessage};

use super::cancel::{self, Canceller};
use super::connect::{self, Connected, Route};
use super::conninfo::Conninfo;
use super::error::{DatabaseError, PostgresError};
use super::settings;
use super::wire::Wire;
use super::witness::Witness;

/// More notices than anybody reads; the rest is counted.
const NOTICES_KEPT: usize = 1024;

/// What a session is set to before anything else happens in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionSettings {
    /// Shown to whoever looks for the holder of a lock.
    pub application_name: String,
    pub lock_timeout: Duration,
    pub statement_timeout: Duration,
    pub idle_in_transaction_timeout: Duration,
    /// `None` leaves what the role and the database say.
    pub search_path: Option<String>,
    /// Every transaction of the session refuses to write.
    pub read_only: bool,
}

impl Default for SessionSettings {
    fn default() -> Self {
        Self {
            application_name: "stagegate".to_owned(),
            lock_timeout: Duration::from_secs(3),
            statement_timeout: Duration::from_secs(600),
            idle_in_transaction_timeout: Duration::from_secs(60),
            search_path: None,
            read_only: false,
        }
    }
}

/// A server's version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerVersion {
    /// Such as 150018 for 15.18.
    pub num: u32,
    pub text: String,
}

impl ServerVersion {
    pub fn major(&self) -> u32 {
        self.num / 10_000
    }
}

impl fmt::Display for ServerVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// An open session. Dropping it ends the connection at once; a statement that is still running
/// is then stopped by the server as soon as it notices.
pub struct Session {
    pub client: Client,
    info: Conninfo,
    route: Route,
    tls: bool,
    witness: Arc<Witness>,
    backend_pid: i32,
    version: ServerVersion,
    settings: Vec<(String, String)>,
    notices: Option<mpsc::Receiver<DatabaseError>>,
    notices_dropped: Arc<AtomicU64>,
    notified: Arc<Notify>,
    /// Whether the check before a file's COMMIT was prepared in it.
    check_prepared: AtomicBool,
    end: End,
}

impl Session {
    /// Connects, makes the settings, reads them back, and refuses a server that kept others.
    pub async fn open(
        info: &Conninfo,
        settings: &SessionSettings,
    ) -> Result<Session, PostgresError> {
        let name = settings::clean_application_name(&settings.application_name);
        let connected = Box::pin(connect::connect(info, &name)).await?;
        let mut session = Self::start(info.clone(), connected).await?;
        let tcp = matches!(info.host, super::conninfo::Host::Tcp(_));
        let made = settings::make(&session, settings, tcp);
        let made =
            timeout(info.connect_timeout, made)
                .await
                .map_err(|_| PostgresError::Timeout {
                    what: "making the session's settings".to_owned(),
                    after: info.connect_timeout,
                })??;
        session.version = made.version;
        session.settings = made.read_back;
        if info.must_be_primary {
            session.require_primary().await?;
        }
        Ok(session)
    }

    async fn start(info: Conninfo, connected: Connected) -> Result<Self, PostgresError> {
        let Connected {
            client,
            connection,
            route,
            tls,
            witness,
        } = connected;
        let backend_pid = cancel::announced_pid(&client).await?;
        let (sender, receiver) = mpsc::channel(NOTICES_KEPT);
        let notices_dropped = Arc::new(AtomicU64::new(0));
        let notified = Arc::new(Notify::new());
        let end = End::watch(
            connection,
            sender,
            Arc::clone(&notices_dropped),
            (Arc::clone(&witness), Arc::clone(&notified)),
        );
        Ok(Self {
            client,
            info,
            route,
            tls,
            witness,
            backend_pid,
            version: ServerVersion {
                num: 0,
                text: String::new(),
            },
            settings: Vec::new(),
            notices: Some(receiver),
            notices_dropped,
            notified,
            check_prepared: AtomicBool::new(false),
            end,
        })
    }

    /// Returns the process that the server announced when the session began. Behind a pooler it
    /// is not the one that runs the statements.
    pub fn backend_pid(&self) -> i32 {
        self.backend_pid
    }

    pub fn server_version(&self) -> &ServerVersion {
        &self.version
    }

    /// Returns the settings as the server reads them, in its base units.
    pub fn settings_read_back(&self) -> &[(String, String)] {
        &self.settings
    }

    /// Returns what was set when the session was opened, those settings included that a server may
    /// not know how to keep.
    pub fn settings_made(&self) -> Vec<(String, String)> {
        let tcp = matches!(self.info.host, super::conninfo::Host::Tcp(_));
        let kept = self.settings.iter().cloned();
        kept.chain(settings::keepalives(tcp)).collect()
    }

    /// Returns the address that the session was opened with.
    pub fn conninfo(&self) -> &Conninfo {
        &self.info
    }

    /// Returns the address with the way pinned that the session took, so that a name that leads
    /// elsewhere by now does not lead a second session there.
    pub fn conninfo_here(&self) -> Conninfo {
        Conninfo {
            hostaddr: self.route.address().or(self.info.hostaddr),
            ..self.info.clone()
        }
    }

    /// Tells whether the check before a file's COMMIT was prepared in it.
    pub(super) fn has_check(&self) -> bool {
        self.check_prepared.load(Ordering::Relaxed)
    }

    /// Says that the server has prepared it.
    pub(super) fn check_is_prepared(&self) {
        self.check_prepared.store(true, Ordering::Relaxed);
    }

    /// Returns what has seen the ends of this session's transactions.
    pub fn witness(&self) -> &Witness {
        &self.witness
    }

    pub fn is_tls(&self) -> bool {
        self.tls
    }

    /// Hands over the notices, in order, those since the session began included. A second call
    /// returns a channel that nothing comes through.
    pub fn take_notices(&mut self) -> mpsc::Receiver<DatabaseError> {
        self.notices.take().unwrap_or_else(|| mpsc::channel(1).1)
    }

    /// Returns how many notices were thrown away because nobody took them in time.
    pub fn notices_dropped(&self) -> u64 {
        self.notices_dropped.load(Ordering::Relaxed)
    }

    /// Returns what can stop this session's statement from outside.
    pub fn canceller(&self) -> Canceller {
        Canceller::new(self.client.cancel_token(), self.route.clone())
    }

    /// Resolves when a notification has come since the last time, on any channel that the session
    /// listens to.
    pub async fn notified(&self) {
        self.notified.notified().await;
    }

    pub fn is_closed(&self) -> bool {
        self.client.is_closed()
    }

    /// Resolves when the connection has ended, whoever ended it.
    pub async fn closed(&self) {
        let mut ended = self.end.ended.clone();
        // An error means that the driver is gone, which is the same thing.
        let _ = ended.wait_for(|ended| *ended).await;
    }

    /// Returns why the connection ended, if it did and not because we closed it. An error that
    /// came between two statements, such as a timeout of the idle transaction, is only here.
    pub fn loss(&self) -> Option<PostgresError> {
        self.end.loss()
    }

    /// Runs statements and returns the rows of all of them as text, in one round trip.
    pub async fn rows(&self, sql: &str) -> Result<Vec<Vec<Option<String>>>, PostgresError> {
        let messages = self.client.simple_query(sql).await?;
        Ok(messages
            .into_iter()
            .filter_map(|message| match message {
                SimpleQueryMessage::Row(row) => Some(
                    (0..row.len())
                        .map(|n| row.get(n).map(str::to_owned))
                        .collect(),
                ),
                _ => None,
            })
            .collect())
    }

    /// Refuses a server that takes no changes, saying why it takes none.
    pub async fn require_primary(&self) -> Result<(), PostgresError> {
        let rows = self
            .rows(
                "SELECT pg_catalog.pg_is_in_recovery(), \
                 pg_catalog.current_setting('default_transaction_read_only')",
            )
            .await?;
        let value = |n: usize| rows.first()?.get(n)?.as_deref();
        let reason = match (value(0), value(1)) {
            (Some("f"), Some("off")) => return Ok(()),
            (Some("t"), _) => {
                "it is a standby that replays another server; connect to the primary".to_owned()
            }
            (_, Some("on")) => format!(
                "default_transaction_read_only is on for {} in {}; see ALTER ROLE, ALTER \
                 DATABASE, PGOPTIONS and the server's configuration",
                self.info.user, self.info.database
            ),
            _ => "it does not say whether it is a primary".to_owned(),
        };
        Err(PostgresError::NotPrimary { reason })
    }

    /// Ends the session in good order and waits for the end.
    pub async fn close(self) {
        let Self {
            client, mut end, ..
        } = self;
        drop(client);
        if let Some(driver) = end.driver.take() {
            let _ = driver.await;
        }
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("server", &self.info.describe())
            .field("backend_pid", &self.backend_pid)
            .field("version", &self.version.text)
            .finish_non_exhaustive()
    }
}

/// The task that moves the session's bytes, and how it ended.
struct End {
    driver: Option<JoinHandle<()>>,
    ended: watch::Receiver<bool>,
    loss: Arc<Mutex<Option<PostgresError>>>,
}

impl End {
    /// Drives the connection message by message, so that notices are taken in the order in which
    /// the server sent them, each before the end of its statement.
    fn watch(
        mut connection: Connection<Wire, Wire>,
        notices: mpsc::Sender<DatabaseError>,
        dropped: Arc<AtomicU64>,
        (witness, notified): (Arc<Witness>, Arc<Notify>),
    ) -> Self {
        let (sender, ended) = watch::channel(false);
        let loss = Arc::new(Mutex::new(None));
        let reason = Arc::clone(&loss);
        let driver = tokio::spawn(async move {
            {
                let mut messages = poll_fn(|cx| connection.poll_message(cx));
                while let Some(message) = messages.next().await {
                    match message {
                        Ok(AsyncMessage::Notice(notice)) => {
                            witness.notice(notice.routine());
                            let full = notices.try_send(DatabaseError::from(&notice));
                            if matches!(full, Err(mpsc::error::TrySendError::Full(_))) {
                                dropped.fetch_add(1, Ordering::Relaxed);
                            }
                        }
                        // Several that nobody has waited for yet count once.
                        Ok(AsyncMessage::Notification(_)) => notified.notify_one(),
                        Ok(_) => {}
                        Err(error) => {
                            *reason.lock().unwrap_or_else(PoisonError::into_inner) =
                                Some(PostgresError::from(error));
                            break;
                        }
                    }
                }
            }
            drop(connection);
            let _ = sender.send(true);
        });
        Self {
            driver: Some(driver),
            ended,
            loss,
        }
    }

    fn loss(&self) -> Option<PostgresError> {
        self.loss
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl Drop for End {
    fn drop(&mut self) {
        // Without this the task would wait for the answer to a statement that nobody awaits.
        if let Some(driver) = &self.driver {
            driver.abort();
        }
    }
}
