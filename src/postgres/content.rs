//! What tables hold, as a number: of a dump's rows and of a database's, so that one can be
//! compared with the other.
//!
//! Both speak the text form of `COPY`. The sum does not depend on the order of the rows.

use std::collections::BTreeMap;

use futures_util::StreamExt as _;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::PostgresError;
use super::session::Session;

/// The rows of one table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableContent {
    /// The columns in the dump's order, in parentheses.
    pub columns: String,
    pub rows: u64,
    /// 32 hex digits: the sum of the rows' hashes.
    pub digest: String,
}

/// Tables by their quoted, qualified names.
pub type Contents = BTreeMap<String, TableContent>;

/// Where sequences stand, by their quoted, qualified names: the value, and whether it was handed out.
pub type SequenceValues = BTreeMap<String, (i64, bool)>;

/// As pg_dump has them, so that values are written the same way; names of objects are values too,
/// and are written short where the search path finds them.
pub(super) const SETTINGS: &str = "SET search_path = ''; SET DateStyle = ISO; \
    SET IntervalStyle = postgres; SET TimeZone = 'UTC'; SET extra_float_digits = 3; \
    SET bytea_output = hex; SET row_security = off; SET synchronize_seqscans = off";

/// Adds rows up.
#[derive(Debug, Default)]
pub(super) struct Sum {
    rows: u64,
    sum: u128,
}

impl Sum {
    pub(super) fn rows(&self) -> u64 {
        self.rows
    }

    pub(super) fn add(&mut self, row: &[u8]) {
        let hash: [u8; 32] = Sha256::digest(row).into();
        let mut half = [0; 16];
        half.copy_from_slice(&hash[..16]);
        self.sum = self.sum.wrapping_add(u128::from_be_bytes(half));
        self.rows += 1;
    }

    pub(super) fn content(self, columns: &str) -> TableContent {
        TableContent {
            columns: columns.to_owned(),
            rows: self.rows,
            digest: format!("{:032x}", self.sum),
        }
    }
}

/// Reads the output of `pg_restore --data-only --file=-`, however it is cut into pieces.
#[derive(Debug, Default)]
pub struct DumpReader {
    line: Vec<u8>,
    table: Option<(String, String, Sum)>,
    contents: Contents,
    sequences: SequenceValues,
}

impl DumpReader {
    /// Takes the next piece.
    pub fn take(&mut self, mut piece: &[u8]) {
        while let Some(end) = piece.iter().position(|byte| *byte == b'\n') {
            if self.line.is_empty() {
                self.one_line(&piece[..end]);
            } else {
                self.line.extend_from_slice(&piece[..end]);
                let line = std::mem::take(&mut self.line);
                self.one_line(&line);
            }
            piece = &piece[end + 1..];
        }
        self.line.extend_from_slice(piece);
    }

    /// What was read. A table that was cut off is not among it.
    pub fn finish(self) -> Contents {
        self.contents
    }

    /// What was read, with where the sequences stand.
    pub fn finish_with_sequences(self) -> (Contents, SequenceValues) {
        (self.contents, self.sequences)
    }

    fn one_line(&mut self, line: &[u8]) {
        match &mut self.table {
            Some((_, _, sum)) if line != b"\\." => sum.add(line),
            Some(_) => {
                if let Some((table, columns, sum)) = self.table.take() {
                    // The children of a table may carry its data in parts.
                    self.contents.insert(table, sum.content(&columns));
                }
            }
            None => {
                if let Some((table, columns)) = copy_header(line) {
                    self.table = Some((table, columns, Sum::default()));
                } else if let Some((sequence, value)) = set_value(line) {
                    self.sequences.insert(sequence, value);
                }
            }
        }
    }
}

/// The table and its columns, of a line such as `COPY eng.t (a, b) FROM stdin;`.
fn copy_header(line: &[u8]) -> Option<(String, String)> {
    let text = std::str::from_utf8(line).ok()?;
    let rest = text.strip_prefix("COPY ")?.strip_suffix(" FROM stdin;")?;
    let (table, columns) = rest.split_once(" (")?;
    Some((table.to_owned(), format!("({columns}")))
}

/// The sequence and its value, of a line such as `SELECT pg_catalog.setval('eng.s', 5, true);`.
fn set_value(line: &[u8]) -> Option<(String, (i64, bool))> {
    let text = std::str::from_utf8(line).ok()?;
    let rest = text.strip_prefix("SELECT pg_catalog.setval('")?;
    let (rest, called) = rest.strip_suffix(");")?.rsplit_once(", ")?;
    let (name, value) = rest.rsplit_once("', ")?;
    let name = name.replace("''", "'");
    Some((name, (value.parse().ok()?, called == "true")))
}

