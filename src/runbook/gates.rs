//! Reads one gate: what all gates share, then its one kind.

use std::ops::Range;
use std::time::Duration;

use regex::Regex;
use toml::de::DeValue;

use super::load::{BUILT_IN, Names};
use super::model::{
    Backup, BackupFormat, Checklist, Exec, FileCheck, Gate, InputKind, Item, KINDS, Kind, Migrate,
    Query, Retry, Signoff, SqlSource,
};
use super::problem::choices;
use super::reader::{At, TableReader};
use super::template::{is_name, placeholders};
use crate::expectation::{
    Comparison, ExpectedError, FileExpectation, ProcessExpectation, QueryExpectation,
};

/// The kinds that this version runs.
const RUNNABLE: [&str; 7] = [
    "checklist",
    "query",
    "exec",
    "file",
    "backup",
    "migrate",
    "signoff",
];

pub(super) fn read_gate(
    mut gate: TableReader<'_, '_>,
    id: String,
    names: &mut Names,
) -> Option<Gate> {
    let title = gate.need_string("title").value;
    let help = gate.string("help").map(|h| h.value);
    let waivable = gate.flag("waivable", false);
    let timeout = gate.duration("timeout").map(|t| t.value);
    let retry_span = gate.any("retry").map(toml::Spanned::span);
    let retry = gate.table("retry", "`retry`").map(read_retry);
    for reserved in ["when", "undo"] {
        if let Some(found) = gate.any(reserved) {
            let message =
                format!("`{reserved}` is part of the format, but this version cannot run it");
            gate.findings
                .add(found.span(), message, "not available yet", None);
        }
    }
    let kind = read_kind(&mut gate, names);
    if let (Some(kind), Some(span)) = (&kind, retry_span) {
        check_retry(kind, span, &gate);
    }
    if let Some(kind) = &kind
        && waivable
        && matches!(kind, Kind::Backup(_) | Kind::Signoff(_))
    {
        gate.findings.add(
            gate.span.clone(),
            format!(
                "{} is a {}, which can never be waived",
                gate.name,
                kind.name()
            ),
            "`waivable` is true here",
            None,
        );
    }
    gate.finish_beside(&KINDS);
    Some(Gate {
        id,
        title,
        help,
        waivable,
        timeout,
        retry,
        kind: kind?,
    })
}

fn read_retry(mut table: TableReader<'_, '_>) -> Retry {
    let attempts = table
        .whole("attempts", 1..=100)
        .map_or(1, |n| n.value as u32);
    let every = table
        .duration("every")
        .map_or(Duration::from_secs(10), |d| d.value);
    table.finish();
    Retry { attempts, every }
}

fn check_retry(kind: &Kind, span: Range<usize>, gate: &TableReader<'_, '_>) {
    let looks = match kind {
        Kind::Query(_) | Kind::File(_) => true,
        Kind::Exec(exec) => exec.looks,
        _ => false,
    };
    if !looks {
        gate.findings.add(
            span,
            format!("`retry` on {}, which does not only look", gate.name),
            "a gate that acts is never retried by itself",
            Some("gates that may have it: query, file, and exec with `looks = true`".into()),
        );
    }
}

/// Finds the one table that names the kind, and reads it.
fn read_kind(gate: &mut TableReader<'_, '_>, names: &mut Names) -> Option<Kind> {
    let present: Vec<&'static str> = KINDS.into_iter().filter(|kind| gate.has(kind)).collect();
    match present.as_slice() {
        [] => {
            gate.missing(
                "its kind",
                &format!("one table, named {}", RUNNABLE.join(", ")),
            );
            None
        }
        [kind] if RUNNABLE.contains(kind) => {
            let label = format!("`{kind}` of {}", gate.name);
            let table = gate.table(kind, &label)?;
            Some(read_one(kind, table, names))
        }
        [kind] => {
            let span = gate
                .any(kind)
                .map_or(gate.span.clone(), toml::Spanned::span);
            gate.findings.add(
                span,
                format!("gate kind `{kind}` is part of the format, but this version cannot run it"),
                "not available yet",
                Some(format!("kinds that run: {}", RUNNABLE.join(", "))),
            );
            None
        }
        [_, second, ..] => {
            let span = gate
                .any(second)
                .map_or(gate.span.clone(), toml::Spanned::span);
            gate.findings.add(
                span,
                format!(
                    "{} has more than one kind: {}",
                    gate.name,
                    present.join(", ")
                ),
                "a gate has exactly one",
                Some("make a gate of each".into()),
            );
            None
        }
    }
}

