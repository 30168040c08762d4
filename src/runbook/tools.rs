//! Reads the tools: other programs that own a schema, each with what it is asked and how it answers.

use std::collections::BTreeMap;

use regex::Regex;
use toml::Spanned;
use toml::de::DeValue;

use super::findings::At;
use super::gates::{check_regex, read_argv_of, read_exit};
use super::names::{Names, check_template};
use super::reader::{TableReader, kind_of};
use super::tooling::{TOOL_ID, Tool, ToolPlan, ToolSql, ToolStatus, ToolStep};

/// Reads `[tool.NAME]`; the variables of the runbook are known by then.
pub(super) fn read_tools(top: &mut TableReader<'_, '_>, names: &Names) -> BTreeMap<String, Tool> {
    let mut tools = BTreeMap::new();
    let Some(table) = top.table("tool", "the tools") else {
        return tools;
    };
    for (key, value) in table.entries() {
        if let Some(tool) = read_tool(&key, value, &table, names) {
            tools.insert(key.value, tool);
        }
    }
    tools
}

fn read_tool(
    key: &At<String>,
    value: &Spanned<DeValue<'_>>,
    table: &TableReader<'_, '_>,
    names: &Names,
) -> Option<Tool> {
    let label = format!("tool `{}`", key.value);
    let Some(fields) = value.get_ref().as_table() else {
        table.findings.add(
            value.span(),
            format!("{label} must be a table"),
            format!("this is {}", kind_of(value.get_ref())),
            Some(format!("write [tool.{}]", key.value)),
        );
        return None;
    };
    let mut reader = TableReader::new(label, value.span(), fields, table.findings);
    let cwd = reader.string("cwd");
    if let Some(cwd) = &cwd {
        check_template(cwd, &reader, names);
    }
    let env = read_env(&mut reader);
    let url_env = read_variable(&mut reader, "url_env");
    let user_env = read_variable(&mut reader, "user_env");
    let password_env = read_variable(&mut reader, "password_env");
    let url_scheme = read_scheme(&mut reader);
    let version = match reader.any("version").is_some() {
        true => read_argv_of(&mut reader, "version", &without_id(names)),
        false => Vec::new(),
    };
    let status = sub(&mut reader, "status").map(|table| read_status(table, names));
    let plan = sub(&mut reader, "plan").map(|table| read_plan(table, names));
    let apply = sub(&mut reader, "apply").map(|table| read_step(table, names));
    let revert = sub(&mut reader, "revert").map(|table| read_step(table, names));
    if !["status", "plan", "apply", "revert"]
        .iter()
        .any(|part| reader.has(part))
    {
        let help = format!("write [tool.{}.status], with argv and pending", key.value);
        reader.missing("status", help);
    }
    reader.finish();
    Some(Tool {
        name: key.value.clone(),
        cwd: cwd.map(|cwd| cwd.value),
        env,
        url_env,
        url_scheme,
        user_env,
        password_env,
        version,
        status,
        plan,
        apply,
        revert,
    })
}

fn sub<'a, 'i>(reader: &mut TableReader<'a, 'i>, key: &'static str) -> Option<TableReader<'a, 'i>> {
    let name = format!("`{key}` of {}", reader.name);
    reader.table(key, &name)
}

fn read_env(reader: &mut TableReader<'_, '_>) -> Vec<String> {
    let env = reader.strings("env", "[\"HOME\"]").unwrap_or_default();
    for name in &env {
        check_variable(name, "env", reader);
    }
    env.into_iter().map(|name| name.value).collect()
}

fn read_variable(reader: &mut TableReader<'_, '_>, key: &'static str) -> Option<String> {
    let name = reader.string(key)?;
    check_variable(&name, key, reader);
    Some(name.value)
}

/// A variable that says where to connect comes from the target, and from nowhere else.
pub(super) fn check_variable(name: &At<String>, key: &str, reader: &TableReader<'_, '_>) {
    let form = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if name.value.is_empty() || !name.value.chars().all(form) {
        // What stands there instead of a name is most likely a secret.
        reader
            .findings
            .conceal(name.span.start + 1..name.span.end.saturating_sub(1));
        reader.findings.add(
            name.span.clone(),
            format!("`{key}` of {} holds names, and this is none", reader.name),
            "the values come from the target and the environment",
            Some(format!("such as {key} = \"DATABASE_URL\"")).filter(|_| key != "env"),
        );
    } else if name.value.starts_with("PG") {
        reader.findings.add(
            name.span.clone(),
            format!(
                "`{}` of {} would lead somewhere else",
                name.value, reader.name
            ),
            "the PG variables are made from the target",
            None,
        );
    }
}

