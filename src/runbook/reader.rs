//! Reads TOML tables key by key, remembers every problem, and goes on.
//!
//! A derived deserialiser stops at the first mistake. An operator who mends a file at night wants
//! all of them, so tables are read by hand over the spanned tree that the `toml` crate gives.

use std::cell::RefCell;
use std::ops::{Range, RangeInclusive};

use toml::Spanned;
use toml::de::{DeInteger, DeTable, DeValue};

use super::findings::{At, Findings};
use super::problem::{choices, near};

/// A key that must be there and is not.
struct Lacking {
    key: &'static str,
    help: String,
}

/// One table, read key by key. [`TableReader::finish`] reports what is missing and what was not
/// asked for.
pub(super) struct TableReader<'a, 'i> {
    /// How the table is called in messages, such as "gate `backup`".
    pub(super) name: String,
    pub(super) span: Range<usize>,
    table: &'a DeTable<'i>,
    known: Vec<&'static str>,
    /// Keys that are read elsewhere or refused elsewhere: no mistakes, and never suggested.
    unlisted: Vec<&'static str>,
    /// Reported at the end, when it can be told whether the key is there in another spelling.
    lacking: RefCell<Vec<Lacking>>,
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
            unlisted: Vec::new(),
            lacking: RefCell::new(Vec::new()),
            findings,
        }
    }

    /// The value of a key, whatever its type.
    pub(super) fn any(&mut self, key: &'static str) -> Option<&'a Spanned<DeValue<'i>>> {
        if !self.known.contains(&key) {
            self.known.push(key);
        }
        self.table.get(key)
    }

    /// The value of a key that is part of the format but cannot be used.
    pub(super) fn unusable(&mut self, key: &'static str) -> Option<&'a Spanned<DeValue<'i>>> {
        self.unlisted.push(key);
        self.table.get(key)
    }

    /// Tells whether a key stands in the table, without reading it.
    pub(super) fn has(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }

    /// The place of a key's value; of the whole table when it is not there.
    pub(super) fn place(&self, key: &str) -> Range<usize> {
        self.table
            .get(key)
            .map_or_else(|| self.span.clone(), Spanned::span)
    }

    pub(super) fn wrong_type(
        &self,
        key: &str,
        wanted: &str,
        found: &Spanned<DeValue<'i>>,
        help: Option<String>,
    ) {
        self.findings.add(
            found.span(),
            format!("`{key}` of {} must be {wanted}", self.name),
            format!("this is {}", kind_of(found.get_ref())),
            help,
        );
    }

    /// Remembers that a key is missing. `help` says what to write.
    pub(super) fn missing(&self, key: &'static str, help: impl Into<String>) {
        let help = help.into();
        self.lacking.borrow_mut().push(Lacking { key, help });
    }

    pub(super) fn string(&mut self, key: &'static str) -> Option<At<String>> {
        let found = self.any(key)?;
        let Some(text) = found.get_ref().as_str() else {
            let written = self.findings.text(found.span());
            let help = is_scalar(found.get_ref()).then(|| format!("write {key} = \"{written}\""));
            self.wrong_type(key, "a string", found, help);
            return None;
        };
        if text.trim().is_empty() {
            let message = format!("`{key}` of {} is empty", self.name);
            self.findings
                .add(found.span(), message, "write something here", None);
            return None;
        }
        Some(At {
            value: text.to_owned(),
            span: found.span(),
        })
    }

    pub(super) fn need_string(&mut self, key: &'static str) -> At<String> {
        if !self.has(key) {
            self.missing(key, format!("write {key} = \"…\""));
        }
        self.string(key).unwrap_or_else(|| At {
            value: String::new(),
            span: self.span.clone(),
        })
    }

    /// Reads one of a few words; the first is the one that holds when none is given.
    pub(super) fn one_of(&mut self, key: &'static str, words: &[&'static str]) -> &'static str {
        let default = words.first().copied().unwrap_or_default();
        let Some(given) = self.string(key) else {
            return default;
        };
        if let Some(word) = words.iter().find(|word| **word == given.value) {
            return word;
        }
        self.findings.add(
            given.span,
            format!("`{}` is no {key} of {}", given.value, self.name),
            "not known",
            Some(choices(&given.value, words)),
        );
        default
    }

    pub(super) fn flag(&mut self, key: &'static str, default: bool) -> bool {
        let Some(found) = self.any(key) else {
            return default;
        };
        found.get_ref().as_bool().unwrap_or_else(|| {
            let help = Some(format!("write {key} = true or {key} = false"));
            self.wrong_type(key, "true or false", found, help);
            default
        })
    }

    pub(super) fn whole(
        &mut self,
        key: &'static str,
        range: RangeInclusive<i64>,
    ) -> Option<At<i64>> {
        let found = self.any(key)?;
        let number = found.get_ref().as_integer().and_then(integer);
        if let Some(value) = number.filter(|number| range.contains(number)) {
            let span = found.span();
            return Some(At { value, span });
        }
        let wanted = format!("a whole number from {} to {}", range.start(), range.end());
        if found.get_ref().as_integer().is_some() {
            let message = format!("`{key}` of {} must be {wanted}", self.name);
            self.findings
                .add(found.span(), message, "out of range", None);
        } else {
            self.wrong_type(key, &wanted, found, None);
        }
        None
    }

    pub(super) fn strings(&mut self, key: &'static str, example: &str) -> Option<Vec<At<String>>> {
        let found = self.any(key)?;
        let Some(array) = found.get_ref().as_array() else {
            let help = Some(format!("such as {key} = {example}"));
            self.wrong_type(key, "a list of strings", found, help);
            return None;
        };
        let mut out = Vec::new();
        for item in array.iter() {
            match item.get_ref().as_str() {
                Some(text) => out.push(At {
                    value: text.to_owned(),
                    span: item.span(),
                }),
                None => self.wrong_type(key, "a list of strings", item, None),
            }
        }
        Some(out)
    }

    /// A list of strings that may not be empty.
    pub(super) fn need_strings(&mut self, key: &'static str, example: &str) -> Vec<At<String>> {
        if !self.has(key) {
            self.missing(key, format!("such as {key} = {example}"));
        }
        let list = self.strings(key, example);
        if list.as_ref().is_some_and(Vec::is_empty) {
            let message = format!("`{key}` of {} is empty", self.name);
            let help = Some(format!("such as {key} = {example}"));
            self.findings
                .add(self.place(key), message, "at least one is needed", help);
        }
        list.unwrap_or_default()
    }

    /// Reports the empty strings of a list in which they mean nothing.
    pub(super) fn no_blanks(&self, key: &str, list: &[At<String>]) {
        for blank in list.iter().filter(|text| text.value.trim().is_empty()) {
            let message = format!("`{key}` of {} holds an empty string", self.name);
            self.findings
                .add(blank.span.clone(), message, "write something here", None);
        }
    }

    /// A table below this one.
    pub(super) fn table(&mut self, key: &'static str, name: &str) -> Option<TableReader<'a, 'i>> {
        let found = self.any(key)?;
        match found.get_ref().as_table() {
            Some(table) => Some(TableReader::new(name, found.span(), table, self.findings)),
            None => {
                self.wrong_type(key, "a table", found, None);
                None
            }
        }
    }

    /// A list of tables below this one, written `[[header]]`, with at least one in it if it is there.
    pub(super) fn tables(
        &mut self,
        key: &'static str,
        header: &str,
    ) -> Vec<(Range<usize>, &'a DeTable<'i>)> {
        let Some(found) = self.any(key) else {
            return Vec::new();
        };
        let wanted = format!("a list of tables, each written [[{header}]]");
        let Some(array) = found.get_ref().as_array() else {
            let help = Some(format!("write [[{header}]], in two brackets"));
            self.wrong_type(key, &wanted, found, help);
            return Vec::new();
        };
        if array.is_empty() {
            let message = format!("`{key}` of {} is empty", self.name);
            let help = Some(format!("write [[{header}]]"));
            self.findings
                .add(found.span(), message, "at least one is needed", help);
        }
        let mut out = Vec::new();
        for item in array.iter() {
            match item.get_ref().as_table() {
                Some(table) => out.push((item.span(), table)),
                None => self.wrong_type(key, &wanted, item, None),
            }
        }
        out
    }

    /// The keys with their places and values, for tables whose keys are names.
    pub(super) fn entries(&self) -> Vec<(At<String>, &'a Spanned<DeValue<'i>>)> {
        let at = |key: &Spanned<std::borrow::Cow<'i, str>>| At {
            value: key.get_ref().to_string(),
            span: key.span(),
        };
        self.table
            .iter()
            .map(|(key, value)| (at(key), value))
            .collect()
    }

    /// Reports every key that was not asked for, and every one that is missing.
    pub(super) fn finish(self) {
        self.finish_beside(&[], &[]);
    }

    /// Like [`Self::finish`], for a table some of whose keys are read elsewhere: `listed` are
    /// suggested to people, `unlisted` only tolerated. Gives how many keys are not known.
    pub(super) fn finish_beside(
        mut self,
        listed: &[&'static str],
        unlisted: &[&'static str],
    ) -> usize {
        let read: Vec<&'static str> = self.known.clone();
        self.known
            .extend(listed.iter().filter(|key| !read.contains(key)));
        self.unlisted.extend(unlisted);
        let unknown: Vec<At<String>> = self
            .entries()
            .into_iter()
            .map(|(key, _)| key)
            .filter(|key| {
                let name = key.value.as_str();
                !self.known.contains(&name) && !self.unlisted.contains(&name)
            })
            .collect();
        for key in &unknown {
            self.findings.add(
                key.span.clone(),
                format!("unknown key `{}` in {}", key.value, self.name),
                "not known here",
                Some(choices(&key.value, &self.known)),
            );
        }
        for lacking in self.lacking.take() {
            // One mistake is reported once: the key is there, misspelt.
            if unknown.iter().any(|key| near(&key.value, lacking.key)) {
                continue;
            }
            self.findings.add(
                self.span.clone(),
                format!("{} lacks `{}`", self.name, lacking.key),
                format!("`{}` is missing here", lacking.key),
                Some(lacking.help),
            );
        }
        unknown.len()
    }
}

/// The value of a whole number in whichever base it is written.
pub(super) fn integer(number: &DeInteger<'_>) -> Option<i64> {
    i64::from_str_radix(number.as_str(), number.radix()).ok()
}

/// A single value as text; numbers as they are computed, not as they are written.
pub(super) fn scalar(value: &DeValue<'_>) -> Option<String> {
    match value {
        DeValue::String(text) => Some(text.to_string()),
        DeValue::Integer(number) => match integer(number) {
            Some(number) => Some(number.to_string()),
            None => Some(number.as_str().to_owned()).filter(|_| number.radix() == 10),
        },
        DeValue::Float(number) => Some(number.as_str().to_owned()),
        DeValue::Boolean(flag) => Some(flag.to_string()),
        _ => None,
    }
}

fn is_scalar(value: &DeValue<'_>) -> bool {
    !matches!(value, DeValue::Array(_) | DeValue::Table(_))
}

/// The kind of a value with its article, as people say it.
pub(super) fn kind_of(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date-time",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}
