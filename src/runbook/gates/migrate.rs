//! Reads a migration: the files, and the limits under which they run.

use std::time::Duration;

use crate::runbook::Queueing;
use crate::runbook::migrating::{AloneLimits, Migrate, MigrateEngine, Profile};
use crate::runbook::names::{Names, check_gate, check_template, need_target};
use crate::runbook::naming::{LEDGERS, Style};
use crate::runbook::problem::choices;
use crate::runbook::reader::TableReader;

/// What is refused unless it is allowed.
const ALLOWED: [&str; 2] = ["refuse", "allow"];

pub(super) fn read(mut table: TableReader<'_, '_>, names: &Names) -> Migrate {
    let target = need_target(&mut table, names);
    let files = table.need_strings("files", "[\"db/migrations/*.sql\"]");
    table.no_blanks("files", &files);
    for file in &files {
        check_template(file, &table, names);
        if let Err(error) = glob::Pattern::new(&file.value) {
            let message = format!("`{}` is no file pattern", file.value);
            table
                .findings
                .add(file.span.clone(), message, error.msg, None);
        }
    }
    let style = Style::of(table.one_of("style", &Style::WORDS));
    let role = table.string("role").map(|r| r.value);
    let search_path = table.string("search_path").map(|s| s.value);
    let seconds = Duration::from_secs;
    let lock_timeout = read_limit(&mut table, "lock_timeout", seconds(2), seconds(60));
    let statement_timeout = read_limit(
        &mut table,
        "statement_timeout",
        seconds(600),
        seconds(86_400),
    );
    let standby_wait = read_limit(&mut table, "standby_wait", seconds(30), seconds(3600));
    let attempts = table
        .whole("attempts", 1..=100)
        .map_or(5, |n| n.value as u32);
    let queueing = read_queueing(&mut table);
    let out_of_order = read_word(
        &mut table,
        "out_of_order",
        ALLOWED,
        "rule for files out of order",
    );
    let undoes = read_undoes(&mut table, names);
    let (adopt, baseline) = read_before(&mut table, !undoes.is_empty());
    let record_change = table.flag("record_change", true);
    let fast = table.one_of("profile", &["safe", "fast"]) == "fast";
    let psql = table.one_of("engine", &["native", "psql"]) == "psql";
    let alone = read_alone(&mut table);
    table.finish();
    Migrate {
        target,
        files: files.into_iter().map(|f| f.value).collect(),
        style,
        adopt,
        baseline,
        role,
        search_path,
        lock_timeout,
        statement_timeout,
        standby_wait,
        attempts,
        queueing,
        out_of_order,
        undoes,
        record_change,
        profile: if fast { Profile::Fast } else { Profile::Safe },
        engine: if psql {
            MigrateEngine::Psql
        } else {
            MigrateEngine::Native
        },
        alone,
    }
}

/// What was applied before the ledger was there: `adopt` and `baseline`.
fn read_before(
    table: &mut TableReader<'_, '_>,
    goes_back: bool,
) -> (Option<String>, Option<String>) {
    let adopt = table.string("adopt");
    let baseline = table.string("baseline");
    for (key, given) in [("adopt", &adopt), ("baseline", &baseline)] {
        if let Some(given) = given.as_ref().filter(|_| goes_back) {
            let message = format!("`{key}` of {} beside `undoes`", table.name);
            let help = "write it at the gate that applies the files";
            table.findings.add(
                given.span.clone(),
                message,
                "going back adopts nothing",
                Some(help.into()),
            );
        }
    }
    if let Some(given) = &adopt {
        let own = given.value.rsplit('.').next().unwrap_or_default();
        if given.value != "ignore" && !LEDGERS.contains(&own) {
            let words: Vec<&str> = LEDGERS.into_iter().chain(["ignore"]).collect();
            let message = format!("`{}` is no table that can be adopted", given.value);
            let help = Some(choices(&given.value, &words));
            table
                .findings
                .add(given.span.clone(), message, "not known", help);
        }
        if let Some(baseline) = baseline.as_ref().filter(|_| given.value != "ignore") {
            table.findings.add(
                baseline.span.clone(),
                format!("`baseline` of {} beside `adopt`", table.name),
                "one of the two says what was applied before",
                Some("take one of them out, or say adopt = \"ignore\"".into()),
            );
        }
    }
    (adopt.map(|a| a.value), baseline.map(|b| b.value))
}

fn read_alone(table: &mut TableReader<'_, '_>) -> AloneLimits {
    let seconds = Duration::from_secs;
    AloneLimits {
        lock_timeout: read_limit(table, "alone_lock_timeout", seconds(600), seconds(86_400)),
        statement_timeout: read_limit(
            table,
            "alone_statement_timeout",
            seconds(14_400),
            seconds(604_800),
        ),
    }
}

fn read_queueing(table: &mut TableReader<'_, '_>) -> Queueing {
    let seconds = Duration::from_secs;
    Queueing {
        budget: read_limit(table, "budget", seconds(300), seconds(86_400)),
        queue_limit: table
            .whole("queue_limit", 0..=10_000)
            .map_or(50, |n| n.value as u32),
        queue_wait: read_limit(table, "queue_wait", seconds(5), seconds(3_600)),
        beside_dumps: read_word(table, "dumps", ALLOWED, "rule for a pg_dump at work"),
    }
}

/// The gates whose applied files these files undo. Only a way back undoes anything.
fn read_undoes(table: &mut TableReader<'_, '_>, names: &Names) -> Vec<String> {
    let given = table.strings("undoes", "[\"eng-migrations\"]");
    let given = given.unwrap_or_default();
    if !given.is_empty() && !names.going_back {
        table.findings.add(
            table.place("undoes"),
            format!("`undoes` of {} outside a rollback", table.name),
            "going forward undoes nothing",
            Some("use it in [[rollback.gate]]".into()),
        );
    }
    let valid = names.gates_of("migrate");
    for gate in &given {
        check_gate(gate, &valid, table);
    }
    given.into_iter().map(|gate| gate.value).collect()
}

/// A server-side limit: never 0, which would mean none, and never beyond `longest`.
fn read_limit(
    table: &mut TableReader<'_, '_>,
    key: &'static str,
    default: Duration,
    longest: Duration,
) -> Duration {
    let Some(given) = table.duration(key) else {
        return default;
    };
    if given.value.is_zero() || given.value > longest {
        table.findings.add(
            given.span,
            format!(
                "`{key}` of {} must be from 1ms to {}s",
                table.name,
                longest.as_secs()
            ),
            if given.value.is_zero() {
                "0 would mean no limit at all"
            } else {
                "that is not in between"
            },
            None,
        );
        return default;
    }
    given.value
}

/// One of two words; tells whether it is the second.
fn read_word(
    table: &mut TableReader<'_, '_>,
    key: &'static str,
    words: [&str; 2],
    what: &str,
) -> bool {
    let [usual, other] = words;
    if let Some(found) = table.any(key)
        && !found.get_ref().is_str()
    {
        let help = Some(format!("write {key} = \"{other}\" or {key} = \"{usual}\""));
        table.wrong_type(key, "a string", found, help);
        return false;
    }
    let Some(given) = table.string(key) else {
        return false;
    };
    if !words.contains(&given.value.as_str()) {
        let message = format!("`{}` is no {what}", given.value);
        let help = Some(choices(&given.value, &words));
        table.findings.add(given.span, message, "not known", help);
    }
    given.value == other
}
