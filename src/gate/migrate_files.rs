//! Finds the files of a `migrate` gate, and reads each once, as the style of its name says.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::Context;
use super::migrate_plan::{PlannedFile, Standing};
use crate::runbook::naming::{self, Half, Mark, Part, Style};
use crate::runbook::{Migrate, MigrateEngine};
use crate::sql::{Checksum, Class, Dialect, Script, normalise};
use crate::system::in_threads;

/// So many files are not worth a thread.
const FEW: usize = 100;

/// A file that belongs to the gate, not read yet.
struct Found {
    path: PathBuf,
    name: String,
    mark: Mark,
}

/// Applied files by their names, each with the checksum that it had.
pub(super) type Known = BTreeMap<String, String>;

/// A file whose bytes were read and hashed, once.
struct ReadFile {
    found: Found,
    text: String,
    checksum: Checksum,
}

/// The files of a gate as they were read, in the order in which they are applied, with what cannot
/// be found or read.
pub(super) struct FilesRead {
    files: Vec<ReadFile>,
    reasons: Vec<String>,
}

impl FilesRead {
    /// The names and hashes of the files, or what cannot be found or read.
    pub(super) fn hashes(&self) -> Result<impl Iterator<Item = (&str, &Checksum)>, &[String]> {
        if !self.reasons.is_empty() {
            return Err(&self.reasons);
        }
        let files = self.files.iter();
        Ok(files.map(|file| (file.found.name.as_str(), &file.checksum)))
    }
}

/// Finds and reads the files, each once, and understands them. Those that are `known` as they are
/// have no statements.
pub(super) fn read_files(
    gate: &Migrate,
    context: &Context,
    known: &Known,
) -> Result<Vec<PlannedFile>, Vec<String>> {
    understand(gate, load(gate, context), known)
}

/// Finds, reads and hashes the files.
pub(super) fn load(gate: &Migrate, context: &Context) -> FilesRead {
    let mut reasons = Vec::new();
    let paths = find(gate, context, &mut reasons);
    let found = match gate.style {
        Style::Plain => plain(context, paths),
        Style::Sqitch => of_plans(gate, context, &paths, &mut reasons),
        _ => by_name(gate, context, paths, &mut reasons),
    };
    let mut files = Vec::new();
    for read in in_threads(found, FEW, read_one) {
        match read {
            Ok(file) => files.push(file),
            Err(reason) => reasons.push(reason),
        }
    }
    FilesRead { files, reasons }
}

fn read_one(found: Found) -> Result<ReadFile, String> {
    match read_text(&found.path) {
        Ok(text) => Ok(ReadFile {
            checksum: Checksum::of(&text),
            found,
            text,
        }),
        Err(reason) => Err(format!("{}: {reason}", found.name)),
    }
}

/// Understands what was read.
pub(super) fn understand(
    gate: &Migrate,
    read: FilesRead,
    known: &Known,
) -> Result<Vec<PlannedFile>, Vec<String>> {
    let mut reasons = read.reasons;
    let mut files = Vec::new();
    for one in read.files {
        match planned(gate, one, known) {
            Ok(file) => files.extend(file),
            Err(more) => reasons.extend(more),
        }
    }
    if reasons.is_empty() {
        Ok(files)
    } else {
        Err(reasons)
    }
}

fn goes_back(gate: &Migrate) -> bool {
    !gate.undoes.is_empty()
}

fn find(gate: &Migrate, context: &Context, reasons: &mut Vec<String>) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = Vec::new();
    for pattern in &gate.files {
        let pattern = context.fill(pattern);
        let found = expand(&context.base.join(&pattern));
        if found.is_empty() {
            reasons.push(format!("no file matches `{pattern}`"));
        }
        // One glob after the other, and within one by bytes: the same on every machine.
        let mut found: Vec<PathBuf> = found.into_iter().filter(|p| !paths.contains(p)).collect();
        found.sort_by(|a, b| bytes(a).cmp(bytes(b)));
        paths.extend(found);
    }
    paths
}

fn bytes(path: &Path) -> &[u8] {
    path.as_os_str().as_encoded_bytes()
}

