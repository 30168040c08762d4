//! One row: from a line of `COPY` to a line of JSON and back, without a loss.
//!
//! A value is what the server writes of it under pinned settings, as a string. Bare are only those
//! that every reader of JSON takes exactly: booleans, integers of up to 32 bits, and finite
//! floating point numbers. `null` is SQL's NULL and nothing else: the `null` of a JSON column is
//! the string `"null"`.

/// How a column's values stand in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Shape {
    /// `true` and `false`.
    Boolean,
    /// A bare number: 16 and 32 bits, and object ids.
    Number,
    /// A bare number; `"NaN"`, `"Infinity"` and `"-Infinity"` are strings.
    Float,
    /// The server's text.
    String,
}

impl Shape {
    /// The shape of a type, by its fixed number; types that users made are strings.
    pub fn of(type_oid: u32) -> Shape {
        match type_oid {
            16 => Shape::Boolean,
            21 | 23 | 26 => Shape::Number,
            700 | 701 => Shape::Float,
            _ => Shape::String,
        }
    }
}

/// What is wrong with a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadLine {
    #[error("it has another number of values than the table has columns")]
    Columns,
    #[error("it is not as `stagegate backup` writes it, at byte {0}")]
    Form(usize),
}

/// Writes and reads the rows of one table.
#[derive(Debug, Clone)]
pub struct RowForm {
    /// What stands before each value, such as `{"id":` and `,"name":`.
    before: Vec<Vec<u8>>,
    shapes: Vec<Shape>,
}

/// What a byte of a COPY line is to JSON.
const PLAIN: u8 = 0;
const SPECIAL: u8 = 1;

/// Bytes that cannot be copied as they are: control characters, the quote, the backslash.
const CLASSES: [u8; 256] = {
    let mut classes = [PLAIN; 256];
    let mut byte = 0;
    while byte < 0x20 {
        classes[byte] = SPECIAL;
        byte += 1;
    }
    classes[b'"' as usize] = SPECIAL;
    classes[b'\\' as usize] = SPECIAL;
    classes
};

impl RowForm {
    /// Makes the form of a table with columns of those names and shapes.
    pub fn new<'a>(columns: impl Iterator<Item = (&'a str, Shape)>) -> RowForm {
        let (before, shapes) = columns
            .enumerate()
            .map(|(n, (name, shape))| {
                let mut before = vec![if n == 0 { b'{' } else { b',' }];
                quoted(name, &mut before);
                before.push(b':');
                (before, shape)
            })
            .unzip();
        RowForm { before, shapes }
    }

    /// Appends the JSON of a COPY line, which has no line feed at its end.
    ///
    /// # Errors
    /// When the line has too few or too many values.
    pub fn encode(&self, line: &[u8], out: &mut Vec<u8>) -> Result<(), BadLine> {
        if self.shapes.is_empty() {
            out.extend_from_slice(b"{}");
            return if line.is_empty() {
                Ok(())
            } else {
                Err(BadLine::Columns)
            };
        }
        let mut rest = Some(line);
        for (before, shape) in self.before.iter().zip(&self.shapes) {
            let value = rest.ok_or(BadLine::Columns)?;
            out.extend_from_slice(before);
            rest = match shape {
                Shape::String => string(value, out),
                bare => {
                    let (value, rest) = cut(value);
                    encode_bare(*bare, value, out);
                    rest
                }
            };
        }
        out.push(b'}');
        match rest {
            None => Ok(()),
            Some(_) => Err(BadLine::Columns),
        }
    }

    /// Appends the COPY line of a JSON line, with a line feed.
    ///
    /// # Errors
    /// Where it is not as [`RowForm::encode`] wrote it.
    pub fn decode(&self, line: &[u8], out: &mut Vec<u8>) -> Result<(), BadLine> {
        let mut rest = line;
        let at = |rest: &[u8]| BadLine::Form(line.len() - rest.len());
        if self.shapes.is_empty() {
            rest = rest.strip_prefix(b"{").ok_or(at(rest))?;
        }
        for (n, (before, shape)) in self.before.iter().zip(&self.shapes).enumerate() {
            if n > 0 {
                out.push(b'\t');
            }
            rest = rest.strip_prefix(&before[..]).ok_or(at(rest))?;
            rest = decode_value(*shape, rest, out).ok_or(at(rest))?;
        }
        if rest != b"}" {
            return Err(at(rest));
        }
        out.push(b'\n');
        Ok(())
    }
}

