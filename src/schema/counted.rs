//! What counts of a schema: without what the rules ignore. Checksums are over that.

use super::{IgnoreRule, ObjectId, Snapshot};
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
        let lies_there = |schema: &Option<String>| {
            schemas.is_empty() || schema.as_ref().is_some_and(|name| schemas.contains(name))
        };
        let dropped = |id| rules.iter().any(|rule| rule.drops(id, &snapshot.objects));
        let objects = snapshot
            .objects
            .iter()
            .filter(|(id, object)| lies_there(&object.schema) && !dropped(id))
            .map(|(id, object)| {
                let ignored = |name: &str| rules.iter().any(|rule| rule.drops_property(id, name));
                let kept = object.properties.iter().filter(|(name, _)| !ignored(name));
                CountedObject {
                    id,
                    position: object.position,
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
