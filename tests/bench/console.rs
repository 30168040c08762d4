//! The console from outside, in a pseudo-terminal, against a minimal ratatui program in one run.
//!
//! `cargo bench --bench console [-- ROUNDS]`. Prints: time to the first frame of both, interleaved;
//! bytes and processor time while idle; key to changed frame while a migration streams notices; a
//! flood of keys; keys among ten thousand differences; peak memory. This program itself is the minimal peer when called with `minimal`.
#![allow(clippy::unwrap_used, clippy::print_stdout)] // A measurement says what went wrong by failing.

use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};
use stagegate::postgres::cluster::{Cluster, ClusterOptions};

const RUNBOOK: &str = "\
format = 1
title = \"Bench of the console\"
[target.db]
url = \"env:DB\"
environment = \"staging\"
[[phase]]
id = \"phase\"
title = \"Phase\"
[[phase.gate]]
id = \"mig\"
title = \"Stream notices\"
migrate = { target = \"db\", files = [\"db/*.sql\"] }
[[phase.gate]]
id = \"look\"
title = \"Look\"
file = { path = \"runbook.toml\" }
";

/// Ten thousand notices over about five seconds.
const NOTICES: &str = "\
DO $$ BEGIN FOR i IN 1..10000 LOOP
  RAISE NOTICE 'notice number %', i;
  IF i % 20 = 0 THEN PERFORM pg_sleep(0.01); END IF;
END LOOP; END $$;
";

struct Terminal {
    child: Box<dyn Child + Send + Sync>,
    writer: Box<dyn std::io::Write + Send>,
    chunks: Receiver<(Instant, Vec<u8>)>,
    screen: vt100::Parser,
    bytes: usize,
    started: Instant,
    _master: Box<dyn MasterPty + Send>,
}

impl Terminal {
    fn start(program: &Path, arguments: &[&str], folder: &Path, db: &str) -> Terminal {
        let size = PtySize {
            rows: 40,
            cols: 120,
            pixel_width: 0,
            pixel_height: 0,
        };
        let pair = native_pty_system().openpty(size).unwrap();
        let mut command = CommandBuilder::new(program);
        command.args(arguments);
        command.cwd(folder);
        command.env("TERM", "xterm-256color");
        command.env("DB", db);
        let started = Instant::now();
        let child = pair.slave.spawn_command(command).unwrap();
        let mut reader = pair.master.try_clone_reader().unwrap();
        let (sender, chunks) = channel();
        std::thread::spawn(move || {
            let mut buffer = vec![0; 65536];
            while let Ok(read) = reader.read(&mut buffer) {
                let chunk = (Instant::now(), buffer[..read].to_vec());
                if read == 0 || sender.send(chunk).is_err() {
                    return;
                }
            }
        });
        Terminal {
            child,
            writer: pair.master.take_writer().unwrap(),
            chunks,
            screen: vt100::Parser::new(40.try_into().unwrap(), 120.try_into().unwrap(), 0),
            bytes: 0,
            started,
            _master: pair.master,
        }
    }

    fn take(&mut self, wait: Duration) -> Option<Instant> {
        let (at, chunk) = self.chunks.recv_timeout(wait).ok()?;
        self.bytes += chunk.len();
        self.screen.process(&chunk);
        Some(at)
    }

    /// Waits until the screen shows `text`; returns when it did.
    fn wait_for(&mut self, text: &str) -> Instant {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            let at = self.take(Duration::from_millis(200));
            if self.screen.screen().contents().contains(text) {
                return at.unwrap_or_else(Instant::now);
            }
            let contents = self.screen.screen().contents();
            assert!(
                Instant::now() < deadline,
                "`{text}` was not seen in:\n{contents}"
            );
        }
    }

    /// Reads until nothing comes for `gap`; returns when the last bytes came.
    fn settle(&mut self, gap: Duration) -> Option<Instant> {
        let mut last = None;
        while let Some(at) = self.take(gap) {
            last = Some(at);
        }
        last
    }

    fn send(&mut self, keys: &str) {
        self.writer.write_all(keys.as_bytes()).unwrap();
        self.writer.flush().unwrap();
    }

    fn status(&self, field: &str) -> f64 {
        let path = format!("/proc/{}/status", self.child.process_id().unwrap());
        let text = std::fs::read_to_string(path).unwrap_or_default();
        let line = text
            .lines()
            .find(|line| line.starts_with(field))
            .unwrap_or("");
        let number = line.split_whitespace().nth(1).unwrap_or("0");
        number.parse::<f64>().unwrap_or(0.0) / 1024.0
    }

    /// Processor time of all threads so far, in milliseconds.
    fn processor_ms(&self) -> f64 {
        let tasks = format!("/proc/{}/task", self.child.process_id().unwrap());
        std::fs::read_dir(tasks)
            .into_iter()
            .flatten()
            .flatten()
            .filter_map(|task| std::fs::read_to_string(task.path().join("schedstat")).ok())
            .filter_map(|text| text.split_whitespace().next()?.parse::<f64>().ok())
            .sum::<f64>()
            / 1e6
    }

    fn end(mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn main() {
    if std::env::args().any(|argument| argument == "minimal") {
        return minimal();
    }
    let rounds = std::env::args().find_map(|a| a.parse().ok()).unwrap_or(15);
    let cluster = Cluster::start(&ClusterOptions::default()).unwrap();
    let url = cluster.url("postgres", "postgres");
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("runbook.toml"), RUNBOOK).unwrap();
    std::fs::create_dir(folder.path().join("db")).unwrap();
    std::fs::write(folder.path().join("db/1.sql"), NOTICES).unwrap();
    first_frames(folder.path(), rounds);
    idle(folder.path(), &url);
    streaming(folder.path(), &url);
    comparing(&cluster);
}

fn program() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_stagegate"))
}

const RUN: [&str; 4] = ["run", "runbook.toml", "--runs-dir", "runs"];

fn first_frames(folder: &Path, rounds: usize) {
    // Nothing listens there: the first frame does not wait for a connection.
    let nowhere = "postgresql://nobody@127.0.0.1:1/x";
    let minimal = std::env::current_exe().unwrap();
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        for (program, arguments, text, times) in [
            (&minimal, &["minimal"][..], "minimal", &mut theirs),
            (&program(), &RUN[..], "Bench of the console", &mut ours),
        ] {
            let mut terminal = Terminal::start(program, arguments, folder, nowhere);
            let at = terminal.wait_for(text);
            times.push((at - terminal.started).as_secs_f64() * 1000.0);
            terminal.end();
        }
    }
    let (ours, theirs) = (percentile(&mut ours, 0.5), percentile(&mut theirs, 0.5));
    println!("first frame, median of {rounds}");
    println!("  minimal ratatui program  {theirs:>7.1} ms");
    println!(
        "  stagegate run            {ours:>7.1} ms   {:.2}x",
        ours / theirs
    );
}