fn read_one(kind: &str, table: TableReader<'_, '_>, names: &mut Names) -> Kind {
    match kind {
        "checklist" => Kind::Checklist(read_checklist(table, names)),
        "query" => Kind::Query(read_query(table, names)),
        "exec" => Kind::Exec(read_exec(table, names)),
        "file" => Kind::File(read_file(table, names)),
        "backup" => Kind::Backup(read_backup(table, names)),
        "migrate" => Kind::Migrate(read_migrate(table, names)),
        _ => Kind::Signoff(read_signoff(table, names)),
    }
}

fn read_checklist(mut table: TableReader<'_, '_>, names: &mut Names) -> Checklist {
    let mut items = Vec::new();
    match table.any("items") {
        None => table.missing("items", "a list of texts"),
        Some(found) => match found.get_ref().as_array() {
            Some(array) if !array.is_empty() => {
                for item in array.iter() {
                    items.extend(read_item(item, &table, names));
                }
            }
            _ => table.findings.add(
                found.span(),
                format!(
                    "`items` of {} must be a list with at least one item",
                    table.name
                ),
                "nothing to confirm",
                None,
            ),
        },
    }
    table.finish();
    Checklist { items }
}

fn read_item(
    item: &toml::Spanned<DeValue<'_>>,
    table: &TableReader<'_, '_>,
    names: &mut Names,
) -> Option<Item> {
    if let Some(text) = item.get_ref().as_str() {
        let text = At {
            value: text.to_owned(),
            span: item.span(),
        };
        check_template(&text, table, names);
        return Some(Item {
            text: text.value,
            input: None,
            unit: None,
            capture: None,
        });
    }
    let Some(fields) = item.get_ref().as_table() else {
        table.findings.add(
            item.span(),
            "an item is a text or a table with `text`",
            format!("this is a {}", item.get_ref().type_str()),
            None,
        );
        return None;
    };
    let mut reader = TableReader::new("an item", item.span(), fields, table.findings);
    let text = reader.need_string("text");
    check_template(&text, &reader, names);
    let input = reader
        .string("input")
        .and_then(|given| match given.value.as_str() {
            "number" => Some(InputKind::Number),
            "text" => Some(InputKind::Text),
            other => {
                let help = choices(other, &["number", "text"]);
                reader.findings.add(
                    given.span,
                    format!("`{other}` is no input"),
                    "not known",
                    Some(help),
                );
                None
            }
        });
    let unit = reader.string("unit").map(|u| u.value);
    let capture = reader.string("capture");
    if let Some(capture) = &capture {
        check_capture(capture, input, &reader, names);
    }
    reader.finish();
    Some(Item {
        text: text.value,
        input,
        unit,
        capture: capture.map(|c| c.value),
    })
}

fn check_capture(
    capture: &At<String>,
    input: Option<InputKind>,
    reader: &TableReader<'_, '_>,
    names: &mut Names,
) {
    if input.is_none() && !reader.has("input") {
        reader.missing(
            "input",
            "\"number\" or \"text\"; a capture needs something to hold",
        );
    }
    let taken = names.vars.contains(&capture.value)
        || BUILT_IN.contains(&capture.value.as_str())
        || !names.captures.insert(capture.value.clone());
    if taken || !is_name(&capture.value) {
        reader.findings.add(
            capture.span.clone(),
            format!("`{}` cannot name a capture", capture.value),
            "taken, or not a name",
            None,
        );
    }
}

