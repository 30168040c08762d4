//! What was compared after a restore, and whether that verifies the backup.

use serde::{Deserialize, Serialize};

/// What was compared with the source, and found equal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verified {
    /// The target that the backup is of.
    pub target: String,
    pub tables: u64,
    pub rows: u64,
    pub sequences: u64,
    /// The rows were compared with the source's own, and not only with the dump's.
    pub with_source: bool,
    /// The schema was compared with the source's as well.
    pub schema: bool,
    /// The hashes of the archive's files were computed again before it was restored.
    pub hashed: bool,
}

impl Verified {
    /// Why it does not verify a backup; `empty` where the source itself had no table.
    pub(super) fn why_not(&self, empty: bool) -> Option<&'static str> {
        if !self.with_source {
            Some("compared with the dump's own sums only: not verified")
        } else if !self.schema {
            Some("the schema was not compared with the source's: not verified")
        } else if self.tables == 0 && !empty {
            Some("no table was compared: not verified")
        } else {
            None
        }
    }

    /// Tells whether rows and schema were compared with the source's own.
    pub fn is_with_source(&self) -> bool {
        self.with_source && self.schema
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_compared_with_the_source_is_verified() {
        let whole = Verified {
            target: "db".into(),
            tables: 1,
            rows: 1,
            sequences: 0,
            with_source: true,
            schema: true,
            hashed: true,
        };
        assert_eq!(whole.why_not(false), None);
        let without = |change: fn(&mut Verified)| {
            let mut seen = whole.clone();
            change(&mut seen);
            (seen.why_not(false), seen.why_not(true).is_some())
        };
        let (said, _) = without(|seen| seen.with_source = false);
        assert!(said.is_some_and(|said| said.contains("dump's own sums")));
        assert!(without(|seen| seen.schema = false).0.is_some());
        let (some, none) = without(|seen| seen.tables = 0);
        assert!(some.is_some() && !none);
    }
}