fn idle(folder: &Path, url: &str) {
    let mut terminal = Terminal::start(&program(), &RUN, folder, url);
    terminal.wait_for("PG ");
    terminal.settle(Duration::from_millis(500));
    let (bytes, processor) = (terminal.bytes, terminal.processor_ms());
    let until = Instant::now() + Duration::from_secs(5);
    while Instant::now() < until {
        terminal.take(Duration::from_millis(100));
    }
    println!("idle for 5 s, without a window");
    println!("  bytes written            {:>7}", terminal.bytes - bytes);
    println!(
        "  processor                {:>7.1} ms",
        terminal.processor_ms() - processor
    );
    terminal.bytes = 0;
    let sent = Instant::now();
    terminal.send(&"jk".repeat(250));
    let last = terminal.settle(Duration::from_millis(200)).unwrap_or(sent);
    println!("500 keys at once");
    println!(
        "  last frame after         {:>7.1} ms",
        (last - sent).as_secs_f64() * 1000.0
    );
    println!("  bytes written            {:>7}", terminal.bytes);
    println!(
        "  peak memory              {:>7.1} MB",
        terminal.status("VmHWM")
    );
    terminal.end();
}

/// Keys that change the screen, while a migration streams ten thousand notices.
fn streaming(folder: &Path, url: &str) {
    let mut terminal = Terminal::start(&program(), &RUN, folder, url);
    terminal.wait_for("pending  db/1.sql");
    terminal.send("\r");
    terminal.wait_for("Esc leave it");
    // The dialog counts no key that was pressed before it could be read.
    while terminal.screen.screen().contents().contains("Esc leave it") {
        terminal.send("y");
        terminal.take(Duration::from_millis(100));
    }
    terminal.wait_for("notice number");
    let mut times = Vec::new();
    for number in 0..200 {
        let (key, shows) = if number % 2 == 0 {
            ("6", "f follow")
        } else {
            ("1", "─ Gates ─")
        };
        let sent = Instant::now();
        terminal.send(key);
        let at = terminal.wait_for(shows);
        times.push((at.saturating_duration_since(sent)).as_secs_f64() * 1000.0);
    }
    println!(
        "key to changed frame while notices stream, {} keys",
        times.len()
    );
    println!(
        "  median                   {:>7.1} ms",
        percentile(&mut times, 0.5)
    );
    println!(
        "  99 of 100 below          {:>7.1} ms",
        percentile(&mut times, 0.99)
    );
    terminal.wait_for("passed");
    println!(
        "  peak memory              {:>7.1} MB",
        terminal.status("VmHWM")
    );
    terminal.end();
}

