//! Loads a runbook's text: syntax, then every table, then what they say of each other.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use toml::de::DeTable;

use super::controlling::read_control;
use super::findings::Findings;
use super::gates::read_gates;
use super::messages::read_messages;
use super::model::{Environment, Gate, Kind, Phase, Role, Runbook, Target};
use super::names::{Names, all_captures};
use super::problem::Problems;
use super::projects::read_projects;
use super::reader::{TableReader, integer};
use super::roles::read_roles;
use super::rollbacks::read_rollbacks;
use super::syntax;
use super::targets::read_targets;
use super::tools::read_tools;
use super::vars::read_vars;
use super::window::read_window;
use crate::digest::digest;

/// Loads a runbook from its bytes, as [`load`] does; they must be UTF-8.
///
/// # Errors
/// Every problem of the file, with its place.
pub fn load_bytes(
    path: &str,
    bytes: &[u8],
    vars: &BTreeMap<String, String>,
) -> Result<Runbook, Problems> {
    let at = match std::str::from_utf8(bytes) {
        Ok(text) => return load(path, text, vars),
        Err(error) => error.valid_up_to(),
    };
    let source = String::from_utf8_lossy(bytes);
    let findings = Findings::new(&source);
    findings.add(
        at..at + char::REPLACEMENT_CHARACTER.len_utf8(),
        format!("byte {at} is not UTF-8"),
        "no character of UTF-8 begins like this",
        Some("save the file as UTF-8; an editor may call what it is now Latin-1".into()),
    );
    let (problems, secrets) = findings.into_parts();
    Err(Problems::new(path, &source, problems, &secrets))
}

/// Loads a runbook from its text. `path` is only said in messages; `vars` replace `[vars]`.
///
/// # Errors
/// Every problem of the file, with its place.
pub fn load(path: &str, text: &str, vars: &BTreeMap<String, String>) -> Result<Runbook, Problems> {
    let source = text.strip_prefix('\u{feff}').unwrap_or(text);
    let findings = Findings::new(source);
    let (tree, errors) = DeTable::parse_recoverable(source);
    for error in &errors {
        syntax::report(error, &findings);
    }
    // What a broken file holds beside its mistakes is a guess, and would be reported as one.
    let runbook = errors.is_empty().then(|| {
        let top = TableReader::new("the runbook", start(source), tree.get_ref(), &findings);
        read_top(top, vars, digest(text.as_bytes()))
    });
    match runbook {
        Some(runbook) if findings.is_empty() => Ok(runbook),
        _ => {
            let (problems, secrets) = findings.into_parts();
            Err(Problems::new(path, source, problems, &secrets))
        }
    }
}

/// Where something that the whole file lacks is said to be missing: at its first character.
fn start(source: &str) -> Range<usize> {
    let blank = source.len() - source.trim_start().len();
    match source[blank..].chars().next() {
        Some(first) => blank..blank + first.len_utf8(),
        None => 0..0,
    }
}

fn read_top(
    mut top: TableReader<'_, '_>,
    given: &BTreeMap<String, String>,
    digest: String,
) -> Runbook {
    read_format(&mut top);
    let title = top.need_string("title").value;
    let summary = top.string("summary").map(|s| s.value).unwrap_or_default();
    let root = top
        .string("root")
        .map_or_else(|| ".".to_owned(), |s| s.value);
    let vars = read_vars(&mut top, given);
    top.findings.know(&vars);
    let migrations_disabled_by = super::disabling::read(&mut top);
    let window = top.table("window", "the window").map(read_window);
    let targets = read_targets(&mut top);
    let control = read_control(&mut top, &targets);
    let roles = read_roles(&mut top);
    let signatures = super::signing::read(&mut top, &roles);
    let mut names = known_first(&mut top, &targets, &roles, &vars);
    let break_glass = super::signing::read_break_glass(&mut top, &names);
    names.tools = read_tools(&mut top, &names);
    let projects = read_projects(&mut top, &names);
    names.projects = projects.keys().cloned().collect();
    let messages = read_messages(&mut top, &mut names);
    let phases = read_phases(&mut top, &mut names);
    let path: Vec<Gate> = phases
        .iter()
        .flat_map(|p| p.gates.iter())
        .cloned()
        .collect();
    check_clones(&path, &names, top.findings);
    super::signing::check_waivable(&path, &names, top.findings);
    super::gates::rehearse::check_later(&names, top.findings);
    let rollbacks = read_rollbacks(&mut top, &mut names, &path);
    top.finish();
    Runbook {
        title,
        summary,
        digest,
        root,
        vars,
        window,
        targets,
        tools: names.tools,
        projects,
        roles,
        phases,
        rollbacks,
        messages,
        migrations_disabled_by,
        signatures,
        break_glass,
        control,
    }
}

