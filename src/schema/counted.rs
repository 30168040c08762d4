//! What counts of a schema: without what the rules ignore. Checksums are over that.

use std::collections::HashMap;

use super::compare::is_hard;
use super::{IgnoreRule, Object, ObjectId, Snapshot};
use crate::digest::digest;

/// A view of a snapshot, in its order.
pub struct Counted<'a> {
    objects: Vec<CountedObject<'a>>,
    owner: &'a str,
}

struct CountedObject<'a> {
    id: &'a ObjectId,
    position: Option<u32>,
    properties: Vec<(&'a str, &'a str)>,
}

impl<'a> Counted<'a> {
    /// Leaves out what the rules name, and what lies in other schemas when some are named.
    pub fn of(snapshot: &'a Snapshot, rules: &[IgnoreRule], schemas: &[String]) -> Counted<'a> {
        Counted::but(snapshot, rules, &[], schemas)
    }

    /// Leaves out, besides, whatever soft the rules of `allow` name.
    pub fn but(
        snapshot: &'a Snapshot,
        rules: &[IgnoreRule],
        allow: &[IgnoreRule],
        schemas: &[String],
    ) -> Counted<'a> {
        let lies_there = |schema: &Option<String>| {
            schemas.is_empty() || schema.as_ref().is_some_and(|name| schemas.contains(name))
        };
        let dropped = |id: &ObjectId| {
            let drops = |rule: &IgnoreRule| rule.drops(id, &snapshot.objects);
            rules.iter().any(drops) || !is_hard(id.kind, None) && allow.iter().any(drops)
        };
        let places = places(snapshot);
        let objects = snapshot
            .objects
            .iter()
            .filter(|(id, object)| lies_there(&object.schema) && !dropped(id))
            .map(|(id, object)| {
                let ignored = |name: &str| {
                    let drops = |rule: &IgnoreRule| rule.drops_property(id, name);
                    let soft = || !is_hard(id.kind, Some(name));
                    rules.iter().any(drops) || soft() && allow.iter().any(drops)
                };
                let kept = object.properties.iter().filter(|(name, _)| !ignored(name));
                CountedObject {
                    id,
                    position: places.get(id).copied(),
                    properties: kept.map(|(n, v)| (n.as_str(), v.as_str())).collect(),
                }
            })
            .collect();
        Counted {
            objects,
            owner: &snapshot.owner,
        }
    }

    /// Computes the checksum. It does not depend on the server's version, on the database's name,
    /// nor on the order of anything but columns.
    pub fn checksum(&self) -> String {
        let mut words = Words::new("stagegate schema 1");
        for object in &self.objects {
            let position = object.position.map_or(String::new(), |p| p.to_string());
            words.line(&[object.id.kind.word(), &object.id.name, &position]);
            for (property, value) in &object.properties {
                words.line(&[property, value]);
            }
        }
        words.digest()
    }

    /// Hashes everything that becomes another here than it was: whole objects with all that is said
    /// of them, and each property with both values. The place of a column is no part of it, nor
    /// what a database's owner is called.
    pub fn change_from(&self, before: &Counted<'_>) -> String {
        let mut words = Words::new("stagegate change 1");
        let (mut old, mut new) = (before.objects.iter(), self.objects.iter());
        let (mut here, mut there) = (old.next(), new.next());
        // Both are in the order of their identities.
        loop {
            let order = match (here, there) {
                (None, None) => break,
                (Some(_), None) => std::cmp::Ordering::Less,
                (None, Some(_)) => std::cmp::Ordering::Greater,
                (Some(a), Some(b)) => a.id.cmp(b.id),
            };
            if let (Some(a), true) = (here, order.is_lt()) {
                words.whole("removed", a, before.owner);
            }
            if let (Some(b), true) = (there, order.is_gt()) {
                words.whole("added", b, self.owner);
            }
            if let (Some(a), Some(b), true) = (here, there, order.is_eq()) {
                words.changed(a, before.owner, b, self.owner);
            }
            if order.is_le() {
                here = old.next();
            }
            if order.is_ge() {
                there = new.next();
            }
        }
        words.digest()
    }
}

/// The place of each column among those of its table that are there: gaps that dropped columns left
/// are no part of a schema, nor is the order where columns are placed by a parent's.
fn places(snapshot: &Snapshot) -> HashMap<&ObjectId, u32> {
    let mut columns: HashMap<&ObjectId, Vec<(u32, &ObjectId)>> = HashMap::new();
    for (id, object) in &snapshot.objects {
        let (Some(position), Some(parent)) = (object.position, &object.parent) else {
            continue;
        };
        let inherits = |table: &Object| table.properties.contains_key("inherits");
        if !snapshot.objects.get(parent).is_some_and(inherits) {
            columns.entry(parent).or_default().push((position, id));
        }
    }
    let mut places = HashMap::new();
    for mut of_table in columns.into_values() {
        of_table.sort_unstable();
        let ids = of_table.into_iter().map(|(_, id)| id);
        places.extend(ids.zip(1..));
    }
    places
}

/// The owner of everything is called what it is called in each database.
fn own<'a>(property: &str, value: &'a str, owner: &str) -> &'a str {
    match property {
        "owner" if value == owner => "the owner",
        _ => value,
    }
}

