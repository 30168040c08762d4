//! A cluster with a control schema, a proxy in front of it that misbehaves, and runs that are
//! followed through it.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use stagegate::control::Address;
use stagegate::control::watch::{Schema, Source};
use stagegate::engine::{self, EngineHandle, OpenOptions, Snapshot, WatchOptions, Which};
use stagegate::postgres::cluster::{Cluster, ClusterOptions};
use stagegate::postgres::control::{self, Roles};
use stagegate::postgres::{Environment, Session};
use stagegate::promotion::{Actor, Command, Via};
use tempfile::TempDir;

use crate::server;

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(40);

/// Everything passes.
pub(crate) const PASS: u8 = 0;
/// Nothing passes, and nobody says so.
pub(crate) const STALL: u8 = 1;
/// What is open is cut, and what connects is cut.
pub(crate) const CUT: u8 = 2;

/// A proxy to a server, under orders.
pub(crate) struct Proxy {
    pub(crate) port: u16,
    mode: Arc<AtomicU8>,
    /// Who connects through it.
    pub(crate) user: &'static str,
}

impl Proxy {
    pub(crate) fn to(server: u16) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let mode = Arc::new(AtomicU8::new(PASS));
        let ordered = mode.clone();
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let client = client.unwrap();
                if ordered.load(Ordering::SeqCst) == CUT {
                    let _ = client.shutdown(Shutdown::Both);
                    continue;
                }
                let server = TcpStream::connect(("127.0.0.1", server)).unwrap();
                let back = (server.try_clone().unwrap(), client.try_clone().unwrap());
                for (from, to) in [(client, server), back] {
                    let ordered = ordered.clone();
                    std::thread::spawn(move || pass(from, to, &ordered));
                }
            }
        });
        Proxy {
            port,
            mode,
            user: "postgres",
        }
    }

    pub(crate) fn order(&self, mode: u8) {
        self.mode.store(mode, Ordering::SeqCst);
    }

    pub(crate) fn url(&self) -> String {
        format!(
            "postgresql://{}@127.0.0.1:{}/postgres?sslmode=disable",
            self.user, self.port
        )
    }

    pub(crate) fn address(&self) -> Address {
        Address::new(server::resolve(&self.url()), None)
    }
}

fn pass(mut from: TcpStream, mut to: TcpStream, mode: &AtomicU8) {
    from.set_read_timeout(Some(Duration::from_millis(20)))
        .unwrap();
    let mut buffer = [0; 16 * 1024];
    loop {
        let read = match from.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => read,
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => 0,
            Err(_) => break,
        };
        while mode.load(Ordering::SeqCst) == STALL {
            std::thread::park_timeout(Duration::from_millis(5));
        }
        if mode.load(Ordering::SeqCst) == CUT || to.write_all(&buffer[..read]).is_err() {
            break;
        }
    }
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
}

/// One server, two ways to it, two machines with a folder of runs each.
pub(crate) struct World {
    pub(crate) cluster: Cluster,
    /// The holder's way, and the watcher's.
    pub(crate) holder: Proxy,
    pub(crate) watcher: Proxy,
    folder: TempDir,
    pub(crate) runtime: tokio::runtime::Runtime,
}

impl World {
    pub(crate) fn new() -> World {
        let world = World::without_schema();
        world.on_server(async |session| {
            control::install(session, &Roles::default()).await.unwrap();
        });
        world
    }

