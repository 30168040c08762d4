//! Makes objects of the rows that the catalog queries gave.

use std::collections::BTreeMap;

use super::rights::Defaults;
use super::{CatalogError, Read};
use crate::schema::{Kind, Object, ObjectId, Snapshot};

/// Columns that are not properties.
const KIND: &str = "kind";
const SCHEMA: &str = "schema";
const NAME: &str = "name";
const PARENT_KIND: &str = "parent_kind";
const PARENT: &str = "parent";
const POSITION: &str = "position";
/// Taken apart into one property a grantee.
const GRANTS: &str = "grants";
/// Says by which defaults the grants are read.
const GRANT_CLASS: &str = "grant_class";

pub(super) fn assemble(
    server_version: u32,
    answers: Vec<(&'static str, Read)>,
) -> Result<Snapshot, CatalogError> {
    let mut snapshot = Snapshot {
        server_version,
        ..Snapshot::default()
    };
    let mut defaults = Defaults::default();
    for (section, read) in answers {
        match section {
            super::rights::ABOUT => {
                let value = |n: usize| read.rows.first().and_then(|row| row.get(n)?.clone());
                snapshot.database = value(0).unwrap_or_default();
                snapshot.owner = value(1).unwrap_or_default();
            }
            super::rights::DEFAULTS => defaults = Defaults::of(&read.rows),
            _ => objects(section, read, &defaults, &mut snapshot)?,
        }
    }
    Ok(snapshot)
}

fn objects(
    section: &'static str,
    read: Read,
    defaults: &Defaults,
    snapshot: &mut Snapshot,
) -> Result<(), CatalogError> {
    for row in read.rows {
        let mut row = Row::of(&read.columns, row);
        let word = row.take(KIND).unwrap_or_default();
        let kind = kind(section, word)?;
        let name = row.take(NAME).unwrap_or_default();
        let parent = match (row.take(PARENT_KIND), row.take(PARENT)) {
            (Some(word), Some(parent)) => Some(ObjectId::new(self::kind(section, word)?, parent)),
            _ => None,
        };
        let schema = row.take(SCHEMA);
        let position = row.take(POSITION).and_then(|text| text.parse().ok());
        let grants = row.take(GRANTS);
        let class = row.take(GRANT_CLASS).unwrap_or_default();
        let mut properties = row.0;
        if let Some(grants) = grants {
            properties.extend(defaults.deviations(&class, &grants));
        }
        let id = ObjectId::new(kind, name);
        let object = Object {
            schema,
            parent,
            position,
            properties,
        };
        if snapshot.add(id.clone(), object).is_some() {
            return Err(CatalogError::Twice(id));
        }
    }
    Ok(())
}

fn kind(section: &'static str, word: String) -> Result<Kind, CatalogError> {
    Kind::of_word(&word).ok_or(CatalogError::UnknownKind { section, word })
}

/// One row as named values; NULL is absent.
struct Row(BTreeMap<String, String>);

impl Row {
    fn of(columns: &[String], values: Vec<Option<String>>) -> Row {
        let named = columns.iter().zip(values);
        Row(named
            .filter_map(|(column, value)| Some((column.clone(), value?)))
            .collect())
    }

    fn take(&mut self, column: &str) -> Option<String> {
        self.0.remove(column)
    }
}
