//! Gates that compare a target with what it should be, and record that it is.

/// A target whose schema is compared with what it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drift {
    pub target: String,
    pub against: Against,
    /// Only these schemas; all when none is named.
    pub schemas: Vec<String>,
    /// Rules for what is not compared.
    pub ignore: Vec<String>,
    /// Rules for soft differences that the gate passes with.
    pub allow: Vec<String>,
    /// Patterns of migration files: each must be in the ledger as it lies here.
    pub migrations: Vec<String>,
    /// Files after the last applied one are pending, and no gap.
    pub pending: bool,
    /// The table whose newest row says which schema was verified last.
    pub version_table: Option<String>,
    /// The file that decisions are written into.
    pub changelog: Option<String>,
    /// Roles whose members may approve a decision; anybody when none is named.
    pub approvers: Vec<String>,
}

/// What a target is compared with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Against {
    /// A source of a schema: a file, a folder of migrations, a revision's file, a snapshot.
    Schema(String),
    /// What a migrate gate made of the schema, compared with the change that was reviewed.
    Change { of: String, reviewed: String },
}

/// The name of the table that versions are written into when a runbook names none.
pub(super) const VERSION_TABLE: &str = "public.schema_version";

/// The verified schema, written into the target as a version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchemaVersion {
    pub target: String,
    /// The drift gate that verified it.
    pub verified_by: String,
    /// `schema.table`.
    pub table: String,
}
