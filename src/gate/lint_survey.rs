//! Reads what a lint is about: SQL files with their hazards, and folders with what they write.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::Context;
use super::lint_seen::{BoundaryWrite, HazardStanding, LintSeen, LintedFile, LintedHazard};
use crate::digest::digest;
use crate::runbook::{Boundary, Lint};
use crate::sql::hazard::{self, Hazard, Source};
use crate::sql::{Places, Script, find_embedded, is_meant, writes};
use crate::untrusted::{clean_line, clip};

/// A file larger than this is no source file, in bytes.
const LARGEST: u64 = 8 * 1024 * 1024;
/// How many skipped files are named.
const SKIPPED_NAMED: usize = 50;

/// What was read, and a hash of it.
pub(super) struct Survey {
    pub(super) seen: LintSeen,
    pub(super) digest: String,
    /// Entries of the runbook that allow nothing.
    pub(super) idle: Vec<String>,
}

/// Reads everything. Opens no connection: whether a predicate holds is asked when the gate runs.
pub(super) fn survey(gate: &Lint, context: &Context) -> Survey {
    let mut survey = Survey {
        seen: LintSeen {
            deny: gate.deny.clone(),
            ..LintSeen::default()
        },
        digest: String::new(),
        idle: Vec::new(),
    };
    let mut read = vec![format!("{gate:?}")];
    for path in files(gate, context, &mut survey.seen.problems) {
        let name = context.shown(&path);
        match super::migrate_files::read_text(&path) {
            Err(reason) => survey.seen.problems.push(format!("{name}: {reason}")),
            Ok(text) => {
                let file = linted(gate, context, name, &text);
                read.push(format!("{} {}", file.file, file.sha256));
                let seen = file
                    .hazards
                    .iter()
                    .filter(|h| h.hazard.source == Source::Rehearsal);
                read.extend(seen.map(|h| h.hazard.message.clone()));
                survey.seen.files.push(file);
            }
        }
    }
    for boundary in &gate.boundary {
        walk(boundary, context, &mut survey.seen, &mut read);
    }
    match super::lint_plan::known(gate, context) {
        Some(Ok(plan)) => {
            read.push(format!("plan {}", plan.file.sha256));
            survey.seen.plan = Some(Box::new(plan));
        }
        Some(Err(problem)) => survey.seen.problems.push(problem),
        None => {}
    }
    check_allowed(gate, context, &mut survey);
    survey.digest = digest(read.join("\n").as_bytes());
    survey
}

fn files(gate: &Lint, context: &Context, problems: &mut Vec<String>) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = Vec::new();
    for pattern in &gate.files {
        let pattern = context.fill(pattern);
        let mut found = super::migrate_files::expand(&context.base.join(&pattern));
        if found.is_empty() {
            problems.push(format!("no file matches `{pattern}`"));
        }
        found.sort();
        found.retain(|path| !paths.contains(path));
        paths.append(&mut found);
    }
    paths
}

pub(super) fn linted(gate: &Lint, context: &Context, file: String, text: &str) -> LintedFile {
    // What a rehearsal of this run saw counts as what the text says.
    let checksum = crate::sql::Checksum::of(text).normalised;
    let seen = super::rehearse::hazards_of(context, &file, &checksum);
    let hazards = hazard::hazards(text).into_iter().chain(seen);
    LintedFile {
        sha256: digest(text.as_bytes()),
        statements: Script::read(text).statements.len(),
        hazards: hazards
            .map(|hazard| LintedHazard {
                standing: standing(gate, context, &file, &hazard),
                hazard,
            })
            .collect(),
        file,
    }
}

pub(super) fn standing(
    gate: &Lint,
    context: &Context,
    file: &str,
    hazard: &Hazard,
) -> HazardStanding {
    let denied = gate.deny.iter().any(|class| class == hazard.class.word());
    if !denied || !hazard.is_refusable() {
        return HazardStanding::Shown;
    }
    let allowed = gate
        .allow
        .iter()
        .find(|allow| same_path(&context.fill(&allow.file), file) && allow.hazard == hazard.code);
    match allowed {
        None => HazardStanding::Refused,
        Some(allow) => HazardStanding::Conditional {
            target: allow.target.clone(),
            predicate: allow.predicate.clone(),
        },
    }
}

pub(super) fn same_path(a: &str, b: &str) -> bool {
    Path::new(a).components().eq(Path::new(b).components())
        || a.strip_prefix("./").unwrap_or(a) == b.strip_prefix("./").unwrap_or(b)
}

