//! Two real consoles on one run: one holds, one watches, and the conn goes from one to the other.

use std::time::Duration;

use crate::control_world::{CUT, PASS, PEOPLE, World};
use crate::pty::Pty;
use rustix::process::Signal;

const SIZE: (u16, u16) = (110, 32);

const TWO: &str = "[[phase.gate]]\nid = \"more\"\ntitle = \"More people know\"\n\
                   [phase.gate.checklist]\nitems = [\"They were told as well\"]\n";

fn environment(world: &World, control: &str) -> [(&'static str, String); 2] {
    [
        ("DB", world.cluster.url("postgres", "postgres")),
        ("CONTROL", control.to_owned()),
    ]
}

fn start(world: &World, arguments: &[&str], control: &str) -> Pty {
    let environment = environment(world, control);
    let environment: Vec<(&str, &str)> = environment
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    Pty::start(arguments, world.path(), &environment, SIZE)
}

/// Ana's console at the first machine.
fn hold(world: &World, more: &[&str]) -> Pty {
    let mut arguments = vec!["run", "--runs-dir", "one", "--operator", "ana"];
    arguments.extend_from_slice(more);
    let mut pty = start(world, &arguments, &world.holder.url());
    pty.wait_for("People know");
    pty
}

/// Lee's console at the second machine; without a name it follows the newest run.
fn watch(world: &World, run: &str) -> Pty {
    let mut arguments = vec!["run", "--watch"];
    arguments.extend(Some(run).filter(|run| !run.is_empty()));
    arguments.extend(["--control", "env:CONTROL"]);
    arguments.extend(["--runs-dir", "two", "--operator", "lee"]);
    let mut pty = start(world, &arguments, &world.watcher.url());
    pty.wait_for("WATCHING · holder ana@");
    pty
}

/// The run that the control schema holds.
fn run_id(world: &World) -> String {
    let deadline = std::time::Instant::now() + Duration::from_secs(30);
    loop {
        let id = world.one("SELECT COALESCE(max(id), '') FROM stagegate_control.run");
        if !id.is_empty() {
            return id;
        }
        assert!(std::time::Instant::now() < deadline, "no run came");
    }
}

fn heard(pty: &mut Pty) {
    pty.wait_gone("keys count in a moment");
}

#[test]
fn the_conn_goes_from_one_console_to_the_other() {
    let world = World::new();
    world.runbook(&format!("{PEOPLE}{TWO}"));
    let mut ana = hold(&world, &["runbook.toml"]);
    let run = run_id(&world);
    world.until_mirrored(&run, 1);
    let mut lee = watch(&world, &run);
    // What acts does nothing here, and says who may.
    for key in ["\r", " ", "r", "w", "n", "H", "A", "b"] {
        lee.send(key);
        lee.wait_for("has the conn; T asks for it");
        lee.send("j");
        lee.wait_gone("has the conn; T asks for it");
    }
    ana.send(" ");
    ana.wait_for("1 of 2 gates");
    lee.wait_for("1 of 2 gates");
    // Typed before the question could be read: it is no answer to it.
    lee.send("T");
    ana.wait_for("lee@");
    ana.wait_for("asks for the conn");
    heard(&mut ana);
    ana.send("n");
    ana.wait_gone("asks for the conn");
    lee.wait_for("the conn stays where it is: refused by ana@");
    lee.send("T");
    ana.wait_for("Press y to hand over");
    heard(&mut ana);
    ana.send("y");
    // Now it is the other way round.
    ana.wait_for("WATCHING · holder lee@");
    lee.wait_for("conn lee");
    lee.wait_gone("WATCHING");
    while lee.writes_within(Duration::from_millis(700)) {}
    lee.send(" ");
    lee.wait_for("2 of 2 gates");
    ana.wait_for("2 of 2 gates");
    lee.send("\r");
    lee.wait_for("The run is closed");
    ana.wait_for("The run is closed");
    for pty in [&mut lee, &mut ana] {
        pty.send("q");
    }
    assert_eq!(lee.wait_end().exit_code(), 0);
    assert_eq!(ana.wait_end().exit_code(), 0);
    let journal = world.journal("two", &run);
    assert!(
        journal.contains("conn_handed_over") && journal.contains("conn_taken"),
        "{journal}"
    );
    assert_eq!(world.mirrored(&run), journal);
    // What ana's machine has is looked at only, and says who has the conn.
    let mut ana = hold(&world, &["--resume", &run]);
    let host = rustix::system::uname();
    ana.wait_for(&format!(
        "holder lee@{} ·",
        host.nodename().to_string_lossy()
    ));
    ana.send("q");
    ana.wait_end();
    assert!(!ana.text().contains("go on with"), "{}", ana.text());
    let mut report = std::process::Command::new(crate::site::BINARY);
    report
        .args(["report", &run, "--runs-dir"])
        .arg(world.runs("two"));
    crate::site::ended(report.output().unwrap())
        .exits(0)
        .shows("| Operators | ana, lee |");
}

#[test]
fn a_watcher_that_hears_nothing_says_so_and_its_keys_are_dead() {
    let world = World::new();
    world.runbook(&format!("{PEOPLE}{TWO}"));
    let mut ana = hold(&world, &["runbook.toml"]);
    let run = run_id(&world);
    world.until_mirrored(&run, 1);
    let mut lee = watch(&world, &run);
    world.watcher.order(CUT);
    lee.wait_for("STALE  nothing heard for");
    lee.send("T");
    lee.wait_for("first it must answer again");
    ana.send(" ");
    ana.wait_for("1 of 2 gates");
    world.watcher.order(PASS);
    lee.wait_for("1 of 2 gates");
    lee.wait_gone("STALE");
    // The holder's own way is cut: its work goes on, and both sides say what is missing.
    world.holder.order(CUT);
    ana.wait_for("mirror not reached since");
    lee.wait_for("HOLDER NOT SEEN  ana@");
    ana.send("nhello\r");
    ana.wait_for("mirror 1 record behind since");
    world.holder.order(PASS);
    ana.wait_gone("behind since");
    lee.wait_gone("HOLDER NOT SEEN");
    lee.send("6");
    lee.wait_for("note: hello");
    lee.send("q");
    assert_eq!(lee.wait_end().exit_code(), 0);
    ana.send("q");
    assert_eq!(ana.wait_end().exit_code(), 4);
}

#[test]
fn a_holder_who_was_stopped_finds_that_the_conn_is_gone() {
    let world = World::new();
    world.runbook(&format!("{PEOPLE}{TWO}"));
    let mut ana = hold(&world, &["runbook.toml"]);
    let run = run_id(&world);
    world.until_mirrored(&run, 1);
    let mut lee = watch(&world, &run);
    ana.signal(Signal::STOP);
    lee.wait_for("HOLDER NOT SEEN  ana@");
    world.one(
        "WITH u AS (UPDATE stagegate_control.run SET seen = seen - interval '31 s' RETURNING 1) \
         SELECT 1",
    );
    lee.wait_for("T takes the conn");
    lee.send("T");
    lee.wait_for("Type the name of the run to go on");
    heard(&mut lee);
    lee.send("\r");
    lee.wait_for("nothing was typed");
    lee.send(&format!("{run}\r"));
    lee.wait_for("conn lee");
    lee.wait_gone("WATCHING");
    while lee.writes_within(Duration::from_millis(700)) {}
    lee.send(" ");
    lee.wait_for("1 of 2 gates");
    ana.signal(Signal::CONT);
    ana.wait_for("CONN IS ELSEWHERE  lee@");
    ana.send(" ");
    ana.wait_for("nothing is done here any more");
    lee.send("6");
    lee.wait_for("taken over from ana@");
    for pty in [&mut lee, &mut ana] {
        pty.send("q");
        assert_eq!(pty.wait_end().exit_code(), 4);
    }
    // What ana's machine has is the beginning of it; nothing was added there.
    assert!(
        world
            .journal("two", &run)
            .starts_with(&world.journal("one", &run))
    );
    assert_eq!(world.mirrored(&run), world.journal("two", &run));
}

#[test]
fn losing_the_holders_terminal_holds_the_run() {
    let world = World::new();
    world.runbook(&format!("{PEOPLE}{TWO}"));
    let mut ana = hold(&world, &["runbook.toml"]);
    let run = run_id(&world);
    world.until_mirrored(&run, 1);
    let mut lee = watch(&world, "");
    ana.signal(Signal::HUP);
    ana.wait_end();
    lee.wait_for("HELD");
    lee.send("6");
    lee.wait_for("held: the terminal was lost");
    // It goes on only when somebody says so.
    let mut ana = hold(&world, &["--resume", &run]);
    ana.wait_for("HELD");
    ana.send("H");
    ana.wait_gone("HELD");
    ana.send("q");
    ana.wait_end();
    lee.send("q");
    assert_eq!(lee.wait_end().exit_code(), 0);
    assert!(world.journal("one", &run).contains("run_held"));
}

#[test]
fn a_second_console_of_the_same_machine_needs_no_database() {
    let world = World::without_schema();
    world.runbook(&format!("{PEOPLE}{TWO}"));
    let mut ana = hold(&world, &["runbook.toml"]);
    ana.wait_for("0 of 2 gates");
    let arguments = ["run", "--watch", "--runs-dir", "one"];
    // The folder is made when the console is drawn.
    while !world.runs("one").exists() {
        std::thread::yield_now();
    }
    let mut other = start(&world, &arguments, "");
    other.wait_for("WATCHING · holder ana@");
    while ana.writes_within(Duration::from_millis(700)) {}
    ana.send(" ");
    ana.wait_for("1 of 2 gates");
    other.wait_for("1 of 2 gates");
    other.send("T");
    other.wait_for("the conn is asked for through the control schema");
    ana.send("q");
    ana.wait_end();
    other.wait_for("HOLDER NOT SEEN");
    other.wait_for("go on with run --resume");
    other.send("q");
    assert_eq!(other.wait_end().exit_code(), 0);
}