/// Cuts a COPY line at the first tab; those in values are escaped.
fn cut(line: &[u8]) -> (&[u8], Option<&[u8]>) {
    match line.iter().position(|byte| *byte == b'\t') {
        Some(tab) => (&line[..tab], Some(&line[tab + 1..])),
        None => (line, None),
    }
}

fn encode_bare(shape: Shape, value: &[u8], out: &mut Vec<u8>) {
    let finite = || {
        let digits = value.strip_prefix(b"-").unwrap_or(value);
        digits.first().is_some_and(u8::is_ascii_digit)
    };
    match (shape, value) {
        (_, b"\\N") => out.extend_from_slice(b"null"),
        (Shape::Boolean, b"t") => out.extend_from_slice(b"true"),
        (Shape::Boolean, b"f") => out.extend_from_slice(b"false"),
        (Shape::Number | Shape::Float, _) if finite() => out.extend_from_slice(value),
        _ => {
            string(value, out);
        }
    }
}

/// Writes the value that the line begins with as a JSON string, or `null`; gives what follows on
/// the tab behind it.
fn string<'a>(line: &'a [u8], out: &mut Vec<u8>) -> Option<&'a [u8]> {
    if let Some(rest) = line.strip_prefix(b"\\N") {
        out.extend_from_slice(b"null");
        return rest.split_first().map(|(_, rest)| rest);
    }
    out.push(b'"');
    let mut rest = line;
    loop {
        let plain = rest
            .iter()
            .position(|byte| CLASSES[*byte as usize] != PLAIN)
            .unwrap_or(rest.len());
        out.extend_from_slice(&rest[..plain]);
        rest = &rest[plain..];
        match rest {
            [] => {
                out.push(b'"');
                return None;
            }
            [b'\t', rest @ ..] => {
                out.push(b'"');
                return Some(rest);
            }
            [b'\\', b'v', after @ ..] => {
                out.extend_from_slice(b"\\u000b");
                rest = after;
            }
            // The rest of the escapes of COPY mean the same in JSON.
            [b'\\', escaped, after @ ..] => {
                out.extend_from_slice(&[b'\\', *escaped]);
                rest = after;
            }
            [byte, after @ ..] => {
                escape(*byte, out);
                rest = after;
            }
        }
    }
}

/// Writes a byte that JSON does not take as it is.
fn escape(byte: u8, out: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    match byte {
        b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
        _ => {
            out.extend_from_slice(b"\\u00");
            out.extend_from_slice(&[HEX[(byte >> 4) as usize], HEX[(byte & 15) as usize]]);
        }
    }
}

/// Writes a text as a JSON string.
fn quoted(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    for byte in text.bytes() {
        match CLASSES[byte as usize] {
            PLAIN => out.push(byte),
            _ => escape(byte, out),
        }
    }
    out.push(b'"');
}

/// Reads the value that stands first; gives what follows on it.
fn decode_value<'a>(shape: Shape, rest: &'a [u8], out: &mut Vec<u8>) -> Option<&'a [u8]> {
    if let Some(rest) = rest.strip_prefix(b"\"") {
        return decode_string(rest, out);
    }
    let end = rest.iter().position(|byte| matches!(byte, b',' | b'}'))?;
    let (value, rest) = rest.split_at(end);
    match (shape, value) {
        (_, b"null") => out.extend_from_slice(b"\\N"),
        (Shape::Boolean, b"true") => out.push(b't'),
        (Shape::Boolean, b"false") => out.push(b'f'),
        (Shape::Number | Shape::Float, [_, ..])
            if value
                .iter()
                .all(|byte| byte.is_ascii_digit() || matches!(byte, b'-' | b'+' | b'.' | b'e')) =>
        {
            out.extend_from_slice(value);
        }
        _ => return None,
    }
    Some(rest)
}

