//! Two schemas, wherever they come from, read and compared.

mod judge;
mod kept;
mod load;
mod seen;
mod settle;
mod source;

use tokio_util::sync::CancellationToken;

pub(super) use judge::{plan, run};
pub use load::{LoadError, Loaded, Surroundings};
pub use seen::DriftSeen;
pub use source::{Source, SourceError};

use crate::schema::{self, Comparison, IgnoreRule, Kind, ObjectId, Snapshot};

/// The ledger is ours: it is in every database that a runbook has migrated, and in no canonical
/// schema.
const LEDGER: &str = "schema:stagegate";

/// How two sources are compared.
#[derive(Debug, Clone, Default)]
pub struct DriftOptions {
    /// Only these schemas; all when none is named.
    pub schemas: Vec<String>,
    pub ignore: Vec<IgnoreRule>,
}

/// Both sides, and what they differ in.
#[derive(Debug, Clone)]
pub struct Compared {
    pub expected: Snapshot,
    pub actual: Snapshot,
    pub comparison: Comparison,
}

/// Reads one source.
///
/// # Errors
/// Why it cannot be read.
pub async fn read(
    source: &Source,
    surroundings: &Surroundings,
    cancel: &CancellationToken,
) -> Result<Loaded, LoadError> {
    load::load(source, None, surroundings, cancel).await
}

/// Reads both sources and compares them. A database is read first, so that files are loaded into
/// the version that it runs, for the role that owns it.
///
/// # Errors
/// Which side cannot be read, and why.
pub async fn compared(
    expected: &Source,
    actual: &Source,
    options: &DriftOptions,
    surroundings: &Surroundings,
    cancel: &CancellationToken,
) -> Result<Compared, LoadError> {
    let load = |source, like| load::load(source, like, surroundings, cancel);
    let (one, mut other) = if expected.is_loaded() && !actual.is_loaded() {
        let other = load(actual, None).await?;
        (load(expected, Some(&other.snapshot)).await?, other)
    } else {
        let one = load(expected, None).await?;
        let other = load(actual, Some(&one.snapshot)).await?;
        (one, other)
    };
    load::settled([expected, actual], &one, &mut other, surroundings, cancel).await?;
    Ok(both(one, other, options))
}

/// Compares a schema that was read already with what is expected.
///
/// # Errors
/// Why what is expected cannot be read.
pub(super) async fn against(
    expected: &Source,
    actual: Snapshot,
    options: &DriftOptions,
    surroundings: &Surroundings,
    cancel: &CancellationToken,
) -> Result<Compared, LoadError> {
    let one = load::load(expected, Some(&actual), surroundings, cancel).await?;
    let mut other = Loaded {
        snapshot: actual,
        notes: Vec::new(),
        of_files: false,
    };
    load::settled([expected, expected], &one, &mut other, surroundings, cancel).await?;
    Ok(both(one, other, options))
}

/// Members of roles belong to the whole server, and a dump of one database names none: such files
/// say nothing about them.
fn without_memberships(files: &Loaded, other: &mut Loaded) {
    let is_membership = |id: &ObjectId| id.kind == Kind::RoleMembership;
    if !files.of_files || files.snapshot.objects.keys().any(is_membership) {
        return;
    }
    let before = other.snapshot.objects.len();
    other.snapshot.objects.retain(|id, _| !is_membership(id));
    let left_out = before - other.snapshot.objects.len();
    if left_out > 0 {
        other.notes.push(format!(
            "{left_out} role memberships are not compared: the files name none"
        ));
    }
}

fn both(mut expected: Loaded, mut actual: Loaded, options: &DriftOptions) -> Compared {
    without_memberships(&expected, &mut actual);
    without_memberships(&actual, &mut expected);
    expected.snapshot.only_schemas(&options.schemas);
    actual.snapshot.only_schemas(&options.schemas);
    let mut ignore = options.ignore.clone();
    ignore.extend(LEDGER.parse::<IgnoreRule>());
    let mut comparison = schema::compare(
        &expected.snapshot,
        &actual.snapshot,
        &schema::Options { ignore },
    );
    comparison.notes.extend(expected.notes);
    comparison.notes.extend(actual.notes);
    comparison.notes.dedup();
    Compared {
        expected: expected.snapshot,
        actual: actual.snapshot,
        comparison,
    }
}
