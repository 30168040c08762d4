//! Loads a runbook's text: syntax, then every table, then what they say of each other.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use toml::de::{DeTable, DeValue};

use super::gates::read_gate;
use super::model::{Environment, Phase, Role, Runbook, Target, Window};
use super::problem::{Problems, choices};
use super::reader::{At, Findings, TableReader};
use super::template::is_name;
use crate::digest::digest;

/// Names that every template may use besides the runbook's own variables and captures.
pub(super) const BUILT_IN: [&str; 2] = ["run.id", "date"];

/// What gates may refer to, known before they are read.
pub(super) struct Names {
    pub(super) targets: BTreeSet<String>,
    pub(super) roles: BTreeSet<String>,
    pub(super) vars: BTreeSet<String>,
    /// Filled in while gates are read, so that a capture is known only after the gate that makes it.
    pub(super) captures: BTreeSet<String>,
    /// Ids of phases and gates with their places.
    pub(super) ids: BTreeMap<String, Range<usize>>,
}

impl Names {
    /// Checks an id: its form, and that nothing else has it.
    fn claim(&mut self, id: &At<String>, what: &str, findings: &Findings<'_>) {
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
        } else if self.ids.contains_key(&id.value) {
            findings.add(
                id.span.clone(),
                format!("the id `{}` is taken", id.value),
                "ids are unique in the whole file: the journal and signatures name them",
                None,
            );
        }
        self.ids
            .entry(id.value.clone())
            .or_insert_with(|| id.span.clone());
    }
}

