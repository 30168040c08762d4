//! Reads the targets: where each is, and what it is for.

use std::collections::BTreeMap;
use std::ops::Range;

use super::model::{Environment, Target};
use super::problem::choices;
use super::reader::{At, TableReader};

pub(super) fn read_targets(
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
