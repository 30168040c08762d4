//! Reads a drift: a target, what its schema should be, and what does not count.

use crate::runbook::comparing::{Against, Drift};
use crate::runbook::findings::At;
use crate::runbook::names::{Names, check_roles, check_template, need_gate_of, need_target};
use crate::runbook::reader::TableReader;
use crate::schema::{IgnoreRule, Source};

pub(super) fn read(mut table: TableReader<'_, '_>, names: &Names) -> Drift {
    let target = need_target(&mut table, names);
    let against = read_against(&mut table, names);
    let schemas = values(list(&mut table, "schemas", "[\"public\"]"));
    let [ignore, allow] = [
        ("ignore", "[\"table:public.tmp_*\"]"),
        ("allow", "[\"*.comment:*\"]"),
    ]
    .map(|(key, example)| {
        let rules = list(&mut table, key, example);
        check_rules(&rules, &table);
        values(rules)
    });
    let migrations = list(&mut table, "migrations", "[\"db/migrations/*.sql\"]");
    for pattern in &migrations {
        check_template(pattern, &table, names);
    }
    let pending = table.flag("pending", false);
    let version_table = read_table_name(&mut table, "version_table");
    let changelog = table.string("changelog");
    if let Some(changelog) = &changelog {
        check_template(changelog, &table, names);
    }
    let approvers = list(&mut table, "approvers", "[\"schema-owner\"]");
    check_roles(&approvers, &table, names);
    table.finish();
    Drift {
        target,
        against,
        schemas,
        ignore,
        allow,
        migrations: values(migrations),
        pending,
        version_table,
        changelog: changelog.map(|at| at.value),
        approvers: values(approvers),
    }
}

fn values(list: Vec<At<String>>) -> Vec<String> {
    list.into_iter().map(|at| at.value).collect()
}

fn list(table: &mut TableReader<'_, '_>, key: &'static str, example: &str) -> Vec<At<String>> {
    let list = table.strings(key, example).unwrap_or_default();
    table.no_blanks(key, &list);
    list
}

fn read_against(table: &mut TableReader<'_, '_>, names: &Names) -> Against {
    if !table.has("change_of") && !table.has("reviewed") {
        return Against::Schema(read_expected(table, names));
    }
    if table.has("expected") {
        table.findings.add(
            table.place("expected"),
            format!("{} gives both `expected` and a change", table.name),
            "a gate compares with a schema, or with a reviewed change",
            Some("make a gate of each".into()),
        );
        let _ = table.string("expected");
    }
    let of = need_gate_of(table, "change_of", "migrate", names);
    if !table.has("reviewed") {
        table.missing(
            "reviewed",
            "write reviewed = \"db/change.json\", as `stagegate drift BEFORE AFTER --format json` wrote it",
        );
    }
    let reviewed = table.string("reviewed");
    if let Some(reviewed) = &reviewed {
        check_template(reviewed, table, names);
    }
    Against::Change {
        of,
        reviewed: reviewed.map_or_else(String::new, |at| at.value),
    }
}

fn read_expected(table: &mut TableReader<'_, '_>, names: &Names) -> String {
    if !table.has("expected") {
        table.missing(
            "expected",
            "write expected = \"db/schema.sql\", \"dir:db/migrations\", \"git:main:db/schema.sql\" \
             or \"snapshot.json\"",
        );
    }
    let Some(expected) = table.string("expected") else {
        return String::new();
    };
    check_template(&expected, table, names);
    // What only a capture fills in is read when the gate runs.
    let filled = table.findings.fill(&expected.value);
    if let Some(Err(error)) = filled.map(|text| text.parse::<Source>()) {
        table.findings.add(
            expected.span,
            error.to_string(),
            "no source of a schema",
            None,
        );
    }
    expected.value
}

fn check_rules(rules: &[At<String>], table: &TableReader<'_, '_>) {
    for rule in rules.iter().filter(|rule| !rule.value.trim().is_empty()) {
        if let Err(error) = rule.value.parse::<IgnoreRule>() {
            let label = "write KIND:GLOB or KIND.PROPERTY:GLOB";
            table
                .findings
                .add(rule.span.clone(), error.to_string(), label, None);
        }
    }
}

/// Reads the name of a table, with its schema.
pub(super) fn read_table_name(
    table: &mut TableReader<'_, '_>,
    key: &'static str,
) -> Option<String> {
    let given = table.string(key)?;
    let plain = |part: &str| {
        part.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
            && part
                .chars()
                .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
    };
    let parts: Vec<&str> = given.value.split('.').collect();
    if parts.len() != 2 || !parts.iter().all(|part| plain(part)) {
        table.findings.add(
            given.span.clone(),
            format!("`{}` is not the name of a table here", given.value),
            "a schema and a table in lower case are needed",
            Some(format!("such as {key} = \"public.schema_version\"")),
        );
    }
    Some(given.value)
}
