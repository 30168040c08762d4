//! Finds the installed PostgreSQL programs (`postgres`, `initdb`, `pg_dump`, `pg_restore`,
//! `psql`) and their versions.

use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde::{Deserialize, Serialize};

/// The variable that names the folders to take programs from, separated as those of `PATH`.
pub const BINDIR_VARIABLE: &str = "STAGEGATE_PG_BINDIR";

/// Where the usual packages put versions side by side.
const FOLDERS: &[&str] = &[
    "/usr/lib/postgresql/*/bin",
    "/usr/pgsql-*/bin",
    "/usr/lib/postgresql*/bin",
    "/usr/libexec/postgresql*",
    "/opt/homebrew/opt/postgresql*/bin",
    "/usr/local/opt/postgresql*/bin",
    "/opt/homebrew/opt/libpq/bin",
    "/usr/local/opt/libpq/bin",
    "/Applications/Postgres.app/Contents/Versions/*/bin",
    "/usr/local/pgsql/bin",
];

/// A version as a program prints it; a beta has the minor 0.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ProgramVersion {
    pub major: u32,
    pub minor: u32,
    pub text: String,
}

impl ProgramVersion {
    /// Reads the answer to `--version`, such as `pg_dump (PostgreSQL) 15.18 (Debian 15.18-1)`.
    ///
    /// The program must call itself by `name`: a wrapper that was reached by a link under that
    /// name would do something else under its own.
    pub fn parse(name: &str, output: &str) -> Option<Self> {
        let (program, rest) = output.trim().split_once(" (PostgreSQL) ")?;
        if program != name {
            return None;
        }
        let text = rest.split_whitespace().next()?;
        let digits = |part: &str| -> Option<u32> {
            let end = part
                .find(|c: char| !c.is_ascii_digit())
                .unwrap_or(part.len());
            part.get(..end)?.parse().ok()
        };
        let mut parts = text.split('.');
        Some(Self {
            major: digits(parts.next()?)?,
            minor: parts.next().and_then(digits).unwrap_or(0),
            text: text.to_owned(),
        })
    }
}

impl fmt::Display for ProgramVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// A program that was found and answered with its version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Program {
    /// The file itself, links resolved.
    pub path: PathBuf,
    pub version: ProgramVersion,
}

impl Program {
    /// Returns another program of the same installation, which is of the same version.
    pub fn sibling(&self, name: &str) -> Result<Program, ProgramMissing> {
        let path = self.path.with_file_name(name);
        if !path.is_file() {
            return Err(ProgramMissing::new(name, None));
        }
        Ok(Program {
            path,
            version: self.version.clone(),
        })
    }
}

/// A program that is not installed, or not new enough.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProgramMissing {
    pub name: String,
    pub at_least: Option<u32>,
    /// What was found instead.
    pub found: Vec<Program>,
    /// What to run on this operating system.
    pub install: String,
}

impl ProgramMissing {
    fn new(name: &str, at_least: Option<u32>) -> Self {
        let release = std::fs::read_to_string("/etc/os-release").unwrap_or_default();
        Self {
            name: name.to_owned(),
            at_least,
            found: Vec::new(),
            install: install_command(std::env::consts::OS, &release, name, at_least),
        }
    }
}

impl fmt::Display for ProgramMissing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the PostgreSQL program '{}'", self.name)?;
        if let Some(major) = self.at_least {
            write!(f, " of version {major} or newer")?;
        }
        f.write_str(" was not found")?;
        for (n, program) in self.found.iter().enumerate() {
            let lead = if n == 0 { "; there is " } else { ", " };
            write!(f, "{lead}{} ({})", program.version, program.path.display())?;
        }
        write!(
            f,
            ". Install it with `{}`, or set {BINDIR_VARIABLE} to the folder that holds it",
            self.install
        )
    }
}

impl std::error::Error for ProgramMissing {}

/// Finds the newest installed program of that name.
pub fn find(name: &str) -> Result<Program, ProgramMissing> {
    find_all(name)
        .into_iter()
        .next()
        .ok_or_else(|| ProgramMissing::new(name, None))
}

