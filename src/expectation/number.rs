//! A measured number: exact, so that a value on a limit is on the same side of it everywhere.

use std::fmt;
use std::str::FromStr;

use bigdecimal::{BigDecimal, RoundingMode, ToPrimitive as _};
use serde::{Deserialize, Serialize};

/// Longer than any number that a person could read.
const LONGEST: usize = 80;

/// A finite number. Equal numbers are equal however they were written.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Number(BigDecimal);

/// A text that is no finite number.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a number")]
pub struct NotANumber(pub String);

impl Number {
    /// The number nearest to `value`; `None` for NaN and the infinities.
    pub fn near(value: f64) -> Option<Number> {
        value.is_finite().then(|| format!("{value}").parse().ok())?
    }

    /// As a floating point number, for drawing.
    pub fn to_f64(&self) -> f64 {
        self.0.to_f64().unwrap_or_default()
    }

    pub(super) fn decimal(&self) -> &BigDecimal {
        &self.0
    }

    /// Rounds what arithmetic gave to as many digits as a limit can sensibly have.
    pub(super) fn of(decimal: &BigDecimal) -> Number {
        Number(
            decimal
                .with_scale_round(12, RoundingMode::HalfEven)
                .normalized(),
        )
    }

    /// Short, for a screen: four digits after the point at most.
    pub fn short(&self) -> String {
        let digits = if self.to_f64().abs() >= 100.0 { 1 } else { 4 };
        let rounded = self
            .0
            .with_scale_round(digits, RoundingMode::HalfEven)
            .normalized();
        rounded.to_plain_string()
    }
}

impl FromStr for Number {
    type Err = NotANumber;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim();
        let refuse = || NotANumber(text.chars().take(LONGEST).collect());
        let finite = text.parse::<f64>().is_ok_and(f64::is_finite);
        if !finite || text.len() > LONGEST {
            return Err(refuse());
        }
        if text.contains(['e', 'E']) {
            // An exponent could ask for more digits than there is memory for.
            let value: f64 = text.parse().map_err(|_| refuse())?;
            let plain = format!("{value}");
            return BigDecimal::from_str(&plain)
                .map(Number)
                .map_err(|_| refuse());
        }
        BigDecimal::from_str(text).map(Number).map_err(|_| refuse())
    }
}

impl TryFrom<String> for Number {
    type Error = NotANumber;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Number> for String {
    fn from(number: Number) -> String {
        number.to_string()
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.normalized().to_plain_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(text: &str) -> Number {
        text.parse().unwrap()
    }

    #[test]
    fn only_finite_numbers_are_numbers() {
        for text in [
            "",
            "NaN",
            "inf",
            "-Infinity",
            "many",
            "1e999",
            "1,5",
            "0x10",
        ] {
            assert!(text.parse::<Number>().is_err(), "{text}");
        }
        assert_eq!(number(" 12.50 "), number("12.5"));
        assert_eq!(number("1.5e2"), number("150"));
        assert!(number("9007199254740993") > number("9007199254740992"));
    }

    #[test]
    fn short_numbers_can_be_read() {
        assert_eq!(number("123.4567").short(), "123.5");
        assert_eq!(number("0.123456").short(), "0.1235");
        assert_eq!(number("100").short(), "100");
        assert_eq!(number("0.00").short(), "0");
    }
}
