//! Reads a program to run: its arguments one by one, and how it must end.

use toml::de::{DeInteger, DeValue};

use super::pattern::check_regex;
use crate::expectation::ProcessExpectation;
use crate::runbook::findings::At;
use crate::runbook::model::Exec;
use crate::runbook::names::{Names, check_template, optional_target};
use crate::runbook::reader::{TableReader, integer};

/// What every program needs: its arguments, the variables that it gets, the folder it runs in.
pub(super) fn read_program(
    table: &mut TableReader<'_, '_>,
    names: &Names,
) -> (Vec<String>, Vec<String>, Option<String>) {
    let argv = table.need_strings("argv", "[\"git\", \"status\"]");
    for argument in &argv {
        check_template(argument, table, names);
    }
    if let Some(program) = argv.first()
        && (program.value.is_empty() || program.value.contains(char::is_whitespace))
    {
        let words: Vec<String> = program
            .value
            .split_whitespace()
            .map(|word| format!("\"{word}\""))
            .collect();
        let help = match words.as_slice() {
            [] => "such as argv = [\"git\", \"status\"]".to_owned(),
            words => format!("did you mean argv = [{}]?", words.join(", ")),
        };
        table.findings.add(
            program.span.clone(),
            format!("the first of `argv` of {} names no program", table.name),
            "there is no shell; each argument is a string of its own",
            Some(help),
        );
    }
    let env = table
        .strings("env", "[\"HOME\", \"PATH\"]")
        .unwrap_or_default();
    for name in &env {
        if name.value.is_empty() || name.value.contains(['=', '\0']) {
            // What stands behind the name is most likely a secret.
            table
                .findings
                .conceal(name.span.start + 1..name.span.end.saturating_sub(1));
            table.findings.add(
                name.span.clone(),
                format!("`env` of {} holds names, and this is none", table.name),
                "the values come from the environment",
                Some("such as env = [\"HOME\", \"PATH\"]".into()),
            );
        }
    }
    let cwd = table.string("cwd");
    if let Some(cwd) = &cwd {
        check_template(cwd, table, names);
    }
    let values = |list: Vec<At<String>>| list.into_iter().map(|text| text.value).collect();
    (values(argv), values(env), cwd.map(|c| c.value))
}

pub(super) fn read(mut table: TableReader<'_, '_>, names: &Names) -> Exec {
    let (argv, env, cwd) = read_program(&mut table, names);
    let looks = table.flag("looks", false);
    let target = optional_target(&mut table, names);
    let label = format!("`expect` of {}", table.name);
    let expect = table
        .table("expect", &label)
        .map_or_else(ProcessExpectation::default, read_process_expectation);
    table.finish();
    Exec {
        argv,
        env,
        cwd,
        expect,
        looks,
        target,
    }
}

fn exit_code(number: &DeInteger<'_>) -> Option<i32> {
    let code = i32::try_from(integer(number)?).ok()?;
    (0..=255).contains(&code).then_some(code)
}

/// Reads the exit codes that are well; 0 when none is given.
pub(in crate::runbook) fn read_exit(table: &mut TableReader<'_, '_>) -> Vec<i32> {
    match table.any("exit") {
        None => vec![0],
        Some(found) => {
            let codes: Option<Vec<i32>> = match found.get_ref() {
                DeValue::Integer(number) => exit_code(number).map(|code| vec![code]),
                DeValue::Array(list) => list
                    .iter()
                    .map(|code| exit_code(code.get_ref().as_integer()?))
                    .collect(),
                _ => None,
            };
            codes.filter(|codes| !codes.is_empty()).unwrap_or_else(|| {
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
    }
}

fn read_process_expectation(mut table: TableReader<'_, '_>) -> ProcessExpectation {
    let exit = read_exit(&mut table);
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
