//! What a lint saw: hazards by file and line, with the statement marked, and crossings.

use crate::console::screen::text::{Doc, Ink, span};
use crate::gate::{BoundaryWrite, HazardStanding, LintSeen, LintedFile, LintedHazard, PlanSeen};
use crate::sql::hazard::HazardClass;
use crate::untrusted::clean_line;

pub(super) fn seen(doc: &mut Doc, seen: &LintSeen) {
    if !seen.boundary.is_empty() {
        doc.heading(&format!("Across the boundary, {}", seen.boundary.len()));
        for write in &seen.boundary {
            crossing(doc, write);
        }
    }
    for problem in &seen.problems {
        doc.text(Ink::Bad, &clean_line(problem));
    }
    if let Some(plan) = &seen.plan {
        given(doc, plan);
    }
    let plan = seen.plan.iter().map(|plan| &plan.file);
    let dangerous: Vec<&LintedFile> = plan
        .clone()
        .chain(&seen.files)
        .filter(|file| !file.hazards.is_empty())
        .collect();
    for file in &dangerous {
        doc.heading(&clean_line(&file.file));
        let mut last = 0;
        for linted in &file.hazards {
            hazard(doc, linted, linted.hazard.line != last);
            last = linted.hazard.line;
        }
    }
    let files = seen.files.len() + plan.count();
    let quiet = files - dangerous.len();
    if quiet > 0 {
        doc.blank();
        doc.text(Ink::Muted, &format!("{quiet} files without a hazard"));
    }
    if seen.boundary_files > 0 {
        let read = format!("{} source files were read", seen.boundary_files);
        doc.text(Ink::Muted, &read);
    }
    for skipped in &seen.skipped {
        let line = format!("not read: {}", clean_line(skipped));
        doc.text(Ink::Muted, &line);
    }
}

fn given(doc: &mut Doc, plan: &PlanSeen) {
    let size = format!("{} bytes, {} statements", plan.bytes, plan.file.statements);
    doc.heading("A plan that somebody else made");
    doc.text(Ink::Muted, &size);
    for line in &plan.unclear {
        let lead = format!("line {}: ", line.line);
        doc.hanging(
            &[span(Ink::Warning, "? "), span(Ink::Plain, lead)],
            Ink::Warning,
            &clean_line(&line.why),
        );
        doc.fixed(vec![
            span(Ink::Muted, "    │ "),
            span(Ink::Plain, clean_line(&line.text)),
        ]);
    }
    if let Some(line) = &plan.nothing_to_do {
        let text = format!("line {}: {}", line.line, clean_line(&line.text));
        doc.text(Ink::Good, &text);
    }
}

fn crossing(doc: &mut Doc, write: &BoundaryWrite) {
    let lead = format!("{}:{} ", clean_line(&write.file), write.line);
    let text = format!("{} {}", write.verb, clean_line(&write.relation));
    doc.hanging(
        &[span(Ink::Bad, "✗ "), span(Ink::Plain, lead)],
        Ink::Bad,
        &text,
    );
    doc.fixed(vec![
        span(Ink::Muted, "    │ "),
        span(Ink::Plain, clean_line(&write.text)),
    ]);
}

fn hazard(doc: &mut Doc, linted: &LintedHazard, with_statement: bool) {
    let (ink, mark, word) = match (&linted.standing, linted.hazard.class) {
        (HazardStanding::Shown, HazardClass::Rewrite) => (Ink::Warning, "! ", "rewrite"),
        (HazardStanding::Shown, HazardClass::Lock) => (Ink::Muted, "· ", "lock"),
        (HazardStanding::Shown, HazardClass::CannotTell) => (Ink::Warning, "? ", "cannot tell"),
        (HazardStanding::Shown, _) => (Ink::Warning, "! ", "shown"),
        (HazardStanding::Allowed { .. }, _) => (Ink::Warning, "✓ ", "allowed"),
        (HazardStanding::Conditional { .. }, _) => (Ink::Warning, "? ", "not asked"),
        _ => (Ink::Bad, "✗ ", "REFUSED"),
    };
    let found = &linted.hazard;
    let text = format!(
        "{}:{} {word} {} {}: {}",
        found.line,
        found.column,
        found.code,
        found.kind.word(),
        found.message
    );
    doc.hanging(&[span(ink, mark)], ink, &text);
    if let Some(function) = &found.when_called {
        let line = format!("  when `{}` is called", clean_line(function));
        doc.text(Ink::Muted, &line);
    }
    if with_statement {
        doc.sql(&format!("  ▸ {}", clean_line(&found.statement)));
    }
    match &linted.standing {
        HazardStanding::Allowed {
            target,
            predicate,
            reason,
            ..
        } => {
            doc.text(Ink::Muted, &format!("  {}", clean_line(reason)));
            doc.text(Ink::Muted, &format!("  {target} answered true:"));
            doc.sql(&format!("  {}", clean_line(predicate)));
        }
        HazardStanding::PredicateFailed { predicate, why }
        | HazardStanding::PredicateErrored { predicate, why } => {
            doc.text(
                Ink::Bad,
                &format!("  not allowed, because {}:", clean_line(why)),
            );
            doc.sql(&format!("  {}", clean_line(predicate)));
        }
        _ => {}
    }
}
