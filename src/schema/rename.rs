//! Looks for objects that may be one object under two names.

use std::collections::{BTreeMap, HashMap};

use super::{Kind, Object, ObjectId, Rename, Snapshot};

/// Pairs what is only on one side with what is only on the other and looks the same but for its
/// name. Where several look the same, none is suspected.
pub(super) fn suspected(
    expected: &Snapshot,
    actual: &Snapshot,
    removed: &[&ObjectId],
    added: &[&ObjectId],
) -> Vec<Rename> {
    let gone = looks(expected, removed);
    let come = looks(actual, added);
    let mut renames: Vec<Rename> = gone
        .iter()
        .filter_map(|(look, there)| {
            let here = come.get(look)?;
            match (there.as_slice(), here.as_slice()) {
                ([from], [to]) => Some(Rename {
                    kind: from.kind,
                    expected: from.name.clone(),
                    actual: to.name.clone(),
                }),
                _ => None,
            }
        })
        .collect();
    renames.sort_by(|a, b| (a.kind, &a.expected).cmp(&(b.kind, &b.expected)));
    renames
}

fn looks<'a>(snapshot: &Snapshot, ids: &[&'a ObjectId]) -> HashMap<String, Vec<&'a ObjectId>> {
    let mut columns: BTreeMap<&ObjectId, Vec<&ObjectId>> = BTreeMap::new();
    let wants_columns = |id: &ObjectId| matches!(id.kind, Kind::Table | Kind::ForeignTable);
    if ids.iter().any(|id| wants_columns(id)) {
        for (id, object) in &snapshot.objects {
            if let (Kind::Column, Some(parent)) = (id.kind, &object.parent) {
                columns.entry(parent).or_default().push(id);
            }
        }
    }
    let mut looks: HashMap<String, Vec<&ObjectId>> = HashMap::new();
    for id in ids {
        let Some(object) = snapshot.objects.get(*id) else {
            continue;
        };
        let mut look = place(object) + &look(id, object);
        for column in columns.get(*id).into_iter().flatten() {
            if let Some(object) = snapshot.objects.get(*column) {
                look.push_str(last_part(&column.name));
                look.push_str(&self::look(column, object));
            }
        }
        looks.entry(look).or_default().push(id);
    }
    looks
}

/// What an object is part of. A table's own columns are looked at without it: the table's name is
/// the very thing that may differ.
fn place(object: &Object) -> String {
    object
        .parent
        .as_ref()
        .map_or(String::new(), ObjectId::to_string)
}

/// All that is said of an object but its name.
fn look(id: &ObjectId, object: &Object) -> String {
    let own = last_part(&id.name);
    let mut look = format!("|{}|{:?}", id.kind.word(), object.position);
    for (property, value) in &object.properties {
        look.push_str(&format!("|{property}={}", value.replace(own, "?")));
    }
    look
}

/// The last part of a qualified name; an argument list belongs to it.
fn last_part(name: &str) -> &str {
    let end = name.find('(').unwrap_or(name.len());
    let (mut start, mut quoted) = (0, false);
    for (at, c) in name.get(..end).unwrap_or(name).char_indices() {
        match c {
            '"' => quoted = !quoted,
            '.' if !quoted => start = at + 1,
            _ => {}
        }
    }
    name.get(start..end).unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_part_of_a_name_minds_quotes_and_arguments() {
        assert_eq!(last_part("a.b"), "b");
        assert_eq!(last_part("a.\"b.c\""), "\"b.c\"");
        assert_eq!(last_part("a.f(x.y, z)"), "f");
        assert_eq!(last_part("a"), "a");
    }
}
