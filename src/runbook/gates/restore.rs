//! Reads a restore: of which backup, into which target, and how.

use std::time::Duration;

use crate::runbook::going_back::{Restore, RestoreMode, Sessions};
use crate::runbook::names::{Names, need_gate_of, need_target};
use crate::runbook::problem::choices;
use crate::runbook::reader::TableReader;

pub(super) fn read(mut table: TableReader<'_, '_>, names: &Names) -> Restore {
    let target = need_target(&mut table, names);
    let backup = need_gate_of(&mut table, "backup", "backup", names);
    let mode = one_of(&mut table, "mode", &["swap", "in-place"]);
    let mode = match mode.as_str() {
        "in-place" => RestoreMode::InPlace,
        _ => RestoreMode::Swap,
    };
    if mode == RestoreMode::InPlace && !names.going_back {
        table.findings.add(
            table.place("mode"),
            format!("mode \"in-place\" of {} outside a rollback", table.name),
            "it overwrites the database that people use",
            Some("use it in [[rollback.gate]], or restore with mode = \"swap\"".into()),
        );
    }
    let sessions = match one_of(&mut table, "sessions", &["refuse", "end"]).as_str() {
        "end" => Sessions::End,
        _ => Sessions::Refuse,
    };
    let keep_newer = one_of(&mut table, "newer", &["refuse", "keep"]) == "keep";
    let maintenance = table
        .string("maintenance_database")
        .map_or_else(|| "postgres".to_owned(), |name| name.value);
    let jobs = table.whole("jobs", 1..=64).map_or(1, |n| n.value as u32);
    let lock_timeout = table
        .duration("lock_timeout")
        .map_or(Duration::from_secs(10), |d| d.value);
    table.finish();
    Restore {
        target,
        backup,
        mode,
        sessions,
        keep_newer,
        maintenance,
        jobs,
        lock_timeout,
    }
}

/// Reads one of a few words; the first is the one that holds when none is given.
fn one_of(table: &mut TableReader<'_, '_>, key: &'static str, words: &[&str]) -> String {
    let default = words.first().copied().unwrap_or_default();
    let Some(given) = table.string(key) else {
        return default.to_owned();
    };
    if !words.contains(&given.value.as_str()) {
        table.findings.add(
            given.span,
            format!("`{}` is no {key} of a restore", given.value),
            "not known",
            Some(choices(&given.value, words)),
        );
        return default.to_owned();
    }
    given.value
}