/// An entry that names no rule is a mistake; one that finds nothing is only said.
fn check_allowed(gate: &Lint, context: &Context, survey: &mut Survey) {
    for allow in &gate.allow {
        if !hazard::is_code(&allow.hazard) {
            let problem = format!("no rule has the code `{}`", allow.hazard);
            survey.seen.problems.push(problem);
            continue;
        }
        let path = context.fill(&allow.file);
        let used = survey.seen.files.iter().any(|file| {
            same_path(&path, &file.file)
                && file.hazards.iter().any(|h| h.hazard.code == allow.hazard)
        });
        if !used {
            let idle = format!(
                "the runbook allows {} in {path}, where it is not",
                allow.hazard
            );
            survey.idle.push(idle);
        }
    }
}

/// Reads every text below a folder, as git would see it.
fn walk(boundary: &Boundary, context: &Context, seen: &mut LintSeen, read: &mut Vec<String>) {
    let from = context.fill(&boundary.from);
    let folder = context.base.join(&from);
    if !folder.exists() {
        seen.problems.push(format!("there is no `{from}`"));
        return;
    }
    let before = seen.boundary_files;
    let mut builder = ignore::WalkBuilder::new(&folder);
    builder
        .hidden(false)
        .require_git(false)
        // What a machine or a person ignores must not decide what a repository may hold.
        .ignore(false)
        .git_global(false)
        .git_exclude(false)
        .follow_links(false)
        .sort_by_file_path(Path::cmp)
        .filter_entry(|entry| entry.file_name() != ".git");
    for entry in builder.build() {
        let entry = match entry {
            Ok(entry) => entry,
            Err(error) => {
                seen.problems.push(error.to_string());
                continue;
            }
        };
        match entry.file_type() {
            Some(kind) if kind.is_file() => {
                source_file(boundary, &from, entry.path(), context, seen, read);
            }
            Some(kind) if kind.is_symlink() => skip(seen, context.shown(entry.path())),
            _ => {}
        }
    }
    if seen.boundary_files == before {
        seen.problems
            .push(format!("no file below `{from}` was read"));
    }
}

fn skip(seen: &mut LintSeen, name: String) {
    if seen.skipped.len() < SKIPPED_NAMED {
        seen.skipped.push(name);
    }
}

fn source_file(
    boundary: &Boundary,
    from: &str,
    path: &Path,
    context: &Context,
    seen: &mut LintSeen,
    read: &mut Vec<String>,
) {
    let name = context.shown(path);
    let small = std::fs::metadata(path).is_ok_and(|found| found.len() <= LARGEST);
    let bytes = match std::fs::read(path) {
        Ok(bytes) if small && !bytes.contains(&0) => bytes,
        Ok(_) => return skip(seen, name),
        Err(error) => {
            seen.problems.push(format!("{name}: {error}"));
            return;
        }
    };
    read.push(format!("{name} {}", digest(&bytes)));
    seen.boundary_files += 1;
    let text = String::from_utf8_lossy(&bytes);
    let mut told: BTreeSet<(usize, String)> = BTreeSet::new();
    for (line, verb, relation) in written(path, &text) {
        let meant = |pattern: &&String| is_meant(pattern, &relation);
        let Some(forbidden) = boundary.may_not_write.iter().find(meant) else {
            continue;
        };
        if !told.insert((line, relation.clone())) {
            continue;
        }
        let there = text.lines().nth(line.saturating_sub(1)).unwrap_or_default();
        seen.boundary.push(BoundaryWrite {
            from: from.to_owned(),
            file: name.clone(),
            line,
            verb: verb.to_owned(),
            relation: clean_line(&relation),
            forbidden: forbidden.clone(),
            text: clip(&clean_line(there.trim()), 200),
        });
    }
}

/// What a file writes, and on which line: a SQL file by parsing, any other by its words.
fn written(path: &Path, text: &str) -> Vec<(usize, &'static str, String)> {
    let is_sql = path
        .extension()
        .is_some_and(|extension| extension.eq_ignore_ascii_case("sql"));
    if is_sql {
        let found = writes(text).into_iter();
        return found.map(|w| (w.line, w.verb, w.relation)).collect();
    }
    let places = Places::new(text);
    let found = find_embedded(text).into_iter();
    found
        .map(|f| (places.of(f.at).0, f.verb, f.relation))
        .collect()
}
