//! What was seen of a server's way back in time, as evidence, and the verdict on it.

use serde::{Deserialize, Serialize};

use crate::expectation::Finding;

/// Less than this after the last archived segment is what an idle server writes, in bytes.
const IDLE_BYTES: u64 = 256;

/// The archiver's own count of what it did.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ArchiverSeen {
    pub archived: u64,
    pub failed: u64,
    pub last_archived: Option<String>,
    /// When, in UTC.
    pub last_archived_at: Option<String>,
    pub last_archived_age_s: Option<u64>,
    pub last_failed: Option<String>,
    pub last_failed_at: Option<String>,
    pub last_failed_age_s: Option<u64>,
    /// The last failure is newer than the last success.
    pub failing: bool,
    /// How much was written to the log after the last archived segment, in bytes.
    pub not_archived_bytes: Option<u64>,
}

/// Everything that was seen.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct RecoverySeen {
    pub in_recovery: bool,
    /// Where the log is; empty on a standby.
    pub wal_position: String,
    /// The server's own clock, in UTC.
    pub at: String,
    pub timeline: Option<u32>,
    pub wal_level: String,
    pub archive_mode: String,
    /// What archives: `archive_command` or `archive_library`; empty when neither is set.
    pub archived_by: String,
    pub archiver: ArchiverSeen,
    pub require_archiving: bool,
    pub max_archive_age_s: Option<u64>,
    /// The gates that have taken a backup, restored it and compared it; empty where none has and
    /// one must. Absent where nobody asks for one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verified: Option<Vec<String>>,
    /// Why a backup that was restored is not verified, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unverified: Option<String>,
    /// The restore point that was made, with its position.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restore_point: Option<(String, String)>,
}

impl RecoverySeen {
    /// The point in one line, as later gates and messages name it.
    pub fn point(&self) -> String {
        format!("{} at {}", self.wal_position, self.at)
    }

    /// Judges what was seen.
    pub fn judge(&self) -> Finding {
        if self.in_recovery {
            return Finding::failed("this server is a standby")
                .because("it follows another server's log; a recovery point is one of the primary")
                .can("name the primary in the target's address, then retry this gate");
        }
        if self.verified.as_ref().is_some_and(Vec::is_empty) {
            let finding = Finding::failed("no backup of this run is verified");
            let finding = match &self.unverified {
                Some(reason) => finding.because(reason.clone()),
                None => finding,
            };
            return finding
                .because(
                    "a backup counts when it was restored, and every table and the schema were \
                     compared with the source",
                )
                .can("let the rehearse gate above pass, then retry this gate");
        }
        if self.require_archiving
            && let Some(refused) = self.archiving()
        {
            return refused;
        }
        let timeline = self
            .timeline
            .map_or(String::new(), |timeline| format!(", timeline {timeline}"));
        let named = match &self.restore_point {
            Some((name, _)) => format!(", restore point `{name}`"),
            None => String::new(),
        };
        Finding::passed(format!("recovery point {}{timeline}{named}", self.point()))
    }

    /// Why the archive would not lead back to this point.
    fn archiving(&self) -> Option<Finding> {
        let needs_restart = "set it and restart the server; that is no work for this window";
        if !matches!(self.wal_level.as_str(), "replica" | "logical") {
            return Some(
                Finding::failed("point-in-time recovery is not possible")
                    .because(format!(
                        "wal_level is `{}`, and replica is needed",
                        self.wal_level
                    ))
                    .can(needs_restart),
            );
        }
        if !matches!(self.archive_mode.as_str(), "on" | "always") {
            return Some(
                Finding::failed("the log is not archived")
                    .because(format!("archive_mode is `{}`", self.archive_mode))
                    .can(needs_restart),
            );
        }
        if self.archived_by.is_empty() {
            return Some(
                Finding::failed("the log is not archived")
                    .because("neither archive_command nor archive_library is set")
                    .can("set one of them and reload the server, then retry this gate"),
            );
        }
        self.archiver.failing().or_else(|| self.stale())
    }

    fn stale(&self) -> Option<Finding> {
        let archiver = &self.archiver;
        let (Some(limit), Some(age)) = (self.max_archive_age_s, archiver.last_archived_age_s)
        else {
            return None;
        };
        let written = archiver
            .not_archived_bytes
            .is_none_or(|bytes| bytes > IDLE_BYTES);
        if age <= limit || !written {
            return None;
        }
        Some(
            Finding::failed(format!(
                "the last archived segment is {} old, and {} are tolerated",
                ago(age),
                ago(limit)
            ))
            .because(format!(
                "{} is the last one; the log has grown since",
                archiver.last_archived.as_deref().unwrap_or("none")
            ))
            .can("SELECT pg_switch_wal() as somebody who may; then retry this gate")
            .can("or set archive_timeout, so that a quiet server archives as well"),
        )
    }
}