fn read_query(mut table: TableReader<'_, '_>, names: &mut Names) -> Query {
    let target = need_target(&mut table, names);
    let role = table.string("role").map(|r| r.value);
    let inline = table.string("sql");
    let file = table.string("file");
    if let Some(file) = &file {
        check_template(file, &table, names);
    }
    let sql = match (inline, file) {
        (Some(text), None) => SqlSource::Inline(text.value),
        (None, Some(path)) => SqlSource::File(path.value),
        (Some(_), Some(path)) => {
            table.findings.add(
                path.span,
                format!("{} gives both `sql` and `file`", table.name),
                "only one of them",
                None,
            );
            SqlSource::Inline(String::new())
        }
        (None, None) => {
            if !table.has("sql") && !table.has("file") {
                table.missing("sql", "the statement to run, or give `file`");
            }
            SqlSource::Inline(String::new())
        }
    };
    let label = format!("`expect` of {}", table.name);
    let expect = match table.table("expect", &label) {
        Some(expect) => read_query_expectation(expect, names),
        None => {
            if !table.has("expect") {
                table.missing("expect", "what must come: rows, value, table or error");
            }
            QueryExpectation::default()
        }
    };
    table.finish();
    Query {
        target,
        role,
        sql,
        expect,
    }
}

fn read_query_expectation(mut table: TableReader<'_, '_>, names: &Names) -> QueryExpectation {
    let rows = read_comparison(&mut table, "rows", names);
    let value = read_comparison(&mut table, "value", names);
    let cells = read_cells(&mut table);
    let label = format!("`error` in {}", table.name);
    let error = table.table("error", &label).map(|mut error| {
        let sqlstate = error.need_string("sqlstate");
        let valid = sqlstate.value.len() == 5
            && sqlstate
                .value
                .bytes()
                .all(|b| b.is_ascii_digit() || b.is_ascii_uppercase());
        if !valid && !sqlstate.value.is_empty() {
            error.findings.add(
                sqlstate.span.clone(),
                format!("`{}` is no SQLSTATE", sqlstate.value),
                "five digits or capital letters, such as \"42501\"",
                None,
            );
        }
        let routine = error.string("routine").map(|r| r.value);
        error.finish();
        ExpectedError {
            sqlstate: sqlstate.value,
            routine,
        }
    });
    let keys = ["rows", "value", "table", "error"];
    if keys.iter().all(|key| !table.has(key)) {
        table.missing("rows", "a comparison; or give `value`, `table` or `error`");
    }
    if error.is_some() && (rows.is_some() || value.is_some() || cells.is_some()) {
        table.findings.add(
            table.span.clone(),
            format!("{} wants an error and a result", table.name),
            "a statement gives one or the other",
            None,
        );
    }
    table.finish();
    QueryExpectation {
        rows,
        value,
        table: cells,
        error,
    }
}

/// A comparison is a string such as `">= 1"`; a bare number means "equal to it".
fn read_comparison(
    table: &mut TableReader<'_, '_>,
    key: &'static str,
    names: &Names,
) -> Option<Comparison> {
    let found = table.any(key)?;
    if let Some(number) = found.get_ref().as_integer()
        && let Ok(number) = number.as_str().parse::<i64>()
    {
        return Some(Comparison::equal_to(number));
    }
    let text = match found.get_ref() {
        DeValue::String(text) => text.to_string(),
        DeValue::Float(number) => format!("= {}", number.as_str()),
        DeValue::Boolean(flag) => format!("= {flag}"),
        _ => String::new(),
    };
    match text.parse::<Comparison>() {
        Ok(comparison) => {
            let at = At {
                value: comparison.value.clone(),
                span: found.span(),
            };
            check_template(&at, table, names);
            let filled = !placeholders(&comparison.value).is_empty();
            if key == "rows" && !comparison.is_number() && !filled {
                table.findings.add(
                    found.span(),
                    format!("`rows` of {} must compare with a number", table.name),
                    "not a number",
                    None,
                );
            }
            Some(comparison)
        }
        Err(error) => {
            let message = format!("`{key}` of {}: {error}", table.name);
            table
                .findings
                .add(found.span(), message, "not a comparison", None);
            None
        }
    }
}

