//! What a JSON backup says of itself: its tables, their files and hashes, and what it lacks.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::Path;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::content::TableContent;
use super::json_row::{RowForm, Shape};
use super::ledger::identifier;
use super::session::Session;
use super::tables::{ExtensionConfig, IdentityColumn, Table};
use super::{PostgresError, tables};
use crate::digest::hex;

/// The manifest's name. It is written last: without it there is no backup.
pub const MANIFEST: &str = "manifest.json";
/// What the manifest says it is.
const KIND: &str = "stagegate-json-backup";
const VERSION: u32 = 1;

/// Settings under which the server writes a value the same everywhere, and reads it back exactly.
const PINNED: [(&str, &str); 13] = [
    ("search_path", ""),
    ("DateStyle", "ISO, YMD"),
    ("IntervalStyle", "postgres"),
    ("TimeZone", "UTC"),
    ("extra_float_digits", "3"),
    ("bytea_output", "hex"),
    ("xmloption", "content"),
    // Amounts of money are whole numbers of the smallest coin; the locale only dresses them.
    ("lc_monetary", "C"),
    ("array_nulls", "on"),
    ("quote_all_identifiers", "off"),
    // A policy that hides rows is an error rather than a smaller backup.
    ("row_security", "off"),
    ("synchronize_seqscans", "off"),
    ("standard_conforming_strings", "on"),
];

/// Pins the settings, until the end of the transaction.
pub(super) async fn pin(session: &Session) -> Result<(), PostgresError> {
    let sql: Vec<String> = PINNED
        .iter()
        .map(|(name, value)| format!("SET LOCAL {name} = '{value}'"))
        .collect();
    session.client.batch_execute(&sql.join("; ")).await?;
    Ok(())
}

