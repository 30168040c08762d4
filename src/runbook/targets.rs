//! Reads the targets: where each is, and what it is for.

use std::collections::BTreeMap;

use toml::Spanned;
use toml::de::DeValue;

use super::findings::At;
use super::model::{Environment, Target};
use super::problem::choices;
use super::reader::{TableReader, kind_of};
use super::secrets::{conceal, has_password};

pub(super) fn read_targets(top: &mut TableReader<'_, '_>) -> BTreeMap<String, Target> {
    let mut targets = BTreeMap::new();
    let Some(table) = top.table("target", "the targets") else {
        return targets;
    };
    for (key, value) in table.entries() {
        check_name(&key, &table);
        // A target that cannot be read is still one: gates that name it are no second mistake.
        let target = read_target(&key, value, &table);
        targets.insert(key.value, target);
    }
    targets
}

/// The operator types this name, at night, before anything acts on production.
fn check_name(key: &At<String>, table: &TableReader<'_, '_>) {
    let typeable = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    if key.value.is_empty() || key.value.len() > 64 || !key.value.chars().all(typeable) {
        table.findings.add(
            key.span.clone(),
            format!("`{}` cannot be the name of a target", key.value),
            "this has to be typed before anything acts on production",
            Some("a name is letters, digits, `_`, `-` and `.`, at most 64".into()),
        );
    }
}

fn read_target(
    key: &At<String>,
    value: &Spanned<DeValue<'_>>,
    table: &TableReader<'_, '_>,
) -> Target {
    let mut target = Target {
        name: key.value.clone(),
        url: String::new(),
        environment: Environment::Production,
        system_identifier: None,
    };
    let label = format!("target `{}`", key.value);
    let Some(fields) = value.get_ref().as_table() else {
        let help = match value.get_ref().as_str() {
            Some(_) => format!("write [target.{}], and in it url = \"…\"", key.value),
            None => format!("write [target.{}]", key.value),
        };
        table.findings.add(
            value.span(),
            format!("{label} must be a table"),
            format!("this is {}", kind_of(value.get_ref())),
            Some(help),
        );
        return target;
    };
    let mut reader = TableReader::new(label, value.span(), fields, table.findings);
    if !reader.has("url") {
        let ways = "env:NAME, service:NAME or postgresql://user@host:port/database";
        reader.missing("url", format!("write url = \"…\" with {ways}"));
    }
    if let Some(url) = reader.string("url") {
        check_url(&url, &reader);
        target.url = url.value;
    }
    target.environment = read_environment(&mut reader);
    target.system_identifier = read_identifier(&mut reader);
    if let Some(found) = reader.unusable("password") {
        reader.findings.conceal(found.span());
        secret_found(found.span(), &reader, "has a password");
    }
    reader.finish();
    target
}

fn read_identifier(reader: &mut TableReader<'_, '_>) -> Option<String> {
    let id = reader.string("system_identifier")?;
    if !id.value.bytes().all(|b| b.is_ascii_digit()) {
        reader.findings.add(
            id.span,
            format!(
                "`system_identifier` of {} must be the number in quotes",
                reader.name
            ),
            "not a number",
            Some("read it with: SELECT system_identifier FROM pg_control_system()".into()),
        );
    }
    Some(id.value)
}

fn read_environment(reader: &mut TableReader<'_, '_>) -> Environment {
    let words = Environment::ALL.map(Environment::word);
    if !reader.has("environment") {
        let one_of = words.map(|word| format!("`{word}`")).join(", ");
        let help = format!("write environment = \"…\" with one of {one_of}");
        reader.missing("environment", help);
    }
    let Some(given) = reader.string("environment") else {
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

pub(super) fn check_url(url: &At<String>, reader: &TableReader<'_, '_>) {
    if has_password(&url.value) {
        // What is encoded cannot be told apart: then all of it is concealed.
        if url.value.contains('%') || conceal(&url.value) == url.value {
            let inside_quotes = url.span.start + 1..url.span.end.saturating_sub(1);
            reader.findings.conceal(inside_quotes);
        }
        secret_found(url.span.clone(), reader, "holds a password in its url");
        return;
    }
    let known = ["env:", "service:", "postgresql://", "postgres://"];
    let leads = |start: &str| {
        let rest = url.value.strip_prefix(start);
        rest.is_some_and(|rest| !rest.is_empty())
    };
    if !known.into_iter().any(leads) {
        reader.findings.add(
            url.span.clone(),
            format!("the url of {} leads to no database", reader.name),
            "not understood",
            Some("write env:NAME, service:NAME or postgresql://user@host:port/database".into()),
        );
    }
}

fn secret_found(span: std::ops::Range<usize>, reader: &TableReader<'_, '_>, what: &str) {
    reader.findings.add(
        span,
        format!("{} {what}", reader.name),
        "a runbook is read by many and signed; it holds no secret",
        Some("leave the password to ~/.pgpass or PGPASSFILE, or write url = \"env:NAME\"".into()),
    );
}
