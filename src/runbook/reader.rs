//! Reads TOML tables key by key, remembers every problem, and goes on.
//!
//! A derived deserialiser stops at the first mistake. An operator who mends a file at night wants
//! all of them, so tables are read by hand over the spanned tree that the `toml` crate gives.

use std::cell::RefCell;
use std::ops::Range;
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::duration::parse_duration;
use super::problem::{Problem, choices, position};

/// A value and the bytes it came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct At<T> {
    pub(super) value: T,
    pub(super) span: Range<usize>,
}

/// Collects problems while a file is read.
pub(super) struct Findings<'a> {
    source: &'a str,
    problems: RefCell<Vec<Problem>>,
}

impl<'a> Findings<'a> {
    pub(super) fn new(source: &'a str) -> Self {
        Findings {
            source,
            problems: RefCell::new(Vec::new()),
        }
    }

    pub(super) fn add(
        &self,
        span: Range<usize>,
        message: impl Into<String>,
        label: impl Into<String>,
        valid: Option<String>,
    ) {
        let (line, column) = position(self.source, span.start);
        self.problems.borrow_mut().push(Problem {
            span,
            line,
            column,
            message: message.into(),
            label: label.into(),
            valid,
        });
    }

    pub(super) fn is_empty(&self) -> bool {
        self.problems.borrow().is_empty()
    }

    pub(super) fn into_problems(self) -> Vec<Problem> {
        self.problems.into_inner()
    }
}

/// One table, read key by key. [`TableReader::finish`] reports what was not asked for.
pub(super) struct TableReader<'a, 'i> {
    /// How the table is called in messages, such as "gate `backup`".
    pub(super) name: String,
    pub(super) span: Range<usize>,
    table: &'a DeTable<'i>,
    known: Vec<&'static str>,
    pub(super) findings: &'a Findings<'a>,
}

impl<'a, 'i> TableReader<'a, 'i> {
    pub(super) fn new(
        name: impl Into<String>,
        span: Range<usize>,
        table: &'a DeTable<'i>,
        findings: &'a Findings<'a>,
    ) -> Self {
        TableReader {
            name: name.into(),
            span,
            table,
            known: Vec::new(),
            findings,
        }
    }

    /// The value of a key, whatever its type.
    pub(super) fn any(&mut self, key: &'static str) -> Option<&'a Spanned<DeValue<'i>>> {
        self.known.push(key);
        self.table.get(key)
    }

    /// Tells whether a key stands in the table, without reading it.
    pub(super) fn has(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }

    fn wrong_type(&self, key: &str, wanted: &str, found: &Spanned<DeValue<'i>>) {
        self.findings.add(
            found.span(),
            format!("`{key}` of {} must be {wanted}", self.name),
            format!("this is {}", with_article(found.get_ref().type_str())),
            None,
        );
    }

    pub(super) fn missing(&self, key: &str, wanted: &str) {
        self.findings.add(
            self.span.clone(),
            format!("{} lacks `{key}`", self.name),
            format!("`{key}` is missing here"),
            Some(format!("`{key}` is {wanted}")),
        );
    }

    pub(super) fn string(&mut self, key: &'static str) -> Option<At<String>> {
        let found = self.any(key)?;
        let Some(text) = found.get_ref().as_str() else {
            self.wrong_type(key, "a string", found);
            return None;
        };
        if text.trim().is_empty() {
            self.findings.add(
                found.span(),
                format!("`{key}` of {} is empty", self.name),
                "write something here",
                None,
            );
            return None;
        }
        Some(At {
            value: text.to_owned(),
            span: found.span(),
        })
    }

    pub(super) fn need_string(&mut self, key: &'static str) -> At<String> {
        let present = self.has(key);
        match self.string(key) {
            Some(text) => text,
            None => {
                if !present {
                    self.missing(key, "a string");
                }
                At {
                    value: String::new(),
                    span: self.span.clone(),
                }
            }
        }
    }

    pub(super) fn flag(&mut self, key: &'static str, default: bool) -> bool {
        match self.any(key) {
            None => default,
            Some(found) => found.get_ref().as_bool().unwrap_or_else(|| {
                self.wrong_type(key, "true or false", found);
                default
            }),
        }
    }

