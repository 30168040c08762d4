//! The shipped release runbook, on two real databases, a real repository and a bare remote.

use crate::git_merge::Promotion;
use crate::pty::Pty;
use crate::site::{Ended, Site, ended};
use crate::walker::{Stop, Walker, bottom};

const RUNBOOK: &str = include_str!("../../runbooks/release-promotion.toml");

struct Release {
    site: Site,
    promotion: Promotion,
}

impl Release {
    /// Both databases are alike, and the runbook is committed and pushed.
    fn new() -> Release {
        let release = Release {
            site: Site::new(),
            promotion: Promotion::new(),
        };
        for database in ["production", "development"] {
            release.site.sql(&format!("CREATE DATABASE {database}"));
            release
                .site
                .sql_in(database, "CREATE TABLE orders (id int PRIMARY KEY)");
        }
        release
            .promotion
            .commit("runbooks/release-promotion.toml", RUNBOOK);
        release.promotion.git(&["push", "--quiet"]);
        release
    }

    fn run(&self) -> Ended {
        let runbook = self.promotion.repository.path();
        let runbook = runbook.join("runbooks/release-promotion.toml");
        let url = |database: &str| self.site.cluster.url(database, "postgres");
        let mut command = self.site.command(&["run"]);
        command
            .arg(runbook)
            .args(["--headless", "--runs-dir", "runs"])
            .env("PROD_DATABASE_URL", url("production"))
            .env("DEV_DATABASE_URL", url("development"));
        ended(command.output().unwrap())
    }

    /// The run ends with this cause, and neither `main` nor the remote has moved.
    #[track_caller]
    fn aborts(&self, cause: &str) {
        let (main, remote) = (self.main(), self.promotion.remote_main());
        self.run().exits(4).says(cause);
        assert_eq!((self.main(), self.promotion.remote_main()), (main, remote));
    }

    fn main(&self) -> String {
        self.promotion.git(&["rev-parse", "main"])
    }
}

#[test]
fn a_release_is_promoted_and_aborts_on_everything_that_is_not_ready() {
    let release = Release::new();
    let promotion = &release.promotion;
    let site = &release.site;

    site.sql_in("development", "ALTER TABLE orders ADD COLUMN note text");
    release.aborts("note");
    site.sql_in("production", "ALTER TABLE orders ADD COLUMN note text");

    promotion.repository.write("a.txt", "edited\n");
    release.aborts("changed and not committed: a.txt");
    promotion.git(&["checkout", "--quiet", "a.txt"]);

    promotion.git(&["branch", "--quiet", "feature"]);
    promotion.git(&["checkout", "--quiet", "feature"]);
    release.aborts("`feature` is checked out, not `develop`");
    promotion.git(&["checkout", "--quiet", "develop"]);

    promotion.commit("unpushed.txt", "x\n");
    release.aborts("1 ahead of `origin/develop`");
    promotion.git(&["push", "--quiet"]);

    promotion.somebody_pushes();
    release.aborts("1 behind `origin/main`");
    promotion.git(&["fetch", "--quiet", "origin", "main:main"]);
    promotion.git(&["merge", "--quiet", "--no-edit", "main"]);
    promotion.git(&["push", "--quiet", "origin", "develop"]);

    promotion.hook("pre-receive", "echo the branch is protected >&2; exit 1");
    release.aborts("the remote says: the branch is protected");
    promotion.hook("pre-receive", "exit 0");

    release.run().exits(0);
    assert_eq!(promotion.remote_main(), release.main());
    let parents = promotion.git(&["log", "-1", "--format=%P", "main"]);
    assert!(parents.ends_with(&promotion.git(&["rev-parse", "develop"])));
    assert_eq!(promotion.git(&["status", "--porcelain"]), "");
}

/// By keys alone: each refusal stops the run, is mended outside, and the same gate is tried again.
#[test]
fn a_release_is_walked_by_keys() {
    let release = Release::new();
    let (promotion, site) = (&release.promotion, &release.site);
    let runbook = promotion.repository.path();
    let runbook = runbook.join("runbooks/release-promotion.toml");
    let url = |database: &str| site.cluster.url(database, "postgres");
    let (production, development) = (url("production"), url("development"));
    site.sql_in("development", "CREATE TABLE extra (id int)");
    promotion.repository.write("stray", "x");
    promotion.hook("pre-receive", "echo the branch is protected >&2; exit 1");
    let old = promotion.remote_main();
    let folder = site.path(".");
    let mut pty = Pty::start(
        &["run", runbook.to_str().unwrap(), "--runs-dir", "runs"],
        &folder,
        &[
            ("PROD_DATABASE_URL", &production),
            ("DEV_DATABASE_URL", &development),
        ],
        (120, 40),
    );
    pty.wait_for("PG ");
    let mut walker = Walker { pty };
    let refused = |walker: &mut Walker, words: &str| {
        assert_eq!(walker.walk(), Stop::Refused);
        walker.pty.wait_for(words);
        assert_eq!(promotion.remote_main(), old);
        assert_eq!(release.main(), old);
    };
    refused(&mut walker, "extra");
    site.sql_in("production", "CREATE TABLE extra (id int)");
    walker.press_and_wait("r");
    refused(&mut walker, "1 not tracked: stray");
    std::fs::remove_file(promotion.repository.path().join("stray")).unwrap();
    walker.press_and_wait("r");
    refused(&mut walker, "the branch is protected");
    promotion.hook("pre-receive", "exit 0");
    walker.pty.send("r");
    walker
        .pty
        .wait_until("what it would do, or the end of it", |screen| {
            screen.contains("It acts. Press y") || !bottom(screen).contains("r retry")
        });
    assert_eq!(walker.walk(), Stop::AllThrough, "{}", walker.pty.text());
    assert_ne!(promotion.remote_main(), old);
    assert_eq!(promotion.remote_main(), release.main());
}
