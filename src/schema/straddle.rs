//! What cannot be compared: what only one of two versions has, and what a role may not read.

use std::collections::{BTreeMap, BTreeSet};

use super::{Kind, Snapshot};

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

/// Says what was not compared because a side could not read it.
pub(super) fn hidden(sides: [&Snapshot; 2]) -> Vec<String> {
    let mut counted: BTreeMap<(Kind, &str), BTreeSet<&str>> = BTreeMap::new();
    for (id, object) in sides.iter().flat_map(|side| &side.objects) {
        for (property, _) in object.properties.iter().filter(|(_, v)| *v == HIDDEN) {
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
