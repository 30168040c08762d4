//! Applying many small files: the whole product against loops that do nothing else, in one run.
//!
//! `cargo bench --bench migrate [-- FILES [ROUNDS]]`. The peers: one connection that sends each file
//! and its ledger row in one round trip; `psql` once a file; `sqlx migrate run` where that program
//! is installed. And what the commit protocol costs a server whoever speaks it: one connection that
//! sends each file with the product's own row and ticket, and `COMMIT` alone, without renewing the
//! session or asking back. The product plans, journals, applies and reports as always, with its safe profile
//! and its fast one. Then: nothing to do over the applied files, against connecting, reading,
//! hashing and one query; and a link with 20 ms round trips. Rounds are interleaved; medians are
//! compared.
#![allow(clippy::unwrap_used, clippy::print_stdout)] // A measurement says what went wrong by failing.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::time::{Duration, Instant};

use stagegate::engine::{OpenOptions, Request, Which, open};
use stagegate::postgres::cluster::{Cluster, ClusterOptions};
use stagegate::postgres::{Conninfo, Environment, Session, SessionSettings, ledger};
use stagegate::promotion::{Command, GateState, Via};

const RUNBOOK: &str = "\
format = 1
title = \"Bench\"
[target.db]
url = \"env:DB\"
environment = \"staging\"
[[phase]]
id = \"phase\"
title = \"Phase\"
[[phase.gate]]
id = \"mig\"
title = \"Migrate\"
migrate = { target = \"db\", files = [\"db/*.sql\"] }
";

/// How many tables there are for files that change tables.
const TABLES: usize = 50;

/// What a file does.
#[derive(Clone, Copy, PartialEq)]
enum Shape {
    /// Makes a table with a key and writes two rows. A server before 17 syncs a new index by itself.
    Makes,
    /// Gives a table a column and writes a row.
    Changes,
}

fn statements(shape: Shape, number: usize) -> [String; 2] {
    let table = number % TABLES;
    match shape {
        Shape::Makes => [
            format!("CREATE TABLE t{number} (id int PRIMARY KEY, name text)"),
            format!("INSERT INTO t{number} VALUES (1, 'one'), (2, 'two')"),
        ],
        Shape::Changes => [
            format!("ALTER TABLE base{table} ADD COLUMN c{number} int DEFAULT 0"),
            format!("INSERT INTO base{table} (id) VALUES ({number})"),
        ],
    }
}

/// What applies the files in one round.
#[derive(Clone, Copy, PartialEq)]
enum Way {
    Loop,
    /// The row and the ticket of the product, and nothing else of it.
    Rows,
    Safe,
    Fast,
    Psql,
    Sqlx,
}

fn main() {
    let numbers: Vec<usize> = std::env::args().filter_map(|a| a.parse().ok()).collect();
    let files = numbers.first().copied().unwrap_or(1000);
    let rounds = numbers.get(1).copied().unwrap_or(3);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    for shape in [Shape::Makes, Shape::Changes] {
        for durable in [false, true] {
            compare(shape, durable, (files, rounds), &runtime);
        }
    }
    over_a_link(100, &runtime);
}

fn compare(
    shape: Shape,
    durable: bool,
    (files, rounds): (usize, usize),
    runtime: &tokio::runtime::Runtime,
) {
    let what = match shape {
        Shape::Makes => "make tables",
        Shape::Changes => "change tables",
    };
    let syncs = if durable { "syncs" } else { "does not sync" };
    println!("{files} files that {what}, server {syncs}:");
    let mut ways = vec![Way::Loop, Way::Rows, Way::Safe, Way::Fast];
    if !durable && shape == Shape::Makes {
        ways.push(Way::Psql);
    }
    if installed("sqlx") {
        ways.push(Way::Sqlx);
    }
    let mut times: Vec<Vec<Duration>> = vec![Vec::new(); ways.len()];
    let mut nothing: [Vec<Duration>; 3] = Default::default();
    for round in 0..rounds {
        for (way, times) in ways.iter().zip(&mut times) {
            if *way == Way::Psql && round > 0 {
                continue;
            }
            times.push(one_round(
                (*way, shape),
                durable,
                files,
                runtime,
                &mut nothing,
            ));
        }
    }
    let medians: Vec<Duration> = times.into_iter().map(median).collect();
    for (way, time) in ways.iter().zip(&medians) {
        let of = time.as_secs_f64() / medians[0].as_secs_f64();
        println!("  {:<38}{:>9.1} ms   {of:.2}x", name(*way), ms(*time));
    }
    let [bare, planned, ran] = nothing.map(median);
    println!(
        "  nothing to do: bare {:.1} ms, the plan that says so {:.1} ms   {:.2}x; \
         to record it as passed {:.1} ms more",
        ms(bare),
        ms(planned),
        planned.as_secs_f64() / bare.as_secs_f64(),
        ms(ran)
    );
}

/// Makes the tables that the files change.
async fn prepare(url: &str, shape: Shape) {
    if shape == Shape::Makes {
        return;
    }
    let info = Conninfo::resolve(url, &Environment::default()).unwrap();
    let session = Session::open(&info, &SessionSettings::default())
        .await
        .unwrap();
    for table in 0..TABLES {
        let sql = format!("CREATE TABLE base{table} (id int)");
        session.client.batch_execute(&sql).await.unwrap();
    }
    session.close().await;
}

fn tcp(port: u16) -> String {
    format!("postgresql://postgres@127.0.0.1:{port}/postgres?sslmode=disable")
}

fn name(way: Way) -> &'static str {
    match way {
        Way::Loop => "one connection, a round trip a file",
        Way::Rows => "the same, row, ticket, COMMIT alone",
        Way::Safe => "stagegate",
        Way::Fast => "stagegate, profile = \"fast\"",
        Way::Psql => "psql, once a file",
        Way::Sqlx => "sqlx migrate run",
    }
}

