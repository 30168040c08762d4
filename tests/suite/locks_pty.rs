//! Real blockers before a real terminal: ours is canceled, theirs is canceled, theirs is ended,
//! and a server that says nothing more keeps nobody from reading.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use stagegate::postgres::cluster::{Cluster, ClusterOptions};

use crate::locks_world::{Stuck, named};
use crate::pty::Pty;
use crate::server::{self, info};
use crate::site::Site;

const SIZE: (u16, u16) = (120, 40);

fn site() -> Site {
    let site = Site::new();
    site.sql("CREATE TABLE t (n int)");
    site.write("db/1.sql", "\nALTER TABLE t ADD COLUMN m int;");
    site
}

/// A production database whose name must be typed.
fn runbook(site: &Site, more: &str) {
    site.write(
        "runbook.toml",
        &format!(
            "format = 1\ntitle = \"Locks\"\n[target.shop]\nurl = \"env:DB\"\n\
             environment = \"production\"\n[[phase]]\nid = \"phase\"\ntitle = \"Phase\"\n\
             [[phase.gate]]\nid = \"mig\"\ntitle = \"Add a column\"\n[phase.gate.migrate]\n\
             target = \"shop\"\nfiles = [\"db/*.sql\"]\n{more}\n"
        ),
    );
}

/// A console whose gate has begun.
fn open(site: &Site, url: &str) -> Pty {
    let arguments = ["run", "runbook.toml", "--runs-dir", "runs"];
    let mut pty = Pty::start(&arguments, &site.path("."), &[("DB", url)], SIZE);
    pty.wait_for("What it would do");
    pty.send("\r");
    pty.wait_for("Type the name of the target");
    pty.wait_gone("keys count in a moment");
    pty.send("shop\r");
    pty.wait_for("running for");
    pty
}

fn url(site: &Site) -> String {
    site.cluster.url("postgres", "postgres")
}

fn journal(site: &Site) -> String {
    std::fs::read_to_string(site.run_folder().join("journal.jsonl")).unwrap()
}

/// Leaves, and gives the journal.
fn leave(mut pty: Pty, site: &Site) -> String {
    pty.send("q");
    pty.wait_end();
    assert!(pty.is_restored());
    journal(site)
}

/// The records' types, in order.
fn types(journal: &str) -> Vec<String> {
    let of = |line: &str| {
        let value: serde_json::Value = serde_json::from_str(line).unwrap();
        value["event"]["type"].as_str().unwrap().to_owned()
    };
    journal.lines().map(of).collect()
}

#[test]
fn a_blocker_is_terminated_after_its_number_was_typed() {
    let site = site();
    runbook(&site, "lock_timeout = \"60s\"");
    let holder = site.runtime().block_on(async {
        let holder = named(&info(&site.cluster), "psql").await;
        server::run(&holder, "BEGIN; SELECT 'kept open' FROM t").await;
        holder
    });
    let pid = holder.backend_pid();
    let mut pty = open(&site, &url(&site));
    pty.wait_for(&format!("waits for pid {pid}, postgres@psql"));
    pty.send("4");
    pty.wait_for("Who is in the way");
    pty.wait_for("PRODUCTION");
    pty.wait_for(&format!(
        "pid {pid}, postgres@psql, idle in transaction for"
    ));
    pty.wait_for("kept open");
    pty.wait_for("there is no statement to cancel");
    // What is idle has nothing that could be canceled.
    pty.send("x");
    pty.wait_for("it is idle");
    // Typed before the question was on the screen: it is no answer.
    pty.send(&format!("t{pid}\r"));
    pty.wait_for("Type its process number to go on");
    pty.wait_gone("keys count in a moment");
    pty.send("\r");
    pty.wait_for("nothing was typed");
    pty.send(&format!("{}\r", pid + 1));
    pty.wait_for(&format!("that is not {pid}"));
    pty.send("\x15");
    pty.send(&format!("\x1b[200~{pid}\r\x1b[201~"));
    pty.wait_for("pasted text confirms nothing");
    assert!(!journal(&site).contains("blocker_signaled"));
    pty.send(&format!("\x15{pid}\r"));
    pty.wait_for("1 of 1 gates");
    pty.send("6");
    pty.wait_for(&format!("pid {pid}: it was terminated"));
    let journal = leave(pty, &site);
    let types = types(&journal);
    let at = |kind: &str| types.iter().position(|t| t == kind).unwrap();
    assert!(at("gate_started") < at("blocker_signaled"), "{types:?}");
    assert!(
        at("blocker_signaled") < at("blocker_signal_ended"),
        "{types:?}"
    );
    assert!(
        at("blocker_signal_ended") < at("gate_finished"),
        "{types:?}"
    );
    let asked = journal.lines().nth(at("blocker_signaled")).unwrap();
    for part in [
        "backend_start",
        "\"act\":\"terminate\"",
        "kept open",
        "\"via\":\"console\"",
    ] {
        assert!(asked.contains(part), "{part} in {asked}");
    }
    let gone = format!("SELECT count(*) FROM pg_stat_activity WHERE pid = {pid}");
    assert_eq!(site.one(&gone), "0");
    drop(holder);
}

