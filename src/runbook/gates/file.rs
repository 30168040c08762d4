//! Reads a file check: a path, and the patterns that must and must not be there.

use super::pattern::check_regex;
use crate::expectation::FileExpectation;
use crate::runbook::model::FileCheck;
use crate::runbook::names::{Names, check_template};
use crate::runbook::reader::TableReader;

pub(super) fn read(mut table: TableReader<'_, '_>, names: &Names) -> FileCheck {
    let path = table.need_string("path");
    check_template(&path, &table, names);
    let exists = table.flag("exists", true);
    let contains = table
        .strings("contains", "[\"(?m)^done$\"]")
        .unwrap_or_default();
    let lacks = table
        .strings("lacks", "[\"(?m)^ERROR\"]")
        .unwrap_or_default();
    table.no_blanks("contains", &contains);
    table.no_blanks("lacks", &lacks);
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
