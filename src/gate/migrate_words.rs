//! A failed migration in words: where, which statement, what the server said, what stands now.

use super::locks::Seen;
use super::migrate_plan::{MigrationPlan, PlannedFile};
use crate::expectation::Finding;
use crate::postgres::DatabaseError;
use crate::postgres::apply::FileFailure;
use crate::postgres::locks::Look;
use crate::untrusted::{clean, clean_line, clip};

/// How many lines of a failing statement are shown.
const SHOWN_LINES: usize = 12;

/// One line: the file, the line, and why.
pub(super) fn failure_text(file: &PlannedFile, failure: &FileFailure) -> String {
    let name = &file.name;
    match failure {
        FileFailure::Statement { index, error } => {
            let (line, _) = place(file, *index, error);
            format!(
                "{name}:{line}: {} ({})",
                clean_line(&error.message),
                error.sqlstate
            )
        }
        FileFailure::Begin { error } => {
            let said = clean_line(&error.message);
            format!("{name}: it could not begin: {said} ({})", error.sqlstate)
        }
        FileFailure::Commit { error } => {
            let said = clean_line(&error.message);
            format!("{name}: COMMIT was refused: {said} ({})", error.sqlstate)
        }
        FileFailure::Guard { reason } => format!("{name}: {reason}"),
        FileFailure::Left => format!("{name}: it left its transaction before its end"),
        FileFailure::Canceled => format!("{name}: canceled"),
        FileFailure::Stopped { reason } => {
            format!("{name}: stopped, so that nobody waits longer: {reason}")
        }
        FileFailure::ConnectionLost { reason } => {
            format!("{name}: the connection was lost before COMMIT: {reason}")
        }
        FileFailure::Other { index, reason } => {
            let line = file.script.statements.get(*index).map_or(1, |s| s.line);
            format!("{name}:{line}: {}", clean_line(reason))
        }
    }
}

/// The whole explanation.
pub(super) fn failure_finding(
    file: &PlannedFile,
    failure: &FileFailure,
    migration: &MigrationPlan,
    seen: &Seen,
) -> Finding {
    let mut finding = Finding::failed(failure_text(file, failure));
    match failure {
        FileFailure::Statement { index, error } => {
            for line in marked_statement(file, *index, error) {
                finding = finding.because(line);
            }
            finding = with_error_parts(finding, error);
        }
        FileFailure::Commit { error } | FileFailure::Begin { error } => {
            finding = with_error_parts(finding, error);
        }
        _ => {}
    }
    if *failure == FileFailure::Left {
        // The session was read only by then, so what could still be done is little; it is not
        // known to be nothing.
        return finding
            .because("its ledger row is gone, so what it did in its transaction is undone")
            .because("what it did behind that ran in a session that may only read")
            .can("see what the gate says that was made of the schema, and compare it (drift)")
            .can("take what ends the transaction out of the file, then press r");
    }
    finding = finding.because(format!("{} left nothing behind", file.name));
    let position = migration
        .files
        .iter()
        .position(|f| f.name == file.name)
        .unwrap_or(0);
    let after = migration.files.len() - position - 1;
    if position > 0 || after > 0 {
        finding = finding.because(format!(
            "{position} files before it are applied, {after} after it were not started"
        ));
    }
    if failure.is_transient() {
        return in_the_way(finding, failure, seen);
    }
    match failure.sqlstate() {
        Some("55P04") => finding
            .can("a new enum value can be used only after its commit: split it into two files")
            .can("then press r: the file is tried again from its beginning"),
        Some("53100" | "53200" | "53300") => finding
            .can("the server ran out of room: make some, then press r; nothing was half done"),
        Some("42501") => finding.can("give the user that connects the privilege, then press r"),
        _ => finding.can("mend the data or the file, then press r: only what is pending runs"),
    }
}

/// How many of those in the way are named.
const NAMED: usize = 5;

/// Says who was in the way when the server was last looked at.
pub(super) fn blocked_by(mut finding: Finding, seen: &Seen) -> Finding {
    finding = finding.because(seen.exhausted.clone());
    let look = seen.look.as_deref();
    let blockers = look.map_or(&[][..], |look| &look.blockers);
    if let Some(wait) = look.and_then(|look| look.wait.as_ref()) {
        finding = finding.because(format!("it waited for {} on {}", wait.mode, wait.on));
    }
    for blocker in blockers.iter().take(NAMED) {
        let whose = match blocker.depth {
            0 => "blocked by",
            _ => "which is blocked by",
        };
        finding = finding.because(format!("{whose} {}", blocker.sentence()));
    }
    if let Some(unseen) = look.and_then(Look::unseen) {
        finding = finding.because(unseen);
    }
    if let Some(trouble) = &seen.trouble {
        finding = finding.because(format!("nobody looked who was in the way: {trouble}"));
    }
    finding
}

