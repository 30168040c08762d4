//! What the catalogs of one database say, as data that can be kept in a file.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Counted, Kind};
use crate::digest::digest;

/// The version of the file format.
pub const FORMAT: u32 = 1;

/// By what an object is matched.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ObjectId {
    pub kind: Kind,
    /// The qualified name, quoted as SQL needs it; with the types of its arguments for a routine.
    pub name: String,
}

impl ObjectId {
    pub fn new(kind: Kind, name: impl Into<String>) -> ObjectId {
        ObjectId {
            kind,
            name: name.into(),
        }
    }
}

impl std::fmt::Display for ObjectId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.kind, self.name)
    }
}

/// One object: what is said of it, and what it is part of.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Object {
    /// The schema it lies in, as the catalog spells it; absent for what lies in none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<String>,
    /// What it goes with: a column's table, a table's schema.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<ObjectId>,
    /// Its place among its siblings, where they have an order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position: Option<u32>,
    /// Only what is not the default is held, so that an absent property means the default.
    #[serde(default)]
    pub properties: BTreeMap<String, String>,
}

/// One object of a file: the map of [`Snapshot`] has keys that JSON cannot have.
#[derive(Serialize, Deserialize)]
struct Entry {
    kind: Kind,
    name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    schema: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    parent: Option<ObjectId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    position: Option<u32>,
    #[serde(default)]
    properties: BTreeMap<String, String>,
}

impl Entry {
    fn new(id: &ObjectId, object: &Object) -> Entry {
        Entry {
            kind: id.kind,
            name: id.name.clone(),
            schema: object.schema.clone(),
            parent: object.parent.clone(),
            position: object.position,
            properties: object.properties.clone(),
        }
    }

    fn take_apart(self) -> (ObjectId, Object) {
        let object = Object {
            schema: self.schema,
            parent: self.parent,
            position: self.position,
            properties: self.properties,
        };
        (ObjectId::new(self.kind, self.name), object)
    }
}

/// The schema of one database.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// The server's version number, such as 150018.
    pub server_version: u32,
    /// The database's name, for people.
    pub database: String,
    /// The role that owns the database.
    pub owner: String,
    pub objects: BTreeMap<ObjectId, Object>,
}

#[derive(Serialize, Deserialize)]
struct File {
    format: u32,
    server_version: u32,
    database: String,
    owner: String,
    checksum: String,
    objects: Vec<Entry>,
}

/// Why a file is no snapshot.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    #[error("it is not a snapshot: {0}")]
    Json(#[from] serde_json::Error),
    #[error("it has snapshot format {found}; this version of stagegate reads format {FORMAT}")]
    Format { found: u32 },
    #[error("it was changed after it was written: its checksum is another one")]
    Checksum,
    #[error("it holds {0} twice")]
    Twice(ObjectId),
}

/// The checksum of a file: over everything that it says.
fn seal(head: &str, lines: &[String]) -> String {
    digest(format!("{head}\n{}", lines.join("\n")).as_bytes())
}

impl Snapshot {
    /// The server's major version.
    pub fn major(&self) -> u32 {
        self.server_version / 10_000
    }

    /// Adds an object, and gives it back when its name is taken.
    pub fn add(&mut self, id: ObjectId, object: Object) -> Option<Object> {
        self.objects.insert(id, object)
    }

    /// Keeps only what lies in these schemas; all when none is named.
    pub fn only_schemas(&mut self, schemas: &[String]) {
        if schemas.is_empty() {
            return;
        }
        self.objects.retain(|_, object| {
            object
                .schema
                .as_ref()
                .is_some_and(|schema| schemas.contains(schema))
        });
    }

    /// Computes the checksum over all objects.
    pub fn checksum(&self) -> String {
        Counted::of(self, &[], &[]).checksum()
    }

    /// Writes the snapshot as JSON, one object a line.
    pub fn to_json(&self) -> Result<String, SnapshotError> {
        let lines = self.lines()?;
        let head = self.head(seal(&self.head(String::new())?, &lines))?;
        let mut text = head.trim_end_matches("]}").to_owned();
        for (index, line) in lines.iter().enumerate() {
            text.push_str(if index == 0 { "\n" } else { ",\n" });
            text.push_str(line);
        }
        text.push_str("\n]}\n");
        Ok(text)
    }

