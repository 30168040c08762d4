//! Reads a program to run: its arguments one by one, and how it must end.

use toml::de::DeValue;

use super::pattern::check_regex;
use crate::expectation::ProcessExpectation;
use crate::runbook::model::Exec;
use crate::runbook::names::{Names, check_template, optional_target};
use crate::runbook::reader::TableReader;

pub(super) fn read(mut table: TableReader<'_, '_>, names: &Names) -> Exec {
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
