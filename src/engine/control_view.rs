//! What a front end shows of other terminals: the copy of the journal, who asks for the conn, and
//! what a watching console knows of the holder.

use jiff::{SignedDuration, Timestamp};

use crate::control::mirror::{State, Status};

/// Nothing heard for longer is old, and may be wrong by now.
pub const STALE_AFTER: SignedDuration = SignedDuration::from_secs(3);
/// A holder that was not seen for longer may be gone.
pub const LEFT_AFTER: SignedDuration = SignedDuration::from_secs(30);

/// Everything about other terminals.
#[derive(Debug, Clone, Default)]
pub struct ControlView {
    /// How the copy in the control schema stands, where the runbook names one.
    pub mirror: Option<Status>,
    /// Somebody asks for the conn.
    pub asks: Option<ConnAsk>,
    /// Why nothing is done here any more.
    pub read_only: Option<String>,
    /// To whom the conn went, once it is theirs.
    pub handed_over: Option<String>,
    /// This console only watches.
    pub watching: Option<Watching>,
}

impl ControlView {
    /// The copy in words, where it lacks something: how many records, since when.
    pub fn behind(&self, seq: u64) -> Option<(u64, Timestamp)> {
        let mirror = self.mirror.as_ref()?;
        let lacks = seq.saturating_sub(mirror.mirrored);
        matches!(mirror.state, State::Lost(_)).then_some((lacks, mirror.since))
    }
}

/// Somebody at another terminal asks for the conn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnAsk {
    pub id: i64,
    pub who: String,
    /// The role of the database that it came from.
    pub sent_by: String,
}

/// What a watching console knows of the run's holder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Watching {
    pub run: String,
    pub holder: String,
    /// Where the records come from, in words.
    pub source: String,
    /// When the source has last answered.
    pub heard: Timestamp,
    /// When the holder was last seen, by this machine's clock; `None` where nobody can tell.
    pub seen: Option<Timestamp>,
    /// Why the source does not answer.
    pub trouble: Option<String>,
    /// What is shown is not what the source holds, or it does not verify.
    pub differs: Option<String>,
    /// The epoch of the holder; 0 where there is none.
    pub epoch: i64,
    /// Whether the conn can be asked for from here.
    pub may_ask: bool,
    pub asked: Option<Asked>,
}

/// What became of asking for the conn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asked {
    Waiting,
    Refused(String),
    /// The conn is ours from this epoch on.
    Granted(i64),
}

impl Watching {
    /// For how long nothing was heard, where that is too long.
    pub fn stale(&self, now: Timestamp) -> Option<SignedDuration> {
        let silent = now.duration_since(self.heard);
        (silent > STALE_AFTER).then_some(silent)
    }

    /// For how long the holder was not seen.
    pub fn unseen(&self, now: Timestamp) -> Option<SignedDuration> {
        Some(now.duration_since(self.seen?))
    }

    /// Tells whether the holder may be gone, so that the conn may be taken without an answer.
    pub fn left(&self, now: Timestamp) -> bool {
        let unseen = self.unseen(now);
        self.may_ask && unseen.is_some_and(|unseen| unseen > LEFT_AFTER)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_news_is_called_old() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let watching = Watching {
            run: "r".into(),
            holder: "ana@one".into(),
            source: "ops".into(),
            heard: at(100),
            seen: Some(at(98)),
            trouble: None,
            differs: None,
            epoch: 1,
            may_ask: true,
            asked: None,
        };
        assert_eq!(watching.stale(at(103)), None);
        assert_eq!(watching.stale(at(104)), Some(SignedDuration::from_secs(4)));
        assert!(!watching.left(at(128)));
        assert!(watching.left(at(129)));
        let alone = Watching {
            may_ask: false,
            ..watching
        };
        assert!(!alone.left(at(1000)));
    }
}
