//! Who waits for whom around one backend of ours: what it waits for and who has it, who waits
//! behind it, how far its statement is, and what may not be seen.
//!
//! All of it is read in a session of its own, which writes nothing and keeps no snapshot.

mod beside;
mod progress;
mod read;
mod signal;
mod standing;

pub use beside::{Beside, Neighbour, Standby, beside};
pub use progress::Phase;
pub use read::LockReader;
pub(super) use read::{ON, TAG, around};
pub use signal::{Act, InTheWay, Signaled};

use std::time::Duration;

use crate::untrusted::{clean_line, clip};

/// How much of somebody's statement is kept.
const QUERY: usize = 300;
/// How much of a name is kept.
const NAME: usize = 64;

/// What this session may see and do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Rights {
    pub superuser: bool,
    /// It sees what other users' sessions do.
    pub reads_all: bool,
    /// It may cancel and end sessions of other users, superusers' aside.
    pub signals: bool,
}

/// A session on the server, as far as it may be seen.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Backend {
    pub pid: i32,
    /// Empty for a worker of the server itself.
    pub user: String,
    pub application: String,
    /// The address it comes from; `local socket` where it has none.
    pub client: String,
    pub database: String,
    /// Such as `active` or `idle in transaction`.
    pub state: String,
    /// Such as `client backend` or `autovacuum worker`.
    pub kind: String,
    /// Exactly as the server writes it: with the process number it names one session for ever.
    pub backend_start: Option<String>,
    pub transaction_ms: Option<u64>,
    pub query_ms: Option<u64>,
    /// How long it has been in its state.
    pub state_ms: Option<u64>,
    /// Its statement, or the last one where it is idle.
    pub query: String,
    /// What it does may not be seen by us.
    pub hidden: bool,
    /// We may cancel its statement and end it.
    pub may_signal: bool,
}

impl Backend {
    /// Who it is, such as `ana@psql`.
    pub fn who(&self) -> String {
        match (self.user.is_empty(), self.application.is_empty()) {
            (true, _) if !self.kind.is_empty() => self.kind.clone(),
            (true, _) => "the server itself".to_owned(),
            (false, true) => self.user.clone(),
            (false, false) => format!("{}@{}", self.user, self.application),
        }
    }

    /// Tells whether it does nothing and keeps its transaction: canceling does nothing to it.
    pub fn is_idle(&self) -> bool {
        self.state.starts_with("idle")
    }
}

/// A transaction that was prepared and belongs to no session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prepared {
    pub gid: String,
    pub owner: String,
    pub database: String,
    pub age_ms: u64,
}

/// A lock that somebody waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wait {
    /// Such as `AccessExclusiveLock`.
    pub mode: String,
    /// Such as `shop.orders`.
    pub on: String,
    /// Servers before 14 do not say.
    pub waited_ms: Option<u64>,
    /// Names the object, so that it is known again.
    pub tag: String,
}

impl Wait {
    /// A wait for an object, of which nothing else is known.
    pub fn on(object: &str) -> Wait {
        Wait {
            mode: "AccessExclusiveLock".to_owned(),
            on: object.to_owned(),
            waited_ms: None,
            tag: String::new(),
        }
    }
}

/// Somebody in the way of ours, or in the way of whoever is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blocker {
    pub who: Backend,
    /// 0: it blocks us itself; each further one blocks the one before it.
    pub depth: usize,
    /// What it waits for itself.
    pub waits: Option<Wait>,
    /// The object that it has and the one before it wants.
    tag: String,
    /// No session has the lock, but these.
    pub prepared: Vec<Prepared>,
}

impl Blocker {
    /// Somebody who blocks us, or with a depth somebody who does.
    pub fn new(who: Backend, depth: usize) -> Blocker {
        Blocker {
            who,
            depth,
            waits: None,
            tag: String::new(),
            prepared: Vec::new(),
        }
    }

    /// What names it when it is to be canceled or ended; `None` where that cannot be done safely.
    pub fn in_the_way(&self) -> Option<InTheWay> {
        Some(InTheWay {
            pid: self.who.pid,
            backend_start: self.who.backend_start.clone()?,
            tag: self.tag.clone(),
        })
    }

    /// It in one line, such as `pid 4711, ana@psql, idle in transaction for 12 s`.
    pub fn words(&self) -> String {
        if self.who.pid == 0 {
            return match self.prepared.first() {
                Some(first) => format!(
                    "prepared transaction `{}` of {}, for {}",
                    first.gid,
                    first.owner,
                    age(first.age_ms)
                ),
                None => "a prepared transaction; see pg_prepared_xacts".to_owned(),
            };
        }
        let mut out = format!("pid {}, {}", self.who.pid, self.who.who());
        if self.who.hidden {
            out.push_str(", what it does may not be seen");
        } else if !self.who.state.is_empty() {
            let since = match self.who.is_idle() {
                true => self.who.state_ms,
                false => self.who.query_ms,
            };
            let since = since.map_or(String::new(), |ms| format!(" for {}", age(ms)));
            out.push_str(&format!(", {}{since}", self.who.state));
        }
        out
    }