/// A finished backup.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct JsonManifest {
    pub kind: String,
    pub version: u32,
    /// The database that it was taken of, in words that end with its fingerprint.
    pub server: String,
    pub database: String,
    pub server_version: String,
    /// When the snapshot was taken, by the server's clock.
    pub taken_at: String,
    /// The write-ahead log's position then.
    pub wal_position: String,
    pub duration_ms: u64,
    /// How values are written, in words.
    pub values: Vec<String>,
    /// What is not in it.
    pub left_out: Vec<String>,
    /// Only tables that somebody named.
    pub partial: bool,
    pub tables: Vec<JsonTable>,
    pub sequences: Vec<JsonSequence>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JsonTable {
    pub schema: String,
    pub name: String,
    /// Schema and name as a statement needs them.
    pub quoted: String,
    pub file: String,
    pub rows: u64,
    pub bytes: u64,
    pub sha256: String,
    /// The rows as `COPY` writes them, added up; the order does not count.
    pub content: TableContent,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extension: Option<ExtensionConfig>,
    /// The server lost its rows in every crash before the backup.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unlogged: bool,
    pub columns: Vec<JsonColumn>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JsonColumn {
    pub name: String,
    #[serde(rename = "type")]
    pub type_name: String,
    /// How its values stand in the file; `None` for a generated column, which has none there.
    #[serde(rename = "as", default, skip_serializing_if = "Option::is_none")]
    pub shape: Option<Shape>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<IdentityColumn>,
    pub not_null: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JsonSequence {
    /// Schema and name as a statement needs them.
    pub quoted: String,
    /// A string: it has 64 bits.
    #[serde(with = "as_text")]
    pub last_value: i64,
    pub is_called: bool,
}

mod as_text {
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    pub(super) fn serialize<S: Serializer>(value: &i64, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(value)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<i64, D::Error> {
        String::deserialize(from)?.parse().map_err(D::Error::custom)
    }
}

impl JsonColumn {
    pub(super) fn of(column: &tables::Column) -> JsonColumn {
        JsonColumn {
            name: column.name.clone(),
            type_name: column.type_name.clone(),
            shape: (!column.generated).then(|| Shape::of(column.type_oid)),
            identity: column.identity,
            not_null: column.not_null,
        }
    }
}

/// The columns of a table that have values in its file.
pub(super) fn stored(columns: &[JsonColumn]) -> impl Iterator<Item = (&str, Shape)> {
    columns
        .iter()
        .filter_map(|column| Some((column.name.as_str(), column.shape?)))
}

/// The columns as statements and content digests list them, such as `("a", "b")`.
pub(super) fn column_list(columns: &[JsonColumn]) -> String {
    let names: Vec<String> = stored(columns).map(|(name, _)| identifier(name)).collect();
    format!("({})", names.join(", "))
}

pub(super) fn row_form(columns: &[JsonColumn]) -> RowForm {
    RowForm::new(stored(columns))
}

/// The statement that reads a table's own rows, those of an extension's own left out.
pub(super) fn copy_out(
    quoted: &str,
    columns: &[JsonColumn],
    extension: Option<&ExtensionConfig>,
) -> String {
    let list = column_list(columns);
    match extension.filter(|config| !config.condition.is_empty()) {
        Some(config) => format!(
            "COPY (SELECT {} FROM ONLY {quoted} {}) TO STDOUT",
            list.trim_matches(['(', ')']),
            config.condition
        ),
        // A list without names is no SQL; a table without columns has none.
        None if list == "()" => format!("COPY {quoted} TO STDOUT"),
        None => format!("COPY {quoted} {list} TO STDOUT"),
    }
}

/// What a reader must know of the values, for the manifest.
pub(super) fn values_in_words() -> Vec<String> {
    [
        "a file is one JSON array with one object a row, one row a line",
        "null is SQL NULL and nothing else",
        "boolean: true or false",
        "number: 16 and 32 bit integers and oid, bare",
        "float: real and double precision, bare; \"NaN\", \"Infinity\", \"-Infinity\" as strings",
        "string: the server's text of every other type, 64 bit integers, numeric, json and jsonb \
         among them",
        "texts are written with DateStyle ISO, IntervalStyle postgres, TimeZone UTC, \
         extra_float_digits 3, bytea_output hex, lc_monetary C, an empty search_path",
        "generated columns are not written",
    ]
    .map(str::to_owned)
    .to_vec()
}

/// Why a backup cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    #[error("there is no backup at `{0}`: it holds no {MANIFEST}")]
    Missing(String),
    #[error("`{0}` is what an interrupted backup left, and no backup")]
    Unfinished(String),
    #[error("the manifest `{path}` cannot be read: {reason}")]
    Manifest { path: String, reason: String },
    #[error("the backup is not what its manifest says: {0}")]
    Damaged(String),
    #[error("`{path}`: {source}")]
    File {
        path: String,
        #[source]
        source: io::Error,
    },
}

impl BackupError {
    pub(super) fn file(path: &Path) -> impl FnOnce(io::Error) -> BackupError + '_ {
        move |source| BackupError::File {
            path: path.display().to_string(),
            source,
        }
    }
}

/// Opens a file of a backup to read it: one of this folder and no link to another, and none that
/// waits for a writer, as a pipe does.
pub(super) fn open_regular(path: &Path) -> io::Result<File> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let irregular = || io::Error::other("it is no regular file");
    let file = match rustix::fs::open(path, flags, Mode::empty()) {
        Ok(file) => File::from(file),
        Err(Errno::LOOP | Errno::NXIO) => return Err(irregular()),
        Err(error) => return Err(error.into()),
    };
    match file.metadata()?.is_file() {
        true => Ok(file),
        false => Err(irregular()),
    }
}

