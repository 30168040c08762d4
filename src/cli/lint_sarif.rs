//! Findings as SARIF 2.1.0, which code hosts show beside the lines of a change.

use serde::Serialize;

use super::lint::Linted;
use crate::sql::hazard::{self, Hazard};

const SCHEMA: &str = "https://json.schemastore.org/sarif-2.1.0.json";
const HOME: &str = env!("CARGO_PKG_NAME");

#[derive(Serialize)]
struct Log<'a> {
    #[serde(rename = "$schema")]
    schema: &'static str,
    version: &'static str,
    runs: [Run<'a>; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Run<'a> {
    tool: Tool,
    column_kind: &'static str,
    results: Vec<Finding<'a>>,
}

#[derive(Serialize)]
struct Tool {
    driver: Driver,
}

#[derive(Serialize)]
struct Driver {
    name: &'static str,
    version: &'static str,
    rules: Vec<Rule>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Rule {
    id: &'static str,
    name: &'static str,
    short_description: Text<'static>,
    help: Text<'static>,
}

#[derive(Serialize)]
struct Text<'a> {
    text: std::borrow::Cow<'a, str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Finding<'a> {
    rule_id: &'a str,
    rule_index: usize,
    level: &'static str,
    message: Text<'a>,
    locations: [Location; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Location {
    physical_location: Physical,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Physical {
    artifact_location: Artifact,
    region: Region,
}

#[derive(Serialize)]
struct Artifact {
    uri: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Region {
    start_line: usize,
    start_column: usize,
}

/// Writes every finding.
pub(super) fn write(linted: &[Linted], allow: &[String]) -> String {
    let results = linted.iter().flat_map(|file| {
        file.hazards
            .iter()
            .map(|hazard| finding(file, hazard, allow))
    });
    let log = Log {
        schema: SCHEMA,
        version: "2.1.0",
        runs: [Run {
            tool: Tool {
                driver: Driver {
                    name: HOME,
                    version: env!("CARGO_PKG_VERSION"),
                    rules: rules(),
                },
            },
            column_kind: "unicodeCodePoints",
            results: results.collect(),
        }],
    };
    let mut text = serde_json::to_string_pretty(&log).unwrap_or_default();
    text.push('\n');
    text
}

fn rules() -> Vec<Rule> {
    let text = |text: &'static str| Text { text: text.into() };
    let rules = hazard::rules().iter();
    rules
        .map(|rule| Rule {
            id: rule.code,
            name: rule.kind.word(),
            short_description: text(rule.message),
            help: text(rule.instead),
        })
        .collect()
}

fn finding<'a>(linted: &Linted, hazard: &'a Hazard, allow: &[String]) -> Finding<'a> {
    let file = &linted.file;
    let level = if linted.refuses(hazard, allow) {
        "error"
    } else if hazard.is_refusable() {
        "warning"
    } else {
        "note"
    };
    let rule_index = hazard::rules()
        .iter()
        .position(|rule| rule.code == hazard.code)
        .unwrap_or_default();
    Finding {
        rule_id: &hazard.code,
        rule_index,
        level,
        message: Text {
            text: format!("{}. Instead: {}.", hazard.message, hazard.instead).into(),
        },
        locations: [Location {
            physical_location: Physical {
                artifact_location: Artifact { uri: uri(file) },
                region: Region {
                    start_line: hazard.line,
                    start_column: hazard.column,
                },
            },
        }],
    }
}

/// A path as a relative reference: what a URI gives a meaning to is encoded.
fn uri(path: &str) -> String {
    let mut out = String::new();
    for byte in path.strip_prefix("./").unwrap_or(path).bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => {
                out.push(char::from(byte));
            }
            other => out.push_str(&format!("%{other:02X}")),
        }
    }
    out
}