    pub(super) fn whole(
        &mut self,
        key: &'static str,
        range: std::ops::RangeInclusive<i64>,
    ) -> Option<At<i64>> {
        let found = self.any(key)?;
        let number = found
            .get_ref()
            .as_integer()
            .and_then(|n| i64::from_str_radix(n.as_str(), n.radix()).ok());
        match number {
            Some(value) if range.contains(&value) => Some(At {
                value,
                span: found.span(),
            }),
            _ => {
                let wanted = format!("a whole number from {} to {}", range.start(), range.end());
                self.wrong_type(key, &wanted, found);
                None
            }
        }
    }

    pub(super) fn duration(&mut self, key: &'static str) -> Option<At<Duration>> {
        let found = self.any(key)?;
        let Some(text) = found.get_ref().as_str() else {
            self.wrong_type(key, "a duration with its unit, such as \"90s\"", found);
            return None;
        };
        match parse_duration(text) {
            Ok(value) => Some(At {
                value,
                span: found.span(),
            }),
            Err(error) => {
                self.findings.add(
                    found.span(),
                    format!("`{key}` of {}: {error}", self.name),
                    "not a duration",
                    None,
                );
                None
            }
        }
    }

    pub(super) fn strings(&mut self, key: &'static str) -> Option<Vec<At<String>>> {
        let found = self.any(key)?;
        let Some(array) = found.get_ref().as_array() else {
            self.wrong_type(key, "a list of strings", found);
            return None;
        };
        let mut out = Vec::new();
        for item in array.iter() {
            match item.get_ref().as_str() {
                Some(text) => out.push(At {
                    value: text.to_owned(),
                    span: item.span(),
                }),
                None => self.wrong_type(key, "a list of strings", item),
            }
        }
        Some(out)
    }

    /// A list of strings that may not be empty.
    pub(super) fn need_strings(&mut self, key: &'static str) -> Vec<At<String>> {
        match self.strings(key) {
            None => {
                if !self.has(key) {
                    self.missing(key, "a list of strings");
                }
                Vec::new()
            }
            Some(list) => {
                if list.is_empty() {
                    let span = self.table.get(key).map_or(self.span.clone(), Spanned::span);
                    self.findings.add(
                        span,
                        format!("`{key}` of {} is empty", self.name),
                        "at least one is needed",
                        None,
                    );
                }
                list
            }
        }
    }

    /// A table below this one.
    pub(super) fn table(&mut self, key: &'static str, name: &str) -> Option<TableReader<'a, 'i>> {
        let found = self.any(key)?;
        match found.get_ref().as_table() {
            Some(table) => Some(TableReader::new(name, found.span(), table, self.findings)),
            None => {
                self.wrong_type(key, "a table", found);
                None
            }
        }
    }

    /// A list of tables below this one, written `[[key]]`.
    pub(super) fn tables(&mut self, key: &'static str) -> Vec<(Range<usize>, &'a DeTable<'i>)> {
        let Some(found) = self.any(key) else {
            return Vec::new();
        };
        let Some(array) = found.get_ref().as_array() else {
            self.wrong_type(key, &format!("a list of tables, written [[{key}]]"), found);
            return Vec::new();
        };
        let mut out = Vec::new();
        for item in array.iter() {
            match item.get_ref().as_table() {
                Some(table) => out.push((item.span(), table)),
                None => self.wrong_type(key, &format!("a list of tables, written [[{key}]]"), item),
            }
        }
        out
    }

    /// The keys with their places and values, for tables whose keys are names.
    pub(super) fn entries(&self) -> Vec<(At<String>, &'a Spanned<DeValue<'i>>)> {
        self.table
            .iter()
            .map(|(key, value)| {
                (
                    At {
                        value: key.get_ref().to_string(),
                        span: key.span(),
                    },
                    value,
                )
            })
            .collect()
    }

    /// Reports every key that was not asked for.
    pub(super) fn finish(self) {
        self.finish_beside(&[]);
    }

    /// Like [`Self::finish`], for a table some of whose keys are read elsewhere.
    pub(super) fn finish_beside(self, others: &[&'static str]) {
        let mut valid = self.known.clone();
        valid.extend(others);
        for (key, _) in self.table.iter() {
            let name: &str = key.get_ref();
            if !valid.contains(&name) {
                self.findings.add(
                    key.span(),
                    format!("unknown key `{name}` in {}", self.name),
                    "not known here",
                    Some(choices(name, &valid)),
                );
            }
        }
    }
}

fn with_article(kind: &str) -> String {
    match kind {
        "integer" | "array" => format!("an {kind}"),
        "boolean" => "true or false".to_owned(),
        _ => format!("a {kind}"),
    }
}
