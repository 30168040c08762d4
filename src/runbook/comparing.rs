//! Gates that compare a target with what it should be.

/// A target whose schema is compared with what it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drift {
    pub target: String,
    /// A source of a schema: a file, a folder of migrations, a revision's file, a snapshot.
    pub expected: String,
    /// Only these schemas; all when none is named.
    pub schemas: Vec<String>,
    /// Rules for what is not compared.
    pub ignore: Vec<String>,
    /// Rules for soft differences that the gate passes with.
    pub allow: Vec<String>,
}