fn plain(context: &Context, paths: Vec<PathBuf>) -> Vec<Found> {
    let found = |path: PathBuf| {
        let name = context.shown(&path);
        let own = path.file_name().unwrap_or_default().to_string_lossy();
        let mark = Mark::Name(own.into_owned());
        Found { path, name, mark }
    };
    paths.into_iter().map(found).collect()
}

/// Files whose names say what they are for.
fn by_name(
    gate: &Migrate,
    context: &Context,
    paths: Vec<PathBuf>,
    reasons: &mut Vec<String>,
) -> Vec<Found> {
    let mut parts: Vec<(Part, PathBuf, String)> = Vec::new();
    for path in paths {
        let name = context.shown(&path);
        let own = path.file_name().unwrap_or_default().to_string_lossy();
        match naming::part(gate.style, &own) {
            Some(part) => parts.push((part, path, name)),
            None => reasons.push(format!(
                "{name} is no name of style = \"{}\"; such a name is {}",
                gate.style.word(),
                gate.style.shape()
            )),
        }
    }
    let has_downs = parts.iter().any(|(p, ..)| matches!(p, Part::Down(_)));
    // A folder of its own may hold the way back under the names of the way there.
    let same_names = matches!(gate.style, Style::Numbered | Style::Timestamp) && !has_downs;
    parts.retain(|(part, ..)| match part {
        Part::Up(_) => !goes_back(gate) || same_names,
        Part::Down(_) => goes_back(gate),
        Part::Both(_) => true,
        Part::Repeatable => !goes_back(gate),
    });
    if parts.is_empty() && reasons.is_empty() {
        let what = if goes_back(gate) { "undoes" } else { "applies" };
        reasons.push(format!(
            "none of the files {what} anything; with style = \"{}\" a name is {}",
            gate.style.word(),
            gate.style.shape()
        ));
    }
    let mut found: Vec<Found> = Vec::new();
    for (part, path, name) in parts {
        let mark = match part {
            Part::Up(version) | Part::Down(version) | Part::Both(version) => Mark::Version(version),
            Part::Repeatable => Mark::Repeatable,
        };
        found.push(Found { path, name, mark });
    }
    found.sort_by(|a, b| {
        let last = |found: &Found| found.mark == Mark::Repeatable;
        let key = |found: &Found| (last(found), found.mark.version().cloned());
        key(a)
            .cmp(&key(b))
            .then_with(|| a.path.file_name().cmp(&b.path.file_name()))
    });
    reasons.extend(duplicates(&found));
    found
}

/// Versions that several files have, with those files.
fn duplicates(found: &[Found]) -> Vec<String> {
    found
        .chunk_by(|a, b| a.mark == b.mark)
        .filter(|same| same.len() > 1)
        .filter_map(|same| {
            let version = same.first()?.mark.version()?;
            let names: Vec<&str> = same.iter().map(|found| found.name.as_str()).collect();
            Some(format!(
                "version {version} is that of {} files: {}; give each a version of its own",
                names.len(),
                names.join(", ")
            ))
        })
        .collect()
}

/// The files of the changes of each `sqitch.plan`, in its order.
fn of_plans(
    gate: &Migrate,
    context: &Context,
    plans: &[PathBuf],
    reasons: &mut Vec<String>,
) -> Vec<Found> {
    let folder = if goes_back(gate) { "revert" } else { "deploy" };
    let mut found: Vec<Found> = Vec::new();
    for plan in plans {
        let plan_name = context.shown(plan);
        if plan.extension().is_none_or(|extension| extension != "plan") {
            reasons.push(format!(
                "{plan_name} is no sqitch.plan; with style = \"sqitch\" the files are {}",
                Style::Sqitch.shape()
            ));
            continue;
        }
        let text = match read_text(plan) {
            Ok(text) => text,
            Err(reason) => {
                reasons.push(format!("{plan_name}: {reason}"));
                continue;
            }
        };
        let beside = plan.parent().unwrap_or(Path::new(""));
        for change in naming::sqitch_changes(&text) {
            let path = beside.join(folder).join(format!("{change}.sql"));
            let name = context.shown(&path);
            if found.iter().any(|found| found.path == path) {
                reasons.push(format!(
                    "{plan_name} has `{change}` twice; a change that is deployed again under its \
                     own name cannot be followed, give it another name"
                ));
            } else if path.is_file() {
                let mark = Mark::Change(change);
                found.push(Found { path, name, mark });
            } else if !goes_back(gate) {
                reasons.push(format!(
                    "{plan_name} has `{change}`, and there is no {name}"
                ));
            }
        }
    }
    found
}

