//! What a gate observed.

use crate::console::model::Model;
use crate::console::screen::text::{Doc, Ink, Span, cells, clip, clip_start, span};
use crate::console::screen::times::{bytes, took};
use crate::expectation::{Answer, ExitSeen, FileSeen, PatternMatch, ProcessSeen, Table};
use crate::gate::{AppliedFile, Evidence, FileState};
use crate::postgres::dump::Manifest;
use crate::promotion::{GateRecord, GateState};
use crate::untrusted::{clean, clean_line};

/// How wide one column of a result may be.
const COLUMN: usize = 48;

pub(super) fn evidence(doc: &mut Doc, model: &Model, gate: &GateRecord) {
    if matches!(gate.state, GateState::Pending | GateState::Running) {
        return;
    }
    let Some(evidence) = model.snapshot.evidence.get(&gate.id) else {
        super::work::effects(doc, gate);
        return;
    };
    match evidence.as_ref() {
        Evidence::Query { .. } => asked(doc, evidence),
        Evidence::Exec {
            argv,
            seen,
            duration_ms,
        } => program(doc, argv, seen, *duration_ms),
        Evidence::File { path, seen } => file(doc, path, seen),
        Evidence::Watched {
            server, watched, ..
        } => {
            super::work::effects(doc, gate);
            super::watch::seen(doc, watched, 0);
            doc.blank();
            doc.text(Ink::Muted, &format!("asked {}", clean_line(server)));
        }
        Evidence::Drift { server, seen, .. } => super::drifted::seen(doc, server, seen),
        Evidence::Git {
            repository, seen, ..
        } => super::versioned::seen(doc, repository, seen),
        Evidence::Merge { .. } => super::versioned::merged(doc, evidence),
        Evidence::Lint { seen, .. } => super::linted::seen(doc, seen),
        Evidence::Commit { .. } => super::noted::commit(doc, evidence),
        Evidence::Change { server, seen, .. } => super::noted::change(doc, server, seen),
        Evidence::SchemaVersion { server, seen, .. } => {
            super::noted::schema_version(doc, server, seen);
        }
        Evidence::RecoveryPoint { server, seen, .. } => {
            super::noted::recovery_point(doc, server, seen);
        }
        Evidence::Backup {
            server, manifest, ..
        } => backup(doc, (model, gate), server, manifest),
        Evidence::Restore { .. } => super::restored::restored(doc, evidence),
        Evidence::Clone { server, cloned, .. } => super::cloned::cloned(doc, server, cloned),
        Evidence::Rehearse {
            target, rehearsed, ..
        } => super::rehearsed::seen(doc, target, rehearsed),
        Evidence::Alembic { seen, .. } => {
            super::work::effects(doc, gate);
            super::revised::seen(doc, seen);
        }
        Evidence::Tool { server, seen, .. } => {
            super::work::effects(doc, gate);
            super::tooled::seen(doc, server, seen);
        }
        Evidence::Migrate { .. } => migrated(doc, (model, gate), evidence),
    }
}

fn asked(doc: &mut Doc, evidence: &Evidence) {
    let Evidence::Query {
        server,
        role,
        sql,
        answer,
        duration_ms,
        ..
    } = evidence
    else {
        return;
    };
    answered(doc, answer);
    doc.heading("The statement");
    doc.sql(clean(sql).trim());
    let role = role.as_ref().map_or(String::new(), |r| format!(" as {r}"));
    let took = took(*duration_ms);
    doc.text(
        Ink::Muted,
        &format!("asked {}{role}, {took}", clean_line(server)),
    );
}

fn migrated(doc: &mut Doc, (model, gate): (&Model, &GateRecord), evidence: &Evidence) {
    let Evidence::Migrate {
        server,
        settings,
        files,
        made,
        ..
    } = evidence
    else {
        return;
    };
    super::rehearsed::against(doc, model, &gate.id, files);
    doc.heading(&format!("Files, {}", files.len()));
    for file in files {
        applied(doc, file);
    }
    if let Some(made) = made {
        super::drifted::made(doc, made);
    }
    doc.blank();
    doc.text(Ink::Muted, &format!("on {}", clean_line(server)));
    for (name, value) in settings {
        doc.text(Ink::Muted, &clean_line(&format!("{name} = {value}")));
    }
}