/// What gates may refer to before any of them has been read.
fn known_first(
    top: &mut TableReader<'_, '_>,
    targets: &BTreeMap<String, Target>,
    roles: &[Role],
    vars: &BTreeMap<String, String>,
) -> Names {
    let ahead = top
        .any("phase")
        .map(|phases| all_captures(phases.get_ref()));
    Names {
        targets: targets.keys().cloned().collect(),
        tools: BTreeMap::new(),
        projects: BTreeSet::new(),
        production: production(targets),
        roles: roles.iter().map(|role| role.name.clone()).collect(),
        vars: vars.keys().cloned().collect(),
        captures: BTreeSet::new(),
        all_captures: ahead.unwrap_or_default(),
        messages: ids_of(top, "message"),
        gates: BTreeMap::new(),
        backed_up: BTreeMap::new(),
        rehearsed: BTreeSet::new(),
        later_gates: Vec::new(),
        signs: top.has("signatures"),
        going_back: false,
        ids: BTreeMap::new(),
    }
}

fn production(targets: &BTreeMap<String, Target>) -> BTreeSet<String> {
    let named = targets.values();
    let production = named.filter(|target| target.environment == Environment::Production);
    production.map(|target| target.name.clone()).collect()
}

/// What replaces a database is run by itself: whoever promotes to production is not asked in the
/// same run to lose another database.
fn check_clones(path: &[Gate], names: &Names, findings: &Findings<'_>) {
    if !path.iter().any(|gate| matches!(gate.kind, Kind::Clone(_))) {
        return;
    }
    for gate in path {
        let acts = match &gate.kind {
            Kind::Migrate(_) | Kind::Restore(_) | Kind::Ramp(_) | Kind::SchemaVersion(_) => true,
            Kind::Exec(exec) => !exec.looks,
            Kind::Tool(tool) => !tool.action.looks(),
            Kind::Alembic(gate) => !gate.action.looks(),
            Kind::RecoveryPoint(point) => point.restore_point.is_some(),
            _ => false,
        };
        let on_production = gate
            .kind
            .target()
            .is_some_and(|t| names.production.contains(t));
        let span = names.ids.get(&gate.id);
        if let (true, true, Some(span)) = (acts, on_production, span) {
            findings.add(
                span.clone(),
                format!(
                    "gate `{}` acts on production in a runbook with a clone",
                    gate.id
                ),
                "a clone's source is only read and backed up",
                Some("put one of the two into a runbook of its own".into()),
            );
        }
    }
}

/// The ids of a list of tables, known before what refers to them is read.
fn ids_of(top: &mut TableReader<'_, '_>, key: &'static str) -> BTreeSet<String> {
    let found = top.any(key).and_then(|found| found.get_ref().as_array());
    let tables = found.into_iter().flatten();
    tables
        .filter_map(|table| table.get_ref().as_table()?.get("id")?.get_ref().as_str())
        .map(str::to_owned)
        .collect()
}

fn read_format(top: &mut TableReader<'_, '_>) {
    let Some(found) = top.any("format") else {
        top.missing("format", "write format = 1 at the top of the file");
        return;
    };
    let number = found.get_ref().as_integer().and_then(integer);
    let help = match number {
        Some(1) => return,
        Some(2..) => "a newer stagegate may read it",
        _ => "write format = 1",
    };
    top.findings.add(
        found.span(),
        "this version of stagegate reads format 1",
        "another format",
        Some(help.into()),
    );
}

fn read_phases(top: &mut TableReader<'_, '_>, names: &mut Names) -> Vec<Phase> {
    let mut phases = Vec::new();
    for (span, table) in top.tables("phase", "phase") {
        let mut reader = TableReader::new("a phase", span, table, top.findings);
        let id = reader.need_string("id");
        names.claim(&id, "a phase", reader.findings);
        if !id.value.is_empty() {
            reader.name = format!("phase `{}`", id.value);
        }
        let title = reader.need_string("title").value;
        let help = reader.string("help").map(|h| h.value);
        let gates = read_gates(&mut reader, "phase.gate", names);
        if gates.is_empty() && !reader.has("gate") {
            reader.missing("gate", "write [[phase.gate]] for each gate of the phase");
        }
        reader.finish();
        phases.push(Phase {
            id: id.value,
            title,
            help,
            gates,
        });
    }
    if phases.is_empty() && !top.has("phase") {
        top.missing("phase", "write [[phase]], and in it [[phase.gate]]");
    }
    phases
}