fn read_cells(table: &mut TableReader<'_, '_>) -> Option<Vec<Vec<String>>> {
    let found = table.any("table")?;
    let rows = found.get_ref().as_array().and_then(|rows| {
        rows.iter()
            .map(|row| {
                row.get_ref()
                    .as_array()?
                    .iter()
                    .map(|c| cell(c.get_ref()))
                    .collect()
            })
            .collect::<Option<Vec<Vec<String>>>>()
    });
    if rows.is_none() {
        table.findings.add(
            found.span(),
            format!(
                "`table` of {} must be a list of rows, each a list of values",
                table.name
            ),
            "not a table",
            Some("such as table = [[\"eng\", 14], [\"vh\", 12]]".into()),
        );
    }
    rows
}

fn cell(value: &DeValue<'_>) -> Option<String> {
    match value {
        DeValue::String(text) => Some(text.to_string()),
        DeValue::Integer(number) => Some(number.as_str().to_owned()),
        DeValue::Float(number) => Some(number.as_str().to_owned()),
        // As the server writes it.
        DeValue::Boolean(flag) => Some(if *flag { "t" } else { "f" }.to_owned()),
        _ => None,
    }
}

fn read_exec(mut table: TableReader<'_, '_>, names: &Names) -> Exec {
    let argv = table.need_strings("argv");
    for argument in &argv {
        check_template(argument, &table, names);
    }
    if let Some(program) = argv.first()
        && program.value.contains(char::is_whitespace)
    {
        table.findings.add(
            program.span.clone(),
            format!("the program of {} holds a space", table.name),
            "there is no shell; each argument is its own string",
            Some("such as argv = [\"git\", \"status\"]".into()),
        );
    }
    let env = table.strings("env").unwrap_or_default();
    for name in &env {
        if name.value.is_empty() || name.value.contains(['=', '\0']) {
            table.findings.add(
                name.span.clone(),
                format!("`{}` is not the name of a variable", name.value),
                "names only; the values come from the environment",
                None,
            );
        }
    }
    let cwd = table.string("cwd");
    if let Some(cwd) = &cwd {
        check_template(cwd, &table, names);
    }
    let looks = table.flag("looks", false);
    let target = optional_target(&mut table, names);
    let label = format!("`expect` of {}", table.name);
    let expect = table
        .table("expect", &label)
        .map_or_else(ProcessExpectation::default, read_process_expectation);
    table.finish();
    Exec {
        argv: argv.into_iter().map(|a| a.value).collect(),
        env: env.into_iter().map(|e| e.value).collect(),
        cwd: cwd.map(|c| c.value),
        expect,
        looks,
        target,
    }
}

fn read_process_expectation(mut table: TableReader<'_, '_>) -> ProcessExpectation {
    let exit = match table.any("exit") {
        None => vec![0],
        Some(found) => {
            let codes: Option<Vec<i32>> = match found.get_ref() {
                DeValue::Integer(n) => n.as_str().parse().ok().map(|code| vec![code]),
                DeValue::Array(list) => list
                    .iter()
                    .map(|c| c.get_ref().as_integer()?.as_str().parse().ok())
                    .collect(),
                _ => None,
            };
            let valid = |codes: &Vec<i32>| {
                !codes.is_empty() && codes.iter().all(|code| (0..=255).contains(code))
            };
            codes.filter(valid).unwrap_or_else(|| {
                table.findings.add(
                    found.span(),
                    format!(
                        "`exit` of {} must be a list of codes from 0 to 255",
                        table.name
                    ),
                    "not a list of codes",
                    Some("such as exit = [0]".into()),
                );
                vec![0]
            })
        }
    };
    let stdout_contains = table.string("stdout_contains").map(|s| s.value);
    let stdout_lacks = table.string("stdout_lacks").map(|s| s.value);
    let stdout_matches = table.string("stdout_matches");
    if let Some(pattern) = &stdout_matches {
        check_regex(pattern, &table);
    }
    let stdout_last_line = table.string("stdout_last_line").map(|s| s.value);
    table.finish();
    ProcessExpectation {
        exit,
        stdout_contains,
        stdout_lacks,
        stdout_matches: stdout_matches.map(|s| s.value),
        stdout_last_line,
    }
}

