//! Reads a drift: a target, what its schema should be, and what does not count.

use crate::runbook::comparing::Drift;
use crate::runbook::names::{Names, check_template, need_target};
use crate::runbook::reader::TableReader;

pub(super) fn read(mut table: TableReader<'_, '_>, names: &Names) -> Drift {
    let target = need_target(&mut table, names);
    if !table.has("expected") {
        table.missing(
            "expected",
            "write expected = \"db/schema.sql\", \"dir:db/migrations\", \"git:main:db/schema.sql\" \
             or \"snapshot.json\"",
        );
    }
    let expected = table.string("expected");
    if let Some(expected) = &expected {
        check_template(expected, &table, names);
    }
    let mut list = |key: &'static str, example: &str| {
        let list = table.strings(key, example).unwrap_or_default();
        table.no_blanks(key, &list);
        list.into_iter().map(|at| at.value).collect::<Vec<String>>()
    };
    let schemas = list("schemas", "[\"public\"]");
    let ignore = list("ignore", "[\"table:public.tmp_*\"]");
    let allow = list("allow", "[\"*.comment:*\"]");
    table.finish();
    Drift {
        target,
        expected: expected.map_or_else(String::new, |at| at.value),
        schemas,
        ignore,
        allow,
    }
}