fn is_id(text: &str) -> bool {
    text.len() <= 64
        && text.starts_with(|c: char| c.is_ascii_lowercase())
        && text
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
}

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
    if found.get_ref().as_integer().map(|n| n.as_str()) != Some("1") {
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

fn read_window(mut table: TableReader<'_, '_>) -> Window {
    let opens = timestamp(&mut table, "opens");
    let closes = timestamp(&mut table, "closes");
    let last_start = timestamp(&mut table, "last_start");
    let lasts = table.duration("lasts");
    let margin = table.duration("rollback_margin");
    if closes.is_none() && lasts.is_none() && !table.has("closes") && !table.has("lasts") {
        table.missing("lasts", "how long the window lasts, or give `closes`");
    }
    if let (Some(_), Some(lasts)) = (&closes, &lasts) {
        table.findings.add(
            lasts.span.clone(),
            "the window gives both `closes` and `lasts`",
            "only one of them",
            None,
        );
    }
    for (name, later) in [("closes", &closes), ("last_start", &last_start)] {
        if let (Some(opens), Some(later)) = (&opens, later)
            && later.value <= opens.value
        {
            table.findings.add(
                later.span.clone(),
                format!("`{name}` is not after `opens`"),
                "too early",
                None,
            );
        }
    }
    table.finish();
    Window {
        opens: opens.map(|at| at.value),
        closes: closes.map(|at| at.value),
        lasts: lasts.map(|at| at.value),
        last_start: last_start.map(|at| at.value),
        rollback_margin: margin.map(|at| at.value).unwrap_or_default(),
    }
}

fn timestamp(table: &mut TableReader<'_, '_>, key: &'static str) -> Option<At<jiff::Timestamp>> {
    let found = table.any(key)?;
    let time = found
        .get_ref()
        .as_datetime()
        .and_then(|time| time.to_string().parse::<jiff::Timestamp>().ok());
    if time.is_none() {
        table.findings.add(
            found.span(),
            format!("`{key}` of the window must be a date-time with its offset"),
            "not an offset date-time",
            Some("write it without quotes, such as 2026-11-22T01:00:00Z".into()),
        );
    }
    time.map(|value| At {
        value,
        span: found.span(),
    })
}

fn read_targets(
    top: &mut TableReader<'_, '_>,
    secrets: &mut Vec<Range<usize>>,
) -> BTreeMap<String, Target> {
    let mut targets = BTreeMap::new();
    let Some(table) = top.table("target", "the targets") else {
        return targets;
    };
    for (key, value) in table.entries() {
        let label = format!("target `{}`", key.value);
        let Some(fields) = value.get_ref().as_table() else {
            top.findings.add(
                value.span(),
                format!("{label} must be a table, written [target.{}]", key.value),
                "not a table",
                None,
            );
            continue;
        };
        let mut reader = TableReader::new(label, key.span.clone(), fields, top.findings);
        let url = reader.need_string("url");
        check_url(&url, &reader, secrets);
        let environment = read_environment(&mut reader);
        let system_identifier = reader.string("system_identifier");
        if let Some(id) = &system_identifier
            && !id.value.bytes().all(|b| b.is_ascii_digit())
        {
            reader.findings.add(
                id.span.clone(),
                format!(
                    "`system_identifier` of {} must be the number in quotes",
                    reader.name
                ),
                "not a number",
                Some("read it with: SELECT system_identifier FROM pg_control_system()".into()),
            );
        }
        reader.finish();
        targets.insert(
            key.value.clone(),
            Target {
                name: key.value,
                url: url.value,
                environment,
                system_identifier: system_identifier.map(|at| at.value),
            },
        );
    }
    targets
}

fn read_environment(reader: &mut TableReader<'_, '_>) -> Environment {
    let words = Environment::ALL.map(Environment::word);
    let present = reader.has("environment");
    let Some(given) = reader.string("environment") else {
        if !present {
            reader.missing("environment", &format!("one of {}", words.join(", ")));
        }
        return Environment::Production;
    };
    let found = Environment::ALL
        .into_iter()
        .find(|e| e.word() == given.value);
    found.unwrap_or_else(|| {
        reader.findings.add(
            given.span,
            format!("`{}` is no environment", given.value),
            "not known",
            Some(choices(&given.value, &words)),
        );
        Environment::Production
    })
}

fn check_url(url: &At<String>, reader: &TableReader<'_, '_>, secrets: &mut Vec<Range<usize>>) {
    if url.value.is_empty() {
        return;
    }
    if has_password(&url.value) {
        secrets.push(url.span.clone());
        reader.findings.add(
            url.span.clone(),
            format!("the url of {} holds a password", reader.name),
            "a runbook is read by many and signed; it holds no secret",
            Some(
                "leave the password to ~/.pgpass or PGPASSFILE, or write url = \"env:NAME\"".into(),
            ),
        );
        return;
    }
    let known = ["env:", "service:", "postgresql://", "postgres://"];
    if !known.iter().any(|start| url.value.starts_with(start)) {
        reader.findings.add(
            url.span.clone(),
            format!(
                "the url of {} is none that can be connected to",
                reader.name
            ),
            "not understood",
            Some("write env:NAME, service:NAME or postgresql://user@host:port/database".into()),
        );
    }
}

fn has_password(url: &str) -> bool {
    if url.contains("password=") || url.contains("sslpassword=") {
        return true;
    }
    let Some((_, rest)) = url.split_once("://") else {
        return false;
    };
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    authority
        .rsplit_once('@')
        .is_some_and(|(user, _)| user.contains(':'))
}

fn read_roles(top: &mut TableReader<'_, '_>) -> Vec<Role> {
    let mut roles: Vec<Role> = Vec::new();
    for (span, table) in top.tables("role") {
        let mut reader = TableReader::new("a role", span, table, top.findings);
        let name = reader.need_string("name");
        if !name.value.is_empty() {
            reader.name = format!("role `{}`", name.value);
        }
        if roles.iter().any(|role| role.name == name.value) {
            reader.findings.add(
                name.span.clone(),
                format!("role `{}` stands in the file twice", name.value),
                "taken",
                None,
            );
        }
        let title = reader
            .string("title")
            .map_or_else(|| name.value.clone(), |t| t.value);
        let members = reader.need_strings("members");
        for (index, member) in members.iter().enumerate() {
            let twice = members[..index].iter().any(|m| m.value == member.value);
            if member.value.trim().is_empty() || member.value.contains('*') || twice {
                reader.findings.add(
                    member.span.clone(),
                    format!("`{}` cannot be a member of {}", member.value, reader.name),
                    "a member is one person, named once",
                    None,
                );
            }
        }
        reader.finish();
        let members = members.into_iter().map(|member| member.value).collect();
        roles.push(Role {
            name: name.value,
            title,
            members,
        });
    }
    roles
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
