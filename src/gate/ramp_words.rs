//! What a ramp says: spans of time, bands, questions and their causes.

use std::time::Duration;

use super::{Choice, Watched};
use crate::expectation::{Finding, MetricRule, Verdict};

/// The words of the choices, as the journal has them.
pub(super) const RAISE: &str = "raise";
pub(super) const GO_ON: &str = "go on";
pub(super) const STEP_BACK: &str = "step back";
pub(super) const OFF: &str = "off";

/// A span of time as a runbook writes it, such as `1h30m`.
pub(super) fn span(time: Duration) -> String {
    let ms = time.as_millis();
    if ms < 1_000 {
        return format!("{ms}ms");
    }
    let seconds = ms / 1_000;
    let parts = [
        (seconds / 3_600, "h"),
        (seconds / 60 % 60, "m"),
        (seconds % 60, "s"),
    ];
    parts
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, unit)| format!("{count}{unit}"))
        .collect()
}

/// A metric and its bands in one line.
pub(super) fn bands(rule: &MetricRule) -> String {
    let unit = rule
        .unit
        .as_ref()
        .map_or_else(String::new, |unit| format!(", in {unit}"));
    format!("{}{unit}", rule.wanted())
}

/// Why a ramp is held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Why {
    /// A metric decided it: failed, errored or inconclusive.
    Metric(Finding),
    /// The flag is another than was set.
    Changed { ours: u8, seen: u8 },
    /// The flag cannot be read.
    Unknown(String),
    /// Setting it did not set it.
    NotSet { wanted: u8, said: String },
}

impl Why {
    /// The verdict if it ends here.
    pub(super) fn finding(&self) -> Finding {
        match self {
            Why::Metric(finding) => finding.clone(),
            Why::Changed { ours, seen } if ours == seen => Finding::inconclusive(format!(
                "the flag was not what was set for a while; it stands at {seen} % again"
            )),
            Why::Changed { ours, seen } => Finding::inconclusive(format!(
                "the flag stands at {seen} %, and {ours} % was set: somebody else changed it"
            )),
            Why::Unknown(why) => {
                Finding::errored("the value of the flag is not known").because(why.clone())
            }
            Why::NotSet { wanted, said } => {
                Finding::errored(format!("the flag could not be set to {wanted} %"))
                    .because(said.clone())
            }
        }
    }

    /// What a person is asked.
    pub(super) fn question(&self, flag: &str) -> String {
        match self {
            Why::Metric(finding) => {
                let word = match finding.verdict {
                    Verdict::Failed => "BREACH",
                    Verdict::Errored => "NO MEASUREMENT",
                    _ => "NO ANSWER",
                };
                format!("{word}: {}. Held at {flag}.", finding.summary)
            }
            Why::Changed { .. } => format!("CHANGED: {}.", self.finding().summary),
            Why::Unknown(_) => "FLAG UNKNOWN: it cannot be read. Nothing is raised.".to_owned(),
            Why::NotSet { .. } => {
                format!("NOT SET: {}. It stands at {flag}.", self.finding().summary)
            }
        }
    }
}

/// The flag's value in words.
pub(super) fn stands(flag: Option<u8>) -> String {
    flag.map_or_else(|| "an unknown value".to_owned(), |flag| format!("{flag} %"))
}

/// The kill switch.
pub(super) fn off() -> Choice {
    Choice {
        key: 'o',
        word: OFF.to_owned(),
        label: "off: set it to 0 %".to_owned(),
        confirm: None,
    }
}

pub(super) fn raise(from: Option<u8>, to: u8) -> Choice {
    Choice {
        key: 'g',
        word: RAISE.to_owned(),
        label: format!("go on: raise it to {to} %"),
        confirm: Some(format!("Raise the flag from {} to {to} %?", stands(from))),
    }
}

pub(super) fn go_on(watched: &Watched, to: u8) -> Choice {
    let wanted = span(Duration::from_millis(watched.wanted_ms));
    let wanted = if wanted.is_empty() { "0s" } else { &wanted };
    Choice {
        key: 'g',
        word: GO_ON.to_owned(),
        label: format!("go on at {to} %, its {wanted} from the start"),
        confirm: Some(format!(
            "Go on at {to} %? Its {wanted} are observed from the start; what was seen before no longer counts."
        )),
    }
}

pub(super) fn step_back(to: u8) -> Choice {
    Choice {
        key: 's',
        word: STEP_BACK.to_owned(),
        label: format!("step back to {to} %, and end"),
        confirm: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_written_as_in_a_runbook() {
        for text in ["30m", "1h30m", "90ms", "2h5s"] {
            assert_eq!(span(crate::runbook::parse_duration(text).unwrap()), text);
        }
    }
}
