//! Reads a query: the statement, and what it must answer.

use toml::de::DeValue;

use crate::expectation::{Comparison, ExpectedError, QueryExpectation};
use crate::runbook::findings::At;
use crate::runbook::model::{Query, SqlSource};
use crate::runbook::names::{Names, check_template, need_target};
use crate::runbook::reader::{TableReader, scalar};
use crate::runbook::template::placeholders;

const EXPECT: &str = "write expect = { rows = 0 }, or give `value`, `table` or `error`";

pub(super) fn read(mut table: TableReader<'_, '_>, names: &mut Names) -> Query {
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
                "`sql` says it already; keep one of the two",
                None,
            );
            SqlSource::Inline(String::new())
        }
        (None, None) => {
            if !table.has("sql") && !table.has("file") {
                table.missing("sql", "write sql = \"SELECT …\", or file = \"…\"");
            }
            SqlSource::Inline(String::new())
        }
    };
    let label = format!("`expect` of {}", table.name);
    let expect = match table.table("expect", &label) {
        Some(expect) => read_query_expectation(expect, names),
        None => {
            if !table.has("expect") {
                table.missing("expect", EXPECT);
            }
            QueryExpectation::default()
        }
    };
    let report_rows = table.flag("report_rows", false);
    table.finish();
    Query {
        target,
        role,
        sql,
        expect,
        report_rows,
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
    let silent = keys.iter().all(|key| !table.has(key));
    if error.is_some() && (rows.is_some() || value.is_some() || cells.is_some()) {
        table.findings.add(
            table.span.clone(),
            format!("{} wants an error and a result", table.name),
            "a statement gives one or the other",
            None,
        );
    }
    let (span, name, findings) = (table.span.clone(), table.name.clone(), table.findings);
    if table.finish_beside(&[], &[]) == 0 && silent {
        let label = "what must come is missing";
        findings.add(
            span,
            format!("{name} says nothing"),
            label,
            Some(EXPECT.into()),
        );
    }
    QueryExpectation {
        rows,
        value,
        table: cells,
        error,
    }
}

/// A comparison is a string such as `">= 1"`; a bare number means "equal to it".
pub(super) fn read_comparison(
    table: &mut TableReader<'_, '_>,
    key: &'static str,
    names: &Names,
) -> Option<Comparison> {
    let found = table.any(key)?;
    let text = match (found.get_ref(), scalar(found.get_ref())) {
        (DeValue::String(text), _) => text.to_string(),
        (_, Some(bare)) => format!("= {bare}"),
        _ => {
            let help = Some(format!("write {key} = \"= 0\" or {key} = \">= 5\""));
            table.wrong_type(key, "a comparison", found, help);
            return None;
        }
    };
    let Ok(comparison) = text.parse::<Comparison>() else {
        table.findings.add(
            found.span(),
            format!("`{key}` of {} is not a comparison", table.name),
            "an operator and a value are needed",
            Some(meant(key, &text)),
        );
        return None;
    };
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
            Some("such as rows = \"= 0\" or rows = \">= 1\"".into()),
        );
    }
    Some(comparison)
}

/// Guesses the comparison that a text was meant as.
fn meant(key: &str, text: &str) -> String {
    let text = text.trim();
    let habits = [("==", "="), ("<>", "!="), ("=>", ">="), ("=<", "<=")];
    let repaired = habits
        .iter()
        .find_map(|(habit, ours)| Some(format!("{ours} {}", text.strip_prefix(habit)?.trim())))
        .unwrap_or_else(|| format!("= {text}"));
    let operators = "operators: = != < <= > >=";
    match repaired.parse::<Comparison>() {
        Ok(comparison) => format!("did you mean {key} = \"{comparison}\"? {operators}"),
        Err(_) => format!("such as {key} = \"= 0\" or {key} = \">= 5\"; {operators}"),
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
        // As the server writes it.
        DeValue::Boolean(flag) => Some(if *flag { "t" } else { "f" }.to_owned()),
        value => scalar(value),
    }
}
