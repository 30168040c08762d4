//! Reads one gate: what all gates share, then its one kind, each in a file of its own.

mod alembic;
mod argv;
mod backup;
mod checklist;
mod clone;
mod commit;
mod drift;
mod exec;
mod file;
mod git;
mod lint;
mod merge;
mod message;
mod metric;
mod migrate;
mod observe;
mod pattern;
mod plan_source;
mod query;
mod ramp;
mod recovery_point;
pub(super) mod rehearse;
mod restore;
mod schema_version;
mod signoff;
mod tool;

pub(super) use argv::read_argv as read_argv_of;
pub(super) use exec::read_exit;
pub(super) use pattern::check_regex;

use std::ops::Range;
use std::time::Duration;

use super::model::{Gate, KINDS, Kind, Retry};
use super::names::Names;
use super::reader::TableReader;
use super::signing::read_waivable;

/// The kinds that this version runs.
const RUNNABLE: [&str; 22] = [
    "checklist",
    "query",
    "exec",
    "file",
    "commit",
    "git",
    "merge",
    "backup",
    "recovery-point",
    "lint",
    "rehearse",
    "drift",
    "schema-version",
    "tool",
    "alembic",
    "clone",
    "migrate",
    "restore",
    "message",
    "ramp",
    "observe",
    "signoff",
];

/// Reads the gates of a phase or of a way back; `title` is how their tables are called.
pub(super) fn read_gates(
    reader: &mut TableReader<'_, '_>,
    title: &str,
    names: &mut Names,
) -> Vec<Gate> {
    let mut gates = Vec::new();
    for (span, table) in reader.tables("gate", title) {
        let mut gate = TableReader::new("a gate", span, table, reader.findings);
        let id = gate.need_string("id");
        names.claim(&id, "a gate", gate.findings);
        if !id.value.is_empty() {
            gate.name = format!("gate `{}`", id.value);
        }
        gates.extend(read_gate(gate, id.value, names));
    }
    gates
}

fn read_gate(mut gate: TableReader<'_, '_>, id: String, names: &mut Names) -> Option<Gate> {
    let title = gate.need_string("title").value;
    let help = gate.string("help").map(|h| h.value);
    let (waivable, waiver) = read_waivable(&mut gate, names);
    let timeout = gate.span_of_time("timeout").map(|t| t.value);
    let retry_span = gate.any("retry").map(toml::Spanned::span);
    let label = format!("`retry` of {}", gate.name);
    let retry = gate.table("retry", &label).map(read_retry);
    for reserved in ["when", "undo"] {
        if let Some(found) = gate.unusable(reserved) {
            let message =
                format!("`{reserved}` is part of the format, but this version cannot run it");
            gate.findings
                .add(found.span(), message, "not available yet", None);
        }
    }
    let kind = read_kind(&mut gate, names);
    if let (Some(kind), Some(span)) = (&kind, retry_span) {
        check_retry(kind, span, &gate);
    }
    if let Some(kind) = &kind
        && waivable
        && matches!(kind, Kind::Backup(_) | Kind::Signoff(_) | Kind::Clone(_))
    {
        gate.findings.add(
            gate.place("waivable"),
            format!(
                "{} is a {}, which can never be waived",
                gate.name,
                kind.name()
            ),
            "nothing may go on without it",
            Some("leave `waivable` out".into()),
        );
    }
    if timeout.is_some() && matches!(kind, Some(Kind::Ramp(_))) {
        let message = format!("`timeout` on {}, which is a ramp", gate.name);
        let label = "it ends by its steps or by a person, and not by the clock";
        gate.findings
            .add(gate.place("timeout"), message, label, None);
    }
    let (span, name, findings) = (gate.span.clone(), gate.name.clone(), gate.findings);
    let kindless = !KINDS.iter().any(|kind| gate.has(kind));
    let unknown = gate.finish_beside(&RUNNABLE, &KINDS);
    // A kind that is there but misspelt has been reported as an unknown key.
    if kindless && unknown == 0 {
        let tables = RUNNABLE
            .map(|kind| format!("[phase.gate.{kind}]"))
            .join(", ");
        let label = "the table that says what it does is missing";
        let help = Some(format!("write one of {tables}"));
        findings.add(span, format!("{name} has no kind"), label, help);
    }
    if let Some(kind) = &kind {
        note(kind, &id, names);
    }
    Some(Gate {
        id,
        title,
        help,
        waivable,
        waiver,
        timeout,
        retry,
        kind: kind?,
    })
}