#[test]
fn a_blocker_s_statement_is_canceled() {
    let site = site();
    runbook(&site, "lock_timeout = \"60s\"");
    let gatekeeper = site.hold_open("postgres");
    let stuck = site.runtime().block_on(async {
        server::run(&gatekeeper, "SELECT pg_advisory_lock(7)").await;
        let sql = "BEGIN; SELECT FROM t; SELECT pg_advisory_lock(7)";
        Stuck::on(&info(&site.cluster), "report", sql).await
    });
    let pid = stuck.pid;
    let mut pty = open(&site, &url(&site));
    pty.wait_for("waits for pid");
    pty.send("4");
    pty.wait_for("waits itself for ExclusiveLock on advisory lock");
    pty.send("x");
    pty.wait_for("Type its process number to go on");
    pty.wait_gone("keys count in a moment");
    pty.send(&format!("{pid}\r"));
    pty.wait_for("1 of 1 gates");
    let journal = leave(pty, &site);
    assert!(journal.contains("\"outcome\":\"ended\""), "{journal}");
    assert!(journal.contains("\"act\":\"cancel\""), "{journal}");
    let came_out = site.runtime().block_on(stuck.came_out());
    assert_eq!(came_out.as_deref(), Some("57014"));
}

#[test]
fn ours_is_canceled_from_the_locks() {
    let site = site();
    runbook(&site, "lock_timeout = \"60s\"");
    let holder = site.hold_open("postgres");
    site.runtime()
        .block_on(server::run(&holder, "BEGIN; SELECT FROM t"));
    let mut pty = open(&site, &url(&site));
    pty.wait_for("waits for pid");
    pty.send("4");
    pty.wait_for("Who is in the way");
    pty.send("cy");
    pty.wait_for("Press y or Enter to cancel it");
    pty.wait_gone("keys count in a moment");
    pty.send("y");
    pty.wait_for("Nothing is running");
    pty.send("1");
    pty.wait_for("canceled");
    let journal = leave(pty, &site);
    assert!(journal.contains("gate_canceled"), "{journal}");
    // Theirs was left alone.
    assert_eq!(
        site.runtime().block_on(server::one(&holder, "SELECT 1")),
        "1"
    );
    let columns = "SELECT count(*) FROM pg_attribute WHERE attrelid = 't'::regclass AND attnum > 0";
    assert_eq!(site.one(columns), "1");
}

#[test]
fn a_queue_behind_ours_is_seen_and_stops_it() {
    let site = site();
    site.write(
        "db/1.sql",
        "ALTER TABLE t ADD COLUMN m int;\nSELECT pg_sleep(600);",
    );
    runbook(&site, "queue_limit = 2\nqueue_wait = \"1h\"\nattempts = 1");
    let mut pty = open(&site, &url(&site));
    pty.wait_for("line 2");
    pty.send("4");
    pty.wait_for("nobody waits behind it");
    let place = info(&site.cluster);
    let web = |name| {
        site.runtime()
            .block_on(Stuck::on(&place, name, "SELECT FROM t"))
    };
    let first = web("web");
    pty.wait_for("1 waits behind it");
    pty.wait_for("AccessShareLock on public.t");
    let (second, third) = (web("web"), web("web"));
    pty.wait_for("Nothing is running");
    pty.send("1");
    pty.wait_for("3 waited behind it");
    leave(pty, &site);
    for waiter in [first, second, third] {
        assert_eq!(site.runtime().block_on(waiter.came_out()), None);
    }
}

/// A relay to the server that can fall silent. Returns its port and what silences it.
fn relay(server: u16) -> (u16, Arc<AtomicBool>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let silent = Arc::new(AtomicBool::new(false));
    let silenced = silent.clone();
    std::thread::spawn(move || {
        for client in listener.incoming() {
            let client = client.unwrap();
            let server = TcpStream::connect(("127.0.0.1", server)).unwrap();
            let back = (server.try_clone().unwrap(), client.try_clone().unwrap());
            let there = silenced.clone();
            std::thread::spawn(move || pass(client, server, &there));
            let there = silenced.clone();
            std::thread::spawn(move || pass(back.0, back.1, &there));
        }
    });
    (port, silent)
}

fn pass(mut from: TcpStream, mut to: TcpStream, silent: &AtomicBool) {
    let mut buffer = [0; 16 * 1024];
    while let Ok(read @ 1..) = from.read(&mut buffer) {
        while silent.load(Ordering::SeqCst) {
            std::thread::yield_now();
        }
        if to.write_all(&buffer[..read]).is_err() {
            return;
        }
    }
    let _ = to.shutdown(std::net::Shutdown::Both);
}

#[test]
fn a_silent_network_is_said_and_keeps_nobody_from_reading() {
    let cluster = Cluster::start(&ClusterOptions {
        listen_tcp: true,
        ..ClusterOptions::default()
    })
    .unwrap();
    let (port, silent) = relay(cluster.port());
    let site = Site::on(cluster);
    site.sql("CREATE TABLE t (n int)");
    site.write("db/1.sql", "ALTER TABLE t ADD COLUMN m int;");
    runbook(&site, "lock_timeout = \"60s\"");
    let holder = site.hold_open("postgres");
    site.runtime()
        .block_on(server::run(&holder, "BEGIN; SELECT FROM t"));
    let url = format!("postgresql://postgres@127.0.0.1:{port}/postgres?sslmode=disable");
    let mut pty = open(&site, &url);
    pty.wait_for("waits for pid");
    silent.store(true, Ordering::SeqCst);
    pty.wait_for("no answer from the server for");
    // The console lives.
    pty.send("4");
    pty.wait_for("no answer from the server for 4 s");
    pty.send("?");
    pty.wait_for("Keys");
    pty.send("\x1b");
    pty.wait_for("no answer from the server for");
    site.runtime().block_on(server::run(&holder, "COMMIT"));
    silent.store(false, Ordering::SeqCst);
    pty.send("1");
    pty.wait_for("1 of 1 gates");
    leave(pty, &site);
}
