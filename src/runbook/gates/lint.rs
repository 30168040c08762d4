//! Reads a lint: files whose hazards are looked for, and folders with what they may not write.

use super::plan_source;
use crate::runbook::findings::At;
use crate::runbook::model::{AllowedHazard, Boundary, Lint};
use crate::runbook::names::{Names, check_template, need_target};
use crate::runbook::problem::choices;
use crate::runbook::reader::TableReader;

/// The classes that can refuse.
const CLASSES: [&str; 4] = ["data-loss", "host-level", "lock", "rewrite"];
/// Those that do when the runbook says nothing.
const USUAL: [&str; 2] = ["data-loss", "host-level"];

pub(super) fn read(mut table: TableReader<'_, '_>, names: &Names) -> Lint {
    let files = table
        .strings("files", "[\"db/migrations/*.sql\"]")
        .unwrap_or_default();
    table.no_blanks("files", &files);
    for file in &files {
        check_pattern(file, &table, names);
    }
    let deny = read_deny(&mut table);
    let allow = read_allowed_list(&mut table, "lint", names);
    let findings = table.findings;
    let mut boundary = Vec::new();
    for (span, fields) in table.tables("boundary", "phase.gate.lint.boundary") {
        let reader = TableReader::new("a `boundary` of `lint`", span, fields, findings);
        boundary.push(read_boundary(reader, names));
    }
    let plan = plan_source::read(&mut table, names);
    if plan.is_some() {
        plan_source::check_deny(&deny, &table);
    }
    let recovery = plan_source::read_recovery(&mut table, names);
    if !table.has("files") && !table.has("boundary") && !table.has("plan") {
        table.missing(
            "files",
            "write files = [\"db/migrations/*.sql\"], or boundary = [{ from = \"…\", may_not_write = [\"…\"] }], or plan = { paste = true }",
        );
    }
    table.finish();
    Lint {
        files: files.into_iter().map(|f| f.value).collect(),
        deny,
        allow,
        boundary,
        plan,
        recovery,
    }
}

/// Reads the classes of hazards that refuse.
pub(super) fn read_deny(table: &mut TableReader<'_, '_>) -> Vec<String> {
    let deny = table.strings("deny", "[\"data-loss\", \"host-level\"]");
    for class in deny.iter().flatten() {
        if !CLASSES.contains(&class.value.as_str()) {
            let message = format!("`{}` is no class of hazards", class.value);
            let help = Some(choices(&class.value, &CLASSES));
            table
                .findings
                .add(class.span.clone(), message, "not known", help);
        }
    }
    let usual = || USUAL.map(str::to_owned).to_vec();
    deny.map_or_else(usual, |deny| deny.into_iter().map(|c| c.value).collect())
}

/// Reads the hazards that are allowed, each in one file.
pub(super) fn read_allowed_list(
    table: &mut TableReader<'_, '_>,
    kind: &str,
    names: &Names,
) -> Vec<AllowedHazard> {
    let findings = table.findings;
    let mut allow: Vec<AllowedHazard> = Vec::new();
    for (span, fields) in table.tables("allow", &format!("phase.gate.{kind}.allow")) {
        let reader = TableReader::new(
            format!("an `allow` of `{kind}`"),
            span.clone(),
            fields,
            findings,
        );
        let read = read_allowed(reader, names);
        let same = |a: &AllowedHazard| a.file == read.file && a.hazard == read.hazard;
        if allow.iter().any(same) {
            let message = format!("`{}` is allowed twice in `{}`", read.hazard, read.file);
            findings.add(span, message, "one predicate says it all; join them", None);
        }
        allow.push(read);
    }
    allow
}

fn check_pattern(pattern: &At<String>, table: &TableReader<'_, '_>, names: &Names) {
    check_template(pattern, table, names);
    if let Err(error) = glob::Pattern::new(&pattern.value) {
        let message = format!("`{}` is no file pattern", pattern.value);
        table
            .findings
            .add(pattern.span.clone(), message, error.msg, None);
    }
}

fn read_allowed(mut allow: TableReader<'_, '_>, names: &Names) -> AllowedHazard {
    let file = allow.need_string("file");
    check_template(&file, &allow, names);
    if file.value.contains(['*', '?', '[']) {
        allow.findings.add(
            file.span.clone(),
            format!("`{}` means more than one file", file.value),
            "a hazard is allowed in one file, by its name",
            None,
        );
    }
    let hazard = allow.need_string("hazard");
    let target = need_target(&mut allow, names);
    if !allow.has("predicate") {
        allow.missing(
            "predicate",
            "write predicate = \"SELECT NOT EXISTS (SELECT 1 FROM …)\": what must be true on the target",
        );
    }
    let predicate = allow.string("predicate");
    let reason = allow.need_string("reason");
    allow.finish();
    AllowedHazard {
        file: file.value,
        hazard: hazard.value,
        target,
        predicate: predicate.map_or_else(String::new, |p| p.value),
        reason: reason.value,
    }
}

fn read_boundary(mut boundary: TableReader<'_, '_>, names: &Names) -> Boundary {
    let from = boundary.need_string("from");
    check_template(&from, &boundary, names);
    let patterns = boundary.need_strings("may_not_write", "[\"eng.*\", \"eng_*\"]");
    boundary.no_blanks("may_not_write", &patterns);
    boundary.finish();
    Boundary {
        from: from.value,
        may_not_write: patterns.into_iter().map(|p| p.value).collect(),
    }
}
