//! What an `alembic` gate saw: the databases side by side, the way through the history, and what
//! came of it.

use crate::console::screen::text::{Doc, Ink, span};
use crate::expectation::Table;
use crate::gate::{AlembicSeen, DatabaseSeen, Tried};
use crate::untrusted::{clean_line, clip};

/// How many tables and differences are named; the summaries and the log have all of them.
const NAMED: usize = 20;
/// How wide what one database says may be, beside the other.
const WIDE: usize = 24;

pub(super) fn seen(doc: &mut Doc, seen: &AlembicSeen) {
    match seen.databases.as_slice() {
        [here, there] => side_by_side(doc, seen, [here, there]),
        databases => {
            for database in databases {
                one(doc, seen, database);
            }
        }
    }
    for trouble in &seen.troubles {
        doc.text(Ink::Bad, &clean_line(trouble));
    }
    if !seen.steps.is_empty() {
        doc.heading(&format!("Revisions, {}", seen.steps.len()));
        for step in &seen.steps {
            let line = format!("{}  {}", step.revision, step.message);
            doc.hanging(&[span(Ink::Muted, "· ")], Ink::Plain, &clean_line(&line));
        }
    }
    if let Some(differences) = &seen.differences {
        list(
            doc,
            "Differences between the schemas",
            Ink::Warning,
            differences,
        );
    }
    if let Some(tried) = &seen.tried {
        on_a_copy(doc, tried);
    }
    if let Some(made) = &seen.made {
        super::drifted::made(doc, made);
    }
    if let Some(lint) = seen.lint.as_ref().filter(|lint| !lint.files.is_empty()) {
        super::linted::seen(doc, lint);
    }
    match seen.models.as_deref() {
        Some("") => doc.text(Ink::Good, "the models say what the database says"),
        Some(said) => {
            doc.heading("The models say something else");
            doc.text(Ink::Bad, &clean_line(said));
        }
        None => {}
    }
    if !seen.written.is_empty() {
        list(doc, "Written", Ink::Plain, &seen.written);
    }
    doc.blank();
    let version = seen.version.as_deref().unwrap_or("version not known");
    let line = format!(
        "{}, {version}, head {}",
        seen.project,
        seen.heads.join(", ")
    );
    doc.text(Ink::Muted, &clean_line(&line));
}

/// Two databases, a line for each thing that an audit asks.
fn side_by_side(doc: &mut Doc, seen: &AlembicSeen, pair: [&DatabaseSeen; 2]) {
    let row = |name: &str, of: &dyn Fn(&DatabaseSeen) -> String| {
        let mut cells = vec![Some(name.to_owned())];
        cells.extend(pair.iter().map(|database| Some(clip(&of(database), WIDE))));
        cells
    };
    let mut rows = vec![
        row("alembic", &DatabaseSeen::at),
        row("behind", &|d| match d.behind.len() {
            0 => "-".to_owned(),
            behind => format!("{behind} revisions"),
        }),
        row("database", &|d| d.database.clone()),
        row("user", &|d| d.user.clone()),
        row("path", &|d| d.search_path.clone()),
        row("tables", &|d| format!("{} tables", d.tables.len())),
    ];
    if pair.iter().any(|database| !database.unknown.is_empty()) {
        rows.push(row("unknown", &|d| d.unknown.join(", ")));
    }
    let names = pair.map(|database| database.target.clone());
    let mut columns = vec![String::new()];
    columns.extend(names);
    doc.heading("Side by side");
    let total = rows.len() as u64;
    super::evidence::table(
        doc,
        &Table {
            columns,
            rows,
            total,
        },
    );
    for [here, there] in [pair, [pair[1], pair[0]]] {
        let lacks = |table: &&String| !there.tables.contains(*table);
        let only: Vec<String> = here.tables.iter().filter(lacks).cloned().collect();
        if !only.is_empty() {
            list(
                doc,
                &format!("Tables of {} alone", here.target),
                Ink::Warning,
                &only,
            );
        }
    }
    if let Some(after) = &seen.after {
        let at = format!("{} is at {} now", pair[0].target, after.join(", "));
        doc.text(Ink::Plain, &clean_line(&at));
    }
}

fn one(doc: &mut Doc, seen: &AlembicSeen, database: &DatabaseSeen) {
    doc.heading(&format!("{}, {}", database.target, database.environment));
    let after = seen.after.as_ref().filter(|_| {
        let first = seen.here().map(|here| &here.target);
        first == Some(&database.target)
    });
    let (ink, at) = match (&database.relation, after) {
        (_, Some(after)) if *after != database.versions => {
            let now = match after.as_slice() {
                [] => "at the beginning".to_owned(),
                after => format!("at {}", after.join(", ")),
            };
            (Ink::Plain, format!("was {}, is {now}", database.at()))
        }
        (None, _) => (Ink::Bad, database.at()),
        (Some(_), _) => (Ink::Plain, database.at()),
    };
    doc.pair("alembic", ink, &clean_line(&at));
    if !database.unknown.is_empty() {
        let said = format!("no file has {}", database.unknown.join(", "));
        doc.pair("unknown", Ink::Bad, &clean_line(&said));
    }
    if !database.behind.is_empty() && after.is_none() {
        let (count, ids) = (database.behind.len(), database.behind.join(", "));
        doc.pair(
            "behind",
            Ink::Warning,
            &clean_line(&format!("{count}: {ids}")),
        );
    }
    doc.pair("database", Ink::Plain, &database.database);
    doc.pair("user", Ink::Plain, &database.user);
    doc.pair("path", Ink::Plain, &database.search_path);
    let tables = database.tables.iter().take(NAMED);
    let named: Vec<&str> = tables.map(String::as_str).collect();
    let more = match database.tables.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let count = database.tables.len();
    let said = format!("{count}: {}{more}", named.join(", "));
    doc.pair("tables", Ink::Plain, &said);
}

fn on_a_copy(doc: &mut Doc, tried: &Tried) {
    doc.heading("On a private copy of the schema");
    match &tried.failed {
        Some(reason) => doc.text(Ink::Bad, &clean_line(reason)),
        None => doc.text(Ink::Good, "it ran to its end"),
    }
    lines(doc, Ink::Bad, &tried.removed);
    lines(doc, Ink::Muted, &tried.changes);
    if let Some(differences) = &tried.differences {
        list(
            doc,
            "Its schema then, against the reference",
            Ink::Warning,
            differences,
        );
    }
}

fn list(doc: &mut Doc, heading: &str, ink: Ink, entries: &[String]) {
    doc.heading(&format!("{heading}, {}", entries.len()));
    lines(doc, ink, entries);
}

fn lines(doc: &mut Doc, ink: Ink, entries: &[String]) {
    for entry in entries.iter().take(NAMED) {
        doc.hanging(&[span(Ink::Muted, "· ")], ink, &clean_line(entry));
    }
    if entries.len() > NAMED {
        doc.text(Ink::Muted, &format!("… and {} more", entries.len() - NAMED));
    }
}
