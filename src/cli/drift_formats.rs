//! A comparison of schemas as people and programs read it.

use std::fmt::Write as _;

use serde_json::json;

use crate::gate::drift::Compared;
use crate::schema::{Change, Comparison, Difference, Direction, Severity, Source};
use crate::untrusted::{clean, clean_line};

/// Every difference with both values, then what is ignored, then the sum.
pub(super) fn text(comparison: &Comparison) -> String {
    let mut out = String::new();
    for difference in &comparison.differences {
        push(&mut out, difference);
    }
    for rename in &comparison.renames {
        let _ = writeln!(
            out,
            "renamed? {} {} -> {}",
            rename.kind,
            clean_line(&rename.expected),
            clean_line(&rename.actual)
        );
    }
    for difference in &comparison.ignored {
        let rule = difference.ignored_by.as_deref().unwrap_or_default();
        let headline = headline(difference);
        let _ = writeln!(out, "ignored by {}: {headline}", clean_line(rule));
    }
    for note in &comparison.notes {
        let _ = writeln!(out, "note: {}", clean_line(note));
    }
    let count = comparison.differences.len();
    let ignored = comparison.ignored.len();
    match comparison.direction() {
        None => {
            let _ = writeln!(out, "equal; {ignored} ignored");
        }
        Some(direction) => {
            let _ = writeln!(
                out,
                "{count} differences, {} hard; {ignored} ignored\nthe database is {}: {}",
                comparison.hard(),
                direction.word(),
                direction.remedy()
            );
        }
    }
    out
}

/// One difference on one line, without its values.
fn headline(difference: &Difference) -> String {
    let property = difference
        .property
        .as_ref()
        .map_or(String::new(), |property| format!(": {property}"));
    clean_line(&format!(
        "{} {} {}{property}",
        difference.change.word(),
        difference.kind,
        difference.name
    ))
}

fn push(out: &mut String, difference: &Difference) {
    let _ = writeln!(
        out,
        "{} {} [{}]",
        difference.severity.word(),
        headline(difference),
        difference.direction.word()
    );
    let sides = [
        ("expected", &difference.expected, Change::Added),
        ("actual", &difference.actual, Change::Removed),
    ];
    for (word, value, absent_when) in sides {
        match value {
            Some(value) => {
                let value = clean(value);
                let value = value.trim_end().replace('\n', "\n              ");
                let _ = writeln!(out, "    {word:<9} {value}");
            }
            None if difference.property.is_some() || difference.change == absent_when => {
                let _ = writeln!(out, "    {word:<9} (none)");
            }
            None => {}
        }
    }
    // A whole object says itself what came or went with it.
    if !difference.dependants.is_empty() && difference.property.is_some() {
        let names: Vec<String> = difference
            .dependants
            .iter()
            .take(8)
            .map(|id| clean_line(&id.to_string()))
            .collect();
        let more = difference.dependants.len() - names.len();
        let more = if more > 0 {
            format!(" and {more} more")
        } else {
            String::new()
        };
        let _ = writeln!(out, "    with it   {}{more}", names.join(", "));
    }
}

/// The comparison as it is, with the checksums of both sides.
pub(super) fn json(compared: &Compared) -> String {
    let mut value = serde_json::to_value(&compared.comparison).unwrap_or_default();
    let [expected, actual] = &compared.checksums;
    value["expected_checksum"] = expected.clone().into();
    value["actual_checksum"] = actual.clone().into();
    value["change"] = compared.change().into();
    let direction = compared.comparison.direction();
    value["direction"] = json!(direction.map(Direction::word));
    format!("{value:#}\n")
}

fn one_line(difference: &Difference) -> String {
    let value = |value: &Option<String>| value.clone().unwrap_or_else(|| "(none)".to_owned());
    clean_line(&format!(
        "{}; expected {}, actual {}",
        headline(difference),
        value(&difference.expected),
        value(&difference.actual)
    ))
}

/// The path in the repository that a source lies at.
fn path_of(source: &str) -> String {
    match source.parse() {
        Ok(Source::Git { path, .. }) => path,
        Ok(Source::Migrations(folder)) => folder.display().to_string(),
        _ => source.to_owned(),
    }
}

