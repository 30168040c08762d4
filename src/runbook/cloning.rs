//! What a clone gate is: one database becomes another one's copy.

use std::collections::BTreeMap;

use super::going_back::Sessions;

/// One database becomes the copy of another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CloneDatabase {
    /// The target that is copied; it is only read.
    pub from: String,
    /// The target that becomes the copy; never production.
    pub target: String,
    /// The gate of this run that backed the source up.
    pub backup: String,
    /// The folder that receives the dump of the destination as it was.
    pub safety: String,
    /// How many tables are copied at a time, and how many workers build indexes.
    pub jobs: u32,
    pub sessions: Sessions,
    /// The database to connect to while the destination is renamed.
    pub maintenance: String,
    /// Schemas of the destination that the source lacks, and that may be lost.
    pub may_drop: Vec<String>,
    /// Functions and triggers of the source that may call out of it, and may be in the copy.
    pub may_call: Vec<String>,
    /// Whether large objects are copied; it must be said where anything is hidden.
    pub large_objects: Option<bool>,
    /// False copies the schema alone.
    pub rows: bool,
    pub previous: Previous,
    /// The table of accounts, if there is one: whose rows in the destination are replaced is said.
    pub users: Option<String>,
    /// What becomes of columns, by `schema.table.column`.
    pub mask: BTreeMap<String, Mask>,
    /// Patterns of column names that may not leave the source without a rule in `mask`.
    pub personal: Vec<String>,
}

/// What becomes of the destination's database of before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Previous {
    /// It stays under another name.
    Keep,
    /// It is dropped once the copy has its name; the safety dump stays.
    Drop,
}

/// What becomes of the values of one column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mask {
    /// They go over as they are; somebody has decided that.
    Keep,
    Null,
    /// A hash with a salt of this clone alone: equal values stay equal, and nothing else of them
    /// is left.
    Hash,
    /// A hash in the form of an address that nothing is delivered to.
    Email,
    /// An expression over the row, written for the source's server.
    Sql(String),
}

impl Mask {
    /// The words of the rules that need nothing more.
    pub const WORDS: [&str; 4] = ["keep", "null", "hash", "email"];

    /// The rule of a word.
    pub fn of_word(word: &str) -> Option<Mask> {
        match word {
            "keep" => Some(Mask::Keep),
            "null" => Some(Mask::Null),
            "hash" => Some(Mask::Hash),
            "email" => Some(Mask::Email),
            _ => None,
        }
    }

    /// The rule as it is shown.
    pub fn word(&self) -> &str {
        match self {
            Mask::Keep => "keep",
            Mask::Null => "null",
            Mask::Hash => "hash",
            Mask::Email => "email",
            Mask::Sql(sql) => sql,
        }
    }
}
