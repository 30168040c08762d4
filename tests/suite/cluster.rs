//! Private servers: started, reached, crashed, and gone with their owner.
#![allow(clippy::unwrap_used, clippy::print_stdout)] // A test says what went wrong by failing.

use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use stagegate::postgres::cluster::{Cluster, ClusterOptions, sweep};
use stagegate::postgres::programs;

const OWNER_ROOT: &str = "STAGEGATE_TEST_OWNER_ROOT";
const IDENTIFIER: &str = "SELECT system_identifier FROM pg_control_system()";

/// Runs one statement through the installed `psql`: another program's view of our server.
fn psql(cluster: &Cluster, sql: &str) -> String {
    let output = Command::new(programs::find("psql").unwrap().path)
        .args(["-XAtq", "-v", "ON_ERROR_STOP=1", "-c", sql])
        .arg(cluster.url("postgres", "postgres"))
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// A folder whose parents the server's user may enter, as root's temporary folders are not.
fn open_folder() -> tempfile::TempDir {
    tempfile::Builder::new()
        .permissions(std::fs::Permissions::from_mode(0o711))
        .tempdir()
        .unwrap()
}

fn rooted(root: &Path) -> ClusterOptions {
    ClusterOptions {
        root: Some(root.to_owned()),
        ..ClusterOptions::default()
    }
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect()
}

fn wait_for(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !condition() {
        assert!(Instant::now() < deadline, "{what} did not happen");
        std::thread::yield_now();
    }
}

fn is_alive(pid: u32) -> bool {
    // A zombie that nobody reaped yet is as dead as a missing process.
    std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
}

#[test]
fn a_cluster_answers_and_leaves_nothing_behind() {
    let root = open_folder();
    let cluster = Cluster::start(&rooted(root.path())).unwrap();
    assert_eq!(psql(&cluster, "SELECT 1"), "1");
    assert_eq!(psql(&cluster, "SHOW listen_addresses"), "");
    assert_eq!(psql(&cluster, "SHOW fsync"), "off");
    let mode = std::fs::metadata(cluster.socket_folder())
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o700);
    let pid = cluster.postmaster_pid();
    assert!(is_alive(pid));
    drop(cluster);
    assert!(!is_alive(pid));
    assert_eq!(entries(root.path()), Vec::<PathBuf>::new());
}

#[test]
fn settings_are_the_callers_and_durable_means_synced() {
    let cluster = Cluster::start(&ClusterOptions {
        settings: vec![
            ("work_mem".into(), "7MB".into()),
            ("cluster_name".into(), "two words".into()),
        ],
        durable: true,
        ..ClusterOptions::default()
    })
    .unwrap();
    assert_eq!(psql(&cluster, "SHOW work_mem"), "7MB");
    assert_eq!(psql(&cluster, "SHOW cluster_name"), "two words");
    assert_eq!(psql(&cluster, "SHOW fsync"), "on");
}

#[test]
fn a_cluster_that_cannot_start_shows_the_servers_own_words() {
    let root = open_folder();
    let error = Cluster::start(&ClusterOptions {
        settings: vec![("work_mem".into(), "plenty".into())],
        ..rooted(root.path())
    })
    .unwrap_err()
    .to_string();
    assert!(error.contains("work_mem"), "{error}");
    assert!(error.contains("plenty"), "{error}");
    assert_eq!(entries(root.path()), Vec::<PathBuf>::new());
}

#[test]
fn an_unknown_major_version_names_the_installed_ones() {
    let error = Cluster::start(&ClusterOptions {
        major: Some(9),
        ..ClusterOptions::default()
    })
    .unwrap_err()
    .to_string();
    let installed = programs::find("postgres").unwrap().version.text;
    assert!(error.contains("version 9"), "{error}");
    assert!(error.contains(&installed), "{error}");
}

#[test]
fn a_crash_loses_the_server_but_not_the_committed_rows() {
    let cluster = Cluster::start(&ClusterOptions {
        durable: true,
        ..ClusterOptions::default()
    })
    .unwrap();
    psql(&cluster, "CREATE TABLE kept AS SELECT 42 AS n");
    let before = cluster.postmaster_pid();
    cluster.crash();
    assert!(!is_alive(before));
    assert_eq!(cluster.postmaster_pid(), 0);
    cluster.restart().unwrap();
    assert_ne!(cluster.postmaster_pid(), before);
    assert_eq!(psql(&cluster, "SELECT n FROM kept"), "42");
}

#[test]
fn a_root_with_a_long_path_still_gets_a_socket() {
    let folder = open_folder();
    let root = folder.path().join("d".repeat(100));
    let cluster = Cluster::start(&rooted(&root)).unwrap();
    let sockets = cluster.socket_folder().to_owned();
    assert!(sockets.as_os_str().len() < 90);
    assert_eq!(psql(&cluster, "SELECT 1"), "1");
    drop(cluster);
    assert!(!sockets.exists());
    assert_eq!(entries(&root), Vec::<PathBuf>::new());
}

