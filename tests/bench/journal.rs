//! A journal of many records: reading, folding, verifying and reporting it.
//!
//! `cargo bench --bench journal [-- RECORDS [ROUNDS]]`. The peer: `sha256sum` over the same bytes.
#![allow(clippy::unwrap_used, clippy::print_stdout)] // A measurement says what went wrong by failing.

use std::path::Path;
use std::time::{Duration, Instant};

use stagegate::engine::{OpenOptions, Which, open, read_run};
use stagegate::postgres::Environment;
use stagegate::promotion::{Actor, Event, Journal, Record, Run, Via};
use stagegate::report;

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
id = \"people\"
title = \"People agree\"
checklist = { items = [\"one\"] }
";

fn main() {
    let numbers: Vec<usize> = std::env::args().filter_map(|a| a.parse().ok()).collect();
    let records = numbers.first().copied().unwrap_or(10_000);
    let rounds = numbers.get(1).copied().unwrap_or(5);
    let place = tempfile::tempdir().unwrap();
    let folder = prepare(place.path(), records);
    let bytes = std::fs::read(folder.join("journal.jsonl")).unwrap();
    println!("{records} records, {:.1} MB:", bytes.len() as f64 / 1e6);
    let journal = folder.join("journal.jsonl");
    say("sha256sum of the file", rounds, || {
        let ended = std::process::Command::new("sha256sum")
            .arg(&journal)
            .output();
        assert!(ended.unwrap().status.success());
    });
    say("read, every hash and the chain", rounds, || {
        assert_eq!(Journal::read(&bytes).unwrap().records.len(), records);
    });
    let read = Journal::read(&bytes).unwrap();
    say("fold", rounds, || {
        assert!(Run::fold(&read.records).is_some());
    });
    say("verify", rounds, || {
        assert!(report::verify(&folder).holds());
    });
    say("open for reading", rounds, || {
        assert!(read_run(&folder).is_ok());
    });
    let gathered = || {
        let read = read_run(&folder).unwrap();
        report::gather(&read.snapshot, read.missing, |_| Vec::new())
    };
    say("report as HTML", rounds, || {
        assert!(report::html(&gathered()).unwrap().len() > records);
    });
    say("report as Markdown", rounds, || {
        assert!(report::markdown(&gathered()).len() > records);
    });
    say("report as JSON", rounds, || {
        assert!(serde_json::to_string(&gathered()).unwrap().len() > records);
    });
}

/// Opens a real run, and appends remarks until there are enough records.
fn prepare(place: &Path, records: usize) -> std::path::PathBuf {
    let runbook = place.join("runbook.toml");
    std::fs::write(&runbook, RUNBOOK).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let address = "postgresql://nobody@127.0.0.1/none".to_owned();
    let variables = [("DB".to_owned(), address)];
    let handle = open(
        &OpenOptions {
            which: Which::New(runbook),
            vars: Default::default(),
            runs_folder: place.join("runs"),
            operator: "bench".into(),
            via: Via::Console,
            surroundings: Environment::default().with_variables(&variables),
        },
        runtime.handle(),
    );
    let folder = handle.unwrap().folder().to_owned();
    let path = folder.join("journal.jsonl");
    let bytes = std::fs::read(&path).unwrap();
    let read = Journal::read(&bytes).unwrap();
    let (seq, hash) = read.last();
    let mut last = (seq, hash.to_owned());
    let mut bytes = bytes[..read.valid_bytes].to_vec();
    let actor = Actor {
        name: "bench".into(),
        via: Via::Console,
    };
    while (last.0 as usize) < records {
        let event = Event::Noted {
            gate: Some("people".into()),
            text: format!("remark {} about what was seen at that moment", last.0),
        };
        let time = read.records[0].time;
        let (record, line) = Record::after((last.0, &last.1), time, &actor, event).unwrap();
        last = (record.seq, record.hash.clone());
        bytes.extend(line);
    }
    std::fs::write(&path, bytes).unwrap();
    folder
}

fn say(what: &str, rounds: usize, mut work: impl FnMut()) {
    let mut times: Vec<Duration> = (0..rounds)
        .map(|_| {
            let started = Instant::now();
            work();
            started.elapsed()
        })
        .collect();
    times.sort_unstable();
    println!(
        "  {what:<34}{:>9.1} ms",
        times[rounds / 2].as_secs_f64() * 1000.0
    );
}