/// A drift gate that sees ten thousand columns and two long functions differ.
const COMPARE: &str = "\
format = 1
title = \"Bench of the differences\"
[target.db]
url = \"env:DB\"
environment = \"staging\"
[[phase]]
id = \"phase\"
title = \"Phase\"
[[phase.gate]]
id = \"drift\"
title = \"Compare\"
drift = { target = \"db\", expected = \"schema.sql\" }
";

/// A hundred tables of a hundred columns with a comment each, and two functions of 200 kB.
fn schema(comment: &str, noise: usize) -> String {
    let mut sql = String::new();
    for table in 100..200 {
        let columns: Vec<String> = (100..200).map(|c| format!("c_{c} int")).collect();
        sql.push_str(&format!(
            "CREATE TABLE t_{table} ({});\n",
            columns.join(", ")
        ));
        for column in 100..200 {
            sql.push_str(&format!(
                "COMMENT ON COLUMN t_{table}.c_{column} IS '{comment} {column}';\n"
            ));
        }
    }
    for name in ["f_one", "f_two"] {
        let line = |n: usize| {
            let total = if n.is_multiple_of(noise) {
                comment
            } else {
                "total"
            };
            format!("  PERFORM {total} + {n} FROM t_100 WHERE c_100 = {n};\n")
        };
        let body: String = (0..4200).map(line).collect();
        sql.push_str(&format!(
            "CREATE FUNCTION {name}() RETURNS void LANGUAGE plpgsql AS $$BEGIN\n{body}END$$;\n"
        ));
    }
    sql
}

/// Keys that change the screen, among ten thousand differences.
fn comparing(cluster: &Cluster) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    std::fs::write(path.join("runbook.toml"), COMPARE).unwrap();
    std::fs::write(path.join("schema.sql"), schema("expected", 17)).unwrap();
    std::fs::write(path.join("actual.sql"), schema("actual", 19)).unwrap();
    let psql = |arguments: &[&str]| {
        let status = std::process::Command::new("/usr/lib/postgresql/15/bin/psql")
            .args(["-q", "-X"])
            .args(arguments)
            .current_dir(path)
            .status()
            .unwrap();
        assert!(status.success(), "{arguments:?}");
    };
    // The other one has a ledger, which is ignored and would stand at the end of the list.
    let old = cluster.url("postgres", "postgres");
    psql(&["-c", "CREATE DATABASE compare", &old]);
    let url = cluster.url("compare", "postgres");
    psql(&["-1", "-f", "actual.sql", &url]);
    let mut terminal = Terminal::start(&program(), &RUN, path, &url);
    terminal.wait_for("PG ");
    terminal.settle(Duration::from_millis(500));
    terminal.send("\r");
    terminal.wait_for("differences, 0 hard");
    terminal.settle(Duration::from_millis(500));
    let columns = ["column public.t_100.c_101", "column public.t_100.c_100"];
    let functions = ["function public.f_one()", "function public.f_two()"];
    let ends = ["differences of the kind column", functions[1]];
    presses(&mut terminal, "among columns", "2", ["j", "k"], columns);
    presses(
        &mut terminal,
        "functions of 200 kB",
        "G",
        ["k", "j"],
        functions,
    );
    presses(&mut terminal, "from end to end", "", ["g", "G"], ends);
    println!(
        "  peak memory              {:>7.1} MB",
        terminal.status("VmHWM")
    );
    terminal.end();
}

/// Presses two keys in turn, each of which shows something else.
fn presses(terminal: &mut Terminal, what: &str, first: &str, keys: [&str; 2], shows: [&str; 2]) {
    terminal.send(first);
    terminal.wait_for(shows[1]);
    let mut times = Vec::new();
    for number in 0..200 {
        let sent = Instant::now();
        terminal.send(keys[number % 2]);
        let at = terminal.wait_for(shows[number % 2]);
        times.push((at.saturating_duration_since(sent)).as_secs_f64() * 1000.0);
    }
    println!("key to changed frame, 10,000 differences, {what}");
    println!(
        "  median                   {:>7.1} ms",
        percentile(&mut times, 0.5)
    );
    println!(
        "  99 of 100 below          {:>7.1} ms",
        percentile(&mut times, 0.99)
    );
}

fn percentile(values: &mut [f64], part: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    values[((values.len() - 1) as f64 * part).round() as usize]
}

/// The peer: what any ratatui program does before its first frame, and nothing else.
fn minimal() {
    let mut terminal = ratatui::init();
    loop {
        terminal
            .draw(|frame| frame.render_widget("minimal", frame.area()))
            .unwrap();
        if crossterm::event::read().is_err() {
            break;
        }
    }
    ratatui::restore();
}
