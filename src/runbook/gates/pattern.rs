//! Checks regular expressions when the file is loaded, not when the gate runs.

use regex::Regex;

use crate::runbook::findings::At;
use crate::runbook::reader::TableReader;

pub(in crate::runbook) fn check_regex(pattern: &At<String>, table: &TableReader<'_, '_>) {
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
