//! What a tool did: its calls, its status before and after, hazards, and what came of the schema.

use crate::console::screen::text::{Doc, Ink, span};
use crate::console::screen::times::took;
use crate::expectation::ExitSeen;
use crate::gate::{Migration, StatusSeen, ToolCall, ToolSeen};
use crate::untrusted::{clean, clean_line};

/// How many migrations that were applied before are named.
const OLD: usize = 5;
/// How many lines of a call's output are shown; the log has all of them.
const LINES: usize = 12;

pub(super) fn seen(doc: &mut Doc, server: &str, seen: &ToolSeen) {
    let now = seen.after.as_ref().or(seen.before.as_ref());
    if let Some(status) = now {
        migrations(doc, seen, status);
    }
    if let Some(made) = &seen.made {
        super::drifted::made(doc, made);
    }
    if let Some(lint) = seen.lint.as_ref().filter(|lint| !lint.files.is_empty()) {
        super::linted::seen(doc, lint);
    }
    doc.heading(&format!("Calls, {}", seen.calls.len()));
    for one in &seen.calls {
        call(doc, one);
    }
    doc.blank();
    let version = seen.version.as_deref().unwrap_or("version not known");
    let line = format!("{}, {version}, on {server}", seen.tool);
    doc.text(Ink::Muted, &clean_line(&line));
}

fn migrations(doc: &mut Doc, seen: &ToolSeen, status: &StatusSeen) {
    for broken in &status.broken {
        doc.text(Ink::Bad, &clean_line(broken));
    }
    list(doc, "Pending", Ink::Warning, "· ", &status.pending);
    let is_wanted = |m: &&Migration| seen.wanted.contains(&m.id);
    if seen.action == "revert" {
        let back = status.pending.iter().filter(is_wanted).count();
        let said = format!("{back} of {} taken back", seen.wanted.len());
        doc.text(Ink::Plain, &said);
    }
    let (new, old): (Vec<&Migration>, Vec<&Migration>) = status
        .applied
        .iter()
        .partition(|m| seen.wanted.contains(&m.id));
    let new: Vec<Migration> = new.into_iter().cloned().collect();
    let skipped = old.len().saturating_sub(OLD);
    let old: Vec<Migration> = old.into_iter().skip(skipped).cloned().collect();
    list(doc, "Applied by this gate", Ink::Good, "✓ ", &new);
    list(doc, "Applied before", Ink::Muted, "✓ ", &old);
    if skipped > 0 {
        doc.text(Ink::Muted, &format!("… and {skipped} before these"));
    }
}

fn list(doc: &mut Doc, heading: &str, ink: Ink, mark: &str, list: &[Migration]) {
    if list.is_empty() {
        return;
    }
    doc.heading(&format!("{heading}, {}", list.len()));
    for migration in list {
        let line = format!("{}  {}", migration.id, migration.text);
        doc.hanging(&[span(ink, mark)], Ink::Plain, &clean_line(line.trim_end()));
    }
}

fn call(doc: &mut Doc, call: &ToolCall) {
    let (ink, end) = match &call.seen.exit {
        ExitSeen::Code(0) => (Ink::Good, "exit 0".to_owned()),
        ExitSeen::Code(code) => (Ink::Warning, format!("exit {code}")),
        ExitSeen::Signal(signal) => (Ink::Bad, format!("ended by signal {signal}")),
        ExitSeen::TimedOut => (Ink::Bad, "took too long".to_owned()),
        ExitSeen::Canceled => (Ink::Warning, "canceled".to_owned()),
    };
    doc.sql(&clean_line(&call.argv.join(" ")));
    let said = format!("{end}, {}", took(call.duration_ms));
    doc.hanging(&[span(ink, "  ")], ink, &said);
    if let Some(question) = &call.question {
        let said = format!("  it asked: {}", clean_line(question));
        doc.text(Ink::Bad, &said);
    }
    if call.not_utf8 {
        doc.text(Ink::Warning, "  its output was not UTF-8");
    }
    if call.seen.omitted_bytes > 0 {
        let said = format!("  {} bytes are left out here", call.seen.omitted_bytes);
        doc.text(Ink::Muted, &said);
    }
    for text in [&call.seen.stdout, &call.seen.stderr] {
        let lines: Vec<&str> = text
            .lines()
            .filter(|line| !line.trim().is_empty())
            .collect();
        let skipped = lines.len().saturating_sub(LINES);
        for line in lines.iter().skip(skipped) {
            doc.text(Ink::Muted, &format!("  {}", clean(line)));
        }
    }
}