/// Text to be hashed.
struct Words(String);

impl Words {
    fn new(first: &str) -> Words {
        Words(format!("{first}\n"))
    }

    fn line(&mut self, words: &[&str]) {
        for word in words {
            // The length before each word: no two lists of words give the same text.
            self.0.push_str(&word.len().to_string());
            self.0.push(':');
            self.0.push_str(word);
        }
        self.0.push('\n');
    }

    fn whole(&mut self, word: &str, object: &CountedObject<'_>, owner: &str) {
        self.line(&[word, object.id.kind.word(), &object.id.name]);
        for (property, value) in &object.properties {
            self.line(&[property, own(property, value, owner)]);
        }
    }

    fn changed(
        &mut self,
        before: &CountedObject<'_>,
        old_owner: &str,
        after: &CountedObject<'_>,
        new_owner: &str,
    ) {
        let (kind, name) = (before.id.kind.word(), &before.id.name);
        let find = |object: &CountedObject<'_>, name: &str| {
            let mut all = object.properties.iter();
            all.find(|(property, _)| *property == name)
                .map(|(_, v)| (*v).to_owned())
        };
        for (property, value) in &before.properties {
            let old = own(property, value, old_owner);
            match find(after, property) {
                None => self.line(&["unset", kind, name, property, old]),
                Some(new) => {
                    let new = own(property, &new, new_owner);
                    if new != old {
                        self.line(&["changed", kind, name, property, old, new]);
                    }
                }
            }
        }
        for (property, value) in &after.properties {
            if find(before, property).is_none() {
                self.line(&["set", kind, name, property, own(property, value, new_owner)]);
            }
        }
    }

    fn digest(&self) -> String {
        digest(self.0.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::schema::snapshot::tests::snapshots;
    use crate::schema::{Kind, Object};

    fn all(snapshot: &Snapshot) -> Counted<'_> {
        Counted::of(snapshot, &[], &[])
    }

    proptest! {
        #[test]
        fn a_change_is_told_by_what_it_makes_of_a_schema(
            before in snapshots(), one in snapshots(), other in snapshots()
        ) {
            let properties = |side: &Snapshot| -> Vec<_> {
                let all = side.objects.iter();
                all.map(|(id, object)| (id.clone(), object.properties.clone())).collect()
            };
            let change = |after: &Snapshot| all(after).change_from(&all(&before));
            prop_assert_eq!(change(&one) == change(&other), properties(&one) == properties(&other));
        }
    }

    #[test]
    fn the_gap_that_a_dropped_column_left_is_no_part_of_a_schema() {
        let table = ObjectId::new(Kind::Table, "s.t");
        let with = |positions: [u32; 2]| {
            let mut snapshot = Snapshot::default();
            snapshot.add(table.clone(), Object::default());
            for (name, position) in ["s.t.a", "s.t.b"].into_iter().zip(positions) {
                let object = Object {
                    parent: Some(table.clone()),
                    position: Some(position),
                    ..Object::default()
                };
                snapshot.add(ObjectId::new(Kind::Column, name), object);
            }
            snapshot.checksum()
        };
        assert_eq!(with([1, 2]), with([1, 4]));
        assert_ne!(with([1, 2]), with([2, 1]));
    }

    #[test]
    fn what_is_allowed_is_no_part_of_the_checksum_unless_it_is_hard() {
        let all = ["*:*", "*.*:*"].map(|text| text.parse().unwrap());
        let table = ObjectId::new(Kind::Table, "s.t");
        let mut snapshot = Snapshot::default();
        snapshot.add(table.clone(), Object::default());
        let sum = |side: &Snapshot| Counted::but(side, &[], &all, &[]).checksum();
        let before = sum(&snapshot);
        let object = snapshot.objects.get_mut(&table).unwrap();
        object.properties.insert("comment".into(), "x".into());
        snapshot.add(ObjectId::new(Kind::View, "s.v"), Object::default());
        assert_eq!(sum(&snapshot), before);
        snapshot.add(ObjectId::new(Kind::Index, "s.i"), Object::default());
        assert_ne!(sum(&snapshot), before);
    }

    #[test]
    fn schemas_that_differ_only_in_what_is_ignored_have_one_checksum() {
        let rules = ["table:s.tmp", "*.comment:*"].map(|text| text.parse().unwrap());
        let mut kept = Snapshot::default();
        let table = ObjectId::new(Kind::Table, "s.t");
        kept.add(table.clone(), Object::default());
        let mut other = kept.clone();
        let tmp = ObjectId::new(Kind::Table, "s.tmp");
        other.add(tmp.clone(), Object::default());
        other.add(
            ObjectId::new(Kind::Column, "s.tmp.c"),
            Object {
                parent: Some(tmp),
                ..Object::default()
            },
        );
        let remarked = other.objects.get_mut(&table).unwrap();
        remarked.properties.insert("comment".into(), "x".into());
        let sum = |side: &Snapshot, rules: &[IgnoreRule]| Counted::of(side, rules, &[]).checksum();
        assert_eq!(sum(&other, &rules), sum(&kept, &rules));
        assert_ne!(sum(&other, &rules[..1]), sum(&kept, &rules[..1]));
    }
}