/// Understands one file; none where it has no way back.
fn planned(
    gate: &Migrate,
    read: ReadFile,
    known: &Known,
) -> Result<Option<PlannedFile>, Vec<String>> {
    let ReadFile {
        found: Found { path, name, mark },
        text,
        checksum,
    } = read;
    let mut notes = Vec::new();
    let script = match gate.style {
        _ if known.get(&name) == Some(&checksum.normalised) => Script::unread(dialect(gate)),
        Style::Dbmate => {
            let (wanted, word) = match goes_back(gate) {
                true => (Half::Down, "down"),
                false => (Half::Up, "up"),
            };
            match naming::half(&normalise(&text), wanted) {
                Some(half) => Script::read_as(&half, dialect(gate)),
                None if goes_back(gate) => return Ok(None),
                None => return Err(vec![format!("{name} has no line `-- migrate:{word}`")]),
            }
        }
        Style::Sqitch => without_transaction(&text, dialect(gate), &mut notes),
        _ => Script::read_as(&text, dialect(gate)),
    };
    if goes_back(gate) && gate.style == Style::Dbmate && script.statements.is_empty() {
        return Ok(None);
    }
    let problems: Vec<String> = script
        .problems
        .iter()
        .chain(&script.unsafe_settings)
        .map(|problem| {
            let (line, message, help) = (problem.line, &problem.message, &problem.help);
            format!("{name}:{line}: {message}; {help}")
        })
        .collect();
    if !problems.is_empty() {
        return Err(problems);
    }
    Ok(Some(PlannedFile {
        path,
        name,
        mark,
        checksum,
        script,
        standing: Standing::Pending,
        undoes: None,
        notes,
    }))
}

/// Reads a file of sqitch, whose first and last statements are the transaction that every file here
/// gets anyway. Blanks stand in their place, so that every line keeps its number.
fn without_transaction(text: &str, dialect: Dialect, notes: &mut Vec<String>) -> Script {
    let script = Script::read_as(text, dialect);
    let (Some(first), Some(last)) = (script.statements.first(), script.statements.last()) else {
        return script;
    };
    let word = |at: usize| script.statement(at).to_ascii_uppercase();
    let is_control = |class: &Class| *class == Class::TransactionControl;
    let begins = matches!(
        word(0).as_str(),
        "BEGIN" | "BEGIN TRANSACTION" | "BEGIN WORK"
    );
    let ends = matches!(
        word(script.statements.len() - 1).as_str(),
        "COMMIT" | "COMMIT TRANSACTION" | "COMMIT WORK" | "END"
    );
    if !begins || !ends || !is_control(&first.class) || !is_control(&last.class) {
        return script;
    }
    let mut bytes = script.text.clone().into_bytes();
    for span in [&first.span, &last.span] {
        let semicolon = bytes
            .iter()
            .skip(span.end)
            .take_while(|b| **b != b';')
            .count();
        for byte in bytes
            .iter_mut()
            .skip(span.start)
            .take(span.len() + semicolon + 1)
        {
            if *byte != b'\n' {
                *byte = b' ';
            }
        }
    }
    notes.push("its own BEGIN and COMMIT are left out".to_owned());
    Script::read_as(&String::from_utf8_lossy(&bytes), dialect)
}

fn dialect(gate: &Migrate) -> Dialect {
    match gate.engine {
        MigrateEngine::Native => Dialect::Sql,
        MigrateEngine::Psql => Dialect::Psql,
    }
}

pub(super) fn expand(pattern: &Path) -> Vec<PathBuf> {
    // A folder's own name may hold what a glob would read as a pattern.
    if pattern.is_file() {
        return vec![pattern.to_owned()];
    }
    glob::glob(&pattern.to_string_lossy())
        .map(|paths| paths.flatten().filter(|path| path.is_file()).collect())
        .unwrap_or_default()
}

/// Reads a file as UTF-8 text.
pub(super) fn read_text(path: &Path) -> Result<String, String> {
    let bytes = std::fs::read(path).map_err(|error| error.to_string())?;
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        format!("byte {at} is not UTF-8; save the file as UTF-8")
    })
}
