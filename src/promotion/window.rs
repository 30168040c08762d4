//! The maintenance window: when it opens, when it closes, how long going back is still safe.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

/// The window as the runbook gives it. Durations are in seconds.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WindowDefinition {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub opens: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closes: Option<Timestamp>,
    /// Counted from the run's opening when no times are given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lasts_seconds: Option<i64>,
    /// No gate that acts starts after this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_start: Option<Timestamp>,
    /// What is kept in hand besides the rollback's own time.
    #[serde(default)]
    pub rollback_margin_seconds: i64,
    /// How long the longest way back takes, where the runbook has one.
    #[serde(default)]
    pub rollback_seconds: i64,
}

/// Where a moment stands in a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Countdown {
    pub closes: Timestamp,
    /// Negative when the window has closed.
    pub remaining: SignedDuration,
    /// After this a rollback would end outside the window.
    pub last_safe_rollback: Timestamp,
    pub until_last_safe_rollback: SignedDuration,
}

impl WindowDefinition {
    /// When the window closes for a run that was opened at `opened`.
    pub fn closes_for(&self, opened: Timestamp) -> Option<Timestamp> {
        self.closes.or_else(|| {
            let start = self.opens.unwrap_or(opened);
            let lasts = SignedDuration::from_secs(self.lasts_seconds?);
            start.checked_add(lasts).ok()
        })
    }

    /// The countdown at `now`.
    pub fn countdown(&self, opened: Timestamp, now: Timestamp) -> Option<Countdown> {
        let closes = self.closes_for(opened)?;
        let margin =
            SignedDuration::from_secs(self.rollback_margin_seconds + self.rollback_seconds);
        let last_safe_rollback = closes.checked_sub(margin).ok()?;
        Some(Countdown {
            closes,
            remaining: closes.duration_since(now),
            last_safe_rollback,
            until_last_safe_rollback: last_safe_rollback.duration_since(now),
        })
    }

    /// Why a gate that acts, and works for at least `lasts_seconds`, may not start at `now`, if so.
    ///
    /// Going back is not refused by the clock: late is better than not at all.
    pub fn refuses_start(
        &self,
        opened: Timestamp,
        now: Timestamp,
        lasts_seconds: i64,
    ) -> Option<String> {
        if let Some(opens) = self.opens
            && now < opens
        {
            return Some(format!("the window opens at {opens}"));
        }
        if let Some(last) = self.last_start
            && now > last
        {
            return Some(format!("the last moment to start was {last}"));
        }
        let countdown = self.countdown(opened, now)?;
        let ends = now
            .checked_add(SignedDuration::from_secs(lasts_seconds))
            .ok()?;
        if ends > countdown.last_safe_rollback {
            let takes = (self.rollback_seconds + self.rollback_margin_seconds) / 60;
            let lasts = match lasts_seconds {
                0 => String::new(),
                seconds => format!(", and this gate works for {} min", (seconds + 59) / 60),
            };
            return Some(format!(
                "the last safe moment to roll back is {:.0}: the window closes at {:.0}, and going \
                 back takes {takes} min with its margin{lasts}; going forward would pass it",
                countdown.last_safe_rollback, countdown.closes
            ));
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn a_window_that_lasts_counts_from_the_opening() {
        let window = WindowDefinition {
            lasts_seconds: Some(7200),
            rollback_margin_seconds: 600,
            ..Default::default()
        };
        let opened = at("2025-11-22T01:00:00Z");
        let countdown = window
            .countdown(opened, at("2025-11-22T02:00:00Z"))
            .unwrap();
        assert_eq!(countdown.closes, at("2025-11-22T03:00:00Z"));
        assert_eq!(countdown.remaining.as_secs(), 3600);
        assert_eq!(countdown.until_last_safe_rollback.as_secs(), 3000);
    }

    #[test]
    fn nothing_starts_outside() {
        let window = WindowDefinition {
            opens: Some(at("2025-11-22T01:00:00Z")),
            last_start: Some(at("2025-11-22T02:00:00Z")),
            ..Default::default()
        };
        let refuses = |now| window.refuses_start(at("2025-11-22T00:00:00Z"), at(now), 0);
        assert!(refuses("2025-11-22T00:59:59Z").is_some());
        assert!(refuses("2025-11-22T01:30:00Z").is_none());
        assert!(refuses("2025-11-22T02:00:01Z").is_some());
    }

    #[test]
    fn nothing_starts_that_would_pass_the_last_safe_moment() {
        let window = WindowDefinition {
            lasts_seconds: Some(7200),
            rollback_margin_seconds: 600,
            rollback_seconds: 300,
            ..Default::default()
        };
        let opened = at("2025-11-22T01:00:00Z");
        let refuses = |now, lasts| window.refuses_start(opened, at(now), lasts);
        assert!(refuses("2025-11-22T02:45:00Z", 0).is_none());
        let reason = refuses("2025-11-22T02:45:01Z", 0).unwrap();
        assert!(reason.contains("2025-11-22T02:45:00Z"), "{reason}");
        assert!(refuses("2025-11-22T01:45:00Z", 3600).is_none());
        let reason = refuses("2025-11-22T01:45:01Z", 3600).unwrap();
        assert!(reason.contains("works for 60 min"), "{reason}");
    }
}
