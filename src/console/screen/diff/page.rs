//! What the sheet says of one object that differs, of a group, or of the comparison.

use super::broken;
use super::sheet::{Look, Sheet};
use super::tree::{Entry, Group, Standing, Tree, TreeRow, sign};
use crate::console::screen::text::{Ink, span};
use crate::gate::DriftSeen;
use crate::schema::{Change, Difference};
use crate::untrusted::{clean, clean_line};

/// More names than that are not read here; the evidence has them all.
const NAMES: usize = 50;

/// What was compared, and what came of it.
#[derive(Clone, Copy)]
pub(super) struct Seen<'a> {
    pub(super) server: &'a str,
    pub(super) seen: &'a DriftSeen,
    /// It is what migrations made, which has a before and an after and no direction.
    pub(super) made: bool,
}

impl Seen<'_> {
    /// The words for the two sides.
    fn sides(&self) -> [&'static str; 2] {
        match self.made {
            true => ["before", "after"],
            false => ["expected", "actual"],
        }
    }
}

/// Makes the sheet of the row under the cursor.
pub(super) fn sheet(seen: Seen<'_>, tree: &Tree, row: Option<TreeRow>, look: Look) -> Sheet {
    let mut sheet = Sheet::new(look);
    match row {
        Some(TreeRow::Object(place)) => {
            if let Some(entry) = tree.entries.get(place) {
                object(&mut sheet, seen, tree, entry);
            }
        }
        Some(TreeRow::Group(group)) => head(&mut sheet, seen, tree, group),
        None => nothing(&mut sheet, seen, tree),
    }
    comparison(&mut sheet, seen);
    sheet
}

fn object(sheet: &mut Sheet, seen: Seen<'_>, tree: &Tree, entry: &Entry) {
    let differences = entry.differences(seen.seen);
    sheet.words(|doc| doc.text(Ink::Strong, &format!("{} {}", entry.kind, entry.name)));
    if let Some(name) = differences.iter().find_map(|d| d.maybe_renamed.as_deref()) {
        sheet.words(|doc| {
            let text = format!("renamed? {} looks the same on the other side", line(name));
            doc.hanging(&[span(Ink::Accent, "→ ")], Ink::Plain, &text);
        });
    }
    if sheet.look.beside {
        let legend = columns(sheet, seen);
        sheet.words(|doc| doc.fixed(vec![span(Ink::Muted, legend)]));
    } else {
        let [one, other] = seen.sides();
        sheet.words(|doc| doc.text(Ink::Muted, &format!("- {one}, + {other}")));
    }
    for (offset, difference) in differences.iter().enumerate() {
        let place = entry.places.start + offset;
        let standing = match (entry.group, difference.severity) {
            (Group::Kind(_), _) if seen.made => Standing::Made,
            (Group::Ignored, _) => Standing::Ignored,
            (_, crate::schema::Severity::Hard) => Standing::Hard,
            _ if tree.is_allowed(place) => Standing::Allowed,
            _ => Standing::Soft,
        };
        one(sheet, seen, difference, standing);
    }
}

/// What each of two columns shows.
fn columns(sheet: &Sheet, seen: Seen<'_>) -> String {
    let column = sheet.column();
    let cut = |text: &str| crate::console::screen::text::clip(text, column);
    let [one, other] = seen.sides();
    let left = cut(&format!("- {one}: {}", line(&seen.seen.expected)));
    let right = cut(&format!("+ {other}: {}", line(seen.server)));
    let gap = column.saturating_sub(crate::console::screen::text::cells(&left));
    format!("{left}{} │ {right}", " ".repeat(gap))
}