/// Reads from the database what a dump's tables hold there now. A table that is missing is left
/// out.
///
/// # Errors
/// What the server says.
pub async fn read(
    session: &Session,
    wanted: &Contents,
    mut observe: impl FnMut(&str),
) -> Result<Contents, PostgresError> {
    session.client.batch_execute(SETTINGS).await?;
    let mut found = Contents::new();
    for (table, content) in wanted {
        let sql = format!(
            "SELECT to_regclass({}) IS NOT NULL",
            super::ledger::literal(table)
        );
        let there: bool = session.client.query_typed_one(&sql, &[]).await?.get(0);
        if !there {
            continue;
        }
        if !is_column_list(&content.columns) {
            let reason = format!("{table} has columns that no dump writes");
            return Err(PostgresError::Protocol { reason });
        }
        observe(table);
        let columns = match content.columns.as_str() {
            "()" => "",
            columns => columns,
        };
        let copy = format!("COPY {table} {columns} TO STDOUT");
        let sum = sum_of(session, &copy).await?;
        found.insert(table.clone(), sum.content(&content.columns));
    }
    Ok(found)
}

/// Adds up the rows that a `COPY … TO STDOUT` gives.
pub(super) async fn sum_of(session: &Session, copy: &str) -> Result<Sum, PostgresError> {
    let mut rows = std::pin::pin!(session.client.copy_out(copy).await?);
    let mut sum = Sum::default();
    while let Some(row) = rows.next().await {
        let row = row?;
        sum.add(row.strip_suffix(b"\n").unwrap_or(&row));
    }
    Ok(sum)
}

/// Tells whether a text is a list of columns as a dump writes it, and nothing else: it comes from a
/// file, and goes into a statement.
fn is_column_list(text: &str) -> bool {
    let Some(inner) = text.strip_prefix('(').and_then(|t| t.strip_suffix(')')) else {
        return false;
    };
    let mut quoted = false;
    inner.chars().all(|c| {
        quoted ^= c == '"';
        let plain = c.is_alphanumeric() || matches!(c, '_' | '$' | ',' | ' ' | '"');
        c != '\0' && (quoted || plain)
    }) && !quoted
}

/// Says where a database's content differs from a dump's; empty when nowhere.
pub fn differences(dump: &Contents, found: &Contents) -> Vec<String> {
    dump.iter()
        .filter_map(|(table, wanted)| match found.get(table) {
            None => Some(format!("{table} is missing")),
            Some(found) if found == wanted => None,
            Some(found) if found.rows != wanted.rows => Some(format!(
                "{table} has {} rows, the backup {}",
                found.rows, wanted.rows
            )),
            Some(_) => Some(format!("{table} has other values than the backup")),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const DUMP: &[u8] =
        b"--\n-- Data\n--\n\nCOPY eng.t (a, \"b c\") FROM stdin;\n1\tx\n2\t\\N\n\\.\n\n\
        COPY public.empty (a) FROM stdin;\n\\.\n\nSELECT pg_catalog.setval('s', 1, true);\n";

    fn read_in(pieces: usize) -> Contents {
        let mut reader = DumpReader::default();
        for piece in DUMP.chunks(pieces) {
            reader.take(piece);
        }
        reader.finish()
    }

    #[test]
    fn a_dump_is_read_the_same_however_it_is_cut() {
        let whole = read_in(DUMP.len());
        assert_eq!(whole["eng.t"].rows, 2);
        assert_eq!(whole["eng.t"].columns, "(a, \"b c\")");
        assert_eq!(whole["public.empty"].rows, 0);
        for pieces in 1..20 {
            assert_eq!(read_in(pieces), whole);
        }
    }

    #[test]
    fn order_does_not_count_and_values_do() {
        let sum = |rows: &[&[u8]]| {
            let mut sum = Sum::default();
            rows.iter().for_each(|row| sum.add(row));
            sum.content("(a)")
        };
        assert_eq!(sum(&[b"1", b"2"]), sum(&[b"2", b"1"]));
        assert_ne!(sum(&[b"1", b"2"]), sum(&[b"1", b"3"]));
        assert_ne!(sum(&[b"1", b"1"]), sum(&[b"2", b"2"]));
        assert_ne!(sum(&[b"1"]), sum(&[b"1", b"1"]));
    }

    #[test]
    fn a_list_of_columns_is_nothing_else() {
        for list in ["()", "(a)", "(a, \"b c\", \"d\"\"e)\", ü_1$)"] {
            assert!(is_column_list(list), "{list}");
        }
        for other in [
            "",
            "(a) TO PROGRAM 'x' --)",
            "(a); SELECT 1",
            "(\"a)",
            "(a) WHERE (b)",
        ] {
            assert!(!is_column_list(other), "{other}");
        }
    }

    #[test]
    fn differences_are_named() {
        let dump = read_in(7);
        let mut found = dump.clone();
        assert!(differences(&dump, &found).is_empty());
        found.remove("public.empty");
        found.get_mut("eng.t").unwrap().rows = 3;
        assert_eq!(
            differences(&dump, &found),
            ["eng.t has 3 rows, the backup 2", "public.empty is missing"]
        );
    }
}