    /// The file without its objects.
    fn head(&self, checksum: String) -> Result<String, SnapshotError> {
        let file = File {
            format: FORMAT,
            server_version: self.server_version,
            database: self.database.clone(),
            owner: self.owner.clone(),
            checksum,
            objects: Vec::new(),
        };
        Ok(serde_json::to_string(&file)?)
    }

    fn lines(&self) -> Result<Vec<String>, SnapshotError> {
        let write = |(id, object)| Ok(serde_json::to_string(&Entry::new(id, object))?);
        self.objects.iter().map(write).collect()
    }

    /// Reads a snapshot that [`Snapshot::to_json`] wrote.
    ///
    /// # Errors
    /// When it is none, is of another format, or was changed by hand.
    pub fn from_json(text: &str) -> Result<Snapshot, SnapshotError> {
        #[derive(Deserialize)]
        struct Head {
            format: u32,
        }
        // A file of another format may have any other shape as well.
        let file: File = match serde_json::from_str(text) {
            Ok(file) => file,
            Err(error) => match serde_json::from_str::<Head>(text) {
                Ok(Head { format }) if format != FORMAT => {
                    return Err(SnapshotError::Format { found: format });
                }
                _ => return Err(error.into()),
            },
        };
        if file.format != FORMAT {
            return Err(SnapshotError::Format { found: file.format });
        }
        let mut snapshot = Snapshot {
            server_version: file.server_version,
            database: file.database,
            owner: file.owner,
            objects: BTreeMap::new(),
        };
        for (id, object) in file.objects.into_iter().map(Entry::take_apart) {
            if snapshot.add(id.clone(), object).is_some() {
                return Err(SnapshotError::Twice(id));
            }
        }
        if seal(&snapshot.head(String::new())?, &snapshot.lines()?) != file.checksum {
            return Err(SnapshotError::Checksum);
        }
        Ok(snapshot)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::schema::{Options, compare};
    use proptest::prelude::*;

    /// Small schemas that share names, so that pairs of them have something in common.
    pub(in crate::schema) fn snapshots() -> impl Strategy<Value = Snapshot> {
        let properties = || prop::collection::btree_map("[abc]", "[xy\"\n é]{0,3}", 0..3);
        let column = (0..4u32, properties());
        let table = ("[tuv]", properties(), prop::collection::vec(column, 0..4));
        prop::collection::vec(table, 0..4).prop_map(|tables| {
            let mut snapshot = Snapshot {
                server_version: 150_018,
                ..Snapshot::default()
            };
            for (name, properties, columns) in tables {
                let id = ObjectId::new(Kind::Table, format!("s.{name}"));
                for (position, properties) in columns {
                    snapshot.add(
                        ObjectId::new(Kind::Column, format!("{}.c{position}", id.name)),
                        Object {
                            schema: Some("s".to_owned()),
                            parent: Some(id.clone()),
                            position: Some(position),
                            properties,
                        },
                    );
                }
                let object = Object {
                    schema: Some("s".to_owned()),
                    properties,
                    ..Object::default()
                };
                snapshot.add(id, object);
            }
            snapshot
        })
    }

    proptest! {
        #[test]
        fn what_was_written_is_read_back(snapshot in snapshots()) {
            let text = snapshot.to_json().unwrap();
            prop_assert_eq!(Snapshot::from_json(&text).unwrap(), snapshot);
        }

        #[test]
        fn schemas_that_compare_as_equal_have_one_checksum(a in snapshots(), b in snapshots()) {
            let equal = compare(&a, &b, &Options::default()).equal;
            prop_assert_eq!(equal, a.checksum() == b.checksum());
        }
    }

    #[test]
    fn a_file_that_was_changed_or_is_of_another_time_is_refused() {
        let mut snapshot = Snapshot::default();
        snapshot.add(ObjectId::new(Kind::Table, "public.t"), Object::default());
        let text = snapshot.to_json().unwrap();
        let changed = text.replace("public.t", "public.u");
        assert!(matches!(
            Snapshot::from_json(&changed),
            Err(SnapshotError::Checksum)
        ));
        let later = text.replace("\"format\":1", "\"format\":2");
        assert!(matches!(
            Snapshot::from_json(&later),
            Err(SnapshotError::Format { found: 2 })
        ));
        assert!(Snapshot::from_json(&text[..text.len() / 2]).is_err());
    }
}
