//! Reads `pg_service.conf`, where a team keeps its addresses under names.

use std::path::{Path, PathBuf};

use super::connection_string::{Pairs, unknown};
use super::environment::Environment;
use super::keywords;

/// Why a service's address could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ServiceError {
    pub(super) place: String,
    pub(super) problem: String,
}

/// Finds a service in the user's file, then in the machine's.
pub(super) fn find(
    name: &str,
    explicit: Option<&str>,
    environment: &Environment,
) -> Result<(Pairs, PathBuf), ServiceError> {
    let files = match explicit {
        Some(file) => vec![PathBuf::from(file)],
        None => environment.service_files(),
    };
    let mut known = Vec::new();
    for file in &files {
        let text = match std::fs::read_to_string(file) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            Err(error) => {
                return Err(ServiceError {
                    place: format!("the service file {}", file.display()),
                    problem: format!("cannot read it: {error}"),
                });
            }
        };
        if let Some(pairs) = section(&text, name, file)? {
            return Ok((pairs, file.clone()));
        }
        known.extend(section_names(&text).map(str::to_owned));
    }
    let looked: Vec<String> = files
        .iter()
        .map(|file| file.display().to_string())
        .collect();
    let known = if known.is_empty() {
        "none is defined there".to_owned()
    } else {
        format!("defined there: {}", known.join(", "))
    };
    Err(ServiceError {
        place: format!("the service '{name}'"),
        problem: format!("it was not found in {}; {known}", looked.join(", ")),
    })
}

fn section_name(line: &str) -> Option<&str> {
    line.strip_prefix('[')?.strip_suffix(']')
}

fn section_names(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter_map(|line| section_name(line.trim()))
}

fn section(text: &str, name: &str, file: &Path) -> Result<Option<Pairs>, ServiceError> {
    let mut found: Option<Pairs> = None;
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        if let Some(section) = section_name(line) {
            if found.is_some() {
                break;
            }
            if section == name {
                found = Some(Pairs::new());
            }
            continue;
        }
        let Some(pairs) = &mut found else { continue };
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let problem = |problem: String| ServiceError {
            place: format!("the service '{name}' at {}:{}", file.display(), number + 1),
            problem,
        };
        let Some((keyword, value)) = line.split_once('=') else {
            return Err(problem(if line.starts_with("ldap") {
                "addresses in LDAP are not looked up".to_owned()
            } else {
                "the line is not keyword=value".to_owned()
            }));
        };
        match keywords::find(keyword.trim()) {
            Some(keyword) if matches!(keyword.name, "service" | "servicefile") => {
                return Err(problem("a service cannot name another service".to_owned()));
            }
            Some(keyword) => pairs.push((keyword.name, value.trim().to_owned())),
            None => return Err(problem(unknown(keyword.trim(), ""))),
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str =
        "# ours\n[other]\nhost=o\n\n[prod]\nhost = p\n# no\nport=6432\n[last]\nx=1\n";

    #[test]
    fn a_section_is_read_up_to_the_next_one() {
        let pairs = section(TEXT, "prod", Path::new("f")).unwrap().unwrap();
        assert_eq!(
            pairs,
            [("host", "p".to_owned()), ("port", "6432".to_owned())]
        );
        assert_eq!(section(TEXT, "nope", Path::new("f")).unwrap(), None);
    }

    #[test]
    fn errors_name_the_line_or_the_services_there_are() {
        let error = section(TEXT, "last", Path::new("f")).unwrap_err();
        assert!(error.place.contains("f:10"), "{error:?}");
        assert!(error.problem.contains("'x'"), "{error:?}");

        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(".pg_service.conf"), TEXT).unwrap();
        let environment = Environment::from_variables([]).with_home(folder.path());
        let error = find("nope", None, &environment).unwrap_err();
        assert!(error.problem.contains("other, prod, last"), "{error:?}");
    }
}