fn answered(doc: &mut Doc, answer: &Answer) {
    match answer {
        Answer::Rows(rows) => {
            doc.heading(&match rows.total {
                1 => "The answer, 1 row".to_owned(),
                n => format!("The answer, {n} rows"),
            });
            table(doc, rows);
        }
        Answer::Error(error) => {
            doc.heading(&format!("The answer, error {}", error.sqlstate));
            doc.text(Ink::Plain, &clean(&error.message));
            for (name, part) in [
                ("detail", &error.detail),
                ("hint", &error.hint),
                ("routine", &error.routine),
            ] {
                if let Some(part) = part {
                    doc.pair(name, Ink::Plain, &clean(part));
                }
            }
        }
    }
}

/// Draws a result: columns as wide as they need, numbers to the right, NULL as a word of its own.
pub(super) fn table(doc: &mut Doc, table: &Table) {
    let width_of = |column: usize, name: &str| {
        let cell = |row: &Vec<Option<String>>| row.get(column).map_or(0, |c| cells(&shown(c)));
        let widest = table.rows.iter().map(cell).max().unwrap_or(0);
        widest.max(cells(&clean_line(name))).clamp(1, COLUMN)
    };
    let widths: Vec<usize> = table
        .columns
        .iter()
        .enumerate()
        .map(|(column, name)| width_of(column, name))
        .collect();
    let is_number = |column: usize| {
        table
            .rows
            .iter()
            .any(|row| row.get(column).is_some_and(Option::is_some))
            && table.rows.iter().all(|row| match row.get(column) {
                Some(Some(value)) => value.parse::<f64>().is_ok(),
                _ => true,
            })
    };
    let numeric: Vec<bool> = (0..widths.len()).map(is_number).collect();
    let mut head = Vec::new();
    for (column, name) in table.columns.iter().enumerate() {
        let text = aligned(&clean_line(name), widths[column], numeric[column]);
        head.push(span(Ink::Heading, text));
        head.push(span(Ink::Muted, "  "));
    }
    doc.fixed(head);
    let rule: Vec<String> = widths.iter().map(|width| "─".repeat(*width)).collect();
    doc.fixed(vec![span(Ink::Muted, rule.join("  "))]);
    for row in &table.rows {
        let mut spans: Vec<Span> = Vec::new();
        for (column, width) in widths.iter().enumerate() {
            let cell = row.get(column).cloned().flatten();
            let ink = if cell.is_none() {
                Ink::Warning
            } else {
                Ink::Plain
            };
            spans.push(span(ink, aligned(&shown(&cell), *width, numeric[column])));
            spans.push(span(Ink::Muted, "  "));
        }
        doc.fixed(spans);
    }
    let more = table.total.saturating_sub(table.rows.len() as u64);
    if more > 0 {
        doc.text(Ink::Muted, &format!("… and {more} more rows"));
    }
}

/// NULL is written so that no text can look like it.
fn shown(cell: &Option<String>) -> String {
    match cell {
        None => "∅ NULL".to_owned(),
        Some(text) if text.is_empty() => "''".to_owned(),
        Some(text) => clean_line(text),
    }
}

fn aligned(text: &str, width: usize, right: bool) -> String {
    let text = clip(text, width);
    let pad = " ".repeat(width.saturating_sub(cells(&text)));
    if right { pad + &text } else { text + &pad }
}

fn program(doc: &mut Doc, argv: &[String], seen: &ProcessSeen, duration_ms: u64) {
    doc.heading("The program");
    doc.text(Ink::Plain, &clean_line(&argv.join(" ")));
    let ended = match seen.exit {
        ExitSeen::Code(code) => format!("exit code {code}"),
        ExitSeen::Signal(signal) => format!("ended by signal {signal}"),
        ExitSeen::TimedOut => "ended by its time limit".to_owned(),
        ExitSeen::Canceled => "canceled".to_owned(),
    };
    doc.text(Ink::Muted, &format!("{ended}, {}", took(duration_ms)));
    for (name, text) in [
        ("Standard output", &seen.stdout),
        ("Standard error", &seen.stderr),
    ] {
        if text.trim().is_empty() {
            continue;
        }
        doc.heading(name);
        for line in clean(text).trim_end().lines() {
            doc.fixed(vec![span(Ink::Plain, line)]);
        }
    }
    if seen.omitted_bytes > 0 {
        let left_out = bytes(seen.omitted_bytes);
        doc.text(
            Ink::Muted,
            &format!("{left_out} were left out of the middle"),
        );
    }
}

