//! Where a repository stands: the whole state against one `git status`, in one run.
//!
//! `cargo bench --bench git [-- COUNT]`: a repository of that many files and commits, 5,000 at first.
//! Rounds are interleaved; medians are compared.
#![allow(clippy::unwrap_used, clippy::print_stdout)] // A measurement says what went wrong by failing.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use stagegate::git::state::{StateRequest, look};
use stagegate::git::watch::{WatchRequest, see};
use tokio_util::sync::CancellationToken;

const ROUNDS: usize = 15;

fn git(folder: &Path, arguments: &[&str]) {
    let ended = Command::new("git")
        .args(arguments)
        .current_dir(folder)
        .stdout(Stdio::null())
        .status()
        .unwrap();
    assert!(ended.success(), "git {arguments:?}");
}

fn fill(folder: &Path, count: usize) {
    git(folder, &["init", "--quiet"]);
    git(folder, &["symbolic-ref", "HEAD", "refs/heads/main"]);
    let mut child = Command::new("git")
        .args(["fast-import", "--quiet", "--force"])
        .current_dir(folder)
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let mut pipe = child.stdin.take().unwrap();
    for n in 0..count {
        let subject = format!("change {n}");
        write!(
            pipe,
            "commit refs/heads/main\ncommitter Ana Lind <ana@example.com> {} +0000\ndata {}\n{subject}\n\
             M 100644 inline d{}/f{n}.txt\ndata 2\nx\n\n",
            1_700_000_000 + n,
            subject.len(),
            n % 100,
        )
        .unwrap();
    }
    drop(pipe);
    assert!(child.wait().unwrap().success());
    git(folder, &["reset", "--quiet", "--hard"]);
    git(folder, &["branch", "base", "main~40"]);
}

fn median(mut times: Vec<Duration>) -> f64 {
    times.sort();
    times[times.len() / 2].as_secs_f64() * 1000.0
}

fn main() {
    let count = std::env::args()
        .find_map(|a| a.parse().ok())
        .unwrap_or(5000);
    let folder = tempfile::tempdir().unwrap();
    fill(folder.path(), count);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let request = StateRequest {
        repository: folder.path().to_owned(),
        target: Some("base".to_owned()),
        variables: std::env::vars().collect(),
    };
    let watched = WatchRequest {
        repository: folder.path().to_owned(),
        into: Some("base".to_owned()),
        variables: std::env::vars().collect(),
        ..WatchRequest::default()
    };
    let [mut ours, mut plain, mut screen] = [Vec::new(), Vec::new(), Vec::new()];
    for _ in 0..ROUNDS {
        let began = Instant::now();
        git(folder.path(), &["status", "--porcelain=v2", "--branch"]);
        plain.push(began.elapsed());
        let began = Instant::now();
        let cancel = CancellationToken::new();
        let state = runtime.block_on(look(&request, &cancel)).unwrap();
        ours.push(began.elapsed());
        assert_eq!(state.target.unwrap().ahead, 40);
        let began = Instant::now();
        let seen = runtime.block_on(see(&watched, &cancel)).unwrap();
        screen.push(began.elapsed());
        assert_eq!(seen.graph.len(), 40);
    }
    let (ours, plain, screen) = (median(ours), median(plain), median(screen));
    println!("{count} files and commits, {ROUNDS} rounds, medians:");
    println!("  git status --porcelain=v2 --branch  {plain:>8.1} ms");
    println!(
        "  the whole state                     {ours:>8.1} ms   {:.2}x",
        ours / plain
    );
    println!(
        "  what the Git screen shows           {screen:>8.1} ms   {:.2}x",
        screen / plain
    );
}