    /// It with its statement, for a finding.
    pub fn sentence(&self) -> String {
        match self.who.query.is_empty() || self.who.pid == 0 {
            true => self.words(),
            false => format!("{}: {}", self.words(), clip(&self.who.query, 120)),
        }
    }
}

/// Somebody who waits for us, or for somebody who does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiter {
    pub who: Backend,
    pub wait: Wait,
}

/// Everybody behind us.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Queue {
    pub count: usize,
    pub longest_ms: u64,
    /// What they wait for, and how many; most first.
    pub on: Vec<(String, usize)>,
    /// Those who have waited longest.
    pub first: Vec<Waiter>,
}

/// What one look gave.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Look {
    /// Our own backend; `None` when it is gone.
    pub ours: Option<Backend>,
    /// When its transaction began, as the server writes it.
    pub transaction: Option<String>,
    pub wait: Option<Wait>,
    /// Whoever is in the way, each behind the one it blocks.
    pub blockers: Vec<Blocker>,
    pub queue: Queue,
    pub progress: Vec<Phase>,
    pub rights: Rights,
}

impl Look {
    /// The blocker of that process that began then.
    pub fn blocker(&self, pid: i32, backend_start: &str) -> Option<&Blocker> {
        self.blockers.iter().find(|blocker| {
            blocker.who.pid == pid && blocker.who.backend_start.as_deref() == Some(backend_start)
        })
    }

    /// Tells whether there is something that an operator should know: we wait, or others do.
    pub fn is_telling(&self) -> bool {
        self.wait.is_some() || self.queue.count > 0
    }

    /// How many of those named here do what we may not see.
    pub fn hidden(&self) -> usize {
        let blockers = self.blockers.iter().filter(|blocker| blocker.who.hidden);
        let waiters = self.queue.first.iter().filter(|waiter| waiter.who.hidden);
        blockers.count() + waiters.count()
    }

    /// What may not be seen, in words.
    pub fn unseen(&self) -> Option<String> {
        match self.hidden() {
            0 => None,
            n => Some(format!(
                "what {n} of these sessions do may not be seen by this user; \
                 GRANT pg_read_all_stats shows it"
            )),
        }
    }
}

/// A time as people say it.
pub fn age(ms: u64) -> String {
    match ms {
        0..10_000 => format!("{}.{} s", ms / 1000, ms % 1000 / 100),
        10_000..120_000 => format!("{} s", ms / 1000),
        120_000..7_200_000 => format!("{} min", ms / 60_000),
        _ => format!("{} h", ms / 3_600_000),
    }
}

/// A limit as people write it.
pub fn whole(limit: Duration) -> String {
    let ms = limit.as_millis() as u64;
    match ms {
        _ if ms.is_multiple_of(3_600_000) && ms > 0 => format!("{} h", ms / 3_600_000),
        _ if ms.is_multiple_of(60_000) && ms > 0 => format!("{} min", ms / 60_000),
        _ if ms.is_multiple_of(1_000) => format!("{} s", ms / 1_000),
        _ => format!("{ms} ms"),
    }
}

/// A name from the server.
fn name(text: &str) -> String {
    clip(&clean_line(text), NAME)
}

/// A statement from the server, on one line.
fn statement(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    clip(&clean_line(&words.join(" ")), QUERY)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_blocker_is_named_with_what_is_known() {
        let mut blocker = Blocker {
            who: Backend {
                pid: 4711,
                user: "ana".into(),
                application: "psql".into(),
                state: "idle in transaction".into(),
                state_ms: Some(12_400),
                query: "SELECT 1".into(),
                ..Backend::default()
            },
            depth: 0,
            waits: None,
            tag: String::new(),
            prepared: Vec::new(),
        };
        assert_eq!(
            blocker.sentence(),
            "pid 4711, ana@psql, idle in transaction for 12 s: SELECT 1"
        );
        // Without its start nothing tells it from another session with its number.
        assert_eq!(blocker.in_the_way(), None);
        blocker.who.hidden = true;
        blocker.who.query.clear();
        assert_eq!(
            blocker.sentence(),
            "pid 4711, ana@psql, what it does may not be seen"
        );
        blocker.who.pid = 0;
        blocker.prepared.push(Prepared {
            gid: "tpc-1".into(),
            owner: "app".into(),
            database: "shop".into(),
            age_ms: 7_300_000,
        });
        assert_eq!(
            blocker.words(),
            "prepared transaction `tpc-1` of app, for 2 h"
        );
    }

    #[test]
    fn ages_are_said_as_people_say_them() {
        let said = [0, 340, 12_400, 130_000, 9_000_000].map(age);
        assert_eq!(said, ["0.0 s", "0.3 s", "12 s", "2 min", "2 h"]);
    }

    #[test]
    fn text_of_others_is_made_one_clean_line() {
        assert_eq!(statement("SELECT\n\t1 \x1b[2J"), "SELECT 1 ␛[2J");
        assert_eq!(statement(&"x".repeat(2000)).chars().count(), QUERY);
    }
}