fn file(doc: &mut Doc, path: &str, seen: &FileSeen) {
    doc.heading("The file");
    doc.pair("path", Ink::Plain, &clean_line(path));
    match seen {
        FileSeen::Missing => doc.text(Ink::Plain, "there is no such file"),
        FileSeen::Unreadable(reason) => doc.text(Ink::Bad, &clean(reason)),
        FileSeen::Read {
            bytes: size,
            sha256,
            matches,
        } => {
            doc.pair("size", Ink::Plain, &bytes(*size));
            doc.pair("sha256", Ink::Plain, sha256);
            for found in matches {
                pattern(doc, found);
            }
        }
    }
}

fn pattern(doc: &mut Doc, found: &PatternMatch) {
    doc.blank();
    let times = match found.count {
        0 => "not found".to_owned(),
        1 => "found once".to_owned(),
        n => format!("found {n} times"),
    };
    doc.hanging(
        &[span(Ink::Muted, format!("{times}: "))],
        Ink::Literal,
        &clean_line(&found.pattern),
    );
    for (number, text) in &found.lines {
        doc.fixed(vec![
            span(Ink::Muted, format!("{number:>5} │ ")),
            span(Ink::Plain, clean_line(text)),
        ]);
    }
}

fn backup(doc: &mut Doc, (model, gate): (&Model, &GateRecord), server: &str, manifest: &Manifest) {
    doc.heading("The backup");
    doc.pair("path", Ink::Strong, &clean_line(&manifest.path));
    let files = match manifest.files.len() {
        1 => String::new(),
        n => format!(" in {n} files"),
    };
    doc.pair(
        "size",
        Ink::Plain,
        &format!("{}{files}", bytes(manifest.bytes)),
    );
    if let Some((_, only)) = manifest.files.iter().next().filter(|_| files.is_empty()) {
        doc.pair("sha256", Ink::Plain, &only.sha256);
    }
    doc.pair("WAL", Ink::Plain, &clean_line(&manifest.wal_position));
    let tables = format!("{}, {} entries", manifest.tables, manifest.entries);
    doc.pair("tables", Ink::Plain, &tables);
    let taken = format!(
        "{}, {}",
        clean_line(&manifest.taken_at),
        took(manifest.duration_ms)
    );
    doc.pair("taken", Ink::Plain, &taken);
    doc.pair("from", Ink::Plain, &clean_line(server));
    let versions = format!(
        "PostgreSQL {}, {}",
        clean_line(&manifest.server_version),
        clean_line(&manifest.pg_dump_version)
    );
    doc.pair("versions", Ink::Plain, &versions);
    super::rehearsed::of_backup(doc, model, &gate.id);
}

fn applied(doc: &mut Doc, file: &AppliedFile) {
    let (mark, ink, word) = match file.state {
        FileState::AlreadyApplied => ("✓ ", Ink::Muted, "was applied"),
        FileState::Applied => ("✓ ", Ink::Good, "applied"),
        FileState::RolledBack => ("✗ ", Ink::Bad, "rolled back"),
        FileState::Unknown => ("‽ ", Ink::Warning, "unknown"),
        FileState::NotStarted => ("· ", Ink::Muted, "not started"),
    };
    let mut after = format!("  {word}");
    if matches!(file.state, FileState::Applied | FileState::RolledBack) {
        after.push_str(&format!(", {}", took(file.duration_ms)));
    }
    if file.attempts > 1 {
        after.push_str(&format!(", {} attempts", file.attempts));
    }
    let room = doc.columns().saturating_sub(cells(&after) + 2).max(8);
    let name = clip_start(&clean_line(&file.file), room);
    let pad = " ".repeat(room.saturating_sub(cells(&name)));
    doc.fixed(vec![
        span(ink, mark),
        span(Ink::Plain, name),
        span(Ink::Muted, format!("{pad}{after}")),
    ]);
}
