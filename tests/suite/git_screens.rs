//! The screen of the repository: as text at the sizes that people have, and live in a terminal.

use std::path::Path;

use insta::assert_snapshot;
use stagegate::console::model::Model;
use stagegate::console::msg::Msg;
use stagegate::console::screen::Screen;
use stagegate::console::update::update;
use stagegate::git::graph::drawn;
use stagegate::git::state::{CommitLine, Distance, Head, Names, State, Upstream, Worktree};
use stagegate::git::watch::{News, Reach, Seen};
use stagegate::promotion::{Actor, Command, Moment, ReviewStanding, Via, decide};

use super::console_world::{World, ana, keys, screen, text};
use super::git_commit::Repository;
use super::pty::Pty;

const SMALL: (u16, u16) = (80, 24);
const LARGE: (u16, u16) = (120, 40);

const RUNBOOK: &str = r#"
format = 1
title  = "Release: develop into main"

[[phase]]
id    = "release"
title = "Release"

[[phase.gate]]
id    = "stands"
title = "The repository is ready"
[phase.gate.git]
branch = "develop"

[[phase.gate]]
id    = "merge"
title = "develop into main"
[phase.gate.merge]
from = "develop"
into = "main"
mode = "merge-commit"
"#;

fn names(all: &[&str]) -> Names {
    Names {
        count: all.len() as u64,
        first: all.iter().map(|name| (*name).to_owned()).collect(),
    }
}

fn commit(id: &str, parents: &[&str], subject: &str, hours: i64) -> CommitLine {
    let whole = |id: &str| id.repeat(40);
    CommitLine {
        commit: whole(id),
        parents: parents.len(),
        parent_ids: parents.iter().map(|id| whole(id)).collect(),
        author: "Ana Lind".to_owned(),
        // An hour before the run was opened, and so on.
        time: 1_763_773_200 - hours * 3600,
        subject: subject.to_owned(),
    }
}

fn state() -> State {
    State {
        folder: "/srv/shop".to_owned(),
        bare: false,
        shallow: false,
        head: Head::Branch("develop".to_owned()),
        commit: Some("e".repeat(40)),
        upstream: Some(Upstream {
            name: "origin/develop".to_owned(),
            ahead_behind: Some((0, 0)),
        }),
        changed: Names::default(),
        untracked: Names::default(),
        conflicted: Names::default(),
        in_progress: None,
        fetched: Some(1_763_773_200 - 7_500),
        tags_at_head: vec!["v2.3-rc1".to_owned()],
        latest_tag: Some("v2.3-rc1".to_owned()),
        target: Some(Distance {
            name: "main".to_owned(),
            commit: Some("0".repeat(40)),
            ahead: 5,
            behind: 0,
            commits: vec![
                commit("e", &["d", "c"], "Merge the refund flow", 1),
                commit(
                    "c",
                    &["b"],
                    "Refunds: the column, its backfill and its index",
                    3,
                ),
                commit("d", &["a"], "Orders get a status", 4),
                commit("b", &["a"], "Refunds: read path", 30),
                commit("a", &["0"], "Prepare the release", 75),
            ],
        }),
        worktrees: Vec::new(),
        submodules: Names::default(),
        submodules_changed: Names::default(),
    }
}

fn seen(state: State) -> Seen {
    let commits = state.target.as_ref().map(|of| of.commits.clone());
    Seen {
        graph: drawn(&commits.unwrap_or_default()),
        promoted: None,
        from_missing: false,
        state,
    }
}

/// A model that shows the screen, and what the watcher has said.
fn model(size: (u16, u16), news: Vec<News>) -> Model {
    let mut model = World::of(RUNBOOK).model(size);
    keys(&mut model, "3");
    assert_eq!(model.screen, Screen::Git);
    let round = model.watched().unwrap().round;
    for news in news {
        update(&mut model, Msg::Git(round, Box::new(news)));
    }
    model.settle();
    model
}

fn both(name: &str, state: &State, reach: &Reach, pressed: &str) {
    for (suffix, size) in [("80x24", SMALL), ("120x40", LARGE)] {
        let seen = News::Seen(Box::new(seen(state.clone())));
        let mut model = model(size, vec![seen, News::Reach(reach.clone())]);
        keys(&mut model, pressed);
        assert_snapshot!(format!("{name}_{suffix}"), screen(&model).backend());
    }
}

#[test]
fn a_clean_repository_and_its_graph() {
    let reach = Reach::Reachable("origin".to_owned());
    both("git_clean", &state(), &reach, "");
}

#[test]
fn files_that_are_not_committed_are_listed() {
    let mut state = state();
    state.changed = names(&["db/migrations/20251121_001_orders.sql", "README.md"]);
    state.untracked = names(&["notes.txt"]);
    state.conflicted = names(&["db/schema.sql"]);
    state.in_progress = Some("a merge".to_owned());
    state.upstream = Some(Upstream {
        name: "origin/develop".to_owned(),
        ahead_behind: Some((2, 1)),
    });
    state.target.as_mut().unwrap().behind = 3;
    let reach = Reach::Not(
        "origin".to_owned(),
        "git ls-remote took longer than it may".to_owned(),
    );
    both("git_dirty", &state, &reach, "jj");
}