    pub(crate) fn without_schema() -> World {
        let cluster = Cluster::start(&ClusterOptions {
            listen_tcp: true,
            ..ClusterOptions::default()
        })
        .unwrap();
        World {
            holder: Proxy::to(cluster.port()),
            watcher: Proxy::to(cluster.port()),
            cluster,
            folder: tempfile::tempdir().unwrap(),
            runtime: tokio::runtime::Runtime::new().unwrap(),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn one(&self, sql: &str) -> String {
        self.on_server(async |session| server::one(session, sql).await)
    }

    pub(crate) fn on_server<T>(&self, work: impl AsyncFnOnce(&Session) -> T) -> T {
        let info = server::info(&self.cluster);
        self.runtime.block_on(async {
            let session = server::open(&info).await;
            let value = work(&session).await;
            session.close().await;
            value
        })
    }

    /// Writes a runbook whose runs are followed.
    pub(crate) fn runbook(&self, gates: &str) -> PathBuf {
        let path = self.path().join("runbook.toml");
        let text = format!(
            "format = 1\ntitle = \"Followed\"\n[target.db]\nurl = \"env:DB\"\n\
             environment = \"staging\"\n[control]\nurl = \"env:CONTROL\"\n\
             [[phase]]\nid = \"phase\"\ntitle = \"Phase\"\n{gates}"
        );
        std::fs::write(&path, text).unwrap();
        path
    }

    /// A machine's folder of runs.
    pub(crate) fn runs(&self, machine: &str) -> PathBuf {
        self.path().join(machine)
    }

    pub(crate) fn options(&self, machine: &str, operator: &str, which: Which) -> OpenOptions {
        let (db, control) = (
            self.cluster.url("postgres", "postgres"),
            match machine {
                "one" => self.holder.url(),
                _ => self.watcher.url(),
            },
        );
        OpenOptions {
            which,
            vars: std::collections::BTreeMap::new(),
            runs_folder: self.runs(machine),
            operator: operator.to_owned(),
            via: Via::Console,
            surroundings: Environment::from_variables([
                ("DB", db.as_str()),
                ("CONTROL", control.as_str()),
            ]),
        }
    }

    /// Ana opens a run at the first machine.
    pub(crate) fn open(&self) -> EngineHandle {
        let which = Which::New(self.path().join("runbook.toml"));
        let options = self.options("one", "ana", which);
        engine::open(&options, self.runtime.handle()).unwrap()
    }

    /// Lee watches at the second machine.
    pub(crate) fn watch(&self, run: &str) -> EngineHandle {
        let schema = Schema::new(self.watcher.address(), run);
        let options = WatchOptions {
            run: run.to_owned(),
            source: Source::Schema(Box::new(schema)),
            runs_folder: self.runs("two"),
            actor: lee(),
            reason: None,
        };
        self.runtime.block_on(engine::watch(options)).unwrap()
    }

    /// Waits until a front end shows that.
    #[track_caller]
    pub(crate) fn until(
        &self,
        handle: &EngineHandle,
        what: &str,
        wanted: impl Fn(&Snapshot) -> bool,
    ) {
        let mut snapshots = handle.snapshots();
        let waited = self.runtime.block_on(async {
            let seen = snapshots.wait_for(|snapshot| wanted(snapshot));
            tokio::time::timeout(PATIENCE, seen).await.is_ok()
        });
        let now = handle.snapshot();
        assert!(
            waited,
            "{what} was not seen: {:#?} {:?}",
            now.control, now.notices
        );
    }

    /// Waits until the control schema holds so many records of a run.
    #[track_caller]
    pub(crate) fn until_mirrored(&self, run: &str, seq: u64) {
        let sql = format!("SELECT count(*) FROM stagegate_control.record WHERE run = '{run}'");
        let deadline = std::time::Instant::now() + PATIENCE;
        while self.one(&sql) != seq.to_string() {
            assert!(
                std::time::Instant::now() < deadline,
                "{} of {seq} records are there",
                self.one(&sql)
            );
        }
    }

    pub(crate) fn note(&self, handle: &EngineHandle, text: &str) {
        let command = Command::Note {
            gate: None,
            text: text.to_owned(),
        };
        self.runtime.block_on(handle.command(command)).unwrap();
    }

    /// The journal of a run at a machine.
    pub(crate) fn journal(&self, machine: &str, run: &str) -> String {
        std::fs::read_to_string(self.runs(machine).join(run).join("journal.jsonl")).unwrap()
    }

    /// The journal as the control schema holds it.
    pub(crate) fn mirrored(&self, run: &str) -> String {
        self.one(&format!(
            "SELECT string_agg(convert_from(line, 'UTF8') || E'\\n', '' ORDER BY seq) \
             FROM stagegate_control.record WHERE run = '{run}'"
        ))
    }
}

pub(crate) fn lee() -> Actor {
    Actor {
        name: "lee".to_owned(),
        via: Via::Console,
    }
}

/// A gate of which people say that it is done.
pub(crate) const PEOPLE: &str = "[[phase.gate]]\nid = \"people\"\ntitle = \"People know\"\n\
                                 [phase.gate.checklist]\nitems = [\"They were told\"]\n";
