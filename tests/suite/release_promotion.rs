//! The shipped release runbook, on two real databases, a real repository and a bare remote.

use crate::git_merge::Promotion;
use crate::pty::Pty;
use crate::site::{Ended, Site, ended};
use crate::walker::{Stop, Walker};

const APPLY: &str = include_str!("../../runbooks/apply-migration.toml");
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
        }
        let first = "CREATE TABLE orders (id int PRIMARY KEY);\n";
        release.site.sql_in("development", first);
        release
            .promotion
            .commit("runbooks/apply-migration.toml", APPLY);
        release
            .promotion
            .commit("db/migrations/001_orders.sql", first);
        release.promotion.commit(".gitignore", "/backups/\n");
        release.apply("db/migrations/001_orders.sql");
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

    /// Applies one file to production by the runbook for that, by keys.
    fn apply(&self, file: &str) {
        let runbook = self.promotion.repository.path();
        let runbook = runbook.join("runbooks/apply-migration.toml");
        let file = format!("file={file}");
        let arguments = [
            "run",
            runbook.to_str().unwrap(),
            "--var",
            &file,
            "--runs-dir",
            "runs",
        ];
        let url = self.site.cluster.url("production", "postgres");
        let environment = [("PROD_DATABASE_URL", url.as_str())];
        let mut pty = Pty::start(&arguments, &self.site.path(""), &environment, (100, 30));
        pty.wait_for("PG ");
        let mut walker = Walker { pty };
        assert_eq!(walker.walk(), Stop::AllThrough, "{}", walker.pty.text());
        walker.pty.send("\r");
        walker.pty.wait_for("closed");
        walker.pty.send("q");
        assert_eq!(walker.pty.wait_end().exit_code(), 0);
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

    // Development has had a migration that production has not.
    let note = "ALTER TABLE orders ADD COLUMN note text;\n";
    site.sql_in("development", note);
    release.aborts("note");
    promotion.commit("db/migrations/002_note.sql", note);
    promotion.git(&["push", "--quiet"]);
    release.aborts("db/migrations/002_note.sql");
    release.apply("db/migrations/002_note.sql");

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
    walker.retry();
    refused(&mut walker, "1 not tracked: stray");
    std::fs::remove_file(promotion.repository.path().join("stray")).unwrap();
    walker.retry();
    refused(&mut walker, "the branch is protected");
    promotion.hook("pre-receive", "exit 0");
    walker.retry();
    assert_eq!(walker.walk(), Stop::AllThrough, "{}", walker.pty.text());
    assert_ne!(promotion.remote_main(), old);
    assert_eq!(promotion.remote_main(), release.main());
}
