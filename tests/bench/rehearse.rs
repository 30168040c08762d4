//! The rehearse gate against a bare `pg_restore -j2`, in one run.
//!
//! `cargo bench --bench rehearse [-- ROWS [ROUNDS [JOBS]]]`: eight tables with that many rows together,
//! each with a key, two indexes and a reference. Both restore with so many jobs, 2 unless told; with
//! fewer than there are cores, reading the rows back has one for itself. Of the gate is measured: hashing the archive, booting a
//! private cluster from a template, roles, the database, the restore, and adding every row up and
//! comparing it with the source. The peer is `pg_restore` alone, into an empty database of an
//! equally tuned cluster that is initialised and running already: neither its start nor any proof is
//! counted. Rounds are interleaved; medians are compared.
#![allow(clippy::unwrap_used, clippy::print_stdout)] // A measurement says what went wrong by failing.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use stagegate::engine::{EngineHandle, OpenOptions, Request, Which, open};
use stagegate::gate::Evidence;
use stagegate::gate::rehearse::Took;
use stagegate::postgres::cluster::{Cluster, ClusterOptions};
use stagegate::postgres::rehearsal_server::{RehearsalServer, SUPERUSER, room};
use stagegate::postgres::{Conninfo, Environment, Session, SessionSettings};
use stagegate::promotion::{Command as Ask, GateState, Via};
use tokio::runtime::Runtime;

const TABLES: usize = 8;
const RUNBOOK: &str = "format = 1\ntitle = \"Bench\"\n[target.db]\nurl = \"env:DB\"\n\
    environment = \"staging\"\n[[phase]]\nid = \"phase\"\ntitle = \"Phase\"\n\
    [[phase.gate]]\nid = \"backup\"\ntitle = \"Backup\"\n\
    backup = { target = \"db\", path = \"backups\" }\n\
    [[phase.gate]]\nid = \"rehearse\"\ntitle = \"Rehearse\"\n\
    rehearse = { backup = \"backup\", jobs = JOBS }\n";

async fn session(url: &str) -> Session {
    let info = Conninfo::resolve(url, &Environment::default()).unwrap();
    let settings = SessionSettings {
        statement_timeout: Duration::from_secs(3600),
        ..SessionSettings::default()
    };
    Session::open(&info, &settings).await.unwrap()
}

async fn sql(url: &str, statements: &[String]) {
    let session = session(url).await;
    for statement in statements {
        session.client.batch_execute(statement).await.unwrap();
    }
    session.close().await;
}

fn world(rows: usize) -> Vec<String> {
    let each = rows / TABLES;
    let mut statements = vec![
        "CREATE TABLE kinds (id int PRIMARY KEY, name text); \
         INSERT INTO kinds SELECT n, 'kind ' || n FROM generate_series(0, 99) n"
            .to_owned(),
    ];
    statements.extend((0..TABLES).map(|table| {
        format!(
            "CREATE TABLE t{table} (id bigint PRIMARY KEY, kind int NOT NULL REFERENCES kinds, \
             name text NOT NULL, total numeric, made timestamptz, note jsonb); \
             INSERT INTO t{table} SELECT n, n % 100, 'customer number ' || n, n / 7.0, \
             timestamptz '2026-01-01' + n * interval '1 minute', \
             jsonb_build_object('n', n, 'tags', md5(n::text)) FROM generate_series(1, {each}) n; \
             CREATE INDEX ON t{table} (made); CREATE INDEX ON t{table} (name, kind); ANALYZE t{table}"
        )
    }));
    statements
}

fn gate(handle: &EngineHandle, runtime: &Runtime, id: &str) {
    let mut snapshots = handle.snapshots();
    runtime.block_on(async {
        handle.ask(Request::Plan { gate: id.into() }).await;
        let planned = snapshots
            .wait_for(|s| s.plans.contains_key(id) && !s.planning.contains(id))
            .await
            .unwrap()
            .clone();
        let start = Ask::Start {
            gate: id.into(),
            plan: Some(planned.plans[id].digest.clone()),
            typed_name: None,
        };
        handle.command(start).await.unwrap();
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
    });
}