/// Says so, and what can be done about it.
fn in_the_way(finding: Finding, failure: &FileFailure, seen: &Seen) -> Finding {
    let mut finding = blocked_by(finding, seen);
    let look = seen.look.as_deref();
    let blockers = look.map_or(&[][..], |look| &look.blockers);
    let again = "then press r: the file is tried again from its beginning";
    if matches!(failure, FileFailure::Stopped { .. }) {
        let queue = look.map(|look| look.queue.on.iter().map(|(on, n)| format!("{on} ({n})")));
        let on: Vec<String> = queue.into_iter().flatten().take(NAMED).collect();
        if !on.is_empty() {
            finding = finding.because(format!("they waited for {}", on.join(", ")));
        }
        return finding
            .can("choose a quieter time, or make the statement shorter, then press r")
            .can("queue_limit and queue_wait in the runbook say how much is tolerated");
    }
    match blockers.iter().find(|blocker| blocker.who.pid != 0) {
        Some(blocker) => finding
            .can(format!(
                "wait until pid {} has ended, or let {} end it",
                blocker.who.pid,
                blocker.who.who()
            ))
            .can(again)
            .can("while it waits, 4 shows who is in the way, and can end them"),
        None if !blockers.is_empty() => finding
            .can("COMMIT PREPARED or ROLLBACK PREPARED ends a prepared transaction")
            .can(again),
        None => finding
            .can("find out who holds the lock (pg_blocking_pids), wait until it is free")
            .can(again),
    }
}

fn with_error_parts(mut finding: Finding, error: &DatabaseError) -> Finding {
    let mut parts = vec![("SQLSTATE", Some(&error.sqlstate))];
    parts.extend([
        ("detail", error.detail.as_ref()),
        ("hint", error.hint.as_ref()),
        ("where", error.where_.as_ref()),
        ("constraint", error.constraint.as_ref()),
    ]);
    for (name, part) in parts {
        if let Some(part) = part {
            finding = finding.because(format!("{name}: {}", clip(&clean_line(part), 400)));
        }
    }
    finding
}

/// Line and column in the file, from 1, of where the server points, or of the statement.
fn place(file: &PlannedFile, index: usize, error: &DatabaseError) -> (usize, Option<usize>) {
    let Some(statement) = file.script.statements.get(index) else {
        return (1, None);
    };
    let text = file.script.statement(index);
    let Some(position) = error.position else {
        return (statement.line, None);
    };
    // The server counts characters from 1.
    let before: String = text
        .chars()
        .take(position.saturating_sub(1) as usize)
        .collect();
    let line = statement.line + before.matches('\n').count();
    let start = match before.rfind('\n') {
        Some(_) => 0,
        None => column_of(&file.script.text, statement.span.start),
    };
    let in_line = before
        .rsplit('\n')
        .next()
        .unwrap_or_default()
        .chars()
        .count();
    (line, Some(start + in_line + 1))
}

fn column_of(text: &str, byte: usize) -> usize {
    let start = text[..byte].rfind('\n').map_or(0, |at| at + 1);
    text[start..byte].chars().count()
}

/// The failing statement with line numbers and, where the server said so, the place marked.
fn marked_statement(file: &PlannedFile, index: usize, error: &DatabaseError) -> Vec<String> {
    let (line, column) = place(file, index, error);
    let Some(statement) = file.script.statements.get(index) else {
        return Vec::new();
    };
    let last = statement.line + file.script.statement(index).matches('\n').count();
    let first = if column.is_some() {
        line.saturating_sub(3).max(statement.line)
    } else {
        statement.line
    };
    let mut out = Vec::new();
    for (number, text) in file
        .script
        .text
        .lines()
        .enumerate()
        .map(|(n, t)| (n + 1, t))
    {
        if number < first || number > last || out.len() >= SHOWN_LINES {
            continue;
        }
        out.push(format!("{number:>5} | {}", clip(&clean(text), 160)));
        if let Some(column) = column
            && number == line
        {
            let shift = clean(&text.chars().take(column - 1).collect::<String>())
                .chars()
                .count();
            out.push(format!("{:>5} | {}^", "", " ".repeat(shift)));
        }
    }
    out
}
