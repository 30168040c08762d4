//! The changed files of real repositories: the screen alone, by keys, and inside a run.

use std::path::Path;

use insta::assert_snapshot;
use jiff::Timestamp;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use stagegate::console::alone::model::{Alone, Wish};
use stagegate::console::screen::files::{Ask, FilesNews, FilesScreen, Material, made};
use stagegate::console::view::alone::draw;
use stagegate::console::view::theme::{Palette, Theme, ThemeName};
use stagegate::git::changes::{ChangesRequest, FileChange, Range, changes};
use stagegate::git::content::contents;
use stagegate::git::program::Git;
use tokio_util::sync::CancellationToken;

use super::console_world::key_events;
use super::git_commit::{Repository, variables};
use super::pty::Pty;

const SMALL: (u16, u16) = (80, 24);
const LARGE: (u16, u16) = (120, 40);

fn lines(word: &str, count: u32) -> String {
    (1..=count)
        .map(|n| format!("ALTER TABLE shop.t{n} ADD COLUMN {word} int DEFAULT {n};\n"))
        .collect()
}

/// A branch `develop` with every sort of change.
fn world() -> Repository {
    let repository = Repository::new();
    let git = |arguments: &[&str]| repository.git(arguments);
    repository.write("migrations/001.sql", &lines("one", 30));
    repository.write("migrations/002.sql", &lines("two", 3));
    repository.write("docs/old.md", &lines("doc", 20));
    repository.write("logo.png", "a\0b");
    git(&["add", "--all"]);
    git(&["commit", "--quiet", "-m", "base"]);
    git(&["checkout", "--quiet", "-b", "develop"]);
    let changed = lines("one", 30)
        .replace("DEFAULT 7;", "DEFAULT 77 NOT NULL;")
        .replace("one int DEFAULT 20", "one  int   DEFAULT 20");
    repository.write("migrations/001.sql", &changed);
    git(&["rm", "--quiet", "migrations/002.sql"]);
    repository.write("migrations/003.sql", "CREATE TABLE x\x1b[31m (a int);\n");
    git(&["mv", "docs/old.md", "docs/new.md"]);
    repository.write("logo.png", "a\0bc");
    git(&["add", "--all"]);
    git(&["commit", "--quiet", "-m", "change"]);
    repository
}

fn request(repository: &Repository, range: &str) -> ChangesRequest {
    ChangesRequest {
        repository: repository.path().to_owned(),
        range: Range::read(range),
        variables: variables(),
    }
}

/// Does what a reader does, until nothing is asked for.
async fn read(files: &mut FilesScreen) {
    let cancel = CancellationToken::new();
    while let Some(ask) = files.ask() {
        let news = match ask {
            Ask::List(round, request) => {
                let listed = changes(&request, &cancel).await;
                let listed = listed.map_err(|error| error.to_string());
                FilesNews::Listed(round, Box::new(listed))
            }
            Ask::Sheet(ask, top, known) => {
                let git = Git::find(&top, &variables(), &cancel).unwrap();
                let material = match known {
                    Some(diff) => Material::Known(diff),
                    None => {
                        let read = contents(&git, &top, &ask.file).await;
                        Material::Read(read.map_err(|error| error.to_string()))
                    }
                };
                FilesNews::Sheet(Box::new(made(*ask, material)))
            }
        };
        files.hear(news);
    }
}

struct Reviewing(Alone);

impl Reviewing {
    async fn of(request: ChangesRequest, size: (u16, u16)) -> Reviewing {
        let mut model = Alone::new(request, "ana".to_owned(), size);
        model.settle();
        read(&mut model.files).await;
        let mut reviewing = Reviewing(model);
        reviewing.press("").await;
        reviewing
    }

    /// Presses keys; marks are kept in the model alone.
    async fn press(&mut self, keys: &str) -> Vec<Wish> {
        let mut wishes = Vec::new();
        for key in key_events(keys) {
            self.0.settle();
            read(&mut self.0.files).await;
            let at: Timestamp = "2025-11-22T01:00:00Z".parse().unwrap();
            let Some(wish) = self.0.key(key, at) else {
                continue;
            };
            if let Wish::Keep {
                path,
                review,
                withdrawn,
            } = &wish
            {
                let mut reviews = self.0.files.reviews.clone();
                match withdrawn {
                    true => {
                        reviews.withdraw(path, [review.old.as_deref(), review.new.as_deref()]);
                    }
                    false => reviews.add(path, review.clone()),
                }
                self.0.know(Ok(reviews));
            }
            wishes.push(wish);
        }
        self.0.settle();
        read(&mut self.0.files).await;
        self.0.settle();
        wishes
    }

    fn screen(&self, repository: &Repository) -> String {
        let (width, height) = self.0.size;
        let theme = Theme {
            name: ThemeName::Dark,
            palette: Palette::Many,
        };
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal
            .draw(|frame| {
                draw(frame.buffer_mut(), &self.0, &theme);
            })
            .unwrap();
        // The folder and the commits are others every time.
        let commits = repository.git(&["log", "--format=%h", "--abbrev=8", "--all"]);
        let mut text = terminal.backend().to_string();
        for commit in commits.lines() {
            text = text.replace(commit, "xxxxxxxx");
        }
        let folder = repository.path().canonicalize().unwrap();
        text.replace(folder.to_str().unwrap(), "/tmp/.tmpxxxxx")
    }
}

