//! A project that Alembic owns, with real Alembic: two SQLAlchemy bases in one history, and two
//! databases of which development is a step ahead.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::site::{Ended, Site, ended};

/// What the virtual environment holds; the versions are fixed so that every machine has the same.
const PACKAGES: [&str; 3] = [
    "alembic==1.20.1",
    "SQLAlchemy==2.1.9",
    "psycopg[binary]==3.3.9",
];
/// What both databases had before Alembic.
pub(crate) const BEFORE: &str = include_str!("../fixtures/alembic-before.sql");
pub(crate) const BASELINE: &str = "5a9d6371e18c";
pub(crate) const MIDDLE: &str = "8c1f0b77d2aa";
pub(crate) const HEAD: &str = "b3e92d4416f5";

/// The virtual environment; made once, by whoever asks first.
pub(crate) fn environment() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("tools/alembic");
    std::fs::create_dir_all(&folder).unwrap();
    let lock = std::fs::File::create(folder.join("lock")).unwrap();
    lock.lock().unwrap();
    let (made, whole) = (folder.join("venv"), folder.join("whole"));
    if !whole.exists() {
        let _ = std::fs::remove_dir_all(&made);
        succeeds(Command::new("python3").args(["-m", "venv"]).arg(&made));
        let pip = [
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
        ];
        succeeds(
            Command::new(made.join("bin/python"))
                .args(pip)
                .args(PACKAGES),
        );
        std::fs::write(&whole, "").unwrap();
    }
    made
}

fn succeeds(command: &mut Command) {
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{command:?}: {said}");
}

/// A site whose folder is the project.
pub(crate) struct World {
    pub(crate) site: Site,
}

impl World {
    /// Development is at the head; production has the tables of before, and no version.
    pub(crate) fn new() -> World {
        let site = Site::new();
        copy(
            Path::new(concat!(
                env!("CARGO_MANIFEST_DIR"),
                "/tests/fixtures/alembic"
            )),
            &site.path(""),
        );
        std::os::unix::fs::symlink(environment(), site.path(".venv")).unwrap();
        for database in ["production", "development"] {
            site.sql(&format!("CREATE DATABASE {database}"));
            site.sql_in(database, BEFORE);
        }
        let world = World { site };
        world.alembic("development", &["stamp", BASELINE]);
        world.alembic("development", &["upgrade", "head"]);
        world
    }

    /// Production is stamped at the baseline besides.
    pub(crate) fn tracked() -> World {
        let world = World::new();
        world.alembic("production", &["stamp", BASELINE]);
        world
    }

    pub(crate) fn url(&self, database: &str) -> String {
        self.site.cluster.url(database, "postgres")
    }

    /// Runs Alembic as a developer would.
    pub(crate) fn alembic(&self, database: &str, arguments: &[&str]) {
        let url = self
            .url(database)
            .replacen("postgresql:", "postgresql+psycopg:", 1);
        succeeds(
            Command::new(environment().join("bin/alembic"))
                .args(arguments)
                .current_dir(self.site.path(""))
                .env("DATABASE_URL", url)
                .env("PYTHONDONTWRITEBYTECODE", "1"),
        );
    }

    /// Writes `runbook.toml`: both databases, the project, and these gates. Production is called so
    /// and is staging, so that a headless run may act on it.
    pub(crate) fn runbook(&self, gates: &str) {
        self.site.write("runbook.toml", &format!("{HEADER}{gates}"));
    }

    /// One gate.
    pub(crate) fn gate(&self, action: &str, more: &str) {
        self.runbook(&gate(action, action, more));
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.site.command(arguments);
        command
            .env("DATABASE_URL", self.url("development"))
            .env("DATABASE_URL_PROD", self.url("production"));
        command
    }

    pub(crate) fn run(&self) -> Ended {
        let mut command =
            self.command(&["run", "runbook.toml", "--headless", "--runs-dir", "runs"]);
        ended(command.output().unwrap())
    }

    /// Runs `runbook.toml` until the program dies at a fault point.
    pub(crate) fn dies_at(&self, point: &str) {
        let mut command =
            self.command(&["run", "runbook.toml", "--headless", "--runs-dir", "runs"]);
        command.env("STAGEGATE_DIE_AT", point);
        let killed = ended(command.output().unwrap());
        assert_eq!(
            killed.signal,
            Some(9),
            "{point}: {}{}",
            killed.out,
            killed.err
        );
    }

    pub(crate) fn resume(&self) -> Ended {
        let resume = [
            "run",
            "runbook.toml",
            "--headless",
            "--resume",
            "--runs-dir",
            "runs",
        ];
        ended(self.command(&resume).output().unwrap())
    }

    /// What the version table of a database says; `-` where there is none.
    pub(crate) fn version(&self, database: &str) -> String {
        let there = "SELECT to_regclass('alembic_version') IS NOT NULL";
        if self.site.one_in(database, there) != "t" {
            return "-".to_owned();
        }
        let sql =
            "SELECT coalesce(string_agg(version_num, ',' ORDER BY 1), '') FROM alembic_version";
        self.site.one_in(database, sql)
    }

    /// A revision file.
    pub(crate) fn revision(&self, id: &str, down: &str, upgrade: &str, downgrade: &str) {
        let text = format!(
            "\"\"\"Revision {id}\"\"\"\n\nimport sqlalchemy as sa\nfrom alembic import op\n\n\
             revision = \"{id}\"\ndown_revision = \"{down}\"\nbranch_labels = None\n\
             depends_on = None\n\n\ndef upgrade():\n    {upgrade}\n\n\ndef downgrade():\n    {downgrade}\n"
        );
        self.site.write(&format!("alembic/versions/{id}.py"), &text);
    }
}

pub(crate) fn gate(id: &str, action: &str, more: &str) -> String {
    format!(
        "[[phase.gate]]\nid = \"{id}\"\ntitle = \"Gate\"\n[phase.gate.alembic]\n\
         action = \"{action}\"\ntarget = \"production\"\n{more}\n"
    )
}

const HEADER: &str = "\
format = 1
title = \"Test\"
[target.development]
url = \"env:DATABASE_URL\"
environment = \"development\"
[target.production]
url = \"env:DATABASE_URL_PROD\"
environment = \"staging\"
[alembic.app]
url_env = \"DATABASE_URL\"
url_scheme = \"postgresql+psycopg\"
[[phase]]
id = \"phase\"
title = \"Phase\"
";

fn copy(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let place = to.join(entry.file_name());
        if entry.path().is_dir() {
            std::fs::create_dir_all(&place).unwrap();
            copy(&entry.path(), &place);
        } else {
            std::fs::copy(entry.path(), place).unwrap();
        }
    }
}