/// One run: a backup, and its rehearsal. Gives the archive and what each part took.
fn product(
    runtime: &Runtime,
    source: &str,
    folder: &std::path::Path,
    jobs: usize,
) -> (String, Took) {
    let path = folder.join("runbook.toml");
    std::fs::write(&path, RUNBOOK.replace("JOBS", &jobs.to_string())).unwrap();
    let options = OpenOptions {
        which: Which::New(path),
        vars: std::collections::BTreeMap::new(),
        runs_folder: folder.join("runs"),
        operator: "bench".to_owned(),
        via: Via::Console,
        surroundings: Environment::from_variables([("DB", source)]),
    };
    let handle = open(&options, runtime.handle()).unwrap();
    gate(&handle, runtime, "backup");
    gate(&handle, runtime, "rehearse");
    let snapshots = handle.snapshots();
    let evidence = snapshots.borrow().evidence["rehearse"].clone();
    let Evidence::Rehearse { rehearsed, .. } = evidence.as_ref() else {
        unreachable!("it is the evidence of a rehearsal");
    };
    assert!(rehearsed.verified.is_some());
    (rehearsed.archive.clone(), rehearsed.took)
}

fn peer(runtime: &Runtime, server: &RehearsalServer, archive: &str, jobs: usize) -> Duration {
    let admin = server.url("template1", SUPERUSER);
    runtime.block_on(sql(
        &admin,
        &["CREATE DATABASE peer TEMPLATE template0".to_owned()],
    ));
    let into = server.url("peer", SUPERUSER);
    let began = Instant::now();
    let ended = Command::new("pg_restore")
        .args([&format!("-j{jobs}"), "-d", &into, archive])
        .stdout(Stdio::null())
        .status()
        .unwrap();
    let took = began.elapsed();
    assert!(ended.success());
    runtime.block_on(sql(&admin, &["DROP DATABASE peer".to_owned()]));
    took
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

fn main() {
    let numbers: Vec<usize> = std::env::args().filter_map(|a| a.parse().ok()).collect();
    let rows = numbers.first().copied().unwrap_or(2_000_000);
    let rounds = numbers.get(1).copied().unwrap_or(3);
    let jobs = numbers.get(2).copied().unwrap_or(2);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let source = Cluster::start(&ClusterOptions::default()).unwrap();
    let url = source.url("app", "postgres");
    let make = ["CREATE DATABASE app".to_owned()];
    runtime.block_on(sql(&source.url("postgres", "postgres"), &make));
    runtime.block_on(sql(&url, &world(rows)));
    let major = source.version().major;
    let [mut ours, mut boots, mut restores, mut theirs] = [const { Vec::new() }; 4];
    for _ in 0..rounds {
        let folder = tempfile::tempdir().unwrap();
        let (archive, took) = product(&runtime, &url, folder.path(), jobs);
        ours.push(took.verify as f64 / 1000.0);
        boots.push(took.boot as f64 / 1000.0);
        restores.push(took.restore as f64 / 1000.0);
        // As large as the gate's, so that both are in the same place.
        let server = RehearsalServer::boot(major, &room(512 * 1024 * 1024)).unwrap();
        theirs.push(peer(&runtime, &server, &archive, jobs).as_secs_f64());
    }
    let (ours, theirs) = (median(ours), median(theirs));
    println!("{rows} rows in {TABLES} tables, medians of {rounds}");
    println!("  pg_restore -j{jobs}, cluster running   {theirs:8.2} s");
    println!(
        "  boot, restore, verify             {ours:8.2} s   {:.2}x",
        ours / theirs
    );
    println!(
        "    of that: boot and hash          {:8.2} s",
        median(boots)
    );
    println!(
        "    of that: restore, compared      {:8.2} s",
        median(restores)
    );
}