#[test]
fn a_tcp_cluster_listens_on_the_loopback_only() {
    let cluster = Cluster::start(&ClusterOptions {
        listen_tcp: true,
        ..ClusterOptions::default()
    })
    .unwrap();
    std::net::TcpStream::connect(("127.0.0.1", cluster.port())).unwrap();
    assert_eq!(psql(&cluster, "SHOW listen_addresses"), "127.0.0.1");
}

/// The other process of the tests below: owns a cluster until it is killed or told to end.
#[test]
fn owner_process() {
    let Some(root) = std::env::var_os(OWNER_ROOT) else {
        return;
    };
    let cluster = Cluster::start(&rooted(Path::new(&root))).unwrap();
    println!("postmaster {}", cluster.postmaster_pid());
    println!("identifier {}", psql(&cluster, IDENTIFIER));
    println!("data {}", cluster.data_folder().display());
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).unwrap();
}

struct Owner {
    process: Child,
    postmaster: u32,
    identifier: String,
    data: PathBuf,
}

impl Owner {
    fn spawn(root: &Path, cache: Option<&Path>) -> Child {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command
            .args(["--exact", "cluster::owner_process", "--nocapture"])
            .env(OWNER_ROOT, root)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        if let Some(cache) = cache {
            command.env("XDG_CACHE_HOME", cache);
        }
        command.spawn().unwrap()
    }

    fn new(mut process: Child) -> Self {
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let mut next = |name: &str| {
            lines
                .find_map(|line| Some(line.unwrap().split_once(name)?.1.trim().to_owned()))
                .unwrap()
        };
        Self {
            postmaster: next("postmaster ").parse().unwrap(),
            identifier: next("identifier "),
            data: PathBuf::from(next("data ")),
            process,
        }
    }

    fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    fn end(mut self) {
        drop(self.process.stdin.take());
        self.process.wait().unwrap();
    }
}

#[test]
fn a_killed_owner_takes_the_server_along_and_a_sweep_takes_the_files() {
    let root = open_folder();
    let mut owner = Owner::new(Owner::spawn(root.path(), None));
    assert!(is_alive(owner.postmaster));
    assert_eq!(sweep(root.path()), 0, "a living owner's cluster stays");
    assert_eq!(entries(root.path()).len(), 1);

    owner.kill();
    wait_for("the server's end", || !is_alive(owner.postmaster));
    assert_eq!(sweep(root.path()), 1);
    assert_eq!(entries(root.path()), Vec::<PathBuf>::new());
}

#[test]
fn the_next_start_sweeps_what_a_killed_owner_left() {
    let root = open_folder();
    Owner::new(Owner::spawn(root.path(), None)).kill();
    let cluster = Cluster::start(&rooted(root.path())).unwrap();
    assert_eq!(entries(root.path()).len(), 1);
    assert!(
        cluster
            .data_folder()
            .starts_with(root.path().canonicalize().unwrap())
    );
}

#[test]
fn a_sweep_stops_a_server_that_outlived_its_owner() {
    let root = open_folder();
    let cluster = Cluster::start(&rooted(root.path())).unwrap();
    // Where the kernel has no death signal a server lives on; only the lock is gone.
    let lock = cluster.data_folder().parent().unwrap().join("owner.lock");
    std::fs::remove_file(&lock).unwrap();
    std::fs::write(&lock, "").unwrap();
    let pid = cluster.postmaster_pid();
    assert_eq!(sweep(root.path()), 1);
    wait_for("the server's end", || !is_alive(pid));
    assert_eq!(entries(root.path()), Vec::<PathBuf>::new());
}

#[test]
fn clusters_are_copies_of_one_template_with_identifiers_of_their_own() {
    let (root, cache) = (open_folder(), open_folder());
    // Two at once find no template: one makes it, the other waits for it.
    let spawn = || Owner::spawn(root.path(), Some(cache.path()));
    let (one, other) = (spawn(), spawn());
    let (one, other) = (Owner::new(one), Owner::new(other));
    assert_ne!(one.identifier, other.identifier);

    let kept = entries(&cache.path().join("stagegate/initdb"));
    let templates: Vec<_> = kept.iter().filter(|path| path.is_dir()).collect();
    assert_eq!(templates.len(), 1, "{kept:?}");
    std::fs::write(templates[0].join("marker"), "").unwrap();
    let third = Owner::new(spawn());
    assert!(third.data.join("marker").exists());
    assert_ne!(third.identifier, one.identifier);
    for owner in [one, other, third] {
        owner.end();
    }
    assert_eq!(entries(root.path()), Vec::<PathBuf>::new());
}
