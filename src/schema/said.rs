//! Whole objects in words: what came or went, and everything in it.

use super::{Object, ObjectId, Snapshot};

const DEFINITION: &str = "definition";

/// What is said of a whole object, and a line for each thing that came or went with it.
pub(super) fn with_parts(side: &Snapshot, id: &ObjectId, parts: &[ObjectId]) -> Option<String> {
    let own = summary(side, id);
    if parts.is_empty() {
        return own;
    }
    let mut lines: Vec<String> = own.into_iter().collect();
    // Columns stand where they stand in the table.
    let place = |part: &&ObjectId| {
        let object = side.objects.get(*part);
        (part.kind, object.and_then(|object| object.position))
    };
    let mut parts: Vec<&ObjectId> = parts.iter().collect();
    parts.sort_by_key(place);
    lines.extend(parts.into_iter().map(|part| {
        let said = summary(side, part).unwrap_or_default();
        let more = side.objects.get(part).map(more);
        let text = format!("{part} {said}{}", more.unwrap_or_default());
        text.trim_end().to_owned()
    }));
    Some(lines.join("\n"))
}

/// What a column's type leaves unsaid.
fn more(object: &Object) -> String {
    if !object.properties.contains_key("type") {
        return String::new();
    }
    let said = object
        .properties
        .iter()
        .filter(|(property, _)| !matches!(property.as_str(), "type" | "comment"));
    said.map(|(property, value)| format!(", {property}: {value}"))
        .collect()
}

/// What a whole object is, in one value: its definition, or all of its properties.
fn summary(side: &Snapshot, id: &ObjectId) -> Option<String> {
    let object = side.objects.get(id)?;
    for property in [DEFINITION, "type", "body"] {
        if let Some(value) = object.properties.get(property) {
            return Some(value.clone());
        }
    }
    let said: Vec<String> = object
        .properties
        .iter()
        .map(|(property, value)| format!("{property}: {value}"))
        .collect();
    (!said.is_empty()).then(|| said.join("; "))
}
