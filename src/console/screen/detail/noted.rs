//! What a commit did, and what a recovery point is.

use crate::console::model::Model;
use crate::console::screen::text::{Doc, Ink, span};
use crate::console::screen::times::clock;
use crate::gate::{ChangeSeen, Evidence, RecoverySeen, SchemaVersionSeen};
use crate::git::commit::PlannedFile;
use crate::promotion::{GateRecord, GateState};
use crate::untrusted::clean_line;

pub(super) fn commit(doc: &mut Doc, evidence: &Evidence) {
    let Evidence::Commit {
        repository,
        branch,
        message,
        commit,
        changed,
        author,
        files,
    } = evidence
    else {
        return;
    };
    doc.heading(if *changed {
        "The commit"
    } else {
        "The commit that had it already"
    });
    doc.pair("commit", Ink::Strong, &clean_line(commit));
    doc.pair("branch", Ink::Plain, &clean_line(branch));
    doc.pair("message", Ink::Plain, &clean_line(message));
    doc.pair("author", Ink::Plain, &clean_line(author));
    doc.pair("in", Ink::Plain, &clean_line(repository));
    for file in files {
        changed_file(doc, file);
    }
}

/// Why a gate was left out, and the plan that it was given.
pub(super) fn from_outside(doc: &mut Doc, gate: &GateRecord, zone: &jiff::tz::TimeZone) {
    if let Some(out) = gate.left_out.as_ref()
        && gate.state == GateState::NotApplicable
    {
        doc.blank();
        let text = format!(
            "left out at {} by {}, because of {}={}, seen at {}; it is open again once that is gone",
            clock(out.at, zone),
            out.by,
            out.flag,
            out.value,
            clock(out.seen, zone)
        );
        doc.hanging(
            &[span(Ink::Warning, "- ")],
            Ink::Warning,
            &clean_line(&text),
        );
    }
    if let Some(pasted) = &gate.pasted {
        doc.blank();
        let short: String = pasted.sha256.chars().take(12).collect();
        let refused = if pasted.refused { ", refused" } else { "" };
        let text = format!(
            "plan given by {} at {}: {} bytes, SHA-256 {short}{refused}",
            pasted.by,
            clock(pasted.at, zone),
            pasted.bytes
        );
        doc.text(Ink::Muted, &clean_line(&text));
    }
}

/// What whoever signs must know of migrations that were not run.
pub(super) fn reminder(doc: &mut Doc, model: &Model) {
    if let Some(text) = crate::console::screen::reminder(model.run()) {
        doc.blank();
        doc.hanging(&[span(Ink::Warning, "! ")], Ink::Warning, &text);
    }
}

fn changed_file(doc: &mut Doc, file: &PlannedFile) {
    doc.heading(&clean_line(&file.path));
    doc.pair("sha256", Ink::Muted, &file.sha256);
    for line in file.diff.lines() {
        let ink = match line.as_bytes().first() {
            Some(b'+') => Ink::Good,
            Some(b'-') => Ink::Bad,
            Some(b'@') => Ink::Muted,
            _ => Ink::Plain,
        };
        doc.fixed(vec![span(ink, clean_line(line))]);
    }
}

pub(super) fn recovery_point(doc: &mut Doc, server: &str, seen: &RecoverySeen) {
    doc.heading("The recovery point");
    doc.pair("WAL", Ink::Strong, &clean_line(&seen.wal_position));
    doc.pair("at", Ink::Strong, &clean_line(&seen.at));
    if let Some(timeline) = seen.timeline {
        doc.pair("timeline", Ink::Plain, &timeline.to_string());
    }
    if let Some((name, _)) = &seen.restore_point {
        doc.pair("named", Ink::Plain, &clean_line(name));
    }
    doc.pair("from", Ink::Plain, &clean_line(server));
    doc.heading("The archive");
    let settings = format!(
        "wal_level {}, archive_mode {}, {}",
        seen.wal_level,
        seen.archive_mode,
        match seen.archived_by.as_str() {
            "" => "nothing archives",
            by => by,
        }
    );
    doc.pair("settings", Ink::Plain, &clean_line(&settings));
    let archiver = &seen.archiver;
    let last = |segment: &Option<String>, at: &Option<String>| match (segment, at) {
        (Some(segment), Some(at)) => clean_line(&format!("{segment} at {at}")),
        _ => "never".to_owned(),
    };
    let archived = last(&archiver.last_archived, &archiver.last_archived_at);
    doc.pair(
        "archived",
        Ink::Plain,
        &format!("{archived}, {} in all", archiver.archived),
    );
    let failed = last(&archiver.last_failed, &archiver.last_failed_at);
    let ink = if archiver.failing {
        Ink::Bad
    } else {
        Ink::Plain
    };
    doc.pair(
        "failed",
        ink,
        &format!("{failed}, {} in all", archiver.failed),
    );
}

pub(super) fn schema_version(doc: &mut Doc, server: &str, seen: &SchemaVersionSeen) {
    doc.heading("The schema's version");
    doc.pair("version", Ink::Strong, &clean_line(&seen.version));
    doc.pair("checksum", Ink::Plain, &clean_line(&seen.checksum));
    doc.pair("table", Ink::Plain, &clean_line(&seen.table));
    doc.pair("from", Ink::Plain, &clean_line(server));
    doc.heading(&format!("Migrations applied, {}", seen.migrations.len()));
    for file in &seen.migrations {
        doc.text(Ink::Plain, &clean_line(file));
    }
}

pub(super) fn change(doc: &mut Doc, server: &str, seen: &ChangeSeen) {
    for (words, ink, list) in [
        ("Made, not reviewed", Ink::Bad, &seen.not_reviewed),
        ("Reviewed, not made", Ink::Warning, &seen.not_made),
    ] {
        if !list.is_empty() {
            doc.heading(&format!("{words}, {}", list.len()));
            for line in list {
                doc.hanging(&[span(ink, "· ")], Ink::Plain, &clean_line(line));
            }
        }
    }
    doc.blank();
    doc.pair("reviewed", Ink::Plain, &clean_line(&seen.reviewed));
    doc.pair("made by", Ink::Plain, &clean_line(&seen.of));
    doc.pair("in", Ink::Plain, &clean_line(server));
}
