//! Private PostgreSQL servers: made in a moment, reachable by nobody else, gone with their owner.
//!
//! Trust authentication is safe here for one reason only: the socket's folder admits nobody but
//! the server's user, and without `listen_tcp` there is no other way in.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::process::Signal;

pub use super::cluster_error::ClusterError;
use super::cluster_folder::disk_root;
use super::cluster_folder::{ClusterFolder, prepare_root};
pub use super::cluster_folder::{default_root, sweep};
use super::postmaster::Postmaster;
use super::programs::{self, Program, ProgramVersion};
use super::server_user::ServerUser;
use super::template;

/// How long a server may take until it accepts connections, crash recovery included.
const START_DEADLINE: Duration = Duration::from_secs(60);
const STOP_DEADLINE: Duration = Duration::from_secs(10);
const PORT_ATTEMPTS: usize = 5;
const LOG_TAIL_LINES: usize = 20;

/// What kind of private server is wanted.
#[derive(Clone, Debug, Default)]
pub struct ClusterOptions {
    /// Where the cluster's folder is made; a short folder of this user's by default.
    pub root: Option<PathBuf>,
    /// Server settings beyond the usual ones; the last one of a name wins.
    pub settings: Vec<(String, String)>,
    /// Listens on 127.0.0.1 at a free port as well. Trust authentication then admits every local
    /// user, so whoever asks for this sets `pg_hba.conf` too.
    pub listen_tcp: bool,
    /// Syncs to disk like a real server. Off, a power failure destroys the cluster.
    pub durable: bool,
    /// Lives on disk although it need not outlive anything: memory may lack the room.
    pub on_disk: bool,
    /// The server's major version; the newest installed by default.
    pub major: Option<u32>,
}

/// A running private server. Dropping it stops the server and removes all of it.
#[derive(Debug)]
pub struct Cluster {
    // Declared before the folder: the server goes first, then its files.
    server: Mutex<Option<Postmaster>>,
    folder: ClusterFolder,
    program: Program,
    user: Option<ServerUser>,
    options: ClusterOptions,
    port: u16,
}

impl Cluster {
    /// Makes a cluster from the cached template and starts it. Blocks until it accepts
    /// connections, so call it from a thread that may block.
    pub fn start(options: &ClusterOptions) -> Result<Cluster, ClusterError> {
        let program = find_server(options.major)?;
        let user = ServerUser::needed()?;
        let usual = if options.durable || options.on_disk {
            disk_root
        } else {
            default_root
        };
        let root = options.root.clone().unwrap_or_else(usual);
        prepare_root(&root, options.root.is_none())?;
        sweep(&root);
        let folder = ClusterFolder::create(&root, user.as_ref())?;
        template::copy_into(&program, &folder.data(), user.as_ref())?;
        let mut cluster = Cluster {
            server: Mutex::new(None),
            folder,
            program,
            user,
            options: options.clone(),
            port: 5432,
        };
        cluster.first_start()?;
        Ok(cluster)
    }

    /// Returns an address without a password for that database and user.
    pub fn url(&self, database: &str, user: &str) -> String {
        format!(
            "postgresql://{}@/{}?host={}&port={}",
            percent_encode(user),
            percent_encode(database),
            percent_encode(&self.folder.sockets().to_string_lossy()),
            self.port
        )
    }

    /// Returns the folder of the server's socket.
    pub fn socket_folder(&self) -> &Path {
        self.folder.sockets()
    }

    /// Returns the server's data folder.
    pub fn data_folder(&self) -> PathBuf {
        self.folder.data()
    }

    /// Returns the file that the server logs to.
    pub fn log_file(&self) -> PathBuf {
        self.folder.log()
    }

    /// Returns the port, of the socket's name and of TCP when it listens there.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Returns the server program's version.
    pub fn version(&self) -> &ProgramVersion {
        &self.program.version
    }

    /// Returns the server process; 0 when it is not running.
    pub fn postmaster_pid(&self) -> u32 {
        self.server().as_ref().map_or(0, Postmaster::pid)
    }