/// Workflow commands, which the code host shows beside the canonical file.
pub(super) fn github(comparison: &Comparison, expected: &str) -> String {
    let escape = |text: &str| {
        text.replace('%', "%25")
            .replace('\r', "%0D")
            .replace('\n', "%0A")
    };
    let mut out = String::new();
    for difference in &comparison.differences {
        let level = match difference.severity {
            Severity::Hard => "error",
            Severity::Soft => "warning",
        };
        let file = escape(&path_of(expected))
            .replace(',', "%2C")
            .replace(':', "%3A");
        let _ = writeln!(
            out,
            "::{level} file={file},title=Schema drift::{}",
            escape(&one_line(difference))
        );
    }
    for difference in &comparison.ignored {
        let rule = difference.ignored_by.as_deref().unwrap_or_default();
        let told = format!("ignored by {rule}: {}", headline(difference));
        let _ = writeln!(
            out,
            "::notice title=Schema drift::{}",
            escape(&clean_line(&told))
        );
    }
    for note in &comparison.notes {
        let _ = writeln!(
            out,
            "::notice title=Schema drift::{}",
            escape(&clean_line(note))
        );
    }
    let _ = writeln!(
        out,
        "{} differences, {} hard, {} ignored",
        comparison.differences.len(),
        comparison.hard(),
        comparison.ignored.len()
    );
    out
}

fn xml(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

/// One test case a difference; one that passes when there is none.
pub(super) fn junit(comparison: &Comparison) -> String {
    let failures = comparison.differences.len();
    let (tests, skipped) = (failures.max(1), comparison.ignored.len());
    let mut out = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n  <testsuite name=\"drift\" \
         tests=\"{}\" failures=\"{failures}\" skipped=\"{skipped}\">\n",
        tests + skipped
    );
    if failures == 0 {
        out.push_str("    <testcase name=\"the schemas are equal\"/>\n");
    }
    for difference in &comparison.differences {
        let _ = writeln!(
            out,
            "    <testcase name=\"{}\"><failure type=\"{}\" message=\"{}\"/></testcase>",
            xml(&headline(difference)),
            difference.severity.word(),
            xml(&one_line(difference))
        );
    }
    for difference in &comparison.ignored {
        let rule = difference.ignored_by.as_deref().unwrap_or_default();
        let _ = writeln!(
            out,
            "    <testcase name=\"{}\"><skipped message=\"{}\"/></testcase>",
            xml(&headline(difference)),
            xml(&clean_line(rule))
        );
    }
    if !comparison.notes.is_empty() {
        let notes = clean_line(&comparison.notes.join("; "));
        let _ = writeln!(out, "    <system-out>{}</system-out>", xml(&notes));
    }
    out.push_str("  </testsuite>\n</testsuites>\n");
    out
}

/// SARIF 2.1.0.
pub(super) fn sarif(comparison: &Comparison, expected: &str) -> String {
    let results: Vec<serde_json::Value> = comparison
        .differences
        .iter()
        .map(|difference| {
            let level = match difference.severity {
                Severity::Hard => "error",
                Severity::Soft => "warning",
            };
            json!({
                "ruleId": format!("{}-{}", difference.kind.word(), difference.change.word()),
                "level": level,
                "message": { "text": one_line(difference) },
                "locations": [{
                    "physicalLocation": { "artifactLocation": { "uri": path_of(expected) } },
                    "logicalLocations": [{ "fullyQualifiedName": difference.name }],
                }],
            })
        })
        .collect();
    let notes: Vec<serde_json::Value> = comparison
        .notes
        .iter()
        .map(|note| json!({ "level": "note", "message": { "text": clean_line(note) } }))
        .collect();
    let log = json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": env!("CARGO_PKG_NAME"),
                "version": env!("CARGO_PKG_VERSION"),
            } },
            "results": results,
            "invocations": [{
                "executionSuccessful": true,
                "toolExecutionNotifications": notes,
            }],
        }],
    });
    format!("{log:#}\n")
}
