//! Judges a run's journal by what others remember of it.
//!
//! A witness is a place outside of the run's folder that has seen a head: a sequence number and
//! the hash of that record. A journal that does not reach it, or that has another record there, was
//! put back or rewritten.

use std::sync::Arc;

use super::Record;

/// What a place outside of the run's folder remembers of its journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Witness {
    /// The number of the last record that was seen there.
    pub seq: u64,
    /// The hash of that record.
    pub hash: String,
    /// Where it is remembered, in words, such as `the control schema of ops`.
    pub place: String,
}

/// How a journal fails a witness.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failing {
    /// It ends before what the witness saw.
    Short,
    /// Its record of that number is another one.
    Rewritten,
}

/// A journal that is behind a witness, or is another one than the witness saw.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Behind {
    pub witness: Witness,
    pub failing: Failing,
    /// Where the journal ends.
    pub last: u64,
}

impl Behind {
    /// Says what is wrong, as one sentence without its full stop.
    pub fn words(&self) -> String {
        let Witness { seq, hash, place } = &self.witness;
        let short = hash.get(..12).unwrap_or(hash);
        match self.failing {
            Failing::Short => format!(
                "the journal ends at record {}; {place} has seen record {seq} ({short})",
                self.last
            ),
            Failing::Rewritten => format!(
                "record {seq} of the journal is not the one that {place} has seen ({short})"
            ),
        }
    }
}

/// Compares a journal's records, which verify among themselves, with what witnesses saw. What comes
/// back is empty when every witness is content.
pub fn judge(records: &[Arc<Record>], witnesses: &[Witness]) -> Vec<Behind> {
    let last = records.last().map_or(0, |record| record.seq);
    let failing = |witness: &Witness| {
        if witness.seq == 0 {
            return None;
        }
        let at = usize::try_from(witness.seq - 1).ok();
        match at.and_then(|at| records.get(at)) {
            None => Some(Failing::Short),
            Some(record) if record.hash != witness.hash => Some(Failing::Rewritten),
            Some(_) => None,
        }
    };
    witnesses
        .iter()
        .filter_map(|witness| {
            Some(Behind {
                failing: failing(witness)?,
                witness: witness.clone(),
                last,
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::promotion::{Actor, Event, GENESIS, Via};

    fn journal(notes: &[&str]) -> Vec<Arc<Record>> {
        let actor = Actor {
            name: "ana".into(),
            via: Via::Console,
        };
        let mut last = (0, GENESIS.to_owned());
        notes
            .iter()
            .map(|text| {
                let event = Event::Noted {
                    gate: None,
                    text: (*text).to_owned(),
                };
                let time = jiff::Timestamp::UNIX_EPOCH;
                let (record, _) = Record::after((last.0, &last.1), time, &actor, event).unwrap();
                last = (record.seq, record.hash.clone());
                Arc::new(record)
            })
            .collect()
    }

    fn seen(record: &Record) -> Witness {
        Witness {
            seq: record.seq,
            hash: record.hash.clone(),
            place: "the control schema".into(),
        }
    }

    #[test]
    fn a_witness_of_any_earlier_record_is_content() {
        let records = journal(&["a", "b", "c"]);
        let witnesses: Vec<Witness> = records.iter().map(|record| seen(record)).collect();
        assert_eq!(judge(&records, &witnesses), Vec::new());
        let nothing = Witness {
            seq: 0,
            hash: GENESIS.into(),
            place: "p".into(),
        };
        assert_eq!(judge(&records, &[nothing]), Vec::new());
    }

    #[test]
    fn a_journal_that_was_put_back_is_short() {
        let records = journal(&["a", "b", "c"]);
        let behind = judge(&records[..2], &[seen(&records[2])]);
        assert_eq!(behind.len(), 1);
        assert_eq!(behind[0].failing, Failing::Short);
        assert!(
            behind[0]
                .words()
                .starts_with("the journal ends at record 2; the control schema has seen record 3")
        );
    }

    #[test]
    fn a_journal_that_went_another_way_is_rewritten() {
        let records = journal(&["a", "b", "c"]);
        let other = journal(&["a", "x", "y", "z"]);
        let behind = judge(&other, &[seen(&records[0]), seen(&records[1])]);
        assert_eq!(behind.len(), 1);
        assert_eq!(behind[0].failing, Failing::Rewritten);
        assert!(behind[0].words().starts_with("record 2 of the journal"));
        // An empty journal is behind whatever anybody saw.
        assert_eq!(judge(&[], &[seen(&records[0])])[0].failing, Failing::Short);
    }
}
