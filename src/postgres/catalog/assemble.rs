//! Makes objects of the rows that the catalog queries gave.

use super::rights::{Defaults, deviations_from};
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
/// What an object came with, where that is not what is usual.
const FIRST_GRANTS: &str = "first_grants";
/// Says by which defaults the grants are read.
const GRANT_CLASS: &str = "grant_class";

/// Takes the answers in the order of their questions: what is usual is known before what deviates.
#[derive(Default)]
pub(super) struct Assembly {
    snapshot: Snapshot,
    defaults: Defaults,
}

impl Assembly {
    pub(super) fn new(server_version: u32) -> Assembly {
        let mut assembly = Assembly::default();
        assembly.snapshot.server_version = server_version;
        assembly
    }

    pub(super) fn take(&mut self, section: &'static str, read: Read) -> Result<(), CatalogError> {
        match section {
            super::rights::ABOUT => {
                let value = |n: usize| read.rows.first().and_then(|row| row.get(n)?.clone());
                self.snapshot.database = value(0).unwrap_or_default();
                self.snapshot.owner = value(1).unwrap_or_default();
                Ok(())
            }
            super::rights::DEFAULTS => {
                self.defaults = Defaults::of(&read.rows);
                Ok(())
            }
            _ => self.objects(section, read),
        }
    }

    fn objects(&mut self, section: &'static str, read: Read) -> Result<(), CatalogError> {
        for values in read.rows {
            let of_grants = read.columns.iter().any(|column| column == FIRST_GRANTS);
            let (id, object) = self.object(section, &read.columns, values)?;
            if of_grants && object.properties.is_empty() {
                continue;
            }
            if self.snapshot.add(id.clone(), object).is_some() {
                return Err(CatalogError::Twice(id));
            }
        }
        Ok(())
    }

    /// Makes an object of one row; NULL is absent.
    fn object(
        &self,
        section: &'static str,
        columns: &[String],
        values: Vec<Option<String>>,
    ) -> Result<(ObjectId, Object), CatalogError> {
        let mut object = Object::default();
        let [mut word, mut name, mut class] = [const { String::new() }; 3];
        let [mut parent_word, mut parent, mut grants, mut first] = [const { None }; 4];
        let named = columns.iter().zip(values);
        for (column, value) in named.filter_map(|(column, value)| Some((column, value?))) {
            match column.as_str() {
                KIND => word = value,
                NAME => name = value,
                SCHEMA => object.schema = Some(value),
                PARENT_KIND => parent_word = Some(value),
                PARENT => parent = Some(value),
                POSITION => object.position = value.parse().ok(),
                GRANTS => grants = Some(value),
                FIRST_GRANTS => first = Some(value),
                GRANT_CLASS => class = value,
                _ => {
                    object.properties.insert(column.clone(), value);
                }
            }
        }
        if let (Some(word), Some(parent)) = (parent_word, parent) {
            object.parent = Some(ObjectId::new(kind(section, word)?, parent));
        }
        if let Some(grants) = grants {
            let deviations = match first {
                Some(first) => deviations_from(&first, &grants),
                None => self.defaults.deviations(&class, &grants),
            };
            object.properties.extend(deviations);
        }
        Ok((ObjectId::new(kind(section, word)?, name), object))
    }

    pub(super) fn snapshot(self) -> Snapshot {
        self.snapshot
    }
}

fn kind(section: &'static str, word: String) -> Result<Kind, CatalogError> {
    Kind::of_word(&word).ok_or(CatalogError::UnknownKind { section, word })
}