async fn both(name: &str, keys: &str) {
    let repository = world();
    for (suffix, size) in [("80x24", SMALL), ("120x40", LARGE)] {
        let mut reviewing = Reviewing::of(request(&repository, "main...develop"), size).await;
        reviewing.press(keys).await;
        assert_snapshot!(format!("{name}_{suffix}"), reviewing.screen(&repository));
    }
}

#[tokio::test]
async fn a_changed_file_with_its_words() {
    both("files_changed", "/001<enter>").await;
}

#[tokio::test]
async fn a_binary_file_is_said_to_be_one() {
    both("files_binary", "/logo<enter>").await;
}

#[tokio::test]
async fn a_rename_names_both() {
    both("files_renamed", "/new.md<enter>").await;
}

#[tokio::test]
async fn marks_are_seen_in_the_list_and_below_the_file() {
    both("files_reviewed", "/001<enter>r").await;
}

#[tokio::test]
async fn control_sequences_are_drawn_as_signs() {
    let repository = world();
    let mut reviewing = Reviewing::of(request(&repository, "main...develop"), LARGE).await;
    reviewing.press("/003<enter>").await;
    let screen = reviewing.screen(&repository);
    assert!(screen.contains("CREATE TABLE x␛[31m (a int);"), "{screen}");
}

#[tokio::test]
async fn keys_fold_jump_filter_and_ignore_white_space() {
    let repository = world();
    let mut reviewing = Reviewing::of(request(&repository, "main..develop"), LARGE).await;
    reviewing.press("/001<enter>").await;
    assert_eq!(reviewing.0.files.sheet.changes.len(), 2);
    reviewing.press("w").await;
    assert_eq!(
        reviewing.0.files.sheet.changes.len(),
        1,
        "white space counts no more"
    );
    reviewing.press("w]]").await;
    assert_eq!(reviewing.0.files.change, Some(1));
    reviewing.press("]").await;
    assert!(
        reviewing
            .0
            .toast
            .as_ref()
            .unwrap()
            .text
            .contains("last change")
    );
    let folded = reviewing.0.files.sheet.lines.len();
    reviewing.press("<tab>z").await;
    assert!(reviewing.0.files.sheet.lines.len() > folded, "all lines");
    reviewing.press("z>").await;
    assert_eq!(reviewing.0.files.file().unwrap().path, "migrations/002.sql");
    reviewing.press("<<").await;
    let wishes = reviewing.press("rf").await;
    assert!(matches!(&wishes[..], [Wish::Keep { path, .. }] if path == "docs/new.md"));
    let listed = |reviewing: &Reviewing| reviewing.0.files.tree.rows.len();
    let less = listed(&reviewing);
    reviewing.press("f").await;
    assert_eq!(listed(&reviewing), less + 2, "its folder and itself");
    // A folder hides its files; a search brings them back.
    reviewing.press("<tab>gz").await;
    reviewing.press("/nothing is called so<enter>").await;
    assert!(reviewing.0.toast.is_some());
    let wishes = reviewing.press("3yq").await;
    assert!(matches!(&wishes[..], [Wish::Copy(text), Wish::Leave] if text.contains("logo.png")));
}

#[tokio::test]
async fn a_mark_goes_with_the_content_and_comes_back_with_it() {
    let repository = world();
    repository.write("migrations/001.sql", "SELECT 1;\n");
    let range = request(&repository, "HEAD");
    let mut reviewing = Reviewing::of(range, LARGE).await;
    reviewing.press("/001<enter>r").await;
    let reviewed = |reviewing: &Reviewing| reviewing.0.files.standing().unwrap().is_reviewed();
    assert!(reviewed(&reviewing));
    repository.write("migrations/001.sql", "SELECT 2;\n");
    reviewing.0.files.list_again();
    reviewing.press("").await;
    assert!(!reviewed(&reviewing));
    let screen = reviewing.screen(&repository);
    assert!(screen.contains("changed since ana reviewed it"), "{screen}");
    repository.write("migrations/001.sql", "SELECT 1;\n");
    reviewing.0.files.list_again();
    reviewing.press("").await;
    assert!(reviewed(&reviewing));
    reviewing.press("r").await;
    assert!(!reviewed(&reviewing), "taken back");
}

