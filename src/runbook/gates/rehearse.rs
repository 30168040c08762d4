//! Reads a rehearsal: of which backup, which gates, and within which bounds.

use std::time::Duration;

use crate::runbook::findings::At;
use crate::runbook::names::{Names, check_template, optional_gate_of};
use crate::runbook::problem::choices;
use crate::runbook::reader::TableReader;
use crate::runbook::rehearsing::{RehearsalOf, Rehearse, RolesInScratch, SeenAllowed, Take};

/// The classes that can refuse.
const CLASSES: [&str; 4] = ["data-loss", "host-level", "lock", "rewrite"];
/// Those that do when the runbook says nothing.
const USUAL: [&str; 2] = ["data-loss", "host-level"];
const WITHIN: Duration = Duration::from_secs(30 * 60);
/// A longer one is a mistake.
const LONGEST: Duration = Duration::from_secs(24 * 3600);
const UNITS: [(&str, u64); 4] = [
    ("TB", 1_000_000_000_000),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("kB", 1_000),
];

pub(super) fn read(mut table: TableReader<'_, '_>, names: &mut Names) -> Rehearse {
    let (target, of) = read_of(&mut table, names);
    if names.going_back {
        table.findings.add(
            table.span.clone(),
            format!("{} is in a way back", table.name),
            "a way back is rehearsed with the gates that it undoes",
            Some("put the rehearsal before them, into a phase".into()),
        );
    }
    let gates = table.strings("gates", "[\"eng-migrations\"]");
    for gate in gates.iter().flatten() {
        // They come later: they are looked at when all have been read.
        names.later_gates.push((gate.clone(), table.name.clone()));
    }
    let down = table.flag("down", true);
    let jobs = table.whole("jobs", 1..=64).map_or(2, |n| n.value as u32);
    let within = read_within(&mut table);
    let space = read_space(&mut table);
    let roles = match table.one_of("roles", &["make", "refuse"]) {
        "refuse" => RolesInScratch::Refuse,
        _ => RolesInScratch::Make,
    };
    let missing = table.strings("missing", "[\"pg_cron\"]");
    let deny = read_deny(&mut table);
    let allow = read_allow(&mut table, names);
    let may_leave = table.strings("may_leave", "[\"db/migrations/007.sql\"]");
    for file in may_leave.iter().flatten() {
        check_template(file, &table, names);
    }
    let keep_superusers = table.one_of("superusers", &["lower", "keep"]) == "keep";
    let may_call = table.strings("may_call", "[\"app.notify(text)\"]");
    table.finish();
    let plain = |list: Option<Vec<At<String>>>| -> Option<Vec<String>> {
        list.map(|list| list.into_iter().map(|one| one.value).collect())
    };
    Rehearse {
        target,
        of,
        gates: plain(gates),
        down,
        jobs,
        within,
        space,
        roles,
        missing: plain(missing).unwrap_or_default(),
        deny,
        allow,
        may_leave: plain(may_leave).unwrap_or_default(),
        keep_superusers,
        may_call: plain(may_call).unwrap_or_default(),
    }
}

/// Of the run's own backup, or of a dump that is taken for it.
fn read_of(table: &mut TableReader<'_, '_>, names: &Names) -> (String, RehearsalOf) {
    let backup = optional_gate_of(table, "backup", "backup", names);
    let from = table.string("from");
    if let Some(from) = &from
        && !names.targets.contains(&from.value)
    {
        let valid: Vec<&str> = names.targets.iter().map(String::as_str).collect();
        table.findings.add(
            from.span.clone(),
            format!("there is no target `{}`", from.value),
            "not a target of this runbook",
            Some(choices(&from.value, &valid)),
        );
    }
    let take = read_take(table, from.is_some());
    match (backup, from) {
        (Some(backup), None) => {
            let target = names.backed_up.get(&backup).cloned();
            (target.unwrap_or_default(), RehearsalOf::Backup(backup))
        }
        (None, Some(from)) => (from.value, RehearsalOf::Target(take)),
        (Some(_), Some(from)) => {
            table.findings.add(
                from.span,
                format!("{} has both `backup` and `from`", table.name),
                "one rehearsal is of one of them",
                Some("leave one out".into()),
            );
            (from.value, RehearsalOf::Target(take))
        }
        (None, None) => {
            if !table.has("backup") && !table.has("from") {
                let help = "write backup = \"…\" with the id of a backup gate, or from = \"…\" \
                            with a target that a dump is taken of";
                table.missing("backup", help);
            }
            (String::new(), RehearsalOf::Target(take))
        }
    }
}

