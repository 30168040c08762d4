//! The answer to COMMIT is lost on the wire: the outcome is asked for, never guessed.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use stagegate::postgres::cluster::{Cluster, ClusterOptions};

use crate::site::{Ended, Site, ended};

/// What the wire does to the first COMMIT that passes it.
#[derive(Clone, Copy, PartialEq)]
enum Cut {
    /// It never reaches the server.
    Before,
    /// It reaches the server, and the answer is dropped.
    Answer,
    /// Like `Answer`, and nobody can connect any more.
    AnswerAndGone,
}

/// The simple query that ends a file's transaction, as it stands on the wire.
const COMMIT: &[u8] = b"Q\0\0\0\x0bCOMMIT\0";

const LEDGER: &[u8] = b"INSERT INTO stagegate.ledger";

/// A relay to the server that cuts once. Returns its port.
fn relay(server: u16, cut: Cut) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let cuts = Arc::new(AtomicU32::new(0));
    std::thread::spawn(move || {
        for client in listener.incoming() {
            let client = client.unwrap();
            if cut == Cut::AnswerAndGone && cuts.load(Ordering::SeqCst) > 0 {
                let _ = client.shutdown(Shutdown::Both);
                continue;
            }
            let server = TcpStream::connect(("127.0.0.1", server)).unwrap();
            let (client_back, server_back) =
                (client.try_clone().unwrap(), server.try_clone().unwrap());
            let cuts = cuts.clone();
            std::thread::spawn(move || upstream(client, server, cut, &cuts));
            std::thread::spawn(move || copy(server_back, client_back));
        }
    });
    port
}

fn upstream(mut client: TcpStream, mut server: TcpStream, cut: Cut, cuts: &AtomicU32) {
    let mut buffer = [0; 16 * 1024];
    // Other sessions end transactions of their own; ours is the one with a ledger row.
    let mut ours = false;
    while let Ok(read) = client.read(&mut buffer) {
        let seen = &buffer[..read];
        ours |= seen.windows(LEDGER.len()).any(|window| window == LEDGER);
        let commits = ours && seen.windows(COMMIT.len()).any(|window| window == COMMIT);
        if commits && cuts.fetch_add(1, Ordering::SeqCst) == 0 {
            let _ = client.shutdown(Shutdown::Both);
            if cut != Cut::Before {
                let _ = server.write_all(seen);
                // The server ends the session when it finds the client gone, after its COMMIT.
                let _ = server.shutdown(Shutdown::Write);
                return;
            }
            let _ = server.shutdown(Shutdown::Both);
            return;
        }
        if read == 0 || server.write_all(seen).is_err() {
            let _ = server.shutdown(Shutdown::Both);
            return;
        }
    }
}

fn copy(mut from: TcpStream, mut to: TcpStream) {
    let _ = std::io::copy(&mut from, &mut to);
    let _ = to.shutdown(Shutdown::Both);
}

fn site() -> Site {
    let options = ClusterOptions {
        listen_tcp: true,
        ..ClusterOptions::default()
    };
    let site = Site::on(Cluster::start(&options).unwrap());
    site.write("db/1.sql", "CREATE TABLE one (n int);");
    site.write("db/2.sql", "CREATE TABLE two (n int);");
    site.runbook(
        "[[phase.gate]]\nid = \"mig\"\ntitle = \"Migrate\"\n[phase.gate.migrate]\n\
         target = \"db\"\nfiles = [\"db/*.sql\"]\n",
    );
    site
}

fn url(port: u16) -> String {
    format!("postgresql://postgres@127.0.0.1:{port}/postgres?sslmode=disable")
}

fn through(site: &Site, url: &str, more: &[&str]) -> Ended {
    let mut arguments = vec!["run", "runbook.toml", "--headless", "--runs-dir", "runs"];
    arguments.extend(more);
    ended(site.command(&arguments).env("DB", url).output().unwrap())
}

fn tables(site: &Site) -> String {
    site.one("SELECT concat_ws(',', to_regclass('one'), to_regclass('two'))")
}

#[test]
fn an_answer_that_was_lost_is_found_in_the_ledger() {
    let site = site();
    let port = relay(site.cluster.port(), Cut::Answer);
    through(&site, &url(port), &[])
        .exits(0)
        .shows("2 files applied");
    assert!(
        site.output("mig-1.log")
            .contains("the answer to COMMIT was lost")
    );
    assert_eq!(tables(&site), "one,two");
    assert_eq!(site.one("SELECT count(*) FROM stagegate.ledger"), "2");
}

#[test]
fn a_commit_that_never_arrived_is_rolled_back_and_can_never_happen() {
    let site = site();
    let port = relay(site.cluster.port(), Cut::Before);
    through(&site, &url(port), &[])
        .exits(4)
        .says("left nothing behind");
    assert_eq!(tables(&site), "");
    let void = "SELECT count(*) FROM stagegate.ledger WHERE state = 'void'";
    assert_eq!(site.one(void), "1");
    through(&site, &url(port), &["--resume"]).exits(0);
    assert_eq!(tables(&site), "one,two");
}

#[test]
fn an_outcome_that_cannot_be_asked_for_is_unknown() {
    let site = site();
    let port = relay(site.cluster.port(), Cut::AnswerAndGone);
    through(&site, &url(port), &[])
        .exits(6)
        .says("COMMIT was sent, and its answer was lost")
        .says("do not run the file by hand");
    // It stays unknown as long as the server cannot be asked.
    through(&site, &url(port), &["--resume"]).exits(6);
    let direct = url(site.cluster.port());
    through(&site, &direct, &["--resume"])
        .exits(0)
        .shows("reconciled as pending: 1 of 2 files");
    assert_eq!(tables(&site), "one,two");
}