/// Finds a program whose major version is at least that: the same major if there is one, because
/// it knows the server's own dialect best, else the next newer.
pub fn find_at_least(name: &str, major: u32) -> Result<Program, ProgramMissing> {
    choose(find_all(name), major).map_err(|found| ProgramMissing {
        found,
        ..ProgramMissing::new(name, Some(major))
    })
}

fn choose(found: Vec<Program>, major: u32) -> Result<Program, Vec<Program>> {
    // They come newest first, so the last one that is new enough is the nearest; among several of
    // its major the first is the newest minor.
    let nearest = found
        .iter()
        .map(|program| program.version.major)
        .filter(|&found| found >= major)
        .min();
    match found
        .iter()
        .find(|program| Some(program.version.major) == nearest)
    {
        Some(program) => Ok(program.clone()),
        None => Err(found),
    }
}

/// Finds every installed program of that name, newest first; one file is listed once.
pub fn find_all(name: &str) -> Vec<Program> {
    let own = std::env::var_os(BINDIR_VARIABLE).filter(|value| !value.is_empty());
    if let Some(folders) = own {
        // Naming folders means those folders, not "those too".
        return find_in(name, &std::env::split_paths(&folders).collect::<Vec<_>>());
    }
    let path = path_folders();
    let found = find_in(name, &[path.clone(), package_folders()].concat());
    if !found.is_empty() {
        return found;
    }
    // Asked last: it is a slow script on some systems, and what it names is mostly found by now.
    pg_config_bindir(&path).map_or_else(Vec::new, |folder| find_in(name, &[folder]))
}

fn find_in(name: &str, folders: &[PathBuf]) -> Vec<Program> {
    let mut seen = BTreeSet::new();
    let mut programs: Vec<Program> = folders
        .iter()
        .filter_map(|folder| folder.join(name).canonicalize().ok())
        .filter(|path| seen.insert(path.clone()))
        .filter_map(|path| inspect(name, &path))
        .collect();
    // The sort is stable: of equal versions the one found first, so on PATH, stays first.
    programs
        .sort_by_key(|program| std::cmp::Reverse((program.version.major, program.version.minor)));
    programs
}

fn path_folders() -> Vec<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .filter(|folder| folder.is_absolute())
        .collect()
}

fn package_folders() -> Vec<PathBuf> {
    FOLDERS
        .iter()
        .filter_map(|pattern| glob::glob(pattern).ok())
        .flat_map(Iterator::flatten)
        .collect()
}

fn pg_config_bindir(path: &[PathBuf]) -> Option<PathBuf> {
    let program = path
        .iter()
        .map(|folder| folder.join("pg_config"))
        .find(|program| program.is_file())?;
    let output = run(&program, "--bindir")?;
    Some(PathBuf::from(output.trim()))
}

fn inspect(name: &str, path: &Path) -> Option<Program> {
    let path = path.canonicalize().ok()?;
    let version = ProgramVersion::parse(name, &run(&path, "--version")?)?;
    Some(Program { path, version })
}

