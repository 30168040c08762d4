//! Moments and spans of time, in words for people.

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

/// The time of day.
pub fn clock(at: Timestamp, zone: &TimeZone) -> String {
    at.to_zoned(zone.clone()).strftime("%H:%M:%S").to_string()
}

/// The time of day without seconds.
pub fn minute(at: Timestamp, zone: &TimeZone) -> String {
    at.to_zoned(zone.clone()).strftime("%H:%M").to_string()
}

/// Day and time.
pub fn day(at: Timestamp, zone: &TimeZone) -> String {
    at.to_zoned(zone.clone())
        .strftime("%Y-%m-%d %H:%M:%S %Z")
        .to_string()
}

/// A countdown or a stopwatch: `1:02:03` or `2:03`.
pub fn watch(span: SignedDuration) -> String {
    let seconds = span.as_secs().unsigned_abs();
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if hours > 0 {
        format!("{hours}:{minutes:02}:{seconds:02}")
    } else {
        format!("{minutes}:{seconds:02}")
    }
}

/// How long something took.
pub fn took(ms: u64) -> String {
    match ms {
        0..1_000 => format!("{ms} ms"),
        1_000..60_000 => format!("{}.{} s", ms / 1000, ms / 100 % 10),
        _ => watch(SignedDuration::from_millis(ms.min(i64::MAX as u64) as i64)),
    }
}

/// A size.
pub fn bytes(count: u64) -> String {
    const UNITS: [&str; 5] = ["B", "kB", "MB", "GB", "TB"];
    let (mut value, mut unit) = (count as f64, 0);
    while value >= 1000.0 && unit + 1 < UNITS.len() {
        value /= 1000.0;
        unit += 1;
    }
    if unit == 0 {
        format!("{count} B")
    } else {
        format!("{value:.1} {}", UNITS[unit])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_in_words() {
        assert_eq!(watch(SignedDuration::from_secs(3723)), "1:02:03");
        assert_eq!(watch(SignedDuration::from_secs(-63)), "1:03");
        assert_eq!(took(12), "12 ms");
        assert_eq!(took(1_250), "1.2 s");
        assert_eq!(took(61_000), "1:01");
        assert_eq!(bytes(999), "999 B");
        assert_eq!(bytes(13_400_000), "13.4 MB");
    }
}
