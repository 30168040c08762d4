//! Two hundred deaths around COMMIT, at moments that nobody chose: of the program and of the
//! server. Afterwards the ledger, the objects and the journal agree, each time.

use std::process::Child;
use std::time::{Duration, Instant};

use stagegate::postgres::cluster::{Cluster, ClusterOptions};
use stagegate::promotion::{GateState, Run};

use crate::site::{Site, ended};

const FILES: usize = 5;
const ROUNDS: usize = 50;

/// What dies.
#[derive(Clone, Copy)]
enum Victim {
    Program,
    Server,
}

/// Numbers that look like chance, the same ones on every machine.
struct Chance(u64);

impl Chance {
    fn below(&mut self, limit: u64) -> u64 {
        // SplitMix64.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % limit
    }
}

fn site() -> Site {
    Site::on(
        Cluster::start(&ClusterOptions {
            durable: true,
            ..ClusterOptions::default()
        })
        .unwrap(),
    )
}

fn arguments(round: usize, more: &[&str]) -> Vec<String> {
    let mut arguments: Vec<String> = ["run", "--headless"].map(str::to_owned).into();
    arguments.push(format!("r{round}/runbook.toml"));
    arguments.push("--runs-dir".to_owned());
    arguments.push(format!("r{round}/runs"));
    arguments.extend(more.iter().map(|word| (*word).to_owned()));
    arguments
}

fn write_round(site: &Site, round: usize) {
    for file in 1..=FILES {
        let sql = format!(
            "CREATE TABLE t_{round}_{file} (n int);\nINSERT INTO t_{round}_{file} VALUES (1);\n"
        );
        site.write(&format!("r{round}/db/{round}_{file}.sql"), &sql);
    }
    let gate = format!(
        "[[phase.gate]]\nid = \"m{round}\"\ntitle = \"Migrate\"\n[phase.gate.migrate]\n\
         target = \"db\"\nfiles = [\"db/*.sql\"]\nrecord_change = false\n"
    );
    let written = site.runbook(&gate);
    let text = std::fs::read_to_string(written).unwrap();
    site.write(&format!("r{round}/runbook.toml"), &text);
}

/// Waits until the gate's work has begun, then for so long.
fn wait(site: &Site, round: usize, child: &mut Child, micros: u64) {
    let runs = site.path(&format!("r{round}/runs"));
    let begun = || {
        let run = std::fs::read_dir(&runs).ok()?.next()?.ok()?.path();
        let journal = std::fs::read_to_string(run.join("journal.jsonl")).ok()?;
        journal.contains("gate_started").then_some(())
    };
    let deadline = Instant::now() + Duration::from_secs(60);
    while begun().is_none() && child.try_wait().unwrap().is_none() {
        assert!(Instant::now() < deadline, "round {round} never began");
        std::thread::yield_now();
    }
    let until = Instant::now() + Duration::from_micros(micros);
    while Instant::now() < until {
        std::hint::spin_loop();
    }
}

fn die(victim: Victim, seed: u64) {
    let site = site();
    let mut chance = Chance(seed);
    let mut killed = 0;
    for round in 1..=ROUNDS {
        write_round(&site, round);
        let mut child = site
            .command(
                &arguments(round, &[])
                    .iter()
                    .map(String::as_str)
                    .collect::<Vec<_>>(),
            )
            .spawn()
            .unwrap();
        // The work takes some tens of milliseconds from here.
        wait(&site, round, &mut child, chance.below(60_000));
        match victim {
            Victim::Program => {
                let _ = child.kill();
            }
            Victim::Server => site.cluster.crash(),
        }
        let first = ended(child.wait_with_output().unwrap());
        killed += usize::from(first.code != Some(0));
        if matches!(victim, Victim::Server) {
            site.cluster.restart().unwrap();
        }
        go_on(&site, round);
        check(&site, round, &first.err);
    }
    assert!(
        killed > ROUNDS / 10,
        "only {killed} of {ROUNDS} died in time"
    );
}

/// The only run of a round.
fn run_of(site: &Site, round: usize) -> Run {
    let runs = std::fs::read_dir(site.path(&format!("r{round}/runs"))).unwrap();
    let folders: Vec<_> = runs.map(|entry| entry.unwrap().path()).collect();
    assert_eq!(folders.len(), 1, "round {round}");
    stagegate::engine::read_only(&folders[0]).unwrap().0
}

/// Takes the run up until it has ended. It may have died behind its last record, with nothing left
/// to take up.
fn go_on(site: &Site, round: usize) {
    let words = arguments(round, &["--resume"]);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    for _ in 0..5 {
        if run_of(site, round).status.is_terminal() {
            return;
        }
        site.stagegate(&words);
    }
    site.stagegate(&words).exits(0);
}

fn check(site: &Site, round: usize, said: &str) {
    let there = format!(
        "SELECT string_agg(relname::text, ' ' ORDER BY relname) FROM pg_class \
         WHERE relkind = 'r' AND relname LIKE 't\\_{round}\\_%'"
    );
    let wanted: Vec<String> = (1..=FILES)
        .map(|file| format!("t_{round}_{file}"))
        .collect();
    assert_eq!(site.one(&there), wanted.join(" "), "round {round}: {said}");
    for file in 1..=FILES {
        let rows = format!("SELECT count(*) FROM t_{round}_{file}");
        assert_eq!(site.one(&rows), "1", "round {round}, file {file}: {said}");
    }
    let ledger = format!(
        "SELECT count(*) || ' ' || count(DISTINCT file) FROM stagegate.ledger \
         WHERE state = 'applied' AND collection = 'm{round}'"
    );
    assert_eq!(
        site.one(&ledger),
        format!("{FILES} {FILES}"),
        "round {round}: {said}"
    );
    let run = run_of(site, round);
    assert_eq!(run.gates[0].state, GateState::Passed, "round {round}");
    // What the journal says was committed is in the ledger; what it did not see end, the ledger
    // has alone.
    for name in &run.gates[0].committed {
        let row = format!(
            "SELECT count(*) FROM stagegate.ledger WHERE state = 'applied' AND file = '{name}'"
        );
        assert_eq!(site.one(&row), "1", "round {round}: {name}");
    }
}

#[test]
fn of_the_program_first_fifty() {
    die(Victim::Program, 1);
}

#[test]
fn of_the_program_second_fifty() {
    die(Victim::Program, 2);
}

#[test]
fn of_the_program_third_fifty() {
    die(Victim::Program, 3);
}

#[test]
fn of_the_server_fifty() {
    die(Victim::Server, 4);
}