fn read_file(mut table: TableReader<'_, '_>, names: &Names) -> FileCheck {
    let path = table.need_string("path");
    check_template(&path, &table, names);
    let exists = table.flag("exists", true);
    let contains = table.strings("contains").unwrap_or_default();
    let lacks = table.strings("lacks").unwrap_or_default();
    for pattern in contains.iter().chain(&lacks) {
        check_regex(pattern, &table);
    }
    if !exists && let Some(pattern) = contains.first() {
        table.findings.add(
            pattern.span.clone(),
            format!("{} wants no file and something in it", table.name),
            "a file that must not exist holds nothing",
            None,
        );
    }
    table.finish();
    FileCheck {
        path: path.value,
        expect: FileExpectation {
            exists,
            contains: contains.into_iter().map(|c| c.value).collect(),
            lacks: lacks.into_iter().map(|c| c.value).collect(),
        },
    }
}

fn read_backup(mut table: TableReader<'_, '_>, names: &Names) -> Backup {
    let target = need_target(&mut table, names);
    let path = table.need_string("path");
    check_template(&path, &table, names);
    let format = match table.string("format") {
        None => BackupFormat::Custom,
        Some(given) => match given.value.as_str() {
            "custom" => BackupFormat::Custom,
            "directory" => BackupFormat::Directory,
            other => {
                let help = choices(other, &["custom", "directory"]);
                table.findings.add(
                    given.span,
                    format!("`{other}` is no format that pg_restore reads back with its checks"),
                    "not known",
                    Some(help),
                );
                BackupFormat::Custom
            }
        },
    };
    let jobs = table.whole("jobs", 1..=64);
    if let Some(jobs) = &jobs
        && format == BackupFormat::Custom
        && jobs.value > 1
    {
        table.findings.add(
            jobs.span.clone(),
            format!("`jobs` of {} needs the directory format", table.name),
            "pg_dump writes the custom format with one worker",
            Some("write format = \"directory\"".into()),
        );
    }
    table.finish();
    Backup {
        target,
        path: path.value,
        format,
        jobs: jobs.map_or(1, |j| j.value as u32),
    }
}

fn read_migrate(mut table: TableReader<'_, '_>, names: &Names) -> Migrate {
    let target = need_target(&mut table, names);
    let files = table.need_strings("files");
    for file in &files {
        check_template(file, &table, names);
        if let Err(error) = glob::Pattern::new(&file.value) {
            let message = format!("`{}` is no file pattern", file.value);
            table
                .findings
                .add(file.span.clone(), message, error.msg, None);
        }
    }
    let role = table.string("role").map(|r| r.value);
    let search_path = table.string("search_path").map(|s| s.value);
    let seconds = Duration::from_secs;
    let lock_timeout = read_limit(&mut table, "lock_timeout", seconds(3), seconds(60));
    let statement_timeout = read_limit(
        &mut table,
        "statement_timeout",
        seconds(600),
        seconds(86_400),
    );
    let attempts = table
        .whole("attempts", 1..=100)
        .map_or(5, |n| n.value as u32);
    let out_of_order = match table.string("out_of_order") {
        None => false,
        Some(given) => match given.value.as_str() {
            "refuse" => false,
            "allow" => true,
            other => {
                let help = choices(other, &["refuse", "allow"]);
                let message = format!("`{other}` is no rule for files out of order");
                table
                    .findings
                    .add(given.span, message, "not known", Some(help));
                false
            }
        },
    };
    table.finish();
    Migrate {
        target,
        files: files.into_iter().map(|f| f.value).collect(),
        role,
        search_path,
        lock_timeout,
        statement_timeout,
        attempts,
        out_of_order,
    }
}

