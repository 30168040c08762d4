//! The names that gates refer to, and the checks of every reference.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use toml::de::DeValue;

use super::findings::{At, Findings};
use super::problem::choices;
use super::reader::TableReader;
use super::template::{content_placeholders, placeholders};
use super::tooling::Tool;

/// Names that every template may use besides the runbook's own variables and captures.
pub(super) const BUILT_IN: [&str; 2] = ["run.id", "date"];

/// What gates may refer to, known before they are read.
#[derive(Clone)]
pub(super) struct Names {
    pub(super) targets: BTreeSet<String>,
    pub(super) tools: BTreeMap<String, Tool>,
    /// The projects that Alembic owns.
    pub(super) projects: BTreeSet<String>,
    /// The targets that are production.
    pub(super) production: BTreeSet<String>,
    pub(super) roles: BTreeSet<String>,
    pub(super) vars: BTreeSet<String>,
    /// Filled in while gates are read, so that a capture is known only after the gate that makes it.
    pub(super) captures: BTreeSet<String>,
    /// Every capture of the file, to tell what is captured too late from what never is.
    pub(super) all_captures: BTreeSet<String>,
    /// Ids of messages, known before any gate is read.
    pub(super) messages: BTreeSet<String>,
    /// The kind of every gate that has been read.
    pub(super) gates: BTreeMap<String, &'static str>,
    /// The target of every backup gate that has been read.
    pub(super) backed_up: BTreeMap<String, String>,
    /// The targets whose backup is restored by a rehearsal further up.
    pub(super) rehearsed: BTreeSet<String>,
    /// Gates that were named before they could have been read, and by what.
    pub(super) later_gates: Vec<(At<String>, String)>,
    /// Whether the runbook says whose keys sign.
    pub(super) signs: bool,
    /// Whether the gate being read belongs to a way back.
    pub(super) going_back: bool,
    /// Ids of phases and gates with their places.
    pub(super) ids: BTreeMap<String, Range<usize>>,
}

impl Names {
    /// Checks an id: its form, and that nothing else has it.
    pub(super) fn claim(&mut self, id: &At<String>, what: &str, findings: &Findings<'_>) {
        if id.value.is_empty() {
            return;
        }
        if !is_id(&id.value) {
            findings.add(
                id.span.clone(),
                format!("`{}` cannot be the id of {what}", id.value),
                "not an id",
                Some(
                    "an id is lower-case letters, digits and hyphens, a letter first, at most 64"
                        .into(),
                ),
            );
        } else if let Some(first) = self.ids.get(&id.value) {
            findings.add(
                id.span.clone(),
                format!(
                    "the id `{}` is taken: line {} has it",
                    id.value,
                    findings.line(first)
                ),
                "ids are unique in the whole file: the journal and signatures name them",
                None,
            );
        }
        self.ids
            .entry(id.value.clone())
            .or_insert_with(|| id.span.clone());
    }
}

impl Names {
    /// The ids of the gates of one kind that have been read.
    pub(super) fn gates_of(&self, kind: &str) -> Vec<&str> {
        let found = self.gates.iter().filter(|(_, found)| **found == kind);
        found.map(|(id, _)| id.as_str()).collect()
    }
}

fn is_id(text: &str) -> bool {
    text.len() <= 64
        && text.starts_with(|c: char| c.is_ascii_lowercase())
        && text
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
}

pub(super) fn need_target(table: &mut TableReader<'_, '_>, names: &Names) -> String {
    if !table.has("target") {
        let listed: Vec<String> = names.targets.iter().map(|t| format!("`{t}`")).collect();
        let help = match listed.as_slice() {
            [] => "describe one as [target.NAME] first, then name it here".to_owned(),
            _ => format!("write target = \"…\" with one of {}", listed.join(", ")),
        };
        table.missing("target", help);
    }
    optional_target(table, names).unwrap_or_default()
}

pub(super) fn optional_target(table: &mut TableReader<'_, '_>, names: &Names) -> Option<String> {
    let target = table.string("target")?;
    if !names.targets.contains(&target.value) {
        let valid: Vec<&str> = names.targets.iter().map(String::as_str).collect();
        table.findings.add(
            target.span,
            format!("there is no target `{}`", target.value),
            "not a target of this runbook",
            Some(match valid.as_slice() {
                [] => format!("describe it as [target.{}] first", target.value),
                valid => choices(&target.value, valid),
            }),
        );
    }
    Some(target.value)
}