/// Remembers what later gates may say of this one.
fn note(kind: &Kind, id: &str, names: &mut Names) {
    names.gates.insert(id.to_owned(), kind.name());
    match kind {
        Kind::Backup(backup) => {
            names.backed_up.insert(id.to_owned(), backup.target.clone());
        }
        Kind::Rehearse(rehearsal) => {
            names.rehearsed.insert(rehearsal.target.clone());
        }
        _ => {}
    }
}

fn read_retry(mut table: TableReader<'_, '_>) -> Retry {
    let attempts = table
        .whole("attempts", 1..=100)
        .map_or(1, |n| n.value as u32);
    let every = table
        .duration("every")
        .map_or(Duration::from_secs(10), |d| d.value);
    table.finish();
    Retry { attempts, every }
}

fn check_retry(kind: &Kind, span: Range<usize>, gate: &TableReader<'_, '_>) {
    let looks = match kind {
        Kind::Query(_) | Kind::File(_) => true,
        Kind::Lint(_) | Kind::Drift(_) | Kind::Git(_) => true,
        Kind::Exec(exec) => exec.looks,
        Kind::RecoveryPoint(gate) => gate.restore_point.is_none(),
        Kind::Tool(gate) => gate.action.looks(),
        Kind::Alembic(gate) => gate.action.looks(),
        _ => false,
    };
    if !looks {
        gate.findings.add(
            span,
            format!("`retry` on {}, which does not only look", gate.name),
            "a gate that acts is never retried by itself",
            Some("gates that may have it: query, file, git, lint, drift, recovery-point without `restore_point`, tool with `action = \"status\"` or `\"plan\"`, alembic with `action = \"audit\"`, `\"guard\"` or `\"check\"`, and exec with `looks = true`".into()),
        );
    }
}

/// Finds the one table that names the kind, and reads it.
fn read_kind(gate: &mut TableReader<'_, '_>, names: &mut Names) -> Option<Kind> {
    let present: Vec<&'static str> = KINDS.into_iter().filter(|kind| gate.has(kind)).collect();
    match present.as_slice() {
        [] => None,
        [kind] if RUNNABLE.contains(kind) => {
            let label = format!("`{kind}` of {}", gate.name);
            let table = gate.table(kind, &label)?;
            Some(read_one(kind, table, names))
        }
        [kind] => {
            gate.findings.add(
                gate.place(kind),
                format!("gate kind `{kind}` is part of the format, but this version cannot run it"),
                "not available yet",
                Some(format!("kinds that run: {}", RUNNABLE.join(", "))),
            );
            None
        }
        [_, second, ..] => {
            gate.findings.add(
                gate.place(second),
                format!(
                    "{} has more than one kind: {}",
                    gate.name,
                    present.join(", ")
                ),
                "a gate has exactly one",
                Some("make a gate of each".into()),
            );
            None
        }
    }
}

fn read_one(kind: &str, table: TableReader<'_, '_>, names: &mut Names) -> Kind {
    match kind {
        "checklist" => Kind::Checklist(checklist::read(table, names)),
        "query" => Kind::Query(query::read(table, names)),
        "exec" => Kind::Exec(exec::read(table, names)),
        "file" => Kind::File(file::read(table, names)),
        "backup" => Kind::Backup(backup::read(table, names)),
        "migrate" => Kind::Migrate(migrate::read(table, names)),
        "restore" => Kind::Restore(restore::read(table, names)),
        "message" => Kind::Message(message::read(table, names)),
        "ramp" => Kind::Ramp(ramp::read(table, names)),
        "observe" => Kind::Observe(observe::read(table, names)),
        "clone" => Kind::Clone(Box::new(clone::read(table, names))),
        "commit" => Kind::Commit(commit::read(table, names)),
        "git" => Kind::Git(git::read(table, names)),
        "merge" => Kind::Merge(merge::read(table, names)),
        "drift" => Kind::Drift(drift::read(table, names)),
        "schema-version" => Kind::SchemaVersion(schema_version::read(table, names)),
        "rehearse" => Kind::Rehearse(Box::new(rehearse::read(table, names))),
        "tool" => Kind::Tool(Box::new(tool::read(table, names))),
        "alembic" => Kind::Alembic(Box::new(alembic::read(table, names))),
        "lint" => Kind::Lint(lint::read(table, names)),
        "recovery-point" => Kind::RecoveryPoint(recovery_point::read(table, names)),
        _ => Kind::Signoff(signoff::read(table, names)),
    }
}
