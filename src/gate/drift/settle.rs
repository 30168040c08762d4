//! Tells definitions that differ from definitions that are only written differently.

use super::load::Loaded;
use crate::postgres::Session;
use crate::postgres::rewritten::{Definition, rewritten};
use crate::schema::{self, Kind, ObjectId, Snapshot};

const DEFINITION: &str = "definition";
/// More than this differ for another reason.
const MOST: usize = 500;

/// The definitions that may be only written differently.
pub(super) fn in_question(expected: &Snapshot, actual: &Snapshot) -> Vec<ObjectId> {
    let comparison = schema::compare(expected, actual, &schema::Options::default());
    let kinds = [Kind::Constraint, Kind::View, Kind::MaterializedView];
    comparison
        .differences
        .iter()
        .filter(|difference| kinds.contains(&difference.kind))
        .filter(|difference| difference.property.as_deref() == Some(DEFINITION))
        .filter(|difference| {
            let check = |text: &Option<String>| {
                text.as_deref()
                    .is_some_and(|text| text.starts_with("CHECK"))
            };
            difference.kind != Kind::Constraint
                || check(&difference.expected) && check(&difference.actual)
        })
        .map(schema::Difference::id)
        .take(MOST)
        .collect()
}

/// Gives both texts of each definition to the server that the expected schema is loaded into, and
/// takes the actual one for the expected where they are then written the same.
pub(super) async fn settle(
    session: &Session,
    expected: &Snapshot,
    actual: &mut Loaded,
    ids: &[ObjectId],
) {
    let mut settled = 0;
    for id in ids {
        let text = |side: &Snapshot| side.objects.get(id)?.properties.get(DEFINITION).cloned();
        let (Some(wanted), Some(found)) = (text(expected), text(&actual.snapshot)) else {
            continue;
        };
        let Some(object) = expected.objects.get(id) else {
            continue;
        };
        let (Some(parent), Some(schema)) = (&object.parent, &object.schema) else {
            continue;
        };
        let definition = match (id.kind, parent.kind) {
            (Kind::Constraint, Kind::Table) => Definition::Check {
                table: &parent.name,
            },
            (Kind::Constraint, _) => continue,
            _ => Definition::Query { schema },
        };
        let one = [
            Some(wanted.clone()),
            rewritten(session, definition, &wanted).await,
        ];
        let other = [
            Some(found.clone()),
            rewritten(session, definition, &found).await,
        ];
        let same = one
            .iter()
            .flatten()
            .any(|a| other.iter().flatten().any(|b| a == b));
        if same && let Some(object) = actual.snapshot.objects.get_mut(id) {
            object.properties.insert(DEFINITION.to_owned(), wanted);
            settled += 1;
        }
    }
    if settled > 0 {
        actual.notes.push(format!(
            "{settled} definitions are written differently and mean the same: the server writes \
             both the same way when it is given them"
        ));
    }
}
