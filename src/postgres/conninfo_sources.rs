//! Gathers what is written about an address: in itself, in a service file, in variables; the better
//! source wins, and each value remembers where it was written.

use std::collections::BTreeMap;
use std::str::FromStr;

use super::connection_string::{is_uri, parse_keywords, parse_uri};
use super::conninfo::ConninfoError;
use super::environment::Environment;
use super::keywords::{self, KEYWORDS, Support};
use super::service_file;

const SHAPES: &str = "write env:NAME, service:NAME, postgresql://user@host/database or \
                      'host=… dbname=…'";

/// The values of all sources, each with the place it was written in.
#[derive(Default)]
pub(super) struct Settings {
    values: BTreeMap<&'static str, (String, String)>,
}

impl Settings {
    pub(super) fn read(source: &str, environment: &Environment) -> Result<Self, ConninfoError> {
        let source = source.trim();
        let mut settings = Self::default();
        if let Some(name) = source.strip_prefix("service:") {
            settings.add("service", name.trim(), "the address");
            return Ok(settings);
        }
        let (text, place) = match source.strip_prefix("env:") {
            Some(name) => {
                let name = name.trim();
                let value = environment.variable(name).ok_or_else(|| ConninfoError {
                    place: format!("the environment variable {name}"),
                    problem: "it is not set; export it with the address of the database".to_owned(),
                })?;
                (value.trim(), format!("the environment variable {name}"))
            }
            None => (source, "the address".to_owned()),
        };
        let pairs = if is_uri(text) {
            parse_uri(text)
        } else if text.contains('=') {
            parse_keywords(text)
        } else {
            // It is not quoted: a lone word may well be a password in the wrong variable.
            Err(format!("it is not the address of a database; {SHAPES}"))
        };
        let pairs = pairs.map_err(|problem| ConninfoError {
            place: place.clone(),
            problem,
        })?;
        for (name, value) in pairs {
            // The last one written wins, and an empty one says nothing.
            settings.values.remove(name);
            settings.add(name, &value, &place);
        }
        Ok(settings)
    }

    /// Adds a value that no better source has given.
    fn add(&mut self, name: &'static str, value: &str, place: &str) {
        if !value.is_empty() {
            self.values
                .entry(name)
                .or_insert_with(|| (value.to_owned(), place.to_owned()));
        }
    }

    pub(super) fn add_service(&mut self, environment: &Environment) -> Result<(), ConninfoError> {
        let Some(name) = self
            .get("service")
            .or_else(|| environment.variable("PGSERVICE"))
            .map(str::to_owned)
        else {
            return Ok(());
        };
        let (pairs, file) = service_file::find(&name, self.get("servicefile"), environment)
            .map_err(|error| ConninfoError {
                place: error.place,
                problem: error.problem,
            })?;
        let place = format!("the service '{name}' in {}", file.display());
        for (keyword, value) in pairs {
            self.add(keyword, &value, &place);
        }
        Ok(())
    }

    pub(super) fn add_variables(&mut self, environment: &Environment) {
        for keyword in KEYWORDS {
            if let Some(variable) = keyword.variable
                && let Some(value) = environment.variable(variable)
            {
                self.add(
                    keyword.name,
                    value,
                    &format!("the environment variable {variable}"),
                );
            }
        }
        if environment.variable("PGREQUIRESSL") == Some("1") {
            self.add(
                "sslmode",
                "require",
                "the environment variable PGREQUIRESSL",
            );
        }
    }

    pub(super) fn check_support(&self) -> Result<(), ConninfoError> {
        for (&name, (value, place)) in &self.values {
            let problem = match keywords::find(name).map(|keyword| keyword.support) {
                Some(Support::Refused(why)) => format!("{name} is not supported: {why}"),
                Some(Support::Only(values, why)) if !values.contains(&value.as_str()) => {
                    format!("{name} is supported only as {}: {why}", values.join(" or "))
                }
                _ => continue,
            };
            return Err(ConninfoError {
                place: place.clone(),
                problem,
            });
        }
        Ok(())
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(|(value, _)| value.as_str())
    }

    pub(super) fn wrong(&self, name: &str, problem: String) -> ConninfoError {
        ConninfoError {
            place: self
                .values
                .get(name)
                .map_or_else(|| "the address".to_owned(), |(_, place)| place.clone()),
            problem,
        }
    }

    /// Reads one value; the error says what is valid.
    pub(super) fn read_as<T>(
        &self,
        name: &str,
        valid: &str,
        read: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>, ConninfoError> {
        let Some(value) = self.get(name) else {
            return Ok(None);
        };
        read(value)
            .map(Some)
            .ok_or_else(|| self.wrong(name, format!("{name}={value} is not valid; {valid}")))
    }

    pub(super) fn number<T: FromStr>(&self, name: &str) -> Result<Option<T>, ConninfoError> {
        self.read_as(name, "write a whole number", |value| {
            value.trim().parse().ok()
        })
    }

    pub(super) fn flag(&self, name: &str) -> Result<Option<bool>, ConninfoError> {
        self.read_as(name, "write 0 or 1", |value| match value {
            "0" => Some(false),
            "1" => Some(true),
            _ => None,
        })
    }
}