#[test]
fn odd_repositories_are_told_in_words() {
    let mut state = state();
    state.head = Head::Detached;
    state.shallow = true;
    state.upstream = None;
    state.fetched = None;
    state.worktrees = vec![Worktree {
        path: "/srv/shop-hotfix".to_owned(),
        branch: Some("hotfix".to_owned()),
    }];
    state.submodules = names(&["lib/geo"]);
    state.submodules_changed = names(&["lib/geo"]);
    both("git_odd", &state, &Reach::NoRemote, "");
    state.head = Head::Unborn("develop".to_owned());
    state.commit = None;
    state.bare = true;
    state.target = Some(Distance {
        name: "main".to_owned(),
        commit: None,
        ahead: 0,
        behind: 0,
        commits: Vec::new(),
    });
    let model = model(LARGE, vec![News::Seen(Box::new(seen(state)))]);
    let text = text(&model);
    for words in [
        "develop, which has no commit yet",
        "a bare repository has no work tree",
        "There is no `main` here.",
        "not asked yet",
    ] {
        assert!(text.contains(words), "{words}: {text}");
    }
}

#[test]
fn a_repository_of_another_user_is_said_to_be_one() {
    let said = "/srv/shop belongs to another user, and git reads no such repository";
    let model = model(SMALL, vec![News::Trouble(said.to_owned())]);
    assert_snapshot!("git_trouble_80x24", screen(&model).backend());
}

#[test]
fn what_an_older_watcher_says_does_not_count() {
    let mut model = model(SMALL, vec![News::Seen(Box::new(seen(state())))]);
    let round = model.watched().unwrap().round;
    keys(&mut model, "r");
    assert_eq!(model.watched().unwrap().round, round + 1);
    update(
        &mut model,
        Msg::Git(round, Box::new(News::Trouble("old".to_owned()))),
    );
    assert!(model.git.trouble.is_none());
    keys(&mut model, "<esc>");
    assert!(model.watched().is_none(), "nobody looks at it");
}

#[test]
fn a_search_goes_from_line_to_line() {
    let mut model = model(SMALL, vec![News::Seen(Box::new(seen(state())))]);
    keys(&mut model, "/refunds<enter>");
    let first = model.git.pager.offset;
    keys(&mut model, "/nowhere to be found<enter>");
    assert!(model.toast.is_some());
    assert_eq!(model.git.pager.offset, first);
}

fn open_console(repository: &Repository, book: &Path) -> Pty {
    let runs = book.parent().unwrap().join("runs");
    let arguments = [
        "run",
        book.to_str().unwrap(),
        "--runs-dir",
        runs.to_str().unwrap(),
    ];
    Pty::start(&arguments, repository.path(), &[], LARGE)
}

#[test]
fn a_commit_made_outside_shows_without_a_key() {
    let repository = Repository::new();
    repository.git(&["checkout", "--quiet", "-b", "develop"]);
    let place = tempfile::tempdir().unwrap();
    let book = place.path().join("release.toml");
    let here = format!("repository = {:?}\n", repository.path().to_str().unwrap());
    let text = RUNBOOK
        .replace("[phase.gate.git]\n", &format!("[phase.gate.git]\n{here}"))
        .replace(
            "[phase.gate.merge]\n",
            &format!("[phase.gate.merge]\n{here}push = false\n"),
        );
    std::fs::write(&book, text).unwrap();
    let mut pty = open_console(&repository, &book);
    pty.wait_for("The repository is ready");
    pty.send("3");
    pty.wait_for("nothing: every commit is there already");
    pty.wait_for("there is none");
    repository.write("db/one.sql", "SELECT 1;\n");
    pty.wait_for("not tracked");
    repository.git(&["add", "--all"]);
    repository.git(&["commit", "--quiet", "-m", "Count\x1b[31m the orders"]);
    pty.wait_for("Count␛[31m the orders");
    pty.wait_for("clean: everything is committed");
    repository.git(&["checkout", "--quiet", "--detach"]);
    pty.wait_for("none: detached HEAD");
    pty.send("q");
    pty.wait_end();
    assert!(pty.is_restored());
}

#[test]
fn only_a_person_at_a_console_reviews_and_says_so_once() {
    let mut world = World::of(RUNBOOK);
    let command = |withdrawn: bool| {
        let (repository, path) = ("/srv/shop".to_owned(), "db/one.sql".to_owned());
        let (old, new) = (None, Some("abc".to_owned()));
        match withdrawn {
            false => Command::ReviewFile {
                repository,
                path,
                old,
                new,
            },
            true => Command::WithdrawReview {
                repository,
                path,
                old,
                new,
            },
        }
    };
    let asked = |world: &World, withdrawn: bool, via: Via| {
        let actor = Actor { via, ..ana() };
        let now = world.now;
        decide(
            Some(&world.snapshot.run),
            &command(withdrawn),
            &Moment { now, actor },
        )
    };
    assert!(asked(&world, false, Via::Headless).is_err());
    assert_eq!(asked(&world, true, Via::Console), Ok(Vec::new()));
    let events = asked(&world, false, Via::Console).unwrap();
    assert_eq!(events[0].words(), "reviewed db/one.sql at abc");
    world.record(events[0].clone());
    assert_eq!(
        asked(&world, false, Via::Console),
        Ok(Vec::new()),
        "said already"
    );
    let reviews = &world.snapshot.run.reviews["/srv/shop"];
    let standing = reviews.standing("db/one.sql", [None, Some("abc")]);
    assert!(matches!(standing, ReviewStanding::Reviewed(review) if review.by == "ana@example.com"));
    let events = asked(&world, true, Via::Console).unwrap();
    world.record(events[0].clone());
    let reviews = &world.snapshot.run.reviews["/srv/shop"];
    assert_eq!(reviews.files().count(), 0);
}
