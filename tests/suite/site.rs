//! A place to run the real binary in: a private server, a folder with a runbook, a folder of runs.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use stagegate::postgres::cluster::Cluster;
use stagegate::postgres::{Session, SessionSettings};
use tempfile::TempDir;

use crate::server;

/// The binary under test.
pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_stagegate");

/// What a finished program left.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) signal: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ended {
    /// Asserts the exit code, and shows everything when it is another.
    #[track_caller]
    pub(crate) fn exits(self, code: i32) -> Self {
        assert_eq!(
            self.code,
            Some(code),
            "{}\n--- stderr\n{}",
            self.out,
            self.err
        );
        self
    }

    /// Asserts that stderr says something.
    #[track_caller]
    pub(crate) fn says(self, text: &str) -> Self {
        assert!(self.err.contains(text), "no `{text}` in:\n{}", self.err);
        self
    }

    /// Asserts that stdout shows something.
    #[track_caller]
    pub(crate) fn shows(self, text: &str) -> Self {
        assert!(self.out.contains(text), "no `{text}` in:\n{}", self.out);
        self
    }
}

pub(crate) fn ended(output: Output) -> Ended {
    use std::os::unix::process::ExitStatusExt as _;
    Ended {
        code: output.status.code(),
        signal: output.status.signal(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

pub(crate) struct Site {
    pub(crate) cluster: Cluster,
    folder: TempDir,
    runtime: tokio::runtime::Runtime,
}

impl Site {
    pub(crate) fn new() -> Site {
        Site::on(server::cluster())
    }

    pub(crate) fn on(cluster: Cluster) -> Site {
        Site {
            cluster,
            folder: tempfile::tempdir().unwrap(),
            runtime: tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap(),
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path
    }

    /// Writes `runbook.toml`: a target `db` for staging, one phase, and these gates.
    pub(crate) fn runbook(&self, gates: &str) -> PathBuf {
        let head = "format = 1\ntitle = \"Test\"\n[target.db]\nurl = \"env:DB\"\n\
                    environment = \"staging\"\n[[role]]\nname = \"dba\"\nmembers = [\"ana\"]\n\
                    [[phase]]\nid = \"phase\"\ntitle = \"Phase\"\n";
        self.write("runbook.toml", &format!("{head}{gates}"))
    }

    /// The binary with an environment of its own.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(BINARY);
        command
            .args(arguments)
            .current_dir(self.folder.path())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap())
            .env("HOME", self.folder.path())
            .env("DB", self.cluster.url("postgres", "postgres"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        // The servers that the tests were given are those that the binary has.
        if let Some(folders) = std::env::var_os("STAGEGATE_PG_BINDIR") {
            command.env("STAGEGATE_PG_BINDIR", folders);
        }
        command
    }

    pub(crate) fn stagegate(&self, arguments: &[&str]) -> Ended {
        ended(self.command(arguments).output().unwrap())
    }

    /// Runs `runbook.toml` headless as a new run.
    pub(crate) fn run(&self) -> Ended {
        self.stagegate(&["run", "runbook.toml", "--headless", "--runs-dir", "runs"])
    }

    /// Runs `runbook.toml` until the program dies at a fault point.
    pub(crate) fn dies_at(&self, point: &str) {
        let output = self
            .command(&["run", "runbook.toml", "--headless", "--runs-dir", "runs"])
            .env("STAGEGATE_DIE_AT", point)
            .output()
            .unwrap();
        let killed = ended(output);
        let said = format!("{point} was not passed: {}{}", killed.out, killed.err);
        assert_eq!(killed.signal, Some(9), "{said}");
    }

    /// Goes on with the newest run.
    pub(crate) fn resume(&self) -> Ended {
        self.stagegate(&[
            "run",
            "runbook.toml",
            "--headless",
            "--resume",
            "--runs-dir",
            "runs",
        ])
    }

    /// Writes one gate as the runbook and runs it.
    pub(crate) fn gate(&self, gate: &str) -> Ended {
        self.runbook(&format!(
            "[[phase.gate]]\nid = \"gate\"\ntitle = \"Gate\"\n{gate}\n"
        ));
        self.run()
    }

    /// The only run's folder, or the newest.
    pub(crate) fn run_folder(&self) -> PathBuf {
        let mut folders: Vec<PathBuf> = std::fs::read_dir(self.path("runs"))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        folders.sort_by_key(|folder| std::fs::metadata(folder).unwrap().modified().unwrap());
        folders.pop().unwrap()
    }

    pub(crate) fn evidence(&self, name: &str) -> serde_json::Value {
        let path = self.run_folder().join("evidence").join(name);
        serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
    }

    pub(crate) fn output(&self, name: &str) -> String {
        std::fs::read_to_string(self.run_folder().join("outputs").join(name)).unwrap()
    }

    /// Runs SQL as the superuser.
    pub(crate) fn sql(&self, sql: &str) {
        self.runtime.block_on(async {
            let session = self.session().await;
            session.client.batch_execute(sql).await.unwrap();
        });
    }

    /// The first value of a query, as text; NULL is empty.
    pub(crate) fn one(&self, sql: &str) -> String {
        self.runtime
            .block_on(async { server::one(&self.session().await, sql).await })
    }

    /// Runs SQL in a database as the superuser.
    pub(crate) fn sql_in(&self, database: &str, sql: &str) {
        self.runtime.block_on(async {
            let session = self.session_in(database).await;
            session.client.batch_execute(sql).await.unwrap();
            session.close().await;
        });
    }

    /// The first value of a query in a database, as text; NULL is empty.
    pub(crate) fn one_in(&self, database: &str, sql: &str) -> String {
        self.runtime.block_on(async {
            let session = self.session_in(database).await;
            let value = server::one(&session, sql).await;
            session.close().await;
            value
        })
    }

    /// Somebody who stays connected until this is dropped.
    pub(crate) fn hold_open(&self, database: &str) -> Session {
        self.runtime.block_on(self.session_in(database))
    }

    /// Ends every session in a database.
    pub(crate) fn end_sessions(&self, database: &str) {
        self.sql(&format!(
            "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = '{database}'"
        ));
    }

    /// Waits until nobody is connected to a database but stagegate itself.
    pub(crate) fn until_alone(&self, database: &str) {
        let sql = format!(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = '{database}' \
             AND application_name NOT LIKE 'stagegate 2%'"
        );
        while self.one(&sql) != "0" {
            std::thread::yield_now();
        }
    }

    async fn session_in(&self, database: &str) -> Session {
        let info = server::info(&self.cluster).with_database(database);
        Session::open(&info, &SessionSettings::default())
            .await
            .unwrap()
    }

    async fn session(&self) -> Session {
        let info = server::info(&self.cluster);
        Session::open(&info, &SessionSettings::default())
            .await
            .unwrap()
    }

    pub(crate) fn runtime(&self) -> &tokio::runtime::Runtime {
        &self.runtime
    }
}

/// The names in a folder, sorted; none when it is not there.
pub(crate) fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .into_iter()
        .flatten()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}
