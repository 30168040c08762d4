//! `lint`: the hazards of SQL files, for the command line and for continuous integration.

use std::path::{Path, PathBuf};

use super::arguments::{LintArguments, LintFormat};
use super::{Exit, lint_plan, lint_sarif, say};
use crate::sql::elsewhere::Elsewhere;
use crate::sql::hazard::{self, Hazard, HazardClass};
use crate::untrusted::clean_line;

/// The classes that are refused here, as in a runbook that does not say otherwise.
const REFUSED: [HazardClass; 2] = [HazardClass::DataLoss, HazardClass::HostLevel];

/// One file and what was found in it.
pub(super) struct Linted {
    pub(super) file: String,
    pub(super) hazards: Vec<Hazard>,
    /// What else was found, where it is a plan that somebody else made.
    pub(super) plan: Option<Elsewhere>,
}

impl Linted {
    /// Tells whether a hazard of it is refused on this command line.
    pub(super) fn refuses(&self, hazard: &Hazard, allow: &[String]) -> bool {
        match &self.plan {
            Some(_) => Elsewhere::refuses(hazard, &REFUSED.map(|class| class.word().to_owned())),
            None => is_refused(hazard, allow),
        }
    }
}

/// Tells whether a hazard is refused on this command line.
fn is_refused(hazard: &Hazard, allow: &[String]) -> bool {
    REFUSED.contains(&hazard.class)
        && hazard.is_refusable()
        && !allow
            .iter()
            .any(|name| *name == hazard.code || name == hazard.kind.word())
}

pub(super) fn run(arguments: &LintArguments) -> Exit {
    for name in &arguments.allow {
        let known = hazard::rules().iter();
        if !known
            .clone()
            .any(|rule| rule.code == name || rule.kind.word() == name)
        {
            say::Trouble {
                what: format!("no hazard is called `{name}`"),
                untouched: "no file was read",
                next: "name a hazard's code or kind, as a finding shows it".to_owned(),
                evidence: "this message".to_owned(),
            }
            .say();
            return Exit::Usage;
        }
    }
    let (files, mut troubles) = find(&arguments.files);
    let mut linted = Vec::new();
    for path in files {
        let file = path.display().to_string();
        match std::fs::read(&path).map(String::from_utf8) {
            Ok(Ok(text)) => linted.push(Linted {
                file,
                hazards: hazard::hazards(&text),
                plan: None,
            }),
            Ok(Err(_)) => troubles.push(format!("{file} is not UTF-8; save it as UTF-8")),
            Err(error) => troubles.push(format!("{file} cannot be read: {error}")),
        }
    }
    if let Some(file) = &arguments.plan {
        match lint_plan::read(file) {
            Ok(plan) => linted.push(plan),
            Err(trouble) => troubles.push(trouble),
        }
    }
    match arguments.format {
        LintFormat::Text => say::data(&as_text(&linted, &arguments.allow)),
        LintFormat::Json => say::data(&format!("{}\n", as_json(&linted, &arguments.allow))),
        LintFormat::Sarif => say::data(&lint_sarif::write(&linted, &arguments.allow)),
    }
    for trouble in &troubles {
        say::Trouble {
            what: clean_line(trouble),
            untouched: "nothing is ever changed by this command",
            next: "name files that can be read".to_owned(),
            evidence: "this message".to_owned(),
        }
        .say();
    }
    if !troubles.is_empty() {
        return Exit::Config;
    }
    let refused = linted.iter().any(|file| {
        let mut hazards = file.hazards.iter();
        hazards.any(|hazard| file.refuses(hazard, &arguments.allow))
    });
    if refused {
        Exit::DestructiveRefused
    } else if linted.iter().any(lint_plan::is_unclear) {
        Exit::NotPassed
    } else {
        Exit::Well
    }
}

/// The SQL files that were named, and those below the folders that were.
fn find(paths: &[PathBuf]) -> (Vec<PathBuf>, Vec<String>) {
    let (mut files, mut troubles) = (Vec::new(), Vec::new());
    for path in paths {
        if !path.is_dir() {
            files.push(path.clone());
            continue;
        }
        let before = files.len();
        let walk = ignore::WalkBuilder::new(path)
            .require_git(false)
            .sort_by_file_path(Path::cmp)
            .build();
        for entry in walk.flatten() {
            let is_sql = entry
                .path()
                .extension()
                .is_some_and(|e| e.eq_ignore_ascii_case("sql"));
            if is_sql && entry.path().is_file() {
                files.push(entry.into_path());
            }
        }
        if files.len() == before {
            troubles.push(format!("no SQL file lies below {}", path.display()));
        }
    }
    (files, troubles)
}

fn as_text(linted: &[Linted], allow: &[String]) -> String {
    let mut out = String::new();
    let (mut refused, mut shown) = (0, 0);
    for file in linted {
        for hazard in &file.hazards {
            let word = if file.refuses(hazard, allow) {
                refused += 1;
                "refused"
            } else {
                shown += 1;
                hazard.class.word()
            };
            out.push_str(&clean_line(&format!(
                "{}:{}:{}: {word}: {} {}: {}",
                file.file,
                hazard.line,
                hazard.column,
                hazard.code,
                hazard.kind.word(),
                hazard.message
            )));
            out.push('\n');
            if let Some(function) = &hazard.when_called {
                out.push_str(&clean_line(&format!("    when `{function}` is called")));
                out.push('\n');
            }
            out.push_str(&format!(
                "    {}\n    instead: {}\n",
                clean_line(&hazard.statement),
                hazard.instead
            ));
        }
        out.push_str(&lint_plan::as_text(file));
    }
    out.push_str(&format!(
        "{} files, {refused} hazards refused, {shown} shown\n",
        linted.len()
    ));
    out
}

fn as_json(linted: &[Linted], allow: &[String]) -> serde_json::Value {
    let file = |file: &Linted| {
        let hazards: Vec<serde_json::Value> = file
            .hazards
            .iter()
            .map(|hazard| {
                let mut value = serde_json::to_value(hazard).unwrap_or_default();
                value["refused"] = file.refuses(hazard, allow).into();
                value
            })
            .collect();
        let mut value = serde_json::json!({ "path": file.file, "hazards": hazards });
        if let Some(plan) = &file.plan {
            value["statements"] = plan.statements.into();
            value["unclear"] = serde_json::to_value(&plan.unclear).unwrap_or_default();
            value["nothing_to_do"] = serde_json::to_value(&plan.nothing_to_do).unwrap_or_default();
        }
        value
    };
    let files: Vec<serde_json::Value> = linted.iter().map(file).collect();
    serde_json::json!({ "format": 1, "files": files })
}
