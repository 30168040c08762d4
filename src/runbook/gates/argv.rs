//! Reads a program's arguments where a gate has programs beside other things.

use crate::runbook::names::{Names, check_template};
use crate::runbook::reader::TableReader;

pub(in crate::runbook) fn read_argv(
    table: &mut TableReader<'_, '_>,
    key: &'static str,
    names: &Names,
) -> Vec<String> {
    let argv = table.need_strings(key, "[\"flagctl\", \"get\", \"ingest\"]");
    for argument in &argv {
        check_template(argument, table, names);
    }
    if let Some(program) = argv.first()
        && (program.value.is_empty() || program.value.contains(char::is_whitespace))
    {
        let message = format!("the first of `{key}` of {} names no program", table.name);
        let label = "there is no shell; each argument is a string of its own";
        table
            .findings
            .add(program.span.clone(), message, label, None);
    }
    argv.into_iter().map(|argument| argument.value).collect()
}
