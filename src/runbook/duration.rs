//! Durations as a runbook writes them: a number with a unit, such as `90s`, `1h30m`, `250ms`.

use std::time::Duration;

/// Why a text is no duration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not a duration; write a number with a unit: ms, s, m, h, d (such as \"90s\" or \"1h30m\")"
)]
pub struct ParseDurationError(pub String);

/// Reads a duration. A bare number has no unit and is refused.
///
/// # Errors
/// When the text is not a sequence of whole numbers each with a unit, or is too long a time.
pub fn parse_duration(text: &str) -> Result<Duration, ParseDurationError> {
    let refuse = || ParseDurationError(text.to_owned());
    let mut total = Duration::ZERO;
    let mut rest = text.trim();
    if rest.is_empty() {
        return Err(refuse());
    }
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let number: u64 = rest[..digits].parse().map_err(|_| refuse())?;
        rest = &rest[digits..];
        let letters = rest.bytes().take_while(u8::is_ascii_alphabetic).count();
        let milliseconds: u64 = match &rest[..letters] {
            "ms" => 1,
            "s" => 1_000,
            "m" | "min" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => return Err(refuse()),
        };
        rest = rest[letters..].trim_start();
        let part = number.checked_mul(milliseconds).ok_or_else(refuse)?;
        total = total
            .checked_add(Duration::from_millis(part))
            .ok_or_else(refuse)?;
    }
    // What the server takes as a timeout is a 32-bit number of milliseconds.
    if total.as_millis() > i32::MAX as u128 {
        return Err(refuse());
    }
    Ok(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_needed() {
        assert_eq!(parse_duration("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(parse_duration("1h30m"), Ok(Duration::from_secs(5400)));
        assert_eq!(parse_duration("250ms"), Ok(Duration::from_millis(250)));
        for text in ["", "90", "s", "1 fortnight", "-5s", "1.5h", "99999999d"] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }
}
