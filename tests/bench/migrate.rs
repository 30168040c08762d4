//! Applying many small files: the whole product against one bare connection, in one run.
//!
//! `cargo bench --bench migrate [-- FILES [ROUNDS]]`. The peer sends the same statements and a
//! ledger row for each file over one connection: once statement by statement, once with everything
//! but `COMMIT` in one message, which is as few round trips as there can be. The product plans,
//! journals, applies and reports as always. Rounds are interleaved; medians are compared.
#![allow(clippy::unwrap_used, clippy::print_stdout)] // A measurement says what went wrong by failing.

use std::path::Path;
use std::time::{Duration, Instant};

use stagegate::engine::{OpenOptions, Request, Which, open};
use stagegate::postgres::cluster::{Cluster, ClusterOptions};
use stagegate::postgres::{Conninfo, Environment, Session, SessionSettings};
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

fn statements(number: usize) -> [String; 2] {
    [
        format!("CREATE TABLE t{number} (id int PRIMARY KEY, name text)"),
        format!("INSERT INTO t{number} VALUES (1, 'one'), (2, 'two')"),
    ]
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
    for durable in [false, true] {
        let mut times: [Vec<Duration>; 3] = Default::default();
        for _ in 0..rounds {
            for (index, times) in times.iter_mut().enumerate() {
                let cluster = Cluster::start(&ClusterOptions {
                    durable,
                    ..ClusterOptions::default()
                })
                .unwrap();
                times.push(match index {
                    0 => runtime.block_on(bare(&cluster, files, false)),
                    1 => runtime.block_on(bare(&cluster, files, true)),
                    _ => product(&cluster, files, &runtime),
                });
            }
        }
        let [singly, batched, product] = times.map(median);
        println!(
            "{files} files, server {}:",
            if durable { "syncs" } else { "does not sync" }
        );
        println!("  bare, statement by statement  {:>8.1} ms", ms(singly));
        println!("  bare, all but COMMIT at once  {:>8.1} ms", ms(batched));
        println!(
            "  stagegate                     {:>8.1} ms   {:.2}x and {:.2}x",
            ms(product),
            product.as_secs_f64() / singly.as_secs_f64(),
            product.as_secs_f64() / batched.as_secs_f64()
        );
    }
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

/// The peer: one connection and nothing else.
async fn bare(cluster: &Cluster, files: usize, batched: bool) -> Duration {
    let url = cluster.url("postgres", "postgres");
    let info = Conninfo::resolve(&url, &Environment::default()).unwrap();
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
        parts.extend(statements(number));
        parts.push(format!("INSERT INTO ledger VALUES ('{number}.sql', now())"));
        if batched {
            client.batch_execute(&parts.join("; ")).await.unwrap();
        } else {
            for part in &parts {
                client.simple_query(part).await.unwrap();
            }
        }
        client.simple_query("COMMIT").await.unwrap();
    }
    started.elapsed()
}

/// The product, from the operator's start to the recorded end of the gate.
fn product(cluster: &Cluster, files: usize, runtime: &tokio::runtime::Runtime) -> Duration {
    let folder = tempfile::tempdir().unwrap();
    write_files(folder.path(), files);
    let variables = [("DB".to_owned(), cluster.url("postgres", "postgres"))];
    let options = OpenOptions {
        which: Which::New(folder.path().join("runbook.toml")),
        vars: std::collections::BTreeMap::new(),
        runs_folder: folder.path().join("runs"),
        operator: "bench".to_owned(),
        via: Via::Headless,
        surroundings: Environment::default().with_variables(&variables),
    };
    let handle = open(&options, runtime.handle()).unwrap();
    let took = runtime.block_on(async {
        let mut snapshots = handle.snapshots();
        let gate = "mig".to_owned();
        handle.ask(Request::Plan { gate: gate.clone() }).await;
        let planned = snapshots
            .wait_for(|s| s.plans.contains_key("mig"))
            .await
            .unwrap();
        let plan = planned.plans.get("mig").map(|plan| plan.digest.clone());
        drop(planned);
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
        assert_eq!(done.run.gates[0].state, GateState::Passed);
        assert_eq!(done.run.gates[0].effects.len(), files);
        started.elapsed()
    });
    handle.close();
    took
}

fn write_files(folder: &Path, files: usize) {
    std::fs::write(folder.join("runbook.toml"), RUNBOOK).unwrap();
    std::fs::create_dir(folder.join("db")).unwrap();
    for number in 0..files {
        let text = format!("{};\n", statements(number).join(";\n"));
        std::fs::write(folder.join(format!("db/{number:06}.sql")), text).unwrap();
    }
}
