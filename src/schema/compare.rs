//! The difference of two snapshots: matched by identity, property by property.

use std::collections::{BTreeMap, BTreeSet};

use super::said::with_parts;
use super::straddle::{
    across, hidden, is_of_grants, is_of_one_version, is_unread, notes, unlooked,
};
use super::{
    Change, Comparison, Difference, Direction, IgnoreRule, Kind, Object, ObjectId, Rename,
    Severity, Snapshot, rename,
};

const COLUMN_ORDER: &str = "column order";
const DEFINITION: &str = "definition";

/// How two snapshots are compared.
#[derive(Debug, Clone, Default)]
pub struct Options {
    pub ignore: Vec<IgnoreRule>,
}

/// Compares what is there with what was expected.
pub fn compare(expected: &Snapshot, actual: &Snapshot, options: &Options) -> Comparison {
    let majors = [expected.major(), actual.major()];
    let notes = [
        notes(majors),
        hidden([expected, actual]),
        unlooked([expected, actual]),
    ]
    .concat();
    if expected.objects == actual.objects {
        return Comparison {
            format: 1,
            equal: true,
            differences: Vec::new(),
            ignored: Vec::new(),
            renames: Vec::new(),
            notes,
        };
    }
    let removed = only_in(expected, actual);
    let added = only_in(actual, expected);
    let mut differences = whole(expected, &removed, Change::Removed);
    differences.extend(whole(actual, &added, Change::Added));
    let mut differences = of_grants(differences, [expected, actual], majors);
    for (id, here) in &expected.objects {
        if let Some(there) = actual.objects.get(id) {
            properties(id, here, there, majors, &mut differences);
        }
    }
    differences.extend(column_orders(expected, actual));
    let mut differences = fold_view_columns(differences, expected, actual);
    let renames = rename::suspected(
        expected,
        actual,
        &removed.iter().copied().collect::<Vec<_>>(),
        &added.iter().copied().collect::<Vec<_>>(),
    );
    // What is inside a renamed table is not renamed itself.
    let renames = shown_renames(renames, &differences);
    mark_renames(&renames, &mut differences);
    differences.sort_by(|a, b| order(a).cmp(&order(b)));
    let sides = [&expected.objects, &actual.objects];
    let (ignored, differences) = ignore(differences, &options.ignore, sides);
    Comparison {
        format: 1,
        equal: differences.is_empty(),
        differences,
        ignored,
        renames,
        notes,
    }
}

fn order(difference: &Difference) -> (Kind, &str, Change, Option<&str>) {
    (
        difference.kind,
        &difference.name,
        difference.change,
        difference.property.as_deref(),
    )
}

fn only_in<'a>(one: &'a Snapshot, other: &Snapshot) -> BTreeSet<&'a ObjectId> {
    one.objects
        .keys()
        .filter(|id| !other.objects.contains_key(*id))
        .collect()
}

/// Differences of whole objects; what is part of one of them is folded under it.
fn whole(side: &Snapshot, ids: &BTreeSet<&ObjectId>, change: Change) -> Vec<Difference> {
    let mut by_cause: BTreeMap<&ObjectId, Vec<ObjectId>> = BTreeMap::new();
    for id in ids {
        let cause = cause(side, id, ids);
        let folded = by_cause.entry(cause).or_default();
        if cause != *id {
            folded.push((*id).clone());
        }
    }
    by_cause
        .into_iter()
        .map(|(id, dependants)| {
            let hard = is_hard(id.kind, None) || dependants.iter().any(|d| is_hard(d.kind, None));
            let said = with_parts(side, id, &dependants);
            let direction = match change {
                Change::Added => Direction::Ahead,
                Change::Removed | Change::Changed => Direction::Behind,
            };
            let mut difference = blank(id, change, direction, hard);
            match change {
                Change::Added => difference.actual = said,
                Change::Removed | Change::Changed => difference.expected = said,
            }
            difference.dependants = dependants;
            difference
        })
        .collect()
}

