//! Cloning to another server against `pg_dump -Fd -j2` and `pg_restore -j2`, and the schema alone on
//! the same server against `CREATE DATABASE … TEMPLATE`, in one run.
//!
//! `cargo bench --bench clone [-- ROWS [ROUNDS]]`: eight tables with that many rows together. What is
//! measured is the whole gate: both proofs, the dump of the destination, the copy, adding every table
//! up at both ends, comparing the catalogs, changing the names. Rounds are interleaved; medians are
//! compared.
#![allow(clippy::unwrap_used, clippy::print_stdout)] // A measurement says what went wrong by failing.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use stagegate::engine::{EngineHandle, OpenOptions, Request, Which, open};
use stagegate::postgres::cluster::{Cluster, ClusterOptions};
use stagegate::postgres::enrolment::{self, Purpose};
use stagegate::postgres::{Conninfo, Environment, Session, SessionSettings, identity};
use stagegate::promotion::{GateState, Via};
use tokio::runtime::Runtime;

const TABLES: usize = 8;

fn runbook(rows: bool) -> String {
    format!(
        "format = 1\ntitle = \"Bench\"\n[target.production]\nurl = \"env:PROD\"\n\
         environment = \"staging\"\n[target.development]\nurl = \"env:DEV\"\n\
         environment = \"development\"\n[[phase]]\nid = \"phase\"\ntitle = \"Phase\"\n\
         [[phase.gate]]\nid = \"backup\"\ntitle = \"Backup\"\n\
         backup = {{ target = \"production\", path = \"backups\" }}\n\
         [[phase.gate]]\nid = \"clone\"\ntitle = \"Clone\"\n\
         clone = {{ from = \"production\", target = \"development\", backup = \"backup\", \
         safety = \"backups\", jobs = 2, previous = \"drop\", rows = {rows} }}\n"
    )
}

async fn session(url: &str) -> Session {
    let info = Conninfo::resolve(url, &Environment::default()).unwrap();
    let settings = SessionSettings {
        statement_timeout: Duration::from_secs(3600),
        ..SessionSettings::default()
    };
    Session::open(&info, &settings).await.unwrap()
}

async fn sql(url: &str, statements: &[&str]) {
    let session = session(url).await;
    for statement in statements {
        session.client.batch_execute(statement).await.unwrap();
    }
    session.close().await;
}

async fn fill(url: &str, rows: usize) {
    let session = session(url).await;
    for table in 0..TABLES {
        let each = rows / TABLES;
        let made = format!(
            "CREATE TABLE t{table} (id bigint PRIMARY KEY, name text NOT NULL, total numeric, \
             made timestamptz, note jsonb); \
             INSERT INTO t{table} SELECT n, 'customer number ' || n, n / 7.0, \
             timestamptz '2026-01-01' + n * interval '1 minute', \
             jsonb_build_object('n', n, 'tags', md5(n::text)) FROM generate_series(1, {each}) n; \
             CREATE INDEX ON t{table} (made); ANALYZE t{table}"
        );
        session.client.batch_execute(&made).await.unwrap();
    }
    session.close().await;
}

async fn enrol(url: &str, same_cluster: bool) {
    let session = session(url).await;
    let identity = identity::read(&session).await.unwrap();
    enrolment::enrol(&session, &identity, Purpose::Development, same_cluster)
        .await
        .unwrap();
    session.close().await;
}

fn gate(handle: &EngineHandle, runtime: &Runtime, id: &str) -> Duration {
    let mut snapshots = handle.snapshots();
    runtime.block_on(async {
        handle.ask(Request::Plan { gate: id.into() }).await;
        let planned = snapshots
            .wait_for(|s| s.plans.contains_key(id) && !s.planning.contains(id))
            .await
            .unwrap()
            .clone();
        let began = Instant::now();
        handle
            .command(stagegate::promotion::Command::Start {
                gate: id.into(),
                plan: Some(planned.plans[id].digest.clone()),
                typed_name: (id == "clone").then(|| "development".to_owned()),
            })
            .await
            .unwrap();
        let ended = snapshots
            .wait_for(|s| {
                let gate = s.run.gate(id).unwrap();
                gate.attempt > 0 && gate.state != GateState::Running
            })
            .await
            .unwrap()
            .clone();
        let gate = ended.run.gate(id).unwrap();
        assert_eq!(gate.state, GateState::Passed, "{:?}", gate.finding);
        began.elapsed()
    })
}