fn installed(program: &str) -> bool {
    std::process::Command::new(program)
        .arg("--version")
        .output()
        .is_ok()
}

fn one_round(
    (way, shape): (Way, Shape),
    durable: bool,
    files: usize,
    runtime: &tokio::runtime::Runtime,
    nothing: &mut [Vec<Duration>; 3],
) -> Duration {
    // The private server of a test has no synchronous commit; a real one has.
    let settings = match durable {
        true => Vec::new(),
        false => vec![("synchronous_commit".to_owned(), "on".to_owned())],
    };
    let cluster = Cluster::start(&ClusterOptions {
        durable,
        settings,
        listen_tcp: way == Way::Sqlx,
        ..ClusterOptions::default()
    })
    .unwrap();
    let url = match way {
        // It takes no socket's folder.
        Way::Sqlx => tcp(cluster.port()),
        _ => cluster.url("postgres", "postgres"),
    };
    runtime.block_on(prepare(&url, shape));
    match way {
        Way::Loop => runtime.block_on(bare(&url, files, shape)),
        Way::Rows => runtime.block_on(rows(&url, files, shape)),
        Way::Safe => {
            let folder = tempfile::tempdir().unwrap();
            write_files(folder.path(), files, "safe", true, shape);
            let took = product(&url, files, runtime, folder.path());
            nothing[0].push(runtime.block_on(bare_nothing(&url, folder.path())));
            let (planned, ran) = planned_and_run(&url, 0, runtime, folder.path());
            nothing[1].push(planned);
            nothing[2].push(ran);
            took
        }
        Way::Fast => {
            let folder = tempfile::tempdir().unwrap();
            write_files(folder.path(), files, "fast", true, shape);
            product(&url, files, runtime, folder.path())
        }
        Way::Psql => psql(&url, files, shape),
        Way::Sqlx => sqlx(&url, files, shape),
    }
}

/// A `psql` for each file, with its ledger row in the file's transaction.
fn psql(url: &str, files: usize, shape: Shape) -> Duration {
    let folder = tempfile::tempdir().unwrap();
    for number in 0..files {
        let text = format!(
            "{};\nINSERT INTO ledger VALUES ('{number}.sql', now());\n",
            statements(shape, number).join(";\n")
        );
        std::fs::write(folder.path().join(format!("{number}.sql")), text).unwrap();
    }
    let run = |arguments: &[&str]| {
        let ended = std::process::Command::new("psql")
            .args(["-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", url])
            .args(arguments)
            .output()
            .unwrap();
        assert!(ended.status.success(), "{ended:?}");
    };
    run(&[
        "-c",
        "CREATE TABLE ledger (file text PRIMARY KEY, at timestamptz)",
    ]);
    let started = Instant::now();
    for number in 0..files {
        let file = folder.path().join(format!("{number}.sql"));
        run(&["-1", "-f", &file.display().to_string()]);
    }
    started.elapsed()
}