/// What came with the server or with an extension is listed only where its grants are others than
/// it came with: there it is on both sides.
fn of_grants(
    differences: Vec<Difference>,
    [expected, actual]: [&Snapshot; 2],
    majors: [u32; 2],
) -> Vec<Difference> {
    let nothing = Object::default();
    let mut out = Vec::new();
    for difference in differences {
        let id = difference.id();
        let here = expected.objects.get(&id).unwrap_or(&nothing);
        let there = actual.objects.get(&id).unwrap_or(&nothing);
        if is_of_grants(&id, here) || is_of_grants(&id, there) {
            properties(&id, here, there, majors, &mut out);
        } else {
            out.push(difference);
        }
    }
    out
}

fn blank(id: &ObjectId, change: Change, direction: Direction, hard: bool) -> Difference {
    Difference {
        kind: id.kind,
        name: id.name.clone(),
        change,
        property: None,
        expected: None,
        actual: None,
        severity: if hard { Severity::Hard } else { Severity::Soft },
        direction,
        dependants: Vec::new(),
        maybe_renamed: None,
        ignored_by: None,
    }
}

/// The outermost object that is missing together with this one.
fn cause<'a>(side: &'a Snapshot, id: &'a ObjectId, ids: &BTreeSet<&'a ObjectId>) -> &'a ObjectId {
    let mut outermost = id;
    while let Some(parent) = side
        .objects
        .get(outermost)
        .and_then(|object| object.parent.as_ref())
        .filter(|parent| ids.contains(parent))
    {
        outermost = parent;
    }
    outermost
}

/// The hard-fail conditions: tables and columns that are or are not there, and anything about a
/// constraint or an index but what people remark on it. NOT NULL is a constraint.
pub(super) fn is_hard(kind: Kind, property: Option<&str>) -> bool {
    match (kind, property) {
        (Kind::Table | Kind::ForeignTable | Kind::Column, None)
        | (Kind::Column, Some("not null")) => true,
        (Kind::Constraint | Kind::Index, property) => property != Some("comment"),
        _ => false,
    }
}

fn properties(
    id: &ObjectId,
    here: &Object,
    there: &Object,
    majors: [u32; 2],
    out: &mut Vec<Difference>,
) {
    let (expected, actual) = (&here.properties, &there.properties);
    let extra = actual.keys().filter(|name| !expected.contains_key(*name));
    for name in expected.keys().chain(extra) {
        let said = [expected.get(name), actual.get(name)]
            .map(|value| value.map(|value| across(name, value, majors)));
        let [wanted, found] = said;
        let unread = |value: &Option<String>| {
            value
                .as_ref()
                .is_some_and(|value| is_unread(id.kind, name, value))
        };
        let straddles = is_of_one_version(id.kind, name, majors);
        if wanted == found || straddles || unread(&wanted) || unread(&found) {
            continue;
        }
        let direction = match (&wanted, &found) {
            (Some(_), None) => Direction::Behind,
            (None, Some(_)) => Direction::Ahead,
            _ => Direction::Diverged,
        };
        let hard = is_hard(id.kind, Some(name));
        out.push(Difference {
            property: Some(name.clone()),
            expected: wanted,
            actual: found,
            ..blank(id, Change::Changed, direction, hard)
        });
    }
}

/// The order of columns is a property of the table, told once, and of the common columns only.
fn column_orders(expected: &Snapshot, actual: &Snapshot) -> Vec<Difference> {
    let [here, there] = [expected, actual].map(columns);
    let mut differences = Vec::new();
    for (table, wanted) in here {
        let (Some(found), Some(object)) = (there.get(table), expected.objects.get(table)) else {
            continue;
        };
        // A child's columns are placed by its parents' when it is made anew.
        if object.properties.contains_key("inherits") {
            continue;
        }
        let common = |one: &[(u32, &str)], other: &[(u32, &str)]| -> Vec<String> {
            let names: BTreeSet<&str> = other.iter().map(|(_, name)| *name).collect();
            one.iter()
                .filter(|(_, name)| names.contains(name))
                .map(|(_, name)| own_name(table, name))
                .collect()
        };
        let (wanted, found) = (common(&wanted, found), common(found, &wanted));
        if wanted != found {
            differences.push(Difference {
                property: Some(COLUMN_ORDER.to_owned()),
                expected: Some(wanted.join(", ")),
                actual: Some(found.join(", ")),
                ..blank(table, Change::Changed, Direction::Diverged, false)
            });
        }
    }
    differences
}

