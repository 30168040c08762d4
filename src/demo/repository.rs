//! The sample repository: files on two branches, with the history that led to them.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::DemoError;
use super::source::{SourceFile, World};

const AUTHOR: [&str; 4] = [
    "-c",
    "user.name=Erik Lindqvist",
    "-c",
    "user.email=erik@ehg.example",
];

/// The repository's own settings, which hold for a gate that commits as well.
const SETTINGS: [(&str, &str); 5] = [
    ("user.name", "Erik Lindqvist"),
    ("user.email", "erik@ehg.example"),
    ("commit.gpgSign", "false"),
    ("core.hooksPath", "/dev/null"),
    ("core.autocrlf", "false"),
];

/// One entry of the history: what it says, when, and which paths it adds.
struct Entry {
    message: &'static str,
    date: &'static str,
    paths: &'static [&'static str],
}

/// What is on `main`, which production runs.
const MAIN: [Entry; 1] = [Entry {
    message: "repo: the databases as production has them",
    date: "2025-08-29T09:12:00+00:00",
    paths: &["README.md", ".gitignore", ".github", "db/baseline"],
}];

/// What `develop` adds: the promotion.
const DEVELOP: [Entry; 5] = [
    Entry {
        message: "eng: directives, second edition, and what hangs on them",
        date: "2025-09-11T14:03:00+00:00",
        paths: &["db/migrations/eng", "db/views/eng_governance_views.sql"],
    },
    Entry {
        message: "eng: row level security on every table",
        date: "2025-09-11T16:40:00+00:00",
        paths: &["db/policies", "apps/eng"],
    },
    Entry {
        message: "vh: experiments, metrics, classes of ingest errors",
        date: "2025-09-22T06:31:00+00:00",
        paths: &["db/migrations/vh", "db/views", "apps/vh"],
    },
    Entry {
        message: "db: a way down for every migration",
        date: "2025-09-22T06:52:00+00:00",
        paths: &["db/migrations/DOWN"],
    },
    Entry {
        message: "ops: the staging run of 2025-09-22, and the runbook for production",
        date: "2025-09-22T08:20:00+00:00",
        paths: &["."],
    },
];

/// Makes the repository in an empty folder. Blocks.
pub(super) fn create(
    folder: &Path,
    world: &World,
    overlaid: &[SourceFile],
) -> Result<(), DemoError> {
    write(folder, &world.files("repo"))?;
    write(folder, overlaid)?;
    let runbook = SourceFile {
        path: world.runbook_name.to_owned(),
        contents: world.runbook.as_bytes(),
    };
    let baseline = ["roles", "base"].map(|name| -> Result<SourceFile, DemoError> {
        Ok(SourceFile {
            path: format!("db/baseline/{name}.sql"),
            contents: world.text(&format!("{name}.sql"))?.as_bytes(),
        })
    });
    write(folder, &[runbook])?;
    for file in baseline {
        write(folder, &[file?])?;
    }
    // An older git has no -b; a symbolic HEAD says the same to every version.
    git(folder, None, &["init", "--quiet"])?;
    git(folder, None, &["symbolic-ref", "HEAD", "refs/heads/main"])?;
    // Whoever commits in the sample is somebody of the sample, and signs nothing.
    for (name, value) in SETTINGS {
        git(folder, None, &["config", name, value])?;
    }
    for entry in &MAIN {
        commit(folder, entry)?;
    }
    git(folder, None, &["checkout", "--quiet", "-b", "develop"])?;
    for entry in &DEVELOP {
        commit(folder, entry)?;
    }
    Ok(())
}

/// Lays files over the repository and commits them. Blocks.
pub(super) fn replace(folder: &Path, files: &[SourceFile], message: &str) -> Result<(), DemoError> {
    write(folder, files)?;
    let mut add = vec!["add", "--"];
    add.extend(files.iter().map(|file| file.path.as_str()));
    git(folder, None, &add)?;
    // A file may already read as wanted, which leaves nothing to commit.
    if git(folder, None, &["diff", "--cached", "--quiet"]).is_ok() {
        return Ok(());
    }
    let mut arguments = vec!["commit", "--quiet", "--message", message, "--"];
    arguments.extend(files.iter().map(|file| file.path.as_str()));
    git(folder, None, &arguments)
}

fn write(folder: &Path, files: &[SourceFile]) -> Result<(), DemoError> {
    for file in files {
        let path = folder.join(&file.path);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(DemoError::file("make the folder", parent))?;
        }
        fs::write(&path, file.contents).map_err(DemoError::file("write", &path))?;
    }
    Ok(())
}

fn commit(folder: &Path, entry: &Entry) -> Result<(), DemoError> {
    let mut add = vec!["add", "--"];
    add.extend(entry.paths);
    git(folder, None, &add)?;
    git(
        folder,
        Some(entry.date),
        &["commit", "--quiet", "--message", entry.message],
    )
}

/// Runs git with nothing of the user's own settings: a signing key, a hook or a template of theirs
/// has no business in a sample.
fn git(folder: &Path, date: Option<&str>, arguments: &[&str]) -> Result<(), DemoError> {
    let mut command = Command::new("git");
    for variable in [
        "GIT_DIR",
        "GIT_WORK_TREE",
        "GIT_INDEX_FILE",
        "GIT_TEMPLATE_DIR",
    ] {
        command.env_remove(variable);
    }
    command
        .args(AUTHOR)
        .args([
            "-c",
            "core.autocrlf=false",
            "-c",
            "core.hooksPath=/dev/null",
        ])
        .args(arguments)
        .current_dir(folder)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1");
    if let Some(date) = date {
        command
            .env("GIT_AUTHOR_DATE", date)
            .env("GIT_COMMITTER_DATE", date);
    }
    let output = command
        .output()
        .map_err(|source| DemoError::GitMissing { source })?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(DemoError::Git {
        action: arguments.first().copied().unwrap_or_default().to_owned(),
        output: format!("{said} ({})", output.status),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::worlds;

    fn ask(folder: &Path, arguments: &[&str]) -> String {
        let output = Command::new("git")
            .args(arguments)
            .current_dir(folder)
            .output()
            .unwrap();
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    #[test]
    fn the_history_is_the_same_every_time_and_leaves_nothing_over() {
        let world = &worlds()[0];
        let made = [(); 2].map(|()| {
            let folder = tempfile::tempdir().unwrap();
            create(folder.path(), world, &[]).unwrap();
            assert_eq!(ask(folder.path(), &["status", "--porcelain"]), "");
            assert_eq!(ask(folder.path(), &["branch", "--show-current"]), "develop");
            assert_eq!(
                ask(folder.path(), &["rev-list", "--count", "main..develop"]),
                "5"
            );
            ask(folder.path(), &["rev-parse", "develop", "main"])
        });
        assert_eq!(made[0], made[1]);
    }

    #[test]
    fn a_replaced_file_is_committed_once() {
        let world = &worlds()[0];
        let folder = tempfile::tempdir().unwrap();
        create(folder.path(), world, &[]).unwrap();
        let file = SourceFile {
            path: "README.md".to_owned(),
            contents: b"other\n",
        };
        for _ in 0..2 {
            replace(folder.path(), std::slice::from_ref(&file), "readme: other").unwrap();
        }
        assert_eq!(ask(folder.path(), &["status", "--porcelain"]), "");
        assert_eq!(
            ask(folder.path(), &["rev-list", "--count", "main..develop"]),
            "6"
        );
    }
}
