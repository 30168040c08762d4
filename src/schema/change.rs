//! What became of a schema, as one value: two changes are the same when their digests are.

use super::{IgnoreRule, Snapshot, without};
use crate::digest::digest;

/// Hashes everything that differs between two schemas: whole objects with all that is said of them,
/// and each property with both values. What a rule ignores is not part of it, nor is the place of a
/// column, nor what a database's owner is called.
pub fn change_digest(before: &Snapshot, after: &Snapshot, ignore: &[IgnoreRule]) -> String {
    let (before, after) = (without(before, ignore), without(after, ignore));
    let mut parts: Vec<String> = vec!["stagegate change 1".to_owned()];
    let mut say = |words: &[&str]| {
        for word in words {
            // The length before each word: no two lists of words give the same text.
            parts.push(format!("{}:{word}", word.len()));
        }
    };
    // The owner of everything is called what it is called in each database.
    let owners = [before.owner.clone(), after.owner.clone()];
    let own = |property: &str, value: &str, owner: &str| match property {
        "owner" if value == owner => "the owner".to_owned(),
        _ => value.to_owned(),
    };
    for (id, object) in &before.objects {
        let kind = id.kind.word();
        let Some(other) = after.objects.get(id) else {
            say(&["removed", kind, &id.name]);
            for (property, value) in &object.properties {
                say(&[property, &own(property, value, &owners[0])]);
            }
            continue;
        };
        for (property, value) in &object.properties {
            let value = own(property, value, &owners[0]);
            let found = other.properties.get(property);
            match found.map(|found| own(property, found, &owners[1])) {
                Some(found) if found == value => {}
                Some(found) => say(&["changed", kind, &id.name, property, &value, &found]),
                None => say(&["unset", kind, &id.name, property, &value]),
            }
        }
        for (property, value) in &other.properties {
            if !object.properties.contains_key(property) {
                let value = own(property, value, &owners[1]);
                say(&["set", kind, &id.name, property, &value]);
            }
        }
    }
    for (id, object) in &after.objects {
        if !before.objects.contains_key(id) {
            say(&["added", id.kind.word(), &id.name]);
            for (property, value) in &object.properties {
                say(&[property, &own(property, value, &owners[1])]);
            }
        }
    }
    digest(parts.join("\n").as_bytes())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::schema::snapshot::tests::snapshots;

    proptest! {
        #[test]
        fn a_change_is_told_by_what_it_makes_of_a_schema(
            before in snapshots(), one in snapshots(), other in snapshots()
        ) {
            let properties = |side: &Snapshot| -> Vec<_> {
                let all = side.objects.iter();
                all.map(|(id, object)| (id.clone(), object.properties.clone())).collect()
            };
            let same = change_digest(&before, &one, &[]) == change_digest(&before, &other, &[]);
            prop_assert_eq!(same, properties(&one) == properties(&other));
        }
    }
}
