//! What cannot be compared: what only one of two versions has, and what a role may not read.

use std::collections::{BTreeMap, BTreeSet};

use super::{Kind, Object, ObjectId, Snapshot};

/// Privileges of a newer version mean nothing on an older one.
const MAINTAIN_SINCE: u32 = 17;
/// What a version is the first to have; an older one cannot differ in it.
const SINCE: [(Kind, &str, u32); 5] = [
    (Kind::RangeType, "multirange", 14),
    (Kind::RoleMembership, "inherit", 16),
    (Kind::RoleMembership, "set", 16),
    (Kind::Column, "not null constraint", 18),
    (Kind::Column, "not null comment", 18),
];
const GRANTS: &str = "grants to ";

/// Stands for a value that the role which asked may not read; it says nothing about the value.
pub const HIDDEN: &str = "(hidden from this role)";

/// Says what the comparison of two versions leaves out.
pub(super) fn notes(majors: [u32; 2]) -> Vec<String> {
    match majors {
        [expected, actual] if expected != actual => vec![format!(
            "PostgreSQL {expected} is compared with PostgreSQL {actual}: what only one of them \
             has and versions of extensions are not compared, and definitions that the servers \
             write differently may show as changed"
        )],
        _ => Vec::new(),
    }
}

/// Tells whether a value was not given. Only options of user mappings are kept from anybody, and
/// none of theirs is written like this: any other text may be what somebody wrote.
pub(super) fn is_unread(kind: Kind, property: &str, value: &str) -> bool {
    kind == Kind::UserMapping && matches!(property, "option names" | "options") && value == HIDDEN
}

/// Tells of what came with the server or with an extension: everything else has an owner, or a definition. The schema that comes with every database may be
/// dropped.
pub(super) fn is_of_grants(id: &ObjectId, object: &Object) -> bool {
    let properties = &object.properties;
    !properties.is_empty()
        && id.kind != Kind::DefaultPrivileges
        && (id.kind, id.name.as_str()) != (Kind::Schema, "public")
        && properties.keys().all(|name| name.starts_with(GRANTS))
}

/// Says what is never read, because it holds passwords.
pub(super) fn unlooked([expected, actual]: [&Snapshot; 2]) -> Vec<String> {
    let both = |kind: Kind, secret: fn(&Object) -> bool| {
        let mut all = expected.objects.iter().filter(|(id, _)| id.kind == kind);
        all.any(|(id, object)| {
            let other = actual.objects.get(id);
            secret(object) && other.is_some_and(secret)
        })
    };
    let mut said = Vec::new();
    if both(Kind::UserMapping, |object| {
        let names = object.properties.get("option names");
        names.is_some_and(|names| names != HIDDEN)
    }) {
        said.push(
            "options of user mappings that may hold a secret are compared by their names only"
                .to_owned(),
        );
    }
    if both(Kind::Subscription, |_| true) {
        said.push("connections of subscriptions are not compared: they hold passwords".to_owned());
    }
    said
}

/// Says what was not compared because a side could not read it.
pub(super) fn hidden(sides: [&Snapshot; 2]) -> Vec<String> {
    let mut counted: BTreeMap<(Kind, &str), BTreeSet<&str>> = BTreeMap::new();
    for (id, object) in sides.iter().flat_map(|side| &side.objects) {
        let properties = object.properties.iter();
        for (property, _) in properties.filter(|(name, value)| is_unread(id.kind, name, value)) {
            counted
                .entry((id.kind, property))
                .or_default()
                .insert(&id.name);
        }
    }
    let said = |((kind, property), names): ((Kind, &str), BTreeSet<&str>)| {
        let names: Vec<&str> = names.into_iter().collect();
        format!(
            "{property} of {kind} {} could not be read by this role and were not compared; ask \
             as the owner or as a superuser",
            names.join("; ")
        )
    };
    counted.into_iter().map(said).collect()
}

/// Tells of what says nothing when two versions are compared. An extension comes in the version
/// that its server has.
pub(super) fn is_of_one_version(kind: Kind, property: &str, majors: [u32; 2]) -> bool {
    let [older, newer] = [majors[0].min(majors[1]), majors[0].max(majors[1])];
    let first = |(of, name, since): &(Kind, &str, u32)| {
        *of == kind && *name == property && older < *since && *since <= newer
    };
    older != newer && (kind, property) == (Kind::Extension, "version") || SINCE.iter().any(first)
}

/// Takes out of a value what only one of the two versions can say.
pub(super) fn across(property: &str, value: &str, majors: [u32; 2]) -> String {
    let straddles = majors.iter().any(|major| *major < MAINTAIN_SINCE)
        && majors.iter().any(|major| *major >= MAINTAIN_SINCE);
    if !straddles || !property.starts_with(GRANTS) {
        return value.to_owned();
    }
    let kept: Vec<&str> = value
        .split(", ")
        .filter(|privilege| privilege.trim_end_matches('*') != "MAINTAIN")
        .collect();
    kept.join(", ")
}
