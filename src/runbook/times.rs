//! Reads spans of time from tables; they may be filled from the runbook's variables.

use std::time::Duration;

use toml::de::DeValue;

use super::duration::parse_duration;
use super::findings::At;
use super::reader::TableReader;

impl TableReader<'_, '_> {
    pub(super) fn duration(&mut self, key: &'static str) -> Option<At<Duration>> {
        let found = self.any(key)?;
        let units = "a number with a unit: ms, s, m, h or d, such as \"90s\" or \"1h30m\"";
        let Some(text) = found.get_ref().as_str() else {
            let written = self.findings.text(found.span());
            let help = match found.get_ref() {
                DeValue::Integer(_) => format!("seconds are written {key} = \"{written}s\""),
                _ => format!("write {units}"),
            };
            self.wrong_type(key, "a duration in quotes", found, Some(help));
            return None;
        };
        let Some(filled) = self.findings.fill(text) else {
            let message = format!(
                "`{key}` of {} holds a name that has no value here",
                self.name
            );
            let help = "a duration may be filled from [vars], and from nothing else";
            let label = "not a variable of this runbook";
            self.findings
                .add(found.span(), message, label, Some(help.into()));
            return None;
        };
        match parse_duration(&filled) {
            Ok(value) => Some(At {
                value,
                span: found.span(),
            }),
            Err(_) => {
                let label = if filled == text {
                    "not understood, or longer than 24 days".to_owned()
                } else {
                    format!("filled in, this is `{filled}`")
                };
                self.findings.add(
                    found.span(),
                    format!("`{key}` of {} is not a duration", self.name),
                    label,
                    Some(format!("write {units}")),
                );
                None
            }
        }
    }

    /// A duration during which something is to happen: no time at all is a mistake.
    pub(super) fn span_of_time(&mut self, key: &'static str) -> Option<At<Duration>> {
        let given = self.duration(key)?;
        if given.value.is_zero() {
            let message = format!("`{key}` of {} is no time at all", self.name);
            self.findings
                .add(given.span, message, "more than 0 is needed", None);
            return None;
        }
        Some(given)
    }
}