/// The peer from the field; its files are named as it wants them.
fn sqlx(url: &str, files: usize, shape: Shape) -> Duration {
    let folder = tempfile::tempdir().unwrap();
    for number in 0..files {
        let text = format!("{};\n", statements(shape, number).join(";\n"));
        let name = format!("{:04}_file.sql", number + 1);
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    let started = Instant::now();
    let ended = std::process::Command::new("sqlx")
        .args(["migrate", "run", "--source"])
        .arg(folder.path())
        .args(["--database-url", url])
        .output()
        .unwrap();
    assert!(ended.status.success(), "{ended:?}");
    started.elapsed()
}

/// The least that can tell that nothing is to be done: connect, read, hash, ask once.
async fn bare_nothing(url: &str, folder: &Path) -> Duration {
    let started = Instant::now();
    let info = Conninfo::resolve(url, &Environment::default()).unwrap();
    let (client, connection) = {
        let (client, connection) = info_connect(&info).await;
        (client, connection)
    };
    let driver = tokio::spawn(connection);
    let rows = client
        .query("SELECT file, checksum FROM stagegate.ledger", &[])
        .await
        .unwrap();
    let mut paths: Vec<_> = std::fs::read_dir(folder.join("db"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    let mut hashed = 0;
    for path in &paths {
        use sha2::Digest as _;
        let digest = sha2::Sha256::digest(std::fs::read(path).unwrap());
        hashed += usize::from(digest[0] < 255);
    }
    assert!(hashed > 0 && rows.len() >= paths.len());
    drop(client);
    let _ = driver.await;
    started.elapsed()
}

async fn info_connect(
    info: &Conninfo,
) -> (
    tokio_postgres::Client,
    tokio_postgres::Connection<tokio_postgres::Socket, tokio_postgres::tls::NoTlsStream>,
) {
    let mut config = tokio_postgres::Config::new();
    config
        .user(&info.user)
        .dbname(&info.database)
        .port(info.port);
    match &info.host {
        stagegate::postgres::conninfo::Host::Socket(folder) => config.host_path(folder),
        stagegate::postgres::conninfo::Host::Tcp(name) => config.host(name.as_str()),
    };
    config.connect(tokio_postgres::NoTls).await.unwrap()
}

/// Round trips a file over a slow link, as the time says.
fn over_a_link(files: usize, runtime: &tokio::runtime::Runtime) {
    let mut times = Vec::new();
    for count in [1, files + 1] {
        let cluster = Cluster::start(&ClusterOptions {
            listen_tcp: true,
            ..ClusterOptions::default()
        })
        .unwrap();
        let port = delayed(cluster.port(), Duration::from_millis(10));
        let url = tcp(port);
        let folder = tempfile::tempdir().unwrap();
        write_files(folder.path(), count, "safe", false, Shape::Makes);
        times.push(product(&url, count, runtime, folder.path()));
    }
    let each = (times[1] - times[0]).as_secs_f64() / files as f64;
    println!(
        "over a link with 20 ms round trips: {:.1} ms a file, {:.2} round trips",
        each * 1000.0,
        each / 0.020
    );
}

/// A relay to the server that hands every byte over later. Returns its port.
fn delayed(server: u16, delay: Duration) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for client in listener.incoming() {
            let client = client.unwrap();
            let server = TcpStream::connect(("127.0.0.1", server)).unwrap();
            client.set_nodelay(true).unwrap();
            server.set_nodelay(true).unwrap();
            let back = (server.try_clone().unwrap(), client.try_clone().unwrap());
            later(client, server, delay);
            later(back.0, back.1, delay);
        }
    });
    port
}

