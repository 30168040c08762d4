//! Reads a restore: of which backup, into which target, and how.

use std::time::Duration;

use crate::runbook::going_back::{Restore, RestoreMode, Sessions};
use crate::runbook::names::{Names, need_gate_of, need_target};
use crate::runbook::reader::TableReader;

pub(super) fn read(mut table: TableReader<'_, '_>, names: &Names) -> Restore {
    let target = need_target(&mut table, names);
    let backup = need_gate_of(&mut table, "backup", "backup", names);
    let mode = table.one_of("mode", &["swap", "in-place"]);
    let mode = match mode {
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
    let sessions = match table.one_of("sessions", &["refuse", "end"]) {
        "end" => Sessions::End,
        _ => Sessions::Refuse,
    };
    let keep_newer = table.one_of("newer", &["refuse", "keep"]) == "keep";
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