fn read_whole(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open_regular(path)?.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Reads the manifest of the backup in `folder`.
///
/// # Errors
/// When there is none, or it is none that this program understands.
pub fn read_manifest(folder: &Path) -> Result<JsonManifest, BackupError> {
    let shown = || folder.display().to_string();
    if folder.extension().is_some_and(|ending| ending == "partial") {
        return Err(BackupError::Unfinished(shown()));
    }
    let path = folder.join(MANIFEST);
    let bytes = match read_whole(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(BackupError::Missing(shown()));
        }
        Err(error) => return Err(BackupError::file(&path)(error)),
    };
    let refuse = |reason: String| BackupError::Manifest {
        path: path.display().to_string(),
        reason,
    };
    let manifest: JsonManifest =
        serde_json::from_slice(&bytes).map_err(|error| refuse(error.to_string()))?;
    if manifest.kind != KIND || manifest.version != VERSION {
        return Err(refuse(format!(
            "it is a `{}` of version {}; this program reads `{KIND}` of version {VERSION}",
            manifest.kind, manifest.version
        )));
    }
    let mut seen = BTreeSet::new();
    for table in &manifest.tables {
        if !seen.insert((true, &table.quoted)) || !seen.insert((false, &table.file)) {
            return Err(refuse(format!("it names {} twice", table.quoted)));
        }
        // A name that led elsewhere would make a restore read what is none of the backup's.
        let name = Path::new(&table.file);
        if name.components().count() != 1 || name.file_name().is_none() {
            return Err(refuse(format!("`{}` is no file's name", table.file)));
        }
    }
    Ok(manifest)
}

impl JsonManifest {
    pub(super) fn kind_and_version() -> (String, u32) {
        (KIND.to_owned(), VERSION)
    }

    pub fn rows(&self) -> u64 {
        self.tables.iter().map(|table| table.rows).sum()
    }

    pub fn bytes(&self) -> u64 {
        self.tables.iter().map(|table| table.bytes).sum()
    }

    /// Reads every file: its size, hash and rows must be those of the manifest, and no other file
    /// may be there.
    ///
    /// # Errors
    /// The first file that differs, is missing or is too many.
    pub fn check_files(&self, folder: &Path) -> Result<(), BackupError> {
        for table in &self.tables {
            let path = folder.join(&table.file);
            check_file(table, &path)?;
        }
        for entry in fs::read_dir(folder).map_err(BackupError::file(folder))? {
            let name = entry.map_err(BackupError::file(folder))?.file_name();
            if name != MANIFEST && !self.tables.iter().any(|t| *t.file == *name) {
                let name = name.to_string_lossy();
                return Err(BackupError::Damaged(format!(
                    "{name} does not belong to it"
                )));
            }
        }
        Ok(())
    }
}

fn check_file(table: &JsonTable, path: &Path) -> Result<(), BackupError> {
    let damaged = |what: &str| Err(BackupError::Damaged(format!("{} {what}", table.file)));
    let mut file = match open_regular(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return damaged("is missing"),
        Err(error) => return Err(BackupError::file(path)(error)),
    };
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 18];
    let (mut bytes, mut lines) = (0_u64, 0_u64);
    loop {
        let read = file.read(&mut buffer).map_err(BackupError::file(path))?;
        if read == 0 {
            break;
        }
        let piece = &buffer[..read];
        bytes += read as u64;
        lines += piece.iter().filter(|byte| **byte == b'\n').count() as u64;
        hasher.update(piece);
    }
    if bytes != table.bytes {
        return damaged(&format!("has {bytes} bytes, of {}", table.bytes));
    }
    if hex(&hasher.finalize()) != table.sha256 {
        return damaged("has changed: its SHA-256 is another");
    }
    // The brackets stand on lines of their own.
    if lines.checked_sub(2) != Some(table.rows) || table.rows != table.content.rows {
        return damaged(&format!("does not hold {} rows", table.rows));
    }
    Ok(())
}

/// The name of a table's file: readable where names are, and never one that a file system takes
/// for another.
pub(super) fn file_name(table: &Table, taken: &[String]) -> String {
    let mut name = String::new();
    for (n, part) in [&table.schema, &table.name].into_iter().enumerate() {
        if n > 0 {
            name.push('.');
        }
        for byte in part.bytes() {
            match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' | b'-' => name.push(byte as char),
                _ => name.push_str(&format!("%{byte:02x}")),
            }
        }
    }
    name.push_str(".json");
    let clash = |other: &String| other.eq_ignore_ascii_case(&name);
    match name.len() > 200 || name == MANIFEST || taken.iter().any(clash) {
        true => format!("table-{}.json", table.oid),
        false => name,
    }
}