fn later(mut from: TcpStream, mut to: TcpStream, delay: Duration) {
    let (sender, receiver) = std::sync::mpsc::channel::<(Instant, Vec<u8>)>();
    std::thread::spawn(move || {
        let mut buffer = [0; 64 * 1024];
        while let Ok(read @ 1..) = from.read(&mut buffer) {
            let due = Instant::now() + delay;
            if sender.send((due, buffer[..read].to_vec())).is_err() {
                return;
            }
        }
    });
    std::thread::spawn(move || {
        // Nobody speaks on this one: a link takes its time, and that is what is measured.
        let (_silent, silence) = std::sync::mpsc::channel::<()>();
        while let Ok((due, bytes)) = receiver.recv() {
            let _ = silence.recv_timeout(due.saturating_duration_since(Instant::now()));
            if to.write_all(&bytes).is_err() {
                return;
            }
        }
        let _ = to.shutdown(std::net::Shutdown::Both);
    });
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

/// The peer: one connection and nothing else; each file and its row in one message.
async fn bare(url: &str, files: usize, shape: Shape) -> Duration {
    let info = Conninfo::resolve(url, &Environment::default()).unwrap();
    let session = Session::open(&info, &SessionSettings::default())
        .await
        .unwrap();
    let client = &session.client;
    client
        .batch_execute("CREATE TABLE ledger (file text PRIMARY KEY, at timestamptz)")
        .await
        .unwrap();
    let started = Instant::now();
    for number in 0..files {
        let mut parts = vec!["BEGIN".to_owned()];
        parts.extend(statements(shape, number));
        parts.push(format!("INSERT INTO ledger VALUES ('{number}.sql', now())"));
        parts.push("COMMIT".to_owned());
        client.batch_execute(&parts.join("; ")).await.unwrap();
    }
    started.elapsed()
}

/// The same connection with the product's ledger: a row by whose key the transaction cannot be
/// committed before the ticket is written behind the file, and `COMMIT` in a message of its own.
async fn rows(url: &str, files: usize, shape: Shape) -> Duration {
    let info = Conninfo::resolve(url, &Environment::default()).unwrap();
    let session = Session::open(&info, &SessionSettings::default())
        .await
        .unwrap();
    ledger::ensure(&session).await.unwrap();
    let client = &session.client;
    let hash = "0123456789abcdef".repeat(4);
    let started = Instant::now();
    for number in 0..files {
        let (nonce, file) = (format!("{number:032}"), format!("db/{number:04}.sql"));
        let row = ledger::NewRow {
            nonce: &nonce,
            collection: "mig",
            file: &file,
            undoes: None,
            replaces: false,
            checksum: &hash,
            raw_sha256: &hash,
            statements: 2,
            run: "bench",
            journal_seq: 1,
            journal_head: &hash,
        };
        let mut parts = vec!["BEGIN".to_owned(), row.insert()];
        parts.extend(statements(shape, number));
        parts.push(format!("INSERT INTO stagegate.ticket VALUES ('{nonce}')"));
        client.batch_execute(&parts.join("; ")).await.unwrap();
        client.batch_execute("COMMIT").await.unwrap();
    }
    started.elapsed()
}

/// The product, from the operator's start to the recorded end of the gate.
fn product(
    url: &str,
    applied: usize,
    runtime: &tokio::runtime::Runtime,
    folder: &Path,
) -> Duration {
    planned_and_run(url, applied, runtime, folder).1
}

/// How long the plan took, from a console that is open, and how long it took to carry it out.
fn planned_and_run(
    url: &str,
    applied: usize,
    runtime: &tokio::runtime::Runtime,
    folder: &Path,
) -> (Duration, Duration) {
    let variables = [("DB".to_owned(), url.to_owned())];
    let options = OpenOptions {
        which: Which::New(folder.join("runbook.toml")),
        vars: std::collections::BTreeMap::new(),
        runs_folder: folder.join("runs"),
        operator: "bench".to_owned(),
        via: Via::Headless,
        surroundings: Environment::default().with_variables(&variables),
    };
    let handle = open(&options, runtime.handle()).unwrap();
    let took = runtime.block_on(async {
        let mut snapshots = handle.snapshots();
        let gate = "mig".to_owned();
        let asked = Instant::now();
        handle.ask(Request::Plan { gate: gate.clone() }).await;
        let planned = snapshots
            .wait_for(|s| s.plans.contains_key("mig"))
            .await
            .unwrap();
        let plan = planned.plans.get("mig").map(|plan| plan.digest.clone());
        drop(planned);
        let planning = asked.elapsed();
        let started = Instant::now();
        handle
            .command(Command::Start {
                gate,
                plan,
                typed_name: None,
            })
            .await
            .unwrap();
        let done = snapshots
            .wait_for(|s| s.run.gates[0].state != GateState::Running)
            .await
            .unwrap();
        let finding = &done.run.gates[0].finding;
        assert_eq!(done.run.gates[0].state, GateState::Passed, "{finding:?}");
        assert_eq!(done.run.gates[0].effects.len(), applied);
        (planning, started.elapsed())
    });
    handle.close();
    took
}

/// `made` records what the files make of the schema, as the product does by itself.
fn write_files(folder: &Path, files: usize, profile: &str, made: bool, shape: Shape) {
    let runbook = RUNBOOK.replace(
        "] }",
        &format!("], profile = \"{profile}\", record_change = {made} }}"),
    );
    std::fs::write(folder.join("runbook.toml"), runbook).unwrap();
    std::fs::create_dir(folder.join("db")).unwrap();
    for number in 0..files {
        let text = format!("{};\n", statements(shape, number).join(";\n"));
        std::fs::write(folder.join(format!("db/{number:06}.sql")), text).unwrap();
    }
}
