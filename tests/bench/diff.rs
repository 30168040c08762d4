//! Opening a diff against `git diff --no-index` of the same files, in one run, and keys in it.
//!
//! `cargo bench --bench diff`. Opening is reading both files, cleaning and comparing them, and laying
//! out the page with its first change. Rounds are interleaved; medians are compared.
#![allow(clippy::unwrap_used, clippy::print_stdout)] // A measurement says what went wrong by failing.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use ratatui::Terminal;
use ratatui::backend::TestBackend;
use stagegate::console::alone::model::Alone;
use stagegate::console::screen::files::{Ask, FilesNews, Material, SheetAsk, made};
use stagegate::console::view::alone::draw;
use stagegate::console::view::theme::{Palette, Theme, ThemeName};
use stagegate::git::changes::{ChangedFile, ChangesRequest, FileChange, Object, Range, changes};
use stagegate::git::content::contents;
use stagegate::git::program::Git;
use tokio_util::sync::CancellationToken;

const ROUNDS: usize = 9;
const SIZE: (u16, u16) = (120, 40);

/// A line of SQL as migrations have them.
fn line(n: usize) -> String {
    format!(
        "INSERT INTO shop.orders (id, status, total) VALUES ({n}, 'open', {}.{:02});\n",
        n * 7919 % 5003,
        n % 100
    )
}

/// Two files: their name, and what they hold.
fn pairs() -> Vec<(&'static str, String, String)> {
    let whole: String = (0..100_000).map(line).collect();
    let changed: String = (0..100_000)
        .map(|n| match n % 100 {
            50 => line(n).replace("open", "paid"),
            _ => line(n),
        })
        .collect();
    let other = |word: &str| -> String {
        (0..50_000)
            .map(|n| format!("{word} {} of {}\n", n * 7919 % 50_021, n % 17))
            .collect()
    };
    let repeated = |step: usize| -> String {
        let line = |n: usize| match n % step {
            0 => "BEGIN;\n",
            1 => "  x := x + 1;\n",
            _ => "END;\n",
        };
        (0..50_000).map(line).collect()
    };
    let moved: String = (50_000..100_000).chain(0..50_000).map(line).collect();
    vec![
        ("100,000 lines, 1 % changed", whole.clone(), changed),
        ("50,000 wholly different lines", other("one"), other("two")),
        ("50,000 repetitive lines", repeated(3), repeated(5)),
        ("100,000 lines, halves exchanged", whole, moved),
    ]
}

fn ask(old: &Path, new: &Path) -> [SheetAsk; 2] {
    let side = |path: &Path| ChangedFile {
        path: path.display().to_string(),
        old_path: None,
        change: FileChange::Modified,
        lines: None,
        old: None,
        new: Some(Object {
            id: String::new(),
            mode: "100644".to_owned(),
            in_work_tree: true,
        }),
    };
    let look = stagegate::console::screen::diff::sheet::Look {
        width: 78,
        beside: true,
        ignore_whitespace: false,
        all_lines: false,
    };
    [old, new].map(|path| SheetAsk {
        round: 0,
        file: side(path),
        look,
    })
}

fn median(mut times: Vec<Duration>) -> f64 {
    times.sort();
    times[times.len() / 2].as_secs_f64() * 1000.0
}