fn run(program: &Path, argument: &str) -> Option<String> {
    let output = Command::new(program)
        .arg(argument)
        .env("LC_ALL", "C")
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .ok()?;
    output
        .status
        .success()
        .then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Says what installs a program, from the text of `/etc/os-release`.
fn install_command(os: &str, release: &str, name: &str, at_least: Option<u32>) -> String {
    let server = matches!(name, "postgres" | "initdb" | "pg_ctl");
    let major = at_least.map(|major| major.to_string());
    let dashed = major
        .as_ref()
        .map(|major| format!("-{major}"))
        .unwrap_or_default();
    if os == "macos" {
        let at = major.map(|major| format!("@{major}")).unwrap_or_default();
        return format!("brew install postgresql{at}");
    }
    let field = |key: &str| {
        release
            .lines()
            .find_map(|line| line.strip_prefix(key)?.strip_prefix('='))
            .map(|value| value.trim_matches('"').to_owned())
            .unwrap_or_default()
    };
    let families = format!("{} {}", field("ID"), field("ID_LIKE"));
    for family in families.split_whitespace() {
        match (family, server) {
            ("debian" | "ubuntu", true) => return format!("sudo apt install postgresql{dashed}"),
            ("debian" | "ubuntu", false) => {
                return format!("sudo apt install postgresql-client{dashed}");
            }
            ("fedora" | "rhel" | "centos", true) => {
                return "sudo dnf install postgresql-server".to_owned();
            }
            ("fedora" | "rhel" | "centos", false) => {
                return "sudo dnf install postgresql".to_owned();
            }
            ("alpine", true) => return "sudo apk add postgresql".to_owned(),
            ("alpine", false) => return "sudo apk add postgresql-client".to_owned(),
            ("arch", true) => return "sudo pacman -S postgresql".to_owned(),
            ("arch", false) => return "sudo pacman -S postgresql-libs".to_owned(),
            ("suse" | "opensuse", true) => {
                return "sudo zypper install postgresql-server".to_owned();
            }
            ("suse" | "opensuse", false) => return "sudo zypper install postgresql".to_owned(),
            _ => {}
        }
    }
    "your package manager (PostgreSQL 13 or newer)".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_from_what_programs_print() {
        let version =
            ProgramVersion::parse("pg_dump", "pg_dump (PostgreSQL) 15.18 (Debian 15.18-1)\n")
                .unwrap();
        assert_eq!((version.major, version.minor), (15, 18));
        assert_eq!(version.text, "15.18");
        let beta = ProgramVersion::parse("postgres", "postgres (PostgreSQL) 19beta2\n").unwrap();
        assert_eq!((beta.major, beta.minor), (19, 0));
        assert!(ProgramVersion::parse("psql", "pg_wrapper: invalid").is_none());
        assert!(ProgramVersion::parse("psql", "pg_dump (PostgreSQL) 15.18").is_none());
    }

    #[test]
    fn the_installed_programs_are_found_once_each() {
        for name in ["postgres", "initdb", "pg_dump", "pg_restore", "psql"] {
            let all = find_all(name);
            let paths: BTreeSet<_> = all.iter().map(|program| &program.path).collect();
            assert_eq!(paths.len(), all.len());
            assert_eq!(find(name).unwrap(), all[0]);
            assert_eq!(all[0].path.file_name().unwrap(), name);
        }
        let postgres = find("postgres").unwrap();
        assert_eq!(
            postgres.sibling("initdb").unwrap().version,
            postgres.version
        );
    }

    #[test]
    fn a_missing_program_says_how_to_install_it() {
        let missing = find("pg_no_such_program").unwrap_err();
        assert!(missing.to_string().contains("pg_no_such_program"));
        assert!(missing.to_string().contains(BINDIR_VARIABLE));
        let too_old = find_at_least("pg_dump", 99).unwrap_err().to_string();
        assert!(too_old.contains("version 99 or newer"), "{too_old}");
        assert!(too_old.contains("there is"), "{too_old}");
    }

    #[test]
    fn each_system_gets_its_own_command() {
        let command = |release, name| install_command("linux", release, name, Some(17));
        assert_eq!(
            command(
                "NAME=\"x\"\nID=linuxmint\nID_LIKE=\"ubuntu debian\"\n",
                "psql"
            ),
            "sudo apt install postgresql-client-17"
        );
        assert_eq!(
            command("ID=\"rocky\"\nID_LIKE=\"rhel centos fedora\"", "initdb"),
            "sudo dnf install postgresql-server"
        );
        assert_eq!(
            command("ID=alpine", "pg_dump"),
            "sudo apk add postgresql-client"
        );
        assert_eq!(
            install_command("macos", "", "pg_dump", Some(17)),
            "brew install postgresql@17"
        );
        assert!(command("", "psql").contains("package manager"));
    }

    #[test]
    fn the_nearest_version_that_is_new_enough_is_chosen() {
        let program = |major, minor| Program {
            path: PathBuf::from(format!("/{major}.{minor}")),
            version: ProgramVersion {
                major,
                minor,
                text: format!("{major}.{minor}"),
            },
        };
        let all = vec![
            program(18, 1),
            program(16, 4),
            program(16, 2),
            program(13, 9),
        ];
        assert_eq!(choose(all.clone(), 15).unwrap(), program(16, 4));
        assert_eq!(choose(all.clone(), 18).unwrap(), program(18, 1));
        assert_eq!(choose(all.clone(), 19).unwrap_err(), all);
    }
}