fn read_scheme(reader: &mut TableReader<'_, '_>) -> String {
    let usual = || "postgresql".to_owned();
    let Some(given) = reader.string("url_scheme") else {
        return usual();
    };
    let form = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "+-.:".contains(c);
    if given.value.chars().all(form) && !given.value.ends_with(':') {
        return given.value;
    }
    reader.findings.add(
        given.span,
        format!("`{}` is no scheme of a URL", given.value),
        "this stands before `://`",
        Some("such as \"postgresql\", \"postgres\", \"jdbc:postgresql\"".into()),
    );
    usual()
}

/// `{id}` is filled in by the gate, and is no variable.
fn without_id(names: &Names) -> Names {
    let mut names = names.clone();
    names.vars.remove("id");
    names
}

fn with_id(names: &Names) -> Names {
    let mut names = names.clone();
    names.vars.insert("id".to_owned());
    names
}

fn read_status(mut table: TableReader<'_, '_>, names: &Names) -> ToolStatus {
    let argv = read_argv_of(&mut table, "argv", &without_id(names));
    let exit = read_exit(&mut table);
    let pending = table.need_string("pending");
    check_form(&pending, &table, true);
    let [applied, none, broken] = [("applied", true), ("none", false), ("broken", false)].map(
        |(key, names_one): (&'static str, bool)| {
            let form = table.string(key)?;
            check_form(&form, &table, names_one);
            Some(form.value)
        },
    );
    if applied.is_none() && none.is_none() && !table.has("applied") && !table.has("none") {
        table.missing(
            "none",
            "write none = \"…\": the line that says that nothing is pending; or applied = \"…\"",
        );
    }
    let read_only = table.flag("read_only", true);
    table.finish();
    ToolStatus {
        argv,
        exit,
        pending: pending.value,
        applied,
        none,
        broken,
        read_only,
    }
}

/// A form of a line; one that names a migration does so in its group `id`.
fn check_form(form: &At<String>, table: &TableReader<'_, '_>, names_one: bool) {
    if form.value.is_empty() {
        return;
    }
    check_regex(form, table);
    let Ok(regex) = Regex::new(&form.value) else {
        return;
    };
    if names_one && !regex.capture_names().flatten().any(|name| name == "id") {
        table.findings.add(
            form.span.clone(),
            format!("`{}` names no migration", form.value),
            "the group `id` is missing",
            Some("such as '^\\[ \\] (?P<id>\\S+)'".into()),
        );
    } else if regex.is_match("") {
        table.findings.add(
            form.span.clone(),
            format!("`{}` matches every line", form.value),
            "even an empty one",
            None,
        );
    }
}

fn read_plan(mut table: TableReader<'_, '_>, names: &Names) -> ToolPlan {
    let sql = table.need_string("sql");
    let read = read_sql(&sql, &table, names);
    let from_stdout = read == ToolSql::Stdout;
    let argv = match table.any("argv").is_some() || from_stdout {
        true => read_argv_of(&mut table, "argv", &without_id(names)),
        false => Vec::new(),
    };
    let exit = read_exit(&mut table);
    let [from, until, volatile] = ["from", "until", "volatile"].map(|key: &'static str| {
        let form = table.string(key)?;
        check_form(&form, &table, false);
        Some(form.value)
    });
    let read_only = table.flag("read_only", true);
    table.finish();
    ToolPlan {
        argv,
        exit,
        sql: read,
        from,
        until,
        volatile,
        read_only,
    }
}

fn read_sql(sql: &At<String>, table: &TableReader<'_, '_>, names: &Names) -> ToolSql {
    let path = |text: &str, names: &Names| {
        let at = At {
            value: text.to_owned(),
            span: sql.span.clone(),
        };
        check_template(&at, table, names);
        text.to_owned()
    };
    let kinds = [
        sql.value.strip_prefix("file:"),
        sql.value.strip_prefix("files:"),
    ];
    match (sql.value.as_str(), kinds) {
        ("stdout" | "", _) => ToolSql::Stdout,
        (_, [Some(file), _]) if !file.is_empty() => ToolSql::File(path(file, &without_id(names))),
        (_, [_, Some(glob)]) if !glob.is_empty() => {
            if let Err(error) = glob::Pattern::new(&glob.replace(TOOL_ID, "id")) {
                let message = format!("`{glob}` is no file pattern");
                table
                    .findings
                    .add(sql.span.clone(), message, error.msg, None);
            }
            ToolSql::Files(path(glob, &with_id(names)))
        }
        _ => {
            table.findings.add(
                sql.span.clone(),
                format!("`{}` is no place of SQL", sql.value),
                "not known",
                Some("\"stdout\", \"file:PATH\", or \"files:db/{id}*.sql\"".into()),
            );
            ToolSql::Stdout
        }
    }
}

fn read_step(mut table: TableReader<'_, '_>, names: &Names) -> ToolStep {
    let argv = read_argv_of(&mut table, "argv", &with_id(names));
    let exit = read_exit(&mut table);
    table.finish();
    ToolStep { argv, exit }
}