fn own_name(table: &ObjectId, column: &str) -> String {
    column
        .strip_prefix(&table.name)
        .map_or(column, |rest| rest.trim_start_matches('.'))
        .to_owned()
}

type Columns<'a> = BTreeMap<&'a ObjectId, Vec<(u32, &'a str)>>;

fn columns(side: &Snapshot) -> Columns<'_> {
    let mut columns = Columns::new();
    for (id, object) in &side.objects {
        if let (Some(position), Some(parent)) = (object.position, &object.parent)
            && matches!(parent.kind, Kind::Table | Kind::ForeignTable)
        {
            columns
                .entry(parent)
                .or_default()
                .push((position, id.name.as_str()));
        }
    }
    for list in columns.values_mut() {
        list.sort_unstable();
    }
    columns
}

/// Columns of a view follow from its definition: when that differs, they are folded under it.
fn fold_view_columns(
    differences: Vec<Difference>,
    expected: &Snapshot,
    actual: &Snapshot,
) -> Vec<Difference> {
    let is_definition = |difference: &Difference| {
        matches!(difference.kind, Kind::View | Kind::MaterializedView)
            && difference.property.as_deref() == Some(DEFINITION)
    };
    let views: BTreeSet<ObjectId> = differences
        .iter()
        .filter(|difference| is_definition(difference))
        .map(Difference::id)
        .collect();
    if views.is_empty() {
        return differences;
    }
    let view_of = |difference: &Difference| {
        let follows = matches!(
            difference.property.as_deref(),
            None | Some("type" | "collation")
        );
        let id = difference.id();
        let object = expected
            .objects
            .get(&id)
            .or_else(|| actual.objects.get(&id))?;
        let parent = object.parent.clone()?;
        (id.kind == Kind::Column && follows && views.contains(&parent)).then_some((parent, id))
    };
    let mut folded: BTreeMap<ObjectId, BTreeSet<ObjectId>> = BTreeMap::new();
    let mut kept = Vec::new();
    for difference in differences {
        match view_of(&difference) {
            Some((view, column)) => {
                folded.entry(view).or_default().insert(column);
            }
            None => kept.push(difference),
        }
    }
    for difference in kept.iter_mut().filter(|d| is_definition(d)) {
        let columns = folded.remove(&difference.id()).unwrap_or_default();
        difference.dependants.extend(columns);
    }
    kept
}

fn shown_renames(renames: Vec<Rename>, differences: &[Difference]) -> Vec<Rename> {
    let whole: BTreeSet<(Kind, Change, &str)> = differences
        .iter()
        .filter(|difference| difference.property.is_none())
        .map(|difference| (difference.kind, difference.change, difference.name.as_str()))
        .collect();
    renames
        .into_iter()
        .filter(|rename| {
            whole.contains(&(rename.kind, Change::Removed, &rename.expected))
                && whole.contains(&(rename.kind, Change::Added, &rename.actual))
        })
        .collect()
}

fn mark_renames(renames: &[Rename], differences: &mut [Difference]) {
    let other: BTreeMap<(Kind, Change, &str), &str> = renames
        .iter()
        .flat_map(|rename| {
            let (expected, actual) = (rename.expected.as_str(), rename.actual.as_str());
            [
                ((rename.kind, Change::Removed, expected), actual),
                ((rename.kind, Change::Added, actual), expected),
            ]
        })
        .collect();
    for difference in differences {
        let key = (difference.kind, difference.change, difference.name.as_str());
        difference.maybe_renamed = other.get(&key).map(|name| (*name).to_owned());
    }
}

fn ignore(
    differences: Vec<Difference>,
    rules: &[IgnoreRule],
    sides: [&BTreeMap<ObjectId, Object>; 2],
) -> (Vec<Difference>, Vec<Difference>) {
    let mut ignored = Vec::new();
    let mut kept = Vec::new();
    for mut difference in differences {
        match rules.iter().find(|rule| rule.ignores(&difference, sides)) {
            Some(rule) => {
                difference.ignored_by = Some(rule.text().to_owned());
                ignored.push(difference);
            }
            None => kept.push(difference),
        }
    }
    (ignored, kept)
}

#[cfg(test)]
#[path = "compare_tests.rs"]
mod tests;
