//! Tells definitions that differ from definitions that are only written differently.

use super::load::Loaded;
use crate::postgres::Session;
use crate::postgres::rewritten::{Asked, can_be_asked, rewritten};
use crate::schema::{self, ObjectId, Snapshot};

/// More than this differ for another reason.
const MOST: usize = 500;

/// One text that differs, by what it is a property of.
pub(super) type Question = (ObjectId, String);

/// The definitions that may be only written differently.
pub(super) fn in_question(expected: &Snapshot, actual: &Snapshot) -> Vec<Question> {
    let comparison = schema::compare(expected, actual, &schema::Options::default());
    comparison
        .differences
        .iter()
        .filter(|difference| difference.expected.is_some() && difference.actual.is_some())
        .filter_map(|difference| Some((difference.id(), difference.property.clone()?)))
        .filter(|(id, property)| can_be_asked(id.kind, property))
        .take(MOST)
        .collect()
}

/// Gives both texts of each definition to a server that one of the sides is loaded into, and takes
/// the actual one for the expected where they are then written the same.
pub(super) async fn settle(
    session: &Session,
    expected: &Snapshot,
    actual: &mut Loaded,
    questions: &[Question],
) {
    let texts: Vec<[String; 2]> = questions
        .iter()
        .map(|(id, property)| {
            [expected, &actual.snapshot].map(|side| {
                let object = side.objects.get(id);
                let text = object.and_then(|object| object.properties.get(property));
                text.cloned().unwrap_or_default()
            })
        })
        .collect();
    let mut asked = Vec::new();
    for ((id, property), texts) in questions.iter().zip(&texts) {
        let Some(object) = expected.objects.get(id) else {
            continue;
        };
        asked.extend(texts.iter().map(|text| Asked {
            id,
            object,
            property,
            text,
        }));
    }
    let answers = rewritten(session, &asked).await;
    let mut settled = 0;
    for (asked, answers) in asked.chunks(2).zip(answers.chunks(2)) {
        let ([wanted, found], [one, other]) = (asked, answers) else {
            continue;
        };
        let one = [Some(wanted.text), one.as_deref()];
        let other = [Some(found.text), other.as_deref()];
        let same = one
            .iter()
            .flatten()
            .any(|a| other.iter().flatten().any(|b| a == b));
        if same && let Some(object) = actual.snapshot.objects.get_mut(wanted.id) {
            let (property, text) = (wanted.property.to_owned(), wanted.text.to_owned());
            object.properties.insert(property, text);
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