fn one(sheet: &mut Sheet, seen: Seen<'_>, difference: &Difference, standing: Standing) {
    sheet.blank();
    let what = match &difference.property {
        Some(property) if seen.made => format!("{} is another", line(property)),
        None if seen.made => "the whole object".to_owned(),
        Some(property) => format!("{} is not the same", line(property)),
        None => match difference.change {
            Change::Added => "it is there and was not expected".to_owned(),
            Change::Removed => "it was expected and is not there".to_owned(),
            Change::Changed => "it is not the same".to_owned(),
        },
    };
    sheet.words(|doc| {
        let lead = format!("{} {} ", standing.glyph(), standing.word());
        let text = format!(
            "{} {}: {what}",
            sign(difference.change),
            difference.change.word()
        );
        doc.hanging(&[span(standing.ink(), lead)], Ink::Heading, &text);
        let remedy = format!(
            "  the database is {}: {}",
            difference.direction.word(),
            difference.direction.remedy()
        );
        if !seen.made {
            doc.text(Ink::Muted, &remedy);
        }
        if let Some(rule) = &difference.ignored_by {
            doc.text(Ink::Muted, &format!("  ignored by the rule {}", line(rule)));
        }
    });
    values(sheet, seen, difference);
    if !difference.dependants.is_empty() && difference.property.is_some() {
        let mut names: Vec<String> = difference
            .dependants
            .iter()
            .take(NAMES)
            .map(|id| line(&id.to_string()))
            .collect();
        let more = difference.dependants.len() - names.len();
        if more > 0 {
            names.push(format!("{more} more"));
        }
        sheet.words(|doc| {
            let lead = span(Ink::Muted, "  with it  ");
            doc.hanging(&[lead], Ink::Plain, &names.join(", "));
        });
    }
}

fn values(sheet: &mut Sheet, seen: Seen<'_>, difference: &Difference) {
    let [old, new] = [&difference.expected, &difference.actual];
    for (side, value) in seen.sides().into_iter().zip([old, new]) {
        let said = value.is_none() && difference.property.is_some();
        if said {
            sheet.words(|doc| doc.text(Ink::Muted, &format!("  {side}: none")));
        }
    }
    let raw = [old, new].map(|value| value.as_deref().unwrap_or_default().trim_end());
    if raw[0].is_empty() && raw[1].is_empty() {
        return;
    }
    let cleaned = raw.map(clean);
    let [one, other] = broken::both(&cleaned[0], &cleaned[1]);
    let is_broken = *one != *cleaned[0] || *other != *cleaned[1];
    let sql = difference.property.as_deref() != Some("comment");
    let differs = sheet.compare(&one, &other, sql);
    if !differs {
        sheet.words(|doc| {
            let text = "  they differ in nothing but white space; w compares that too";
            doc.text(Ink::Muted, text);
        });
    }
    if is_broken {
        sheet.words(|doc| doc.text(Ink::Muted, "  the line ends are ours; it is one long line"));
    }
}

fn head(sheet: &mut Sheet, seen: Seen<'_>, tree: &Tree, group: Group) {
    let counts = words(tree.counts(group));
    match group {
        Group::Kind(kind) => {
            let title = format!("differences of the kind {kind}");
            sheet.words(|doc| {
                doc.text(Ink::Strong, &title);
                doc.text(Ink::Plain, &counts);
            });
        }
        Group::Ignored => sheet.words(|doc| {
            doc.text(Ink::Strong, "what the rules ignore");
            doc.text(Ink::Plain, &counts);
            doc.text(Ink::Muted, "it does not count, and it is never hidden");
        }),
    }
    let fold = if tree.folded.contains(&group) {
        "folded; z or Enter unfolds it"
    } else {
        "z or Enter folds it"
    };
    sheet.words(|doc| {
        doc.text(Ink::Muted, fold);
        let total = words(tree.total());
        doc.blank();
        doc.text(Ink::Plain, &format!("of all kinds: {total}"));
        if let Some(direction) = seen.seen.direction().filter(|_| !seen.made) {
            let text = format!(
                "the database is {}: {}",
                direction.word(),
                direction.remedy()
            );
            doc.hanging(&[span(Ink::Accent, "→ ")], Ink::Plain, &text);
        }
        if !seen.seen.comparison.renames.is_empty() {
            doc.heading("Renamed?");
            for rename in seen.seen.comparison.renames.iter().take(NAMES) {
                let text = format!("{} {} -> {}", rename.kind, rename.expected, rename.actual);
                doc.text(Ink::Plain, &line(&text));
            }
        }
    });
}