#[tokio::test]
async fn the_work_tree_is_known_as_git_would_know_it() {
    let repository = world();
    repository.write("new file.txt", "new\n");
    repository.write("a.txt", "other\n");
    std::os::unix::fs::symlink("a.txt", repository.path().join("link")).unwrap();
    let cancel = CancellationToken::new();
    let listed = changes(&request(&repository, "HEAD"), &cancel)
        .await
        .unwrap();
    let paths: Vec<&str> = listed.files.iter().map(|file| file.path.as_str()).collect();
    assert_eq!(paths, ["a.txt", "link", "new file.txt"]);
    assert_eq!(listed.files[2].change, FileChange::Untracked);
    let id = |place: usize| listed.files[place].content()[1].unwrap().to_owned();
    let [changed, new] = [id(0), id(2)];
    repository.git(&["add", "--all"]);
    repository.git(&["commit", "--quiet", "-m", "all of it"]);
    assert_eq!(changed, repository.git(&["rev-parse", "HEAD:a.txt"]));
    assert_eq!(new, repository.git(&["rev-parse", "HEAD:new file.txt"]));
    // Before the first commit everything is new.
    repository.git(&["checkout", "--quiet", "--orphan", "fresh"]);
    let listed = changes(&request(&repository, "HEAD"), &cancel)
        .await
        .unwrap();
    assert!(listed.files.iter().all(|file| file.old.is_none()) && listed.files.len() > 5);
    let nowhere = changes(&request(&repository, "nowhere"), &cancel).await;
    assert!(
        nowhere
            .unwrap_err()
            .to_string()
            .contains("no commit `nowhere`")
    );
}

#[tokio::test]
async fn what_is_too_large_or_gone_is_said() {
    let repository = world();
    let large = vec![b'x'; 33 * 1024 * 1024];
    std::fs::write(repository.path().join("large.sql"), &large).unwrap();
    let mut reviewing = Reviewing::of(request(&repository, "HEAD"), LARGE).await;
    reviewing.press("/large<enter>").await;
    assert!(
        reviewing
            .screen(&repository)
            .contains("too large to be drawn here")
    );
    std::fs::remove_file(repository.path().join("large.sql")).unwrap();
    reviewing.0.files.list_again();
    reviewing.press("").await;
    assert!(reviewing.screen(&repository).contains("Nothing differs."));
}

fn console(repository: &Repository, arguments: &[&str], home: &Path) -> Pty {
    let home = home.to_str().unwrap();
    Pty::start(arguments, repository.path(), &[("HOME", home)], LARGE)
}

#[test]
fn alone_marks_are_kept_and_a_change_outside_shows() {
    let repository = world();
    let home = tempfile::tempdir().unwrap();
    let mut pty = console(&repository, &["review", "--reviewer", "bo"], home.path());
    pty.wait_for("0 of 5 files reviewed");
    pty.send("/001\r");
    pty.wait_for("77 NOT NULL");
    pty.send("r");
    pty.wait_for("✓ reviewed by bo");
    pty.send("q");
    assert_eq!(pty.wait_end().exit_code(), 0);
    assert!(pty.is_restored());
    let mut pty = console(&repository, &["review", "main...develop"], home.path());
    pty.wait_for("1 of 5 files reviewed");
    repository.write("migrations/001.sql", "SELECT 1;\n");
    repository.git(&["commit", "--quiet", "-am", "other"]);
    pty.wait_for("0 of 5 files reviewed");
    pty.send("/001\r");
    pty.wait_for("changed since bo reviewed it");
    pty.send("q");
    pty.wait_end();
}

#[test]
fn a_gate_waits_for_every_migration_to_be_read() {
    let repository = world();
    let home = tempfile::tempdir().unwrap();
    let book = home.path().join("release.toml");
    let here = repository.path().to_str().unwrap();
    let text = format!(
        "format = 1\ntitle = \"Release\"\n[[phase]]\nid = \"p\"\ntitle = \"P\"\n\
         [[phase.gate]]\nid = \"read\"\ntitle = \"Migrations are read\"\n[phase.gate.git]\n\
         repository = {here:?}\nreviewed = [\"migrations/**\"]\nnot_behind = \"main\"\nfetch = false\n"
    );
    std::fs::write(&book, text).unwrap();
    let runs = home.path().join("runs");
    let arguments = [
        "run",
        book.to_str().unwrap(),
        "--runs-dir",
        runs.to_str().unwrap(),
    ];
    let mut pty = console(&repository, &arguments, home.path());
    pty.wait_for("Migrations are read");
    pty.send("\r");
    pty.wait_for("3 of 3 files are not reviewed");
    pty.send("3");
    pty.wait_for("→ main");
    pty.send("\r");
    pty.wait_for("5 files");
    for file in ["001", "002", "003"] {
        pty.send(&format!("/{file}\r"));
        pty.wait_for(&format!("migrations/{file}.sql"));
        pty.wait_for("not reviewed; r marks it");
        pty.send("r");
        pty.wait_for(&format!("✓ reviewed: migrations/{file}.sql"));
    }
    pty.send("\x1b");
    pty.wait_for("Where it stands");
    pty.send("1");
    pty.wait_for("retry");
    pty.send("r");
    pty.wait_for("3 files reviewed");
    // Other content is not what was read.
    repository.write("migrations/003.sql", "CREATE TABLE y (a int);\n");
    repository.git(&["commit", "--quiet", "-am", "other"]);
    pty.send("q");
    pty.wait_end();
    let mut arguments = arguments.to_vec();
    arguments.push("--resume");
    let mut pty = console(&repository, &arguments, home.path());
    pty.wait_for("stale");
    pty.send("\r");
    pty.wait_for("1 of 3 files have changed since they were reviewed");
    pty.send("q");
    pty.wait_end();
}