fn product(runtime: &Runtime, prod: &str, dev: &str, rows: bool) -> Duration {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("runbook.toml");
    std::fs::write(&path, runbook(rows)).unwrap();
    let options = OpenOptions {
        which: Which::New(path),
        vars: std::collections::BTreeMap::new(),
        runs_folder: folder.path().join("runs"),
        operator: "bench".to_owned(),
        via: Via::Console,
        surroundings: Environment::from_variables([("PROD", prod), ("DEV", dev)]),
    };
    let handle = open(&options, runtime.handle()).unwrap();
    gate(&handle, runtime, "backup");
    gate(&handle, runtime, "clone")
}

fn program(name: &str, arguments: &[&str]) {
    let ended = Command::new(name)
        .args(arguments)
        .stdout(Stdio::null())
        .status()
        .unwrap();
    assert!(ended.success(), "{name} {arguments:?}");
}

fn peer(runtime: &Runtime, prod: &str, other: &Cluster, folder: &Path) -> Duration {
    let admin = other.url("postgres", "postgres");
    let dump = folder.join("dump");
    let dump = dump.to_str().unwrap();
    let began = Instant::now();
    program("pg_dump", &["-Fd", "-j2", "-f", dump, prod]);
    runtime.block_on(sql(&admin, &["CREATE DATABASE peer TEMPLATE template0"]));
    let into = other.url("peer", "postgres");
    program("pg_restore", &["-j2", "-d", &into, dump]);
    let took = began.elapsed();
    runtime.block_on(sql(&admin, &["DROP DATABASE peer"]));
    std::fs::remove_dir_all(dump).unwrap();
    took
}

fn median(mut times: Vec<Duration>) -> f64 {
    times.sort();
    times[times.len() / 2].as_secs_f64()
}

fn main() {
    let numbers: Vec<usize> = std::env::args().filter_map(|a| a.parse().ok()).collect();
    let rows = numbers.first().copied().unwrap_or(2_000_000);
    let rounds = numbers.get(1).copied().unwrap_or(3);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let start = || Cluster::start(&ClusterOptions::default()).unwrap();
    let (one, other) = (start(), start());
    let prod = one.url("app", "postgres");
    runtime.block_on(sql(
        &one.url("postgres", "postgres"),
        &["CREATE DATABASE app", "CREATE DATABASE dev"],
    ));
    runtime.block_on(fill(&prod, rows));
    let dev = other.url("dev", "postgres");
    runtime.block_on(sql(
        &other.url("postgres", "postgres"),
        &["CREATE DATABASE dev"],
    ));
    runtime.block_on(enrol(&dev, false));
    let folder = tempfile::tempdir().unwrap();
    let [mut ours, mut theirs] = [Vec::new(), Vec::new()];
    for _ in 0..rounds {
        theirs.push(peer(&runtime, &prod, &other, folder.path()));
        // What is lost is small, so that its dump is not what is measured.
        runtime.block_on(sql(
            &other.url("postgres", "postgres"),
            &["DROP DATABASE dev WITH (FORCE)", "CREATE DATABASE dev"],
        ));
        runtime.block_on(enrol(&dev, false));
        ours.push(product(&runtime, &prod, &dev, true));
    }
    let (ours, theirs) = (median(ours), median(theirs));
    println!("{rows} rows in {TABLES} tables, to another server, medians of {rounds}");
    println!("  pg_dump -Fd -j2, pg_restore -j2   {theirs:8.2} s");
    println!(
        "  the clone gate                    {ours:8.2} s   {:.2}x",
        ours / theirs
    );
    let here = one.url("dev", "postgres");
    let admin = one.url("postgres", "postgres");
    let [mut ours, mut theirs] = [Vec::new(), Vec::new()];
    for _ in 0..rounds {
        let began = Instant::now();
        runtime.block_on(sql(&admin, &["CREATE DATABASE peer TEMPLATE app"]));
        theirs.push(began.elapsed());
        runtime.block_on(sql(
            &admin,
            &[
                "DROP DATABASE peer",
                "DROP DATABASE dev WITH (FORCE)",
                "CREATE DATABASE dev",
            ],
        ));
        runtime.block_on(enrol(&here, true));
        ours.push(product(&runtime, &prod, &here, false));
    }
    let (ours, theirs) = (median(ours), median(theirs));
    println!("the schema alone, on the same server, medians of {rounds}");
    println!("  CREATE DATABASE … TEMPLATE        {theirs:8.2} s");
    println!(
        "  the clone gate                    {ours:8.2} s   {:.2}x",
        ours / theirs
    );
}