    /// Writes a file into the data folder, readable by the server only.
    pub fn place_file(&self, name: &str, contents: &[u8]) -> Result<PathBuf, ClusterError> {
        let path = self.folder.data().join(name);
        let error = || ClusterError::file("write", &path);
        fs::write(&path, contents).map_err(error())?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).map_err(error())?;
        if let Some(user) = &self.user {
            user.own(&path).map_err(error())?;
        }
        Ok(path)
    }

    /// Stops the server in good order and removes it.
    pub fn stop(self) {
        if let Some(server) = self.server().take() {
            // A fast stop writes a checkpoint; it is worth waiting for only because somebody
            // may have asked for the statistics of it in the log.
            if server.end(Signal::INT, STOP_DEADLINE).is_none() {
                server.end(Signal::KILL, STOP_DEADLINE);
            }
        }
    }

    /// Stops the server as a power failure would and keeps its files, for [`Cluster::restart`].
    pub fn crash(&self) {
        if let Some(server) = self.server().take() {
            end_at_once(&server);
        }
    }

    /// Starts the server on the files it has, after [`Cluster::crash`] or with changed settings
    /// in its files.
    pub fn restart(&self) -> Result<(), ClusterError> {
        let mut slot = self.server();
        if let Some(server) = slot.take()
            && server.end(Signal::INT, STOP_DEADLINE).is_none()
        {
            end_at_once(&server);
        }
        *slot = Some(self.launch(self.port)?);
        Ok(())
    }

    fn first_start(&mut self) -> Result<(), ClusterError> {
        let mut attempt = 1;
        loop {
            if self.options.listen_tcp {
                self.port = free_port()?;
            }
            match self.launch(self.port) {
                Ok(server) => {
                    *self.server() = Some(server);
                    return Ok(());
                }
                // Somebody else took the port between our look and the server's.
                Err(ClusterError::Start { log_tail, .. })
                    if self.options.listen_tcp
                        && attempt < PORT_ATTEMPTS
                        && log_tail.contains("could not bind") => {}
                Err(error) => return Err(error),
            }
            attempt += 1;
        }
    }

    fn launch(&self, port: u16) -> Result<Postmaster, ClusterError> {
        let command = self.command(port)?;
        let server = Postmaster::spawn(command).map_err(|source| ClusterError::Run {
            program: self.program.path.clone(),
            source,
        })?;
        match self.wait_until_ready(&server) {
            Ok(()) => Ok(server),
            Err(reason) => {
                end_at_once(&server);
                Err(ClusterError::Start {
                    reason,
                    log_tail: log_tail(&self.folder.log()),
                })
            }
        }
    }

    fn command(&self, port: u16) -> Result<Command, ClusterError> {
        let log_path = self.folder.log();
        let open_log = || {
            fs::OpenOptions::new()
                .create(true)
                .append(true)
                .open(&log_path)
                .map_err(ClusterError::file("open", &log_path))
        };
        let mut command = Command::new(&self.program.path);
        command
            .arg("-D")
            .arg(self.folder.data())
            .arg("-k")
            .arg(self.folder.sockets())
            .args(["-p", &port.to_string()])
            .current_dir("/")
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .stdin(Stdio::null())
            .stdout(open_log()?)
            .stderr(open_log()?);
        for (name, value) in self.settings() {
            command.arg("-c").arg(format!("{name}={value}"));
        }
        if let Some(user) = &self.user {
            user.become_in(&mut command);
        }
        Ok(command)
    }

    fn settings(&self) -> Vec<(String, String)> {
        let listen = if self.options.listen_tcp {
            "127.0.0.1"
        } else {
            ""
        };
        let mut settings = vec![
            ("listen_addresses", listen),
            ("unix_socket_permissions", "0700"),
            ("shared_buffers", "32MB"),
            ("cluster_name", "stagegate private server"),
            ("log_line_prefix", "%m [%p] %q%u@%d "),
        ];
        if !self.options.durable {
            settings.extend([
                ("fsync", "off"),
                ("synchronous_commit", "off"),
                ("full_page_writes", "off"),
            ]);
        }
        settings
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .chain(self.options.settings.iter().cloned())
            .collect()
    }

    /// Waits for the server to say in its pid file that it is ready: no connection is needed,
    /// and none would be possible under a changed `pg_hba.conf`.
    fn wait_until_ready(&self, server: &Postmaster) -> Result<(), String> {
        let file = self.folder.data().join("postmaster.pid");
        let pid = server.pid().to_string();
        let deadline = Instant::now() + START_DEADLINE;
        loop {
            if let Some(status) = server.exited() {
                return Err(format!("it ended with {status}"));
            }
            let text = fs::read_to_string(&file).unwrap_or_default();
            let mut lines = text.lines();
            // Line 1 is the process, line 8 its state.
            if lines.next() == Some(pid.as_str()) && lines.nth(6).map(str::trim) == Some("ready") {
                return Ok(());
            }
            if Instant::now() >= deadline {
                return Err(format!(
                    "it was not ready within {} s",
                    START_DEADLINE.as_secs()
                ));
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    fn server(&self) -> MutexGuard<'_, Option<Postmaster>> {
        self.server.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.crash();
    }
}

fn end_at_once(server: &Postmaster) {
    if server.end(Signal::QUIT, STOP_DEADLINE).is_none() {
        server.end(Signal::KILL, STOP_DEADLINE);
    }
}

fn find_server(major: Option<u32>) -> Result<Program, ClusterError> {
    let Some(major) = major else {
        return Ok(programs::find("postgres")?);
    };
    let all = programs::find_all("postgres");
    match all.iter().find(|program| program.version.major == major) {
        Some(program) => Ok(program.clone()),
        None if all.is_empty() => Ok(programs::find_at_least("postgres", major)?),
        None => Err(ClusterError::NoSuchMajor {
            major,
            found: all
                .iter()
                .map(|program| program.version.text.as_str())
                .collect::<Vec<_>>()
                .join(", "),
        }),
    }
}

fn free_port() -> Result<u16, ClusterError> {
    TcpListener::bind(("127.0.0.1", 0))
        .and_then(|listener| listener.local_addr())
        .map(|address| address.port())
        .map_err(ClusterError::file("listen on", Path::new("127.0.0.1")))
}

fn log_tail(path: &Path) -> String {
    let text = fs::read(path).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().collect();
    let from = lines.len().saturating_sub(LOG_TAIL_LINES);
    lines.get(from..).unwrap_or_default().join("\n")
}

fn percent_encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}