fn opening(runtime: &tokio::runtime::Runtime, folder: &Path) {
    let cancel = CancellationToken::new();
    let git = Git::find(folder, &[], &cancel).unwrap();
    for (name, old, new) in pairs() {
        let paths = [folder.join("old.sql"), folder.join("new.sql")];
        std::fs::write(&paths[0], old).unwrap();
        std::fs::write(&paths[1], new).unwrap();
        let [mut ours, mut theirs] = [Vec::new(), Vec::new()];
        for _ in 0..ROUNDS {
            let began = Instant::now();
            Command::new("git")
                .args(["diff", "--no-index", "--no-color", "--no-ext-diff"])
                .args(&paths)
                .stdout(Stdio::null())
                .status()
                .unwrap();
            theirs.push(began.elapsed());
            let began = Instant::now();
            let [one, other] = ask(&paths[0], &paths[1]);
            let read = runtime.block_on(async {
                let (old, new) = tokio::join!(
                    contents(&git, folder, &one.file),
                    contents(&git, folder, &other.file)
                );
                let (Ok([_, old]), Ok([_, new])) = (old, new) else {
                    panic!("not read");
                };
                [old, new]
            });
            let sheet = made(other, Material::Read(Ok(read)));
            assert!(!sheet.sheet.changes.is_empty());
            ours.push(began.elapsed());
        }
        let (ours, theirs) = (median(ours), median(theirs));
        let times = ours / theirs;
        println!("  {name:<34} {theirs:>8.1} ms  {ours:>8.1} ms  {times:.2}x");
    }
}

/// Does what a reader does, until nothing is asked for.
async fn read(model: &mut Alone, folder: &Path) {
    let cancel = CancellationToken::new();
    let program = Git::find(folder, &[], &cancel).unwrap();
    while let Some(ask) = model.files.ask() {
        let news = match ask {
            Ask::List(round, request) => {
                let listed = changes(&request, &cancel).await;
                let listed = listed.map_err(|error| error.to_string());
                FilesNews::Listed(round, Box::new(listed))
            }
            Ask::Sheet(ask, top, known) => {
                let material = match known {
                    Some(diff) => Material::Known(diff),
                    None => Material::Read(Ok(contents(&program, &top, &ask.file).await.unwrap())),
                };
                FilesNews::Sheet(Box::new(made(*ask, material)))
            }
        };
        model.hear(news);
    }
}

fn keys(runtime: &tokio::runtime::Runtime, folder: &Path) {
    let git = |arguments: &[&str]| {
        let ended = Command::new("git")
            .args(["-c", "user.name=a", "-c", "user.email=a@b"])
            .args(arguments)
            .current_dir(folder)
            .stdout(Stdio::null())
            .status()
            .unwrap();
        assert!(ended.success(), "git {arguments:?}");
    };
    let (_, old, new) = pairs().swap_remove(0);
    git(&["init", "--quiet"]);
    std::fs::write(folder.join("a.sql"), old).unwrap();
    git(&["add", "a.sql"]);
    git(&["commit", "--quiet", "-m", "one"]);
    std::fs::write(folder.join("a.sql"), new).unwrap();
    git(&["commit", "--quiet", "-am", "two"]);
    let request = ChangesRequest {
        repository: folder.to_owned(),
        range: Range::read("HEAD~1..HEAD"),
        variables: Vec::new(),
    };
    let mut model = Alone::new(request, "ana".to_owned(), SIZE);
    for _ in 0..2 {
        model.settle();
        runtime.block_on(read(&mut model, folder));
    }
    let theme = Theme {
        name: ThemeName::Dark,
        palette: Palette::Many,
    };
    let mut terminal = Terminal::new(TestBackend::new(SIZE.0, SIZE.1)).unwrap();
    for (keys, name) in [
        ("\tjjjjjjjjjj", "a line down"),
        ("]]]]]]]]]]", "the next change"),
    ] {
        let mut times = Vec::new();
        for key in keys.chars().cycle().take(200) {
            let code = match key {
                '\t' => crossterm::event::KeyCode::Right,
                key => crossterm::event::KeyCode::Char(key),
            };
            let began = Instant::now();
            model.key(code.into(), jiff::Timestamp::UNIX_EPOCH);
            model.settle();
            terminal
                .draw(|frame| {
                    draw(frame.buffer_mut(), &model, &theme);
                })
                .unwrap();
            times.push(began.elapsed());
        }
        println!("  key and frame, {name:<26} p50 {:>6.2} ms", median(times));
    }
}

fn main() {
    let folder = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    println!("medians of {ROUNDS} rounds: git diff --no-index, opening here, ratio");
    opening(&runtime, folder.path());
    keys(&runtime, folder.path());
}