/// A server-side limit: never 0, which would mean none, and never beyond `longest`.
fn read_limit(
    table: &mut TableReader<'_, '_>,
    key: &'static str,
    default: Duration,
    longest: Duration,
) -> Duration {
    let Some(given) = table.duration(key) else {
        return default;
    };
    if given.value.is_zero() || given.value > longest {
        table.findings.add(
            given.span,
            format!(
                "`{key}` of {} must be from 1ms to {}s",
                table.name,
                longest.as_secs()
            ),
            "0 would mean no limit at all",
            None,
        );
        return default;
    }
    given.value
}

fn read_signoff(mut table: TableReader<'_, '_>, names: &Names) -> Signoff {
    let roles = table.need_strings("roles");
    let valid: Vec<&str> = names.roles.iter().map(String::as_str).collect();
    for (index, role) in roles.iter().enumerate() {
        if !names.roles.contains(&role.value) {
            table.findings.add(
                role.span.clone(),
                format!("there is no role `{}`", role.value),
                "not a role of this runbook",
                Some(choices(&role.value, &valid)),
            );
        } else if roles[..index].iter().any(|r| r.value == role.value) {
            let message = format!("role `{}` stands here twice", role.value);
            table
                .findings
                .add(role.span.clone(), message, "once is enough", None);
        }
    }
    let distinct = table.flag("distinct", true);
    if let Some(signature) = table.string("signature")
        && signature.value != "none"
    {
        let help = choices(&signature.value, &["none"]);
        let message = format!(
            "`{}` is no signature that this version makes",
            signature.value
        );
        table
            .findings
            .add(signature.span, message, "not available", Some(help));
    }
    table.finish();
    Signoff {
        roles: roles.into_iter().map(|r| r.value).collect(),
        distinct,
    }
}

fn need_target(table: &mut TableReader<'_, '_>, names: &Names) -> String {
    if !table.has("target") {
        table.missing("target", "the name of a target");
    }
    optional_target(table, names).unwrap_or_default()
}

fn optional_target(table: &mut TableReader<'_, '_>, names: &Names) -> Option<String> {
    let target = table.string("target")?;
    if !names.targets.contains(&target.value) {
        let valid: Vec<&str> = names.targets.iter().map(String::as_str).collect();
        table.findings.add(
            target.span,
            format!("there is no target `{}`", target.value),
            "not a target of this runbook",
            Some(choices(&target.value, &valid)),
        );
    }
    Some(target.value)
}

fn check_template(text: &At<String>, table: &TableReader<'_, '_>, names: &Names) {
    for name in placeholders(&text.value) {
        let known = names.vars.contains(&name)
            || names.captures.contains(&name)
            || BUILT_IN.contains(&name.as_str());
        if !known {
            let valid: Vec<&str> = names
                .vars
                .iter()
                .chain(&names.captures)
                .map(String::as_str)
                .chain(BUILT_IN)
                .collect();
            table.findings.add(
                text.span.clone(),
                format!("`{{{name}}}` in {} is not known here", table.name),
                "nothing fills this in",
                Some(format!(
                    "{}; write {{{{ for a brace",
                    choices(&name, &valid)
                )),
            );
        }
    }
}

fn check_regex(pattern: &At<String>, table: &TableReader<'_, '_>) {
    if let Err(error) = Regex::new(&pattern.value) {
        let reason = error.to_string();
        let reason = reason.lines().last().unwrap_or("it does not parse").trim();
        table.findings.add(
            pattern.span.clone(),
            format!("`{}` is no regular expression", pattern.value),
            reason.trim_start_matches("error: "),
            None,
        );
    }
}
