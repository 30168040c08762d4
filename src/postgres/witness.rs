//! What a server said about transactions, seen on the wire itself.
//!
//! The driver keeps no command tags, and `COMMIT` in an aborted transaction is answered without an
//! error, by the tag `ROLLBACK`. So the bytes that arrive are read along with it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

/// Type and length of a message.
const HEAD: usize = 5;
/// More of a tag than tells one from another.
const KEPT: usize = 16;

/// How often transactions were ended in a session, and where it stands now.
#[derive(Debug, Default)]
pub struct Witness {
    commits: AtomicU64,
    rollbacks: AtomicU64,
    /// Commits whose wait for a standby was given up.
    unconfirmed: AtomicU64,
    /// The status byte of the last ReadyForQuery; 0 before the first.
    status: AtomicU8,
}

/// What the witness had seen at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ends {
    pub commits: u64,
    pub rollbacks: u64,
}

/// Where a session stands, as the server said last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    Idle,
    InTransaction,
    /// In a transaction that can only be rolled back.
    Aborted,
    Unknown,
}

impl Witness {
    /// The commands `COMMIT` and `ROLLBACK` that were completed so far.
    pub fn ends(&self) -> Ends {
        Ends {
            commits: self.commits.load(Ordering::SeqCst),
            rollbacks: self.rollbacks.load(Ordering::SeqCst),
        }
    }

    /// Where the session stands after the last answer that arrived.
    pub fn standing(&self) -> Standing {
        match self.status.load(Ordering::SeqCst) {
            b'I' => Standing::Idle,
            b'T' => Standing::InTransaction,
            b'E' => Standing::Aborted,
            _ => Standing::Unknown,
        }
    }

    /// How often a commit was made here and no standby has confirmed it.
    pub fn unconfirmed(&self) -> u64 {
        self.unconfirmed.load(Ordering::SeqCst)
    }

    /// Takes the server's routine that a notice comes from. Its code is that of any warning and its
    /// text is in whichever language; the routine is the one that waits for standbys.
    pub(super) fn notice(&self, routine: Option<&str>) {
        if routine == Some("SyncRepWaitForLSN") {
            self.unconfirmed.fetch_add(1, Ordering::SeqCst);
        }
    }

    fn complete(&self, tag: &[u8]) {
        let count = match tag {
            b"COMMIT" => &self.commits,
            b"ROLLBACK" => &self.rollbacks,
            _ => return,
        };
        count.fetch_add(1, Ordering::SeqCst);
    }
}

/// Cuts what arrives into messages, however it is cut into pieces.
#[derive(Debug)]
pub(super) struct Watch {
    witness: Arc<Witness>,
    head: [u8; HEAD],
    /// Bytes of the head that have arrived.
    headed: usize,
    /// Bytes of the body that have not.
    left: usize,
    body: Vec<u8>,
}

impl Watch {
    pub(super) fn new(witness: Arc<Witness>) -> Watch {
        Watch {
            witness,
            head: [0; HEAD],
            headed: 0,
            left: 0,
            body: Vec::with_capacity(KEPT),
        }
    }

    /// Takes the next piece of what the server sent.
    pub(super) fn take(&mut self, mut piece: &[u8]) {
        while !piece.is_empty() {
            if self.headed < HEAD {
                let more = piece.len().min(HEAD - self.headed);
                self.head[self.headed..self.headed + more].copy_from_slice(&piece[..more]);
                self.headed += more;
                piece = &piece[more..];
                if self.headed == HEAD {
                    let [_, a, b, c, d] = self.head;
                    self.left = (u32::from_be_bytes([a, b, c, d]) as usize).saturating_sub(4);
                    self.body.clear();
                    self.ended();
                }
                continue;
            }
            let more = piece.len().min(self.left);
            if matches!(self.head[0], b'C' | b'Z') {
                let kept = more.min(KEPT - self.body.len());
                self.body.extend_from_slice(&piece[..kept]);
            }
            self.left -= more;
            piece = &piece[more..];
            self.ended();
        }
    }

    fn ended(&mut self) {
        if self.left > 0 {
            return;
        }
        match self.head[0] {
            b'C' => {
                let end = self.body.iter().position(|byte| *byte == 0);
                self.witness
                    .complete(&self.body[..end.unwrap_or(self.body.len())]);
            }
            b'Z' => {
                if let Some(status) = self.body.first() {
                    self.witness.status.store(*status, Ordering::SeqCst);
                }
            }
            _ => {}
        }
        self.headed = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(kind: u8, body: &[u8]) -> Vec<u8> {
        let length = (body.len() as u32 + 4).to_be_bytes();
        [&[kind][..], &length, body].concat()
    }

    #[test]
    fn tags_are_read_however_the_bytes_are_cut() {
        let bytes = [
            message(b'C', b"INSERT 0 1\0"),
            message(b'D', &[b'C'; 300]),
            message(b'C', b"COMMIT\0"),
            message(b'Z', b"T"),
            message(b'1', b""),
            message(b'C', b"ROLLBACK\0"),
            message(b'C', b"COMMIT PREPARED\0"),
            message(b'Z', b"I"),
        ]
        .concat();
        for size in 1..bytes.len() {
            let witness = Arc::new(Witness::default());
            let mut watch = Watch::new(Arc::clone(&witness));
            assert_eq!(witness.standing(), Standing::Unknown);
            for piece in bytes.chunks(size) {
                watch.take(piece);
            }
            let ends = Ends {
                commits: 1,
                rollbacks: 1,
            };
            assert_eq!(witness.ends(), ends, "in pieces of {size}");
            assert_eq!(witness.standing(), Standing::Idle);
        }
    }
}
