//! How long an innocent SELECT waits at most behind an ALTER of ours that waits for its lock.
//!
//! `cargo bench --bench locks [-- SECONDS]`. Somebody keeps a transaction open that has read the
//! table; the migrate gate wants to add a column, gives up by `lock_timeout`, and tries again. All
//! the while readers come one after the other and measure how long each waits. Wanted: never longer
//! than `lock_timeout` and 200 ms. A second part has a statement that holds its lock, and
//! `queue_wait` to end it.
#![allow(clippy::unwrap_used, clippy::print_stdout)] // A measurement says what went wrong by failing.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use stagegate::engine::{EngineHandle, OpenOptions, Request, Which, open};
use stagegate::postgres::cluster::{Cluster, ClusterOptions};
use stagegate::postgres::{Conninfo, Environment, Session, SessionSettings};
use stagegate::promotion::{Command, GateState, Via};

/// How much longer than its limit a reader may wait.
const MARGIN: Duration = Duration::from_millis(200);

fn main() {
    let seconds: Vec<u64> = std::env::args().filter_map(|a| a.parse().ok()).collect();
    let lasts = Duration::from_secs(seconds.first().copied().unwrap_or(8));
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    println!(
        "readers behind an ALTER that waits, {} s each:",
        lasts.as_secs()
    );
    for ms in [300, 1_000, 2_000] {
        let limit = Duration::from_millis(ms);
        let keys = format!(
            "lock_timeout = \"{ms}ms\", attempts = 100, budget = \"{}s\"",
            lasts.as_secs()
        );
        let seen = runtime.block_on(measure("ALTER TABLE t ADD COLUMN m int;", &keys, true));
        report(&format!("lock_timeout {ms:>4} ms"), limit, &seen);
    }
    println!("readers behind an ALTER that holds its lock:");
    for ms in [1_000, 2_000] {
        let keys = format!("queue_wait = \"{ms}ms\", attempts = 1");
        let sql = "ALTER TABLE t ADD COLUMN m int; SELECT pg_sleep(60);";
        let seen = runtime.block_on(measure(sql, &keys, false));
        // A look every 250 ms, and the time to stop.
        report(
            &format!("queue_wait   {ms:>4} ms"),
            Duration::from_millis(ms + 300),
            &seen,
        );
    }
}

fn report(name: &str, limit: Duration, seen: &[Duration]) {
    let most = seen.iter().max().copied().unwrap_or_default();
    let kept = most <= limit + MARGIN;
    println!(
        "  {name}  {:>6} reads  median {:>7.1} ms  longest {:>7.1} ms  {}",
        seen.len(),
        ms(median(seen)),
        ms(most),
        if kept {
            "within the limit"
        } else {
            "BEYOND THE LIMIT"
        }
    );
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

fn median(times: &[Duration]) -> Duration {
    let mut times = times.to_vec();
    times.sort();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

/// Runs the gate until it ends; gives how long each reader waited meanwhile.
async fn measure(sql: &str, keys: &str, blocked: bool) -> Vec<Duration> {
    let cluster =
        tokio::task::spawn_blocking(|| Cluster::start(&ClusterOptions::default()).unwrap())
            .await
            .unwrap();
    let info = Conninfo::resolve(
        &cluster.url("postgres", "postgres"),
        &Environment::default(),
    )
    .unwrap();
    let patient = SessionSettings {
        lock_timeout: Duration::from_secs(120),
        idle_in_transaction_timeout: Duration::from_secs(120),
        ..SessionSettings::default()
    };
    let holder = Session::open(&info, &patient).await.unwrap();
    holder
        .client
        .batch_execute("CREATE TABLE t (n int)")
        .await
        .unwrap();
    if blocked {
        holder
            .client
            .batch_execute("BEGIN; SELECT FROM t")
            .await
            .unwrap();
    }
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), sql, keys);
    let handle = start(folder.path(), &cluster).await;
    let over = Arc::new(AtomicBool::new(false));
    let readers: Vec<_> = (0..2)
        .map(|_| tokio::spawn(read(info.clone(), patient.clone(), over.clone())))
        .collect();
    let mut snapshots = handle.snapshots();
    let ended = |state| {
        matches!(
            state,
            GateState::Failed | GateState::Passed | GateState::Errored
        )
    };
    snapshots
        .wait_for(|s| s.run.gate("mig").is_some_and(|gate| ended(gate.state)))
        .await
        .unwrap();
    over.store(true, Ordering::SeqCst);
    let mut seen = Vec::new();
    for reader in readers {
        seen.extend(reader.await.unwrap());
    }
    tokio::task::spawn_blocking(move || {
        handle.close();
        drop(cluster);
    })
    .await
    .unwrap();
    seen
}

/// Reads again and again.
async fn read(info: Conninfo, settings: SessionSettings, over: Arc<AtomicBool>) -> Vec<Duration> {
    let session = Session::open(&info, &settings).await.unwrap();
    let mut seen = Vec::new();
    let mut pace = tokio::time::interval(Duration::from_millis(5));
    while !over.load(Ordering::SeqCst) {
        let began = Instant::now();
        session.client.batch_execute("SELECT FROM t").await.unwrap();
        seen.push(began.elapsed());
        pace.tick().await;
    }
    seen
}

fn write(folder: &Path, sql: &str, keys: &str) {
    let runbook = format!(
        "format = 1\ntitle = \"Bench\"\n[target.db]\nurl = \"env:DB\"\nenvironment = \"staging\"\n\
         [[phase]]\nid = \"phase\"\ntitle = \"Phase\"\n[[phase.gate]]\nid = \"mig\"\n\
         title = \"Migrate\"\nmigrate = {{ target = \"db\", files = [\"db/*.sql\"], {keys} }}\n"
    );
    std::fs::write(folder.join("runbook.toml"), runbook).unwrap();
    std::fs::create_dir(folder.join("db")).unwrap();
    std::fs::write(folder.join("db/1.sql"), sql).unwrap();
}

/// Opens a run and starts its gate.
async fn start(folder: &Path, cluster: &Cluster) -> EngineHandle {
    let variables = [("DB".to_owned(), cluster.url("postgres", "postgres"))];
    let options = OpenOptions {
        which: Which::New(folder.join("runbook.toml")),
        vars: std::collections::BTreeMap::new(),
        runs_folder: folder.join("runs"),
        operator: "bench".to_owned(),
        via: Via::Headless,
        surroundings: Environment::default().with_variables(&variables),
    };
    let handle = open(&options, &tokio::runtime::Handle::current()).unwrap();
    let gate = "mig".to_owned();
    handle.ask(Request::Plan { gate: gate.clone() }).await;
    let mut snapshots = handle.snapshots();
    let planned = snapshots
        .wait_for(|s| s.plans.contains_key("mig"))
        .await
        .unwrap();
    let plan = planned.plans.get("mig").map(|plan| plan.digest.clone());
    drop(planned);
    let start = Command::Start {
        gate,
        plan,
        typed_name: None,
    };
    handle.command(start).await.unwrap();
    handle
}
