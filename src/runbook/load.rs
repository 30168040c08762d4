//! Loads a runbook's text: syntax, then every table, then what they say of each other.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use toml::de::{DeTable, DeValue};

use super::gates::read_gate;
use super::model::{Phase, Runbook};
use super::names::{BUILT_IN, Names};
use super::problem::{Problems, choices};
use super::reader::{Findings, TableReader};
use super::roles::read_roles;
use super::targets::read_targets;
use super::template::is_name;
use super::window::read_window;
use crate::digest::digest;

/// Loads a runbook from its text. `path` is only said in messages; `vars` replace `[vars]`.
///
/// # Errors
/// Every problem of the file, with its place.
pub fn load(path: &str, text: &str, vars: &BTreeMap<String, String>) -> Result<Runbook, Problems> {
    let source = text.strip_prefix('\u{feff}').unwrap_or(text);
    let findings = Findings::new(source);
    let (tree, errors) = DeTable::parse_recoverable(source);
    for error in errors {
        let span = error.span().unwrap_or(0..0);
        findings.add(span, error.message().trim(), "here", None);
    }
    let span = 0..source.len().min(1);
    let top = TableReader::new("the runbook", span, tree.get_ref(), &findings);
    let mut secrets = Vec::new();
    let runbook = read_top(top, vars, digest(text.as_bytes()), &mut secrets);
    if findings.is_empty() {
        return Ok(runbook);
    }
    let shown = blank_out(source, &secrets);
    Err(Problems::new(path, &shown, findings.into_problems()))
}

/// Replaces secrets by asterisks of the same length, so that places stay right.
fn blank_out(source: &str, secrets: &[Range<usize>]) -> String {
    let mut shown = source.to_owned();
    for span in secrets {
        if shown.is_char_boundary(span.start) && shown.is_char_boundary(span.end) {
            shown.replace_range(span.clone(), &"*".repeat(span.len()));
        }
    }
    shown
}

fn read_top(
    mut top: TableReader<'_, '_>,
    given: &BTreeMap<String, String>,
    digest: String,
    secrets: &mut Vec<Range<usize>>,
) -> Runbook {
    read_format(&mut top);
    let title = top.need_string("title").value;
    let summary = top.string("summary").map(|s| s.value).unwrap_or_default();
    let root = top
        .string("root")
        .map_or_else(|| ".".to_owned(), |s| s.value);
    let vars = read_vars(&mut top, given);
    let window = top.table("window", "the window").map(read_window);
    let targets = read_targets(&mut top, secrets);
    let roles = read_roles(&mut top);
    let mut names = Names {
        targets: targets.keys().cloned().collect(),
        roles: roles.iter().map(|role| role.name.clone()).collect(),
        vars: vars.keys().cloned().collect(),
        captures: BTreeSet::new(),
        ids: BTreeMap::new(),
    };
    let phases = read_phases(&mut top, &mut names);
    for reserved in ["rollback", "message"] {
        if let Some(found) = top.any(reserved) {
            top.findings.add(
                found.span(),
                format!("`{reserved}` is part of the format, but this version cannot run it"),
                "not available yet",
                Some("say it as checklist items until then".into()),
            );
        }
    }
    top.finish();
    Runbook {
        title,
        summary,
        digest,
        root,
        vars,
        window,
        targets,
        roles,
        phases,
    }
}

fn read_format(top: &mut TableReader<'_, '_>) {
    let Some(found) = top.any("format") else {
        top.missing("format", "the number of the format, 1");
        return;
    };
    if found
        .get_ref()
        .as_integer()
        .map(toml::de::DeInteger::as_str)
        != Some("1")
    {
        top.findings.add(
            found.span(),
            "this version reads format 1",
            "another format",
            Some("write `format = 1`".into()),
        );
    }
}

fn read_vars(
    top: &mut TableReader<'_, '_>,
    given: &BTreeMap<String, String>,
) -> BTreeMap<String, String> {
    let mut vars = BTreeMap::new();
    if let Some(table) = top.table("vars", "the variables") {
        for (key, value) in table.entries() {
            if !is_name(&key.value) || BUILT_IN.contains(&key.value.as_str()) {
                top.findings.add(
                    key.span,
                    format!("`{}` cannot name a variable", key.value),
                    "not a free name",
                    Some("a name is a letter, then letters, digits, `_` or `-`".into()),
                );
                continue;
            }
            match scalar(value.get_ref()) {
                Some(text) => drop(vars.insert(key.value, text)),
                None => top.findings.add(
                    value.span(),
                    format!(
                        "variable `{}` must be a string, a number or true/false",
                        key.value
                    ),
                    format!("this is a {}", value.get_ref().type_str()),
                    None,
                ),
            }
        }
    }
    for (name, value) in given {
        if vars.insert(name.clone(), value.clone()).is_none() {
            let valid: Vec<&str> = vars
                .keys()
                .map(String::as_str)
                .filter(|v| v != name)
                .collect();
            let help = choices(name, &valid);
            top.findings.add(
                0..0,
                format!("--var names `{name}`, which [vars] does not have"),
                "asked for on the command line",
                Some(help),
            );
        }
    }
    vars
}

fn scalar(value: &DeValue<'_>) -> Option<String> {
    match value {
        DeValue::String(text) => Some(text.to_string()),
        DeValue::Integer(number) => Some(number.as_str().to_owned()),
        DeValue::Float(number) => Some(number.as_str().to_owned()),
        DeValue::Boolean(flag) => Some(flag.to_string()),
        _ => None,
    }
}

fn read_phases(top: &mut TableReader<'_, '_>, names: &mut Names) -> Vec<Phase> {
    let mut phases = Vec::new();
    for (span, table) in top.tables("phase") {
        let mut reader = TableReader::new("a phase", span, table, top.findings);
        let id = reader.need_string("id");
        names.claim(&id, "a phase", reader.findings);
        if !id.value.is_empty() {
            reader.name = format!("phase `{}`", id.value);
        }
        let title = reader.need_string("title").value;
        let help = reader.string("help").map(|h| h.value);
        let mut gates = Vec::new();
        for (span, table) in reader.tables("gate") {
            let mut gate = TableReader::new("a gate", span, table, reader.findings);
            let id = gate.need_string("id");
            names.claim(&id, "a gate", gate.findings);
            if !id.value.is_empty() {
                gate.name = format!("gate `{}`", id.value);
            }
            gates.extend(read_gate(gate, id.value, names));
        }
        if gates.is_empty() && !reader.has("gate") {
            reader.missing("gate", "a list of gates, written [[phase.gate]]");
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
        top.missing("phase", "a list of phases, written [[phase]]");
    }
    phases
}