/// Reads the id of a gate further up.
pub(super) fn optional_gate(
    table: &mut TableReader<'_, '_>,
    key: &'static str,
    names: &Names,
) -> Option<String> {
    let given = table.string(key)?;
    let valid: Vec<&str> = names.gates.keys().map(String::as_str).collect();
    check_gate(&given, &valid, table);
    Some(given.value)
}

pub(super) fn need_gate(
    table: &mut TableReader<'_, '_>,
    key: &'static str,
    names: &Names,
) -> String {
    if !table.has(key) {
        table.missing(key, format!("write {key} = \"…\" with the id of a gate"));
    }
    optional_gate(table, key, names).unwrap_or_default()
}

/// Reads the id of a gate of one kind further up.
pub(super) fn need_gate_of(
    table: &mut TableReader<'_, '_>,
    key: &'static str,
    kind: &str,
    names: &Names,
) -> String {
    if !table.has(key) {
        table.missing(
            key,
            format!("write {key} = \"…\" with the id of a {kind} gate"),
        );
    }
    optional_gate_of(table, key, kind, names).unwrap_or_default()
}

/// Reads the id of a gate of one kind further up, where there is one.
pub(super) fn optional_gate_of(
    table: &mut TableReader<'_, '_>,
    key: &'static str,
    kind: &str,
    names: &Names,
) -> Option<String> {
    let given = table.string(key)?;
    check_gate(&given, &names.gates_of(kind), table);
    Some(given.value)
}

pub(super) fn check_gate(given: &At<String>, valid: &[&str], table: &TableReader<'_, '_>) {
    if valid.contains(&given.value.as_str()) {
        return;
    }
    let help = match valid {
        [] => "there is none above it".to_owned(),
        valid => choices(&given.value, valid),
    };
    table.findings.add(
        given.span.clone(),
        format!("`{}` is no gate that {} can name", given.value, table.name),
        "not one of the gates above",
        Some(help),
    );
}

/// Checks a list of roles: each is described, and named once.
pub(super) fn check_roles(roles: &[At<String>], table: &TableReader<'_, '_>, names: &Names) {
    let named = names.roles.iter().filter(|role| !role.is_empty());
    let valid: Vec<&str> = named.map(String::as_str).collect();
    for (index, role) in roles.iter().enumerate() {
        if !names.roles.contains(&role.value) {
            table.findings.add(
                role.span.clone(),
                format!("there is no role `{}`", role.value),
                "not a role of this runbook",
                Some(match valid.as_slice() {
                    [] => "describe it as [[role]] first, with its members".to_owned(),
                    valid => choices(&role.value, valid),
                }),
            );
        } else if roles[..index].iter().any(|r| r.value == role.value) {
            let message = format!("role `{}` stands here twice", role.value);
            table
                .findings
                .add(role.span.clone(), message, "once is enough", None);
        }
    }
}

pub(super) fn check_template(text: &At<String>, table: &TableReader<'_, '_>, names: &Names) {
    check_names(placeholders(&text.value), text, table, names);
}

/// Checks the content of a file, in which `${…}` is the file's own.
pub(super) fn check_content(text: &At<String>, table: &TableReader<'_, '_>, names: &Names) {
    check_names(content_placeholders(&text.value), text, table, names);
}

fn check_names(asked: Vec<String>, text: &At<String>, table: &TableReader<'_, '_>, names: &Names) {
    for name in asked {
        let known = names.vars.contains(&name)
            || names.captures.contains(&name)
            || BUILT_IN.contains(&name.as_str());
        if known {
            continue;
        }
        let message = format!("`{{{name}}}` in {} is not known here", table.name);
        let (label, help) = if names.all_captures.contains(&name) {
            (
                "only a gate further down captures this",
                "move the checklist that captures it before this gate".to_owned(),
            )
        } else {
            let valid: Vec<&str> = names
                .vars
                .iter()
                .chain(&names.captures)
                .map(String::as_str)
                .chain(BUILT_IN)
                .collect();
            let help = format!("{}; write {{{{ for a brace", choices(&name, &valid));
            ("nothing fills this in", help)
        };
        table
            .findings
            .add(text.span.clone(), message, label, Some(help));
    }
}

/// Looks ahead for the names that checklists capture.
pub(super) fn all_captures(value: &DeValue<'_>) -> BTreeSet<String> {
    match value {
        DeValue::Table(table) => table
            .iter()
            .flat_map(|(key, value)| match value.get_ref().as_str() {
                Some(name) if key.get_ref() == "capture" => BTreeSet::from([name.to_owned()]),
                _ => all_captures(value.get_ref()),
            })
            .collect(),
        DeValue::Array(list) => list
            .iter()
            .flat_map(|item| all_captures(item.get_ref()))
            .collect(),
        _ => BTreeSet::new(),
    }
}
