//! A project that Alembic owns: its folder, its configuration, its program, its history.

use std::path::{Path, PathBuf};

use configparser::ini::Ini;

use super::graph::Graph;
use super::revision::{self, Revision};

/// Where Alembic is looked for, in the order in which it is.
const ENVIRONMENTS: [&str; 3] = [".venv", "venv", "env"];
/// No revision is longer.
const LONGEST: u64 = 4 * 1024 * 1024;

/// What is known of a project before anything is run.
#[derive(Debug, Clone)]
pub struct Project {
    /// Where Alembic works.
    pub folder: PathBuf,
    /// Its configuration, relative to the folder or not.
    pub config: PathBuf,
    /// Its interpreter and its program, or why there is none.
    pub program: Result<Program, String>,
    pub graph: Graph,
    /// What of the history cannot be read, with the file and the line.
    pub troubles: Vec<String>,
    /// The hash of the configuration and of everything in the history.
    pub digest: String,
}

/// An interpreter that has Alembic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    pub python: PathBuf,
    pub alembic: PathBuf,
}

/// Where a project is, as somebody wrote it.
#[derive(Debug, Clone, Default)]
pub struct Place {
    pub folder: PathBuf,
    pub config: PathBuf,
    pub python: Option<PathBuf>,
    /// The folders of the history, where they cannot be read from the configuration.
    pub versions: Vec<PathBuf>,
    /// The environment that is active, where there is one.
    pub active: Option<PathBuf>,
}

impl Project {
    /// Reads a project. What cannot be read is in its troubles; nothing of it is run.
    pub fn read(place: &Place) -> Project {
        let config = place.folder.join(&place.config);
        let mut troubles = Vec::new();
        let mut hashed = Vec::new();
        let folders = match place.versions.as_slice() {
            [] => match locations(&config, &place.folder) {
                Ok(folders) => folders,
                Err(reason) => {
                    troubles.push(reason);
                    Vec::new()
                }
            },
            given => given.iter().map(|v| place.folder.join(v)).collect(),
        };
        if let Ok(bytes) = std::fs::read(&config) {
            hashed.push(crate::digest::digest(&bytes));
        }
        let mut revisions: Vec<Revision> = Vec::new();
        for folder in &folders {
            let files = match python_files(folder) {
                Ok(files) => files,
                Err(reason) => {
                    troubles.push(format!("{}: {reason}", folder.display()));
                    continue;
                }
            };
            // What the history is run by counts as well as what it is.
            let beside = folder.parent().map(|parent| parent.join("env.py"));
            for path in files
                .into_iter()
                .chain(beside.filter(|path| path.is_file()))
            {
                let shown = path.strip_prefix(&place.folder).unwrap_or(&path);
                let shown = shown.display().to_string();
                match text(&path) {
                    Ok(text) => {
                        hashed.push(format!(
                            "{shown} {}",
                            crate::digest::digest(text.as_bytes())
                        ));
                        match revision::read(&shown, &text) {
                            Ok(found) => revisions.extend(found),
                            Err(reason) => troubles.push(reason),
                        }
                    }
                    Err(reason) => troubles.push(format!("{shown}: {reason}")),
                }
            }
        }
        let graph = Graph::of(revisions);
        troubles.extend(graph.problems().iter().cloned());
        if graph.is_empty() && troubles.is_empty() {
            let shown: Vec<String> = folders.iter().map(|f| f.display().to_string()).collect();
            troubles.push(format!("there is no revision in {}", shown.join(", ")));
        }
        hashed.sort();
        Project {
            folder: place.folder.clone(),
            config: place.config.clone(),
            program: find(place),
            graph,
            troubles,
            digest: crate::digest::digest(hashed.join("\n").as_bytes()),
        }
    }
}

fn text(path: &Path) -> Result<String, String> {
    let size = std::fs::metadata(path)
        .map_err(|error| error.to_string())?
        .len();
    if size > LONGEST {
        return Err(format!(
            "it has {size} bytes; a revision has at most {LONGEST}"
        ));
    }
    std::fs::read_to_string(path).map_err(|error| error.to_string())
}

fn python_files(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let entries = std::fs::read_dir(folder).map_err(|error| error.to_string())?;
    let mut files: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "py"))
        .filter(|path| path.is_file())
        .collect();
    files.sort();
    Ok(files)
}