impl ArchiverSeen {
    fn failing(&self) -> Option<Finding> {
        if self.failing {
            let age = self.last_failed_age_s.map_or("some time".to_owned(), ago);
            let mut finding = Finding::failed("the archiver is failing").because(format!(
                "the last attempt failed {age} ago, with segment {}; {} attempts have failed in all",
                self.last_failed.as_deref().unwrap_or("unknown"),
                self.failed
            ));
            finding = match (&self.last_archived, self.last_archived_age_s) {
                (Some(segment), Some(age)) => finding.because(format!(
                    "the last success was {segment}, {} ago: recovery would end there",
                    ago(age)
                )),
                _ => finding.because("nothing was ever archived: there is no way back in time"),
            };
            return Some(
                finding
                    .can("look at the server's log for the archive command's own words")
                    .can(
                        "mend the archive, wait until a segment is archived, then retry this gate",
                    ),
            );
        }
        (self.archived == 0).then(|| {
            Finding::inconclusive("nothing was archived yet")
                .because("archiving is set up, and no segment has been full since")
                .can("SELECT pg_switch_wal() as somebody who may; then retry this gate")
        })
    }
}

/// A length of time for people.
fn ago(seconds: u64) -> String {
    match seconds {
        0..=119 => format!("{seconds} s"),
        120..=7199 => format!("{} min", seconds / 60),
        _ => format!("{} h", seconds / 3600),
    }
}

/// How much of the log comes after a segment, from the segment's name and the position.
pub(super) fn bytes_after(segment: &str, position: &str, segment_size: u64) -> Option<u64> {
    let name = segment.get(..24)?;
    let high = u64::from_str_radix(name.get(8..16)?, 16).ok()?;
    let low = u64::from_str_radix(name.get(16..24)?, 16).ok()?;
    let (upper, lower) = position.split_once('/')?;
    let position =
        u64::from_str_radix(upper, 16).ok()? << 32 | u64::from_str_radix(lower, 16).ok()?;
    let end = (high << 32).checked_add((low + 1).checked_mul(segment_size)?)?;
    Some(position.saturating_sub(end))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expectation::Verdict;

    fn well() -> RecoverySeen {
        RecoverySeen {
            wal_position: "0/3000158".into(),
            at: "2026-11-21T03:00:00Z".into(),
            timeline: Some(1),
            wal_level: "replica".into(),
            archive_mode: "on".into(),
            archived_by: "archive_command".into(),
            archiver: ArchiverSeen {
                archived: 3,
                last_archived: Some("000000010000000000000002".into()),
                last_archived_age_s: Some(60),
                not_archived_bytes: Some(5000),
                ..ArchiverSeen::default()
            },
            require_archiving: true,
            max_archive_age_s: Some(900),
            verified: Some(vec!["dump".into(), "try".into()]),
            unverified: None,
            ..RecoverySeen::default()
        }
    }

    #[test]
    fn every_way_to_lose_the_way_back_is_refused() {
        let verdict = |change: fn(&mut RecoverySeen)| {
            let mut seen = well();
            change(&mut seen);
            seen.judge().verdict
        };
        assert_eq!(verdict(|_| {}), Verdict::Passed);
        assert_eq!(verdict(|s| s.in_recovery = true), Verdict::Failed);
        assert_eq!(verdict(|s| s.wal_level = "minimal".into()), Verdict::Failed);
        assert_eq!(verdict(|s| s.archive_mode = "off".into()), Verdict::Failed);
        assert_eq!(verdict(|s| s.archived_by = String::new()), Verdict::Failed);
        assert_eq!(verdict(|s| s.archiver.failing = true), Verdict::Failed);
        assert_eq!(verdict(|s| s.verified = Some(Vec::new())), Verdict::Failed);
        assert_eq!(verdict(|s| s.verified = None), Verdict::Passed);
        assert_eq!(verdict(|s| s.archiver.archived = 0), Verdict::Inconclusive);
        assert_eq!(
            verdict(|s| s.archiver.last_archived_age_s = Some(901)),
            Verdict::Failed
        );
        // Nothing was written since, so nothing is missing in the archive.
        assert_eq!(
            verdict(|s| {
                s.archiver.last_archived_age_s = Some(90_000);
                s.archiver.not_archived_bytes = Some(40);
            }),
            Verdict::Passed
        );
        assert_eq!(
            verdict(|s| {
                s.require_archiving = false;
                s.archive_mode = "off".into();
            }),
            Verdict::Passed
        );
    }

    #[test]
    fn the_log_after_a_segment_is_counted() {
        let size = 16 * 1024 * 1024;
        let after = |position| bytes_after("000000010000000000000002", position, size);
        assert_eq!(after("0/3000158"), Some(0x158));
        assert_eq!(after("0/3000000"), Some(0));
        assert_eq!(
            bytes_after("0000000100000001000000FF", "2/10", size),
            Some(0x10)
        );
        assert_eq!(bytes_after("00000002.history", "2/10", size), None);
    }
}