fn read_take(table: &mut TableReader<'_, '_>, has_from: bool) -> Take {
    if !has_from {
        for key in ["take", "sample"] {
            if let Some(found) = table.any(key) {
                table.findings.add(
                    found.span(),
                    format!("`{key}` of {} needs `from`", table.name),
                    "a backup is restored as it is",
                    Some("leave it out, or write from = \"…\" instead of `backup`".into()),
                );
            }
        }
        return Take::Full;
    }
    let take = table.one_of("take", &["full", "schema", "sample"]);
    let rows = table.whole("sample", 1..=10_000_000);
    match (take, rows) {
        ("schema", None) => Take::Schema,
        ("sample", Some(rows)) => Take::Sample(rows.value as u64),
        ("sample", None) => {
            if !table.has("sample") {
                table.missing("sample", "write sample = 1000: how many rows of each table");
            }
            Take::Sample(1000)
        }
        ("full", None) => Take::Full,
        (_, Some(rows)) => {
            table.findings.add(
                rows.span,
                format!("`sample` of {} needs take = \"sample\"", table.name),
                "how many rows of each table",
                None,
            );
            Take::Full
        }
        _ => Take::Full,
    }
}

fn read_within(table: &mut TableReader<'_, '_>) -> Duration {
    let Some(given) = table.span_of_time("within") else {
        return WITHIN;
    };
    if given.value > LONGEST {
        table.findings.add(
            given.span,
            format!("`within` of {} is longer than a day", table.name),
            "at most 24h",
            None,
        );
        return WITHIN;
    }
    given.value
}

fn read_space(table: &mut TableReader<'_, '_>) -> Option<u64> {
    let given = table.string("space")?;
    let parsed = UNITS.iter().find_map(|(unit, size)| {
        let number: u64 = given.value.strip_suffix(unit)?.trim().parse().ok()?;
        number.checked_mul(*size)
    });
    if parsed.is_none_or(|bytes| bytes == 0) {
        table.findings.add(
            given.span,
            format!("`{}` is no amount of room", given.value),
            "a whole number with a unit",
            Some("write it as 500MB, 20GB or 1TB".into()),
        );
        return None;
    }
    parsed
}

fn read_deny(table: &mut TableReader<'_, '_>) -> Vec<String> {
    let Some(deny) = table.strings("deny", "[\"data-loss\", \"host-level\"]") else {
        return USUAL.map(str::to_owned).to_vec();
    };
    for class in &deny {
        if !CLASSES.contains(&class.value.as_str()) {
            let message = format!("`{}` is no class of hazards", class.value);
            let help = Some(choices(&class.value, &CLASSES));
            let findings = table.findings;
            findings.add(class.span.clone(), message, "not known", help);
        }
    }
    deny.into_iter().map(|class| class.value).collect()
}

fn read_allow(table: &mut TableReader<'_, '_>, names: &Names) -> Vec<SeenAllowed> {
    let findings = table.findings;
    let entries = table.tables("allow", "phase.gate.rehearse.allow");
    entries
        .into_iter()
        .map(|(span, fields)| {
            let mut allow = TableReader::new("an `allow` of `rehearse`", span, fields, findings);
            let file = allow.need_string("file");
            check_template(&file, &allow, names);
            let hazard = allow.need_string("hazard");
            let reason = allow.need_string("reason");
            allow.finish();
            SeenAllowed {
                file: file.value,
                hazard: hazard.value,
                reason: reason.value,
            }
        })
        .collect()
}

/// Looks at the gates that rehearsals named before they had been read.
pub(in crate::runbook) fn check_later(
    names: &Names,
    findings: &crate::runbook::findings::Findings<'_>,
) {
    let rehearsable = [
        "migrate",
        "tool",
        "alembic",
        "query",
        "drift",
        "schema-version",
        "lint",
    ];
    for (gate, by) in &names.later_gates {
        match names.gates.get(&gate.value) {
            Some(kind) if rehearsable.contains(kind) => {}
            Some(kind) => findings.add(
                gate.span.clone(),
                format!(
                    "`{}` is a {kind} gate, which {by} cannot rehearse",
                    gate.value
                ),
                "it asks people, or reaches beyond the database",
                Some(format!("kinds that can be: {}", rehearsable.join(", "))),
            ),
            None => {
                let valid: Vec<&str> = names
                    .gates
                    .iter()
                    .filter(|(_, kind)| rehearsable.contains(kind))
                    .map(|(id, _)| id.as_str())
                    .collect();
                findings.add(
                    gate.span.clone(),
                    format!("`{}` is no gate that {by} can name", gate.value),
                    "not a gate of this runbook",
                    Some(match valid.as_slice() {
                        [] => format!("name a gate of these kinds: {}", rehearsable.join(", ")),
                        valid => choices(&gate.value, valid),
                    }),
                );
            }
        }
    }
}