fn nothing(sheet: &mut Sheet, seen: Seen<'_>, tree: &Tree) {
    sheet.words(|doc| match tree.filter {
        Some(standing) => doc.text(
            Ink::Plain,
            &format!("no difference is {}; f shows others", standing.word()),
        ),
        None => {
            let count = seen.seen.objects[1];
            doc.hanging(
                &[span(Ink::Good, "✓ ")],
                Ink::Plain,
                &match seen.made {
                    true => {
                        format!("nothing of the schema was made: {count} objects are as before")
                    }
                    false => format!("nothing differs: {count} objects are as expected"),
                },
            );
        }
    });
}

/// Notes, and what the two sides are.
fn comparison(sheet: &mut Sheet, seen: Seen<'_>) {
    let [before, after] = seen.sides();
    let Seen { server, seen, .. } = seen;
    sheet.blank();
    for words in seen.recorded() {
        sheet.words(|doc| doc.hanging(&[span(Ink::Bad, "✗ hard ")], Ink::Plain, &line(&words)));
    }
    sheet.words(|doc| {
        doc.text(Ink::Heading, "The comparison");
        for note in &seen.comparison.notes {
            doc.hanging(&[span(Ink::Muted, "– ")], Ink::Plain, &line(note));
        }
        let [expected, actual] = seen.objects;
        let sides = [
            (
                before,
                seen.expected.as_str(),
                expected,
                &seen.expected_checksum,
            ),
            (after, server, actual, &seen.actual_checksum),
        ];
        for (word, name, objects, checksum) in sides {
            let short: String = checksum.chars().take(12).collect();
            let text = format!("{}, {objects} objects, checksum {short}", line(name));
            doc.pair(word, Ink::Muted, &text);
        }
    });
}

/// Counts in words: `3 hard, 1 soft`.
pub fn words(counts: super::tree::Counts) -> String {
    let said: Vec<String> = Standing::ALL
        .into_iter()
        .zip(counts)
        .filter(|(_, count)| *count > 0)
        .map(|(standing, count)| format!("{count} {}", standing.word()))
        .collect();
    said.join(", ")
}

/// An object as text, with its values as they are: for a copy.
pub(super) fn told(seen: Seen<'_>, entry: &Entry) -> String {
    let mut out = format!("{} {}\n", entry.kind, entry.name);
    for difference in entry.differences(seen.seen) {
        let property = difference.property.as_deref().unwrap_or("the whole object");
        let (change, property) = (difference.change.word(), line(property));
        out.push_str(&match seen.made {
            true => format!("\n{change}, {property}\n"),
            false => format!(
                "\n{change}, {property}, {}, the database is {}: {}\n",
                difference.severity.word(),
                difference.direction.word(),
                difference.direction.remedy()
            ),
        });
        if let Some(rule) = &difference.ignored_by {
            out.push_str(&format!("ignored by {}\n", line(rule)));
        }
        let [before, after] = seen.sides();
        let sides = [
            (before, line(&seen.seen.expected), &difference.expected),
            (after, line(seen.server), &difference.actual),
        ];
        for (word, name, value) in sides {
            let value = value.as_deref().unwrap_or("none");
            out.push_str(&format!(
                "--- {word}: {name}\n{}\n",
                clean(value).trim_end()
            ));
        }
        for id in &difference.dependants {
            out.push_str(&format!("with it: {}\n", line(&id.to_string())));
        }
    }
    out
}

fn line(text: &str) -> String {
    clean_line(text)
}
