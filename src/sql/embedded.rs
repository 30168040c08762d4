//! SQL inside other languages: statements that write, found by their words.
//!
//! No parser knows every language, so this looks for the words that begin a write and the name that
//! follows them, in whatever case, over line ends, with quotes and escaped quotes. It rather finds
//! one too many than one too few.

use std::sync::LazyLock;

use regex::Regex;

use super::relations::fold;

/// A write that was found in text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Embedded {
    /// In bytes.
    pub at: usize,
    pub relation: String,
    pub verb: &'static str,
}

const VERBS: [(&str, &str); 7] = [
    ("insert", "INSERT INTO"),
    ("update", "UPDATE"),
    ("delete", "DELETE FROM"),
    ("merge", "MERGE INTO"),
    ("truncate", "TRUNCATE"),
    ("copy", "COPY FROM"),
    ("replace", "INSERT INTO"),
];

/// Blanks between two words of SQL in a source file: white space, the ends of joined string
/// literals, line continuations.
const GAP: &str = r#"(?:\s|\\n|\\t|\\\n|["'`]\s*[+.]?\s*["'`])+"#;
/// A name, bare or in quotes, which the language may have escaped.
const NAME: &str = r#"(?:\\?["`]?[A-Za-z_][A-Za-z0-9_$]*\\?["`]?)"#;

static PATTERN: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let pattern = format!(
        r"(?i)\b(insert{GAP}into|update|delete{GAP}from|merge{GAP}into|truncate(?:{GAP}table)?|copy){GAP}(?:only{GAP})?({NAME}(?:\s*\.\s*{NAME}){{0,2}})"
    );
    Regex::new(&pattern).ok()
});

/// What may follow `COPY name` when it writes the table.
static COPIES_INTO: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(&format!(r"(?i)^(?:\s*\([^)]*\))?{GAP}from\b")).ok());

/// Words that follow `UPDATE` or `TRUNCATE` in prose and in other SQL, and are no names.
const NO_NAMES: [&str; 14] = [
    "set", "of", "on", "the", "a", "an", "is", "to", "table", "or", "and", "from", "only", "no",
];

/// Finds every write in a text.
pub fn find(text: &str) -> Vec<Embedded> {
    let (Some(pattern), Some(copies_into)) = (PATTERN.as_ref(), COPIES_INTO.as_ref()) else {
        return Vec::new();
    };
    let mut found = Vec::new();
    for hit in pattern.captures_iter(text) {
        let (Some(whole), Some(words), Some(name)) = (hit.get(0), hit.get(1), hit.get(2)) else {
            continue;
        };
        let word = words.as_str().to_lowercase();
        let verb = VERBS.iter().find(|(first, _)| word.starts_with(first));
        let Some((first, verb)) = verb else { continue };
        if *first == "copy" && !copies_into.is_match(&text[whole.end()..]) {
            continue;
        }
        let relation = name
            .as_str()
            .split('.')
            .map(|part| fold(&unquoted(&part.trim().replace(['\\', '`'], ""))))
            .collect::<Vec<_>>()
            .join(".");
        if NO_NAMES.contains(&relation.as_str()) {
            continue;
        }
        found.push(Embedded {
            at: whole.start(),
            relation,
            verb,
        });
    }
    found
}

/// A quote on one side only belongs to the language around the SQL.
fn unquoted(name: &str) -> String {
    if name.starts_with('"') == name.ends_with('"') {
        return name.to_owned();
    }
    name.trim_matches('"').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(text: &str) -> Vec<String> {
        let found = find(text);
        found
            .iter()
            .map(|f| format!("{} {}", f.verb, f.relation))
            .collect()
    }

    #[test]
    fn writes_are_found_in_any_language() {
        for (text, wanted) in [
            (
                "db.execute(\"INSERT INTO eng_t VALUES (1)\")",
                "INSERT INTO eng_t",
            ),
            (
                "cur.execute('''\n  insert\n    into Eng.T (a)''')",
                "INSERT INTO eng.t",
            ),
            ("`UPDATE eng.t SET a = 1`", "UPDATE eng.t"),
            ("\"update \\\"eng\\\".\\\"T\\\" set a = 1\"", "UPDATE eng.T"),
            ("\"DELETE FROM \" + \"eng.t\"", "DELETE FROM eng.t"),
            ("'delete from only eng.t'", "DELETE FROM eng.t"),
            ("MERGE INTO eng.t USING s", "MERGE INTO eng.t"),
            ("TRUNCATE TABLE eng.t", "TRUNCATE eng.t"),
            ("truncate eng.t", "TRUNCATE eng.t"),
            ("copy eng.t (a, b) FROM STDIN", "COPY FROM eng.t"),
        ] {
            assert_eq!(seen(text), [wanted], "{text}");
        }
    }

    #[test]
    fn reading_and_prose_are_not() {
        for text in [
            "SELECT * FROM eng.t",
            "copy eng.t to stdout",
            "ON CONFLICT (a) DO UPDATE SET a = 1",
            "SELECT 1 FOR UPDATE OF t",
            "FOR NO KEY UPDATE",
            "inserted into",
        ] {
            assert_eq!(seen(text), [""; 0], "{text}");
        }
    }
}
