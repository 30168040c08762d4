//! What an audit saw: databases side by side for people, or as JSON.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use crate::expectation::Finding;
use crate::gate::{AlembicSeen, DatabaseSeen, Diagnosis};
use crate::untrusted::clean_line;

/// One audit.
pub(super) struct Audited {
    pub(super) gate: String,
    pub(super) diagnosis: Diagnosis,
    pub(super) seen: AlembicSeen,
    pub(super) finding: Finding,
}

/// Where the first database's column begins, at least.
const NAMES: usize = 14;

/// A name, and what each database says of it.
type Row = (String, Vec<String>);

pub(super) fn text(audited: &[Audited]) -> String {
    let parts: Vec<String> = audited.iter().map(one).collect();
    parts.join("\n")
}

fn one(audited: &Audited) -> String {
    let seen = &audited.seen;
    let mut text = String::new();
    let _ = writeln!(text, "{}: {}", seen.project, audited.diagnosis.word());
    text.push_str(&table(&rows(seen)));
    let mut line = |name: &str, words: &str| {
        let _ = writeln!(text, "{name:<NAMES$}{}", clean_line(words));
    };
    line("heads", &seen.heads.join(", "));
    for trouble in &seen.troubles {
        line("history", trouble);
    }
    if let Some(differences) = &seen.differences {
        line("distance", &format!("{} differences", differences.len()));
        for difference in differences {
            line("", difference);
        }
    }
    for written in &seen.written {
        line("written", written);
    }
    for can in &audited.finding.what_you_can_do {
        line("you can", can);
    }
    text
}

fn rows(seen: &AlembicSeen) -> Vec<Row> {
    let each = |name: &str, of: &dyn Fn(&DatabaseSeen) -> String| -> Row {
        let values = seen.databases.iter();
        let values = values.map(|database| clean_line(&of(database)));
        (name.to_owned(), values.collect())
    };
    let listed = |list: &[String]| match list {
        [] => "0".to_owned(),
        list => format!("{}: {}", list.len(), list.join(", ")),
    };
    let mut rows = vec![
        each("", &|d| d.target.clone()),
        each("environment", &|d| d.environment.clone()),
        each("server", &|d| d.server.clone()),
        each("database", &|d| d.database.clone()),
        each("user", &|d| d.user.clone()),
        each("search_path", &|d| d.search_path.clone()),
        each("alembic", &DatabaseSeen::at),
        each("behind", &|d| listed(&d.behind)),
    ];
    if seen.databases.iter().any(|d| !d.unknown.is_empty()) {
        rows.push(each("no file has", &|d| listed(&d.unknown)));
    }
    rows.push(each("tables", &|d| d.tables.len().to_string()));
    let tables: BTreeSet<&String> = seen.databases.iter().flat_map(|d| &d.tables).collect();
    rows.extend(tables.into_iter().map(|table| {
        each("", &|d| match d.tables.contains(table) {
            true => format!("  {table}"),
            false => "  -".to_owned(),
        })
    }));
    rows
}

fn table(rows: &[Row]) -> String {
    let longest = |column: usize| {
        let cells = rows.iter().filter_map(|(_, values)| values.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let mut text = String::new();
    for (name, values) in rows {
        let mut line = format!("{name:<NAMES$}");
        for (column, value) in values.iter().enumerate() {
            let width = longest(column) + 3;
            let _ = write!(line, "{value:<width$}");
        }
        let _ = writeln!(text, "{}", line.trim_end());
    }
    text
}

pub(super) fn json(audited: &[Audited]) -> String {
    let audits: Vec<serde_json::Value> = audited
        .iter()
        .map(|one| {
            serde_json::json!({
                "gate": one.gate,
                "diagnosis": one.diagnosis.word(),
                "summary": one.finding.summary,
                "caused_by": one.finding.caused_by,
                "what_you_can_do": one.finding.what_you_can_do,
                "seen": one.seen,
            })
        })
        .collect();
    let is = |word: Diagnosis| audited.iter().any(|one| one.diagnosis == word);
    let worst = match (is(Diagnosis::Missing), is(Diagnosis::Mismatch)) {
        (true, _) => Diagnosis::Missing,
        (_, true) => Diagnosis::Mismatch,
        _ => Diagnosis::Ok,
    };
    let all = serde_json::json!({ "format": 1, "diagnosis": worst.word(), "audits": audits });
    format!("{all}\n")
}