fn decode_string<'a>(mut rest: &'a [u8], out: &mut Vec<u8>) -> Option<&'a [u8]> {
    loop {
        let plain = rest
            .iter()
            .position(|byte| CLASSES[*byte as usize] != PLAIN)?;
        out.extend_from_slice(&rest[..plain]);
        rest = match &rest[plain..] {
            [b'"', after @ ..] => return Some(after),
            [b'\\', b'"', after @ ..] => {
                out.push(b'"');
                after
            }
            [
                b'\\',
                escaped @ (b'\\' | b'b' | b'f' | b'n' | b'r' | b't'),
                after @ ..,
            ] => {
                out.extend_from_slice(&[b'\\', *escaped]);
                after
            }
            [b'\\', b'u', b'0', b'0', high, low, after @ ..] => {
                let digit = |byte: &u8| char::from(*byte).to_digit(16);
                let byte = digit(high)? * 16 + digit(low)?;
                match byte {
                    // These have escapes of their own.
                    0 | 8 | 9 | 10 | 12 | 13 | 0x20.. => return None,
                    0x0b => out.extend_from_slice(b"\\v"),
                    _ => out.push(byte as u8),
                }
                after
            }
            _ => return None,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(columns: &[(&str, u32)]) -> RowForm {
        RowForm::new(columns.iter().map(|(name, oid)| (*name, Shape::of(*oid))))
    }

    fn there_and_back(form: &RowForm, line: &str) -> String {
        let mut json = Vec::new();
        form.encode(line.as_bytes(), &mut json).unwrap();
        let mut copy = Vec::new();
        form.decode(&json, &mut copy).unwrap();
        assert_eq!(String::from_utf8(copy).unwrap(), format!("{line}\n"));
        String::from_utf8(json).unwrap()
    }

    #[test]
    fn values_are_bare_only_where_every_reader_takes_them_exactly() {
        let form = form(&[("b", 16), ("i", 23), ("l", 20), ("f", 701), ("n", 1700)]);
        let json = there_and_back(&form, "t\t-7\t9223372036854775807\t-0\t1.50");
        let wanted = r#"{"b":true,"i":-7,"l":"9223372036854775807","f":-0,"n":"1.50"}"#;
        assert_eq!(json, wanted);
        let json = there_and_back(&form, "f\t\\N\t\\N\tNaN\t-Infinity");
        let wanted = r#"{"b":false,"i":null,"l":null,"f":"NaN","n":"-Infinity"}"#;
        assert_eq!(json, wanted);
        there_and_back(&form, "\\N\t0\t0\t1e-05\t0");
        there_and_back(&form, "\\N\t0\t0\t-Infinity\t0");
    }

    #[test]
    fn texts_are_json_whatever_is_in_them() {
        let form = form(&[("a \"b\"\n", 25), ("c", 3802)]);
        for (line, text) in [
            ("\\\\N", "\\N"),
            ("\\t\\n\\r\\b\\f\\\\\"/", "\t\n\r\u{8}\u{c}\\\"/"),
            ("\u{1}\\v\u{7f}\u{1b}[0m", "\u{1}\u{b}\u{7f}\u{1b}[0m"),
            ("Zoë 😀 \u{2028}", "Zoë 😀 \u{2028}"),
            ("", ""),
        ] {
            let json = there_and_back(&form, &format!("{line}\tnull"));
            let read: serde_json::Value = serde_json::from_str(&json).unwrap();
            assert_eq!(read["a \"b\"\n"], text);
            assert_eq!(read["c"], "null");
        }
        let mut json = Vec::new();
        form.encode(b"x\t\\N", &mut json).unwrap();
        let read: serde_json::Value = serde_json::from_slice(&json).unwrap();
        assert!(read["c"].is_null());
    }

    #[test]
    fn a_table_may_have_no_columns() {
        assert_eq!(there_and_back(&form(&[]), ""), "{}");
    }

    #[test]
    fn a_line_with_another_number_of_values_is_refused() {
        let two = form(&[("a", 25), ("b", 25)]);
        for line in ["1", "1\t2\t3"] {
            let found = two.encode(line.as_bytes(), &mut Vec::new());
            assert_eq!(found, Err(BadLine::Columns));
        }
    }

    #[test]
    fn what_was_not_written_by_us_is_refused() {
        let form = form(&[("a", 25), ("b", 23)]);
        for line in [
            "",
            "{}",
            r#"{"a":"x"}"#,
            r#"{"a":"x","b":1,"c":2}"#,
            r#"{"a":x,"b":1}"#,
            r#"{"a":"x","b":true}"#,
            r#"{"a":"x","b":1;2}"#,
            r#"{"a":"x","b":}"#,
            "{\"a\":\"x\ty\",\"b\":1}",
            r#"{"a":"\u0009","b":1}"#,
            r#"{"a":"\u0000","b":1}"#,
            r#"{"a":"\.","b":1}"#,
            r#"{"a":"\x41","b":1}"#,
            r#"{"b":1,"a":"x"}"#,
            r#"{"a":"x","b":1} "#,
        ] {
            let found = form.decode(line.as_bytes(), &mut Vec::new());
            assert!(matches!(found, Err(BadLine::Form(_))), "{line}: {found:?}");
        }
    }
}