/// The folders of the history, as the configuration names them.
fn locations(config: &Path, folder: &Path) -> Result<Vec<PathBuf>, String> {
    let shown = config.display();
    if !config.is_file() {
        return Err(format!("there is no configuration {shown}"));
    }
    // As Python reads it: keys keep their case, values may go on in indented lines, and nothing but a
    // whole line is a comment.
    let mut ini = Ini::new_cs();
    ini.set_multiline(true);
    ini.set_inline_comment_symbols(Some(&[]));
    let sections = ini
        .load(config)
        .map_err(|error| format!("{shown}: {error}"))?;
    if !sections.contains_key("alembic") {
        return Err(format!("{shown} has no section [alembic]"));
    }
    let here = config.parent().unwrap_or(Path::new("."));
    let filled = |key: &str| {
        let value = ini.get("alembic", key)?.trim().to_owned();
        let value = value.replace("%(here)s", &here.display().to_string());
        Some(value.replace("%%", "%"))
    };
    let at = |path: &str| match path.contains('%') || (path.contains(':') && !path.contains('/')) {
        true => Err(format!(
            "{shown}: `{path}` is not a plain folder; name the folders of the history in the runbook: \
             versions = [\"alembic/versions\"]"
        )),
        false => Ok(folder.join(path)),
    };
    let script = filled("script_location")
        .ok_or_else(|| format!("{shown} has no `script_location` in [alembic]"))?;
    let Some(listed) = filled("version_locations").filter(|l| !l.is_empty()) else {
        return Ok(vec![at(&script)?.join("versions")]);
    };
    let separator = filled("path_separator").or_else(|| filled("version_path_separator"));
    let split = |c: char| match separator.as_deref() {
        Some("os" | ":") => c == ':' || c == '\n',
        Some(";") => c == ';' || c == '\n',
        Some("newline") => c == '\n',
        Some("space") => c == ' ' || c == '\n',
        _ => c == ' ' || c == ',' || c == '\n',
    };
    let parts = listed.split(split).map(str::trim);
    parts.filter(|part| !part.is_empty()).map(at).collect()
}

/// Finds the interpreter, and Alembic beside it.
fn find(place: &Place) -> Result<Program, String> {
    let mut looked = Vec::new();
    let environments = ENVIRONMENTS
        .iter()
        .map(|name| place.folder.join(name))
        .chain(place.active.clone())
        .map(|folder| folder.join("bin/python"));
    let candidates: Vec<PathBuf> = match &place.python {
        Some(python) => vec![place.folder.join(python)],
        None => environments.collect(),
    };
    for python in candidates {
        if !python.is_file() {
            looked.push(format!("{} is not there", python.display()));
            continue;
        }
        // An interpreter of an environment is a link; what is installed there is beside the link.
        let alembic = python.with_file_name("alembic");
        if alembic.is_file() {
            return Ok(Program { python, alembic });
        }
        looked.push(format!(
            "{} has no Alembic; install it with: {} -m pip install alembic",
            python.display(),
            python.display()
        ));
    }
    if place.python.is_none() {
        let python = crate::system::process::find_program("python3", &place.folder);
        let alembic = crate::system::process::find_program("alembic", &place.folder);
        if let (Some(python), Some(alembic)) = (python, alembic)
            && is_python(&alembic)
        {
            return Ok(Program { python, alembic });
        }
        looked.push("PATH has no Alembic".to_owned());
    }
    Err(looked.join("; "))
}

/// A program that the interpreter can be given.
fn is_python(path: &Path) -> bool {
    let beginning = std::fs::read(path).unwrap_or_default();
    let line = beginning.split(|byte| *byte == b'\n').next();
    let line = String::from_utf8_lossy(line.unwrap_or_default()).into_owned();
    line.starts_with("#!") && line.contains("python")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn project(ini: &str, files: &[(&str, &str)]) -> (tempfile::TempDir, Project) {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("alembic.ini"), ini).unwrap();
        for (name, text) in files {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        let place = Place {
            folder: folder.path().to_owned(),
            config: "alembic.ini".into(),
            ..Place::default()
        };
        let project = Project::read(&place);
        (folder, project)
    }

    const ONE: &str = "revision = 'aaaa'\ndown_revision = None\ndef upgrade(): pass\n";

    #[test]
    fn the_history_is_where_the_configuration_says() {
        let ini = "[alembic]\nscript_location = %(here)s/db\n";
        let (_folder, project) = project(ini, &[("db/versions/a.py", ONE), ("db/env.py", "")]);
        assert_eq!(project.troubles, Vec::<String>::new());
        assert_eq!(project.graph.heads(), ["aaaa"]);
    }

    #[test]
    fn several_folders_are_one_history() {
        let ini =
            "[alembic]\nscript_location = db\nversion_locations = one:two\npath_separator = os\n";
        let two = "revision = 'bbbb'\ndown_revision = 'aaaa'\n";
        let (_folder, project) = project(ini, &[("one/a.py", ONE), ("two/b.py", two)]);
        assert_eq!(project.graph.heads(), ["bbbb"]);
    }

    #[test]
    fn what_is_missing_is_named() {
        let (_folder, none) = project("[alembic]\nscript_location = db\n", &[]);
        assert!(
            none.troubles[0].contains("db/versions"),
            "{:?}",
            none.troubles
        );
        let (_folder, package) = project("[alembic]\nscript_location = pkg:db\n", &[]);
        assert!(package.troubles[0].contains("versions = ["));
        let (_folder, empty) = project("[other]\n", &[]);
        assert!(empty.troubles[0].contains("[alembic]"));
    }

    #[test]
    fn the_hash_changes_with_the_history_and_with_what_runs_it() {
        let ini = "[alembic]\nscript_location = db\n";
        let (_a, one) = project(ini, &[("db/versions/a.py", ONE), ("db/env.py", "x = 1")]);
        let (_b, same) = project(ini, &[("db/versions/a.py", ONE), ("db/env.py", "x = 1")]);
        let (_c, other) = project(ini, &[("db/versions/a.py", ONE), ("db/env.py", "x = 2")]);
        assert_eq!(one.digest, same.digest);
        assert_ne!(one.digest, other.digest);
    }
}
